/* What all source databases share. See database.h. */
#include "verify/database.h"

#include <stdlib.h>
#include <string.h>

void source_table_done(struct source_table *table)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        free((char *) (uintptr_t) table->columns[i].name);
        free((char *) (uintptr_t) table->columns[i].source_type);
        if (table->quoted_columns)
            free(table->quoted_columns[i]);
    }
    free(table->columns);
    free(table->quoted_columns);
    free(table->forms);
    free(table->key);
    free(table->database);
    free(table->schema);
    free(table->name);
    free(table->quoted);
    *table = (struct source_table){0};
}

int source_place_compare(const struct source_place *one, const struct source_place *other)
{
    size_t a = strlen(one->file), b = strlen(other->file);
    int order = a != b ? (a < b ? -1 : 1) : strcmp(one->file, other->file);
    if (order)
        return order < 0 ? -1 : 1;
    return one->position < other->position ? -1 : one->position > other->position;
}

struct database *database_new(const struct database_settings *settings)
{
    return strcmp(settings->type, "mysql") == 0 ? mysql_database_new(settings)
                                                : postgres_database_new(settings);
}

void database_free(struct database *database)
{
    if (database)
        database->ops->close(database);
}

enum ods_status database_number(struct database *database, const char *sql, int64_t *number,
                                struct error *error)
{
    const struct field *cells;
    char text[32];
    *number = 0;
    enum ods_status status = database->ops->query(database, sql, error);
    for (bool first = true; status == ODS_OK; first = false) {
        status = database->ops->next(database, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        if (first && cells[0].bytes && cells[0].length < sizeof text) {
            memcpy(text, cells[0].bytes, cells[0].length);
            text[cells[0].length] = '\0';
            *number = strtoll(text, NULL, 10);
        }
    }
    return status;
}
