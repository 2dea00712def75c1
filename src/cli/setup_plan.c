/* What `ods-sink setup` finds there, and what it says is to do: topics of our own, connectors,
 * which Connect checks against the source, and the targets. Nothing is changed. */
#include <stdio.h>
#include <string.h>

#include <ods/sink.h>
#include "cli/connector_check.h"
#include "cli/setup_room.h"
#include "cli/signals.h"
#include "pipeline/worker.h"

/* --- the plan: topics of our own -------------------------------------------------------------- */

static void take_topic(void *context, const char *topic, int32_t partitions)
{
    json_object_set_new(context, topic, json_integer(partitions));
}

static int look_for_topics(struct setup *setup, struct error *error)
{
    json_object_clear(setup->topics);
    return kafka_admin_topics(setup->admin, take_topic, setup->topics, NULL, error) == ODS_OK
               ? CLI_OK
               : CLI_SOURCE;
}

/* Letters wait for a person, so they stay for ever; and a letter is larger than its record. */
const char *const setup_letter_settings[] = {
    "cleanup.policy", "delete", "retention.ms", "-1", "max.message.bytes", "2097152", NULL};
const char *const setup_signal_settings[] = {"cleanup.policy", "delete", NULL};

static void plan_topic(struct setup *setup, const char *topic, const char *what,
                       const char *const *settings)
{
    char text[64] = "";
    struct error error;
    if (!*topic)
        return;
    error_init(&error);
    if (!json_object_get(setup->topics, topic)) {
        setup_say(setup, "topic", STEP_TO_DO, "%s, for %s, is made with one partition", topic,
                  what);
        return;
    }
    if (settings == setup_letter_settings &&
        kafka_admin_setting(setup->admin, topic, "retention.ms", text, sizeof text, &error) ==
            ODS_OK &&
        *text && strcmp(text, "-1") != 0)
        setup_say(setup, "topic", STEP_NOTE,
                  "%s, for %s, is there; retention.ms = %s takes letters that nobody has seen",
                  topic, what, text);
    else
        setup_say(setup, "topic", STEP_DONE, "%s, for %s, is there", topic, what);
}

static void plan_topics(struct setup *setup)
{
    plan_topic(setup, setup->settings->dead_letter.topic, "dead letters", setup_letter_settings);
    for (size_t i = 0; i < setup->file_count; i++) {
        char room[300];
        plan_topic(setup, signals_topic(setup->files[i].config, room, sizeof room), "signals",
                   setup_signal_settings);
    }
}

/* A pipeline that takes a topic of the connector's own for one of rows makes letters of it. */
static void check_own_topic(struct setup *setup, const struct connector_file *file,
                            const char *topic, const char *what)
{
    for (size_t i = 0; *topic && i < setup->settings->pipeline_count; i++)
        if (pipeline_reads(&setup->settings->pipelines[i], topic))
            setup_say(setup, "signals", STEP_FAILED,
                      "pipeline %s reads %s, in which %s has %s: give the topic another name, or "
                      "see topics in tables.yaml",
                      setup->settings->pipelines[i].name, topic, file->name, what);
}

/* Can rows be asked for again later? */
static void plan_signals(struct setup *setup, const struct connector_file *file)
{
    char room[300];
    const char *topic = signals_topic(file->config, room, sizeof room);
    struct buffer lacks;
    buffer_init(&lacks);
    signals_lacks(file->config, &lacks);
    if (lacks.length)
        setup_say(setup, "signals", STEP_NOTE,
                  "%s can't be asked for rows again (verify --repair, resync --snapshot): %s; "
                  "docs/cli/verify.md has the settings, which --set may give",
                  file->name, buffer_text(&lacks));
    else
        setup_say(setup, "signals", STEP_DONE, "%s can be asked for rows again, by %s", file->name,
                  *topic ? topic : json_text(file->config, "signal.data.collection"));
    buffer_done(&lacks);
    check_own_topic(setup, file, topic, "signals");
    check_own_topic(setup, file, json_text(file->config, "notification.sink.topic.name"),
                    "notifications");
}

/* --- the plan: connectors --------------------------------------------------------------------- */

/* A topic that the connector writes, by its lists of what it captures; only plain names are tried.
 * False: they do not tell. */
static bool first_topic(const struct connector_file *file, char *topic, size_t size)
{
    static const struct {
        const char *property, *rest;
    } lists[] = {{"table.include.list", ""},
                 {"database.include.list", ".a_table"},
                 {"schema.include.list", ".a_table"}};
    const char *prefix = json_text(file->config, "topic.prefix");
    for (size_t i = 0; *prefix && i < sizeof lists / sizeof *lists; i++) {
        const char *list = json_text(file->config, lists[i].property);
        char one[512];
        snprintf(one, sizeof one, "%.*s%s", (int) strcspn(list, ","), list, lists[i].rest);
        if (!*list || strpbrk(list, "*+?[]()|\\^$"))
            continue;
        snprintf(topic, size, "%s.%s", prefix, one);
        return true;
    }
    return false;
}

static const struct pipeline_settings *reader_of(const struct setup *setup, const char *topic)
{
    for (size_t i = 0; i < setup->settings->pipeline_count; i++)
        if (pipeline_reads(&setup->settings->pipelines[i], topic))
            return &setup->settings->pipelines[i];
    return NULL;
}

