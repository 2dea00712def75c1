/* A value into PostgreSQL's binary form, by its type in the source and the target's column.
 *
 * A value that the target's column can't hold exactly is rejected with a reason. Nothing is
 * rounded, cut or wrapped here, and values that PostgreSQL itself would round without saying so are
 * refused before they are sent.
 * Wire formats: the *_recv functions of PostgreSQL's src/backend/utils/adt.
 */
#ifndef ENCODE_H
#define ENCODE_H

#include <ods/value.h>
#include <ods/buffer.h>
#include "core/source_type.h"
#include "sink/postgres/tables/catalog.h"
#include "sink/source_column.h"
#include "sink/postgres/values/readings.h"

/* How many values the target has otherwise than the source, because the settings allow it. */
struct losses {
    uint64_t stripped; /* lost a U+0000 */
    uint64_t rounded;  /* lost digits */
    uint64_t zeroed;   /* were zero dates, and are NULL */
};

/* What values without schema have shown about the modes of the connector. */
struct evidence {
    bool digits, base64;           /* a decimal came that can only be written in this form */
    bool hex_bytes, base64_bytes;  /* the same of bytes as text */
};

struct encoder {
    const struct source_settings *source;
    struct readings *readings; /* NULL: PostgreSQL can't be asked */
    struct buffer text, bytes, digits; /* scratch, reused from value to value */
    struct buffer array, item;         /* the same, for arrays around such values */
    bool strip_nul;                    /* these three are of the column whose value is being */
    enum inexact inexact;              /* encoded: its settings, */
    enum connector connector;          /* and who sent it */
    struct losses losses;
    struct evidence evidence;
    bool unreadable;                   /* refused because no parser of ours can read the text */
};

/* The losses counted since `then`. */
static inline struct losses losses_since(const struct encoder *encoder, const struct losses *then)
{
    return (struct losses){.stripped = encoder->losses.stripped - then->stripped,
                           .rounded = encoder->losses.rounded - then->rounded,
                           .zeroed = encoder->losses.zeroed - then->zeroed};
}

void encoder_init(struct encoder *encoder, const struct source_settings *source);
void encoder_done(struct encoder *encoder);

/* Appends one array element: its length (int32, -1 for NULL) and its bytes. The value must not be
 * ABSENT. ODS_REJECT: the error names the column, and the caller throws away what was appended.
 * ODS_RETRY with readings->waiting_count set: PostgreSQL is to be asked for a text (ask.h). */
enum ods_status encode_value(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct source_column *source,
                             const struct value *value, struct error *error);

/* --- for the files of this room ---------------------------------------------------------- */

#define POSTGRES_EPOCH_DAYS 10957 /* 2000-01-01 */

void encode_put16(struct buffer *out, uint16_t value);
void encode_put32(struct buffer *out, uint32_t value);
void encode_put64(struct buffer *out, uint64_t value);
/* Appends the length and then the bytes. */
void encode_put_bytes(struct buffer *out, const void *bytes, size_t length);
/* Empties the buffer and begins a one-dimensional array; its elements follow, each with its
 * length. */
void encode_array_begin(struct buffer *out, Oid element, uint32_t count);
/* Elements of int4 and int8. */
static inline void encode_put_int4(struct buffer *out, int32_t value)
{
    encode_put32(out, 4);
    encode_put32(out, (uint32_t) value);
}
static inline void encode_put_int8(struct buffer *out, int64_t value)
{
    encode_put32(out, 8);
    encode_put64(out, (uint64_t) value);
}
static inline bool encode_is_bit_string(const struct pg_column *target)
{
    return target->type == 1560 || target->type == 1562; /* bit, bit varying */
}

/* The value as text: it points into the value where that is text already, else to encoder->text. */
enum ods_status encode_as_text(struct encoder *encoder, const struct column *source,
                               const struct value *value, const char **text, size_t *length,
                               struct error *error);
enum ods_status encode_refuse(const struct pg_column *target, const char *sqlstate, const char *why,
                              struct error *error);

/* Refuses a text that no parser here can read. encode_value() first asks PostgreSQL
 * (encode_reading()). */
enum ods_status encode_unreadable(struct encoder *encoder, const struct pg_column *target,
                                  const char *sqlstate, const char *why, struct error *error);

/* May a time finer than a microsecond be rounded? If so, counts it. */
bool encode_nanoseconds(struct encoder *encoder);
/* A value with more digits than the column has: refused, or, where the settings allow it, counted
 * and left for PostgreSQL to round. */
enum ods_status encode_inexact(struct encoder *encoder, const struct pg_column *target,
                               const char *sqlstate, const char *why, struct error *error);

enum ods_status encode_integer(struct encoder *encoder, struct buffer *out,
                               const struct pg_column *target, const struct column *source,
                               const struct value *value, struct error *error);
enum ods_status encode_boolean(struct encoder *encoder, struct buffer *out,
                               const struct pg_column *target, const struct column *source,
                               const struct value *value, struct error *error);
