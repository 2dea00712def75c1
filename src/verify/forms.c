/* Turns texts of a source database into values. See forms.h. */
#include "verify/forms.h"

#include <stdio.h>
#include <string.h>

#include "core/base64.h"
#include "core/time.h"

static const char epoch_text[] = "1970-01-01T00:00:00Z";

static enum ods_status unreadable(const struct field *cell, const char *what, struct error *error)
{
    return error_set(error, ODS_REJECT, "the source's value \"%.*s\" is not %s",
                     (int) (cell->length < 60 ? cell->length : 60), cell->bytes, what);
}

static struct value text_of(const char *bytes, size_t length)
{
    return (struct value){.kind = VALUE_TEXT, .length = (uint32_t) length, .bytes = bytes};
}

static struct value int_of(int64_t integer)
{
    return (struct value){.kind = VALUE_INT, .integer = integer};
}

static bool read_int(const struct field *cell, int64_t *integer)
{
    bool negative = cell->length && *cell->bytes == '-';
    uint64_t magnitude = 0;
    if (cell->length == negative || cell->length > 20)
        return false;
    for (size_t i = negative; i < cell->length; i++) {
        unsigned digit = (unsigned) (cell->bytes[i] - '0');
        if (digit > 9 || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, digit, &magnitude))
            return false;
    }
    if (magnitude > (uint64_t) INT64_MAX + negative)
        return false;
    *integer = negative ? (int64_t) (0 - magnitude) : (int64_t) magnitude;
    return true;
}

/* --- dates and times ------------------------------------------------------------------------ */

/* Reads up to `most` digits. */
static int digits(const char **at, const char *end, int most)
{
    int number = 0;
    while (most-- && *at < end && **at >= '0' && **at <= '9')
        number = number * 10 + (*(*at)++ - '0');
    return number;
}

static int64_t fraction_us(const char **at, const char *end)
{
    int64_t us = 0, unit = 100000;
    if (*at == end || **at != '.')
        return 0;
    for (++*at; *at < end && **at >= '0' && **at <= '9'; ++*at, unit /= 10)
        us += unit * (**at - '0');
    return us;
}

/* Is the month or the day zero, as MySQL allows? */
static bool is_zero_date(const struct field *cell)
{
    return cell->length >= 10 && cell->bytes[4] == '-' && cell->bytes[7] == '-' &&
           (memcmp(cell->bytes + 5, "00", 2) == 0 || memcmp(cell->bytes + 8, "00", 2) == 0);
}

/* Reads yyyy-mm-dd with or without a time of day: the usual form, read directly. */
static bool read_plain(const struct field *cell, int64_t *days, int64_t *us)
{
    const char *at = cell->bytes, *end = at + cell->length;
    if (cell->length < 10 || at[4] != '-' || at[7] != '-')
        return false;
    int year = digits(&at, end, 4);
    at++;
    int month = digits(&at, end, 2);
    at++;
    int day = digits(&at, end, 2);
    if (month < 1 || month > 12 || day < 1 || day > 31 || at != cell->bytes + 10)
        return false;
    *days = time_days(year, month, day);
    *us = 0;
    if (at == end)
        return true;
    if (end - at < 9 || (*at != ' ' && *at != 'T') || at[3] != ':' || at[6] != ':')
        return false;
    at++;
    int64_t hour = digits(&at, end, 2);
    at++;
    int64_t minute = digits(&at, end, 2);
    at++;
    int64_t second = digits(&at, end, 2);
    *us = ((hour * 60 + minute) * 60 + second) * 1000000 + fraction_us(&at, end);
    return at == end || (end - at == 3 && memcmp(at, "+00", 3) == 0);
}

/* Turns PostgreSQL's texts of distant years, "0044-03-15 12:00:00 BC" and "infinity", into ISO
 * texts. */
