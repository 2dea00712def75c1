/* See store.h and sql/ods_sink.sql. */
#include "quality/store.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/quality_facts.h"
#include "sql/postgres/quality_hours.h"
#include "sql/postgres/quality_lock.h"
#include "sql/postgres/quality_moments.h"
#include "sql/postgres/quality_prune.h"
#include "sql/postgres/quality_put.h"
#include "sql/postgres/quality_read.h"
#include "sql/postgres/quality_unlock.h"

struct quality_store {
    const struct pipeline_settings *pipeline;
    struct conn conn;
    unsigned prepared; /* the session whose table is known to be there */
    unsigned locked;   /* the session that has the turn, 0: none */
};

const char *quality_state_name(enum quality_state state)
{
    static const char *const names[] = {"pass", "fail", "unknown"};
    return names[state];
}

void quality_result_init(struct quality_result *result)
{
    *result = (struct quality_result){.looked_at = -1};
    buffer_init(&result->keys);
    buffer_init(&result->facts);
}

void quality_result_done(struct quality_result *result)
{
    free(result->source);
    free(result->target);
    buffer_done(&result->keys);
    buffer_done(&result->facts);
}

enum ods_status quality_store_open(struct quality_store **out, const struct settings *settings,
                                   const struct pipeline_settings *pipeline, struct error *error)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    const struct postgres_settings *own = target->own;
    struct quality_store *store = calloc(1, sizeof *store);
    *out = NULL;
    if (!store || !conn_init(&store->conn, target->name, &own->session)) {
        free(store);
        return error_set(error, ODS_FATAL, "out of memory or file descriptors for quality");
    }
    store->pipeline = pipeline;
    *out = store;
    return ODS_OK;
}

void quality_store_close(struct quality_store *store)
{
    if (!store)
        return;
    conn_done(&store->conn);
    free(store);
}

void quality_store_interrupt(struct quality_store *store)
{
    conn_interrupt(&store->conn);
}

static enum ods_status prepare(struct quality_store *store, struct error *error)
{
    enum ods_status status = conn_open(&store->conn, error);
    if (status != ODS_OK || store->prepared == store->conn.generation)
        return status;
    status = own_schema_prepare_table(&store->conn, "quality", error);
    if (status == ODS_OK)
        status = conn_script(&store->conn,
                             "set enable_seqscan = on; set enable_hashjoin = on; "
                             "set plan_cache_mode = auto",
                             error);
    if (status == ODS_OK)
        store->prepared = store->conn.generation;
    return status;
}

/* The group is the first parameter of all statements. */
static enum ods_status ask(struct quality_store *store, const char *sql, int count,
                           const char *const *more, PGresult **rows, struct error *error)
{
    const char *values[8] = {store->pipeline->group_id};
    for (int i = 0; i < count; i++)
        values[i + 1] = more[i];
    return own_query(&store->conn, sql, count + 1, values, rows, error);
}

static int64_t number(const PGresult *rows, int column)
{
    return PQntuples(rows) ? strtoll(PQgetvalue(rows, 0, column), NULL, 10) : 0;
}

enum ods_status quality_store_moments(struct quality_store *store, struct quality_moments *moments,
                                      struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = prepare(store, error);
    if (status == ODS_OK)
        status = ask(store, sql_quality_moments, 0, NULL, &rows, error);
    if (status == ODS_OK)
        *moments = (struct quality_moments){.began_us = number(rows, 0),
                                            .newest_us = number(rows, 1),
                                            .now_us = number(rows, 2),
                                            .newest_rows = number(rows, 3)};
    PQclear(rows);
    return status;
}

enum ods_status quality_store_take(struct quality_store *store, bool *taken, struct error *error)
{
    PGresult *rows = NULL;
    *taken = false;
    enum ods_status status = prepare(store, error);
    if (status == ODS_OK)
        status = ask(store, sql_quality_lock, 0, NULL, &rows, error);
    if (status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't') {
        *taken = true;
        store->locked = store->conn.generation;
    }
    PQclear(rows);
    return status;
}

void quality_store_leave(struct quality_store *store)
{
    struct error ignored;
    error_init(&ignored);
    bool has = store->locked && store->locked == store->conn.generation && store->conn.pg;
    /* Where it can't be said, the session ends, and the lock with it. */
    if (has && ask(store, sql_quality_unlock, 0, NULL, NULL, &ignored) != ODS_OK)
        conn_close(&store->conn);
    store->locked = 0;
}

/* --- results ---------------------------------------------------------------------------------- */

/* JSON has no infinity, which a freshness may be. */
static json_t *number_or_null(const struct quality_result *result)
{
    return result->has_measured && isfinite(result->measured) ? json_real(result->measured)
                                                              : json_null();
}

static json_t *text_or_null(const char *text)
{
    json_t *string = *text ? json_string(text) : json_null();
    return string ? string : json_string("?"); /* it is no UTF-8 */
}

