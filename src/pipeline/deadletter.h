/* Where records go that can't be decoded or applied: a Kafka topic, or a file for replay.
 *
 * Entered by one writer thread. A reject is delivered when the broker (or the file system) has
 * acknowledged it; only then may the offset behind it move.
 */
#ifndef DEADLETTER_H
#define DEADLETTER_H

#include <ods/batch.h>
#include <ods/status.h>
#include "config/settings.h"

struct deadletter {
    const struct deadletter_ops *ops;
};

struct deadletter_ops {
    /* Deliver every reject of the batch that is not delivered yet, and mark it so. ODS_RETRY: an
     * outage. ODS_FATAL: refused for good, error says why. Nothing of the batch is referred to
     * after it returns. */
    enum ods_status (*deliver)(struct deadletter *deadletter, struct batch *batch,
                               struct error *error);
    /* Ask a deliver() in another thread to come back soon. Thread-safe. */
    void (*interrupt)(struct deadletter *deadletter);
    void (*close)(struct deadletter *deadletter);
};

/* To settings->dead_letter.topic. Connects at the first bad record. */
enum ods_status deadletter_kafka_open(struct deadletter **deadletter,
                                      const struct settings *settings,
                                      const struct pipeline_settings *pipeline,
                                      struct error *error);
/* To a file, one JSON object a line as `kcat -J` writes them, readable by replay. Appends. */
enum ods_status deadletter_file_open(struct deadletter **deadletter, const char *path,
                                     const char *pipeline, struct error *error);
void deadletter_close(struct deadletter *deadletter); /* NULL is fine */

/* What is said of a reject, as header names and texts. Shared by both kinds. */
#define DEADLETTER_NOTES_MAX 15
struct deadletter_note {
    const char *name;
    char text[ERROR_TEXT_BYTES];
};
size_t deadletter_notes(struct deadletter_note *notes, const struct batch *batch,
                        const struct reject *reject, const char *pipeline);

#endif
