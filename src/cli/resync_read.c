/* See resync.h. One thread goes the lanes' way: intake, decoder, transforms, sink. What is read is
 * stored under a group of its own, rows and offsets in one transaction, so that a resync that was
 * stopped or killed goes on where it was. */
#include "cli/resync.h"

#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "core/time.h"
#include "pipeline/intake.h"
#include "source/kafka/kafka.h"

#define POLL_MS    200
#define SILENCE_US INT64_C(30000000) /* records that are there come sooner */

/* --- the configuration, with the shadow in the table's place --------------------------------- */

static bool is_target(const struct resync *resync, const struct topic_table *row)
{
    return strcmp(row->target_schema, resync->shadow.schema) == 0 &&
           strcmp(row->target_table, resync->shadow.table) == 0;
}

/* The entry of a source table, by its whole name, so that it wins over all that is configured. */
static bool add_own(struct resync *resync, const struct topic_table *row,
                    struct table_settings *entry)
{
    char name[600];
    int length =
        snprintf(name, sizeof name, "%s%s%s", row->schema, *row->schema ? "." : "", row->table);
    *entry = *pipeline_table(resync->table.pipeline, row->schema, row->table);
    entry->name = arena_strndup(&resync->texts, name, (size_t) length);
    entry->pattern = NULL;
    entry->mode = MODE_UPSERT; /* a history has these records already */
    entry->topics = (struct strings){0};
    entry->schema = resync->shadow.schema;
    entry->target = resync->shadow.name;
    return entry->name != NULL;
}

/* An entry of the configuration: left out, unless it names topics for the table, whose records may
 * not say of which table they are. False: an own entry has its name. */
static bool add_configured(struct resync *resync, const struct table_settings *given, size_t own,
                           struct table_settings *entry)
{
    const struct topic_tables *known = &resync->table.known;
    *entry = *given;
    entry->skip = true;
    entry->mode = MODE_UPSERT;
    for (size_t i = 0; given->topics.count && i < known->count; i++)
        if (is_target(resync, &known->items[i]) &&
            pipeline_table(resync->table.pipeline, known->items[i].schema,
                           known->items[i].table) == given) {
            entry->skip = given->skip;
            entry->schema = resync->shadow.schema;
            entry->target = resync->shadow.name;
        }
    for (size_t i = 0; !given->topics.count && i < own; i++)
        if (strcmp(resync->pipeline.tables[i].name, given->name) == 0)
            return false;
    return true;
}

/* Of other tables in the same topics nothing is wanted. */
static bool redirect(struct resync *resync)
{
    const struct pipeline_settings *given = resync->table.pipeline;
    const struct topic_tables *known = &resync->table.known;
    size_t count = 0;
    bool good = true;
    resync->pipeline = *given;
    resync->pipeline.defaults.skip = true;
    resync->pipeline.defaults.mode = MODE_UPSERT;
    resync->pipeline.tables =
        calloc(given->table_count + known->count + 1, sizeof *resync->pipeline.tables);
    if (!resync->pipeline.tables)
        return false;
    for (size_t i = 0; good && i < known->count; i++)
        if (is_target(resync, &known->items[i]))
            good = add_own(resync, &known->items[i], &resync->pipeline.tables[count++]);
    size_t own = count;
    for (size_t i = 0; good && i < given->table_count; i++)
        count += add_configured(resync, &given->tables[i], own, &resync->pipeline.tables[count]);
    resync->pipeline.table_count = count;
    return good;
}

/* --- opening --------------------------------------------------------------------------------- */

static void say(void *context, bool warning, const char *text)
{
    const struct resync *resync = context;
    if (warning)
        terminal_line(stderr, "ods-sink %s: %s", resync->table.call->name, text);
}

static void wake(void *context)
{
    (void) context;
}

static int open_tools(struct resync *resync, struct error *error)
{
    const struct table *table = &resync->table;
    resync->tools = calloc(table->topic_count + 1, sizeof(struct kafka_tool *));
    resync->places = calloc(table->count + 1, sizeof *resync->places);
    resync->batch = batch_new();
    if (!resync->tools || !resync->places || !resync->batch) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    resync->batch->release = kafka_release;
    resync->batch->headers = kafka_headers;
    for (size_t i = 0; i < table->topic_count; i++)
        if (kafka_tool_open(&resync->tools[i], table->settings, resync->shadow.group, error) !=
            ODS_OK)
            return CLI_SOURCE;
    return CLI_OK;
}

/* Where the new table stands. */
static int read_places(struct resync *resync, struct error *error)
{
    const struct table *table = &resync->table;
    struct position *positions = calloc(table->count + 1, sizeof *positions);
    if (!positions) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < table->count; i++)
        positions[i] = (struct position){.topic = table->positions[i].topic,
                                         .partition = table->positions[i].partition};
    struct sink *sink = resync->worker.sink;
    enum ods_status status = sink->ops->connect(sink, error);
    if (status == ODS_OK)
        status = sink->ops->resume(sink, positions, table->count, error);
    for (size_t i = 0; status == ODS_OK && i < table->count; i++)
        resync->places[i] = (struct resync_place){
            .next = positions[i].offset < 0 ? 0 : positions[i].offset,
            .chain = positions[i].offset};
    free(positions);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

