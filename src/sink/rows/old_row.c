/* See old_row.h. */
#include "sink/rows/old_row.h"

#include <stdlib.h>
#include <string.h>

struct old_row old_row_read(const char *time, const char *operation)
{
    return (struct old_row){.there = true,
                            .timed = time != NULL,
                            .deleted = operation && strcmp(operation, "d") == 0,
                            .time_us = time ? strtoll(time, NULL, 10) : 0};
}

bool old_row_moved(const struct old_row *row, const struct change *create, bool ended)
{
    if (!row->there || ended)
        return row->there;
    if (!row->timed || create->source_us == INT64_MIN)
        return false;
    return row->time_us < create->source_us ||
           (row->deleted && row->time_us == create->source_us);
}

static bool may_change(const struct old_row *row, const struct change *create)
{
    if (!row->there)
        return true;
    if (!row->timed)
        return false;
    return row->deleted ? row->time_us < create->source_us : row->time_us <= create->source_us;
}

enum ods_status old_row_await(const struct old_row *row, bool marks, struct batch *batch,
                              const struct change *create, struct error *error)
{
    if (!marks || create->source_us == INT64_MIN || !may_change(row, create))
        return ODS_OK;
    return batch_await(batch, create->record,
                       "the row that had its old key, and a change of that may still be to come "
                       "from another partition",
                       error);
}
