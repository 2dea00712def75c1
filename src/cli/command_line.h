/* The command line into a command and its struct of options. */
#ifndef COMMAND_LINE_H
#define COMMAND_LINE_H

#include "cli/command.h"

/* Options that every command has; common_options[0] is --help. */
extern const struct parameter common_options[];

struct command_line {
    const struct command *command; /* as far as the words name one; `program` at first */
    char name[64];                 /* its words: "dlq list" */
    void *options;                 /* its struct, NULL: it has none */
    bool help, version;
    const char *color;
};

/* CLI_OK, or CLI_USAGE after saying on standard error what is wrong. With help or version it is
 * CLI_OK and nothing else counts. command_line_done() either way. */
int command_line_parse(struct command_line *line, const struct command *root, int argc,
                       char **argv);
void command_line_done(struct command_line *line);

/* The command of that name among another's own; NULL: there is none. */
const struct command *command_find(const struct command *parent, const char *name);

/* Say that there is none, and which one may be meant. CLI_USAGE. */
int command_unknown(const struct command *parent, const char *parent_name, const char *name);

#endif
