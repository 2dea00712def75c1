/* kafka_floor BROKERS GROUP FROM TO LANES BYTES: what librdkafka and the brokers cost by
 * themselves. Reads a topic as a member of a group and writes the first BYTES of each value under
 * its key to another one, in transactions of up to 10,000 records that have the group's offsets:
 * what the kafka target does, without decoding, without writing JSON, and with no thought for
 * failures, at which it ends. Each lane has a consumer and two producers in turn. Until SIGTERM.
 */
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "text.h"

enum { RECORDS = 10000, GATHER_MS = 20, TIMEOUT_MS = 60000, PRODUCERS = 2, LANES_MOST = 16 };

static const char *brokers, *group, *from, *to;
static size_t bytes;
static volatile sig_atomic_t stopped;

struct lane {
    pthread_t thread;
    int number;
    rd_kafka_t *consumer, *producers[PRODUCERS];
    rd_kafka_topic_t *topics[PRODUCERS];
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *messages[RECORDS];
};

static void on_signal(int number)
{
    (void) number;
    stopped = 1;
}

static void set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[256];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        die("%s", text);
}

static void check(rd_kafka_error_t *error)
{
    if (error)
        die("%s", rd_kafka_error_string(error));
}

static void open_consumer(struct lane *lane)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    set(conf, "bootstrap.servers", brokers);
    set(conf, "group.id", group);
    set(conf, "enable.auto.commit", "false");
    set(conf, "auto.offset.reset", "earliest");
    lane->consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!lane->consumer)
        die("%s", text);
    rd_kafka_poll_set_consumer(lane->consumer);
    lane->queue = rd_kafka_queue_get_consumer(lane->consumer);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, from, RD_KAFKA_PARTITION_UA);
    if (rd_kafka_subscribe(lane->consumer, list))
        die("can't subscribe to %s", from);
    rd_kafka_topic_partition_list_destroy(list);
}

static void open_producer(struct lane *lane, int number)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    snprintf(text, sizeof text, "%s.%d.%d", group, lane->number, number);
    set(conf, "bootstrap.servers", brokers);
    set(conf, "transactional.id", text);
    set(conf, "partitioner", "murmur2_random");
    lane->producers[number] = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    if (!lane->producers[number])
        die("%s", text);
    check(rd_kafka_init_transactions(lane->producers[number], TIMEOUT_MS));
    lane->topics[number] = rd_kafka_topic_new(lane->producers[number], to, NULL);
}

/* Messages, without what is no record. */
static int gather(struct lane *lane)
{
    ssize_t count = rd_kafka_consume_batch_queue(lane->queue, GATHER_MS, lane->messages, RECORDS);
    int kept = 0;
    for (ssize_t i = 0; i < count; i++) {
        if (lane->messages[i]->err)
            rd_kafka_message_destroy(lane->messages[i]);
        else
            lane->messages[kept++] = lane->messages[i];
    }
    return kept;
}

static void send_records(struct lane *lane, int turn, int count)
{
    for (int i = 0; i < count; i++) {
        rd_kafka_message_t *message = lane->messages[i];
        rd_kafka_headers_t *headers;
        if (rd_kafka_message_detach_headers(message, &headers))
            headers = NULL;
        rd_kafka_resp_err_t code = rd_kafka_producev(
            lane->producers[turn], RD_KAFKA_V_RKT(lane->topics[turn]),
            RD_KAFKA_V_VALUE(message->payload, message->len < bytes ? message->len : bytes),
            RD_KAFKA_V_KEY(message->key, message->key_len), RD_KAFKA_V_HEADERS(headers),
            RD_KAFKA_V_END);
        if (code)
            die("%s", rd_kafka_err2str(code));
    }
}

static void send_offsets(struct lane *lane, int turn, int count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);
    for (int i = 0; i < count; i++) {
        int32_t number = lane->messages[i]->partition;
        rd_kafka_topic_partition_t *place = rd_kafka_topic_partition_list_find(list, from, number);
        if (!place)
            place = rd_kafka_topic_partition_list_add(list, from, number);
        place->offset = lane->messages[i]->offset + 1;
    }
    rd_kafka_consumer_group_metadata_t *member = rd_kafka_consumer_group_metadata(lane->consumer);
    check(rd_kafka_send_offsets_to_transaction(lane->producers[turn], list, member, TIMEOUT_MS));
    rd_kafka_consumer_group_metadata_destroy(member);
    rd_kafka_topic_partition_list_destroy(list);
}

static void *run(void *context)
{
    struct lane *lane = context;
    int turn = 0;
    while (!stopped) {
        int count = gather(lane);
        if (!count)
            continue;
        check(rd_kafka_begin_transaction(lane->producers[turn]));
        send_records(lane, turn, count);
        send_offsets(lane, turn, count);
        check(rd_kafka_commit_transaction(lane->producers[turn], TIMEOUT_MS));
        for (int i = 0; i < count; i++)
            rd_kafka_message_destroy(lane->messages[i]);
        turn = (turn + 1) % PRODUCERS;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    static struct lane lanes[LANES_MOST];
    if (argc != 7)
        die("usage: kafka_floor BROKERS GROUP FROM TO LANES BYTES");
    brokers = argv[1];
    group = argv[2];
    from = argv[3];
    to = argv[4];
    int count = atoi(argv[5]);
    bytes = strtoul(argv[6], NULL, 10);
    if (count < 1 || count > LANES_MOST)
        die("LANES is 1 to %d", LANES_MOST);
    signal(SIGTERM, on_signal);
    for (int i = 0; i < count; i++) {
        lanes[i].number = i;
        for (int number = 0; number < PRODUCERS; number++)
            open_producer(&lanes[i], number);
    }
    for (int i = 0; i < count; i++)
        open_consumer(&lanes[i]);
    for (int i = 0; i < count; i++)
        if (pthread_create(&lanes[i].thread, NULL, run, &lanes[i]))
            die("can't start a thread");
    for (int i = 0; i < count; i++)
        pthread_join(lanes[i].thread, NULL);
    _exit(0); /* the group's members are forgotten, as the group is */
}
