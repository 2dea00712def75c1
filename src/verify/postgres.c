/* PostgreSQL as a source. See database.h. Rows come by COPY as text. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/conn.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/source_columns.h"
#include "sql/postgres/source_key.h"
#include "verify/database.h"

struct postgres_database {
    struct database base;
    struct session_settings session;
    struct conn conn;
    char *row;
    struct field *cells;
    size_t capacity;
};

static struct postgres_database *from_base(struct database *database)
{
    return (struct postgres_database *) database;
}

/* The connection's errors begin with "target"; here they must begin with "database". */
static enum ods_status said(enum ods_status status, struct error *error)
{
    if (status != ODS_OK && strncmp(error->text, "target ", 7) == 0) {
        char text[ERROR_TEXT_BYTES];
        snprintf(text, sizeof text, "database %.1000s", error->text + 7);
        return error_set(error, status == ODS_REJECT ? ODS_FATAL : status, "%s", text);
    }
    return status == ODS_REJECT ? ODS_FATAL : status;
}

static enum ods_status postgres_open(struct database *database, struct error *error)
{
    struct postgres_database *postgres = from_base(database);
    conn_close(&postgres->conn);
    enum ods_status status = conn_open(&postgres->conn, error);
    if (status == ODS_OK)
        status = conn_script(&postgres->conn,
                             "set default_transaction_read_only = on; set intervalstyle = iso_8601",
                             error);
    return said(status, error);
}

static void postgres_close(struct database *database)
{
    struct postgres_database *postgres = from_base(database);
    PQfreemem(postgres->row);
    conn_done(&postgres->conn);
    free(postgres->cells);
    free(postgres);
}

/* --- rows ----------------------------------------------------------------------------------- */

static enum ods_status postgres_query(struct database *database, const char *query,
                                      struct error *error)
{
    struct postgres_database *postgres = from_base(database);
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "copy (%s) to stdout", query);
    enum ods_status status = sql.failed ? error_out_of_memory(error) : ODS_OK;
    if (status == ODS_OK && !postgres->conn.pg)
        status = postgres_open(database, error);
    if (status == ODS_OK)
        status = conn_copy_out(&postgres->conn, buffer_text(&sql), error);
    buffer_done(&sql);
    return said(status, error);
}

static char escaped(char letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    default:
        return letter;
    }
}

static bool add_cell(struct postgres_database *postgres, size_t count, const char *bytes,
                     size_t length)
{
    if (count == postgres->capacity) {
        size_t larger = count ? 2 * count : 64;
        struct field *cells = realloc(postgres->cells, larger * sizeof *cells);
        if (!cells)
            return false;
        postgres->cells = cells;
        postgres->capacity = larger;
    }
    postgres->cells[count] = (struct field){bytes, length};
    return true;
}

/* Splits a line of COPY's text format into cells, and decodes them in place. */
static bool split(struct postgres_database *postgres, char *row, size_t length)
{
    size_t count = 0;
    char *at = row, *end = row + length;
    if (length && end[-1] == '\n')
        end--;
    for (;;) {
        char *start = at, *to = at;
        bool null = end - at >= 2 && at[0] == '\\' && at[1] == 'N';
        for (; at < end && *at != '\t'; at++)
            *to++ = *at == '\\' && at + 1 < end ? escaped(*++at) : *at;
        if (!add_cell(postgres, count++, null ? NULL : start, null ? 0 : (size_t) (to - start)))
            return false;
        if (at >= end)
            return true;
        at++;
    }
}

static enum ods_status postgres_next(struct database *database, const struct field **cells,
                                     struct error *error)
{
    struct postgres_database *postgres = from_base(database);
    size_t length;
    *cells = NULL;
    enum ods_status status = conn_copy_row(&postgres->conn, &postgres->row, &length, error);
    if (status != ODS_OK || !postgres->row)
        return said(status, error);
    if (!split(postgres, postgres->row, length))
        return error_out_of_memory(error);
    *cells = postgres->cells;
    return ODS_OK;
}

