/* The records of a recorded file, one after the other as they stand there, for commands: through
 * the source of type `file`, which reads for no pipeline here. One thread. */
#ifndef RECORDING_H
#define RECORDING_H

#include <ods/batch.h>

struct recording;

/* "-" is standard input. ODS_FATAL: it can't be opened. */
enum ods_status recording_open(struct recording **recording, const char *path,
                               struct error *error);
/* NULL is fine. Batches of its records are reset before: the names of topics are its own. */
void recording_close(struct recording *recording);

/* Append the next record to the batch, whose records are all of this recording; waits for a pipe.
 * *end: there is no further one, nothing was appended. ODS_REJECT: a line is no record, the next
 * call goes on behind it. ODS_FATAL: the file can't be read, or memory is out. */
enum ods_status recording_read(struct recording *recording, struct batch *batch, bool *end,
                               struct error *error);

/* Asked while a pipe is waited for: true ends the recording there. */
void recording_stop_when(struct recording *recording, bool (*stop)(void));

uint64_t recording_line(const struct recording *recording); /* the last one that was no record */

#endif
