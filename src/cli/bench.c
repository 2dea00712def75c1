/* `ods-sink bench`: the parts by themselves, fed from memory.
 *
 *   bench decode FILE              how fast records become changes, on one core
 *   bench apply -c CONF FILE       how fast changes become rows: the lanes' batches and
 *                                  connections, without Kafka and without decoding
 *   bench transforms -c CONF FILE  what each transform costs: see bench_transforms.c
 *
 * Figures are JSON on standard output. `apply` writes to the configured target, under a consumer
 * group of its own.
 */
#include "cli/bench.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/log.h"
#include "core/time.h"
#include "pipeline/recording.h"
#include "pipeline/worker.h"

#define MOST_LANES 64

double bench_cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double) (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double) (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long peak_rss_kb(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

enum ods_status bench_load(const char *path, struct batch *store, struct recording **file,
                           struct error *error)
{
    enum ods_status status = recording_open(file, path, error);
    for (bool end = false; status == ODS_OK && !end;)
        status = recording_read(*file, store, &end, error);
    if (status == ODS_OK && !store->record_count)
        status = error_set(error, ODS_FATAL, "%s holds no record", path);
    return status;
}

enum ods_status bench_take(struct batch *batch, struct worker *worker, const struct record *record,
                           int64_t from, struct error *error)
{
    struct record *copy = batch_add_record(batch);
    if (!copy)
        return error_set(error, ODS_FATAL, "out of memory");
    *copy = *record;
    copy->owner = NULL;
    batch->payload_bytes += record->key_length + record->value_length;
    if (!batch_cover(batch, record->topic, record->partition, from, record->offset))
        return error_set(error, ODS_FATAL, "out of memory");
    return worker_decode(worker, batch, batch->record_count - 1, error);
}

/* --- decode --------------------------------------------------------------------------------- */

static int decode_for(const struct batch *store, struct worker *worker, double seconds,
                      struct error *error)
{
    struct batch *batch = batch_new();
    uint64_t records = 0, changes = 0, bytes = 0;
    int64_t started = time_monotonic_us(), until = started + (int64_t) (seconds * 1e6);
    double cpu = bench_cpu_seconds();
    enum ods_status status = ODS_OK;
    if (!batch)
        return CLI_INTERNAL;
    while (status == ODS_OK && time_monotonic_us() < until) {
        for (uint32_t i = 0; status == ODS_OK && i < store->record_count; i++) {
            status = bench_take(batch, worker, &store->records[i], 0, error);
            if (batch->record_count == 10000 || i + 1 == store->record_count) {
                records += batch->record_count;
                changes += batch->change_count;
                bytes += batch->payload_bytes;
                batch_reset(batch);
            }
        }
    }
    double wall = (double) (time_monotonic_us() - started) / 1e6;
    cpu = bench_cpu_seconds() - cpu;
    batch_free(batch);
    if (status != ODS_OK) {
        terminal_line(stderr, "ods-sink bench decode: %s", error->text);
        return CLI_NEGATIVE;
    }
    printf("{\"records\":%" PRIu64 ",\"changes\":%" PRIu64 ",\"bytes\":%" PRIu64
           ",\"seconds\":%.3f,\"cpu_seconds\":%.3f,\"records_per_second\":%.0f,"
           "\"megabytes_per_second\":%.0f}\n",
           records, changes, bytes, wall, cpu, (double) records / wall,
           (double) bytes / wall / 1e6);
    return cli_finish(CLI_OK);
}

static int bench_decode(const char *path, const char *format, const char *url, double seconds)
{
    struct registry_settings registry;
    struct batch *store = batch_new();
    struct recording *file = NULL;
    struct worker worker = {0};
    const struct worker_options options = {.format = format, .registry = &registry};
    struct error error;
    int code = CLI_INTERNAL;
    cli_registry(&registry, url);
    error_init(&error);
    if (!format_find(format)) {
        code = cli_usage("bench", "there is no format '%s'", format);
        goto out;
    }
    bool loaded = store && bench_load(path, store, &file, &error) == ODS_OK;
    if (!loaded || worker_open(&worker, &options, &error) != ODS_OK) {
        code = loaded ? CLI_CONFIG : store ? CLI_SOURCE : CLI_INTERNAL;
        terminal_line(stderr, "ods-sink bench decode: %s", store ? error.text : "out of memory");
        goto out;
    }
    code = decode_for(store, &worker, seconds, &error);
out:
    worker_close(&worker);
    batch_free(store);
    recording_close(file);
    return code;
}

/* --- apply ---------------------------------------------------------------------------------- */

struct lane {
    pthread_t thread;
    struct worker worker;
    struct batch **batches;
    size_t batch_count, batch_capacity;
    struct apply_result total;
    struct error error;
    enum ods_status status;
    atomic_bool *go;
};

static struct batch *next_batch(struct lane *lane, const struct settings *settings)
{
    struct batch *last = lane->batch_count ? lane->batches[lane->batch_count - 1] : NULL;
    if (last && last->record_count < settings->batch.max_events &&
        (int64_t) batch_bytes(last) < settings->batch.max_bytes)
        return last;
    if (lane->batch_count == lane->batch_capacity) {
        size_t larger = lane->batch_capacity ? lane->batch_capacity * 2 : 16;
        struct batch **moved = realloc(lane->batches, larger * sizeof *moved);
        if (!moved)
            return NULL;
        lane->batches = moved;
        lane->batch_capacity = larger;
    }
    last = batch_new();
    if (last)
        lane->batches[lane->batch_count++] = last;
    return last;
}

/* Where the partition stands once the lane's batches are applied. */
static int64_t stands_at(const struct lane *lane, const struct record *record)
{
    for (size_t i = lane->batch_count; i-- > 0;)
        for (uint32_t k = 0; k < lane->batches[i]->claim_count; k++) {
            const struct claim *claim = &lane->batches[i]->claims[k];
            if (claim->partition == record->partition && claim->topic == record->topic)
                return claim->upto;
        }
    return OFFSET_NONE;
}

static enum ods_status distribute(struct lane *lanes, size_t lane_count, const struct batch *store,
                                  const struct settings *settings, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < store->record_count; i++) {
        const struct record *record = &store->records[i];
        struct lane *lane = &lanes[(size_t) record->partition % lane_count];
        struct batch *batch = next_batch(lane, settings);
        status = batch ? bench_take(batch, &lane->worker, record, stands_at(lane, record), error)
                       : error_set(error, ODS_FATAL, "out of memory");
    }
    return status;
}

static void *run_lane(void *argument)
{
    struct lane *lane = argument;
    struct sink *sink = lane->worker.sink;
    while (!atomic_load(lane->go))
        sched_yield();
    for (size_t i = 0; lane->status == ODS_OK && i < lane->batch_count; i++) {
        struct apply_result result = {0};
        lane->status = sink->ops->apply(sink, lane->batches[i], NULL, &result, &lane->error);
        apply_result_add(&lane->total, &result);
    }
    return NULL;
}

static enum ods_status open_lane(struct lane *lane, const struct settings *settings,
                                 const struct pipeline_settings *pipeline, const char *group,
                                 atomic_bool *go, struct error *error)
{
    const struct worker_options options = {
        .settings = settings, .pipeline = pipeline, .group = group};
    error_init(&lane->error);
    lane->go = go;
    enum ods_status status = worker_open(&lane->worker, &options, error);
    return status == ODS_OK ? lane->worker.sink->ops->connect(lane->worker.sink, error) : status;
}

static void close_lane(struct lane *lane)
{
    for (size_t i = 0; i < lane->batch_count; i++)
        batch_free(lane->batches[i]);
    free(lane->batches);
    worker_close(&lane->worker);
}

static int time_lanes(struct lane *lanes, size_t lane_count, uint32_t records, atomic_bool *go)
{
    struct apply_result total = {0};
    size_t started = 0;
    for (; started < lane_count; started++)
        if (pthread_create(&lanes[started].thread, NULL, run_lane, &lanes[started]))
            break;
    double cpu = bench_cpu_seconds();
    int64_t begun = time_monotonic_us();
    atomic_store(go, true);
    for (size_t i = 0; i < started; i++)
        pthread_join(lanes[i].thread, NULL);
    double wall = (double) (time_monotonic_us() - begun) / 1e6;
    cpu = bench_cpu_seconds() - cpu;
    int code = started == lane_count ? CLI_OK : CLI_INTERNAL;
    for (size_t i = 0; i < lane_count; i++) {
        apply_result_add(&total, &lanes[i].total);
        if (lanes[i].status != ODS_OK) {
            terminal_line(stderr, "ods-sink bench apply: lane %zu: %s", i, lanes[i].error.text);
            code = CLI_TARGET;
        }
    }
    if (code == CLI_OK)
        printf("{\"records\":%" PRIu32 ",\"upserted\":%" PRIu64 ",\"deleted\":%" PRIu64
               ",\"folded\":%" PRIu64 ",\"lanes\":%zu,\"seconds\":%.3f,\"cpu_seconds\":%.3f,"
               "\"records_per_second\":%.0f,\"peak_rss_kb\":%ld}\n",
               records, total.upserted, total.deleted, total.folded, lane_count, wall, cpu,
               records / wall, peak_rss_kb());
    return code == CLI_OK ? cli_finish(code) : code;
}

static int apply_with(const struct settings *settings, const char *path)
{
    const struct pipeline_settings *pipeline = &settings->pipelines[0];
    size_t lane_count = pipeline->lanes > MOST_LANES ? MOST_LANES : (size_t) pipeline->lanes;
    struct lane *lanes = calloc(lane_count, sizeof *lanes);
    struct batch *store = batch_new();
    struct recording *file = NULL;
    struct error error;
    atomic_bool go = false;
    int code = CLI_TARGET;
    char group[128];
    snprintf(group, sizeof group, "bench.%ld.%" PRId64, (long) getpid(), time_wall_us());
    error_init(&error);
    enum ods_status status = lanes && store ? bench_load(path, store, &file, &error)
                                            : error_set(&error, ODS_FATAL, "out of memory");
    for (size_t i = 0; status == ODS_OK && i < lane_count; i++)
        status = open_lane(&lanes[i], settings, pipeline, group, &go, &error);
    if (status == ODS_OK)
        status = distribute(lanes, lane_count, store, settings, &error);
    if (status == ODS_OK)
        code = time_lanes(lanes, lane_count, store->record_count, &go);
    else
        terminal_line(stderr, "ods-sink bench apply: %s", error.text);
    for (size_t i = 0; lanes && i < lane_count; i++)
        close_lane(&lanes[i]);
    free(lanes);
    batch_free(store);
    recording_close(file);
    return code;
}

static int bench_apply(const char *config_path, const char *path)
{
    struct config *config = NULL;
    int code = cli_load(&config, config_path);
    if (code == CLI_OK)
        code = apply_with(config_settings(config), path);
    config_free(config);
    return code;
}

struct bench_options {
    const char *config, *format, *path, *pipeline, *registry;
    double seconds;
    bool json; /* accepted; the output is JSON anyway */
};

static bool parse_duration(const struct parameter *row, const char *text, void *member)
{
    char *end;
    double *seconds = member;
    *seconds = strtod(text, &end);
    return end != text && !*end && *seconds > 0 && *seconds <= 86400;
}

static int run_decode(const struct call *call, void *given)
{
    const struct bench_options *options = given;
    return bench_decode(options->path, options->format, options->registry, options->seconds);
}

static int run_apply(const struct call *call, void *given)
{
    const struct bench_options *options = given;
    return bench_apply(options->config, options->path);
}

static int run_transforms(const struct call *call, void *given)
{
    const struct bench_options *options = given;
    return bench_transforms(options->config, options->pipeline, options->path, options->seconds);
}

static const struct argument argument_duration = {
    "N", "a number of seconds above 0, at most a day", COMPLETE_NOTHING, parse_duration};

static const struct bench_options defaults = {
    .format = "debezium", .registry = "", .seconds = 5};

static const struct parameter decode_options[] = {
    OPTION(struct bench_options, format, "format", &argument_text,
           "how the records are written (default: debezium)", .value = "NAME"),
    OPTION(struct bench_options, registry, "registry", &argument_text,
           "where the schemas of Avro records are, as of `decode`", .value = "URL"),
    OPTION(struct bench_options, seconds, "seconds", &argument_duration, "how long (default: 5)"),
    SWITCH(struct bench_options, json, "json", "as JSON, which it always is"),
    {0}};

static const struct parameter apply_options[] = {
    OPTION_CONFIG(struct bench_options),
    SWITCH(struct bench_options, json, "json", "as JSON, which it always is"),
    {0}};

static const struct parameter transforms_options[] = {
    OPTION_CONFIG(struct bench_options),
    OPTION(struct bench_options, pipeline, "pipeline", &argument_pipeline,
           "whose transforms (default: the first)"),
    OPTION(struct bench_options, seconds, "seconds", &argument_duration,
           "how long for each (default: 5)"),
    SWITCH(struct bench_options, json, "json", "as JSON, which it always is"),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct bench_options, path, "FILE", &argument_file,
            "one record a line, as `kcat -C -J` writes them", .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning decode_exits[] = {
    {CLI_NEGATIVE, "A record can't be decoded."}, {0}};

static const struct exit_meaning transforms_exits[] = {
    {CLI_NEGATIVE, "A record can't be decoded or transformed."}, EXIT_IS_CONFIG, {0}};

static const struct exit_meaning apply_exits[] = {EXIT_IS_CONFIG, EXIT_IS_TARGET, {0}};

static const struct command bench_decode_command = {
    .name = "decode",
    .summary = "records a second that become changes, on one core",
    .options = {{.options = decode_options}},
    .operands = operands,
    .exits = decode_exits,
    .options_size = sizeof(struct bench_options),
    .defaults = &defaults,
    .run = run_decode,
};

static const struct command bench_apply_command = {
    .name = "apply",
    .summary = "rows a second that the first pipeline's lanes write to its target",
    .description = "Without Kafka and without decoding, under a consumer group of its own. It "
                   "writes rows, so give it a scratch target.",
    .options = {{.options = apply_options}},
    .operands = operands,
    .exits = apply_exits,
    .options_size = sizeof(struct bench_options),
    .defaults = &defaults,
    .run = run_apply,
};

static const struct command bench_transforms_command = {
    .name = "transforms",
    .summary = "what each transform of a pipeline costs an event, on one core",
    .description = "In nanoseconds of CPU a record: of decoding, then what each transform adds to "
                   "those before it, in their order; the transforms of tables last, together.",
    .options = {{.options = transforms_options}},
    .operands = operands,
    .exits = transforms_exits,
    .options_size = sizeof(struct bench_options),
    .defaults = &defaults,
    .run = run_transforms,
};

static const struct command *const commands[] = {&bench_decode_command, &bench_apply_command,
                                                 &bench_transforms_command, NULL};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "A record can't be decoded."}, EXIT_IS_CONFIG, EXIT_IS_TARGET, {0}};

const struct command cli_bench = {
    .name = "bench",
    .summary = "measure decoding, transforms or applying by themselves, from memory",
    .description = "Figures are JSON on standard output.",
    .commands = commands,
    .exits = exits,
};
