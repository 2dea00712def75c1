/* What is done with a table of a lake instead. See lake_instead.h. */
#include "cli/lake_instead.h"

#include <string.h>

static const char *const texts[] = {
    [LAKE_READS] = "; a lake's table is read by ods-sink versions and ods-sink changes, or by "
                   "another reader of docs/lake.md. A row that is deleted at the source goes from "
                   "it with that record (on_delete: hard), and from its files with compaction and "
                   "vacuum",
    [LAKE_ORDERS] =
        "; to hold one table of a lake, give it a pipeline of its own and stop that. To make one "
        "anew, stop its pipeline, give that another group and `location` or `schema`, and let "
        "readers change to the new table once it has caught up (docs/lake.md)",
};

const char *lake_instead(const char *type, enum lake_act act)
{
    return strcmp(type, "delta") == 0 || strcmp(type, "iceberg") == 0 ? texts[act] : "";
}
