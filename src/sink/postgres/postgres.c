/* The PostgreSQL sink: rows by upsert, offsets in the rows' own transaction.
 *
 * Six rooms, from the ground up; none knows one above it. wire/ has the connection, its errors, the
 * statements that it keeps prepared and the sink's own schema; control/ has orders about single
 * tables; tables/ knows the target's tables, and makes and changes them; values/ turns values into
 * what PostgreSQL reads; fold/ reduces a batch to one row for each key; write/ puts those rows into
 * a transaction. Start with apply.c there, which says what it does, and attempt.c, which does it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/source.h>

#include "sink/postgres/control/audit.h"
#include "sink/postgres/control/control.h"
#include "sink/postgres/control/fleet.h"
#include "sink/postgres/control/shadow.h"
#include "sink/postgres/write/apply.h"
#include "sink/postgres/write/erase.h"
#include "sink/postgres/write/forget.h"
#include "sink/postgres/tables/history.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/rights.h"
#include "sink/postgres/write/offsets.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/queue_lock.h"
#include "sql/postgres/server.h"

extern const struct sink_ops postgres_sink;

static struct postgres *from_sink(struct sink *sink)
{
    return (struct postgres *) sink;
}

static void postgres_close(struct sink *sink)
{
    struct postgres *postgres = from_sink(sink);
    if (!postgres)
        return;
    plans_clear(&postgres->plans);
    catalog_done(&postgres->catalog);
    encoder_done(&postgres->encoder);
    readings_done(&postgres->readings);
    arrays_done(&postgres->arrays);
    loose_done(&postgres->loose);
    arena_done(&postgres->scratch);
    moved_keys_done(&postgres->moved_keys);
    delivered_done(&postgres->delivered);
    for (size_t i = 0; i < sizeof postgres->offsets / sizeof *postgres->offsets; i++)
        buffer_done(&postgres->offsets[i]);
    beats_done(&postgres->beats);
    free(postgres->change_plans);
    conn_done(&postgres->conn);
    free(postgres);
}

/* --- queues ---------------------------------------------------------------------------------- */

/* Is it one of those sources that have a choice who reads a queue? `merges`: several processes at
 * once. */
static bool reads_queue(const struct pipeline_settings *pipeline, bool *merges)
{
    const char *type = pipeline->input.type; /* NULL: of a pipeline that no file describes */
    const struct source_ops *source = type ? source_find(type) : NULL;
    const struct source_config config = {.settings = pipeline->input.own, .pipeline = pipeline};
    *merges = source && source->merges && config.settings && source->merges(&config);
    return source && source->merges;
}

/* What was acknowledged can't be had again of such a source, so a commit that a crash of the server
 * takes back would be lost: they wait for its disk, whatever the target's settings say. */
static bool source_forgets(const struct pipeline_settings *pipeline)
{
    const char *type = pipeline->input.type;
    const struct source_ops *source = type ? source_find(type) : NULL;
    return source && source->kind != SOURCE_OFFSETS;
}

/* A queue with one reader: its session holds a lock for as long as it lasts. ODS_RETRY: another
 * process has it, and this one waits. ODS_FATAL: it `reads`, so that the broker has given it
 * messages, which go to the other process only when this one ends. */
static enum ods_status hold_queue(struct postgres *postgres, const char *topic, bool reads,
                                  struct error *error)
{
    const char *values[] = {postgres->config.group, topic};
    PGresult *rows = NULL;
    bool merges, held;
    if (!reads_queue(postgres->config.pipeline, &merges) || merges ||
        !strings_contain(&postgres->config.pipeline->topics, topic))
        return ODS_OK;
    enum ods_status status =
        own_query(&postgres->conn, sql_queue_lock, 2, values, &rows, error);
    held = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    if (status != ODS_OK || held)
        return status;
    return error_set(error, reads ? ODS_FATAL : ODS_RETRY,
                     "another process of the group %s reads %s, and input.consumers is one: this "
                     "one %s",
                     postgres->config.group, topic, reads ? "ends" : "stands by");
}

