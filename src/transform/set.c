/* set: columns that the source does not have: constants, and what is known of the record.
 *
 * A shape is extended once, when it is first seen, and found again by its number. Only images of
 * rows are extended; tombstones, which have only a key, and truncates stay as they are.
 */
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include <ods/transform.h>

struct set_settings {
    struct properties constants, metadata; /* by column */
    struct strings tables;
};

enum metadata {
    TOPIC,
    PARTITION,
    OFFSET,
    TIMESTAMP,
    OPERATION,
    SOURCE_TIME,
    DATABASE,
    SCHEMA,
    TABLE,
};

static const struct {
    const char *name;
    enum semantic type;
} metadata_kinds[] = {
    [TOPIC] = {"topic", SEM_STRING},
    [PARTITION] = {"partition", SEM_INT32},
    [OFFSET] = {"offset", SEM_INT64},
    [TIMESTAMP] = {"timestamp", SEM_TIMESTAMP_MS},
    [OPERATION] = {"operation", SEM_STRING},
    [SOURCE_TIME] = {"source_timestamp", SEM_TIMESTAMP_US},
    [DATABASE] = {"database", SEM_STRING},
    [SCHEMA] = {"schema", SEM_STRING},
    [TABLE] = {"table", SEM_STRING},
};

static const char *const metadata_names[] = {"topic",     "partition",        "offset",
                                             "timestamp", "operation",        "source_timestamp",
                                             "database",  "schema",           "table",
                                             NULL};

/* A column that is set, and where its value comes from. */
struct item {
    struct column column;
    const char *constant; /* NULL: metadata */
    enum metadata metadata;
};

/* The extended form of a shape. */
struct extension {
    const struct shape *shape; /* NULL: not extended yet; the same shape: it stays as it is */
    uint32_t *at;              /* by item: the index of its column */
    const char *refusal;       /* the name of a key column that would be set, or NULL */
};

struct set {
    struct transform transform;
    const struct set_settings *settings;
    struct shape_table *shapes;
    struct item *items;
    uint32_t item_count;
    struct extension *extensions; /* by the number of the shape */
    uint32_t extension_count;
};

#define AT(member) offsetof(struct set_settings, member)

extern const struct transform_ops set_transform;

static const struct setting rows[] = {
    {"constants", SETTING_VALUES, AT(constants), .max = 500,
     .doc = "Column to text, as `{ region: eu }`. The target's column may have any type that can "
            "read the text; a column that ods-sink makes is text."},
    {"metadata", SETTING_VALUES, AT(metadata), .max = 500, .choices = metadata_names,
     .doc = "Column to metadata of the record, as `{ src_topic: topic, src_offset: offset }`: "
            "`topic`, `partition`, `offset`, `timestamp` (of the record in Kafka, UTC), "
            "`operation` (c, r, u, d), `source_timestamp` (of the change at the source, UTC), "
            "`database`, `schema`, `table`. Metadata that the record does not have is NULL."},
    {"tables", SETTING_STRINGS, AT(tables), .max = 2000, .inherits = "all",
     .doc = "Only for these source tables, as `table` or `schema.table` (`database.table` where "
            "the source has no schemas)."},
};

static const struct setting_group settings = {
    .title = "transforms of type `set`",
    .intro = "Adds columns that the source does not have. If it has the column, the value is "
             "replaced. A key column can't be set: its record is a dead letter.",
    .size = sizeof(struct set_settings),
    SETTING_ROWS(rows),
};

/* --- shapes --------------------------------------------------------------------------------- */

static bool is_named(const char *name, const struct shape *shape)
{
    const char *schema = *shape->schema ? shape->schema : shape->database;
    return strcmp(name, shape->table) == 0 || table_name_is_qualified(name, schema, shape->table);
}

static bool concerns(const struct set *set, const struct shape *shape)
{
    const struct strings *tables = &set->settings->tables;
    for (size_t i = 0; i < tables->count; i++)
        if (is_named(tables->items[i], shape))
            return true;
    return !tables->count;
}

