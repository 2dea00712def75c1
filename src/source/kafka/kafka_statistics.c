#include "source/kafka/kafka_statistics.h"

#include <string.h>

#include "core/json_scan.h"

#define ROWS(prefix)                                                                               \
    {                                                                                              \
        {prefix "requests_total", "counter",                                                       \
         "Requests of the Kafka client and their answers, as librdkafka last told",                \
         ",direction=\"sent\""},                                                                   \
            {NULL, NULL, NULL, ",direction=\"received\""},                                         \
            {prefix "bytes_total", "counter", "Bytes of them", ",direction=\"sent\""},             \
            {NULL, NULL, NULL, ",direction=\"received\""},                                         \
            {prefix "records_total", "counter", "Records in them", ",direction=\"sent\""},         \
            {NULL, NULL, NULL, ",direction=\"received\""},                                         \
            {prefix "connects_total", "counter", "Connections to brokers that were tried", ""},    \
            {prefix "disconnects_total", "counter", "Connections to brokers that ended", ""},      \
            {prefix "request_errors_total", "counter", "Requests that failed, by how",             \
             ",kind=\"sending\""},                                                                 \
            {NULL, NULL, NULL, ",kind=\"receiving\""},                                             \
            {NULL, NULL, NULL, ",kind=\"timeout\""},                                               \
            {NULL, NULL, NULL, ",kind=\"retried\""},                                               \
            {prefix "request_p99_seconds", "gauge",                                                \
             "99th percentile of the time from a request to its answer, of the slowest broker",    \
             ""},                                                                                  \
            {prefix "queue_records", "gauge",                                                      \
             "Records that were fetched and not taken yet, or that wait to be sent", ""},          \
            {prefix "queue_bytes", "gauge", "Their bytes", ""},                                    \
            {prefix "group_rebalances_total", "counter",                                           \
             "Rebalances of its group that the client has seen", ""},                              \
            {NULL, NULL, NULL, NULL},                                                              \
    }

const struct number kafka_statistic_rows[KAFKA_STATISTICS + 1] = ROWS("kafka_");
const struct number kafka_target_statistic_rows[KAFKA_STATISTICS + 1] = ROWS("kafka_target_");

/* Where in the JSON the scanner is. */
enum place { CLIENT, BROKERS, BROKER, RTT, TOPICS, TOPIC, PARTITIONS, PARTITION, GROUP, NUMBER };

/* What a member of an object is: more to go into, or a number. The name "": whatever it is. */
static const struct member {
    enum place in;
    const char *name;
    enum place is;
    enum kafka_statistic statistic;
    bool most; /* the largest counts; else they are added up */
} members[] = {
    {CLIENT, "tx", NUMBER, KAFKA_REQUESTS_SENT, false},
    {CLIENT, "rx", NUMBER, KAFKA_REQUESTS_ANSWERED, false},
    {CLIENT, "tx_bytes", NUMBER, KAFKA_BYTES_SENT, false},
    {CLIENT, "rx_bytes", NUMBER, KAFKA_BYTES_RECEIVED, false},
    {CLIENT, "txmsgs", NUMBER, KAFKA_RECORDS_SENT, false},
    {CLIENT, "rxmsgs", NUMBER, KAFKA_RECORDS_RECEIVED, false},
    {CLIENT, "msg_cnt", NUMBER, KAFKA_QUEUED_RECORDS, false},
    {CLIENT, "msg_size", NUMBER, KAFKA_QUEUED_BYTES, false},
    {CLIENT, "brokers", BROKERS, 0, false},
    {CLIENT, "topics", TOPICS, 0, false},
    {CLIENT, "cgrp", GROUP, 0, false},
    {BROKERS, "", BROKER, 0, false},
    {BROKER, "connects", NUMBER, KAFKA_CONNECTS, false},
    {BROKER, "disconnects", NUMBER, KAFKA_DISCONNECTS, false},
    {BROKER, "txerrs", NUMBER, KAFKA_ERRORS_SENDING, false},
    {BROKER, "rxerrs", NUMBER, KAFKA_ERRORS_RECEIVING, false},
    {BROKER, "req_timeouts", NUMBER, KAFKA_TIMEOUTS, false},
    {BROKER, "txretries", NUMBER, KAFKA_RETRIES, false},
    {BROKER, "rtt", RTT, 0, false},
    {RTT, "p99", NUMBER, KAFKA_RTT_P99, true},
    {TOPICS, "", TOPIC, 0, false},
    {TOPIC, "partitions", PARTITIONS, 0, false},
    {PARTITIONS, "", PARTITION, 0, false},
    {PARTITION, "fetchq_cnt", NUMBER, KAFKA_QUEUED_RECORDS, false},
    {PARTITION, "fetchq_size", NUMBER, KAFKA_QUEUED_BYTES, false},
    {GROUP, "rebalance_cnt", NUMBER, KAFKA_REBALANCES, false},
};

static const struct member *find(enum place in, const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const struct member *member = &members[i];
        if (member->in == in &&
            (!*member->name || (strlen(member->name) == length &&
                                memcmp(member->name, name, length) == 0)))
            return member;
    }
    return NULL;
}

static void take_number(const struct member *member, const struct value *value, int64_t *sums)
{
    int64_t *sum = &sums[member->statistic];
    if (value->kind != VALUE_INT)
        return;
    if (!member->most)
        *sum += value->integer;
    else if (value->integer > *sum)
        *sum = value->integer;
}

static bool walk(struct json_scan *scan, struct arena *arena, enum place in, int64_t *sums)
{
    bool first = true;
    if (!json_take(scan, '{'))
        return json_fail(scan, "no object");
    while (json_next_member(scan, &first)) {
        const char *name;
        size_t length;
        struct value value;
        if (!json_name(scan, arena, &name, &length))
            return false;
        const struct member *member = find(in, name, length);
        bool good;
        if (!member) {
            good = json_skip(scan);
        } else if (member->is == NUMBER) {
            good = json_number(scan, &value);
            if (good)
                take_number(member, &value, sums);
        } else {
            good = walk(scan, arena, member->is, sums);
        }
        if (!good)
            return false;
    }
    return !scan->problem;
}

void kafka_statistics_take(struct kafka_statistics *statistics, const char *json, size_t length)
{
    struct json_scan scan;
    struct arena arena;
    int64_t sums[KAFKA_STATISTICS] = {0};
    arena_init(&arena);
    json_scan_init(&scan, json, length);
    json_space(&scan);
    if (walk(&scan, &arena, CLIENT, sums))
        for (size_t i = 0; i < KAFKA_STATISTICS; i++)
            atomic_store_explicit(&statistics->values[i], sums[i], memory_order_relaxed);
    arena_done(&arena);
}

void kafka_statistics_add(const struct kafka_statistics *statistics, double *values)
{
    for (size_t i = 0; i < KAFKA_STATISTICS; i++) {
        int64_t number = atomic_load_explicit(&statistics->values[i], memory_order_relaxed);
        double value = i == KAFKA_RTT_P99 ? (double) number / 1e6 : (double) number;
        if (i != KAFKA_RTT_P99)
            values[i] += value;
        else if (value > values[i])
            values[i] = value;
    }
}

void kafka_statistics_tell(const struct kafka_statistics *statistics, double *values)
{
    memset(values, 0, KAFKA_STATISTICS * sizeof *values);
    kafka_statistics_add(statistics, values);
}
