/* consume BROKERS PREFIX: the bare consumer. Reads every topic whose name begins with PREFIX to its
 * end and throws the records away: the limit of what any sink can get out of librdkafka in one
 * thread. Prints records, bytes and seconds, from the assignment to the last record, as JSON.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

enum { BATCH = 1000, TIMEOUT_MS = 10000, QUIET_S = 60 };

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + (double) time.tv_nsec / 1e9;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        die("%s", text);
}

static rd_kafka_t *open_consumer(const char *brokers)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", "bench-consume");
    set(conf, "enable.auto.commit", "false");
    set(conf, "enable.partition.eof", "true");
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!consumer)
        die("%s", text);
    rd_kafka_poll_set_consumer(consumer);
    return consumer;
}

/* Every partition with records, from its beginning. */
static rd_kafka_topic_partition_list_t *find_partitions(rd_kafka_t *consumer, const char *prefix)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    rd_kafka_resp_err_t err = rd_kafka_metadata(consumer, 1, NULL, &metadata, TIMEOUT_MS);
    if (err)
        die("no answer from Kafka: %s", rd_kafka_err2str(err));
    for (int t = 0; t < metadata->topic_cnt; t++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[t];
        for (int p = 0; p < topic->partition_cnt; p++) {
            int64_t low, high;
            if (strncmp(topic->topic, prefix, strlen(prefix)) != 0)
                continue;
            err = rd_kafka_query_watermark_offsets(consumer, topic->topic, p, &low, &high,
                                                   TIMEOUT_MS);
            if (err)
                die("%s [%d]: %s", topic->topic, p, rd_kafka_err2str(err));
            if (high > low)
                rd_kafka_topic_partition_list_add(list, topic->topic, p)->offset = low;
        }
    }
    rd_kafka_metadata_destroy(metadata);
    return list;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        die("usage: consume BROKERS PREFIX");
    rd_kafka_t *consumer = open_consumer(argv[1]);
    rd_kafka_topic_partition_list_t *partitions = find_partitions(consumer, argv[2]);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    rd_kafka_message_t *messages[BATCH];
    long long records = 0, bytes = 0;
    int left = partitions->cnt;
    double start = now(), last = start;
    rd_kafka_assign(consumer, partitions);
    while (left > 0) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, 1000, messages, BATCH);
        for (ssize_t i = 0; i < count; i++) {
            rd_kafka_message_t *message = messages[i];
            if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
                left--;
            } else if (message->err) {
                fprintf(stderr, "%s\n", rd_kafka_message_errstr(message));
            } else {
                last = now();
                records++;
                bytes += (long long) (message->len + message->key_len);
            }
            rd_kafka_message_destroy(message);
        }
        if (count <= 0 && now() - last > QUIET_S)
            die("nothing came for %d s, %d partitions are not at their end", QUIET_S, left);
    }
    printf("{\"records\": %lld, \"bytes\": %lld, \"seconds\": %.6f}\n", records, bytes,
           last - start);
    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_partition_list_destroy(partitions);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return 0;
}
