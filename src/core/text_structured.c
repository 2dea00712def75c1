/* Debezium's structured dates and times: io.debezium.time.Structured* (time.precision.mode
 * structured), with "nanos" or "picoseconds" by the connector's version. See text_structured.h. */
#include "core/text_structured.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"

#define US_PER_DAY    INT64_C(86400000000)
#define PS_PER_US     INT64_C(1000000)
#define PS_PER_SECOND INT64_C(1000000000000)

/* A member that may be missing or null, which is 0. */
static bool read_part(yyjson_val *object, const char *name, int64_t least, int64_t most,
                      int64_t *part)
{
    yyjson_val *number = yyjson_obj_get(object, name);
    *part = 0;
    return !number || yyjson_is_null(number) ||
           (text_json_integer(number, part) && *part >= least && *part <= most);
}

/* The fraction of a second, with the sign of its part. */
static bool read_fraction(yyjson_val *object, int64_t *us, int32_t *ps)
{
    int64_t nanos, picoseconds;
    if (!read_part(object, "nanos", -999999999, 999999999, &nanos) ||
        !read_part(object, "picoseconds", 1 - PS_PER_SECOND, PS_PER_SECOND - 1, &picoseconds) ||
        (nanos && picoseconds))
        return false;
    picoseconds += nanos * 1000;
    *us = picoseconds / PS_PER_US;
    *ps = (int32_t) (picoseconds % PS_PER_US);
    return true;
}

static bool read_clock(yyjson_val *object, int64_t *us, int32_t *ps)
{
    int64_t hour, minute, second, fraction;
    if (!read_part(object, "hour", 0, 24, &hour) || !read_part(object, "minute", 0, 59, &minute) ||
        !read_part(object, "second", 0, 59, &second) || !read_fraction(object, &fraction, ps) ||
        fraction < 0 || *ps < 0)
        return false;
    *us = (hour * 3600 + minute * 60 + second) * 1000000 + fraction;
    return *us < US_PER_DAY || (*us == US_PER_DAY && !*ps);
}

/* Each part of an interval has its own sign and may have any value of an int64. */
static bool read_lapse(yyjson_val *object, int64_t *us, int32_t *ps)
{
    static const struct {
        const char *name;
        int64_t us;
    } parts[] = {{"hours", INT64_C(3600000000)}, {"minutes", 60000000}, {"seconds", 1000000}};
    if (!read_fraction(object, us, ps))
        return false;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        int64_t part, amount;
        if (!read_part(object, parts[i].name, INT64_MIN, INT64_MAX, &part) ||
            __builtin_mul_overflow(part, parts[i].us, &amount) ||
            __builtin_add_overflow(*us, amount, us))
            return false;
    }
    return true;
}

static bool read_date(yyjson_val *object, int64_t *days)
{
    int64_t year, month, day, back_year;
    int back_month, back_day;
    if (!read_part(object, "year", -5000, 5874897, &year) ||
        !read_part(object, "month", 1, 12, &month) || !read_part(object, "day", 1, 31, &day) ||
        !month || !day)
        return false;
    *days = time_days(year, (int) month, (int) day);
    time_civil(*days, &back_year, &back_month, &back_day);
    return back_month == month && back_day == day && /* no 30th of February */
           *days >= TIME_DAYS_MIN && *days <= TIME_DAYS_MAX;
}

/* PostgreSQL's last timestamps do not fit into an int64 of microseconds since 1970, so day and time
 * are checked separately. */
static void put_timestamp(struct buffer *out, int64_t days, int64_t us, int32_t ps, bool utc)
{
    int64_t of_day, more = time_floor_div(us, US_PER_DAY, &of_day);
    struct buffer date;
    buffer_init(&date);
    time_format_date(&date, days + more);
    size_t length = date.length;
    bool before_christ = length > 3 && memcmp(date.bytes + length - 3, " BC", 3) == 0;
    buffer_add(out, date.bytes, before_christ ? length - 3 : length);
    buffer_puts(out, " ");
    time_format_fine_time(out, of_day, ps);
    buffer_puts(out, utc ? "+00" : "");
    buffer_puts(out, before_christ ? " BC" : "");
    out->failed |= date.failed;
    buffer_done(&date);
}

static void put_offset(struct buffer *out, int64_t seconds)
{
    int away = abs((int) seconds);
    buffer_printf(out, "%c%02d", seconds < 0 ? '-' : '+', away / 3600);
    if (away % 3600)
        buffer_printf(out, ":%02d", away / 60 % 60);
    if (away % 60)
        buffer_printf(out, ":%02d", away % 60);
}

static bool put_infinity(struct buffer *out, const char *word)
{
    bool minus = strcmp(word, "NEGATIVE_INFINITY") == 0;
    if (!minus && strcmp(word, "POSITIVE_INFINITY") != 0)
        return false;
    buffer_puts(out, minus ? "-infinity" : "infinity");
    return true;
}

static bool put_interval(struct buffer *out, yyjson_val *object)
{
    int64_t years, months, days, us;
    int32_t ps;
    if (!read_part(object, "years", INT32_MIN, INT32_MAX, &years) ||
        !read_part(object, "months", INT32_MIN, INT32_MAX, &months) ||
        !read_part(object, "days", INT32_MIN, INT32_MAX, &days) || !read_lapse(object, &us, &ps))
        return false;
    time_format_interval(out, years * 12 + months, days, us, ps);
    return true;
}

static bool put_object(struct buffer *out, enum semantic type, yyjson_val *object)
{
    yyjson_val *special = yyjson_obj_get(object, "specialValue");
    int64_t days, us, offset;
    int32_t ps;
    if (yyjson_is_str(special))
        return put_infinity(out, yyjson_get_str(special));
    if (!read_part(object, "offsetSeconds", -64800, 64800, &offset))
        return false;
    switch (type) {
    case SEM_STRUCTURED_DATE:
        if (!read_date(object, &days))
            return false;
        time_format_date(out, days);
        return true;
    case SEM_STRUCTURED_TIME:
    case SEM_STRUCTURED_ZONED_TIME:
        if (!read_clock(object, &us, &ps))
            return false;
        time_format_fine_time(out, us, ps);
        if (type == SEM_STRUCTURED_ZONED_TIME)
            put_offset(out, offset);
        return true;
    case SEM_STRUCTURED_TIMESTAMP:
    case SEM_STRUCTURED_ZONED_TIMESTAMP:
        if (!read_date(object, &days) || !read_clock(object, &us, &ps))
            return false;
        if (type == SEM_STRUCTURED_TIMESTAMP)
            offset = 0;
        put_timestamp(out, days, us - offset * 1000000, ps, type != SEM_STRUCTURED_TIMESTAMP);
        return true;
    default:
        return put_interval(out, object);
    }
}

enum ods_status text_structured(struct buffer *out, const struct column *column, yyjson_val *object,
                                struct error *error)
{
    if (yyjson_is_obj(object) && put_object(out, column->type, object))
        return ODS_OK;
    return text_json_reject(error, column, "parts that make no date, time or interval");
}
