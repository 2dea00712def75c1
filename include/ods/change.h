/* A row change, in the same form whatever format and source it came from. */
#ifndef ODS_CHANGE_H
#define ODS_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/value.h>

/* A table as one version of a record's schema describes it. Interned (shape.h): two changes
 * with the same columns, types and key of the same table share one pointer, so a sink compiles its
 * plan once per pointer. Immutable; lives as long as its lane. */
struct shape {
    uint32_t id;          /* dense, from 0, in the order of first sight */
    const char *topic;    /* where it was first seen */
    const char *database; /* "" where the source has none */
    const char *schema;   /* "" where the source has none (MySQL) */
    const char *table;
    const char *connector; /* "mysql", "postgresql", … or "" when the record does not say */
    bool typed;            /* a schema came with the record: column types are known */
    bool literal;          /* values stand in the record as they read: JSON as itself, decimals and
                              bits as numbers, sets as arrays; only bytes are coded, in base64 */
    bool scattered;        /* a changed key is told in one record, in the new key's partition: its
                              changes are not ordered against the old key's by their partition */
    uint32_t column_count;
    const struct column *columns;
    uint32_t key_count;  /* 0: the table has no key */
    const uint32_t *key; /* indexes into columns, in key order */
};

enum change_op {
    OP_CREATE = 'c',
    OP_READ = 'r', /* snapshot */
    OP_UPDATE = 'u',
    OP_DELETE = 'd',
    OP_TRUNCATE = 't',
};

/* One change. Arrays have shape->column_count values. */
struct change {
    enum change_op op;
    bool tombstone;  /* a delete known from a null value alone: only the key is there */
    bool derived;    /* a tombstone's table is only what its topic or its key's schema is named
                        after: where the target has none of that name, it is another one */
    bool rejected;   /* set aside: a sink passes over it */
    bool moved;      /* half of a changed key, of a scattered shape */
    bool repeats;    /* an update with a large value that stands in its before image as well */
    uint32_t record; /* index of its record in the batch */
    const struct shape *shape;
    const struct value *before; /* NULL when not carried or not asked for */
    const struct value *after;  /* NULL for deletes and truncates */
    int64_t source_us; /* source's time, microseconds since 1970 UTC; INT64_MIN when unknown */
    int64_t sequence; /* of a scattered shape: the order at the source of changes whose records have
                         the same time; 0 when unknown */
};

#endif
