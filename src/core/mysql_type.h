/* The type of a MySQL column, as a schema-change record tells it, in the words that
 * source_type_parse() reads. */
#ifndef MYSQL_TYPE_H
#define MYSQL_TYPE_H

#include <stdbool.h>
#include <stddef.h>

#include <yyjson.h>

/* The unit of the values of datetime and time columns where a setting names it ("ms"). NULL: the
 * column's precision decides. */
struct time_units {
    const char *datetime, *time;
};

/* From a column of Debezium's tableChanges. False: the type is not known here, and the values of
 * the records tell what they are. */
bool mysql_type_debezium(const struct time_units *units, yyjson_val *column, char *out,
                         size_t size);

/* The same from a column of Maxwell's DDL records. */
bool mysql_type_maxwell(const struct time_units *units, yyjson_val *column, char *out, size_t size);

#endif
