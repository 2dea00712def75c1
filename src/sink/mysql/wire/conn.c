/* See conn.h.
 *
 * libmariadb's calls block, so a statement is sent, and its answer is waited for here, where an
 * interrupt is seen and the lane is shown to be alive; so it is between two pieces of a LOAD DATA.
 * What blocks inside of the library (the connecting, a piece) is ended by an interrupt that shuts
 * the socket down.
 */
#include "sink/mysql/wire/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/time.h"
#include "sink/mysql/wire/dsn.h"
#include "sink/mysql/wire/fault.h"
#include "sink/mysql/wire/session.h"
#include "sql/mysql/server.h"

#define ALIVE_MS          1000
#define CONNECT_TIMEOUT_S 10
#define SEND_TIMEOUT_S    60

bool mysql_conn_init(struct mysql_conn *conn, const char *name,
                     const struct mysql_session_settings *settings)
{
    conn->name = name;
    conn->settings = settings;
    conn->socket = -1;
    pthread_mutex_init(&conn->lock, NULL);
    conn->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return conn->wake_fd >= 0;
}

void mysql_conn_done(struct mysql_conn *conn)
{
    mysql_conn_close(conn);
    if (conn->wake_fd > 0)
        close(conn->wake_fd);
    conn->wake_fd = -1;
    pthread_mutex_destroy(&conn->lock);
}

static void set_socket(struct mysql_conn *conn, int socket)
{
    pthread_mutex_lock(&conn->lock);
    conn->socket = socket;
    conn->shut = false;
    pthread_mutex_unlock(&conn->lock);
}

void mysql_conn_close(struct mysql_conn *conn)
{
    if (!conn->mysql)
        return;
    set_socket(conn, -1);
    mysql_close(conn->mysql);
    conn->mysql = NULL;
}

void mysql_conn_interrupt(struct mysql_conn *conn)
{
    uint64_t one = 1;
    atomic_store(&conn->interrupted, true);
    ssize_t written = write(conn->wake_fd, &one, sizeof one);
    (void) written; /* it is readable already */
    pthread_mutex_lock(&conn->lock);
    if (conn->socket >= 0) {
        shutdown(conn->socket, SHUT_RDWR);
        conn->shut = true;
    }
    pthread_mutex_unlock(&conn->lock);
}

void mysql_conn_clear_interrupt(struct mysql_conn *conn)
{
    uint64_t count;
    ssize_t got = read(conn->wake_fd, &count, sizeof count);
    (void) got; /* it was not readable */
    atomic_store(&conn->interrupted, false);
}

/* --- errors ---------------------------------------------------------------------------------- */

static bool is_broken(unsigned number)
{
    return (number >= 2000 && number < 3000) || number == 1053 || number == 1927 ||
           number == 4031 || number == 1158 || number == 1159 || number == 1160 || number == 1161;
}

/* What the server says of a statement that it can't parse quotes the statement, and so the values
 * of rows. */
static const char *words(MYSQL *mysql)
{
    return mysql_errno(mysql) == 1064 ? "the server can't parse a statement" : mysql_error(mysql);
}

static enum ods_status judge(struct mysql_conn *conn, const char *doing, struct error *error)
{
    struct error room;
    unsigned number = mysql_errno(conn->mysql);
    enum mysql_meaning meaning = mysql_meaning(number, mysql_sqlstate(conn->mysql));
    if (!error)
        error = &room;
    error_init(error);
    error_set(error, mysql_meaning_status(meaning), "target %s: %s%s (%u)", conn->name, doing,
              words(conn->mysql), number);
    snprintf(error->code, sizeof error->code, "%u", number);
    error->fault = mysql_meaning_fault(meaning);
    if (is_broken(number))
        mysql_conn_close(conn);
    return mysql_meaning_status(meaning);
}

static enum ods_status interrupted(struct mysql_conn *conn, struct error *error)
{
    mysql_conn_close(conn);
    error_init(error);
    if (error)
        error->fault = FAULT_OUTAGE;
    return error_set(error, ODS_RETRY, "target %s: interrupted", conn->name);
}

/* --- connecting ------------------------------------------------------------------------------ */

/* Only what we have in memory is ever sent, whatever file a server asks for. */
struct infile {
    struct mysql_conn *conn;
    const char *bytes;
    size_t left;
};

/* Until the socket is ready. False: interrupted, and the library finds the socket shut down. */
static bool await_socket(struct mysql_conn *conn, short events)
{
    while (!atomic_load(&conn->interrupted)) {
        struct pollfd fds[] = {{.fd = conn->socket, .events = events},
                               {.fd = conn->wake_fd, .events = POLLIN}};
        if (conn->alive)
            conn->alive(conn->alive_context);
        int ready = poll(fds, 2, ALIVE_MS);
        if ((ready < 0 && errno != EINTR) || (ready > 0 && fds[0].revents))
            return true;
    }
    return false;
}

static int infile_open(void **handle, const char *name, void *context)
{
    (void) name;
    struct infile *infile = context;
    *handle = infile;
    return infile->bytes ? 0 : 1;
}

