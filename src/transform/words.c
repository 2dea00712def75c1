/* See words.h. */
#include "transform/words.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/decimal.h"
#include "core/json_scan.h"
#include "core/text.h"
#include "core/time.h"

enum ods_status words_of(struct buffer *scratch, const struct column *column,
                         const struct value *value, const char **text, size_t *length,
                         struct error *error)
{
    bool plain = column->type == SEM_STRING || column->type == SEM_UNKNOWN ||
                 column->type == SEM_ENUM || column->type == SEM_UUID || column->type == SEM_JSON;
    if ((value->kind == VALUE_TEXT && plain) || value->kind == VALUE_JSON) {
        *text = value->bytes;
        *length = value->length;
        return ODS_OK;
    }
    buffer_reset(scratch);
    enum ods_status status = text_value(scratch, column, value, error);
    *text = scratch->bytes ? scratch->bytes : "";
    *length = scratch->length;
    return scratch->failed ? error_out_of_memory(error) : status;
}

struct value words_text(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_strndup(arena, text, length);
    return copy ? (struct value){.kind = VALUE_TEXT, .length = (uint32_t) length, .bytes = copy}
                : (struct value){.kind = VALUE_ABSENT};
}

struct column words_column(const char *name, enum semantic type)
{
    return (struct column){.name = name,
                           .name_length = (uint32_t) strlen(name),
                           .type = type,
                           .length = -1,
                           .scale = type == SEM_TIMESTAMP_MS   ? 3
                                    : type == SEM_TIMESTAMP_US ? 6
                                                               : INT32_MIN,
                           .optional = true};
}

/* --- types ---------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum semantic type;
} types[] = {
    {"text", SEM_STRING},
    {"string", SEM_STRING},
    {"varchar", SEM_STRING},
    {"smallint", SEM_INT16},
    {"int", SEM_INT32},
    {"integer", SEM_INT32},
    {"bigint", SEM_INT64},
    {"decimal", SEM_DECIMAL},
    {"numeric", SEM_DECIMAL},
    {"real", SEM_FLOAT32},
    {"double", SEM_FLOAT64},
    {"double precision", SEM_FLOAT64},
    {"boolean", SEM_BOOLEAN},
    {"date", SEM_DATE},
    {"time", SEM_TIME_US},
    {"timestamp", SEM_TIMESTAMP_US},
    {"timestamptz", SEM_ZONED_TIMESTAMP},
    {"json", SEM_JSON},
    {"uuid", SEM_UUID},
    {"bytes", SEM_BYTES},
};

bool words_type(const char *type, struct column *column)
{
    size_t length = strcspn(type, "(");
    int precision = 0, scale = 0, taken = 0;
    bool sized = type[length] == '(';
    while (length && type[length - 1] == ' ')
        length--;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strlen(types[i].name) != length || strncasecmp(types[i].name, type, length) != 0)
            continue;
        *column = words_column("", types[i].type);
        if (!sized)
            return true;
        const char *at = strchr(type, '(');
        if (types[i].type == SEM_DECIMAL &&
            ((sscanf(at, "(%d , %d )%n", &precision, &scale, &taken) == 2 && taken) ||
             (sscanf(at, "(%d )%n", &precision, &taken) == 1 && taken)) &&
            !at[taken] && precision > 0 && precision <= 1000 && scale >= 0 && scale <= precision) {
            column->length = precision;
            column->scale = scale;
            return true;
        }
        return false;
    }
    return false;
}

/* --- reading -------------------------------------------------------------------------------- */

static bool read_integer(const struct column *column, const char *text, int64_t *integer)
{
    static const int64_t most[] = {[SEM_INT8] = INT8_MAX,
                                   [SEM_INT16] = INT16_MAX,
                                   [SEM_INT32] = INT32_MAX,
                                   [SEM_INT64] = INT64_MAX};
    int64_t limit = column->type >= SEM_INT8 && column->type <= SEM_INT64 ? most[column->type]
                                                                          : INT32_MAX;
    char *end;
    errno = 0;
    *integer = strtoll(text, &end, 10);
    if (*end == '.' && end[1])
        end += 1 + strspn(end + 1, "0"); /* 12.00 is whole */
    return end > text && !*end && !errno && *integer <= limit && *integer >= -limit - 1 &&
           strchr("-0123456789", *text);
}

static bool read_boolean(const char *text, int64_t *integer)
{
    static const char *const words[] = {"false", "true", "f", "t", "0", "1", "no", "yes", "off",
                                        "on"};
    for (int i = 0; i < 10; i++)
        if (strcasecmp(words[i], text) == 0) {
            *integer = i % 2;
            return true;
        }
    return false;
}

