/* The tables of the benchmark and what stands in their rows.
 *
 * Every value is a function of (seed, key, version), so the generator needs no store of rows: the
 * state of a table is a version number for each key, and the reference is written from those.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum kind {
    KIND_KEY,
    KIND_INT32,
    KIND_INT64,
    KIND_BOOLEAN, /* tinyint(1): int16 in Debezium's records */
    KIND_TEXT,
    KIND_NAME,
    KIND_EMAIL,
    KIND_PHONE,
    KIND_DATE,
    KIND_DECIMAL,  /* (15,2) */
    KIND_DATETIME, /* milliseconds since the epoch, whole seconds */
    KIND_ZONED,    /* ISO 8601 text with Z */
    KIND_BODY,     /* text long enough to be TOASTed */
    KIND_DOCUMENT, /* jsonb, the same */
};

enum connector { CONNECTOR_MYSQL, CONNECTOR_POSTGRESQL };

struct column {
    char name[24];
    enum kind kind;
    bool optional;
};

enum { COLUMNS_MAX = 200 };

struct table {
    enum connector connector;
    const char *database, *schema; /* as the source calls them; MySQL has no schema */
    char name[24];
    struct column columns[COLUMNS_MAX];
    size_t count;
};

/* Which row: `body` is the version that its large columns are from. */
struct row {
    int32_t key, version, body;
    bool unavailable; /* an update that does not carry the large columns */
};

/* customers, wide or documents; `seed` is the generator's. False: no such table. */
bool table_init(struct table *table, const char *name);

const char *kind_target_type(enum kind kind); /* as PostgreSQL calls it */

/* Whether a source without full images leaves the column out. */
bool kind_large(enum kind kind);

struct style {
    uint64_t seed;
    bool decimals_as_text; /* decimal.handling.mode=string, else precise */
};

/* The column's value in a record's JSON, in Avro (a union with null first where it is optional),
 * and in text COPY. */
void cell_json(struct text *out, const struct style *style, const struct column *column,
               const struct row *row);
void cell_avro(struct text *out, const struct style *style, const struct column *column,
               const struct row *row);
void cell_copy(struct text *out, const struct style *style, const struct column *column,
               const struct row *row);

/* A whole line of text COPY without its newline. */
void row_copy(struct text *out, const struct style *style, const struct table *table,
              const struct row *row);

uint64_t mix64(uint64_t a, uint64_t b);

#endif
