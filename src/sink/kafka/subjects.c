/* The ids of schemas. One that is not known here is registered, or looked for, before the batch
 * with its first record is begun, since a transaction does not wait for a registry. What the
 * registry has refused is asked again after a while only: the records until then are letters
 * without a question each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "core/time.h"
#include "sink/kafka/kafka_sink.h"

#define KNOWN_BYTES_MAX ((size_t) 16 * 1024 * 1024)
#define REFUSED_US      INT64_C(10000000)

/* A schema under a subject. */
struct subject {
    char *name, *schema, *refusal; /* refusal NULL: it has the id */
    size_t schema_length;
    uint32_t id;
    int64_t refused_us; /* when */
};

static void subject_free(struct subject *subject)
{
    if (!subject)
        return;
    free(subject->name);
    free(subject->schema);
    free(subject->refusal);
    free(subject);
}

static void forget(struct subjects *subjects)
{
    for (size_t i = 0; i < subjects->known.slot_count; i++)
        subject_free(subjects->known.slots[i].item);
    hash_index_done(&subjects->known);
    subjects->bytes = 0;
}

void subjects_done(struct subjects *subjects)
{
    forget(subjects);
    registry_client_close(subjects->client);
    buffer_done(&subjects->name);
    subjects->client = NULL;
}

const struct registry_settings *subjects_registry(const struct sink_config *config)
{
    const struct kafka_target_settings *settings = config->settings;
    return *settings->registry.url ? &settings->registry : &config->daemon->registry;
}

enum ods_status subjects_open(struct kafka_sink *kafka, struct error *error)
{
    if (kafka->settings->encoding != KAFKA_AVRO)
        return ODS_OK;
    return registry_client_open(&kafka->subjects.client, subjects_registry(&kafka->config),
                                &kafka->interrupted, error);
}

/* --- names -------------------------------------------------------------------------------- */

static const char *name_subject(struct kafka_sink *kafka, const struct form_plan *plan,
                                const struct kafka_topic *topic, bool key)
{
    struct buffer *name = &kafka->subjects.name;
    const struct form_schema *schema = form_schema(plan, key);
    const char *record = schema->avro.root->name;
    buffer_reset(name);
    switch (kafka->settings->subject) {
    case KAFKA_SUBJECT_TOPIC:
        buffer_printf(name, "%s-%s", topic->name, key ? "key" : "value");
        break;
    case KAFKA_SUBJECT_RECORD:
        buffer_puts(name, record);
        break;
    case KAFKA_SUBJECT_TOPIC_RECORD:
        buffer_printf(name, "%s-%s", topic->name, record);
        break;
    }
    /* An envelope without columns is no version of the one that rows have. */
    if (!key && !form_has_columns(plan))
        buffer_puts(name, "-truncate");
    return buffer_text(name);
}

/* --- what is known ------------------------------------------------------------------------ */

static uint64_t hash_of(const char *name, const struct buffer *schema)
{
    return hash_bytes(schema->bytes, schema->length, hash_bytes(name, strlen(name), 0));
}

static struct subject *find(const struct subjects *subjects, uint64_t hash, const char *name,
                            const struct buffer *schema)
{
    size_t at = hash_index_start(hash);
    struct subject *subject;
    while ((subject = hash_index_next(&subjects->known, hash, &at)))
        if (strcmp(subject->name, name) == 0 && subject->schema_length == schema->length &&
            memcmp(subject->schema, schema->bytes, schema->length) == 0)
            return subject;
    return NULL;
}

/* NULL: memory is out. */
static struct subject *add(struct subjects *subjects, uint64_t hash, const char *name,
                           const struct buffer *schema)
{
    if (subjects->bytes > KNOWN_BYTES_MAX)
        forget(subjects);
    struct subject *subject = calloc(1, sizeof *subject);
    if (subject) {
        subject->name = strdup(name);
        subject->schema = malloc(schema->length + 1);
    }
    if (!subject || !subject->name || !subject->schema || !hash_index_reserve(&subjects->known)) {
        subject_free(subject);
        return NULL;
    }
    memcpy(subject->schema, schema->bytes, schema->length);
    subject->schema_length = schema->length;
    subjects->bytes += sizeof *subject + strlen(name) + schema->length;
    hash_index_add(&subjects->known, hash, subject);
    return subject;
}

/* --- asking ------------------------------------------------------------------------------- */

static enum ods_status refuse(const struct subject *subject, struct error *error)
{
    error_init(error);
    error->fault = FAULT_TABLE;
    return error_set(error, ODS_REJECT, "%s", subject->refusal);
}

