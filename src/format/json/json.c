/* Plain JSON rows, as any producer writes them: the value is the row, an object; a record without a
 * value deletes the row of its key. All changes are upserts, unless a field says what they are
 * (`source.op_field`).
 *
 * The table is that of the topic (`topics` of a table's entry), else the topic's name after its
 * last dot. The key is the table's `key`, whose columns are in the row, or in the record's key by
 * name, or are the record's key itself; without `key` it is the members of the record's key.
 */
#include "format/json/json.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct format_ops format_json;

#define KEY_MAX     64
#define MEMBERS_MAX 2000 /* of a row; PostgreSQL has 1,600 columns at most */

/* What is known of a topic. */
struct topic {
    struct topic *next;
    const char *interned; /* the source's pointer; the next record's is the same, as a rule */
    char *name, *table, *schema;
    const struct strings *key; /* of the configuration; without columns: the record's */
    bool ignores_tombstones;
    const struct shape *rows; /* of the last row; NULL: none yet */
};

struct json_decoder {
    struct decoder decoder;
    struct decoder_config config;
    const char *op_field; /* "": none */
    struct topic *topics;
};

/* One record while it is read. */
struct reading {
    struct json_decoder *self;
    struct batch *batch;
    uint32_t index;
    const struct record *record;
    struct topic *topic;
    struct json_members row;
    uint32_t key[KEY_MAX]; /* indexes of the row's members */
    uint32_t key_count;
    struct error *error;
};

/* --- topics --------------------------------------------------------------------------------- */

static const struct table_settings *settings_of(const struct json_decoder *self, const char *topic,
                                                char **schema, char **table)
{
    const struct pipeline_settings *pipeline = self->config.pipeline;
    const struct table_settings *other, *entry =
        pipeline ? pipeline_table_of_topic(pipeline, topic, &other) : NULL;
    bool named = entry && !entry->pattern;
    const char *name = named ? entry->name : topic, *dot = named ? strchr(name, '.')
                                                                 : strrchr(name, '.');
    *schema = named && dot ? strndup(name, (size_t) (dot - name)) : strdup("");
    *table = strdup(dot && dot[1] ? dot + 1 : name);
    if (!*schema || !*table)
        return NULL;
    return entry ? entry : pipeline ? pipeline_table(pipeline, *schema, *table) : NULL;
}

static void free_topic(struct topic *topic)
{
    free(topic->name);
    free(topic->table);
    free(topic->schema);
    free(topic);
}

static struct topic *find_topic(struct json_decoder *self, const char *name)
{
    for (struct topic *topic = self->topics; topic; topic = topic->next)
        if (topic->interned == name)
            return topic;
    for (struct topic *topic = self->topics; topic; topic = topic->next)
        if (strcmp(topic->name, name) == 0) {
            topic->interned = name;
            return topic;
        }
    struct topic *topic = calloc(1, sizeof *topic);
    if (!topic)
        return NULL;
    const struct table_settings *settings =
        settings_of(self, name, &topic->schema, &topic->table);
    topic->name = strdup(name);
    topic->interned = name;
    if (settings) {
        topic->key = settings->key.count ? &settings->key : NULL;
        topic->ignores_tombstones = settings->on_tombstone == ON_TOMBSTONE_IGNORE;
    }
    if (!topic->name || !topic->schema || !topic->table) {
        free_topic(topic);
        return NULL;
    }
    topic->next = self->topics;
    self->topics = topic;
    return topic;
}

/* --- keys ----------------------------------------------------------------------------------- */

static enum ods_status scan_error(struct reading *reading, const struct json_scan *scan,
                                  const char *part)
{
    if (scan->out_of_memory)
        return error_out_of_memory(reading->error);
    return error_set(reading->error, ODS_REJECT, "the record's %s is not JSON: %s at byte %zu",
                     part, scan->problem ? scan->problem : "there is more behind it",
                     (size_t) (scan->at - scan->start));
}

