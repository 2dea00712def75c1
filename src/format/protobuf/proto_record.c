/* See proto_record.h. A first pass notes where each value of a message is, in cells, a second one
 * writes them in the schema's order. */
#include "format/protobuf/proto_record.h"

#include <stdio.h>

#include "core/time.h"
#include "format/protobuf/proto_cells.h"

/* What a record may amount to in Avro: fields that are not there take a byte each. */
#define OUT_BYTES_MIN ((size_t) 1024 * 1024)
#define OUT_TIMES     16
#define KEEP_BYTES    ((size_t) 1024 * 1024) /* of memory, for the next record */

#define SECONDS_MIN INT64_C(-62135596800) /* 0001-01-01, as of google.protobuf.Timestamp */
#define SECONDS_MAX INT64_C(253402300799) /* 9999-12-31 */

void proto_room_done(struct proto_room *room)
{
    buffer_done(&room->out);
    buffer_done(&room->cells);
}

/* --- Avro's bytes --- */

static uint32_t zigzag32(int32_t number)
{
    return (uint32_t) number << 1 ^ -(uint32_t) (number < 0);
}

static void put_number(struct buffer *out, uint64_t zigzag)
{
    unsigned char bytes[10];
    size_t count = 0;
    for (; zigzag > 0x7f; zigzag >>= 7)
        bytes[count++] = (unsigned char) (zigzag | 0x80);
    bytes[count++] = (unsigned char) zigzag;
    buffer_add(out, bytes, count);
}

static void put_long(struct buffer *out, int64_t number)
{
    put_number(out, (uint64_t) number << 1 ^ -(uint64_t) (number < 0));
}

static void put_bytes(struct buffer *out, const void *bytes, size_t length)
{
    put_long(out, (int64_t) length);
    buffer_add(out, bytes, length);
}

/* --- special messages --- */

/* The numbers of a message of a few fields, one and all; bytes in *bytes. */
static bool read_parts(struct transcript *to, const struct proto_field *field, struct span body,
                       int64_t parts[4], struct span *bytes)
{
    const struct proto_message *message = field->message;
    size_t mark = to->room->cells.length, place;
    if (!proto_note_fields(to, message, body, &place))
        return false;
    for (uint32_t i = 0; i < message->count; i++) {
        const struct proto_field *part = &message->fields[i];
        const struct cell *cell = proto_cell_at(to, place + i);
        if (part->kind == PROTO_BYTES)
            *bytes = proto_span_of(cell);
        else
            parts[part->number - 1] = (int64_t) cell->number;
    }
    to->room->cells.length = mark;
    return true;
}

static bool put_moment(struct transcript *to, const struct proto_field *field, struct span body)
{
    int64_t parts[4] = {0};
    char text[64];
    struct span bytes;
    if (!read_parts(to, field, body, parts, &bytes))
        return false;
    int64_t seconds = parts[0], nanos = parts[1];
    if (seconds < SECONDS_MIN || seconds > SECONDS_MAX || nanos < 0 || nanos > 999999999)
        return proto_fail(to, "a moment that is not between the years 1 and 9999", field, body.at);
    if (field->kind == PROTO_MOMENT_MS) {
        if (nanos % 1000000)
            return proto_fail(to, "a moment that is not of milliseconds", field, body.at);
        put_long(&to->room->out, seconds * 1000 + nanos / 1000000);
        return true;
    }
    int64_t rest, days = time_floor_div(seconds, 86400, &rest);
    int64_t year;
    int month, day;
    time_civil(days, &year, &month, &day);
    int length = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", (int) year,
                          month, day, (int) (rest / 3600), (int) (rest / 60 % 60),
                          (int) (rest % 60), (int) nanos);
    put_bytes(&to->room->out, text, (size_t) length);
    return true;
}

static bool put_date(struct transcript *to, const struct proto_field *field, struct span body)
{
    static const int64_t days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t parts[4] = {0}, year, month, day;
    struct span bytes;
    if (!read_parts(to, field, body, parts, &bytes))
        return false;
    year = parts[0], month = parts[1], day = parts[2];
    bool leap = year % 4 == 0 && (year % 100 || year % 400 == 0);
    if (year < 1 || year > 9999 || month < 1 || month > 12 || day < 1 || day > days[month - 1] ||
        (month == 2 && day == 29 && !leap))
        return proto_fail(to, "a date that no calendar has, or that is not whole", field, body.at);
    put_long(&to->room->out, time_days(year, (int) month, (int) day));
    return true;
}