static enum ods_status ask(struct kafka_sink *kafka, struct subject *subject, const char *table,
                           struct error *error)
{
    struct error why;
    bool unknown, registers = kafka->settings->register_schemas;
    error_init(&why);
    enum ods_status status = registry_client_register(
        kafka->subjects.client, subject->name,
        (struct slice){subject->schema, subject->schema_length}, registers, &subject->id, &unknown,
        &why);
    if (status == ODS_OK)
        return ODS_OK;
    if (status == ODS_REJECT && !unknown) {
        error_prefix(&why, "subject %.200s does not take the schema of table %.200s: ",
                     subject->name, table);
        const char *hint = "; change the table or the subject's compatibility, or set `subject` "
                           "where tables share a topic, then replay the letters";
        size_t length = strlen(why.text);
        snprintf(why.text + length, sizeof why.text - length, "%s", hint);
        subject->refused_us = time_monotonic_us();
        subject->refusal = strdup(why.text);
        return subject->refusal ? refuse(subject, error) : error_out_of_memory(error);
    }
    *error = why;
    error->fault = FAULT_OUTAGE;
    error_prefix(error, "target %s: table %.200s, subject %.200s: ", kafka->config.name, table,
                 subject->name);
    if (unknown)
        error_prefix(error, "register its schema, or set register_schemas: ");
    return status == ODS_FATAL ? ODS_FATAL : ODS_RETRY;
}

static enum ods_status find_id(struct kafka_sink *kafka, const struct form_plan *plan,
                               const struct form_schema *schema, const char *name, uint32_t *id,
                               struct error *error)
{
    uint64_t hash = hash_of(name, &schema->text);
    struct subject *subject = find(&kafka->subjects, hash, name, &schema->text);
    char table[420];
    enum ods_status status = ODS_OK;
    if (subject && subject->refusal) {
        if (time_monotonic_us() - subject->refused_us < REFUSED_US)
            return refuse(subject, error);
        free(subject->refusal);
        subject->refusal = NULL;
    }
    if (!subject)
        subject = add(&kafka->subjects, hash, name, &schema->text);
    if (!subject)
        return error_out_of_memory(error);
    if (!subject->id)
        status = ask(kafka, subject, form_table_name(plan, table, sizeof table), error);
    *id = subject->id;
    return status;
}

/* Sees to it that the schema has the id that it has for this topic. */
static enum ods_status resolve(struct kafka_sink *kafka, const struct form_plan *plan,
                               const struct kafka_topic *topic, bool key, struct error *error)
{
    struct form_schema *schema = form_schema(plan, key);
    if (schema->topic == topic)
        return ODS_OK;
    const char *name = name_subject(kafka, plan, topic, key);
    if (kafka->subjects.name.failed)
        return error_out_of_memory(error);
    uint32_t id = 0;
    enum ods_status status = find_id(kafka, plan, schema, name, &id, error);
    if (status == ODS_OK) {
        schema->topic = topic;
        schema->id = id;
    }
    return status;
}

static enum ods_status prepare(struct kafka_sink *kafka, uint32_t index, struct error *error)
{
    const struct change *change = &kafka->batch->changes[index];
    const struct form_plan *plan = NULL;
    struct kafka_topic *topic;
    enum ods_status status = form_plan(&kafka->form, change->shape, &plan, error);
    if (status != ODS_OK || form_table(plan)->skip)
        return status;
    const struct form_schema *key = form_schema(plan, true), *value = form_schema(plan, false);
    bool keyed = key->text.length && change->op != OP_TRUNCATE;
    bool known = (key->topic || !keyed) && (value->topic || change->tombstone);
    if (known && template_is_constant(&kafka->topic))
        return ODS_OK;
    status = topics_find(kafka, index, &topic, error);
    if (status == ODS_OK && keyed)
        status = resolve(kafka, plan, topic, true, error);
    if (status == ODS_OK && !change->tombstone)
        status = resolve(kafka, plan, topic, false, error);
    return status;
}

enum ods_status subjects_prepare(struct kafka_sink *kafka, struct error *error)
{
    enum ods_status status = ODS_OK;
    if (!kafka->subjects.client)
        return ODS_OK;
    for (uint32_t i = 0; i < kafka->batch->change_count; i++) {
        if (!kafka->batch->changes[i].rejected)
            status = prepare(kafka, i, error);
        /* A change that can't be written is found again where it is set aside. */
        if (status != ODS_OK && status != ODS_REJECT)
            return status;
    }
    return ODS_OK;
}

enum ods_status subjects_put_id(struct kafka_sink *kafka, const struct form_plan *plan,
                                const struct kafka_topic *topic, bool key, struct error *error)
{
    const struct form_schema *schema = form_schema(plan, key);
    if (!schema)
        return ODS_OK;
    enum ods_status status = resolve(kafka, plan, topic, key, error);
    if (status != ODS_OK)
        return status;
    uint32_t id = schema->id;
    const char head[] = {0, (char) (id >> 24), (char) (id >> 16), (char) (id >> 8), (char) id};
    buffer_add(&kafka->bytes, head, sizeof head);
    return ODS_OK;
}

/* --- check -------------------------------------------------------------------------------- */

struct saying {
    const char *target;
    void (*report)(void *context, const char *line);
    void *context;
};

static void say(void *context, const char *line)
{
    const struct saying *saying = context;
    char text[700];
    snprintf(text, sizeof text, "target %s: registry %s", saying->target, line);
    saying->report(saying->context, text);
}

enum ods_status subjects_check(struct kafka_sink *kafka,
                               void (*report)(void *context, const char *line), void *context,
                               struct error *error)
{
    struct saying saying = {kafka->config.name, report, context};
    if (!kafka->subjects.client)
        return ODS_OK;
    enum ods_status status =
        registry_client_check(kafka->subjects.client, say, &saying, error);
    if (status != ODS_OK)
        error_prefix(error, "target %s: ", kafka->config.name);
    return status;
}
