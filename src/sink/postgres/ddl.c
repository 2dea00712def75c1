/* Tables and columns that the sink makes. See ddl.h. */
#include "sink/postgres/ddl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buffer.h"
#include "sink/postgres/catalog.h"

/* Types by meaning. What has a length, a scale or a source of its own is in ddl_type(). */
static const char *const types[SEM_COUNT] = {
    [SEM_BOOLEAN] = "boolean",
    [SEM_INT8] = "smallint",
    [SEM_INT16] = "smallint",
    [SEM_INT32] = "integer",
    [SEM_INT64] = "bigint",
    [SEM_FLOAT32] = "real",
    [SEM_FLOAT64] = "double precision",
    [SEM_STRING] = "text",
    [SEM_BYTES] = "bytea",
    [SEM_VARIABLE_DECIMAL] = "numeric",
    [SEM_DATE] = "date",
    [SEM_TIME_MS] = "time",
    [SEM_TIME_NS] = "time",
    [SEM_TIMESTAMP_MS] = "timestamp(3)",
    [SEM_TIMESTAMP_US] = "timestamp",
    [SEM_TIMESTAMP_NS] = "timestamp",
    [SEM_ZONED_TIMESTAMP] = "timestamptz",
    [SEM_ZONED_TIME] = "timetz",
    [SEM_ISO_DATE] = "date",
    [SEM_ISO_TIME] = "time",
    [SEM_ISO_TIMESTAMP] = "timestamp",
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
    [SEM_STRUCTURED_TIMESTAMP] = "timestamp",
    [SEM_STRUCTURED_TIME] = "time",
    [SEM_STRUCTURED_DURATION] = "interval",
    [SEM_MAP] = "jsonb",
    [SEM_STRUCT] = "jsonb",
};

/* Without a schema only the value's own kind is known. */
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

const char *ddl_type(const struct ddl_column *column, const char *connector, char *room,
                     size_t room_bytes)
{
    const struct column *source = column->source;
    if (column->type)
        return column->type;
    switch (source->type) {
    case SEM_UNKNOWN:
        return type_of_sample(column->sample);
    case SEM_DECIMAL:
        if (source->length <= 0 || source->length > 1000 || source->scale < 0 ||
            source->scale > source->length)
            return "numeric";
        snprintf(room, room_bytes, "numeric(%d,%d)", source->length, source->scale);
        return room;
    case SEM_TIME_US:
        /* MySQL's TIME runs from -838:59:59 to 838:59:59; only an interval holds that. */
        return strcmp(connector, "postgresql") == 0 || strcmp(connector, "sqlserver") == 0
                   ? "time"
                   : "interval";
    case SEM_BITS:
        if (source->length <= 0 || source->length > 83886080)
            return "varbit";
        snprintf(room, room_bytes, "bit(%d)", source->length);
        return room;
    case SEM_ARRAY: {
        struct ddl_column element = {.source = source->element};
        char type[64];
        if (!source->element || source->element->type == SEM_ARRAY)
            return "jsonb";
        snprintf(room, room_bytes, "%s[]", ddl_type(&element, connector, type, sizeof type));
        return room;
    }
    default:
        return types[source->type] ? types[source->type] : "text";
    }
}

static void put_literal(struct buffer *sql, PGconn *pg, const char *text)
{
    char *literal = PQescapeLiteral(pg, text, strlen(text));
    if (literal)
        buffer_puts(sql, literal);
    else
        sql->failed = true;
    PQfreemem(literal);
}

static void put_name(struct buffer *sql, const char *name)
{
    char *quoted = catalog_quote(name);
    if (quoted)
        buffer_puts(sql, quoted);
    else
        sql->failed = true;
    free(quoted);
}

static void put_table(struct buffer *sql, const struct ddl_table *table)
{
    put_name(sql, table->schema);
    buffer_puts(sql, ".");
    put_name(sql, table->name);
}

static void put_column(struct buffer *sql, const struct ddl_table *table,
                       const struct ddl_column *column, bool may_be_required)
{
    char room[64];
    put_name(sql, column->name);
    buffer_printf(sql, " %s", ddl_type(column, table->connector, room, sizeof room));
    /* A column of a record without schema says nothing about NULL. */
    bool required =
        column->source && column->source->type != SEM_UNKNOWN && !column->source->optional;
    if (column->key || (may_be_required && required))
        buffer_puts(sql, " not null");
}

static void put_comments(struct buffer *sql, PGconn *pg, const struct ddl_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct column *source = table->columns[i].source;
        struct buffer text;
        buffer_init(&text);
        if (!source)
            buffer_puts(&text, "ods-sink: of the last change applied to this row");
        else if (source->type == SEM_UNKNOWN)
            buffer_printf(&text,
                          "ods-sink: from %s, type told by its first value: the records "
                          "carry no schema",
                          source->name);
        else
            buffer_printf(&text, "ods-sink: from %s, %s%s%s", source->name,
                          semantic_name(source->type), source->source_type ? ", " : "",
                          source->source_type ? source->source_type : "");
        buffer_puts(sql, "; comment on column ");
        put_table(sql, table);
        buffer_puts(sql, ".");
        put_name(sql, table->columns[i].name);
        buffer_puts(sql, " is ");
        put_literal(sql, pg, buffer_text(&text));
        buffer_done(&text);
    }
}

