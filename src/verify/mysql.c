/* MySQL and MariaDB as a source. See database.h.
 *
 * Values come as texts by the text protocol, so that one set of rules reads them.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/mysql/wire/dsn.h"
#include "verify/mysql.h"

#define TIMEOUT_S      30
#define READ_TIMEOUT_S 600

static enum ods_status failed(struct mysql_database *mysql, const char *doing, struct error *error)
{
    unsigned number = mysql->connection ? mysql_errno(mysql->connection) : 0;
    return error_set(error, number >= 2000 && number < 3000 ? ODS_RETRY : ODS_FATAL,
                     "database %s: %s: %s (%u)", mysql->base.settings->name, doing,
                     mysql->connection ? mysql_error(mysql->connection) : "out of memory", number);
}

/* --- connecting ----------------------------------------------------------------------------- */

static void set_tls(MYSQL *connection, const PQconninfoOption *options)
{
    const char *mode = mysql_dsn_option(options, "sslmode");
    my_bool verifies = mode && strncmp(mode, "verify", 6) == 0;
    my_bool enforces = verifies || (mode && strcmp(mode, "require") == 0);
    mysql_ssl_set(connection, mysql_dsn_option(options, "sslkey"),
                  mysql_dsn_option(options, "sslcert"), mysql_dsn_option(options, "sslrootcert"),
                  NULL, NULL);
    mysql_options(connection, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verifies);
    mysql_options(connection, MYSQL_OPT_SSL_ENFORCE, &enforces);
}

/* Makes the session read-only, and its texts independent of the server's settings. */
static enum ods_status prepare_session(struct mysql_database *mysql, struct error *error)
{
    static const char *const statements[] = {
        "set session sql_mode = ''", "set session time_zone = '+00:00'",
        "set session transaction isolation level read committed",
        "set session transaction read only", "set session net_write_timeout = 600"};
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (mysql_query(mysql->connection, statements[i]))
            return failed(mysql, statements[i], error);
    return ODS_OK;
}

static void end_result(struct mysql_database *mysql)
{
    if (mysql->result)
        mysql_free_result(mysql->result);
    mysql->result = NULL;
}

