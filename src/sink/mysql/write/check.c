/* Looks at rights, tables and settings of the target, and changes nothing. See check.h. */
#include "sink/mysql/write/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "sql/mysql/right_of_own.h"
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

/* Of a right that no EXPLAIN asks for. A grant to a role is not seen here. */
enum right { RIGHT_IS_THERE, RIGHT_IS_OF_A_ROLE_OR_MISSING, RIGHT_IS_MISSING };

static enum ods_status look_for(const struct checking *checking, const char *right,
                                const char *schema, const char *name, enum right *found)
{
    const char *texts[] = {right, right, schema, right, schema, name};
    struct buffer sql;
    MYSQL_RES *rows;
    buffer_init(&sql);
    mysql_put_statement(&sql, sql_mysql_right_of_own, texts);
    enum ods_status status =
        sql.failed ? error_out_of_memory(checking->error)
                   : mysql_conn_query(&checking->sink->conn, sql.bytes, sql.length, &rows,
                                      checking->error);
    buffer_done(&sql);
    if (status != ODS_OK)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    bool own = row && row[0] && *row[0] == '1', role = row && row[1] && *row[1] == '1';
    mysql_free_result(rows);
    *found = own ? RIGHT_IS_THERE : role ? RIGHT_IS_OF_A_ROLE_OR_MISSING : RIGHT_IS_MISSING;
    return ODS_OK;
}

static enum ods_status lacks(const struct checking *checking, const char *table,
                             const char *rights)
{
    return error_set(checking->error, ODS_FATAL,
                     "target %s: table %s: the user lacks %s: grant %s on %s to the user",
                     checking->sink->config.name, table, rights, rights, table);
}

/* The rights (NULL-terminated) on a table that is not there yet, and ALTER on one that follows its
 * source. */
static enum ods_status report_granted(const struct checking *checking, const char *const *rights,
                                      const char *schema, const char *name)
{
    enum right found = RIGHT_IS_THERE;
    enum ods_status status = ODS_OK;
    char missing[64] = "", hidden[64] = "";
    for (; status == ODS_OK && *rights; rights++) {
        status = look_for(checking, *rights, schema, name, &found);
        char *list = found == RIGHT_IS_MISSING ? missing : hidden;
        if (status == ODS_OK && found != RIGHT_IS_THERE)
            snprintf(list + strlen(list), 64 - strlen(list), "%s%s", *list ? ", " : "", *rights);
    }
    if (status == ODS_OK && *hidden)
        say(checking, "table %s.%s: the user has %s by no grant of his own; whether a role of his "
                      "has that is not seen here",
            schema, name, hidden);
    if (status != ODS_OK || !*missing)
        return status;
    struct buffer quoted;
    buffer_init(&quoted);
    mysql_put_name(&quoted, schema);
    buffer_puts(&quoted, ".");
    mysql_put_name(&quoted, name);
    status = lacks(checking, buffer_text(&quoted), missing);
    buffer_done(&quoted);
    return status;
}