static enum ods_status far_moment(const struct field *cell, struct arena *arena,
                                  struct value *value, struct error *error)
{
    bool bc = cell->length > 3 && memcmp(cell->bytes + cell->length - 3, " BC", 3) == 0;
    char *text = arena_alloc(arena, cell->length + 8);
    if (!text)
        return error_out_of_memory(error);
    size_t length = cell->length - (bc ? 3 : 0), year = 0, written = 0;
    while (year < length && cell->bytes[year] >= '0' && cell->bytes[year] <= '9')
        year++;
    if (bc) { /* 1 BC is the year 0 */
        int64_t number = 0;
        for (size_t i = 0; i < year; i++)
            number = number * 10 + (cell->bytes[i] - '0');
        written = (size_t) sprintf(text, "-%04lld", (long long) (number - 1));
    } else if (year > 4) {
        text[written++] = '+';
    }
    size_t from = bc ? year : 0;
    memcpy(text + written, cell->bytes + from, length - from);
    written += length - from;
    char *space = memchr(text, ' ', written);
    if (space)
        *space = 'T';
    *value = text_of(text, written);
    return ODS_OK;
}

static bool is_infinite(const struct field *cell)
{
    return cell->length >= 8 && memcmp(cell->bytes + cell->length - 8, "infinity", 8) == 0;
}

static enum ods_status read_day(const struct form_column *column, const struct field *cell,
                                struct arena *arena, struct value *value, struct error *error)
{
    int64_t days = 0, us = 0;
    if (is_zero_date(cell)) {
        *value = column->not_null ? int_of(0) : (struct value){.kind = VALUE_NULL};
        return ODS_OK;
    }
    if (is_infinite(cell)) {
        *value = text_of(cell->bytes, cell->length);
        return ODS_OK;
    }
    if (!read_plain(cell, &days, &us))
        return far_moment(cell, arena, value, error);
    if (column->form == FORM_DATE)
        *value = int_of(days);
    else if (column->form == FORM_TIMESTAMP_MS)
        *value = int_of(days * INT64_C(86400000) + us / 1000);
    else
        *value = int_of(days * INT64_C(86400000000) + us);
    return ODS_OK;
}

/* As Debezium writes a moment: 2025-12-19T08:02:27.123Z. */
static enum ods_status read_moment(const struct form_column *column, const struct field *cell,
                                   struct arena *arena, struct value *value, struct error *error)
{
    if (is_zero_date(cell)) {
        *value = column->not_null ? text_of(epoch_text, sizeof epoch_text - 1)
                                  : (struct value){.kind = VALUE_NULL};
        return ODS_OK;
    }
    if (is_infinite(cell)) {
        *value = text_of(cell->bytes, cell->length);
        return ODS_OK;
    }
    struct field bare = *cell;
    if (bare.length > 3 && memcmp(bare.bytes + bare.length - 3, "+00", 3) == 0)
        bare.length -= 3;
    const char *point = memchr(bare.bytes, '.', bare.length);
    while (point && bare.bytes[bare.length - 1] == '0')
        bare.length--;
    bare.length -= point && bare.bytes[bare.length - 1] == '.';
    int64_t days, us;
    if (!read_plain(&bare, &days, &us))
        return far_moment(cell, arena, value, error);
    char *text = arena_alloc(arena, bare.length + 1);
    if (!text)
        return error_out_of_memory(error);
    memcpy(text, bare.bytes, bare.length);
    text[10] = 'T';
    text[bare.length] = 'Z';
    *value = text_of(text, bare.length + 1);
    return ODS_OK;
}

static enum ods_status read_time(const struct field *cell, struct value *value, struct error *error)
{
    const char *at = cell->bytes, *end = at + cell->length;
    bool negative = at < end && *at == '-';
    at += negative;
    int64_t hour = digits(&at, end, 4);
    if (at == end || *at++ != ':')
        return unreadable(cell, "a time", error);
    int64_t minute = digits(&at, end, 2);
    if (at == end || *at++ != ':')
        return unreadable(cell, "a time", error);
    int64_t second = digits(&at, end, 2);
    int64_t us = ((hour * 60 + minute) * 60 + second) * 1000000 + fraction_us(&at, end);
    if (at != end)
        return unreadable(cell, "a time", error);
    *value = int_of(negative ? -us : us);
    return ODS_OK;
}