/* The server takes the bytes as slowly as it gets on with the rows. */
static int infile_read(void *handle, char *to, unsigned int room)
{
    struct infile *infile = handle;
    size_t count = infile->left < room ? infile->left : room;
    if (count && !await_socket(infile->conn, POLLOUT))
        return -1;
    memcpy(to, infile->bytes, count);
    infile->bytes += count;
    infile->left -= count;
    return (int) count;
}

/* All bytes are sent, and the library is about to wait for the answer. */
static void infile_close(void *handle)
{
    struct infile *infile = handle;
    if (infile->bytes)
        await_socket(infile->conn, POLLIN);
}

static int infile_error(void *handle, char *text, unsigned int room)
{
    (void) handle;
    snprintf(text, room, "the server asked for a file");
    return 2;
}

static void offer(struct mysql_conn *conn, struct infile *infile)
{
    static struct infile nothing;
    mysql_set_local_infile_handler(conn->mysql, infile_open, infile_read, infile_close,
                                   infile_error, infile ? infile : &nothing);
}

static void set_options(MYSQL *mysql)
{
    unsigned connect_s = CONNECT_TIMEOUT_S, send_s = SEND_TIMEOUT_S, allow = 1;
    mysql_options(mysql, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_options(mysql, MYSQL_OPT_WRITE_TIMEOUT, &send_s);
    mysql_options(mysql, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_options(mysql, MYSQL_OPT_LOCAL_INFILE, &allow);
    mysql_options4(mysql, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "ods-sink");
}

/* A host that went away without a word is noticed within a minute. */
static void keep_alive(int socket)
{
    int on = 1, idle_s = 30, interval_s = 10, probes = 3;
    setsockopt(socket, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(socket, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
}

/* Nothing of what the server's configuration says of a session counts: modes that cut values, a
 * time zone, an isolation under which two lanes lock each other's gaps. */
static enum ods_status set_session(struct mysql_conn *conn, struct error *error)
{
    const struct mysql_session_settings *settings = conn->settings;
    long long lock_s = (settings->lock_timeout_ms + 999) / 1000;
    long long idle_s = (settings->idle_in_transaction_timeout_ms + 999) / 1000;
    char sql[512];
    snprintf(sql, sizeof sql,
             "set names utf8mb4, session sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,"
             "NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', session time_zone = '+00:00', "
             "session lc_messages = 'en_US', session foreign_key_checks = 1, session unique_checks "
             "= 1, session autocommit = 1, "
             "session innodb_lock_wait_timeout = %lld, session lock_wait_timeout = %lld, "
             "session wait_timeout = %lld",
             lock_s ? lock_s : 1073741824, lock_s ? lock_s : 31536000, idle_s ? idle_s : 31536000);
    enum ods_status status = mysql_conn_run(conn, sql, NULL, error);
    return status == ODS_OK
               ? mysql_conn_run(conn, "set session transaction isolation level read committed",
                                NULL, error)
               : status;
}

static enum ods_status read_server(struct mysql_conn *conn, struct error *error)
{
    MYSQL_RES *rows = NULL;
    enum ods_status status = mysql_conn_run(conn, sql_mysql_server, &rows, error);
    if (status != ODS_OK)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    conn->mariadb = row && row[0] && strcasestr(row[0], "mariadb");
    conn->packet_bytes = row && row[1] ? strtoull(row[1], NULL, 10) : 1 << 20;
    conn->local_infile = row && row[2] && *row[2] == '1';
    conn->lower_case_names = row && row[3] ? atoi(row[3]) : 0;
    snprintf(conn->database, sizeof conn->database, "%s", row && row[4] ? row[4] : "");
    conn->version = mysql_get_server_version(conn->mysql);
    mysql_free_result(rows);
    return ODS_OK;
}

static enum ods_status establish(struct mysql_conn *conn, struct error *error)
{
    bool failed;
    conn->mysql = mysql_init(NULL);
    if (!conn->mysql)
        return error_out_of_memory(error);
    set_options(conn->mysql);
    enum ods_status status =
        mysql_dsn_connect(conn->mysql, conn->settings->dsn, CLIENT_FOUND_ROWS, &failed, error);
    if (failed)
        return judge(conn, "", error);
    if (status != ODS_OK) {
        error_prefix(error, "target %s: ", conn->name);
        return status;
    }
    offer(conn, NULL);
    keep_alive((int) mysql_get_socket(conn->mysql));
    set_socket(conn, (int) mysql_get_socket(conn->mysql));
    status = set_session(conn, error);
    return status == ODS_OK ? read_server(conn, error) : status;
}

/* The server ends sessions that are idle: one that may have been ended is not used again. */
static bool is_old(const struct mysql_conn *conn)
{
    int64_t limit_ms = conn->settings->idle_in_transaction_timeout_ms;
    return limit_ms && time_monotonic_us() - conn->used_us > limit_ms * 500;
}

static bool is_shut(struct mysql_conn *conn)
{
    pthread_mutex_lock(&conn->lock);
    bool shut = conn->shut;
    pthread_mutex_unlock(&conn->lock);
    return shut;
}

enum ods_status mysql_conn_open(struct mysql_conn *conn, struct error *error)
{
    if (conn->mysql && !is_old(conn) && !is_shut(conn))
        return ODS_OK;
    mysql_conn_close(conn);
    if (atomic_load(&conn->interrupted))
        return interrupted(conn, error);
    if (conn->alive)
        conn->alive(conn->alive_context);
    enum ods_status status = establish(conn, error);
    if (status == ODS_OK)
        conn->generation++;
    else
        mysql_conn_close(conn);
    return status;
}

/* --- statements ------------------------------------------------------------------------------ */

static enum ods_status await_answer(struct mysql_conn *conn, struct error *error)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = conn->socket, .events = POLLIN},
                               {.fd = conn->wake_fd, .events = POLLIN}};
        if (conn->alive)
            conn->alive(conn->alive_context);
        int ready = poll(fds, 2, ALIVE_MS);
        if (ready < 0 && errno != EINTR) {
            error_set(error, ODS_RETRY, "target %s: poll: %s", conn->name, strerror(errno));
            mysql_conn_close(conn); /* the answer would be taken for that of the next statement */
            return ODS_RETRY;
        }
        if (atomic_load(&conn->interrupted))
            return interrupted(conn, error);
        if (ready > 0 && fds[0].revents)
            return ODS_OK;
    }
}

