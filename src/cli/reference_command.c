/* ods-sink reference: every setting, as Markdown or as a JSON Schema. */
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/reference.h"

struct reference_options {
    bool json_schema;
};

static int run(const struct call *call, void *given)
{
    const struct reference_options *options = given;
    if (options->json_schema)
        return cli_finish(config_schema(stdout) ? CLI_OK : CLI_INTERNAL);
    config_reference(stdout);
    return cli_finish(CLI_OK);
}

static const struct parameter options[] = {
    SWITCH(struct reference_options, json_schema, "json-schema",
           "a JSON Schema of tables.yaml instead, by which editors complete names and underline "
           "mistakes", .either = 1),
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
