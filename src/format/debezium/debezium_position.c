/* Where the source has a change: its log's position and its transaction. Only where somebody wants
 * it, so that others do not pay for it. */
#include "format/debezium/debezium.h"

#include <string.h>

/* Reads a text or a whole number; anything else is skipped, and the value stays as it is. */
static bool read_scalar(struct reading *reading, struct json_scan *scan, struct value *value)
{
    char first = json_peek(scan);
    struct slice text;
    if (first == '-' || (first >= '0' && first <= '9'))
        return json_number(scan, value);
    if (first != '"')
        return json_skip(scan);
    if (!json_string(scan, reading->reader.arena, &text.bytes, &text.length))
        return false;
    *value = (struct value){
        .kind = VALUE_TEXT, .length = (uint32_t) text.length, .bytes = text.bytes};
    return true;
}

bool position_read(struct reading *reading, struct json_scan *scan, size_t member,
                   struct source_position *position)
{
    struct value *const places[] = {&position->lsn, &position->file, &position->pos,
                                    &position->row, &position->gtid, &position->transaction,
                                    &position->scn};
    return read_scalar(reading, scan, places[member]);
}

/* The text was read before, so it is JSON: what fails now is memory. */
static bool read_transaction(struct reading *reading, struct slice text,
                             struct source_position *position)
{
    struct json_scan scan;
    bool first = true;
    if (!text.bytes || *text.bytes != '{')
        return true;
    json_scan_init(&scan, text.bytes, text.length);
    scan.at++;
    while (json_next_member(&scan, &first)) {
        struct slice name;
        if (!json_name(&scan, reading->reader.arena, &name.bytes, &name.length))
            return false;
        bool good = SLICE_IS(name, "id") ? read_scalar(reading, &scan, &position->transaction)
                    : SLICE_IS(name, "total_order") ? read_scalar(reading, &scan, &position->order)
                                                    : json_skip(&scan);
        if (!good)
            return false;
    }
    return !scan.out_of_memory;
}

/* What a column of the history can't take is not told. */
static void keep_kind(struct value *value, enum value_kind kind)
{
    if (value->kind != kind)
        *value = (struct value){0};
}

static void finish(struct reading *reading, struct source_position *position)
{
    keep_kind(&position->lsn, VALUE_INT);
    keep_kind(&position->file, VALUE_TEXT);
    keep_kind(&position->pos, VALUE_INT);
    keep_kind(&position->row, VALUE_INT);
    keep_kind(&position->gtid, VALUE_TEXT);
    keep_kind(&position->order, VALUE_INT);
    if (position->row.kind == VALUE_INT && position->row.integer != (int32_t) position->row.integer)
        position->row = (struct value){0};
    if (position->transaction.kind != VALUE_INT)
        keep_kind(&position->transaction, VALUE_TEXT);
    if (position->transaction.kind == VALUE_ABSENT) /* MySQL's name of a transaction */
        position->transaction = position->gtid;
    reading->position = position;
}

struct source_position *position_new(struct reading *reading)
{
    struct source_position *position = arena_alloc(reading->reader.arena, sizeof *position);
    if (position)
        *position = (struct source_position){0};
    return position;
}

bool position_of_envelope(struct reading *reading, const struct envelope *envelope)
{
    struct source_position *position = envelope->position;
    if (!position && !(position = position_new(reading))) /* of a CloudEvent, which tells none */
        return false;
    if (!read_transaction(reading, envelope->transaction, position))
        return false;
    finish(reading, position);
    return true;
}

bool position_of_row(struct reading *reading, const struct value *meta)
{
    struct source_position *position = position_new(reading);
    if (!position)
        return false;
    bool named = meta[META_TX_ID].kind > VALUE_NULL;
    *position = (struct source_position){.lsn = meta[META_LSN],
                                         .file = meta[META_FILE],
                                         .pos = meta[META_POS],
                                         .row = meta[META_ROW],
                                         .gtid = meta[META_GTID],
                                         .transaction = meta[named ? META_TX_ID : META_TX],
                                         .order = meta[META_TX_ORDER]};
    finish(reading, position);
    return true;
}
