/* Help on a terminal. */
#include <string.h>

#include "cli/command_line.h"
#include "cli/prose.h"
#include "cli/reference.h"

#define WIDEST 100 /* longer lines read badly */
#define USUAL  80
#define NARROW 4

struct help {
    FILE *out;
    const struct terminal *terminal; /* NULL: neither colour nor a width of its own */
    size_t width;
};

static const char *paint(const struct help *help, enum paint which)
{
    return help->terminal ? terminal_paint(help->terminal, which) : "";
}

static const char *plain(const struct help *help, enum paint which)
{
    return help->terminal ? terminal_plain(help->terminal, which) : "";
}

/* The text, filled, where the line stands at `column`; ends the line. */
static void fill(const struct help *help, const char *text, size_t length, size_t column,
                 size_t indent)
{
    struct filler filler = {.out = help->out,
                            .width = help->width,
                            .indent = indent,
                            .column = column,
                            .code = paint(help, PAINT_HEAD),
                            .plain = plain(help, PAINT_HEAD)};
    prose_fill(&filler, text, length);
    putc('\n', help->out);
}

static void print_literal(const struct help *help, const char *text, size_t length, size_t indent)
{
    for (const char *at = text, *end = text + length; at < end;) {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        stop = stop ? stop : end;
        at += strspn(at, " ") < 4 ? strspn(at, " ") : 4;
        fprintf(help->out, "%*s%.*s\n", (int) indent, "", (int) (stop - at), at);
        at = stop + 1;
    }
}

static void print_prose(const struct help *help, const char *text, size_t indent)
{
    struct paragraph paragraph;
    bool term_before = false;
    while (prose_next(&text, &paragraph)) {
        bool term = paragraph.kind == PARAGRAPH_TERM;
        if (!(term && term_before))
            putc('\n', help->out);
        if (paragraph.kind == PARAGRAPH_LITERAL) {
            print_literal(help, paragraph.text, paragraph.length, indent + 4);
        } else {
            fprintf(help->out, "%*s", (int) indent, "");
            fill(help, paragraph.text, paragraph.length, indent, indent);
        }
        if (term) {
            fprintf(help->out, "%*s", (int) indent + 4, "");
            fill(help, paragraph.body, paragraph.body_length, indent + 4, indent + 4);
        }
        term_before = term;
    }
}

static void print_synopsis(const struct help *help, const char *before, const char *name,
                           const struct command *command)
{
    struct synopsis synopsis;
    synopsis_make(&synopsis, name, command);
    size_t indent = terminal_columns(before) + terminal_columns(synopsis.command) + 1;
    size_t column = indent - 1;
    fprintf(help->out, "%s%s%s%s", before, paint(help, PAINT_HEAD), synopsis.command,
            plain(help, PAINT_HEAD));
    for (size_t i = 0; i < synopsis.count; i++) {
        size_t columns = terminal_columns(synopsis.words[i]);
        if (column + 1 + columns > help->width && column >= indent) {
            fprintf(help->out, "\n%*s", (int) indent - 1, "");
            column = indent - 1;
        }
        fprintf(help->out, " %s", synopsis.words[i]);
        column += 1 + columns;
    }
    putc('\n', help->out);
}

/* A name and its explanation beside it, or below a name that is too long. */
static void print_entry(const struct help *help, const char *name, size_t width, const char *doc)
{
    size_t columns = terminal_columns(name);
    fprintf(help->out, "  %s%s%s", paint(help, PAINT_HEAD), name, plain(help, PAINT_HEAD));
    if (columns > width)
        fprintf(help->out, "\n%*s", (int) width + 4, "");
    else
        fprintf(help->out, "%*s", (int) (width - columns) + 2, "");
    fill(help, doc, strlen(doc), width + 4, width + 4);
}

static void print_option(const struct help *help, const struct parameter *row, size_t width)
{
    char label[REFERENCE_ROOM];
    char doc[1024];
    parameter_label(label, row);
    snprintf(doc, sizeof doc, "%s%s%s%s", row->doc, row->also ? " (`--" : "",
             row->also ? row->also : "", row->also ? "` is the same)" : "");
    print_entry(help, label, width, doc);
}