/* The key's members: of an object, or of its payload where Connect has put a schema around it.
 * *whole: the key itself, where it is not an object: a JSON value, or else its text. */
static enum ods_status read_key(struct reading *reading, struct json_members *members,
                                struct value *whole)
{
    const struct record *record = reading->record;
    struct arena *arena = &reading->batch->arena;
    struct json_scan scan;
    *members = (struct json_members){0};
    *whole = (struct value){.kind = VALUE_ABSENT};
    if (!record->key)
        return ODS_OK;
    const struct slice key = json_of_record(record->key, record->key_length);
    json_scan_init(&scan, key.bytes, key.length);
    json_space(&scan);
    if (json_peek(&scan) != '{') {
        bool json = json_value_read(&scan, arena, whole) && json_end(&scan);
        if (!json && key.length && !*key.bytes)
            *whole = (struct value){.kind = VALUE_ABSENT}; /* bytes, of Avro or the like */
        else if (!json)
            *whole = (struct value){.kind = VALUE_TEXT,
                                    .length = (uint32_t) record->key_length,
                                    .bytes = record->key};
        return scan.out_of_memory ? error_out_of_memory(reading->error) : ODS_OK;
    }
    if (!json_members_read(&scan, arena, members) || !json_end(&scan))
        return scan_error(reading, &scan, "key");
    int payload = json_members_find(members, "payload", 7);
    if (members->count != 2 || payload < 0 || json_members_find(members, "schema", 6) < 0)
        return ODS_OK;
    *whole = members->values[payload];
    if (whole->kind != VALUE_JSON || *whole->bytes != '{') {
        members->count = 0;
        return ODS_OK;
    }
    json_scan_init(&scan, whole->bytes, whole->length);
    *whole = (struct value){.kind = VALUE_ABSENT};
    return json_members_read(&scan, arena, members) ? ODS_OK : scan_error(reading, &scan, "key");
}

static enum ods_status add_key(struct reading *reading, struct slice name,
                               const struct value *value)
{
    int at = json_members_find(&reading->row, name.bytes, name.length);
    if (at < 0 && value->kind == VALUE_ABSENT)
        return error_set(reading->error, ODS_REJECT,
                         "key column %.*s is neither in the row nor in the record's key",
                         (int) (name.length < 63 ? name.length : 63), name.bytes);
    if (reading->key_count == KEY_MAX)
        return error_set(reading->error, ODS_REJECT, "the key has more than %d columns", KEY_MAX);
    if (at < 0 && !json_members_add(&reading->row, &reading->batch->arena, name, *value))
        return error_out_of_memory(reading->error);
    reading->key[reading->key_count++] =
        at < 0 ? reading->row.count - 1 : (uint32_t) at;
    return ODS_OK;
}

/* Adds what the record's key says to the row, and finds the key's columns in it. */
static enum ods_status join_key(struct reading *reading)
{
    const struct strings *told = reading->topic->key;
    struct json_members key;
    struct value whole;
    enum ods_status status = read_key(reading, &key, &whole);
    for (size_t i = 0; status == ODS_OK && told && i < told->count; i++) {
        struct slice name = {told->items[i], strlen(told->items[i])};
        int at = json_members_find(&key, name.bytes, name.length);
        struct value value = {.kind = VALUE_ABSENT};
        assert(at < 0 || key.values);
        if (at >= 0)
            value = key.values[at];
        else if (told->count == 1)
            value = whole;
        status = add_key(reading, name, &value);
    }
    for (uint32_t i = 0; status == ODS_OK && !told && i < key.count; i++)
        status = add_key(reading, key.names[i], &key.values[i]);
    return status;
}

/* --- shapes --------------------------------------------------------------------------------- */

static bool is_shape(const struct reading *reading, const struct shape *shape)
{
    const struct json_members *row = &reading->row;
    if (!shape || shape->column_count != row->count || shape->key_count != reading->key_count)
        return false;
    for (uint32_t i = 0; i < row->count; i++)
        if (!slice_is(row->names[i], shape->columns[i].name, shape->columns[i].name_length))
            return false;
    for (uint32_t i = 0; i < shape->key_count; i++)
        if (shape->key[i] != reading->key[i])
            return false;
    return true;
}

