/* Types of columns. See types.h; docs/types-lake.md is the map for people. */
#include "sink/lake/types.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lake_typed lake_type_read(const char *format)
{
    static const struct {
        const char *format;
        enum lake_type type;
    } formats[] = {{"b", LAKE_BOOLEAN}, {"c", LAKE_INT8},   {"s", LAKE_INT16},
                   {"i", LAKE_INT32},   {"l", LAKE_INT64},  {"f", LAKE_FLOAT},
                   {"g", LAKE_DOUBLE},  {"u", LAKE_STRING}, {"U", LAKE_STRING},
                   {"vu", LAKE_STRING}, {"z", LAKE_BINARY}, {"Z", LAKE_BINARY},
                   {"vz", LAKE_BINARY}, {"tdD", LAKE_DATE}, {"tsu:", LAKE_TIMESTAMP}};
    struct lake_typed typed = {.type = LAKE_OTHER};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (strcmp(format, formats[i].format) == 0)
            typed.type = formats[i].type;
    if (typed.type == LAKE_OTHER && strncmp(format, "tsu:", 4) == 0)
        typed.type = LAKE_TIMESTAMPTZ;
    char *end = NULL;
    if (strncmp(format, "d:", 2) == 0) {
        typed.precision = (int) strtol(format + 2, &end, 10);
        typed.scale = *end == ',' ? (int) strtol(end + 1, NULL, 10) : 0;
        typed.type = typed.precision <= LAKE_DECIMAL_DIGITS ? LAKE_DECIMAL : LAKE_OTHER;
    }
    return typed;
}

void lake_type_format(const struct lake_typed *typed, char format[LAKE_FORMAT_BYTES])
{
    static const char *const formats[] = {
        [LAKE_OTHER] = "",         [LAKE_BOOLEAN] = "b",
        [LAKE_INT8] = "c",         [LAKE_INT16] = "s",
        [LAKE_INT32] = "i",        [LAKE_INT64] = "l",
        [LAKE_FLOAT] = "f",        [LAKE_DOUBLE] = "g",
        [LAKE_DECIMAL] = "",       [LAKE_STRING] = "u",
        [LAKE_BINARY] = "z",       [LAKE_DATE] = "tdD",
        [LAKE_TIMESTAMP] = "tsu:", [LAKE_TIMESTAMPTZ] = "tsu:UTC"};
    if (typed->type == LAKE_DECIMAL)
        snprintf(format, LAKE_FORMAT_BYTES, "d:%d,%d", typed->precision, typed->scale);
    else
        snprintf(format, LAKE_FORMAT_BYTES, "%s", formats[typed->type]);
}

void lake_type_name(const struct lake_typed *typed, char name[LAKE_NAME_BYTES])
{
    static const char *const names[] = {[LAKE_OTHER] = "another type",
                                        [LAKE_BOOLEAN] = "boolean",
                                        [LAKE_INT8] = "byte",
                                        [LAKE_INT16] = "short",
                                        [LAKE_INT32] = "integer",
                                        [LAKE_INT64] = "long",
                                        [LAKE_FLOAT] = "float",
                                        [LAKE_DOUBLE] = "double",
                                        [LAKE_DECIMAL] = "decimal",
                                        [LAKE_STRING] = "string",
                                        [LAKE_BINARY] = "binary",
                                        [LAKE_DATE] = "date",
                                        [LAKE_TIMESTAMP] = "timestamp without zone",
                                        [LAKE_TIMESTAMPTZ] = "timestamp"};
    if (typed->type == LAKE_DECIMAL)
        snprintf(name, LAKE_NAME_BYTES, "decimal(%d,%d)", typed->precision, typed->scale);
    else
        snprintf(name, LAKE_NAME_BYTES, "%s", names[typed->type]);
}

size_t lake_type_width(enum lake_type type)
{
    switch (type) {
    case LAKE_INT8:
        return 1;
    case LAKE_INT16:
        return 2;
    case LAKE_INT32:
    case LAKE_FLOAT:
    case LAKE_DATE:
        return 4;
    case LAKE_INT64:
    case LAKE_DOUBLE:
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMPTZ:
        return 8;
    case LAKE_DECIMAL:
        return 16;
    default:
        return 0;
    }
}

bool lake_type_same(const struct lake_typed *a, const struct lake_typed *b)
{
    return a->type == b->type &&
           (a->type != LAKE_DECIMAL || (a->precision == b->precision && a->scale == b->scale));
}

/* --- types of columns that are made ---------------------------------------------------------- */

/* A number with more digits than decimals have is kept as its text, which is exact. */
static struct lake_typed made_decimal(const struct column *column)
{
    int64_t precision = column->length > 0 ? column->length : LAKE_DECIMAL_DIGITS;
    int64_t scale = column->scale == INT32_MIN ? 0 : column->scale;
    if (scale < 0 && column->length > 0)
        precision -= scale;
    if (scale < 0)
        scale = 0;
    if (precision > LAKE_DECIMAL_DIGITS || scale > precision)
        return (struct lake_typed){.type = LAKE_STRING};
    return (struct lake_typed){LAKE_DECIMAL, (int) precision, (int) scale};
}

static enum lake_type sampled(const struct value *sample)
{
    switch (sample ? sample->kind : VALUE_NULL) {
    case VALUE_BOOL:
        return LAKE_BOOLEAN;
    case VALUE_INT:
        return LAKE_INT64;
    case VALUE_NUMBER:
    case VALUE_DOUBLE:
        return LAKE_DOUBLE;
    case VALUE_BYTES:
        return LAKE_BINARY;
    default:
        return LAKE_STRING;
    }
}