/* Digits before and after the point within the column's. */
static bool fits(const struct column *column, const char *digits, size_t length)
{
    const char *point = memchr(digits, '.', length);
    size_t behind = point ? length - (size_t) (point - digits) - 1 : 0;
    size_t whole = length - behind - (point ? 1 : 0);
    while (whole && (*digits == '-' || *digits == '0')) {
        digits++;
        whole--;
    }
    while (point && behind && point[behind] == '0')
        behind--;
    return column->length < 0 || column->scale < 0 ||
           (behind <= (size_t) column->scale &&
            whole <= (size_t) (column->length - column->scale));
}

static enum ods_status read_decimal(struct arena *arena, const struct column *column,
                                    const char *text, size_t length, struct value *value,
                                    bool *good, struct error *error)
{
    struct buffer digits;
    buffer_init(&digits);
    *good = decimal_from_text(&digits, text, length) &&
            fits(column, digits.bytes ? digits.bytes : "", digits.length);
    if (*good)
        *value = words_text(arena, digits.bytes, digits.length);
    bool failed = digits.failed || (*good && value->kind == VALUE_ABSENT);
    value->kind = VALUE_NUMBER;
    buffer_done(&digits);
    return failed ? error_out_of_memory(error) : ODS_OK;
}

/* A space between date and time is as good as a T. */
static bool read_moment(const struct column *column, char *text, size_t length, int64_t *integer)
{
    int64_t days, us = 0;
    int32_t ps = 0;
    bool zoned = false;
    if (length > 11 && text[10] == ' ')
        text[10] = 'T';
    if (column->type == SEM_DATE) {
        bool date = time_parse_days(text, length, &days, &us, &ps, &zoned);
        *integer = days;
        return date && !us && !ps && !zoned;
    }
    if (column->type >= SEM_TIME_MS && column->type <= SEM_TIME_NS) {
        if (time_parse_time(text, length, &us, &ps) != length)
            return false;
    } else if (!time_parse_timestamp(text, length, &us, &ps, &zoned) || zoned) {
        return false;
    }
    *integer = us;
    if (column->type == SEM_TIME_MS || column->type == SEM_TIMESTAMP_MS) {
        int64_t rest;
        *integer = time_floor_div(us, 1000, &rest);
        return !rest && !ps;
    }
    if (column->type == SEM_TIME_NS || column->type == SEM_TIMESTAMP_NS)
        return ps % 1000 == 0 && !__builtin_mul_overflow(us, 1000, integer) &&
               !__builtin_add_overflow(*integer, ps / 1000, integer);
    return !ps;
}

static int hex_digit(char digit)
{
    const char *digits = "0123456789abcdef", *at = digit ? strchr(digits, digit | 32) : NULL;
    return at ? (int) (at - digits) : -1;
}

/* "\\x01ff" */
static bool read_hex(char *text, size_t length, struct value *value)
{
    if (length < 2 || text[0] != '\\' || text[1] != 'x' || length % 2)
        return false;
    for (size_t i = 2; i < length; i += 2) {
        int high = hex_digit(text[i]), low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        text[i / 2 - 1] = (char) (high * 16 + low);
    }
    *value = (struct value){
        .kind = VALUE_BYTES, .length = (uint32_t) (length - 2) / 2, .bytes = text};
    return true;
}

static bool is_json(const char *text, size_t length)
{
    struct json_scan scan;
    json_scan_init(&scan, text, length);
    json_space(&scan);
    return json_skip(&scan) && json_end(&scan);
}

static bool is_uuid(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? text[i] != '-' : hex_digit(text[i]) < 0)
            return false;
    return length == 36;
}

/* Text in place of a value whose form only the decoder knows. */
static bool read_text(const struct column *column, const char *text, size_t length,
                      struct value *value)
{
    int64_t us;
    int32_t ps;
    bool zoned;
    switch (column->type) {
    case SEM_JSON:
        return is_json(text, length);
    case SEM_UUID:
        return is_uuid(text, length);
    case SEM_ZONED_TIMESTAMP:
        return time_parse_timestamp(text, length, &us, &ps, &zoned);
    case SEM_STRUCT:
    case SEM_MAP:
    case SEM_ARRAY:
        value->kind = VALUE_JSON;
        return is_json(text, length);
    default:
        return true;
    }
}