static enum ods_status take_answer(struct mysql_conn *conn, MYSQL_RES **rows, struct error *error)
{
    if (mysql_read_query_result(conn->mysql))
        return atomic_load(&conn->interrupted) ? interrupted(conn, error) : judge(conn, "", error);
    MYSQL_RES *result = NULL;
    if (mysql_field_count(conn->mysql)) {
        result = mysql_store_result(conn->mysql);
        if (!result)
            return judge(conn, "", error);
    }
    conn->used_us = time_monotonic_us();
    if (rows)
        *rows = result;
    else
        mysql_free_result(result);
    return ODS_OK;
}

static enum ods_status no_session(struct mysql_conn *conn, struct error *error)
{
    return error_set(error, ODS_RETRY, "target %s: the connection broke", conn->name);
}

enum ods_status mysql_conn_query(struct mysql_conn *conn, const char *sql, size_t length,
                                 MYSQL_RES **rows, struct error *error)
{
    if (rows)
        *rows = NULL;
    if (!conn->mysql)
        return no_session(conn, error);
    if (conn->socket < 0)
        set_socket(conn, (int) mysql_get_socket(conn->mysql));
    if (mysql_send_query(conn->mysql, sql, length))
        return judge(conn, "", error);
    enum ods_status status = await_answer(conn, error);
    return status == ODS_OK ? take_answer(conn, rows, error) : status;
}

enum ods_status mysql_conn_run(struct mysql_conn *conn, const char *sql, MYSQL_RES **rows,
                               struct error *error)
{
    return mysql_conn_query(conn, sql, strlen(sql), rows, error);
}

enum ods_status mysql_conn_load(struct mysql_conn *conn, const char *sql, const char *bytes,
                                size_t length, struct error *error)
{
    struct infile infile = {conn, bytes, length};
    if (!conn->mysql)
        return no_session(conn, error);
    offer(conn, &infile);
    enum ods_status status = mysql_conn_query(conn, sql, strlen(sql), NULL, error);
    if (conn->mysql)
        offer(conn, NULL);
    return status;
}

/* --- literals -------------------------------------------------------------------------------- */

static const char escapes[256] = {['\0'] = '0', ['\''] = '\'', ['\\'] = '\\'};

/* utf8mb4 has no byte of these within a character, so bytes are looked at one by one. */
void mysql_put_text(struct buffer *out, const char *bytes, size_t length)
{
    char *at = buffer_take(out, 2 * length + 2);
    if (!at)
        return;
    *at++ = '\'';
    for (size_t i = 0; i < length; i++) {
        char escape = escapes[(unsigned char) bytes[i]];
        if (__builtin_expect(escape != 0, 0))
            *at++ = '\\';
        *at++ = escape ? escape : bytes[i];
    }
    *at++ = '\'';
    out->length = (size_t) (at - out->bytes);
}

void mysql_put_name(struct buffer *out, const char *name)
{
    buffer_puts(out, "`");
    for (; *name; name++) {
        buffer_add(out, name, 1);
        if (*name == '`')
            buffer_puts(out, "`");
    }
    buffer_puts(out, "`");
}

void mysql_put_bytes(struct buffer *out, const char *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    if (!length) {
        buffer_puts(out, "''");
        return;
    }
    buffer_puts(out, "x'");
    char *at = buffer_take(out, 2 * length + 1);
    for (size_t i = 0; at && i < length; i++) {
        *at++ = digits[(unsigned char) bytes[i] >> 4];
        *at++ = digits[(unsigned char) bytes[i] & 15];
    }
    if (at)
        *at = '\'';
}
