/* Which tables of the target are the pipeline's. See room.h. */
#include <stdlib.h>
#include <string.h>

#include "quality/room.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/quality_tables.h"

void quality_tables_done(struct quality_tables *tables)
{
    for (size_t i = 0; i < tables->count; i++) {
        free(tables->items[i].schema);
        free(tables->items[i].name);
        free(tables->items[i].target_schema);
        free(tables->items[i].target_name);
    }
    free(tables->items);
    *tables = (struct quality_tables){0};
}

static enum ods_status add(struct quality_tables *tables, const char *schema, const char *name,
                           const char *target_schema, const char *target_name,
                           const struct table_settings *settings, struct error *error)
{
    struct quality_table *larger =
        realloc(tables->items, (tables->count + 1) * sizeof *larger);
    if (!larger)
        return error_out_of_memory(error);
    tables->items = larger;
    struct quality_table *table = &larger[tables->count++];
    *table = (struct quality_table){.schema = strdup(schema),
                                    .name = strdup(name),
                                    .target_schema = strdup(target_schema),
                                    .target_name = strdup(target_name),
                                    .settings = settings};
    bool good = table->schema && table->name && table->target_schema && table->target_name;
    return good ? ODS_OK : error_out_of_memory(error);
}

/* Entries of tables.yaml with rules, of which no row has come: else nobody would hear of them. */
static enum ods_status add_missing(struct quality_tables *tables,
                                   const struct pipeline_settings *pipeline, struct error *error)
{
    enum ods_status status = ODS_OK;
    size_t known = tables->count;
    for (size_t i = 0; status == ODS_OK && i < pipeline->table_count; i++) {
        const struct table_settings *entry = &pipeline->tables[i];
        const char *dot = strrchr(entry->name, '.');
        bool there = entry->pattern || !entry->quality_count || entry->skip;
        for (size_t k = 0; !there && k < known; k++)
            there = tables->items[k].settings == entry;
        char *schema =
            there ? NULL : strndup(entry->name, dot ? (size_t) (dot - entry->name) : 0);
        if (!there)
            status = schema ? add(tables, schema, dot ? dot + 1 : entry->name, "", "", entry, error)
                            : error_out_of_memory(error);
        free(schema);
    }
    return status;
}

enum ods_status quality_tables_find(struct checking *checking, struct error *error)
{
    const struct pipeline_settings *pipeline = checking->options->pipeline;
    const char *values[] = {pipeline->group_id};
    PGresult *rows = NULL;
    bool there = false;
    enum ods_status status = own_table_is_there(&checking->conn, "topic_tables", &there, error);
    if (status == ODS_OK && there)
        status = own_query(&checking->conn, sql_quality_tables, 1, values, &rows, error);
    for (int i = 0; status == ODS_OK && rows && i < PQntuples(rows); i++) {
        const char *schema = PQgetvalue(rows, i, 0), *name = PQgetvalue(rows, i, 1);
        status = add(&checking->tables, schema, name, PQgetvalue(rows, i, 2),
                     PQgetvalue(rows, i, 3), pipeline_table(pipeline, schema, name), error);
    }
    PQclear(rows);
    for (size_t i = 0; status == ODS_OK && i < checking->tables.count; i++) {
        struct quality_table *table = &checking->tables.items[i];
        status = catalog_find(&checking->catalog, &checking->conn, table->target_schema,
                              table->target_name, &table->found, error);
    }
    return status == ODS_OK ? add_missing(&checking->tables, pipeline, error) : status;
}

const struct quality_table *quality_tables_named(const struct quality_tables *tables,
                                                 const char *name)
{
    for (size_t i = 0; i < tables->count; i++) {
        const struct quality_table *table = &tables->items[i];
        if (table->found && (strcmp(table->name, name) == 0 ||
                             table_name_is_qualified(name, table->schema, table->name)))
            return table;
    }
    return NULL;
}

enum ods_status quality_column(const struct quality_table *table, const char *name,
                               const struct pg_column **column, struct error *error)
{
    char *target = NULL;
    enum ods_status status = name_column(table->settings, name, &target, error);
    *column = NULL;
    for (uint32_t i = 0; status == ODS_OK && target && i < table->found->column_count; i++)
        if (strcmp(table->found->columns[i].name, target) == 0)
            *column = &table->found->columns[i];
    if (status == ODS_OK && !*column)
        status = error_set(error, ODS_REJECT, "table %s.%s has no column %s", table->target_schema,
                           table->target_name, target ? target : name);
    free(target);
    return status;
}

void quality_put_live(const struct quality_table *table, const char *alias, struct buffer *sql)
{
    const char *operation = table->settings->cdc_operation;
    for (uint32_t i = 0; *operation && i < table->found->column_count; i++)
        if (strcmp(table->found->columns[i].name, operation) == 0) {
            buffer_printf(sql, "%s.%s is distinct from 'd'", alias,
                          table->found->columns[i].quoted);
            return;
        }
    buffer_puts(sql, "true");
}
