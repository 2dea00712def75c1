/* The configuration of librdkafka: our defaults, overridden by the user's properties, overridden by
 * what ods-sink depends on. Any thread; no state. */
#include "source/kafka/kafka_conf.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_oauth.h"
#include "source/kafka/kafka_workarounds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"

#define POLL_INTERVAL_MS INT64_C(300000) /* librdkafka's own max.poll.interval.ms */

static bool is_secret(const char *property)
{
    return strstr(property, "password") || strstr(property, "secret") || strstr(property, "key") ||
           strstr(property, "jaas") || strstr(property, "sasl.oauthbearer.config");
}

static bool conf_set(rd_kafka_conf_t *conf, const char *name, const char *value,
                     struct error *error)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    error_set(error, ODS_FATAL, "kafka.properties: \"%s\" is refused by librdkafka: %s", name,
              is_secret(name) ? "its value is not valid" : text);
    return false;
}

static bool conf_set_all(rd_kafka_conf_t *conf, const char *const *pairs, struct error *error)
{
    for (; pairs && *pairs; pairs += 2)
        if (!conf_set(conf, pairs[0], pairs[1], error))
            return false;
    return true;
}

static bool is_owned(const char *const *owned, const char *name)
{
    for (; owned && *owned; owned += 2)
        if (strcmp(*owned, name) == 0)
            return true;
    return false;
}

static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    log_debug("librdkafka %s: %s", facility, text);
}

rd_kafka_conf_t *kafka_conf(const struct kafka_settings *kafka, const char *const *defaults,
                            const char *const *owned, struct error *error)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (!conf) {
        error_set(error, ODS_FATAL, "out of memory for a Kafka client");
        return NULL;
    }
    if (!conf_set_all(conf, defaults, error) ||
        !conf_set(conf, "bootstrap.servers", kafka->bootstrap_servers, error))
        goto refused;
    for (size_t i = 0; i < kafka->properties.count; i++) {
        const struct property *property = &kafka->properties.items[i];
        if (is_owned(owned, property->name)) {
            error_set(error, ODS_FATAL,
                      "kafka.properties: \"%s\" is set by ods-sink itself, which depends on it: "
                      "remove it",
                      property->name);
            goto refused;
        }
        if (!kafka_oauth_takes(kafka, property->name) &&
            !conf_set(conf, property->name, property->value, error))
            goto refused;
    }
    if (!conf_set_all(conf, owned, error) || kafka_oauth_conf(kafka, conf, error) != ODS_OK)
        goto refused;
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
refused:
    rd_kafka_conf_destroy(conf);
    return NULL;
}

rd_kafka_t *kafka_client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, char *why, size_t size)
{
    rd_kafka_t *rk = rd_kafka_new(type, conf, why, size);
    if (rk)
        kafka_oauth_begin(rk);
    return rk;
}

/* clang-format off */
/* Defaults that keep memory bounded and latency low; kafka.properties may change them. */
static const char *const consumer_defaults[] = {
    "topic.metadata.refresh.interval.ms", "10000", /* topics that appear later */
    /* A member that dies is missed for so long; one that hangs is fenced by the target anyway. */
    "session.timeout.ms", "10000",
    /* The answer says that another member joins: until then its partitions stand still. */
    "heartbeat.interval.ms", "100",
    "isolation.level", "read_committed",
    "queued.max.messages.kbytes", "6144",
    "queued.min.messages", "100000",
    /* Of compressed records: what they unpack to is many times as much. */
    "fetch.message.max.bytes", "262144",
    "fetch.max.bytes", "1048576",
    "fetch.wait.max.ms", "100",
    "fetch.error.backoff.ms", "100",
    "reconnect.backoff.max.ms", "5000",
    "statistics.interval.ms", "15000", /* for /metrics; 0: none */
    NULL,
};
/* clang-format on */

static int64_t number_of(const struct kafka_settings *kafka, const char *name)
{
    const char *value = properties_find(&kafka->properties, name);
    for (const char *const *pair = consumer_defaults; !value && *pair; pair += 2)
        if (strcmp(pair[0], name) == 0)
            value = pair[1];
    return value ? strtoll(value, NULL, 10) : 0;
}

/* In librdkafka, sharing partitions out costs the square of their number, and the member that does
 * it sends no heartbeat meanwhile: one whose session is over by then is expelled before the others
 * have their answer, and so on for ever. What else it does at these intervals costs the square of
 * it too. So with many partitions the defaults grow with their number. */
