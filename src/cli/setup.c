/* ods-sink setup: a whole pipeline from its files. What is there already stays, what is missing is
 * made, and each step is waited for until it is true: topics of our own, connectors (whose
 * configuration Connect checks against the source), the target's schema, the source's topics, their
 * first records, and, where a daemon runs, that they are applied. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ods/sink.h>
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/confirm.h"
#include "cli/connector_check.h"
#include "cli/connectors.h"
#include "cli/feeds.h"
#include "cli/interrupt.h"
#include "cli/signals.h"
#include "core/log.h"
#include "core/time.h"
#include "pipeline/worker.h"
#include "source/kafka/kafka_admin.h"
#include "source/kafka/kafka_tool.h"

#define POLL_US 500000

struct setup_options {
    const char *config, *cluster;
    struct strings connectors, sets;
    bool json, yes, dry_run;
    int64_t wait_ms;
};

enum step_state { STEP_DONE, STEP_TO_DO, STEP_NOTE, STEP_FAILED };

struct setup {
    const struct call *call;
    const struct setup_options *options;
    const struct settings *settings;
    struct connectors_options connector_options;
    struct connectors connectors;
    struct connector_file *files;
    json_t **changes; /* by file */
    const struct connect_settings **clusters; /* by file */
    size_t file_count;
    struct kafka_admin *admin;
    json_t *topics; /* those that there are, as keys */
    json_t *steps;  /* what was done, or is to be done */
    size_t to_do;
    bool told; /* a failure has been reported */
};

static void add_step(struct setup *setup, const char *what, enum step_state state,
                     const char *format, ...) __attribute__((format(printf, 4, 5)));

static void add_step(struct setup *setup, const char *what, enum step_state state,
                     const char *format, ...)
{
    static const char *const names[] = {"done", "to do", "note", "failed"};
    static const enum paint paints[] = {PAINT_GOOD, PAINT_WARN, PAINT_DIM,
                                        PAINT_BAD};
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    setup->to_do += state == STEP_TO_DO;
    setup->told |= state == STEP_FAILED;
    json_array_append_new(setup->steps, json_pack("{s:s,s:s,s:s}", "step", what, "state",
                                                  names[state], "text", text));
    if (setup->options->json)
        return;
    const struct terminal *terminal = setup->call->terminal;
    printf("%s%-7s%s", terminal_paint(terminal, paints[state]), names[state],
           terminal_plain(terminal, paints[state]));
    terminal_line(stdout, "%-11s%s", what, text);
    fflush(stdout);
}

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
static const char *const letter_settings[] = {"cleanup.policy",    "delete",  "retention.ms", "-1",
                                              "max.message.bytes", "2097152", NULL};
static const char *const signal_settings[] = {"cleanup.policy", "delete", NULL};

static void plan_topic(struct setup *setup, const char *topic, const char *what,
                       const char *const *settings)
{
    char text[64] = "";
    struct error error;
    if (!*topic)
        return;
    error_init(&error);
    if (!json_object_get(setup->topics, topic)) {
        add_step(setup, "topic", STEP_TO_DO, "%s, for %s, is made with one partition", topic, what);
        return;
    }
    if (settings == letter_settings &&
        kafka_admin_setting(setup->admin, topic, "retention.ms", text, sizeof text, &error) ==
            ODS_OK &&
        *text && strcmp(text, "-1") != 0)
        add_step(setup, "topic", STEP_NOTE,
                 "%s, for %s, is there; retention.ms = %s takes letters that nobody has seen",
                 topic,
                 what, text);
    else
        add_step(setup, "topic", STEP_DONE, "%s, for %s, is there", topic, what);
}

static void plan_topics(struct setup *setup)
{
    plan_topic(setup, setup->settings->dead_letter.topic, "dead letters", letter_settings);
    for (size_t i = 0; i < setup->file_count; i++) {
        char room[300];
        plan_topic(setup, signals_topic(setup->files[i].config, room, sizeof room), "signals",
                   signal_settings);
    }
}

