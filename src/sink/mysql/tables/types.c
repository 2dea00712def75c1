/* Types as texts. See types.h. */
#include "sink/mysql/tables/types.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    enum mysql_type type;
    uint64_t length; /* of types that have one without saying so */
} types[] = {{"tinyint", MYSQL_IS_TINYINT, 0},
             {"smallint", MYSQL_IS_SMALLINT, 0},
             {"mediumint", MYSQL_IS_MEDIUMINT, 0},
             {"int", MYSQL_IS_INT, 0},
             {"bigint", MYSQL_IS_BIGINT, 0},
             {"decimal", MYSQL_IS_DECIMAL, 10},
             {"float", MYSQL_IS_FLOAT, 0},
             {"double", MYSQL_IS_DOUBLE, 0},
             {"bit", MYSQL_IS_BIT, 1},
             {"year", MYSQL_IS_YEAR, 0},
             {"date", MYSQL_IS_DATE, 0},
             {"time", MYSQL_IS_TIME, 0},
             {"datetime", MYSQL_IS_DATETIME, 0},
             {"timestamp", MYSQL_IS_TIMESTAMP, 0},
             {"char", MYSQL_IS_CHAR, 1},
             {"varchar", MYSQL_IS_VARCHAR, 0},
             {"tinytext", MYSQL_IS_TEXT, 255},
             {"text", MYSQL_IS_TEXT, 65535},
             {"mediumtext", MYSQL_IS_TEXT, 16777215},
             {"longtext", MYSQL_IS_TEXT, UINT32_MAX},
             {"binary", MYSQL_IS_BINARY, 1},
             {"varbinary", MYSQL_IS_VARBINARY, 0},
             {"tinyblob", MYSQL_IS_BLOB, 255},
             {"blob", MYSQL_IS_BLOB, 65535},
             {"mediumblob", MYSQL_IS_BLOB, 16777215},
             {"longblob", MYSQL_IS_BLOB, UINT32_MAX},
             {"enum", MYSQL_IS_ENUM, 0},
             {"set", MYSQL_IS_SET, 0},
             {"json", MYSQL_IS_JSON, 0},
             {"geometry", MYSQL_IS_GEOMETRY, 0},
             {"point", MYSQL_IS_GEOMETRY, 0},
             {"linestring", MYSQL_IS_GEOMETRY, 0},
             {"polygon", MYSQL_IS_GEOMETRY, 0},
             {"multipoint", MYSQL_IS_GEOMETRY, 0},
             {"multilinestring", MYSQL_IS_GEOMETRY, 0},
             {"multipolygon", MYSQL_IS_GEOMETRY, 0},
             {"geometrycollection", MYSQL_IS_GEOMETRY, 0},
             {"geomcollection", MYSQL_IS_GEOMETRY, 0},
             {"uuid", MYSQL_IS_UUID, 0},
             {"inet4", MYSQL_IS_INET, 0},
             {"inet6", MYSQL_IS_INET, 0},
             {"vector", MYSQL_IS_VECTOR, 0}};

static int find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strlen(types[i].name) == length && strncasecmp(types[i].name, name, length) == 0)
            return (int) i;
    return -1;
}

enum mysql_type mysql_type_named(const char *name, size_t length)
{
    int row = find(name, length);
    return row < 0 ? MYSQL_IS_OTHER : types[row].type;
}

static bool is_integer(enum mysql_type type)
{
    return type >= MYSQL_IS_TINYINT && type <= MYSQL_IS_BIGINT;
}

bool mysql_typed_read(struct mysql_typed *typed, const char *text)
{
    size_t length = strcspn(text, " (");
    int row = find(text, length);
    *typed = (struct mysql_typed){0};
    if (row < 0)
        return false;
    typed->type = types[row].type;
    typed->length = types[row].length;
    typed->is_unsigned = strstr(text, " unsigned") != NULL;
    if (typed->type == MYSQL_IS_GEOMETRY)
        snprintf(typed->name, sizeof typed->name, "%s", types[row].name);
    bool labels = typed->type == MYSQL_IS_ENUM || typed->type == MYSQL_IS_SET;
    if (text[length] != '(' || labels)
        return true;
    char *end;
    uint64_t number = strtoull(text + length + 1, &end, 10);
    typed->boolean = typed->type == MYSQL_IS_TINYINT && number == 1;
    if (is_integer(typed->type) || typed->type == MYSQL_IS_YEAR)
        return true;
    typed->length = number;
    typed->scale = *end == ',' ? (uint32_t) strtoul(end + 1, NULL, 10) : 0;
    return true;
}

