/* A text that no parser here can read, as PostgreSQL's input function reads it (readings.h). */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "sink/postgres/values/encode.h"

/* --- which input function -------------------------------------------------------------------- */

/* Is the value a text to the source too? PostgreSQL is not asked to read a number or a moment: it
 * may read it as something else, as the time 20:23 from "2023". */
static bool is_text(enum semantic type)
{
    return type == SEM_UNKNOWN || type == SEM_STRING || type == SEM_ENUM;
}

static bool is_moment(enum semantic type)
{
    return is_text(type) || type == SEM_ZONED_TIMESTAMP || type == SEM_ISO_TIMESTAMP ||
           type == SEM_ISO_DATE;
}

static enum reading_kind temporal_kind(const struct pg_column *target, enum semantic type)
{
    bool local = type == SEM_ISO_TIMESTAMP || type == SEM_ISO_DATE;
    switch (target->encoding) {
    case ENCODE_DATE:
        return is_moment(type) ? READING_DATE : READING_NONE;
    case ENCODE_TIME:
        return is_text(type) || type == SEM_ISO_TIME || type == SEM_ZONED_TIME ? READING_TIME
                                                                               : READING_NONE;
    case ENCODE_TIMESTAMP:
        return !is_moment(type) ? READING_NONE
               : local          ? READING_LOCAL_TIMESTAMP
                                : READING_TIMESTAMP;
    case ENCODE_TIMESTAMPTZ:
        return is_moment(type) ? READING_TIMESTAMPTZ : READING_NONE;
    default:
        return target->type == OID_INTERVAL && (is_text(type) || type == SEM_INTERVAL)
                   ? READING_INTERVAL
                   : READING_NONE;
    }
}

static enum reading_kind kind_of(const struct pg_column *target, enum semantic type)
{
    static const enum reading_kind kinds[] = {
        [ENCODE_BOOL] = READING_BOOL,     [ENCODE_INT2] = READING_INT2,
        [ENCODE_INT4] = READING_INT4,     [ENCODE_INT8] = READING_INT8,
        [ENCODE_FLOAT4] = READING_FLOAT4, [ENCODE_FLOAT8] = READING_FLOAT8,
        [ENCODE_NUMERIC] = READING_NUMERIC};
    if (target->encoding == ENCODE_UUID)
        return is_text(type) || type == SEM_UUID ? READING_UUID : READING_NONE;
    if (target->encoding >= ENCODE_BOOL && target->encoding <= ENCODE_NUMERIC)
        return is_text(type) ? kinds[target->encoding] : READING_NONE;
    return temporal_kind(target, type);
}

/* --- what would not be the text's own value -------------------------------------------------- */

static bool next_word(const char **at, const char *end, const char **word, size_t *length)
{
    while (*at < end && !isalpha((unsigned char) **at))
        ++*at;
    *word = *at;
    while (*at < end && isalpha((unsigned char) **at))
        ++*at;
    *length = (size_t) (*at - *word);
    return *length > 0;
}

static bool is_one_of(const char *const *words, const char *word, size_t length)
{
    for (; *words; words++)
        if (strlen(*words) == length && strncasecmp(*words, word, length) == 0)
            return true;
    return false;
}

bool encode_asks_clock(const char *text, size_t length)
{
    static const char *const words[] = {"now", "today", "tomorrow", "yesterday", NULL};
    const char *word;
    size_t letters;
    for (const char *at = text, *end = text + length; next_word(&at, end, &word, &letters);)
        if (is_one_of(words, word, letters))
            return true;
    return false;
}

enum ods_status encode_refuse_clock(const struct pg_column *target, struct error *error)
{
    return encode_refuse(target, "22007",
                         "the text asks for the clock's time (now, today, tomorrow, yesterday), "
                         "which is another one whenever the record is read",
                         error);
}

/* Does the text name a zone whose offset changes in summer? */
static bool has_variable_zone(const char *text, size_t length)
{
    static const char *const words[] = {"am",  "pm",  "z", "zulu",
                                        "utc", "gmt", "t", "allballs", NULL};
    const char *word;
    size_t letters;
    for (const char *at = text, *end = text + length; next_word(&at, end, &word, &letters);)
        if (!is_one_of(words, word, letters))
            return true;
    return false;
}

/* Has a fraction more digits than microseconds? PostgreSQL would round them without an error. */
static bool is_finer_than_microseconds(const char *text, size_t length)
{
    const char *end = text + length;
    for (const char *at = text; at < end; at++) {
        if (*at != '.')
            continue;
        const char *digit = at + 1;
        for (; digit < end && isdigit((unsigned char) *digit); digit++)
            if (digit - at > 6 && *digit != '0')
                return true;
    }
    return false;
}

static enum ods_status check_text(struct encoder *encoder, const struct pg_column *target,
                                  enum reading_kind kind, const struct value *value,
                                  struct error *error)
{
    if (kind < READING_DATE)
        return ODS_OK;
    if (encode_asks_clock(value->bytes, value->length))
        return encode_refuse_clock(target, error);
    if (kind != READING_INTERVAL && is_finer_than_microseconds(value->bytes, value->length) &&
        !encode_nanoseconds(encoder))
        return encode_inexact(encoder, target, "22008",
                              "the time has more than the 6 fractional digits of the column",
                              error);
    return ODS_OK;
}

/* --- the answer ------------------------------------------------------------------------------ */

enum ods_status encode_reading(struct encoder *encoder, const struct pg_column *target,
                               const struct column **column, const struct value **value,
                               struct inferred *inferred, struct error *error)
{
    enum reading_kind kind = kind_of(target, (*column)->type);
    encoder->unreadable = false;
    if (!encoder->readings || (*value)->kind != VALUE_TEXT || kind == READING_NONE)
        return ODS_REJECT;
    enum ods_status status = check_text(encoder, target, kind, *value, error);
    if (status != ODS_OK)
        return status;
    const struct reading *reading =
        readings_find(encoder->readings, kind, (*value)->bytes, (*value)->length);
    if (!reading)
        return error_out_of_memory(error);
    switch (reading->state) {
    case READING_WAITS:
        return error_set(error, ODS_RETRY, "PostgreSQL has not been asked yet what a text means");
    case READING_REFUSED:
        return encode_refuse(target, reading->sqlstate, reading->answer, error);
    case READING_DONE:
        break;
    }
    if (kind == READING_TIME && has_variable_zone((*value)->bytes, (*value)->length))
        return encode_refuse(target, "22007", "the offset of the text's zone depends on a date",
                             error);
    if (kind == READING_TIME && strpbrk(reading->answer, "+-"))
        return encode_refuse(target, "22007", "a time without zone can't hold the value's zone",
                             error);
    inferred->column = **column;
    inferred->column.type = SEM_STRING;
    inferred->value = (struct value){
        .kind = VALUE_TEXT, .length = reading->answer_length, .bytes = reading->answer};
    *column = &inferred->column;
    *value = &inferred->value;
    if (error)
        error_init(error);
    return ODS_OK;
}
