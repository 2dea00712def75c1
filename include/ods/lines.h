/* A change as a line of JSON, for targets that send changes on:
 *
 *   {"op":"u","database":"shop","schema":null,"table":"items","key":{…},"before":{…},"after":{…},
 *    "source_us":…,"topic":"…","partition":0,"offset":7}
 *
 * and "identity" behind the offset where the record has one.
 */
#ifndef ODS_LINES_H
#define ODS_LINES_H

#include <ods/batch.h>
#include <ods/buffer.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings;
struct table_settings;

/* The settings of a change's table. */
const struct table_settings *lines_table(const struct pipeline_settings *pipeline,
                                         const struct shape *shape);
/* What a source's column is called in a line; NULL: it is left out. */
const char *lines_column(const struct table_settings *table, const char *column);
/* Append the columns of an image as an object, or only those of the key; null where there are
 * none. */
enum ods_status lines_put_image(struct buffer *out, const struct shape *shape,
                                const struct value *values, bool key_only,
                                const struct table_settings *table, struct error *error);

/* Append batch->changes[change] and a line end; nothing for a table that is skipped. Columns as the
 * table's settings choose and name them; what was not carried is left out. ODS_REJECT: a value
 * can't be written, and the buffer ends somewhere in the line. */
enum ods_status lines_put(struct buffer *out, const struct batch *batch, uint32_t change,
                          const struct pipeline_settings *pipeline, struct error *error);

/* What is done with the changes that are not rejected, in order. */
struct lines_writer {
    /* Writes one. ODS_REJECT: it can't be written, so its record is set aside. */
    enum ods_status (*put)(void *context, uint32_t change, struct error *error);
    /* After each record; good: all of its changes were put, else none of them is to be kept. */
    void (*end)(void *context, bool good);
    void *context;
};

/* A record's changes are written all or none. In a batch with guard_time every record is rejected,
 * since there is no row to compare with. */
enum ods_status lines_each(struct batch *batch, const struct lines_writer *writer,
                           struct error *error);

/* Append the lines of all of them. *count grows by the number of lines. */
enum ods_status lines_put_all(struct buffer *out, struct batch *batch,
                              const struct pipeline_settings *pipeline, uint64_t *count,
                              struct error *error);

#ifdef __cplusplus
}
#endif

#endif
