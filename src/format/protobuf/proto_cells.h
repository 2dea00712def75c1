/* Where the values of a message are. Its fields stand in any order, and may be missing or repeated:
 * each gets a cell, in the schema's order. Wire format: protobuf.dev, "Encoding". */
#ifndef PROTO_CELLS_H
#define PROTO_CELLS_H

#include "format/protobuf/proto_record.h"

enum wire_type { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_START, WIRE_END, WIRE_32 };

struct span {
    const unsigned char *at, *end;
};

/* A field's value: a number, or bytes (several packed numbers too). Of a repeated field each has
 * the place of the next. */
struct cell {
    union {
        uint64_t number;
        const unsigned char *at;
    };
    uint32_t length;
    uint32_t next; /* 0: there is none */
    uint32_t last; /* of the first one: the place of the last */
    uint8_t wire;  /* enum wire_type */
    bool there;
};

/* A record on its way. */
struct transcript {
    struct proto_room *room;
    struct proto_problem *problem;
    const unsigned char *end;
    size_t most; /* bytes in Avro */
};

/* Cells move when others are added: what one holds is copied before. */
static inline struct cell *proto_cell_at(const struct transcript *to, size_t place)
{
    return (struct cell *) (void *) to->room->cells.bytes + place;
}

static inline struct span proto_span_of(const struct cell *cell)
{
    return (struct span){cell->at, cell->length ? cell->at + cell->length : cell->at};
}

bool proto_take_varint(struct span *from, uint64_t *number);

/* A value of this wire type. False: the bytes end before, or it is a group. */
bool proto_take_wire(struct span *from, enum wire_type wire, struct cell *cell);

enum wire_type proto_wire_of(const struct proto_field *field);

/* Finds the fields of a message, whose cells are at *place, in the schema's order, from there on;
 * the caller gives the room back by cells.length. False: *to->problem says why. */
bool proto_note_fields(struct transcript *to, const struct proto_message *message, struct span body,
                       size_t *place);

/* False, with the problem said; `at` NULL: nowhere. */
bool proto_fail(struct transcript *to, const char *what, const struct proto_field *field,
                const unsigned char *at);
bool proto_no_memory(struct transcript *to);

#endif
