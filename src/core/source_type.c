/* Type names as MySQL and PostgreSQL write them, into meanings. See source_type.h. */
#include "core/source_type.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX      4
#define WORD_BYTES_MAX 32
#define DIGITS_MAX     1000 /* of a numeric in PostgreSQL */
#define LENGTH_MAX     10485760

enum takes {
    TAKES_NOTHING,
    TAKES_LENGTH,    /* (n) */
    TAKES_PRECISION, /* (p) of a time, and a unit */
    TAKES_DIGITS,    /* (p,s) */
    TAKES_SIGN,      /* "unsigned" */
    TAKES_CODING,    /* "base64", "base64url" or "hex" */
};

struct known {
    const char *name;
    enum semantic type;
    enum takes takes;
    enum coding coding;
    const char *source_type; /* for types that are text in the record and have a type of their
                                own in PostgreSQL */
};

static const struct known known[] = {
    {"boolean", SEM_BOOLEAN, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"bool", SEM_BOOLEAN, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"tinyint", SEM_INT8, TAKES_SIGN, CODING_PLAIN, NULL},
    {"smallint", SEM_INT16, TAKES_SIGN, CODING_PLAIN, NULL},
    {"mediumint", SEM_INT32, TAKES_SIGN, CODING_PLAIN, NULL},
    {"integer", SEM_INT32, TAKES_SIGN, CODING_PLAIN, NULL},
    {"int", SEM_INT32, TAKES_SIGN, CODING_PLAIN, NULL},
    {"bigint", SEM_INT64, TAKES_SIGN, CODING_PLAIN, NULL},
    {"real", SEM_FLOAT32, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"float", SEM_FLOAT32, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"double", SEM_FLOAT64, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"decimal", SEM_DECIMAL, TAKES_DIGITS, CODING_DECIMAL, NULL},
    {"numeric", SEM_DECIMAL, TAKES_DIGITS, CODING_DECIMAL, NULL},
    {"number", SEM_DECIMAL, TAKES_NOTHING, CODING_DECIMAL, NULL},
    {"text", SEM_STRING, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"char", SEM_STRING, TAKES_LENGTH, CODING_PLAIN, NULL},
    {"varchar", SEM_STRING, TAKES_LENGTH, CODING_PLAIN, NULL},
    {"bytes", SEM_BYTES, TAKES_CODING, CODING_BASE64, NULL},
    {"bytea", SEM_BYTES, TAKES_CODING, CODING_BASE64, NULL},
    {"blob", SEM_BYTES, TAKES_CODING, CODING_BASE64, NULL},
    {"bit", SEM_BITS, TAKES_LENGTH, CODING_BASE64, NULL},
    {"date", SEM_DATE, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"time", SEM_TIME_US, TAKES_PRECISION, CODING_PLAIN, NULL},
    {"datetime", SEM_TIMESTAMP_MS, TAKES_PRECISION, CODING_PLAIN, NULL},
    {"datetime2", SEM_TIMESTAMP_NS, TAKES_PRECISION, CODING_PLAIN, NULL}, /* of seven digits */
    {"timestamp", SEM_TIMESTAMP_US, TAKES_PRECISION, CODING_PLAIN, NULL},
    {"timestamptz", SEM_ZONED_TIMESTAMP, TAKES_PRECISION, CODING_US, NULL},
    {"interval", SEM_DURATION_US, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"year", SEM_YEAR, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"json", SEM_JSON, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"xml", SEM_XML, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"uuid", SEM_UUID, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"enum", SEM_ENUM, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"set", SEM_ENUM_SET, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"inet", SEM_STRING, TAKES_NOTHING, CODING_PLAIN, "INET"},
    {"cidr", SEM_STRING, TAKES_NOTHING, CODING_PLAIN, "CIDR"},
    {"macaddr", SEM_STRING, TAKES_NOTHING, CODING_PLAIN, "MACADDR"},
    {"macaddr8", SEM_STRING, TAKES_NOTHING, CODING_PLAIN, "MACADDR8"},
    {"citext", SEM_STRING, TAKES_NOTHING, CODING_PLAIN, "CITEXT"},
    {"hstore", SEM_MAP, TAKES_NOTHING, CODING_PLAIN, "HSTORE"},
    {"ltree", SEM_LTREE, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"point", SEM_POINT, TAKES_NOTHING, CODING_PLAIN, NULL},
    {"geometry", SEM_GEOMETRY, TAKES_NOTHING, CODING_PLAIN, NULL},
};

