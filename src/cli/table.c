/* Which topics carry a table. See table.h.
 *
 * Three know it: the target, which keeps what each topic has brought so far; the configuration,
 * where it names topics for a table; and the topics' names, which end in their table's.
 */
#include "cli/table.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ods/pipeline.h>

#include "cli/json.h"
#include "cli/lake_instead.h"
#include "cli/terminal.h"
#include "core/log.h"
#include "pipeline/worker.h"
#include "source/kafka/kafka.h"

/* --- does a topic carry it? ------------------------------------------------------------------ */

/* Topics have "_" for what they can't have. */
static bool ends_in(const char *topic, const char *name)
{
    size_t length = strlen(name), whole = strlen(topic);
    if (whole < length || (whole > length && topic[whole - length - 1] != '.'))
        return false;
    for (size_t i = 0; i < length; i++) {
        char at = name[i];
        bool usual = (at >= 'a' && at <= 'z') || (at >= 'A' && at <= 'Z') ||
                     (at >= '0' && at <= '9') || strchr("._-", at);
        if (topic[whole - length + i] != (usual ? at : '_'))
            return false;
    }
    return true;
}

static bool is_configured(const struct pipeline_settings *pipeline, const char *topic,
                          const char *name)
{
    const struct table_settings *other,
        *settings = pipeline_table_of_topic(pipeline, topic, &other);
    return settings && (strcmp(settings->name, name) == 0 || strcmp(settings->target, name) == 0);
}

static bool is_noted(const struct table *table, const char *topic)
{
    for (size_t i = 0; i < table->known.count; i++)
        if (strcmp(table->known.items[i].topic, topic) == 0 &&
            topic_table_is(&table->known.items[i], table->options->name))
            return true;
    return false;
}

/* --- all topics of a pipeline ---------------------------------------------------------------- */

struct search {
    struct table *table;
    bool failed;
};

static void add_topic(struct search *search, const char *topic, int32_t partitions)
{
    struct table *table = search->table;
    size_t count = table->topic_count;
    struct table_topic *topics = realloc(table->topics, (count + 1) * sizeof *topics);
    if (topics)
        table->topics = topics;
    const char **names = realloc(table->names.items, (count + 1) * sizeof *names);
    if (names)
        table->names.items = names;
    char *copy = strdup(topic);
    if (!topics || !names || !copy) {
        free(copy);
        search->failed = true;
        return;
    }
    topics[count] = (struct table_topic){copy, partitions};
    names[count] = copy;
    table->names.count = ++table->topic_count;
}

static void consider(void *context, const char *topic, int32_t partitions)
{
    struct search *search = context;
    const struct table *table = search->table;
    const char *name = table->options->name;
    if (strcmp(topic, table->settings->dead_letter.topic) == 0)
        return;
    if (strcmp(topic, name) == 0 || is_noted(table, topic) ||
        is_configured(table->pipeline, topic, name) || ends_in(topic, name))
        add_topic(search, topic, partitions);
}

/* Several topics are one table's when the target has seen all of them bring it, or when they were
 * named for it; else the name is that of several tables. */
