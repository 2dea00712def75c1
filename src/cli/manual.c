/* A command's man page, in the macros of man(7). */
#include <ctype.h>
#include <string.h>

#include "cli/command_line.h"
#include "cli/prose.h"
#include "cli/reference.h"
#include "core/utf8.h"

/* Text as it stands: what roff would read as an escape or a request is escaped, what is not ASCII
 * goes by its number, which every roff understands. */
static void put_text(FILE *out, const char *text, size_t length)
{
    for (size_t i = 0; i < length;) {
        bool good;
        size_t bytes = utf8_next(text + i, length - i, &good);
        if (bytes > 1 && good) {
            unsigned point = (unsigned char) text[i] & (0xff >> (bytes + 1));
            for (size_t k = 1; k < bytes; k++)
                point = point << 6 | ((unsigned char) text[i + k] & 0x3f);
            fprintf(out, "\\[u%04X]", point);
        } else if (text[i] == '\\') {
            fputs("\\e", out);
        } else if (text[i] == '-') {
            fputs("\\-", out);
        } else if (text[i] == '\n') {
            putc(' ', out);
        } else {
            putc(text[i], out);
        }
        i += bytes;
    }
}

/* A line that begins with a dot or a quote would be a request. */
static void begin_line(FILE *out, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", out);
}

static void put_spans(FILE *out, const char *text, size_t length)
{
    struct span span;
    const char *end = text + length;
    begin_line(out, text);
    while (prose_span(&text, end, &span)) {
        fputs(span.code ? "\\fB" : "", out);
        put_text(out, span.text, span.length);
        fputs(span.code ? "\\fR" : "", out);
    }
    putc('\n', out);
}

/* What an option, a synopsis or a line of an example says: options bold, what stands for a value in
 * capitals italic. */
static void put_label(FILE *out, const char *text)
{
    for (const char *at = text; *at;) {
        size_t option = *at == '-' && (at[1] == '-' || islower((unsigned char) at[1]))
                            ? strspn(at, "-abcdefghijklmnopqrstuvwxyz0123456789")
                            : 0;
        size_t value = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        size_t bytes = option ? option : value ? value : 1;
        while (!option && !value && ((unsigned char) at[bytes] & 0xc0) == 0x80)
            bytes++;
        fputs(option ? "\\fB" : value ? "\\fI" : "", out);
        put_text(out, at, bytes);
        fputs(option || value ? "\\fR" : "", out);
        at += bytes;
    }
}

static void put_literal(FILE *out, const char *text, size_t length)
{
    fputs(".PP\n.RS 4\n.nf\n", out);
    for (const char *at = text, *end = text + length; at < end;) {
        const char *stop = memchr(at, '\n', (size_t) (end - at));
        stop = stop ? stop : end;
        at += strspn(at, " ") < 4 ? strspn(at, " ") : 4;
        begin_line(out, at);
        put_text(out, at, (size_t) (stop - at));
        putc('\n', out);
        at = stop + 1;
    }
    fputs(".fi\n.RE\n", out);
}

static void put_prose(FILE *out, const char *text, bool begun)
{
    struct paragraph paragraph;
    while (prose_next(&text, &paragraph)) {
        if (paragraph.kind == PARAGRAPH_LITERAL) {
            put_literal(out, paragraph.text, paragraph.length);
        } else if (paragraph.kind == PARAGRAPH_TERM) {
            fputs(".TP\n", out);
            put_spans(out, paragraph.text, paragraph.length);
            put_spans(out, paragraph.body, paragraph.body_length);
        } else {
            fputs(begun ? ".PP\n" : "", out);
            put_spans(out, paragraph.text, paragraph.length);
        }
        begun = true;
    }
}

static void put_synopsis(FILE *out, const char *name, const struct command *command)
{
    struct synopsis synopsis;
    synopsis_make(&synopsis, name, command);
    fputs(".HP\n\\fB", out);
    put_text(out, synopsis.command, strlen(synopsis.command));
    fputs("\\fR", out);
    for (size_t i = 0; i < synopsis.count; i++) {
        putc(' ', out);
        put_label(out, synopsis.words[i]);
    }
    putc('\n', out);
}

/* One for each of its own commands, where it has some. */
static void put_synopses(FILE *out, const char *name, const struct command *command)
{
    char words[REFERENCE_ROOM];
    fputs(".SH SYNOPSIS\n", out);
    if (!command->commands || !*name)
        put_synopsis(out, name, command);
    for (const struct command *const *at = command->commands; *name && at && *at; at++) {
        command_words(words, name, *at);
        if (!(*at)->hidden)
            put_synopsis(out, words, *at);
    }
}

