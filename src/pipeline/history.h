/* Changes as rows of a history: beside the change itself, or in its place, as the table's settings
 * say. What comes of it is a change like any other, the create of a row whose key is the record's
 * place in Kafka; so the target needs no second way to plan, encode, write and refuse it.
 *
 * A lane has one; entered by its consumer thread.
 */
#ifndef HISTORY_H
#define HISTORY_H

#include <ods/batch.h>
#include <ods/pipeline.h>
#include <ods/shape.h>

struct history;

/* Does any table of the pipeline keep a history? *before: one wants the images before updates. */
bool history_is_kept(const struct pipeline_settings *pipeline, bool *before);

/* NULL: out of memory. */
struct history *history_new(const struct pipeline_settings *pipeline, struct shape_table *shapes);
void history_free(struct history *history); /* accepts NULL */

/* Adds a row for each of the record's changes from `first` on, or puts it in the change's place.
 * ODS_REJECT: the record can't be kept (it came from a queue, or a value is not JSON). */
enum ods_status history_keep(struct history *history, struct batch *batch, uint32_t first,
                             struct error *error);

#endif