void mysql_typed_column(struct mysql_typed *typed, const struct mysql_column *column)
{
    mysql_typed_read(typed, column->column_type);
    if (column->type == MYSQL_IS_JSON && typed->type != MYSQL_IS_JSON) /* MariaDB's */
        *typed = (struct mysql_typed){.type = MYSQL_IS_JSON};
}

bool mysql_typed_same(const struct mysql_typed *a, const struct mysql_typed *b)
{
    return a->type == b->type && a->is_unsigned == b->is_unsigned && a->boolean == b->boolean &&
           a->length == b->length && a->scale == b->scale && strcmp(a->name, b->name) == 0;
}

/* --- what a source's column becomes --------------------------------------------------------- */

#define VARCHAR_MAX 16383 /* characters of utf8mb4 in a row of 65,535 bytes */

/* Types by meaning. Where length, scale or the source's type matter, type_of() decides. */
static const char *const made[SEM_COUNT] = {
    [SEM_BOOLEAN] = "tinyint(1)",
    [SEM_INT8] = "tinyint",
    [SEM_INT16] = "smallint",
    [SEM_INT32] = "int",
    [SEM_INT64] = "bigint",
    [SEM_FLOAT32] = "float",
    [SEM_FLOAT64] = "double",
    [SEM_BYTES] = "longblob",
    [SEM_VARIABLE_DECIMAL] = "decimal(65,30)",
    [SEM_DATE] = "date",
    [SEM_TIME_MS] = "time(3)",
    [SEM_TIME_US] = "time(6)",
    [SEM_TIME_NS] = "time(6)",
    [SEM_TIMESTAMP_MS] = "datetime(3)",
    [SEM_TIMESTAMP_US] = "datetime(6)",
    [SEM_TIMESTAMP_NS] = "datetime(6)",
    [SEM_ZONED_TIMESTAMP] = "datetime(6)",
    [SEM_ZONED_TIME] = "time(6)",
    [SEM_ISO_DATE] = "date",
    [SEM_ISO_TIME] = "time(6)",
    [SEM_ISO_TIMESTAMP] = "datetime(6)",
    [SEM_DURATION_US] = "bigint",
    [SEM_DURATION_NS] = "bigint",
    [SEM_INTERVAL] = "varchar(64)",
    [SEM_YEAR] = "year",
    [SEM_JSON] = "json",
    [SEM_UUID] = "char(36)",
    [SEM_ENUM] = "varchar(255)",
    [SEM_ENUM_SET] = "text",
    [SEM_POINT] = "point",
    [SEM_GEOMETRY] = "geometry",
    [SEM_GEOGRAPHY] = "geometry",
    [SEM_CIRCLE] = "json",
    [SEM_LINE] = "json",
    [SEM_VECTOR] = "json",
    [SEM_SPARSE_VECTOR] = "json",
    [SEM_STRUCTURED_DATE] = "date",
    [SEM_STRUCTURED_TIMESTAMP] = "datetime(6)",
    [SEM_STRUCTURED_ZONED_TIMESTAMP] = "datetime(6)",
    [SEM_STRUCTURED_TIME] = "time(6)",
    [SEM_STRUCTURED_ZONED_TIME] = "time(6)",
    [SEM_STRUCTURED_DURATION] = "varchar(64)",
    [SEM_ARRAY] = "json",
    [SEM_MAP] = "json",
    [SEM_STRUCT] = "json",
};

/* Without a schema only the kind of the value is known. */
static const char *type_of_sample(const struct value *sample)
{
    switch (sample ? sample->kind : VALUE_NULL) {
    case VALUE_BOOL:
        return "tinyint(1)";
    case VALUE_INT:
        return "bigint";
    case VALUE_DOUBLE:
        return "double";
    case VALUE_NUMBER:
        return "decimal(65,30)";
    case VALUE_JSON:
        return "json";
    default:
        return "longtext";
    }
}