static void postgres_literal(struct database *database, struct buffer *sql,
                             const struct form_column *column, const char *text, size_t length)
{
    (void) column;
    char *literal = PQescapeLiteral(from_base(database)->conn.pg, text, length);
    sql->failed |= !literal;
    buffer_puts(sql, literal ? literal : "");
    PQfreemem(literal);
}

/* "schema.table". */
static enum ods_status postgres_signal(struct database *database, const char *table,
                                       const char *const values[3], struct error *error)
{
    struct postgres_database *postgres = from_base(database);
    const char *dot = strchr(table, '.');
    char *schema = dot ? strndup(table, (size_t) (dot - table)) : strdup("public");
    char *quoted_schema = schema ? quote_name(schema) : NULL;
    char *quoted_name = quote_name(dot ? dot + 1 : table);
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "insert into %s.%s values ($1, $2, $3)",
                  quoted_schema ? quoted_schema : "", quoted_name ? quoted_name : "");
    enum ods_status status = sql.failed || !quoted_schema || !quoted_name
                                 ? error_out_of_memory(error)
                                 : conn_script(&postgres->conn, "begin read write", error);
    if (status == ODS_OK)
        status = conn_query(&postgres->conn, buffer_text(&sql), 3, values, NULL, error);
    if (status == ODS_OK)
        status = conn_script(&postgres->conn, "commit", error);
    else if (postgres->conn.pg)
        conn_script(&postgres->conn, "rollback", NULL);
    buffer_done(&sql);
    free(schema);
    free(quoted_schema);
    free(quoted_name);
    return said(status, error);
}

/* --- tables --------------------------------------------------------------------------------- */

static const struct {
    const char *type;
    enum semantic semantic;
    enum form form;
} kinds[] = {
    {"bool", SEM_BOOLEAN, FORM_BOOLEAN},
    {"int2", SEM_INT16, FORM_INT},
    {"int4", SEM_INT32, FORM_INT},
    {"int8", SEM_INT64, FORM_INT},
    {"oid", SEM_INT64, FORM_INT},
    {"float4", SEM_FLOAT32, FORM_NUMBER},
    {"float8", SEM_FLOAT64, FORM_NUMBER},
    {"numeric", SEM_DECIMAL, FORM_NUMBER},
    {"money", SEM_DECIMAL, FORM_MONEY},
    {"date", SEM_DATE, FORM_DATE},
    {"time", SEM_TIME_US, FORM_TIME},
    {"timetz", SEM_ZONED_TIME, FORM_TIME_ZONED},
    {"timestamp", SEM_TIMESTAMP_US, FORM_TIMESTAMP_US},
    {"timestamptz", SEM_ZONED_TIMESTAMP, FORM_MOMENT},
    {"interval", SEM_INTERVAL, FORM_TEXT},
    {"bytea", SEM_BYTES, FORM_HEX},
    {"uuid", SEM_UUID, FORM_TEXT},
    {"json", SEM_JSON, FORM_TEXT},
    {"jsonb", SEM_JSON, FORM_TEXT},
    {"xml", SEM_XML, FORM_TEXT},
    {"bit", SEM_BITS, FORM_DIGIT_BITS},
    {"varbit", SEM_BITS, FORM_DIGIT_BITS},
    {"ltree", SEM_LTREE, FORM_TEXT},
    {"tsvector", SEM_TSVECTOR, FORM_TEXT},
    {"point", SEM_POINT, FORM_POINT},
};

enum place_of_column { NAME, TYPE, TYPE_KIND, NOT_NULL, MODIFIER };

/* Declares a column as its connector does. Other types (arrays, ranges, geometries, types that
 * users have made) are compared as texts, which the target's column reads. */