static void put_key(struct buffer *sql, const struct ddl_table *table)
{
    const struct shape *shape = table->shape;
    bool any = false;
    /* In the order of the record's key; a configured key has the order of the columns. */
    for (uint32_t k = 0; k < shape->key_count + table->count; k++)
        for (size_t i = 0; i < table->count; i++) {
            const struct ddl_column *column = &table->columns[i];
            bool in_key = column->source && column->key;
            bool ranked = false;
            for (uint32_t r = 0; r < shape->key_count; r++)
                ranked |= in_key && &shape->columns[shape->key[r]] == column->source;
            bool now = k < shape->key_count
                           ? in_key && &shape->columns[shape->key[k]] == column->source
                           : in_key && !ranked && i == k - shape->key_count;
            if (!now)
                continue;
            buffer_puts(sql, any ? ", " : ", primary key (");
            put_name(sql, column->name);
            any = true;
        }
    if (any)
        buffer_puts(sql, ")");
}

/* All of it in one transaction, one DDL of ours at a time in the whole database. */
static enum ods_status run(struct conn *conn, struct buffer *sql, const struct ddl_table *table,
                           struct error *error)
{
    enum ods_status status = sql->failed ? error_set(error, ODS_RETRY, "out of memory")
                                         : conn_script(conn, buffer_text(sql), error);
    if (status != ODS_OK) {
        struct error ignored;
        error_init(&ignored);
        if (conn->pg)
            conn_script(conn, "rollback", &ignored);
        error_prefix(error, "table %s.%s can't be made or changed: ", table->schema, table->name);
    }
    /* What was wrong is the statement, not a record. */
    return status == ODS_REJECT ? ODS_FATAL : status;
}

static void put_begin(struct buffer *sql)
{
    buffer_puts(sql, "begin; select pg_catalog.pg_advisory_xact_lock(7235498201); ");
}

/* Under the lock: what is there already? Another lane may have met the table first. A schema that is
 * there needs no right to make one. */
static enum ods_status begin_creating(struct conn *conn, const struct ddl_table *table,
                                      bool *table_there, bool *schema_there, struct error *error)
{
    static const char present[] = "select to_regclass(format('%I.%I', $1::text, $2::text)) is not "
                                  "null, to_regnamespace(quote_ident($1::text)) is not null";
    const char *names[] = {table->schema, table->name};
    PGresult *rows = NULL;
    struct buffer sql;
    buffer_init(&sql);
    put_begin(&sql);
    enum ods_status status = run(conn, &sql, table, error);
    if (status == ODS_OK)
        status = conn_query(conn, present, 2, names, &rows, error);
    if (status == ODS_OK) {
        *table_there = PQgetvalue(rows, 0, 0)[0] == 't';
        *schema_there = PQgetvalue(rows, 0, 1)[0] == 't';
    }
    PQclear(rows);
    buffer_done(&sql);
    return status;
}

static void put_create(struct buffer *sql, PGconn *pg, const struct ddl_table *table)
{
    const struct shape *shape = table->shape;
    const char *database = shape->database[0] ? shape->database : shape->schema;
    struct buffer from;
    buffer_init(&from);
    buffer_printf(&from, "ods-sink: from %s table %s%s%s, topic %s",
                  table->connector[0] ? table->connector : "source", database,
                  database[0] ? "." : "", shape->table, shape->topic);
    buffer_puts(sql, "create table ");
    put_table(sql, table);
    buffer_puts(sql, " (");
    for (size_t i = 0; i < table->count; i++) {
        buffer_puts(sql, i ? ", " : "");
        put_column(sql, table, &table->columns[i], true);
    }
    put_key(sql, table);
    buffer_puts(sql, "); comment on table ");
    put_table(sql, table);
    buffer_puts(sql, " is ");
    put_literal(sql, pg, buffer_text(&from));
    put_comments(sql, pg, table);
    buffer_done(&from);
}

enum ods_status ddl_create_table(struct conn *conn, const struct ddl_table *table, bool *made,
                                 struct error *error)
{
    bool table_there = false, schema_there = false;
    *made = false;
    enum ods_status status =
        begin_creating(conn, table, &table_there, &schema_there, error);
    if (status != ODS_OK || table_there) {
        if (conn->pg)
            conn_script(conn, "rollback", NULL);
        return status;
    }
    struct buffer sql;
    buffer_init(&sql);
    if (!schema_there) {
        buffer_puts(&sql, "create schema ");
        put_name(&sql, table->schema);
        buffer_puts(&sql, "; ");
    }
    put_create(&sql, conn->pg, table);
    buffer_puts(&sql, "; commit");
    status = run(conn, &sql, table, error);
    *made = status == ODS_OK;
    buffer_done(&sql);
    return status;
}

enum ods_status ddl_add_columns(struct conn *conn, const struct ddl_table *table,
                                struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    put_begin(&sql);
    buffer_puts(&sql, "alter table ");
    put_table(&sql, table);
    for (size_t i = 0; i < table->count; i++) {
        buffer_puts(&sql, i ? ", add column if not exists " : " add column if not exists ");
        put_column(&sql, table, &table->columns[i], false);
    }
    put_comments(&sql, conn->pg, table);
    buffer_puts(&sql, "; commit");
    enum ods_status status = run(conn, &sql, table, error);
    buffer_done(&sql);
    return status;
}
