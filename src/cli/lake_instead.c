/* What is done with a table of a lake instead. See lake_instead.h. */
#include "cli/lake_instead.h"

#include <string.h>

static const char *const texts[] = {
    [LAKE_READS] = "; a lake's table is read by ods-sink versions and ods-sink changes, or by "
                   "another reader of docs/lake.md",
    [LAKE_ORDERS] =
        "; to hold one table of a lake, give it a pipeline of its own and stop that. resync "
        "--snapshot puts a lake's rows right in place. To make a table anew, give a pipeline of "
        "another group another `location` or `schema`, and let readers change to the new table "
        "once it has caught up (docs/lake.md)",
};

const char *lake_instead(const char *type, enum lake_act act)
{
    return strcmp(type, "delta") == 0 || strcmp(type, "iceberg") == 0 ? texts[act] : "";
}
