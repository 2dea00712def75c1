/* The calendar, and dates, times and intervals in PostgreSQL's own writing. Pure functions. */
#include "core/time.h"

#include <stdlib.h>
#include <string.h>

#define PS_PER_US     1000000
#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY    INT64_C(86400000000)
#define YEAR_MAX      6000000 /* beyond what any date can hold; keeps the arithmetic in range */

static int64_t clock_us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * US_PER_SECOND + now.tv_nsec / 1000;
}

int64_t time_monotonic_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

int64_t time_wall_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t time_cpu_us(void)
{
    return clock_us(CLOCK_PROCESS_CPUTIME_ID);
}

struct timespec time_deadline(int64_t wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    if (wait_ms > 0) {
        at.tv_sec += wait_ms / 1000;
        at.tv_nsec += wait_ms % 1000 * 1000000;
        at.tv_sec += at.tv_nsec / 1000000000;
        at.tv_nsec %= 1000000000;
    }
    return at;
}

/* Years are taken to begin on 1 March, so that the leap day is a year's last; eras of 400 years
 * repeat exactly. Day 0 is 1970-01-01, which is 719468 days after 0000-03-01. */
void time_civil(int64_t days, int64_t *year, int *month, int *day)
{
    int64_t rest, era = time_floor_div(days + 719468, 146097, &rest);
    int of_era = (int) rest;
    int year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int shifted = (5 * of_year + 2) / 153; /* months since March */
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = era * 400 + year_of_era + (*month <= 2);
}

int64_t time_days(int64_t year, int month, int day)
{
    int64_t rest, era = time_floor_div(year - (month <= 2), 400, &rest);
    int shifted = month > 2 ? month - 3 : month + 9;
    int of_year = (153 * shifted + 2) / 5 + day - 1;
    int64_t of_era = rest * 365 + rest / 4 - rest / 100 + of_year;
    return era * 146097 + of_era - 719468;
}

int time_date_infinite(int64_t days)
{
    switch (days) {
    case -2147472692: /* PostgreSQL's INT32_MAX since 2000, wrapped to days since 1970 */
    case 2146033979:  /* 5877611-06-21, of later versions */
    case -622191234:  /* in a snapshot: what Java's calendar makes of the driver's constant */
        return 1;
    case -2147472691: /* INT32_MIN since 2000 */
    case -625821272:
        return -1;
    default:
        return 0;
    }
}

int time_us_infinite(int64_t us)
{
    if (us == INT64_C(9223372036825200000) || us == INT64_MAX)
        return 1;
    return us == INT64_C(-9223372036832400000) || us == INT64_MIN ? -1 : 0;
}

int time_ns_infinite(int64_t ns)
{
    return ns == INT64_MAX ? 1 : ns == INT64_MIN ? -1 : 0;
}

int time_ms_infinite(int64_t ms)
{
    if (ms == INT64_C(9223372036825200) || ms == INT64_MAX / 1000 || ms == INT64_MAX)
        return 1;
    if (ms == INT64_C(-9223372036832400) || ms == INT64_MIN / 1000 - 1 || ms == INT64_MIN)
        return -1;
    /* Some versions do not scale the constants that count in microseconds. */
    return time_us_infinite(ms);
}

static void put_padded(char *at, uint32_t value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        at[i] = (char) ('0' + value % 10);
}

/* ".5" for 500000 microseconds, nothing for none. */
static void format_fraction(struct buffer *out, int64_t us, int32_t ps)
{
    char text[13] = ".";
    if (!us && !ps)
        return;
    put_padded(text + 1, (uint32_t) us, 6);
    put_padded(text + 7, (uint32_t) ps, 6);
    size_t length = 13;
    while (text[length - 1] == '0')
        length--;
    buffer_add(out, text, length);
}

