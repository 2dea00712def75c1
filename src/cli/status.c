/* ods-sink status: what a running daemon says of itself on its HTTP port, as a table. Asks once,
 * with a time limit, and answers with its exit code: so it serves as a container's health check
 * too. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/json.h"
#include "cli/status_sources.h"
#include "core/time.h"
#include "http/http_client.h"

#define DEFAULT_ADDRESS "127.0.0.1:8090"
#define ANSWER_S        5
#define ANSWER_BYTES    ((size_t) 256 * 1024 * 1024)

struct status_options {
    const char *config, *url;
    bool json, health, partitions;
};

struct question {
    const struct status_options *options;
    const struct terminal *terminal;
    char host[256], port[16];
};

/* "host:port", "[address]:port" or such with http:// before and a path after it. An address that
 * stands for all of the machine's becomes its own. */
static bool parse_address(struct question *question, const char *text)
{
    if (strncmp(text, "http://", 7) == 0)
        text += 7;
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
    snprintf(url, sizeof url, "http://%s%s%s:%s%s", address ? "[" : "", question->host,
             address ? "]" : "", question->port, path);
    return http_client_get(client, url, answer, error) == ODS_OK;
}

/* --- the table ------------------------------------------------------------------------------ */

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text ? text : "";
}

static int64_t number_of(const json_t *object, const char *name)
{
    const json_t *number = json_object_get(object, name);
    return json_is_integer(number) ? json_integer_value(number) : -1;
}

static void add_reachable(struct columns *table, const json_t *lane, const char *name)
{
    bool yes = json_is_true(json_object_get(lane, name));
    columns_add(table, yes ? "yes" : "no");
    columns_paint(table, yes ? PAINT_NONE : PAINT_BAD);
}

static enum paint paint_of(const char *state)
{
    if (strcmp(state, "stopped") == 0 || strcmp(state, "stuck") == 0)
        return PAINT_BAD;
    return strcmp(state, "filling") == 0 || strcmp(state, "applying") == 0 ? PAINT_NONE
                                                                           : PAINT_WARN;
}

/* The sum; -1 while one is not known. */
static int64_t lag_of(const json_t *lane)
{
    int64_t sum = 0;
    size_t i;
    json_t *partition;
    json_array_foreach(json_object_get(lane, "partitions"), i, partition)
    {
        int64_t lag = number_of(partition, "lag");
        if (lag < 0)
            return -1;
        sum += lag;
    }
    return sum;
}

static void add_seconds_ago(struct columns *table, const json_t *status, const char *name,
                            const json_t *lane)
{
    char text[32] = "never";
    const json_t *at = json_object_get(lane, name), *now = json_object_get(status, "now");
    if (json_is_real(at) && json_is_real(now))
        snprintf(text, sizeof text, "%.1f s ago", json_real_value(now) - json_real_value(at));
    columns_add(table, text);
}

/* Records that Kafka's retention has taken before they were applied, or takes within a day. */
static void print_retention(const json_t *status)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(status, "retention"), i, one)
    {
        int64_t left = number_of(one, "retention_left_seconds"), lost = number_of(one, "lost");
        if (lost > 0)
            terminal_line(stdout,
                          "pipeline %s: topic %s partition %lld: Kafka's retention has taken %lld "
                          "offsets from %lld on, which were not applied",
                          text_of(one, "pipeline"), text_of(one, "topic"),
                          (long long) number_of(one, "partition"), (long long) lost,
                          (long long) number_of(one, "applied"));
        else if (left >= 0 && left < 86400)
            terminal_line(stdout,
                          "pipeline %s: topic %s partition %lld: Kafka's retention may take "
                          "records that wait in %lld min",
                          text_of(one, "pipeline"), text_of(one, "topic"),
                          (long long) number_of(one, "partition"), (long long) left / 60);
    }
}

static bool print_lanes(const struct question *question, const json_t *status)
{
    static const char *const names[] = {"PIPELINE", "LANE",     "STATE", "GROUP",
                                        "KAFKA",    "TARGET",   "PARTS", "LAG",
                                        "RECORDS",  "REJECTED", "COMMITTED"};
    struct columns table;
    size_t i;
    json_t *lane;
    columns_init(&table, question->terminal, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(status, "lanes"), i, lane)
    {
        columns_add(&table, text_of(lane, "pipeline"));
        columns_number(&table, number_of(lane, "lane"));
        columns_add(&table, text_of(lane, "state"));
        columns_paint(&table, paint_of(text_of(lane, "state")));
        columns_add(&table, json_is_true(json_object_get(lane, "joined")) ? "joined" : "joining");
        add_reachable(&table, lane, "kafka_reachable");
        add_reachable(&table, lane, "target_reachable");
        columns_number(&table, (int64_t) json_array_size(json_object_get(lane, "partitions")));
        columns_number(&table, lag_of(lane));
        columns_number(&table, number_of(lane, "records"));
        columns_number(&table, number_of(lane, "rejected"));
        add_seconds_ago(&table, status, "last_commit_at", lane);
    }
    bool good = columns_print(&table);
    columns_done(&table);
    json_array_foreach(json_object_get(status, "lanes"), i, lane)
    {
        if (*text_of(lane, "last_error"))
            terminal_line(stdout, "last error of pipeline %s lane %lld: %s",
                          text_of(lane, "pipeline"), (long long) number_of(lane, "lane"),
                          text_of(lane, "last_error"));
    }
    print_retention(status);
    return good;
}

