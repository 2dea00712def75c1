/* Random values, two ways, value by value the same:
 *  - the form that the sink sends, printed by PostgreSQL itself, and the text that the decoder
 *    prints;
 *  - for what comes as text (ISO 8601, numbers with exponents): that text read by PostgreSQL's own
 *    input function and printed, and the text that the decoder prints.
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
#include "sink/postgres/values/encode.h"

#define VALUES 1000
#define ROOM   160

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
    const char *raw; /* the type whose input function reads the value's own text; NULL: encoded */
    int32_t scales;  /* the source's scale is another one each time, below this */
};

static int64_t below(int64_t limit)
{
    return (int64_t) (next_random() % (uint64_t) limit);
}

static void text_value_of(struct value *value, enum value_kind kind, char *room, int length)
{
    *value = (struct value){.kind = (uint8_t) kind, .length = (uint32_t) length, .bytes = room};
}

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
    int64_t us = any_integer(INT64_C(9223372036854775806)); /* the whole range */
    if (below(50) == 0)
        us = below(2) ? INT64_C(9223372036825200000) : INT64_C(-9223372036832400000);
    bool infinite = us == INT64_C(-9223372036832400000);
    if (us < -INT64_C(210866803200000000) && !infinite)
        us = -us; /* nothing is before 4714-11-24 BC */
    *value = (struct value){.kind = VALUE_INT, .integer = us};
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

static void make_moment_ns(struct value *value, char *room)
{
    *value = (struct value){.kind = VALUE_INT, .integer = any_integer(INT64_MAX / 1000) * 1000};
}

/* MySQL's times go to 838 hours and below zero, intervals further. */
static void make_duration_us(struct value *value, char *room)
{
    *value = (struct value){.kind = VALUE_INT,
                            .integer = any_integer(INT64_C(7000000000000000000))};
}

/* "1e-7", "-0.0012E+5", "00.10"; not zero, whose sign the decoder's text keeps */
static void make_exponent(struct value *value, char *room)
{
    int whole = (int) below(5), length;
    length = snprintf(room, ROOM, "%s%.*s%" PRIu64, below(2) ? "-" : "", whole, "0000",
                      next_random() >> below(64) | 1);
    if (below(2))
        length += snprintf(room + length, ROOM - (size_t) length, ".%0*" PRIu64,
                           (int) below(12) + 1, next_random() >> below(64));
    if (below(2))
        length += snprintf(room + length, ROOM - (size_t) length, "%c%s%d", below(2) ? 'e' : 'E',
                           below(2) ? "-" : "+", (int) below(60));
    text_value_of(value, VALUE_NUMBER, room, length);
}

/* Floats of every exponent, with up to seventeen digits. */
static void make_float(struct value *value, char *room)
{
    int length = snprintf(room, ROOM, "%s%" PRId64 ".%0*" PRIu64 "e%d", below(2) ? "-" : "",
                          below(9) + 1, (int) below(16) + 1,
                          (uint64_t) below(INT64_C(10000000000000000)), (int) below(610) - 305);
    text_value_of(value, VALUE_NUMBER, room, length);
}

static void make_single(struct value *value, char *room)
{
    int length = snprintf(room, ROOM, "%s%" PRId64 ".%0*" PRIu64 "e%d", below(2) ? "-" : "",
                          below(9) + 1, (int) below(9) + 1, (uint64_t) below(1000000000),
                          (int) below(74) - 37);
    text_value_of(value, VALUE_NUMBER, room, length);
}

/* A day that there is, of a year that int64 microseconds hold. */
static int put_day(char *room, int64_t most_years)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t year = below(3) ? 1900 + below(200) : 1 + below(most_years);
    int month = (int) below(12);
    bool leap = year % 4 == 0 && (year % 100 || year % 400 == 0);
    return snprintf(room, ROOM, "%04" PRId64 "-%02d-%02d", year, month + 1,
                    1 + (int) below(lengths[month] + (month == 1 && leap)));
}

static int put_clock(char *room)
{
    int length = snprintf(room, ROOM, "%02d:%02d:%02d", (int) below(24), (int) below(60),
                          (int) below(60));
    int digits = (int) below(7);
    if (digits)
        length += snprintf(room + length, ROOM, ".%0*" PRIu64, digits,
                           next_random() % (uint64_t[]){1, 10, 100, 1000, 10000, 100000,
                                                        1000000}[digits]);
    return length;
}

static int put_zone(char *room)
{
    if (below(3) == 0)
        return snprintf(room, ROOM, "Z");
    int length = snprintf(room, ROOM, "%c%02d:%02d", below(2) ? '+' : '-', (int) below(15),
                          (int) below(60));
    return length + (below(8) ? 0 : snprintf(room + length, ROOM, ":%02d", (int) below(60)));
}

static void make_iso_date(struct value *value, char *room)
{
    text_value_of(value, VALUE_TEXT, room, put_day(room, 294000));
}

static void make_iso_timestamp(struct value *value, char *room)
{
    int length = put_day(room, 294000);
    room[length++] = 'T';
    text_value_of(value, VALUE_TEXT, room, length + put_clock(room + length));
}

