/* Random values, two ways: the binary form that the sink sends, printed by PostgreSQL itself, and
 * the canonical text that the decoder prints. Both must be the same, value by value.
 *
 *   encode_property DSN ROUNDS [SEED]
 *
 * Prints the seed; exits 1 at the first difference, naming the value.
 */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <libpq-fe.h>

#include "core/text.h"
#include "sink/postgres/encode.h"

#define VALUES 10000

static uint64_t random_state;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* Numbers of every size: as many small ones as large ones. */
static int64_t any_integer(int64_t most)
{
    unsigned shift = (unsigned) (next_random() % 63);
    int64_t value = (int64_t) (next_random() >> (shift + 1)) % (most + 1);
    return next_random() % 2 ? value : -value;
}

struct subject {
    const char *name;
    struct pg_column target;
    struct column source;
    void (*make)(struct value *value, char *room);
};

static void make_decimal(struct value *value, char *room)
{
    size_t length = next_random() % 40 + 1;
    for (size_t i = 0; i < length; i++)
        room[i] = (char) next_random();
    *value = (struct value){.kind = VALUE_BYTES, .length = (uint32_t) length, .bytes = room};
}

static void make_small_decimal(struct value *value, char *room)
{
    make_decimal(value, room);
    value->length = value->length % 8 + 1;
}

static void make_number(struct value *value, char *room)
{
    int length = snprintf(room, 64, "%" PRId64 ".%0*" PRIu64, any_integer(INT64_MAX),
                          (int) (next_random() % 12 + 1), next_random() % 1000000);
    *value = (struct value){.kind = VALUE_NUMBER, .length = (uint32_t) length, .bytes = room};
}

static void make_integer(struct value *value, char *room)
{
    *value = (struct value){.kind = VALUE_INT, .integer = any_integer(INT64_MAX)};
}

static void make_days(struct value *value, char *room)
{
    /* 4713 BC to 5874897 AD */
    int64_t days = any_integer(2140000000);
    *value = (struct value){.kind = VALUE_INT, .integer = days < -2440000 ? -days : days};
}

static void make_moment_us(struct value *value, char *room)
{
    int64_t us = any_integer(INT64_C(8900000000000000000));
    *value =
        (struct value){.kind = VALUE_INT, .integer = us < -INT64_C(210000000000000000) ? -us : us};
}

static void make_moment_ms(struct value *value, char *room)
{
    make_moment_us(value, room);
    value->integer /= 1000;
}

static void make_time_us(struct value *value, char *room)
{
    *value = (struct value){.kind = VALUE_INT,
                            .integer = (int64_t) (next_random() % UINT64_C(86400000001))};
}

#define NUMERIC(modifier_)                                                                         \
    {                                                                                              \
        .name = "n", .type = 1700, .element_type = 1700, .array_type = 1231,                       \
        .modifier = (modifier_), .encoding = ENCODE_NUMERIC                                        \
    }
#define TARGET(oid, array, how)                                                                    \
    {                                                                                              \
        .name = "v", .type = (oid), .element_type = (oid), .array_type = (array), .modifier = -1,  \
        .encoding = (how)                                                                          \
    }

static const struct subject subjects[] = {
    {"decimal scale 2", NUMERIC(-1), {.type = SEM_DECIMAL, .scale = 2}, make_decimal},
    {"decimal scale 0", NUMERIC(-1), {.type = SEM_DECIMAL, .scale = 0}, make_small_decimal},
    {"decimal scale 10", NUMERIC(-1), {.type = SEM_DECIMAL, .scale = 10}, make_small_decimal},
    {"decimal scale 37", NUMERIC(-1), {.type = SEM_DECIMAL, .scale = 37}, make_decimal},
    {"number", NUMERIC(-1), {.type = SEM_UNKNOWN}, make_number},
    {"integer", TARGET(20, 1016, ENCODE_INT8), {.type = SEM_INT64}, make_integer},
    {"integer into numeric", NUMERIC(-1), {.type = SEM_INT64}, make_integer},
    {"date", TARGET(1082, 1182, ENCODE_DATE), {.type = SEM_DATE}, make_days},
    {"timestamp us",
     TARGET(1114, 1115, ENCODE_TIMESTAMP),
     {.type = SEM_TIMESTAMP_US},
     make_moment_us},
    {"timestamp ms",
     TARGET(1114, 1115, ENCODE_TIMESTAMP),
     {.type = SEM_TIMESTAMP_MS},
     make_moment_ms},
    {"time us", TARGET(1083, 1183, ENCODE_TIME), {.type = SEM_TIME_US}, make_time_us},
};

