/* ods-sink status: what a running daemon says of itself on its HTTP port, as a table. Asks once,
 * with a time limit, and answers with its exit code: so it serves as a container's health check
 * too. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/status_show.h"
#include "cli/status_watch.h"
#include "http/http_client.h"

#define DEFAULT_ADDRESS "127.0.0.1:8090"
#define ANSWER_S        5
#define ANSWER_BYTES    ((size_t) 256 * 1024 * 1024)

struct status_options {
    const char *config, *url;
    const char *certificate, *key; /* our own */
    bool json, health, tables, partitions, watch;
};

struct question {
    const struct status_options *options;
    const struct terminal *terminal;
    char host[256], port[16];
    bool tls;
    const struct http_settings *http; /* NULL: no configuration is given */
};

/* "host:port", "[address]:port" or such with http:// before and a path after it. An address that
 * stands for all of the machine's becomes its own. */
static bool parse_address(struct question *question, const char *text)
{
    question->tls = strncmp(text, "https://", 8) == 0 ||
                    (question->http && *question->http->certificate);
    if (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0)
        text = strchr(text, '/') + 2;
    size_t length = strcspn(text, "/");
    const char *colon = memrchr(text, ':', length);
    if (!colon)
        return false;
    size_t host_length = (size_t) (colon - text), port_length = length - host_length - 1;
    if (host_length > 1 && text[0] == '[' && colon[-1] == ']') {
        text++;
        host_length -= 2;
    }
    if (host_length >= sizeof question->host || !port_length ||
        port_length >= sizeof question->port)
        return false;
    memcpy(question->host, text, host_length);
    question->host[host_length] = '\0';
    memcpy(question->port, colon + 1, port_length);
    question->port[port_length] = '\0';
    if (!host_length || strcmp(question->host, "0.0.0.0") == 0)
        snprintf(question->host, sizeof question->host, "127.0.0.1");
    else if (strcmp(question->host, "::") == 0)
        snprintf(question->host, sizeof question->host, "::1");
    return true;
}

/* --- HTTP ----------------------------------------------------------------------------------- */

/* GET a page. Whatever the status, it is an answer; false when there is none. */
static bool get(struct http_client *client, const struct question *question, const char *path,
                struct http_answer *answer, struct error *error)
{
    char url[sizeof question->host + sizeof question->port + 64];
    bool address = strchr(question->host, ':') != NULL;
    snprintf(url, sizeof url, "http%s://%s%s%s:%s%s", question->tls ? "s" : "",
             address ? "[" : "", question->host, address ? "]" : "", question->port, path);
    return http_client_get(client, url, answer, error) == ODS_OK;
}

static int print_status(const struct question *question, const struct status_view *view,
                        json_t *status)
{
    if (question->options->json) {
        json_object_set_new(status, "ready", json_boolean(view->ready));
        cli_print_json(json_incref(status));
    } else if (!status_show(question->terminal, view)) {
        return CLI_INTERNAL;
    }
    return view->ready ? CLI_OK : CLI_NEGATIVE;
}

/* Why not is a text of one line or more. */
static int print_health(const struct question *question, bool healthy, const char *why)
{
    json_t *reason = healthy ? json_null() : json_stringn(why, strcspn(why, "\n"));
    if (question->options->json)
        cli_print_json(json_pack("{s:b, s:o}", "healthy", healthy, "why", reason));
    else
        fputs(why, stdout);
    if (!question->options->json)
        json_decref(reason);
    return healthy ? CLI_OK : CLI_NEGATIVE;
}

/* --- the command ---------------------------------------------------------------------------- */

static int nobody(const struct question *question, const struct error *error)
{
    fprintf(stderr,
            "ods-sink status: nobody answers at %s:%s: %s; is the daemon running, and does "
            "http.listen name this address?%s\n",
            question->host, question->port, error->text,
            question->options->config || question->options->url
                ? ""
                : " -c FILE takes it from the configuration");
    return CLI_SOURCE;
}

struct conversation {
    const struct question *question;
    struct http_client *client;
    struct http_answer verdict, page;
};

/* A status_asker: /readyz, and /status as JSON. */
static bool ask_status(void *context, struct status_view *view, json_t **status,
                       struct error *error)
{
    struct conversation *talk = context;
    view->host = talk->question->host;
    view->port = talk->question->port;
    if (!get(talk->client, talk->question, "/readyz", &talk->verdict, error) ||
        !get(talk->client, talk->question, "/status", &talk->page, error))
        return false;
    view->ready = talk->verdict.code == 200;
    view->why = buffer_text(&talk->verdict.body);
    if (talk->page.code == 401) {
        error_set(error, ODS_FATAL, "it wants http.token: -c FILE has it, or ODS_SINK_HTTP_TOKEN");
        return false;
    }
    if (talk->page.code == 403) {
        error_set(error, ODS_FATAL,
                  "it wants a certificate (http.client_ca): --certificate and --key; it says: %.*s",
                  (int) strcspn(buffer_text(&talk->page.body), "\n"),
                  buffer_text(&talk->page.body));
        return false;
    }
    *status = json_loadb(talk->page.body.bytes, talk->page.body.length, 0, NULL);
    if (json_is_array(json_object_get(*status, "lanes")))
        return true;
    json_decref(*status);
    *status = NULL;
    error_set(error, ODS_RETRY, "what answers there is not ods-sink");
    return false;
}

