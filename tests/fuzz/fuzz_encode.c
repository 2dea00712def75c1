/* libFuzzer: any value of any source column into any type of a PostgreSQL column.
 *
 * The input's head chooses target, meaning, kind and coding; the rest is the value. What a decoder
 * never hands over (text that is not UTF-8, JSON that is none) is passed by. Of what is encoded:
 * the length is the one that was announced, integers and numbers are the value that went in, text
 * holds no NUL, and a second encoding is the same. */
#include <assert.h>
#include <endian.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"
#include "core/decimal.h"
#include "core/json_scan.h"
#include "core/text.h"
#include "core/utf8.h"
#include "sink/postgres/values/encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TYPE(oid, how, cast_, modifier_)                                                           \
    {                                                                                              \
        .name = "c", .cast = (cast_), .type = (oid), .element_type = (oid),                        \
        .modifier = (modifier_), .encoding = (how)                                                 \
    }
#define NUMERIC(precision, scale) ((((precision) << 16) | ((scale) & 0x7ff)) + 4)

static struct pg_column targets[] = {
    TYPE(16, ENCODE_BOOL, "boolean", -1),
    TYPE(21, ENCODE_INT2, "smallint", -1),
    TYPE(23, ENCODE_INT4, "integer", -1),
    TYPE(20, ENCODE_INT8, "bigint", -1),
    TYPE(700, ENCODE_FLOAT4, "real", -1),
    TYPE(701, ENCODE_FLOAT8, "double precision", -1),
    TYPE(1700, ENCODE_NUMERIC, "numeric", -1),
    TYPE(1700, ENCODE_NUMERIC, "numeric", NUMERIC(10, 2)),
    TYPE(1700, ENCODE_NUMERIC, "numeric", NUMERIC(5, -3)),
    TYPE(25, ENCODE_TEXT, "text", -1),
    TYPE(1043, ENCODE_TEXT, "character varying", 9),
    TYPE(17, ENCODE_BYTEA, "bytea", -1),
    TYPE(1082, ENCODE_DATE, "date", -1),
    TYPE(1083, ENCODE_TIME, "time without time zone", 3),
    TYPE(1114, ENCODE_TIMESTAMP, "timestamp without time zone", -1),
    TYPE(1184, ENCODE_TIMESTAMPTZ, "timestamp with time zone", 3),
    TYPE(2950, ENCODE_UUID, "uuid", -1),
    TYPE(114, ENCODE_JSON, "json", -1),
    TYPE(3802, ENCODE_JSONB, "jsonb", -1),
    TYPE(1560, ENCODE_CAST, "bit", 8),
    TYPE(1186, ENCODE_CAST, "interval", -1),
    TYPE(600, ENCODE_CAST, "point", -1),
    TYPE(1009, ENCODE_CAST, "text[]", -1),
    TYPE(99999, ENCODE_CAST, "public.hstore", -1),
    TYPE(99998, ENCODE_CAST, "public.geometry", -1),
};

/* The value as a decoder makes it; false: it never makes such a one. */
static bool make_value(struct value *value, unsigned kind, const char *bytes, size_t length)
{
    struct json_scan scan;
    struct value number;
    *value = (struct value){.kind = (uint8_t) kind, .length = (uint32_t) length, .bytes = bytes};
    json_scan_init(&scan, bytes, length);
    switch (kind) {
    case VALUE_NULL:
        return true;
    case VALUE_BOOL:
        *value = (struct value){.kind = VALUE_BOOL, .integer = length & 1};
        return true;
    case VALUE_INT:
    case VALUE_DOUBLE:
        value->length = 0;
        value->integer = 0;
        memcpy(&value->integer, bytes, length < 8 ? length : 8);
        return true;
    case VALUE_NUMBER:
        return json_number(&scan, &number) && json_end(&scan) && number.kind == VALUE_NUMBER;
    case VALUE_TEXT:
        return utf8_valid(bytes, length);
    case VALUE_JSON:
        return length && (*bytes == '{' || *bytes == '[') && json_skip(&scan) &&
               scan.at == scan.end;
    default:
        return kind == VALUE_BYTES;
    }
}

static int64_t big_endian(const char *bytes, size_t length)
{
    int64_t integer = bytes[0] & 0x80 ? -1 : 0;
    for (size_t i = 0; i < length; i++)
        integer = (int64_t) ((uint64_t) integer << 8 | (unsigned char) bytes[i]);
    return integer;
}

static uint16_t word(const char *at)
{
    return (uint16_t) big_endian(at, 2);
}

/* numeric_out: what PostgreSQL prints of the element. */
static void print_numeric(struct buffer *out, const char *at)
{
    int count = word(at), weight = (int16_t) word(at + 2), scale = word(at + 6);
    if (word(at + 4) == 0x4000)
        buffer_add(out, "-", 1);
    for (int group = 0; group <= weight; group++)
        buffer_printf(out, group ? "%04u" : "%u", group < count ? word(at + 8 + 2 * group) : 0);
    if (weight < 0)
        buffer_add(out, "0", 1);
    if (scale)
        buffer_add(out, ".", 1);
    for (int place = 0; place < scale; place++) {
        static const unsigned units[] = {1000, 100, 10, 1};
        int index = weight + 1 + place / 4;
        unsigned digits = index < 0 || index >= count ? 0 : word(at + 8 + 2 * index);
        buffer_printf(out, "%u", digits / units[place % 4] % 10);
    }
}

/* Without sign of zero, zeros at the end of the fraction, and the point that then ends it. */
static void normalize(struct buffer *number)
{
    if (memchr(number->bytes, '.', number->length)) {
        while (number->bytes[number->length - 1] == '0')
            number->length--;
        number->length -= number->bytes[number->length - 1] == '.';
    }
    if (number->length == 2 && memcmp(number->bytes, "-0", 2) == 0) {
        number->bytes[0] = '0';
        number->length = 1;
    }
}