int resync_open(struct resync *resync, struct error *error)
{
    const struct table *table = &resync->table;
    progress_init(&resync->progress, table->call->terminal);
    if (!redirect(resync)) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    resync->origin = (struct worker_origin){.settings = table->settings,
                                            .pipeline = table->pipeline,
                                            .wake = wake,
                                            .say = say,
                                            .context = resync};
    const struct worker_options options = {.settings = table->settings,
                                           .pipeline = &resync->pipeline,
                                           .group = resync->shadow.group};
    int code = open_tools(resync, error);
    if (code != CLI_OK)
        return code;
    if (worker_open_helper(&resync->helper, &resync->origin, error) != ODS_OK)
        return CLI_CONFIG;
    if (resync->helper && resync->helper->ops->read(resync->helper, error) != ODS_OK)
        return CLI_SOURCE;
    struct worker_options with_helper = options;
    with_helper.helper = resync->helper;
    if (worker_open(&resync->worker, &with_helper, error) != ODS_OK)
        return CLI_CONFIG;
    return read_places(resync, error);
}

void resync_close(struct resync *resync)
{
    progress_done(&resync->progress);
    if (resync->batch)
        batch_reset(resync->batch);
    batch_free(resync->batch);
    worker_close(&resync->worker);
    worker_close_helper(resync->helper);
    for (size_t i = 0; resync->tools && i < resync->table.topic_count; i++)
        kafka_tool_close(resync->tools[i]);
    signals_close(&resync->signals);
    free(resync->tools);
    free(resync->places);
    free(resync->pipeline.tables);
    arena_done(&resync->texts);
}

/* --- reading --------------------------------------------------------------------------------- */

int64_t resync_behind(const struct resync *resync)
{
    int64_t sum = 0;
    for (size_t i = 0; i < resync->table.count; i++)
        if (resync->table.positions[i].offset > resync->places[i].next)
            sum += resync->table.positions[i].offset - resync->places[i].next;
    return sum;
}

/* Their letters stand in the dead-letter topic since they were read first. */
static enum ods_status note_refused(void *context, struct batch *batch, struct error *error)
{
    struct resync *resync = context;
    (void) error;
    for (uint32_t i = 0; i < batch->reject_count; i++) {
        if (!batch->rejects[i].delivered && !resync->refused++)
            resync->refusal = batch->rejects[i].error;
        batch->rejects[i].delivered = true;
    }
    return ODS_OK;
}

static enum ods_status count_partitions(void *context, const char *topic, int32_t *count,
                                        struct error *error)
{
    const struct resync *resync = context;
    (void) error;
    *count = 1;
    for (size_t i = 0; i < resync->table.topic_count; i++)
        if (strcmp(resync->table.topics[i].name, topic) == 0)
            *count = resync->table.topics[i].partitions;
    return ODS_OK;
}

static int apply(struct resync *resync, struct error *error)
{
    const struct apply_hooks hooks = {
        .before_commit = note_refused, .partitions = count_partitions, .context = resync};
    struct apply_result result;
    struct worker_deadline deadline;
    if (!resync->batch->claim_count)
        return CLI_OK;
    worker_deadline_init(&deadline, resync->table.settings, resync->table.options->wait_ms);
    resync->batch->patience = resync->table.settings->retry.constraint_attempts;
    enum ods_status status = worker_apply(&resync->worker, resync->batch, &hooks, &result,
                                          interrupt_deadline_wait, &deadline, error);
    resync->records += resync->batch->record_count;
    batch_reset(resync->batch);
    if (status != ODS_OK && interrupt_came())
        return interrupt_code();
    if (status == ODS_FENCED)
        error_prefix(error, "another resync of the same table is under way: ");
    return status == ODS_OK ? CLI_OK : status == ODS_FENCED ? CLI_NEGATIVE : CLI_TARGET;
}

static bool is_full(const struct resync *resync)
{
    const struct batch_settings *limits = &resync->table.settings->batch;
    return resync->batch->record_count >= (uint64_t) limits->max_events ||
           batch_bytes(resync->batch) >= (size_t) limits->max_bytes;
}

/* Everything below the goal has been taken; compacted away, or a transaction's marker, is what lies
 * between the last record and that. */
static int arrive(struct resync *resync, struct resync_place *place, const char *topic,
                  int32_t partition, struct error *error)
{
    if (place->chain != place->goal &&
        !batch_cover(resync->batch, topic, partition, place->chain, place->goal - 1)) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    place->next = place->chain = place->goal;
    return CLI_OK;
}