/* A pipeline that takes a topic of the connector's own for one of rows makes letters of it. */
static void check_own_topic(struct setup *setup, const struct connector_file *file,
                            const char *topic, const char *what)
{
    for (size_t i = 0; *topic && i < setup->settings->pipeline_count; i++)
        if (pipeline_reads(&setup->settings->pipelines[i], topic))
            add_step(setup, "signals", STEP_FAILED,
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
        add_step(setup, "signals", STEP_NOTE,
                 "%s can't be asked for rows again (verify --repair, resync --snapshot): %s; "
                 "docs/cli/verify.md has the settings, which --set may give",
                 file->name, buffer_text(&lacks));
    else
        add_step(setup, "signals", STEP_DONE, "%s can be asked for rows again, by %s", file->name,
                 *topic ? topic : json_text(file->config, "signal.data.collection"));
    buffer_done(&lacks);
    check_own_topic(setup, file, topic, "signals");
    check_own_topic(setup, file, json_text(file->config, "notification.sink.topic.name"),
                    "notifications");
}

static int make_topic(struct setup *setup, const char *topic, const char *const *settings,
                      struct error *error)
{
    if (!*topic || json_object_get(setup->topics, topic))
        return CLI_OK;
    if (kafka_admin_create(setup->admin, topic, 1, -1, settings, error) != ODS_OK) {
        add_step(setup, "topic", STEP_FAILED, "%s", error->text);
        return CLI_SOURCE;
    }
    json_object_set_new(setup->topics, topic, json_integer(1));
    add_step(setup, "topic", STEP_DONE, "%s is made", topic);
    return CLI_OK;
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
        add_step(setup, "connector", STEP_FAILED,
                 "%s writes topics such as %s, which no pipeline reads: see topics in tables.yaml "
                 "and topic.prefix",
                 file->name, topic);
}

/* Where the connector is registered: in the cluster of --cluster, in that of the pipeline which
 * reads its topics, or in that of all pipelines. NULL: the error says why that can't be told. */
static const struct connect_settings *
cluster_of(struct setup *setup, const struct connector_file *file, struct error *error)
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

/* Ask the connector's cluster from now on. */
static bool turn_to(struct setup *setup, size_t number, struct error *error)
{
    return connectors_ask(&setup->connectors, setup->clusters[number], error) == ODS_OK;
}

/* Only what loses values or rows, now or later; `connectors status` lists the rest. */
static void add_trouble(void *context, const struct trouble *trouble)
{
    if (trouble->weight != WEIGHT_NOTE)
        add_step(context, "connector", STEP_NOTE, "%s: %s%s%s: %s; %s",
                 weight_name(trouble->weight), trouble->property,
                 *trouble->value ? " = " : " is not set", trouble->value, trouble->what,
                 trouble->advice);
}

static int plan_connector(struct setup *setup, size_t number, struct error *error)
{
    struct connector_file *file = &setup->files[number];
    json_t *changes = setup->changes[number];
    if (!turn_to(setup, number, error)) {
        add_step(setup, "connector", STEP_FAILED, "%s", error->text);
        return CLI_CONFIG;
    }
    int code = connectors_plan(&setup->connectors, file, changes, error);
    if (code != CLI_OK) {
        add_step(setup, "connector", STEP_FAILED, "%s", error->text);
        return code;
    }
    size_t count = json_array_size(changes);
    if (count)
        add_step(setup, "source", STEP_DONE,
                 "Connect takes %s's configuration, and reaches the source by it", file->name);
    add_step(setup, "connector", count ? STEP_TO_DO : STEP_DONE,
             count ? "%s is registered or changed: %zu settings"
                   : "%s is there with these settings",
             file->name, count);
    connector_check(file->config, add_trouble, setup);
    plan_signals(setup, file);
    check_prefix(setup, file);
    return setup->told ? CLI_NEGATIVE : CLI_OK;
}

/* --- the plan: the target --------------------------------------------------------------------- */

static void ignore_line(void *context, const char *line) {}

/* Its rights are looked at, and, unless it is only planned, what the sink owns there is made. */
static int reach_target(struct setup *setup, const struct pipeline_settings *pipeline, bool make,
                        struct error *error)
{
    struct sink_config config;
    const struct sink_ops *ops = worker_target(setup->settings, pipeline, &config);
    struct sink *sink = NULL;
    enum ods_status status = ops->open(&sink, &config, error);
    if (status == ODS_OK)
        status = make ? ops->connect(sink, error) : ops->check(sink, ignore_line, NULL, error);
    ops->close(sink);
    if (status != ODS_OK) {
        add_step(setup, "target", STEP_FAILED, "pipeline %s: %s", pipeline->name, error->text);
        return CLI_TARGET;
    }
    add_step(setup, "target", STEP_DONE,
             make ? "pipeline %s: target %s has what ods-sink owns there"
                  : "pipeline %s: target %s answers, and its user has the rights",
             pipeline->name, config.name);
    return CLI_OK;
}

static int reach_targets(struct setup *setup, bool make, struct error *error)
{
    int code = CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < setup->settings->pipeline_count; i++)
        code = reach_target(setup, &setup->settings->pipelines[i], make, error);
    return code;
}