/* Of the column of names, so that most explanations stand beside theirs; small on a narrow
 * terminal, so that they stand below. */
static size_t width_of(const struct help *help, const struct command *command)
{
    size_t width = strlen("    --color WHEN");
    char label[REFERENCE_ROOM];
    for (size_t i = 0; i < COMMAND_GROUPS; i++)
        PARAMETERS_EACH (row, command->options[i].options) {
            parameter_label(label, row);
            size_t columns = terminal_columns(label);
            if (columns > width && columns <= 28)
                width = columns;
        }
    return width > help->width / 2 ? NARROW : width;
}

static void print_parameters(const struct help *help, const struct command *command)
{
    size_t width = width_of(help, command);
    bool titled = !command->options[0].options;
    if (command->operands)
        putc('\n', help->out);
    PARAMETERS_EACH (row, command->operands)
        if (!(row->flags & PARAMETER_HIDDEN))
            print_entry(help, row->name, width, row->doc);
    for (size_t i = 0; i <= COMMAND_GROUPS; i++) {
        const struct parameter_group *group = i < COMMAND_GROUPS ? &command->options[i] : NULL;
        if (group && !group->options)
            continue;
        if (group && group->title)
            print_prose(help, group->title, 0);
        else if (group || titled)
            putc('\n', help->out);
        titled = group && group->title;
        PARAMETERS_EACH (row, group ? group->options : common_options)
            if (!(row->flags & PARAMETER_HIDDEN))
                print_option(help, row, width);
    }
}

static void print_exit(void *context, const struct exit_meaning *exit)
{
    char code[16];
    snprintf(code, sizeof code, "%d", (int) exit->code);
    print_entry(context, code, 3, exit->text);
}

static void print_commands(const struct help *help, const struct command *parent)
{
    size_t width = 0;
    for (const struct command *const *at = parent->commands; *at; at++)
        width = strlen((*at)->name) > width ? strlen((*at)->name) : width;
    putc('\n', help->out);
    for (const struct command *const *at = parent->commands; *at; at++) {
        if ((*at)->hidden)
            continue;
        if ((*at)->chapter)
            fprintf(help->out, "%s%s\n", at == parent->commands ? "" : "\n", (*at)->chapter);
        print_entry(help, (*at)->name, width, (*at)->summary);
    }
}

static void print_examples(const struct help *help, const struct command *command)
{
    const struct example *example = command->examples;
    if (!example)
        return;
    fputs("\nExamples:\n", help->out);
    for (; example->line; example++) {
        fprintf(help->out, "  %s\n      ", example->line);
        fill(help, example->text, strlen(example->text), 6, 6);
    }
}

static void print_usage(const struct help *help, const char *name, const struct command *command)
{
    char words[REFERENCE_ROOM];
    if (!command->commands || !*name) {
        print_synopsis(help, "usage: ", name, command);
        return;
    }
    for (const struct command *const *at = command->commands; *at; at++) {
        command_words(words, name, *at);
        if (!(*at)->hidden)
            print_synopsis(help, at == command->commands ? "usage: " : "       ", words, *at);
    }
}

void help_print(const struct terminal *terminal, FILE *out, const char *name,
                const struct command *command)
{
    size_t width = terminal && terminal->width ? terminal->width : USUAL;
    char summary[REFERENCE_ROOM];
    struct help help = {out, terminal, width < WIDEST ? width : WIDEST};
    print_usage(&help, name, command);
    summary_sentence(summary, command);
    print_prose(&help, summary, 0);
    print_prose(&help, command->description, 0);
    if (command->commands) {
        print_commands(&help, command);
        char more[REFERENCE_ROOM];
        snprintf(more, sizeof more, "`ods-sink help %s%sCOMMAND` says more of one.", name,
                 *name ? " " : "");
        print_prose(&help, more, 0);
    } else {
        print_parameters(&help, command);
    }
    fputs("\nExit codes:\n", out);
    exits_each(command, print_exit, &help);
    print_examples(&help, command);
    if (!*name)
        print_prose(&help, "The manual is ods-sink(1), and ods-sink-COMMAND(1) for each command.",
                    0);
}
