/* Changes as records of Kafka topics.
 *
 * At the cluster of the source a lane has a transactional producer, and its batches are
 * transactions that commit the group's offsets too: who reads committed records sees each change
 * once. Two things keep a writer that lost its partitions from committing: the group's generation,
 * which the offsets bring with them, and the transactional id, which its successor on the host
 * takes over. Elsewhere the producer is idempotent, and offsets are acknowledged by the lane
 * afterwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/source.h>

#include "sink/kafka/kafka_sink.h"

extern const struct sink_ops kafka_sink;

/* --- which cluster ------------------------------------------------------------------------ */

/* Does the comma-separated list have this address? */
static bool lists(const char *list, const char *address, size_t length)
{
    while (*list) {
        list += strspn(list, ", ");
        size_t each = strcspn(list, ", ");
        if (each == length && strncmp(list, address, length) == 0)
            return true;
        list += each;
    }
    return false;
}

static bool shares_a_broker(const char *one, const char *other)
{
    while (*one) {
        one += strspn(one, ", ");
        size_t length = strcspn(one, ", ");
        if (length && lists(other, one, length))
            return true;
        one += length;
    }
    return false;
}

static bool is_own_cluster(const struct sink_config *config)
{
    const struct kafka_target_settings *settings = config->settings;
    return !*settings->brokers ||
           shares_a_broker(settings->brokers, config->daemon->kafka.bootstrap_servers);
}

static enum guarantee kafka_guarantees(const struct sink_config *config)
{
    const struct source_ops *source = source_find(config->pipeline->input.type);
    return is_own_cluster(config) && source && source->membership ? EXACT_BY_SOURCE_TRANSACTION
                                                                  : AT_LEAST_ONCE;
}

/* Of the source's cluster a name that every change has must not be one that comes back. */
static enum ods_status check_static_topic(const struct sink_config *config, struct error *error)
{
    const struct kafka_target_settings *settings = config->settings;
    if (!settings->topic || strstr(settings->topic, "{{"))
        return ODS_OK;
    return topics_check_own(config, settings->topic, error);
}

static enum ods_status kafka_suits(const struct sink_config *config, struct error *error)
{
    const struct kafka_target_settings *settings = config->settings;
    const char *registry = subjects_registry(config)->url;
    if (settings->encoding == KAFKA_AVRO && (!*registry || strstr(registry, "file://")))
        return error_set(error, ODS_FATAL,
                         "target %s: encoding = \"avro\" needs a schema registry%s: set registry = "
                         "{ url = \"http://…\"; }; there, or beside the targets",
                         config->name, *registry ? ", and a file keeps no schemas" : "");
    if (kafka_guarantees(config) != EXACT_BY_SOURCE_TRANSACTION)
        return ODS_OK;
    enum ods_status status = check_static_topic(config, error);
    if (status != ODS_OK || !*settings->brokers)
        return status;
    status = kafka_writer_check(&settings->properties, settings->transaction_ms, error);
    if (status != ODS_OK)
        error_prefix(error, "target %s: ", config->name);
    return status;
}

static int64_t kafka_held_bytes(const struct sink_config *config)
{
    const struct kafka_target_settings *settings = config->settings;
    int64_t writers = kafka_guarantees(config) == EXACT_BY_SOURCE_TRANSACTION ? KAFKA_WRITERS : 1;
    return writers * kafka_writer_queue_bytes(settings->record_bytes_max) +
           (int64_t) UNDER_WAY_BYTES;
}

/* --- opening ------------------------------------------------------------------------------ */

static void kafka_close(struct sink *sink)
{
    struct kafka_sink *kafka = (struct kafka_sink *) sink;
    if (!kafka)
        return;
    for (size_t i = 0; i < kafka->writer_count; i++)
        kafka_writer_close(kafka->writers[i]);
    identity_give_back(kafka);
    topics_forget(kafka);
    subjects_done(&kafka->subjects);
    form_done(&kafka->form);
    template_done(&kafka->topic);
    for (size_t i = 0; kafka->headers && i < kafka->settings->headers.count; i++)
        template_done(&kafka->headers[i]);
    free(kafka->headers);
    free(kafka->cluster.properties.items);
    free(kafka->pieces);
    buffer_done(&kafka->bytes);
    buffer_done(&kafka->name);
    buffer_done(&kafka->scratch);
    buffer_done(&kafka->added);
    buffer_done(&kafka->membership);
    arena_done(&kafka->values);
    free(kafka);
}

/* The consumers may wait longer for an answer than a transaction lasts: then it is its time that
 * counts. */