static int plan(struct setup *setup, struct error *error)
{
    int code = look_for_topics(setup, error);
    if (code != CLI_OK) {
        add_step(setup, "Kafka", STEP_FAILED, "%s", error->text);
        return code;
    }
    add_step(setup, "Kafka", STEP_DONE, "%s answers", setup->settings->kafka.bootstrap_servers);
    plan_topics(setup);
    for (size_t i = 0; code == CLI_OK && i < setup->file_count; i++)
        code = plan_connector(setup, i, error);
    return code == CLI_OK ? reach_targets(setup, false, error) : code;
}

/* --- doing ------------------------------------------------------------------------------------ */

static int make(struct setup *setup, struct error *error)
{
    int code = make_topic(setup, setup->settings->dead_letter.topic, letter_settings, error);
    for (size_t i = 0; code == CLI_OK && i < setup->file_count; i++) {
        struct connector_file *file = &setup->files[i];
        char room[300];
        code = make_topic(setup, signals_topic(file->config, room, sizeof room), signal_settings,
                          error);
        if (code == CLI_OK && interrupt_came())
            code = interrupt_code();
        if (code != CLI_OK)
            break;
        code = turn_to(setup, i, error)
                   ? connectors_make_so(&setup->connectors, file, setup->changes[i], error)
                   : CLI_SOURCE;
        if (code == CLI_OK)
            add_step(setup, "connector", STEP_DONE, "%s runs, and its tasks do", file->name);
        else
            add_step(setup, "connector", STEP_FAILED, "%s", error->text);
    }
    if (code == CLI_OK && interrupt_came())
        code = interrupt_code();
    return code == CLI_OK ? reach_targets(setup, true, error) : code;
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void complain(void *context, const char *text)
{
    terminal_line(stderr, "ods-sink setup: %s", text);
}

/* What there is of a pipeline's topics. */
struct arrived {
    size_t topics, with_records, applied;
    int64_t records;
};

static enum ods_status count_arrived(const struct setup *setup,
                                     const struct pipeline_settings *pipeline,
                                     struct arrived *arrived, struct error *error)
{
    struct feeds feeds;
    *arrived = (struct arrived){0};
    enum ods_status status = feeds_load(&feeds, setup->settings, pipeline, complain, NULL, error);
    for (size_t i = 0; status == ODS_OK && i < feeds.feed_count; i++) {
        const struct feed *feed = &feeds.feeds[i];
        int64_t records = feed_records(feed);
        bool stored = false;
        for (int32_t j = 0; j < feed->count; j++)
            stored |= feed->partitions[j].stored >= 0;
        arrived->topics++;
        arrived->with_records += records > 0;
        arrived->applied += records > 0 && stored;
        arrived->records += records > 0 ? records : 0;
    }
    feeds_done(&feeds);
    return status;
}

static enum ods_status is_alive(const struct setup *setup, const struct pipeline_settings *pipeline,
                                bool *alive, struct error *error)
{
    struct kafka_tool *tool;
    char first[256];
    int members = 0;
    enum ods_status status = kafka_tool_open(&tool, setup->settings, pipeline->group_id, error);
    if (status == ODS_OK)
        status = kafka_tool_members(tool, &members, first, sizeof first, error);
    kafka_tool_close(tool);
    *alive = members > 0;
    return status;
}

/* Until a topic with a record is there and, where a daemon runs, its first ones are applied. */
static int await_pipeline(struct setup *setup, const struct pipeline_settings *pipeline,
                          struct error *error)
{
    int64_t until = time_monotonic_us() + setup->options->wait_ms * 1000;
    struct arrived arrived = {0};
    struct progress progress;
    bool alive = false, over = false;
    progress_init(&progress, setup->call->terminal);
    while (!over && !interrupt_came()) {
        if (count_arrived(setup, pipeline, &arrived, error) != ODS_OK ||
            is_alive(setup, pipeline, &alive, error) != ODS_OK) {
            progress_done(&progress);
            return CLI_SOURCE;
        }
        over = (arrived.with_records && (!alive || arrived.applied)) ||
               time_monotonic_us() > until;
        progress_show(&progress, "pipeline %s: %zu topics, %zu with records, waiting",
                      pipeline->name, arrived.topics, arrived.with_records);
        if (!over)
            usleep(POLL_US);
    }
    progress_done(&progress);
    if (interrupt_came())
        return interrupt_code();
    if (!arrived.with_records) {
        add_step(setup, "records", STEP_FAILED,
                 "pipeline %s: %s after %lld s: does its connector capture these tables, and have "
                 "they rows?",
                 pipeline->name,
                 arrived.topics ? "its topics have no record" : "none of its topics is there",
                 (long long) setup->options->wait_ms / 1000);
        return CLI_NEGATIVE;
    }
    add_step(setup, "records", STEP_DONE,
             "pipeline %s: topics: %zu, with records: %zu, records: %lld", pipeline->name,
             arrived.topics, arrived.with_records, (long long) arrived.records);
    if (!alive) {
        add_step(setup, "rows", STEP_NOTE,
                 "pipeline %s: no daemon runs; ods-sink run -c %s makes its tables and offsets "
                 "with the first records",
                 pipeline->name, setup->options->config);
        return CLI_OK;
    }
    add_step(setup, "rows", arrived.applied ? STEP_DONE : STEP_FAILED,
             "pipeline %s: a daemon runs; topics that are being applied: %zu", pipeline->name,
             arrived.applied);
    return arrived.applied ? CLI_OK : CLI_NEGATIVE;
}

static int await_all(struct setup *setup, struct error *error)
{
    int worst = CLI_OK;
    for (size_t i = 0; i < setup->settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &setup->settings->pipelines[i];
        if (strcmp(pipeline->input.type, "kafka") != 0)
            continue;
        int code = await_pipeline(setup, pipeline, error);
        if (code == CLI_SOURCE || interrupt_came())
            return code;
        worst = worst == CLI_OK ? code : worst;
    }
    return worst;
}

/* --- the command ------------------------------------------------------------------------------ */

static int read_files(struct setup *setup, struct error *error)
{
    size_t count = setup->options->connectors.count;
    setup->files = calloc(count + 1, sizeof *setup->files);
    setup->changes = calloc(count + 1, sizeof *setup->changes);
    setup->clusters = calloc(count + 1, sizeof *setup->clusters);
    if (!setup->files || !setup->changes || !setup->clusters) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < count; i++) {
        setup->changes[i] = json_array();
        if (connector_file_read(&setup->files[i], setup->options->connectors.items[i], error) !=
            ODS_OK)
            return CLI_CONFIG;
        setup->file_count++;
        if (!connectors_set(&setup->files[i], &setup->options->sets, error))
            return CLI_USAGE;
    }
    int code = setup->options->cluster
                   ? connectors_clusters(&setup->connectors, setup->options->cluster, error)
                   : CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < count; i++) {
        setup->clusters[i] = cluster_of(setup, &setup->files[i], error);
        if (!setup->clusters[i])
            code = CLI_USAGE;
        else if (!turn_to(setup, i, error))
            code = CLI_CONFIG;
    }
    return code;
}

