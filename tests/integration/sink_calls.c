/* Calls of a sink as a lane makes them, in circumstances that a daemon meets by chance.
 *
 *   sink_calls interrupted CONF RECORDS   before each batch comes an interrupt that is not for it
 *   sink_calls unsettled CONF RECORDS     the batch has no range, and whether it was committed is
 *                                         not known
 *   sink_calls slow CONF RECORDS          nothing else happens
 *
 * Each record is a batch, applied by one call to the first target. Prints what each call answered,
 * how many rows all of them have sent, and how often the sink said that it is alive.
 */
#include <stdio.h>
#include <string.h>

#include <ods/decoder.h>
#include <ods/sink.h>

#include "config/config.h"
#include "pipeline/intake.h"
#include "source/file.h"

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
        batch->range_count = 0;
        batch->commit_unknown = true;
    }
    return sink->ops->apply(sink, batch, NULL, result, error);
}

static enum ods_status apply_all(struct sink *sink, struct decoder *decoder,
                                 struct file_source *source, const char *circumstance,
                                 struct error *error)
{
    struct apply_result result = {0};
    struct batch *lines = batch_new(), *batch = batch_new();
    enum ods_status status = ODS_OK;
    bool end = false;
    int64_t next = OFFSET_NONE;
    while (status == ODS_OK) {
        status = file_read(source, lines, &end, error);
        if (status != ODS_OK || end)
            break;
        status = intake_add(batch, decoder, &lines->records[lines->record_count - 1], next, error);
        next = lines->records[lines->record_count - 1].offset + 1;
        if (status == ODS_OK)
            status = apply(sink, batch, circumstance, &result, error);
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
    struct file_source *source = NULL;
    struct decoder *decoder = NULL;
    struct sink *sink = NULL;
    struct error error;
    error_init(&error);
    if (argc != 4 || config_load(&config, argv[2]) != ODS_OK) {
        fprintf(stderr, "usage: sink_calls CIRCUMSTANCE CONF RECORDS\n");
        return 2;
    }
    const struct settings *settings = config_settings(config);
    const struct pipeline_settings *pipeline = &settings->pipelines[0];
    const struct target_settings *target = settings_target(settings, pipeline->target);
    const struct decoder_config decoding = {.pipeline = pipeline};
    const struct sink_config sinking = {
        .target = target, .pipeline = pipeline, .group = pipeline->group_id, .alive = alive};
    enum ods_status status = file_open(&source, argv[3], &error);
    if (status == ODS_OK)
        status = decoder_find(pipeline->format)->open(&decoder, &decoding, &error);
    if (status == ODS_OK)
        status = sink_find(target->type)->open(&sink, &sinking, &error);
    if (status == ODS_OK)
        status = sink->ops->connect(sink, &error);
    if (status == ODS_OK)
        status = apply_all(sink, decoder, source, argv[1], &error);
    if (status != ODS_OK)
        fprintf(stderr, "%s\n", error.text);
    if (sink)
        sink->ops->close(sink);
    if (decoder)
        decoder->ops->close(decoder);
    file_close(source);
    config_free(config);
    return status == ODS_OK ? 0 : 1;
}