static void declare(struct column *column, struct form_column *form, const PGresult *rows, int row)
{
    const char *type = PQgetvalue(rows, row, TYPE);
    int32_t modifier = (int32_t) strtol(PQgetvalue(rows, row, MODIFIER), NULL, 10);
    column->type = PQgetvalue(rows, row, TYPE_KIND)[0] == 'e' ? SEM_ENUM : SEM_STRING;
    form->form = FORM_TEXT;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0) {
            column->type = kinds[i].semantic;
            form->form = kinds[i].form;
        }
    column->optional = PQgetvalue(rows, row, NOT_NULL)[0] != 't';
    form->not_null = !column->optional;
    column->length = -1;
    column->scale = INT32_MIN;
    if (column->type == SEM_DECIMAL && modifier >= 4) {
        column->length = (modifier - 4) >> 16 & 0xffff;
        column->scale = (modifier - 4) & 0x7ff;
    } else if (column->type == SEM_DECIMAL) {
        column->scale = 0; /* each value has its own number of digits */
    }
    if (column->type == SEM_BITS) {
        column->length = modifier > 0 ? modifier : -1;
        if (modifier == 1 && strcmp(type, "bit") == 0) {
            column->type = SEM_BOOLEAN;
            form->form = FORM_BIT;
        }
    }
}

static bool fill_columns(struct source_table *table, const PGresult *rows)
{
    size_t count = (size_t) PQntuples(rows);
    table->columns = calloc(count + 1, sizeof *table->columns);
    table->forms = calloc(count + 1, sizeof *table->forms);
    table->quoted_columns = calloc(count + 1, sizeof *table->quoted_columns);
    table->key = calloc(count + 1, sizeof *table->key);
    if (!table->columns || !table->forms || !table->quoted_columns || !table->key)
        return false;
    for (size_t i = 0; i < count; i++) {
        const char *name = PQgetvalue(rows, (int) i, NAME);
        table->columns[i].name = strdup(name);
        table->columns[i].name_length = (uint32_t) strlen(name);
        table->quoted_columns[i] = quote_name(name);
        table->column_count++;
        if (!table->columns[i].name || !table->quoted_columns[i])
            return false;
        declare(&table->columns[i], &table->forms[i], rows, (int) i);
    }
    return true;
}

static enum ods_status read_key(struct postgres_database *postgres, const char *const *names,
                                struct source_table *table, struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = conn_query(&postgres->conn, sql_source_key, 2, names, &rows, error);
    for (int i = 0; status == ODS_OK && i < PQntuples(rows); i++)
        for (uint32_t k = 0; k < table->column_count; k++) {
            assert(table->columns[k].name);
            if (strcmp(table->columns[k].name, PQgetvalue(rows, i, 0)) == 0)
                table->key[table->key_count++] = k;
        }
    PQclear(rows);
    return status;
}

static bool name(struct postgres_database *postgres, const char *schema, const char *table_name,
                 struct source_table *table)
{
    char *quoted_schema = quote_name(schema), *quoted_name = quote_name(table_name);
    table->database = strdup(PQdb(postgres->conn.pg));
    table->schema = strdup(schema);
    table->name = strdup(table_name);
    if (!quoted_schema || !quoted_name ||
        asprintf(&table->quoted, "%s.%s", quoted_schema, quoted_name) < 0)
        table->quoted = NULL;
    free(quoted_schema);
    free(quoted_name);
    return table->database && table->schema && table->name && table->quoted;
}

static enum ods_status postgres_describe(struct database *database, const char *schema,
                                         const char *table_name, struct source_table *table,
                                         bool *found, struct error *error)
{
    struct postgres_database *postgres = from_base(database);
    const char *names[] = {schema, table_name};
    PGresult *rows = NULL;
    *table = (struct source_table){0};
    *found = false;
    enum ods_status status =
        conn_query(&postgres->conn, sql_source_columns, 2, names, &rows, error);
    if (status == ODS_OK &&
        (!name(postgres, schema, table_name, table) || !fill_columns(table, rows)))
        status = error_out_of_memory(error);
    if (status == ODS_OK)
        status = read_key(postgres, names, table, error);
    *found = status == ODS_OK && table->column_count;
    PQclear(rows);
    return said(status, error);
}

