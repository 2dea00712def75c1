/* What can be found out without the source: how far the target is behind the topics, the newest
 * change of each table, rows without a key. See inspection.h. */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/table_sources.h"
#include "verify/inspection.h"

static void say(const struct inspection *inspection, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct inspection *inspection, const char *format, ...)
{
    char text[700];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    inspection->listener->notice(inspection->listener->context, text);
}

static enum ods_status say_offsets(struct inspection *inspection, struct error *error)
{
    struct arrival *arrival = inspection->arrival;
    int64_t records = 0, partitions = 0, behind = 0;
    enum ods_status status = arrival_lag(arrival, &records, error);
    if (status == ODS_RETRY) {
        say(inspection, "pipeline %s: %s", inspection->pipeline->name, error->text);
        error_init(error);
        return ODS_OK;
    }
    for (size_t i = 0; status == ODS_OK && i < arrival->count; i++)
        for (int32_t p = 0; p < arrival->topics[i].partitions; p++) {
            partitions++;
            behind += arrival->topics[i].ends[p] &&
                      arrival->topics[i].stored[p] < arrival->topics[i].ends[p];
        }
    if (status == ODS_OK)
        say(inspection,
            "pipeline %s: %zu topics with %lld partitions; %lld of these have records that are not "
            "in the target yet, %lld in all",
            inspection->pipeline->name, arrival->count, (long long) partitions,
            (long long) behind, (long long) records);
    if (records)
        inspection->result.unsettled += records;
    return status;
}

/* Counts rows, rows marked deleted, and rows whose key has a NULL; finds the newest change. */
static enum ods_status say_table(struct inspection *inspection, const char *schema,
                                 const char *name, const struct table_settings *settings,
                                 struct error *error)
{
    struct conn *conn = &inspection->target->conn;
    struct catalog catalog = {0};
    struct pg_table *table = NULL;
    struct buffer sql;
    PGresult *result = NULL;
    buffer_init(&sql);
    enum ods_status status = catalog_find(&catalog, conn, schema, name, &table, error);
    if (status == ODS_OK && table) {
        const struct pg_unique *key = catalog_key(table);
        int operation =
            *settings->cdc_operation ? catalog_column(table, settings->cdc_operation) : -1;
        int time = *settings->cdc_timestamp ? catalog_column(table, settings->cdc_timestamp) : -1;
        buffer_puts(&sql, "select count(*)");
        if (operation >= 0)
            buffer_printf(&sql, ", count(*) filter (where %s = 'd')",
                          table->columns[operation].quoted);
        else
            buffer_puts(&sql, ", 0");
        if (time >= 0)
            buffer_printf(&sql, ", coalesce(max(%s)::text, 'unknown')",
                          table->columns[time].quoted);
        else
            buffer_puts(&sql, ", 'unknown'");
        buffer_puts(&sql, ", count(*) filter (where false");
        for (uint16_t k = 0; key && k < key->count; k++)
            buffer_printf(&sql, " or %s is null", table->columns[key->columns[k]].quoted);
        buffer_printf(&sql, ") from %s", table->quoted);
        status = sql.failed ? error_out_of_memory(error)
                            : conn_query(conn, buffer_text(&sql), 0, NULL, &result, error);
        if (status == ODS_OK) {
            say(inspection,
                "table %s.%s: %s rows, of these %s marked deleted; newest change %s%s%s%s", schema,
                name, PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2),
                key ? "; " : "; it has no key", key ? PQgetvalue(result, 0, 3) : "",
                key ? " rows with NULL in their key" : "");
            inspection->result.target_rows += strtoll(PQgetvalue(result, 0, 0), NULL, 10);
        }
    }
    PQclear(result);
    buffer_done(&sql);
    catalog_done(&catalog);
    return status;
}

enum ods_status verify_alone(struct inspection *inspection, struct error *error)
{
    struct verify_table *result = &inspection->result;
    PGresult *rows = NULL;
    bool present;
    enum ods_status status = say_offsets(inspection, error);
    if (status == ODS_OK)
        status = own_schema_is_there(&inspection->target->conn, &present, error);
    if (status == ODS_OK && present)
        status = own_query(&inspection->target->conn, sql_table_sources, 0, NULL, &rows, error);
    for (int i = 0; status == ODS_OK && rows && i < PQntuples(rows); i++) {
        const struct table_settings *settings = pipeline_table(
            inspection->pipeline, PQgetvalue(rows, i, 1), PQgetvalue(rows, i, 2));
        if (table_keeps_rows(settings))
            status = say_table(inspection, PQgetvalue(rows, i, 3), PQgetvalue(rows, i, 4), settings,
                               error);
    }
    PQclear(rows);
    result->verdict = VERIFY_SKIPPED;
    snprintf(result->why, sizeof result->why,
             "no source database is configured for it (databases in ods-sink.conf)");
    return status;
}
