/* Safe widenings. See widen.h.
 *
 * The types form a lattice with text at its top. However often, and in whatever order, old and new
 * records come, a column's type only becomes wider, and at some point stays.
 */
#include "sink/postgres/tables/widen.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NUMERIC_DIGITS_MAX 1000

struct pg_type {
    const char *text;
    const char *numbers; /* what follows the name: "(10,2) …", or its end */
    bool array;
};

static struct pg_type read_type(const char *text)
{
    size_t length = strlen(text);
    struct pg_type type = {.text = text, .numbers = text + strcspn(text, "(")};
    type.array = length > 2 && strcmp(text + length - 2, "[]") == 0;
    return type;
}

/* Compares the name before the parentheses, and the text after them ("without time zone"). */
static bool is(const struct pg_type *type, const char *name, const char *behind)
{
    size_t length = strlen(name);
    if (strncmp(type->text, name, length) != 0)
        return false;
    const char *rest = type->text + length;
    if (*rest == '(')
        rest = strchr(rest, ')') ? strchr(rest, ')') + 1 : "";
    return strcmp(rest, behind) == 0;
}

static int number(const struct pg_type *type, int place)
{
    const char *at = type->numbers;
    if (*at != '(')
        return -1;
    at++;
    if (place) {
        at = strchr(at, ',');
        return at ? (int) strtol(at + 1, NULL, 10) : 0;
    }
    return (int) strtol(at, NULL, 10);
}

static enum widening wider_is(char *wider, size_t bytes, const char *text)
{
    snprintf(wider, bytes, "%s", text);
    return WIDEN_WIDER;
}

/* --- numbers -------------------------------------------------------------------------------- */

static int integer_digits(const struct pg_type *type)
{
    return is(type, "smallint", "")  ? 5
           : is(type, "integer", "") ? 10
           : is(type, "bigint", "")  ? 19
                                     : 0;
}

/* The size of a float; 0: it is no float. */
static int float_bytes(const struct pg_type *type)
{
    return is(type, "real", "") ? 4 : is(type, "double precision", "") ? 8 : 0;
}

static bool is_numeric(const struct pg_type *type)
{
    return is(type, "numeric", "");
}

static bool is_number(const struct pg_type *type)
{
    return integer_digits(type) || float_bytes(type) || is_numeric(type);
}

/* Digits before and after the point; before < 0: any number of both. */
static void digits_of(const struct pg_type *type, int *before, int *after)
{
    *before = integer_digits(type);
    *after = 0;
    if (*before)
        return;
    int precision = number(type, 0);
    *after = precision < 0 ? 0 : number(type, 1);
    *before = precision < 0 || *after < 0 ? -1 : precision - *after;
}

static enum widening widen_decimal(const struct pg_type *have, const struct pg_type *wanted,
                                   char *wider, size_t bytes)
{
    int before, after, more_before, more_after;
    digits_of(have, &before, &after);
    digits_of(wanted, &more_before, &more_after);
    if (before < 0 || (more_before >= 0 && more_before <= before && more_after <= after))
        return WIDEN_FITS;
    before = more_before > before ? more_before : before;
    after = more_after > after ? more_after : after;
    if (more_before < 0 || before + after > NUMERIC_DIGITS_MAX)
        return wider_is(wider, bytes, "numeric");
    snprintf(wider, bytes, "numeric(%d,%d)", before + after, after);
    return WIDEN_WIDER;
}

/* A real holds every smallint, a double every integer; for larger integers only numeric holds
 * both. */
static enum widening widen_float(const struct pg_type *have, const struct pg_type *wanted,
                                 char *wider, size_t bytes)
{
    bool turned = !float_bytes(have);
    const struct pg_type *one = turned ? wanted : have, *other = turned ? have : wanted;
    int size = float_bytes(one), digits = integer_digits(other);
    if (float_bytes(other))
        return float_bytes(have) >= float_bytes(wanted)
                   ? WIDEN_FITS
                   : wider_is(wider, bytes, "double precision");
    if (is_numeric(other) || digits > 10) /* without limit, as a float's exponent may be large */
        return turned && is(other, "numeric", "") && number(other, 0) < 0
                   ? WIDEN_FITS
                   : wider_is(wider, bytes, "numeric");
    if (digits > 5 && size < 8)
        return wider_is(wider, bytes, "double precision");
    return turned ? wider_is(wider, bytes, one->text) : WIDEN_FITS;
}

static enum widening widen_number(const struct pg_type *have, const struct pg_type *wanted,
                                  char *wider, size_t bytes)
{
    int digits = integer_digits(have), more = integer_digits(wanted);
    if (float_bytes(have) || float_bytes(wanted))
        return widen_float(have, wanted, wider, bytes);
    if (digits && more)
        return more <= digits ? WIDEN_FITS : wider_is(wider, bytes, wanted->text);
    return widen_decimal(have, wanted, wider, bytes);
}

/* --- texts and times ------------------------------------------------------------------------ */

static bool is_text(const struct pg_type *type)
{
    return is(type, "text", "") || is(type, "character varying", "");
}