static bool print_partitions(const struct question *question, const json_t *status)
{
    static const char *const names[] = {"TOPIC", "PARTITION", "STATE", "APPLIED", "END", "LAG"};
    struct columns table;
    size_t i, j;
    json_t *lane, *partition;
    columns_init(&table, question->terminal, names, sizeof names / sizeof *names);
    json_array_foreach(json_object_get(status, "lanes"), i, lane)
        json_array_foreach(json_object_get(lane, "partitions"), j, partition)
    {
        columns_add(&table, text_of(partition, "topic"));
        columns_number(&table, number_of(partition, "partition"));
        columns_add(&table, text_of(partition, "state"));
        columns_number(&table, number_of(partition, "applied"));
        columns_number(&table, number_of(partition, "end"));
        columns_number(&table, number_of(partition, "lag"));
    }
    putchar('\n');
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static void add_moment(struct columns *table, const json_t *object, const char *name)
{
    struct buffer text;
    double at = json_number_value(json_object_get(object, name));
    buffer_init(&text);
    time_format_timestamp(&text, (int64_t) at * 1000000, false);
    buffer_puts(&text, " UTC");
    columns_add(table, buffer_text(&text));
    buffer_done(&text);
}

/* What operators have paused, of the whole group. */
static bool print_paused(const struct question *question, const json_t *status)
{
    static const char *const names[] = {"PAUSED", "PIPELINE", "TOPIC",   "STATE",
                                        "SINCE",  "BY",       "WAITING", "REASON"};
    const json_t *list = json_object_get(status, "paused");
    struct columns table;
    size_t i;
    json_t *order;
    if (!json_array_size(list))
        return true;
    columns_init(&table, question->terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, order)
    {
        columns_add(&table, text_of(order, "table"));
        columns_paint(&table, PAINT_WARN);
        columns_add(&table, text_of(order, "pipeline"));
        columns_add(&table, text_of(order, "topic"));
        columns_add(&table, text_of(order, "state"));
        add_moment(&table, order, "since");
        columns_add(&table, text_of(order, "by"));
        columns_number(&table, number_of(order, "backlog"));
        columns_add(&table, text_of(order, "reason"));
    }
    putchar('\n');
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static int print_status(const struct question *question, json_t *status, bool ready,
                        const char *why)
{
    if (question->options->json) {
        json_object_set_new(status, "ready", json_boolean(ready));
        cli_print_json(json_incref(status));
        return ready ? CLI_OK : CLI_NEGATIVE;
    }
    enum paint paint = ready ? PAINT_GOOD : PAINT_BAD;
    printf("ods-sink %s at %s:%s is %s%s%s\n", text_of(status, "version"), question->host,
           question->port, terminal_paint(question->terminal, paint),
           ready ? "ready" : "not ready:", terminal_plain(question->terminal, paint));
    printf("%s\n", ready ? "" : why);
    if (!print_lanes(question, status) || !print_paused(question, status) ||
        !status_print_sources(question->terminal, status) ||
        !status_print_verify(question->terminal, status) ||
        !status_print_derived(question->terminal, status) ||
        (question->options->partitions && !print_partitions(question, status)))
        return CLI_INTERNAL;
    return ready ? CLI_OK : CLI_NEGATIVE;
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

static int ask(const struct question *question)
{
    static const struct http_client_options options = {.connect_ms = ANSWER_S * 1000,
                                                       .silence_s = ANSWER_S,
                                                       .max_bytes = ANSWER_BYTES,
                                                       .direct = true};
    struct http_answer verdict, page;
    struct error error;
    json_t *status = NULL;
    int code = CLI_SOURCE;
    error_init(&error);
    http_answer_init(&verdict);
    http_answer_init(&page);
    const char *first = question->options->health ? "/healthz" : "/readyz";
    struct http_client *client = http_client_new(&options, &error);
    if (!client || !get(client, question, first, &verdict, &error) ||
        (!question->options->health && !get(client, question, "/status", &page, &error))) {
        code = nobody(question, &error);
        goto out;
    }
    if (question->options->health) {
        code = print_health(question, verdict.code == 200, buffer_text(&verdict.body));
        goto out;
    }
    status = json_loadb(page.body.bytes, page.body.length, 0, NULL);
    if (!json_is_array(json_object_get(status, "lanes"))) {
        error_set(&error, ODS_RETRY, "what answers there is not ods-sink");
        code = nobody(question, &error);
        goto out;
    }
    code = print_status(question, status, verdict.code == 200, buffer_text(&verdict.body));
out:
    json_decref(status);
    http_client_free(client);
    http_answer_done(&verdict);
    http_answer_done(&page);
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
        address = config_settings(config)->http.listen;
    } else if (options->url) {
        address = options->url;
    }
    if (!*address) {
        fprintf(stderr,
                "ods-sink status: http.listen is empty in %s, so the daemon can't be "
                "asked: set it to an address, such as 127.0.0.1:8090\n",
                options->config);
        code = CLI_CONFIG;
    } else if (!parse_address(&question, address)) {
        code = cli_usage("status", "\"%s\" is not an address: expected http://host:port", address);
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
           "or its address, as `http://host:port` (default: http://127.0.0.1:8090)",
           .value = "URL", .either = 1),
    SWITCH(struct status_options, json, "json", "what `/status` says, with \"ready\""),
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
        "Asks the daemon once over HTTP, with a time limit, and shows its lanes with their state, "
        "partitions, lag and last error; then the logs of the sources (how much the connector has "
        "yet to read, how long its place is kept) and what the last comparison with each found.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct status_options),
    .run = run,
};
