/* ods-sink replay: records from a file into the configured targets, by the lanes' own way: the same
 * intake, the same batches, the same sink, the same stored offsets. One thread, no Kafka.
 *
 * Each record goes to every pipeline whose topics it matches. What the target already has is passed
 * over, so a second replay changes nothing. An offset that goes back within the file, above what
 * the target had, is refused: the order of the file is the order in which changes are applied.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/interrupt.h"
#include "core/log.h"
#include "core/time.h"
#include "pipeline/assignment.h"
#include "cli/letter.h"
#include "pipeline/deadletter.h"
#include "pipeline/intake.h"
#include "pipeline/recording.h"
#include "pipeline/worker.h"

/* One pipeline that the file may have records for. */
struct route {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct worker worker;
    struct deadletter *deadletter; /* NULL: a bad record ends the replay */
    struct assignment assignment;
    struct batch *batch;
    const char *unmatched; /* the last topic that is none of ours, interned by the file */
    int64_t wait_ms;       /* how long a target that is away is waited for */
    int code;              /* exit code of a failure */
    uint64_t records, skipped, changes, rejected_decode, rejected_apply;
    uint64_t passed[PASS_COUNT];
    struct apply_result result;
};

struct replay_options {
    const char *path, *config, *pipeline, *dead_letter;
    struct strings key_files;
    int64_t wait_ms;
    bool json; /* accepted; the summary is JSON anyway */
};

struct replay {
    const struct replay_options *options;
    struct config *loaded;
    struct letter_keys keys;
    struct route *routes;
    size_t route_count;
    uint64_t records, unmatched;
};

