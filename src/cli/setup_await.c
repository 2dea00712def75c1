/* The end of `ods-sink setup`: until the first records are there, and are applied. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/feeds.h"
#include "cli/interrupt.h"
#include "cli/setup_room.h"
#include "core/time.h"
#include "source/kafka/kafka_tool.h"

#define POLL_US 500000

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
        over = (arrived.with_records && (!alive || arrived.applied)) || time_monotonic_us() > until;
        progress_show(&progress, "pipeline %s: %zu topics, %zu with records, waiting",
                      pipeline->name, arrived.topics, arrived.with_records);
        if (!over)
            usleep(POLL_US);
    }
    progress_done(&progress);
    if (interrupt_came())
        return interrupt_code();
    if (!arrived.with_records) {
        setup_say(setup, "records", STEP_FAILED,
                  "pipeline %s: %s after %lld s: does its connector capture these tables, and have "
                  "they rows?",
                  pipeline->name,
                  arrived.topics ? "its topics have no record" : "none of its topics is there",
                  (long long) setup->options->wait_ms / 1000);
        return CLI_NEGATIVE;
    }
    setup_say(setup, "records", STEP_DONE,
              "pipeline %s: topics: %zu, with records: %zu, records: %lld", pipeline->name,
              arrived.topics, arrived.with_records, (long long) arrived.records);
    if (!alive) {
        setup_say(setup, "rows", STEP_NOTE,
                  "pipeline %s: no daemon runs; ods-sink run -c %s makes its tables and offsets "
                  "with the first records",
                  pipeline->name, setup->options->config);
        return CLI_OK;
    }
    setup_say(setup, "rows", arrived.applied ? STEP_DONE : STEP_FAILED,
              "pipeline %s: a daemon runs; topics that are being applied: %zu", pipeline->name,
              arrived.applied);
    return arrived.applied ? CLI_OK : CLI_NEGATIVE;
}

int setup_await(struct setup *setup, struct error *error)
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
