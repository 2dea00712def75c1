/* One value on its way into a column: what the files of this room share. */
#ifndef MYSQL_ENCODER_H
#define MYSQL_ENCODER_H

#include <ods/buffer.h>
#include <ods/sink.h>

#include "sink/mysql/values/encode.h"

/* MySQL's own numbers for what a strict session answers to such a value. */
enum mysql_refusal {
    MYSQL_NO_NULL = 1048,
    MYSQL_OUT_OF_RANGE = 1264,
    MYSQL_TRUNCATED = 1265, /* of enums and sets; digits that would be lost */
    MYSQL_BAD_TIME = 1292,
    MYSQL_BAD_VALUE = 1366,
    MYSQL_TOO_LONG = 1406,
    MYSQL_BAD_GEOMETRY = 1416,
    MYSQL_BAD_JSON = 3140,
};

struct mysql_encoder {
    const struct mysql_encoding *encoding;
    const struct mysql_column *target;
    const struct column *source; /* what the value means, */
    const struct value *value;   /* and how it is written */
    struct arena *arena;
    struct mysql_out *out;
    struct error *error;
};

/* Is the value part of the key of its row? Then nothing of it may be lost. */
static inline bool mysql_is_key(const struct mysql_encoder *encoder)
{
    return encoder->encoding->key || encoder->target->key_position > 0;
}

enum ods_status mysql_refuse(struct mysql_encoder *encoder, enum mysql_refusal code,
                             const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A value has more digits than its column: refused, or counted and to be rounded by the caller.
 * `fine`: only digits below a microsecond are lost. */
enum ods_status mysql_inexact(struct mysql_encoder *encoder, bool fine, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The answer is these bytes; `copy` where they do not live as long as the batch. */
enum ods_status mysql_put(struct mysql_encoder *encoder, enum mysql_form form, const char *bytes,
                          size_t length, bool copy);
/* The same of a buffer, which is then done. */
enum ods_status mysql_put_buffer(struct mysql_encoder *encoder, enum mysql_form form,
                                 struct buffer *buffer);

/* The value as text: its own bytes where it is text, else its canonical form in `room`, which the
 * caller has initialized and is done with after the text. */
enum ods_status mysql_as_text(struct mysql_encoder *encoder, struct buffer *room,
                              const char **text, size_t *length);

/* meaning.c: finds out what the value means where the settings or the target's column say it.
 * `room` is where encoder->source and encoder->value may point then. */
struct mysql_sense {
    struct source_column source;
    struct value value;
};
enum ods_status mysql_find_meaning(struct mysql_encoder *encoder,
                                   const struct source_column *source, struct mysql_sense *room);

/* Each encodes for its kinds of column. */
enum ods_status mysql_encode_exact(struct mysql_encoder *encoder); /* integers, decimals */
enum ods_status mysql_encode_real(struct mysql_encoder *encoder);
enum ods_status mysql_encode_bits(struct mysql_encoder *encoder);
enum ods_status mysql_encode_year(struct mysql_encoder *encoder);
enum ods_status mysql_encode_moment(struct mysql_encoder *encoder); /* date, datetime, timestamp */
enum ods_status mysql_encode_time(struct mysql_encoder *encoder);
enum ods_status mysql_encode_text(struct mysql_encoder *encoder);
enum ods_status mysql_encode_binary(struct mysql_encoder *encoder);
enum ods_status mysql_encode_enum(struct mysql_encoder *encoder);
enum ods_status mysql_encode_set(struct mysql_encoder *encoder);
enum ods_status mysql_encode_json(struct mysql_encoder *encoder);
enum ods_status mysql_encode_geometry(struct mysql_encoder *encoder);
enum ods_status mysql_encode_vector(struct mysql_encoder *encoder);

/* A plain decimal number, sign, digits, point, exponent; or a word that is none. */
bool mysql_is_number(const char *text, size_t length);
/* Does a float of so many bits (32 or 64) show this number again, with all the digits of its
 * text? */
bool mysql_float_shows(const char *text, size_t length, double real, int bits);
/* A UUID's 16 bytes from its 36 characters. */
bool mysql_read_uuid(const char *text, size_t length, unsigned char bytes[16]);

#endif
