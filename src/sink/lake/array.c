/* Arrow arrays by hand: https://arrow.apache.org/docs/format/CDataInterface.html. See array.h. */
#include "sink/lake/array.h"

#include <stdlib.h>
#include <string.h>

/* --- filling ---------------------------------------------------------------------------------- */

static bool has_lengths(const struct lake_array *array)
{
    return array->type.type == LAKE_STRING || array->type.type == LAKE_BINARY;
}

void lake_array_init(struct lake_array *array, const struct lake_typed *type, const char *format)
{
    *array = (struct lake_array){.type = *type, .format = format};
    if (!has_lengths(array) && type->type != LAKE_BOOLEAN)
        array->width = (uint32_t) lake_type_width(type->type);
    buffer_init(&array->data);
    buffer_init(&array->offsets);
    buffer_init(&array->validity);
}

void lake_array_reserve(struct lake_array *array, size_t values)
{
    if (has_lengths(array))
        buffer_grow(&array->offsets, (values + 1) * sizeof(int32_t));
    else
        buffer_grow(&array->data, array->width ? values * array->width : values / 8 + 1);
}

void lake_array_done(struct lake_array *array)
{
    buffer_done(&array->data);
    buffer_done(&array->offsets);
    buffer_done(&array->validity);
    array->length = array->nulls = 0;
}

bool lake_array_failed(const struct lake_array *array)
{
    return array->data.failed || array->offsets.failed || array->validity.failed;
}

static void put_bit(struct buffer *bits, int64_t at, bool bit)
{
    size_t byte = (size_t) at / 8;
    if (bits->length <= byte) {
        char *room = buffer_take(bits, 1);
        if (!room)
            return;
        *room = 0;
    }
    if (bit)
        bits->bytes[byte] = (char) (bits->bytes[byte] | 1 << (at % 8));
}

static bool get_bit(const struct buffer *bits, int64_t at)
{
    return bits->bytes[at / 8] >> (at % 8) & 1;
}

/* Where the value that was put last ends. */
static void put_end(struct lake_array *array)
{
    int32_t end = (int32_t) array->data.length, start = 0;
    if (array->data.length > INT32_MAX)
        array->data.failed = true;
    if (!array->offsets.length)
        buffer_add(&array->offsets, &start, sizeof start);
    buffer_add(&array->offsets, &end, sizeof end);
}

/* All values so far are there. */
static void begin_validity(struct lake_array *array)
{
    size_t bytes = ((size_t) array->length + 7) / 8;
    char *bits = buffer_take(&array->validity, bytes);
    if (!bits)
        return;
    memset(bits, 0xff, bytes);
    if (array->length % 8)
        bits[bytes - 1] = (char) ((1 << array->length % 8) - 1);
}

/* While no value is NULL there are no bits that say so. */
static void count_value(struct lake_array *array, bool valid)
{
    if (!valid && !array->validity.length)
        begin_validity(array);
    if (!valid || array->validity.length)
        put_bit(&array->validity, array->length, valid);
    array->nulls += !valid;
    array->length++;
}

/* Of the widths that are frequent a copy is one instruction. */
static void put_fixed(struct lake_array *array, const void *value)
{
    char *at = buffer_take(&array->data, array->width);
    if (at && array->width == 8)
        memcpy(at, value, 8);
    else if (at && array->width == 4)
        memcpy(at, value, 4);
    else if (at)
        memcpy(at, value, array->width);
}

void lake_array_null(struct lake_array *array)
{
    static const char zeros[16];
    if (has_lengths(array))
        put_end(array);
    else if (array->type.type == LAKE_BOOLEAN)
        put_bit(&array->data, array->length, false);
    else
        put_fixed(array, zeros);
    count_value(array, false);
}

void lake_array_bit(struct lake_array *array, bool bit)
{
    put_bit(&array->data, array->length, bit);
    count_value(array, true);
}

void lake_array_fixed(struct lake_array *array, const void *value)
{
    put_fixed(array, value);
    count_value(array, true);
}

void lake_array_bytes(struct lake_array *array, const void *bytes, size_t length)
{
    buffer_add(&array->data, bytes, length);
    put_end(array);
    count_value(array, true);
}

static void clear_bits(struct buffer *bits, int64_t from)
{
    bits->length = ((size_t) from + 7) / 8;
    if (from % 8)
        bits->bytes[from / 8] = (char) (bits->bytes[from / 8] & ((1 << (from % 8)) - 1));
}

void lake_array_cut(struct lake_array *array, int64_t length)
{
    if (array->length <= length || lake_array_failed(array))
        return;
    array->length = length;
    if (array->validity.length) {
        array->nulls -= !get_bit(&array->validity, length);
        clear_bits(&array->validity, length);
    }
    if (array->type.type == LAKE_BOOLEAN) {
        clear_bits(&array->data, length);
    } else if (has_lengths(array)) {
        int32_t end;
        memcpy(&end, array->offsets.bytes + (size_t) length * sizeof end, sizeof end);
        array->data.length = (size_t) end;
        array->offsets.length = ((size_t) length + 1) * sizeof end;
    } else {
        array->data.length = (size_t) length * array->width;
    }
}

