/* Columns about which the settings, or the source's own type name, know more than the record's
 * schema.
 *
 * The record's schema says how a value is written, source_types says what it means. Without a
 * schema both come from source_types. Without either, the target's column decides (infer.c).
 */
#include "sink/source_column.h"

#include <string.h>
#include <strings.h>

enum connector connector_named(const char *name)
{
    static const struct {
        const char *name;
        enum connector connector;
    } known[] = {{"", CONNECTOR_UNKNOWN},
                 {"mysql", CONNECTOR_MYSQL},
                 {"mariadb", CONNECTOR_MYSQL},
                 {"vitess", CONNECTOR_MYSQL},
                 {"postgresql", CONNECTOR_POSTGRESQL},
                 {"sqlserver", CONNECTOR_SQLSERVER},
                 {"oracle", CONNECTOR_ORACLE},
                 {"db2", CONNECTOR_DB2}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].name, name) == 0)
            return known[i].connector;
    return CONNECTOR_OTHER;
}

static bool is_unsigned_bigint(const struct column *column)
{
    return column->type == SEM_INT64 && column->source_type &&
           strncasecmp(column->source_type, "bigint unsigned", 15) == 0;
}

/* Are these bytes that the schema calls a string (binary.handling.mode)? */
static bool is_bytes_as_text(const struct column *column)
{
    static const char *const names[] = {"BYTEA",    "BINARY",   "VARBINARY",  "BLOB",
                                        "TINYBLOB", "LONGBLOB", "MEDIUMBLOB", "IMAGE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (column->type == SEM_STRING && column->source_type &&
            strcasecmp(column->source_type, names[i]) == 0)
            return true;
    return false;
}

/* Only MySQL means microseconds by `time(3)`. A scale is set where no unit was named. */
static void adapt_time(struct source_column *source)
{
    bool adapts = source->connector != CONNECTOR_MYSQL && source->connector != CONNECTOR_UNKNOWN;
    struct column *time = source->column.element ? &source->element : &source->column;
    if (adapts && time->type == SEM_TIME_US && time->scale >= 0 && time->scale <= 3)
        time->type = SEM_TIME_MS;
}

void source_column_correct(struct source_column *source, const char *text)
{
    struct source_type type;
    struct column *column = &source->column;
    /* A record without schema, of a table that the schema topic knows. */
    if (!text && column->type == SEM_UNKNOWN)
        text = column->source_type;
    /* bigint.unsigned.handling.mode=long: large values come as negative numbers of an int64. */
    if (!text && is_unsigned_bigint(column))
        text = "bigint unsigned";
    if (!text && is_bytes_as_text(column)) {
        column->type = SEM_BYTES;
        source->coding = CODING_BYTES;
        return;
    }
    if (!text || source_type_parse(text, &type)) /* the configuration has been checked */
        return;
    bool exact = column->type == SEM_DECIMAL && type.column.type == SEM_DECIMAL;
    bool bare = column->type == SEM_UNKNOWN;
    column->type = type.column.type;
    column->length = type.column.length;
    if (!exact) /* a scale in the schema is needed to read the values' bytes, so it stays */
        column->scale = type.column.scale;
    if (type.column.source_type)
        column->source_type = type.column.source_type;
    source->element = type.element;
    column->element = type.column.element ? &source->element : NULL;
    source->coding = type.coding;
    if (bare)
        adapt_time(source);
}
