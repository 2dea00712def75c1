/* Reading rows along a known layout: the hot loop of the decoder. */
#include "format/layout.h"

#include <string.h>

#include "core/base64.h"

/* A kind that no value has: marks members not met yet. */
#define UNMET 0xff

/* --- building --- */

static uint32_t hash_name(const char *name, size_t length)
{
    uint32_t hash = 2166136261U;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char) name[i]) * 16777619U;
    return hash ^ hash >> 15;
}

/* The entry of a name in the index: the slot's number plus one, or the empty place for it. */
static uint32_t *index_entry(const struct layout *layout, const char *name, size_t length)
{
    uint32_t at = hash_name(name, length) & layout->index_mask;
    for (; layout->index[at]; at = (at + 1) & layout->index_mask) {
        const struct layout_slot *slot = &layout->slots[layout->index[at] - 1];
        if (slot->name_length == length && memcmp(slot->name, name, length) == 0)
            break;
    }
    return &layout->index[at];
}

static bool reserve(struct layout *layout, struct blocks *blocks, uint32_t count)
{
    uint32_t entries = 8;
    while (entries < count * 2)
        entries *= 2;
    *layout = (struct layout){.index_mask = entries - 1, .slot_capacity = count};
    layout->slots = blocks_alloc(blocks, count * sizeof *layout->slots);
    layout->columns = blocks_alloc(blocks, count * sizeof *layout->columns);
    layout->index = blocks_alloc(blocks, entries * sizeof *layout->index);
    return layout->slots && layout->columns && layout->index;
}

/* The name as a JSON writer escapes it, with quotes and colon. */
static char *make_token(struct blocks *blocks, const char *name, size_t length, uint32_t *used)
{
    char *token = blocks_alloc(blocks, 2 * length + 3), *at = token;
    if (!token)
        return NULL;
    *at++ = '"';
    for (size_t i = 0; i < length; i++) {
        if (name[i] == '"' || name[i] == '\\')
            *at++ = '\\';
        *at++ = name[i];
    }
    *at++ = '"';
    *at++ = ':';
    *used = (uint32_t) (at - token);
    return token;
}

/* Append a member unless its name is there already. `column` is copied. */
static bool add_slot(struct layout *layout, struct blocks *blocks, const struct column *column,
                     enum wire wire, const struct metadata *metadata)
{
    uint32_t *entry = index_entry(layout, column->name, column->name_length);
    if (*entry)
        return true;
    /* counting the members ended early because memory was out */
    if (layout->slot_count == layout->slot_capacity)
        return false;
    struct layout_slot *slot = &layout->slots[layout->slot_count];
    slot->token = make_token(blocks, column->name, column->name_length, &slot->token_length);
    if (!slot->token)
        return false;
    slot->name = column->name;
    slot->name_length = column->name_length;
    slot->wire = (uint8_t) wire;
    slot->meta = META_NONE;
    if (metadata)
        slot->meta = (uint8_t) metadata_find(metadata, column->name, column->name_length);
    if (slot->meta == META_NONE) {
        slot->column = layout->column_count++;
        layout->columns[slot->column] = *column;
    } else {
        slot->wire = WIRE_ANY;
    }
    *entry = ++layout->slot_count;
    return true;
}

int layout_column(const struct layout *layout, const struct column *wanted)
{
    uint32_t entry = *index_entry(layout, wanted->name, wanted->name_length);
    const struct layout_slot *slot = entry ? &layout->slots[entry - 1] : NULL;
    return slot && slot->meta == META_NONE ? (int) slot->column : -1;
}

bool layout_of_schema(struct layout *layout, struct blocks *blocks,
                      const struct connect_schema *schema, const struct metadata *metadata)
{
    if (!reserve(layout, blocks, schema->column_count))
        return false;
    layout->typed = true;
    for (uint32_t i = 0; i < schema->column_count; i++)
        if (!add_slot(layout, blocks, &schema->columns[i], schema->wires[i], metadata))
            return false;
    return true;
}

