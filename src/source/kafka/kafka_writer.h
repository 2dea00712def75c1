/* Writes a target's records to Kafka: in transactions that may hold a group's offsets too, or
 * idempotently as they come. Entered by one thread; nothing of librdkafka is seen here.
 *
 *   open ─┬─ ready ─ begin ─ send, send, … offsets ─ commit ─┬─ close
 *         └──────────────────────────────────────────────────┘
 *
 * What fails ends the transaction: nothing of it is committed, and begin() comes next. Without
 * transactions commit() waits for the answers to all that was sent; what was sent before a failure
 * may have been written, so all of it is sent again.
 */
#ifndef KAFKA_WRITER_H
#define KAFKA_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/batch.h>
#include <ods/buffer.h>
#include "config/settings.h"

struct kafka_writer;
struct kafka_writer_topic;

struct kafka_writer_config {
    const struct kafka_settings *kafka; /* the cluster */
    const char *target;                 /* for messages */
    const char *client_id;
    const char *transactional_id;   /* NULL: without transactions */
    const char *partitioner;        /* librdkafka's name of it */
    int64_t transaction_ms;         /* after which brokers end a transaction by themselves */
    int64_t record_bytes_max;       /* larger ones are refused here */
    const atomic_bool *interrupted; /* calls return soon while it is set */
    /* A record is refused, by its tag: from within send() and commit(). */
    void (*refused)(void *context, uint32_t tag, const struct error *why);
    void *context;
};

/* One record. */
struct kafka_outgoing {
    struct kafka_writer_topic *topic;
    int32_t partition; /* below 0: by the key */
    uint32_t tag;
    const char *key; /* NULL: none */
    size_t key_length;
    const char *value; /* NULL: a tombstone */
    size_t value_length;
    void *bearer; /* the owner of a record of the source "kafka" whose headers it takes along; NULL:
                     none. The record's can be read again, as other bytes. */
    const struct header *headers; /* which follow */
    size_t header_count;
};

/* Is it a property of librdkafka's that the writer sets by itself? */
bool kafka_writer_owns(const char *property);
/* Does librdkafka take these properties, and is none of them the writer's own? transaction_ms 0:
 * without transactions. Does not connect. */
enum ods_status kafka_writer_check(const struct properties *properties, int64_t transaction_ms,
                                   struct error *error);
/* How much a writer keeps at most of what is not written yet. */
int64_t kafka_writer_queue_bytes(int64_t record_bytes_max);

/* The config is copied; what it points to outlives the writer. Does not connect. */
enum ods_status kafka_writer_open(struct kafka_writer **writer,
                                  const struct kafka_writer_config *config, struct error *error);
/* NULL is fine. A transaction that is open is left to the next writer of its id. */
void kafka_writer_close(struct kafka_writer *writer);

/* Adds what its client tells of itself, in the order of kafka_target_statistic_rows. Any thread. */
void kafka_writer_tell(const struct kafka_writer *writer, double *values);

/* Takes what the client has to tell while nothing is sent: statistics, which pile up else. */
void kafka_writer_rest(struct kafka_writer *writer);

/* Connects where that is needed. With transactions: ends what an earlier writer of this id has
 * left, and keeps that one from writing. */
enum ods_status kafka_writer_ready(struct kafka_writer *writer, struct error *error);

/* The topic of this name; NULL: memory is out. As good as the writer. */
struct kafka_writer_topic *kafka_writer_topic(struct kafka_writer *writer, const char *name);

/* Each of the following answers:
 * ODS_REJECT: records were refused, and told of; the others can be sent again at once.
 * ODS_FENCED: another writer, or a new generation of the group, has come between, or the outcome
 * is not known: only the source can say what is committed.
 * ODS_RETRY: an outage. ODS_FATAL: rights, settings. */
enum ods_status kafka_writer_begin(struct kafka_writer *writer, struct error *error);
/* Neither the value's bytes nor the key's are copied: they live until flush(), commit() or abort(),
 * or until send() itself fails, which may be for a record that was sent before. */
enum ods_status kafka_writer_send(struct kafka_writer *writer, const struct kafka_outgoing *record,
                                  struct error *error);
/* The ends of these claims, as the member that source_ops.membership has told of. */
enum ods_status kafka_writer_offsets(struct kafka_writer *writer, const struct claim *claims,
                                     size_t count, const struct buffer *membership,
                                     struct error *error);
/* Waits until all that was sent is written, which does not commit it. */
enum ods_status kafka_writer_flush(struct kafka_writer *writer, struct error *error);
enum ods_status kafka_writer_commit(struct kafka_writer *writer, struct error *error);
/* Takes back what was sent in the transaction; without one what has not left yet. */
void kafka_writer_abort(struct kafka_writer *writer);

#endif
