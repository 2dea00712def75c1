/* What the scripts for the shells share: walking the commands, and what is offered for a value. */
#ifndef COMPLETION_H
#define COMPLETION_H

#include "cli/reference.h"

/* `each` for the program (name ""), every command and every command of one, with its words. */
void completion_walk(const struct command *root,
                     void (*each)(FILE *out, const char *name, const struct command *command),
                     FILE *out);

/* Every option of the command, the common ones last. */
#define COMPLETION_OPTIONS(row, group_, command)                                                 \
    for (size_t group_ = 0; group_ <= COMMAND_GROUPS; group_++)                                  \
        PARAMETERS_EACH (row, group_ < COMMAND_GROUPS ? (command)->options[group_].options       \
                                                      : common_options)                          \
            if (!(row->flags & PARAMETER_HIDDEN))

/* "pipelines": what `ods-sink completion names` calls these; NULL: they are no names. */
const char *completion_names(enum completion completion);

/* The choices, with a space for each "|". */
void completion_choices(FILE *out, const struct parameter *row);

/* The doc without backquotes and what the shell would take for its own in single quotes;
 * `escaped`: characters that get a backslash. */
void completion_doc(FILE *out, const char *doc, const char *escaped);

#endif
