/* What a command takes, as Markdown: the part of its page in docs/cli/ that is generated. */
#include <string.h>

#include "cli/command_line.h"
#include "cli/prose.h"
#include "cli/reference.h"

/* Code stays between backquotes; a table's cell has no bar of its own. */
static void put_text(FILE *out, const char *text, size_t length, bool cell)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n')
            putc(' ', out);
        else if (text[i] == '|' && cell)
            fputs("\\|", out);
        else if (text[i] == '<')
            fputs("&lt;", out);
        else
            putc(text[i], out);
    }
}

static void put_prose(FILE *out, const char *text)
{
    struct paragraph paragraph;
    bool term_before = false;
    while (prose_next(&text, &paragraph)) {
        bool term = paragraph.kind == PARAGRAPH_TERM;
        fputs(term && term_before ? "" : "\n", out);
        if (paragraph.kind == PARAGRAPH_LITERAL) {
            fprintf(out, "%.*s\n", (int) paragraph.length, paragraph.text);
        } else {
            fputs(term ? "- " : "", out);
            put_text(out, paragraph.text, paragraph.length, false);
            if (term) {
                fputs(": ", out);
                put_text(out, paragraph.body, paragraph.body_length, false);
            }
            putc('\n', out);
        }
        term_before = term;
    }
}

static void put_synopsis(FILE *out, const char *name, const struct command *command)
{
    struct synopsis synopsis;
    synopsis_make(&synopsis, name, command);
    fputs(synopsis.command, out);
    for (size_t i = 0; i < synopsis.count; i++)
        fprintf(out, " %s", synopsis.words[i]);
    putc('\n', out);
}

static void put_row(FILE *out, const char *label, const struct parameter *row)
{
    fputs("| `", out);
    put_text(out, label + strspn(label, " "), strlen(label + strspn(label, " ")), true);
    fputs("` | ", out);
    put_text(out, row->doc, strlen(row->doc), true);
    if (row->also)
        fprintf(out, " (`--%s` is the same)", row->also);
    fputs(row->flags & PARAMETER_REQUIRED ? " · needed |\n" : " |\n", out);
}

static void put_options(FILE *out, const struct parameter *options)
{
    PARAMETERS_EACH (row, options) {
        char label[REFERENCE_ROOM];
        parameter_label(label, row);
        if (!(row->flags & PARAMETER_HIDDEN))
            put_row(out, label, row);
    }
}

static void put_parameters(FILE *out, const struct command *command)
{
    const char *head = "\n| | |\n|---|---|\n";
    if (command->operands || command->options[0].options)
        fputs(head, out);
    PARAMETERS_EACH (row, command->operands)
        if (!(row->flags & PARAMETER_HIDDEN))
            put_row(out, row->name, row);
    for (size_t i = 0; i < COMMAND_GROUPS; i++) {
        const struct parameter_group *group = &command->options[i];
        if (group->title) {
            put_prose(out, group->title);
            fputs(head, out);
        }
        put_options(out, group->options);
    }
}

static void put_one(FILE *out, const char *name, const struct command *command)
{
    fputs("\n```\n", out);
    put_synopsis(out, name, command);
    fputs("```\n", out);
    put_prose(out, command->description);
    put_parameters(out, command);
}

static void put_exit(void *context, const struct exit_meaning *exit)
{
    fprintf(context, "| %d | ", (int) exit->code);
    put_text(context, exit->text, strlen(exit->text), true);
    fputs(" |\n", context);
}

static void put_index(FILE *out, const struct command *root)
{
    for (const struct command *const *at = root->commands; *at; at++) {
        const struct command *command = *at;
        if (command->hidden)
            continue;
        if (command->chapter)
            fprintf(out, "\n### %s\n\n", command->chapter);
        fprintf(out, "- [`%s`](cli/%s.md): ", command->name, command->name);
        put_text(out, command->summary, strlen(command->summary), false);
        putc('\n', out);
    }
    fputs("\nEvery command has these options too:\n\n| | |\n|---|---|\n", out);
    put_options(out, common_options);
}

void page_print(FILE *out, const char *name, const struct command *command)
{
    if (!*name) {
        put_index(out, command);
    } else if (!command->commands) {
        put_one(out, name, command);
    } else {
        put_prose(out, command->description);
        for (const struct command *const *at = command->commands; *at; at++) {
            char words[REFERENCE_ROOM], summary[REFERENCE_ROOM];
            if ((*at)->hidden)
                continue;
            command_words(words, name, *at);
            summary_sentence(summary, *at);
            fprintf(out, "\n### %s\n\n%s\n", words, summary);
            put_one(out, words, *at);
        }
    }
    for (const struct section *section = command->sections; section && section->title; section++) {
        fprintf(out, "\n**%s**\n", section->title);
        put_prose(out, section->text);
    }
    fputs("\n| Exit code | |\n|---|---|\n", out);
    exits_each(command, put_exit, out);
}
