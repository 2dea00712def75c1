/* Topics by their names: whether they can be written to, whether they are there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/source.h>

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

/* from NULL: only whether it could be made; its partitions are the brokers' default then. */
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
    enum ods_status status = from ? partitions_of(kafka, from, &partitions, error) : ODS_OK;
    if (!from)
        partitions = kafka->settings->partitions ? (int32_t) kafka->settings->partitions : -1;
    if (status == ODS_OK)
        status = open_admin(kafka, &admin, error);
    if (status == ODS_OK)
        status = (from ? kafka_admin_create : kafka_admin_may_create)(
            admin, name, partitions, (int) kafka->settings->replicas, settings, error);
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

enum ods_status topics_check_own(const struct sink_config *config, const char *name,
                                 struct error *error)
{
    if (pipeline_reads(config->pipeline, name))
        return error_set(error, ODS_FATAL,
                         "target %s: the pipeline reads topic \"%s\", to which this would be "
                         "written: it would go round for ever",
                         config->name, name);
    if (strcmp(name, config->daemon->dead_letter.topic) == 0)
        return error_set(error, ODS_FATAL, "target %s: \"%s\" is dead_letter.topic", config->name,
                         name);
    return ODS_OK;
}

/* Another address may lead to the same brokers, which only they can tell. */
static enum ods_status ask_brokers(struct kafka_sink *kafka, struct error *error)
{
    const struct sink_config *config = &kafka->config;
    struct kafka_admin *theirs = NULL, *ours = NULL;
    char one[128], other[128];
    enum ods_status status = open_admin(kafka, &theirs, error);
    if (status == ODS_OK)
        status = kafka_admin_cluster(theirs, one, sizeof one, error);
    if (status == ODS_OK)
        status = kafka_admin_open(&ours, config->daemon, config->group, error);
    if (status == ODS_OK) {
        kafka_admin_patience(ours, ANSWER_MS);
        status = kafka_admin_cluster(ours, other, sizeof other, error);
    }
    kafka_admin_close(theirs);
    kafka_admin_close(ours);
    if (status == ODS_OK)
        kafka->brokers =
            *one && strcmp(one, other) == 0 ? BROKERS_OF_SOURCE : BROKERS_OTHERS;
    return status;
}

/* Only a name that would be refused is worth the question. */
static enum ods_status check_elsewhere(struct kafka_sink *kafka, const char *name,
                                       struct error *error)
{
    const struct sink_config *config = &kafka->config;
    const struct source_ops *source = source_find(config->pipeline->input.type);
    enum ods_status status = ODS_OK;
    struct error why;
    error_init(&why);
    if (!source || !source->membership || topics_check_own(config, name, &why) == ODS_OK)
        return ODS_OK;
    if (kafka->brokers == BROKERS_NOT_ASKED)
        status = ask_brokers(kafka, error);
    if (status != ODS_OK)
        error_prefix(error,
                     "target %s: topic %s is one of the source's too, is it the same cluster? ",
                     config->name, name);
    if (status != ODS_OK || kafka->brokers != BROKERS_OF_SOURCE)
        return status;
    *error = why;
    return ODS_FATAL;
}

static enum ods_status check_name(struct kafka_sink *kafka, const char *name, size_t length,
                                  struct error *error)
{
    if (strlen(name) != length || !is_name(name, length))
        return error_set(error, ODS_REJECT,
                         "no topic can be called \"%.100s\": a name has 1 to %d of letters, "
                         "digits, \".\", \"_\" and \"-\"",
                         name, NAME_MAX_);
    return kafka->same_cluster ? topics_check_own(&kafka->config, name, error)
                               : check_elsewhere(kafka, name, error);
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

struct checking {
    struct kafka_sink *kafka;
    struct kafka_admin *admin;
    void (*report)(void *context, const char *line);
    void *context;
};

static void say(const struct checking *checking, const char *what)
{
    char line[700];
    snprintf(line, sizeof line, "target %s: %s", checking->kafka->config.name, what);
    checking->report(checking->context, line);
}

static void take_no_topic(void *context, const char *topic, int32_t partitions)
{
}

static enum ods_status check_brokers(const struct checking *checking, struct error *error)
{
    char what[200];
    int brokers = 0;
    enum ods_status status =
        kafka_admin_topics(checking->admin, take_no_topic, NULL, &brokers, error);
    if (status != ODS_OK)
        return status;
    snprintf(what, sizeof what, "Kafka answers: %d broker%s%s", brokers, brokers == 1 ? "" : "s",
             checking->kafka->same_cluster ? ", the source's own"
                                           : ", another cluster than the source's");
    say(checking, what);
    return ODS_OK;
}

/* Who makes a topic that is not there? ODS_RETRY: nobody, and the lane waits for it. */
static enum ods_status check_missing(const struct checking *checking, const char *topic,
                                     struct error *error)
{
    struct kafka_sink *kafka = checking->kafka;
    char what[400], made[16] = "";
    struct error why;
    error_init(&why);
    bool ours = kafka->settings->create_topics;
    enum ods_status status = ours ? create(kafka, topic, NULL, error) : ODS_OK;
    if (status != ODS_OK)
        return status;
    /* Who may not ask that hears that it is missing. */
    if (!ours)
        kafka_admin_broker_setting(checking->admin, "auto.create.topics.enable", made, sizeof made,
                                   &why);
    bool theirs = strcmp(made, "true") == 0;
    if (!ours && !theirs)
        return error_set(error, ODS_RETRY,
                         "topic %s is not there: create it, or set create_topics; the lane waits "
                         "for it",
                         topic);
    snprintf(what, sizeof what, "topic %s is not there: %s with the first change", topic,
             ours ? "it is created" : "the brokers create it (auto.create.topics.enable)");
    say(checking, what);
    return ODS_OK;
}

static enum ods_status check_topic(const struct checking *checking, struct error *error)
{
    struct kafka_sink *kafka = checking->kafka;
    const char *topic = kafka->settings->topic;
    int32_t partitions;
    char what[600];
    if (strstr(topic, "{{")) {
        snprintf(what, sizeof what, "topics are named by each change: %.400s", topic);
        say(checking, what);
        return ODS_OK;
    }
    enum ods_status status = check_name(kafka, topic, strlen(topic), error);
    /* Not a letter here: every change goes there. */
    if (status != ODS_OK)
        return status == ODS_REJECT ? ODS_FATAL : status;
    status = kafka_admin_topic(checking->admin, topic, &partitions, error);
    if (status != ODS_OK)
        return status;
    if (partitions < 0)
        return check_missing(checking, topic, error);
    snprintf(what, sizeof what, "topic %s is there, %d partition%s", topic, (int) partitions,
             partitions == 1 ? "" : "s");
    say(checking, what);
    return ODS_OK;
}

enum ods_status topics_check(struct kafka_sink *kafka,
                             void (*report)(void *context, const char *line), void *context,
                             struct error *error)
{
    struct checking checking = {kafka, NULL, report, context};
    char target[300];
    enum ods_status status = open_admin(kafka, &checking.admin, error);
    if (status == ODS_OK)
        status = check_brokers(&checking, error);
    if (status == ODS_OK)
        status = check_topic(&checking, error);
    kafka_admin_close(checking.admin);
    snprintf(target, sizeof target, "target %s: ", kafka->config.name);
    if (status != ODS_OK && strncmp(error->text, target, strlen(target)) != 0)
        error_prefix(error, "%s", target);
    return status;
}