/* MySQL's decimals have 65 digits, and 30 after the point. */
static void decimal_type(const struct column *column, char *room)
{
    int scale = column->scale == INT32_MIN || column->scale > 30 ? 30
                : column->scale < 0                              ? 0
                                                                 : column->scale;
    int digits = column->length > 0 && column->length <= 65 ? column->length : 65;
    if (column->scale < 0 && column->length > 0) /* numeric(3,-2) has five digits */
        digits = column->length - column->scale < 65 ? column->length - column->scale : 65;
    if (digits < scale)
        digits = scale;
    snprintf(room, MYSQL_TYPE_BYTES, "decimal(%d,%d)", digits, scale);
}

static bool is_named(const struct column *column, const char *source_type)
{
    return column->source_type && strcasecmp(column->source_type, source_type) == 0;
}

/* PostgreSQL's own paths, boxes … say more than well-known binary does. */
static bool is_postgres_shape(const struct column *column)
{
    return is_named(column, "PATH") || is_named(column, "BOX") || is_named(column, "LSEG") ||
           is_named(column, "POLYGON");
}

/* A text with a length; one that is too long for a row stands beside it. */
static void put_length(char *room, const char *type, int64_t length, int64_t most)
{
    if (length > 0 && length <= most)
        snprintf(room, MYSQL_TYPE_BYTES, "%s(%lld)", type, (long long) length);
    else
        snprintf(room, MYSQL_TYPE_BYTES, "longtext");
}

static void type_of(const struct source_column *source, const struct value *sample, char *room)
{
    const struct column *column = &source->column;
    const char *fixed = column->type == SEM_UNKNOWN ? type_of_sample(sample) : made[column->type];
    if (source->coding == CODING_UNSIGNED)
        fixed = "bigint unsigned";
    else if (column->type == SEM_GEOMETRY && is_postgres_shape(column))
        fixed = "json";
    if (fixed)
        snprintf(room, MYSQL_TYPE_BYTES, "%s", fixed);
    else if (column->type == SEM_DECIMAL)
        decimal_type(column, room);
    else if (column->type == SEM_BITS && column->length > 0 && column->length <= 64 &&
             !is_named(column, "VARBIT"))
        snprintf(room, MYSQL_TYPE_BYTES, "bit(%d)", column->length);
    else if (column->type == SEM_BITS)
        put_length(room, "varchar", column->length, VARCHAR_MAX);
    else if (column->type == SEM_STRING && is_named(column, "BPCHAR"))
        put_length(room, "char", column->length, 255);
    else if (column->type == SEM_STRING && source->coding != CODING_NONE)
        put_length(room, "varchar", column->length, VARCHAR_MAX);
    else
        snprintf(room, MYSQL_TYPE_BYTES, "longtext");
}

bool mysql_type_needs_room(const struct source_column *source, const struct value *sample,
                           bool *binary)
{
    char room[MYSQL_TYPE_BYTES];
    struct mysql_typed typed;
    type_of(source, sample, room);
    mysql_typed_read(&typed, room);
    *binary = typed.type == MYSQL_IS_BLOB;
    return typed.type == MYSQL_IS_BLOB || typed.type == MYSQL_IS_TEXT ||
           typed.type == MYSQL_IS_JSON || typed.type == MYSQL_IS_GEOMETRY ||
           (typed.type == MYSQL_IS_VARCHAR && typed.length > 255);
}

void mysql_type_made(const struct mysql_making *making, char room[MYSQL_TYPE_BYTES])
{
    bool binary;
    if (making->key && mysql_type_needs_room(making->source, making->sample, &binary))
        snprintf(room, MYSQL_TYPE_BYTES, "%s(%u)", binary ? "varbinary" : "varchar",
                 making->key_room);
    else
        type_of(making->source, making->sample, room);
}

/* --- what holds both ------------------------------------------------------------------------ */

__attribute__((format(printf, 2, 3))) static enum mysql_widening wider_is(char *wider,
                                                                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(wider, MYSQL_TYPE_BYTES, format, arguments);
    va_end(arguments);
    return MYSQL_WIDER;
}

