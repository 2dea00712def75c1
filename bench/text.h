/* A growing byte buffer with the few ways of appending that the benchmark's writers need.
 *
 * Running out of memory ends the program: these are tools, not the daemon.
 */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct text {
    char *data;
    size_t length, room;
};

void text_bytes(struct text *text, const void *bytes, size_t length);
void text_string(struct text *text, const char *string);
void text_integer(struct text *text, int64_t number);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* In JSON's quotes, as Jackson writes it: beyond ASCII only characters outside the BMP are escaped,
 * as pairs of surrogates. `string` is UTF-8. */
void text_json(struct text *text, const char *string, size_t length);

/* As a field of PostgreSQL's text COPY. */
void text_copy(struct text *text, const char *string, size_t length);

/* The unscaled number as the big-endian bytes of java.math.BigInteger, in base64. */
void text_unscaled(struct text *text, int64_t unscaled);
void text_base64(struct text *text, const void *bytes, size_t length);

/* As Avro writes them: a long by zigzag, the length before the bytes, the number of the union's
 * member (https://avro.apache.org/docs/1.11.1/specification/#binary-encoding). */
void text_avro_long(struct text *text, int64_t number);
void text_avro_bytes(struct text *text, const void *bytes, size_t length);
void text_avro_string(struct text *text, const char *string);
void text_avro_unscaled(struct text *text, int64_t unscaled);

void text_free(struct text *text);

/* Print the reason on standard error and exit with 1. */
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
