/* The format of each record is found from its bytes, and the record goes to that format's decoder.
 *
 * Zero is the first byte of Confluent's wire format: behind the schema's id is JSON, or else what
 * the registry says of the schema, Avro or Protobuf. JSON objects are told apart by their members'
 * names: Debezium's envelopes, flattened rows, CloudEvents, transactions, schema changes and
 * heartbeats; Maxwell's rows and DDL; anything else is a plain row. A record without a value goes
 * to the format that its key tells, else to that of its topic's last row.
 */
#include <stdlib.h>
#include <string.h>

#include <ods/format.h>
#include <ods/pipeline.h>

#include "core/json_scan.h"

extern const struct format_ops format_auto, format_debezium, format_debezium_avro, format_maxwell,
    format_json;

enum kind { KIND_DEBEZIUM, KIND_MAXWELL, KIND_JSON, KIND_AVRO, KIND_COUNT };

struct topic {
    struct topic *next;
    enum kind last;
    char name[];
};

struct auto_decoder {
    struct decoder decoder;
    struct decoder *decoders[KIND_COUNT]; /* NULL: there is none */
    struct topic *topics;
    bool flattened; /* the pipeline says that objects are rows of Debezium's */
};

/* --- telling -------------------------------------------------------------------------------- */

enum member {
    M_SCHEMA = 1 << 0,
    M_PAYLOAD = 1 << 1,
    M_BEFORE = 1 << 2,
    M_AFTER = 1 << 3,
    M_OP = 1 << 4,
    M_SOURCE = 1 << 5,
    M_DATABASE = 1 << 6,
    M_TABLE = 1 << 7,
    M_TYPE = 1 << 8,
    M_DATA = 1 << 9,
    M_TS = 1 << 10,
    M_SPECVERSION = 1 << 11,
    M_DATABASE_NAME = 1 << 12,
    M_DDL = 1 << 13,
    M_STATUS = 1 << 14,
    M_EVENT_COUNT = 1 << 15,
    M_FLATTENED = 1 << 16,
    M_HEARTBEAT = 1 << 17,
    M_OTHER = 1 << 18,
};

static const struct {
    const char *name;
    unsigned member;
} members[] = {
    {"schema", M_SCHEMA},
    {"payload", M_PAYLOAD},
    {"before", M_BEFORE},
    {"after", M_AFTER},
    {"op", M_OP},
    {"source", M_SOURCE},
    {"database", M_DATABASE},
    {"table", M_TABLE},
    {"type", M_TYPE},
    {"data", M_DATA},
    {"ts", M_TS},
    {"specversion", M_SPECVERSION},
    {"databaseName", M_DATABASE_NAME},
    {"ddl", M_DDL},
    {"status", M_STATUS},
    {"event_count", M_EVENT_COUNT},
    {"__op", M_FLATTENED},
    {"__deleted", M_FLATTENED},
    {"__table", M_FLATTENED},
    {"__source_ts_ms", M_FLATTENED},
    {"ts_ms", M_HEARTBEAT},
};

static unsigned member_of(struct slice name)
{
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (slice_is(name, members[i].name, strlen(members[i].name)))
            return members[i].member;
    return M_OTHER;
}

static bool all(unsigned seen, unsigned wanted)
{
    return (seen & wanted) == wanted;
}

/* KIND_COUNT: not yet. */
static enum kind told_by(unsigned seen)
{
    if (all(seen, M_SCHEMA | M_PAYLOAD) || all(seen, M_OP | M_SOURCE) ||
        all(seen, M_BEFORE | M_AFTER) || seen & (M_FLATTENED | M_SPECVERSION) ||
        all(seen, M_DATABASE_NAME | M_DDL))
        return KIND_DEBEZIUM;
    if (all(seen, M_DATABASE | M_TYPE) && seen & (M_DATA | M_TS))
        return KIND_MAXWELL;
    return KIND_COUNT;
}