/* Whole digits of an integer type. */
static uint64_t digits_of_integer(const struct mysql_typed *typed)
{
    static const uint8_t digits[] = {[MYSQL_IS_TINYINT] = 3,
                                     [MYSQL_IS_SMALLINT] = 5,
                                     [MYSQL_IS_MEDIUMINT] = 8,
                                     [MYSQL_IS_INT] = 10,
                                     [MYSQL_IS_BIGINT] = 19};
    return is_integer(typed->type) ? digits[typed->type] + (typed->type == MYSQL_IS_BIGINT &&
                                                            typed->is_unsigned)
                                   : 0;
}

static enum mysql_widening widen_integer(const struct mysql_typed *have,
                                         const struct mysql_typed *wanted, char *wider)
{
    static const char *const names[] = {[MYSQL_IS_TINYINT] = "tinyint",
                                        [MYSQL_IS_SMALLINT] = "smallint",
                                        [MYSQL_IS_MEDIUMINT] = "mediumint",
                                        [MYSQL_IS_INT] = "int",
                                        [MYSQL_IS_BIGINT] = "bigint"};
    bool same_sign = have->is_unsigned == wanted->is_unsigned;
    if (have->is_unsigned ? same_sign && wanted->type <= have->type
                          : wanted->type < have->type || (same_sign && wanted->type == have->type))
        return have->boolean && !wanted->boolean ? wider_is(wider, "tinyint") : MYSQL_FITS;
    if (same_sign)
        return wider_is(wider, "%s%s", names[wanted->type], have->is_unsigned ? " unsigned" : "");
    /* A signed type that holds an unsigned one is the next larger. */
    enum mysql_type unsigned_one = have->is_unsigned ? have->type : wanted->type;
    enum mysql_type signed_one = have->is_unsigned ? wanted->type : have->type;
    if (unsigned_one == MYSQL_IS_BIGINT)
        return wider_is(wider, "decimal(20,0)");
    return wider_is(wider, "%s",
                    names[signed_one > unsigned_one ? signed_one : unsigned_one + 1]);
}

static enum mysql_widening widen_decimal(const struct mysql_typed *have,
                                         const struct mysql_typed *wanted, char *wider)
{
    uint64_t whole = digits_of_integer(have), more = digits_of_integer(wanted);
    uint64_t scale = whole ? 0 : have->scale, more_scale = more ? 0 : wanted->scale;
    whole = whole ? whole : have->length - have->scale;
    more = more ? more : wanted->length - wanted->scale;
    if (have->type == MYSQL_IS_DECIMAL && more <= whole && more_scale <= scale)
        return MYSQL_FITS;
    whole = more > whole ? more : whole;
    scale = more_scale > scale ? more_scale : scale;
    if (whole + scale > 65)
        return MYSQL_OTHER;
    return wider_is(wider, "decimal(%d,%d)", (int) (whole + scale), (int) scale);
}

/* A float holds every smallint, a double every int. */
static enum mysql_widening widen_real(const struct mysql_typed *have,
                                      const struct mysql_typed *wanted, char *wider)
{
    bool have_real = have->type == MYSQL_IS_FLOAT || have->type == MYSQL_IS_DOUBLE;
    const struct mysql_typed *other = have_real ? wanted : have;
    const struct mysql_typed *real = have_real ? have : wanted;
    if (have_real && (wanted->type == MYSQL_IS_FLOAT || wanted->type == MYSQL_IS_DOUBLE))
        return have->type == MYSQL_IS_DOUBLE || wanted->type == MYSQL_IS_FLOAT
                   ? MYSQL_FITS
                   : wider_is(wider, "double");
    if (other->type == MYSQL_IS_DECIMAL || other->type == MYSQL_IS_BIGINT)
        return MYSQL_OTHER; /* no type of MySQL's has a float's range and a decimal's digits */
    bool fits = real->type == MYSQL_IS_DOUBLE || other->type <= MYSQL_IS_SMALLINT;
    if (have_real && fits)
        return MYSQL_FITS;
    return wider_is(wider, fits && real->type == MYSQL_IS_FLOAT ? "float" : "double");
}

static bool is_exact(const struct mysql_typed *typed)
{
    return is_integer(typed->type) || typed->type == MYSQL_IS_DECIMAL;
}

static bool is_number(const struct mysql_typed *typed)
{
    return typed->type >= MYSQL_IS_TINYINT && typed->type <= MYSQL_IS_DOUBLE;
}

