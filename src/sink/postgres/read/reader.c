/* See reader.h. */
#include "sink/postgres/read/reader_room.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sink/postgres/write/offsets.h"
#include "sql/postgres/orders_of_group.h"
#include "sql/postgres/skips_of_group.h"
#include "sql/postgres/sources_of_table.h"

#define ROWS_AT_ONCE "1000"

/* Gives the session settings for single queries: a lane's settings are made for arrays of rows
 * found by key. */
static enum ods_status prepare(struct reader *reader, int64_t timeout_ms, struct error *error)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "set default_transaction_read_only = on; set statement_timeout = %lld; "
             "set enable_seqscan = on; set enable_hashjoin = on; set enable_mergejoin = on; "
             "set plan_cache_mode = auto",
             (long long) timeout_ms);
    return conn_script(&reader->conn, sql, error);
}

enum ods_status reader_open(struct reader **out, const struct sink_config *config,
                            int64_t timeout_ms, struct error *error)
{
    const struct postgres_settings *settings = config->settings;
    struct reader *reader = calloc(1, sizeof *reader);
    *out = NULL;
    if (!reader)
        return error_out_of_memory(error);
    reader->config = *config;
    plans_init(&reader->plans, &reader->config, &settings->making, &reader->catalog,
               &reader->conn);
    encoder_init(&reader->encoder, &config->pipeline->source);
    readings_init(&reader->readings);
    reader->encoder.readings = &reader->readings;
    bool good = conn_init(&reader->conn, config->name, &settings->session);
    reader->conn.hides = config->pipeline;
    reader->conn.alive = config->alive;
    reader->conn.alive_context = config->alive_context;
    enum ods_status status = good ? conn_open(&reader->conn, error)
                                  : error_set(error, ODS_FATAL, "no file descriptor left");
    if (status == ODS_OK)
        status = prepare(reader, timeout_ms, error);
    if (status == ODS_OK)
        *out = reader;
    else
        reader_close(reader);
    return status;
}

void reader_close(struct reader *reader)
{
    if (!reader)
        return;
    while (reader->known) {
        struct known_table *known = reader->known;
        reader->known = known->next;
        free(known->columns);
        free(known);
    }
    plans_clear(&reader->plans);
    catalog_done(&reader->catalog);
    encoder_done(&reader->encoder);
    readings_done(&reader->readings);
    conn_done(&reader->conn);
    free(reader->own_schema);
    free(reader);
}

const char *reader_own_schema(struct reader *reader)
{
    if (!reader->own_schema)
        reader->own_schema = quote_name(reader->conn.settings->schema);
    return reader->own_schema ? reader->own_schema : "";
}

void reader_interrupt(struct reader *reader)
{
    conn_interrupt(&reader->conn);
}

enum ods_status reader_names(const struct table_settings *settings, const struct shape *source,
                             char **schema, char **name, struct error *error)
{
    *schema = *name = NULL;
    enum ods_status status = name_table(settings, source, schema, name, error);
    if (status == ODS_OK)
        return ODS_OK;
    free(*schema);
    free(*name);
    *schema = *name = NULL;
    return status;
}

/* --- tables ---------------------------------------------------------------------------------- */

static bool describe(struct known_table *known, const struct pg_table *table)
{
    const struct pg_unique *key = catalog_key(table);
    known->of = table;
    known->columns = calloc(table->column_count + 1u, sizeof *known->columns);
    if (!known->columns)
        return false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct pg_column *column = &table->columns[i];
        known->columns[i] = (struct read_column){.name = column->name,
                                                 .quoted = column->quoted,
                                                 .type = column->declared,
                                                 .cast = column->cast};
        for (uint16_t k = 0; key && k < key->count; k++)
            known->columns[i].key |= key->columns[k] == i;
    }
    known->table = (struct read_table){.quoted = table->quoted,
                                       .columns = known->columns,
                                       .column_count = table->column_count,
                                       .key_count = key ? key->count : 0};
    return true;
}

enum ods_status reader_table(struct reader *reader, const char *schema, const char *name,
                             const struct read_table **table, struct error *error)
{
    struct pg_table *found = NULL;
    *table = NULL;
    enum ods_status status =
        catalog_find(&reader->catalog, &reader->conn, schema, name, &found, error);
    if (status != ODS_OK || !found)
        return status;
    for (struct known_table *known = reader->known; known; known = known->next)
        if (known->of == found) {
            *table = &known->table;
            return ODS_OK;
        }
    struct known_table *known = calloc(1, sizeof *known);
    if (!known || !describe(known, found)) {
        free(known);
        return error_out_of_memory(error);
    }
    known->next = reader->known;
    reader->known = known;
    *table = &known->table;
    return ODS_OK;
}

