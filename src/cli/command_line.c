/* The parser of all commands. A word that begins with a dash is an option, a single "-" and
 * whatever comes after "--" is an operand; both may be mixed. --name VALUE is --name=VALUE,
 * -c VALUE is -cVALUE, and switches of one letter may stand together.
 *
 * What is given twice, and is not a list, is refused, since it is not known which value is
 * meant.
 */
#include "cli/command_line.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/finding.h"

#define MOST_PARAMETERS 64

/* Options and operands of a command as one list of numbers, to remember which were given. */
struct parsing {
    struct command_line *line;
    char **argv;
    int argc, at;
    const struct parameter *rows[MOST_PARAMETERS];
    const char *given[MOST_PARAMETERS]; /* as it was written, NULL: not */
    size_t option_count, count;         /* options first */
    size_t next_operand;
};

const struct parameter common_options[] = {
    SWITCH(struct command_line, help, "help", "this text", .letter = 'h'),
    OPTION(struct command_line, color, "color", &argument_choice,
           "colours on standard output; auto: on a terminal, unless `NO_COLOR` is set (default: "
           "auto)", .value = "WHEN", .choices = "auto|always|never"),
    {0}};

/* --- commands ------------------------------------------------------------------------------- */

const struct command *command_find(const struct command *parent, const char *name)
{
    for (const struct command *const *at = parent->commands; at && *at; at++)
        if (strcmp((*at)->name, name) == 0)
            return *at;
    return NULL;
}

/* The names of its commands: "list, show or skip". */
static void print_alternatives(const struct command *parent)
{
    for (const struct command *const *at = parent->commands; *at; at++)
        fprintf(stderr, "%s%s", at == parent->commands ? "" : at[1] ? ", " : " or ", (*at)->name);
}

/* Commands of other programs, and what does it here: by its letters "restart" would be "reset". */
static const char *const elsewhere[][2] = {
    {"compare", "ods-sink verify"},
    {"diff", "ods-sink verify"},
    {"health", "ods-sink status"},
    {"init", "ods-sink setup"},
    {"lag", "ods-sink topics"},
    {"metrics", "ods-sink status"},
    {"reload", "systemctl reload ods-sink"},
    {"repair", "ods-sink verify --repair"},
    {"restart", "systemctl restart ods-sink"},
    {"skip", "ods-sink skip-until"},
    {"start", "ods-sink run"},
    {"stop", "systemctl stop ods-sink"},
    {"tables", "ods-sink topics"},
    {"unpause", "ods-sink resume"},
    {"validate", "ods-sink check"},
    {"version", "ods-sink --version"},
};

/* NULL: no such word is known. */
static const char *name_elsewhere(const char *name)
{
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
        if (strcmp(name, elsewhere[i][0]) == 0)
            return elsewhere[i][1];
    return NULL;
}

int command_unknown(const struct command *parent, const char *parent_name, const char *name)
{
    const char *names[MOST_PARAMETERS];
    size_t count = 0;
    for (const struct command *const *at = parent->commands; *at && count < MOST_PARAMETERS; at++)
        if (!(*at)->hidden)
            names[count++] = (*at)->name;
    const char *near = name_nearest(name, names, count);
    const char *here = *parent_name ? NULL : name_elsewhere(name);
    fprintf(stderr, "ods-sink%s%s: unknown command '%s'", *parent_name ? " " : "", parent_name,
            name);
    if (here)
        fprintf(stderr, ": here it is %s\n", here);
    else if (near)
        fprintf(stderr, "; did you mean '%s'?\n", near);
    else
        fprintf(stderr, "; see ods-sink %s%s\n", *parent_name ? "help " : "--help", parent_name);
    return CLI_USAGE;
}

/* --- options -------------------------------------------------------------------------------- */

static void add_rows(struct parsing *parsing, const struct parameter *rows)
{
    PARAMETERS_EACH (row, rows)
        if (parsing->count < MOST_PARAMETERS)
            parsing->rows[parsing->count++] = row;
}

static bool is_common(const struct parameter *row)
{
    return row >= common_options &&
           row < common_options + sizeof common_options / sizeof *common_options;
}

