/* A session with MySQL or MariaDB: connected when it is needed, closed by an outage. */
#ifndef MYSQL_CONN_H
#define MYSQL_CONN_H

#include <pthread.h>
#include <stdatomic.h>

#include <mariadb/mysql.h>

#include <ods/buffer.h>
#include <ods/sink.h>

struct mysql_session_settings;

struct mysql_conn {
    const char *name; /* the target's, for messages */
    const struct mysql_session_settings *settings;
    MYSQL *mysql; /* NULL: there is no session */
    unsigned generation; /* grows with each session */
    bool mariadb;
    unsigned long version;    /* 80044, 101108 */
    uint64_t packet_bytes;    /* the server's max_allowed_packet */
    bool local_infile;        /* the server allows LOAD DATA LOCAL */
    int lower_case_names;     /* lower_case_table_names */
    char database[65];        /* the session's, where tables without a schema are */
    int64_t used_us;          /* when it was used last */
    int wake_fd;              /* readable once it is interrupted */
    atomic_bool interrupted;
    pthread_mutex_t lock;     /* of the socket, which another thread may shut down */
    int socket;               /* -1: none */
    bool shut;                /* an interrupt has shut it down: the session is of no use */
    void (*alive)(void *context);
    void *alive_context;
};

/* False: no file descriptor is left. */
bool mysql_conn_init(struct mysql_conn *conn, const char *name,
                     const struct mysql_session_settings *settings);
void mysql_conn_done(struct mysql_conn *conn);

/* Connects and sets the session up, if there is none. */
enum ods_status mysql_conn_open(struct mysql_conn *conn, struct error *error);
void mysql_conn_close(struct mysql_conn *conn);

/* Sends a statement and waits for its answer, whose rows are read. After an outage there is no
 * session any more. `rows` may be NULL; the caller frees *rows by mysql_free_result().
 * error->code is MySQL's number, error->fault what it means (fault.h). */
enum ods_status mysql_conn_query(struct mysql_conn *conn, const char *sql, size_t length,
                                 MYSQL_RES **rows, struct error *error);
/* The same of a terminated text. */
enum ods_status mysql_conn_run(struct mysql_conn *conn, const char *sql, MYSQL_RES **rows,
                               struct error *error);
/* Rows, in LOAD DATA's default form, into a table: `sql` names the file 'ods'. */
enum ods_status mysql_conn_load(struct mysql_conn *conn, const char *sql, const char *bytes,
                                size_t length, struct error *error);

/* Any thread: the call that waits, and those that follow, answer ODS_RETRY. */
void mysql_conn_interrupt(struct mysql_conn *conn);
void mysql_conn_clear_interrupt(struct mysql_conn *conn);

/* Append 'text' with its quotes, escaped; `name` with backticks; bytes as a literal. */
void mysql_put_text(struct buffer *out, const char *bytes, size_t length);
void mysql_put_name(struct buffer *out, const char *name);
void mysql_put_bytes(struct buffer *out, const char *bytes, size_t length);

#endif
