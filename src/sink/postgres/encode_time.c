/* Dates and times into PostgreSQL's binary forms: days and microseconds since 2000-01-01. */
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "core/time.h"
#include "sink/postgres/encode.h"

#define DAY_US            (INT64_C(86400) * 1000000)
#define POSTGRES_EPOCH_US (POSTGRES_EPOCH_DAYS * DAY_US)

/* Beyond these a number may be one of the values by which a connector says infinity; the canonical
 * text knows which. */
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

static enum ods_status not_a(const struct pg_column *target, const char *what, const char *text,
                             size_t length, struct error *error)
{
    char why[160];
    snprintf(why, sizeof why, "\"%.*s\" is not %s", (int) (length > 60 ? 60 : length), text, what);
    return encode_refuse(target, "22007", why, error);
}

/* A fraction that the column's precision would round away. */
static bool fits_precision(const struct pg_column *target, int64_t us)
{
    static const int64_t units[] = {1000000, 100000, 10000, 1000, 100, 10, 1};
    return target->modifier < 0 || target->modifier > 6 || us % units[target->modifier] == 0;
}

static enum ods_status too_precise(const struct pg_column *target, struct error *error)
{
    char why[96];
    snprintf(why, sizeof why, "the time has more than the %d fractional digits of the column",
             target->modifier);
    return encode_refuse(target, "22008", why, error);
}

/* What the source says a moment is, in microseconds since 1970 UTC. */
static enum ods_status to_moment(struct encoder *encoder, const struct pg_column *target,
                                 const struct column *source, const struct value *value,
                                 int64_t *us, enum special *special, struct error *error)
{
    int64_t rest = 0;
    *special = NOT_SPECIAL;
    bool whole = value->kind == VALUE_INT, overflow = false;
    if (whole && source->type == SEM_TIMESTAMP_MS)
        overflow = __builtin_mul_overflow(value->integer, INT64_C(1000), us);
    else if (whole && source->type == SEM_TIMESTAMP_US)
        *us = value->integer;
    else if (whole && source->type == SEM_TIMESTAMP_NS)
        *us = time_floor_div(value->integer, 1000, &rest);
    else if (whole && source->type == SEM_DATE)
        overflow = __builtin_mul_overflow(value->integer, DAY_US, us);
    else
        whole = false;
    if (rest)
        return encode_refuse(target, "22008",
                             "the time has nanoseconds, the column holds "
                             "microseconds",
                             error);
    if (whole && !overflow && *us<PLAIN_US && * us> - PLAIN_US)
        return ODS_OK;

    const char *text;
    size_t length;
    enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
    if (status != ODS_OK)
        return status;
    *special = special_word(text, length);
    if (*special != NOT_SPECIAL || (whole && !overflow))
        return ODS_OK;
    bool zoned;
    if (overflow || !time_parse_timestamp(text, length, us, &zoned))
        return not_a(target, "a date and time that PostgreSQL holds", text, length, error);
    return ODS_OK;
}

enum ods_status encode_timestamp(struct encoder *encoder, struct buffer *out,
                                 const struct pg_column *target, const struct column *source,
                                 const struct value *value, struct error *error)
{
    int64_t us = 0, moment;
    enum special special;
    enum ods_status status = to_moment(encoder, target, source, value, &us, &special, error);
    if (status != ODS_OK)
        return status;
    if (special != NOT_SPECIAL)
        moment = special == INFINITE ? INT64_MAX : INT64_MIN;
    else if (!fits_precision(target, us))
        return too_precise(target, error);
    else if (__builtin_sub_overflow(us, POSTGRES_EPOCH_US, &moment))
        return encode_refuse(target, "22008", "the time is before what PostgreSQL holds", error);
    encode_put32(out, 8);
    encode_put64(out, (uint64_t) moment);
    return ODS_OK;
}

enum ods_status encode_date(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error)
{
    int64_t days, rest = 0, us = 0;
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
    } else {
        status = to_moment(encoder, target, source, value, &us, &special, error);
        days = time_floor_div(us, DAY_US, &rest);
    }
    if (status != ODS_OK)
        return status;
    if (rest)
        return encode_refuse(target, "22008",
                             "a date can't hold the time of day that the value has", error);
    if (special == NOT_SPECIAL &&
        (days <= INT32_MIN + POSTGRES_EPOCH_DAYS + 1 || days >= INT32_MAX))
        return encode_refuse(target, "22008", "the date is out of range", error);
    encode_put32(out, 4);
    if (special != NOT_SPECIAL)
        encode_put32(out, special == INFINITE ? INT32_MAX : (uint32_t) INT32_MIN);
    else
        encode_put32(out, (uint32_t) (int32_t) (days - POSTGRES_EPOCH_DAYS));
    return ODS_OK;
}

/* hh:mm[:ss[.f…]] with an optional Z; false for anything else. */
static bool parse_clock(const char *text, size_t length, int64_t *us)
{
    int hours, minutes, seconds = 0, used = 0;
    char clock[48];
    if (length < 5 || length >= sizeof clock)
        return false;
    memcpy(clock, text, length);
    clock[length] = '\0';
    if (clock[length - 1] == 'Z')
        clock[--length] = '\0';
    if (sscanf(clock, "%2d:%2d%n", &hours, &minutes, &used) != 2)
        return false;
    const char *at = clock + used;
    if (*at == ':') {
        if (sscanf(at, ":%2d%n", &seconds, &used) != 1)
            return false;
        at += used;
    }
    int64_t fraction = 0, unit = 100000;
    if (*at == '.')
        for (at++; *at >= '0' && *at <= '9'; at++) {
            if (unit == 0 && *at != '0')
                return false; /* nanoseconds that would be lost */
            fraction += (*at - '0') * unit;
            unit /= 10;
        }
    if (*at || hours < 0 || hours > 24 || minutes < 0 || minutes > 59 || seconds < 0 ||
        seconds > 60)
        return false;
    *us = ((hours * INT64_C(60) + minutes) * 60 + seconds) * 1000000 + fraction;
    return true;
}

enum ods_status encode_time(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error)
{
    int64_t us = 0, rest = 0;
    bool whole = value->kind == VALUE_INT, overflow = false;
    if (whole && source->type == SEM_TIME_MS)
        overflow = __builtin_mul_overflow(value->integer, INT64_C(1000), &us);
    else if (whole && (source->type == SEM_TIME_US || source->type == SEM_DURATION_US))
        us = value->integer;
    else if (whole && source->type == SEM_TIME_NS)
        us = time_floor_div(value->integer, 1000, &rest);
    else
        whole = false;
    if (!whole) {
        const char *text;
        size_t length;
        enum ods_status status = encode_as_text(encoder, source, value, &text, &length, error);
        if (status != ODS_OK)
            return status;
        if (!parse_clock(text, length, &us))
            return not_a(target, "a time of day", text, length, error);
    }
    if (overflow || us < 0 || us > DAY_US)
        return encode_refuse(target, "22008",
                             "the time is not between 00:00 and 24:00; an interval "
                             "column holds it",
                             error);
    if (rest || !fits_precision(target, us))
        return too_precise(target, error);
    encode_put32(out, 8);
    encode_put64(out, (uint64_t) us);
    return ODS_OK;
}