static bool is_key(const struct shape *shape, uint32_t column)
{
    for (uint32_t i = 0; i < shape->key_count; i++)
        if (shape->key[i] == column)
            return true;
    return false;
}

/* The shape's columns with the items' replaced or added. NULL: memory is out. */
static const struct shape *extend(struct set *set, const struct shape *shape,
                                  struct extension *extension, struct arena *arena)
{
    struct shape wider = *shape;
    struct column *columns =
        arena_alloc(arena, (shape->column_count + set->item_count) * sizeof *columns);
    if (!columns)
        return NULL;
    memcpy(columns, shape->columns, shape->column_count * sizeof *columns);
    for (uint32_t i = 0; i < set->item_count; i++) {
        const struct column *column = &set->items[i].column;
        int found = shape_column(&wider, column->name, column->name_length);
        uint32_t at = found < 0 ? wider.column_count++ : (uint32_t) found;
        if (found >= 0 && is_key(shape, at))
            extension->refusal = column->name;
        columns[at] = *column;
        wider.columns = columns;
        extension->at[i] = at;
    }
    return shape_intern(set->shapes, &wider);
}

static struct extension *extension_of(struct set *set, const struct shape *shape,
                                      struct arena *arena)
{
    if (shape->id >= set->extension_count) {
        uint32_t count = (shape->id + 1) * 2;
        struct extension *larger = realloc(set->extensions, count * sizeof *larger);
        if (!larger)
            return NULL;
        memset(larger + set->extension_count, 0,
               (count - set->extension_count) * sizeof *larger);
        set->extensions = larger;
        set->extension_count = count;
    }
    struct extension *extension = &set->extensions[shape->id];
    if (extension->shape)
        return extension;
    if (!shape->column_count || !concerns(set, shape)) {
        extension->shape = shape;
        return extension;
    }
    if (!extension->at)
        extension->at = calloc(set->item_count, sizeof *extension->at);
    if (extension->at)
        extension->shape = extend(set, shape, extension, arena);
    return extension->shape ? extension : NULL;
}

/* --- values --------------------------------------------------------------------------------- */

static struct value text_of(const char *text)
{
    if (!*text)
        return (struct value){.kind = VALUE_NULL};
    return (struct value){
        .kind = VALUE_TEXT, .length = (uint32_t) strlen(text), .bytes = text};
}

static struct value number_of(int64_t number, bool known)
{
    if (!known)
        return (struct value){.kind = VALUE_NULL};
    return (struct value){.kind = VALUE_INT, .integer = number};
}

static struct value metadata_of(enum metadata metadata, const struct record *record,
                                const struct change *change)
{
    static const char letters[] = "crudt";
    switch (metadata) {
    case TOPIC:
        return text_of(record->topic);
    case PARTITION:
        return number_of(record->partition, true);
    case OFFSET:
        return number_of(record->offset, true);
    case TIMESTAMP:
        return number_of(record->timestamp_ms, record->timestamp_ms >= 0);
    case OPERATION:
        return (struct value){
            .kind = VALUE_TEXT, .length = 1, .bytes = strchr(letters, (char) change->op)};
    case SOURCE_TIME:
        return number_of(change->source_us, change->source_us != INT64_MIN);
    case DATABASE:
        return text_of(change->shape->database);
    case SCHEMA:
        return text_of(change->shape->schema);
    case TABLE:
        return text_of(change->shape->table);
    }
    return (struct value){.kind = VALUE_NULL};
}

static const struct value *extend_image(const struct set *set, const struct value *image,
                                        const struct change *change,
                                        const struct extension *extension, struct batch *batch)
{
    uint32_t own = change->shape->column_count, all = extension->shape->column_count;
    struct value *values = arena_alloc(&batch->arena, all * sizeof *values);
    if (!values)
        return NULL;
    memcpy(values, image, own * sizeof *values);
    for (uint32_t i = 0; i < set->item_count; i++) {
        const struct item *item = &set->items[i];
        values[extension->at[i]] =
            item->constant ? (struct value){.kind = VALUE_TEXT,
                                            .length = (uint32_t) strlen(item->constant),
                                            .bytes = item->constant}
                           : metadata_of(item->metadata, &batch->records[change->record], change);
    }
    return values;
}

