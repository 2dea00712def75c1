/* All that a pipeline has made goes: its connector with its offsets and schema history, its offsets
 * and tables in the target, its consumer group, its dead letters. In this order, so that nothing
 * comes anew meanwhile; each step may be done again, so a second run goes on where the first
 * one ended. A pipeline that reads something else than Kafka has neither connector nor group. */
#include "cli/reset_all.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/control.h>
#include <ods/sink.h>
#include <ods/source.h>
#include "cli/confirm.h"
#include "cli/connector.h"
#include "cli/feeds.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/reset_extent.h"
#include "pipeline/worker.h"
#include "source/kafka/kafka_admin.h"
#include "source/kafka/kafka_tool.h"

/* A connector whose topics the pipeline reads. */
struct feeder {
    char *name, *history; /* history: the topic of its schema history, or NULL */
    char *slot;           /* at the source, which stays; or NULL */
};

struct reset {
    const struct call *call;
    const struct reset_all_options *options;
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct feeds feeds;
    struct forgotten *tables;
    char **table_names; /* "schema.table", which the above point into */
    size_t table_count;
    json_t *kept; /* tables that stay, and why */
    struct feeder *feeders;
    size_t feeder_count;
    struct connect *connect;
    struct sink *sink;
    int64_t offsets;
    bool letters; /* the dead-letter topic is this pipeline's alone */
};

static void say(const struct reset *reset, const struct error *error)
{
    terminal_line(stderr, "ods-sink %s: %s", reset->call->name, error->text);
}

/* --- what there is ---------------------------------------------------------------------------- */

static int find_pipeline(struct reset *reset)
{
    const struct settings *settings = reset->settings;
    const char *name = reset->options->pipeline;
    if (name)
        reset->pipeline = settings_pipeline(settings, name);
    else if (settings->pipeline_count == 1)
        reset->pipeline = &settings->pipelines[0];
    if (reset->pipeline && source_find(reset->pipeline->input.type)->kind == SOURCE_DELIVERIES)
        return cli_usage(reset->call->name,
                         "pipeline %s reads a queue (%s), which hands out each record once: what "
                         "is emptied here would not come again",
                         reset->pipeline->name, reset->pipeline->input.type);
    if (reset->pipeline)
        return CLI_OK;
    return name ? cli_usage(reset->call->name, "there is no pipeline \"%s\"", name)
                : cli_usage(reset->call->name,
                            "there are %zu pipelines: say which one with --pipeline",
                            settings->pipeline_count);
}

static bool is_of_kafka(const struct reset *reset)
{
    return strcmp(reset->pipeline->input.type, "kafka") == 0;
}

static bool is_shared(const struct reset *reset, const struct feed *feed)
{
    for (size_t i = 0; i < reset->feeds.feed_count; i++) {
        const struct feed *other = &reset->feeds.feeds[i];
        if (other->pipeline != reset->pipeline && other->table &&
            strcmp(other->pipeline->target, reset->pipeline->target) == 0 &&
            strcmp(other->table, feed->table) == 0)
            return true;
    }
    return false;
}

static bool is_listed(const struct reset *reset, const char *table)
{
    for (size_t i = 0; i < reset->table_count; i++)
        if (strcmp(reset->table_names[2 * i], table) == 0)
            return true;
    return false;
}

/* "schema.table": a schema's name has no dot that the target's own did not give it. */
static bool add_table(struct reset *reset, const char *table)
{
    struct forgotten *larger =
        realloc(reset->tables, (reset->table_count + 1) * sizeof *larger);
    char **names = realloc(reset->table_names, 2 * (reset->table_count + 1) * sizeof *names);
    if (larger)
        reset->tables = larger;
    if (names)
        reset->table_names = names;
    if (!larger || !names)
        return false;
    const char *dot = strchr(table, '.');
    char *whole = strdup(table), *schema = strndup(table, (size_t) (dot - table));
    names[2 * reset->table_count] = whole;
    names[2 * reset->table_count + 1] = schema;
    larger[reset->table_count] =
        (struct forgotten){.schema = schema, .table = whole ? whole + (dot - table) + 1 : NULL};
    reset->table_count++;
    return whole && schema;
}

