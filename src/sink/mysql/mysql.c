/* MySQL and MariaDB: rows by upsert, offsets in the rows' own transaction.
 *
 * Rooms, from the ground up; none knows one above it. wire/ has the session and what its errors
 * mean; tables/ knows the target's tables, and makes and changes them; values/ turns values into
 * what MySQL reads; fold/ reduces a batch to one row for each key; write/ puts those rows into a
 * transaction. Start with write/apply.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "sink/mysql/settings.h"
#include "sink/mysql/write/apply.h"
#include "sink/mysql/write/check.h"

extern const struct sink_ops mysql_sink;

static struct mysql_sink *from_sink(struct sink *sink)
{
    return (struct mysql_sink *) sink;
}

static void mysql_sink_close(struct sink *sink)
{
    struct mysql_sink *mysql = from_sink(sink);
    if (!mysql)
        return;
    mysql_plans_clear(&mysql->plans);
    mysql_catalog_clear(&mysql->catalog);
    arena_done(&mysql->scratch);
    buffer_done(&mysql->sql);
    buffer_done(&mysql->tail);
    buffer_done(&mysql->data);
    free(mysql->change_plans);
    mysql_conn_done(&mysql->conn);
    mysql_conn_done(&mysql->ddl);
    free(mysql);
}

static enum ods_status mysql_sink_open(struct sink **sink, const struct sink_config *config,
                                       struct error *error)
{
    struct mysql_sink *mysql = calloc(1, sizeof *mysql);
    *sink = NULL;
    if (!mysql)
        return error_out_of_memory(error);
    mysql->sink.ops = &mysql_sink;
    mysql->config = *config;
    mysql->settings = config->settings;
    mysql->own = (struct mysql_own){.schema = mysql->settings->schema, .group = config->group};
    arena_init(&mysql->scratch);
    buffer_init(&mysql->sql);
    buffer_init(&mysql->tail);
    buffer_init(&mysql->data);
    bool good = mysql_conn_init(&mysql->conn, config->name, &mysql->settings->session);
    good &= mysql_conn_init(&mysql->ddl, config->name, &mysql->settings->session);
    mysql_plans_init(&mysql->plans, &mysql->config, &mysql->catalog, &mysql->conn, &mysql->ddl);
    if (!good) {
        mysql_sink_close(&mysql->sink);
        return error_set(error, ODS_RETRY, "target %s: no file descriptor left", config->name);
    }
    mysql->conn.alive = mysql->ddl.alive = config->alive;
    mysql->conn.alive_context = mysql->ddl.alive_context = config->alive_context;
    *sink = &mysql->sink;
    return ODS_OK;
}

static enum ods_status mysql_sink_connect(struct sink *sink, struct error *error)
{
    return mysql_ready(from_sink(sink), error);
}

static enum ods_status mysql_sink_resume(struct sink *sink, struct position *positions,
                                         size_t count, struct error *error)
{
    struct mysql_sink *mysql = from_sink(sink);
    enum ods_status status = mysql_ready(mysql, error);
    return status == ODS_OK
               ? mysql_offsets_read(&mysql->own, &mysql->conn, positions, count, error)
               : status;
}

/* Without the table nothing is stored yet, which is no error. */
static enum ods_status mysql_sink_peek(struct sink *sink, struct position *positions, size_t count,
                                       struct error *error)
{
    struct mysql_sink *mysql = from_sink(sink);
    bool there = false;
    enum ods_status status = mysql_conn_open(&mysql->conn, error);
    if (status == ODS_OK)
        status = mysql_own_look(&mysql->own, &mysql->conn, MYSQL_OWN_OFFSETS, &there, error);
    if (status == ODS_OK && there)
        return mysql_offsets_read(&mysql->own, &mysql->conn, positions, count, error);
    return status == ODS_OK ? sink_stores_no_offsets(sink, positions, count, error) : status;
}

static enum ods_status mysql_sink_apply(struct sink *sink, struct batch *batch,
                                        const struct apply_hooks *hooks,
                                        struct apply_result *result, struct error *error)
{
    struct apply_result ignored = {0};
    return mysql_apply_batch(from_sink(sink), batch, hooks, result ? result : &ignored, error);
}

static enum ods_status mysql_sink_forget(struct sink *sink, struct forgotten *tables, size_t count,
                                         bool look, int64_t *offsets, struct error *error)
{
    return mysql_forget_group(from_sink(sink), tables, count, look, offsets, error);
}

static void mysql_sink_interrupt(struct sink *sink)
{
    mysql_conn_interrupt(&from_sink(sink)->conn);
    mysql_conn_interrupt(&from_sink(sink)->ddl);
}

static void mysql_sink_clear_interrupt(struct sink *sink)
{
    mysql_conn_clear_interrupt(&from_sink(sink)->conn);
    mysql_conn_clear_interrupt(&from_sink(sink)->ddl);
}

static enum ods_status mysql_sink_check(struct sink *sink,
                                        void (*report)(void *context, const char *line),
                                        void *context, struct error *error)
{
    return mysql_check_target(from_sink(sink), report, context, error);
}

const struct sink_ops mysql_sink = {
    .type = "mysql",
    .summary = "MySQL 8.0 and MariaDB 10.6 and later: upsert with ON DUPLICATE KEY UPDATE, offsets "
               "in the same transaction",
    .codes = "error number",
    .guarantee = EXACT_BY_STORED_OFFSET,
    .settings = &mysql_settings_group,
    .open = mysql_sink_open,
    .connect = mysql_sink_connect,
    .resume = mysql_sink_resume,
    .peek = mysql_sink_peek,
    .apply = mysql_sink_apply,
    .name_table = mysql_name_table,
    .forget = mysql_sink_forget,
    .check = mysql_sink_check,
    .interrupt = mysql_sink_interrupt,
    .clear_interrupt = mysql_sink_clear_interrupt,
    .close = mysql_sink_close,
};
