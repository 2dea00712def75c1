/* ods-sink reference: every setting, as Markdown or as a JSON Schema; every command, as man pages
 * or as Markdown. */
#include <errno.h>

#include "cli/cli.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/reference.h"

struct reference_options {
    bool json_schema;
    const char *folder, *page;
};

/* One page into the folder; says what can't be written. */
static bool write_manual(const char *folder, const char *name, const struct command *command)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/ods-sink%s%s.1", folder, *name ? "-" : "", name);
    FILE *out = fopen(path, "w");
    bool good = out != NULL;
    if (good) {
        manual_print(out, name, command);
        good = !ferror(out);
        good &= fclose(out) == 0;
    }
    if (!good)
        terminal_line(stderr, "ods-sink reference: %s: %s", path, strerror(errno));
    return good;
}

static int write_manuals(const char *folder)
{
    bool good = write_manual(folder, "", &program);
    for (const struct command *const *at = program.commands; good && *at; at++)
        if (!(*at)->hidden)
            good = write_manual(folder, (*at)->name, *at);
    return good ? CLI_OK : CLI_INTERNAL;
}

static int print_page(const struct call *call, const char *name)
{
    const struct command *command =
        strcmp(name, program.name) == 0 ? &program : command_find(&program, name);
    if (!command)
        return command_unknown(&program, "", name);
    page_print(stdout, command == &program ? "" : name, command);
    return cli_finish(CLI_OK);
}

static int run(const struct call *call, void *given)
{
    const struct reference_options *options = given;
    if (options->folder)
        return write_manuals(options->folder);
    if (options->page)
        return print_page(call, options->page);
    if (options->json_schema)
        return cli_finish(config_schema(stdout) ? CLI_OK : CLI_INTERNAL);
    config_reference(stdout);
    return cli_finish(CLI_OK);
}

static const struct parameter options[] = {
    SWITCH(struct reference_options, json_schema, "json-schema",
           "a JSON Schema of tables.yaml instead, by which editors complete names and underline "
           "mistakes",
           .either = 1),
    OPTION(struct reference_options, folder, "man", &argument_folder,
           "write the man pages of all commands into this folder instead", .either = 1),
    OPTION(struct reference_options, page, "command", &argument_text,
           "what a command takes instead, as its page in `docs/cli/` has it; `ods-sink`: all of "
           "them",
           .value = "NAME", .either = 1),
    {0}};

const struct command cli_reference = {
    .name = "reference",
    .chapter = "About",
    .summary = "print the reference of all settings, as Markdown",
    .description = "What `docs/configuration.md` holds.",
    .options = {{.options = options}},
    .options_size = sizeof(struct reference_options),
    .run = run,
};
