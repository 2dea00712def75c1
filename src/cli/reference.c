/* ods-sink reference: every setting, as Markdown. */
#include "cli/cli.h"

int cli_reference(int argc, char **argv)
{
    if (argc > 1)
        return cli_usage(argv[0], "unexpected argument '%s'", argv[1]);
    config_reference(stdout);
    return cli_finish(CLI_OK);
}