const struct read_column *read_column(const struct read_table *table, const char *name)
{
    for (size_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}

/* --- rows ------------------------------------------------------------------------------------ */

/* False: the caller wants no more rows. */
static bool hand_out(const PGresult *rows, const char **values, reader_take *take, void *context)
{
    int columns = PQnfields(rows);
    for (int row = 0; row < PQntuples(rows); row++) {
        for (int i = 0; i < columns; i++)
            values[i] = PQgetisnull(rows, row, i) ? NULL : PQgetvalue(rows, row, i);
        if (!take(context, values))
            return false;
    }
    return PQntuples(rows) > 0;
}

static enum ods_status fetch(struct reader *reader, reader_take *take, void *context,
                             struct error *error)
{
    const char **values = NULL;
    bool more = true;
    enum ods_status status = ODS_OK;
    while (status == ODS_OK && more) {
        PGresult *rows = NULL;
        status = conn_query(&reader->conn, "fetch " ROWS_AT_ONCE " from ods_sink_rows", 0, NULL,
                            &rows, error);
        if (status == ODS_OK && !values)
            values = calloc((size_t) PQnfields(rows) + 1, sizeof *values);
        if (status == ODS_OK && !values)
            status = error_out_of_memory(error);
        if (status == ODS_OK)
            more = hand_out(rows, values, take, context);
        PQclear(rows);
    }
    free(values);
    return status;
}

enum ods_status reader_rows(struct reader *reader, const char *sql, int count,
                            const char *const *values, reader_take *take, void *context,
                            struct error *error)
{
    char *declare = NULL;
    if (asprintf(&declare, "declare ods_sink_rows no scroll cursor for %s", sql) < 0)
        return error_out_of_memory(error);
    enum ods_status status = reader_begin(reader, error);
    if (status == ODS_OK)
        status = conn_query(&reader->conn, declare, count, values, NULL, error);
    if (status == ODS_OK)
        status = fetch(reader, take, context, error);
    reader_end(reader);
    free(declare);
    return status;
}

enum ods_status reader_begin(struct reader *reader, struct error *error)
{
    enum ods_status status = conn_open(&reader->conn, error);
    return status == ODS_OK ? conn_script(&reader->conn,
                                          "begin isolation level repeatable read read only", error)
                            : status;
}

void reader_end(struct reader *reader)
{
    if (reader->conn.pg)
        conn_script(&reader->conn, "rollback", NULL);
}

/* --- what the sink keeps --------------------------------------------------------------------- */

enum ods_status reader_positions(struct reader *reader, const char *group,
                                 struct position *positions, size_t count, struct error *error)
{
    return offsets_peek(&reader->conn, group, positions, count, error);
}

/* Queries one of the sink's own tables; without the table there are no rows. */
static enum ods_status own_rows(struct reader *reader, const char *table, const char *sql,
                                int count, const char *const *parameters, reader_take *take,
                                void *context, struct error *error)
{
    enum { MOST = 8 };
    bool there;
    const char *values[MOST];
    PGresult *rows = NULL;
    enum ods_status status = own_table_is_there(&reader->conn, table, &there, error);
    if (status != ODS_OK || !there)
        return status;
    status = own_query(&reader->conn, sql, count, parameters, &rows, error);
    if (status == ODS_OK)
        hand_out(rows, values, take, context);
    PQclear(rows);
    return status;
}

enum ods_status reader_sources(struct reader *reader, const char *schema, const char *name,
                               reader_take *take, void *context, struct error *error)
{
    const char *names[] = {schema, name};
    return own_rows(reader, "table_sources", sql_sources_of_table, 2, names, take, context, error);
}

enum ods_status reader_orders(struct reader *reader, const char *group, reader_take *take,
                              void *context, struct error *error)
{
    return own_rows(reader, "table_control", sql_orders_of_group, 1, &group, take, context,
                    error);
}

enum ods_status reader_skips(struct reader *reader, const char *group, reader_take *take,
                             void *context, struct error *error)
{
    return own_rows(reader, "control_history", sql_skips_of_group, 1, &group, take, context,
                    error);
}
