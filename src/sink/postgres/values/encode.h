/* A value into PostgreSQL's binary form, by (what the source says it is, what the target takes).
 *
 * A value that the target's column can't hold exactly is a reject with its reason: nothing is
 * rounded, cut or wrapped here, and what PostgreSQL itself would round quietly is refused before.
 * Wire formats: the *_recv functions of PostgreSQL's src/backend/utils/adt.
 */
#ifndef ENCODE_H
#define ENCODE_H

#include <ods/value.h>
#include <ods/buffer.h>
#include "core/source_type.h"
#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/tables/source_column.h"
#include "sink/postgres/values/readings.h"

/* Values that the target shows otherwise than the source, as the settings say; counts. */
struct losses {
    uint64_t stripped; /* lost a U+0000 */
    uint64_t rounded;  /* lost digits */
    uint64_t zeroed;   /* were zero dates, and are NULL */
};

/* What values without schema have shown of the connector's modes. */
struct evidence {
    bool digits, base64;           /* decimals that can only be the one */
    bool hex_bytes, base64_bytes;  /* bytes as text that can only be the one */
};

struct encoder {
    const struct source_settings *source;
    struct readings *readings; /* NULL: PostgreSQL can't be asked */
    struct buffer text, bytes, digits; /* scratch, reused from value to value */
    struct buffer array, item;         /* the same, for arrays around such values */
    bool strip_nul;                    /* of the column whose value is being encoded, */
    enum inexact inexact;              /* what of it may lose digits, */
    enum connector connector;          /* and who sent it */
    struct losses losses;
    struct evidence evidence;
    bool unreadable;                   /* the refusal is of a text that no parser of ours takes */
};

/* What was lost since `then`. */
static inline struct losses losses_since(const struct encoder *encoder, const struct losses *then)
{
    return (struct losses){.stripped = encoder->losses.stripped - then->stripped,
                           .rounded = encoder->losses.rounded - then->rounded,
                           .zeroed = encoder->losses.zeroed - then->zeroed};
}

void encoder_init(struct encoder *encoder, const struct source_settings *source);
void encoder_done(struct encoder *encoder);

/* Append one array element: its length (int32, -1 for NULL) and its bytes. The value is not ABSENT.
 * ODS_REJECT names the column; what was appended is to be thrown away then. ODS_RETRY with
 * readings->waiting_count set: a text is to be asked for (ask.h). */
enum ods_status encode_value(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct source_column *source,
                             const struct value *value, struct error *error);

/* --- for the files of this room ---------------------------------------------------------- */

#define POSTGRES_EPOCH_DAYS 10957 /* 2000-01-01 */

void encode_put16(struct buffer *out, uint16_t value);
void encode_put32(struct buffer *out, uint32_t value);
void encode_put64(struct buffer *out, uint64_t value);
/* With their length. */
void encode_put_bytes(struct buffer *out, const void *bytes, size_t length);
/* Empty it, and begin a one-dimensional array; its elements follow, each with its length. */
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

/* The value as text: a slice of itself where it is text already, else of encoder->text. */
enum ods_status encode_as_text(struct encoder *encoder, const struct column *source,
                               const struct value *value, const char **text, size_t *length,
                               struct error *error);
enum ods_status encode_refuse(const struct pg_column *target, const char *sqlstate, const char *why,
                              struct error *error);

/* A text that no parser here takes: PostgreSQL is asked (encode_reading()) before this is said. */
enum ods_status encode_unreadable(struct encoder *encoder, const struct pg_column *target,
                                  const char *sqlstate, const char *why, struct error *error);

/* True: a time finer than a microsecond is to be rounded, and is counted. */
bool encode_nanoseconds(struct encoder *encoder);
/* A value with more digits than the column: refused, or left for PostgreSQL to round and counted.
 */
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
/* Has the value a number that a numeric column could take? */
enum ods_status encode_check_countable(const struct pg_column *target, const struct column *source,
                                       const struct value *value, struct error *error);
/* A decimal text with or without exponent as an integer; false when it is none or has a fraction.
 */
bool encode_parse_integer(struct encoder *encoder, const char *text, size_t length,
                          int64_t *integer);
