/* A page for people and six for programs, GET only; what operators POST is in http_actions.c. The
 * daemon is healthy if no lane is stopped or stuck. An outage of the target or of Kafka is no
 * reason to restart it, so it is then healthy but not ready. */
#include "pipeline/http.h"

#include <errno.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ods/buffer.h>
#include "core/time.h"
#include "page/index.html.h"
#include "pipeline/actions.h"
#include "pipeline/attention.h"
#include "pipeline/condition.h"
#include "pipeline/exposition.h"
#include "pipeline/fleet.h"
#include "pipeline/guard.h"
#include "pipeline/http_access.h"
#include "pipeline/http_actions.h"
#include "pipeline/http_reply.h"
#include "pipeline/inspector.h"
#include "pipeline/json_text.h"
#include "pipeline/keeper.h"
#include "pipeline/lane.h"
#include "pipeline/lanes_show.h"
#include "pipeline/letter_counter.h"
#include "pipeline/source_guard.h"
#include "pipeline/tables_show.h"
#include "pipeline/tracer.h"
#include "pipeline/trends.h"
#include "pipeline/verifier.h"
#include "pipeline/watch.h"

struct http {
    const struct http_settings *settings;
    struct MHD_Daemon *daemon, *health; /* NULL until http_start() */
    int fd, health_fd;                  /* ours until then; -1: none */
    struct buffer certificate, key, client_ca;
    struct lane *const *lanes;
    size_t lane_count;
    struct guard *guard; /* NULL: there is none */
    struct source_guard *sources; /* NULL: there is none */
    struct letter_counter *letters; /* NULL: there is none */
    struct trends *trends;        /* NULL: there are none */
    struct tracer *tracer;        /* NULL: there is none */
    struct inspector *const *inspectors;
    size_t inspector_count;
    struct keeper *const *keepers;
    size_t keeper_count;
    struct verifier *const *verifiers;
    size_t verifier_count;
    struct http_actions actions;
    char *file;           /* ods-sink.conf, from the root; NULL: not known */
    pthread_mutex_t mutex;
    char *configuration; /* JSON, in the mutex; NULL: not known */
    enum exposition form; /* of metrics, of what the one thread that has them writes now */
};

/* The version of docs/status.schema.json. */
#define STATUS_SCHEMA 1
#define CHALLENGE     "Basic realm=\"ods-sink: the token is the password\", charset=\"UTF-8\""

struct page {
    const char *path, *type;
    unsigned (*write)(struct http *http, struct buffer *out); /* answers the HTTP status */
    /* For who may not see more: health, in our own words alone. NULL: nothing. */
    unsigned (*write_open)(struct http *http, struct buffer *out);
};

static void put_metrics(struct http *http, struct buffer *out)
{
    metrics_write(out, http->lanes, http->lane_count, http->form);
    guard_metrics(http->guard, out);
    source_guard_metrics(http->sources, out);
    letter_counter_metrics(http->letters, out);
    verifiers_metrics(http->verifiers, http->verifier_count, out);
    inspectors_metrics(http->inspectors, http->inspector_count, out);
    keepers_metrics(http->keepers, http->keeper_count, out);
    tracer_metrics(http->tracer, out);
    fleets_metrics(http->lanes, http->lane_count, out);
    actions_metrics(http->actions.actions, out);
}

static unsigned write_metrics(struct http *http, struct buffer *out)
{
    struct buffer text;
    if (http->form == EXPOSE_TEXT) {
        put_metrics(http, out);
        return MHD_HTTP_OK;
    }
    buffer_init(&text);
    put_metrics(http, &text);
    if (!text.failed)
        exposition_finish(out, &text, http->form);
    out->failed |= text.failed;
    buffer_done(&text);
    return MHD_HTTP_OK;
}

static unsigned put_health(struct http *http, struct buffer *out, bool tells)
{
    unsigned code = MHD_HTTP_OK;
    for (size_t i = 0; i < http->lane_count; i++) {
        struct lane_status status;
        lane_status(http->lanes[i], &status);
        if (status.state != LANE_STOPPED && !status.stuck)
            continue;
        code = MHD_HTTP_SERVICE_UNAVAILABLE;
        buffer_printf(out, "pipeline %s lane %zu is %s%s%s\n", status.pipeline, status.index,
                      status.stuck ? "stuck" : "stopped", tells ? ": " : "",
                      tells ? status.last_error : "");
    }
    if (code == MHD_HTTP_OK)
        buffer_puts(out, "ok\n");
    return code;
}