/* Finer than a microsecond there is no type: a text is exact, unless values may be rounded. */
static enum lake_type moment(const struct source_column *source, enum lake_type type, bool fine)
{
    const struct column *column = &source->column;
    fine |= column->scale > 6;
    return fine && source->inexact != INEXACT_ROUND ? LAKE_STRING : type;
}

struct lake_typed lake_type_made(const struct source_column *source, const struct value *sample)
{
    const struct column *column = &source->column;
    enum lake_type type = LAKE_STRING;
    if (source->coding == CODING_UNSIGNED)
        return (struct lake_typed){LAKE_DECIMAL, 20, 0};
    switch (column->type) {
    case SEM_UNKNOWN:
        type = sampled(sample);
        break;
    case SEM_BOOLEAN:
        type = LAKE_BOOLEAN;
        break;
    case SEM_INT8:
    case SEM_INT16:
    case SEM_INT32:
    case SEM_YEAR:
        type = LAKE_INT32;
        break;
    case SEM_INT64:
        type = LAKE_INT64;
        break;
    case SEM_FLOAT32:
        type = LAKE_FLOAT;
        break;
    case SEM_FLOAT64:
        type = LAKE_DOUBLE;
        break;
    case SEM_DECIMAL:
        return made_decimal(column);
    case SEM_BYTES:
        type = LAKE_BINARY;
        break;
    case SEM_DATE:
    case SEM_ISO_DATE:
    case SEM_STRUCTURED_DATE:
        type = LAKE_DATE;
        break;
    case SEM_TIMESTAMP_NS:
        type = moment(source, LAKE_TIMESTAMP, true);
        break;
    case SEM_TIMESTAMP_MS:
    case SEM_TIMESTAMP_US:
    case SEM_ISO_TIMESTAMP:
    case SEM_STRUCTURED_TIMESTAMP:
        type = moment(source, LAKE_TIMESTAMP, false);
        break;
    case SEM_ZONED_TIMESTAMP:
    case SEM_STRUCTURED_ZONED_TIMESTAMP:
        type = moment(source, LAKE_TIMESTAMPTZ, false);
        break;
    default: /* times, intervals, JSON, arrays and so on */
        break;
    }
    return (struct lake_typed){.type = type};
}

/* --- widening --------------------------------------------------------------------------------- */

/* Digits before the point that hold every integer of the type; 0: it is none. */
static int whole_digits(const struct lake_typed *typed)
{
    switch (typed->type) {
    case LAKE_INT8:
        return 3;
    case LAKE_INT16:
        return 5;
    case LAKE_INT32:
        return 10;
    case LAKE_INT64:
        return 19;
    case LAKE_DECIMAL:
        return typed->precision - typed->scale;
    default:
        return 0;
    }
}

static bool is_integer(enum lake_type type)
{
    return type >= LAKE_INT8 && type <= LAKE_INT64;
}

static bool holds(const struct lake_typed *have, const struct lake_typed *wanted)
{
    if (lake_type_same(have, wanted) || have->type == LAKE_STRING)
        return true;
    switch (have->type) {
    case LAKE_INT16:
    case LAKE_INT32:
    case LAKE_INT64:
        return is_integer(wanted->type) && wanted->type < have->type;
    case LAKE_DOUBLE:
        return wanted->type == LAKE_FLOAT ||
               (is_integer(wanted->type) && wanted->type < LAKE_INT64);
    case LAKE_DECIMAL:
        return (is_integer(wanted->type) || wanted->type == LAKE_DECIMAL) &&
               whole_digits(have) >= whole_digits(wanted) &&
               have->scale >= (wanted->type == LAKE_DECIMAL ? wanted->scale : 0);
    case LAKE_TIMESTAMP:
        return wanted->type == LAKE_DATE;
    default:
        return false;
    }
}

/* What the engine can make of a column without losing a value. */
static bool can_become(const struct lake_typed *have, const struct lake_typed *wider)
{
    switch (have->type) {
    case LAKE_INT8:
    case LAKE_INT16:
    case LAKE_INT32:
        return is_integer(wider->type);
    case LAKE_FLOAT:
        return wider->type == LAKE_DOUBLE;
    case LAKE_DECIMAL:
        return wider->type == LAKE_DECIMAL;
    case LAKE_DATE:
        return wider->type == LAKE_TIMESTAMP;
    default:
        return false;
    }
}

bool lake_type_promotes(const struct lake_typed *have, const struct lake_typed *wider)
{
    return (have->type == LAKE_INT32 && wider->type == LAKE_INT64) ||
           (have->type == LAKE_FLOAT && wider->type == LAKE_DOUBLE) ||
           (have->type == LAKE_DECIMAL && wider->type == LAKE_DECIMAL &&
            have->scale == wider->scale);
}

enum lake_widening lake_type_widen(const struct lake_typed *have, const struct lake_typed *wanted,
                                   struct lake_typed *wider)
{
    *wider = *wanted;
    if (holds(have, wanted))
        return LAKE_HOLDS;
    if (have->type == LAKE_DECIMAL && wanted->type == LAKE_DECIMAL) {
        int whole =
            whole_digits(have) > whole_digits(wanted) ? whole_digits(have) : whole_digits(wanted);
        wider->scale = have->scale > wanted->scale ? have->scale : wanted->scale;
        wider->precision = whole + wider->scale;
        return wider->precision <= LAKE_DECIMAL_DIGITS ? LAKE_WIDER : LAKE_OTHERWISE;
    }
    return can_become(have, wider) && holds(wider, have) ? LAKE_WIDER : LAKE_OTHERWISE;
}
