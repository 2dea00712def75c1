/* Dates and times into PostgreSQL's binary forms: days and microseconds since 2000-01-01. */
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "core/time.h"
#include "sink/postgres/values/encode.h"

#define DAY_US            (INT64_C(86400) * 1000000)
#define POSTGRES_EPOCH_US (POSTGRES_EPOCH_DAYS * DAY_US)

/* 294277-01-01: the first moment that a timestamp can't hold. */
#define POSTGRES_END_US INT64_C(9223371331200000000)

/* Numbers further from 0 than these may stand for infinity, as some connectors send it; the
 * canonical text shows which ones do. */
#define PLAIN_DAYS INT64_C(20000000)
#define PLAIN_US   INT64_C(9000000000000000000)

enum special { NOT_SPECIAL, INFINITE, MINUS_INFINITE };

static enum special special_word(const char *text, size_t length)
{
    if (length == 8 && memcmp(text, "infinity", 8) == 0)
        return INFINITE;
    if (length == 9 && memcmp(text, "-infinity", 9) == 0)
        return MINUS_INFINITE;
    return NOT_SPECIAL;
}

static enum ods_status not_a(struct encoder *encoder, const struct pg_column *target,
                             const char *what, const char *text, size_t length,
                             struct error *error)
{
    char why[160];
    snprintf(why, sizeof why, "\"%.*s\" is not %s", (int) (length > 60 ? 60 : length), text, what);
    return encode_unreadable(encoder, target, "22007", why, error);
}

/* False: the column's precision would round the fraction. */
static bool fits_precision(const struct pg_column *target, int64_t us)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    return target->modifier < 0 || target->modifier > 6 || us % units[target->modifier] == 0;
}

static enum ods_status too_precise(struct encoder *encoder, const struct pg_column *target,
                                   struct error *error)
{
    char why[96];
    snprintf(why, sizeof why, "the time has more than the %d fractional digits of the column",
             target->modifier >= 0 && target->modifier < 6 ? target->modifier : 6);
    return encode_inexact(encoder, target, "22008", why, error);
}

/* Digits below a microsecond are rounded half up where the settings allow it, else refused. */
static enum ods_status round_fine(struct encoder *encoder, const struct pg_column *target,
                                  int64_t *us, int32_t ps, struct error *error)
{
    enum ods_status status =
        encode_nanoseconds(encoder) ? ODS_OK : too_precise(encoder, target, error);
    if (status == ODS_OK && ps >= 500000)
        ++*us;
    return status;
}

/* Microseconds since 2000: counted from 1970 they would overflow before PostgreSQL's last
 * timestamp. */
static bool parse_iso(const char *text, size_t length, int64_t *us, int32_t *ps)
{
    int64_t days, of_day;
    bool zoned;
    return time_parse_days(text, length, &days, &of_day, ps, &zoned) &&
           !__builtin_mul_overflow(days - POSTGRES_EPOCH_DAYS, DAY_US, us) &&
           !__builtin_add_overflow(*us, of_day, us);
}

/* The source's moment in microseconds since 2000 UTC. */
static enum ods_status to_moment(struct encoder *encoder, const struct pg_column *target,
                                 const struct column *source, const struct value *value,
                                 int64_t *us, enum special *special, struct error *error)
{
    int64_t rest = 0;
    int32_t ps = 0;
    *special = NOT_SPECIAL;
    bool whole = value->kind == VALUE_INT, overflow = false;
    if (whole && source->type == SEM_TIMESTAMP_MS)
        overflow = __builtin_mul_overflow(value->integer, INT64_C(1000), us);
    else if (whole && source->type == SEM_TIMESTAMP_US)
        *us = value->integer;
    else if (whole && source->type == SEM_TIMESTAMP_NS)
        *us = time_ns_infinite(value->integer) ? PLAIN_US
                                               : time_floor_div(value->integer, 1000, &rest);
    else if (whole && source->type == SEM_DATE)
        overflow = __builtin_mul_overflow(value->integer, DAY_US, us);
    else
        whole = false;
    if (whole && !overflow && *us<PLAIN_US && * us> - PLAIN_US) {
        *us -= POSTGRES_EPOCH_US;
        return rest ? round_fine(encoder, target, us, (int32_t) rest * 1000, error) : ODS_OK;
    }

    const char *text;
    size_t length;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status != ODS_OK)
        return status;
    *special = special_word(text, length);
    if (*special != NOT_SPECIAL)
        return ODS_OK;
    if (overflow || !parse_iso(text, length, us, &ps))
        return not_a(encoder, target, "a date and time that PostgreSQL holds", text, length, error);
    return ps ? round_fine(encoder, target, us, ps, error) : ODS_OK;
}

enum ods_status encode_timestamp(struct encoder *encoder, struct buffer *out,
                                 const struct pg_column *target, const struct column *source,
                                 const struct value *value, struct error *error)
{
    int64_t moment = 0;
    enum special special;
    enum ods_status status = to_moment(encoder, target, source, value, &moment, &special, error);
    if (status != ODS_OK)
        return status;
    if (special != NOT_SPECIAL)
        moment = special == INFINITE ? INT64_MAX : INT64_MIN;
    else if (moment < TIME_US_MIN - POSTGRES_EPOCH_US || moment >= POSTGRES_END_US)
        return encode_refuse(target, "22008", "the time is beyond what PostgreSQL holds", error);
    else if (!fits_precision(target, moment))
        status = too_precise(encoder, target, error);
    if (status != ODS_OK)
        return status;
    encode_put32(out, 8);
    encode_put64(out, (uint64_t) moment);
    return ODS_OK;
}