static unsigned write_health(struct http *http, struct buffer *out)
{
    return put_health(http, out, true);
}

static unsigned write_open_health(struct http *http, struct buffer *out)
{
    return put_health(http, out, false);
}

/* NULL: it is ready. */
static const char *why_not_ready(const struct lane_status *status)
{
    if (status->state == LANE_STOPPED)
        return "is stopped";
    if (!status->joined && !status->without_topics)
        return "has not joined its group yet";
    if (status->source_away)
        return "does not reach Kafka";
    if (!status->target_ready)
        return "waits for its target";
    if (!status->letters_ready)
        return "waits for its dead-letter topic";
    return NULL;
}

/* A lane that would work if there were a topic is ready: its daemon may well be there first. */
static unsigned put_ready(struct http *http, struct buffer *out, bool tells)
{
    unsigned code = MHD_HTTP_OK;
    struct buffer remarks;
    buffer_init(&remarks);
    for (size_t i = 0; i < http->lane_count; i++) {
        struct lane_status status;
        lane_status(http->lanes[i], &status);
        const char *reason = why_not_ready(&status);
        if (reason) {
            code = MHD_HTTP_SERVICE_UNAVAILABLE;
            buffer_printf(out, "pipeline %s lane %zu %s%s%s\n", status.pipeline, status.index,
                          reason, tells && *status.last_error ? ": " : "",
                          tells ? status.last_error : "");
        } else if (status.without_topics) {
            buffer_printf(&remarks, "pipeline %s lane %zu waits for topics: none matches yet\n",
                          status.pipeline, status.index);
        }
    }
    if (code == MHD_HTTP_OK) {
        buffer_puts(out, "ready\n");
        buffer_puts(out, buffer_text(&remarks));
    }
    buffer_done(&remarks);
    return code;
}

static unsigned write_ready(struct http *http, struct buffer *out)
{
    return put_ready(http, out, true);
}

static unsigned write_open_ready(struct http *http, struct buffer *out)
{
    return put_ready(http, out, false);
}

static json_t *known(int64_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

/* What orders hold of a pipeline; its first lane stands for all. */
static void describe_held(json_t *list, struct lane *lane)
{
    struct lane_status status;
    struct watch *watch = lane_watch(lane);
    size_t count;
    lane_status(lane, &status);
    if (!watch || status.index)
        return;
    const struct watch_held *held = watch_lock(watch, &count);
    for (; count; count--, held++) {
        const struct order *order = held->order;
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o, s:s, s:f, s:o, s:o, s:o}", "pipeline",
                            text_of(status.pipeline), "topic", text_of(order->topic), "table",
                            text_of(order->table), "state", order_state_name(order->state), "since",
                            (double) order->at_us / 1e6, "by", text_of(order->by), "reason",
                            text_of(order->reason), "backlog", known(held->backlog)));
    }
    watch_unlock(watch);
}

static unsigned write_json(json_t *root, size_t flags, struct buffer *out)
{
    char *text = root ? json_dumps(root, flags) : NULL;
    json_decref(root);
    if (!text)
        return MHD_HTTP_INTERNAL_SERVER_ERROR;
    buffer_puts(out, text);
    buffer_puts(out, "\n");
    free(text);
    return MHD_HTTP_OK;
}

/* What is told beside lanes and tables. */
static json_t *describe_status(struct http *http)
{
    json_t *held = json_array();
    for (size_t i = 0; i < http->lane_count; i++)
        describe_held(held, http->lanes[i]);
    json_t *status = json_pack(
        "{s:i, s:s, s:f, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema",
        STATUS_SCHEMA, "version", ODS_VERSION, "now", (double) time_wall_us() / 1e6,
        "configuration", http->file ? text_of(http->file) : json_null(), "actions",
        http->actions.actions != NULL, "pipelines",
        conditions_describe(http->lanes, http->lane_count, http->trends), "paused", held,
        "retention", guard_describe(http->guard), "dead_letters",
        letter_counter_describe(http->letters), "sources", source_guard_describe(http->sources),
        "connect", source_guard_connectors(http->sources),
        "verify", verifiers_describe(http->verifiers, http->verifier_count), "quality",
        inspectors_describe(http->inspectors, http->inspector_count), "derived",
        keepers_describe(http->keepers, http->keeper_count), "fleet",
        fleets_describe(http->lanes, http->lane_count));
    if (status)
        json_object_set_new(status, "attention",
                            attention_describe(status, http->lanes, http->lane_count));
    return status;
}

