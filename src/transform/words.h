/* Values as text, and text as values: what transforms compare, mask and cast. The text of a value
 * is that of `ods-sink decode`. */
#ifndef WORDS_H
#define WORDS_H

#include <ods/batch.h>
#include <ods/buffer.h>

/* The text of a value that is neither ABSENT nor NULL; it lies in `scratch` or beside the value. */
enum ods_status words_of(struct buffer *scratch, const struct column *column,
                         const struct value *value, const char **text, size_t *length,
                         struct error *error);

/* The text as a value of the column. ODS_REJECT: it is not of its type. The bytes are copied into
 * the arena. */
enum ods_status words_read(struct arena *arena, const struct column *column, const char *text,
                           size_t length, struct value *value, struct error *error);

struct value words_text(struct arena *arena, const char *text,
                        size_t length); /* ABSENT: no memory */

/* A nullable column of that name. */
struct column words_column(const char *name, enum semantic type);

/* The column that a type's name means, as `decimal(12,2)`: false if there is no such type. */
bool words_type(const char *type, struct column *column);

/* Does the compiled pattern match? A text with a zero byte matches none. */
bool words_match(const void *regex, const char *text, size_t length);

/* Two decimal numbers: below 0, 0, above 0. False: one of them is not a number. */
bool words_compare(const char *a, size_t a_length, const char *b, size_t b_length, int *order);

#endif
