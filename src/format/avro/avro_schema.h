/* An Avro schema, parsed: a tree of types in which a named type is one node, however often it is
 * used.
 *
 * Format: the Avro specification 1.12, "Schema Declaration". The JSON is read by yyjson and the
 * tree built here, not by libavro, whose parser calls itself for every level of what it is given,
 * knows neither references to schemas of other subjects nor the members beside Avro's own in which
 * Kafka Connect's converters keep their types (connect.name), and has no limit for either. What is
 * accepted is bounded here instead: the text, its depth, the types, and how many values one record
 * may have that take no byte. Not on the hot path: a schema is parsed when its id is first seen.
 * One thread.
 */
#ifndef AVRO_SCHEMA_H
#define AVRO_SCHEMA_H

#include <ods/status.h>
#include <ods/buffer.h>

#include "core/blocks.h"
#include "core/hash_index.h"
#include "core/json_scan.h"
#include "core/utf8.h"

struct yyjson_doc;
struct yyjson_val;

#define AVRO_SCHEMA_BYTES_MAX ((size_t) 1024 * 1024) /* with its references */
#define AVRO_DEPTH_MAX        64                     /* types within types, after all references */

enum avro_kind {
    AVRO_NULL,
    AVRO_BOOLEAN,
    AVRO_INT,
    AVRO_LONG,
    AVRO_FLOAT,
    AVRO_DOUBLE,
    AVRO_BYTES,
    AVRO_STRING,
    AVRO_FIXED,
    AVRO_ENUM,
    AVRO_RECORD,
    AVRO_ARRAY,
    AVRO_MAP,
    AVRO_UNION,
};

/* How the values of a union are shown. */
enum avro_union {
    UNION_ONE,     /* one branch beside null */
    UNION_INTEGER, /* int and long */
    UNION_REAL,    /* these and float and double */
    UNION_TEXT,    /* string and enums */
    UNION_STRUCT,  /* an object with one member, named after the branch, as Connect's */
};

/* What a fixed or bytes value is, where it is more than bytes. */
enum avro_special { SPECIAL_NONE, SPECIAL_UUID, SPECIAL_DURATION };

struct avro_type;

struct avro_field {
    const char *name;
    const struct avro_type *type;
    struct yyjson_val *json; /* as long as the schema's texts are there */
};

struct avro_type {
    enum avro_kind kind;
    enum avro_special special;
    enum avro_union shown;   /* of a union */
    bool open;               /* a record that is being read: inside itself it is recursive */
    bool entries;            /* an array of pairs: a map whose keys are not plain strings */
    const char *name;        /* a named type's full name, else the kind's */
    struct yyjson_val *json; /* its object; NULL: only its name stands there */
    uint32_t count;          /* of fields, branches or symbols */
    struct avro_field *fields;
    const struct avro_type **branches;
    const char **symbols;
    const struct avro_type *items; /* of an array or a map */
    uint32_t size;                 /* of a fixed */
    int32_t null_branch;           /* of a union, -1: it has none */
    const struct avro_type *other; /* UNION_ONE: the branch that is not null; NULL: only null */
    /* What a value of it amounts to, all references followed. */
    uint32_t depth;
    uint64_t least; /* bytes */
    uint64_t idle;  /* values within that take no byte */
};

struct avro_schema {
    struct blocks blocks;
    const struct avro_type *root;
    struct hash_index names; /* of struct avro_type, by full name */
    struct yyjson_doc **docs;
    size_t doc_count, type_count;
};

/* Parse texts[count - 1], which may use the names that the texts before it define. A zeroed schema.
 * ODS_REJECT: it is not an Avro schema, or can't be used; the error says why. After any
 * answer avro_schema_done(). */
enum ods_status avro_schema_parse(struct avro_schema *schema, const struct slice *texts,
                                  size_t count, struct error *error);
/* Lets go of the texts, which only avro_connect_schema() needs. */
void avro_schema_forget_texts(struct avro_schema *schema);
void avro_schema_done(struct avro_schema *schema); /* also for a zeroed one */

/* --- avro_connect.c --- */

/* Append the schema that Kafka Connect has for this type, as JsonConverter would write it: so a
 * record has the columns, types and kind in Avro that it has in JSON. */
enum ods_status avro_connect_schema(const struct avro_type *type, struct buffer *out,
                                    struct error *error);

/* --- avro_json.c --- */

/* The bytes of a record, read from the front. */
struct avro_scan {
    const unsigned char *at, *end;
    const char *problem; /* static text, NULL while all is well */
};

/* Always false. Here, so that a compiler sees that nothing is read of what a failure leaves unset.
 */
static inline bool avro_fail(struct avro_scan *scan, const char *problem)
{
    if (!scan->problem)
        scan->problem = problem;
    return false;
}

/* Move past a value. */
bool avro_skip(struct avro_scan *scan, const struct avro_type *type);
/* Append a value as JsonConverter writes it: bytes as base64, records and maps as objects. */
bool avro_json(struct avro_scan *scan, const struct avro_type *type, struct buffer *out);

/* The text of a fixed that is a UUID or a duration. */
#define AVRO_SPECIAL_BYTES 64
void avro_special_text(const struct avro_type *type, const unsigned char *bytes, char *text);

bool avro_long_slow(struct avro_scan *scan, int64_t *number);

static inline bool avro_long(struct avro_scan *scan, int64_t *number)
{
    if (scan->at < scan->end && *scan->at < 0x80) {
        unsigned byte = *scan->at++;
        *number = (int64_t) (byte >> 1) ^ -(int64_t) (byte & 1);
        return true;
    }
    return avro_long_slow(scan, number);
}

static inline bool avro_int(struct avro_scan *scan, int64_t *number)
{
    return avro_long(scan, number) &&
           ((*number >= INT32_MIN && *number <= INT32_MAX) ||
            avro_fail(scan, "an int that is out of range"));
}

/* A length and as many bytes, which stay where they are. */
static inline bool avro_bytes(struct avro_scan *scan, const char **bytes, size_t *length)
{
    int64_t number;
    if (!avro_long(scan, &number))
        return false;
    if (number < 0 || number > scan->end - scan->at) {
        avro_fail(scan, "a length that is below zero or beyond the record's end");
        return false; /* what avro_fail() answers, which clang's analyzer does not follow so deep */
    }
    *bytes = (const char *) scan->at;
    *length = (size_t) number;
    scan->at += number;
    return true;
}

/* A string; most are plain ASCII, which eight bytes at a time tell. */
static inline bool avro_text(struct avro_scan *scan, const char **text, size_t *length)
{
    uint64_t word, all = 0;
    size_t at = 0;
    if (!avro_bytes(scan, text, length))
        return false;
    for (; at + 8 <= *length; at += 8) {
        memcpy(&word, *text + at, 8);
        all |= word;
    }
    for (; at < *length; at++)
        all |= (uint64_t) (unsigned char) (*text)[at];
    return !(all & UINT64_C(0x8080808080808080)) || utf8_valid(*text, *length) ||
           avro_fail(scan, "a string that is not UTF-8");
}

/* The index of a branch in a union of two, one of which is null. */
static inline bool avro_branch(struct avro_scan *scan, unsigned null_branch, bool *null)
{
    int64_t index;
    if (!avro_long(scan, &index))
        return false;
    *null = index == (int64_t) null_branch;
    return (index & ~INT64_C(1)) == 0 ||
           avro_fail(scan, "a union's branch that its schema does not have");
}

#endif