/* Converts the time to UTC, as the connector does. */
static enum ods_status read_zoned_time(const struct field *cell, struct arena *arena,
                                       struct value *value, struct error *error)
{
    const char *sign = cell->bytes + cell->length;
    while (sign > cell->bytes && *sign != '+' && *sign != '-')
        sign--;
    struct field clock = {cell->bytes, (size_t) (sign - cell->bytes)};
    struct value local;
    enum ods_status status = read_time(&clock, &local, error);
    if (status != ODS_OK)
        return status;
    const char *at = sign + 1, *end = cell->bytes + cell->length;
    int64_t shift = digits(&at, end, 2) * 3600;
    for (int64_t unit = 60; at < end && *at == ':'; unit = 1) {
        at++;
        shift += digits(&at, end, 2) * unit;
    }
    int64_t day = INT64_C(86400000000);
    int64_t us = local.integer - (*sign == '-' ? -shift : shift) * 1000000;
    if (us < 0 || us >= day)
        us += us < 0 ? day : -day;
    char *text = arena_alloc(arena, 32);
    if (!text)
        return error_out_of_memory(error);
    int length = snprintf(text, 32, "%02d:%02d:%02d.%06dZ", (int) (us / 3600000000),
                          (int) (us / 60000000 % 60), (int) (us / 1000000 % 60),
                          (int) (us % 1000000));
    *value = text_of(text, (size_t) length);
    return ODS_OK;
}

/* --- bits and bytes ------------------------------------------------------------------------- */

static struct value bytes_of(const char *bytes, size_t length)
{
    return (struct value){.kind = VALUE_BYTES, .length = (uint32_t) length, .bytes = bytes};
}

/* Puts the lowest byte first, as in io.debezium.data.Bits. */
static enum ods_status read_bits(const struct field *cell, struct arena *arena, struct value *value,
                                 struct error *error)
{
    char *bytes = arena_alloc(arena, cell->length);
    if (!bytes)
        return error_out_of_memory(error);
    for (size_t i = 0; i < cell->length; i++)
        bytes[i] = cell->bytes[cell->length - 1 - i];
    *value = bytes_of(bytes, cell->length);
    return ODS_OK;
}

static enum ods_status read_digit_bits(const struct field *cell, struct arena *arena,
                                       struct value *value, struct error *error)
{
    size_t length = (cell->length + 7) / 8;
    char *bytes = arena_alloc(arena, length);
    if (!bytes)
        return error_out_of_memory(error);
    memset(bytes, 0, length);
    for (size_t i = 0; i < cell->length; i++)
        if (cell->bytes[cell->length - 1 - i] == '1')
            bytes[i / 8] = (char) (bytes[i / 8] | 1 << i % 8);
    *value = bytes_of(bytes, length);
    return ODS_OK;
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return (digit | 0x20) >= 'a' && (digit | 0x20) <= 'f' ? (digit | 0x20) - 'a' + 10 : -1;
}

static enum ods_status read_hex(const struct field *cell, struct arena *arena, struct value *value,
                                struct error *error)
{
    size_t length = cell->length >= 2 ? (cell->length - 2) / 2 : 0;
    char *bytes = arena_alloc(arena, length);
    if (!bytes)
        return error_out_of_memory(error);
    for (size_t i = 0; i < length; i++) {
        int high = hex_digit(cell->bytes[2 + 2 * i]), low = hex_digit(cell->bytes[3 + 2 * i]);
        if (high < 0 || low < 0)
            return unreadable(cell, "bytes", error);
        bytes[i] = (char) (high << 4 | low);
    }
    *value = bytes_of(bytes, length);
    return ODS_OK;
}

/* --- geometries ----------------------------------------------------------------------------- */

static enum ods_status keep(struct buffer *text, struct arena *arena, enum value_kind kind,
                            struct value *value, struct error *error)
{
    char *copy = text->failed ? NULL : arena_strndup(arena, text->bytes, text->length);
    *value = (struct value){.kind = kind, .length = (uint32_t) text->length, .bytes = copy};
    buffer_done(text);
    return copy ? ODS_OK : error_out_of_memory(error);
}

