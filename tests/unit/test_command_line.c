/* The parser of command lines, by a command that has one of everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "cli/cli.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/reference.h"

struct given {
    const char *config, *stage, *to, *left, *right, *file;
    int64_t partition, wait_ms, since_us;
    bool json, dry_run;
    struct strings tables, more;
};

static const struct given defaults = {.partition = -1, .wait_ms = 30000};

static const struct parameter options[] = {
    OPTION_CONFIG(struct given),
    OPTION_JSON(struct given),
    SWITCH(struct given, dry_run, "dry-run", "only say", .letter = 'n'),
    OPTION(struct given, stage, "stage", &argument_choice, "where", .choices = "decode|apply"),
    OPTION(struct given, to, "to", &argument_text, "to", .also = "goal"),
    OPTION(struct given, partition, "partition", &argument_number, "which", .max = 100),
    OPTION(struct given, wait_ms, "wait", &argument_seconds, "how long"),
    OPTION(struct given, since_us, "since", &argument_moment, "from when"),
    OPTION(struct given, left, "left", &argument_text, "this", .either = 1),
    OPTION(struct given, right, "right", &argument_text, "or that", .either = 1),
    OPTION(struct given, tables, "table", &argument_table, "each", .flags = PARAMETER_MANY),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct given, file, "FILE", &argument_file, "records", .flags = PARAMETER_REQUIRED),
    OPERAND(struct given, more, "MORE", &argument_text, "more", .flags = PARAMETER_MANY), {0}};

static int run(const struct call *call, void *given)
{
    return CLI_OK;
}

static const struct command one = {
    .name = "one",
    .summary = "one",
    .options = {{.options = options}},
    .operands = operands,
    .options_size = sizeof(struct given),
    .defaults = &defaults,
    .run = run,
};
static const struct command *const inner[] = {&one, NULL};
static const struct command outer = {.name = "outer", .summary = "outer", .commands = inner};
static const struct command *const all[] = {&outer, &one, NULL};
static const struct command root = {.name = "root", .summary = "root", .commands = all};

/* Parse a line of words with one space between each two; what it said on standard error. */
struct parsed {
    char words[512];
    struct command_line line;
    const struct given *given;
    char said[1024];
    int code;
};