static void check_numeric(const struct buffer *out, const struct column *column,
                          const struct value *value)
{
    struct buffer text, plain, printed;
    struct error error;
    /* A float's text is the shortest that reads back the same, its number in JSON may be longer. */
    bool real = column->type == SEM_FLOAT32 || column->type == SEM_FLOAT64;
    if (column->type == SEM_UNKNOWN || real || word(out->bytes + 8) >= 0xc000)
        return;
    buffer_init(&text);
    buffer_init(&plain);
    buffer_init(&printed);
    if (text_value(&text, column, value, &error) == ODS_OK &&
        decimal_from_text(&plain, text.bytes ? text.bytes : "", text.length)) {
        print_numeric(&printed, out->bytes + 4);
        normalize(&plain);
        normalize(&printed);
        assert(plain.length == printed.length &&
               memcmp(plain.bytes, printed.bytes, plain.length) == 0);
    }
    buffer_done(&text);
    buffer_done(&plain);
    buffer_done(&printed);
}

static void check(const struct buffer *out, const struct pg_column *target,
                  const struct source_column *source, const struct value *value)
{
    static const uint8_t lengths[] = {
        [ENCODE_BOOL] = 1,      [ENCODE_INT2] = 2,        [ENCODE_INT4] = 4, [ENCODE_INT8] = 8,
        [ENCODE_FLOAT4] = 4,    [ENCODE_FLOAT8] = 8,      [ENCODE_DATE] = 4, [ENCODE_TIME] = 8,
        [ENCODE_TIMESTAMP] = 8, [ENCODE_TIMESTAMPTZ] = 8, [ENCODE_UUID] = 16, [ENCODE_JSONB] = 0};
    assert(out->length >= 4);
    int64_t announced = big_endian(out->bytes, 4);
    bool zero_date = announced == -1 && source->zero_is_null && value->kind == VALUE_TEXT &&
                     memmem(value->bytes, value->length, "-00", 3);
    if (value->kind == VALUE_NULL || zero_date) {
        assert(announced == -1 && out->length == 4);
        return;
    }
    const char *element = out->bytes + 4;
    assert(announced == (int64_t) out->length - 4);
    assert(!lengths[target->encoding] || announced == lengths[target->encoding]);
    switch (target->encoding) {
    case ENCODE_BOOL:
        assert(*element == 0 || *element == 1);
        break;
    case ENCODE_INT2:
    case ENCODE_INT4:
    case ENCODE_INT8:
        assert(value->kind != VALUE_INT || source->coding ||
               big_endian(element, (size_t) announced) == value->integer);
        break;
    case ENCODE_TIME:
        assert(big_endian(element, 8) >= 0 && big_endian(element, 8) <= INT64_C(86400000000));
        break;
    case ENCODE_NUMERIC:
        /* Plans have a coding where the source's type changes what an integer says. */
        if (!source->coding && (value->kind != VALUE_INT || !source->column.source_type))
            check_numeric(out, &source->column, value);
        break;
    case ENCODE_CAST:
    case ENCODE_TEXT:
        assert(!memchr(element, '\0', (size_t) announced) || value->kind == VALUE_BOOL);
        assert(value->kind == VALUE_BYTES || utf8_valid(element, (size_t) announced));
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct column text_element = {.name = "", .type = SEM_STRING, .length = -1};
    static const char *const source_types[] = {NULL, "BIGINT UNSIGNED", "TIMESTAMP", "CITEXT"};
    if (size < 8)
        return 0;
    struct source_settings settings = {.connector = data[5] & 1 ? "postgresql" : "mysql",
                                       .timestamp_unit = (enum time_unit) (data[5] >> 1 & 3),
                                       .decimals = (enum decimal_mode) (data[5] >> 3 & 3)};
    struct column element = text_element;
    element.type = (enum semantic) (data[6] % SEM_ARRAY);
    struct source_column source = {.column = {.name = "c",
                                              .type = (enum semantic)(data[1] % SEM_COUNT),
                                              .length = (int8_t) data[6],
                                              .scale = (int8_t) data[4],
                                              .source_type = source_types[data[7] & 3],
                                              .element = data[7] & 4 ? &element : NULL},
                                   .coding = (enum coding)(data[3] % (CODING_NS + 1)),
                                   .strip_nul = data[7] & 8,
                                   .literal = data[7] & 16,
                                   .zero_is_null = data[7] & 32};
    const struct pg_column *target = &targets[data[0] % (sizeof targets / sizeof *targets)];
    char *bytes = malloc(size - 8 ? size - 8 : 1);
    struct value value;
    struct encoder encoder;
    struct buffer out, again;
    struct error error;
    memcpy(bytes, data + 8, size - 8);
    encoder_init(&encoder, &settings);
    buffer_init(&out);
    buffer_init(&again);
    error_init(&error);
    if (make_value(&value, data[2] % (VALUE_JSON + 1), bytes, size - 8)) {
        enum ods_status status = encode_value(&encoder, &out, target, &source, &value, &error);
        assert(status == ODS_OK || (status == ODS_REJECT && error.text[0] && error.column[0]));
        if (status == ODS_OK) {
            check(&out, target, &source, &value);
            assert(encode_value(&encoder, &again, target, &source, &value, &error) == ODS_OK);
            assert(again.length == out.length &&
                   memcmp(again.bytes, out.bytes, out.length) == 0);
        }
    }
    buffer_done(&out);
    buffer_done(&again);
    encoder_done(&encoder);
    free(bytes);
    return 0;
}
