/* What the decoder keeps for a topic: compiled schemas, layouts, tables. */
#include "format/debezium/debezium.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"

#define PLAN_BYTES_MAX ((size_t) 64 * 1024 * 1024)

/* --- topics --- */

static struct topic *new_topic(struct debezium *self, const char *name)
{
    struct topic *topic = calloc(1, sizeof *topic);
    if (!topic || !(topic->name = strdup(name))) {
        free(topic);
        return NULL;
    }
    if (self->pipeline)
        topic->entry = pipeline_table_of_topic(self->pipeline, name, &topic->rival);
    topic->heartbeat = strncmp(name, "__debezium-heartbeat", 20) == 0;
    return topic;
}

struct topic *topic_find(struct debezium *self, const char *name)
{
    struct topic *last = self->last_topic, *topic;
    if (last && last->seen_at == name && strcmp(last->name, name) == 0)
        return last;
    uint64_t hash = hash_bytes(name, strlen(name), 0);
    size_t at = hash_index_start(hash);
    while ((topic = hash_index_next(&self->topics, hash, &at)))
        if (strcmp(topic->name, name) == 0)
            break;
    if (!topic) {
        if (!hash_index_reserve(&self->topics) || !(topic = new_topic(self, name)))
            return NULL;
        hash_index_add(&self->topics, hash, topic);
    }
    topic->seen_at = name;
    self->last_topic = topic;
    return topic;
}

/* --- plans --- */

static void binding_done(struct binding *binding)
{
    free(binding->extra);
    free(binding->watched);
}

void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; i < plan->binding_count; i++)
        binding_done(&plan->bindings[i]);
    avro_plan_free(plan->avro);
    blocks_done(&plan->blocks);
    free(plan->text);
    free(plan);
}

static size_t plan_size(const struct plan *plan)
{
    return sizeof *plan + plan->text_length + plan->blocks.bytes + avro_plan_bytes(plan->avro);
}

static void list_clear(struct plan_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        plan_free(list->items[i]);
    free(list->items);
    *list = (struct plan_list){0};
}

static void forget_plans(struct topic *topic)
{
    list_clear(&topic->values);
    list_clear(&topic->keys);
    list_clear(&topic->value_layouts);
    list_clear(&topic->key_layouts);
    list_clear(&topic->avro_values);
    list_clear(&topic->avro_keys);
}

void plans_trim(struct debezium *self)
{
    if (self->plan_bytes < PLAN_BYTES_MAX)
        return;
    for (size_t i = 0; i < self->topics.slot_count; i++)
        if (self->topics.slots[i].item)
            forget_plans(self->topics.slots[i].item);
    self->plan_bytes = 0;
}

void topics_free(struct debezium *self)
{
    for (size_t i = 0; i < self->topics.slot_count; i++) {
        struct topic *topic = self->topics.slots[i].item;
        if (!topic)
            continue;
        forget_plans(topic);
        deletes_done(&topic->deletes);
        free(topic->name);
        free(topic);
    }
    hash_index_done(&self->topics);
}

void plan_to_front(struct plan_list *list, uint32_t index)
{
    struct plan *plan = list->items[index];
    memmove(&list->items[1], &list->items[0], index * sizeof(struct plan *));
    list->items[0] = plan;
}

bool plan_add(struct debezium *self, struct plan_list *list, struct plan *plan)
{
    if (!list->items && !(list->items = calloc(PLANS_MAX, sizeof(struct plan *))))
        return false;
    if (list->count == PLANS_MAX) {
        struct plan *oldest = list->items[--list->count];
        assert(oldest);
        self->plan_bytes -= plan_size(oldest);
        plan_free(oldest);
    }
    list->items[list->count] = plan;
    plan_to_front(list, list->count++);
    self->plan_bytes += plan_size(plan);
    return true;
}

struct plan *plan_match(struct plan_list *list, struct json_scan *scan)
{
    size_t left = (size_t) (scan->end - scan->at);
    for (uint32_t i = 0; i < list->count; i++) {
        struct plan *plan = list->items[i];
        /* A schema is a complete JSON object, so if its bytes are equal, nothing after them belongs
         * to it. */
        if (plan->text_length > left || memcmp(plan->text, scan->at, plan->text_length) != 0)
            continue;
        if (i)
            plan_to_front(list, i);
        scan->at += plan->text_length;
        return plan;
    }
    return NULL;
}

struct plan *plan_new(struct debezium *self)
{
    struct plan *plan = calloc(1, sizeof *plan);
    if (plan)
        plan->id = ++self->last_plan_id;
    return plan;
}