static int tell_apart(struct table *table, struct error *error)
{
    const char *first = NULL;
    for (size_t i = 0; i < table->topic_count; i++) {
        const char *topic = table->topics[i].name;
        char target[sizeof table->target] = "";
        for (size_t k = 0; k < table->known.count; k++) {
            const struct topic_table *row = &table->known.items[k];
            if (strcmp(row->topic, topic) != 0 ||
                (!topic_table_is(row, table->options->name) &&
                 strcmp(topic, table->options->name) != 0))
                continue;
            snprintf(target, sizeof target, "%s.%s", row->target_schema, row->target_table);
            table->goes_to = row;
        }
        if (!first) {
            first = topic;
            snprintf(table->target, sizeof table->target, "%s", target);
        } else if (!*target || strcmp(target, table->target) != 0) {
            bool configured = is_configured(table->pipeline, first, table->options->name) &&
                              is_configured(table->pipeline, topic, table->options->name);
            if (configured)
                continue;
            error_set(error, ODS_FATAL,
                      "topics %s and %s both end in \"%s\", and may be of two tables: say which, "
                      "as database.table or by the topic's name",
                      first, topic, table->options->name);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

static bool is_topic(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->topic_count; i++)
        if (strcmp(table->topics[i].name, name) == 0)
            return true;
    return false;
}

/* Tables that its topics carry besides. */
static void find_others(struct table *table)
{
    for (size_t i = 0; i < table->known.count; i++) {
        const struct topic_table *row = &table->known.items[i];
        char target[sizeof table->target];
        size_t length = strlen(table->others);
        snprintf(target, sizeof target, "%s.%s", row->target_schema, row->target_table);
        if (!is_topic(table, row->topic) || topic_table_is(row, table->options->name) ||
            strcmp(target, table->target) == 0 || strstr(table->others, target))
            continue;
        snprintf(table->others + length, sizeof table->others - length, "%s%s", length ? ", " : "",
                 target);
    }
}

/* --- opening --------------------------------------------------------------------------------- */

static int connect_to(struct table *table, struct error *error)
{
    struct sink_config config;
    const struct sink_ops *ops = worker_target(table->settings, table->pipeline, &config);
    if (!ops->control) {
        error_set(error, ODS_FATAL,
                  "pipeline \"%s\": target \"%s\", of type %s, keeps no orders about single "
                  "tables, so this is not supported there%s",
                  table->pipeline->name, config.name, ops->type,
                  lake_instead(ops->type, LAKE_ORDERS));
        return CLI_NEGATIVE;
    }
    if (ops->open(&table->sink, &config, error) != ODS_OK)
        return CLI_CONFIG;
    enum ods_status status = ops->connect(table->sink, error);
    if (status == ODS_OK)
        status = ops->control->tables(table->sink, &table->known, error);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

static void forget_pipeline(struct table *table)
{
    if (table->sink)
        table->sink->ops->close(table->sink);
    table->sink = NULL;
    kafka_tool_close(table->tool);
    table->tool = NULL;
    topic_tables_done(&table->known);
    table->pipeline = NULL;
}

/* Look for the table in one pipeline. */
static int search(struct table *table, const struct pipeline_settings *pipeline,
                  struct error *error)
{
    struct search search = {.table = table};
    table->pipeline = pipeline;
    int code = connect_to(table, error);
    if (code != CLI_OK)
        return code;
    if (kafka_tool_open(&table->tool, table->settings, pipeline->group_id, error) != ODS_OK ||
        kafka_tool_topics(table->tool, pipeline, consider, &search, error) != ODS_OK)
        return CLI_SOURCE;
    if (!search.failed)
        return CLI_OK;
    error_out_of_memory(error);
    return CLI_INTERNAL;
}

/* The pipelines whose source is Kafka are looked through; the table is to be in one of them. */
static int find(struct table *table, struct error *error)
{
    const struct settings *settings = table->settings;
    const char *wanted = table->options->pipeline;
    const struct pipeline_settings *found = NULL;
    size_t named = 0;
    struct error unsupported;
    error_init(&unsupported);
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        if ((wanted && strcmp(wanted, pipeline->name) != 0) ||
            strcmp(pipeline->input.type, "kafka") != 0)
            continue;
        size_t before = table->topic_count;
        named++;
        forget_pipeline(table);
        int code = search(table, pipeline, error);
        if (code == CLI_NEGATIVE) { /* another pipeline may be meant */
            unsupported = *error;
            continue;
        }
        if (code != CLI_OK)
            return code;
        if (table->topic_count > before && found) {
            error_set(error, ODS_FATAL,
                      "pipelines \"%s\" and \"%s\" both read %s: say which one with --pipeline",
                      found->name, pipeline->name, table->options->name);
            return CLI_USAGE;
        }
        if (table->topic_count > before)
            found = pipeline;
    }
    if (wanted && !named)
        error_set(error, ODS_FATAL, "there is no pipeline \"%s\" that reads Kafka", wanted);
    else if (!found && *unsupported.text)
        *error = unsupported;
    else if (!found)
        error_set(error, ODS_FATAL,
                  "no topic carries %s, as far as is known; a topic that is not there yet is "
                  "picked up when it appears",
                  table->options->name);
    if (!found)
        return *unsupported.text ? CLI_NEGATIVE : CLI_USAGE;
    if (table->pipeline != found) { /* others were looked at after it */
        size_t count = table->topic_count;
        forget_pipeline(table);
        int code = search(table, found, error);
        while (table->topic_count > count)
            free(table->topics[--table->topic_count].name);
        table->names.count = table->topic_count;
        return code;
    }
    return CLI_OK;
}

static int refuse_shared(const struct table *table, struct error *error)
{
    if (!*table->others || table->options->whole_topic)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "topic %s carries %s too: order and offsets are those of the topic's partitions, so "
              "that one of its tables can't stop while the others go on; --whole-topic does it "
              "for all of them",
              table->topics[0].name, table->others);
    return CLI_NEGATIVE;
}

int table_open(struct table *table, const struct call *call, const struct table_options *options,
               struct error *error)
{
    *table = (struct table){.call = call, .options = options};
    error_init(error);
    int code = cli_load(&table->loaded, options->config);
    if (code != CLI_OK)
        return code;
    table->settings = config_settings(table->loaded);
    log_configure(&table->settings->log);
    cli_operator(table->by, sizeof table->by);
    code = find(table, error);
    if (code == CLI_OK)
        code = tell_apart(table, error);
    if (code != CLI_OK)
        return code;
    find_others(table);
    return refuse_shared(table, error);
}

void table_close(struct table *table)
{
    forget_pipeline(table);
    for (size_t i = 0; i < table->topic_count; i++)
        free(table->topics[i].name);
    free(table->topics);
    free(table->names.items);
    free(table->positions);
    free(table->lows);
    free(table->highs);
    free(table->obeying.items);
    config_free(table->loaded);
}

int table_failed(const struct table *table, int code, const struct error *error)
{
    if (code != CLI_OK && *error->text)
        terminal_line(stderr, "ods-sink %s: %s", table->call->name, error->text);
    return code;
}
