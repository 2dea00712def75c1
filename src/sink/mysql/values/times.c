/* Dates, moments and times of day. The session's time_zone is UTC, so a timestamp column takes
 * what is written here as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/mysql/values/encoder.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US    (INT64_C(86400) * SECOND_US)
#define FIRST_DAY INT64_C(-719162) /* 0001-01-01 */
#define END_DAY   INT64_C(2932897) /* 10000-01-01 */
#define TIME_US   ((INT64_C(838) * 3600 + 59 * 60 + 59) * SECOND_US)
/* What a timestamp column holds: 1970-01-01 00:00:01 to 2038-01-19 03:14:07.999999. */
#define TIMESTAMP_FIRST_US SECOND_US
#define TIMESTAMP_END_US   ((INT64_C(1) << 31) * SECOND_US)

static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};

static int64_t unit_of(const struct mysql_column *target)
{
    return target->precision < 6 ? units[target->precision] : 1;
}

static enum ods_status too_precise(struct mysql_encoder *encoder, bool fine)
{
    return mysql_inexact(encoder, fine, "the time has more fractional digits than %s",
                         encoder->target->column_type);
}

static void put_digits(char *to, uint64_t number, int count)
{
    for (int i = count; i-- > 0; number /= 10)
        to[i] = (char) ('0' + number % 10);
}

/* As many fractional digits as the column has. Returns their number with the point. */
static int put_fraction(char *to, int64_t us, uint32_t digits)
{
    if (!digits || digits > 6)
        return 0;
    *to = '.';
    put_digits(to + 1, (uint64_t) (us / units[digits]), (int) digits);
    return (int) digits + 1;
}

/* --- moments -------------------------------------------------------------------------------- */

struct moment {
    int64_t days, us; /* since 1970; of the day */
    int32_t ps;
};

static bool split(int64_t us, struct moment *moment)
{
    moment->days = time_floor_div(us, DAY_US, &moment->us);
    return true;
}

/* The moments that are numbers in the record. */
static bool from_number(enum semantic type, int64_t number, struct moment *moment)
{
    int64_t us, ns;
    switch (type) {
    case SEM_DATE:
        moment->days = number;
        return !time_date_infinite(number);
    case SEM_TIMESTAMP_MS:
        return !time_ms_infinite(number) && !__builtin_mul_overflow(number, INT64_C(1000), &us) &&
               split(us, moment);
    case SEM_TIMESTAMP_US:
        return !time_us_infinite(number) && split(number, moment);
    case SEM_TIMESTAMP_NS:
        us = time_floor_div(number, 1000, &ns);
        moment->ps = (int32_t) ns * 1000;
        return !time_ns_infinite(number) && split(us, moment);
    default:
        return false;
    }
}

static bool is_counted(enum semantic type)
{
    return type == SEM_DATE || (type >= SEM_TIMESTAMP_MS && type <= SEM_TIMESTAMP_NS);
}

/* Of a text: its date, time and zone as ISO 8601 has them; a zone makes it a moment in UTC. */
static enum ods_status to_moment(struct mysql_encoder *encoder, struct moment *moment)
{
    const struct value *value = encoder->value;
    enum semantic type = encoder->source->type;
    *moment = (struct moment){0};
    bool zoned, good;
    if (value->kind == VALUE_INT && is_counted(type)) {
        good = from_number(type, value->integer, moment);
    } else if (value->kind == VALUE_TEXT || value->kind == VALUE_JSON) {
        struct buffer room;
        const char *text;
        size_t length;
        buffer_init(&room);
        enum ods_status status = mysql_as_text(encoder, &room, &text, &length);
        good = status == ODS_OK && time_parse_days(text, length, &moment->days, &moment->us,
                                                   &moment->ps, &zoned);
        buffer_done(&room);
        if (status != ODS_OK)
            return status;
        int64_t of_day;
        moment->days += time_floor_div(moment->us, DAY_US, &of_day); /* moved by its zone */
        moment->us = of_day;
    } else {
        good = false;
    }
    if (!good)
        return mysql_refuse(encoder, MYSQL_BAD_TIME,
                            "the value is no date and time as ISO 8601 writes it, or infinite");
    return ODS_OK;
}

