/* Text of values that are JSON objects and arrays. Part of text.c. */
#ifndef TEXT_NESTED_H
#define TEXT_NESTED_H

#include "core/text.h"

/* As text_value(), for VALUE_JSON. */
enum ods_status text_nested(struct buffer *out, const struct column *column,
                            const struct value *value, struct error *error);

/* A float's number as PostgreSQL prints it: shortest digits that read back the same. `bits` is 32
 * or 64. False: not a number, or beyond what so many bits hold. */
bool text_float(struct buffer *out, const char *text, size_t length, int bits);

bool text_real(struct buffer *out, double real, int bits);

/* "\x0102". */
void text_hex(struct buffer *out, const void *bytes, size_t length, const char *prefix,
              bool uppercase);

#endif
