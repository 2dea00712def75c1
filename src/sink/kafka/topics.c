/* Topics by their names: whether they can be written to, whether they are there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "sink/kafka/kafka_sink.h"
#include "source/kafka/kafka_admin.h"

#define TOPICS_MAX 10000
#define NAME_MAX_  249
#define ANSWER_MS  5000

/* --- the cluster -------------------------------------------------------------------------- */

static enum ods_status open_admin(struct kafka_sink *kafka, struct kafka_admin **admin,
                                  struct error *error)
{
    *admin = NULL;
    if (!kafka->daemon) {
        kafka->daemon = malloc(sizeof *kafka->daemon);
        if (!kafka->daemon)
            return error_out_of_memory(error);
        *kafka->daemon = *kafka->config.daemon;
        kafka->daemon->kafka = kafka->cluster;
    }
    enum ods_status status = kafka_admin_open(admin, kafka->daemon, kafka->config.group, error);
    if (status == ODS_OK)
        kafka_admin_patience(*admin, ANSWER_MS);
    return status;
}

static enum ods_status partitions_of(struct kafka_sink *kafka, const char *topic, int32_t *count,
                                     struct error *error)
{
    const struct apply_hooks *hooks = kafka->hooks;
    *count = (int32_t) kafka->settings->partitions;
    if (*count)
        return ODS_OK;
    *count = -1;
    return hooks && hooks->partitions ? hooks->partitions(hooks->context, topic, count, error)
                                      : ODS_OK;
}

static enum ods_status create(struct kafka_sink *kafka, const char *name, const char *from,
                              struct error *error)
{
    const struct properties *told = &kafka->settings->topic_settings;
    const char **settings = calloc(2 * told->count + 1, sizeof *settings);
    struct kafka_admin *admin = NULL;
    int32_t partitions;
    if (!settings)
        return error_out_of_memory(error);
    for (size_t i = 0; i < told->count; i++) {
        settings[2 * i] = told->items[i].name;
        settings[2 * i + 1] = told->items[i].value;
    }
    enum ods_status status = partitions_of(kafka, from, &partitions, error);
    if (status == ODS_OK)
        status = open_admin(kafka, &admin, error);
    if (status == ODS_OK)
        status = kafka_admin_create(admin, name, partitions, (int) kafka->settings->replicas,
                                    settings, error);
    kafka_admin_close(admin);
    free(settings);
    if (status != ODS_OK)
        error_prefix(error, "target %s: topic %s: ", kafka->config.name, name);
    return status;
}

/* --- finding ------------------------------------------------------------------------------ */

