/* MySQL's types in schema-change records. See mysql_type.h. */
#include "core/mysql_type.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NAME_BYTES 64

enum form { PLAIN, WITH_LENGTH, WITH_DIGITS, WITH_DATETIME, WITH_TIME, AS_BIT, AS_FLOAT };

/* MySQL's type names, and each one as source_type_parse() reads it. Text has no length here, so
 * that no row is refused because a text has become longer. */
static const struct {
    const char *name, *type;
    enum form form;
} known_types[] = {
    {"tinyint", "tinyint", PLAIN},
    {"tinyint unsigned", "tinyint unsigned", PLAIN},
    {"bool", "boolean", PLAIN},
    {"boolean", "boolean", PLAIN},
    {"smallint", "smallint", PLAIN},
    {"smallint unsigned", "smallint unsigned", PLAIN},
    {"mediumint", "int", PLAIN},
    {"mediumint unsigned", "int", PLAIN},
    {"int", "int", PLAIN},
    {"integer", "int", PLAIN},
    {"int unsigned", "int unsigned", PLAIN},
    {"integer unsigned", "int unsigned", PLAIN},
    {"bigint", "bigint", PLAIN},
    {"bigint unsigned", "bigint unsigned", PLAIN},
    {"serial", "bigint unsigned", PLAIN},
    {"year", "year", PLAIN},
    {"float", "float", AS_FLOAT},
    {"double", "double", PLAIN},
    {"double precision", "double", PLAIN},
    {"real", "double", PLAIN},
    {"decimal", "decimal", WITH_DIGITS},
    {"numeric", "decimal", WITH_DIGITS},
    {"fixed", "decimal", WITH_DIGITS},
    {"dec", "decimal", WITH_DIGITS},
    {"bit", "bit", AS_BIT},
    {"date", "date", PLAIN},
    {"time", "time", WITH_TIME},
    {"datetime", "datetime", WITH_DATETIME},
    {"timestamp", "timestamptz", WITH_LENGTH},
    {"char", "text", PLAIN},
    {"character", "text", PLAIN},
    {"nchar", "text", PLAIN},
    {"varchar", "text", PLAIN},
    {"nvarchar", "text", PLAIN},
    {"tinytext", "text", PLAIN},
    {"text", "text", PLAIN},
    {"mediumtext", "text", PLAIN},
    {"longtext", "text", PLAIN},
    {"binary", "bytes", PLAIN},
    {"varbinary", "bytes", PLAIN},
    {"tinyblob", "bytes", PLAIN},
    {"blob", "bytes", PLAIN},
    {"mediumblob", "bytes", PLAIN},
    {"longblob", "bytes", PLAIN},
    {"json", "json", PLAIN},
    {"enum", "enum", PLAIN},
    {"set", "set", PLAIN},
    {"point", "point", PLAIN},
    {"geometry", "geometry", PLAIN},
    {"linestring", "geometry", PLAIN},
    {"polygon", "geometry", PLAIN},
    {"multipoint", "geometry", PLAIN},
    {"multilinestring", "geometry", PLAIN},
    {"multipolygon", "geometry", PLAIN},
    {"geometrycollection", "geometry", PLAIN},
    {"geomcollection", "geometry", PLAIN},
};

static void cut_word(char *name, const char *word)
{
    char *at = strcasestr(name, word);
    if (at)
        memmove(at, at + strlen(word), strlen(at + strlen(word)) + 1);
}

static bool put_type(char *out, size_t size, const char *type, enum form form, long length,
                     long scale, const struct time_units *units)
{
    const char *unit = form == WITH_DATETIME ? units->datetime
                       : form == WITH_TIME   ? units->time
                                             : NULL;
    char numbers[48] = "";
    switch (form) {
    case PLAIN:
        break;
    case AS_FLOAT: /* float(25) and more are doubles */
        type = length > 24 && scale < 0 ? "double" : type;
        break;
    case AS_BIT: /* one bit is sent as a boolean */
        if (length <= 1)
            type = "boolean";
        else
            snprintf(numbers, sizeof numbers, "(%ld)", length);
        break;
    case WITH_DIGITS:
        snprintf(numbers, sizeof numbers, "(%ld,%ld)", length < 0 ? 10 : length,
                 scale < 0 ? 0 : scale);
        break;
    default:
        if (length >= 0)
            snprintf(numbers, sizeof numbers, "(%ld)", length);
    }
    int written = snprintf(out, size, "%s%s%s%s", type, numbers, unit ? " " : "", unit ? unit : "");
    return written > 0 && (size_t) written < size;
}

static long whole_number(yyjson_val *value)
{
    return yyjson_is_int(value) ? (long) yyjson_get_sint(value) : -1;
}

/* The type that MySQL's name stands for. False: it is not in the table; the record's value tells
 * what it is. */
static bool find_type(const struct time_units *units, char *name, long length, long scale,
                      char *out, size_t size)
{
    cut_word(name, " zerofill");
    for (int pass = 0; pass < 2; pass++) { /* the second finds an unsigned decimal or float */
        for (size_t i = 0; i < sizeof known_types / sizeof *known_types; i++)
            if (strcasecmp(name, known_types[i].name) == 0)
                return put_type(out, size, known_types[i].type, known_types[i].form, length, scale,
                                units);
        cut_word(name, " unsigned");
    }
    return false;
}

bool mysql_type_debezium(const struct time_units *units, yyjson_val *column, char *out,
                         size_t size)
{
    const char *given = yyjson_get_str(yyjson_obj_get(column, "typeName"));
    char name[NAME_BYTES];
    if (!given || strlen(given) >= sizeof name)
        return false;
    memcpy(name, given, strlen(given) + 1);
    return find_type(units, name, whole_number(yyjson_obj_get(column, "length")),
                     whole_number(yyjson_obj_get(column, "scale")), out, size);
}

/* Maxwell names the sign beside the type, and does not tell a decimal's digits, a bit's length or a
 * float's size. Its rows have all of these as numbers. */
bool mysql_type_maxwell(const struct time_units *units, yyjson_val *column, char *out, size_t size)
{
    const char *given = yyjson_get_str(yyjson_obj_get(column, "type"));
    bool is_unsigned = yyjson_is_false(yyjson_obj_get(column, "signed"));
    bool binary = yyjson_equals_str(yyjson_obj_get(column, "charset"), "binary");
    char name[NAME_BYTES];
    if (!given)
        return false;
    if (strcasecmp(given, "decimal") == 0 || strcasecmp(given, "numeric") == 0)
        given = "number";
    else if (strcasecmp(given, "bit") == 0)
        given = "decimal(20,0)";
    else if (strcasecmp(given, "float") == 0) /* of 24 bits, or of 53 */
        given = "double";
    else if (binary && (strcasestr(given, "char") || strcasestr(given, "text")))
        given = "bytes";
    else {
        int written = snprintf(name, sizeof name, "%s%s", given, is_unsigned ? " unsigned" : "");
        return written > 0 && (size_t) written < sizeof name &&
               find_type(units, name, whole_number(yyjson_obj_get(column, "column-length")), -1,
                         out, size);
    }
    return (size_t) snprintf(out, size, "%s", given) < size;
}