/* Writes year, month and day; true if " BC" must follow. */
static bool format_civil(struct buffer *out, int64_t days)
{
    int64_t year;
    int month, day;
    time_civil(days, &year, &month, &day);
    bool before_christ = year <= 0;
    if (before_christ)
        year = 1 - year;
    char text[16];
    int width = 4;
    for (int64_t limit = 10000; year >= limit && width < 9; limit *= 10)
        width++;
    put_padded(text, (uint32_t) year, width);
    text[width] = text[width + 3] = '-';
    put_padded(text + width + 1, (uint32_t) month, 2);
    put_padded(text + width + 4, (uint32_t) day, 2);
    buffer_add(out, text, (size_t) width + 6);
    return before_christ;
}

void time_format_date(struct buffer *out, int64_t days)
{
    if (format_civil(out, days))
        buffer_add(out, " BC", 3);
}

void time_format_fine_time(struct buffer *out, int64_t us, int32_t ps)
{
    uint64_t magnitude = us < 0 ? 0 - (uint64_t) us : (uint64_t) us;
    uint64_t seconds = magnitude / US_PER_SECOND, hours = seconds / 3600;
    if (us < 0 || ps < 0)
        buffer_add(out, "-", 1);
    if (hours > 99)
        buffer_printf(out, "%llu", (unsigned long long) hours);
    char text[8] = "00:00:00";
    put_padded(text, (uint32_t) (hours > 99 ? 0 : hours), 2);
    put_padded(text + 3, (uint32_t) (seconds / 60 % 60), 2);
    put_padded(text + 6, (uint32_t) (seconds % 60), 2);
    if (hours > 99)
        buffer_add(out, text + 2, 6);
    else
        buffer_add(out, text, 8);
    format_fraction(out, (int64_t) (magnitude % US_PER_SECOND), abs(ps));
}

void time_format_time(struct buffer *out, int64_t us)
{
    time_format_fine_time(out, us, 0);
}

void time_format_timestamp(struct buffer *out, int64_t us, bool utc)
{
    time_format_fine_timestamp(out, us, 0, utc);
}

void time_format_fine_timestamp(struct buffer *out, int64_t us, int32_t ps, bool utc)
{
    int64_t of_day, days = time_floor_div(us, US_PER_DAY, &of_day);
    bool before_christ = format_civil(out, days);
    buffer_add(out, " ", 1);
    time_format_fine_time(out, of_day, ps);
    if (utc)
        buffer_add(out, "+00", 3);
    if (before_christ)
        buffer_add(out, " BC", 3);
}

/* --- intervals --- */

/* Writes one unit of an interval; PostgreSQL writes "-1 years", and a sign after a negative part.
 */
static void format_unit(struct buffer *out, int64_t value, const char *unit, bool *empty,
                        bool *after_negative)
{
    if (!value)
        return;
    buffer_printf(out, "%s%s%lld %s%s", *empty ? "" : " ", *after_negative && value > 0 ? "+" : "",
                  (long long) value, unit, value == 1 ? "" : "s");
    *after_negative = value < 0;
    *empty = false;
}

void time_format_interval(struct buffer *out, int64_t months, int64_t days, int64_t us, int32_t ps)
{
    bool empty = true, after_negative = false;
    if (us > 0 && ps < 0) {
        us--;
        ps += PS_PER_US;
    } else if (us < 0 && ps > 0) {
        us++;
        ps -= PS_PER_US;
    }
    format_unit(out, months / 12, "year", &empty, &after_negative);
    format_unit(out, months % 12, "mon", &empty, &after_negative);
    format_unit(out, days, "day", &empty, &after_negative);
    bool some_time = us || ps;
    if (!some_time && !empty)
        return;
    if (!empty)
        buffer_add(out, " ", 1);
    if (after_negative && some_time && us >= 0 && ps >= 0)
        buffer_add(out, "+", 1);
    time_format_fine_time(out, us, ps);
}