static bool is_name(const char *name, size_t length)
{
    if (!length || length > NAME_MAX_ || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
           length;
}

static enum ods_status check_name(const struct kafka_sink *kafka, const char *name, size_t length,
                                  struct error *error)
{
    const struct settings *daemon = kafka->config.daemon;
    if (strlen(name) != length || !is_name(name, length))
        return error_set(error, ODS_REJECT,
                         "no topic can be called \"%.100s\": a name has 1 to %d of letters, "
                         "digits, \".\", \"_\" and \"-\"",
                         name, NAME_MAX_);
    if (!kafka->same_cluster)
        return ODS_OK;
    if (pipeline_reads(kafka->config.pipeline, name))
        return error_set(error, ODS_FATAL,
                         "target %s: the pipeline reads topic \"%s\", to which this would be "
                         "written: it would go round for ever",
                         kafka->config.name, name);
    if (strcmp(name, daemon->dead_letter.topic) == 0)
        return error_set(error, ODS_FATAL, "target %s: \"%s\" is dead_letter.topic",
                         kafka->config.name, name);
    return ODS_OK;
}

static enum ods_status add_topic(struct kafka_sink *kafka, const char *name, const char *from,
                                 struct kafka_topic **out, struct error *error)
{
    enum ods_status status = ODS_OK;
    struct kafka_topic *topic;
    if (kafka->topics.count >= TOPICS_MAX)
        return error_set(error, ODS_REJECT,
                         "changes have gone to %d topics, more are not written to", TOPICS_MAX);
    if (kafka->settings->create_topics)
        status = create(kafka, name, from, error);
    if (status != ODS_OK)
        return status;
    topic = calloc(1, sizeof *topic);
    if (topic)
        topic->name = strdup(name);
    bool made = topic && topic->name;
    for (size_t i = 0; made && i < kafka->writer_count; i++) {
        topic->topics[i] = kafka_writer_topic(kafka->writers[i], name);
        made = topic->topics[i];
    }
    if (!made || !hash_index_reserve(&kafka->topics)) {
        free(topic ? topic->name : NULL);
        free(topic);
        return error_out_of_memory(error);
    }
    hash_index_add(&kafka->topics, hash_bytes(name, strlen(name), 0), topic);
    *out = topic;
    return ODS_OK;
}

enum ods_status topics_find(struct kafka_sink *kafka, uint32_t change, struct kafka_topic **out,
                            struct error *error)
{
    struct buffer *name = &kafka->name;
    struct kafka_topic *topic = kafka->last_topic;
    const struct template_change at = {kafka->batch, change, kafka->config.pipeline,
                                       &kafka->scratch};
    if (topic && template_is_constant(&kafka->topic)) {
        *out = topic;
        return ODS_OK;
    }
    buffer_reset(name);
    enum ods_status status = template_put(name, &kafka->topic, &at, error);
    if (status != ODS_OK)
        return status;
    const char *text = buffer_text(name);
    if (topic && strcmp(topic->name, text) == 0) {
        *out = topic;
        return ODS_OK;
    }
    uint64_t hash = hash_bytes(text, name->length, 0);
    size_t slot = hash_index_start(hash);
    while ((topic = hash_index_next(&kafka->topics, hash, &slot)))
        if (strcmp(topic->name, text) == 0)
            break;
    if (!topic) {
        const struct record *record = &kafka->batch->records[kafka->batch->changes[change].record];
        status = check_name(kafka, text, name->length, error);
        if (status == ODS_OK)
            status = add_topic(kafka, text, record->topic, &topic, error);
    }
    if (status == ODS_OK)
        *out = kafka->last_topic = topic;
    return status;
}

void topics_forget(struct kafka_sink *kafka)
{
    for (size_t i = 0; i < kafka->topics.slot_count; i++) {
        struct kafka_topic *topic = kafka->topics.slots[i].item;
        if (topic)
            free(topic->name);
        free(topic);
    }
    hash_index_done(&kafka->topics);
    free(kafka->daemon);
    kafka->daemon = NULL;
    kafka->last_topic = NULL;
}

/* --- check -------------------------------------------------------------------------------- */

struct looking {
    const char *topic;
    int32_t partitions; /* -1: it is not there */
};

static void take_topic(void *context, const char *topic, int32_t partitions)
{
    struct looking *looking = context;
    if (strcmp(topic, looking->topic) == 0)
        looking->partitions = partitions;
}

static void report_topic(const struct kafka_sink *kafka, const struct looking *looking,
                         void (*report)(void *context, const char *line), void *context)
{
    char line[600];
    const char *name = kafka->config.name;
    if (strstr(looking->topic, "{{"))
        snprintf(line, sizeof line, "target %s: topics are named by each change: %s", name,
                 looking->topic);
    else if (looking->partitions >= 0)
        snprintf(line, sizeof line, "target %s: topic %s is there, %d partition%s", name,
                 looking->topic, (int) looking->partitions, looking->partitions == 1 ? "" : "s");
    else
        snprintf(line, sizeof line, "target %s: topic %s is not there, or may not be seen: %s",
                 name, looking->topic,
                 kafka->settings->create_topics
                     ? "it is created with the first change"
                     : "create it, grant Describe and Write on it, or set create_topics");
    report(context, line);
}

enum ods_status topics_check(struct kafka_sink *kafka,
                             void (*report)(void *context, const char *line), void *context,
                             struct error *error)
{
    struct looking looking = {kafka->settings->topic, -1};
    struct kafka_admin *admin;
    char line[600];
    int brokers = 0;
    enum ods_status status = open_admin(kafka, &admin, error);
    if (status == ODS_OK)
        status = kafka_admin_topics(admin, take_topic, &looking, &brokers, error);
    kafka_admin_close(admin);
    if (status != ODS_OK) {
        error_prefix(error, "target %s: ", kafka->config.name);
        return status;
    }
    snprintf(line, sizeof line, "target %s: Kafka answers: %d broker%s%s", kafka->config.name,
             brokers, brokers == 1 ? "" : "s",
             kafka->same_cluster ? ", the source's own" : ", another cluster than the source's");
    report(context, line);
    report_topic(kafka, &looking, report, context);
    return ODS_OK;
}