/* The record is the batch's then, or let go. */
static int take(struct resync *resync, struct resync_place *place, struct record *record,
                const char *topic, struct error *error)
{
    struct decoder *decoder = resync->worker.decoder;
    if (record->offset < place->next || record->offset >= place->goal) {
        enum ods_status seen = record->offset < place->next && decoder->ops->look_back
                                   ? decoder->ops->observe(decoder, record, error)
                                   : ODS_OK;
        kafka_release(record->owner);
        return seen == ODS_OK ? CLI_OK : CLI_INTERNAL;
    }
    record->topic = topic;
    enum ods_status status =
        intake_add(resync->batch, &resync->worker, record, place->chain, error);
    if (status != ODS_OK) {
        kafka_release(record->owner);
        return CLI_INTERNAL;
    }
    place->next = place->chain = record->offset + 1;
    return is_full(resync) ? apply(resync, error) : CLI_OK;
}

/* Where each partition of the topic is to be read from; how many have something to read. */
static int32_t begin(struct resync *resync, size_t topic, struct resync_place *places,
                     const int64_t *lows, int64_t *froms)
{
    int64_t back = resync->worker.decoder->ops->look_back;
    int32_t left = 0;
    for (int32_t i = 0; i < resync->table.topics[topic].partitions; i++) {
        int64_t from = places[i].next > back ? places[i].next - back : 0;
        froms[i] = from > lows[i] ? from : lows[i];
        left += places[i].next < places[i].goal;
    }
    return left;
}

static int read_on(struct resync *resync, struct topic_reader *reader, const char *topic,
                   struct resync_place *places, int32_t left, struct error *error)
{
    int64_t heard_us = time_monotonic_us();
    int code = CLI_OK;
    while (code == CLI_OK && left) {
        struct record record = {0};
        enum source_event event = reader->ops->next(reader, POLL_MS, &record);
        if (interrupt_came())
            code = interrupt_code();
        if (event == SOURCE_NOTHING && time_monotonic_us() - heard_us > SILENCE_US) {
            error_set(error, ODS_RETRY, "topic %s: nothing came for %d s", topic,
                      (int) (SILENCE_US / 1000000));
            return CLI_SOURCE;
        }
        if (event == SOURCE_NOTHING)
            continue;
        heard_us = time_monotonic_us();
        struct resync_place *place = &places[record.partition];
        int64_t offset = record.offset;
        int32_t partition = record.partition;
        bool done = place->next >= place->goal;
        if (code == CLI_OK && event == SOURCE_RECORD)
            code = take(resync, place, &record, topic, error);
        else if (record.owner)
            reader->ops->release(record.owner);
        bool past = event == SOURCE_END ? offset >= place->goal : offset + 1 >= place->goal;
        if (code == CLI_OK && !done && past) {
            code = arrive(resync, place, topic, partition, error);
            left--;
        }
        progress_show(&resync->progress, "%s: %llu records read, %lld left", topic,
                      (unsigned long long) resync->records + resync->batch->record_count,
                      (long long) resync_behind(resync));
    }
    return code;
}

static int read_topic(struct resync *resync, size_t topic, struct resync_place *places,
                      const int64_t *lows, struct error *error)
{
    const struct table_topic *of = &resync->table.topics[topic];
    struct topic_reader *reader = kafka_tool_reader(resync->tools[topic]);
    int64_t *froms = calloc((size_t) of->partitions + 1, sizeof *froms);
    if (!froms) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    int32_t left = begin(resync, topic, places, lows, froms);
    int code = CLI_OK;
    if (left && reader->ops->follow(reader, of->name, froms, of->partitions, error) != ODS_OK)
        code = CLI_SOURCE;
    free(froms);
    if (code == CLI_OK)
        code = read_on(resync, reader, of->name, places, left, error);
    return code;
}

int resync_start_at_ends(struct resync *resync, struct error *error)
{
    const struct table *table = &resync->table;
    for (size_t i = 0; i < table->count; i++)
        if (resync->places[i].chain >= 0)
            return CLI_OK;
    for (size_t i = 0; i < table->count; i++) {
        struct resync_place *place = &resync->places[i];
        if (table->highs[i] <= 0)
            continue;
        if (!batch_cover(resync->batch, table->positions[i].topic, table->positions[i].partition,
                         place->chain, table->highs[i] - 1)) {
            error_out_of_memory(error);
            return CLI_INTERNAL;
        }
        place->next = place->chain = table->highs[i];
    }
    return apply(resync, error);
}

int resync_catch_up(struct resync *resync, struct error *error)
{
    const struct table *table = &resync->table;
    struct resync_place *places = resync->places;
    int code = CLI_OK;
    for (size_t i = 0; i < table->count; i++) {
        places[i].goal = table->positions[i].offset < 0 ? 0 : table->positions[i].offset;
        if (places[i].chain < 0 || places[i].next >= table->lows[i])
            continue;
        error_set(error, ODS_FATAL,
                  "topic %s partition %d: records that were not read yet are gone from Kafka; "
                  "resync --again starts over",
                  table->positions[i].topic, (int) table->positions[i].partition);
        return CLI_NEGATIVE;
    }
    for (size_t i = 0; code == CLI_OK && i < table->topic_count; i++) {
        code = read_topic(resync, i, places, &table->lows[places - resync->places], error);
        places += table->topics[i].partitions;
    }
    if (code == CLI_OK)
        code = apply(resync, error);
    else
        batch_reset(resync->batch);
    progress_done(&resync->progress);
    return code;
}