static enum ods_status find_shape(struct reading *reading, const struct shape **shape)
{
    const struct json_members *row = &reading->row;
    struct arena *arena = &reading->batch->arena;
    if (is_shape(reading, reading->topic->rows)) {
        *shape = reading->topic->rows;
        return ODS_OK;
    }
    /* Each name is compared with those before it. */
    if (row->count > MEMBERS_MAX)
        return error_set(reading->error, ODS_REJECT,
                         "the row has %u members, %d are the most: have the producer put what is "
                         "no column of its own into one nested object",
                         row->count, MEMBERS_MAX);
    struct column *columns = arena_alloc(arena, row->count * sizeof *columns);
    if (!columns)
        return error_out_of_memory(reading->error);
    for (uint32_t i = 0; i < row->count; i++) {
        struct slice name = row->names[i];
        if (json_members_find(row, name.bytes, name.length) != (int) i)
            return error_set(reading->error, ODS_REJECT, "the row has member %.*s twice",
                             (int) (name.length < 63 ? name.length : 63), name.bytes);
        columns[i] = (struct column){.name = arena_strndup(arena, name.bytes, name.length),
                                     .name_length = (uint32_t) name.length,
                                     .length = -1,
                                     .scale = INT32_MIN,
                                     .optional = true};
        if (!columns[i].name)
            return error_out_of_memory(reading->error);
    }
    const struct shape candidate = {.topic = reading->topic->name,
                                    .database = "",
                                    .schema = reading->topic->schema,
                                    .table = reading->topic->table,
                                    .connector = "",
                                    .literal = true,
                                    .column_count = row->count,
                                    .columns = columns,
                                    .key_count = reading->key_count,
                                    .key = reading->key};
    *shape = reading->topic->rows = shape_intern(reading->self->config.shapes, &candidate);
    if (*shape)
        return ODS_OK;
    return shape_table_full(reading->self->config.shapes)
               ? error_set(reading->error, ODS_REJECT, "too many kinds of rows: table %s",
                           reading->topic->table)
               : error_out_of_memory(reading->error);
}

/* --- changes -------------------------------------------------------------------------------- */

static const struct {
    const char *word;
    enum change_op op;
} operations[] = {
    {"c", OP_CREATE}, {"create", OP_CREATE},  {"insert", OP_CREATE}, {"i", OP_CREATE},
    {"u", OP_UPDATE}, {"update", OP_UPDATE},  {"upsert", OP_CREATE}, {"d", OP_DELETE},
    {"r", OP_READ},   {"delete", OP_DELETE},  {"read", OP_READ},     {"snapshot", OP_READ},
    {"remove", OP_DELETE},
};

/* What the operation field says; the field does not become a column. */
static enum ods_status take_op(struct reading *reading, enum change_op *op)
{
    const char *field = reading->self->op_field;
    struct json_members *row = &reading->row;
    int at = *field ? json_members_find(row, field, strlen(field)) : -1;
    *op = OP_CREATE;
    if (at < 0)
        return ODS_OK;
    const struct value value = row->values[at];
    row->count--;
    memmove(&row->names[at], &row->names[at + 1],
            (row->count - (uint32_t) at) * sizeof *row->names);
    memmove(&row->values[at], &row->values[at + 1],
            (row->count - (uint32_t) at) * sizeof *row->values);
    if (value.kind == VALUE_NULL)
        return ODS_OK;
    for (size_t i = 0; value.kind == VALUE_TEXT && i < sizeof operations / sizeof *operations; i++)
        if (strlen(operations[i].word) == value.length &&
            strncasecmp(operations[i].word, value.bytes, value.length) == 0) {
            *op = operations[i].op;
            return ODS_OK;
        }
    return error_set(reading->error, ODS_REJECT,
                     "field %s says %.*s, expected create, update, upsert, delete, read, or their "
                     "first letters",
                     field, value.kind == VALUE_TEXT ? (int) (value.length < 40 ? value.length : 40)
                                                     : 9,
                     value.kind == VALUE_TEXT ? value.bytes : "no string");
}

