/* set: columns with constants, what is known of the record, other columns, expressions.
 *
 * Only images of rows are extended; tombstones, which have only a key, and truncates stay as they
 * are.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "transform/rewrite.h"
#include "transform/script.h"
#include "transform/words.h"

struct set_settings {
    struct terms columns;
    struct properties constants, metadata; /* by column */
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

static const enum semantic metadata_types[] = {
    [TOPIC] = SEM_STRING,           [PARTITION] = SEM_INT32,
    [OFFSET] = SEM_INT64,           [TIMESTAMP] = SEM_TIMESTAMP_MS,
    [OPERATION] = SEM_STRING,       [SOURCE_TIME] = SEM_TIMESTAMP_US,
    [DATABASE] = SEM_STRING,        [SCHEMA] = SEM_STRING,
    [TABLE] = SEM_STRING,
};

static const char *const metadata_names[] = {"topic",     "partition",        "offset",
                                             "timestamp", "operation",        "source_timestamp",
                                             "database",  "schema",           "table",
                                             NULL};

enum item_kind { CONSTANT, NOTHING, METADATA, NOW, COLUMN, LUA };

/* A column that is set, and where its value comes from. */
struct item {
    struct column column;
    enum item_kind kind;
    bool typed;       /* a type is given */
    const char *text; /* CONSTANT; COLUMN: its name */
    enum metadata metadata;
    int lua;
};

struct set {
    struct rewriter rewriter;
    struct item *items;
    uint32_t count;
    struct transform_shared *shared;
    struct buffer text;
};

#define AT(member) offsetof(struct set_settings, member)

extern const struct transform_ops set_transform;

static const char *const words[] = {"", "value", "metadata", "now", "column", "lua", "type", NULL};

static const struct setting rows[] = {
    {"columns", SETTING_TERMS, AT(columns), .max = 2000, .choices = words,
     .doc = "By column, as `{ region: eu, copy: { column: name } }`: a constant, `null`; "
            "`metadata: topic` (as in `metadata`); `now: true` (the time at which the record is "
            "transformed, UTC); `column: name` (another column); `lua: after.a * 2`; beside a "
            "constant (`value`) or `lua` the `type` of the column, as in `cast`."},
    {"constants", SETTING_VALUES, AT(constants), .max = 500,
     .doc = "Column to text, as `{ region: eu }`. The target's column may have any type that can "
            "read the text; a column that ods-sink makes is text."},
    {"metadata", SETTING_VALUES, AT(metadata), .max = 500, .choices = metadata_names,
     .doc = "Column to metadata of the record, as `{ src_topic: topic, src_offset: offset }`: "
            "`topic`, `partition`, `offset`, `timestamp` (of the record in Kafka, UTC), "
            "`operation` (c, r, u, d), `source_timestamp` (of the change at the source, UTC), "
            "`database`, `schema`, `table`. Metadata that the record does not have is NULL."},
};

static const struct setting_group settings = {
    .title = "transforms of type `set`",
    .intro = "Adds columns that the source does not have: `set: { region: eu, seen: { now: true } "
             "}`. If it has the column, the value is replaced. A key column can't be set without "
             "`rekey`: its record is a dead letter.",
    .size = sizeof(struct set_settings),
    SETTING_ROWS(rows),
};

/* --- planning ------------------------------------------------------------------------------- */

/* The column that another is copied to, as the row has it and not an earlier item; or whose type an
 * expression's value gets. */
static struct column column_of(const struct item *item, const struct draft *draft)
{
    struct column column = item->column;
    bool copy = item->kind == COLUMN;
    int found = copy ? shape_column(draft->from, item->text, strlen(item->text))
                     : draft_column(draft, column.name);
    bool takes = copy || (item->kind == LUA && !item->typed) ||
                 item->kind == NOTHING;
    if (takes && found >= 0) {
        column = copy ? draft->from->columns[found] : draft->columns[found];
        column.name = item->column.name;
        column.name_length = item->column.name_length;
        column.optional = true;
        column.default_json = NULL;
    }
    return column;
}

