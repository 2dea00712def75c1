/* ods-sink verify --derived: are derived tables what their queries give? */
#ifndef VERIFY_DERIVED_H
#define VERIFY_DERIVED_H

#include "cli/command.h"

struct settings;

/* Compares the tables that are named, or all, and prints what differs. An exit code. */
int verify_derived(const struct call *call, const struct settings *settings,
                   const struct strings *tables, int64_t limit, bool json);

#endif