/* Is this number, as text, what a float shows of it at its own number of digits? `bits` is 32
 * or 64.
 */
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

/* Times whose text PostgreSQL's input function would round. */
enum ods_status encode_check_fraction(struct encoder *encoder, const struct pg_column *target,
                                      const char *text, size_t length, struct error *error);

/* An interval as text for a column that takes some of its parts: refused with any other. */
enum ods_status encode_check_interval(struct encoder *encoder, const struct pg_column *target,
                                      const char *text, size_t length, struct error *error);

/* By the target's encoding, when it is known what the value means. */
enum ods_status encode_as(struct encoder *encoder, struct buffer *out,
                          const struct pg_column *target, const struct column *source,
                          const struct value *value, struct error *error);

/* Arrays: each element is held against the type of the column's elements. */
enum ods_status encode_array(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct column *source,
                             const struct value *value, struct error *error);

/* JSON, with what is a number, a moment or bytes to the source as such in it. */
enum ods_status encode_json(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error);

/* Types whose input function reads another notation than the source's: hstore, arrays of labels.
 * *handled: out has the element. */
enum ods_status encode_notation(struct encoder *encoder, struct buffer *out,
                                const struct pg_column *target, const struct column *source,
                                const struct value *value, bool *handled, struct error *error);

/* Text for PostgreSQL without U+0000, or a refusal; *text may move to encoder->digits. */
enum ods_status encode_check_nul(struct encoder *encoder, const struct pg_column *target,
                                 const char **text, size_t *length, struct error *error);

/* What a value means after all: its column and itself, as encode_value() goes on with them. */
struct inferred {
    struct column column;
    struct column element; /* where column.element points when the target's array type tells it */
    struct value value;
};

/* Behind a refusal with encoder->unreadable set: the value as PostgreSQL reads it, or why it does
 * not; as correct_value(). */
enum ods_status encode_reading(struct encoder *encoder, const struct pg_column *target,
                               const struct column **column, const struct value **value,
                               struct inferred *inferred, struct error *error);
/* A text that PostgreSQL would take for the present moment. */
bool encode_asks_clock(const char *text, size_t length);
enum ods_status encode_refuse_clock(const struct pg_column *target, struct error *error);

/* Text of this coding (base64, base64url, hex), undone into encoder->bytes. */
enum ods_status encode_undo(struct encoder *encoder, const struct pg_column *target,
                            enum coding coding, struct inferred *inferred, struct error *error);
/* A decimal that came as text: its digits, or base64 of a number of at most `precision` digits (-1:
 * unknown) times 10^-scale (INT32_MIN: unknown). */
enum ods_status encode_decimal_text(struct encoder *encoder, const struct pg_column *target,
                                    int32_t precision, int32_t scale, struct inferred *inferred,
                                    struct error *error);

/* A value of a column that the settings correct: may replace *column and *value by what lies in
 * `inferred` and in encoder->bytes. */
enum ods_status correct_value(struct encoder *encoder, const struct pg_column *target,
                              enum coding coding, const struct column **column,
                              const struct value **value, struct inferred *inferred,
                              struct error *error);

/* A value of a literal shape, where it is not as correct_value() and infer_value() would have it;
 * as correct_value(). */
enum ods_status literal_value(struct encoder *encoder, const struct pg_column *target,
                              const struct column **column, const struct value **value,
                              struct inferred *inferred, struct error *error);
/* Of a declared type's coding, what such a value can have: of bytes, or none. */
enum coding literal_coding(enum coding coding);

/* Text where a number was expected: times stand as ISO 8601 then. */
enum semantic encode_iso_twin(enum semantic type);

/* The type of a schemaless number that goes into this column, by the settings or the connector's
 * default; ODS_REJECT where nothing tells its unit. */
enum ods_status unit_of_number(const struct encoder *encoder, const struct pg_column *target,
                               int64_t number, enum semantic *type, struct error *error);

/* What a schemaless value means, told by its target; as correct_value(). */
enum ods_status infer_value(struct encoder *encoder, const struct pg_column *target,
                            const struct column **column, const struct value **value,
                            struct inferred *inferred, struct error *error);

#endif
