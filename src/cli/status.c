/* ods-sink status: what a running daemon says of itself on its HTTP port, as a table. Asks once,
 * with a time limit, and answers with its exit code: so it serves as a container's health check
 * too. */
#include <getopt.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "http/http_client.h"

#define DEFAULT_ADDRESS "127.0.0.1:8090"
#define ANSWER_S        5
#define ANSWER_BYTES    ((size_t) 256 * 1024 * 1024)

struct question {
    const char *config, *url;
    bool json, health, partitions;
    char host[256], port[16];
};

/* "host:port", "[address]:port" or such with http:// before and a path behind. An address that
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

static const char *yes(const json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name)) ? "yes" : "no";
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

static bool print_lanes(const json_t *status)
{
    static const char *const names[] = {"PIPELINE", "LANE",     "STATE",      "GROUP",
                                        "KAFKA",    "TARGET",   "PARTITIONS", "LAG",
                                        "RECORDS",  "REJECTED", "LAST COMMIT"};
    struct columns table;
    size_t i;
    json_t *lane;
    columns_init(&table, sizeof names / sizeof *names);
    columns_head(&table, names);
    json_array_foreach(json_object_get(status, "lanes"), i, lane)
    {
        columns_add(&table, text_of(lane, "pipeline"));
        columns_number(&table, number_of(lane, "lane"));
        columns_add(&table, text_of(lane, "state"));
        columns_add(&table, json_is_true(json_object_get(lane, "joined")) ? "joined" : "joining");
        columns_add(&table, yes(lane, "kafka_reachable"));
        columns_add(&table, yes(lane, "target_reachable"));
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
            printf("last error of pipeline %s lane %lld: %s\n", text_of(lane, "pipeline"),
                   (long long) number_of(lane, "lane"), text_of(lane, "last_error"));
    }
    return good;
}

static bool print_partitions(const json_t *status)
{
    static const char *const names[] = {"TOPIC", "PARTITION", "STATE", "APPLIED", "END", "LAG"};
    struct columns table;
    size_t i, j;
    json_t *lane, *partition;
    columns_init(&table, sizeof names / sizeof *names);
    columns_head(&table, names);
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

static int print_status(const struct question *question, json_t *status, bool ready,
                        const char *why)
{
    if (question->json) {
        json_object_set_new(status, "ready", json_boolean(ready));
        json_dumpf(status, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
        putchar('\n');
        return ready ? CLI_OK : CLI_NEGATIVE;
    }
    printf("ods-sink %s at %s:%s is %s\n", text_of(status, "version"), question->host,
           question->port, ready ? "ready" : "not ready:");
    printf("%s\n", ready ? "" : why);
    if (!print_lanes(status) || (question->partitions && !print_partitions(status)))
        return CLI_INTERNAL;
    return ready ? CLI_OK : CLI_NEGATIVE;
}

/* --- the command ---------------------------------------------------------------------------- */

static int nobody(const struct question *question, const struct error *error)
{
    fprintf(stderr,
            "ods-sink status: nobody answers at %s:%s: %s; is the daemon running, and does "
            "http.listen name this address?\n",
            question->host, question->port, error->text);
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
    const char *first = question->health ? "/healthz" : "/readyz";
    struct http_client *client = http_client_new(&options, &error);
    if (!client || !get(client, question, first, &verdict, &error) ||
        (!question->health && !get(client, question, "/status", &page, &error))) {
        code = nobody(question, &error);
        goto out;
    }
    if (question->health) {
        fputs(buffer_text(&verdict.body), stdout);
        code = verdict.code == 200 ? CLI_OK : CLI_NEGATIVE;
        goto out;
    }
    status = json_loadb(page.body.bytes, page.body.length, 0, NULL);
    if (!json_is_array(json_object_get(status, "lanes"))) {
        error_set(&error, ODS_RETRY, "what answers there is no ods-sink");
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

static int parse(struct question *question, int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"url", required_argument, NULL, 'u'},
        {"json", no_argument, NULL, 'j'},         {"health", no_argument, NULL, 'h'},
        {"partitions", no_argument, NULL, 'p'},   {NULL, 0, NULL, 0}};
    int option;
    optind = 1;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
        if (option == 'c')
            question->config = optarg;
        else if (option == 'u')
            question->url = optarg;
        else if (option == 'j')
            question->json = true;
        else if (option == 'h')
            question->health = true;
        else if (option == 'p')
            question->partitions = true;
        else
            return cli_usage("status", "unknown option or missing value: %s", argv[optind - 1]);
    }
    if (optind < argc)
        return cli_usage("status", "unexpected argument \"%s\"", argv[optind]);
    if (question->config && question->url)
        return cli_usage("status", "-c FILE and --url URL exclude each other");
    return CLI_OK;
}

int cli_status(int argc, char **argv)
{
    struct question question = {0};
    struct config *config = NULL;
    const char *address = DEFAULT_ADDRESS;
    int code = parse(&question, argc, argv);
    if (code != CLI_OK)
        return code;
    if (question.config) {
        code = cli_load(&config, question.config);
        if (code != CLI_OK)
            goto out;
        address = config_settings(config)->http.listen;
    } else if (question.url) {
        address = question.url;
    }
    if (!*address) {
        fprintf(stderr,
                "ods-sink status: http.listen is empty in %s, so the daemon can't be "
                "asked: set it to an address, such as 127.0.0.1:8090\n",
                question.config);
        code = CLI_CONFIG;
    } else if (!parse_address(&question, address)) {
        code = cli_usage("status", "\"%s\" is no address: expected http://host:port", address);
    } else {
        code = ask(&question);
    }
out:
    config_free(config);
    return cli_finish(code);
}
