/* The type of a column that the sink makes: the type of PostgreSQL that holds every value of the
 * source's column. See ddl.h. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sink/postgres/tables/ddl.h"

/* Types by meaning. Where length, scale or the source's type matter, ddl_type() decides. */
static const char *const types[SEM_COUNT] = {
    [SEM_BOOLEAN] = "boolean",
    [SEM_INT8] = "smallint",
    [SEM_INT16] = "smallint",
    [SEM_INT32] = "integer",
    [SEM_INT64] = "bigint",
    [SEM_FLOAT32] = "real",
    [SEM_FLOAT64] = "double precision",
    [SEM_BYTES] = "bytea",
    [SEM_VARIABLE_DECIMAL] = "numeric",
    [SEM_DATE] = "date",
    [SEM_TIME_MS] = "time without time zone",
    [SEM_TIME_NS] = "time without time zone",
    [SEM_TIMESTAMP_MS] = "timestamp(3) without time zone",
    [SEM_TIMESTAMP_US] = "timestamp without time zone",
    [SEM_TIMESTAMP_NS] = "timestamp without time zone",
    [SEM_ZONED_TIMESTAMP] = "timestamp with time zone",
    [SEM_ZONED_TIME] = "time with time zone",
    [SEM_ISO_DATE] = "date",
    [SEM_ISO_TIME] = "time without time zone",
    [SEM_ISO_TIMESTAMP] = "timestamp without time zone",
    [SEM_DURATION_US] = "interval",
    [SEM_DURATION_NS] = "interval",
    [SEM_INTERVAL] = "interval",
    [SEM_YEAR] = "integer",
    [SEM_JSON] = "jsonb",
    [SEM_XML] = "xml",
    [SEM_UUID] = "uuid",
    [SEM_TSVECTOR] = "tsvector",
    [SEM_POINT] = "point",
    [SEM_STRUCTURED_DATE] = "date",
    [SEM_STRUCTURED_TIMESTAMP] = "timestamp without time zone",
    [SEM_STRUCTURED_ZONED_TIMESTAMP] = "timestamp with time zone",
    [SEM_STRUCTURED_ZONED_TIME] = "time with time zone",
    [SEM_CIRCLE] = "circle",
    [SEM_LINE] = "line",
    [SEM_STRUCTURED_TIME] = "time without time zone",
    [SEM_STRUCTURED_DURATION] = "interval",
    [SEM_MAP] = "jsonb",
    [SEM_STRUCT] = "jsonb",
};

/* Types whose values are text (or a map) in a record, found by the source's own name of the type.
 * A type of an extension is used only where the target has the extension. */
static const struct {
    const char *source, *type;
    enum pg_extra extra; /* EXTRA_COUNT: PostgreSQL itself has it */
} named_types[] = {
    {"INET", "inet", EXTRA_COUNT},
    {"CIDR", "cidr", EXTRA_COUNT},
    {"MACADDR", "macaddr", EXTRA_COUNT},
    {"MACADDR8", "macaddr8", EXTRA_COUNT},
    {"INT4RANGE", "int4range", EXTRA_COUNT},
    {"INT8RANGE", "int8range", EXTRA_COUNT},
    {"NUMRANGE", "numrange", EXTRA_COUNT},
    {"TSRANGE", "tsrange", EXTRA_COUNT},
    {"TSTZRANGE", "tstzrange", EXTRA_COUNT},
    {"DATERANGE", "daterange", EXTRA_COUNT},
    {"CITEXT", "citext", EXTRA_CITEXT},
    {"HSTORE", "hstore", EXTRA_HSTORE},
    {"LTREE", "ltree", EXTRA_LTREE},
    {"BOX", "box", EXTRA_COUNT},
    {"PATH", "path", EXTRA_COUNT},
    {"LSEG", "lseg", EXTRA_COUNT},
    {"POLYGON", "polygon", EXTRA_COUNT},
    {"ISBN", "isbn", EXTRA_ISBN},
    {"GEOMETRY", "geometry", EXTRA_GEOMETRY},
    {"GEOGRAPHY", "geography", EXTRA_GEOGRAPHY},
    {"VECTOR", "vector", EXTRA_VECTOR},
    {"HALFVEC", "halfvec", EXTRA_HALFVEC},
    {"SPARSEVEC", "sparsevec", EXTRA_SPARSEVEC},
};