static void make_zoned_timestamp(struct value *value, char *room)
{
    make_iso_timestamp(value, room);
    value->length += (uint32_t) put_zone(room + value->length);
}

static void make_iso_time(struct value *value, char *room)
{
    text_value_of(value, VALUE_TEXT, room, put_clock(room));
}

static void make_zoned_time(struct value *value, char *room)
{
    make_iso_time(value, room);
    value->length += (uint32_t) put_zone(room + value->length);
}

static void make_iso_interval(struct value *value, char *room)
{
    static const char units[] = "YMDHMS";
    int length = snprintf(room, ROOM, "P");
    for (int unit = 0; unit < 6; unit++) {
        if (unit == 3)
            length += snprintf(room + length, ROOM, "T");
        length += snprintf(room + length, ROOM, "%" PRId64 "%s%c", any_integer(9999),
                           unit == 5 && below(2) ? ".25" : "", units[unit]);
    }
    text_value_of(value, VALUE_TEXT, room, length);
}

static void make_bits(struct value *value, char *room)
{
    make_decimal(value, room);
}

/* Texts that an array has to quote, numbers, and what is not there. */
static void make_texts(struct value *value, char *room)
{
    static const char *const items[] = {
        "null",          "\"\"",      "\"null\"",     "\"a b\"",      "\"a,b\"",
        "\"{}\"",        "\"\\\\\"",  "\"\\\"x\"",   "\"\\t\"",      "\"\xc3\xa9\"",
        "\"\\u00e9\"",  "\"x\"",     "\"NULL\"",     "\"'\"",        "\"\xe2\x82\xac \""};
    int length = snprintf(room, ROOM, "[");
    for (int64_t i = 0, count = below(6); i < count; i++)
        length += snprintf(room + length, ROOM, "%s%s", i ? "," : "",
                           items[below(sizeof items / sizeof *items)]);
    length += snprintf(room + length, ROOM, "]");
    text_value_of(value, VALUE_JSON, room, length);
}

static void make_integers(struct value *value, char *room)
{
    int length = snprintf(room, ROOM, "[");
    for (int64_t i = 0, count = below(6); i < count; i++)
        length += below(9) ? snprintf(room + length, ROOM, "%s%" PRId64, i ? "," : "",
                                      any_integer(INT64_MAX))
                           : snprintf(room + length, ROOM, "%s%" PRIu64, i ? "," : "",
                                      next_random());
    length += snprintf(room + length, ROOM, "]");
    text_value_of(value, VALUE_JSON, room, length);
}

static const struct column text_element = {.name = "", .type = SEM_STRING, .length = -1};
static const struct column integer_element = {.name = "", .type = SEM_INT64, .length = -1};

