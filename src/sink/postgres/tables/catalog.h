/* What the target's tables look like, read once and kept until somebody changed them.
 *
 * Owned by one sink, entered by its writer thread.
 */
#ifndef CATALOG_H
#define CATALOG_H

#include "sink/postgres/wire/conn.h"
#include "sink/postgres/wire/oids.h"

/* Comments by which the sink knows its own: of a table that it made, of a column that it made from
 * the source's, and how that one ends, with the type that it gave it. */
#define COMMENT_TABLE  "ods-sink: "
#define COMMENT_COLUMN "ods-sink: from "
#define COMMENT_TYPE   "; type "

/* How a column's values travel: in PostgreSQL's own binary form, or, for every other type, as text
 * that the statement casts, so that PostgreSQL's input function reads it. */
enum encoding {
    ENCODE_CAST = 0,
    ENCODE_BOOL,
    ENCODE_INT2,
    ENCODE_INT4,
    ENCODE_INT8,
    ENCODE_FLOAT4,
    ENCODE_FLOAT8,
    ENCODE_NUMERIC,
    ENCODE_TEXT, /* text, varchar, char: assignment checks the length */
    ENCODE_BYTEA,
    ENCODE_DATE,
    ENCODE_TIME,
    ENCODE_TIMESTAMP,
    ENCODE_TIMESTAMPTZ,
    ENCODE_UUID,
    ENCODE_JSON,
    ENCODE_JSONB,
};

/* Which spellings of a key's value the column calls one key. */
enum spelling {
    SPELLING_ONE,    /* equal values have equal bytes */
    SPELLING_ZEROS,  /* numeric: 1.0 is 1.00 */
    SPELLING_SIGN,   /* float: -0 is 0 */
    SPELLING_BLANKS, /* char(n): padding says nothing */
    SPELLING_ASK,    /* only the target knows: citext, a collation without case, inet … */
};

struct pg_column {
    char *name;
    char *quoted;
    char *cast;     /* the type's name for a cast, without modifier */
    char *declared; /* the type with its modifier, as format_type() writes it */
    Oid type;
    Oid element_type; /* what the parameter's array holds: the type itself, or text */
    Oid array_type;
    int32_t modifier; /* -1: none */
    enum encoding encoding;
    enum spelling spelling;
    char *collation;        /* quoted; NULL: the type has none, or the database's own */
    int32_t money_digits;   /* after the point, by the server's lc_monetary */
    struct pg_column *item; /* an array's elements, for their type; NULL: no array */
    bool ours;              /* the sink made it from a column of the source */
    bool type_ours;         /* and nobody has changed its type since */
    bool not_null;
    bool has_default;
    char *default_text; /* its expression; NULL: none, or the column is generated */
    bool generated; /* never written */
    bool readable;  /* a statement of ours may look at it */
    bool identity_always;
};

struct pg_unique { /* a unique index usable by ON CONFLICT */
    bool primary;
    char *constraint; /* quoted; NULL: it is an index alone, */
    char *index;      /* with its schema */
    uint16_t count;
    uint16_t columns[32]; /* indexes into pg_table.columns */
};

/* What is relied on about the row that a change meets; see guess.h. */
enum guess { GUESS_NONE, GUESS_NEW, GUESS_THERE, GUESS_COUNT };

struct guess_record {
    uint32_t pause;      /* batches until the next try */
    uint32_t pause_last; /* how long the last pause was */
    uint32_t tries;      /* since then */
};

struct pg_table {
    char *schema, *name;
    char *quoted; /* "schema"."name" */
    bool made_by_us;
    bool is_view;  /* without unique indexes; its INSTEAD OF triggers or rules write the rows */
    char *comment; /* of the table, "" when it has none */
    uint32_t column_count;
    struct pg_column *columns;
    struct pg_unique *uniques;
    size_t unique_count;
    bool has_parts; /* partitions, or tables that inherit from it; or it lies elsewhere */
    bool copyable; /* COPY writes to it as INSERT would: neither view nor foreign table, no rules,
                      no row security */
    struct prepared *statements; /* compiled for this table, freed with it */
    struct guess_record guesses[GUESS_COUNT];
    struct {
        unsigned pass; /* of planning_find(), 0: none */
        uint32_t count, columns[32];
    } key_seen;      /* by which the batch's changes so far know a row */
    unsigned reread; /* plans.h's epoch in which it was last read again, 0: never */
    struct pg_table *next;
};

/* Types that a target may have or not, of its extensions. */
enum pg_extra {
    EXTRA_CITEXT,
    EXTRA_HSTORE,
    EXTRA_LTREE,
    EXTRA_GEOMETRY,
    EXTRA_GEOGRAPHY,
    EXTRA_VECTOR,
    EXTRA_HALFVEC,
    EXTRA_SPARSEVEC,
    EXTRA_ISBN,
    EXTRA_COUNT
};

struct catalog {
    struct pg_table *tables;
    bool extras_known;
    bool extras[EXTRA_COUNT];
};

void catalog_done(struct catalog *catalog);

/* Forget everything (after an outage, a change by others). Plans that point here must go first. */
void catalog_clear(struct catalog *catalog);

/* Look a table up, reading the target at first. *table is NULL when there is none. */
enum ods_status catalog_find(struct catalog *catalog, struct conn *conn, const char *schema,
                             const char *name, struct pg_table **table, struct error *error);
/* Read it again, after a DDL of ours. */
enum ods_status catalog_reload(struct catalog *catalog, struct conn *conn, const char *schema,
                               const char *name, struct pg_table **table, struct error *error);

/* Which of the extra types unqualified names find: catalog->extras. Asked once. */
enum ods_status catalog_read_extras(struct catalog *catalog, struct conn *conn,
                                    struct error *error);

/* Do equal keys differ in what the column shows? Then a statement that meets a row by its key
 * writes the key too, so that the last spelling stands. */
bool catalog_respells(const struct pg_column *column);

int catalog_column(const struct pg_table *table, const char *name); /* -1: no such column */

/* What tells rows apart: the primary key, else another unique index; NULL: nothing does. */
const struct pg_unique *catalog_key(const struct pg_table *table);

/* Is there a unique index on exactly these columns (in any order)? */
bool catalog_is_unique(const struct pg_table *table, const uint32_t *columns, size_t count);

#endif
