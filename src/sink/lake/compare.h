/* Compares rows of a source with a table of a lake, as the sink would have written them. One
 * thread; nothing is written.
 *
 * The table and the source are gone through twice; what differs both times, with the same row on
 * either side, counts. See ods_lake_compare() (ods/lake.h).
 */
#ifndef LAKE_COMPARE_H
#define LAKE_COMPARE_H

#include <jansson.h>

#include <ods/sink.h>

struct lake_compare;

/* The lake of a target, by the pipeline's own table, which says how far the pipeline has come.
 * `format`: "delta" or "iceberg". */
struct lake_progress;
enum ods_status lake_progress_open(struct lake_progress **progress,
                                   const struct sink_config *config, const char *format,
                                   struct error *error);
void lake_progress_close(struct lake_progress *progress); /* NULL is fine */
/* The stored offsets: "topic:partition" → the next one to be read. To be freed. */
enum ods_status lake_progress_read(struct lake_progress *progress, json_t **offsets,
                                   struct error *error);

/* Opens the table into which rows of the shape go. ODS_REJECT: it can't be compared, and the error
 * says why. `passed_over`: columns of the shape that are not compared, a flag each. `by_counts`:
 * rows are only counted. */
enum ods_status lake_compare_open(struct lake_compare **compare, struct lake_progress *progress,
                                  const struct shape *shape, const bool *passed_over,
                                  bool by_counts, struct error *error);
void lake_compare_close(struct lake_compare *compare); /* NULL is fine */

const char *lake_compare_place(const struct lake_compare *compare); /* "shop.orders" */
const char *lake_compare_left_out(const struct lake_compare *compare); /* columns; "" */

/* Takes a row of the source. ODS_REJECT: the sink would not write it; it is passed over, and the
 * table is expected not to have it. */
enum ods_status lake_compare_row(struct lake_compare *compare, const struct value *values,
                                 struct error *error);
/* All rows of the source were taken. *found is NULL while they are to come once more for another
 * part of the keys; else what a look has found, to be freed. */
enum ods_status lake_compare_end(struct lake_compare *compare, json_t **found,
                                 struct error *error);
/* How many rows the table has now, without those that are marked as deleted. */
enum ods_status lake_compare_count(struct lake_compare *compare, int64_t *rows,
                                   struct error *error);

#endif
