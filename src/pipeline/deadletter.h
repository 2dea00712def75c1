/* Where records go that can't be decoded or applied: a Kafka topic, an AMQP address, a table of a
 * PostgreSQL target, or a file for replay.
 *
 * Entered by one writer thread. A reject is delivered when the broker (or the file system) has
 * acknowledged it; only then may the offset behind it move.
 */
#ifndef DEADLETTER_H
#define DEADLETTER_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"
#include "core/jwe.h"

/* The header of an encrypted letter: the id of the key that opens it. */
#define DEADLETTER_KEY_ID "ods.key_id"

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

/* Who sends letters; what it points to outlives the sender. */
struct deadletter_origin {
    const struct pipeline_settings *pipeline;
    const char *target_type; /* of the sink, as in ods-sink.conf: type */
    size_t lane;
    const struct jwe_key *seal; /* the sender's to set: letters are encrypted for it; NULL: not */
};

/* To settings->dead_letter.topic. Connects at the first bad record. */
enum ods_status deadletter_kafka_open(struct deadletter **deadletter,
                                      const struct settings *settings,
                                      const struct deadletter_origin *origin, struct error *error);
/* To settings->dead_letter.address of a broker. Connects at the first bad record. */
enum ods_status deadletter_amqp_open(struct deadletter **deadletter,
                                     const struct settings *settings,
                                     const struct deadletter_origin *origin, struct error *error);
/* To settings->dead_letter.table of a PostgreSQL target. Connects at the first bad record. */
enum ods_status deadletter_table_open(struct deadletter **deadletter,
                                      const struct settings *settings,
                                      const struct deadletter_origin *origin, struct error *error);
/* To a file, one JSON object a line as `kcat -J` writes them, readable by replay. Appends.
 * `public_key`: as in deadletter_key_read(). */
enum ods_status deadletter_file_open(struct deadletter **deadletter, const char *path,
                                     const char *public_key,
                                     const struct deadletter_origin *origin, struct error *error);
void deadletter_close(struct deadletter *deadletter); /* NULL is fine */

/* All headers of a letter, one call of add() each: the record's own (not where it is sealed, which
 * has them inside), then what is said of the reject, all of that as text. False when memory is
 * out. */
bool deadletter_headers(const struct batch *batch, const struct reject *reject,
                        const struct deadletter_origin *origin,
                        void (*add)(void *context, const char *name, const char *value,
                                    size_t length),
                        void *context);
/* The record's own. */
bool deadletter_originals(const struct batch *batch, const struct record *record,
                          void (*add)(void *context, const char *name, const char *value,
                                      size_t length),
                          void *context);

/* dead_letter.encrypt.public_key: a file; *key NULL where it is "", so that letters are not
 * encrypted. ODS_FATAL: it will not do. */
enum ods_status deadletter_key_read(struct jwe_key **key, const char *public_key,
                                    struct error *error);

/* The letter as one line of JSON, without its end. */
enum ods_status deadletter_put_line(struct buffer *line, const struct batch *batch,
                                    const struct reject *reject,
                                    const struct deadletter_origin *origin, struct error *error);
/* What stands in place of the record's key and value where it is sealed for origin->seal. */
enum ods_status deadletter_seal(struct buffer *key, struct buffer *value,
                                const struct batch *batch, const struct reject *reject,
                                const struct deadletter_origin *origin, struct error *error);

#endif
