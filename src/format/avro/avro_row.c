/* Reading rows by steps: the hot loop of Avro. */
#include "format/avro/avro_row.h"

#include <string.h>

/* --- compiling --- */

static void compile_step(struct avro_step *step, const struct avro_type *type)
{
    if (type->kind == AVRO_UNION && type->shown == UNION_ONE && type->count == 2 && type->other &&
        type->null_branch >= 0) {
        step->branch = (uint8_t) (type->null_branch + 1);
        type = type->other;
    }
    step->kind = (uint8_t) type->kind;
    step->type = type;
}

bool avro_row_compile(struct avro_row *row, struct blocks *blocks, const struct avro_type *type,
                      const struct layout *layout)
{
    row->steps = blocks_alloc(blocks, type->count * sizeof *row->steps);
    if (!row->steps)
        return false;
    row->count = type->count;
    for (uint32_t i = 0; i < type->count; i++) {
        struct avro_step *step = &row->steps[i];
        compile_step(step, type->fields[i].type);
        step->name = type->fields[i].name;
        step->meta = layout->slots[i].meta;
        step->column = layout->slots[i].column;
    }
    return true;
}

/* --- values --- */

static inline void set_bytes(struct value *value, enum value_kind kind, const char *bytes,
                             size_t length)
{
    value->kind = (uint8_t) kind;
    value->length = (uint32_t) length;
    value->bytes = bytes;
}

static inline bool take(struct avro_scan *scan, size_t count, const unsigned char **bytes)
{
    if ((size_t) (scan->end - scan->at) < count) {
        avro_fail(scan, "it ends in the middle of a value");
        return false; /* what avro_fail() answers, which clang's analyzer does not follow so deep */
    }
    *bytes = scan->at;
    scan->at += count;
    return true;
}

static inline bool read_text(struct avro_reader *reader, struct value *value)
{
    const char *text;
    size_t length;
    if (!avro_text(&reader->scan, &text, &length))
        return false;
    if (unavailable_is(reader->unavailable, text, length, UNAVAILABLE_TEXT))
        set_bytes(value, VALUE_ABSENT, NULL, 0);
    else
        set_bytes(value, VALUE_TEXT, text, length);
    return true;
}

static bool read_bytes(struct avro_reader *reader, struct value *value)
{
    const char *bytes;
    size_t length;
    if (!avro_bytes(&reader->scan, &bytes, &length))
        return false;
    if (unavailable_is(reader->unavailable, bytes, length, UNAVAILABLE_TEXT))
        set_bytes(value, VALUE_ABSENT, NULL, 0);
    else
        set_bytes(value, VALUE_BYTES, bytes, length);
    return true;
}

static bool no_memory(struct avro_reader *reader)
{
    reader->out_of_memory = true;
    return avro_fail(&reader->scan, "memory is out");
}

/* Copies what was written for the value, since the buffer is used again. */
static bool keep(struct avro_reader *reader, enum value_kind kind, const char *text, size_t length,
                 struct value *value)
{
    char *copy = length <= UINT32_MAX ? arena_alloc(reader->arena, length) : NULL;
    if (!copy)
        return no_memory(reader);
    memcpy(copy, text, length);
    set_bytes(value, kind, copy, length);
    return true;
}

static bool read_nested(struct avro_reader *reader, const struct avro_type *type,
                        struct value *value)
{
    struct buffer *json = reader->json;
    buffer_reset(json);
    if (!avro_json(&reader->scan, type, json))
        return false;
    if (json->failed)
        return no_memory(reader);
    if (!unavailable_is(reader->unavailable, json->bytes, json->length, UNAVAILABLE_JSON))
        return keep(reader, VALUE_JSON, json->bytes, json->length, value);
    set_bytes(value, VALUE_ABSENT, NULL, 0);
    return true;
}

static bool read_fixed(struct avro_reader *reader, const struct avro_type *type,
                       struct value *value)
{
    const unsigned char *bytes;
    char text[AVRO_SPECIAL_BYTES];
    if (!take(&reader->scan, type->size, &bytes))
        return false;
    if (type->special == SPECIAL_NONE) {
        set_bytes(value, VALUE_BYTES, (const char *) bytes, type->size);
        return true;
    }
    avro_special_text(type, bytes, text);
    return keep(reader, VALUE_TEXT, text, strlen(text), value);
}