static bool fail(const struct subject *subject, const struct value *value, const char *ours,
                 const char *theirs)
{
    fprintf(stderr, "%s: text \"%s\", PostgreSQL \"%s\"", subject->name, ours, theirs);
    if (value->kind == VALUE_INT)
        fprintf(stderr, ", value %" PRId64, value->integer);
    fprintf(stderr, "\n");
    return false;
}

static bool run(PGconn *pg, const struct subject *subject)
{
    static const struct source_settings source;
    static char rooms[VALUES][64];
    static struct value values[VALUES];
    const struct source_column column = {.column = subject->source};
    struct encoder encoder;
    struct buffer array, text;
    struct error error;
    bool good = true;
    encoder_init(&encoder, &source);
    buffer_init(&array);
    buffer_init(&text);
    error_init(&error);
    encode_put32(&array, 1);
    encode_put32(&array, 0);
    encode_put32(&array, subject->target.element_type);
    encode_put32(&array, VALUES);
    encode_put32(&array, 1);
    for (int i = 0; good && i < VALUES; i++) {
        subject->make(&values[i], rooms[i]);
        if (encode_value(&encoder, &array, &subject->target, &column, &values[i],
                         &error) != ODS_OK)
            good = fail(subject, &values[i], error.text, "refused by the encoder");
    }
    const char *parameter = array.bytes;
    int length = (int) array.length, format = 1;
    PGresult *rows =
        good ? PQexecParams(pg,
                            "select v::text from unnest($1) with ordinality "
                            "as u (v, i) order by i",
                            1, &subject->target.array_type, &parameter, &length, &format, 0)
             : NULL;
    if (good && PQresultStatus(rows) != PGRES_TUPLES_OK)
        good = fail(subject, &values[0], "", PQresultErrorMessage(rows));
    for (int i = 0; good && i < VALUES; i++) {
        buffer_reset(&text);
        if (text_value(&text, &subject->source, &values[i], &error) != ODS_OK)
            good = fail(subject, &values[i], error.text, PQgetvalue(rows, i, 0));
        else if (strcmp(buffer_text(&text), PQgetvalue(rows, i, 0)) != 0)
            good = fail(subject, &values[i], buffer_text(&text), PQgetvalue(rows, i, 0));
    }
    PQclear(rows);
    buffer_done(&text);
    buffer_done(&array);
    encoder_done(&encoder);
    return good;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: encode_property DSN ROUNDS [SEED]\n");
        return 2;
    }
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 10) : (uint64_t) time(NULL);
    random_state = seed * 2654435761u + 1;
    printf("seed %" PRIu64 "\n", seed);
    PGconn *pg = PQconnectdb(argv[1]);
    if (PQstatus(pg) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(pg));
        PQfinish(pg);
        return 2;
    }
    PQclear(PQexec(pg, "set datestyle = 'ISO'; set timezone = 'UTC'"));
    bool good = true;
    long rounds = strtol(argv[2], NULL, 10), checked = 0;
    for (long round = 0; good && round < rounds; round++)
        for (size_t i = 0; good && i < sizeof subjects / sizeof *subjects; i++) {
            good = run(pg, &subjects[i]);
            checked += good ? VALUES : 0;
        }
    printf("%ld values compared\n", checked);
    PQfinish(pg);
    return good ? 0 : 1;
}