/* --- schemas ---------------------------------------------------------------------------------- */

static void release_schema(struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release)
            schema->children[i]->release(schema->children[i]);
        free(schema->children[i]);
    }
    free(schema->children);
    free(schema->private_data); /* format and name */
    schema->release = NULL;
}

/* Format and name are copied, since the schema may be kept for longer than they live. */
static bool fill_schema(struct ArrowSchema *schema, const char *format, const char *name,
                        int64_t flags)
{
    size_t length = strlen(format) + 1, size = strlen(name) + 1;
    char *text = malloc(length + size);
    if (!text)
        return false;
    memcpy(text, format, length);
    memcpy(text + length, name, size);
    *schema = (struct ArrowSchema){.format = text,
                                   .name = text + length,
                                   .flags = flags,
                                   .release = release_schema,
                                   .private_data = text};
    return true;
}

bool lake_schema_export(const char *const *formats, const char *const *names, size_t count,
                        struct ArrowSchema *schema)
{
    if (!fill_schema(schema, "+s", "", 0))
        return false;
    schema->children = calloc(count + 1, sizeof(struct ArrowSchema *));
    for (size_t i = 0; schema->children && i < count; i++) {
        /* The column of operations is the only one that is never NULL. */
        int64_t flags = strcmp(names[i], ODS_LAKE_OP_COLUMN) == 0 ? 0 : ARROW_FLAG_NULLABLE;
        struct ArrowSchema *child = malloc(sizeof *child);
        if (!child || !fill_schema(child, formats[i], names[i], flags)) {
            free(child);
            schema->release(schema);
            return false;
        }
        schema->children[schema->n_children++] = child;
    }
    if (schema->children)
        return true;
    schema->release(schema);
    return false;
}

/* --- arrays ----------------------------------------------------------------------------------- */

static void release_array(struct ArrowArray *array)
{
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release)
            array->children[i]->release(array->children[i]);
        free(array->children[i]);
    }
    free(array->children);
    for (int64_t i = 0; i < array->n_buffers; i++)
        free((void *) (uintptr_t) array->buffers[i]);
    free(array->buffers);
    array->release = NULL;
}

/* The buffer's memory, which a reader may expect even of no value. */
static void *take_memory(struct buffer *buffer)
{
    char *bytes = buffer->bytes;
    buffer_init(buffer);
    return bytes;
}

static bool has_memory(struct buffer *buffer)
{
    return buffer->bytes || buffer_grow(buffer, 8);
}

/* Makes sure that nothing can fail afterwards. */
static struct ArrowArray *reserve_child(struct lake_array *array)
{
    int32_t zero = 0;
    if (has_lengths(array) && !array->offsets.length)
        buffer_add(&array->offsets, &zero, sizeof zero);
    if (!has_memory(&array->data) || (array->nulls && !has_memory(&array->validity)) ||
        (has_lengths(array) && !array->offsets.length))
        return NULL;
    struct ArrowArray *child = calloc(1, sizeof *child);
    if (child)
        child->buffers = calloc(3, sizeof *child->buffers);
    if (child && child->buffers)
        return child;
    free(child);
    return NULL;
}

static void move_child(struct lake_array *array, struct ArrowArray *child)
{
    child->length = array->length;
    child->null_count = array->nulls;
    child->release = release_array;
    child->buffers[child->n_buffers++] = take_memory(&array->validity);
    if (has_lengths(array))
        child->buffers[child->n_buffers++] = take_memory(&array->offsets);
    child->buffers[child->n_buffers++] = take_memory(&array->data);
    array->length = array->nulls = 0;
}

static bool fill_array(struct lake_array *arrays, size_t count, struct ArrowArray *array)
{
    *array = (struct ArrowArray){.length = count ? arrays[0].length : 0,
                                 .n_buffers = 1,
                                 .buffers = calloc(1, sizeof *array->buffers),
                                 .children = calloc(count + 1, sizeof *array->children),
                                 .release = release_array};
    bool good = array->buffers && array->children;
    for (size_t i = 0; good && i < count; i++) {
        struct ArrowArray *child = reserve_child(&arrays[i]);
        good = child != NULL;
        if (good)
            array->children[i] = child;
    }
    for (size_t i = 0; good && i < count; i++) {
        move_child(&arrays[i], array->children[i]);
        array->n_children++;
    }
    for (size_t i = 0; !good && array->children && i < count && array->children[i]; i++) {
        free(array->children[i]->buffers);
        free(array->children[i]);
    }
    if (!good) {
        free(array->children);
        free(array->buffers);
    }
    return good;
}

bool lake_array_export(struct lake_array *arrays, const char *const *names, size_t count,
                       struct ArrowArray *array, struct ArrowSchema *schema)
{
    const char **formats = calloc(count + 1, sizeof *formats);
    bool good = formats;
    for (size_t i = 0; good && i < count; i++)
        formats[i] = arrays[i].format;
    good = good && lake_schema_export(formats, names, count, schema);
    free(formats);
    if (good && !fill_array(arrays, count, array)) {
        schema->release(schema);
        good = false;
    }
    return good;
}
