/* The program: its command line, its command. The table of commands is cli/commands.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "cli/cli.h"
#include "cli/command_line.h"
#include "cli/commands.h"
#include "cli/reference.h"

static int call(const struct command_line *line)
{
    struct terminal terminal;
    terminal_init(&terminal, line->color);
    if (line->help) {
        help_print(&terminal, stdout, line->name, line->command);
        return cli_finish(CLI_OK);
    }
    const struct call call = {line->name, line->command, &terminal};
    return line->command->run(&call, line->options);
}

/* Passwords, keys and rows are in memory: no core dump is written, and no other process of the user
 * may read memory or environment. */
static void guard_memory(void)
{
    const char *core = getenv("ODS_SINK_CORE");
    if (!core || strcmp(core, "1") != 0)
        prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

int main(int argc, char **argv)
{
    struct command_line line;
    guard_memory();
    if (argc < 2) {
        help_print(NULL, stderr, "", &program);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("ods-sink " ODS_VERSION);
        return cli_finish(CLI_OK);
    }
    int code = command_line_parse(&line, &program, argc - 1, argv + 1);
    if (code == CLI_OK)
        code = call(&line);
    command_line_done(&line);
    return code;
}