static enum ods_status append(struct reading *reading, enum change_op op, bool tombstone)
{
    const struct shape *shape = NULL;
    enum ods_status status = find_shape(reading, &shape);
    struct change *change = status == ODS_OK ? batch_add_change(reading->batch) : NULL;
    if (status != ODS_OK)
        return status;
    if (!change)
        return error_out_of_memory(reading->error);
    change->op = op;
    change->record = reading->index;
    change->shape = shape;
    change->source_us = INT64_MIN;
    change->tombstone = tombstone;
    *(op == OP_DELETE ? &change->before : &change->after) = reading->row.values;
    return ODS_OK;
}

static enum ods_status decode_tombstone(struct reading *reading)
{
    if (reading->topic->ignores_tombstones) {
        reading->batch->passed[PASS_TOMBSTONE]++;
        return ODS_OK;
    }
    enum ods_status status = join_key(reading);
    if (status == ODS_OK && !reading->key_count)
        status = error_set(reading->error, ODS_REJECT,
                           "a record without a value deletes the row of its key, which names no "
                           "column: set key: [...] for table %s in tables.yaml",
                           reading->topic->table);
    return status == ODS_OK ? append(reading, OP_DELETE, true) : status;
}

static enum ods_status json_decode(struct decoder *decoder, struct batch *batch, uint32_t index,
                                   struct error *error)
{
    struct json_decoder *self = (struct json_decoder *) decoder;
    const struct record *record = &batch->records[index];
    struct reading reading = {.self = self,
                              .batch = batch,
                              .index = index,
                              .record = record,
                              .topic = find_topic(self, record->topic),
                              .error = error};
    struct json_scan scan;
    enum change_op op;
    if (!reading.topic)
        return error_out_of_memory(error);
    if (!record->value)
        return decode_tombstone(&reading);
    const struct slice text = json_of_record(record->value, record->value_length);
    json_scan_init(&scan, text.bytes, text.length);
    json_space(&scan);
    if (json_peek(&scan) == 'n' && json_word(&scan, "null", 4) && json_end(&scan))
        return decode_tombstone(&reading);
    if (json_peek(&scan) != '{')
        return error_set(error, ODS_REJECT, "the record's value is %s, expected a JSON object",
                         json_found(&scan));
    if (!json_members_read(&scan, &batch->arena, &reading.row) || !json_end(&scan))
        return scan_error(&reading, &scan, "value");
    enum ods_status status = take_op(&reading, &op);
    if (status == ODS_OK)
        status = join_key(&reading);
    if (status == ODS_OK && !reading.row.count)
        status = error_set(error, ODS_REJECT, "the row has no columns");
    return status == ODS_OK ? append(&reading, op, false) : status;
}

static void json_close(struct decoder *decoder)
{
    struct json_decoder *self = (struct json_decoder *) decoder;
    if (!self)
        return;
    for (struct topic *topic = self->topics, *next; topic; topic = next) {
        next = topic->next;
        free_topic(topic);
    }
    free(self);
}

static enum ods_status json_open(struct decoder **decoder, const struct decoder_config *config,
                                 struct error *error)
{
    struct json_decoder *self = calloc(1, sizeof *self);
    *decoder = (struct decoder *) self;
    if (!self)
        return error_out_of_memory(error);
    self->decoder.ops = &format_json;
    self->config = *config;
    self->op_field = config->pipeline && config->pipeline->source.op_field
                         ? config->pipeline->source.op_field
                         : "";
    return ODS_OK;
}

const struct format_ops format_json = {
    .name = "json",
    .summary = "plain JSON rows: an upsert stream",
    .open = json_open,
    .decode = json_decode,
    .close = json_close,
};