static void keep(struct reset *reset, const char *what, const char *why)
{
    json_array_append_new(reset->kept, json_pack("{s:s,s:s}", "what", what, "why", why));
}

static bool list_tables(struct reset *reset)
{
    for (size_t i = 0; i < reset->feeds.feed_count; i++) {
        const struct feed *feed = &reset->feeds.feeds[i];
        if (feed->pipeline != reset->pipeline || feed->skipped)
            continue;
        if (!feed->table)
            keep(reset, feed->topic, "which tables the topic fills, its records alone say");
        else if (is_shared(reset, feed))
            keep(reset, feed->table, "another pipeline writes it too");
        else if (!is_listed(reset, feed->table) && !add_table(reset, feed->table))
            return false;
        if (feed->history && !is_listed(reset, feed->history) && !add_table(reset, feed->history))
            return false;
    }
    return true;
}

/* --- connectors ------------------------------------------------------------------------------- */

/* Does a pipeline read a topic of the connector? `others`: another one than that to reset. */
static bool feeds(const struct reset *reset, const json_t *config, bool others)
{
    const char *prefix = json_text(config, "topic.prefix");
    size_t length = strlen(prefix);
    for (size_t i = 0; length && i < reset->feeds.feed_count; i++) {
        const struct feed *feed = &reset->feeds.feeds[i];
        if (feed->pipeline && (feed->pipeline == reset->pipeline) != others &&
            strncmp(feed->topic, prefix, length) == 0 && feed->topic[length] == '.')
            return true;
    }
    return false;
}

static char *text_or_null(const json_t *config, const char *name)
{
    const char *text = json_text(config, name);
    return *text ? strdup(text) : NULL;
}

static bool add_feeder(struct reset *reset, const char *name, const json_t *config)
{
    struct feeder *larger = realloc(reset->feeders, (reset->feeder_count + 1) * sizeof *larger);
    if (!larger)
        return false;
    reset->feeders = larger;
    bool postgres = strstr(json_text(config, "connector.class"), "Postgres") != NULL;
    larger[reset->feeder_count++] = (struct feeder){
        .name = strdup(name),
        .history = text_or_null(config, "schema.history.internal.kafka.topic"),
        .slot = postgres ? strdup(*json_text(config, "slot.name") ? json_text(config, "slot.name")
                                                                  : "debezium")
                         : NULL};
    return true;
}

static int list_connectors(struct reset *reset, struct error *error)
{
    json_t *all, *one;
    const char *name;
    const struct connect_settings *cluster =
        settings_connect(reset->settings, reset->pipeline->connect);
    if (!*cluster->url) {
        keep(reset, "connectors",
             "connect.url is not set, nor has the pipeline a cluster (connect)");
        return CLI_OK;
    }
    if (connect_open(&reset->connect, cluster, NULL, error) != ODS_OK ||
        connect_ask(reset->connect, "GET", "/connectors?expand=info", NULL, &all, error) != ODS_OK)
        return CLI_SOURCE;
    bool good = true;
    json_object_foreach(all, name, one)
    {
        const json_t *config = json_object_get(json_object_get(one, "info"), "config");
        if (!feeds(reset, config, false))
            continue;
        if (feeds(reset, config, true))
            keep(reset, name, "a connector that feeds other pipelines too");
        else if (good)
            good = add_feeder(reset, name, config);
    }
    json_decref(all);
    if (!good)
        error_out_of_memory(error);
    return good ? CLI_OK : CLI_INTERNAL;
}

/* --- looking ---------------------------------------------------------------------------------- */

int reset_refuse_while_alive(struct kafka_tool *tool, const char *group, struct error *error)
{
    char first[256];
    int members;
    if (kafka_tool_members(tool, &members, first, sizeof first, error) != ODS_OK)
        return CLI_SOURCE;
    if (!members)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "group %s has %d member%s (%s): stop every daemon of this pipeline first; one that "
              "was killed counts until session.timeout.ms has passed",
              group, members, members == 1 ? "" : "s", first);
    return CLI_NEGATIVE;
}

