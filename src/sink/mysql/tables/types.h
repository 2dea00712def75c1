/* Types of columns as texts: what the server calls one, what a source's column becomes, and which
 * type holds both an old and a new one. */
#ifndef MYSQL_TYPES_H
#define MYSQL_TYPES_H

#include "sink/mysql/tables/catalog.h"
#include "sink/source_column.h"

#define MYSQL_TYPE_BYTES 64

/* "decimal(10,2) unsigned", read. Widths of integers that only tell how to show them are left out,
 * but that of tinyint(1), which is a boolean. */
struct mysql_typed {
    enum mysql_type type;
    bool is_unsigned, boolean;
    uint64_t length; /* characters, bytes, bits, digits, or fractional digits of times */
    uint32_t scale;
    char name[24]; /* of a geometry */
};

enum mysql_type mysql_type_named(const char *name, size_t length);
/* False: not a type that is known here. */
bool mysql_typed_read(struct mysql_typed *typed, const char *text);
void mysql_typed_column(struct mysql_typed *typed, const struct mysql_column *column);
bool mysql_typed_same(const struct mysql_typed *a, const struct mysql_typed *b);

/* A column to make. */
struct mysql_making {
    const struct source_column *source;
    const struct value *sample; /* of a column without a schema; NULL: none is there */
    bool key;
    uint32_t key_room; /* of a text or binary in the key: characters, or bytes */
};

/* The type of a column that ods-sink makes. */
void mysql_type_made(const struct mysql_making *making, char room[MYSQL_TYPE_BYTES]);
/* Is that a text or binary without a length of its own, whose length in a key is key_room? */
bool mysql_type_needs_room(const struct source_column *source, const struct value *sample,
                           bool *binary);

enum mysql_widening {
    MYSQL_FITS,  /* the column holds what the wanted type holds */
    MYSQL_WIDER, /* it does as `wider` */
    MYSQL_OTHER, /* no type holds both */
};

enum mysql_widening mysql_widen(const struct mysql_typed *have, const struct mysql_typed *wanted,
                                char wider[MYSQL_TYPE_BYTES]);

#endif