static int code_of(enum ods_status status)
{
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

static enum ods_status before_commit(void *context, struct batch *batch, struct error *error)
{
    struct route *route = context;
    const struct reject *reject = &batch->rejects[0];
    const struct record *record = &batch->records[reject->record];
    if (route->deadletter)
        return route->deadletter->ops->deliver(route->deadletter, batch, error);
    route->code = CLI_NEGATIVE;
    return error_set(error, ODS_FATAL,
                     "topic %s partition %d offset %lld: %s: %s; --dead-letter FILE puts such "
                     "records aside",
                     record->topic, (int) record->partition, (long long) record->offset,
                     reject->stage, reject->error.text);
}

static void notice(void *context, const char *text)
{
    const struct route *route = context;
    terminal_line(stderr, "ods-sink replay: pipeline %s: %s", route->pipeline->name, text);
}

static void count_batch(struct route *route)
{
    const struct batch *batch = route->batch;
    route->records += batch->record_count;
    route->changes += batch->change_count;
    for (uint32_t i = 0; i < batch->reject_count; i++)
        if (strcmp(batch->rejects[i].stage, "decode") == 0)
            route->rejected_decode++;
        else
            route->rejected_apply++;
    for (int i = 0; i < PASS_COUNT; i++)
        route->passed[i] += batch->passed[i];
}

static int apply(struct route *route, struct error *error)
{
    const struct apply_hooks hooks = {
        .notice = notice, .before_commit = before_commit, .context = route};
    struct apply_result result;
    struct worker_deadline deadline;
    if (batch_is_empty(route->batch))
        return CLI_OK;
    worker_deadline_init(&deadline, route->settings, route->wait_ms);
    enum ods_status status = worker_apply(&route->worker, route->batch, &hooks, &result,
                                          interrupt_deadline_wait, &deadline, error);
    if (status == ODS_FENCED)
        error_prefix(error, "another writer moves the same offsets (is a daemon running with this "
                            "configuration?): ");
    apply_result_add(&route->result, &result); /* also of a batch that was committed in part */
    if (status == ODS_OK)
        count_batch(route);
    batch_reset(route->batch);
    return status == ODS_OK ? CLI_OK : route->code ? route->code : CLI_TARGET;
}

/* Where the target stands for a partition that the file has not shown before. */
static int resume(struct route *route, struct partition *partition, struct error *error)
{
    struct position position = {
        .topic = partition->topic, .partition = partition->number, .offset = OFFSET_NONE};
    struct worker_deadline deadline;
    worker_deadline_init(&deadline, route->settings, route->wait_ms);
    enum ods_status status = worker_resume(&route->worker, &position, 1, interrupt_deadline_wait,
                                           &deadline, error);
    partition->stored = partition->chain = position.offset;
    partition->position = position.offset == OFFSET_NONE ? 0 : position.offset;
    partition->state = PARTITION_ACTIVE;
    return code_of(status);
}

/* Headers of a record whose bytes lie in its batch's arena: what its owner points to. */
struct copied_headers {
    size_t count;
    struct header items[];
};

static size_t copied(const struct record *record, struct header *headers, size_t max)
{
    const struct copied_headers *list = record->owner;
    if (!list)
        return 0;
    for (size_t i = 0; i < list->count && i < max; i++)
        headers[i] = list->items[i];
    return list->count;
}

static bool copy_bytes(struct arena *arena, const char **bytes, size_t length)
{
    if (*bytes)
        *bytes = arena_strndup(arena, *bytes, length);
    return *bytes != NULL;
}

/* A record that was read into another batch, with all that it refers to. False: no memory. */
static bool copy_record(struct batch *batch, const struct batch *from, const struct record *record,
                        struct record *copy)
{
    size_t count = from->headers ? from->headers(record, NULL, 0) : 0;
    struct copied_headers *headers =
        arena_alloc(&batch->arena, sizeof *headers + count * sizeof *headers->items);
    *copy = *record;
    copy->owner = headers;
    if (!headers || (record->key && !copy_bytes(&batch->arena, &copy->key, record->key_length)) ||
        (record->value && !copy_bytes(&batch->arena, &copy->value, record->value_length)))
        return false;
    headers->count = count;
    if (count)
        from->headers(record, headers->items, count);
    for (size_t i = 0; i < count; i++) {
        struct header *header = &headers->items[i];
        if (!copy_bytes(&batch->arena, &header->name, strlen(header->name)) ||
            (header->value && !copy_bytes(&batch->arena, &header->value, header->length)))
            return false;
    }
    batch->headers = copied;
    batch->release = NULL;
    return true;
}

static int take(struct route *route, const struct batch *from, struct partition *partition,
                struct error *error)
{
    const struct record *record = &from->records[0];
    const struct batch_settings *limits = &route->settings->batch;
    struct record copy;
    if (record->offset < partition->position) {
        if (partition->stored != OFFSET_NONE && record->offset < partition->stored) {
            struct decoder *decoder = route->worker.decoder;
            if (partition->stored - record->offset <= decoder->ops->look_back &&
                decoder->ops->observe(decoder, record, error) != ODS_OK)
                return error->fault == FAULT_OUTAGE ? CLI_SOURCE : CLI_INTERNAL;
            route->skipped++;
            return CLI_OK;
        }
        error_set(error, ODS_FATAL,
                  "topic %s partition %d: offset %lld comes after %lld: a partition's records must "
                  "stand in order, each once",
                  record->topic, (int) record->partition, (long long) record->offset,
                  (long long) partition->position - 1);
        return CLI_NEGATIVE;
    }
    if (!copy_record(route->batch, from, record, &copy)) {
        error_set(error, ODS_FATAL, "out of memory for a record of %zu bytes",
                  record->value_length);
        return CLI_INTERNAL;
    }
    enum ods_status status =
        intake_add(route->batch, &route->worker, &copy, partition->chain, error);
    /* Else memory: what a decoder learns here is in the file, or in a schema registry. */
    if (status != ODS_OK)
        return error->fault == FAULT_OUTAGE ? CLI_SOURCE : CLI_INTERNAL;
    partition->chain = partition->position = record->offset + 1;
    if (route->batch->record_count >= (uint64_t) limits->max_events ||
        batch_bytes(route->batch) >= (size_t) limits->max_bytes)
        return apply(route, error);
    return CLI_OK;
}

/* The record in `from` to every pipeline that wants it. */
static int route_record(struct replay *replay, const struct batch *from, struct error *error)
{
    const struct record *record = &from->records[0];
    bool wanted = false;
    replay->records++;
    for (size_t i = 0; i < replay->route_count; i++) {
        struct route *route = &replay->routes[i];
        if (route->unmatched == record->topic)
            continue;
        struct partition *partition =
            assignment_find(&route->assignment, record->topic, record->partition);
        int code = CLI_OK;
        if (!partition) {
            if (!pipeline_reads(route->pipeline, record->topic)) {
                route->unmatched = record->topic;
                continue;
            }
            partition = assignment_add(&route->assignment, record->topic, record->partition);
            if (!partition) {
                error_set(error, ODS_FATAL, "out of memory for a partition");
                return CLI_INTERNAL;
            }
            code = resume(route, partition, error);
        }
        wanted = true;
        if (code == CLI_OK)
            code = take(route, from, partition, error);
        if (code != CLI_OK)
            return code;
    }
    replay->unmatched += !wanted;
    return CLI_OK;
}

/* A letter that --dead-letter has written encrypted becomes its record. */
static int open_letter(const struct replay *replay, struct batch *batch, struct error *error)
{
    struct record *letter = &batch->records[0], record;
    if (!letter_is_sealed(letter, batch->headers, NULL))
        return CLI_OK;
    enum ods_status status = letter_open(&replay->keys, letter, batch->headers, &record, error);
    if (status != ODS_OK) {
        error_prefix(error, "topic %s partition %d offset %lld: ", letter->topic,
                     (int) letter->partition, (long long) letter->offset);
        return CLI_NEGATIVE;
    }
    record.topic = letter->topic;
    batch->release(letter->owner);
    batch->release = free;
    batch->headers = letter_headers;
    *letter = record;
    return CLI_OK;
}

static int replay_file(struct replay *replay, struct error *error)
{
    struct recording *source = NULL;
    struct batch *line = batch_new();
    int code = CLI_OK;
    bool end = false;
    if (!line) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    if (recording_open(&source, replay->options->path, error) != ODS_OK)
        code = CLI_SOURCE;
    else
        recording_stop_when(source, interrupt_came);
    while (code == CLI_OK) {
        enum ods_status status = recording_read(source, line, &end, error);
        if (interrupt_came())
            break;
        if (status != ODS_OK) {
            code = status == ODS_REJECT ? CLI_NEGATIVE : CLI_SOURCE;
            break;
        }
        if (end)
            break;
        code = open_letter(replay, line, error);
        if (code == CLI_OK)
            code = route_record(replay, line, error);
        batch_reset(line);
    }
    for (size_t i = 0; i < replay->route_count && code == CLI_OK && !interrupt_came(); i++)
        code = apply(&replay->routes[i], error);
    batch_free(line);
    /* The batches of the routes refer to topics of the file. */
    for (size_t i = 0; i < replay->route_count; i++)
        batch_reset(replay->routes[i].batch);
    recording_close(source);
    if (!interrupt_came())
        return code;
    error_set(error, ODS_FATAL,
              "interrupted: what the summary counts is committed, whole; the same command goes on "
              "from there");
    return interrupt_code();
}

static enum ods_status open_route(struct route *route, const struct replay *replay,
                                  struct error *error)
{
    const struct pipeline_settings *pipeline = route->pipeline;
    const struct worker_options options = {.settings = route->settings,
                                           .pipeline = pipeline,
                                           .notice = notice,
                                           .context = route};
    assignment_init(&route->assignment);
    route->wait_ms = replay->options->wait_ms;
    route->batch = batch_new();
    if (!route->batch)
        return error_set(error, ODS_FATAL, "out of memory");
    enum ods_status status = worker_open(&route->worker, &options, error);
    const struct deadletter_origin origin = {
        .pipeline = pipeline,
        .target_type = settings_target(route->settings, pipeline->target)->type};
    if (status == ODS_OK && replay->options->dead_letter)
        status = deadletter_file_open(&route->deadletter, replay->options->dead_letter,
                                      route->settings->dead_letter.public_key, &origin, error);
    return status;
}

static void close_routes(struct replay *replay)
{
    for (size_t i = 0; i < replay->route_count; i++) {
        struct route *route = &replay->routes[i];
        batch_free(route->batch);
        worker_close(&route->worker);
        deadletter_close(route->deadletter);
        assignment_done(&route->assignment);
    }
    free(replay->routes);
}

static int open_routes(struct replay *replay, struct error *error)
{
    const struct settings *settings = config_settings(replay->loaded);
    replay->routes = calloc(settings->pipeline_count + 1, sizeof *replay->routes);
    if (!replay->routes) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        if (replay->options->pipeline && strcmp(replay->options->pipeline, pipeline->name) != 0)
            continue;
        struct route *route = &replay->routes[replay->route_count++];
        route->settings = settings;
        route->pipeline = pipeline;
        if (open_route(route, replay, error) != ODS_OK)
            return CLI_CONFIG;
    }
    if (!replay->route_count) {
        error_set(error, ODS_FATAL, "there is no pipeline \"%s\"",
                  replay->options->pipeline ? replay->options->pipeline : "");
        return CLI_USAGE;
    }
    return CLI_OK;
}