static bool is_text(const struct mysql_typed *typed)
{
    return typed->type == MYSQL_IS_TEXT || typed->type == MYSQL_IS_VARCHAR ||
           typed->type == MYSQL_IS_CHAR;
}

static bool is_binary(const struct mysql_typed *typed)
{
    return typed->type == MYSQL_IS_BINARY || typed->type == MYSQL_IS_VARBINARY ||
           typed->type == MYSQL_IS_BLOB;
}

/* Most characters that any value of the type has as text; 0: more than a varchar's. */
static uint64_t text_length(const struct mysql_typed *typed)
{
    return typed->type == MYSQL_IS_VARCHAR || typed->type == MYSQL_IS_CHAR ? typed->length : 0;
}

static enum mysql_widening widen_text(const struct mysql_typed *have,
                                      const struct mysql_typed *wanted, char *wider)
{
    uint64_t length = text_length(have), more = text_length(wanted);
    if (have->type == MYSQL_IS_TEXT && have->length == UINT32_MAX)
        return is_binary(wanted) ? MYSQL_OTHER : MYSQL_FITS;
    if (have->type == MYSQL_IS_BIT || is_binary(have) || is_binary(wanted) ||
        have->type == MYSQL_IS_GEOMETRY || wanted->type == MYSQL_IS_GEOMETRY)
        return MYSQL_OTHER;
    if (is_text(have) && length && more && more <= length)
        return MYSQL_FITS;
    if (is_text(have) && have->type == MYSQL_IS_TEXT && wanted->type == MYSQL_IS_TEXT &&
        wanted->length <= have->length)
        return MYSQL_FITS;
    if (is_text(have) && length && more)
        return wider_is(wider, "varchar(%d)", (int) more);
    return wider_is(wider, "longtext");
}

static enum mysql_widening widen_time(const struct mysql_typed *have,
                                      const struct mysql_typed *wanted, char *wider)
{
    uint64_t digits = have->length > wanted->length ? have->length : wanted->length;
    if (have->type == wanted->type)
        return digits == have->length ? MYSQL_FITS
                                      : wider_is(wider, "%s(%d)",
                                                 have->type == MYSQL_IS_TIME ? "time" : "datetime",
                                                 (int) digits);
    if (have->type == MYSQL_IS_DATE && wanted->type == MYSQL_IS_DATETIME)
        return wider_is(wider, "datetime(%d)", (int) digits);
    return have->type == MYSQL_IS_DATETIME && wanted->type == MYSQL_IS_DATE ? MYSQL_FITS
                                                                            : MYSQL_OTHER;
}

enum mysql_widening mysql_widen(const struct mysql_typed *have, const struct mysql_typed *wanted,
                                char wider[MYSQL_TYPE_BYTES])
{
    if (mysql_typed_same(have, wanted))
        return MYSQL_FITS;
    if (is_text(have) || is_text(wanted))
        return widen_text(have, wanted, wider);
    if (is_integer(have->type) && is_integer(wanted->type))
        return widen_integer(have, wanted, wider);
    if (is_exact(have) && is_exact(wanted))
        return widen_decimal(have, wanted, wider);
    if (is_number(have) && is_number(wanted))
        return widen_real(have, wanted, wider);
    if (have->type == MYSQL_IS_BIT && wanted->type == MYSQL_IS_BIT)
        return wanted->length <= have->length
                   ? MYSQL_FITS
                   : wider_is(wider, "bit(%d)", (int) wanted->length);
    if (have->type == MYSQL_IS_VARBINARY && is_binary(wanted))
        return wider_is(wider, "longblob");
    if (have->type == MYSQL_IS_BLOB && is_binary(wanted))
        return MYSQL_FITS;
    if (have->type == MYSQL_IS_YEAR && is_integer(wanted->type))
        return wider_is(wider, wanted->type < MYSQL_IS_INT ? "int" : "bigint");
    if (have->type == MYSQL_IS_GEOMETRY && wanted->type == MYSQL_IS_GEOMETRY)
        return strcmp(have->name, "geometry") == 0 ? MYSQL_FITS : wider_is(wider, "geometry");
    return widen_time(have, wanted, wider);
}