/* --- reading -------------------------------------------------------------------------------- */

struct words {
    char items[WORDS_MAX][WORD_BYTES_MAX];
    size_t count;
    long numbers[2];
    int number_count; /* -1: the parentheses hold something else than numbers */
    bool array;
};

static bool read_numbers(const char **at, struct words *words)
{
    do {
        char *end;
        if (words->number_count == 2)
            return false;
        ++*at;
        *at += strspn(*at, " ");
        if (**at < '0' || **at > '9')
            return false;
        words->numbers[words->number_count++] = strtol(*at, &end, 10);
        *at = end + strspn(end, " ");
    } while (**at == ',');
    return *(*at)++ == ')';
}

/* Words, at most one pair of parentheses after the first word, and [] at the end. */
static bool split(const char *at, struct words *words)
{
    *words = (struct words){0};
    for (;;) {
        at += strspn(at, " ");
        if (!*at)
            return words->count > 0;
        if (*at == '(' && words->count == 1 && !words->number_count) {
            if (!read_numbers(&at, words))
                return false;
            continue;
        }
        if (strcmp(at, "[]") == 0 && words->count) {
            words->array = true;
            return true;
        }
        size_t length = strcspn(at, " ([");
        if (!length || length >= WORD_BYTES_MAX || words->count == WORDS_MAX)
            return false;
        memcpy(words->items[words->count], at, length);
        words->items[words->count++][length] = '\0';
        at += length;
    }
}

static bool is(const char *word, const char *other)
{
    return strcasecmp(word, other) == 0;
}

static const struct known *find(const struct words *words)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (is(words->items[0], known[i].name))
            return &known[i];
    return NULL;
}

/* --- what belongs to a type ------------------------------------------------------------------ */

static const char *set_sign(struct source_type *type)
{
    switch (type->column.type) {
    case SEM_INT8:
        type->column.type = SEM_INT16;
        break;
    case SEM_INT16:
        type->column.type = SEM_INT32;
        break;
    case SEM_INT32:
        type->column.type = SEM_INT64;
        break;
    default: /* beyond int64: twenty digits hold 2^64 - 1 */
        type->column.type = SEM_DECIMAL;
        type->column.length = 20;
        type->column.scale = 0;
        type->coding = CODING_UNSIGNED;
    }
    return NULL;
}

static const char *set_coding(struct source_type *type, const char *word)
{
    type->coding = is(word, "base64")      ? CODING_BASE64
                   : is(word, "base64url") ? CODING_BASE64URL
                   : is(word, "hex")       ? CODING_HEX
                                           : CODING_NONE;
    return type->coding ? NULL : "expected base64, base64url or hex after bytes";
}

static int unit_of(const char *word)
{
    return is(word, "ms") ? 0 : is(word, "us") ? 1 : is(word, "ns") ? 2 : -1;
}

static const char *set_unit(struct source_type *type, int unit)
{
    static const enum semantic times[] = {SEM_TIME_MS, SEM_TIME_US, SEM_TIME_NS};
    static const enum semantic timestamps[] = {SEM_TIMESTAMP_MS, SEM_TIMESTAMP_US,
                                               SEM_TIMESTAMP_NS};
    static const enum coding codings[] = {CODING_MS, CODING_US, CODING_NS};
    if (unit < 0)
        return "expected ms, us or ns after a time";
    if (type->column.type == SEM_TIME_US || type->column.type == SEM_TIME_NS)
        type->column.type = times[unit];
    else if (type->column.type == SEM_ZONED_TIMESTAMP)
        type->coding = codings[unit];
    else
        type->column.type = timestamps[unit];
    return NULL;
}