struct plan *plan_of_schema(struct reading *reading, struct plan_list *list, struct slice text,
                            bool is_key, enum ods_status *status)
{
    struct json_scan scan;
    json_scan_init(&scan, text.bytes, text.length);
    struct plan *plan = plan_match(list, &scan);
    if (plan)
        return plan;
    *status = ODS_OK;
    plan = plan_new(reading->self);
    if (!plan || !(plan->text = malloc(text.length)))
        goto no_memory;
    memcpy(plan->text, text.bytes, text.length);
    plan->text_length = text.length;
    *status =
        connect_schema_parse(&plan->schema, &plan->blocks, text.bytes, text.length,
                             is_key || reading->self->shape == SHAPE_FLATTENED, reading->error);
    if (*status != ODS_OK)
        goto failed;
    plan->flattened = !is_key && plan->schema.kind == SCHEMA_ROW;
    if (!layout_of_schema(&plan->layout, &plan->blocks, &plan->schema,
                          plan->flattened ? &reading->self->metadata : NULL) ||
        !plan_add(reading->self, list, plan))
        goto no_memory;
    return plan;
no_memory:
    *status = no_memory(reading);
failed:
    plan_free(plan);
    return NULL;
}

struct plan *plan_of_object(struct reading *reading, struct plan_list *list, struct json_scan scan,
                            bool flattened, enum ods_status *status)
{
    *status = ODS_OK;
    struct plan *plan = plan_new(reading->self);
    if (!plan)
        goto no_memory;
    plan->flattened = flattened;
    plan->schema.name = "";
    if (!layout_of_object(&plan->layout, &plan->blocks, &scan, reading->reader.arena,
                          flattened ? &reading->self->metadata : NULL)) {
        *status = scan_error(reading, &scan, "value");
        goto failed;
    }
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i]->flattened != flattened ||
            !layout_same(&list->items[i]->layout, &plan->layout))
            continue;
        plan_free(plan);
        plan_to_front(list, i);
        return list->items[0];
    }
    if (!plan_add(reading->self, list, plan))
        goto no_memory;
    return plan;
no_memory:
    *status = no_memory(reading);
failed:
    plan_free(plan);
    return NULL;
}

/* --- shapes --- */

static bool text_is(const char *text, struct slice slice)
{
    return strncmp(text, slice.bytes ? slice.bytes : "", slice.length) == 0 &&
           text[slice.length] == '\0';
}

static bool shape_is_of(const struct shape *shape, const struct identity *identity)
{
    return text_is(shape->table, identity->table) && text_is(shape->database, identity->database) &&
           text_is(shape->schema, identity->schema) &&
           text_is(shape->connector, identity->connector);
}

static const char *terminated(struct reading *reading, struct slice slice)
{
    return slice.length ? arena_strndup(reading->reader.arena, slice.bytes, slice.length) : "";
}

static bool has_nul(struct slice slice)
{
    return slice.length && memchr(slice.bytes, '\0', slice.length);
}

/* Complete a candidate with its table's names and intern it. */
static const struct shape *intern(struct reading *reading, struct shape *candidate,
                                  const struct identity *identity, enum ods_status *status)
{
    struct error *error = reading->error;
    if (!identity->table.length || has_nul(identity->table) || has_nul(identity->schema) ||
        has_nul(identity->database) || has_nul(identity->connector)) {
        *status = error_set(error, ODS_REJECT,
                            "the record names no usable table: it has neither source.table nor "
                            "__source_table, and its schema and topic are not named after one");
        return NULL;
    }
    candidate->topic = reading->topic->name;
    candidate->connector = terminated(reading, identity->connector);
    candidate->database = terminated(reading, identity->database);
    candidate->schema = terminated(reading, identity->schema);
    candidate->table = terminated(reading, identity->table);
    const struct shape *shape = NULL;
    if (candidate->connector && candidate->database && candidate->schema && candidate->table)
        shape = shape_intern(reading->self->shapes, candidate);
    if (shape)
        return shape;
    if (shape_table_full(reading->self->shapes))
        *status = error_set(error, ODS_REJECT,
                            "table %.100s: records have come with too many different sets of "
                            "columns (the decoder keeps %zu); turn schemas on at the source "
                            "(value.converter.schemas.enable=true) or restart",
                            candidate->table, shape_table_count(reading->self->shapes));
    else
        *status = no_memory(reading);
    return NULL;
}

const struct shape *bind_table(struct reading *reading, const struct identity *identity, bool typed,
                               enum ods_status *status)
{
    struct shape candidate = {.typed = typed};
    return intern(reading, &candidate, identity, status);
}

/* Find the columns of the configured key that the record's key does not hold. The sink refuses
 * those that the row lacks. False: memory is out. */
