/* The row as the source database has it. See trace.h. */
#include "cli/trace.h"

int trace_read_source(struct trace *trace, struct error *error)
{
    (void) error;
    trace->source_why = "no source database is configured";
    return CLI_OK;
}