static bool outlasts(const struct kafka_sink *kafka, const struct property *property)
{
    return kafka->same_cluster && strcmp(property->name, "socket.timeout.ms") == 0 &&
           strtoll(property->value, NULL, 10) > kafka->settings->transaction_ms;
}

/* The cluster's own settings: of the daemon's where it is the source's, then the target's. */
static enum ods_status make_cluster(struct kafka_sink *kafka, struct error *error)
{
    const struct kafka_settings *daemon = &kafka->config.daemon->kafka;
    const struct properties *own = &kafka->settings->properties;
    struct properties *all = &kafka->cluster.properties;
    bool shared = is_own_cluster(&kafka->config);
    size_t count = own->count + (shared ? daemon->properties.count : 0);
    kafka->cluster = *daemon;
    *all = (struct properties){.items = calloc(count + 1, sizeof *all->items)};
    if (!all->items)
        return error_out_of_memory(error);
    if (*kafka->settings->brokers)
        kafka->cluster.bootstrap_servers = kafka->settings->brokers;
    for (size_t i = 0; shared && i < daemon->properties.count; i++) {
        const char *name = daemon->properties.items[i].name;
        /* Not of a member of a group, nor what the writer sees to. */
        if (strcmp(name, "group.instance.id") != 0 && !kafka_writer_owns(name) &&
            !outlasts(kafka, &daemon->properties.items[i]))
            all->items[all->count++] = daemon->properties.items[i];
    }
    for (size_t i = 0; i < own->count; i++)
        all->items[all->count++] = own->items[i];
    return ODS_OK;
}

/* A lane must not take what was aborted for a change, nor begin at an offset that is not decided.
 */
static enum ods_status check_isolation(const struct kafka_sink *kafka, struct error *error)
{
    const char *level = properties_find(&kafka->config.daemon->kafka.properties, "isolation.level");
    if (!kafka->same_cluster || !level || strcmp(level, "read_committed") == 0)
        return ODS_OK;
    return error_set(
        error, ODS_FATAL,
        "target %s: kafka.properties has \"isolation.level\" = \"%s\", but offsets are "
        "committed in transactions: remove it",
        kafka->config.name, level);
}

static bool explodes(const struct transform_settings *transforms, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(transforms[i].type, "explode") == 0)
            return true;
    return false;
}

/* The rows of one record would have one key, and compaction would leave one of them. */
static enum ods_status check_key(const struct kafka_sink *kafka, struct error *error)
{
    const struct pipeline_settings *pipeline = kafka->config.pipeline;
    const struct table_settings *defaults = &pipeline->defaults;
    bool many = explodes(pipeline->transforms, pipeline->transform_count) ||
                explodes(defaults->transforms, defaults->transform_count);
    for (size_t i = 0; i < pipeline->table_count; i++)
        many |= explodes(pipeline->tables[i].transforms, pipeline->tables[i].transform_count);
    if (!many || !kafka_keeps_key(kafka->settings))
        return ODS_OK;
    return error_set(error, ODS_FATAL,
                     "target %s: pipeline %s makes several rows of a record (explode), and key = "
                     "\"record\" gives all of them the record's key: set key = \"columns\"",
                     kafka->config.name, pipeline->name);
}

static enum ods_status open_writers(struct kafka_sink *kafka, struct error *error)
{
    enum ods_status status = ODS_OK;
    struct kafka_writer_config config = {.kafka = &kafka->cluster,
                                         .target = kafka->config.name,
                                         .client_id = kafka->client_id,
                                         .partitioner =
                                             kafka_partitioner(kafka->settings, &kafka->partition),
                                         .transaction_ms = kafka->settings->transaction_ms,
                                         .record_bytes_max = kafka->settings->record_bytes_max,
                                         .interrupted = &kafka->interrupted,
                                         .refused = kafka_refused,
                                         .context = kafka};
    size_t count = kafka->same_cluster ? KAFKA_WRITERS : 1;
    snprintf(kafka->client_id, sizeof kafka->client_id, "ods-sink-%.200s",
             kafka->config.pipeline->name);
    while (status == ODS_OK && kafka->writer_count < count) {
        size_t number = kafka->writer_count;
        if (kafka->same_cluster)
            config.transactional_id = kafka->identities[number].id;
        status = kafka_writer_open(&kafka->writers[number], &config, error);
        kafka->writer_count += status == ODS_OK;
    }
    return status;
}

