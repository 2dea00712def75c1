/* See judged.h. */
#include "sink/postgres/write/judged.h"

#include <string.h>

/* A letter that an attempt has written for a change, and that nobody has yet. */
static bool is_new(const struct reject *reject)
{
    return !reject->delivered && strcmp(reject->stage, "apply") == 0 &&
           reject->error.index != ERROR_NO_INDEX;
}

static const struct pg_table *table_of(const struct attempt *attempt, const struct reject *reject)
{
    const struct plan *plan =
        is_new(reject) ? attempt->postgres->change_plans[reject->error.index] : NULL;
    return plan && !plan->skip ? plan->table : NULL;
}

/* Has a letter before this one the same table? */
static bool was_looked_at(const struct attempt *attempt, uint32_t number,
                          const struct pg_table *table)
{
    for (uint32_t i = 0; i < number; i++)
        if (table_of(attempt, &attempt->batch->rejects[i]) == table)
            return true;
    return false;
}

static void take_back(struct batch *batch)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->reject_count; i++) {
        const struct reject reject = batch->rejects[i];
        if (!is_new(&reject)) {
            batch->rejects[kept++] = reject;
            continue;
        }
        uint32_t change = (uint32_t) reject.error.index;
        while (change && batch->changes[change - 1].record == reject.record)
            change--;
        for (; change < batch->change_count && batch->changes[change].record == reject.record;
             change++)
            batch->changes[change].rejected = false;
    }
    batch->reject_count = kept;
}

enum ods_status judged_look(struct attempt *attempt)
{
    struct batch *batch = attempt->batch;
    bool current = true;
    enum ods_status status = ODS_OK;
    if (attempt->reread)
        return ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && current && i < batch->reject_count; i++) {
        const struct pg_table *table = table_of(attempt, &batch->rejects[i]);
        if (!table || was_looked_at(attempt, i, table))
            continue;
        status = attempt_mend(attempt);
        if (status == ODS_OK)
            status = catalog_is_current(&attempt->postgres->conn, table, &current, attempt->error);
    }
    if (status != ODS_OK || current)
        return status;
    take_back(batch);
    attempt_demand(attempt, NEXT_REREAD);
    return error_set(attempt->error, ODS_REJECT,
                     "a table was altered since it was read, so its changes are looked at again");
}
