/* Writes to Kafka: idempotent, acknowledged by all replicas. Entered by one thread; nothing of
 * librdkafka is seen here. */
#ifndef KAFKA_PRODUCER_H
#define KAFKA_PRODUCER_H

#include <stdbool.h>
#include <stddef.h>

#include <ods/batch.h>
#include <ods/status.h>
#include "config/settings.h"

/* What became of a record that was sent. */
struct kafka_answer {
    enum {
        KAFKA_WRITTEN,
        KAFKA_FULL, /* of kafka_producer_send() alone: wait for answers to others and try again */
        KAFKA_TOO_LARGE,
        KAFKA_NO_TOPIC,
        KAFKA_NO_RIGHT,
        KAFKA_FAILED,
    } fault;
    const char *text; /* librdkafka's words, static */
};

struct kafka_producer;
struct kafka_header_list;

struct kafka_producer_config {
    const struct settings *settings;
    const char *client_id;
    /* Inside of kafka_producer_wait(), once for each that was sent. */
    void (*answered)(void *context, void *what, struct kafka_answer answer);
    void *context;
};

/* Connects when something is sent. ODS_FATAL: the configuration does not do. */
enum ods_status kafka_producer_open(struct kafka_producer **producer,
                                    const struct kafka_producer_config *config,
                                    struct error *error);
/* NULL is fine. Records without an answer are dropped, and no answer is given for them. */
void kafka_producer_close(struct kafka_producer *producer);

struct kafka_header_list *kafka_header_list_new(void);
bool kafka_header_list_add(struct kafka_header_list *headers, const char *name, const char *value,
                       size_t length); /* a copy; false: not added */
void kafka_header_list_free(struct kafka_header_list *headers);

/* With key and value of the record, copied by nobody: they live until the answer. KAFKA_WRITTEN:
 * it is on its way, with the headers, which are the producer's now, and `what` will be answered. */
struct kafka_answer kafka_producer_send(struct kafka_producer *producer, const char *topic,
                                        const struct record *record,
                                        struct kafka_header_list *headers, void *what);
/* The same with a record that has no value, to a partition of one's own choice: in a compacted
 * topic it takes those away that have the same key. */
struct kafka_answer kafka_producer_send_tombstone(struct kafka_producer *producer,
                                                  const char *topic, int32_t partition,
                                                  const char *key, size_t key_length,
                                                  struct kafka_header_list *headers, void *what);
size_t kafka_producer_pending(const struct kafka_producer *producer); /* sent, not answered */
void kafka_producer_wait(struct kafka_producer *producer, int wait_ms); /* for any answer */
const char *kafka_producer_trouble(const struct kafka_producer *producer); /* last said, or "" */
void kafka_producer_forget_trouble(struct kafka_producer *producer);

#endif