/* In a new session those that the batch is of are held again. */
static enum ods_status hold_queues(struct postgres *postgres, const struct batch *batch,
                                   struct error *error)
{
    enum ods_status status = ODS_OK;
    if (!batch->delivers || batch->apart || postgres->holds == postgres->conn.generation)
        return ODS_OK;
    for (uint32_t i = 0; i < batch->delivery_count && status == ODS_OK; i++)
        status = hold_queue(postgres, batch->deliveries[i].topic, true, error);
    if (status == ODS_OK && postgres->config.pipeline->topics.count == 1)
        postgres->holds = postgres->conn.generation;
    return status;
}

/* --- its life -------------------------------------------------------------------------------- */

static enum ods_status postgres_open(struct sink **sink, const struct sink_config *config,
                                     struct error *error)
{
    struct postgres *postgres = calloc(1, sizeof *postgres);
    *sink = NULL;
    if (!postgres)
        return error_set(error, ODS_RETRY, "out of memory");
    postgres->sink.ops = &postgres_sink;
    postgres->config = *config;
    arena_init(&postgres->scratch);
    const struct postgres_settings *settings = config->settings;
    plans_init(&postgres->plans, &postgres->config, &settings->making, &postgres->catalog,
               &postgres->conn);
    encoder_init(&postgres->encoder, &config->pipeline->source);
    readings_init(&postgres->readings);
    postgres->encoder.readings = &postgres->readings;
    moved_keys_init(&postgres->moved_keys, &postgres->conn, &postgres->encoder, config->group);
    reads_queue(config->pipeline, &postgres->moved_keys.merges);
    delivered_init(&postgres->delivered, &postgres->conn, config->group, &settings->delivered);
    postgres->session = settings->session;
    postgres->session.synchronous_commit |= source_forgets(config->pipeline);
    if (!conn_init(&postgres->conn, config->name, &postgres->session)) {
        postgres_close(&postgres->sink);
        return error_set(error, ODS_RETRY, "target %s: no file descriptor left",
                         config->name);
    }
    postgres->conn.hides = config->pipeline;
    postgres->conn.alive = config->alive;
    postgres->conn.alive_context = config->alive_context;
    *sink = &postgres->sink;
    return ODS_OK;
}

static enum ods_status postgres_connect(struct sink *sink, struct error *error)
{
    return postgres_ready(from_sink(sink), error);
}

static enum ods_status postgres_resume(struct sink *sink, struct position *positions, size_t count,
                                       struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = postgres_ready(postgres, error);
    for (size_t i = 0; i < count && status == ODS_OK; i++)
        status = hold_queue(postgres, positions[i].topic, false, error);
    return status == ODS_OK
               ? offsets_read(&postgres->conn, postgres->config.group, positions, count, error)
               : status;
}

/* An operator may have paused a table while this process had no session, and then did not wait for
 * it: records of that table that are already in the batch are dropped. */
static enum ods_status look_for_orders(struct postgres *postgres, const struct batch *batch,
                                       struct error *error)
{
    bool held = false;
    enum ods_status status = postgres_ready(postgres, error);
    if (status != ODS_OK || postgres->looked == postgres->conn.generation || !batch->record_count)
        return status;
    status = control_holds(&postgres->conn, postgres->config.group, batch, &held, error);
    if (status == ODS_OK && !held)
        postgres->looked = postgres->conn.generation;
    return held ? error_set(error, ODS_FENCED, "one of its topics is held by an order") : status;
}

/* Without the sink's own schema nothing is stored yet, which is no error. */
static enum ods_status postgres_peek(struct sink *sink, struct position *positions, size_t count,
                                     struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = conn_open(&postgres->conn, error);
    return status == ODS_OK
               ? offsets_peek(&postgres->conn, postgres->config.group, positions, count, error)
               : status;
}

static enum ods_status postgres_apply(struct sink *sink, struct batch *batch,
                                      const struct apply_hooks *hooks, struct apply_result *result,
                                      struct error *error)
{
    struct apply_result ignored = {0};
    enum ods_status status = look_for_orders(from_sink(sink), batch, error);
    if (status == ODS_OK)
        status = hold_queues(from_sink(sink), batch, error);
    return status == ODS_OK
               ? apply_batch(from_sink(sink), batch, hooks, result ? result : &ignored, error)
               : status;
}