static unsigned write_status(struct http *http, struct buffer *out)
{
    struct lanes_shown lanes;
    size_t total = 0;
    bool good = lanes_look(&lanes, http->lanes, http->lane_count) &&
                json_put_open(out, describe_status(http));
    buffer_puts(out, ",\n  \"lanes\": ");
    good = good && lanes_write(&lanes, out);
    buffer_puts(out, ",\n  \"tables\": ");
    good = good && tables_write(&lanes, out, &total);
    buffer_printf(out, ",\n  \"tables_total\": %zu\n}\n", total);
    lanes_shown_done(&lanes);
    return good ? MHD_HTTP_OK : MHD_HTTP_INTERNAL_SERVER_ERROR;
}

static unsigned write_trends(struct http *http, struct buffer *out)
{
    return write_json(trends_describe(http->trends), JSON_COMPACT, out);
}

static unsigned write_configuration(struct http *http, struct buffer *out)
{
    pthread_mutex_lock(&http->mutex);
    bool known = http->configuration != NULL;
    buffer_puts(out, known ? http->configuration : "{\"settings\": null}");
    pthread_mutex_unlock(&http->mutex);
    buffer_puts(out, "\n");
    return known ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

static unsigned write_page(struct http *http, struct buffer *out)
{
    buffer_puts(out, page_index_html);
    return MHD_HTTP_OK;
}

static const struct page pages[] = {
    {"/", "text/html; charset=utf-8", write_page, NULL},
    {"/metrics", TYPE_TEXT, write_metrics, NULL},
    {"/healthz", TYPE_TEXT, write_health, write_open_health},
    {"/readyz", TYPE_TEXT, write_ready, write_open_ready},
    {"/status", TYPE_JSON, write_status, NULL},
    {"/trends", TYPE_JSON, write_trends, NULL},
    {"/configuration", TYPE_JSON, write_configuration, NULL},
};

/* Who may see more than health; *why is filled where that needs a certificate. */
static bool may_see(const struct http *http, struct MHD_Connection *connection, struct error *why)
{
    const struct http_settings *settings = http->settings;
    if (!*settings->token && !*settings->client_ca)
        return true;
    return http_access_has_token(connection, settings->token) ||
           (*settings->client_ca && http_access_certified(connection, why));
}

static unsigned deny(const struct http *http, const struct error *why, struct buffer *body)
{
    const struct http_settings *settings = http->settings;
    if (*settings->client_ca)
        buffer_printf(body, "a client's certificate is needed (http.client_ca)%s; %s\n",
                      *settings->token ? ", or the token: Authorization: Bearer TOKEN (http.token)"
                                       : "",
                      why->text);
    else
        buffer_puts(body, "a token is needed: Authorization: Bearer TOKEN (http.token)\n");
    return *settings->token ? MHD_HTTP_UNAUTHORIZED : MHD_HTTP_FORBIDDEN;
}

/* `why` it is not granted; NULL: it is. */
static unsigned write_for(struct http *http, const struct page *page, const struct error *why,
                          bool health, struct buffer *body)
{
    if (page->write_open && (health || why))
        return page->write_open(http, body);
    if (health)
        return MHD_HTTP_NOT_FOUND;
    return why ? deny(http, why, body) : page->write(http, body);
}

static enum MHD_Result serve(struct http *http, struct MHD_Connection *connection, const char *url,
                             const char *method, bool health)
{
    struct buffer body;
    struct error why;
    unsigned code = MHD_HTTP_NOT_FOUND;
    const char *type = TYPE_TEXT;
    bool reading = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (!health) /* the other listener has a thread of its own, and no metrics */
        http->form = exposition_of(
            MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT));
    error_init(&why);
    bool granted = may_see(http, connection, &why);
    buffer_init(&body);
    for (size_t i = 0; reading && i < sizeof pages / sizeof *pages; i++)
        if (strcmp(url, pages[i].path) == 0) {
            code = write_for(http, &pages[i], granted ? NULL : &why, health, &body);
            bool denied = code == MHD_HTTP_UNAUTHORIZED || code == MHD_HTTP_FORBIDDEN;
            type = denied ? type : pages[i].type;
            if (code == MHD_HTTP_OK && pages[i].write == write_metrics)
                type = exposition_type(http->form);
        }
    if (!reading)
        code = MHD_HTTP_METHOD_NOT_ALLOWED;
    if (body.failed)
        code = MHD_HTTP_INTERNAL_SERVER_ERROR;
    enum MHD_Result result = http_reply(connection, code, type, &body, CHALLENGE);
    buffer_done(&body);
    return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_size, void **state)
{
    struct http *http = context;
    if (*state || http_actions_meant(url))
        return http_actions_answer(&http->actions, connection, url, method, upload, upload_size,
                                   state);
    return serve(http, connection, url, method, false);
}