static char *pack(const struct quality_store *store, const struct quality_run_id *id,
                  const struct quality_result *result)
{
    struct buffer at, facts = result->facts;
    buffer_init(&at);
    time_format_timestamp(&at, id->began_us, true);
    json_t *object = json_pack(
        "{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:s, s:s, s:o, s:o, s:o, s:f, s:o, s:o, s:o}",
        "pipeline", store->pipeline->name, "rule", result->rule->name, "validator",
        quality_checks[result->rule->check], "source_table", result->source, "target_table",
        result->target, "began_at", buffer_text(&at), "in_flight", id->in_flight, "by_daemon",
        id->by_daemon, "worker", id->worker, "state", quality_state_name(result->state),
        "measured", number_or_null(result), "looked_at",
        result->looked_at >= 0 ? json_integer(result->looked_at) : json_null(), "expected",
        text_or_null(result->expected), "seconds", result->seconds, "why",
        text_or_null(result->why), "facts",
        facts.length ? json_stringn(facts.bytes, facts.length) : json_null(), "of_hour",
        text_or_null(result->hour));
    char *text = object ? json_dumps(object, 0) : NULL;
    json_decref(object);
    buffer_done(&at);
    return text;
}

enum ods_status quality_store_put(struct quality_store *store, const struct quality_run_id *id,
                                  const struct quality_result *result, struct error *error)
{
    char *text = pack(store, id, result);
    const char *values[] = {text};
    if (!text)
        return error_out_of_memory(error);
    enum ods_status status = prepare(store, error);
    if (status == ODS_OK)
        status = ask(store, sql_quality_put, 1, values, NULL, error);
    free(text);
    return status;
}

enum ods_status quality_store_prune(struct quality_store *store, struct error *error)
{
    char keep[24];
    const char *values[] = {keep};
    snprintf(keep, sizeof keep, "%lld", (long long) store->pipeline->quality.keep_ms);
    enum ods_status status = prepare(store, error);
    return status == ODS_OK ? ask(store, sql_quality_prune, 1, values, NULL, error) : status;
}

enum ods_status quality_store_facts(struct quality_store *store, const char *rule,
                                    const char *target, char **facts, struct error *error)
{
    const char *values[] = {rule, target};
    PGresult *rows = NULL;
    *facts = NULL;
    enum ods_status status = prepare(store, error);
    if (status == ODS_OK)
        status = ask(store, sql_quality_facts, 2, values, &rows, error);
    if (status == ODS_OK && PQntuples(rows) && !(*facts = strdup(PQgetvalue(rows, 0, 0))))
        status = error_out_of_memory(error);
    PQclear(rows);
    return status;
}

enum ods_status quality_store_hours(struct quality_store *store, const struct quality_rule *rule,
                                    const char *target, const char *hour, double *median,
                                    int64_t *weeks, struct error *error)
{
    char many[24];
    const char *values[] = {rule->name, target, hour, many};
    PGresult *rows = NULL;
    snprintf(many, sizeof many, "%lld", (long long) rule->weeks);
    enum ods_status status = prepare(store, error);
    if (status == ODS_OK)
        status = ask(store, sql_quality_hours, 4, values, &rows, error);
    if (status == ODS_OK) {
        *median = strtod(PQgetvalue(rows, 0, 0), NULL);
        *weeks = number(rows, 1);
    }
    PQclear(rows);
    return status;
}

/* Was it of a table that the target did not have, whose entry tables.yaml has no more? */
static bool is_of_no_entry(const struct pipeline_settings *pipeline, const json_t *row)
{
    const char *target = json_string_value(json_object_get(row, "target"));
    const char *table = json_string_value(json_object_get(row, "table"));
    if (!target || *target || !table || json_is_true(json_object_get(row, "in_flight")))
        return false;
    for (size_t i = 0; i < pipeline->table_count; i++)
        if (strcmp(pipeline->tables[i].name, table) == 0)
            return false;
    return true;
}

enum ods_status quality_store_read(struct quality_store *store, int64_t each, json_t **list,
                                   struct error *error)
{
    char many[24];
    const char *values[] = {many};
    PGresult *rows = NULL;
    bool there = false;
    *list = NULL;
    snprintf(many, sizeof many, "%lld", (long long) each);
    enum ods_status status = conn_open(&store->conn, error);
    if (status == ODS_OK)
        status = own_table_is_there(&store->conn, "quality", &there, error);
    if (status == ODS_OK && there)
        status = ask(store, sql_quality_read, 1, values, &rows, error);
    if (status != ODS_OK)
        return status;
    *list = json_array();
    for (int i = 0; rows && i < PQntuples(rows); i++) {
        json_t *row = json_loads(PQgetvalue(rows, i, 0), 0, NULL);
        if (row && !is_of_no_entry(store->pipeline, row))
            json_array_append(*list, row);
        json_decref(row);
    }
    PQclear(rows);
    return ODS_OK;
}