/* Rounds half up, where that is allowed, first to microseconds and then to the column's digits. */
static enum ods_status round_moment(struct mysql_encoder *encoder, struct moment *moment)
{
    int64_t unit = unit_of(encoder->target), rest = moment->us % unit;
    enum ods_status status = ODS_OK;
    if (moment->ps) {
        status = too_precise(encoder, true);
        moment->us += moment->ps >= 500000;
        rest = moment->us % unit;
    }
    if (status == ODS_OK && rest) {
        status = too_precise(encoder, false);
        moment->us += 2 * rest >= unit ? unit - rest : -rest;
    }
    if (moment->us >= DAY_US) {
        moment->us -= DAY_US;
        moment->days++;
    }
    return status;
}

static enum ods_status beyond(struct mysql_encoder *encoder, const char *range)
{
    return mysql_refuse(encoder, MYSQL_BAD_TIME, "the value is beyond what %s holds, %s",
                        encoder->target->column_type, range);
}

static enum ods_status check_moment(struct mysql_encoder *encoder, const struct moment *moment)
{
    if (moment->days < FIRST_DAY || moment->days >= END_DAY)
        return beyond(encoder, "the years 1 to 9999");
    if (encoder->target->type != MYSQL_IS_TIMESTAMP)
        return ODS_OK;
    int64_t us = moment->days * DAY_US + moment->us; /* such days are far from an overflow */
    if (us < TIMESTAMP_FIRST_US || us >= TIMESTAMP_END_US)
        return beyond(encoder, "1970-01-01 00:00:01 to 2038-01-19 03:14:07 UTC");
    return ODS_OK;
}

static enum ods_status put_moment(struct mysql_encoder *encoder, const struct moment *moment)
{
    char text[] = "0000-00-00 00:00:00.000000";
    int64_t year, seconds = moment->us / SECOND_US;
    int month, day, length = 10;
    time_civil(moment->days, &year, &month, &day);
    put_digits(text, (uint64_t) year, 4);
    put_digits(text + 5, (uint64_t) month, 2);
    put_digits(text + 8, (uint64_t) day, 2);
    if (encoder->target->type != MYSQL_IS_DATE) {
        put_digits(text + 11, (uint64_t) seconds / 3600, 2);
        put_digits(text + 14, (uint64_t) seconds / 60 % 60, 2);
        put_digits(text + 17, (uint64_t) seconds % 60, 2);
        length = 19 + put_fraction(text + 19, moment->us % SECOND_US, encoder->target->precision);
    }
    return mysql_put(encoder, MYSQL_TEXT, text, (size_t) length, true);
}

enum ods_status mysql_encode_moment(struct mysql_encoder *encoder)
{
    struct moment moment;
    enum ods_status status = to_moment(encoder, &moment);
    if (status == ODS_OK && encoder->target->type == MYSQL_IS_DATE && (moment.us || moment.ps))
        return mysql_refuse(encoder, MYSQL_TRUNCATED,
                            "the value has a time of day, which a date does not have");
    if (status == ODS_OK)
        status = round_moment(encoder, &moment);
    if (status == ODS_OK)
        status = check_moment(encoder, &moment);
    return status == ODS_OK ? put_moment(encoder, &moment) : status;
}

/* --- times of day, and lapses --------------------------------------------------------------- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* "[-]h…:mm[:ss[.f…]]", with nothing behind it but a zone that is UTC. */
static bool parse_time(const char *text, size_t length, int64_t *us, int32_t *ps)
{
    const char *at = text, *end = text + length;
    bool negative = at < end && *at == '-';
    int64_t hours = 0, of_hour;
    char clock[40] = "00";
    at += at < end && (*at == '-' || *at == '+');
    const char *start = at;
    for (; at < end && is_digit(*at) && at - start < 9; at++)
        hours = hours * 10 + (*at - '0');
    size_t rest = (size_t) (end - at);
    if (at == start || rest < 3 || rest + 2 >= sizeof clock)
        return false;
    memcpy(clock + 2, at, rest);
    size_t taken = time_parse_time(clock, rest + 2, &of_hour, ps);
    size_t left = rest + 2 - taken;
    const char *zone = clock + taken;
    bool utc = left == 0 || (left == 1 && (*zone | 0x20) == 'z') ||
               (left == 3 && memcmp(zone, "+00", 3) == 0) ||
               (left == 6 && memcmp(zone, "+00:00", 6) == 0);
    if (!taken || !utc)
        return false;
    *us = hours * 3600 * SECOND_US + of_hour;
    if (negative) {
        *us = -*us;
        *ps = -*ps;
    }
    return true;
}

