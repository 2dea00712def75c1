/* See held.h. */
#include "verify/held.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/held_tables.h"

static void forget(struct held *held)
{
    for (size_t i = 0; i < held->count; i++) {
        free(held->topics[i].topic);
        free(held->topics[i].schema);
        free(held->topics[i].table);
        free(held->topics[i].why);
    }
    free(held->topics);
    held->topics = NULL;
    held->count = 0;
}

void held_done(struct held *held)
{
    forget(held);
    *held = (struct held){0};
}

enum place_in_row { TOPIC, SCHEMA, TABLE, STATE, BY, SINCE };

static bool take(struct held *held, const PGresult *rows)
{
    forget(held);
    held->topics = calloc((size_t) PQntuples(rows) + 1, sizeof *held->topics);
    for (int i = 0; held->topics && i < PQntuples(rows); i++) {
        struct held_topic *topic = &held->topics[held->count++];
        bool paused = strcmp(PQgetvalue(rows, i, STATE), "paused") == 0;
        topic->topic = strdup(PQgetvalue(rows, i, TOPIC));
        topic->schema = strdup(PQgetvalue(rows, i, SCHEMA));
        topic->table = strdup(PQgetvalue(rows, i, TABLE));
        if (asprintf(&topic->why, "%s since %s UTC, by %s",
                     paused ? "it is paused" : "it is being read again", PQgetvalue(rows, i, SINCE),
                     PQgetvalue(rows, i, BY)) < 0)
            topic->why = NULL;
        if (!topic->topic || !topic->schema || !topic->table || !topic->why)
            return false;
    }
    return held->topics != NULL;
}

enum ods_status held_read(struct held *held, struct conn *conn, const char *group,
                          struct error *error)
{
    const char *values[] = {group};
    PGresult *rows = NULL;
    enum ods_status status = ODS_OK;
    bool there = true;
    if (held->kept == HELD_UNKNOWN) {
        status = own_table_is_there(conn, "table_control", &there, error);
        if (status == ODS_OK && there)
            status = own_table_is_there(conn, "topic_tables", &there, error);
        if (status == ODS_OK)
            held->kept = there ? HELD_KEPT : HELD_NEVER;
    }
    if (status != ODS_OK || held->kept == HELD_NEVER)
        return status;
    status = own_query(conn, sql_held_tables, 1, values, &rows, error);
    if (status == ODS_OK && !take(held, rows))
        status = error_out_of_memory(error);
    PQclear(rows);
    return status;
}

const struct held_topic *held_topic(const struct held *held, const char *topic)
{
    for (size_t i = 0; i < held->count; i++)
        if (strcmp(held->topics[i].topic, topic) == 0)
            return &held->topics[i];
    return NULL;
}

/* As Debezium names topics: <prefix>.<schema or database>.<table>. */
static bool names_table(const char *topic, const char *schema, const char *table)
{
    size_t length = strlen(topic), inner = strlen(schema), last = strlen(table);
    const char *end = topic + length;
    return length > inner + last + 2 && end[-(long) last - 1] == '.' &&
           end[-(long) (last + inner) - 2] == '.' && memcmp(end - last, table, last) == 0 &&
           memcmp(end - last - 1 - inner, schema, inner) == 0;
}

bool held_table(const struct held *held, const char *database, const char *schema,
                const char *table, char *why, size_t size)
{
    if (!*schema)
        schema = database;
    for (size_t i = 0; i < held->count; i++) {
        const struct held_topic *topic = &held->topics[i];
        if (*topic->table ? strcmp(topic->schema, schema) == 0 && strcmp(topic->table, table) == 0
                          : names_table(topic->topic, schema, table)) {
            snprintf(why, size, "%s", topic->why);
            return true;
        }
    }
    return false;
}