static uint32_t count_members(struct json_scan scan, struct arena *arena)
{
    uint32_t count = 0;
    const char *name;
    size_t length;
    bool first = true;
    for (scan.at++; json_next_member(&scan, &first); count++)
        if (!json_name(&scan, arena, &name, &length) || !json_skip(&scan))
            break;
    return count;
}

bool layout_of_object(struct layout *layout, struct blocks *blocks, struct json_scan *scan,
                      struct arena *arena, const struct metadata *metadata)
{
    uint32_t count = count_members(*scan, arena);
    if (count > CONNECT_FIELDS_MAX)
        return json_fail(scan, "an object of more than 100000 members");
    if (!reserve(layout, blocks, count))
        return json_no_memory(scan);
    bool first = true;
    scan->at++;
    while (json_next_member(scan, &first)) {
        const char *name;
        size_t length;
        if (!json_name(scan, arena, &name, &length) || !json_skip(scan))
            return false;
        if (memchr(name, '\0', length))
            return json_fail(scan, "a column's name with a NUL character");
        char *copy = blocks_strndup(blocks, name, length);
        struct column column = {.name = copy,
                                .name_length = (uint32_t) length,
                                .length = -1,
                                .scale = INT32_MIN,
                                .optional = true};
        if (!copy || !add_slot(layout, blocks, &column, WIRE_ANY, metadata))
            return json_no_memory(scan);
    }
    return !scan->problem;
}

bool layout_same(const struct layout *a, const struct layout *b)
{
    if (a->slot_count != b->slot_count)
        return false;
    for (uint32_t i = 0; i < a->slot_count; i++)
        if (a->slots[i].name_length != b->slots[i].name_length ||
            memcmp(a->slots[i].name, b->slots[i].name, a->slots[i].name_length) != 0)
            return false;
    return true;
}

/* --- values --- */

static const char *wire_name(unsigned wire)
{
    static const char *const names[] = {"any value", "a boolean",         "an integer",
                                        "a number",  "a string",          "base64",
                                        "a decimal", "an object or array"};
    return names[wire];
}

static const char *token_name(char byte)
{
    switch (byte) {
    case '"':
        return "a string";
    case '{':
        return "an object";
    case '[':
        return "an array";
    case 't':
    case 'f':
        return "a boolean";
    default:
        return "a number";
    }
}

static bool mismatch(const struct layout_reader *reader, const struct layout_slot *slot,
                     const char *found)
{
    error_set(reader->error, ODS_REJECT, "column %.63s: found %s where its schema says %s",
              slot->name, found, wire_name(slot->wire));
    return false;
}

static void set_bytes(struct value *value, enum value_kind kind, const char *bytes, size_t length)
{
    value->kind = (uint8_t) kind;
    value->length = (uint32_t) length;
    value->bytes = bytes;
}

static bool is_float_word(const char *text, size_t length)
{
    return (length == 3 && memcmp(text, "NaN", 3) == 0) ||
           (length == 8 && memcmp(text, "Infinity", 8) == 0) ||
           (length == 9 && memcmp(text, "-Infinity", 9) == 0);
}

static bool read_base64(struct json_scan *scan, const struct layout_reader *reader,
                        const struct layout_slot *slot, const char *text, size_t length,
                        struct value *value)
{
    unsigned char *bytes = arena_alloc(reader->arena, BASE64_DECODED_MAX(length) + 1);
    size_t decoded;
    if (!bytes)
        return json_no_memory(scan);
    if (!base64_decode(text, length, bytes, &decoded))
        return mismatch(reader, slot, "a string that is not base64");
    set_bytes(value, VALUE_BYTES, (char *) bytes, decoded);
    return true;
}

