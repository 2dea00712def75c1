/* A record in Protobuf, written again in Avro by the schema that proto_schema_parse() gave, so that
 * one reader reads both. Exact: what the bytes hold that the schema does not, or a value that the
 * schema's type can't have, is refused. Bounded: by the schema's depth, and by what a record of its
 * size can say. */
#ifndef PROTO_RECORD_H
#define PROTO_RECORD_H

#include "format/protobuf/proto_schema.h"

/* Reused from record to record; zeroed at first. */
struct proto_room {
    struct buffer out;   /* the record in Avro */
    struct buffer cells; /* where the fields of the messages that are being read stand */
};

void proto_room_done(struct proto_room *room);

/* What was wrong with a record: static texts, "" where no field is named. */
struct proto_problem {
    const char *what, *field;
    size_t left; /* bytes from there to the record's end */
    bool out_of_memory;
};

/* Writes the record into room->out. False: *problem says why. */
bool proto_record_read(struct proto_room *room, const struct proto_root *root, const char *bytes,
                       size_t length, struct proto_problem *problem);

/* The indexes of the record's message at the front of *bytes, which moves behind them; their
 * number, 0: they are no indexes. */
size_t proto_path_read(const char **bytes, size_t *length, uint32_t path[PROTO_PATH_MAX]);

#endif
