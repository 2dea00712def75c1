/* ods-sink topics: which topics there are, which pipeline takes them, and how far each
 * is applied. */
#include <jansson.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/feeds.h"
#include "core/log.h"

struct topics_options {
    const char *config, *pipeline;
    bool json, partitions;
};

struct topics {
    const struct call *call;
    const struct topics_options *options;
    const struct settings *settings;
    const struct pipeline_settings *only;
    struct feeds feeds;
};

/* --- words ----------------------------------------------------------------------------------- */

/* 850 ms, 42 s, 7.5 min, 3.2 h, 12 d; "-" for none, "?" for what is not known. */
static const char *duration(int64_t ms, char *text, size_t size)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } units[] = {{86400000, "d"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    if (ms <= 0)
        return ms < 0 ? "?" : "-";
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (ms < units[i].ms)
            continue;
        double value = (double) ms / (double) units[i].ms;
        snprintf(text, size, value < 10 && units[i].ms > 1 ? "%.1f %s" : "%.0f %s", value,
                 units[i].unit);
        break;
    }
    return text;
}

/* An estimate, and marked as one. */
static void add_bytes(struct columns *table, int64_t bytes)
{
    char text[40], marked[48];
    snprintf(marked, sizeof marked, "%s%s", bytes > 0 ? "~" : "",
             terminal_bytes(bytes, text, sizeof text));
    columns_add(table, bytes < 0 ? "?" : bytes ? marked : "0");
}

static void add_offset(struct columns *table, int64_t offset)
{
    if (offset < 0)
        columns_add(table, "none");
    else
        columns_number(table, offset);
}

/* --- tables ---------------------------------------------------------------------------------- */

static void add_lag(struct columns *table, int64_t lag, int64_t lost)
{
    columns_number(table, lag);
    columns_paint(table, lost ? PAINT_BAD : lag ? PAINT_WARN : PAINT_GOOD);
}