static bool goes(const struct forgotten *table)
{
    return table->there && !table->untouched && !*table->writers;
}

static void tell_kept_tables(struct reset *reset)
{
    for (size_t i = 0; i < reset->table_count; i++) {
        const struct forgotten *table = &reset->tables[i];
        char why[sizeof table->writers + 32];
        snprintf(why, sizeof why, "%s writes it too", table->writers);
        if (table->there && *table->writers)
            keep(reset, reset->table_names[2 * i], why);
        else if (table->there && table->untouched)
            keep(reset, reset->table_names[2 * i],
                 "somebody else made it, and no pipeline has written it");
    }
}

/* Without a group in Kafka the target knows which daemons run, if it keeps orders. */
static int refuse_daemons(const struct reset *reset, struct error *error)
{
    assert(reset->sink); /* look_at_target() comes first */
    const struct control_ops *control = reset->sink->ops->control;
    struct control_members members = {0};
    if (!control)
        return CLI_OK;
    enum ods_status status = reset->sink->ops->connect(reset->sink, error);
    if (status == ODS_OK)
        status = control->members(reset->sink, &members, error);
    if (status == ODS_OK && members.count)
        error_set(error, ODS_FATAL,
                  "pipeline %s has a daemon that runs (%s): stop every daemon of it first",
                  reset->pipeline->name, members.items[0].name);
    bool alive = members.count;
    free(members.items);
    return status != ODS_OK ? CLI_TARGET : alive ? CLI_NEGATIVE : CLI_OK;
}

static int refuse_while_alive(const struct reset *reset, struct error *error)
{
    struct kafka_tool *tool;
    if (!is_of_kafka(reset))
        return refuse_daemons(reset, error);
    const char *group = reset->pipeline->group_id;
    int code = kafka_tool_open(&tool, reset->settings, group, error) == ODS_OK
                   ? reset_refuse_while_alive(tool, group, error)
                   : CLI_SOURCE;
    kafka_tool_close(tool);
    return code;
}

static int look_at_target(struct reset *reset, struct error *error)
{
    struct sink_config config;
    const struct sink_ops *ops = worker_target(reset->settings, reset->pipeline, &config);
    if (!ops->forget) {
        error_set(error, ODS_FATAL, "a target of type %s can't be emptied by this command",
                  ops->type);
        return CLI_CONFIG;
    }
    if (ops->open(&reset->sink, &config, error) != ODS_OK)
        return CLI_CONFIG;
    if (ops->forget(reset->sink, reset->tables, reset->table_count, true, &reset->offsets,
                    error) != ODS_OK)
        return CLI_TARGET;
    tell_kept_tables(reset);
    return CLI_OK;
}

/* --- topics ----------------------------------------------------------------------------------- */

static bool take_topic(void *context, const char *topic)
{
    struct reset *reset = context;
    return feeds_add(&reset->feeds, reset->settings, reset->pipeline, topic);
}

/* Of another source than Kafka: those that stand in its file, or else those that are named. */
static int list_topics(struct reset *reset, struct error *error)
{
    const struct strings *topics = &reset->pipeline->topics;
    if (strcmp(reset->pipeline->input.type, "file") == 0)
        return topics_of_file(reset->pipeline, take_topic, reset, error);
    for (size_t i = 0; i < topics->count; i++)
        if (*topics->items[i] == '^')
            keep(reset, topics->items[i],
                 "which topics the pattern fits, and so which tables, the source alone knows");
        else if (!take_topic(reset, topics->items[i])) {
            error_out_of_memory(error);
            return CLI_INTERNAL;
        }
    return CLI_OK;
}

static void complain(void *context, const char *text)
{
    terminal_line(stderr, "ods-sink reset: %s", text);
}