static bool put_clock(struct transcript *to, const struct proto_field *field, struct span body)
{
    int64_t parts[4] = {0};
    struct span bytes;
    if (!read_parts(to, field, body, parts, &bytes))
        return false;
    if (parts[0] < 0 || parts[0] > 23 || parts[1] < 0 || parts[1] > 59 || parts[2] < 0 ||
        parts[2] > 59 || parts[3] < 0 || parts[3] > 999999999)
        return proto_fail(to, "a time that no clock shows", field, body.at);
    int64_t seconds = parts[0] * 3600 + parts[1] * 60 + parts[2];
    bool whole = field->kind == PROTO_CLOCK_MS;
    if (whole && parts[3] % 1000000)
        return proto_fail(to, "a time that is not of milliseconds", field, body.at);
    put_long(&to->room->out, whole ? seconds * 1000 + parts[3] / 1000000
                                   : seconds * 1000000000 + parts[3]);
    return true;
}

static bool put_decimal(struct transcript *to, const struct proto_field *field, struct span body)
{
    int64_t parts[4] = {0};
    struct span bytes = {0};
    if (!read_parts(to, field, body, parts, &bytes))
        return false;
    if (parts[2] != field->scale)
        return proto_fail(to, "a decimal of another scale than its column's", field, body.at);
    bool none = bytes.at == bytes.end;
    put_bytes(&to->room->out, none ? "" : (const char *) bytes.at,
              none ? 1 : (size_t) (bytes.end - bytes.at)); /* no bytes are 0, as one of 0 */
    return true;
}

/* --- values --- */

static bool put_message(struct transcript *to, const struct proto_message *message,
                        struct span body);