/* --- orders about single tables -------------------------------------------------------------- */

static enum ods_status postgres_watch(struct sink *sink, const struct control_member *self,
                                      struct orders *orders, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = postgres_ready(postgres, error);
    return status == ODS_OK ? control_watch(&postgres->watching, &postgres->conn,
                                            postgres->config.group, self, orders, error)
                            : status;
}

static enum ods_status postgres_order(struct sink *sink, const struct control_request *request,
                                      int64_t *number, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return control_order(&postgres->conn, postgres->config.group, request, number, error);
}

static enum ods_status postgres_orders(struct sink *sink, struct orders *orders,
                                       struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return control_read(&postgres->conn, postgres->config.group, orders, error);
}

static enum ods_status postgres_members(struct sink *sink, struct control_members *members,
                                        struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return control_members(&postgres->conn, postgres->config.group, members, error);
}

static enum ods_status postgres_settle(struct sink *sink, const struct strings *topics,
                                       struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return control_settle(&postgres->conn, postgres->config.group, topics, error);
}

static enum ods_status postgres_tables(struct sink *sink, struct topic_tables *tables,
                                       struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return control_tables(&postgres->conn, postgres->config.group, tables, error);
}

static enum ods_status postgres_audit_begin(struct sink *sink, const struct audit *audit,
                                            int64_t *id, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return audit_begin(&postgres->conn, postgres->config.group, audit, id, error);
}

static enum ods_status postgres_audit_end(struct sink *sink, int64_t id, const char *answer,
                                          struct error *error)
{
    return audit_end(&from_sink(sink)->conn, id, answer, error);
}

static enum ods_status postgres_shadow_make(struct sink *sink, struct shadow *shadow, bool *begun,
                                            struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return shadow_make(&postgres->conn, postgres->config.group, shadow, begun, error);
}

static enum ods_status postgres_shadow_count(struct sink *sink, const struct shadow *shadow,
                                             int64_t *old, int64_t *new, struct error *error)
{
    return shadow_count(&from_sink(sink)->conn, shadow, old, new, error);
}

static enum ods_status postgres_shadow_keep(struct sink *sink, const struct shadow *shadow,
                                            const char *operation, struct error *error)
{
    return shadow_keep(&from_sink(sink)->conn, shadow, operation, error);
}

static enum ods_status postgres_shadow_exchange(struct sink *sink, const struct shadow *shadow,
                                                const struct control_request *request, int64_t held,
                                                enum exchange *exchange, int64_t *number,
                                                struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return shadow_exchange(&postgres->conn, postgres->config.group, shadow, request, held, exchange,
                           number, error);
}

static enum ods_status postgres_shadow_drop(struct sink *sink, const struct shadow *shadow,
                                            bool *there, struct error *error)
{
    return shadow_drop(&from_sink(sink)->conn, shadow, there, error);
}

static enum ods_status postgres_tend(struct sink *sink, bool *failed, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = postgres_ready(postgres, error);
    return status == ODS_OK ? history_keep_up(&postgres->conn, failed, error) : status;
}

static enum ods_status postgres_freshen(struct sink *sink, const struct position *places,
                                        size_t count, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = postgres_ready(postgres, error);
    return status == ODS_OK ? freshness_keep(&postgres->beats, &postgres->conn,
                                             postgres->config.group, places, count, error)
                            : status;
}

static enum ods_status postgres_complete(struct sink *sink, struct topics_complete *topics,
                                         struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = postgres_ready(postgres, error);
    return status == ODS_OK
               ? freshness_read(&postgres->conn, postgres->config.group, topics, error)
               : status;
}

static enum ods_status postgres_beat(struct sink *sink, const struct fleet_member *self,
                                     struct fleet_members *all, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = postgres_ready(postgres, error);
    return status == ODS_OK ? fleet_beat(&postgres->watching, &postgres->conn,
                                         postgres->config.group, self, all, error)
                            : status;
}