static enum ods_status read_geometry(const struct field *cell, struct arena *arena,
                                     struct value *value, struct error *error)
{
    uint32_t srid;
    struct buffer text;
    if (cell->length < 4)
        return unreadable(cell, "a geometry", error);
    memcpy(&srid, cell->bytes, sizeof srid);
    buffer_init(&text);
    buffer_puts(&text, "{\"wkb\":\"");
    char *room = buffer_take(&text, BASE64_ENCODED(cell->length - 4));
    if (room)
        base64_encode(cell->bytes + 4, cell->length - 4, room);
    if (srid)
        buffer_printf(&text, "\",\"srid\":%u}", srid);
    else
        buffer_puts(&text, "\",\"srid\":null}");
    return keep(&text, arena, VALUE_JSON, value, error);
}

static enum ods_status read_point(const struct field *cell, struct arena *arena,
                                  struct value *value, struct error *error)
{
    struct buffer text;
    const char *comma = memchr(cell->bytes, ',', cell->length);
    if (!comma || cell->length < 5)
        return unreadable(cell, "a point", error);
    buffer_init(&text);
    buffer_printf(&text, "{\"x\":%.*s,\"y\":%.*s,\"wkb\":null,\"srid\":null}",
                  (int) (comma - cell->bytes - 1), cell->bytes + 1,
                  (int) (cell->bytes + cell->length - 2 - comma), comma + 1);
    return keep(&text, arena, VALUE_JSON, value, error);
}

/* Reads "-$1,234.50", and ignores currency and separators. */
static enum ods_status read_money(const struct field *cell, struct arena *arena,
                                  struct value *value, struct error *error)
{
    char *text = arena_alloc(arena, cell->length + 1);
    size_t length = 0;
    if (!text)
        return error_out_of_memory(error);
    for (size_t i = 0; i < cell->length; i++)
        if (strchr("-.0123456789", cell->bytes[i]))
            text[length++] = cell->bytes[i];
    *value = (struct value){.kind = VALUE_NUMBER, .length = (uint32_t) length, .bytes = text};
    return ODS_OK;
}

enum ods_status form_value(const struct form_column *column, const struct field *cell,
                           struct arena *arena, struct value *value, struct error *error)
{
    int64_t integer;
    if (!cell->bytes) {
        *value = (struct value){.kind = VALUE_NULL};
        return ODS_OK;
    }
    switch (column->form) {
    case FORM_INT:
        if (!read_int(cell, &integer))
            return unreadable(cell, "an integer", error);
        *value = int_of(integer);
        return ODS_OK;
    case FORM_NUMBER:
        *value = (struct value){
            .kind = VALUE_NUMBER, .length = (uint32_t) cell->length, .bytes = cell->bytes};
        return ODS_OK;
    case FORM_TEXT:
        *value = text_of(cell->bytes, cell->length);
        return ODS_OK;
    case FORM_BYTES:
        *value = bytes_of(cell->bytes, cell->length);
        return ODS_OK;
    case FORM_HEX:
        return read_hex(cell, arena, value, error);
    case FORM_BIT:
        *value = (struct value){.kind = VALUE_BOOL,
                                .integer = cell->length && *cell->bytes != '0' && *cell->bytes};
        return ODS_OK;
    case FORM_BITS:
        return read_bits(cell, arena, value, error);
    case FORM_DIGIT_BITS:
        return read_digit_bits(cell, arena, value, error);
    case FORM_BOOLEAN:
        *value = (struct value){.kind = VALUE_BOOL, .integer = cell->length && *cell->bytes == 't'};
        return ODS_OK;
    case FORM_DATE:
    case FORM_TIMESTAMP_MS:
    case FORM_TIMESTAMP_US:
        return read_day(column, cell, arena, value, error);
    case FORM_TIME:
        return read_time(cell, value, error);
    case FORM_MOMENT:
        return read_moment(column, cell, arena, value, error);
    case FORM_TIME_ZONED:
        return read_zoned_time(cell, arena, value, error);
    case FORM_MONEY:
        return read_money(cell, arena, value, error);
    case FORM_GEOMETRY:
        return read_geometry(cell, arena, value, error);
    case FORM_POINT:
        return read_point(cell, arena, value, error);
    case FORM_NONE:
        break;
    }
    *value = (struct value){.kind = VALUE_ABSENT};
    return ODS_OK;
}