static void *member_of(const struct parsing *parsing, const struct parameter *row)
{
    char *options = is_common(row) ? (char *) parsing->line : parsing->line->options;
    return options + row->offset;
}

static bool append(struct strings *list, const char *text)
{
    const char **items = realloc(list->items, (list->count + 1) * sizeof *items);
    if (!items)
        return false;
    list->items = items;
    list->items[list->count++] = text;
    return true;
}

static const char *value_name(const struct parameter *row)
{
    return row->value ? row->value : row->choices ? row->choices : row->argument->name;
}

static int refuse_value(const struct parsing *parsing, const struct parameter *row,
                        const char *given, const char *text)
{
    const char *name = parsing->line->name;
    if (row->argument == &argument_choice)
        return cli_usage(name, "%s is one of %s, not \"%s\"", given, row->choices, text);
    if (row->argument == &argument_number && (row->min || row->max))
        return cli_usage(name, "%s is a whole number from %lld to %lld, not \"%s\"", given,
                         (long long) row->min,
                         (long long) (row->max ? row->max : INT64_MAX - 1), text);
    return cli_usage(name, "%s is %s, not \"%s\"", given, row->argument->expects, text);
}

/* `given`: how the line names it, for messages. */
static int take_value(struct parsing *parsing, size_t number, const char *given, const char *text)
{
    const struct parameter *row = parsing->rows[number];
    void *member = member_of(parsing, row);
    if (row->flags & PARAMETER_MANY) {
        const char *one;
        if (!row->argument->parse(row, text, &one))
            return refuse_value(parsing, row, given, text);
        parsing->given[number] = given;
        return append(member, one) ? CLI_OK : CLI_INTERNAL;
    }
    if (parsing->given[number])
        return cli_usage(parsing->line->name, "%s is given twice", given);
    parsing->given[number] = given;
    return row->argument->parse(row, text, member) ? CLI_OK
                                                   : refuse_value(parsing, row, given, text);
}

static bool is_named(const struct parameter *row, const char *name, size_t length)
{
    return (strlen(row->name) == length && memcmp(row->name, name, length) == 0) ||
           (row->also && strlen(row->also) == length && memcmp(row->also, name, length) == 0);
}

/* The number of the option; option_count: there is none. */
static size_t find_long(const struct parsing *parsing, const char *name, size_t length)
{
    size_t i = 0;
    while (i < parsing->option_count && !is_named(parsing->rows[i], name, length))
        i++;
    return i;
}

static size_t find_letter(const struct parsing *parsing, char letter)
{
    size_t i = 0;
    while (i < parsing->option_count && parsing->rows[i]->letter != letter)
        i++;
    return i;
}

/* One that is short for it, else the nearest. */
static const char *similar(const struct parsing *parsing, const char *name)
{
    const char *names[MOST_PARAMETERS];
    size_t count = 0, length = strlen(name);
    for (size_t i = 0; i < parsing->option_count; i++) {
        const struct parameter *row = parsing->rows[i];
        if (row->flags & PARAMETER_HIDDEN)
            continue;
        if (length > 1 && strncmp(row->name, name, length) == 0)
            return row->name;
        names[count++] = row->name;
    }
    return name_nearest(name, names, count);
}