static enum ods_status connect_with(struct mysql_database *mysql, const PQconninfoOption *options,
                                    struct error *error)
{
    unsigned timeout = TIMEOUT_S, read_timeout = READ_TIMEOUT_S;
    const char *host = mysql_dsn_option(options, "host"), *port = mysql_dsn_option(options, "port");
    bool is_socket = host && *host == '/';
    mysql_options(mysql->connection, MYSQL_OPT_CONNECT_TIMEOUT, &timeout);
    mysql_options(mysql->connection, MYSQL_OPT_READ_TIMEOUT, &read_timeout);
    mysql_options(mysql->connection, MYSQL_OPT_WRITE_TIMEOUT, &timeout);
    mysql_options(mysql->connection, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    set_tls(mysql->connection, options);
    if (!mysql_real_connect(
            mysql->connection, is_socket ? NULL : host, mysql_dsn_option(options, "user"),
            mysql_dsn_option(options, "password"), mysql_dsn_option(options, "dbname"),
            port ? (unsigned) strtoul(port, NULL, 10) : 0, is_socket ? host : NULL, 0))
        return failed(mysql, "connecting", error);
    return prepare_session(mysql, error);
}

static enum ods_status mysql_open(struct database *database, struct error *error)
{
    struct mysql_database *mysql = mysql_of(database);
    end_result(mysql);
    if (mysql->connection)
        mysql_close(mysql->connection);
    PQconninfoOption *options = mysql_dsn_parse(database->settings->dsn);
    if (!options) {
        mysql->connection = NULL;
        return error_set(error, ODS_FATAL,
                         "database %s: the dsn can't be read: expected host=… port=… dbname=… "
                         "user=… password=…, or mysql://user@host:port/name",
                         database->settings->name);
    }
    mysql->connection = mysql_init(NULL);
    enum ods_status status =
        mysql->connection ? connect_with(mysql, options, error) : error_out_of_memory(error);
    PQconninfoFree(options);
    return status;
}

static void mysql_close_database(struct database *database)
{
    struct mysql_database *mysql = mysql_of(database);
    end_result(mysql);
    if (mysql->connection)
        mysql_close(mysql->connection);
    free(mysql);
}

/* --- queries -------------------------------------------------------------------------------- */

enum ods_status mysql_run(struct database *database, const char *sql, struct error *error)
{
    struct mysql_database *mysql = mysql_of(database);
    end_result(mysql);
    if (!mysql->connection || mysql_real_query(mysql->connection, sql, strlen(sql)))
        return failed(mysql, "a query", error);
    mysql->result = mysql_use_result(mysql->connection);
    if (!mysql->result)
        return failed(mysql, "a query", error);
    if (mysql_num_fields(mysql->result) > CELLS_MAX)
        return error_set(error, ODS_FATAL, "database %s: more than %d columns",
                         database->settings->name, CELLS_MAX);
    return ODS_OK;
}

enum ods_status mysql_next(struct database *database, const struct field **cells,
                           struct error *error)
{
    struct mysql_database *mysql = mysql_of(database);
    MYSQL_ROW row = mysql_fetch_row(mysql->result);
    *cells = NULL;
    if (!row) {
        bool broken = mysql_errno(mysql->connection) != 0;
        enum ods_status status = broken ? failed(mysql, "reading rows", error) : ODS_OK;
        end_result(mysql);
        return status;
    }
    const unsigned long *lengths = mysql_fetch_lengths(mysql->result);
    unsigned count = mysql_num_fields(mysql->result);
    for (unsigned i = 0; i < count; i++)
        mysql->cells[i] = (struct field){row[i], lengths[i]};
    *cells = mysql->cells;
    return ODS_OK;
}

void mysql_put_quoted(struct mysql_database *mysql, struct buffer *sql, const char *text,
                      size_t length)
{
    char *room = buffer_take(sql, 2 * length + 3);
    if (!room)
        return;
    *room = '\'';
    unsigned long written = mysql_real_escape_string(mysql->connection, room + 1, text, length);
    room[1 + written] = '\'';
    sql->length -= 2 * length + 3 - (written + 2);
}

static void put_hex(struct buffer *sql, const char *text, size_t length)
{
    buffer_puts(sql, "x'");
    for (size_t i = 0; i < length; i++)
        buffer_printf(sql, "%02x", (uint8_t) text[i]);
    buffer_puts(sql, "'");
}

static void mysql_literal(struct database *database, struct buffer *sql,
                          const struct form_column *column, const char *text, size_t length)
{
    if (column->is_number) {
        buffer_add(sql, text, length);
    } else if (column->is_bytes) {
        put_hex(sql, text, length);
    } else {
        mysql_put_quoted(mysql_of(database), sql, text, length);
    }
}

/* Texts are hexadecimal, since quotes and backslashes depend on the session's sql_mode; a timestamp
 * is a number of seconds, since its text depends on the session's time zone. */
static void mysql_portable(struct database *database, struct buffer *sql,
                           const struct form_column *column, const char *text, size_t length)
{
    int64_t us, rest;
    int32_t ps;
    bool zoned;
    if (column->is_number || column->is_bytes) {
        mysql_literal(database, sql, column, text, length);
    } else if (column->form == FORM_MOMENT &&
               time_parse_timestamp(text, length, &us, &ps, &zoned)) {
        int64_t seconds = time_floor_div(us, 1000000, &rest);
        buffer_printf(sql, "from_unixtime(%lld.%06lld)", (long long) seconds, (long long) rest);
    } else {
        buffer_puts(sql, "_utf8mb4 ");
        put_hex(sql, text, length);
    }
}

/* "db.table". */
static enum ods_status mysql_signal(struct database *database, const char *table,
                                    const char *const values[3], struct error *error)
{
    struct mysql_database *mysql = mysql_of(database);
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "insert into `");
    for (const char *at = table; *at; at++)
        buffer_puts(&sql, *at == '`' ? "``" : *at == '.' ? "`.`" : (char[]){*at, '\0'});
    buffer_puts(&sql, "` values (");
    for (size_t i = 0; i < 3; i++) {
        buffer_puts(&sql, i ? ", _utf8mb4 " : "_utf8mb4 ");
        put_hex(&sql, values[i], strlen(values[i]));
    }
    buffer_puts(&sql, ")");
    end_result(mysql);
    enum ods_status status = sql.failed ? error_out_of_memory(error) : ODS_OK;
    if (status == ODS_OK && (mysql_query(mysql->connection, "set session transaction read write") ||
                             mysql_query(mysql->connection, buffer_text(&sql))))
        status = failed(mysql, "writing a row into the connector's table of signals", error);
    buffer_done(&sql);
    mysql_query(mysql->connection, "set session transaction read only");
    return status;
}

static enum ods_status mysql_confirmed(struct database *database, const struct source_place *to,
                                       bool *confirmed, char *why, size_t size, struct error *error)
{
    (void) database;
    (void) to;
    (void) why;
    (void) size;
    (void) error;
    *confirmed = false; /* the server does not know how far a connector has come */
    return ODS_OK;
}

static int mysql_socket(const struct database *database)
{
    const struct mysql_database *mysql = (const struct mysql_database *) database;
    return mysql->connection ? (int) mysql_get_socket(mysql->connection) : -1;
}

const struct database_ops mysql_database = {
    .type = "mysql",
    .connector = "mysql",
    .open = mysql_open,
    .describe = mysql_describe,
    .query = mysql_run,
    .next = mysql_next,
    .literal = mysql_literal,
    .portable = mysql_portable,
    .signal = mysql_signal,
    .random = "rand()",
    .place = mysql_place,
    .confirmed = mysql_confirmed,
    .touched = mysql_touched,
    .socket = mysql_socket,
    .close = mysql_close_database,
};

static void start_library(void)
{
    mysql_library_init(0, NULL, NULL);
}

struct database *mysql_database_new(const struct database_settings *settings)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT; /* several threads may open databases */
    pthread_once(&once, start_library);
    struct mysql_database *mysql = calloc(1, sizeof *mysql);
    if (mysql)
        mysql->base = (struct database){&mysql_database, settings};
    return mysql ? &mysql->base : NULL;
}
