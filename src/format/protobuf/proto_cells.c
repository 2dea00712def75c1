/* See proto_cells.h. */
#include "format/protobuf/proto_cells.h"

#include <assert.h>
#include <string.h>

static_assert(sizeof(struct cell) == 24, "there is one for each value of a record");

bool proto_fail(struct transcript *to, const char *what, const struct proto_field *field,
                const unsigned char *at)
{
    *to->problem = (struct proto_problem){what, field ? field->name : "",
                                          at ? (size_t) (to->end - at) : 0, false};
    return false;
}

bool proto_no_memory(struct transcript *to)
{
    proto_fail(to, "memory is out", NULL, NULL);
    to->problem->out_of_memory = true;
    return false;
}

/* --- bytes --- */

bool proto_take_varint(struct span *from, uint64_t *number)
{
    *number = 0;
    for (unsigned shift = 0; shift < 64 && from->at < from->end; shift += 7) {
        unsigned char byte = *from->at++;
        if (shift == 63 && byte > 1)
            return false;
        *number |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

static bool take_fixed(struct span *from, size_t count, uint64_t *number)
{
    if ((size_t) (from->end - from->at) < count)
        return false;
    *number = 0;
    for (size_t i = 0; i < count; i++)
        *number |= (uint64_t) from->at[i] << (8 * i);
    from->at += count;
    return true;
}

bool proto_take_wire(struct span *from, enum wire_type wire, struct cell *cell)
{
    uint64_t length;
    cell->wire = (uint8_t) wire;
    switch (wire) {
    case WIRE_VARINT:
        return proto_take_varint(from, &cell->number);
    case WIRE_64:
        return take_fixed(from, 8, &cell->number);
    case WIRE_32:
        return take_fixed(from, 4, &cell->number);
    case WIRE_BYTES:
        if (!proto_take_varint(from, &length) || length > (uint64_t) (from->end - from->at))
            return false;
        cell->at = from->at;
        cell->length = (uint32_t) length;
        from->at += length;
        return true;
    case WIRE_START:
    case WIRE_END:
        break;
    }
    return false;
}

/* --- the fields of a message --- */

static const struct proto_field *field_of(const struct proto_message *message, uint64_t number,
                                          uint32_t *hint)
{
    uint32_t low = 0, high = message->count;
    if (*hint < message->count && message->fields[message->by_number[*hint]].number == number)
        return &message->fields[message->by_number[(*hint)++]];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct proto_field *field = &message->fields[message->by_number[middle]];
        if (field->number == number) {
            *hint = field->repeated ? middle : middle + 1;
            return field;
        }
        if (field->number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

enum wire_type proto_wire_of(const struct proto_field *field)
{
    switch ((enum proto_kind) field->kind) {
    case PROTO_FIXED32:
    case PROTO_SFIXED32:
    case PROTO_FLOAT:
        return WIRE_32;
    case PROTO_FIXED64:
    case PROTO_SFIXED64:
    case PROTO_DOUBLE:
        return WIRE_64;
    default:
        return field->kind >= PROTO_STRING && field->kind != PROTO_ENUM ? WIRE_BYTES : WIRE_VARINT;
    }
}

static bool add_cells(struct transcript *to, size_t count, size_t *place)
{
    struct buffer *cells = &to->room->cells;
    *place = cells->length / sizeof(struct cell);
    if (*place + count > UINT32_MAX)
        return proto_fail(to, "more values than can be counted", NULL, NULL);
    char *new = buffer_take(cells, count * sizeof(struct cell));
    if (!new)
        return proto_no_memory(to);
    memset(new, 0, count * sizeof(struct cell));
    return true;
}

/* Notes a value behind those that the field has already. Of a field that has one the last counts,
 * but messages would have to be merged. */
static bool note_cell(struct transcript *to, const struct proto_field *field, size_t place,
                      const struct cell *value)
{
    struct cell *first = proto_cell_at(to, place);
    if (!field->repeated && first->there && field->kind >= PROTO_MESSAGE)
        return proto_fail(to, "a message that stands there twice", field, value->at);
    if (!field->repeated || !first->there) {
        *first = *value;
        first->there = true;
        first->next = first->last = 0;
        return true;
    }
    size_t next;
    if (!add_cells(to, 1, &next))
        return false;
    *proto_cell_at(to, next) = *value;
    first = proto_cell_at(to, place);
    proto_cell_at(to, first->last ? first->last : place)->next = (uint32_t) next;
    first->last = (uint32_t) next;
    return true;
}

/* The numbers of a repeated field may be packed into bytes. */
static bool fits(const struct proto_field *field, const struct cell *value)
{
    enum wire_type wire = proto_wire_of(field);
    return value->wire == wire || (field->repeated && value->wire == WIRE_BYTES);
}

bool proto_note_fields(struct transcript *to, const struct proto_message *message, struct span body,
                       size_t *place)
{
    uint32_t hint = 0;
    if (!add_cells(to, message->count, place))
        return false;
    while (body.at < body.end) {
        struct cell value = {0};
        uint64_t tag;
        const unsigned char *start = body.at;
        if (!proto_take_varint(&body, &tag) || tag >> 3 == 0 || tag >> 3 > 536870911)
            return proto_fail(to, "a tag that is none", NULL, start);
        const struct proto_field *field = field_of(message, tag >> 3, &hint);
        if (!field)
            return proto_fail(to, "a field that its schema does not have", NULL, start);
        if ((tag & 7) > WIRE_32 || !proto_take_wire(&body, (enum wire_type)(tag & 7), &value))
            return proto_fail(
                to, "a value that ends beyond its message, or whose wire type is not read", field,
                start);
        if (!fits(field, &value))
            return proto_fail(to, "a value of another wire type", field, start);
        if (!note_cell(to, field, *place + (size_t) (field - message->fields), &value))
            return false;
    }
    return true;
}
