/* The one place that opens a pipeline's plug-ins, and the one that tries an apply again. */
#include "pipeline/worker.h"

#include <stdlib.h>

#include "core/time.h"
#include "pipeline/history.h"
#include "quality/flow.h"

const struct source_ops *worker_source(const struct settings *settings,
                                       const struct pipeline_settings *pipeline,
                                       struct source_config *config)
{
    const struct source_ops *ops = source_find(pipeline->input.type);
    config->settings = ops->settings ? pipeline->input.own : settings;
    config->daemon = settings;
    config->pipeline = pipeline;
    return ops;
}

int64_t worker_batch_bytes(const struct settings *settings,
                           const struct pipeline_settings *pipeline, int64_t most)
{
    struct source_config config = {0};
    const struct source_ops *ops = worker_source(settings, pipeline, &config);
    int64_t own = ops->batch_bytes ? ops->batch_bytes(&config) : most;
    return own < most ? own : most;
}

const struct sink_ops *worker_target(const struct settings *settings,
                                     const struct pipeline_settings *pipeline,
                                     struct sink_config *config)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    if (!target)
        return NULL;
    *config = (struct sink_config){.name = target->name,
                                   .settings = target->own,
                                   .pipeline = pipeline,
                                   .group = pipeline->group_id,
                                   .daemon = settings};
    return sink_find(target->type);
}

static enum ods_status open_reader(void *context, struct topic_reader **reader,
                                   struct error *error)
{
    const struct worker_origin *origin = context;
    struct source_config config = {0};
    const struct source_ops *ops = worker_source(origin->settings, origin->pipeline, &config);
    if (ops->open_reader)
        return ops->open_reader(reader, &config, error);
    return error_set(error, ODS_FATAL,
                     "pipeline \"%s\": its source, \"%s\", has no topics that could be read beside "
                     "it: leave source.schema_topic out",
                     origin->pipeline->name, ops->type);
}

enum ods_status worker_open_helper(struct format_helper **helper,
                                   const struct worker_origin *origin, struct error *error)
{
    const struct format_ops *format = format_find(origin->pipeline->format);
    const struct helper_config config = {.pipeline = origin->pipeline,
                                         .open_reader = open_reader,
                                         .reader_context = (void *) origin,
                                         .wake = origin->wake,
                                         .say = origin->say,
                                         .context = origin->context};
    *helper = NULL;
    if (!format || !format->helper)
        return ODS_OK;
    return format->helper->open(helper, &config, error);
}

void worker_close_helper(struct format_helper *helper)
{
    if (helper)
        helper->ops->close(helper);
}

static enum ods_status open_decoder(struct worker *worker, const struct worker_options *options,
                                    bool want_before, bool want_position, struct error *error)
{
    const char *format = options->pipeline ? options->pipeline->format : options->format;
    const struct format_ops *ops = format_find(format);
    if (!ops)
        return error_set(error, ODS_FATAL, "there is no format \"%s\"", format);
    const struct decoder_config config = {.pipeline = options->pipeline,
                                          .shapes = worker->shapes,
                                          .helper = options->helper,
                                          .registry = options->registry,
                                          .want_before = want_before,
                                          .want_position = want_position,
                                          .notice = options->notice,
                                          .context = options->context};
    return ops->open(&worker->decoder, &config, error);
}

static enum ods_status open_sink(struct worker *worker, const struct worker_options *options,
                                 struct error *error)
{
    const struct pipeline_settings *pipeline = options->pipeline;
    struct sink_config config;
    const struct sink_ops *ops = worker_target(options->settings, pipeline, &config);
    if (!ops)
        return error_set(error, ODS_FATAL, "there is no target \"%s\" of a known type",
                         pipeline->target);
    if (options->group)
        config.group = options->group;
    config.alive = options->alive;
    config.alive_context = options->alive_context;
    worker->guarantee = sink_guarantee(ops, &config);
    return ops->open(&worker->sink, &config, error);
}

/* Several consumers' changes are put in order by the positions that records tell. */
static bool wants_position(const struct worker_options *options)
{
    struct source_config config = {0};
    const struct source_ops *source =
        options->settings && options->pipeline && options->pipeline->input.type
            ? worker_source(options->settings, options->pipeline, &config)
            : NULL;
    return source && source->merges && config.settings && source->merges(&config);
}

