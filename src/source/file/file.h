/* Records from a file: one JSON object a line, as `kcat -J` writes them. For decode and replay.
 *
 * Members: topic, partition, offset, ts (milliseconds), headers (a flat list of names and values),
 * key, payload (or value); null where there is none. Instead of key and payload, key_b64 and
 * value_b64 hold bytes that are no text. Others are passed over. One thread.
 */
#ifndef SOURCE_FILE_H
#define SOURCE_FILE_H

#include <ods/batch.h>

struct file_source;

/* "-" is standard input. ODS_FATAL: it can't be opened. */
enum ods_status file_open(struct file_source **source, const char *path, struct error *error);
void file_close(struct file_source *source); /* NULL is fine */

/* Append the next line's record to the batch: its bytes and headers lie in the batch's arena, its
 * topic in the source. Empty lines are passed over. *end: there is no further line, nothing was
 * appended. ODS_REJECT: the line is no record, the next call goes on behind it. ODS_FATAL: the file
 * can't be read, or memory is out. */
enum ods_status file_read(struct file_source *source, struct batch *batch, bool *end,
                          struct error *error);

uint64_t file_line(const struct file_source *source); /* of the last record, from 1 */

#endif
