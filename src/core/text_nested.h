/* Text of values that are JSON objects and arrays. Part of text.c. */
#ifndef TEXT_NESTED_H
#define TEXT_NESTED_H

#include <yyjson.h>

#include "core/text.h"

/* As text_value(), for VALUE_JSON. */
enum ods_status text_nested(struct buffer *out, const struct column *column,
                            const struct value *value, struct error *error);

/* An array's text with each element, which is not NULL, written by `element` (unquoted). */
typedef enum ods_status text_element_function(void *context, struct buffer *out,
                                              const struct column *column,
                                              const struct value *value, struct error *error);
/* Writes an array, struct or map as JSON whose members are written as JSON too. */
enum ods_status text_json(struct buffer *out, const struct column *column,
                          const struct value *value, text_element_function *element, void *context,
                          struct error *error);
enum ods_status text_array(struct buffer *out, const struct column *column,
                           const struct value *value, text_element_function *element, void *context,
                           struct error *error);

/* A float's number as PostgreSQL prints it: shortest digits that read back the same. `bits` is 32
 * or 64. False: not a number, or beyond what so many bits hold. */
bool text_float(struct buffer *out, const char *text, size_t length, int bits);

bool text_real(struct buffer *out, double real, int bits);

/* "\x0102". */
void text_hex(struct buffer *out, const void *bytes, size_t length, const char *prefix,
              bool uppercase);

/* --- for the files of this kind: members of a document whose numbers are raw --- */

/* Parsed with numbers as their own characters; NULL with error set. *status is only set then. */
yyjson_doc *text_json_read(const struct column *column, const struct value *value,
                           enum ods_status *status, struct error *error);
enum ods_status text_json_reject(struct error *error, const struct column *column,
                                 const char *what);
/* A base64 member's bytes on the heap. NULL: there is none, it is malformed, or memory is out; in
 * the last case `out` is marked as failed. */
unsigned char *text_json_bytes(struct buffer *out, yyjson_val *text, size_t *length);
bool text_json_integer(yyjson_val *number, int64_t *integer);
bool text_json_float(struct buffer *out, yyjson_val *number);

#endif
