/* Dates and timestamps, by microseconds. */
#include <string.h>

#include "core/time.h"
#include "sink/lake/encode.h"

#define DAY_US INT64_C(86400000000)

static enum ods_status refuse_range(struct lake_encoder *encoder)
{
    char type[LAKE_NAME_BYTES];
    lake_type_name(&encoder->array->type, type);
    return lake_refuse(encoder, "infinity, or a time beyond those of %s", type);
}

static enum ods_status put_days(struct lake_encoder *encoder, int64_t days)
{
    int32_t narrow = (int32_t) days;
    if (narrow != days)
        return refuse_range(encoder);
    lake_array_fixed(encoder->array, &narrow);
    return ODS_OK;
}

/* Microseconds, and picoseconds above them. */
static enum ods_status put_us(struct lake_encoder *encoder, int64_t us, int32_t ps)
{
    enum ods_status status =
        ps ? lake_inexact(encoder, "the time has more digits after the point") : ODS_OK;
    if (status != ODS_OK)
        return status;
    us += ps >= 500000;
    if (encoder->array->type.type == LAKE_DATE) {
        int64_t rest, days = time_floor_div(us, DAY_US, &rest);
        return rest ? lake_refuse(encoder, "a time of day, which a date does not hold")
                    : put_days(encoder, days);
    }
    lake_array_fixed(encoder->array, &us);
    return ODS_OK;
}

static enum ods_status encode_days(struct lake_encoder *encoder, int64_t days)
{
    int64_t us;
    if (time_date_infinite(days))
        return refuse_range(encoder);
    if (encoder->array->type.type == LAKE_DATE)
        return put_days(encoder, days);
    if (__builtin_mul_overflow(days, DAY_US, &us))
        return refuse_range(encoder);
    return put_us(encoder, us, 0);
}

static enum ods_status encode_integer(struct lake_encoder *encoder, int64_t number)
{
    int64_t us = number, ns = 0;
    switch (encoder->source->type) {
    case SEM_DATE:
        return encode_days(encoder, number);
    case SEM_TIMESTAMP_MS:
        if (time_ms_infinite(number) || __builtin_mul_overflow(number, INT64_C(1000), &us))
            return refuse_range(encoder);
        return put_us(encoder, us, 0);
    case SEM_TIMESTAMP_US:
        return time_us_infinite(number) ? refuse_range(encoder) : put_us(encoder, us, 0);
    case SEM_TIMESTAMP_NS:
        if (time_ns_infinite(number))
            return refuse_range(encoder);
        us = time_floor_div(number, 1000, &ns);
        return put_us(encoder, us, (int32_t) ns * 1000);
    default:
        return lake_refuse(encoder, "a number whose unit is not told is no moment");
    }
}

/* 0000-00-00, and every date whose month or day is zero. */
static bool is_zero_date(const char *text, size_t length)
{
    if (length < 10 || text[4] != '-' || text[7] != '-')
        return false;
    for (size_t i = 0; i < 10; i++)
        if (i != 4 && i != 7 && (text[i] < '0' || text[i] > '9'))
            return false;
    return memcmp(text + 5, "00", 2) == 0 || memcmp(text + 8, "00", 2) == 0;
}

static enum ods_status encode_zero_date(struct lake_encoder *encoder)
{
    if (encoder->encoding->table->zero_dates == ZERO_DATES_REJECT || encoder->key)
        return lake_refuse(encoder, "a date with a zero month or day (zero_dates: null makes it "
                                    "NULL, but in a key)");
    encoder->encoding->result->zero_dates++;
    lake_array_null(encoder->array);
    return ODS_OK;
}

static enum ods_status encode_text(struct lake_encoder *encoder)
{
    const char *text;
    size_t length;
    int64_t us;
    int32_t ps;
    bool zoned;
    const struct value *value = encoder->value;
    if (value->kind == VALUE_TEXT && is_zero_date(value->bytes, value->length))
        return encode_zero_date(encoder);
    enum ods_status status = lake_text(encoder, &text, &length);
    if (status != ODS_OK)
        return status;
    if (!time_parse_timestamp(text, length, &us, &ps, &zoned))
        return refuse_range(encoder);
    bool wants_zone = encoder->array->type.type == LAKE_TIMESTAMPTZ;
    if (zoned && !wants_zone)
        return lake_refuse(encoder, "a time with a zone, and the column has none");
    return put_us(encoder, us, ps);
}

enum ods_status lake_encode_moment(struct lake_encoder *encoder)
{
    const struct value *value = encoder->value;
    if (value->kind == VALUE_INT)
        return encode_integer(encoder, value->integer);
    if (value->kind == VALUE_TEXT || value->kind == VALUE_JSON)
        return encode_text(encoder);
    return lake_refuse(encoder, "the value is no date or time");
}
