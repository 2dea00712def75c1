#include "cli/completion.h"

#include <string.h>

static void walk(const char *name, const struct command *command,
                 void (*each)(FILE *out, const char *name, const struct command *command),
                 FILE *out)
{
    each(out, name, command);
    for (const struct command *const *at = command->commands; at && *at; at++) {
        char words[REFERENCE_ROOM];
        command_words(words, name, *at);
        if (!(*at)->hidden)
            walk(words, *at, each, out);
    }
}

void completion_walk(const struct command *root,
                     void (*each)(FILE *out, const char *name, const struct command *command),
                     FILE *out)
{
    walk("", root, each, out);
}

const char *completion_names(enum completion completion)
{
    switch (completion) {
    case COMPLETE_PIPELINES:
        return "pipelines";
    case COMPLETE_TOPICS:
        return "topics";
    case COMPLETE_TABLES:
        return "tables";
    default:
        return NULL;
    }
}

void completion_choices(FILE *out, const struct parameter *row)
{
    for (const char *at = row->choices; at && *at; at++)
        putc(*at == '|' ? ' ' : *at, out);
}

void completion_doc(FILE *out, const char *doc, const char *escaped)
{
    for (const char *at = doc; *at; at++) {
        if (*at == '`')
            continue;
        if (*at == '\'') {
            fputs("’", out);
            continue;
        }
        if (strchr(escaped, *at))
            putc('\\', out);
        putc(*at, out);
    }
}
