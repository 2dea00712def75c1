/* A bounded choice of what librdkafka tells of itself every `statistics.interval.ms`
 * (STATISTICS.md of librdkafka): the numbers of a client, not those of each broker or partition. */
#ifndef KAFKA_STATISTICS_H
#define KAFKA_STATISTICS_H

#include <stdatomic.h>
#include <stddef.h>

#include <ods/number.h>

/* In the order of the rows. */
enum kafka_statistic {
    KAFKA_REQUESTS_SENT,
    KAFKA_REQUESTS_ANSWERED,
    KAFKA_BYTES_SENT,
    KAFKA_BYTES_RECEIVED,
    KAFKA_RECORDS_SENT,
    KAFKA_RECORDS_RECEIVED,
    KAFKA_CONNECTS,
    KAFKA_DISCONNECTS,
    KAFKA_ERRORS_SENDING,
    KAFKA_ERRORS_RECEIVING,
    KAFKA_TIMEOUTS,
    KAFKA_RETRIES,
    KAFKA_RTT_P99, /* microseconds, the slowest broker's */
    KAFKA_QUEUED_RECORDS,
    KAFKA_QUEUED_BYTES,
    KAFKA_REBALANCES,
    KAFKA_STATISTICS
};

struct kafka_statistics { /* zeroed at first */
    atomic_int_fast64_t values[KAFKA_STATISTICS];
};

/* Of a source's client, kafka_…, and of a target's, kafka_target_…. */
extern const struct number kafka_statistic_rows[KAFKA_STATISTICS + 1];
extern const struct number kafka_target_statistic_rows[KAFKA_STATISTICS + 1];

/* Takes librdkafka's JSON in; what is no such JSON changes nothing. */
void kafka_statistics_take(struct kafka_statistics *statistics, const char *json, size_t length);
/* Adds to the values, but the slowest broker's. Any thread. */
void kafka_statistics_add(const struct kafka_statistics *statistics, double *values);
/* The values alone. */
void kafka_statistics_tell(const struct kafka_statistics *statistics, double *values);

#endif
