/* The Maxwell decoder's own parts, shared by maxwell*.c only.
 *
 * Memory: tables with the layouts of their rows are kept by name, and all dropped together when
 * they pass a ceiling, then learned again. Shapes live as long as the decoder. One thread: the
 * lane's consumer.
 */
#ifndef MAXWELL_H
#define MAXWELL_H

#include <ods/format.h>

#include "core/blocks.h"
#include "core/hash_index.h"
#include "core/json_scan.h"
#include <ods/shape.h>
#include "format/layout.h"
#include "format/schema_topic.h"

/* Columns of a key as a record names them, in its order. */
struct maxwell_key {
    struct slice *names;
    uint32_t count, capacity;
};

/* Rows of one table that have the same members, in the same order. */
struct maxwell_rows {
    struct blocks blocks;
    struct layout layout;
    /* What they were bound to by the last record. */
    const struct shape *shape;            /* NULL: none yet */
    const struct source_version *version; /* of the schema topic; NULL: the table is not in it */
    char *key_names;                      /* each one terminated; NULL: not bound yet */
    size_t key_bytes;
    uint32_t key_count;
    uint32_t *identifying; /* the columns that identify a row: the configured key, else the
                              record's */
    uint32_t identifying_count;
    struct maxwell_rows *next; /* less recently used */
};

struct maxwell_table {
    char *database, *name;
    size_t database_length, name_length;
    struct maxwell_rows *rows; /* most recently used first */
    uint32_t rows_count;
};

struct maxwell {
    struct decoder decoder;
    const struct pipeline_settings *pipeline; /* NULL: none */
    bool want_before, want_position;
    struct shape_table *shapes;
    struct schema_topic schema;
    struct hash_index tables; /* of struct maxwell_table, by database and name */
    struct maxwell_table *last;
    size_t bytes; /* of tables and their rows */
};

/* The state of decoding one record. */
struct maxwell_reading {
    struct maxwell *self;
    struct batch *batch;
    uint32_t index;
    const struct record *record;
    struct error *error;
    struct layout_reader reader;
};

enum ods_status maxwell_no_memory(struct maxwell_reading *reading);

/* The table of this name; NULL: out of memory. Good until maxwell_trim(). */
struct maxwell_table *maxwell_table_find(struct maxwell *self, struct slice database,
                                         struct slice name);
/* The rows that have the members of the object at the cursor, which does not move. NULL:
 * scan->problem says why. */
struct maxwell_rows *maxwell_rows_find(struct maxwell_reading *reading, struct maxwell_table *table,
                                       struct json_scan *scan);
/* Make rows->shape the shape of this table with this key, as it was at that time. */
enum ods_status maxwell_bind(struct maxwell_reading *reading, const struct maxwell_table *table,
                             struct maxwell_rows *rows, const struct maxwell_key *key,
                             int64_t source_us);
void maxwell_trim(struct maxwell *self); /* call between records only */
void maxwell_tables_free(struct maxwell *self);

/* --- maxwell_key.c --- */

/* The key's columns, by the record's key, or by the value's primary_key_columns (`columns`: the
 * JSON there, NULL: none) where it has no key. None: the table has no key. ODS_REJECT: it is a key
 * of another kind. */
enum ods_status maxwell_key_read(struct maxwell_reading *reading, struct slice columns,
                                 struct maxwell_key *key);

#endif