/* The name of the source's type, for meanings that stand for exactly one such type. */
static const char *type_name(const struct column *column, const char *connector)
{
    bool postgres = strcmp(connector, "postgresql") == 0;
    switch (column->type) {
    case SEM_LTREE:
        return "LTREE";
    case SEM_GEOGRAPHY:
        return "GEOGRAPHY";
    case SEM_SPARSE_VECTOR:
        return "SPARSEVEC";
    case SEM_GEOMETRY: /* PostgreSQL's own types don't hold MySQL's polygons and lines */
        return column->source_type && postgres ? column->source_type : "GEOMETRY";
    case SEM_VECTOR:
        return column->source_type && strcasecmp(column->source_type, "halfvec") == 0 ? "HALFVEC"
                                                                                      : "VECTOR";
    case SEM_STRING:
    case SEM_MAP:
    case SEM_JSON:
        return column->source_type;
    default:
        return NULL;
    }
}

static const char *named_type(const struct ddl_table *table, const struct column *column)
{
    const char *source = type_name(column, table->connector);
    if (!source)
        return NULL;
    for (size_t i = 0; i < sizeof named_types / sizeof *named_types; i++)
        if (strcasecmp(named_types[i].source, source) == 0 &&
            (named_types[i].extra == EXTRA_COUNT || table->extras[named_types[i].extra]))
            return named_types[i].type;
    return NULL;
}

/* Without a schema only the kind of the value is known. */
static const char *type_of_sample(const struct value *sample)
{
    switch (sample ? sample->kind : VALUE_NULL) {
    case VALUE_BOOL:
        return "boolean";
    case VALUE_INT:
        return "bigint";
    case VALUE_NUMBER:
        return "numeric";
    case VALUE_JSON:
        return "jsonb";
    default:
        return "text";
    }
}

/* Debezium gives some of PostgreSQL's types the meaning of another type. The source's name of the
 * type tells them apart. */
static bool is_named(const struct column *column, const char *source_type)
{
    return column->source_type && strcasecmp(column->source_type, source_type) == 0;
}

static const char *bits_type(const struct column *column, char *room, size_t room_bytes)
{
    if (column->length <= 0 || column->length > 83886080)
        return "bit varying";
    snprintf(room, room_bytes, is_named(column, "VARBIT") ? "bit varying(%d)" : "bit(%d)",
             column->length);
    return room;
}

static const char *string_type(const struct column *column, bool declared, char *room,
                               size_t room_bytes)
{
    bool padded = is_named(column, "BPCHAR") && column->length <= 10485760;
    if (column->length <= 0 || !(declared || padded))
        return "text";
    snprintf(room, room_bytes, padded ? "character(%d)" : "character varying(%d)", column->length);
    return room;
}

static const char *type_of(const struct ddl_table *table, const struct column *column,
                           bool declared, char *room, size_t room_bytes)
{
    const char *named = named_type(table, column);
    if (named)
        return named;
    switch (column->type) {
    case SEM_STRING:
        return string_type(column, declared, room, room_bytes);
    case SEM_DECIMAL:
        if (column->length <= 0 || column->length > 1000 || column->scale < 0 ||
            column->scale > column->length)
            return "numeric";
        snprintf(room, room_bytes, "numeric(%d,%d)", column->length, column->scale);
        return room;
    case SEM_TIME_US:
        /* MySQL's TIME runs from -838:59:59 to 838:59:59; only an interval holds that. */
        return strcmp(table->connector, "postgresql") == 0 ||
                       strcmp(table->connector, "sqlserver") == 0
                   ? "time without time zone"
                   : "interval";
    case SEM_BITS:
        return bits_type(column, room, room_bytes);
    case SEM_ARRAY: {
        char element[DDL_TYPE_BYTES / 2];
        if (!column->element || column->element->type == SEM_ARRAY)
            return "jsonb";
        snprintf(room, room_bytes, "%s[]",
                 type_of(table, column->element, declared, element, sizeof element));
        return room;
    }
    default:
        return types[column->type] ? types[column->type] : "text";
    }
}

const char *ddl_type(const struct ddl_table *table, const struct ddl_column *column, char *room,
                     size_t room_bytes)
{
    if (column->type)
        return column->type;
    const struct source_column *source = column->source;
    return source->column.type == SEM_UNKNOWN
               ? type_of_sample(column->sample)
               : type_of(table, &source->column, source->coding != CODING_NONE, room, room_bytes);
}
