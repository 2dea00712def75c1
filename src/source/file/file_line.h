/* A line of a recorded file: one record as a JSON object, as `kcat -J` writes it.
 *
 * Members: topic, partition, offset, ts (milliseconds), headers (a flat list of names and values,
 * or a list of pairs), key, payload (or value); null where there is none. For bytes that are no
 * text, key_b64, value_b64 and headers_b64 take their place. Other members are ignored.
 */
#ifndef FILE_LINE_H
#define FILE_LINE_H

#include <ods/batch.h>

#include "core/json_scan.h"

struct file_headers; /* in an arena */

/* The contents of a line. Its texts point into the line or the arena. */
struct file_line {
    struct slice topic, key, value; /* the topic is not empty and has no NUL */
    int32_t partition;
    int64_t offset;
    int64_t timestamp_ms; /* -1: none */
    struct file_headers *headers;
};

/* ODS_REJECT: it is no record, and the error says why. ODS_RETRY: memory is out. */
enum ods_status file_line_read(struct file_line *line, struct slice text, struct arena *arena,
                               struct error *error);

/* Copies the record into memory of its own, record->owner, which the caller frees. The topic is not
 * copied: the caller sets it. False: memory is out. */
bool file_line_record(const struct file_line *line, struct record *record);

/* source_ops.headers for such records. */
size_t file_line_headers(const struct record *record, struct header *headers, size_t max);

#endif
