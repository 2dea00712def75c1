/* ^C and SIGTERM for a command that changes something: it ends between two steps, each of which is
 * done whole. A second one ends it at once. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

#include <stdbool.h>

#include <ods/status.h>

/* Before anything is changed. Until then the signals end the process as they would any other. */
void interrupt_catch(void);

/* Asked between two steps; a sleep or a poll() ends early when the signal comes. */
bool interrupt_came(void);

/* CLI_INTERRUPTED, or what SIGTERM makes of it: 128 and the signal's number. 0: none came. */
int interrupt_code(void);

/* A worker_wait for commands: as worker_deadline_wait(), but an interrupt gives up. */
bool interrupt_deadline_wait(void *deadline, struct error *error);

#endif