static void completed(void *context, struct MHD_Connection *connection, void **state,
                      enum MHD_RequestTerminationCode code)
{
    http_actions_completed(state);
}

static enum MHD_Result answer_health(void *context, struct MHD_Connection *connection,
                                     const char *url, const char *method, const char *version,
                                     const char *upload, size_t *upload_size, void **state)
{
    return serve(context, connection, url, method, true);
}

/* A listening socket for the address; -1 with the error filled. */
static int open_socket(const char *setting, const char *address, struct error *error)
{
    char host[256];
    const char *colon = strrchr(address, ':');
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    const int one = 1;
    int fd = -1;
    size_t length = colon ? (size_t) (colon - address) : 0;
    if (!colon || length >= sizeof host) {
        error_set(error, ODS_FATAL, "%s \"%s\": expected address:port", setting,
                  address);
        return -1;
    }
    memcpy(host, address, length);
    host[length] = '\0';
    if (length > 1 && host[0] == '[' && host[length - 1] == ']') {
        memmove(host, host + 1, length - 2);
        host[length - 2] = '\0';
    }
    int code = getaddrinfo(*host ? host : NULL, colon + 1, &hints, &found);
    if (code) {
        error_set(error, ODS_FATAL, "%s \"%s\": %s", setting, address, gai_strerror(code));
        return -1;
    }
    for (struct addrinfo *at = found; at && fd < 0; at = at->ai_next) {
        fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
        if (fd < 0)
            continue;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        if (bind(fd, at->ai_addr, at->ai_addrlen) || listen(fd, 16)) {
            int reason = errno;
            close(fd);
            errno = reason;
            fd = -1;
        }
    }
    if (fd < 0)
        error_set(error, ODS_FATAL, "%s \"%s\": %s%s", setting, address, strerror(errno),
                  errno == EADDRINUSE ? ": another program (another ods-sink?) has this port" : "");
    freeaddrinfo(found);
    return fd;
}

static enum ods_status read_files(struct http *http, struct error *error)
{
    const struct http_settings *settings = http->settings;
    if (!*settings->certificate)
        return ODS_OK;
    if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return error_set(error, ODS_FATAL, "http.certificate: this libmicrohttpd has no TLS");
    enum ods_status status =
        http_access_read(&http->certificate, "http.certificate", settings->certificate, error);
    if (status == ODS_OK)
        status = http_access_read(&http->key, "http.key", settings->key, error);
    if (status == ODS_OK && *settings->client_ca)
        status = http_access_read(&http->client_ca, "http.client_ca", settings->client_ca, error);
    return status;
}

enum ods_status http_open(struct http **out, const struct http_settings *settings,
                          struct error *error)
{
    struct http *http = calloc(1, sizeof *http);
    *out = NULL;
    if (!http)
        return error_set(error, ODS_FATAL, "out of memory for the HTTP server");
    http->settings = settings;
    http->actions.settings = settings;
    http->fd = http->health_fd = -1;
    pthread_mutex_init(&http->mutex, NULL);
    enum ods_status status = read_files(http, error);
    if (status == ODS_OK && *settings->listen) {
        http->fd = open_socket("http.listen", settings->listen, error);
        status = http->fd < 0 ? ODS_FATAL : ODS_OK;
    }
    if (status == ODS_OK && *settings->health_listen) {
        http->health_fd = open_socket("http.health_listen", settings->health_listen, error);
        status = http->health_fd < 0 ? ODS_FATAL : ODS_OK;
    }
    if (status != ODS_OK)
        http_stop(http);
    else
        *out = http;
    return status;
}

