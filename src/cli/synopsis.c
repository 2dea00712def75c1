/* What help, man page, Markdown and messages say of a command in one line. */
#include <ctype.h>
#include <string.h>

#include "cli/command_line.h"
#include "cli/reference.h"

const char *parameter_value(const struct parameter *row)
{
    return row->value ? row->value : row->choices ? row->choices : row->argument->name;
}

void parameter_label(char room[REFERENCE_ROOM], const struct parameter *row)
{
    const char *space = row->argument ? " " : "";
    const char *value = row->argument ? parameter_value(row) : "";
    if (row->letter)
        snprintf(room, REFERENCE_ROOM, "-%c, --%s%s%s", row->letter, row->name, space, value);
    else
        snprintf(room, REFERENCE_ROOM, "    --%s%s%s", row->name, space, value);
}

void command_words(char room[REFERENCE_ROOM], const char *name, const struct command *command)
{
    snprintf(room, REFERENCE_ROOM, "%s%s%s", name, *name ? " " : "", command->name);
}

void summary_sentence(char room[REFERENCE_ROOM], const struct command *command)
{
    snprintf(room, REFERENCE_ROOM, "%c%s.", toupper((unsigned char) command->summary[0]),
             command->summary + 1);
}

/* "-c FILE" */
static void short_label(char *room, size_t size, const struct parameter *row)
{
    const char *space = row->argument ? " " : "";
    const char *value = row->argument ? parameter_value(row) : "";
    if (row->letter)
        snprintf(room, size, "-%c%s%s", row->letter, space, value);
    else
        snprintf(room, size, "--%s%s%s", row->name, space, value);
}

static char *next_word(struct synopsis *synopsis)
{
    size_t most = sizeof synopsis->words / sizeof *synopsis->words;
    return synopsis->words[synopsis->count < most ? synopsis->count++ : most - 1];
}

static bool is_first_of(const struct parameter *rows, const struct parameter *row)
{
    while (rows->either != row->either)
        rows++;
    return rows == row;
}

/* Options that exclude each other stand together, at the first one's place. */
static void add_either(struct synopsis *synopsis, const struct parameter *rows,
                       const struct parameter *first)
{
    char *word = next_word(synopsis);
    bool required = false;
    size_t length = 1;
    PARAMETERS_EACH (row, first) {
        if (row->either != first->either || row->flags & PARAMETER_HIDDEN)
            continue;
        required |= row->flags & PARAMETER_REQUIRED;
        if (row != first)
            length += (size_t) snprintf(word + length, sizeof *synopsis->words - length, " | ");
        short_label(word + length, sizeof *synopsis->words - length, row);
        length = 1 + strlen(word + 1);
    }
    word[0] = required ? '(' : '[';
    if (length + 1 < sizeof *synopsis->words)
        memcpy(word + length, required ? ")" : "]", 2);
}

static void add_options(struct synopsis *synopsis, const struct parameter *rows)
{
    PARAMETERS_EACH (row, rows) {
        char label[80];
        if (row->flags & PARAMETER_HIDDEN)
            continue;
        if (row->either) {
            if (is_first_of(rows, row))
                add_either(synopsis, rows, row);
            continue;
        }
        short_label(label, sizeof label, row);
        const char *more = row->flags & PARAMETER_MANY ? "…" : "";
        bool required = row->flags & PARAMETER_REQUIRED;
        snprintf(next_word(synopsis), sizeof *synopsis->words, required ? "%s%s" : "[%s]%s", label,
                 more);
    }
}

void synopsis_make(struct synopsis *synopsis, const char *name, const struct command *command)
{
    *synopsis = (struct synopsis){.count = 0};
    snprintf(synopsis->command, sizeof synopsis->command, "ods-sink%s%s", *name ? " " : "", name);
    for (size_t i = 0; i < COMMAND_GROUPS; i++) {
        const struct parameter_group *group = &command->options[i];
        if (group->short_title)
            snprintf(next_word(synopsis), sizeof *synopsis->words, "[%s]", group->short_title);
        else
            add_options(synopsis, group->options);
    }
    PARAMETERS_EACH (row, command->operands) {
        const char *more = row->flags & PARAMETER_MANY ? "…" : "";
        bool required = row->flags & PARAMETER_REQUIRED;
        if (!(row->flags & PARAMETER_HIDDEN))
            snprintf(next_word(synopsis), sizeof *synopsis->words, required ? "%s%s" : "[%s%s]",
                     row->name, more);
    }
    if (command->commands)
        snprintf(next_word(synopsis), sizeof *synopsis->words, "COMMAND …");
}

void exits_each(const struct command *command,
                void (*each)(void *context, const struct exit_meaning *exit), void *context)
{
    static const struct exit_meaning usage = {CLI_USAGE, "The command line is wrong."};
    static const struct exit_meaning good = {CLI_OK, "It worked."};
    static const struct exit_meaning internal = {CLI_INTERNAL, "An internal error."};
    const struct exit_meaning *own = command->exits;
    if (!own || !own->text || own->code != CLI_OK)
        each(context, &good);
    for (; own && own->text && own->code < CLI_USAGE; own++)
        each(context, own);
    each(context, &usage);
    for (; own && own->text && own->code < CLI_INTERNAL; own++)
        each(context, own);
    each(context, &internal);
    for (; own && own->text; own++)
        each(context, own);
}
