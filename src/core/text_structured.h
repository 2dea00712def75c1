/* Text of dates, times and intervals that are objects of their parts. Part of text_nested.c. */
#ifndef TEXT_STRUCTURED_H
#define TEXT_STRUCTURED_H

#include "core/text_nested.h"

enum ods_status text_structured(struct buffer *out, const struct column *column, yyjson_val *object,
                                struct error *error);

#endif
