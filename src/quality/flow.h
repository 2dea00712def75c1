/* Rules about single rows, held against changes on their way: behind the transforms, before a
 * history is kept. A lane has one; entered by its consumer thread. */
#ifndef QUALITY_FLOW_H
#define QUALITY_FLOW_H

#include <ods/batch.h>
#include <ods/pipeline.h>
#include <ods/shape.h>

#include "quality/counts.h"

struct quality_flow;

/* *flow NULL: no rule of the pipeline looks at records on their way. `counts`: where several lanes
 * count together, and outlives it; NULL: it counts by itself. */
enum ods_status quality_flow_open(struct quality_flow **flow,
                                  const struct pipeline_settings *pipeline,
                                  struct shape_table *shapes, struct quality_counts *counts,
                                  struct error *error);
void quality_flow_close(struct quality_flow *flow); /* accepts NULL */
/* No rule makes a letter: for who looks at records that are letters. Accepts NULL. */
void quality_flow_be_lenient(struct quality_flow *flow);

/* Looks at the record's changes from `first` on. ODS_REJECT: one breaks a rule whose `on_fail` is
 * `letter`; the error names it. Unless ODS_OK the changes from `first` on are gone. */
enum ods_status quality_flow_apply(struct quality_flow *flow, struct batch *batch, uint32_t first,
                                   struct error *error);

#endif