/* The precision of a time of day does not matter then. */
static const char *name_unit(struct source_type *type, const char *word)
{
    if (type->column.type == SEM_TIME_US || type->column.type == SEM_TIME_NS)
        type->column.scale = INT32_MIN;
    return set_unit(type, unit_of(word));
}

static const char *set_numbers(struct source_type *type, enum takes takes,
                               const struct words *words)
{
    const long *numbers = words->numbers;
    bool two = words->number_count == 2;
    switch (takes) {
    case TAKES_LENGTH:
        if (two || numbers[0] < 1 || numbers[0] > LENGTH_MAX)
            return "expected one length from 1 to 10485760 in the parentheses";
        type->column.length = (int32_t) numbers[0];
        return NULL;
    case TAKES_PRECISION:
        if (two || numbers[0] > 9)
            return "expected a number of fractional digits from 0 to 9 in the parentheses";
        type->column.scale = (int32_t) numbers[0];
        /* What Debezium's adaptive modes do; times of day are microseconds in MySQL's default,
         * which has no more than six digits. */
        if (type->column.type == SEM_TIME_US && numbers[0] <= 6)
            return NULL;
        return set_unit(type, numbers[0] <= 3 ? 0 : numbers[0] <= 6 ? 1 : 2);
    case TAKES_DIGITS:
        if (numbers[0] < 1 || numbers[0] > DIGITS_MAX || (two && numbers[1] > numbers[0]))
            return "expected decimal(p,s) with p from 1 to 1000 and s no larger";
        type->column.length = (int32_t) numbers[0];
        type->column.scale = two ? (int32_t) numbers[1] : 0;
        return NULL;
    default:
        return "this type takes no parentheses";
    }
}

const char *source_type_parse(const char *text, struct source_type *type)
{
    struct words words;
    memset(type, 0, sizeof *type);
    if (!split(text, &words))
        return "expected a type as bigint unsigned, decimal(10,2) or timestamp us";
    const struct known *row = find(&words);
    if (!row)
        return "no such type";
    type->column = (struct column){.name = "",
                                   .type = row->type,
                                   .length = -1,
                                   .scale = INT32_MIN,
                                   .optional = true,
                                   .source_type = row->source_type};
    type->coding = row->coding;
    const char *problem = NULL;
    if (words.number_count)
        problem = set_numbers(type, row->takes, &words);
    else if (row->takes == TAKES_DIGITS)
        problem = "a decimal needs its precision and scale, as decimal(10,2)";
    for (size_t i = 1; !problem && i < words.count; i++) {
        if (i > 1)
            problem = "too many words";
        else if (row->takes == TAKES_SIGN && is(words.items[i], "unsigned"))
            problem = set_sign(type);
        else if (row->takes == TAKES_CODING)
            problem = set_coding(type, words.items[i]);
        else if (row->takes == TAKES_PRECISION)
            problem = name_unit(type, words.items[i]);
        else
            problem = "this type takes no word after it";
    }
    if (!problem && words.array) {
        if (type->coding != CODING_PLAIN && type->coding != CODING_DECIMAL &&
            type->coding != CODING_BASE64)
            return "an array's elements are read as the record's JSON has them, so only plain "
                   "types, decimals and base64 are possible";
        type->element = type->column;
        type->column = (struct column){.name = "",
                                       .type = SEM_ARRAY,
                                       .length = -1,
                                       .scale = INT32_MIN,
                                       .optional = true,
                                       .element = &type->element};
        type->coding = CODING_PLAIN;
    }
    return problem;
}
