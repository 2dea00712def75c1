/* The settings of a target of type "kafka". */
#include "sink/kafka/settings.h"

#include <stdlib.h>
#include <string.h>

#include "config/settings_registry.h"
#include "sink/template.h"
#include "source/kafka/kafka_writer.h"

#define AT(member) offsetof(struct kafka_target_settings, member)

static const char *const forms[] = {"envelope", "flattened", "plain", NULL};
static const char *const encodings[] = {"json", "avro", NULL};
static const char *const keys[] = {"auto", "record", "columns", NULL};
static const char *const subjects[] = {"topic", "record", "topic_record", NULL};
static const char *const deletes[] = {"auto", "tombstone", "row", "both", NULL};

static const struct setting rows[] = {
    {"brokers", SETTING_STRING, AT(brokers), "", .max = 8000,
     .inherits = "`kafka.bootstrap_servers`",
     .doc = "The cluster. Where it shares a broker with `kafka.bootstrap_servers` it is the "
            "source's own, and each record is sent exactly once; else at least once."},
    {"properties", SETTING_PROPERTIES, AT(properties), .max = 200,
     .doc = "Of librdkafka's producer: `compression.type`, `linger.ms`, and of another cluster its "
            "security. The source's cluster has those of `kafka.properties` too."},
    {"topic", SETTING_STRING, AT(topic), .min = 1, .max = 1000, .flags = SETTING_REQUIRED,
     .doc = "Where a change goes, a template: `enriched.{{table}}`. A name that no topic can have "
            "makes a dead letter; a topic that the pipeline reads is refused, or stops the lane."},
    {"format", SETTING_ENUM, AT(form), "envelope", .choices = forms,
     .doc = "`envelope`: Debezium's, with both images. `flattened`: the row and `__op`, `__db`, "
            "`__schema`, `__table`, `__source_ts_ms`, `__deleted`. `plain`: the row alone, "
            "numbers as numbers with all their digits and moments as ISO 8601."},
    {"encoding", SETTING_ENUM, AT(encoding), "json", .choices = encodings,
     .doc = "`json`, or `avro`: values, and keys of columns, as Avro with a schema of a registry, "
            "whose id stands behind a zero byte. Plain rows have Avro's own logical types too."},
    REGISTRY_ACCESS_ROWS(kafka_target_settings,
                         .inherits = "`registry` of ods-sink.conf, all of it",
                         "With `encoding = \"avro\"`: the registry that keeps the schemas, its "
                         "Confluent API, as `http://host:8081`, or of Apicurio "
                         "`http://host:8080/apis/ccompat/v7`. Several are separated by commas."),
    {"register_schemas", SETTING_BOOL, AT(register_schemas), "true",
     .doc = "With `avro`: register a schema that its subject does not have. Otherwise the lane "
            "waits until somebody else has registered it."},
    {"subject", SETTING_ENUM, AT(subject), "topic", .choices = subjects,
     .doc = "With `avro`: what schemas are registered under. `topic`: the topic and `-key` or "
            "`-value`. `record`: the schema's full name. `topic_record`: the topic, `-` and that "
            "name. A topic of several tables needs one of the latter."},
    {"schemas", SETTING_BOOL, AT(schemas), "true",
     .doc = "With `json`: put Kafka Connect's `schema` around envelopes and flattened rows, and "
            "around keys of columns, where the record came with types."},
    {"key", SETTING_ENUM, AT(key), "auto", .choices = keys,
     .doc = "`record`: the bytes as they came. `columns`: an object of the table's `key` in "
            "tables.yaml, else of the record's key columns. `auto`: `columns` with `avro`, else "
            "`record`."},
    {"partition", SETTING_STRING, AT(partition), "murmur2", .min = 1, .max = 20,
     .doc = "`murmur2`: by the key's hash, as Java's clients and Kafka Connect do (records without "
            "key at random). `consistent`: as librdkafka's do (CRC32). `same`: the number that "
            "the record had. A number: that one."},
    {"deletes", SETTING_ENUM, AT(deletes), "auto", .choices = deletes,
     .doc = "What a delete becomes: a `tombstone` (no value), by which compaction takes the key "
            "out; a `row` that says so (`op: d`, `__deleted`, `op_field`); `both`, one behind the "
            "other. `auto`: `both` with envelopes, else `tombstone`."},
    {"op_field", SETTING_STRING, AT(op_field), "", .max = 200,
     .doc = "Plain rows: a member that says the operation: `c`, `r`, `u` or `d`."},
    {"keep_headers", SETTING_BOOL, AT(keep_headers), "true",
     .doc = "Send the record's headers on."},
    {"headers", SETTING_PROPERTIES, AT(headers), .max = 100,
     .doc = "Headers that are added, by name; values are templates."},
    {"create_topics", SETTING_BOOL, AT(create_topics), "false",
     .doc = "Create a topic that is not there. Otherwise the lane waits for it, unless the brokers "
            "create topics by themselves."},
    {"partitions", SETTING_INT, AT(partitions), "0", .min = 0, .max = 100000,
     .doc = "Of topics that are created. 0: as many as the record's topic."},
    {"replicas", SETTING_INT, AT(replicas), "-1", .min = -1, .max = 1000,
     .doc = "Of topics that are created. -1: the brokers' default."},
    {"topic_settings", SETTING_PROPERTIES, AT(topic_settings), .max = 100,
     .doc = "Of topics that are created: `\"cleanup.policy\" = \"compact\";`."},
    {"transactional_id", SETTING_STRING, AT(transactional_id), "", .max = 200,
     .inherits = "the host's name",
     .doc = "What tells this host's writers from others of the group: a lane's transactional id is "
            "`ods-sink.<group>.<this>.<number>`, the first number that no other lane on the host "
            "has. Two hosts of one name need it."},
    {"transaction_timeout_ms", SETTING_MS, AT(transaction_ms), "15000", .min = 1000, .max = 900000,
     .doc = "After which brokers end a transaction whose writer is gone. Readers of committed "
            "records wait for it; a lane that starts again on the same host ends it at once."},
    {"commit_interval_ms", SETTING_MS, AT(commit_ms), "10", .min = 0, .max = 60000,
     .doc = "How long a batch waits for more records before it is sent and committed. At 0 it "
            "goes as soon as the one before it is committed: many small transactions, which "
            "cost the broker more than their records do."},
    {"max_record_bytes", SETTING_BYTES, AT(record_bytes_max), "1048576", .min = 1000,
     .max = 100 * 1024 * 1024,
     .doc = "A larger record is a dead letter, and so is one that its topic does not take "
            "(`max.message.bytes`)."},
};