enum ods_status encode_real(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error);
enum ods_status encode_numeric(struct encoder *encoder, struct buffer *out,
                               const struct pg_column *target, const struct column *source,
                               const struct value *value, struct error *error);
/* Does the value stand for a number that a numeric column can take? */
enum ods_status encode_check_countable(const struct pg_column *target, const struct column *source,
                                       const struct value *value, struct error *error);
/* Reads a decimal text, with or without exponent, as an integer. False: it is no decimal, or has a
 * fraction. */
bool encode_parse_integer(struct encoder *encoder, const char *text, size_t length,
                          int64_t *integer);
/* Does a float of so many bits (32 or 64) show this number again, with all the digits of its
 * text? */
bool encode_float_shows(struct encoder *encoder, const char *text, size_t length, double real,
                        int bits);
/* Is this text a decimal number (sign, digits, point, exponent), or NaN or an infinity? */
bool encode_is_number(const char *text, size_t length);

enum ods_status encode_date(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error);
enum ods_status encode_time(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error);
enum ods_status encode_timestamp(struct encoder *encoder, struct buffer *out,
                                 const struct pg_column *target, const struct column *source,
                                 const struct value *value, struct error *error);

/* Refuses times whose text PostgreSQL's input function would round. */
enum ods_status encode_check_fraction(struct encoder *encoder, const struct pg_column *target,
                                      const char *text, size_t length, struct error *error);

/* For a column that takes only some parts of an interval: refuses a text that has other parts. */
enum ods_status encode_check_interval(struct encoder *encoder, const struct pg_column *target,
                                      const char *text, size_t length, struct error *error);

/* Encodes a value whose meaning is known, by the encoding of the target's column. */
enum ods_status encode_as(struct encoder *encoder, struct buffer *out,
                          const struct pg_column *target, const struct column *source,
                          const struct value *value, struct error *error);

/* Encodes an array. Each element is checked against the type of the column's elements. */
enum ods_status encode_array(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct column *source,
                             const struct value *value, struct error *error);

/* Encodes JSON. Numbers, moments and bytes of the source are written in it as such
 * (json_nested()). */
enum ods_status encode_json(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error);

/* Types whose input function reads another notation than the source writes: hstore, arrays of
 * labels. *handled: it was such a type, and `out` has the element. */
enum ods_status encode_notation(struct encoder *encoder, struct buffer *out,
                                const struct pg_column *target, const struct column *source,
                                const struct value *value, bool *handled, struct error *error);

/* Removes U+0000 from a text where the settings say so, else refuses it. *text then points to
 * encoder->digits. */
enum ods_status encode_check_nul(struct encoder *encoder, const struct pg_column *target,
                                 const char **text, size_t *length, struct error *error);

/* The column and the value with which encode_value() goes on, once the meaning is found. */
struct inferred {
    struct column column;
    struct column element; /* column.element points to it when the target's array type is used */
    struct value value;
};

/* Called after a refusal with encoder->unreadable set: gives the value as PostgreSQL reads it, or
 * the reason why it can't. Otherwise as correct_value(). */
enum ods_status encode_reading(struct encoder *encoder, const struct pg_column *target,
                               const struct column **column, const struct value **value,
                               struct inferred *inferred, struct error *error);
/* Is this a text that PostgreSQL reads as the present time or day? */
bool encode_asks_clock(const char *text, size_t length);
enum ods_status encode_refuse_clock(const struct pg_column *target, struct error *error);

/* Decodes a text of this coding (base64, base64url, hex) into encoder->bytes. */
enum ods_status encode_undo(struct encoder *encoder, const struct pg_column *target,
                            enum coding coding, struct inferred *inferred, struct error *error);
/* A decimal that came as text. The text has its digits, or is base64 of an integer of at most
 * `precision` digits (-1: unknown), to be multiplied by 10^-scale (INT32_MIN: unknown). */
enum ods_status encode_decimal_text(struct encoder *encoder, const struct pg_column *target,
                                    int32_t precision, int32_t scale, struct inferred *inferred,
                                    struct error *error);

/* For a column that the settings correct: may make *column and *value point to what it puts into
 * `inferred` and encoder->bytes. */
enum ods_status correct_value(struct encoder *encoder, const struct pg_column *target,
                              enum coding coding, const struct column **column,
                              const struct value **value, struct inferred *inferred,
                              struct error *error);

/* The same for a value of a literal shape, where correct_value() and infer_value() would read it
 * wrongly. */
enum ods_status literal_value(struct encoder *encoder, const struct pg_column *target,
                              const struct column **column, const struct value **value,
                              struct inferred *inferred, struct error *error);
/* The coding of such a value, when its declared type has this one: only codings of bytes remain. */
enum coding literal_coding(enum coding coding);

/* The type for a time that came as text although a number was expected: it is ISO 8601 then. */
enum semantic encode_iso_twin(enum semantic type);

/* What a value without schema means, by its target's column. Otherwise as correct_value(). */
enum ods_status infer_value(struct encoder *encoder, const struct pg_column *target,
                            const struct column **column, const struct value **value,
                            struct inferred *inferred, struct error *error);

#endif
