/* A table's rows put right in place, by a snapshot that its connector is asked for. See resync.h.
 *
 * A target that keeps no orders can't exchange tables. The rows that the connector sends once more
 * come through the topic, in between the changes that it streams, and the group applies them as it
 * does all records: what was missing is added, what was wrong is written over. What the source does
 * not have stays, since no record tells of it.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include <ods/pipeline.h>
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/resync.h"
#include "cli/table_choice.h"
#include "core/time.h"
#include "pipeline/worker.h"

#define PAUSE_US 300000
#define STILL_US INT64_C(120000000) /* a group that goes on moves its offsets sooner */

struct sending {
    struct resync *resync;
    struct table_choice choice;
    struct choice_topics topics;
    struct kafka_tool *tool;
    struct sink *sink;
    char *schema; /* of the source; "": it has none */
    struct position *places;
    int64_t *ends; /* by place */
    size_t count;
    int64_t records;
};

static int choose(struct sending *sending, struct error *error)
{
    const struct table *table = &sending->resync->table;
    struct sink_config config;
    struct error ignored;
    error_init(&ignored);
    if (table_choose_to_erase(&sending->choice, table->settings, table->options->name,
                              table->options->pipeline, &ignored) != CLI_OK)
        return CLI_NEGATIVE;
    const struct pipeline_settings *pipeline = sending->choice.pipeline;
    const struct sink_ops *ops = worker_target(table->settings, pipeline, &config);
    if (ops->control)
        return CLI_NEGATIVE;
    error_init(error);
    int code = choice_check_source(&sending->choice, error);
    if (code != CLI_OK)
        return code;
    if (ops->open(&sending->sink, &config, error) != ODS_OK)
        return CLI_CONFIG;
    if (kafka_tool_open_quick(&sending->tool, table->settings, pipeline->group_id, error) != ODS_OK)
        return CLI_SOURCE;
    return choice_topics_find(&sending->topics, &sending->choice, NULL, sending->tool, error);
}

/* As it was given, else as a topic's name has it: <prefix>.<schema>.<table>. */
static int find_schema(struct sending *sending, struct error *error)
{
    const char *topic = sending->topics.count ? sending->topics.items[0].name : "";
    const char *end = strrchr(topic, '.'), *from = end;
    while (from && from > topic && from[-1] != '.')
        from--;
    sending->schema = *sending->choice.qualifier || !from || from == topic
                          ? strdup(sending->choice.qualifier)
                          : strndup(from, (size_t) (end - from));
    if (sending->schema)
        return CLI_OK;
    error_out_of_memory(error);
    return CLI_INTERNAL;
}

static int refuse_nobody(const struct sending *sending, struct error *error)
{
    char first[256];
    int members;
    const char *group = sending->choice.pipeline->group_id;
    if (kafka_tool_members(sending->tool, &members, first, sizeof first, error) != ODS_OK)
        return CLI_SOURCE;
    if (members)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "no daemon of group %s runs, which would apply the rows: start it first", group);
    return CLI_NEGATIVE;
}

static int list_places(struct sending *sending, struct error *error)
{
    for (size_t i = 0; i < sending->topics.count; i++)
        sending->count += (size_t) sending->topics.items[i].partitions;
    sending->places = calloc(sending->count + 1, sizeof *sending->places);
    sending->ends = calloc(sending->count + 1, sizeof *sending->ends);
    if (!sending->places || !sending->ends) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    struct position *place = sending->places;
    for (size_t i = 0; i < sending->topics.count; i++)
        for (int32_t k = 0; k < sending->topics.items[i].partitions; k++)
            *place++ = (struct position){.topic = sending->topics.items[i].name, .partition = k};
    return CLI_OK;
}

static int read_ends(struct sending *sending, int64_t sign, struct error *error)
{
    int64_t low;
    for (size_t i = 0; i < sending->count; i++) {
        const struct position *place = &sending->places[i];
        if (kafka_tool_ends(sending->tool, place->topic, place->partition, &low, &sending->ends[i],
                            error) != ODS_OK)
            return CLI_SOURCE;
        sending->records += sign * sending->ends[i];
    }
    return CLI_OK;
}