static bool print_feeds(const struct topics *topics)
{
    static const char *const names[] = {"TOPIC",  "PARTS",  "RECORDS",  "BYTES", "LAG",
                                        "BEHIND", "NEWEST", "PIPELINE", "TABLE"};
    struct columns table;
    char text[64];
    columns_init(&table, topics->call->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < topics->feeds.feed_count; i++) {
        const struct feed *feed = &topics->feeds.feeds[i];
        columns_add(&table, feed->topic);
        columns_number(&table, feed->count);
        columns_number(&table, feed_records(feed));
        add_bytes(&table, feed_bytes(feed));
        add_lag(&table, feed_lag(feed), feed_lost(feed));
        columns_add(&table, duration(feed_behind_ms(&topics->feeds, feed), text, sizeof text));
        columns_add(&table, terminal_moment(feed_newest_ms(feed), text, sizeof text));
        columns_add(&table, feed->pipeline->name);
        columns_add(&table, feed->skipped  ? "skipped"
                            : feed->table ? feed->table
                                          : "as its records say");
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static bool print_partitions(const struct topics *topics)
{
    static const char *const names[] = {"TOPIC",  "PARTITION", "FIRST", "END",    "BYTES",
                                        "STORED", "COMMITTED", "LAG",   "BEHIND", "PIPELINE"};
    struct columns table;
    char text[64];
    columns_init(&table, topics->call->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < topics->feeds.feed_count; i++) {
        const struct feed *feed = &topics->feeds.feeds[i];
        for (int32_t j = 0; j < feed->count; j++) {
            const struct feed_partition *at = &feed->partitions[j];
            int64_t behind = at->lag <= 0 ? at->lag
                             : at->next_ms < 0 ? -1
                                               : topics->feeds.now_ms - at->next_ms;
            columns_add(&table, feed->topic);
            columns_number(&table, j);
            columns_number(&table, at->low);
            columns_number(&table, at->high);
            add_bytes(&table, at->bytes);
            if (topics->feeds.failed_target && at->stored < 0)
                columns_add(&table, "?");
            else
                add_offset(&table, at->stored);
            add_offset(&table, at->committed);
            add_lag(&table, at->lag, at->lost);
            columns_add(&table, duration(behind, text, sizeof text));
            columns_add(&table, feed->pipeline->name);
        }
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static bool print_unread(const struct topics *topics)
{
    static const char *const names[] = {"NO PIPELINE TAKES", "PARTS", "RECORDS", "BYTES",
                                        "WHAT IT IS"};
    struct columns table;
    if (!topics->feeds.unread_count)
        return true;
    putchar('\n');
    columns_init(&table, topics->call->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < topics->feeds.unread_count; i++) {
        const struct unread *unread = &topics->feeds.unread[i];
        columns_add(&table, unread->topic);
        columns_number(&table, unread->partitions);
        columns_number(&table, unread->records);
        add_bytes(&table, unread->bytes);
        columns_add(&table, unread->role ? unread->role : "");
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

/* --- what is missing, and what goes ----------------------------------------------------------- */

static const struct feed *find_feed(const struct topics *topics,
                                    const struct pipeline_settings *pipeline, const char *topic)
{
    for (size_t i = 0; i < topics->feeds.feed_count; i++) {
        const struct feed *feed = &topics->feeds.feeds[i];
        if (feed->pipeline == pipeline && (!topic || strcmp(feed->topic, topic) == 0))
            return feed;
    }
    return NULL;
}

/* Pipelines that no topic feeds, and topics that are named and not there. */
static void each_missing(const struct topics *topics,
                         void (*take)(void *context, const struct pipeline_settings *pipeline,
                                      const char *topic),
                         void *context)
{
    for (size_t i = 0; i < topics->settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &topics->settings->pipelines[i];
        if ((topics->only && pipeline != topics->only) ||
            strcmp(pipeline->input.type, "kafka") != 0)
            continue;
        if (!find_feed(topics, pipeline, NULL))
            take(context, pipeline, NULL);
        for (size_t j = 0; j < pipeline->topics.count; j++)
            if (*pipeline->topics.items[j] != '^' &&
                !find_feed(topics, pipeline, pipeline->topics.items[j]))
                take(context, pipeline, pipeline->topics.items[j]);
    }
}

static void say_missing(void *context, const struct pipeline_settings *pipeline, const char *topic)
{
    if (topic)
        printf("pipeline %s: there is no topic %s\n", pipeline->name, topic);
    else
        printf("pipeline %s: no topic feeds it\n", pipeline->name);
}

static void say_losses(const struct topics *topics)
{
    char text[64];
    for (size_t i = 0; i < topics->feeds.feed_count; i++) {
        const struct feed *feed = &topics->feeds.feeds[i];
        int64_t left = feed_left_ms(&topics->feeds, feed);
        for (int32_t j = 0; j < feed->count; j++) {
            const struct feed_partition *at = &feed->partitions[j];
            if (at->lost)
                printf("pipeline %s: topic %s partition %d: the offsets %lld to %lld are gone from "
                       "Kafka and were not applied; see kafka.on_offset_gone\n",
                       feed->pipeline->name, feed->topic, (int) j,
                       (long long) (at->low - at->lost), (long long) (at->low - 1));
        }
        if (left >= 0)
            printf("pipeline %s: topic %s: the oldest record that waits may go in %s "
                   "(retention.ms = %lld)\n",
                   feed->pipeline->name, feed->topic,
                   left ? duration(left, text, sizeof text) : "no time",
                   (long long) feed->retention_ms);
    }
}

/* --- JSON ------------------------------------------------------------------------------------- */

/* null for what is not known or not there. */
static json_t *number_or_null(int64_t number)
{
    return number < 0 ? json_null() : json_integer(number);
}

static json_t *moment_or_null(int64_t ms)
{
    char text[64];
    return ms < 0 ? json_null() : json_string(terminal_moment(ms, text, sizeof text));
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

static json_t *partitions_json(const struct feed *feed)
{
    json_t *partitions = json_array();
    for (int32_t i = 0; i < feed->count; i++) {
        const struct feed_partition *at = &feed->partitions[i];
        json_array_append_new(
            partitions,
            json_pack("{s:i,s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:o,s:o}", "partition", (int) i, "first",
                      number_or_null(at->low), "end", number_or_null(at->high), "bytes_estimated",
                      number_or_null(at->bytes), "stored", number_or_null(at->stored), "committed",
                      number_or_null(at->committed), "lag", number_or_null(at->lag), "lost",
                      (json_int_t) at->lost, "next_record_at", moment_or_null(at->next_ms),
                      "newest_record_at", moment_or_null(at->newest_ms)));
    }
    return partitions;
}

static json_t *feed_json(const struct topics *topics, const struct feed *feed)
{
    int64_t behind = feed_behind_ms(&topics->feeds, feed);
    int64_t left = feed_left_ms(&topics->feeds, feed);
    return json_pack(
        "{s:s,s:s,s:o,s:o,s:b,s:o,s:o,s:o,s:I,s:o,s:o,s:o,s:o}", "topic", feed->topic, "pipeline",
        feed->pipeline->name, "source_table", text_or_null(feed->source_table), "table",
        text_or_null(feed->table), "skipped", feed->skipped, "records",
        number_or_null(feed_records(feed)), "bytes_estimated", number_or_null(feed_bytes(feed)),
        "lag", number_or_null(feed_lag(feed)), "lost", (json_int_t) feed_lost(feed),
        "behind_seconds", behind < 0 ? json_null() : json_real((double) behind / 1000),
        "newest_record_at", moment_or_null(feed_newest_ms(feed)), "retention_left_seconds",
        left < 0 ? json_null() : json_integer(left / 1000), "partitions", partitions_json(feed));
}

static void add_missing(void *context, const struct pipeline_settings *pipeline, const char *topic)
{
    json_t *root = context;
    if (topic)
        json_array_append_new(json_object_get(root, "missing"),
                              json_pack("{s:s,s:s}", "pipeline", pipeline->name, "topic", topic));
    else
        json_array_append_new(json_object_get(root, "unfed"), json_string(pipeline->name));
}

static int print_json(const struct topics *topics)
{
    json_t *feeds = json_array(), *unread = json_array();
    for (size_t i = 0; i < topics->feeds.feed_count; i++)
        json_array_append_new(feeds, feed_json(topics, &topics->feeds.feeds[i]));
    for (size_t i = 0; i < topics->feeds.unread_count; i++) {
        const struct unread *one = &topics->feeds.unread[i];
        json_array_append_new(unread, json_pack("{s:s,s:i,s:o,s:o,s:o}", "topic", one->topic,
                                                "partitions", (int) one->partitions, "records",
                                                number_or_null(one->records), "bytes_estimated",
                                                number_or_null(one->bytes), "role",
                                                text_or_null(one->role)));
    }
    json_t *root = json_pack("{s:o,s:o,s:[],s:[]}", "topics", feeds, "unread", unread, "unfed",
                             "missing");
    if (!root)
        return CLI_INTERNAL;
    each_missing(topics, add_missing, root);
    json_dumpf(root, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
    putchar('\n');
    json_decref(root);
    return CLI_OK;
}

/* --- the command ------------------------------------------------------------------------------ */

static void complain(void *context, const char *text)
{
    terminal_line(stderr, "ods-sink topics: %s", text);
}

static int print(const struct topics *topics)
{
    if (topics->options->json)
        return print_json(topics);
    bool good = topics->options->partitions ? print_partitions(topics) : print_feeds(topics);
    if (!good || !print_unread(topics))
        return CLI_INTERNAL;
    say_losses(topics);
    each_missing(topics, say_missing, NULL);
    return CLI_OK;
}

static int find_pipeline(struct topics *topics)
{
    const char *name = topics->options->pipeline;
    if (!name)
        return CLI_OK;
    topics->only = settings_pipeline(topics->settings, name);
    return topics->only ? CLI_OK : cli_usage("topics", "there is no pipeline \"%s\"", name);
}

static int run(const struct call *call, void *given)
{
    struct topics topics = {.call = call, .options = given};
    struct config *loaded = NULL;
    struct error error;
    error_init(&error);
    int code = cli_load(&loaded, topics.options->config);
    if (code == CLI_OK) {
        topics.settings = config_settings(loaded);
        log_configure(&topics.settings->log);
        code = find_pipeline(&topics);
    }
    if (code == CLI_OK && feeds_load(&topics.feeds, topics.settings, topics.only, complain, NULL,
                                     &error) != ODS_OK) {
        complain(NULL, error.text);
        code = CLI_SOURCE;
    }
    if (code == CLI_OK && feeds_measure(&topics.feeds, topics.settings, NULL, &error) != ODS_OK) {
        complain(NULL, error.text);
        code = CLI_SOURCE;
    }
    if (code == CLI_OK)
        code = print(&topics);
    if (code == CLI_OK && topics.feeds.failed_target)
        code = CLI_TARGET;
    feeds_done(&topics.feeds);
    config_free(loaded);
    return cli_finish(code);
}

static const struct parameter options[] = {
    OPTION_CONFIG(struct topics_options),
    OPTION(struct topics_options, pipeline, "pipeline", &argument_pipeline,
           "only this pipeline's topics"),
    SWITCH(struct topics_options, partitions, "partitions", "each partition with its offsets"),
    OPTION_JSON(struct topics_options),
    {0}};

static const struct exit_meaning exits[] = {
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    {CLI_TARGET, "A target does not answer; what Kafka says is printed all the same."},
    {0}};

static const struct example examples[] = {
    {"ods-sink topics -c ods-sink.conf", "What is fed by what, and how far it is."},
    {"ods-sink topics -c ods-sink.conf --pipeline shop --partitions", "Each partition."},
    {0}};

const struct command cli_topics = {
    .name = "topics",
    .summary = "list the topics with their pipelines, offsets and lag",
    .description =
        "Asks Kafka and the targets; no daemon need run, and nothing is changed. `LAG` is how many "
        "offsets are not applied yet, by the offsets that the target has stored, which are the "
        "ones that count; `BEHIND` is how old the oldest of these records is; `NEWEST` is when the "
        "last record of the topic was written. Topics that no pipeline takes follow (without those "
        "that begin with `__`, which are Kafka's own), then pipelines that no topic feeds, and "
        "topics that the configuration names and Kafka does not have. Also shown are offsets that "
        "Kafka no longer has though they were not applied, and how long the topic's retention "
        "still keeps those that wait.\n\n"
        "`BYTES` is an estimate: by up to 24 records of each partition, keys and values without "
        "their compression, one replica. What the brokers' disks hold, Kafka's own "
        "`kafka-log-dirs.sh` tells; librdkafka does not ask for that.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct topics_options),
    .run = run,
};