static enum ods_status postgres_part(struct sink *sink, const char *name, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    return postgres->conn.pg
               ? fleet_part(&postgres->conn, postgres->config.group, name, error)
               : ODS_OK;
}

static const struct control_ops control_ops = {
    .tend = postgres_tend,
    .freshen = postgres_freshen,
    .complete = postgres_complete,
    .beat = postgres_beat,
    .part = postgres_part,
    .watch = postgres_watch,
    .order = postgres_order,
    .orders = postgres_orders,
    .members = postgres_members,
    .settle = postgres_settle,
    .tables = postgres_tables,
    .audit_begin = postgres_audit_begin,
    .audit_end = postgres_audit_end,
    .shadow_make = postgres_shadow_make,
    .shadow_count = postgres_shadow_count,
    .shadow_keep = postgres_shadow_keep,
    .shadow_exchange = postgres_shadow_exchange,
    .shadow_drop = postgres_shadow_drop,
};

static enum ods_status postgres_erase(struct sink *sink, struct erasing *erasing, bool look,
                                      struct error *error)
{
    return erase_row(from_sink(sink), erasing, look, error);
}

static enum ods_status postgres_forget(struct sink *sink, struct forgotten *tables, size_t count,
                                       bool look, int64_t *offsets, struct error *error)
{
    return forget_group(from_sink(sink), tables, count, look, offsets, error);
}

/* --- check ---------------------------------------------------------------------------------- */

static enum ods_status report_server(struct postgres *postgres,
                                     void (*report)(void *context, const char *line), void *context,
                                     struct error *error)
{
    const char *schema = postgres->conn.settings->schema, *name = postgres->config.name;
    PGresult *rows = NULL;
    char line[512];
    enum ods_status status = conn_query(&postgres->conn, sql_server, 1, &schema, &rows, error);
    if (status != ODS_OK)
        return status;
    snprintf(line, sizeof line, "target %s: PostgreSQL %s, user %s, database %s", name,
             PQgetvalue(rows, 0, 0), PQgetvalue(rows, 0, 1), PQgetvalue(rows, 0, 2));
    report(context, line);
    bool standby = PQgetvalue(rows, 0, 3)[0] == 't', older = PQgetvalue(rows, 0, 4)[0] == 't';
    bool may_make = PQgetvalue(rows, 0, 5)[0] == 't', present;
    PQclear(rows);
    if (standby)
        return error_set(error, ODS_RETRY, "target %s is a standby: it can't be written", name);
    status = own_schema_is_there(&postgres->conn, &present, error);
    if (status != ODS_OK)
        return status;
    snprintf(line, sizeof line, "target %s: schema %s %s", name, schema,
             present             ? "is there"
             : older && may_make ? "is there, and will have what this version needs at the first "
                                   "start"
             : older             ? "lacks what this version needs"
             : may_make          ? "will be made at the first start"
                                 : "is missing");
    report(context, line);
    if (!present && !may_make)
        return error_set(error, ODS_FATAL,
                         "target %s: schema %s %s and the user may not "
                         "create it: run " OWN_SCHEMA_FILE " as an administrator",
                         name, schema, older ? "lacks what this version needs" : "is missing");
    return present ? rights_on_own(&postgres->conn, postgres->config.name, error) : ODS_OK;
}

static enum ods_status report_table(struct postgres *postgres,
                                    const struct table_settings *settings, const char *schema,
                                    const char *name, bool history,
                                    void (*report)(void *context, const char *line), void *context,
                                    struct error *error)
{
    struct pg_table *table = NULL;
    struct conn *conn = &postgres->conn;
    char line[640];
    enum ods_status status =
        catalog_find(&postgres->catalog, conn, schema, name, &table, error);
    if (status != ODS_OK)
        return status;
    bool missing = !table && !settings->create_tables;
    snprintf(line, sizeof line, "target %s: table %s.%s %s", postgres->config.name, schema,
             name,
             table     ? "is there"
             : missing ? "is missing"
                       : "will be made with its first record");
    report(context, line);
    if (missing)
        return error_set(error, ODS_FATAL, "%s, and create_tables is false", line);
    status = table ? rights_to_write(conn, postgres->config.name, table, settings, history, error)
                   : rights_to_create(conn, postgres->config.name, schema, error);
    if (status == ODS_FATAL)
        report(context, error->text); /* also of a table before the last one */
    return status;
}