static bool read_float(struct avro_reader *reader, struct value *value)
{
    const unsigned char *bytes;
    float single;
    if (!take(&reader->scan, sizeof single, &bytes))
        return false;
    memcpy(&single, bytes, sizeof single);
    *value = (struct value){.kind = VALUE_DOUBLE, .real = (double) single};
    return true;
}

static bool read_enum(struct avro_reader *reader, const struct avro_type *type,
                      struct value *value)
{
    int64_t index;
    if (!avro_long(&reader->scan, &index))
        return false;
    if (index < 0 || index >= type->count)
        return avro_fail(&reader->scan, "an enum's symbol that its schema does not have");
    set_bytes(value, VALUE_TEXT, type->symbols[index], strlen(type->symbols[index]));
    return true;
}

static bool read_value(struct avro_reader *reader, const struct avro_type *type,
                       struct value *value);

static bool read_union(struct avro_reader *reader, const struct avro_type *type,
                       struct value *value)
{
    const unsigned char *start = reader->scan.at;
    int64_t index;
    if (!avro_long(&reader->scan, &index))
        return false;
    if (index < 0 || index >= type->count)
        return avro_fail(&reader->scan, "a union's branch that its schema does not have");
    const struct avro_type *branch = type->branches[index];
    if (branch->kind == AVRO_NULL || type->shown != UNION_STRUCT)
        return read_value(reader, branch, value);
    reader->scan.at = start;
    return read_nested(reader, type, value);
}

static inline bool read_value(struct avro_reader *reader, const struct avro_type *type,
                              struct value *value)
{
    struct avro_scan *scan = &reader->scan;
    const unsigned char *bytes;
    switch (type->kind) {
    case AVRO_NULL:
        set_bytes(value, VALUE_NULL, NULL, 0);
        return true;
    case AVRO_BOOLEAN:
        if (!take(scan, 1, &bytes))
            return false;
        *value = (struct value){.kind = VALUE_BOOL, .integer = *bytes};
        return *bytes <= 1 || avro_fail(scan, "a boolean that is neither 0 nor 1");
    case AVRO_INT:
        value->kind = VALUE_INT;
        value->length = 0;
        return avro_int(scan, &value->integer);
    case AVRO_LONG:
        value->kind = VALUE_INT;
        value->length = 0;
        return avro_long(scan, &value->integer);
    case AVRO_FLOAT:
        return read_float(reader, value);
    case AVRO_DOUBLE:
        if (!take(scan, sizeof value->real, &bytes))
            return false;
        value->kind = VALUE_DOUBLE;
        value->length = 0;
        memcpy(&value->real, bytes, sizeof value->real);
        return true;
    case AVRO_STRING:
        return read_text(reader, value);
    case AVRO_BYTES:
        return read_bytes(reader, value);
    case AVRO_FIXED:
        return read_fixed(reader, type, value);
    case AVRO_ENUM:
        return read_enum(reader, type, value);
    case AVRO_UNION:
        return read_union(reader, type, value);
    default:
        return read_nested(reader, type, value);
    }
}

bool avro_row_read(const struct avro_row *row, struct avro_reader *reader, struct value *values,
                   struct value *meta)
{
    for (uint32_t i = 0; i < row->count; i++) {
        const struct avro_step *step = &row->steps[i];
        struct value *value = step->meta == META_NONE ? &values[step->column] : &meta[step->meta];
        bool null = false;
        if (step->branch && !avro_branch(&reader->scan, step->branch - 1U, &null)) {
            reader->column = step->name;
            return false;
        }
        if (null) {
            set_bytes(value, VALUE_NULL, NULL, 0);
        } else if (!read_value(reader, step->type, value)) {
            reader->column = step->name;
            return false;
        }
    }
    return true;
}

bool avro_row_skip(const struct avro_row *row, struct avro_scan *scan)
{
    for (uint32_t i = 0; i < row->count; i++) {
        const struct avro_step *step = &row->steps[i];
        bool null = false;
        if (step->branch && !avro_branch(scan, step->branch - 1U, &null))
            return false;
        if (!null && !avro_skip(scan, step->type))
            return false;
    }
    return true;
}
