/* The commands, and the program as the command that has them all. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "cli/command.h"

extern const struct command cli_bench, cli_check, cli_completion, cli_connectors, cli_decode,
    cli_dlq, cli_help, cli_import, cli_query, cli_reference, cli_replay, cli_reset, cli_run,
    cli_setup, cli_status, cli_topics, cli_trace;

extern const struct command program;

#endif
