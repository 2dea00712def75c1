/* ods-sink reset: move a pipeline's offsets of one topic, in the target, where they count, and, of
 * a pipeline that reads Kafka, in Kafka, where they are for monitoring.
 *
 * Nobody may be reading meanwhile: it refuses while the group has members, and the offsets in the
 * target move by compare-and-swap like those of any batch, here one without records. All partitions
 * move in one transaction.
 */
#include <stdlib.h>
#include <string.h>

#include <ods/control.h>
#include <ods/sink.h>
#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/reset_all.h"
#include "cli/reset_extent.h"
#include "core/log.h"
#include "pipeline/worker.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

struct goal {
    enum { GOAL_NONE, GOAL_EARLIEST, GOAL_LATEST, GOAL_OFFSET, GOAL_TIME } kind;
    int64_t offset, time_us;
};

struct reset_options {
    const char *config, *topic, *pipeline;
    struct goal goal;
    int64_t partition; /* -1: all */
    bool dry_run, json, all, yes;
};

struct reset {
    const struct reset_options *options;
    const struct terminal *terminal;
    const char *topic;

    struct config *loaded;
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct kafka_tool *tool;
    struct sink *sink;
    struct extent *extents;
    struct position *positions; /* as they are */
    int64_t *news;
    size_t count;
};

static bool parse_goal(const struct parameter *row, const char *text, void *member)
{
    struct goal *goal = member;
    if (strcmp(text, "earliest") == 0)
        goal->kind = GOAL_EARLIEST;
    else if (strcmp(text, "latest") == 0)
        goal->kind = GOAL_LATEST;
    else if (cli_parse_number(text, INT64_MAX - 1, &goal->offset))
        goal->kind = GOAL_OFFSET;
    else if (cli_parse_moment(text, &goal->time_us))
        goal->kind = GOAL_TIME;
    else
        return false;
    return true;
}

/* The one pipeline that reads the topic. */
static int find_pipeline(struct reset *reset, struct error *error)
{
    for (size_t i = 0; i < reset->settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &reset->settings->pipelines[i];
        if ((reset->options->pipeline && strcmp(reset->options->pipeline, pipeline->name) != 0) ||
            !pipeline_reads(pipeline, reset->topic))
            continue;
        if (reset->pipeline) {
            error_set(error, ODS_FATAL,
                      "pipelines \"%s\" and \"%s\" both read %s: say which one with --pipeline",
                      reset->pipeline->name, pipeline->name, reset->topic);
            return CLI_USAGE;
        }
        reset->pipeline = pipeline;
    }
    if (reset->pipeline && source_find(reset->pipeline->input.type)->kind == SOURCE_DELIVERIES) {
        error_set(error, ODS_FATAL,
                  "pipeline \"%s\" has a queue for a source, so no offsets are stored: what comes "
                  "is for the queue to say",
                  reset->pipeline->name);
        return CLI_USAGE;
    }
    if (reset->pipeline)
        return CLI_OK;
    if (reset->options->pipeline)
        error_set(error, ODS_FATAL, "there is no pipeline \"%s\" that reads %s",
                  reset->options->pipeline, reset->topic);
    else
        error_set(error, ODS_FATAL, "no pipeline reads %s", reset->topic);
    return CLI_USAGE;
}

static bool is_of_kafka(const struct reset *reset)
{
    return strcmp(reset->pipeline->input.type, "kafka") == 0;
}

static int list_partitions(struct reset *reset, struct error *error)
{
    const struct pipeline_settings *pipeline = reset->pipeline;
    const struct goal *goal = &reset->options->goal;
    const struct extent_query query = {.topic = reset->topic,
                                       .partition = (int32_t) reset->options->partition,
                                       .time_ms = goal->kind == GOAL_TIME ? goal->time_us / 1000
                                                                          : EXTENT_NO_TIME};
    int code = is_of_kafka(reset)
                   ? extents_of_kafka(reset->tool, &query, &reset->extents, &reset->count, error)
               : strcmp(pipeline->input.type, "file") == 0
                   ? extents_of_file(pipeline, &query, &reset->extents, &reset->count, error)
                   : extents_of_numbers(pipeline, &query, &reset->extents, &reset->count, error);
    if (code != CLI_OK)
        return code;
    reset->positions = calloc(reset->count, sizeof *reset->positions);
    reset->news = calloc(reset->count, sizeof *reset->news);
    if (!reset->positions || !reset->news) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < reset->count; i++)
        reset->positions[i] =
            (struct position){.topic = reset->topic, .partition = reset->extents[i].partition};
    return CLI_OK;
}

