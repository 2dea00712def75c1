/* Calls of a sink as a lane makes them, in circumstances that a daemon meets by chance.
 *
 *   sink_calls interrupted CONF RECORDS   before each batch comes an interrupt that is not for it
 *   sink_calls unsettled CONF RECORDS     the batch has no claim, and whether it was committed is
 *                                         not known
 *   sink_calls slow CONF RECORDS          nothing else happens
 *   sink_calls together CONF RECORDS      all records are one batch
 *
 * Else each record is a batch. A batch is applied by one call to the first target. Prints what each
 * call answered, how many rows all of them have sent, and how often the sink said that it is alive.
 */
#include <stdio.h>
#include <string.h>

#include <ods/format.h>
#include <ods/sink.h>

#include "config/config.h"
#include "pipeline/intake.h"
#include "pipeline/recording.h"

static unsigned signs_of_life;

static void alive(void *context)
{
    signs_of_life++;
}

static enum ods_status apply(struct sink *sink, struct batch *batch, const char *circumstance,
                             struct apply_result *result, struct error *error)
{
    if (strcmp(circumstance, "interrupted") == 0) {
        sink->ops->interrupt(sink);
        sink->ops->clear_interrupt(sink);
    }
    if (strcmp(circumstance, "unsettled") == 0) {
        batch->claim_count = 0;
        batch->commit_unknown = true;
    }
    return sink->ops->apply(sink, batch, NULL, result, error);
}

static enum ods_status apply_all(struct worker *worker, struct recording *source,
                                 const char *circumstance, struct error *error)
{
    struct apply_result result = {0};
    struct batch *lines = batch_new(), *batch = batch_new();
    enum ods_status status = ODS_OK;
    bool end = false, together = strcmp(circumstance, "together") == 0;
    int64_t next = OFFSET_NONE;
    while (status == ODS_OK) {
        status = recording_read(source, lines, &end, error);
        if (status != ODS_OK || (end && !batch->record_count))
            break;
        if (!end) {
            struct record *record = &lines->records[lines->record_count - 1];
            status = intake_add(batch, worker, record, next, error);
            next = record->offset + 1;
            if (together)
                continue;
        }
        if (status == ODS_OK)
            status = apply(worker->sink, batch, circumstance, &result, error);
        printf("%s ", ods_status_name(status));
        batch_reset(batch);
    }
    printf("upserted=%llu alive=%u\n", (unsigned long long) result.upserted, signs_of_life);
    batch_free(batch);
    batch_free(lines);
    return status;
}

int main(int argc, char **argv)
{
    struct config *config = NULL;
    struct recording *source = NULL;
    struct worker worker = {0};
    struct error error;
    error_init(&error);
    if (argc != 4 || config_load(&config, argv[2]) != ODS_OK) {
        fprintf(stderr, "usage: sink_calls CIRCUMSTANCE CONF RECORDS\n");
        return 2;
    }
    const struct settings *settings = config_settings(config);
    const struct pipeline_settings *pipeline = &settings->pipelines[0];
    const struct worker_options options = {
        .settings = settings, .pipeline = pipeline, .alive = alive};
    enum ods_status status = recording_open(&source, argv[3], &error);
    if (status == ODS_OK)
        status = worker_open(&worker, &options, &error);
    if (status == ODS_OK)
        status = worker.sink->ops->connect(worker.sink, &error);
    if (status == ODS_OK)
        status = apply_all(&worker, source, argv[1], &error);
    if (status != ODS_OK)
        fprintf(stderr, "%s\n", error.text);
    worker_close(&worker);
    recording_close(source);
    config_free(config);
    return status == ODS_OK ? 0 : 1;
}