void http_show_guard(struct http *http, struct guard *guard)
{
    http->guard = guard;
}

void http_show_sources(struct http *http, struct source_guard *sources)
{
    http->sources = sources;
}

void http_show_letters(struct http *http, struct letter_counter *letters)
{
    http->letters = letters;
}

void http_show_trends(struct http *http, struct trends *trends)
{
    http->trends = trends;
}

void http_show_file(struct http *http, const char *file)
{
    http->file = file ? realpath(file, NULL) : NULL;
}

void http_show_configuration(struct http *http, char *json)
{
    pthread_mutex_lock(&http->mutex);
    char *old = http->configuration;
    http->configuration = json;
    pthread_mutex_unlock(&http->mutex);
    free(old);
}

void http_show_tracer(struct http *http, struct tracer *tracer)
{
    http->tracer = tracer;
}

void http_show_inspectors(struct http *http, struct inspector *const *inspectors, size_t count)
{
    http->inspectors = inspectors;
    http->inspector_count = count;
}

void http_show_keepers(struct http *http, struct keeper *const *keepers, size_t count)
{
    http->keepers = keepers;
    http->keeper_count = count;
}

void http_allow_actions(struct http *http, struct actions *actions)
{
    http->actions.actions = actions;
}

void http_show_verifiers(struct http *http, struct verifier *const *verifiers, size_t count)
{
    http->verifiers = verifiers;
    http->verifier_count = count;
}

static struct MHD_Daemon *start_server(struct http *http, int *fd, bool health)
{
    const bool tls = !health && http->certificate.length;
    const struct MHD_OptionItem files[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *) (uintptr_t) buffer_text(&http->certificate)},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *) (uintptr_t) buffer_text(&http->key)},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *) (uintptr_t) "NORMAL:-VERS-TLS1.0:-VERS-TLS1.1"},
        {http->client_ca.length ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0,
         (void *) (uintptr_t) buffer_text(&http->client_ca)},
        {MHD_OPTION_END, 0, NULL}};
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_AUTO | MHD_ALLOW_SUSPEND_RESUME |
            (tls ? MHD_USE_TLS : 0),
        0, NULL, NULL, health ? answer_health : answer, http, MHD_OPTION_NOTIFY_COMPLETED,
        completed, NULL, MHD_OPTION_LISTEN_SOCKET, *fd,
        MHD_OPTION_CONNECTION_LIMIT, 32u, MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_ARRAY,
        tls ? files : none, MHD_OPTION_END);
    if (daemon)
        *fd = -1; /* the server's now */
    return daemon;
}

enum ods_status http_start(struct http *http, struct lane *const *lanes, size_t count,
                           struct error *error)
{
    http->lanes = lanes;
    http->lane_count = count;
    if (http->fd >= 0 && !(http->daemon = start_server(http, &http->fd, false)))
        return error_set(error, ODS_FATAL, "the HTTP server does not start%s",
                         http->certificate.length
                             ? ": do http.certificate and http.key belong together, and is "
                               "http.client_ca, where it is set, of certificates?"
                             : "");
    if (http->health_fd >= 0 && !(http->health = start_server(http, &http->health_fd, true)))
        return error_set(error, ODS_FATAL, "the HTTP server for health does not start");
    return ODS_OK;
}

void http_stop(struct http *http)
{
    if (!http)
        return;
    if (http->daemon)
        MHD_stop_daemon(http->daemon);
    if (http->health)
        MHD_stop_daemon(http->health);
    if (http->fd >= 0)
        close(http->fd);
    if (http->health_fd >= 0)
        close(http->health_fd);
    if (http->key.bytes)
        explicit_bzero(http->key.bytes, http->key.length);
    buffer_done(&http->certificate);
    buffer_done(&http->key);
    buffer_done(&http->client_ca);
    pthread_mutex_destroy(&http->mutex);
    free(http->configuration);
    free(http->file);
    free(http);
}
