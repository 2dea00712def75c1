/* The plug-ins between a pipeline's records and its target, opened and closed together: the shapes,
 * the decoder, the transforms and the sink. A lane has one: its consumer thread enters what
 * decodes, its writer thread the sink. So have `replay`, `dlq replay`, `decode` and `bench`, in one
 * thread.
 */
#ifndef WORKER_H
#define WORKER_H

#include <ods/format.h>
#include <ods/sink.h>
#include <ods/source.h>
#include <ods/transform.h>
#include "config/settings.h"
#include "core/backoff.h"

struct quality_counts; /* quality/counts.h */

struct worker_options {
    const struct settings *settings;          /* NULL: no target */
    const struct pipeline_settings *pipeline; /* NULL: the format by itself, nothing configured */
    const char *format;                       /* where there is no pipeline */
    const struct registry_settings *registry; /* where there is no pipeline; NULL: there is none */
    const char *group;                        /* of the stored offsets; NULL: the pipeline's */
    struct format_helper *helper;             /* as in struct decoder_config */
    bool want_before;
    struct quality_counts *quality; /* what rules of lanes count together; NULL: nobody asks */
    /* Something that somebody should know once; NULL: nobody asks. */
    void (*notice)(void *context, const char *text);
    void *context;
    void (*alive)(void *context); /* as in struct sink_config */
    void *alive_context;
};

struct worker {
    struct shape_table *shapes;
    struct decoder *decoder;
    struct transform_chain *transforms; /* NULL: there are none */
    struct quality_flow *quality; /* NULL: no rule looks at records on their way */
    struct history *history; /* NULL: no table keeps one */
    struct sink *sink; /* NULL: there is no target */
    enum guarantee guarantee; /* the sink's */
};

/* Who needs a source, or a format's helper: a lane, a command. Outlives the helper. */
struct worker_origin {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    void (*wake)(void *context); /* as in struct helper_config */
    void (*say)(void *context, bool warning, const char *text);
    void *context;
};

/* The pipeline's source; sets config->settings and config->pipeline for it. */
const struct source_ops *worker_source(const struct settings *settings,
                                       const struct pipeline_settings *pipeline,
                                       struct source_config *config);
/* With how many bytes a batch of the pipeline is full, if batch.max_bytes is `most`. */
int64_t worker_batch_bytes(const struct settings *settings,
                           const struct pipeline_settings *pipeline, int64_t most);
/* The pipeline's target, and what it is opened with; NULL: there is none of a known type. */
const struct sink_ops *worker_target(const struct settings *settings,
                                     const struct pipeline_settings *pipeline,
                                     struct sink_config *config);
/* *helper NULL: the format has none, or the pipeline needs none. */
enum ods_status worker_open_helper(struct format_helper **helper,
                                   const struct worker_origin *origin, struct error *error);
void worker_close_helper(struct format_helper *helper); /* NULL is fine */

/* What the options point to outlives the worker. On failure it is closed already. */
enum ods_status worker_open(struct worker *worker, const struct worker_options *options,
                            struct error *error);
void worker_close(struct worker *worker); /* zeroed is fine */

/* Append what batch->records[record] says to batch->changes, transformed. As format_ops.decode():
 * unless ODS_OK nothing was appended. */
enum ods_status worker_decode(struct worker *worker, struct batch *batch, uint32_t record,
                              struct error *error);

/* Called between two attempts during an outage, with its reason in the error. Pauses and returns
 * true, or returns false to give up. */
typedef bool worker_wait(void *context, struct error *error);

/* Apply the batch, again and again while the answer is ODS_RETRY and `wait` says so. */
enum ods_status worker_apply(struct worker *worker, struct batch *batch,
                             const struct apply_hooks *hooks, struct apply_result *result,
                             worker_wait *wait, void *context, struct error *error);
/* Connect and read the stored offsets, likewise. */
enum ods_status worker_resume(struct worker *worker, struct position *positions, size_t count,
                              worker_wait *wait, void *context, struct error *error);

/* The target's interrupt(), from any thread, and its clear_interrupt(). */
void worker_interrupt(const struct worker *worker);
void worker_clear_interrupt(const struct worker *worker);

/* A worker_wait for commands: with the back-off of retry.*, until a moment. */
struct worker_deadline {
    struct backoff backoff;
    int64_t until_us; /* monotonic */
};
void worker_deadline_init(struct worker_deadline *deadline, const struct settings *settings,
                          int64_t wait_ms);
bool worker_deadline_wait(void *deadline, struct error *error);

#endif