static enum ods_status set_change(struct set *set, struct batch *batch, struct change *change,
                                  struct error *error)
{
    struct extension *extension = extension_of(set, change->shape, &batch->arena);
    if (!extension && shape_table_full(set->shapes))
        return error_set(error, ODS_REJECT, "transform set: too many kinds of rows: table %s",
                         change->shape->table);
    if (!extension)
        return error_out_of_memory(error);
    if (extension->shape == change->shape && !extension->at)
        return ODS_OK;
    if (extension->refusal)
        return error_set(error, ODS_REJECT,
                         "transform set: column %s is in the key of table %s and can't be set; "
                         "name another column, or leave the table out (tables: [...])",
                         extension->refusal, change->shape->table);
    if (change->after)
        change->after = extend_image(set, change->after, change, extension, batch);
    if (change->before)
        change->before = extend_image(set, change->before, change, extension, batch);
    change->shape = extension->shape;
    return change->after || change->before ? ODS_OK : error_out_of_memory(error);
}

static enum ods_status set_apply(struct transform *transform, struct batch *batch, uint32_t first,
                                 struct error *error)
{
    struct set *set = (struct set *) transform;
    enum ods_status status = ODS_OK;
    for (uint32_t i = first; status == ODS_OK && i < batch->change_count; i++) {
        struct change *change = &batch->changes[i];
        if (!change->tombstone && change->op != OP_TRUNCATE)
            status = set_change(set, batch, change, error);
    }
    return status;
}

/* --- opening -------------------------------------------------------------------------------- */

static void add_item(struct set *set, const char *name, enum semantic type)
{
    set->items[set->item_count++].column = (struct column){
        .name = name,
        .name_length = (uint32_t) strlen(name),
        .type = type,
        .length = -1,
        .scale = type == SEM_TIMESTAMP_MS ? 3 : type == SEM_TIMESTAMP_US ? 6 : INT32_MIN,
        .optional = true,
    };
}

static void set_close(struct transform *transform)
{
    struct set *set = (struct set *) transform;
    if (!set)
        return;
    for (uint32_t i = 0; i < set->extension_count; i++)
        free(set->extensions[i].at);
    free(set->extensions);
    free(set->items);
    free(set);
}

static enum ods_status set_open(struct transform **transform,
                                const struct transform_config *config, struct error *error)
{
    const struct set_settings *told = config->settings;
    struct set *set = calloc(1, sizeof *set);
    *transform = NULL;
    if (set)
        set->items = calloc(told->constants.count + told->metadata.count + 1, sizeof *set->items);
    if (!set || !set->items) {
        free(set);
        return error_out_of_memory(error);
    }
    set->transform.ops = &set_transform;
    set->settings = told;
    set->shapes = config->shapes;
    for (size_t i = 0; i < told->constants.count; i++) {
        set->items[set->item_count].constant = told->constants.items[i].value;
        add_item(set, told->constants.items[i].name, SEM_STRING);
    }
    for (size_t i = 0; i < told->metadata.count; i++) {
        enum metadata kind = TOPIC;
        while (strcmp(metadata_kinds[kind].name, told->metadata.items[i].value) != 0)
            kind++;
        set->items[set->item_count].metadata = kind;
        add_item(set, told->metadata.items[i].name, metadata_kinds[kind].type);
    }
    *transform = &set->transform;
    return ODS_OK;
}

const struct transform_ops set_transform = {
    .type = "set",
    .summary = "adds columns with constants or metadata of the record",
    .settings = &settings,
    .open = set_open,
    .apply = set_apply,
    .close = set_close,
};
