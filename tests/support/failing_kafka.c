/* What Kafka may fail to do, for one process into which this is preloaded.
 *
 * ODS_DEAF_TOPIC: a file that holds the name of a topic; as long as it is there the topic can't be
 * asked where it ends. ODS_LOST_COMMITS: so many commits to the group fail. As on a busy machine,
 * ODS_LATE_MS keeps every second lane from leaving its group for so long, while it is given what
 * the others had; and ODS_SLOW_END_MS keeps librdkafka's thread between its decision that a
 * consumer has ended and the end (which it shows with debug=cgrp), and for half as long a lane that
 * gives partitions back. ODS_NO_END: a client that is to go never does, as in librdkafka 2.0 after
 * a cluster was made anew. ODS_OTHER_TOPIC: what two lanes subscribe to at first is that one, so
 * that the group shares nothing out of theirs, as where the one that does did not know them yet.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>

static int is_deaf(const char *topic)
{
    char name[256] = "";
    const char *path = getenv("ODS_DEAF_TOPIC");
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    size_t length = fread(name, 1, sizeof name - 1, file);
    fclose(file);
    return length && strcmp(name, topic) == 0;
}

static int is_lost(void)
{
    static atomic_int lost;
    const char *most = getenv("ODS_LOST_COMMITS");
    return most && atomic_fetch_add(&lost, 1) < atoi(most);
}

rd_kafka_resp_err_t rd_kafka_commit(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets,
                                    int async)
{
    rd_kafka_resp_err_t (*real)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *, int);
    if (is_lost())
        return RD_KAFKA_RESP_ERR__WAIT_COORD;
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_commit");
    return real(rk, offsets, async);
}

/* The answer comes, and says that it failed: so it is with offsets that are none. */
rd_kafka_resp_err_t rd_kafka_commit_queue(
    rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *offsets, rd_kafka_queue_t *queue,
    void (*cb)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *),
    void *opaque)
{
    rd_kafka_resp_err_t (*real)(
        rd_kafka_t *, const rd_kafka_topic_partition_list_t *, rd_kafka_queue_t *,
        void (*)(rd_kafka_t *, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t *, void *),
        void *);
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_commit_queue");
    if (!is_lost())
        return real(rk, offsets, queue, cb, opaque);
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(none, "no-such-topic", 77)->offset = 1;
    rd_kafka_resp_err_t code = real(rk, none, queue, cb, opaque);
    rd_kafka_topic_partition_list_destroy(none);
    return code;
}

rd_kafka_resp_err_t rd_kafka_query_watermark_offsets(rd_kafka_t *rk, const char *topic,
                                                     int32_t partition, int64_t *low, int64_t *high,
                                                     int timeout_ms)
{
    rd_kafka_resp_err_t (*real)(rd_kafka_t *, const char *, int32_t, int64_t *, int64_t *, int);
    if (is_deaf(topic))
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_query_watermark_offsets");
    return real(rk, topic, partition, low, high, timeout_ms);
}

rd_kafka_resp_err_t rd_kafka_subscribe(rd_kafka_t *rk,
                                       const rd_kafka_topic_partition_list_t *topics)
{
    static atomic_int before;
    rd_kafka_resp_err_t (*real)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *);
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_subscribe");
    const char *topic = getenv("ODS_OTHER_TOPIC");
    if (!topic || atomic_fetch_add(&before, 1) > 1)
        return real(rk, topics);
    rd_kafka_topic_partition_list_t *other = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(other, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = real(rk, other);
    rd_kafka_topic_partition_list_destroy(other);
    return code;
}

/* Called once by each thread that leaves its group. */
rd_kafka_resp_err_t rd_kafka_unsubscribe(rd_kafka_t *rk)
{
    static atomic_int before;
    rd_kafka_resp_err_t (*real)(rd_kafka_t *);
    const char *late_ms = getenv("ODS_LATE_MS");
    if (late_ms && atomic_fetch_add(&before, 1) % 2)
        usleep((useconds_t) atoi(late_ms) * 1000);
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_unsubscribe");
    return real(rk);
}

void rd_kafka_destroy(rd_kafka_t *rk)
{
    void (*real)(rd_kafka_t *);
    while (getenv("ODS_NO_END") && rd_kafka_type(rk) == RD_KAFKA_CONSUMER)
        pause();
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_destroy");
    real(rk);
}

static void (*log_cb)(const rd_kafka_t *, int, const char *, const char *);

static void log_slowly(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const char *slow_ms = getenv("ODS_SLOW_END_MS");
    if (slow_ms && strstr(text, "-> term"))
        usleep((useconds_t) atoi(slow_ms) * 1000);
    log_cb(rk, level, facility, text);
}

void rd_kafka_conf_set_log_cb(rd_kafka_conf_t *conf, void (*cb)(const rd_kafka_t *, int,
                                                                const char *, const char *))
{
    void (*real)(rd_kafka_conf_t *, void (*)(const rd_kafka_t *, int, const char *, const char *));
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_conf_set_log_cb");
    log_cb = cb;
    real(conf, cb ? log_slowly : NULL);
}

rd_kafka_error_t *rd_kafka_incremental_unassign(rd_kafka_t *rk,
                                                const rd_kafka_topic_partition_list_t *partitions)
{
    const char *slow_ms = getenv("ODS_SLOW_END_MS");
    rd_kafka_error_t *(*real)(rd_kafka_t *, const rd_kafka_topic_partition_list_t *);
    if (slow_ms)
        usleep((useconds_t) atoi(slow_ms) * 500);
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_incremental_unassign");
    return real(rk, partitions);
}
