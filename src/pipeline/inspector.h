/* Checks a pipeline's rules about its data now and then (`quality` in tables.yaml): one thread a
 * pipeline, with sessions of its own. It only reads, except that the target keeps what was found
 * (quality/store.h). One process of a group checks at a time, and every process shows the last
 * results; of records on their way each process shows and keeps its own. */
#ifndef INSPECTOR_H
#define INSPECTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct inspector;
struct quality_counts;

/* *inspector is NULL where the pipeline has no rules. What is given outlives it. */
enum ods_status inspector_start(struct inspector **inspector, const struct settings *settings,
                                const struct pipeline_settings *pipeline,
                                struct quality_counts *counts, struct error *error);
/* Ends what is being checked; returns at once. All of these accept NULL. */
void inspector_stop(struct inspector *inspector);
bool inspector_ended(const struct inspector *inspector);
void inspector_join(struct inspector *inspector); /* and frees it */

/* Any thread. */
void inspectors_metrics(struct inspector *const *inspectors, size_t count, struct buffer *out);
json_t *inspectors_describe(struct inspector *const *inspectors, size_t count); /* a list */

#endif