static int64_t behind(const struct sending *sending)
{
    int64_t behind = 0;
    for (size_t i = 0; i < sending->count; i++) {
        /* Of a partition that never had a record nothing is stored. */
        int64_t applied = sending->places[i].offset > 0 ? sending->places[i].offset : 0;
        if (applied < sending->ends[i])
            behind += sending->ends[i] - applied;
    }
    return behind;
}

static int await_applied(struct sending *sending, struct error *error)
{
    int64_t moved_us = time_monotonic_us(), left = INT64_MAX;
    while (left && !interrupt_came()) {
        if (sending->sink->ops->peek(sending->sink, sending->places, sending->count, error) !=
            ODS_OK)
            return CLI_TARGET;
        int64_t now = behind(sending);
        if (now < left)
            moved_us = time_monotonic_us();
        left = now;
        if (left && time_monotonic_us() - moved_us > STILL_US) {
            error_set(error, ODS_RETRY,
                      "the snapshot's rows are in Kafka, and no process of group %s has applied "
                      "one for %d s: see ods-sink status",
                      sending->choice.pipeline->group_id, (int) (STILL_US / 1000000));
            return CLI_NEGATIVE;
        }
        if (left) {
            progress_show(&sending->resync->progress, "waiting until %lld records are applied",
                          (long long) left);
            usleep(PAUSE_US);
        }
    }
    return interrupt_came() ? interrupt_code() : CLI_OK;
}

static int send(struct sending *sending, const char *connector, struct error *error)
{
    struct resync *resync = sending->resync;
    bool sent = false;
    int code = resync_choose_connector(resync, sending->choice.pipeline, connector, sending->schema,
                                       sending->choice.source, error);
    if (code == CLI_OK)
        code = read_ends(sending, -1, error);
    if (code == CLI_OK)
        code = signals_ask(&resync->signals, NULL, error);
    if (code == CLI_OK)
        code = signals_await(&resync->signals, &sent, error);
    if (interrupt_came())
        return interrupt_code();
    if (code == CLI_OK && !sent)
        return CLI_SOURCE;
    usleep(PAUSE_US); /* what was sent before may reach its partition a moment later */
    return code == CLI_OK ? read_ends(sending, 1, error) : code;
}

static void print(const struct sending *sending)
{
    const struct table_choice *choice = &sending->choice;
    if (sending->resync->table.options->json)
        cli_print_json(json_pack("{s:o, s:o, s:o, s:s, s:b, s:I}", "schema",
                                 cli_json(choice->schema), "table", cli_json(choice->name),
                                 "pipeline", cli_json(choice->pipeline->name), "action", "resync",
                                 "in_place", 1, "records", (json_int_t) sending->records));
    else
        terminal_line(stdout,
                      "all rows of %s.%s were sent once more and are applied, %lld records with "
                      "what changed meanwhile. Rows that the source does not have are still there: "
                      "ods-sink verify names them, ods-sink erase takes one out",
                      choice->schema, choice->name, (long long) sending->records);
}

int resync_rows(struct resync *resync, const char *connector, struct error *error)
{
    struct sending sending = {.resync = resync};
    progress_init(&resync->progress, resync->table.call->terminal);
    int code = choose(&sending, error);
    if (code == CLI_OK)
        code = find_schema(&sending, error);
    if (code == CLI_OK)
        code = refuse_nobody(&sending, error);
    if (code == CLI_OK)
        code = list_places(&sending, error);
    interrupt_catch();
    if (code == CLI_OK)
        code = send(&sending, connector, error);
    if (code == CLI_OK)
        code = await_applied(&sending, error);
    progress_done(&resync->progress);
    if (code == CLI_OK)
        print(&sending);
    if (sending.sink)
        sending.sink->ops->close(sending.sink);
    kafka_tool_close(sending.tool);
    choice_topics_done(&sending.topics);
    table_choice_done(&sending.choice);
    free(sending.schema);
    free(sending.places);
    free(sending.ends);
    return code;
}
