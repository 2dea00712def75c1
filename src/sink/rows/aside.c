/* See aside.h. */
#include "sink/rows/aside.h"

#include <string.h>

bool rows_is_part(const struct batch *batch, uint32_t change)
{
    const struct change *at = &batch->changes[change];
    return (change && at[-1].record == at->record) ||
           (change + 1 < batch->change_count && at[1].record == at->record);
}

enum ods_status rows_set_aside(struct batch *batch, uint32_t change, const struct error *why,
                               struct error *error)
{
    uint32_t record = batch->changes[change].record, first = change;
    if (batch->changes[change].rejected) /* together with another change of its record */
        return ODS_OK;
    struct reject *reject = batch_add_reject(batch, record, "apply", why);
    if (!reject)
        return error_out_of_memory(error); /* not marked: it would be passed over in silence */
    while (first && batch->changes[first - 1].record == record)
        first--;
    for (uint32_t i = first; i < batch->change_count && batch->changes[i].record == record; i++)
        batch->changes[i].rejected = true;
    reject->error.index = change;
    if (why->fault != FAULT_ORDER && why->fault != FAULT_TABLE)
        reject->error.fault = FAULT_ROW; /* whatever code a function in the target has raised */
    return ODS_OK;
}

/* A change of a key is a delete and a create. The create takes the values that it does not carry
 * from the row of the old key, so the two stay together. */
static uint32_t with_its_delete(const struct batch *batch, uint32_t change)
{
    const struct record *record = &batch->records[batch->changes[change].record];
    uint32_t first = change;
    if (batch->changes[change].op != OP_CREATE)
        return change;
    for (uint32_t i = change; i-- > 0;) {
        const struct record *before = &batch->records[batch->changes[i].record];
        if (before->partition != record->partition || strcmp(before->topic, record->topic) != 0)
            continue;
        if (batch->changes[i].op != OP_DELETE)
            break;
        first = i;
    }
    return first;
}

void rows_hold(struct batch *batch, uint32_t change)
{
    batch_hold(batch, batch->changes[with_its_delete(batch, change)].record);
}
