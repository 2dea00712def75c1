/* A change as a line of JSON, for targets that send changes on:
 *
 *   {"op":"u","database":"shop","schema":null,"table":"items","key":{…},"before":{…},"after":{…},
 *    "source_us":…,"topic":"…","partition":0,"offset":7}
 */
#ifndef ODS_LINES_H
#define ODS_LINES_H

#include <ods/batch.h>
#include <ods/buffer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings;

/* Append batch->changes[change] and a line end; nothing for a table that is skipped. Columns as the
 * table's settings choose and name them; what was not carried is left out. ODS_REJECT: a value can't
 * be written, and the buffer ends somewhere in the line. */
enum ods_status lines_put(struct buffer *out, const struct batch *batch, uint32_t change,
                          const struct pipeline_settings *pipeline, struct error *error);

/* The lines of all changes that are not set aside, a record's whole or not at all: one that can't be
 * written is set aside, and so is each of a batch whose changes are to be compared with what the
 * target has. *count grows by the lines. */
enum ods_status lines_put_all(struct buffer *out, struct batch *batch,
                              const struct pipeline_settings *pipeline, uint64_t *count,
                              struct error *error);

#ifdef __cplusplus
}
#endif

#endif