static bool set_plan(struct rewriter *rewriter, struct draft *draft)
{
    const struct set *set = (const struct set *) rewriter;
    bool any = draft->from->column_count > 0;
    for (uint32_t i = 0; any && i < set->count; i++) {
        const struct item *item = &set->items[i];
        struct column column = column_of(item, draft);
        if (item->kind == COLUMN &&
            shape_column(draft->from, item->text, strlen(item->text)) < 0) {
            draft->spares = draft_column(draft, column.name) < 0 &&
                            (draft->spares || !*draft->refusal);
            snprintf(draft->refusal, sizeof draft->refusal,
                     "table %.100s has no column %.100s (tables: [...] chooses tables)",
                     draft->from->table, item->text);
            if (draft->spares)
                continue; /* a tombstone's: its value is not known, nor is its type */
        }
        draft_set(draft, &column, i + 1);
    }
    return true;
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

static enum ods_status set_value(struct rewriter *rewriter, uint32_t work,
                                 const struct change *change, const struct value *image,
                                 uint32_t at, struct batch *batch, struct value *value,
                                 struct error *error)
{
    struct set *set = (struct set *) rewriter;
    const struct item *item = &set->items[work - 1];
    switch (item->kind) {
    case CONSTANT:
        if (item->typed)
            return words_read(&batch->arena, &item->column, item->text, strlen(item->text), value,
                              error);
        *value = (struct value){.kind = VALUE_TEXT,
                                .length = (uint32_t) strlen(item->text),
                                .bytes = item->text};
        return ODS_OK;
    case NOTHING:
        *value = (struct value){.kind = VALUE_NULL};
        return ODS_OK;
    case METADATA:
        *value = metadata_of(item->metadata, &batch->records[change->record], change);
        return ODS_OK;
    case NOW:
        *value = number_of(time_wall_us(), true);
        return ODS_OK;
    case COLUMN:
        *value = image[shape_column(change->shape, item->text, strlen(item->text))];
        return ODS_OK;
    case LUA:
        break;
    }
    const struct column *own = at == NO_SOURCE ? &item->column : &change->shape->columns[at];
    return script_value(set->shared, item->lua, batch, change, image,
                        item->typed ? &item->column : own, value, error);
}

static const struct rewriter_ops set_rewriter = {.plan = set_plan, .value = set_value};

/* --- opening -------------------------------------------------------------------------------- */

static enum ods_status refuse(const struct term *term, const char *expected, struct error *error)
{
    return error_set(error, ODS_FATAL, "column %s: %s expects %s", term->column,
                     *term->word ? term->word : "set", expected);
}

static bool find_metadata(const char *name, struct item *item)
{
    for (int i = 0; metadata_names[i]; i++)
        if (strcmp(metadata_names[i], name) == 0) {
            item->kind = METADATA;
            item->metadata = (enum metadata) i;
            item->column =
                words_column(item->column.name, metadata_types[i]);
            return true;
        }
    return false;
}

static enum ods_status read_type(struct item *item, const struct term *term, const char *type,
                                 struct error *error)
{
    const char *name = item->column.name;
    if (!words_type(type, &item->column))
        return refuse(term, "a type, as integer, text or decimal(12,2)", error);
    item->column.name = name;
    item->column.name_length = (uint32_t) strlen(name);
    item->typed = true;
    return ODS_OK;
}

static enum ods_status read_term(struct set *set, struct item *item, const struct term *term,
                                 const struct transform_config *config, struct error *error)
{
    const char *value = term->values.count ? term->values.items[0] : NULL;
    if (term->list)
        return refuse(term, "one value", error);
    if (!*term->word || strcmp(term->word, "value") == 0) {
        item->kind = value ? CONSTANT : NOTHING;
        item->text = value;
        return ODS_OK;
    }
    if (strcmp(term->word, "type") == 0)
        return read_type(item, term, value ? value : "", error);
    if (strcmp(term->word, "metadata") == 0)
        return value && find_metadata(value, item) ? ODS_OK
                                                   : refuse(term, "metadata as topic", error);
    if (strcmp(term->word, "now") == 0) {
        item->kind = NOW;
        item->column = words_column(item->column.name, SEM_TIMESTAMP_US);
        return value && strcmp(value, "true") == 0 ? ODS_OK : refuse(term, "true", error);
    }
    if (!value || !*value)
        return refuse(term, "a text", error);
    set->rewriter.from_row = true;
    if (strcmp(term->word, "column") == 0) {
        item->kind = COLUMN;
        item->text = value;
        return ODS_OK;
    }
    item->kind = LUA;
    if (!item->typed)
        item->column = words_column(item->column.name, SEM_UNKNOWN);
    return script_compile(config, term->column, value, &item->lua, error);
}

static struct item *add_item(struct set *set, const char *name, enum semantic type)
{
    struct item *item = &set->items[set->count++];
    item->column = words_column(name, type);
    return item;
}

static enum ods_status read_settings(struct set *set, const struct transform_config *config,
                                     struct error *error)
{
    const struct set_settings *told = config->settings;
    struct item *item = NULL;
    enum ods_status status = ODS_OK;
    for (size_t i = 0; i < told->constants.count; i++)
        add_item(set, told->constants.items[i].name, SEM_STRING)->text =
            told->constants.items[i].value;
    for (size_t i = 0; i < told->metadata.count; i++)
        find_metadata(told->metadata.items[i].value,
                      add_item(set, told->metadata.items[i].name, SEM_STRING));
    for (size_t i = 0; status == ODS_OK && i < told->columns.count; i++) {
        const struct term *term = &told->columns.items[i];
        if (!i || term->column != told->columns.items[i - 1].column) {
            item = add_item(set, term->column, SEM_STRING);
            item->kind = NOTHING;
        }
        status = read_term(set, item, term, config, error);
    }
    return status;
}

static void set_close(struct transform *transform)
{
    struct set *set = (struct set *) transform;
    if (!set)
        return;
    rewriter_done(&set->rewriter);
    buffer_done(&set->text);
    free(set->items);
    free(set);
}

static enum ods_status set_open(struct transform **transform,
                                const struct transform_config *config, struct error *error)
{
    const struct set_settings *told = config->settings;
    struct set *set = calloc(1, sizeof *set);
    size_t most = told->constants.count + told->metadata.count + told->columns.count;
    *transform = NULL;
    if (set)
        set->items = calloc(most + 1, sizeof *set->items);
    if (!set || !set->items) {
        free(set);
        return error_out_of_memory(error);
    }
    rewriter_init(&set->rewriter, &set_transform, &set_rewriter, config);
    buffer_init(&set->text);
    set->shared = config->shared;
    enum ods_status status = read_settings(set, config, error);
    set->rewriter.more = set->count;
    if (status == ODS_OK)
        *transform = &set->rewriter.transform;
    else
        set_close(&set->rewriter.transform);
    return status;
}

const struct transform_ops set_transform = {
    .type = "set",
    .summary = "sets columns: constants, metadata of the record, other columns, expressions",
    .settings = &settings,
    .open = set_open,
    .apply = rewriter_apply,
    .close = set_close,
};
