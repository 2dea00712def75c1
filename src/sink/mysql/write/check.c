/* Looks at rights, tables and settings of the target, and changes nothing. See check.h. */
#include "sink/mysql/write/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "sql/mysql/may_create.h"
#include "sql/mysql/server.h"

struct checking {
    struct mysql_sink *sink;
    void (*report)(void *context, const char *line);
    void *context;
    struct error *error;
};

static void say(const struct checking *checking, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct checking *checking, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    int length =
        snprintf(line, sizeof line, "target %s: ", checking->sink->config.name);
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - (size_t) length, format, arguments);
    va_end(arguments);
    checking->report(checking->context, line);
}

static enum ods_status report_server(const struct checking *checking)
{
    struct mysql_conn *conn = &checking->sink->conn;
    MYSQL_RES *rows;
    enum ods_status status = mysql_conn_run(conn, sql_mysql_server, &rows, checking->error);
    if (status != ODS_OK)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    say(checking, "%s %s, user %s, database %s", conn->mariadb ? "MariaDB" : "MySQL",
        row && row[0] ? row[0] : "?", row && row[5] ? row[5] : "?",
        *conn->database ? conn->database : "none");
    bool read_only = row && row[6] && *row[6] == '1';
    mysql_free_result(rows);
    if (read_only)
        return error_set(checking->error, ODS_RETRY,
                         "target %s is read-only, as a replica is: it can't be written",
                         checking->sink->config.name);
    if (checking->sink->settings->load_data && !conn->local_infile)
        say(checking, "LOAD DATA LOCAL is off there (local_infile), so all rows go by statements");
    return ODS_OK;
}

/* *may: the user has the right by himself; a role may give it as well, which is not seen here. */
static enum ods_status may_create(const struct checking *checking, const char *schema, bool *may)
{
    struct buffer sql;
    MYSQL_RES *rows;
    const char *place = strstr(sql_mysql_may_create, "{}");
    buffer_init(&sql);
    buffer_add(&sql, sql_mysql_may_create, (size_t) (place - sql_mysql_may_create));
    mysql_put_text(&sql, schema, strlen(schema));
    buffer_puts(&sql, place + 2);
    enum ods_status status =
        sql.failed ? error_out_of_memory(checking->error)
                   : mysql_conn_query(&checking->sink->conn, sql.bytes, sql.length, &rows,
                                      checking->error);
    buffer_done(&sql);
    if (status != ODS_OK)
        return status;
    *may = mysql_num_rows(rows) > 0;
    mysql_free_result(rows);
    return ODS_OK;
}

/* EXPLAIN wants the rights of its statement and does nothing. */
static enum ods_status report_rights(const struct checking *checking, const char *quoted,
                                     const char *column)
{
    static const struct {
        const char *right, *sql;
    } probes[] = {
        {"SELECT", "select 1 from %s limit 0"},
        {"INSERT", "explain insert into %s (%s) select %s from %s where false"},
        {"UPDATE", "explain update %s set %s = %s where false"},
        {"DELETE", "explain delete from %s where false"},
    };
    struct mysql_conn *conn = &checking->sink->conn;
    char missing[64] = "";
    for (size_t i = 0; i < sizeof probes / sizeof *probes; i++) {
        struct buffer sql;
        struct error why;
        MYSQL_RES *rows = NULL;
        buffer_init(&sql);
        error_init(&why);
        switch (i) {
        case 1:
            buffer_printf(&sql, probes[i].sql, quoted, column, column, quoted);
            break;
        case 2:
            buffer_printf(&sql, probes[i].sql, quoted, column, column);
            break;
        default:
            buffer_printf(&sql, probes[i].sql, quoted);
        }
        enum ods_status status = mysql_conn_query(conn, sql.bytes, sql.length, &rows, &why);
        mysql_free_result(rows);
        buffer_done(&sql);
        if (strcmp(why.code, "1142") == 0 || strcmp(why.code, "1143") == 0)
            snprintf(missing + strlen(missing), sizeof missing - strlen(missing), "%s%s",
                     *missing ? ", " : "", probes[i].right);
        else if (status == ODS_RETRY) {
            *checking->error = why;
            return status;
        }
    }
    if (!*missing)
        return ODS_OK;
    return error_set(checking->error, ODS_FATAL,
                     "target %s: table %s: the user lacks %s: grant %s on %s to the user",
                     checking->sink->config.name, quoted, missing, missing, quoted);
}

