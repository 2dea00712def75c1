/* Does an update carry a large value that it has not changed? The same program wrote both images,
 * so equal values have equal bytes, and the before image need not be decoded. The answer is only a
 * hint: whoever uses it compares the values themselves. */
#include "format/debezium/debezium.h"

#include <string.h>

/* Shorter values are stored in the row, and cost as much to write as to compare. Measured: with 1.2
 * KB an update takes PostgreSQL 8 to 13 µs either way; with 2.6 KB 12 µs instead of 34, with 16 KB
 * 37 instead of 105. */
#define LARGE_BYTES 2000

/* Where the value of the member begins. NULL: it is not there, or its name is written with escapes.
 */
static const char *find_member(const struct image *image, const struct layout_slot *slot)
{
    const char *token = memmem(image->start, (size_t) (image->end - image->start), slot->token,
                               slot->token_length);
    return token ? token + slot->token_length : NULL;
}

static bool is_large(const struct value *value)
{
    return value->kind >= VALUE_NUMBER && value->length >= LARGE_BYTES;
}

/* In Avro a value's bytes stand in the image as they are. */
static bool avro_repeats(const struct image *before, const struct value *value)
{
    size_t length = (size_t) (before->end - before->start);
    return (value->kind == VALUE_TEXT || value->kind == VALUE_BYTES) && length >= value->length &&
           memmem(before->start, length, value->bytes, value->length);
}

/* A value is never longer decoded than it was written. */
static bool is_same(const struct image *before, const struct image *after,
                    const struct layout_slot *slot, size_t length)
{
    const char *was = find_member(before, slot), *is = find_member(after, slot);
    return was && is && (size_t) (before->end - was) >= length &&
           (size_t) (after->end - is) >= length && memcmp(was, is, length) == 0;
}

bool image_repeats(const struct plan *plan, const struct image *before, const struct image *after)
{
    if (after->end - after->start < LARGE_BYTES || before->end - before->start < LARGE_BYTES)
        return false;
    for (uint32_t i = 0; i < plan->layout.slot_count; i++) {
        const struct layout_slot *slot = &plan->layout.slots[i];
        if (slot->meta != META_NONE || !is_large(&after->values[slot->column]))
            continue;
        if (plan->avro ? avro_repeats(before, &after->values[slot->column])
                       : is_same(before, after, slot, after->values[slot->column].length))
            return true;
    }
    return false;
}
