/* From options to a statement. Names are quoted, values are parameters; --where alone is the user's
 * own SQL, which a read-only transaction runs. See query.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/query.h"
#include "cli/redact.h"
#include "core/time.h"

static const struct read_column *named(const struct query *query, const char *name)
{
    return *name ? read_column(query->table, name) : NULL;
}

const struct read_column *query_operation(const struct query *query)
{
    return named(query, query->choice.table->cdc_operation);
}

const struct read_column *query_timestamp(const struct query *query)
{
    return named(query, query->choice.table->cdc_timestamp);
}

void query_moment(char text[40], int64_t us)
{
    struct buffer room;
    buffer_init(&room);
    time_format_timestamp(&room, us, true);
    snprintf(text, 40, "%s", buffer_text(&room));
    buffer_done(&room);
}

static void put_columns(struct buffer *sql, const struct query *query)
{
    const struct read_table *table = query->table;
    for (size_t i = 0; i < table->column_count; i++) {
        const struct read_column *column = &table->columns[i];
        buffer_puts(sql, i ? ", " : "");
        if (is_redacted_target(query->choice.table, column->name))
            buffer_printf(sql, "case when %s is not null then '" REDACTED "' end as %s",
                          column->quoted, column->quoted);
        else
            buffer_puts(sql, column->quoted);
    }
}

struct conditions {
    struct query_statement *statement;
    bool any;
};

static void put_and(struct conditions *conditions)
{
    buffer_puts(&conditions->statement->sql, conditions->any ? " and " : " where ");
    conditions->any = true;
}

static void put_key(const struct query *query, struct conditions *conditions)
{
    struct query_statement *statement = conditions->statement;
    for (size_t i = 0; i < query->key.count; i++) {
        const struct key_text *item = &query->key.items[i];
        const struct read_column *column =
            item->name ? read_column(query->table, item->name) : NULL;
        for (size_t k = 0; !column && k < query->table->column_count; k++)
            if (query->table->columns[k].key)
                column = &query->table->columns[k];
        assert(column); /* row_key_parse() refuses what the table has not */
        put_and(conditions);
        statement->values[statement->count++] = item->value;
        buffer_printf(&statement->sql, "%s = $%d::%s", column->quoted, statement->count,
                      column->cast);
    }
}

static int lacks_timestamp(const struct query *query, const char *option, struct error *error)
{
    const char *name = query->choice.table->cdc_timestamp;
    error_set(error, ODS_FATAL,
              *name ? "%s goes by the time of a row's change, and %s has no column \"%s\" "
                      "(cdc_timestamp in tables.yaml)"
                    : "%s goes by the time of a row's change: for %s cdc_timestamp is off in "
                      "tables.yaml%s",
              option, query->table->quoted, name);
    return CLI_USAGE;
}

static int put_conditions(const struct query *query, struct query_statement *statement,
                          struct error *error)
{
    struct conditions conditions = {.statement = statement};
    struct buffer *sql = &statement->sql;
    const struct read_column *operation = query_operation(query);
    const struct read_column *timestamp = query_timestamp(query);
    if (query->key.count > QUERY_PARAMS - 2) {
        error_set(error, ODS_FATAL, "a key of %zu columns: at most %d are possible",
                  query->key.count, QUERY_PARAMS - 2);
        return CLI_USAGE;
    }
    put_key(query, &conditions);
    if (!query->deleted && operation && query->choice.table->on_delete == ON_DELETE_SOFT) {
        put_and(&conditions);
        buffer_printf(sql, "%s is distinct from 'd'", operation->quoted);
    }
    if (query->since_us != INT64_MIN) {
        if (!timestamp)
            return lacks_timestamp(query, "--since", error);
        put_and(&conditions);
        query_moment(statement->since, query->since_us);
        statement->values[statement->count++] = statement->since;
        buffer_printf(sql, "%s >= $%d::pg_catalog.timestamptz", timestamp->quoted,
                      statement->count);
    }
    if (query->where) { /* the line's end closes a comment that it may end in */
        put_and(&conditions);
        buffer_printf(sql, "(%s\n)", query->where);
    }
    return CLI_OK;
}

static void put_order(const struct query *query, struct buffer *sql)
{
    const char *comma = " order by ";
    if (query->recent)
        buffer_printf(sql, " order by %s desc nulls last", query_timestamp(query)->quoted);
    for (size_t i = 0; !query->recent && i < query->table->column_count; i++)
        if (query->table->columns[i].key) {
            buffer_printf(sql, "%s%s", comma, query->table->columns[i].quoted);
            comma = ", ";
        }
}

int query_put(const struct query *query, struct query_statement *statement, struct error *error)
{
    struct buffer *sql = &statement->sql;
    if (query->recent && !query_timestamp(query))
        return lacks_timestamp(query, "--recent", error);
    if (query->count) {
        buffer_puts(sql, "select pg_catalog.count(*)");
    } else {
        if (query->format == FORMAT_JSON)
            buffer_puts(sql, "select pg_catalog.row_to_json(ods_row)::pg_catalog.text from (");
        buffer_puts(sql, "select ");
        put_columns(sql, query);
    }
    buffer_printf(sql, " from %s", query->table->quoted);
    int code = put_conditions(query, statement, error);
    if (code != CLI_OK)
        return code;
    if (!query->count) {
        put_order(query, sql);
        if (query->limit) /* one more tells that there are more */
            buffer_printf(sql, " limit %" PRId64, query->limit + 1);
        if (query->format == FORMAT_JSON)
            buffer_puts(sql, ") as ods_row");
    }
    if (!sql->failed)
        return CLI_OK;
    error_out_of_memory(error);
    return CLI_INTERNAL;
}
