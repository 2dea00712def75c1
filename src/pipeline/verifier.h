/* Compares a pipeline's target with its source now and then (`verify` in tables.yaml): one thread a
 * pipeline, with sessions of its own. It only reads, except that the target keeps when it compared
 * and what it found (verify/turn.h). So one process of a group compares at a time, a run that was
 * broken off is continued, and every process shows the last report. */
#ifndef VERIFIER_H
#define VERIFIER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct verifier;

struct lane;

/* *verifier is NULL where the pipeline does not want one. Settings, pipeline and its lanes outlive
 * it. */
enum ods_status verifier_start(struct verifier **verifier, const struct settings *settings,
                               const struct pipeline_settings *pipeline, struct lane *const *lanes,
                               size_t lane_count, struct error *error);
/* Ends what is being compared; returns at once. All of these accept NULL. */
void verifier_stop(struct verifier *verifier);
bool verifier_ended(const struct verifier *verifier);
void verifier_join(struct verifier *verifier); /* and frees it */

/* Any thread. Compare what a pipeline has at once, whatever its schedule says; `look`: only say
 * whether that can be. ODS_REJECT: it has no schedule, or a comparison runs; the error says so. */
enum ods_status verifiers_hurry(struct verifier *const *verifiers, size_t count,
                                const char *pipeline, bool look, struct error *error);

/* Any thread. */
void verifiers_metrics(struct verifier *const *verifiers, size_t count, struct buffer *out);
json_t *verifiers_describe(struct verifier *const *verifiers, size_t count); /* a list */

#endif