/* What is not JSON is refused by Debezium's decoder. */
static enum kind kind_of_object(const char *bytes, size_t length, struct arena *arena)
{
    struct json_scan scan;
    unsigned seen = 0;
    bool first = true;
    enum kind kind = KIND_COUNT;
    const struct slice json = json_of_record(bytes, length);
    json_scan_init(&scan, json.bytes, json.length);
    json_space(&scan);
    if (json_peek(&scan) != '{')
        return KIND_DEBEZIUM;
    scan.at++;
    while (kind == KIND_COUNT && json_next_member(&scan, &first)) {
        struct slice name;
        if (!json_name(&scan, arena, &name.bytes, &name.length))
            return KIND_DEBEZIUM;
        seen |= member_of(name);
        kind = told_by(seen);
        if (kind == KIND_COUNT && !json_skip(&scan))
            return KIND_DEBEZIUM;
    }
    if (kind != KIND_COUNT)
        return kind;
    if (scan.problem || seen == M_HEARTBEAT || all(seen, M_STATUS | M_EVENT_COUNT))
        return KIND_DEBEZIUM;
    return KIND_JSON;
}

/* Does it begin with the magic byte, and is it not JSON behind the schema's id? */
static bool is_avro(const char *bytes, size_t length)
{
    struct json_scan scan;
    const struct slice json = json_of_record(bytes, length);
    if (!length || *bytes)
        return false;
    json_scan_init(&scan, json.bytes, json.length);
    return json.bytes == bytes || !json_skip(&scan) || !json_end(&scan);
}

/* KIND_COUNT: it does not tell. */
static enum kind kind_of_key(const char *bytes, size_t length, struct arena *arena)
{
    struct json_scan scan;
    unsigned seen = 0;
    bool first = true;
    if (is_avro(bytes, length))
        return KIND_AVRO;
    const struct slice json = json_of_record(bytes, length);
    json_scan_init(&scan, json.bytes, json.length);
    json_space(&scan);
    if (json_peek(&scan) != '{')
        return KIND_COUNT;
    scan.at++;
    while (json_next_member(&scan, &first)) {
        struct slice name;
        if (!json_name(&scan, arena, &name.bytes, &name.length) || !json_skip(&scan))
            return KIND_COUNT;
        seen |= member_of(name);
    }
    return all(seen, M_SCHEMA | M_PAYLOAD)   ? KIND_DEBEZIUM
           : all(seen, M_DATABASE | M_TABLE) ? KIND_MAXWELL
                                             : KIND_COUNT;
}

/* --- topics --------------------------------------------------------------------------------- */

static struct topic *find_topic(struct auto_decoder *self, const char *name)
{
    for (struct topic *topic = self->topics; topic; topic = topic->next)
        if (strcmp(topic->name, name) == 0)
            return topic;
    size_t size = strlen(name) + 1;
    struct topic *topic = malloc(sizeof *topic + size);
    if (!topic)
        return NULL;
    memcpy(topic->name, name, size);
    topic->last = KIND_COUNT;
    topic->next = self->topics;
    self->topics = topic;
    return topic;
}

static enum kind kind_of(struct auto_decoder *self, const struct record *record,
                         struct topic *topic, struct arena *arena)
{
    if (!record->value) {
        enum kind kind = record->key ? kind_of_key(record->key, record->key_length, arena)
                                     : KIND_COUNT;
        if (kind == KIND_COUNT)
            kind = topic->last;
        return kind == KIND_COUNT ? KIND_DEBEZIUM : kind;
    }
    enum kind kind = is_avro(record->value, record->value_length) ? KIND_AVRO
                     : self->flattened
                         ? KIND_DEBEZIUM
                         : kind_of_object(record->value, record->value_length, arena);
    topic->last = kind;
    return kind;
}

