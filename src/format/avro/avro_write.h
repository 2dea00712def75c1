/* Values as bytes of Avro: the other way round than avro_row.h and avro_json.c.
 *
 * Format: the Avro specification 1.12, "Binary Encoding". No state; any thread. */
#ifndef AVRO_WRITE_H
#define AVRO_WRITE_H

#include "format/avro/avro_schema.h"

static inline void avro_put_long(struct buffer *out, int64_t number)
{
    uint64_t bits = (uint64_t) number << 1 ^ (number < 0 ? UINT64_MAX : 0);
    char bytes[10];
    size_t length = 0;
    for (; bits > 0x7f; bits >>= 7)
        bytes[length++] = (char) (bits | 0x80);
    bytes[length++] = (char) bits;
    buffer_add(out, bytes, length);
}

/* Bytes, and strings, which are to be UTF-8. */
static inline void avro_put_bytes(struct buffer *out, const char *bytes, size_t length)
{
    avro_put_long(out, (int64_t) length);
    buffer_add(out, bytes, length);
}

/* The processor's own order of bytes is Avro's. */
static inline void avro_put_double(struct buffer *out, double real)
{
    buffer_add(out, &real, sizeof real);
}

static inline void avro_put_float(struct buffer *out, float real)
{
    buffer_add(out, &real, sizeof real);
}

/* The number that a JSON number, or one of the words NaN, Infinity and -Infinity, says: the nearest
 * that so many bits hold. False: it is none, or larger than they hold. */
bool avro_real_of(const char *text, size_t length, int bits, double *real);

/* Append a value whose JSON is as JsonConverter writes it (bytes as base64, records and maps as
 * objects): what avro_json() reads. False: it is not of the type; *problem is a static text, or
 * NULL where memory is out, and what was appended is to be dropped. */
bool avro_put_json(struct buffer *out, const struct avro_type *type, const char *json,
                   size_t length, const char **problem);

/* --- avro_of_connect.c --- */

/* Append the Avro schema of a type that Kafka Connect's JsonConverter describes, with the names and
 * parameters that its Avro converters keep beside Avro's own (connect.name), which
 * avro_connect_schema() reads. `logical`: where Avro has a logical type for a value just as it
 * stands, that one is named too. ODS_REJECT: it can't be said in Avro; the error says why. */
enum ods_status avro_of_connect(struct buffer *out, const char *schema, size_t length,
                                bool logical, struct error *error);

/* Can a field be called so? Letters, digits and "_", of which a digit is not the first. */
bool avro_name_is_good(const char *name);

#endif