static enum ods_status open_history(struct worker *worker, const struct worker_options *options,
                                    bool *keeps, bool *want_before, struct error *error)
{
    struct sink_config config;
    bool before;
    *keeps = history_is_kept(options->pipeline, &before);
    if (!*keeps)
        return ODS_OK;
    const struct sink_ops *ops = worker_target(options->settings, options->pipeline, &config);
    if (ops && !ops->keeps_history)
        return error_set(error, ODS_FATAL,
                         "a target of type \"%s\" keeps no history: leave history and mode out",
                         ops->type);
    *want_before |= before;
    worker->history = history_new(options->pipeline, worker->shapes);
    return worker->history ? ODS_OK : error_set(error, ODS_FATAL, "out of memory for histories");
}

enum ods_status worker_open(struct worker *worker, const struct worker_options *options,
                            struct error *error)
{
    enum ods_status status = ODS_OK;
    bool want_before = options->want_before, keeps_history = false;
    *worker = (struct worker){.shapes = shape_table_new()};
    if (!worker->shapes)
        status = error_set(error, ODS_FATAL, "out of memory");
    if (status == ODS_OK && options->pipeline)
        status = transform_chain_open(&worker->transforms, options->pipeline, worker->shapes,
                                      &want_before, error);
    if (status == ODS_OK && options->settings && options->pipeline)
        status = open_history(worker, options, &keeps_history, &want_before, error);
    if (status == ODS_OK && options->pipeline)
        status = quality_flow_open(&worker->quality, options->pipeline, worker->shapes,
                                   options->quality, error);
    if (status == ODS_OK && options->settings)
        status = open_sink(worker, options, error);
    want_before |= worker->sink && worker->sink->wants_before;
    if (status == ODS_OK)
        status = open_decoder(worker, options, want_before,
                              keeps_history || wants_position(options), error);
    if (status == ODS_OK)
        return ODS_OK;
    if (options->pipeline)
        error_prefix(error, "pipeline \"%s\": ", options->pipeline->name);
    worker_close(worker);
    return status;
}

void worker_close(struct worker *worker)
{
    if (worker->decoder)
        worker->decoder->ops->close(worker->decoder);
    transform_chain_close(worker->transforms);
    quality_flow_close(worker->quality);
    history_free(worker->history);
    if (worker->sink)
        worker->sink->ops->close(worker->sink);
    shape_table_free(worker->shapes); /* NULL is fine; what was compiled from them is gone */
    *worker = (struct worker){0};
}

enum ods_status worker_decode(struct worker *worker, struct batch *batch, uint32_t record,
                              struct error *error)
{
    uint32_t first = batch->change_count;
    enum ods_status status = worker->decoder->ops->decode(worker->decoder, batch, record, error);
    if (status == ODS_OK && worker->transforms)
        status = transform_chain_apply(worker->transforms, batch, first, error);
    if (status == ODS_OK && worker->quality)
        status = quality_flow_apply(worker->quality, batch, first, error);
    if (status == ODS_OK && worker->history && batch->change_count > first)
        status = history_keep(worker->history, batch, first, error);
    return status;
}

enum ods_status worker_apply(struct worker *worker, struct batch *batch,
                             const struct apply_hooks *hooks, struct apply_result *result,
                             worker_wait *wait, void *context, struct error *error)
{
    enum ods_status status;
    *result = (struct apply_result){0};
    do {
        error_init(error);
        status = worker->sink->ops->apply(worker->sink, batch, hooks, result, error);
    } while (status == ODS_RETRY && wait(context, error));
    return status;
}

enum ods_status worker_resume(struct worker *worker, struct position *positions, size_t count,
                              worker_wait *wait, void *context, struct error *error)
{
    struct sink *sink = worker->sink;
    enum ods_status status;
    do {
        error_init(error);
        status = sink->ops->connect(sink, error);
        if (status == ODS_OK && count)
            status = sink->ops->resume(sink, positions, count, error);
    } while (status == ODS_RETRY && wait(context, error));
    return status;
}

void worker_interrupt(const struct worker *worker)
{
    if (worker->sink->ops->interrupt)
        worker->sink->ops->interrupt(worker->sink);
}

void worker_clear_interrupt(const struct worker *worker)
{
    if (worker->sink->ops->clear_interrupt)
        worker->sink->ops->clear_interrupt(worker->sink);
}

void worker_deadline_init(struct worker_deadline *deadline, const struct settings *settings,
                          int64_t wait_ms)
{
    backoff_init(&deadline->backoff, settings->retry.initial_ms, settings->retry.max_ms);
    deadline->until_us = time_monotonic_us() + wait_ms * 1000;
}

bool worker_deadline_wait(void *context, struct error *error)
{
    struct worker_deadline *deadline = context;
    return backoff_sleep(&deadline->backoff, deadline->until_us);
}
