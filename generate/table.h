/* The tables of the source, as Oracle has them, and how their columns change while it runs.
 *
 * A step is a schema change that was made: S1 to S6, in this order. A column is there from the step
 * `since` up to the step before `until`; what changes of a column makes it another row of the list.
 */
#ifndef GENERATE_TABLE_H
#define GENERATE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum kind {
    KIND_NUMBER,          /* NUMBER: each value has a scale of its own */
    KIND_INTEGER,         /* NUMBER(precision): int8 to int64 */
    KIND_DECIMAL,         /* NUMBER(precision, 2) */
    KIND_TEXT,            /* VARCHAR2 */
    KIND_WORD,            /* VARCHAR2, one of few */
    KIND_CLOB,
    KIND_BLOB,
    KIND_RAW,
    KIND_DATE,
    KIND_TIMESTAMP,       /* TIMESTAMP(6) */
    KIND_TIMESTAMP_9,     /* TIMESTAMP(9), whose last three digits are 0 */
    KIND_ZONED,           /* TIMESTAMP WITH TIME ZONE */
    KIND_LOCAL,           /* TIMESTAMP WITH LOCAL TIME ZONE */
    KIND_DAYS,            /* INTERVAL DAY TO SECOND */
    KIND_MONTHS,          /* INTERVAL YEAR TO MONTH */
    KIND_FLOAT,           /* BINARY_FLOAT */
    KIND_DOUBLE,          /* BINARY_DOUBLE */
    KIND_SLOT,            /* NUMBER(10): the row's own number */
    KIND_CUSTOMER,        /* NUMBER(10): its customer's */
    KIND_ORDER,           /* NUMBER(10): its order's */
    KIND_SKU,             /* VARCHAR2: the product's own */
    KIND_PRODUCT,         /* VARCHAR2: its product's */
    KIND_PARCEL,          /* NUMBER(2) */
    KIND_XML,             /* XMLTYPE */
    KIND_XML_CLOB,        /* CLOB, with XML in it, well-formed or not */
};

enum { TABLES = 6, COLUMNS_MAX = 16, STEPS = 6, FOREVER = 99 };
enum table_number { CUSTOMERS, PRODUCTS, ORDERS, PAYMENTS, SHIPMENTS, RETURNS };

/* Documents that nobody should send. */
enum hostile {
    HOSTILE_NONE,
    HOSTILE_LARGE,    /* 10,000 repeats, large_bytes */
    HOSTILE_DEEP,     /* 1,000 levels */
    HOSTILE_BOMB,     /* entities that multiply */
    HOSTILE_EXTERNAL, /* an entity that is a file */
    HOSTILES
};

struct column {
    const char *name;
    enum kind kind;
    int precision;
    bool optional;
    int since, until;
    bool anew;           /* what the column was called until now is another one to the target */
    const char *initial; /* its default; NULL: none */
};

struct table {
    const char *name;
    enum table_number number;
    int since, keys; /* the first `keys` columns are its key */
    struct column columns[COLUMNS_MAX];
    size_t count;
};

/* A row: every value of it is a function of seed, table, slot and version. */
struct row {
    uint32_t slot, version;
    uint32_t body;      /* version that its large columns are from */
    uint32_t customer, product, order; /* slots of those that it belongs to */
    uint8_t step;       /* with which it was written last */
    uint8_t hostile;    /* enum hostile of its document */
    bool alive;
};

extern const struct table tables[TABLES];

bool column_there(const struct column *column, int step);
/* Is it large, so that an update which does not change it does not carry it? */
bool column_large(const struct column *column);

#endif