/* --- parsing --- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Exactly `count` digits. */
static bool parse_digits(const char **at, const char *end, int count, int *value)
{
    if (end - *at < count)
        return false;
    *value = 0;
    for (int i = 0; i < count; i++, (*at)++) {
        if (!is_digit(**at))
            return false;
        *value = *value * 10 + (**at - '0');
    }
    return true;
}

/* Reads ".f…" if it is there: the microseconds, and the picoseconds beyond them; 1 if it is finer
 * still. */
static bool parse_fraction(const char **at, const char *end, int64_t *us, int32_t *ps)
{
    *us = 0;
    *ps = 0;
    if (*at == end || (**at != '.' && **at != ','))
        return true;
    if (++*at == end || !is_digit(**at))
        return false;
    int digits = 0;
    for (; *at < end && is_digit(**at); (*at)++, digits++) {
        if (digits < 6)
            *us = *us * 10 + (**at - '0');
        else if (digits < 12)
            *ps = *ps * 10 + (**at - '0');
        else if (**at > '0' && !*ps)
            *ps = 1;
    }
    for (; digits < 6; digits++)
        *us *= 10;
    for (; digits > 6 && digits < 12; digits++)
        *ps *= 10;
    return true;
}

size_t time_parse_time(const char *text, size_t length, int64_t *us, int32_t *ps)
{
    const char *at = text, *end = text + length;
    int hour, minute, second = 0;
    int64_t fraction = 0;
    *ps = 0;
    if (!parse_digits(&at, end, 2, &hour) || at == end || *at++ != ':' ||
        !parse_digits(&at, end, 2, &minute))
        return 0;
    if (at < end && *at == ':') {
        at++;
        if (!parse_digits(&at, end, 2, &second) || !parse_fraction(&at, end, &fraction, ps))
            return 0;
    }
    if (hour > 24 || minute > 59 || second > 60)
        return 0;
    *us = (hour * INT64_C(3600) + minute * 60 + second) * US_PER_SECOND + fraction;
    return *us < US_PER_DAY || (*us == US_PER_DAY && !*ps) ? (size_t) (at - text) : 0;
}

/* "Z" or "±hh[:mm[:ss]]", or nothing, up to the end. */
static bool parse_zone(const char *at, const char *end, int *seconds, bool *zoned)
{
    *seconds = 0;
    *zoned = at < end;
    if (at == end)
        return true;
    char sign = *at++;
    if (sign == 'Z' || sign == 'z')
        return at == end;
    int hour, minute = 0, second = 0;
    if ((sign != '+' && sign != '-') || !parse_digits(&at, end, 2, &hour))
        return false;
    if (at < end) {
        at += *at == ':';
        if (!parse_digits(&at, end, 2, &minute))
            return false;
    }
    if (at < end && (*at++ != ':' || !parse_digits(&at, end, 2, &second)))
        return false;
    *seconds = (hour * 60 + minute) * 60 + second;
    if (sign == '-')
        *seconds = -*seconds;
    return at == end && hour <= 18 && minute < 60 && second < 60;
}

bool time_is_zone(const char *text, size_t length)
{
    int seconds;
    bool zoned;
    return parse_zone(text, text + length, &seconds, &zoned);
}

static bool parse_date(const char **at, const char *end, bool before_christ, int64_t *days)
{
    static const char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool negative = *at < end && **at == '-';
    *at += negative || (*at < end && **at == '+');
    int64_t year = 0;
    int month, day, digits = 0;
    for (; *at < end && is_digit(**at); (*at)++, digits++)
        if ((year = year * 10 + (**at - '0')) > YEAR_MAX)
            return false;
    if (digits < 4 || *at == end || *(*at)++ != '-' || !parse_digits(at, end, 2, &month) ||
        *at == end || *(*at)++ != '-' || !parse_digits(at, end, 2, &day))
        return false;
    if (before_christ)
        year = 1 - year;
    else if (negative)
        year = -year;
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if (month < 1 || month > 12 || day < 1 || day > lengths[month - 1] ||
        (month == 2 && day == 29 && !leap))
        return false;
    *days = time_days(year, month, day);
    return true;
}