static void put_entry(FILE *out, const char *label, const char *doc, const char *also)
{
    fputs(".TP\n", out);
    put_label(out, label + strspn(label, " "));
    putc('\n', out);
    if (!also) {
        put_spans(out, doc, strlen(doc));
        return;
    }
    put_spans(out, doc, strlen(doc));
    fprintf(out, "(\\fB\\-\\-");
    put_text(out, also, strlen(also));
    fputs("\\fR is the same)\n", out);
}

static void put_options(FILE *out, const struct parameter *options)
{
    char label[REFERENCE_ROOM];
    PARAMETERS_EACH (row, options) {
        parameter_label(label, row);
        if (!(row->flags & PARAMETER_HIDDEN))
            put_entry(out, label, row->doc, row->also);
    }
}

static void put_parameters(FILE *out, const struct command *command)
{
    PARAMETERS_EACH (row, command->operands)
        if (!(row->flags & PARAMETER_HIDDEN))
            put_entry(out, row->name, row->doc, NULL);
    for (size_t i = 0; i < COMMAND_GROUPS; i++) {
        if (command->options[i].title)
            put_prose(out, command->options[i].title, true);
        put_options(out, command->options[i].options);
    }
}

/* The commands of a command, each with its options. */
static void put_commands(FILE *out, const char *name, const struct command *parent)
{
    fputs(".SH COMMANDS\n", out);
    for (const struct command *const *at = parent->commands; *at; at++) {
        char words[REFERENCE_ROOM];
        const struct command *command = *at;
        if (command->hidden)
            continue;
        if (!*name) {
            fprintf(out, ".TP\n\\fBods\\-sink\\-%s\\fR(1)\n", command->name);
            put_spans(out, command->summary, strlen(command->summary));
            continue;
        }
        command_words(words, name, command);
        fprintf(out, ".SS ods\\-sink %s\n", words);
        summary_sentence(words, command);
        put_spans(out, words, strlen(words));
        put_prose(out, command->description, true);
        put_parameters(out, command);
    }
}

static void put_exit(void *context, const struct exit_meaning *exit)
{
    fprintf(context, ".TP\n\\fB%d\\fR\n", (int) exit->code);
    put_spans(context, exit->text, strlen(exit->text));
}

static void put_examples(FILE *out, const struct example *example)
{
    if (!example)
        return;
    fputs(".SH EXAMPLES\n", out);
    for (bool begun = false; example->line; example++, begun = true) {
        fputs(begun ? ".PP\n" : "", out);
        put_spans(out, example->text, strlen(example->text));
        put_literal(out, example->line, strlen(example->line));
    }
}

static void put_head(FILE *out, const char *name, const struct command *command)
{
    char title[REFERENCE_ROOM];
    int length = snprintf(title, sizeof title, "ods-sink%s%s", *name ? "-" : "", name);
    fputs(".TH ", out);
    for (int i = 0; i < length; i++)
        putc(toupper((unsigned char) title[i]), out);
    fprintf(out, " 1 \"\" \"ods\\-sink %s\"\n.nh\n.ad l\n.SH NAME\n", ODS_VERSION);
    put_text(out, title, (size_t) length);
    fputs(" \\- ", out);
    put_text(out, command->summary, strlen(command->summary));
    putc('\n', out);
}

void manual_print(FILE *out, const char *name, const struct command *command)
{
    char summary[REFERENCE_ROOM];
    put_head(out, name, command);
    put_synopses(out, name, command);
    fputs(".SH DESCRIPTION\n", out);
    summary_sentence(summary, command);
    put_spans(out, summary, strlen(summary));
    put_prose(out, command->description, true);
    if (command->commands)
        put_commands(out, name, command);
    fputs(".SH OPTIONS\n", out);
    if (!command->commands)
        put_parameters(out, command);
    put_options(out, common_options);
    for (const struct section *section = command->sections; section && section->title; section++) {
        fprintf(out, ".SH %s\n", section->title);
        put_prose(out, section->text, false);
    }
    fputs(".SH EXIT STATUS\n", out);
    exits_each(command, put_exit, out);
    put_examples(out, command->examples);
    fputs(*name ? ".SH SEE ALSO\n\\fBods\\-sink\\fR(1)\n"
                : ".SH SEE ALSO\n\\fBkcat\\fR(1), \\fBpsql\\fR(1)\n.PP\nThe reference of all "
                  "settings: configuration.md, beside the examples of the configuration.\n",
          out);
}