static int work(struct setup *setup, struct error *error)
{
    int code = read_files(setup, error);
    if (code == CLI_OK && kafka_admin_open(&setup->admin, setup->settings,
                                           setup->settings->kafka.group_id, error) != ODS_OK)
        code = CLI_CONFIG;
    if (code == CLI_OK)
        code = plan(setup, error);
    if (code != CLI_OK || setup->options->dry_run)
        return code;
    if (setup->to_do)
        code = confirm(setup->call->name, "Do what is to do?", NULL, setup->options->yes);
    if (code != CLI_OK)
        return code;
    interrupt_catch();
    error_init(error);
    code = make(setup, error);
    return code == CLI_OK ? await_all(setup, error) : code;
}

static void setup_done(struct setup *setup)
{
    for (size_t i = 0; i < setup->options->connectors.count && setup->files; i++) {
        connector_file_done(&setup->files[i]);
        json_decref(setup->changes[i]);
    }
    free(setup->files);
    free(setup->changes);
    free(setup->clusters);
    free(setup->connectors.clusters);
    connect_close(setup->connectors.connect);
    kafka_admin_close(setup->admin);
    json_decref(setup->topics);
    json_decref(setup->steps);
}

static int run(const struct call *call, void *given)
{
    const struct setup_options *options = given;
    struct setup setup = {.call = call,
                          .options = options,
                          .connector_options = {.wait_ms = options->wait_ms, .quiet = true},
                          .topics = json_object(),
                          .steps = json_array()};
    struct config *loaded = NULL;
    struct error error;
    error_init(&error);
    setup.connectors = (struct connectors){.call = call, .options = &setup.connector_options};
    int code = cli_load(&loaded, options->config);
    if (code == CLI_OK) {
        setup.settings = setup.connectors.settings = config_settings(loaded);
        log_configure(&setup.settings->log);
        code = work(&setup, &error);
    }
    if (code != CLI_OK && *error.text && (!setup.told || options->json))
        terminal_line(stderr, "ods-sink %s: %s", call->name, error.text);
    if (options->json && setup.settings) {
        json_dumpf(setup.steps, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code == CLI_OK && options->dry_run) {
        puts("nothing was changed");
    }
    setup_done(&setup);
    config_free(loaded);
    return cli_finish(code);
}

static const struct setup_options defaults = {.wait_ms = 90000};

static const struct parameter options[] = {
    OPTION_CONFIG(struct setup_options),
    OPTION(struct setup_options, connectors, "connector", &argument_file,
           "a source connector to register or change, as for `connectors apply`",
           .flags = PARAMETER_MANY),
    OPTION(struct setup_options, sets, "set", &argument_text,
           "another value than the files' of a connector's property, or of `name`",
           .value = "PROPERTY=VALUE", .flags = PARAMETER_MANY),
    OPTION(struct setup_options, cluster, "cluster", &argument_text,
           "the cluster of `connect_clusters` that gets them (default: that of the pipeline which "
           "reads a connector's topics)",
           .value = "NAME"),
    OPTION(struct setup_options, wait_ms, "wait", &argument_seconds,
           "how long to wait for each step to be true (default: 90)", .max = 86400),
    SWITCH(struct setup_options, dry_run, "dry-run", "only say what is to do"),
    SWITCH(struct setup_options, yes, "yes", "do not ask"),
    OPTION_JSON(struct setup_options),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "A step did not become true in time."},
    {CLI_CONFIG, "The configuration is wrong, a connector's file is, or Connect refuses it."},
    {CLI_SOURCE, "Kafka or Kafka Connect failed."},
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct example examples[] = {
    {"ods-sink setup -c ods-sink.conf --connector shop.json --dry-run", "See what is missing."},
    {"ods-sink setup -c ods-sink.conf --connector shop.json", "Have it made."},
    {0}};

const struct command cli_setup = {
    .name = "setup",
    .summary = "set a whole pipeline up from its files",
    .description =
        "Shows what is there and what is missing, asks, does it, and waits until each step is "
        "done:\n\n"
        "topic\n  The dead letters' topic, kept for ever, and a connector's topic for signals.\n\n"
        "source\n  Connect checks a connector's configuration, for which it asks the source "
        "database: can it be reached, and do the user's rights and the log's settings suffice?\n\n"
        "connector\n  The connector is registered or changed, and it and its tasks run.\n\n"
        "signals\n  Can the connector be asked for rows again (`verify --repair`, `resync "
        "--snapshot`), and by what?\n\n"
        "target\n  The target answers, its user has the rights, and what ods-sink owns there is "
        "made.\n\n"
        "records\n  The pipeline's topics are there, with their first records.\n\n"
        "rows\n  Where a daemon runs: the first of them are applied.\n\n"
        "What is there already stays, so the command may be run any number of times. The daemon "
        "makes each table when its first record comes.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct setup_options),
    .defaults = &defaults,
    .run = run,
};
