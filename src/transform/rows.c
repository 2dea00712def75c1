/* See rows.h. */
#include "transform/rows.h"

#include <string.h>

const struct value *rows_filled(const struct change *change, struct batch *batch)
{
    uint32_t count = change->shape->column_count, absent = 0;
    if (!change->after || !change->before)
        return change->after;
    for (uint32_t i = 0; i < count; i++)
        absent += change->after[i].kind == VALUE_ABSENT && change->before[i].kind != VALUE_ABSENT;
    if (!absent)
        return change->after;
    struct value *values = arena_alloc(&batch->arena, count * sizeof *values);
    for (uint32_t i = 0; values && i < count; i++)
        values[i] =
            change->after[i].kind == VALUE_ABSENT ? change->before[i] : change->after[i];
    return values;
}

const struct value *rows_before(const struct change *change, struct batch *batch)
{
    const struct shape *shape = change->shape;
    bool named = change->before != NULL;
    for (uint32_t i = 0; named && i < shape->key_count; i++)
        named = change->before[shape->key[i]].kind != VALUE_ABSENT;
    if (named || !change->after)
        return change->before;
    struct value *values = arena_alloc(&batch->arena, shape->column_count * sizeof *values);
    for (uint32_t i = 0; values && i < shape->column_count; i++)
        values[i] =
            change->before ? change->before[i] : (struct value){.kind = VALUE_ABSENT};
    for (uint32_t i = 0; values && i < shape->key_count; i++)
        if (values[shape->key[i]].kind == VALUE_ABSENT)
            values[shape->key[i]] = change->after[shape->key[i]];
    return values;
}

struct change *rows_double(struct batch *batch, uint32_t index)
{
    if (!batch_add_change(batch))
        return NULL;
    struct change *change = &batch->changes[index];
    memmove(change + 1, change, (batch->change_count - index - 1) * sizeof *change);
    return change + 1;
}