static int look(struct reset *reset, struct error *error)
{
    int code = find_pipeline(reset);
    if (code != CLI_OK)
        return code;
    assert(reset->pipeline);
    if (!is_of_kafka(reset))
        code = list_topics(reset, error);
    else if (feeds_load(&reset->feeds, reset->settings, NULL, complain, NULL, error) != ODS_OK)
        code = CLI_SOURCE;
    if (code != CLI_OK)
        return code;
    if (!list_tables(reset)) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    if (is_of_kafka(reset)) {
        code = refuse_while_alive(reset, error);
        if (code == CLI_OK)
            code = list_connectors(reset, error);
        if (code == CLI_OK)
            code = look_at_target(reset, error);
    } else {
        keep(reset, "connectors", "the pipeline reads no topics of Kafka, so none feeds it");
        code = look_at_target(reset, error);
        if (code == CLI_OK)
            code = refuse_while_alive(reset, error);
    }
    const char *letters = reset->settings->dead_letter.topic;
    reset->letters = *letters && reset->settings->pipeline_count == 1;
    if (*letters && !reset->letters)
        keep(reset, letters, "other pipelines have dead letters there too");
    return code;
}

/* --- saying ----------------------------------------------------------------------------------- */

static void print_plan(const struct reset *reset)
{
    size_t i;
    json_t *one;
    terminal_line(stdout, "pipeline %s begins anew. What goes:", reset->pipeline->name);
    for (i = 0; i < reset->feeder_count; i++) {
        terminal_line(stdout, "  connector %s, and how far it has read", reset->feeders[i].name);
        if (reset->feeders[i].history)
            terminal_line(stdout, "  its schema history, topic %s", reset->feeders[i].history);
    }
    terminal_line(stdout, "  %lld offsets of group %s in target %s%s", (long long) reset->offsets,
                  reset->pipeline->group_id, reset->pipeline->target,
                  is_of_kafka(reset) ? ", and the group in Kafka" : "");
    for (i = 0; i < reset->table_count; i++)
        if (goes(&reset->tables[i]))
            terminal_line(stdout, "  table %s (%lld KB): %s", reset->table_names[2 * i],
                          (long long) (reset->tables[i].bytes + 1023) / 1024,
                          reset->tables[i].made_here ? "dropped, since ods-sink made it"
                          : reset->tables[i].keeps_versions
                              ? "emptied; its older versions have the rows until they expire"
                              : "emptied, since somebody else made it");
    if (reset->letters)
        terminal_line(stdout,
                      "  the dead letters, topic %s: all of them, also those of other daemons",
                      reset->settings->dead_letter.topic);
    puts("What stays:");
    for (i = 0; i < reset->feeder_count; i++)
        if (reset->feeders[i].slot)
            terminal_line(stdout, "  replication slot %s at the source of %s: drop it there",
                          reset->feeders[i].slot, reset->feeders[i].name);
    json_array_foreach(reset->kept, i, one)
        terminal_line(stdout, "  %s: %s", json_text(one, "what"), json_text(one, "why"));
    if (is_of_kafka(reset))
        puts("  the topics with their records, which are applied again from the beginning");
    else if (strcmp(reset->pipeline->input.type, "file") == 0)
        terminal_line(stdout,
                      "  the file %s with its records, which are applied again from its beginning",
                      path_of_file(reset->pipeline));
    else
        terminal_line(stdout,
                      "  what the source (%s) has: it is asked for all of it again, from number 0",
                      reset->pipeline->input.type);
}

static void print_json(const struct reset *reset, bool done)
{
    json_t *tables = json_array(), *connectors = json_array();
    for (size_t i = 0; i < reset->table_count; i++)
        if (goes(&reset->tables[i]))
            json_array_append_new(
                tables, json_pack("{s:s,s:I,s:s}", "table", reset->table_names[2 * i], "bytes",
                                  (json_int_t) reset->tables[i].bytes, "what",
                                  reset->tables[i].made_here ? "dropped" : "emptied"));
    for (size_t i = 0; i < reset->feeder_count; i++)
        json_array_append_new(connectors,
                              json_pack("{s:s,s:s?}", "name", reset->feeders[i].name,
                                        "schema_history", reset->feeders[i].history));
    json_t *root = json_pack("{s:s,s:s,s:b,s:I,s:o,s:o,s:s?,s:O}", "pipeline",
                             reset->pipeline->name, "group", reset->pipeline->group_id, "changed",
                             done, "offsets", (json_int_t) reset->offsets, "tables", tables,
                             "connectors", connectors, "dead_letters",
                             reset->letters ? reset->settings->dead_letter.topic : NULL, "kept",
                             reset->kept);
    cli_print_json(root);
}