static struct status_view wanted_of(const struct status_options *options)
{
    return (struct status_view){.tables = options->tables, .partitions = options->partitions};
}

static int ask_once(struct conversation *talk, struct error *error)
{
    const struct status_options *options = talk->question->options;
    struct status_view view = wanted_of(options);
    json_t *status = NULL;
    if (options->health) {
        if (!get(talk->client, talk->question, "/healthz", &talk->verdict, error))
            return nobody(talk->question, error);
        return print_health(talk->question, talk->verdict.code == 200,
                            buffer_text(&talk->verdict.body));
    }
    if (!ask_status(talk, &view, &status, error))
        return nobody(talk->question, error);
    view.status = status;
    int code = print_status(talk->question, &view, status);
    json_decref(status);
    return code;
}

static int ask(const struct question *question)
{
    const struct http_settings *http = question->http;
    const char *token = http ? http->token : getenv("ODS_SINK_HTTP_TOKEN");
    const bool pins = http && *http->certificate;
    const struct http_client_options options = {.connect_ms = ANSWER_S * 1000,
                                                .silence_s = ANSWER_S,
                                                .max_bytes = ANSWER_BYTES,
                                                .ca_file = pins ? http->certificate : NULL,
                                                .any_host = pins,
                                                .certificate = question->options->certificate,
                                                .key = question->options->key,
                                                .token = token && *token ? token : NULL,
                                                .direct = true};
    struct conversation talk = {.question = question};
    const struct status_view wanted = wanted_of(question->options);
    struct error error;
    int code;
    error_init(&error);
    http_answer_init(&talk.verdict);
    http_answer_init(&talk.page);
    talk.client = http_client_new(&options, &error);
    if (!talk.client)
        code = nobody(question, &error);
    else if (question->options->watch)
        code = status_watch(question->terminal, ask_status, &talk, &wanted);
    else
        code = ask_once(&talk, &error);
    http_client_free(talk.client);
    http_answer_done(&talk.verdict);
    http_answer_done(&talk.page);
    return code;
}

static int run(const struct call *call, void *given)
{
    const struct status_options *options = given;
    struct question question = {.options = options, .terminal = call->terminal};
    struct config *config = NULL;
    const char *address = DEFAULT_ADDRESS;
    int code = CLI_OK;
    if (options->config) {
        code = cli_load(&config, options->config);
        if (code != CLI_OK)
            goto out;
        question.http = &config_settings(config)->http;
        address = question.http->listen;
    } else if (options->url) {
        address = options->url;
    }
    if (options->watch && (options->json || options->health || !call->terminal->width)) {
        code = cli_usage("status", "--watch draws on a terminal%s",
                         call->terminal->width ? ", without --json and --health"
                                               : ", and standard output is none");
    } else if (!*address) {
        fprintf(stderr,
                "ods-sink status: http.listen is empty in %s, so the daemon can't be "
                "asked: set it to an address, such as 127.0.0.1:8090\n",
                options->config);
        code = CLI_CONFIG;
    } else if (!parse_address(&question, address)) {
        code = cli_usage("status", "\"%s\" is not an address: expected http://host:port "
                         "or https://host:port",
                         address);
    } else {
        code = ask(&question);
    }
out:
    config_free(config);
    return cli_finish(code);
}

static const struct parameter options[] = {
    OPTION(struct status_options, config, "config", &argument_file,
           "where the daemon listens: its `http.listen`", .either = 1, .letter = 'c'),
    OPTION(struct status_options, url, "url", &argument_text,
           "or its address, as `http://host:port` or `https://…` (default: http://127.0.0.1:8090)",
           .value = "URL", .either = 1),
    OPTION(struct status_options, certificate, "certificate", &argument_file,
           "our own (PEM), where the daemon has `http.client_ca`"),
    OPTION(struct status_options, key, "key", &argument_file, "the key to it (PEM)"),
    SWITCH(struct status_options, watch, "watch",
           "on a terminal, again each second and in place, until q or ^C"),
    SWITCH(struct status_options, json, "json", "what `/status` says, with \"ready\""),
    SWITCH(struct status_options, tables, "tables",
           "also each table: what it is at, what waits, up to when it is complete"),
    SWITCH(struct status_options, partitions, "partitions", "also each partition with its offsets"),
    SWITCH(struct status_options, health, "health",
           "only whether it is healthy: no lane stopped or stuck. A target that is away is no "
           "reason to restart the daemon, so it is healthy, not ready"),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_OK, "It is ready (with `--health`: healthy)."},
    {CLI_NEGATIVE, "It is not."},
    EXIT_IS_CONFIG,
    {CLI_SOURCE, "Nobody answers."},
    {0}};

static const struct example examples[] = {
    {"ods-sink status --health", "The health check of a container."}, {0}};

const struct command cli_status = {
    .name = "status",
    .chapter = "Asking",
    .summary = "ask the running daemon how it is",
    .description =
        "Asks the daemon once over HTTP, with a time limit, and shows how each pipeline is, in the "
        "words that the page has too (docs/page.md), what else asks for attention, and its lanes "
        "with their state, partitions, lag and last error; then the logs of the sources (how much "
        "the connector has yet to read, how long its place is kept), the connectors of Kafka "
        "Connect (of more than 20 those that do not run well) and what the last comparison with "
        "each source found.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct status_options),
    .run = run,
};