/* A text's days since 1970, and the time of day after them: a date may be later than any
 * timestamp. */
static enum ods_status text_to_days(struct encoder *encoder, const struct pg_column *target,
                                    const struct column *source, const struct value *value,
                                    int64_t *days, int64_t *rest, enum special *special,
                                    struct error *error)
{
    const char *text;
    size_t length;
    int64_t us = 0;
    int32_t ps = 0;
    bool zoned;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status != ODS_OK)
        return status;
    *days = 0;
    *special = special_word(text, length);
    if (*special == NOT_SPECIAL && !time_parse_days(text, length, days, &us, &ps, &zoned))
        return not_a(encoder, target, "a date", text, length, error);
    if (ps)
        status = round_fine(encoder, target, &us, ps, error);
    *days += time_floor_div(us, DAY_US, rest);
    if (status == ODS_OK && (*days < TIME_DAYS_MIN || *days > TIME_DAYS_MAX))
        return not_a(encoder, target, "a date that PostgreSQL holds", text, length, error);
    return status;
}

enum ods_status encode_date(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error)
{
    int64_t days = 0, rest = 0, us = 0;
    enum special special = NOT_SPECIAL;
    enum ods_status status = ODS_OK;
    if (source->type == SEM_DATE && value->kind == VALUE_INT && value->integer < PLAIN_DAYS &&
        value->integer > -PLAIN_DAYS) {
        days = value->integer;
    } else if (source->type == SEM_DATE && value->kind == VALUE_INT) {
        const char *text;
        size_t length;
        status = encode_as_text(encoder, source, value, &text, &length, error);
        special = status == ODS_OK ? special_word(text, length) : NOT_SPECIAL;
        days = value->integer;
    } else if (value->kind == VALUE_TEXT) {
        status = text_to_days(encoder, target, source, value, &days, &rest, &special, error);
    } else {
        status = to_moment(encoder, target, source, value, &us, &special, error);
        days = time_floor_div(special == NOT_SPECIAL ? us : 0, DAY_US, &rest) + POSTGRES_EPOCH_DAYS;
    }
    if (status != ODS_OK)
        return status;
    if (rest)
        return encode_refuse(target, "22008",
                             "a date can't hold the time of day that the value has", error);
    if (special == NOT_SPECIAL && (days < TIME_DAYS_MIN || days > TIME_DAYS_MAX))
        return encode_refuse(target, "22008", "the date is out of range", error);
    encode_put32(out, 4);
    if (special != NOT_SPECIAL)
        encode_put32(out, special == INFINITE ? INT32_MAX : (uint32_t) INT32_MIN);
    else
        encode_put32(out, (uint32_t) (int32_t) (days - POSTGRES_EPOCH_DAYS));
    return ODS_OK;
}

/* Reads a time of day without a zone, or with one whose offset is zero. */
static bool parse_clock(const char *text, size_t length, int64_t *us, int32_t *ps)
{
    size_t taken = time_parse_time(text, length, us, ps), left = length - taken;
    const char *zone = text + taken;
    return taken &&
           (left == 0 || (left == 1 && *zone == 'Z') || (left == 3 && memcmp(zone, "+00", 3) == 0));
}

enum ods_status encode_time(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error)
{
    int64_t us = 0, rest = 0;
    int32_t ps = 0;
    bool whole = value->kind == VALUE_INT, overflow = false;
    if (whole && source->type == SEM_TIME_MS)
        overflow = __builtin_mul_overflow(value->integer, INT64_C(1000), &us);
    else if (whole && (source->type == SEM_TIME_US || source->type == SEM_DURATION_US))
        us = value->integer;
    else if (whole && (source->type == SEM_TIME_NS || source->type == SEM_DURATION_NS))
        us = time_floor_div(value->integer, 1000, &rest);
    else
        whole = false;
    if (!whole) {
        const char *text;
        size_t length;
        enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
        if (status != ODS_OK)
            return status;
        if (!parse_clock(text, length, &us, &ps))
            return not_a(encoder, target, "a time of day", text, length, error);
    }
    ps += (int32_t) rest * 1000;
    if (overflow || us < 0 || us > DAY_US)
        return encode_refuse(target, "22008",
                             "the time is not between 00:00 and 24:00; an interval "
                             "column holds it",
                             error);
    enum ods_status status = ODS_OK;
    if (ps)
        status = round_fine(encoder, target, &us, ps, error);
    if (status == ODS_OK && !fits_precision(target, us))
        status = too_precise(encoder, target, error);
    if (status != ODS_OK)
        return status;
    encode_put32(out, 8);
    encode_put64(out, (uint64_t) us);
    return ODS_OK;
}

/* Refuses a fraction with more digits than the column's precision. An interval's modifier has the
 * precision in its lower half. */
enum ods_status encode_check_fraction(struct encoder *encoder, const struct pg_column *target,
                                      const char *text, size_t length, struct error *error)
{
    const char *point = memchr(text, '.', length);
    int most = target->type == OID_MONEY ? target->money_digits : 6, digits = 0, seen = 0;
    if (target->modifier >= 0 && target->type != OID_MONEY && (target->modifier & 0xffff) <= 6)
        most = target->modifier & 0xffff;
    for (const char *at = point ? point + 1 : NULL;
         at && at < text + length && *at >= '0' && *at <= '9'; at++) {
        seen++;
        if (*at != '0')
            digits = seen;
    }
    if (digits <= most ||
        (most == 6 && target->type != OID_MONEY && encode_nanoseconds(encoder)))
        return ODS_OK;
    return encode_inexact(encoder, target, "22008",
                          "the value has more fractional digits than the column", error);
}
