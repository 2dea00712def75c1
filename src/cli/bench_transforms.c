/* `bench transforms`: what each transform costs an event. The pipeline is run without transforms,
 * with the first, with the first two and so on; a transform's cost is the difference. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "core/time.h"

#define BATCH_RECORDS 10000

/* CPU nanoseconds a record: the least of several rounds, as other processes only ever add to it. */
static enum ods_status measure(const struct batch *store, const struct pipeline_settings *pipeline,
                               double seconds, double *ns, struct error *error)
{
    const struct worker_options options = {.pipeline = pipeline, .want_before = true};
    struct worker worker = {0};
    struct batch *batch = batch_new();
    int64_t until = time_monotonic_us() + (int64_t) (seconds * 1e6);
    enum ods_status status =
        batch ? worker_open(&worker, &options, error) : error_out_of_memory(error);
    *ns = 0;
    for (int round = 0; status == ODS_OK && (round < 3 || time_monotonic_us() < until); round++) {
        double cpu = bench_cpu_seconds();
        uint64_t records = 0;
        while (status == ODS_OK && records < 2 * BATCH_RECORDS) {
            for (uint32_t i = 0; status == ODS_OK && i < store->record_count; i++) {
                status = bench_take(batch, &worker, &store->records[i], 0, error);
                records++;
                if (batch->record_count == BATCH_RECORDS || i + 1 == store->record_count)
                    batch_reset(batch);
            }
        }
        double taken = (bench_cpu_seconds() - cpu) * 1e9 / (double) records;
        if (round && (*ns == 0 || taken < *ns))
            *ns = taken; /* the first round warms up */
    }
    worker_close(&worker);
    if (batch)
        batch_free(batch);
    return status;
}

static enum ods_status measure_all(const struct batch *store,
                                   const struct pipeline_settings *given, double seconds,
                                   struct error *error)
{
    struct pipeline_settings pipeline = *given;
    double base = 0, before = 0, now = 0;
    pipeline.tables = calloc(given->table_count + 1, sizeof *pipeline.tables);
    if (!pipeline.tables)
        return error_out_of_memory(error);
    pipeline.transform_count = pipeline.defaults.transform_count = 0;
    for (size_t i = 0; i < given->table_count; i++) {
        pipeline.tables[i] = given->tables[i];
        pipeline.tables[i].transform_count = 0;
    }
    enum ods_status status = measure(store, &pipeline, seconds, &base, error);
    if (status == ODS_OK)
        printf("{\"decode_ns\":%.0f,\"transforms\":[", base);
    before = base;
    for (size_t i = 0; status == ODS_OK && i < given->transform_count; i++) {
        pipeline.transform_count = i + 1;
        status = measure(store, &pipeline, seconds, &now, error);
        if (status == ODS_OK)
            printf("%s{\"type\":\"%s\",\"line\":%d,\"ns\":%.0f}", i ? "," : "",
                   given->transforms[i].type, given->transforms[i].line, now - before);
        before = now;
    }
    if (status == ODS_OK)
        status = measure(store, given, seconds, &now, error);
    if (status == ODS_OK)
        printf("],\"tables_ns\":%.0f,\"all_ns\":%.0f}\n", now - before, now);
    free(pipeline.tables);
    return status;
}

int bench_transforms(const char *config_path, const char *name, const char *path, double seconds)
{
    struct config *config = NULL;
    struct batch *store = batch_new();
    struct recording *file = NULL;
    struct error error;
    error_init(&error);
    int code = cli_load(&config, config_path);
    const struct settings *settings = code == CLI_OK ? config_settings(config) : NULL;
    const struct pipeline_settings *pipeline =
        !settings ? NULL : name ? settings_pipeline(settings, name) : &settings->pipelines[0];
    if (settings && !pipeline)
        code = cli_usage("bench", "there is no pipeline '%s'", name);
    if (pipeline) {
        enum ods_status status =
            store ? bench_load(path, store, &file, &error) : error_out_of_memory(&error);
        if (status == ODS_OK)
            status = measure_all(store, pipeline, seconds, &error);
        if (status != ODS_OK) {
            terminal_line(stderr, "ods-sink bench transforms: %s", error.text);
            code = status == ODS_REJECT ? CLI_NEGATIVE : CLI_INTERNAL;
        }
    }
    if (store)
        batch_free(store);
    recording_close(file);
    config_free(config);
    return cli_finish(code);
}