static bool read_string(struct json_scan *scan, const struct layout_reader *reader,
                        const struct layout_slot *slot, struct value *value)
{
    const char *text;
    size_t length;
    if (!json_string(scan, reader->arena, &text, &length))
        return false;
    unsigned place = slot->wire == WIRE_BYTES ? UNAVAILABLE_BASE64 : UNAVAILABLE_TEXT;
    if (unavailable_is(reader->unavailable, text, length, place)) {
        set_bytes(value, VALUE_ABSENT, NULL, 0);
        return true;
    }
    switch ((enum wire) slot->wire) {
    case WIRE_ANY:
    case WIRE_STRING:
        set_bytes(value, VALUE_TEXT, text, length);
        return true;
    case WIRE_BYTES:
        return read_base64(scan, reader, slot, text, length, value);
    case WIRE_NUMBER:
        /* decimal.format=BASE64 is the default; NUMERIC writes numbers. */
        return read_base64(scan, reader, slot, text, length, value);
    case WIRE_FLOAT:
        if (!is_float_word(text, length))
            return mismatch(reader, slot, "a string");
        set_bytes(value, VALUE_NUMBER, text, length);
        return true;
    default:
        return mismatch(reader, slot, "a string");
    }
}

static bool read_nested(struct json_scan *scan, const struct layout_reader *reader,
                        const struct layout_slot *slot, struct value *value)
{
    const char *start = scan->at;
    if (slot->wire != WIRE_ANY && slot->wire != WIRE_NESTED)
        return mismatch(reader, slot, token_name(*start));
    if (!json_skip(scan))
        return false;
    size_t length = (size_t) (scan->at - start);
    if (unavailable_is(reader->unavailable, start, length, UNAVAILABLE_JSON))
        set_bytes(value, VALUE_ABSENT, NULL, 0);
    else
        set_bytes(value, VALUE_JSON, start, length);
    return true;
}

static bool read_boolean(struct json_scan *scan, const struct layout_reader *reader,
                         const struct layout_slot *slot, struct value *value)
{
    bool truth = *scan->at == 't';
    if (slot->wire != WIRE_ANY && slot->wire != WIRE_BOOLEAN)
        return mismatch(reader, slot, "a boolean");
    *value = (struct value){.kind = VALUE_BOOL, .integer = truth};
    return truth ? json_word(scan, "true", 4) : json_word(scan, "false", 5);
}

static bool read_number(struct json_scan *scan, const struct layout_reader *reader,
                        const struct layout_slot *slot, struct value *value)
{
    const char *start = scan->at;
    if (slot->wire == WIRE_STRING || slot->wire == WIRE_BYTES || slot->wire == WIRE_NESTED ||
        slot->wire == WIRE_BOOLEAN)
        return mismatch(reader, slot, "a number");
    if (!json_number(scan, value))
        return false;
    if (slot->wire == WIRE_FLOAT && value->kind == VALUE_INT)
        set_bytes(value, VALUE_NUMBER, start, (size_t) (scan->at - start));
    if (slot->wire == WIRE_INTEGER && value->kind == VALUE_NUMBER)
        return mismatch(reader, slot, "a number that does not fit into an int64");
    return true;
}

/* NaN and Infinity without quotes, only where a float is expected. */
static bool read_bare_word(struct json_scan *scan, const struct layout_reader *reader,
                           const struct layout_slot *slot, struct value *value)
{
    const char *start = scan->at;
    if (!json_skip(scan))
        return false;
    size_t length = (size_t) (scan->at - start);
    if (slot->wire != WIRE_FLOAT && slot->wire != WIRE_ANY)
        return mismatch(reader, slot, "a number");
    set_bytes(value, VALUE_NUMBER, start, length);
    return true;
}

static inline bool read_value(struct json_scan *scan, const struct layout_reader *reader,
                              const struct layout_slot *slot, struct value *value)
{
    switch (json_peek(scan)) {
    case '"':
        return read_string(scan, reader, slot, value);
    case 'n':
        set_bytes(value, VALUE_NULL, NULL, 0);
        return json_word(scan, "null", 4);
    case 't':
    case 'f':
        return read_boolean(scan, reader, slot, value);
    case '{':
    case '[':
        return read_nested(scan, reader, slot, value);
    case 'N':
    case 'I':
        return read_bare_word(scan, reader, slot, value);
    case '-':
        if (scan->end - scan->at > 1 && scan->at[1] == 'I')
            return read_bare_word(scan, reader, slot, value);
        return read_number(scan, reader, slot, value);
    default:
        return read_number(scan, reader, slot, value);
    }
}

