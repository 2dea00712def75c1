/* `ods-sink reset --all`: a pipeline begins anew, as if it had never run. */
#ifndef RESET_ALL_H
#define RESET_ALL_H

#include "cli/cli.h"

struct reset_all_options {
    const char *pipeline; /* NULL: the only one */
    bool dry_run, yes, json;
    int64_t wait_ms; /* for a connector to stop */
};

/* Say what goes, ask, and do it. A cli_exit; what went wrong has been said. */
int reset_all(const struct call *call, const struct settings *settings,
              const struct reset_all_options *options);

struct kafka_tool;
/* CLI_NEGATIVE: the group has members, which would move its offsets; the error names one. */
int reset_refuse_while_alive(struct kafka_tool *tool, const char *group, struct error *error);

#endif