/* Whether some pipeline would read what the connector writes. */
static void check_prefix(struct setup *setup, const struct connector_file *file)
{
    char topic[800];
    if (first_topic(file, topic, sizeof topic) && !reader_of(setup, topic))
        setup_say(setup, "connector", STEP_FAILED,
                  "%s writes topics such as %s, which no pipeline reads: see topics in tables.yaml "
                  "and topic.prefix",
                  file->name, topic);
}

const struct connect_settings *
setup_cluster_of(struct setup *setup, const struct connector_file *file, struct error *error)
{
    const struct settings *settings = setup->settings;
    const struct pipeline_settings *reader = NULL;
    char topic[800];
    if (setup->options->cluster)
        return setup->connectors.clusters[0];
    if (first_topic(file, topic, sizeof topic))
        reader = reader_of(setup, topic);
    for (size_t i = 0; !reader && i < settings->pipeline_count; i++)
        if (strcmp(settings->pipelines[i].connect, settings->pipelines[0].connect) != 0) {
            error_set(error, ODS_FATAL,
                      "%s: it is not known which cluster of Kafka Connect it is for: say so with "
                      "--cluster",
                      file->path);
            return NULL;
        }
    if (!reader && settings->pipeline_count)
        reader = &settings->pipelines[0];
    return settings_connect(settings, reader ? reader->connect : "");
}

bool setup_turn_to(struct setup *setup, size_t number, struct error *error)
{
    return connectors_ask(&setup->connectors, setup->clusters[number], error) == ODS_OK;
}

/* Only what loses values or rows, now or later; `connectors status` lists the rest. */
static void add_trouble(void *context, const struct trouble *trouble)
{
    if (trouble->weight != WEIGHT_NOTE)
        setup_say(context, "connector", STEP_NOTE, "%s: %s%s%s: %s; %s",
                  weight_name(trouble->weight), trouble->property,
                  *trouble->value ? " = " : " is not set", trouble->value, trouble->what,
                  trouble->advice);
}

static int plan_connector(struct setup *setup, size_t number, struct error *error)
{
    struct connector_file *file = &setup->files[number];
    json_t *changes = setup->changes[number];
    if (!setup_turn_to(setup, number, error)) {
        setup_say(setup, "connector", STEP_FAILED, "%s", error->text);
        return CLI_CONFIG;
    }
    int code = connectors_plan(&setup->connectors, file, changes, error);
    if (code != CLI_OK) {
        setup_say(setup, "connector", STEP_FAILED, "%s", error->text);
        return code;
    }
    size_t count = json_array_size(changes);
    if (count)
        setup_say(setup, "source", STEP_DONE,
                  "Connect takes %s's configuration, and reaches the source by it", file->name);
    setup_say(setup, "connector", count ? STEP_TO_DO : STEP_DONE,
              count ? "%s is registered or changed: %zu settings"
                    : "%s is there with these settings",
              file->name, count);
    connector_check(file->config, add_trouble, setup);
    plan_signals(setup, file);
    check_prefix(setup, file);
    return setup->told ? CLI_NEGATIVE : CLI_OK;
}

/* --- the plan: the target --------------------------------------------------------------------- */

static void ignore_line(void *context, const char *line)
{
}

/* Its rights are looked at, and, unless it is only planned, what the sink owns there is made. */
static int reach_target(struct setup *setup, const struct pipeline_settings *pipeline, bool make,
                        struct error *error)
{
    struct sink_config config;
    const struct sink_ops *ops = worker_target(setup->settings, pipeline, &config);
    struct sink *sink = NULL;
    enum ods_status status = ops->open(&sink, &config, error);
    if (status == ODS_OK && make)
        status = ops->connect(sink, error);
    else if (status == ODS_OK && ops->check)
        status = ops->check(sink, ignore_line, NULL, error);
    ops->close(sink);
    if (status != ODS_OK) {
        setup_say(setup, "target", STEP_FAILED, "pipeline %s: %s", pipeline->name, error->text);
        return CLI_TARGET;
    }
    setup_say(setup, "target", STEP_DONE,
              make         ? "pipeline %s: target %s has what ods-sink owns there"
              : ops->check ? "pipeline %s: target %s answers, and its user has the rights"
                           : "pipeline %s: target %s needs nothing beforehand",
              pipeline->name, config.name);
    return CLI_OK;
}

int setup_reach_targets(struct setup *setup, bool make, struct error *error)
{
    int code = CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < setup->settings->pipeline_count; i++)
        code = reach_target(setup, &setup->settings->pipelines[i], make, error);
    return code;
}

int setup_plan(struct setup *setup, struct error *error)
{
    int code = look_for_topics(setup, error);
    if (code != CLI_OK) {
        setup_say(setup, "Kafka", STEP_FAILED, "%s", error->text);
        return code;
    }
    setup_say(setup, "Kafka", STEP_DONE, "%s answers", setup->settings->kafka.bootstrap_servers);
    plan_topics(setup);
    for (size_t i = 0; code == CLI_OK && i < setup->file_count; i++)
        code = plan_connector(setup, i, error);
    return code == CLI_OK ? setup_reach_targets(setup, false, error) : code;
}
