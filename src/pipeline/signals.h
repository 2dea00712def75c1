/* Signals as something to read: blocked in every thread, taken by the main loop. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <ods/status.h>

/* Before any thread is started. *fd becomes readable when SIGTERM, SIGINT or SIGHUP has come. */
enum ods_status signals_open(int *fd, struct error *error);
int signals_take(int fd); /* the next signal's number, 0: none */

#endif
