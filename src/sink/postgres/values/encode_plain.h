/* The short way for the forms that nearly all values have. */
#ifndef ENCODE_PLAIN_H
#define ENCODE_PLAIN_H

#include "sink/postgres/values/encode.h"

/* Appends the element of a value that is neither NULL nor ABSENT, of a column whose type is known
 * and not corrected, just as encode_as() does. False: it has another form, or may not fit; nothing
 * was appended. */
bool encode_plain(struct buffer *out, const struct pg_column *target, const struct column *source,
                  const struct value *value);

#endif
