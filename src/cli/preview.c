/* See preview.h. */
#include "cli/preview.h"

#include "cli/cli.h"

enum ods_status preview_open(struct preview *preview, const struct pipeline_settings *pipeline,
                             struct error *error)
{
    const struct worker_options options = {.pipeline = pipeline, .want_before = true};
    *preview = (struct preview){.pipeline = pipeline, .batch = batch_new()};
    if (!preview->batch)
        return error_set(error, ODS_FATAL, "out of memory");
    return worker_open(&preview->worker, &options, error);
}

void preview_close(struct preview *preview)
{
    if (preview->batch)
        batch_free(preview->batch);
    worker_close(&preview->worker);
    *preview = (struct preview){0};
}

static enum ods_status put_changes(struct buffer *out, const struct batch *batch,
                                   struct error *error)
{
    enum ods_status status = ODS_OK;
    buffer_reset(out);
    buffer_puts(out, "[");
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        buffer_puts(out, i ? "," : "");
        status = cli_put_change(out, batch, i, error);
    }
    buffer_puts(out, "]");
    return out->failed ? error_out_of_memory(error) : status;
}

static enum ods_status transform(struct preview *preview, struct preview_result *result)
{
    struct worker *worker = &preview->worker;
    struct batch *batch = preview->batch;
    enum ods_status status =
        worker->decoder->ops->decode(worker->decoder, batch, 0, &result->error);
    preview->decoded += status == ODS_OK ? batch->change_count : 0;
    if (status == ODS_OK)
        status = put_changes(result->before, batch, &result->error);
    if (status == ODS_OK && worker->transforms)
        status = transform_chain_apply(worker->transforms, batch, 0, &result->error);
    preview->transformed += status == ODS_OK ? batch->change_count : 0;
    if (status == ODS_OK)
        status = put_changes(result->after, batch, &result->error);
    return status;
}

enum ods_status preview_record(struct preview *preview, struct preview_result *result,
                               struct error *error)
{
    error_init(&result->error);
    buffer_reset(result->before);
    buffer_puts(result->before, "[]");
    buffer_reset(result->after);
    buffer_puts(result->after, "[]");
    preview->records++;
    enum ods_status status = transform(preview, result);
    result->rejected = status == ODS_REJECT;
    preview->rejected += result->rejected;
    if (result->rejected) {
        buffer_reset(result->after);
        buffer_puts(result->after, "[]");
        return ODS_OK;
    }
    *error = result->error;
    return status;
}
