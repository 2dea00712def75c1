/* A Protobuf schema: how its records are read, and what they are in Avro.
 *
 * libprotobuf parses and checks the texts, in proto_schema.cc, the only file that is C++; what it
 * finds is copied into the trees below, and nothing of it stays. No exception leaves that file. The
 * message's columns and their meaning are said by an Avro schema, so that they are those of the
 * same row in Avro and in JSON by the same code; proto_record.h brings a record's bytes into that
 * form. Not on the hot path: a schema is parsed when its id is first seen. One thread.
 *
 * Formats: Protobuf's language guides (proto2, proto3) and "Encoding"; Confluent's
 * ProtobufConverter (ProtobufData) for what Connect's types are written as: google.protobuf's
 * wrappers and Timestamp, google.type.Date and TimeOfDay, confluent.type.Decimal, and the options
 * confluent.field_meta with the parameters precision, scale and connect.type.
 */
#ifndef PROTO_SCHEMA_H
#define PROTO_SCHEMA_H

#ifdef __cplusplus
extern "C" {
#endif

#include <ods/buffer.h>
#include <ods/status.h>

#include "core/blocks.h"

#define PROTO_SCHEMA_BYTES_MAX ((size_t) 1024 * 1024) /* with its imports */
#define PROTO_PATH_MAX         16                     /* messages within messages */

/* How a field's bytes are written, and what becomes of them. */
enum proto_kind {
    PROTO_INT32,  /* and so on: the types of the language */
    PROTO_INT64,
    PROTO_UINT32,
    PROTO_UINT64,
    PROTO_SINT32,
    PROTO_SINT64,
    PROTO_FIXED32,
    PROTO_FIXED64,
    PROTO_SFIXED32,
    PROTO_SFIXED64,
    PROTO_BOOL,
    PROTO_FLOAT,
    PROTO_DOUBLE,
    PROTO_STRING,
    PROTO_BYTES,
    PROTO_ENUM,
    PROTO_MESSAGE,
    PROTO_WRAPPER,   /* a message whose one field is the value */
    PROTO_MOMENT,    /* google.protobuf.Timestamp: a text with zone */
    PROTO_MOMENT_MS, /* the same, as Connect's Timestamp: milliseconds */
    PROTO_DATE,      /* google.type.Date: days */
    PROTO_CLOCK_NS,  /* google.type.TimeOfDay */
    PROTO_CLOCK_MS,  /* the same, as Connect's Time */
    PROTO_DECIMAL,   /* confluent.type.Decimal, of the scale that the field's options say */
};

struct proto_symbol {
    int32_t number;
    uint32_t index; /* in the Avro enum */
};

struct proto_enum {
    const char *name;
    struct proto_symbol *symbols; /* by number */
    uint32_t count;
};

struct proto_message;

struct proto_field {
    uint32_t number;
    uint8_t kind; /* enum proto_kind */
    bool repeated;
    bool nullable; /* that it is not there can be told */
    bool required;
    bool map; /* repeated; the items are pairs, and its keys are texts */
    int32_t scale;
    const char *name;
    const struct proto_message *message; /* of messages, wrappers and the special ones */
    const struct proto_enum *symbols;
};

struct proto_message {
    const char *name;
    struct proto_field *fields; /* in the order of the schema */
    uint32_t *by_number;        /* their indexes, by number */
    uint32_t count;
};

/* What a record of the schema is: a message, or a single value in its wrapper. */
struct proto_root {
    const struct proto_message *message;
    bool single;    /* it is a wrapper */
    bool forgetful; /* nothing in a row tells NULL from 0 and from an empty text */
};

struct proto_text {
    const char *name; /* by which others import it; "": its own is not known */
    const char *bytes;
    size_t length;
};

/* Parse texts[count - 1], each after what it imports, and append the Avro schema of the message at
 * `path`: its index among the file's messages, then among those within it. `connect`: Kafka Connect
 * writes its records, if its name is one of Debezium's. Trees are of `blocks`. ODS_REJECT: it is no
 * Protobuf schema, or can't be used; the error says why. */
enum ods_status proto_schema_parse(const struct proto_text *texts, size_t count,
                                   const uint32_t *path, size_t path_length, bool connect,
                                   struct blocks *blocks, struct proto_root *root,
                                   struct buffer *avro, struct error *error);

#ifdef __cplusplus
}
#endif

#endif
