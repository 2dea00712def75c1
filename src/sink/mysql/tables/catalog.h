/* What the target's tables look like. Read once for each table and connection; read again when the
 * server says that a table is not so. */
#ifndef MYSQL_CATALOG_H
#define MYSQL_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/buffer.h>
#include <ods/status.h>

/* By its comment ods-sink knows what it has made: a table, and a column and its type. */
#define MYSQL_COMMENT_TABLE  "ods-sink: "
#define MYSQL_COMMENT_SOURCE " table " /* then its name */
#define MYSQL_COMMENT_COLUMN "ods-sink: from "
#define MYSQL_COMMENT_TYPE   "; type "

struct mysql_conn;

/* What information_schema's DATA_TYPE says. */
enum mysql_type {
    MYSQL_IS_OTHER, /* a type that is not known here: values go in as text */
    MYSQL_IS_TINYINT,
    MYSQL_IS_SMALLINT,
    MYSQL_IS_MEDIUMINT,
    MYSQL_IS_INT,
    MYSQL_IS_BIGINT,
    MYSQL_IS_DECIMAL,
    MYSQL_IS_FLOAT,
    MYSQL_IS_DOUBLE,
    MYSQL_IS_BIT,
    MYSQL_IS_YEAR,
    MYSQL_IS_DATE,
    MYSQL_IS_TIME,
    MYSQL_IS_DATETIME,
    MYSQL_IS_TIMESTAMP,
    MYSQL_IS_CHAR,
    MYSQL_IS_VARCHAR,
    MYSQL_IS_TEXT, /* tinytext to longtext; length tells which */
    MYSQL_IS_BINARY,
    MYSQL_IS_VARBINARY,
    MYSQL_IS_BLOB, /* tinyblob to longblob */
    MYSQL_IS_ENUM,
    MYSQL_IS_SET,
    MYSQL_IS_JSON, /* of MariaDB: a longtext with a check of json_valid() */
    MYSQL_IS_GEOMETRY,
    MYSQL_IS_UUID, /* MariaDB */
    MYSQL_IS_INET, /* MariaDB: inet4, inet6 */
    MYSQL_IS_VECTOR,
};

struct mysql_column {
    char *name;
    char *quoted; /* `name`, as statements have it */
    enum mysql_type type;
    char *column_type; /* as information_schema has it: "decimal(10,2) unsigned" */
    bool nullable, is_unsigned, generated, has_default, auto_increment;
    bool collated; /* a text that is compared by a collation which is not binary, so that keys with
                      different bytes may be equal */
    bool padded;   /* by bytes, but for blanks at the end, which do not count (utf8mb4_bin) */
    bool ours;      /* ods-sink made it from a column of the source, */
    bool type_ours; /* and nobody else has changed its type since */
    int key_position;   /* in the primary key, from 1; 0: not in it */
    uint64_t length;    /* characters of texts, bytes of binaries, bits */
    uint32_t precision; /* decimals: digits, also of float(7,2); times: fractional digits */
    uint32_t scale;
    char *charset;   /* "" where it has none */
    uint8_t highest; /* byte of UTF-8 that the character set can have; 0: any */
    char *collation; /* "" */
    char *default_text; /* as information_schema has it; NULL: none */
    bool default_expression;
    char *comment;
    char **labels;   /* enum and set, in their order, in UTF-8 */
    uint32_t label_count;
};

/* A unique key beside the primary one. */
struct mysql_unique {
    char *name;
    uint32_t *columns; /* indexes into columns; a part that is an expression is left out */
    uint32_t column_count;
};

/* May rows go into a table by REPLACE? See write/replace.c. */
struct mysql_replacing {
    bool may;
    int64_t asked_us;     /* when that was found out; 0: it was not */
    bool indexed;         /* there is an index beside the primary key */
    char *definition;     /* the table's at that time, on the heap */
    unsigned transaction; /* the one in which it was seen to be still so */
};

struct mysql_table {
    char *schema, *name;
    char *quoted; /* `schema`.`name` */
    char *engine;
    bool transactional; /* its engine rolls back; others are refused: plan.c */
    bool ours;          /* ods-sink made it, from the source that its comment names */
    bool claimed;       /* the sink's own table has it that this group writes it */
    char *comment;
    struct mysql_column *columns;
    uint32_t column_count;
    uint32_t key_count; /* columns of the primary key */
    uint32_t *key;      /* indexes into columns, in key order */
    struct mysql_unique *uniques;
    uint32_t unique_count;
    struct mysql_replacing replacing;
    struct mysql_table *next;
};

/* The table, its engine, the table. */
#define MYSQL_NO_TRANSACTIONS                                                                      \
    "table %s has the engine %s, which has no transactions, so that its rows can't be committed "  \
    "together with the offsets: alter table %s engine=InnoDB"

/* A table's index is found by its name; tables stay where they are until the catalog is cleared. */
struct mysql_catalog {
    struct mysql_table *tables;
};

void mysql_catalog_clear(struct mysql_catalog *catalog);
/* *table is NULL where there is none of the name, which is looked for again at the next call. */
enum ods_status mysql_catalog_find(struct mysql_catalog *catalog, struct mysql_conn *conn,
                                   const char *schema, const char *name,
                                   struct mysql_table **table, struct error *error);
/* Is the table another one than it was when it was read? */
enum ods_status mysql_catalog_changed(struct mysql_conn *conn, const struct mysql_table *table,
                                      bool *changed, struct error *error);
/* The catalog no longer has the table, which was changed. Its pointer is freed. */
void mysql_catalog_forget(struct mysql_catalog *catalog, struct mysql_table *table);

/* Is there a unique key on exactly these columns, in any order? */
bool mysql_table_unique(const struct mysql_table *table, const uint32_t *columns, size_t count);

/* Appends a statement of sql/, each {} in it replaced by the next of the texts, as a literal. */
void mysql_put_statement(struct buffer *out, const char *sql, const char *const *texts);

/* -1: the table has no such column. Names are compared as MySQL does: without regard to case. */
int mysql_table_column(const struct mysql_table *table, const char *name);

#endif