enum ods_status words_read(struct arena *arena, const struct column *column, const char *text,
                           size_t length, struct value *value, struct error *error)
{
    enum ods_status status = ODS_OK;
    bool good = false;
    int64_t integer = 0;
    char *copy = arena_strndup(arena, text, length);
    if (!copy)
        return error_out_of_memory(error);
    *value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t) length, .bytes = copy};
    switch (column->type) {
    case SEM_BOOLEAN:
    case SEM_INT8:
    case SEM_INT16:
    case SEM_INT32:
    case SEM_INT64:
    case SEM_YEAR:
        good = column->type == SEM_BOOLEAN ? read_boolean(copy, &integer)
                                           : read_integer(column, copy, &integer);
        *value = (struct value){.kind = column->type == SEM_BOOLEAN ? VALUE_BOOL : VALUE_INT,
                                .integer = integer};
        break;
    case SEM_FLOAT32:
    case SEM_FLOAT64:
    case SEM_DECIMAL:
    case SEM_VARIABLE_DECIMAL:
        status = read_decimal(arena, column, copy, length, value, &good, error);
        break;
    case SEM_DATE:
    case SEM_TIME_MS:
    case SEM_TIME_US:
    case SEM_TIME_NS:
    case SEM_TIMESTAMP_MS:
    case SEM_TIMESTAMP_US:
    case SEM_TIMESTAMP_NS:
        good = read_moment(column, copy, length, &integer);
        *value = (struct value){.kind = VALUE_INT, .integer = integer};
        break;
    case SEM_BYTES:
        good = read_hex(copy, length, value);
        break;
    default:
        if (column->type == SEM_ZONED_TIMESTAMP && length > 11 && copy[10] == ' ')
            copy[10] = 'T';
        good = read_text(column, copy, length, value);
    }
    if (good || status != ODS_OK)
        return status;
    return error_set(error, ODS_REJECT, "column %.63s: its text is no %s%s", column->name,
                     semantic_name(column->type),
                     column->type == SEM_DECIMAL && column->length >= 0
                         ? " of so many digits as the type has"
                         : "");
}

bool words_match(const void *regex, const char *text, size_t length)
{
    char small[256], *copy = length < sizeof small ? small : malloc(length + 1);
    if (!copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    bool matches = strlen(copy) == length && regexec(regex, copy, 0, NULL, 0) == 0;
    if (copy != small)
        free(copy);
    return matches;
}

/* --- comparing ------------------------------------------------------------------------------ */

/* Sign, digits without leading zeros, digits after the point without trailing ones. */
struct number {
    int sign;
    const char *whole, *fraction;
    size_t whole_length, fraction_length;
};

static struct number number_of(const char *text, size_t length)
{
    struct number number = {.sign = 1};
    if (length && *text == '-') {
        number.sign = -1;
        text++;
        length--;
    }
    const char *point = memchr(text, '.', length);
    number.whole = text;
    number.whole_length = point ? (size_t) (point - text) : length;
    number.fraction = point ? point + 1 : text + length;
    number.fraction_length = point ? length - number.whole_length - 1 : 0;
    while (number.whole_length && *number.whole == '0') {
        number.whole++;
        number.whole_length--;
    }
    while (number.fraction_length && number.fraction[number.fraction_length - 1] == '0')
        number.fraction_length--;
    if (!number.whole_length && !number.fraction_length)
        number.sign = 0;
    return number;
}

static int compare_digits(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t both = a_length < b_length ? a_length : b_length;
    int order = both ? memcmp(a, b, both) : 0;
    return order ? order : a_length < b_length ? -1 : a_length > b_length;
}

static int compare_numbers(const struct number *a, const struct number *b)
{
    if (a->sign != b->sign)
        return a->sign < b->sign ? -1 : 1;
    int order = a->whole_length != b->whole_length
                    ? (a->whole_length < b->whole_length ? -1 : 1)
                    : compare_digits(a->whole, a->whole_length, b->whole, b->whole_length);
    if (!order)
        order = compare_digits(a->fraction, a->fraction_length, b->fraction, b->fraction_length);
    return a->sign < 0 ? -order : order;
}

bool words_compare(const char *a, size_t a_length, const char *b, size_t b_length, int *order)
{
    struct buffer one, other;
    buffer_init(&one);
    buffer_init(&other);
    bool good = decimal_from_text(&one, a, a_length) && decimal_from_text(&other, b, b_length) &&
                !one.failed && !other.failed;
    if (good) {
        struct number x = number_of(one.bytes, one.length),
                      y = number_of(other.bytes, other.length);
        *order = compare_numbers(&x, &y);
    }
    buffer_done(&one);
    buffer_done(&other);
    return good;
}
