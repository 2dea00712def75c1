/* What the files of a writer share: kafka_writer.c (the client), kafka_answers.c (what brokers
 * say), kafka_transaction.c. Nobody else includes it. */
#ifndef KAFKA_WRITER_ROOM_H
#define KAFKA_WRITER_ROOM_H

#include <librdkafka/rdkafka.h>

#include "core/hash_index.h"
#include "source/kafka/kafka_statistics.h"
#include "source/kafka/kafka_writer.h"

#define SLICE_MS     500              /* of a call that waits, between two looks at the interrupt */
#define AWAY_MS      INT64_C(1000)    /* no broker is connected and nothing is written: an outage */
#define SET_BYTES    INT64_C(1000000) /* of a message set, at first */
#define WAITING_MOST 200

struct kafka_writer_topic {
    char *name;
    rd_kafka_topic_t *handle; /* NULL: of a client that is gone, or none yet */
};

enum writer_state {
    WRITER_CLOSED, /* no client */
    WRITER_MADE,   /* its transactional id is not its own yet */
    WRITER_READY,
    WRITER_OPEN, /* in a transaction */
};

struct kafka_writer {
    struct kafka_writer_config config;
    rd_kafka_t *rk;
    enum writer_state state;
    struct kafka_statistics statistics;
    struct hash_index topics;
    int64_t set_bytes;
    bool single;     /* each record in a message set of its own */
    bool was_single; /* the transaction that is open began so */

    /* Records that send() has gathered for one call of the client, of one topic and partition. */
    rd_kafka_message_t waiting[WAITING_MOST];
    size_t waiting_count;
    struct kafka_writer_topic *waiting_topic;
    int32_t waiting_partition;

    /* What the answers since begin() said. */
    bool refused, smaller, alone;
    rd_kafka_resp_err_t failure; /* of the first record that was not written */
    char failure_topic[256];
    size_t failures;
    char trouble[256]; /* what the client last said of its connections */

    /* The client has said that no broker is connected, which it says once. Brokers that are back
     * show it by what they write, for which each attempt waits longer. */
    bool away;
    int64_t patience_ms;
    int64_t waits_us; /* since when it is waited for */
    int under_way;    /* then, or when it had become less */
};

static inline bool kafka_writer_interrupted(const struct kafka_writer *writer)
{
    return atomic_load(writer->config.interrupted);
}

/* kafka_writer.c */
/* What is on its way is dropped; a transaction that is open ends when the next client begins. */
void kafka_writer_end(struct kafka_writer *writer);

/* kafka_answers.c */
void kafka_answers_take(rd_kafka_conf_t *conf);
void kafka_answers_forget(struct kafka_writer *writer);
/* From now on the brokers are waited for. */
void kafka_answers_await(struct kafka_writer *writer);
/* Has no broker been there for a while? */
bool kafka_answers_away(struct kafka_writer *writer);
/* All records are: the brokers are there. */
void kafka_answers_written(struct kafka_writer *writer);
/* Why something failed: the first record that was not written tells it best. */
enum ods_status kafka_answers_say(struct kafka_writer *writer, rd_kafka_resp_err_t code,
                                  const char *reason, struct error *error);
/* Nothing is committed: what comes next? Where records were refused, or have to be sent in other
 * message sets, the rest is sent again. */
enum ods_status kafka_answers_conclude(struct kafka_writer *writer, rd_kafka_resp_err_t code,
                                       const char *reason, struct error *error);

#endif