static enum ods_status report_own(const struct checking *checking, const char *name,
                                  const char *column)
{
    struct mysql_sink *sink = checking->sink;
    const char *schema = *sink->own.schema ? sink->own.schema : sink->conn.database;
    bool there, may = true;
    enum ods_status status = mysql_own_look(&sink->own, &sink->conn, name, &there, checking->error);
    if (status == ODS_OK && !there)
        status = may_create(checking, schema, &may);
    if (status != ODS_OK)
        return status;
    say(checking, "table %s.%s %s", schema, name,
        there ? "is there"
        : may ? "will be made at the first start"
              : "is missing, and the user has no right of his own to make it (grant create)");
    if (!there)
        return ODS_OK;
    struct buffer quoted;
    buffer_init(&quoted);
    mysql_put_name(&quoted, schema);
    buffer_puts(&quoted, ".");
    mysql_put_name(&quoted, name);
    status = report_rights(checking, buffer_text(&quoted), column);
    buffer_done(&quoted);
    return status;
}

static enum ods_status report_table(const struct checking *checking,
                                    const struct table_settings *settings, const char *schema,
                                    const char *name)
{
    struct mysql_sink *sink = checking->sink;
    struct mysql_table *table = NULL;
    bool may = true;
    const char *where = *schema ? schema : sink->conn.database;
    enum ods_status status = mysql_catalog_find(&sink->catalog, &sink->conn, where, name, &table,
                                                checking->error);
    if (status == ODS_OK && !table && settings->create_tables)
        status = may_create(checking, where, &may);
    if (status != ODS_OK)
        return status;
    bool missing = !table && !settings->create_tables;
    say(checking, "table %s.%s %s", where, name,
        table     ? "is there"
        : missing ? "is missing"
        : may     ? "will be made with its first record"
                  : "is to be made with its first record, and the user has no right of his own to "
                    "make it (grant create, alter)");
    if (table && !table->transactional)
        return error_set(checking->error, ODS_FATAL, "target %s: " MYSQL_NO_TRANSACTIONS,
                         sink->config.name, table->quoted, table->engine, table->quoted);
    if (table)
        return report_rights(checking, table->quoted, table->columns[0].quoted);
    return missing ? error_set(checking->error, ODS_FATAL,
                               "target %s: table %s.%s is missing, and create_tables is false",
                               sink->config.name, where, name)
                   : ODS_OK;
}

/* A table that tables.yaml names. A name that depends on the record can't be checked here. */
static enum ods_status report_named(const struct checking *checking,
                                    const struct table_settings *settings)
{
    const char *dot = strrchr(settings->name, '.');
    char *prefix = dot ? strndup(settings->name, (size_t) (dot - settings->name)) : strdup("");
    struct shape shape = {.topic = "", .database = prefix, .schema = prefix,
                          .table = dot ? dot + 1 : settings->name};
    char *schema = NULL, *name = NULL;
    bool open = settings->pattern || strstr(settings->target, "${") ||
                strstr(settings->schema, "${");
    enum ods_status status = ODS_OK;
    if (!prefix)
        return error_out_of_memory(checking->error);
    if (table_keeps_rows(settings) && !open)
        status = mysql_name_table(settings, &shape, &schema, &name, checking->error);
    if (status == ODS_OK && name)
        status = report_table(checking, settings, schema, name);
    free(schema);
    free(name);
    free(prefix);
    return status == ODS_REJECT ? ODS_FATAL : status;
}

enum ods_status mysql_check_target(struct mysql_sink *sink,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error)
{
    const struct checking checking = {sink, report, context, error};
    const struct pipeline_settings *pipeline = sink->config.pipeline;
    enum ods_status status = mysql_conn_open(&sink->conn, error);
    if (status == ODS_OK)
        status = report_server(&checking);
    if (status == ODS_OK)
        status = report_own(&checking, MYSQL_OWN_OFFSETS, "next_offset");
    if (status == ODS_OK)
        status = report_own(&checking, MYSQL_OWN_TABLES, "consumer_group");
    for (size_t i = 0; status == ODS_OK && i < pipeline->table_count; i++)
        status = report_named(&checking, &pipeline->tables[i]);
    return status;
}