static bool watch(struct reading *reading, const struct plan *plan, const struct plan *key,
                  struct binding *binding)
{
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    const struct shape *shape = binding->shape;
    const char *schema = *shape->schema ? shape->schema : shape->database;
    if (!pipeline || plan == key)
        return true;
    const struct strings *names = &pipeline_table(pipeline, schema, shape->table)->key;
    if (!names->count)
        return true;
    binding->watched = malloc(names->count * sizeof *binding->watched);
    if (!binding->watched)
        return false;
    for (size_t i = 0; i < names->count; i++) {
        const struct column wanted = {.name = names->items[i],
                                      .name_length = (uint32_t) strlen(names->items[i])};
        int found = layout_column(&plan->layout, &wanted);
        if (found >= 0 && (!key || layout_column(&key->layout, &wanted) < 0))
            binding->watched[binding->watched_count++] = (uint32_t) found;
    }
    return true;
}

/* The shape of a plan's columns, followed by the key's columns that are not among them. */
static bool make_binding(struct reading *reading, struct plan *plan, const struct plan *key,
                         const struct identity *identity, struct binding *binding,
                         enum ods_status *status)
{
    uint32_t own = plan->layout.column_count, key_count = key ? key->layout.column_count : 0;
    struct arena *arena = reading->reader.arena;
    struct column *columns = arena_alloc(arena, (own + key_count + 1) * sizeof *columns);
    uint32_t *key_indexes = arena_alloc(arena, (key_count + 1) * sizeof *key_indexes);
    binding->extra = malloc(key_count * sizeof *binding->extra + 1);
    *status = ODS_OK;
    if (!columns || !key_indexes || !binding->extra) {
        *status = no_memory(reading);
        goto failed;
    }
    if (own)
        memcpy(columns, plan->layout.columns, own * sizeof *columns);
    for (uint32_t i = 0; i < key_count; i++) {
        int found = layout_column(&plan->layout, &key->layout.columns[i]);
        if (found < 0) {
            found = (int) (own + binding->extra_count);
            columns[found] = key->layout.columns[i];
            binding->extra[binding->extra_count++] = i;
        }
        key_indexes[i] = (uint32_t) found;
    }
    struct schema_topic *schema = &reading->self->schema;
    if (schema->schema && !plan->layout.typed) {
        *status = schema_topic_types(schema, binding->version, columns, own + binding->extra_count,
                                     reading->record, reading->error);
        if (*status != ODS_OK)
            goto failed;
    }
    struct shape candidate = {.typed = plan->layout.typed,
                              .column_count = own + binding->extra_count,
                              .columns = columns,
                              .key_count = key_count,
                              .key = key_indexes};
    binding->key_plan = key ? key->id : 0;
    binding->shape = intern(reading, &candidate, identity, status);
    if (binding->shape && watch(reading, plan, key, binding))
        return true;
    if (binding->shape)
        *status = no_memory(reading);
failed:
    binding_done(binding);
    return false;
}

/* What the schema topic says about a table whose records have no types; in MySQL a schema is a
 * database.
 */
static const struct source_version *version_at(const struct reading *reading,
                                               const struct plan *plan,
                                               const struct identity *identity, int64_t source_us)
{
    struct source_schema *schema = reading->self->schema.schema;
    if (!schema || plan->layout.typed)
        return NULL;
    return source_schema_at(schema, identity->database.bytes, identity->database.length,
                            identity->table.bytes, identity->table.length, source_us);
}

const struct binding *plan_bind(struct reading *reading, struct plan *plan, const struct plan *key,
                                const struct identity *identity, int64_t source_us,
                                enum ods_status *status)
{
    uint64_t key_plan = key ? key->id : 0;
    uint32_t at = 0;
    struct binding binding = {.version = version_at(reading, plan, identity, source_us)};
    while (at < plan->binding_count && (plan->bindings[at].key_plan != key_plan ||
                                        plan->bindings[at].version != binding.version ||
                                        !shape_is_of(plan->bindings[at].shape, identity)))
        at++;
    if (at == 0 && plan->binding_count)
        return &plan->bindings[0];
    if (at < plan->binding_count) {
        binding = plan->bindings[at];
    } else {
        if (!make_binding(reading, plan, key, identity, &binding, status))
            return NULL;
        if (plan->binding_count < BINDINGS_MAX)
            plan->binding_count++;
        else
            binding_done(&plan->bindings[--at]);
    }
    memmove(&plan->bindings[1], &plan->bindings[0], at * sizeof binding);
    plan->bindings[0] = binding;
    return &plan->bindings[0];
}
