/* ods-sink reference: every setting, as Markdown or as a JSON Schema. */
#include <string.h>

#include "cli/cli.h"

int cli_reference(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--json-schema") == 0)
        return cli_finish(config_schema(stdout) ? CLI_OK : CLI_INTERNAL);
    if (argc > 1)
        return cli_usage(argv[0], "unexpected argument '%s'", argv[1]);
    config_reference(stdout);
    return cli_finish(CLI_OK);
}