/* Where each partition is to go on. */
static int find_offsets(struct reset *reset, struct error *error)
{
    const struct goal *goal = &reset->options->goal;
    for (size_t i = 0; i < reset->count; i++) {
        const struct extent *extent = &reset->extents[i];
        int64_t *new = &reset->news[i];
        if (extent->high == INT64_MAX && goal->kind != GOAL_OFFSET && goal->kind != GOAL_EARLIEST) {
            error_set(error, ODS_FATAL,
                      "a source of type %s has numbers alone: give an offset, or earliest",
                      reset->pipeline->input.type);
            return CLI_USAGE;
        }
        *new = goal->kind == GOAL_EARLIEST ? extent->low
               : goal->kind == GOAL_OFFSET ? goal->offset
               : goal->kind == GOAL_TIME   ? extent->at
                                           : extent->high;
        if (*new < extent->low || *new > extent->high) {
            error_set(error, ODS_FATAL,
                      "topic %s partition %d has the offsets %lld to %lld, so %lld is none of "
                      "them; choose one with --partition, or --to earliest or latest",
                      reset->topic, (int) extent->partition, (long long) extent->low,
                      (long long) extent->high, (long long) *new);
            return CLI_USAGE;
        }
    }
    return CLI_OK;
}

/* For a source without a consumer group in Kafka: a target that keeps orders knows which daemons
 * run. In any other target they show by offsets that have moved meanwhile. */
static enum ods_status refuse_members(const struct reset *reset, int *code, struct error *error)
{
    const struct control_ops *control = reset->sink->ops->control;
    struct control_members members = {0};
    if (!control || is_of_kafka(reset))
        return ODS_OK;
    enum ods_status status = control->members(reset->sink, &members, error);
    if (status == ODS_OK && members.count) {
        error_set(error, ODS_FATAL,
                  "pipeline %s has a daemon that runs (%s): stop every daemon of it first",
                  reset->pipeline->name, members.items[0].name);
        *code = CLI_NEGATIVE;
    }
    free(members.items);
    return status;
}

