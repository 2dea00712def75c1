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
    void (*clear_interrupt)(struct deadletter *deadletter); /* as a sink's */
    void (*close)(struct deadletter *deadletter);
};

/* Who sends letters; outlives the sender. */
struct deadletter_origin {
    const struct pipeline_settings *pipeline;
    const char *target_type; /* of the sink, as in ods-sink.conf: type */
    size_t lane;
};

/* To settings->dead_letter.topic. Connects at the first bad record. */
enum ods_status deadletter_kafka_open(struct deadletter **deadletter,
                                      const struct settings *settings,
                                      const struct deadletter_origin *origin, struct error *error);
/* To a file, one JSON object a line as `kcat -J` writes them, readable by replay. Appends. */
enum ods_status deadletter_file_open(struct deadletter **deadletter, const char *path,
                                     const struct deadletter_origin *origin, struct error *error);
void deadletter_close(struct deadletter *deadletter); /* NULL is fine */

/* All headers of a letter, one call of add() each: the record's own, then what is said of the
 * reject, all of that as text. False when memory is out. */
bool deadletter_headers(const struct batch *batch, const struct reject *reject,
                        const struct deadletter_origin *origin,
                        void (*add)(void *context, const char *name, const char *value,
                                    size_t length),
                        void *context);

#endif
