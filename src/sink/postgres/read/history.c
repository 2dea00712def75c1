/* See read/history.h. */
#include "sink/postgres/read/history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/read/reader_room.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/history_as_of.h"
#include "sql/postgres/history_find.h"

void read_history_done(struct read_history *history)
{
    free(history->columns);
    free(history->schema);
    free(history->name);
    free(history->from);
    *history = (struct read_history){0};
}

/* Takes the columns of the first history among the rows. */
static enum ods_status take_columns(struct reader *reader, struct read_history *history,
                                    const PGresult *rows, struct error *error)
{
    const struct read_table *table = NULL;
    history->schema = strdup(PQgetvalue(rows, 0, 0));
    history->name = strdup(PQgetvalue(rows, 0, 1));
    history->columns = calloc((size_t) PQntuples(rows) + 1, sizeof *history->columns);
    if (!history->schema || !history->name || !history->columns)
        return error_out_of_memory(error);
    enum ods_status status =
        reader_table(reader, history->schema, history->name, &table, error);
    if (status == ODS_OK && !table)
        status = error_set(error, ODS_RETRY, "table %s.%s went away", history->schema,
                           history->name);
    if (status != ODS_OK)
        return status;
    history->table = (struct read_table){.quoted = table->quoted, .columns = history->columns};
    for (int i = 0; i < PQntuples(rows); i++) {
        const struct read_column *column = read_column(table, PQgetvalue(rows, i, 2));
        if (strcmp(PQgetvalue(rows, i, 0), history->schema) != 0 ||
            strcmp(PQgetvalue(rows, i, 1), history->name) != 0 || !column)
            continue;
        struct read_column *own = &history->columns[history->table.column_count++];
        *own = *column;
        own->key = PQgetvalue(rows, i, 3)[0] == 't';
        history->table.key_count += own->key;
    }
    return ODS_OK;
}

enum ods_status reader_history(struct reader *reader, const char *schema, const char *name,
                               struct read_history *history, bool *found, struct error *error)
{
    const char *values[] = {schema, name};
    PGresult *rows = NULL;
    bool there = false;
    *history = (struct read_history){0};
    enum ods_status status =
        own_table_is_there(&reader->conn, "history_tables", &there, error);
    if (status == ODS_OK && there)
        status = own_query(&reader->conn, sql_history_find, 2, values, &rows, error);
    *found = status == ODS_OK && there && PQntuples(rows);
    if (*found)
        status = take_columns(reader, history, rows, error);
    PQclear(rows);
    return status;
}

enum ods_status reader_as_of(struct reader *reader, struct read_history *history,
                             const char *moment, struct error *error)
{
    const char *values[] = {history->schema, history->name, moment};
    PGresult *rows = NULL;
    enum ods_status status =
        own_query(&reader->conn, sql_history_as_of, 3, values, &rows, error);
    if (status == ODS_OK && PQntuples(rows) != 1)
        status = error_set(error, ODS_RETRY, "the history of %s.%s went away", history->schema,
                           history->name);
    if (status == ODS_OK &&
        asprintf(&history->from, "(%s) as ods_as_of", PQgetvalue(rows, 0, 0)) < 0) {
        history->from = NULL;
        status = error_out_of_memory(error);
    }
    if (status == ODS_OK)
        history->table.quoted = history->from;
    PQclear(rows);
    return status;
}