static bool put_symbol(struct transcript *to, const struct proto_field *field,
                       const struct cell *cell)
{
    const struct proto_enum *symbols = field->symbols;
    int64_t number = (int64_t) cell->number;
    uint32_t low = 0, high = symbols->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (symbols->symbols[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == symbols->count || symbols->symbols[low].number != number)
        return proto_fail(to, "a number that its enum does not have", field, NULL);
    put_long(&to->room->out, symbols->symbols[low].index);
    return true;
}

static void put_unsigned(struct buffer *out, uint64_t number)
{
    unsigned char bytes[9] = {0}; /* the first one keeps it above zero */
    for (size_t i = 0; i < 8; i++)
        bytes[8 - i] = (unsigned char) (number >> (8 * i));
    put_bytes(out, bytes, sizeof bytes);
}

static bool put_integer(struct transcript *to, const struct proto_field *field,
                        const struct cell *cell)
{
    struct buffer *out = &to->room->out;
    uint64_t number = cell->number;
    int64_t plain = (int64_t) number;
    switch ((enum proto_kind) field->kind) {
    case PROTO_SINT32:
        if (number > UINT32_MAX)
            break;
        put_number(out, number); /* both write it so */
        return true;
    case PROTO_SINT64:
        put_number(out, number);
        return true;
    case PROTO_INT32:
        if (plain < INT32_MIN || plain > INT32_MAX)
            break;
        put_long(out, plain);
        return true;
    case PROTO_SFIXED32:
        put_number(out, zigzag32((int32_t) (uint32_t) number));
        return true;
    case PROTO_UINT32:
    case PROTO_FIXED32:
        if (number > UINT32_MAX)
            break;
        put_long(out, plain);
        return true;
    case PROTO_UINT64:
    case PROTO_FIXED64:
        put_unsigned(out, number);
        return true;
    default:
        put_long(out, plain);
        return true;
    }
    return proto_fail(to, "a number that its type can't have", field, NULL);
}

/* A value that is not there has a zeroed cell, and is its type's default. */
static bool put_value(struct transcript *to, const struct proto_field *field,
                      const struct cell *cell)
{
    struct buffer *out = &to->room->out;
    char byte = cell->number != 0;
    switch ((enum proto_kind) field->kind) {
    case PROTO_BOOL:
        buffer_add(out, &byte, 1);
        return true;
    case PROTO_FLOAT: /* little-endian in both, as here */
        buffer_add(out, &cell->number, 4);
        return true;
    case PROTO_DOUBLE:
        buffer_add(out, &cell->number, 8);
        return true;
    case PROTO_STRING:
    case PROTO_BYTES:
        put_bytes(out, cell->at ? (const char *) cell->at : "", cell->length);
        return true;
    case PROTO_ENUM:
        return put_symbol(to, field, cell);
    case PROTO_MESSAGE:
    case PROTO_WRAPPER:
        return put_message(to, field->message, proto_span_of(cell));
    case PROTO_MOMENT:
    case PROTO_MOMENT_MS:
        return put_moment(to, field, proto_span_of(cell));
    case PROTO_DATE:
        return put_date(to, field, proto_span_of(cell));
    case PROTO_CLOCK_NS:
    case PROTO_CLOCK_MS:
        return put_clock(to, field, proto_span_of(cell));
    case PROTO_DECIMAL:
        return put_decimal(to, field, proto_span_of(cell));
    default:
        return put_integer(to, field, cell);
    }
}

/* The key and the value of a map's item, which is a message of its own. */
static bool put_pair(struct transcript *to, const struct proto_field *field,
                     const struct cell *cell)
{
    size_t place, mark = to->room->cells.length;
    const struct proto_message *pair = field->message;
    if (!proto_note_fields(to, pair, proto_span_of(cell), &place))
        return false;
    for (uint32_t i = 0; i < pair->count; i++) {
        struct cell part = *proto_cell_at(to, place + i);
        if (!put_value(to, &pair->fields[i], &part))
            return false;
    }
    to->room->cells.length = mark;
    return true;
}

static bool put_packed(struct transcript *to, const struct proto_field *field,
                       const struct cell *item)
{
    struct span packed = proto_span_of(item);
    while (packed.at < packed.end) {
        struct cell one = {0};
        const unsigned char *start = packed.at;
        if (!proto_take_wire(&packed, proto_wire_of(field), &one))
            return proto_fail(to, "packed values of which the last one ends in its middle", field,
                              start);
        put_long(&to->room->out, 1);
        if (!put_value(to, field, &one))
            return false;
    }
    return true;
}

static bool put_item(struct transcript *to, const struct proto_field *field,
                     const struct cell *item)
{
    if (item->wire != proto_wire_of(field))
        return put_packed(to, field, item);
    put_long(&to->room->out, 1);
    return field->map ? put_pair(to, field, item) : put_value(to, field, item);
}

/* Each item is a block of one. */
static bool put_items(struct transcript *to, const struct proto_field *field, struct cell item)
{
    for (bool more = item.there; more;) {
        if (!put_item(to, field, &item))
            return false;
        more = item.next != 0;
        if (more)
            item = *proto_cell_at(to, item.next);
    }
    put_long(&to->room->out, 0);
    return true;
}

static bool put_field(struct transcript *to, const struct proto_field *field, struct cell cell)
{
    if (field->repeated)
        return put_items(to, field, cell);
    if (field->required && !cell.there)
        return proto_fail(to, "a required field that is not there", field, NULL);
    if (field->nullable)
        put_long(&to->room->out, cell.there);
    return (field->nullable && !cell.there) || put_value(to, field, &cell);
}

static bool put_message(struct transcript *to, const struct proto_message *message,
                        struct span body)
{
    size_t place, mark = to->room->cells.length;
    if (!proto_note_fields(to, message, body, &place))
        return false;
    for (uint32_t i = 0; i < message->count; i++) {
        if (!put_field(to, &message->fields[i], *proto_cell_at(to, place + i)))
            return false;
        if (to->room->out.length > to->most)
            return proto_fail(to, "it says far more values than it has bytes", &message->fields[i],
                        body.at);
    }
    to->room->cells.length = mark; /* cells are copied before they are used: they may move */
    return true;
}

/* What a large record needed is not kept. */
static void start_buffer(struct buffer *buffer)
{
    if (buffer->capacity > KEEP_BYTES) {
        buffer_done(buffer);
        buffer_init(buffer);
    }
    buffer_reset(buffer);
}

bool proto_record_read(struct proto_room *room, const struct proto_root *root, const char *bytes,
                       size_t length, struct proto_problem *problem)
{
    const unsigned char *at = (const unsigned char *) bytes;
    struct transcript to = {.room = room,
                            .problem = problem,
                            .end = at + length,
                            .most = OUT_BYTES_MIN + OUT_TIMES * length};
    start_buffer(&room->out);
    start_buffer(&room->cells);
    if (!put_message(&to, root->message, (struct span){at, at + length}))
        return false;
    return !room->out.failed || proto_no_memory(&to);
}

size_t proto_path_read(const char **bytes, size_t *length, uint32_t path[PROTO_PATH_MAX])
{
    struct span from = {(const unsigned char *) *bytes, (const unsigned char *) *bytes + *length};
    uint64_t count, index;
    if (!proto_take_varint(&from, &count) || count & 1 || count / 2 > PROTO_PATH_MAX)
        return 0;
    count /= 2; /* both are zigzag */
    path[0] = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (!proto_take_varint(&from, &index) || index & 1 || index / 2 > INT32_MAX)
            return 0;
        path[i] = (uint32_t) (index / 2);
    }
    *bytes = (const char *) from.at;
    *length = (size_t) (from.end - from.at);
    return count ? (size_t) count : 1;
}