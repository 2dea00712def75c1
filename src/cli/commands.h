/* The commands, and the program as the command that has them all. */
#ifndef COMMANDS_H
#define COMMANDS_H

#include "cli/command.h"

extern const struct command cli_attach, cli_bench, cli_changes, cli_check, cli_completion,
    cli_connectors, cli_decode, cli_dlq, cli_erase, cli_help, cli_import, cli_pause, cli_plan,
    cli_quality, cli_query, cli_reference, cli_replay, cli_reset, cli_resume, cli_resync, cli_run,
    cli_setup, cli_skip_until, cli_status, cli_topics, cli_trace, cli_verify, cli_versions, cli_xml;

extern const struct command program;

#endif
