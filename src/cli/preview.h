/* What a pipeline's transforms make of records: each change as it was decoded and as it goes on.
 * For `decode --transform` and `check --sample`: no target, nothing is stored. */
#ifndef PREVIEW_H
#define PREVIEW_H

#include <ods/batch.h>
#include <ods/pipeline.h>
#include "pipeline/worker.h"

struct preview {
    struct worker worker;
    struct batch *batch; /* of one record */
    const struct pipeline_settings *pipeline;
    uint64_t records, decoded, transformed, rejected;
};

/* How a record came out. */
struct preview_result {
    struct buffer *before, *after; /* "[…]": the changes as `decode` prints them */
    bool rejected;
    struct error error; /* where it is */
};

enum ods_status preview_open(struct preview *preview, const struct pipeline_settings *pipeline,
                             struct error *error);
void preview_close(struct preview *preview); /* zeroed is fine */

/* Decodes and transforms batch->records[0]. ODS_OK also for a rejected record. */
enum ods_status preview_record(struct preview *preview, struct preview_result *result,
                               struct error *error);

#endif
