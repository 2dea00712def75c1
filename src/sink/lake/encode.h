/* A value of a change into a column's array: exactly, or not at all. */
#ifndef LAKE_ENCODE_H
#define LAKE_ENCODE_H

#include <ods/sink.h>

#include "sink/lake/array.h"
#include "sink/source_column.h"

/* What the settings say of values, and room for them. */
struct lake_encoding {
    const struct source_settings *source;
    const struct table_settings *table;
    struct apply_result *result; /* zero_dates, values_rounded, nul_stripped grow */
    struct arena *arena;
    struct buffer text;
};

/* Appends the value to the array, whose type is the column's. `name` is the column's, for messages;
 * `key`: the value is part of its row's key, of which nothing may be rounded. ODS_REJECT: the
 * column can't hold it, and error->column is set; nothing was appended. */
enum ods_status lake_encode(struct lake_encoding *encoding, const char *name, bool key,
                            const struct source_column *source, const struct value *value,
                            struct lake_array *array, struct error *error);

/* --- for the files of this kind --- */

struct lake_encoder {
    struct lake_encoding *encoding;
    const char *name;
    bool key;
    const struct column *source; /* what the value means, */
    const struct value *value;   /* and how it is written */
    struct lake_array *array;
    struct error *error;
};

enum ods_status lake_refuse(struct lake_encoder *encoder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* A value is finer than its column: refused, or counted and to be rounded by the caller. */
enum ods_status lake_inexact(struct lake_encoder *encoder, const char *what);
/* The value as text: its own bytes, or its canonical form in encoding->text. */
enum ods_status lake_text(struct lake_encoder *encoder, const char **text, size_t *length);

enum ods_status lake_encode_number(struct lake_encoder *encoder);
enum ods_status lake_encode_moment(struct lake_encoder *encoder);

/* Finds out what a value means where the settings or the source's type name say it, or the column
 * alone can tell. `source` and `value` are where the encoder points then. */
struct lake_sense {
    struct source_column source;
    struct value value;
};
enum ods_status lake_find_meaning(struct lake_encoder *encoder, const struct source_column *source,
                                  struct lake_sense *room);

#endif
