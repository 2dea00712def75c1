/* Between librdkafka's messages and lists and the records and places of ods/source.h. */
#ifndef KAFKA_RECORD_H
#define KAFKA_RECORD_H

#include <librdkafka/rdkafka.h>

#include <ods/source.h>

/* A record whose owner is the message; of one that is an error the place alone counts. */
static inline void kafka_record(rd_kafka_message_t *message, struct record *record)
{
    rd_kafka_timestamp_type_t type;
    *record = (struct record){
        .topic = message->rkt ? rd_kafka_topic_name(message->rkt) : "",
        .partition = message->partition,
        .offset = message->offset,
        .timestamp_ms = rd_kafka_message_timestamp(message, &type),
        .key = message->key,
        .key_length = message->key_len,
        .value = message->payload,
        .value_length = message->len,
        .owner = message,
    };
}

/* The caller's to destroy. */
rd_kafka_topic_partition_list_t *kafka_list(const struct place *places, size_t count);
/* The same for offsets of the group: `first` goes with them, in a text that Kafka keeps. */
rd_kafka_topic_partition_list_t *kafka_commits(const struct place *places, size_t count);
/* As kafka_answers(), of the group's offsets: with `first`. */
void kafka_committed(const rd_kafka_topic_partition_list_t *list, struct place *places);
/* The list's offsets and failures into the places that it was made of. */
void kafka_answers(const rd_kafka_topic_partition_list_t *list, struct place *places);
/* NULL when memory is out; the names are the list's. Freed by free(). */
struct place *kafka_places(const rd_kafka_topic_partition_list_t *list);

#endif
