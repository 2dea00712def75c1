/* --as-of and --history: a table as it was, and what happened to a row. See query.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/query.h"
#include "cli/redact.h"

/* What --history shows of a change. */
static const struct read_column shown[] = {
    {.name = "moment", .quoted = "moment"},
    {.name = "op", .quoted = "op"},
    {.name = "changes", .quoted = "changes"},
    {.name = "transaction", .quoted = "transaction"},
    {.name = "order", .quoted = "\"order\""},
    {.name = "topic", .quoted = "topic"},
    {.name = "partition", .quoted = "partition"},
    {.name = "offset", .quoted = "\"offset\""},
};

static const struct read_table changes = {
    .quoted = "", .columns = shown, .column_count = sizeof shown / sizeof *shown};

int query_open_history(struct query *query, struct error *error)
{
    const struct table_choice *choice = &query->choice;
    bool found = false;
    enum ods_status status = reader_history(query->reader, choice->schema, choice->name,
                                            &query->history, &found, error);
    if (status == ODS_OK && !found) {
        error_set(error, ODS_FATAL,
                  "target \"%s\" has no history of %s.%s: set history: true for the table in "
                  "tables.yaml, it begins with the next record",
                  choice->target->name, choice->schema, choice->name);
        return CLI_USAGE;
    }
    query->table = &query->history.table;
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

int query_go_back(struct query *query, struct error *error)
{
    char moment[40];
    query_moment(moment, query->as_of_us);
    return reader_as_of(query->reader, &query->history, moment, error) == ODS_OK ? CLI_OK
                                                                                  : CLI_TARGET;
}

/* Appends $n, ... as the elements of an array. */
static void put_array(struct query_statement *statement, const char *const *items, size_t count)
{
    buffer_puts(&statement->sql, "array[");
    for (size_t i = 0; i < count; i++) {
        statement->values[statement->count++] = items[i];
        buffer_printf(&statement->sql, "%s$%d", i ? ", " : "", statement->count);
    }
    buffer_puts(&statement->sql, "]::text[], ");
}

static void put_hidden(const struct query *query, struct buffer *sql)
{
    buffer_puts(sql, "'{}'::text[]");
    for (size_t i = 0; i < query->history.table.column_count; i++) {
        const struct read_column *column = &query->history.table.columns[i];
        if (!is_redacted_target(query->choice.table, column->name))
            continue;
        /* Its name as a text: between dollars that no name of a column holds. */
        buffer_printf(sql, " || $ods_sink_name$%s$ods_sink_name$::text", column->name);
    }
}

int query_put_history(struct query *query, struct query_statement *statement,
                      struct error *error)
{
    const struct read_table *table = &query->history.table;
    struct buffer *sql = &statement->sql;
    const char *names[QUERY_PARAMS], *values[QUERY_PARAMS];
    size_t count = query->key.count;
    if (count * 2 + 2 > QUERY_PARAMS || count != table->key_count) {
        error_set(error, ODS_FATAL, "the key of %s has %zu columns, and %zu were given",
                  table->quoted, table->key_count, count);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = query->key.items[i].name;
        values[i] = query->key.items[i].value;
        for (size_t k = 0; !names[i] && k < table->column_count; k++)
            names[i] = table->columns[k].key ? table->columns[k].name : NULL;
    }
    bool json = query->format == FORMAT_JSON;
    if (json)
        buffer_puts(sql, "select pg_catalog.row_to_json(ods_row)::pg_catalog.text from (");
    buffer_printf(sql,
                  "select moment, operation as op, %s as changes, transaction, transaction_order "
                  "as \"order\", topic, partition, \"offset\" from (select h.*, "
                  "pg_catalog.row_number() over () as ods_place from %s.key_history(",
                  json ? "changes"
                       : "(select pg_catalog.string_agg(pg_catalog.format('%s: %s → %s', c.key, "
                         "coalesce(c.value ->> 'from', '∅'), coalesce(c.value ->> 'to', '∅')), "
                         "', ' order by c.key) from pg_catalog.jsonb_each(changes) as c)",
                  reader_own_schema(query->reader));
    statement->values[statement->count++] = table->quoted;
    buffer_printf(sql, "$%d, ", statement->count);
    put_array(statement, names, count);
    put_array(statement, values, count);
    put_hidden(query, sql);
    buffer_printf(sql, ", '%s') as h) as h order by ods_place%s", REDACTED,
                  query->recent ? " desc" : "");
    if (query->limit)
        buffer_printf(sql, " limit %" PRId64, query->limit + 1);
    if (json)
        buffer_puts(sql, ") as ods_row");
    query->table = &changes;
    if (!sql->failed)
        return CLI_OK;
    error_out_of_memory(error);
    return CLI_INTERNAL;
}
