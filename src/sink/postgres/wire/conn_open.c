/* Connecting. See conn.h.
 *
 * libpq itself goes through the hosts of a dsn when they refuse, but knows no timeouts where it is
 * not waited in: a host that is silent would be waited for, and the next one never tried. So hosts
 * are tried here, one by one, and each has its time.
 */
#include "sink/postgres/wire/conn.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "core/utf8.h"
#include "sql/postgres/session_settings.h"

#define CONNECT_TIMEOUT_S 10 /* of a host, unless the dsn has connect_timeout */
#define NAME_BYTES        256

/* What is tried of a dsn that names several hosts. */
struct hosts {
    PQconninfoOption *options; /* the dsn's */
    const char *names, *addresses, *ports; /* lists, or "" */
    const char *attributes; /* target_session_attrs, or "" */
    int count; /* 0: libpq finds out where to connect to */
    int timeout_s;
};

static const char *option(const struct hosts *hosts, const char *keyword)
{
    for (const PQconninfoOption *at = hosts->options; at && at->keyword; at++)
        if (strcmp(at->keyword, keyword) == 0)
            return at->val ? at->val : "";
    return "";
}

static int members_of(const char *list)
{
    int count = *list != '\0';
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* One of a list; where it has but one, that is for all. "": the default. */
static void member_of(const char *list, int number, char *name)
{
    if (members_of(list) == 1)
        number = 0;
    for (; number && *list; list++)
        number -= *list == ',';
    size_t length = strcspn(list, ",");
    snprintf(name, NAME_BYTES, "%.*s", (int) (length < NAME_BYTES ? length : 0), list);
}

/* ODS_FATAL: the dsn can't be read. libpq's message is not used: it may quote the dsn, with the
 * password. */
static enum ods_status hosts_init(struct hosts *hosts, const char *dsn, struct error *error)
{
    char *why = NULL;
    *hosts = (struct hosts){.options = PQconninfoParse(dsn, &why)};
    PQfreemem(why);
    if (!hosts->options)
        return error_set(error, ODS_FATAL, "the dsn is not a libpq connection string or URI");
    hosts->names = option(hosts, "host");
    hosts->addresses = option(hosts, "hostaddr");
    hosts->ports = option(hosts, "port");
    hosts->attributes = option(hosts, "target_session_attrs");
    int names = members_of(hosts->names), addresses = members_of(hosts->addresses);
    hosts->count = names > addresses ? names : addresses;
    /* It is libpq's to look through all of them for a standby first, or in an order of chance. */
    if (hosts->count < 2 || strcmp(hosts->attributes, "prefer-standby") == 0 ||
        strcmp(option(hosts, "load_balance_hosts"), "random") == 0)
        hosts->count = 0;
    long timeout_s = strtol(option(hosts, "connect_timeout"), NULL, 10);
    hosts->timeout_s = timeout_s <= 0 ? CONNECT_TIMEOUT_S : timeout_s > 600 ? 600 : (int) timeout_s;
    return ODS_OK;
}

/* *silent: the time is over. */
static enum ods_status establish(struct conn *conn, int timeout_s, bool *silent,
                                 struct error *error)
{
    int64_t deadline_us = time_monotonic_us() + timeout_s * INT64_C(1000000);
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    while (state != PGRES_POLLING_OK) {
        short events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        enum ods_status status = conn_wait(conn, events, deadline_us, error);
        *silent = status != ODS_OK && time_monotonic_us() >= deadline_us;
        if (*silent)
            return error_set(error, ODS_RETRY, "target %s: no answer from %s port %s within %d s",
                             conn->name, PQhost(conn->pg), PQport(conn->pg), timeout_s);
        if (status != ODS_OK)
            return status;
        state = PQconnectPoll(conn->pg);
        if (state == PGRES_POLLING_FAILED)
            return conn_error(conn, NULL, error);
    }
    return ODS_OK;
}

/* Tries one host, or with NULL what libpq makes of the dsn. *next: another host may be better. */
static enum ods_status try_host(struct conn *conn, const struct hosts *hosts, int number,
                                bool *next, struct error *error)
{
    char name[NAME_BYTES], address[NAME_BYTES], port[NAME_BYTES];
    const char *names[12] = {"fallback_application_name", "keepalives_idle",
                             "keepalives_interval",       "tcp_user_timeout",
                             "client_encoding",           "dbname"};
    const char *values[12] = {"ods-sink", "30", "10", "60000", "UTF8", conn->settings->dsn};
    member_of(hosts->names, number, name);
    member_of(hosts->addresses, number, address);
    member_of(hosts->ports, number, port);
    if (!*port && members_of(hosts->ports) > 1)
        snprintf(port, sizeof port, "5432"); /* "" would leave the whole list in force */
    if (hosts->count) {
        const char *const more[] = {"host", name, "hostaddr", address, "port", port,
                                    "target_session_attrs",
                                    *hosts->attributes ? hosts->attributes : "read-write"};
        for (size_t i = 0, at = 6; i < sizeof more / sizeof *more; i += 2, at++) {
            names[at] = more[i];
            values[at] = more[i + 1];
        }
    }
    conn_close(conn);
    conn->pg = PQconnectStartParams(names, values, 1);
    *next = false;
    if (!conn->pg)
        return error_set(error, ODS_RETRY, "target %s: out of memory", conn->name);
    bool silent = false;
    enum ods_status status = PQstatus(conn->pg) == CONNECTION_BAD
                                 ? conn_error(conn, NULL, error)
                                 : establish(conn, hosts->timeout_s, &silent, error);
    *next = silent || (status == ODS_RETRY && PQstatus(conn->pg) == CONNECTION_BAD);
    return status;
}

/* Of several hosts all are told of: why none of them is it. */
static void add_reason(struct error *all, const struct error *one)
{
    if (!all || !one)
        return;
    size_t length = strlen(all->text);
    struct error before = *all;
    *all = *one;
    if (!length)
        return;
    snprintf(all->text, sizeof all->text, "%s", before.text);
    utf8_copy(all->text + length, sizeof all->text - length, "; ", 2);
    length = strlen(all->text);
    utf8_copy(all->text + length, sizeof all->text - length, one->text, strlen(one->text));
}

static enum ods_status try_hosts(struct conn *conn, const struct hosts *hosts, struct error *error)
{
    struct error all, one;
    bool next = true;
    enum ods_status status = ODS_RETRY;
    error_init(&all);
    for (int i = 0; next && status != ODS_OK && (i == 0 || i < hosts->count); i++) {
        error_init(&one);
        status = try_host(conn, hosts, i, &next, &one);
        add_reason(&all, &one);
    }
    if (status != ODS_OK && error)
        *error = all;
    return status;
}

/* libpq prints notices on standard error, beside the log. They are dropped: what matters comes as
 * an error. */
static void ignore_notice(void *context, const PGresult *notice)
{
    (void) context;
    (void) notice;
}

static enum ods_status prepare_session(struct conn *conn, struct error *error)
{
    const struct session_settings *settings = conn->settings;
    char statement[24], lock[24], idle[24];
    snprintf(statement, sizeof statement, "%lld", (long long) settings->statement_timeout_ms);
    snprintf(lock, sizeof lock, "%lld", (long long) settings->lock_timeout_ms);
    snprintf(idle, sizeof idle, "%lld", (long long) settings->idle_in_transaction_timeout_ms);
    const char *values[] = {settings->synchronous_commit ? "on" : "off", statement, lock, idle};
    return conn_query(conn, sql_session_settings, 4, values, NULL, error);
}

enum ods_status conn_open(struct conn *conn, struct error *error)
{
    struct hosts hosts;
    if (conn->pg && PQstatus(conn->pg) == CONNECTION_OK && !conn->read_only)
        return ODS_OK;
    conn_close(conn);
    enum ods_status status = hosts_init(&hosts, conn->settings->dsn, error);
    if (status == ODS_OK)
        status = try_hosts(conn, &hosts, error);
    PQconninfoFree(hosts.options);
    if (status == ODS_OK && PQsetnonblocking(conn->pg, 1) != 0)
        status = conn_error(conn, NULL, error);
    if (status == ODS_OK) {
        conn->generation++;
        PQsetNoticeReceiver(conn->pg, ignore_notice, NULL);
        status = prepare_session(conn, error);
    }
    if (status != ODS_OK)
        conn_close(conn);
    return status;
}