/* An ISO 8601 duration without years and months, which have no length. */
static bool parse_lapse(const char *text, size_t length, int64_t *us, int32_t *ps)
{
    int64_t months, days, more;
    return time_parse_interval(text, length, &months, &days, us, ps) && !months &&
           !__builtin_mul_overflow(days, DAY_US, &more) && !__builtin_add_overflow(*us, more, us);
}

static bool number_of_units(enum semantic type, int64_t number, int64_t *us, int32_t *ps)
{
    *ps = 0;
    switch (type) {
    case SEM_TIME_MS:
        return !__builtin_mul_overflow(number, INT64_C(1000), us);
    case SEM_TIME_US:
    case SEM_DURATION_US:
        *us = number;
        return true;
    case SEM_TIME_NS:
    case SEM_DURATION_NS:
        *us = number / 1000;
        *ps = (int32_t) (number % 1000) * 1000;
        return true;
    default:
        return false;
    }
}

static enum ods_status to_time(struct mysql_encoder *encoder, int64_t *us, int32_t *ps)
{
    const struct value *value = encoder->value;
    enum semantic type = encoder->source->type;
    struct buffer room;
    const char *text;
    size_t length;
    *ps = 0;
    bool good;
    if (value->kind == VALUE_INT) {
        good = number_of_units(type, value->integer, us, ps);
    } else if (value->kind == VALUE_TEXT || value->kind == VALUE_JSON ||
               type == SEM_DURATION_US || type == SEM_DURATION_NS) {
        buffer_init(&room);
        enum ods_status status = value->kind == VALUE_TEXT && type == SEM_INTERVAL
                                     ? (text = value->bytes, length = value->length, ODS_OK)
                                     : mysql_as_text(encoder, &room, &text, &length);
        good = status == ODS_OK && (parse_time(text, length, us, ps) ||
                                    parse_lapse(text, length, us, ps));
        buffer_done(&room);
        if (status != ODS_OK)
            return status;
    } else {
        good = false;
    }
    if (good)
        return ODS_OK;
    return mysql_refuse(encoder, MYSQL_BAD_TIME,
                        "the value is no time, nor a lapse of days, hours and seconds (a zone "
                        "other than UTC is none of a time column)");
}

/* Rounds half away from zero, as the server does, where that is allowed. */
static enum ods_status round_time(struct mysql_encoder *encoder, uint64_t *us, uint32_t ps)
{
    uint64_t unit = (uint64_t) unit_of(encoder->target);
    enum ods_status status = ODS_OK;
    if (ps) {
        status = too_precise(encoder, true);
        *us += ps >= 500000;
    }
    uint64_t rest = *us % unit;
    if (status == ODS_OK && rest) {
        status = too_precise(encoder, false);
        *us += 2 * rest >= unit ? unit - rest : -rest;
    }
    return status;
}

enum ods_status mysql_encode_time(struct mysql_encoder *encoder)
{
    int64_t us = 0;
    int32_t ps = 0;
    char text[32], *at = text;
    enum ods_status status = to_time(encoder, &us, &ps);
    if (status != ODS_OK)
        return status;
    bool negative = us < 0 || ps < 0;
    uint64_t magnitude = us < 0 ? 0 - (uint64_t) us : (uint64_t) us;
    if (magnitude > TIME_US)
        return beyond(encoder, "-838:59:59 to 838:59:59");
    status = round_time(encoder, &magnitude, (uint32_t) abs(ps));
    if (status != ODS_OK)
        return status;
    if (magnitude > TIME_US)
        return beyond(encoder, "-838:59:59 to 838:59:59");
    uint64_t seconds = magnitude / SECOND_US, hours = seconds / 3600;
    if (negative && magnitude)
        *at++ = '-';
    int width = hours > 99 ? 3 : 2;
    put_digits(at, hours, width);
    at += width;
    *at++ = ':';
    put_digits(at, seconds / 60 % 60, 2);
    at[2] = ':';
    put_digits(at + 3, seconds % 60, 2);
    at += 5;
    at += put_fraction(at, (int64_t) (magnitude % SECOND_US), encoder->target->precision);
    return mysql_put(encoder, MYSQL_TEXT, text, (size_t) (at - text), true);
}
