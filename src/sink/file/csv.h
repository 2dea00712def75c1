/* Changes as CSV (RFC 4180, lines end by \n): a line of names, then a line a change.
 *
 *   op,source_us,topic,partition,offset,absent,id,status
 *   u,1760000001000000,src.shop.orders,0,41,,7,paid
 *
 * The row is the change's after, or before of a delete. NULL is nothing, an empty text is "".
 * `absent` names the columns that the record does not carry, with spaces between them.
 */
#ifndef CSV_H
#define CSV_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/pipeline.h>
#include <ods/status.h>

void csv_put_header(struct buffer *out, const struct shape *shape,
                    const struct table_settings *table);
/* Append a change as a line. ODS_REJECT: a value can't be written. */
enum ods_status csv_put(struct buffer *out, const struct batch *batch, uint32_t change,
                        const struct pipeline_settings *pipeline, struct error *error);

#endif
