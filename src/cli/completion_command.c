/* ods-sink completion: a script for a shell; and the names of a configuration, which such a script
 * asks for. */
#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reference.h"

static int run_bash(const struct call *call, void *options)
{
    completion_bash(stdout, &program);
    return cli_finish(CLI_OK);
}

static int run_zsh(const struct call *call, void *options)
{
    completion_zsh(stdout, &program);
    return cli_finish(CLI_OK);
}

static int run_fish(const struct call *call, void *options)
{
    completion_fish(stdout, &program);
    return cli_finish(CLI_OK);
}

/* --- names ---------------------------------------------------------------------------------- */

struct names_options {
    const char *config, *kind;
};

/* One a line. Left out are patterns, and names that would move a terminal's cursor. */
static void print_name(const char *name)
{
    for (const char *at = name; *at; at++)
        if ((unsigned char) *at < ' ' || *at == 127)
            return;
    if (*name && *name != '^')
        puts(name);
}

static void print_names(const struct pipeline_settings *pipeline, const char *kind)
{
    if (strcmp(kind, "pipelines") == 0) {
        print_name(pipeline->name);
    } else if (strcmp(kind, "topics") == 0) {
        for (size_t i = 0; i < pipeline->topics.count; i++)
            print_name(pipeline->topics.items[i]);
    } else {
        for (size_t i = 0; i < pipeline->table_count; i++)
            print_name(pipeline->tables[i].name);
    }
}

/* Quiet: a wrong configuration has no names. */
static int run_names(const struct call *call, void *given)
{
    const struct names_options *options = given;
    struct config *config = NULL;
    int code = config_load(&config, options->config) == ODS_OK ? CLI_OK : CLI_CONFIG;
    const struct settings *settings = code == CLI_OK ? config_settings(config) : NULL;
    for (size_t i = 0; settings && i < settings->pipeline_count; i++)
        print_names(&settings->pipelines[i], options->kind);
    config_free(config);
    return cli_finish(code);
}

static const struct parameter names_options[] = {OPTION_CONFIG(struct names_options), {0}};

static const struct parameter names_operands[] = {
    OPERAND(struct names_options, kind, "KIND", &argument_choice, "pipelines, topics or tables",
            .flags = PARAMETER_REQUIRED, .choices = "pipelines|topics|tables"),
    {0}};

/* --- the table ------------------------------------------------------------------------------ */

static const struct command bash = {
    .name = "bash", .summary = "the script for bash", .run = run_bash};
static const struct command zsh = {.name = "zsh", .summary = "the script for zsh", .run = run_zsh};
static const struct command fish = {
    .name = "fish", .summary = "the script for fish", .run = run_fish};
static const struct command names = {
    .name = "names",
    .summary = "the names in a configuration, for the scripts",
    .options = {{.options = names_options}},
    .operands = names_operands,
    .options_size = sizeof(struct names_options),
    .run = run_names,
    .hidden = true,
};

static const struct command *const commands[] = {&bash, &zsh, &fish, &names, NULL};

static const struct example examples[] = {
    {"source <(ods-sink completion bash)", "In this shell; in ~/.bashrc for all."},
    {"source <(ods-sink completion zsh)", "Likewise, after compinit."},
    {"ods-sink completion fish | source", "Likewise."},
    {0}};

const struct command cli_completion = {
    .name = "completion",
    .summary = "print a script that lets a shell complete commands, options and names",
    .description =
        "Installed with the program for bash, zsh and fish, so that it is seldom needed. Where the "
        "line names a configuration with `-c`, its pipelines, topics and tables are offered too; "
        "nothing is asked over the network.",
    .commands = commands,
    .examples = examples,
};
