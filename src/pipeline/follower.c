/* See follower.h. What it learns goes into a store that the lanes' decoders ask. */
#include "pipeline/follower.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/log.h"
#include "core/time.h"
#include "format/schema_topic.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

#define POLL_MS  100
#define LOOK_US  INT64_C(30000000) /* for a topic that is made later, or gets more partitions */
#define PAUSE_US INT64_C(1000000)  /* after Kafka did not answer */

struct follower {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct source_schema *schema;
    pthread_t thread;
    atomic_bool stop;

    /* The thread's. */
    struct kafka_tool *tool;
    int64_t *next; /* by partition: the first record not yet learned */
    int32_t count;
    int64_t looked_us, caught_up_us;
    bool missing_told;
    struct rare rare;
};

#define FIELDS(follower) ((const char *const[]){"pipeline", (follower)->pipeline->name, NULL})

/* Want of memory: what a statement said must not be passed over. False: it is time to end. */
static bool stay(struct follower *follower, const struct error *error)
{
    uint64_t held_back;
    if (rare_due(&follower->rare, &held_back))
        log_event(LOG_WARN, FIELDS(follower), "schema topic %s: %s; trying again",
                  follower->pipeline->source.schema_topic, error->text);
    usleep(POLL_MS * 1000);
    return !atomic_load(&follower->stop);
}

static void learn(struct follower *follower, const rd_kafka_message_t *message)
{
    struct error error;
    unsigned tables = 0;
    enum ods_status status;
    do {
        error_init(&error);
        status = source_schema_learn(follower->schema, message->payload, message->len, &tables,
                                     &error);
    } while (status == ODS_RETRY && stay(follower, &error));
    if (status != ODS_OK)
        log_event(LOG_WARN, FIELDS(follower), "topic %s partition %d offset %lld: %s",
                  follower->pipeline->source.schema_topic, (int) message->partition,
                  (long long) message->offset, error.text);
    else if (tables && follower->caught_up_us)
        log_event(LOG_INFO, FIELDS(follower), "the schema topic tells of %u table%s (offset %lld)",
                  tables, tables == 1 ? "" : "s", (long long) message->offset);
}

/* The topic's partitions, each from where it was left. */
static enum ods_status look(struct follower *follower, struct error *error)
{
    const char *topic = follower->pipeline->source.schema_topic;
    int32_t count;
    enum ods_status status = kafka_tool_partitions(follower->tool, topic, &count, error);
    if (status != ODS_OK || count <= follower->count) {
        if (status == ODS_OK && !count && !follower->missing_told)
            log_event(LOG_WARN, FIELDS(follower),
                      "there is no topic %s (source.schema_topic) yet: until it appears records "
                      "without schema have no types but those of their values",
                      topic);
        follower->missing_told |= status == ODS_OK && !count;
        return status;
    }
    int64_t *next = realloc(follower->next, (size_t) count * sizeof *next);
    if (!next)
        return error_out_of_memory(error);
    follower->next = next;
    while (follower->count < count)
        next[follower->count++] = 0;
    return kafka_tool_follow(follower->tool, topic, next, count, error);
}

/* Has everything been learned that the topic held when this began? */
static enum ods_status compare(struct follower *follower, bool *caught_up, struct error *error)
{
    const char *topic = follower->pipeline->source.schema_topic;
    *caught_up = true;
    for (int32_t i = 0; i < follower->count; i++) {
        int64_t low, high;
        enum ods_status status = kafka_tool_ends(follower->tool, topic, i, &low, &high, error);
        if (status != ODS_OK)
            return status;
        *caught_up &= low >= high || follower->next[i] >= high;
    }
    return ODS_OK;
}

static enum ods_status look_and_compare(struct follower *follower, struct error *error)
{
    int64_t now_us = time_monotonic_us();
    bool wanted = !follower->caught_up_us ||
                  source_schema_wanted_us(follower->schema) > follower->caught_up_us;
    bool caught_up = false;
    enum ods_status status = ODS_OK;
    if (wanted || now_us - follower->looked_us > LOOK_US) {
        status = look(follower, error);
        follower->looked_us = now_us;
    }
    if (status == ODS_OK && wanted)
        status = compare(follower, &caught_up, error);
    if (status == ODS_OK && caught_up) {
        follower->caught_up_us = now_us;
        source_schema_caught_up(follower->schema, now_us);
    }
    return status;
}

static void take(struct follower *follower, rd_kafka_message_t *message)
{
    if (!message)
        return;
    bool ours = message->partition >= 0 && message->partition < follower->count;
    /* The end of a partition: what stands before it may be a transaction's marks alone. */
    if (ours && message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        follower->next[message->partition] = message->offset;
    if (ours && !message->err) {
        learn(follower, message);
        follower->next[message->partition] = message->offset + 1;
    }
    rd_kafka_message_destroy(message);
}

static void pause_after(struct follower *follower, const struct error *error)
{
    uint64_t held_back;
    if (rare_due(&follower->rare, &held_back))
        log_event(LOG_WARN, FIELDS(follower), "schema topic %s: %s; trying again",
                  follower->pipeline->source.schema_topic, error->text);
    int64_t until_us = time_monotonic_us() + PAUSE_US;
    while (!atomic_load(&follower->stop) && time_monotonic_us() < until_us)
        take(follower, kafka_tool_poll(follower->tool, POLL_MS));
}

static void *follow(void *context)
{
    struct follower *follower = context;
    while (!atomic_load(&follower->stop)) {
        struct error error;
        error_init(&error);
        if (look_and_compare(follower, &error) != ODS_OK)
            pause_after(follower, &error);
        rd_kafka_message_t *message = kafka_tool_poll(follower->tool, POLL_MS);
        for (; message; message = kafka_tool_poll(follower->tool, 0))
            take(follower, message);
    }
    return NULL;
}

enum ods_status follower_start(struct follower **out, const struct settings *settings,
                               const struct pipeline_settings *pipeline, struct error *error)
{
    struct follower *follower = calloc(1, sizeof *follower);
    *out = NULL;
    if (!follower)
        return error_set(error, ODS_FATAL, "out of memory to follow the schema topic");
    follower->settings = settings;
    follower->pipeline = pipeline;
    follower->schema = schema_topic_store(&pipeline->source);
    enum ods_status status =
        follower->schema ? kafka_tool_open(&follower->tool, settings, pipeline->group_id, error)
                         : error_set(error, ODS_FATAL, "out of memory to follow the schema topic");
    if (status == ODS_OK && pthread_create(&follower->thread, NULL, follow, follower))
        status = error_set(error, ODS_FATAL, "no thread to follow the schema topic");
    if (status == ODS_OK) {
        *out = follower;
        return ODS_OK;
    }
    kafka_tool_close(follower->tool);
    source_schema_free(follower->schema);
    free(follower);
    return status;
}

struct source_schema *follower_schema(struct follower *follower)
{
    return follower ? follower->schema : NULL;
}

void follower_stop(struct follower *follower)
{
    if (!follower)
        return;
    atomic_store(&follower->stop, true);
    pthread_join(follower->thread, NULL);
    kafka_tool_close(follower->tool);
    source_schema_free(follower->schema);
    free(follower->next);
    free(follower);
}