static int unknown_option(const struct parsing *parsing, const char *word)
{
    char name[64] = "";
    if (word[1] == '-')
        snprintf(name, sizeof name, "%.*s", (int) strcspn(word + 2, "="), word + 2);
    const char *near = *name ? similar(parsing, name) : NULL;
    return cli_usage(parsing->line->name, "unknown option %s%s%s%s", word,
                     near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
}

/* The word after an option that wants a value: an option there was meant as one. */
static int take_next(struct parsing *parsing, size_t number, const char *given)
{
    const struct parameter *row = parsing->rows[number];
    const char *word = parsing->at < parsing->argc ? parsing->argv[parsing->at] : NULL;
    if (!word)
        return cli_usage(parsing->line->name, "%s needs %s", given, value_name(row));
    if (strncmp(word, "--", 2) == 0 && word[2] &&
        find_long(parsing, word + 2, strcspn(word + 2, "=")) < parsing->option_count)
        return cli_usage(parsing->line->name, "%s needs %s, but %s follows", given,
                         value_name(row), word);
    parsing->at++;
    return take_value(parsing, number, given, word);
}

static int take_switch(struct parsing *parsing, size_t number, const char *given)
{
    *(bool *) member_of(parsing, parsing->rows[number]) = true;
    parsing->given[number] = given;
    return CLI_OK;
}

static int take_long(struct parsing *parsing, char *word)
{
    size_t length = strcspn(word + 2, "=");
    size_t number = find_long(parsing, word + 2, length);
    char *value = word[2 + length] ? word + 2 + length + 1 : NULL;
    if (number == parsing->option_count)
        return unknown_option(parsing, word);
    if (value)
        value[-1] = '\0'; /* the word is the option's name from here on */
    if (parsing->rows[number]->argument)
        return value ? take_value(parsing, number, word, value)
                     : take_next(parsing, number, word);
    if (value)
        return cli_usage(parsing->line->name, "%s takes no value", word);
    return take_switch(parsing, number, word);
}

static int take_letters_of(struct parsing *parsing, const char *word)
{
    static const char *const names[] = {"-a", "-b", "-c", "-d", "-e", "-f", "-g", "-h", "-i",
                                        "-j", "-k", "-l", "-m", "-n", "-o", "-p", "-q", "-r",
                                        "-s", "-t", "-u", "-v", "-w", "-x", "-y", "-z"};
    for (const char *at = word + 1; *at; at++) {
        size_t number = *at >= 'a' && *at <= 'z' ? find_letter(parsing, *at)
                                                 : parsing->option_count;
        if (number == parsing->option_count)
            return unknown_option(parsing, word);
        const char *given = names[*at - 'a'];
        if (parsing->rows[number]->argument)
            return at[1] ? take_value(parsing, number, given, at + 1)
                         : take_next(parsing, number, given);
        take_switch(parsing, number, given);
    }
    return CLI_OK;
}

static int take_operand(struct parsing *parsing, const char *word)
{
    size_t number = parsing->option_count + parsing->next_operand;
    if (number == parsing->count)
        return cli_usage(parsing->line->name, "unexpected argument \"%s\"", word);
    const struct parameter *row = parsing->rows[number];
    parsing->next_operand += !(row->flags & PARAMETER_MANY);
    return take_value(parsing, number, row->name, word);
}

/* --- what belongs together ------------------------------------------------------------------ */

static void print_name(char *out, size_t size, const struct parsing *parsing, size_t number)
{
    const struct parameter *row = parsing->rows[number];
    const char *space = row->argument ? " " : "", *value = row->argument ? value_name(row) : "";
    if (number >= parsing->option_count)
        snprintf(out, size, "%s", row->name);
    else if (row->letter)
        snprintf(out, size, "-%c%s%s", row->letter, space, value);
    else
        snprintf(out, size, "--%s%s%s", row->name, space, value);
}

static int check_either(const struct parsing *parsing, size_t number)
{
    const struct parameter *row = parsing->rows[number];
    for (size_t i = 0; row->either && parsing->given[number] && i < number; i++)
        if (parsing->given[i] && parsing->rows[i]->either == row->either)
            return cli_usage(parsing->line->name, "%s and %s exclude each other",
                             parsing->given[i], parsing->given[number]);
    return CLI_OK;
}

/* Of options that exclude each other one is enough. */
static bool is_missing(const struct parsing *parsing, size_t number)
{
    const struct parameter *row = parsing->rows[number];
    bool given = parsing->given[number] != NULL;
    for (size_t i = 0; row->either && i < parsing->option_count; i++)
        given |= parsing->given[i] && parsing->rows[i]->either == row->either;
    return row->flags & PARAMETER_REQUIRED && !given;
}

static int check_whole(const struct parsing *parsing)
{
    for (size_t i = 0; i < parsing->count; i++) {
        char name[256];
        int code = check_either(parsing, i);
        if (code != CLI_OK)
            return code;
        if (!is_missing(parsing, i))
            continue;
        print_name(name, sizeof name, parsing, i);
        for (size_t other = i + 1; parsing->rows[i]->either && other < parsing->count; other++) {
            size_t length = strlen(name);
            if (parsing->rows[other]->either != parsing->rows[i]->either)
                continue;
            snprintf(name + length, sizeof name - length, " or ");
            length = strlen(name);
            print_name(name + length, sizeof name - length, parsing, other);
        }
        return cli_usage(parsing->line->name, "%s is missing", name);
    }
    return CLI_OK;
}

/* --- the line ------------------------------------------------------------------------------- */

/* Does --help stand anywhere before "--"? Then help is printed, even if other words are wrong. */
static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++) {
        assert(argv[i]);
        if (strcmp(argv[i], "--") == 0)
            break;
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

static int expect_command(const struct command_line *line, const char *word)
{
    if (!*line->name) {
        fprintf(stderr, "ods-sink: expected a command%s%s; see ods-sink --help\n",
                word ? ", not " : "", word ? word : "");
        return CLI_USAGE;
    }
    fprintf(stderr, "ods-sink %s: expected ", line->name);
    print_alternatives(line->command);
    fprintf(stderr, "%s%s; see ods-sink help %s\n", word ? ", not " : "", word ? word : "",
            line->name);
    return CLI_USAGE;
}

/* The words that name the command. */
static int find_command(struct parsing *parsing)
{
    struct command_line *line = parsing->line;
    while (line->command->commands) {
        const char *word = parsing->at < parsing->argc ? parsing->argv[parsing->at] : NULL;
        if (!word || *word == '-') {
            line->help = asks_for_help(parsing->argc - parsing->at, parsing->argv + parsing->at);
            return line->help ? CLI_OK : expect_command(line, word);
        }
        const struct command *command = command_find(line->command, word);
        if (!command)
            return command_unknown(line->command, line->name, word);
        size_t length = strlen(line->name);
        snprintf(line->name + length, sizeof line->name - length, "%s%s", length ? " " : "",
                 command->name);
        line->command = command;
        parsing->at++;
    }
    return CLI_OK;
}

static int take_words(struct parsing *parsing)
{
    int code = CLI_OK;
    bool options = true;
    while (code == CLI_OK && parsing->at < parsing->argc) {
        char *word = parsing->argv[parsing->at++];
        if (options && strcmp(word, "--") == 0)
            options = false;
        else if (!options || word[0] != '-' || !word[1])
            code = take_operand(parsing, word);
        else if (word[1] == '-')
            code = take_long(parsing, word);
        else
            code = take_letters_of(parsing, word);
    }
    return code;
}

int command_line_parse(struct command_line *line, const struct command *root, int argc,
                       char **argv)
{
    struct parsing parsing = {.line = line, .argc = argc, .argv = argv};
    *line = (struct command_line){.command = root, .color = "auto"};
    int code = find_command(&parsing);
    if (code != CLI_OK || line->help)
        return code;
    const struct command *command = line->command;
    line->help = asks_for_help(argc - parsing.at, argv + parsing.at);
    if (line->help)
        return CLI_OK;
    if (command->options_size) {
        line->options = calloc(1, command->options_size);
        if (!line->options)
            return CLI_INTERNAL;
        if (command->defaults)
            memcpy(line->options, command->defaults, command->options_size);
    }
    for (size_t i = 0; i < COMMAND_GROUPS; i++)
        add_rows(&parsing, command->options[i].options);
    add_rows(&parsing, common_options);
    parsing.option_count = parsing.count;
    add_rows(&parsing, command->operands);
    code = take_words(&parsing);
    return code == CLI_OK && !line->help ? check_whole(&parsing) : code;
}

static void free_lists(struct command_line *line, const struct parameter *rows)
{
    PARAMETERS_EACH (row, rows)
        if (row->flags & PARAMETER_MANY)
            free(((struct strings *) ((char *) line->options + row->offset))->items);
}

void command_line_done(struct command_line *line)
{
    for (size_t i = 0; line->options && i < COMMAND_GROUPS; i++)
        free_lists(line, line->command->options[i].options);
    if (line->options)
        free_lists(line, line->command->operands);
    free(line->options);
}