static enum widening widen_to_text(const struct pg_type *have, const struct pg_type *wanted,
                                   char *wider, size_t bytes)
{
    if (is(have, "bytea", ""))
        return WIDEN_OTHER; /* PostgreSQL writes it as another text than the source does */
    bool limited = is(have, "character varying", "") && is(wanted, "character varying", "") &&
                   number(wanted, 0) >= 0;
    return wider_is(wider, bytes, limited ? wanted->text : "text");
}

/* A text column takes the text of every value; one with a limit, every text that is not longer. */
static enum widening widen_text(const struct pg_type *have, const struct pg_type *wanted,
                                char *wider, size_t bytes)
{
    int limit = number(have, 0), more = number(wanted, 0);
    if (limit < 0 || (is(wanted, "character varying", "") && more >= 0 && more <= limit))
        return WIDEN_FITS;
    return widen_to_text(have, wanted, wider, bytes);
}

static bool is_timestamp(const struct pg_type *type)
{
    return is(type, "timestamp", " without time zone");
}

static bool is_time(const struct pg_type *type)
{
    return is(type, "time", " without time zone");
}

static enum widening widen_precision(const struct pg_type *have, const struct pg_type *wanted,
                                     char *wider, size_t bytes)
{
    int digits = number(have, 0), more = number(wanted, 0);
    if (digits < 0 || (more >= 0 && more <= digits))
        return WIDEN_FITS;
    return wider_is(wider, bytes, wanted->text);
}

static enum widening widen_time(const struct pg_type *have, const struct pg_type *wanted,
                                char *wider, size_t bytes)
{
    bool same_kind =
        (is_timestamp(have) && is_timestamp(wanted)) || (is_time(have) && is_time(wanted)) ||
        (is(have, "timestamp", " with time zone") && is(wanted, "timestamp", " with time zone"));
    if (same_kind)
        return widen_precision(have, wanted, wider, bytes);
    if (is(have, "date", "") && is_timestamp(wanted))
        return wider_is(wider, bytes, wanted->text);
    if (is_timestamp(have) && is(wanted, "date", ""))
        return WIDEN_FITS;
    if (is_time(have) && is(wanted, "interval", ""))
        return wider_is(wider, bytes, "interval");
    return is(have, "interval", "") && is_time(wanted) ? WIDEN_FITS : WIDEN_OTHER;
}

static bool is_json(const struct pg_type *type)
{
    return is(type, "json", "") || is(type, "jsonb", "");
}

static enum widening widen_array(const char *have, const char *wanted, char *wider, size_t bytes)
{
    char element[128], wanted_element[128], wider_element[128];
    snprintf(element, sizeof element, "%.*s", (int) strlen(have) - 2, have);
    snprintf(wanted_element, sizeof wanted_element, "%.*s", (int) strlen(wanted) - 2, wanted);
    enum widening answer = widen(element, wanted_element, wider_element, sizeof wider_element);
    if (answer == WIDEN_WIDER)
        snprintf(wider, bytes, "%s[]", wider_element);
    return answer;
}

enum widening widen(const char *have_text, const char *wanted_text, char *wider, size_t bytes)
{
    struct pg_type have = read_type(have_text), wanted = read_type(wanted_text);
    if (strcmp(have_text, wanted_text) == 0)
        return WIDEN_FITS;
    if (have.array && wanted.array)
        return widen_array(have_text, wanted_text, wider, bytes);
    if (is_text(&have))
        return widen_text(&have, &wanted, wider, bytes);
    if (is_text(&wanted))
        return widen_to_text(&have, &wanted, wider, bytes);
    if (have.array || wanted.array)
        return WIDEN_OTHER;
    if (is_number(&have) && is_number(&wanted))
        return widen_number(&have, &wanted, wider, bytes);
    if (is(&have, "boolean", "") && integer_digits(&wanted))
        return wider_is(wider, bytes, wanted_text);
    if (integer_digits(&have) && is(&wanted, "boolean", ""))
        return WIDEN_FITS;
    if (is_json(&have) && is_json(&wanted))
        return WIDEN_FITS;
    if (is(&have, "bit varying", "") && is(&wanted, "bit", ""))
        return WIDEN_FITS;
    if (is(&have, "bit", "") && is(&wanted, "bit varying", ""))
        return wider_is(wider, bytes, "bit varying");
    return widen_time(&have, &wanted, wider, bytes);
}

bool widen_keeps_rows(const char *have_text, const char *wider_text)
{
    struct pg_type have = read_type(have_text), wider = read_type(wider_text);
    if (have.array || wider.array)
        return false;
    if (is(&have, "character varying", "") || is(&have, "text", ""))
        return is(&wider, "character varying", "") || is(&wider, "text", "");
    return is(&have, "numeric", "") && is(&wider, "numeric", "") &&
           (*wider.numbers != '(' || number(&have, 1) == number(&wider, 1));
}

const char *widen_by_way_of(const char *have, const char *wider)
{
    bool from_float = strncmp(have, "real", 4) == 0 || strncmp(have, "double", 6) == 0;
    if (from_float && strncmp(wider, "numeric", 7) == 0)
        return "text"; /* the cast of a float rounds to fifteen digits */
    if (strcmp(have, "boolean") == 0 && strcmp(wider, "text") != 0)
        return "integer"; /* the only number that a boolean becomes */
    return NULL;
}