#define MANY_PARTITIONS 1000

/* clang-format off */
static const struct stretch {
    const char *name;
    int64_t ms; /* so much is added for each partition */
} stretches[] = {
    {"session.timeout.ms", 6},
    {"statistics.interval.ms", 15},
    {"topic.metadata.refresh.interval.ms", 10},
};
/* clang-format on */

bool kafka_are_many(int partitions)
{
    return partitions > MANY_PARTITIONS;
}

/* As the user says, or the default for so many partitions. */
static int64_t stretched(const struct kafka_settings *kafka, const char *name, int partitions)
{
    int64_t ms = number_of(kafka, name);
    if (!kafka_are_many(partitions) || properties_find(&kafka->properties, name))
        return ms;
    for (size_t i = 0; i < sizeof stretches / sizeof *stretches; i++)
        if (strcmp(stretches[i].name, name) == 0)
            ms += stretches[i].ms * partitions;
    return ms;
}

int64_t kafka_look_ms(const struct kafka_settings *kafka, int partitions)
{
    return stretched(kafka, "topic.metadata.refresh.interval.ms", partitions);
}

/* A session may not be longer than the time that a member has to answer a rebalance. */
int64_t kafka_session_ms(const struct kafka_settings *kafka, int partitions)
{
    const char *poll = properties_find(&kafka->properties, "max.poll.interval.ms");
    int64_t most_ms = poll ? strtoll(poll, NULL, 10) : POLL_INTERVAL_MS;
    int64_t ms = stretched(kafka, "session.timeout.ms", partitions);
    int64_t own_ms = number_of(kafka, "session.timeout.ms");
    return ms <= most_ms ? ms : most_ms > own_ms ? most_ms : own_ms;
}

static bool conf_number(rd_kafka_conf_t *conf, const char *name, int64_t value,
                        struct error *error)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long) value);
    return conf_set(conf, name, text, error);
}

int64_t kafka_queue_bytes(const struct kafka_settings *kafka)
{
    return number_of(kafka, "queued.max.messages.kbytes") * 1024 +
           number_of(kafka, "fetch.max.bytes");
}

rd_kafka_conf_t *kafka_consumer_conf(const struct settings *settings,
                                     const struct pipeline_settings *pipeline, size_t lane,
                                     int partitions, struct error *error)
{
    /* clang-format off */
    const char *const owned[] = {
        "group.id", pipeline->group_id,
        "enable.auto.commit", "false",
        "enable.auto.offset.store", "false",
        "auto.offset.reset", "error",
        "partition.assignment.strategy", "cooperative-sticky",
        "allow.auto.create.topics", "false",
        "enable.partition.eof", "true",
        NULL,
    };
    /* clang-format on */
    rd_kafka_conf_t *conf = kafka_conf(&settings->kafka, consumer_defaults, owned, error);
    char name[512];
    bool good = conf != NULL;
    const char *client = properties_find(&settings->kafka.properties, "client.id");
    const char *member = properties_find(&settings->kafka.properties, "group.instance.id");
    if (good) {
        snprintf(name, sizeof name, "%s-%s-%zu", client ? client : "ods-sink", pipeline->name,
                 lane);
        good = conf_set(conf, "client.id", name, error);
    }
    /* Says nothing to a consumer, but fetch.max.bytes may not be below it. */
    if (good)
        good = conf_set(conf, "message.max.bytes", "1000", error);
    /* A static member keeps its partitions over a restart; each lane needs a name of its own. */
    if (good && member) {
        snprintf(name, sizeof name, "%s-%s-%zu", member, pipeline->name, lane);
        good = conf_set(conf, "group.instance.id", name, error);
    }
    if (good && kafka_wakes_itself() &&
        !properties_find(&settings->kafka.properties, "fetch.queue.backoff.ms"))
        good = conf_set(conf, "fetch.queue.backoff.ms", "5", error);
    if (good && kafka_are_many(partitions))
        good = conf_number(conf, "session.timeout.ms",
                           kafka_session_ms(&settings->kafka, partitions), error) &&
               conf_number(conf, "statistics.interval.ms",
                           stretched(&settings->kafka, "statistics.interval.ms", partitions),
                           error);
    /* The lane looks for topics by itself: see kafka_topics.c. */
    if (good)
        good = conf_set(conf, "topic.metadata.refresh.interval.ms", "300000", error);
    if (!good && conf) {
        rd_kafka_conf_destroy(conf);
        conf = NULL;
    }
    return conf;
}