static json_t *describe(const struct route *route)
{
    struct apply_result result = route->result;
    json_t *passed = json_object();
    for (int i = 0; i < PASS_COUNT; i++)
        if (route->passed[i])
            json_object_set_new(passed, pass_reason_name((enum pass_reason) i),
                                json_integer((json_int_t) route->passed[i]));
    json_t *object = json_pack("{s:s, s:I, s:I, s:I}", "pipeline", route->pipeline->name, "records",
                               (json_int_t) route->records, "skipped", (json_int_t) route->skipped,
                               "changes", (json_int_t) route->changes);
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++)
        json_object_set_new(object, apply_counts[i].name,
                            json_integer((json_int_t) *apply_count(&result, i)));
    json_object_set_new(object, "passed", passed);
    json_object_set_new(object, "rejected",
                        json_pack("{s:I, s:I}", "decode", (json_int_t) route->rejected_decode,
                                  "apply", (json_int_t) route->rejected_apply));
    return object;
}

/* Counts are of what the targets have committed, also after a failure. */
static void print_summary(const struct replay *replay, int64_t started_us)
{
    uint64_t applied = 0, skipped = 0, rejected = 0;
    json_t *pipelines = json_array();
    for (size_t i = 0; i < replay->route_count; i++) {
        const struct route *route = &replay->routes[i];
        uint64_t set_aside = route->rejected_decode + route->rejected_apply;
        applied += route->changes - route->rejected_apply;
        skipped += route->skipped;
        rejected += set_aside;
        json_array_append_new(pipelines, describe(route));
    }
    json_t *summary =
        json_pack("{s:I, s:I, s:I, s:I, s:I, s:f, s:o}", "records", (json_int_t) replay->records,
                  "applied", (json_int_t) applied, "skipped", (json_int_t) skipped, "rejected",
                  (json_int_t) rejected, "unmatched", (json_int_t) replay->unmatched, "seconds",
                  (double) (time_monotonic_us() - started_us) / 1e6, "pipelines", pipelines);
    json_dumpf(summary, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(summary);
}

static int run(const struct call *call, void *given)
{
    struct replay replay = {.options = given};
    struct error error;
    int64_t started_us = time_monotonic_us();
    error_init(&error);
    int code = cli_load(&replay.loaded, replay.options->config);
    if (code != CLI_OK)
        goto out;
    log_configure(&config_settings(replay.loaded)->log);
    code = letter_keys_read(&replay.keys, &replay.options->key_files, &error);
    if (code == CLI_OK)
        code = open_routes(&replay, &error);
    interrupt_catch();
    if (code == CLI_OK) {
        code = replay_file(&replay, &error);
        print_summary(&replay, started_us);
    }
    if (code != CLI_OK)
        terminal_line(stderr, "ods-sink replay: %s", error.text);
out:
    close_routes(&replay);
    letter_keys_done(&replay.keys);
    config_free(replay.loaded);
    return cli_finish(code);
}

static const struct replay_options defaults = {.wait_ms = 30000};

static const struct parameter options[] = {
    OPTION_CONFIG(struct replay_options),
    OPTION(struct replay_options, dead_letter, "dead-letter", &argument_file,
           "where records go that can't be applied; without it such a record ends the replay"),
    OPTION(struct replay_options, pipeline, "pipeline", &argument_pipeline,
           "only this pipeline (default: all whose topics match)"),
    OPTION(struct replay_options, wait_ms, "wait", &argument_seconds,
           "how long to wait for a target that is away (default: 30)"),
    OPTION(struct replay_options, key_files, "key", &argument_file,
           "a private key (PEM) for encrypted letters in the file; may be given several times",
           .flags = PARAMETER_MANY),
    SWITCH(struct replay_options, json, "json", "the summary as JSON, which it always is"),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct replay_options, path, "FILE", &argument_file,
            "one record a line, as `kcat -C -J` writes them; `-` is standard input",
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "A record can't be applied or read, and there is no `--dead-letter`."},
    EXIT_IS_CONFIG,
    {CLI_SOURCE, "The file can't be read."},
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct example examples[] = {
    {"ods-sink replay -c ods-sink.conf --dead-letter refused.jsonl records.jsonl",
     "Apply what was kept of a topic; what a target refuses goes into a file."},
    {0}};

const struct command cli_replay = {
    .name = "replay",
    .summary = "apply records from a file to the targets",
    .description =
        "Does what `run` would do with the same records, without Kafka. Offsets that are stored in "
        "the target are obeyed: what was applied before is passed over, so that a second replay "
        "changes nothing. Prints a summary as JSON.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct replay_options),
    .defaults = &defaults,
    .run = run,
};
