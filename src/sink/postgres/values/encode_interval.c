/* Intervals for columns that take only some parts (`interval year to month`, `interval day`).
 * PostgreSQL would drop the other parts without an error. */
#include <string.h>
#include <strings.h>

#include "sink/postgres/values/encode.h"

/* PostgreSQL keeps an interval as three parts, and never turns one part into another. */
struct parts {
    int64_t months, days, us;
};

struct unit {
    const char *word;
    int64_t months, days, us;
};

#define SECOND_US INT64_C(1000000)

static const struct unit words[] = {
    {"year", 12, 0, 0},
    {"years", 12, 0, 0},
    {"mon", 1, 0, 0},
    {"mons", 1, 0, 0},
    {"month", 1, 0, 0},
    {"months", 1, 0, 0},
    {"week", 0, 7, 0},
    {"weeks", 0, 7, 0},
    {"day", 0, 1, 0},
    {"days", 0, 1, 0},
    {"hour", 0, 0, 3600 * SECOND_US},
    {"hours", 0, 0, 3600 * SECOND_US},
    {"minute", 0, 0, 60 * SECOND_US},
    {"minutes", 0, 0, 60 * SECOND_US},
    {"second", 0, 0, SECOND_US},
    {"seconds", 0, 0, SECOND_US},
};

static const struct unit date_letters[] = {
    {"Y", 12, 0, 0}, {"M", 1, 0, 0}, {"W", 0, 7, 0}, {"D", 0, 1, 0}};
static const struct unit time_letters[] = {
    {"H", 0, 0, 3600 * SECOND_US}, {"M", 0, 0, 60 * SECOND_US}, {"S", 0, 0, SECOND_US}};
static const struct unit clock_units[] = {
    {"", 0, 0, 3600 * SECOND_US}, {"", 0, 0, 60 * SECOND_US}, {"", 0, 0, SECOND_US}};

/* A decimal number: its whole part, and its fraction in millionths, to which each finer digit that
 * is not 0 adds one. */
struct number {
    bool negative;
    int64_t whole, millionths;
};

static const char *read_number(const char *at, const char *end, struct number *number)
{
    *number = (struct number){.negative = at < end && *at == '-'};
    at += at < end && (*at == '-' || *at == '+');
    const char *start = at;
    for (; at < end && *at >= '0' && *at <= '9' && number->whole < 100000000000; at++)
        number->whole = number->whole * 10 + (*at - '0');
    if (at == start)
        return NULL;
    if (at == end || *at != '.')
        return at;
    for (int64_t unit = SECOND_US / 10; ++at < end && *at >= '0' && *at <= '9'; unit /= 10)
        number->millionths += unit ? (*at - '0') * unit : *at != '0';
    return at;
}

/* False: a fraction of another unit than seconds, or more than an interval holds. */
static bool add(struct parts *parts, const struct number *number, const struct unit *unit)
{
    int64_t sign = number->negative ? -1 : 1, months, days, us;
    if (number->millionths && unit->us != SECOND_US)
        return false;
    return !__builtin_mul_overflow(sign * unit->months, number->whole, &months) &&
           !__builtin_mul_overflow(sign * unit->days, number->whole, &days) &&
           !__builtin_mul_overflow(sign * unit->us, number->whole, &us) &&
           !__builtin_add_overflow(parts->months, months, &parts->months) &&
           !__builtin_add_overflow(parts->days, days, &parts->days) &&
           !__builtin_add_overflow(parts->us, us, &parts->us) &&
           !__builtin_add_overflow(parts->us, sign * number->millionths, &parts->us);
}

static const struct unit *find_unit(const struct unit *units, size_t count, const char *word,
                                    size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(units[i].word) == length && strncasecmp(units[i].word, word, length) == 0)
            return &units[i];
    return NULL;
}

/* P1Y2M3DT4H5M6.78S, each number with its own sign. */
static bool read_iso(const char *at, const char *end, struct parts *parts)
{
    bool time = false;
    while (at < end) {
        struct number number;
        if (*at == 'T' && !time) {
            time = true;
            at++;
            continue;
        }
        at = read_number(at, end, &number);
        const struct unit *unit = !at || at == end ? NULL
                                  : time           ? find_unit(time_letters, 3, at, 1)
                                                   : find_unit(date_letters, 4, at, 1);
        if (!unit || !add(parts, &number, unit))
            return false;
        at++;
    }
    return true;
}

/* Reads the rest of -04:05:06.78 after its first number, whose sign is the sign of the whole. */
static const char *read_clock(const char *at, const char *end, struct number *number,
                              struct parts *parts)
{
    bool negative = number->negative;
    for (size_t i = 0; i < 3; i++) {
        if (!add(parts, number, &clock_units[i]))
            return NULL;
        if (at == end || *at != ':')
            return at;
        at = i < 2 ? read_number(at + 1, end, number) : NULL;
        if (!at)
            return NULL;
        number->negative = negative;
    }
    return at;
}

/* 1 year 2 mons 3 days 04:05:06.78, as PostgreSQL writes it. */
static bool read_words(const char *at, const char *end, struct parts *parts)
{
    while (at < end) {
        struct number number;
        if (*at == ' ') {
            at++;
            continue;
        }
        if (!(at = read_number(at, end, &number)))
            return false;
        if (at < end && *at == ':') {
            if (!(at = read_clock(at, end, &number, parts)))
                return false;
            continue;
        }
        while (at < end && *at == ' ')
            at++;
        const char *word = at;
        while (at < end && ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z'))
            at++;
        const struct unit *unit =
            find_unit(words, sizeof words / sizeof *words, word, (size_t) (at - word));
        if (!unit || !add(parts, &number, unit))
            return false;
    }
    return true;
}

/* Does the column's modifier (PostgreSQL's INTERVAL_MASK of each field) allow all parts? */
static bool has_place(const struct pg_column *target, const struct parts *parts)
{
    enum { MONTH = 1 << 1, DAY = 1 << 3, HOUR = 1 << 10, MINUTE = 1 << 11 };
    int32_t range = target->modifier >> 16 & 0x7fff;
    if (range & MINUTE)
        return parts->us % (60 * SECOND_US) == 0;
    if (range & HOUR)
        return parts->us % (3600 * SECOND_US) == 0;
    if (range & DAY)
        return parts->us == 0;
    return parts->us == 0 && parts->days == 0 && (range & MONTH || parts->months % 12 == 0);
}

enum ods_status encode_check_interval(struct encoder *encoder, const struct pg_column *target,
                                      const char *text, size_t length, struct error *error)
{
    enum { SECOND = 1 << 12 };
    struct parts parts = {0};
    const char *end = text + length;
    if (target->modifier < 0 || target->modifier >> 16 & SECOND)
        return ODS_OK;
    bool read =
        length && *text == 'P' ? read_iso(text + 1, end, &parts) : read_words(text, end, &parts);
    if (!read)
        return encode_unreadable(encoder, target, "22007",
                             "the column takes some parts of an interval only, and it can't be "
                             "told which ones the value has",
                             error);
    return has_place(target, &parts)
               ? ODS_OK
               : encode_refuse(target, "22008",
                               "the interval has parts that the column would cut off", error);
}