/* --- rows --- */

/* The member at the cursor by its name. */
static enum layout_answer find_slot(const struct layout *layout, struct json_scan *scan,
                                    const struct layout_reader *reader,
                                    const struct layout_slot **slot)
{
    const char *name;
    size_t length;
    if (!json_name(scan, reader->arena, &name, &length))
        return LAYOUT_BAD;
    uint32_t entry = *index_entry(layout, name, length);
    if (!entry && layout->typed) {
        error_set(reader->error, ODS_REJECT,
                  "column %.*s is in the row, but not in the record's schema",
                  (int) (length < 63 ? length : 63), name);
        return LAYOUT_BAD;
    }
    if (!entry)
        return LAYOUT_OTHER;
    *slot = &layout->slots[entry - 1];
    return LAYOUT_OK;
}

/* Members that the row did not have: absent if a schema names them, else the row has another
 * layout. */
static enum layout_answer settle_unmet(const struct layout *layout, struct value *values,
                                       bool meta_unmet)
{
    bool unmet = meta_unmet;
    for (uint32_t i = 0; i < layout->column_count; i++) {
        if (values[i].kind != UNMET)
            continue;
        values[i] = (struct value){.kind = VALUE_ABSENT};
        unmet = true;
    }
    return unmet && !layout->typed ? LAYOUT_OTHER : LAYOUT_OK;
}

enum layout_answer layout_read(const struct layout *layout, struct json_scan *scan,
                               const struct layout_reader *reader, struct value *values,
                               struct value *meta)
{
    uint32_t expected = 0, met = 0, met_meta = 0;
    bool first = true;
    struct value ignored;
    memset(values, UNMET, layout->column_count * sizeof *values);
    scan->at++;
    while (json_next_member(scan, &first)) {
        const struct layout_slot *slot = &layout->slots[expected];
        if (expected < layout->slot_count && (size_t) (scan->end - scan->at) > slot->token_length &&
            json_same(scan->at, slot->token, slot->token_length)) {
            scan->at += slot->token_length;
            json_space(scan);
        } else {
            enum layout_answer answer = find_slot(layout, scan, reader, &slot);
            if (answer != LAYOUT_OK)
                return answer;
        }
        struct value *value = slot->meta == META_NONE ? &values[slot->column]
                              : meta                  ? &meta[slot->meta]
                                                      : &ignored;
        if (!read_value(scan, reader, slot, value))
            return LAYOUT_BAD;
        expected = (uint32_t) (slot - layout->slots) + 1;
        met += expected == met + 1;
        met_meta += slot->meta != META_NONE;
    }
    if (scan->problem)
        return LAYOUT_BAD;
    if (met == layout->slot_count)
        return LAYOUT_OK;
    return settle_unmet(layout, values, met_meta < layout->slot_count - layout->column_count);
}

enum layout_answer layout_read_over(const struct layout *layout, struct json_scan *scan,
                                    const struct layout_reader *reader, struct value *values,
                                    struct slice *unknown)
{
    bool first = true;
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reader->arena, &name.bytes, &name.length))
            return LAYOUT_BAD;
        uint32_t entry = *index_entry(layout, name.bytes, name.length);
        if (!entry) {
            *unknown = name;
            return LAYOUT_OTHER;
        }
        const struct layout_slot *slot = &layout->slots[entry - 1];
        if (!read_value(scan, reader, slot, &values[slot->column]))
            return LAYOUT_BAD;
    }
    return scan->problem ? LAYOUT_BAD : LAYOUT_OK;
}
