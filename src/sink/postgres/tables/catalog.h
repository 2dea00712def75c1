/* What the target's tables look like. Each is read once and kept until somebody changes it.
 *
 * Owned by one sink, entered by its writer thread.
 */
#ifndef CATALOG_H
#define CATALOG_H

#include "sink/postgres/wire/conn.h"
#include "sink/postgres/wire/oids.h"

/* Comments by which the sink recognizes what it has made: a table; a column made from the source's;
 * and the end of the column's comment, with the type that the sink gave it. */
#define COMMENT_TABLE  "ods-sink: "
#define COMMENT_COLUMN "ods-sink: from "
#define COMMENT_TYPE   "; type "

/* How a column's values are sent: in PostgreSQL's own binary form, or, for every other type, as
 * text that the statement casts, so that PostgreSQL's input function reads it. */
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

/* Which different spellings of a value are one and the same key to the column. */
enum spelling {
    SPELLING_ONE,    /* equal values have equal bytes */
    SPELLING_ZEROS,  /* numeric: 1.0 is 1.00 */
    SPELLING_SIGN,   /* float: -0 is 0 */
    SPELLING_BLANKS, /* char(n): blanks at the end don't count */
    SPELLING_ASK,    /* only the target knows: citext, a collation that ignores case, inet … */
};

struct pg_column {
    char *name;
    char *quoted;
    char *cast;     /* the type's name for a cast, without modifier */
    char *declared; /* the type with its modifier, as format_type() writes it */
    Oid type;
    Oid element_type; /* of the parameter's array: the column's type, or text */
    Oid array_type;
    int32_t modifier; /* -1: none */
    enum encoding encoding;
    enum spelling spelling;
    char *collation;        /* quoted; NULL: the type has none, or the database's own */
    int32_t money_digits;   /* after the point, by the server's lc_monetary */
    struct pg_column *item; /* how an array's elements are encoded; NULL: it is no array */
    bool ours;              /* the sink made the column from a column of the source, */
    bool type_ours;         /* and nobody else has changed its type since */
    bool not_null;
    bool has_default;
    char *default_text; /* its expression; NULL: none, or the column is generated */
    bool generated; /* never written */
    bool readable;  /* a statement of ours may look at it */
    bool identity_always;
};

struct pg_unique { /* a unique index usable by ON CONFLICT */
    bool primary;
    char *constraint; /* quoted; NULL: it is only an index */
    char *index;      /* its name with the schema */
    uint16_t count;
    uint16_t columns[32]; /* indexes into pg_table.columns */
};

/* What a statement assumes about the row in the target; see guess.h. */
enum guess { GUESS_NONE, GUESS_NEW, GUESS_THERE, GUESS_COUNT };

struct guess_record {
    uint32_t pause;      /* batches until the guess is tried again */
    uint32_t pause_last; /* how many batches the last pause had */
    uint32_t tries;      /* how often it was tried since that pause */
};

struct pg_table {
    char *schema, *name;
    char *quoted; /* "schema"."name" */
    bool made_by_us;
    bool is_view;  /* has no unique index; its INSTEAD OF triggers or rules write the rows */
    bool followed; /* its changes go into the outbox */
    char *comment; /* of the table, "" when it has none */
    uint32_t column_count;
    struct pg_column *columns;
    struct pg_unique *uniques;
    size_t unique_count;
    bool has_parts; /* it has partitions or tables that inherit from it, or is a foreign table */
    bool copyable; /* COPY writes to it as INSERT would: neither view nor foreign table, no rules,
                      no row security */
    struct prepared *statements; /* compiled for this table, freed with it */
    struct guess_record guesses[GUESS_COUNT];
    struct {
        unsigned pass; /* the pass of planning_find() that set it, 0: none */
        uint32_t count, columns[32];
    } key_seen;      /* the key by which the batch's changes so far identify a row */
    uint64_t version; /* of its columns' definitions; see catalog_is_current() */
    unsigned reread; /* the epoch (struct plans) in which it was last read again, 0: never */
    struct pg_table *next;
};

/* Types of extensions, which a target may have or not. */
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

/* Forgets everything, after an outage or a change by others. Plans point to what is freed here, so
 * they must be freed first. */
void catalog_clear(struct catalog *catalog);

/* Finds a table; the first call for it reads the target. *table is NULL when there is none. */
enum ods_status catalog_find(struct catalog *catalog, struct conn *conn, const char *schema,
                             const char *name, struct pg_table **table, struct error *error);
/* Reads the table again, after the sink has changed it. */
enum ods_status catalog_reload(struct catalog *catalog, struct conn *conn, const char *schema,
                               const char *name, struct pg_table **table, struct error *error);

/* Are the columns still defined as they were when the table was read? A table that was altered and
 * altered back is another one. */
enum ods_status catalog_is_current(struct conn *conn, const struct pg_table *table, bool *current,
                                   struct error *error);

/* Sets catalog->extras: which of the extra types are found by their name without a schema. The
 * target is asked once. */
enum ods_status catalog_read_extras(struct catalog *catalog, struct conn *conn,
                                    struct error *error);

/* Can equal keys look different in the column? Then a statement that finds a row by its key writes
 * the key too, so that the row has the last spelling. */
bool catalog_respells(const struct pg_column *column);

int catalog_column(const struct pg_table *table, const char *name); /* -1: no such column */

/* The index that tells rows apart: the primary key, else another unique index. NULL: none does. */
const struct pg_unique *catalog_key(const struct pg_table *table);

/* Is there a unique index on exactly these columns (in any order)? */
bool catalog_is_unique(const struct pg_table *table, const uint32_t *columns, size_t count);

#endif