static enum ods_status compile_all(struct kafka_sink *kafka, struct error *error)
{
    const struct kafka_target_settings *settings = kafka->settings;
    kafka->headers = calloc(settings->headers.count + 1, sizeof *kafka->headers);
    if (!kafka->headers)
        return error_out_of_memory(error);
    enum ods_status status = template_compile(&kafka->topic, settings->topic, TEMPLATE_TEXT, error);
    for (size_t i = 0; status == ODS_OK && i < settings->headers.count; i++)
        status = template_compile(&kafka->headers[i], settings->headers.items[i].value,
                                  TEMPLATE_TEXT, error);
    return status;
}

static enum ods_status kafka_open(struct sink **sink, const struct sink_config *config,
                                  struct error *error)
{
    struct kafka_sink *kafka = calloc(1, sizeof *kafka);
    *sink = NULL;
    if (!kafka)
        return error_out_of_memory(error);
    kafka->config = *config;
    kafka->settings = config->settings;
    for (size_t i = 0; i < KAFKA_WRITERS; i++)
        kafka->identities[i].held = -1;
    arena_init(&kafka->values);
    kafka->same_cluster = kafka_guarantees(config) == EXACT_BY_SOURCE_TRANSACTION;
    kafka->sink.ops = &kafka_sink;
    kafka->sink.wants.max_wait_ms = kafka->settings->commit_ms;
    kafka->sink.wants_before = kafka->settings->form == KAFKA_ENVELOPE;
    enum ods_status status = make_cluster(kafka, error);
    if (status == ODS_OK)
        status = check_isolation(kafka, error);
    if (status == ODS_OK)
        status = check_key(kafka, error);
    if (status == ODS_OK)
        status = form_init(&kafka->form, kafka->settings, config->pipeline, error);
    if (status == ODS_OK)
        status = subjects_open(kafka, error);
    if (status == ODS_OK)
        status = compile_all(kafka, error);
    if (status == ODS_OK)
        status = open_writers(kafka, error);
    if (status == ODS_OK)
        *sink = &kafka->sink;
    else
        kafka_close(&kafka->sink);
    return status;
}

static enum ods_status kafka_connect(struct sink *sink, struct error *error)
{
    struct kafka_sink *kafka = (struct kafka_sink *) sink;
    enum ods_status status = kafka->same_cluster ? identity_take(kafka, error) : ODS_OK;
    for (size_t i = 0; i < kafka->writer_count && status == ODS_OK; i++)
        status = kafka_writer_ready(kafka->writers[i], error);
    return status;
}

static enum ods_status kafka_check(struct sink *sink,
                                   void (*report)(void *context, const char *line), void *context,
                                   struct error *error)
{
    struct kafka_sink *kafka = (struct kafka_sink *) sink;
    enum ods_status status = topics_check(kafka, report, context, error);
    if (status == ODS_OK)
        status = subjects_check(kafka, report, context, error);
    /* With the right to the transactional id, an id of its own. */
    return status == ODS_OK ? kafka_connect(sink, error) : status;
}

static void kafka_interrupt(struct sink *sink)
{
    atomic_store(&((struct kafka_sink *) sink)->interrupted, true);
}

static void kafka_clear_interrupt(struct sink *sink)
{
    atomic_store(&((struct kafka_sink *) sink)->interrupted, false);
}

static void kafka_tell(const struct sink *sink, double *values)
{
    const struct kafka_sink *kafka = (const struct kafka_sink *) sink;
    memset(values, 0, KAFKA_STATISTICS * sizeof *values);
    for (size_t i = 0; i < kafka->writer_count; i++)
        kafka_writer_tell(kafka->writers[i], values);
}

/* The client's statistics pile up until somebody takes them. */
static void kafka_rest(struct sink *sink)
{
    struct kafka_sink *kafka = (struct kafka_sink *) sink;
    for (size_t i = 0; i < kafka->writer_count; i++)
        kafka_writer_rest(kafka->writers[i]);
}

const struct sink_ops kafka_sink = {
    .type = "kafka",
    .summary = "changes as records of Kafka topics",
    .codes = "Kafka error",
    .guarantee = EXACT_BY_SOURCE_TRANSACTION,
    .guarantees = kafka_guarantees,
    .settings = &kafka_target_settings_group,
    .suits = kafka_suits,
    .held_bytes = kafka_held_bytes,
    .open = kafka_open,
    .connect = kafka_connect,
    .resume = sink_stores_no_offsets,
    .apply = kafka_apply,
    .check = kafka_check,
    .numbers = kafka_target_statistic_rows,
    .tell = kafka_tell,
    .rest = kafka_rest,
    .interrupt = kafka_interrupt,
    .clear_interrupt = kafka_clear_interrupt,
    .close = kafka_close,
};