/* EXPLAIN wants the rights of its statement and does nothing. Each statement wants one right. */
static enum ods_status report_rights(const struct checking *checking, const char *quoted,
                                     const char *column, bool deletes)
{
    static const struct {
        const char *right, *sql;
    } probes[] = {
        {"SELECT", "select 1 from %s limit 0"},
        {"INSERT", "explain insert into %s (%s) values (null)"},
        {"UPDATE", "explain update %s set %s = null where false"},
        {"DELETE", "explain delete from %s where false"},
    };
    struct mysql_conn *conn = &checking->sink->conn;
    char missing[64] = "";
    for (size_t i = 0; i < sizeof probes / sizeof *probes - !deletes; i++) {
        struct buffer sql;
        struct error why;
        MYSQL_RES *rows = NULL;
        buffer_init(&sql);
        error_init(&why);
        if (i == 1 || i == 2)
            buffer_printf(&sql, probes[i].sql, quoted, column);
        else
            buffer_printf(&sql, probes[i].sql, quoted);
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
    return *missing ? lacks(checking, quoted, missing) : ODS_OK;
}

static enum ods_status report_own(const struct checking *checking, const char *name,
                                  const char *column)
{
    static const char *const rights[] = {"CREATE", "SELECT", "INSERT", "UPDATE", NULL};
    struct mysql_sink *sink = checking->sink;
    const char *schema = *sink->own.schema ? sink->own.schema : sink->conn.database;
    bool there;
    enum ods_status status = mysql_own_look(&sink->own, &sink->conn, name, &there, checking->error);
    if (status != ODS_OK)
        return status;
    say(checking, "table %s.%s %s", schema, name,
        there ? "is there" : "will be made at the first start");
    if (!there)
        return report_granted(checking, rights, schema, name);
    struct buffer quoted;
    buffer_init(&quoted);
    mysql_put_name(&quoted, schema);
    buffer_puts(&quoted, ".");
    mysql_put_name(&quoted, name);
    status = report_rights(checking, buffer_text(&quoted), column, false);
    buffer_done(&quoted);
    return status;
}

static enum ods_status report_table(const struct checking *checking,
                                    const struct table_settings *settings, const char *schema,
                                    const char *name)
{
    struct mysql_sink *sink = checking->sink;
    struct mysql_table *table = NULL;
    const char *where = *schema ? schema : sink->conn.database;
    enum ods_status status = mysql_catalog_find(&sink->catalog, &sink->conn, where, name, &table,
                                                checking->error);
    if (status != ODS_OK)
        return status;
    bool made = !table && settings->create_tables;
    say(checking, "table %s.%s %s", where, name,
        table  ? "is there"
        : made ? "will be made with its first record"
               : "is missing");
    if (!table && !made)
        return error_set(checking->error, ODS_FATAL,
                         "target %s: table %s.%s is missing, and create_tables is false",
                         sink->config.name, where, name);
    if (table && !table->transactional)
        return error_set(checking->error, ODS_FATAL, "target %s: " MYSQL_NO_TRANSACTIONS,
                         sink->config.name, table->quoted, table->engine, table->quoted);
    const char *change = settings->evolve != EVOLVE_NONE ? "ALTER" : NULL;
    const char *const to_make[] = {"CREATE", "SELECT", "INSERT", "UPDATE", "DELETE", change, NULL};
    const char *const to_follow[] = {change, NULL};
    if (!table)
        return report_granted(checking, to_make, where, name);
    status = report_rights(checking, table->quoted, table->columns[0].quoted, true);
    /* Only a table that the sink has made follows its source. */
    return status == ODS_OK && table->ours ? report_granted(checking, to_follow, where, name)
                                           : status;
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

/* The first finding is the error, any other one a line. False: an outage, after which nothing can
 * be asked. */
static bool take(const struct checking *checking, enum ods_status finding, struct error *first,
                 enum ods_status *status)
{
    if (finding != ODS_OK && *status == ODS_OK) {
        *first = *checking->error;
        *status = finding;
    } else if (finding != ODS_OK) {
        checking->report(checking->context, checking->error->text);
    }
    error_init(checking->error);
    return finding != ODS_RETRY;
}

enum ods_status mysql_check_target(struct mysql_sink *sink,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error)
{
    struct error found;
    struct checking checking = {sink, report, context, error};
    const struct pipeline_settings *pipeline = sink->config.pipeline;
    enum ods_status status = mysql_conn_open(&sink->conn, error);
    if (status == ODS_OK)
        status = report_server(&checking);
    if (status != ODS_OK)
        return status;
    error_init(&found);
    checking.error = &found;
    bool answers =
        take(&checking, report_own(&checking, MYSQL_OWN_OFFSETS, "next_offset"), error, &status) &&
        take(&checking, report_own(&checking, MYSQL_OWN_TABLES, "consumer_group"), error, &status);
    for (size_t i = 0; answers && i < pipeline->table_count; i++)
        answers = take(&checking, report_named(&checking, &pipeline->tables[i]), error, &status);
    return status;
}
