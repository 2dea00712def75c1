/* What stands in a row's columns, in a record's JSON and in text COPY of PostgreSQL. */
#ifndef GENERATE_CELL_H
#define GENERATE_CELL_H

#include "table.h"
#include "text.h"

enum numbers { NUMBERS_PRECISE, NUMBERS_STRING, NUMBERS_DOUBLE }; /* decimal.handling.mode */

struct style {
    uint64_t seed;
    enum numbers numbers;
    bool interval_text;   /* interval.handling.mode=string, else numeric */
    uint32_t large_bytes; /* of the large document */
};

uint64_t mix64(uint64_t a, uint64_t b);

void put_words(struct text *out, uint64_t hash, unsigned count);
void put_number(struct text *out, int64_t number, unsigned width); /* with zeros before it */
void put_decimal(struct text *out, int64_t unscaled, int scale);

/* The number from which all of a cell is made. */
uint64_t cell_hash(const struct style *style, const struct table *table,
                   const struct column *column, const struct row *row);

void cell_json(struct text *out, const struct style *style, const struct table *table,
               const struct column *column, const struct row *row);
void cell_copy(struct text *out, const struct style *style, const struct table *table,
               const struct column *column, const struct row *row);
/* As Debezium puts it where the redo log does not have it. */
void cell_unavailable(struct text *out, const struct column *column);

/* The column's schema, as a field of a struct. */
void cell_schema(struct text *out, const struct style *style, const struct column *column,
                 bool key);
/* The column's type in PostgreSQL. */
const char *cell_type(const struct column *column);

/* AMOUNT of an order, in hundredths. */
int64_t order_amount(const struct style *style, const struct row *row);

#endif
