/* A source column's type as a person writes it: "bigint unsigned", "decimal(10,2)", "timestamp us".
 *
 * For types that a connector lost: tables.yaml names them (source_types), and the column is read as
 * if the record's schema had said so.
 */
#ifndef SOURCE_TYPE_H
#define SOURCE_TYPE_H

#include <ods/value.h>

/* How the record encodes the values of a column with a corrected type, where the column's meaning
 * does not tell it already. */
enum coding {
    CODING_NONE = 0, /* as the record's schema says, or as the target's column tells */
    CODING_PLAIN,    /* as the type says */
    CODING_BASE64,
    CODING_BASE64URL,
    CODING_HEX,
    CODING_BYTES,    /* bytes as text, in one of these three encodings */
    CODING_DECIMAL,  /* digits, or base64 of a number times 10^scale */
    CODING_UNSIGNED, /* an int64; a negative one means the number plus 2^64 */
    CODING_MS,       /* a moment, as a number of units since 1970 */
    CODING_US,
    CODING_NS,
};

struct source_type {
    struct column column;  /* without name; column.element points to `element` or is NULL */
    struct column element; /* of an array */
    enum coding coding;
};

/* Reads `text`. NULL: it is valid; else what is wrong with it (static text). *type must not be
 * moved, since an array's column points into it. */
const char *source_type_parse(const char *text, struct source_type *type);

#endif
