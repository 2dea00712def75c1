/* A value into PostgreSQL's binary form, by (what the source says it is, what the target takes).
 *
 * A value that the target's column can't hold exactly is a reject with its reason: nothing is
 * rounded, cut or wrapped here, and what PostgreSQL itself would round quietly is refused before.
 * Wire formats: the *_recv functions of PostgreSQL's src/backend/utils/adt.
 */
#ifndef ENCODE_H
#define ENCODE_H

#include <ods/value.h>
#include "core/buffer.h"
#include "sink/postgres/catalog.h"

struct encoder {
    const struct source_settings *source;
    struct buffer text, bytes, digits; /* scratch, reused from value to value */
};

void encoder_init(struct encoder *encoder, const struct source_settings *source);
void encoder_done(struct encoder *encoder);

/* Append one array element: its length (int32, -1 for NULL) and its bytes. The value is not ABSENT.
 * ODS_REJECT names the column; what was appended is to be thrown away then. */
enum ods_status encode_value(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct column *source,
                             const struct value *value, struct error *error);

/* --- for the files of this room ---------------------------------------------------------- */

#define POSTGRES_EPOCH_DAYS 10957 /* 2000-01-01 */

void encode_put16(struct buffer *out, uint16_t value);
void encode_put32(struct buffer *out, uint32_t value);
void encode_put64(struct buffer *out, uint64_t value);

/* The value as text: a slice of itself where it is text already, else of encoder->text. */
enum ods_status encode_as_text(struct encoder *encoder, const struct column *source,
                               const struct value *value, const char **text, size_t *length,
                               struct error *error);
enum ods_status encode_refuse(const struct pg_column *target, const char *sqlstate, const char *why,
                              struct error *error);

enum ods_status encode_numeric(struct encoder *encoder, struct buffer *out,
                               const struct pg_column *target, const struct column *source,
                               const struct value *value, struct error *error);
/* A decimal text with or without exponent as an integer; false when it is none or has a fraction.
 */
bool encode_parse_integer(struct encoder *encoder, const char *text, size_t length,
                          int64_t *integer);
/* Is this text a plain decimal number (sign, digits, point, exponent, or NaN)? */
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

/* Types whose input function reads another notation than the source's: hstore, arrays of labels.
 * *handled: out has the element. */
enum ods_status encode_notation(struct encoder *encoder, struct buffer *out,
                                const struct pg_column *target, const struct column *source,
                                const struct value *value, bool *handled, struct error *error);

/* What a schemaless value means, told by its target: may replace *column and *value by what lies in
 * `inferred` and in encoder->bytes. */
struct inferred {
    struct column column;
    struct value value;
};
enum ods_status infer_value(struct encoder *encoder, const struct pg_column *target,
                            const struct column **column, const struct value **value,
                            struct inferred *inferred, struct error *error);

#endif
