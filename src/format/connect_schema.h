/* Kafka Connect's schema, as JsonConverter writes it beside a payload, read into columns.
 *
 * Sources: Kafka Connect's JsonConverter (type, optional, name, parameters, default, field, fields,
 * items); Debezium's documentation of semantic types. A schema is parsed once and kept.
 */
#ifndef CONNECT_SCHEMA_H
#define CONNECT_SCHEMA_H

#include <ods/status.h>
#include <ods/value.h>

#include "core/blocks.h"

/* Objects with more members are refused; no table has as many columns. */
#define CONNECT_FIELDS_MAX 100000

/* How a column's values are written in JSON. */
enum wire {
    WIRE_ANY = 0, /* no schema: whatever is there */
    WIRE_BOOLEAN,
    WIRE_INTEGER,
    WIRE_FLOAT, /* a number, or NaN, Infinity, -Infinity, bare or quoted */
    WIRE_STRING,
    WIRE_BYTES,  /* base64 */
    WIRE_NUMBER, /* a Decimal: base64, or a number or string by decimal.format */
    WIRE_NESTED, /* struct, array, map */
};

/* What a record with this schema is. */
enum schema_kind {
    SCHEMA_ROW,        /* fields are columns: flattened, or a key */
    SCHEMA_ENVELOPE,   /* before, after, source, op: columns are the images' */
    SCHEMA_EVENT_DATA, /* before, after: of a CloudEvent; columns are the images' */
    SCHEMA_DOCUMENT,   /* MongoDB's envelope: its images are text */
    SCHEMA_MESSAGE,
    SCHEMA_SCHEMA_CHANGE,
    SCHEMA_TRANSACTION,
    SCHEMA_HEARTBEAT,
};

struct connect_schema {
    enum schema_kind kind;
    const char *name; /* "" where it has none */
    struct column *columns;
    enum wire *wires; /* one a column */
    uint32_t column_count;
};

/* Memory comes from `blocks`. rows_only: all fields are columns, whatever their names are.
 * ODS_REJECT: it is no struct schema, or one that can't be used. */
enum ods_status connect_schema_parse(struct connect_schema *schema, struct blocks *blocks,
                                     const char *text, size_t length, bool rows_only,
                                     struct error *error);

#endif