static void parse(struct parsed *parsed, const char *text)
{
    char *argv[64], *rest;
    int argc = 0, pipes[2], before = dup(STDERR_FILENO);
    snprintf(parsed->words, sizeof parsed->words, "%s", text);
    for (char *word = strtok_r(parsed->words, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        argv[argc++] = word;
    argv[argc] = NULL;
    assert_int_equal(pipe(pipes), 0);
    fflush(stderr);
    dup2(pipes[1], STDERR_FILENO);
    parsed->code = command_line_parse(&parsed->line, &root, argc, argv);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    close(before);
    close(pipes[1]);
    ssize_t length = read(pipes[0], parsed->said, sizeof parsed->said - 1);
    parsed->said[length > 0 ? length : 0] = '\0';
    close(pipes[0]);
    parsed->given = parsed->line.options;
}

static void test_every_kind_is_put_in_its_place(void **state)
{
    struct parsed parsed;
    parse(&parsed, "one in.jsonl -c a.conf --json --stage=apply --to x=y --partition 7 --wait 5 "
                   "--since 2026-01-31T12:00:00Z --table a --table=b -- --more -");
    assert_string_equal(parsed.said, "");
    assert_int_equal(parsed.code, CLI_OK);
    const struct given *given = parsed.given;
    assert_string_equal(given->config, "a.conf");
    assert_string_equal(given->stage, "apply");
    assert_string_equal(given->to, "x=y");
    assert_string_equal(given->file, "in.jsonl");
    assert_true(given->json && !given->dry_run);
    assert_int_equal(given->partition, 7);
    assert_int_equal(given->wait_ms, 5000);
    assert_int_equal(given->since_us, INT64_C(1769860800000000));
    assert_int_equal(given->tables.count, 2);
    assert_string_equal(given->tables.items[1], "b");
    assert_int_equal(given->more.count, 2);
    assert_string_equal(given->more.items[0], "--more");
    assert_string_equal(given->more.items[1], "-");
    command_line_done(&parsed.line);
}

static void test_other_spellings(void **state)
{
    struct parsed parsed;
    parse(&parsed, "outer one -nca.conf --goal=late -");
    assert_int_equal(parsed.code, CLI_OK);
    assert_string_equal(parsed.line.name, "outer one");
    assert_true(parsed.given->dry_run);
    assert_string_equal(parsed.given->config, "a.conf");
    assert_string_equal(parsed.given->to, "late");
    assert_string_equal(parsed.given->file, "-");
    assert_int_equal(parsed.given->partition, -1);
    assert_int_equal(parsed.given->wait_ms, 30000);
    command_line_done(&parsed.line);
}

static void test_what_is_refused_says_why(void **state)
{
    static const struct {
        const char *line, *words;
    } cases[] = {
        {"one f", "one: -c FILE is missing"},
        {"one -c x", "FILE is missing"},
        {"one -c", "-c needs FILE"},
        {"one f --to", "--to needs TEXT"},
        {"one -c --json f", "-c needs FILE, but --json follows"},
        {"one -c x f --jsn", "unknown option --jsn; did you mean --json?"},
        {"one -c x f --part 1", "unknown option --part; did you mean --partition?"},
        {"one -c x f -z", "unknown option -z"},
        {"one -c x f --json=yes", "--json takes no value"},
        {"one -c x -c y f", "-c is given twice"},
        {"one -c x --config=y f", "--config is given twice"},
        {"one -c x --to a --goal b f", "--goal is given twice"},
        {"one -c x f --stage write", "--stage is one of decode|apply, not \"write\""},
        {"one -c x f --stage=", "--stage is one of decode|apply, not \"\""},
        {"one -c x f --partition 101", "--partition is a whole number from 0 to 100, not \"101\""},
        {"one -c x f --partition -1", "not \"-1\""},
        {"one -c x f --wait soon", "--wait is a whole number of seconds"},
        {"one -c x f --since noon", "--since is a time such as"},
        {"one -c x f --left a --right b", "--left and --right exclude each other"},
        {"one --config= f", "--config is the name of a file, not \"\""},
        {"two", "unknown command 'two'"},
        {"oen", "did you mean 'one'?"},
        {"restart", "unknown command 'restart': here it is systemctl restart ods-sink"},
        {"outer restart", "outer: unknown command 'restart'; see"},
        {"outer", "expected one"},
        {"outer tow", "outer: unknown command 'tow'"},
        {"outer --json", "expected one, not --json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed parsed;
        parse(&parsed, cases[i].line);
        const char *words = cases[i].words;
        if (parsed.code != CLI_USAGE || !strstr(parsed.said, words))
            fail_msg("%s: %d: %s", cases[i].line, parsed.code, parsed.said);
        command_line_done(&parsed.line);
    }
}

static void test_help_wins(void **state)
{
    static const char *const lines[] = {"one --nonsense --help", "one -h", "outer --help",
                                        "outer one x y z -h", "--help"};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct parsed parsed;
        parse(&parsed, lines[i]);
        assert_int_equal(parsed.code, CLI_OK);
        assert_true(parsed.line.help);
        command_line_done(&parsed.line);
    }
    struct parsed parsed;
    parse(&parsed, "one -c x -- --help");
    assert_false(parsed.line.help);
    assert_string_equal(parsed.given->file, "--help");
    command_line_done(&parsed.line);
}

/* --- the real table ------------------------------------------------------------------------- */

static void check_rows(const char *name, const struct parameter *rows, size_t size, bool operands_)
{
    PARAMETERS_EACH (row, rows) {
        if (!row->doc || !*row->doc || row->offset >= size ||
            (operands_ && !row->argument) || (row->argument == &argument_choice && !row->choices) ||
            strchr(row->doc, '\n') || row->doc[strlen(row->doc) - 1] == '.')
            fail_msg("%s: the row of %s", name, row->name);
        PARAMETERS_EACH (other, row + 1)
            if (strcmp(row->name, other->name) == 0 ||
                (row->letter && row->letter == other->letter))
                fail_msg("%s: %s twice", name, row->name);
    }
}

static void check_command(const char *name, const struct command *command)
{
    if (!command->summary || command->summary[strlen(command->summary) - 1] == '.' ||
        !command->run == !command->commands)
        fail_msg("%s: summary, run or commands", name);
    for (size_t i = 0; i < COMMAND_GROUPS; i++)
        check_rows(name, command->options[i].options, command->options_size, false);
    check_rows(name, command->operands, command->options_size, true);
    int code = -1;
    for (const struct exit_meaning *exit = command->exits; exit && exit->text; exit++) {
        if ((int) exit->code <= code)
            fail_msg("%s: exit codes ascend", name);
        code = (int) exit->code;
    }
    for (const struct command *const *at = command->commands; at && *at; at++) {
        char words[REFERENCE_ROOM];
        command_words(words, name, *at);
        check_command(words, *at);
    }
}

static void test_the_table_is_whole(void **state)
{
    check_command("", &program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_put_in_its_place),
        cmocka_unit_test(test_other_spellings),
        cmocka_unit_test(test_what_is_refused_says_why),
        cmocka_unit_test(test_help_wins),
        cmocka_unit_test(test_the_table_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