static enum ods_status auto_decode(struct decoder *decoder, struct batch *batch, uint32_t index,
                                   struct error *error)
{
    struct auto_decoder *self = (struct auto_decoder *) decoder;
    const struct record *record = &batch->records[index];
    struct topic *topic = find_topic(self, record->topic);
    if (!topic)
        return error_out_of_memory(error);
    struct decoder *chosen = self->decoders[kind_of(self, record, topic, &batch->arena)];
    if (!chosen)
        return error_set(error, ODS_REJECT,
                         "the record begins with a zero byte, as Avro with a schema registry does, "
                         "which no format here reads");
    return chosen->ops->decode(chosen, batch, index, error);
}

static enum ods_status auto_observe(struct decoder *decoder, const struct record *record,
                                    struct error *error)
{
    struct auto_decoder *self = (struct auto_decoder *) decoder;
    bool avro = record->value && is_avro(record->value, record->value_length);
    struct decoder *chosen = self->decoders[avro ? KIND_AVRO : KIND_DEBEZIUM];
    return chosen && chosen->ops->observe ? chosen->ops->observe(chosen, record, error) : ODS_OK;
}

/* --- opening -------------------------------------------------------------------------------- */

static void auto_close(struct decoder *decoder)
{
    struct auto_decoder *self = (struct auto_decoder *) decoder;
    if (!self)
        return;
    for (int i = 0; i < KIND_COUNT; i++)
        if (self->decoders[i])
            self->decoders[i]->ops->close(self->decoders[i]);
    for (struct topic *topic = self->topics, *next; topic; topic = next) {
        next = topic->next;
        free(topic);
    }
    free(self);
}

static enum ods_status auto_open(struct decoder **decoder, const struct decoder_config *config,
                                 struct error *error)
{
    const struct format_ops *const formats[KIND_COUNT] = {
        [KIND_DEBEZIUM] = &format_debezium,
        [KIND_MAXWELL] = &format_maxwell,
        [KIND_JSON] = &format_json,
        [KIND_AVRO] = &format_debezium_avro,
    };
    struct decoder_config alone = *config, any = *config; /* the helper is the registry's */
    alone.helper = NULL;
    any.any_language = true;
    struct auto_decoder *self = calloc(1, sizeof *self);
    enum ods_status status = self ? ODS_OK : error_out_of_memory(error);
    *decoder = NULL;
    for (int i = 0; status == ODS_OK && i < KIND_COUNT; i++)
        status = formats[i]->open(&self->decoders[i], i == KIND_AVRO ? &any : &alone, error);
    if (status != ODS_OK) {
        auto_close((struct decoder *) self);
        return status;
    }
    self->decoder.ops = &format_auto;
    self->flattened = config->pipeline && config->pipeline->source.shape == SHAPE_FLATTENED;
    *decoder = &self->decoder;
    return ODS_OK;
}

/* A registry where the pipeline has one; without it records in Avro are dead letters. */
static enum ods_status helper_open(struct format_helper **helper,
                                   const struct helper_config *config, struct error *error)
{
    *helper = NULL;
    return *config->pipeline->registry.url
               ? format_debezium_avro.helper->open(helper, config, error)
               : ODS_OK;
}

static enum ods_status helper_check(const struct pipeline_settings *pipeline,
                                    void (*report)(void *context, const char *line),
                                    void *context, struct error *error)
{
    return *pipeline->registry.url
               ? format_debezium_avro.helper->check(pipeline, report, context, error)
               : ODS_OK;
}

/* What it opens is the registry's, with the registry's other calls. */
static const struct format_helper_ops auto_helper = {.open = helper_open, .check = helper_check};

const struct format_ops format_auto = {
    .name = "auto",
    .summary = "each record tells: Debezium's JSON, Avro or Protobuf, Maxwell's, plain rows",
    .helper = &auto_helper,
    .open = auto_open,
    .decode = auto_decode,
    .look_back = 16,
    .observe = auto_observe,
    .close = auto_close,
};
