/* A column's value as the message carried it, and the column's meaning.
 *
 * A value says how it is written (its kind), its column says what it means (its semantic type).
 * The pair is converted once, by the sink, into what the target's column takes. Bytes behind a
 * value lie in the Kafka message or in the batch's arena and die at batch_reset().
 */
#ifndef ODS_VALUE_H
#define ODS_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum value_kind {
    VALUE_ABSENT = 0, /* not carried (an unchanged TOAST value): never written, not NULL */
    VALUE_NULL,
    VALUE_BOOL,   /* integer is 0 or 1 */
    VALUE_INT,    /* integer */
    VALUE_DOUBLE, /* real; formats with binary floats (Avro). JSON keeps VALUE_NUMBER */
    VALUE_NUMBER, /* bytes: a JSON number's own characters, for what int64 can't hold exactly; also
                     the bare or quoted words NaN, Infinity, -Infinity of a float column */
    VALUE_TEXT,   /* bytes: UTF-8, unescaped */
    VALUE_BYTES,  /* bytes: raw, base64 already undone */
    VALUE_JSON,   /* bytes: the JSON text of a struct, array or map */
};

struct value {
    uint8_t kind;    /* enum value_kind */
    uint32_t length; /* bytes behind `bytes` */
    union {
        int64_t integer;
        double real;
        const char *bytes; /* not terminated */
    };
};

/* What a column means. Sources: Kafka Connect's org.apache.kafka.connect.data logical types and
 * Debezium's io.debezium.data/time types (documentation of the MySQL and PostgreSQL connectors). */
enum semantic {
    SEM_UNKNOWN = 0, /* the record has no schema: the target's column decides */
    SEM_BOOLEAN,
    SEM_INT8,
    SEM_INT16,
    SEM_INT32,
    SEM_INT64,
    SEM_FLOAT32,
    SEM_FLOAT64,
    SEM_STRING,
    SEM_BYTES,
    SEM_DECIMAL,          /* BYTES: big-endian two's complement, times 10^-scale */
    SEM_VARIABLE_DECIMAL, /* JSON {"scale":n,"value":base64} */
    SEM_DATE,             /* days since 1970-01-01 */
    SEM_TIME_MS,          /* since midnight; negative or beyond 24 h for MySQL */
    SEM_TIME_US,
    SEM_TIME_NS,
    SEM_TIMESTAMP_MS, /* since 1970-01-01 00:00:00, zoneless */
    SEM_TIMESTAMP_US,
    SEM_TIMESTAMP_NS,
    SEM_ZONED_TIMESTAMP, /* TEXT, ISO 8601 with offset */
    SEM_ZONED_TIME,
    SEM_ISO_DATE, /* TEXT, ISO 8601, zone to be ignored */
    SEM_ISO_TIME,
    SEM_ISO_TIMESTAMP,
    SEM_DURATION_US, /* io.debezium.time.MicroDuration */
    SEM_DURATION_NS,
    SEM_INTERVAL, /* TEXT, ISO 8601 duration */
    SEM_YEAR,
    SEM_BITS, /* BYTES, little-endian; length in bits */
    SEM_JSON,
    SEM_XML,
    SEM_UUID,
    SEM_ENUM,
    SEM_ENUM_SET,
    SEM_LTREE,
    SEM_TSVECTOR,
    SEM_POINT,    /* JSON {x,y,wkb,srid} */
    SEM_GEOMETRY, /* JSON {wkb,srid,extensions} */
    SEM_GEOGRAPHY,
    SEM_CIRCLE,          /* JSON {x,y,wkb,srid,radius} */
    SEM_LINE,            /* JSON {a,b,c} */
    SEM_VECTOR,          /* JSON array of numbers */
    SEM_SPARSE_VECTOR,   /* JSON {dimensions, vector} */
    SEM_STRUCTURED_DATE, /* JSON objects of their parts */
    SEM_STRUCTURED_TIMESTAMP,
    SEM_STRUCTURED_ZONED_TIMESTAMP,
    SEM_STRUCTURED_TIME,
    SEM_STRUCTURED_ZONED_TIME,
    SEM_STRUCTURED_DURATION,
    SEM_ARRAY,  /* JSON; the elements' meaning in column.element */
    SEM_MAP,    /* JSON object or array of pairs */
    SEM_STRUCT, /* JSON object */
    SEM_COUNT
};

/* One column of a shape. Owned by the shape; immutable once the shape is interned. */
struct column {
    const char *name; /* terminated */
    uint32_t name_length;
    enum semantic type;
    int32_t length; /* characters, bits or precision where the source says it, else -1 */
    int32_t scale;  /* decimals: digits after the point, may be negative; timestamps: fractional
                       digits; else INT32_MIN */
    bool optional;  /* NULL is allowed by the source */
    const char *source_type;      /* the source's own type name where known, else NULL */
    const char *default_json;     /* the schema's default, as JSON; NULL: none, or null */
    const char *allowed;          /* enum labels, comma-separated as Debezium sends them, or NULL */
    const struct column *element; /* SEM_ARRAY, SEM_MAP: what its elements or values are, or NULL */
    const struct column *fields;  /* SEM_STRUCT: what its members are, else NULL */
    uint32_t field_count;
};

const char *semantic_name(enum semantic type);

/* Whether both are of one kind and hold the same bytes: 1 and 1.0 are not the same. */
bool value_same(const struct value *a, const struct value *b);

#ifdef __cplusplus
}
#endif

#endif