static int read_stored(struct reset *reset, struct error *error)
{
    struct sink_config config;
    int code = CLI_OK;
    if (worker_target(reset->settings, reset->pipeline, &config)
            ->open(&reset->sink, &config, error) != ODS_OK)
        return CLI_CONFIG;
    enum ods_status status = reset->sink->ops->connect(reset->sink, error);
    if (status == ODS_OK)
        status = refuse_members(reset, &code, error);
    if (code != CLI_OK)
        return code;
    if (status == ODS_OK)
        status = reset->sink->ops->resume(reset->sink, reset->positions, reset->count, error);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

/* A batch without records: only its offsets move. An offset that stays is written too where it may
 * be another cluster's, since it is this one's from now on. */
static int move_stored(struct reset *reset, struct error *error)
{
    struct apply_result result = {0};
    struct batch *batch = batch_new();
    bool good = batch != NULL;
    for (size_t i = 0; good && i < reset->count; i++)
        if (reset->news[i] != reset->positions[i].offset || *reset->positions[i].cluster)
            good = batch_cover(batch, reset->topic, reset->positions[i].partition,
                               reset->positions[i].offset, reset->news[i] - 1);
    enum ods_status status = good ? ODS_OK : error_set(error, ODS_FATAL, "out of memory");
    if (good)
        snprintf(batch->cluster, sizeof batch->cluster, "%s", CLUSTER_FORGOTTEN);
    if (good && batch->claim_count)
        status = reset->sink->ops->apply(reset->sink, batch, NULL, &result, error);
    batch_free(batch);
    if (status == ODS_FENCED)
        error_prefix(error, "a writer has moved them meanwhile, nothing was changed: ");
    return status == ODS_OK ? CLI_OK : status == ODS_FENCED ? CLI_NEGATIVE : CLI_TARGET;
}

/* With which record the target begins from now on. */
static int64_t first_of(const struct reset *reset, size_t number, const struct place *acked)
{
    int64_t new = reset->news[number];
    if (reset->sink->ops->guarantee != EXACT_BY_STORED_OFFSET)
        return FIRST_UNTOLD;
    if (reset->positions[number].offset == OFFSET_NONE || acked->first > new)
        return new;
    return acked->offset < 0 || acked->first < 0 ? FIRST_UNKNOWN : acked->first;
}

static int move_committed(struct reset *reset, struct error *error)
{
    enum ods_status status = ODS_OK;
    struct place *places = calloc(reset->count, sizeof *places);
    for (size_t i = 0; places && i < reset->count; i++)
        places[i] = (struct place){.topic = reset->topic,
                                   .partition = reset->positions[i].partition};
    if (!places)
        status = error_out_of_memory(error);
    if (status == ODS_OK)
        status = kafka_tool_acked(reset->tool, places, reset->count, error);
    for (size_t i = 0; status == ODS_OK && i < reset->count; i++) {
        places[i].first = first_of(reset, i, &places[i]);
        places[i].offset = reset->news[i];
    }
    if (status == ODS_OK)
        status = kafka_tool_commit(reset->tool, places, reset->count, error);
    free(places);
    if (status == ODS_OK)
        return CLI_OK;
    error_prefix(error, "the target's offsets, which count, are moved; the group's, which are for "
                        "monitoring, are not: ");
    return CLI_SOURCE;
}

static void print_json(const struct reset *reset)
{
    json_t *moves = json_array();
    for (size_t i = 0; i < reset->count; i++) {
        const struct position *position = &reset->positions[i];
        json_array_append_new(moves, json_pack("{s:i, s:o, s:I}", "partition",
                                               (int) position->partition, "old",
                                               position->offset == OFFSET_NONE
                                                   ? json_null()
                                                   : json_integer(position->offset),
                                               "new", (json_int_t) reset->news[i]));
    }
    cli_print_json(json_pack("{s:o, s:o, s:b, s:o}", "pipeline", cli_json(reset->pipeline->name),
                             "topic", cli_json(reset->topic), "changed",
                             !reset->options->dry_run, "partitions", moves));
}

static bool print_moves(const struct reset *reset)
{
    static const char *const names[] = {"TOPIC", "PARTITION", "OLD", "NEW"};
    struct columns table;
    columns_init(&table, reset->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < reset->count; i++) {
        columns_add(&table, reset->topic);
        columns_number(&table, reset->positions[i].partition);
        if (reset->positions[i].offset == OFFSET_NONE)
            columns_add(&table, "none");
        else
            columns_number(&table, reset->positions[i].offset);
        columns_number(&table, reset->news[i]);
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static int move(struct reset *reset, struct error *error)
{
    int code = find_pipeline(reset, error);
    if (code == CLI_OK && is_of_kafka(reset) &&
        kafka_tool_open(&reset->tool, reset->settings, reset->pipeline->group_id, error) != ODS_OK)
        code = CLI_SOURCE;
    if (code == CLI_OK)
        code = list_partitions(reset, error);
    if (code == CLI_OK && is_of_kafka(reset))
        code = reset_refuse_while_alive(reset->tool, reset->pipeline->group_id, error);
    if (code == CLI_OK)
        code = find_offsets(reset, error);
    if (code == CLI_OK)
        code = read_stored(reset, error);
    if (code == CLI_OK && !reset->options->dry_run) {
        interrupt_catch(); /* both moves, or neither */
        code = interrupt_came() ? interrupt_code() : move_stored(reset, error);
    }
    if (code != CLI_OK)
        return code;
    if (!reset->options->dry_run && is_of_kafka(reset))
        code = move_committed(reset, error);
    if (reset->options->json)
        print_json(reset);
    else if (!print_moves(reset))
        return CLI_INTERNAL;
    if (reset->options->dry_run && !reset->options->json)
        puts("nothing was changed");
    return code;
}

static int run(const struct call *call, void *given)
{
    const struct reset_options *options = given;
    struct reset reset = {
        .options = options, .terminal = call->terminal, .topic = options->topic};
    struct error error;
    error_init(&error);
    if (!options->all && options->goal.kind == GOAL_NONE)
        return cli_usage(call->name, "--to says where the topic's offsets go");
    int code = cli_load(&reset.loaded, options->config);
    if (code != CLI_OK)
        goto out;
    reset.settings = config_settings(reset.loaded);
    log_configure(&reset.settings->log);
    if (options->all) {
        const struct reset_all_options all = {.pipeline = options->pipeline,
                                              .dry_run = options->dry_run,
                                              .yes = options->yes,
                                              .json = options->json,
                                              .wait_ms = 60000};
        code = reset_all(call, reset.settings, &all);
        goto out;
    }
    code = move(&reset, &error);
    if (code != CLI_OK)
        terminal_line(stderr, "ods-sink reset: %s", error.text);
out:
    if (reset.sink)
        reset.sink->ops->close(reset.sink);
    kafka_tool_close(reset.tool);
    free(reset.extents);
    free(reset.positions);
    free(reset.news);
    config_free(reset.loaded);
    return cli_finish(code);
}

static const struct argument argument_place = {
    "PLACE",
    "earliest, latest, an offset, a time such as 2026-01-31T12:00:00Z, or how long ago such as 2h",
    COMPLETE_CHOICES, parse_goal};

static const struct reset_options defaults = {.partition = -1};

static const struct parameter options[] = {
    OPTION_CONFIG(struct reset_options),
    OPTION(struct reset_options, topic, "topic", &argument_topic,
           "whose offsets", .flags = PARAMETER_REQUIRED, .either = 1),
    SWITCH(struct reset_options, all, "all",
           "a whole pipeline begins anew, and what it has made goes", .either = 1),
    OPTION(struct reset_options, partition, "partition", &argument_number,
           "only this partition (default: all)", .max = INT32_MAX),
    OPTION(struct reset_options, goal, "to", &argument_place,
           "earliest, latest, an offset, a time such as 2026-01-31T12:00:00Z, or how long ago: "
           "90s, 15m, 2h, 3d", .value = "PLACE",
           .choices = "earliest|latest"),
    OPTION(struct reset_options, pipeline, "pipeline", &argument_pipeline,
           "which one, when several read the topic"),
    SWITCH(struct reset_options, dry_run, "dry-run", "only say what would change"),
    SWITCH(struct reset_options, yes, "yes", "with --all: do not ask"),
    OPTION_JSON(struct reset_options),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "The consumer group has members, or a writer has moved the offsets meanwhile."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    {0}};

static const struct example examples[] = {
    {"ods-sink reset -c ods-sink.conf --topic shop.orders --to 2h --dry-run",
     "See from which offsets the last two hours would be read again."},
    {"ods-sink reset -c ods-sink.conf --all --pipeline shop --dry-run",
     "See what would go if it began anew."},
    {0}};

const struct command cli_reset = {
    .name = "reset",
    .chapter = "Putting right",
    .summary = "move a pipeline's stored offsets",
    .description =
        "The offsets of a topic are moved in the target, where they count, all in one transaction, "
        "and in Kafka, where they are for monitoring; each is printed as it was and is. Refuses "
        "while the consumer group has members: stop the daemons first. Rows stay as they are; "
        "records that are read again are applied again. Of a pipeline that reads a file, the file "
        "tells which offsets there are, and Kafka is not asked.\n\n"
        "With `--all` a pipeline begins anew, as if it had never run: the connectors whose topics "
        "it reads go, with how far they have read and their schema history (where `connect.url` is "
        "set), then its stored offsets and its tables in one transaction, its consumer group, and "
        "its dead letters. A table that ods-sink made is dropped, one that somebody else made is "
        "emptied; one that another pipeline or consumer group writes too stays, and so does one "
        "of somebody else that no pipeline has written. All of it is shown first, and done once "
        "the pipeline's name is typed. A pipeline that reads a file has neither connector nor "
        "group: its offsets and tables go, and the file is read again from its beginning. One that "
        "reads a queue is refused, since what is emptied would not come again.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct reset_options),
    .defaults = &defaults,
    .run = run,
};
