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
    bool literal;          /* values are not encoded in the record: JSON is JSON, decimals and
                              bits are numbers, sets are arrays; only bytes are base64 */
    bool scattered;        /* a changed key is one record, in the new key's partition, so the
                              order within a partition does not cover the old key's changes */
    uint32_t column_count;
    const struct column *columns;
    uint32_t key_count;  /* 0: the table has no key */
    const uint32_t *key; /* indexes into columns, in key order */
    const struct shape *history_of; /* the shape whose changes are rows of this one; its columns
                                       come first here, then some of ods/history.h's. NULL: rows
                                       of this shape are the source's own */
};

/* Where the source has a change, as far as its record says so. What is not said is
 * VALUE_ABSENT. */
struct source_position {
    struct value lsn;                      /* INT: PostgreSQL */
    struct value file, pos, row, gtid;     /* TEXT, INT, INT, TEXT: MySQL's binary log */
    struct value scn;                      /* INT, or TEXT of digits: Oracle */
    struct value transaction;              /* TEXT or INT: what the source calls it */
    struct value order;                    /* INT: of the change in it */
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
    bool tombstone;  /* a delete that is known only from a null value: it has the key and no
                        other column */
    bool derived;    /* the table of a tombstone was derived from the name of its topic or of its
                        key's schema, so it may be the wrong one where the target has no such
                        table */
    bool rejected;   /* it becomes a dead letter: sinks skip it */
    bool moved;      /* the delete or the create of a changed key; only in scattered shapes */
    bool repeats;    /* an update with a large value that is the same in its before image */
    uint32_t record; /* index of its record in the batch */
    const struct shape *shape;
    const struct value *before; /* NULL when the record has none or nobody wants it */
    const struct value *after;  /* NULL for deletes and truncates */
    int64_t source_us; /* source's time, microseconds since 1970 UTC; INT64_MIN when unknown */
    const struct source_position *position; /* NULL: not told, or nobody wants it */
    int64_t sequence; /* in scattered shapes: the order at the source among changes whose records
                         have the same time; 0 when unknown */
};

#endif