#define TEXTUAL                                                                                    \
    {                                                                                              \
        .name = "v", .cast = "text", .type = 25, .element_type = 25, .array_type = 1009,           \
        .modifier = -1, .encoding = ENCODE_CAST                                                    \
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

#define PLAIN(meaning)                                                                             \
    {                                                                                              \
        .type = (meaning), .length = -1, .scale = INT32_MIN                                        \
    }
#define ARRAY_OF(element_)                                                                         \
    {                                                                                              \
        .type = SEM_ARRAY, .length = -1, .scale = INT32_MIN, .element = &(element_)                \
    }
#define TIMESTAMP TARGET(1114, 1115, ENCODE_TIMESTAMP)

/* clang-format off */
static const struct subject subjects[] = {
    /* as the sink sends it */
    {"decimal", NUMERIC(-1), PLAIN(SEM_DECIMAL), make_decimal, NULL, 120},
    {"small decimal", NUMERIC(-1), PLAIN(SEM_DECIMAL), make_small_decimal, NULL, 40},
    {"number", NUMERIC(-1), PLAIN(SEM_UNKNOWN), make_number, NULL, 0},
    {"integer", TARGET(20, 1016, ENCODE_INT8), PLAIN(SEM_INT64), make_integer, NULL, 0},
    {"integer into numeric", NUMERIC(-1), PLAIN(SEM_INT64), make_integer, NULL, 0},
    {"date", TARGET(1082, 1182, ENCODE_DATE), PLAIN(SEM_DATE), make_days, NULL, 0},
    {"timestamp us", TIMESTAMP, PLAIN(SEM_TIMESTAMP_US), make_moment_us, NULL, 0},
    {"timestamp ms", TIMESTAMP, PLAIN(SEM_TIMESTAMP_MS), make_moment_ms, NULL, 0},
    {"timestamp ns", TIMESTAMP, PLAIN(SEM_TIMESTAMP_NS), make_moment_ns, NULL, 0},
    {"time us", TARGET(1083, 1183, ENCODE_TIME), PLAIN(SEM_TIME_US), make_time_us, NULL, 0},
    {"iso timestamp sent", TIMESTAMP, PLAIN(SEM_ISO_TIMESTAMP), make_iso_timestamp, NULL, 0},
    {"zoned timestamp sent", TARGET(1184, 1185, ENCODE_TIMESTAMPTZ), PLAIN(SEM_ZONED_TIMESTAMP),
     make_zoned_timestamp, NULL, 0},
    {"iso date sent", TARGET(1082, 1182, ENCODE_DATE), PLAIN(SEM_ISO_DATE), make_iso_date, NULL, 0},
    {"iso time sent", TARGET(1083, 1183, ENCODE_TIME), PLAIN(SEM_ISO_TIME), make_iso_time, NULL, 0},
    {"float sent", TARGET(701, 1022, ENCODE_FLOAT8), PLAIN(SEM_FLOAT64), make_float, NULL, 0},
    {"single sent", TARGET(700, 1021, ENCODE_FLOAT4), PLAIN(SEM_FLOAT32), make_single, NULL, 0},
    /* as PostgreSQL reads it: the decoder's text through the input function … */
    {"duration", TEXTUAL, PLAIN(SEM_DURATION_US), make_duration_us, "interval", 0},
    {"time beyond a day", TEXTUAL, PLAIN(SEM_TIME_US), make_duration_us, "interval", 0},
    {"bits", TEXTUAL, PLAIN(SEM_BITS), make_bits, "varbit", 0},
    {"bytes", TEXTUAL, PLAIN(SEM_BYTES), make_decimal, "bytea", 0},
    {"array of texts", TEXTUAL, ARRAY_OF(text_element), make_texts, "text[]", 0},
    {"array of integers", TEXTUAL, ARRAY_OF(integer_element), make_integers, "numeric[]", 0},
    /* … and the record's own text */
    {"exponents", TEXTUAL, PLAIN(SEM_DECIMAL), make_exponent, "numeric", 0},
    {"float", TEXTUAL, PLAIN(SEM_FLOAT64), make_float, "float8", 0},
    {"single", TEXTUAL, PLAIN(SEM_FLOAT32), make_single, "float4", 0},
    {"iso date", TEXTUAL, PLAIN(SEM_ISO_DATE), make_iso_date, "date", 0},
    {"iso timestamp", TEXTUAL, PLAIN(SEM_ISO_TIMESTAMP), make_iso_timestamp, "timestamp", 0},
    {"zoned timestamp", TEXTUAL, PLAIN(SEM_ZONED_TIMESTAMP), make_zoned_timestamp, "timestamptz",
     0},
    {"iso time", TEXTUAL, PLAIN(SEM_ISO_TIME), make_iso_time, "time", 0},
    {"zoned time", TEXTUAL, PLAIN(SEM_ZONED_TIME), make_zoned_time, "timetz", 0},
    {"iso interval", TEXTUAL, PLAIN(SEM_INTERVAL), make_iso_interval, "interval", 0},
};
/* clang-format on */

static bool fail(const struct subject *subject, const struct value *value, const char *ours,
                 const char *theirs)
{
    fprintf(stderr, "%s: text \"%s\", PostgreSQL \"%s\"", subject->name, ours, theirs);
    if (value->kind == VALUE_INT)
        fprintf(stderr, ", value %" PRId64, value->integer);
    else if (value->kind != VALUE_BYTES)
        fprintf(stderr, ", value %.*s", (int) value->length, value->bytes);
    fprintf(stderr, "\n");
    return false;
}

static bool run(PGconn *pg, const struct subject *subject)
{
    static const struct source_settings source;
    static char rooms[VALUES][ROOM];
    static struct value values[VALUES];
    struct source_column column = {.column = subject->source};
    struct encoder encoder;
    struct buffer array, text;
    struct error error;
    bool good = true;
    char sql[160];
    /* A record's own text is sent as it is. */
    const struct source_column raw = {.column = {.name = "", .type = SEM_STRING}};
    column.column.name = "v";
    if (subject->scales)
        column.column.scale = (int32_t) below(subject->scales + 10) - 10;
    snprintf(sql, sizeof sql,
             "select (v%s%s)::text from unnest($1) with ordinality as u (v, i) order by i",
             subject->raw ? "::" : "", subject->raw ? subject->raw : "");
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
        bool as_it_is = values[i].kind == VALUE_TEXT || values[i].kind == VALUE_NUMBER;
        const struct source_column *sent = subject->raw && as_it_is ? &raw : &column;
        if (encode_value(&encoder, &array, &subject->target, sent, &values[i], &error) != ODS_OK)
            good = fail(subject, &values[i], error.text, "refused by the encoder");
    }
    const char *parameter = array.bytes;
    int length = (int) array.length, format = 1;
    PGresult *rows = good ? PQexecParams(pg, sql, 1, &subject->target.array_type, &parameter,
                                         &length, &format, 0)
                          : NULL;
    if (good && PQresultStatus(rows) != PGRES_TUPLES_OK)
        good = fail(subject, &values[0], "", PQresultErrorMessage(rows));
    for (int i = 0; good && i < VALUES; i++) {
        buffer_reset(&text);
        if (text_value(&text, &column.column, &values[i], &error) != ODS_OK)
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
