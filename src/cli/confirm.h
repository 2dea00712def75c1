/* Asking before something is done that can't be undone. */
#ifndef CONFIRM_H
#define CONFIRM_H

#include <stdbool.h>

/* CLI_OK: yes is given, or the person at the terminal says so: `word` is typed, or y where it is
 * NULL. CLI_NEGATIVE: they do not, which is said. CLI_USAGE: standard input or standard error is
 * not a terminal, so there is no one to ask; the message names --yes. */
int confirm(const char *command, const char *question, const char *word, bool yes);

#endif
