/* The command table as text: help on a terminal, man pages, Markdown, completion of shells. */
#ifndef REFERENCE_H
#define REFERENCE_H

#include <stdio.h>

#include "cli/command.h"

#define REFERENCE_ROOM 256

/* `name`: the command's words after ods-sink; "" is the program itself. */

/* One synopsis of the command, or one for each of its own commands, `each` called with it:
 * "dlq show -c FILE [--json] LETTER". */
struct synopsis {
    char command[80];     /* "ods-sink dlq show" */
    char words[24][96];  /* "-c FILE", "[--json]" */
    size_t count;
};
void synopsis_make(struct synopsis *synopsis, const char *name, const struct command *command);

/* "-c FILE, --config FILE" without the value twice: "-c, --config FILE". */
void parameter_label(char room[REFERENCE_ROOM], const struct parameter *row);
const char *parameter_value(const struct parameter *row); /* "FILE", "decode|apply" */

/* "Move a pipeline's stored offsets." */
void summary_sentence(char room[REFERENCE_ROOM], const struct command *command);

/* The words of one of its commands: "dlq list". */
void command_words(char room[REFERENCE_ROOM], const char *name, const struct command *command);

/* What exit codes mean: `each` for 0, what the command has of its own, 2 and 70, in their order. */
void exits_each(const struct command *command,
                void (*each)(void *context, const struct exit_meaning *exit), void *context);

void help_print(const struct terminal *terminal, FILE *out, const char *name,
                const struct command *command);
void manual_print(FILE *out, const char *name, const struct command *command);
void page_print(FILE *out, const char *name, const struct command *command);

void completion_bash(FILE *out, const struct command *root);
void completion_zsh(FILE *out, const struct command *root);
void completion_fish(FILE *out, const struct command *root);

#endif
