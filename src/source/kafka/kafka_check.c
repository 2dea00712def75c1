/* Is what the configuration names there? Needs no group. */
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_conf.h"
#include "source/kafka/kafka_rights.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK_TIMEOUT_MS 10000
#define TROUBLE_BYTES    512

struct reporter {
    void (*report)(void *context, const char *line);
    void *context;
};

static void __attribute__((format(printf, 2, 3)))
say(const struct reporter *reporter, const char *format, ...)
{
    char line[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    reporter->report(reporter->context, line);
}

/* Names are looked at one by one: `matches` of them are the pipeline's. */
static int report_topics(const struct reporter *reporter, const struct settings *settings,
                         const struct pipeline_settings *pipeline,
                         const struct rd_kafka_metadata *metadata)
{
    int matches = 0, partitions = 0;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const struct rd_kafka_metadata_topic *topic = &metadata->topics[i];
        if (strcmp(topic->topic, settings->dead_letter.topic) == 0 ||
            !pipeline_reads(pipeline, topic->topic))
            continue;
        matches++;
        partitions += topic->partition_cnt;
        say(reporter, "pipeline %s: topic %s, %d partition%s", pipeline->name, topic->topic,
            topic->partition_cnt, topic->partition_cnt == 1 ? "" : "s");
    }
    if (!matches)
        say(reporter,
            "pipeline %s: no topic that the user may see (Describe) matches yet; they are picked "
            "up when they appear",
            pipeline->name);
    else if (pipeline->lanes > partitions)
        say(reporter, "pipeline %s: %lld lanes for %d partitions: some will have nothing to do",
            pipeline->name, (long long) pipeline->lanes, partitions);
    return matches;
}

static void report_dead_letter(const struct reporter *reporter, const struct settings *settings,
                               const struct rd_kafka_metadata *metadata)
{
    const char *name = settings->dead_letter.topic;
    if (*settings->dead_letter.address || *settings->dead_letter.table)
        return; /* they go elsewhere */
    if (!*name) {
        say(reporter, "dead_letter.topic is not set: a bad record will stop its lane");
        return;
    }
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, name) == 0) {
            say(reporter, "dead-letter topic %s is there", name);
            return;
        }
    say(reporter,
        "dead-letter topic %s is not there: create it, unless the brokers create topics "
        "by themselves",
        name);
}

/* What the client says of its connections: the answer's own code only tells that there was none. */
static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    char *trouble = opaque;
    if (code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        snprintf(trouble, TROUBLE_BYTES, "%s", reason);
}

static enum ods_status no_answer(const struct settings *settings, rd_kafka_t *rk,
                                 rd_kafka_resp_err_t code, const char *trouble, struct error *error)
{
    rd_kafka_poll(rk, 0);
    return error_set(error, ODS_RETRY,
                     "kafka.bootstrap_servers \"%s\": no answer within %d s: %s%s%s; is a broker "
                     "running there, and do security.protocol, the certificates and the password "
                     "fit?",
                     settings->kafka.bootstrap_servers, CHECK_TIMEOUT_MS / 1000,
                     rd_kafka_err2str(code), *trouble ? ": " : "", trouble);
}

static void report_schema_topic(const struct reporter *reporter,
                                const struct pipeline_settings *pipeline,
                                const struct rd_kafka_metadata *metadata)
{
    const char *name = pipeline->source.schema_topic;
    bool there = false;
    if (!*name)
        return;
    for (int i = 0; i < metadata->topic_cnt; i++)
        there |= strcmp(metadata->topics[i].topic, name) == 0;
    say(reporter, "pipeline %s: schema topic %s %s", pipeline->name, name,
        there ? "is there"
              : "is not there: does the connector have include.schema.changes, and this "
                "topic.prefix?");
}

enum ods_status kafka_check(const struct source_config *config,
                            void (*report)(void *context, const char *line), void *context,
                            struct error *error)
{
    const struct settings *settings = config->settings;
    const struct pipeline_settings *pipeline = config->pipeline;
    enum ods_status status = ODS_FATAL;
    const struct reporter reporter = {report, context};
    const struct rd_kafka_metadata *metadata = NULL;
    /* clang-format off */
    const char *const owned[] = {
        "group.id", pipeline->group_id,
        "enable.auto.commit", "false",
        "allow.auto.create.topics", "false",
        "enable.partition.eof", "true",
        "fetch.wait.max.ms", "10",
        NULL,
    };
    /* clang-format on */
    char text[512], trouble[TROUBLE_BYTES] = "";
    rd_kafka_t *rk = NULL;
    rd_kafka_conf_t *conf = kafka_conf(&settings->kafka, NULL, owned, error);
    if (!conf)
        goto out;
    rd_kafka_conf_set_opaque(conf, trouble);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rk = kafka_client_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    if (!rk) {
        error_set(error, ODS_FATAL, "can't make a Kafka client: %s", text);
        goto out;
    }
    conf = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, 1, NULL, &metadata, CHECK_TIMEOUT_MS);
    if (code) {
        status = no_answer(settings, rk, code, trouble, error);
        goto out;
    }
    say(&reporter, "Kafka answers: %d broker%s, %d topics", metadata->broker_cnt,
        metadata->broker_cnt == 1 ? "" : "s", metadata->topic_cnt);
    report_topics(&reporter, settings, pipeline, metadata);
    report_schema_topic(&reporter, pipeline, metadata);
    report_dead_letter(&reporter, settings, metadata);
    status = kafka_rights_check(rk, settings, pipeline, metadata, report, context, error);
out:
    if (metadata)
        rd_kafka_metadata_destroy(metadata);
    if (conf)
        rd_kafka_conf_destroy(conf);
    if (rk)
        rd_kafka_destroy(rk);
    return status;
}