/* Reports on the tables that tables.yaml names and that should exist already. */
static enum ods_status report_history(struct postgres *postgres,
                                      const struct table_settings *settings,
                                      const struct shape *shape,
                                      void (*report)(void *context, const char *line),
                                      void *context, struct error *error)
{
    char *schema = NULL, *name = NULL;
    enum ods_status status = history_table_of(settings, shape, &schema, &name, error);
    if (status == ODS_OK)
        status = report_table(postgres, settings, schema, name, true, report, context, error);
    free(schema);
    free(name);
    return status == ODS_REJECT ? ODS_FATAL : status;
}

static enum ods_status report_tables(struct postgres *postgres,
                                     void (*report)(void *context, const char *line), void *context,
                                     struct error *error)
{
    const struct pipeline_settings *pipeline = postgres->config.pipeline;
    enum ods_status worst = ODS_OK;
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct table_settings *settings = &pipeline->tables[i];
        const char *dot = strrchr(settings->name, '.');
        char *prefix = dot ? strndup(settings->name, (size_t) (dot - settings->name)) : strdup("");
        struct shape shape = {.topic = "",
                              .database = prefix,
                              .schema = prefix,
                              .table = dot ? dot + 1 : settings->name};
        char *schema = NULL, *name = NULL;
        /* A name that depends on the record can't be checked here. */
        bool open = strstr(settings->target, "${topic}") || strstr(settings->schema, "${topic}") ||
                    (!dot && (strstr(settings->target, "${") || strstr(settings->schema, "${")));
        enum ods_status status = ODS_OK;
        if (!prefix)
            status = error_set(error, ODS_RETRY, "out of memory");
        else if (table_keeps_rows(settings) && !open)
            status = name_table(settings, &shape, &schema, &name, error);
        if (status == ODS_REJECT)
            status = ODS_FATAL; /* no record is to blame for what the configuration says */
        if (status == ODS_OK && name)
            status = report_table(postgres, settings, schema, name, false, report, context,
                                  error);
        free(schema);
        free(name);
        if (status == ODS_OK && table_keeps_history(settings) && !open)
            status = report_history(postgres, settings, &shape, report, context, error);
        free(prefix);
        if (status != ODS_OK && status != ODS_FATAL)
            return status;
        worst = status == ODS_OK ? worst : status;
    }
    return worst;
}

static enum ods_status postgres_check(struct sink *sink,
                                      void (*report)(void *context, const char *line),
                                      void *context, struct error *error)
{
    struct postgres *postgres = from_sink(sink);
    enum ods_status status = conn_open(&postgres->conn, error);
    if (status == ODS_OK)
        status = report_server(postgres, report, context, error);
    if (status == ODS_OK)
        status = report_tables(postgres, report, context, error);
    return status;
}

static void postgres_interrupt(struct sink *sink)
{
    conn_interrupt(&from_sink(sink)->conn);
}

static void postgres_clear_interrupt(struct sink *sink)
{
    conn_clear_interrupt(&from_sink(sink)->conn);
}

const struct sink_ops postgres_sink = {
    .type = "postgres",
    .summary = "PostgreSQL 12 and later: upsert with ON CONFLICT, offsets in the same transaction",
    .codes = "SQLSTATE",
    .guarantee = EXACT_BY_STORED_OFFSET,
    .merges = true,
    .keeps_history = true,
    .identities = "a record is delivered again within the target's delivered.keep_ms, and before "
                  "delivered.max_records others",
    .settings = &postgres_settings_group,
    .open = postgres_open,
    .connect = postgres_connect,
    .resume = postgres_resume,
    .peek = postgres_peek,
    .apply = postgres_apply,
    .name_table = name_table,
    .name_history = history_table_of,
    .forget = postgres_forget,
    .erase = postgres_erase,
    .check = postgres_check,
    .interrupt = postgres_interrupt,
    .clear_interrupt = postgres_clear_interrupt,
    .control = &control_ops,
    .close = postgres_close,
};
