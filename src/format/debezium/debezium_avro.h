/* How the records of one Avro schema are read; shared by debezium_avro*.c only. A record in
 * Protobuf is read by the Avro schema of its message, into whose form it is brought first. */
#ifndef DEBEZIUM_AVRO_H
#define DEBEZIUM_AVRO_H

#include "format/avro/avro_row.h"
#include "format/debezium/debezium.h"
#include "format/protobuf/proto_record.h"

/* The members of an envelope and of its source that are used. */
enum avro_member_use {
    USE_NOTHING,
    USE_TS_US,
    USE_TS_NS,
    USE_TS_MS,
    USE_BEFORE,
    USE_AFTER,
    USE_SOURCE,
    USE_OP,
    USE_DATABASE,
    USE_SCHEMA,
    USE_TABLE,
    USE_CONNECTOR,
    USE_TRANSACTION,
    USE_PLACE, /* the change's position in the source's log, or its transaction */
};

struct avro_member {
    uint8_t use;
    uint8_t branch; /* as in struct avro_step */
    uint8_t place;  /* of USE_PLACE: in struct source_position */
    const struct avro_type *type;
};

struct avro_members {
    struct avro_member *items;
    uint32_t count;
};

struct avro_plan {
    struct schema_ref ref;
    struct proto_root *protobuf; /* NULL: its records are in Avro */
    uint32_t path[PROTO_PATH_MAX]; /* of a Protobuf schema's message */
    size_t path_length;
    char *refusal; /* the schema can't be used: why; NULL: it can */
    struct avro_schema schema;
    char *scalar; /* a key that is no record: its type as Connect writes it; else NULL */
    struct avro_row row; /* of a key, a flattened row or the images */
    struct avro_members envelope, source, transaction;
};

/* --- debezium_avro_plan.c --- */

/* Where the bytes of a key or a value begin, and by which schema they are written. */
struct avro_source {
    const char *bytes; /* NULL: they are not Avro's, or name no schema */
    size_t length;
    struct schema_ref ref;
    bool json; /* a header says that they are JSON */
    struct slice path; /* of a message in Protobuf, where a header has it; NULL: it does not */
};

struct avro_source avro_find_source(struct reading *reading, bool is_key);
/* The plan of the source's schema; of one in Protobuf the source moves to the message and the
 * message into its form in Avro. NULL: see *status and the error. */
struct plan *avro_plan_of(struct reading *reading, struct avro_source *source, bool is_key,
                          enum ods_status *status);
/* "Avro", or what else the pipeline's format reads. */
const char *avro_language(const struct reading *reading);

#endif
