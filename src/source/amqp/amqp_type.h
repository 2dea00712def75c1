/* Values as AMQP 1.0 encodes them (part 1, "Types", of the OASIS standard), read from bytes that
 * the caller owns: no tree, no copy. What is malformed is refused, whatever it is. */
#ifndef AMQP_TYPE_H
#define AMQP_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/buffer.h>

struct amqp_bytes {
    char *at;
    size_t length;
};

enum amqp_kind {
    AMQP_NULL,
    AMQP_BOOL,
    AMQP_UINT, /* any width */
    AMQP_INT,
    AMQP_FLOAT, /* or double */
    AMQP_TIMESTAMP,
    AMQP_UUID,
    AMQP_BINARY,
    AMQP_STRING,
    AMQP_SYMBOL,
    AMQP_LIST,
    AMQP_MAP,
    AMQP_ARRAY,
    AMQP_OTHER, /* a character or a decimal number */
};

struct amqp_value {
    enum amqp_kind kind;
    bool described;      /* `descriptor` says what it is */
    uint64_t descriptor; /* 0: another one than a number */
    uint64_t number;     /* of BOOL, UINT, INT, TIMESTAMP (as two's complement) */
    double real;
    struct amqp_bytes bytes; /* of UUID, BINARY, STRING, SYMBOL; the members of a list or map */
    uint32_t count;          /* members of a list or map; of a map both names and values count */
};

/* Moves past a value. False: what is there is none. */
bool amqp_take(struct amqp_bytes *from, struct amqp_value *value);

/* The value of a map's member whose name is this string or symbol. False: it has none. */
bool amqp_member(const struct amqp_value *map, const char *name, struct amqp_value *value);

/* A single value as people write it. False: it is null, a compound, or of a kind that has no text.
 */
bool amqp_text(const struct amqp_value *value, struct buffer *out);

#endif