/* --- where it stands ------------------------------------------------------------------------ */

static enum ods_status postgres_place(struct database *database, struct source_place *place,
                                      struct error *error)
{
    PGresult *rows = NULL;
    *place = (struct source_place){0};
    enum ods_status status = conn_query(
        &from_base(database)->conn,
        "select (extract(epoch from clock_timestamp()) * 1000000)::bigint, (case when "
        "pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end - '0/0')"
        "::bigint",
        0, NULL, &rows, error);
    if (status == ODS_OK) {
        place->clock_us = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
        place->position = strtoull(PQgetvalue(rows, 0, 1), NULL, 10);
        place->known = true;
    }
    PQclear(rows);
    return said(status, error);
}

/* The connector confirms to its replication slot what it has written to Kafka. */
static enum ods_status postgres_confirmed(struct database *database, const struct source_place *to,
                                          bool *confirmed, char *why, size_t size,
                                          struct error *error)
{
    const char *slot[] = {database->settings->slot};
    PGresult *rows = NULL;
    *confirmed = false;
    enum ods_status status = conn_query(
        &from_base(database)->conn,
        "select (confirmed_flush_lsn - '0/0')::bigint, active, slot_name "
        "from pg_catalog.pg_replication_slots where slot_type = 'logical' "
        "and database = current_database() and ($1 = '' or slot_name = $1)",
        1, slot, &rows, error);
    if (status == ODS_OK && PQntuples(rows) != 1)
        snprintf(why, size, "it has %d logical replication slots%s", PQntuples(rows),
                 PQntuples(rows) ? ": say which is the connector's (databases: slot)" : "");
    else if (status == ODS_OK) {
        uint64_t flushed = strtoull(PQgetvalue(rows, 0, 0), NULL, 10);
        *confirmed = flushed >= to->position;
        if (!*confirmed)
            snprintf(why, size, "the connector's slot \"%s\" is %s and %llu bytes behind (where "
                     "little changes, let it have a heartbeat.action.query)",
                     PQgetvalue(rows, 0, 2),
                     PQgetvalue(rows, 0, 1)[0] == 't' ? "active" : "not active",
                     (unsigned long long) (to->position - flushed));
    }
    PQclear(rows);
    return said(status, error);
}

static enum ods_status postgres_touched(struct database *database, const struct source_table *table,
                                        const struct source_place *from,
                                        const struct source_place *to, enum touched *touched,
                                        char *why, size_t size, struct error *error)
{
    (void) database;
    (void) table;
    (void) why;
    (void) size;
    (void) error;
    *touched = source_place_compare(from, to) >= 0 ? TOUCHED_NO : TOUCHED_UNKNOWN;
    return ODS_OK;
}

static int postgres_socket(const struct database *database)
{
    return PQsocket(((const struct postgres_database *) database)->conn.pg);
}

const struct database_ops postgres_database = {
    .type = "postgres",
    .connector = "postgresql",
    .open = postgres_open,
    .describe = postgres_describe,
    .query = postgres_query,
    .next = postgres_next,
    .literal = postgres_literal,
    .portable = postgres_literal,
    .signal = postgres_signal,
    .random = "random()",
    .place = postgres_place,
    .confirmed = postgres_confirmed,
    .touched = postgres_touched,
    .socket = postgres_socket,
    .close = postgres_close,
};

struct database *postgres_database_new(const struct database_settings *settings)
{
    struct postgres_database *postgres = calloc(1, sizeof *postgres);
    if (!postgres)
        return NULL;
    postgres->base = (struct database){&postgres_database, settings};
    postgres->session = (struct session_settings){.dsn = settings->dsn, .schema = ""};
    if (!conn_init(&postgres->conn, settings->name, &postgres->session)) {
        free(postgres);
        return NULL;
    }
    return &postgres->base;
}