const struct setting_group kafka_target_settings_group = {
    .title = "targets of type `kafka`",
    .intro =
        "A change is a record, or a delete two. At the source's own cluster a batch is a "
        "transaction that has its records and the group's offsets, so who reads committed records "
        "sees each once. At another cluster it is at least once: after a crash the last batches "
        "are sent again. Templates are those of the `http` target. Of a table's settings `skip`, "
        "`key`, `columns.*` and `redact` count.",
    .size = sizeof(struct kafka_target_settings),
    SETTING_ROWS(rows),
    .check = kafka_target_settings_check,
};

bool kafka_keeps_key(const struct kafka_target_settings *settings)
{
    return settings->key == KAFKA_KEY_RECORD ||
           (settings->key == KAFKA_KEY_AUTO && settings->encoding == KAFKA_JSON);
}

bool kafka_writes_rows(const struct kafka_target_settings *settings)
{
    return settings->deletes == KAFKA_DELETES_AUTO ? settings->form == KAFKA_ENVELOPE
                                                   : settings->deletes != KAFKA_DELETES_TOMBSTONE;
}

bool kafka_writes_tombstones(const struct kafka_target_settings *settings)
{
    return settings->deletes != KAFKA_DELETES_ROW;
}

const char *kafka_partitioner(const struct kafka_target_settings *settings, int32_t *partition)
{
    const char *text = settings->partition;
    char *end;
    *partition = KAFKA_BY_KEY;
    if (strcmp(text, "murmur2") == 0)
        return "murmur2_random";
    if (strcmp(text, "consistent") == 0)
        return "consistent_random";
    *partition = KAFKA_AS_READ;
    if (strcmp(text, "same") == 0)
        return "murmur2_random";
    long number = strtol(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || number > 100000)
        return NULL;
    *partition = (int32_t) number;
    return "murmur2_random";
}

static enum ods_status wrong(const char *setting, const char *why, struct error *error)
{
    return error_set(error, ODS_FATAL, "%s: %s", setting, why);
}

static enum ods_status check_template(const char *setting, const char *text, struct error *error)
{
    struct template template;
    enum ods_status status = template_compile(&template, text, TEMPLATE_TEXT, error);
    if (status == ODS_OK)
        template_done(&template);
    else
        error_prefix(error, "%s: ", setting);
    return status;
}

static enum ods_status check_registry(const struct kafka_target_settings *settings,
                                      struct error *error)
{
    const char *setting, *fault = settings_registry_fault(&settings->registry, false, &setting);
    if (fault)
        return error_set(error, ODS_FATAL, "%s", fault);
    if (*settings->registry.url && settings->encoding != KAFKA_AVRO)
        return wrong("registry", "JSON needs none: set encoding = \"avro\"", error);
    if (!settings->schemas && settings->encoding == KAFKA_AVRO)
        return wrong("schemas", "a record in Avro is nothing without its schema", error);
    return ODS_OK;
}

enum ods_status kafka_target_settings_check(const void *own, struct error *error)
{
    const struct kafka_target_settings *settings = own;
    int32_t partition;
    bool plain = settings->form == KAFKA_PLAIN;
    enum ods_status status = check_template("topic", settings->topic, error);
    for (size_t i = 0; status == ODS_OK && i < settings->headers.count; i++)
        status = check_template(settings->headers.items[i].name, settings->headers.items[i].value,
                                error);
    if (status == ODS_OK)
        status = check_registry(settings, error);
    if (status != ODS_OK)
        return status;
    if (!kafka_partitioner(settings, &partition))
        return wrong("partition", "it is murmur2, consistent, same or a number", error);
    if (*settings->op_field && !plain)
        return wrong("op_field", "only plain rows have one: set format = \"plain\"", error);
    if (plain && kafka_writes_rows(settings) && !*settings->op_field)
        return wrong("deletes", "a plain row does not say that it is deleted: set op_field", error);
    /* With brokers of its own only the pipeline shows whether there are transactions. */
    return kafka_writer_check(&settings->properties,
                              *settings->brokers ? 0 : settings->transaction_ms, error);
}