bool time_parse_timestamp(const char *text, size_t length, int64_t *us, int32_t *ps, bool *zoned)
{
    int64_t days, of_day;
    return time_parse_days(text, length, &days, &of_day, ps, zoned) &&
           !__builtin_mul_overflow(days, US_PER_DAY, us) &&
           !__builtin_add_overflow(*us, of_day, us);
}

bool time_parse_days(const char *text, size_t length, int64_t *days, int64_t *us, int32_t *ps,
                     bool *zoned)
{
    bool before_christ = length > 3 && memcmp(text + length - 3, " BC", 3) == 0;
    const char *at = text, *end = text + length - (before_christ ? 3 : 0);
    int zone;
    *us = 0;
    *ps = 0;
    if (!parse_date(&at, end, before_christ, days))
        return false;
    if (at < end && (*at == 'T' || *at == 't' || *at == ' ')) {
        at++;
        size_t taken = time_parse_time(at, (size_t) (end - at), us, ps);
        if (!taken)
            return false;
        at += taken;
    }
    if (!parse_zone(at, end, &zone, zoned))
        return false;
    *us -= zone * US_PER_SECOND;
    return true;
}

/* A signed number with an optional fraction, as whole part and micro parts of the same sign. */
static bool parse_part(const char **at, const char *end, int64_t *whole, int64_t *micro,
                       int32_t *ps)
{
    bool negative = *at < end && **at == '-';
    *at += negative || (*at < end && **at == '+');
    if (*at == end || !is_digit(**at))
        return false;
    *whole = 0;
    for (; *at < end && is_digit(**at); (*at)++)
        if (__builtin_mul_overflow(*whole, INT64_C(10), whole) ||
            __builtin_add_overflow(*whole, (int64_t) (**at - '0'), whole))
            return false;
    if (!parse_fraction(at, end, micro, ps))
        return false;
    if (negative) {
        *whole = -*whole;
        *micro = -*micro;
        *ps = -*ps;
    }
    return true;
}

/* Adds `whole` times `unit` to *sum. */
static bool add_units(int64_t *sum, int64_t whole, int64_t unit)
{
    int64_t amount;
    return !__builtin_mul_overflow(whole, unit, &amount) &&
           !__builtin_add_overflow(*sum, amount, sum);
}

bool time_parse_interval(const char *text, size_t length, int64_t *months, int64_t *days,
                         int64_t *us, int32_t *ps)
{
    const char *at = text, *end = text + length;
    bool of_time = false, any = false;
    *ps = 0;
    *months = *days = *us = 0;
    if (at == end || *at++ != 'P')
        return false;
    while (at < end) {
        if (*at == 'T' && !of_time) {
            of_time = true;
            at++;
            continue;
        }
        int64_t whole, micro;
        int32_t fine;
        if (!parse_part(&at, end, &whole, &micro, &fine) || at == end)
            return false;
        char unit = *at++;
        bool ok = false;
        if ((micro || fine) && !(of_time && unit == 'S'))
            return false; /* a fraction of a month has no fixed length */
        *ps = fine ? fine : *ps;
        if (!of_time)
            ok = unit == 'Y'   ? add_units(months, whole, 12)
                 : unit == 'M' ? add_units(months, whole, 1)
                 : unit == 'W' ? add_units(days, whole, 7)
                 : unit == 'D' ? add_units(days, whole, 1)
                               : false;
        else
            ok = unit == 'H'   ? add_units(us, whole, 3600 * US_PER_SECOND)
                 : unit == 'M' ? add_units(us, whole, 60 * US_PER_SECOND)
                 : unit == 'S' ? add_units(us, whole, US_PER_SECOND) && add_units(us, micro, 1)
                               : false;
        if (!ok)
            return false;
        any = true;
    }
    return any && *months >= INT32_MIN && *months <= INT32_MAX && *days >= INT32_MIN &&
           *days <= INT32_MAX;
}