/* --- doing ------------------------------------------------------------------------------------ */

static int remove_connectors(const struct reset *reset, struct kafka_admin *admin,
                             struct error *error)
{
    for (size_t i = 0; i < reset->feeder_count; i++) {
        const struct feeder *feeder = &reset->feeders[i];
        if (interrupt_came())
            return interrupt_code();
        if (connector_forget(reset->connect, feeder->name, reset->options->wait_ms / 1000, error) !=
                ODS_OK ||
            connector_tell(reset->connect, "DELETE", feeder->name, "", error) != ODS_OK ||
            (feeder->history &&
             kafka_admin_delete_topic(admin, feeder->history, error) != ODS_OK))
            return CLI_SOURCE;
    }
    return CLI_OK;
}

static int act(struct reset *reset, struct kafka_admin *admin, struct error *error)
{
    int code = remove_connectors(reset, admin, error);
    if (code == CLI_OK)
        code = refuse_while_alive(reset, error);
    if (code == CLI_OK && interrupt_came())
        code = interrupt_code();
    if (code == CLI_OK &&
        reset->sink->ops->forget(reset->sink, reset->tables, reset->table_count, false,
                                 &reset->offsets, error) != ODS_OK)
        code = CLI_TARGET;
    if (code == CLI_OK && is_of_kafka(reset) &&
        kafka_admin_delete_group(admin, reset->pipeline->group_id, error) != ODS_OK)
        code = CLI_SOURCE;
    if (code == CLI_OK && reset->letters &&
        kafka_admin_delete_topic(admin, reset->settings->dead_letter.topic, error) != ODS_OK)
        code = CLI_SOURCE;
    return code;
}

static int ask_and_act(struct reset *reset, struct error *error)
{
    struct kafka_admin *admin = NULL;
    if (!reset->options->json)
        print_plan(reset);
    if (reset->options->dry_run) {
        if (reset->options->json)
            print_json(reset, false);
        else
            puts("nothing was changed");
        return CLI_OK;
    }
    int code = confirm(reset->call->name, "This can't be undone.", reset->pipeline->name,
                       reset->options->yes);
    if (code != CLI_OK)
        return code;
    bool asks_kafka = is_of_kafka(reset) || reset->letters;
    if (asks_kafka &&
        kafka_admin_open(&admin, reset->settings, reset->pipeline->group_id, error) != ODS_OK)
        return CLI_SOURCE;
    interrupt_catch();
    code = act(reset, admin, error);
    kafka_admin_close(admin);
    if (code == CLI_OK && reset->options->json)
        print_json(reset, true);
    else if (code == CLI_OK)
        puts("done");
    else
        terminal_line(stderr, "ods-sink %s: not all of it is done; the same command goes on",
                      reset->call->name);
    return code;
}

int reset_all(const struct call *call, const struct settings *settings,
              const struct reset_all_options *options)
{
    struct reset reset = {
        .call = call, .options = options, .settings = settings, .kept = json_array()};
    struct error error;
    error_init(&error);
    int code = look(&reset, &error);
    if (code == CLI_OK) {
        error_init(&error);
        code = ask_and_act(&reset, &error);
    }
    if (code != CLI_OK && *error.text)
        say(&reset, &error);
    if (reset.sink)
        reset.sink->ops->close(reset.sink);
    connect_close(reset.connect);
    feeds_done(&reset.feeds);
    for (size_t i = 0; i < 2 * reset.table_count; i++)
        free(reset.table_names[i]);
    for (size_t i = 0; i < reset.feeder_count; i++) {
        free(reset.feeders[i].name);
        free(reset.feeders[i].history);
        free(reset.feeders[i].slot);
    }
    free(reset.table_names);
    free(reset.tables);
    free(reset.feeders);
    json_decref(reset.kept);
    return code;
}
