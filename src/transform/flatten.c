/* flatten: the members of a json column become columns. Which there are, the values tell: the table
 * gets a column when a member is first seen, and what a later value does not have is NULL.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transform/json_path.h"
#include "transform/rewrite.h"
#include "transform/words.h"

#define MEMBERS_MAX 1000

struct flatten_settings {
    const char *column, *prefix;
    int64_t depth;
    bool keep;
};

/* What of a shape is known so far. */
struct known {
    const struct shape *to; /* with the members that are known; NULL: not made yet */
    char **names;           /* of the columns that members became */
    uint32_t count;
    int column; /* the flattened one, -1: the shape does not have it */
    bool key;
    uint32_t *at; /* by member: its column in `to` */
};

/* A value by member while an object is walked. */
struct found {
    struct value values[MEMBERS_MAX];
    uint32_t count;
};

struct flatten {
    struct transform transform;
    const struct flatten_settings *settings;
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    struct by_shape known;
    struct found after, before; /* of one change */
    char name[600];
};

#define AT(member) offsetof(struct flatten_settings, member)

extern const struct transform_ops flatten_transform;

static const struct setting rows[] = {
    {"column", SETTING_STRING, AT(column), .min = 1, .max = 200, .flags = SETTING_REQUIRED,
     .doc = "The column with a JSON object: json, text or a struct."},
    {"prefix", SETTING_STRING, AT(prefix), "", .max = 200,
     .doc = "Before the names of its members; inner ones are joined by `_`."},
    {"depth", SETTING_INT, AT(depth), "1", .min = 1, .max = 20,
     .doc = "How deep objects are flattened; what is deeper, and arrays, stay JSON."},
    {"keep", SETTING_BOOL, AT(keep), "false", .doc = "The column itself is kept too."},
};

static const struct setting_group settings = {
    .title = "transforms of type `flatten`",
    .intro = "The members of a json object become columns: `flatten: { column: attributes, prefix: "
             "attr_ }`. A column appears when its member is first seen (the target needs `evolve: "
             "add`, or has it), and is NULL in rows without it. A member with the name of a column "
             "of the table makes a dead letter; at most 1,000 members become columns.",
    .size = sizeof(struct flatten_settings),
    SETTING_ROWS(rows),
};

static void free_known(void *item)
{
    struct known *known = item;
    for (uint32_t i = 0; i < known->count; i++)
        free(known->names[i]);
    free(known->names);
    free(known->at);
    free(known);
}

static struct known *known_of(struct flatten *flatten, const struct shape *shape)
{
    void **at = by_shape_at(&flatten->known, shape);
    const char *name = flatten->settings->column;
    if (!at || *at)
        return at ? *at : NULL;
    struct known *known = calloc(1, sizeof *known);
    if (!known)
        return NULL;
    known->column = shape_column(shape, name, strlen(name));
    const struct table_settings *table = pipeline_table(
        flatten->pipeline, *shape->schema ? shape->schema : shape->database, shape->table);
    known->key = strings_contain(&table->key, name);
    for (uint32_t i = 0; i < shape->key_count; i++)
        known->key |= (int) shape->key[i] == known->column;
    *at = known;
    return known;
}

/* The member's number; it becomes a column if it is new. -1: it can't. */
static int member(struct flatten *flatten, struct known *known, const struct shape *shape,
                  struct error *error)
{
    for (uint32_t i = 0; i < known->count; i++)
        if (strcmp(known->names[i], flatten->name) == 0)
            return (int) i;
    int taken = shape_column(shape, flatten->name, strlen(flatten->name));
    if (taken >= 0 && (taken != known->column || flatten->settings->keep)) {
        error_set(error, ODS_REJECT, "column %s: its member would be column %s, which table %s has",
                  flatten->settings->column, flatten->name, shape->table);
        return -1;
    }
    char **names = known->count < MEMBERS_MAX
                       ? realloc(known->names, (known->count + 1) * sizeof *names)
                       : NULL;
    uint32_t *at = names ? realloc(known->at, (known->count + 1) * sizeof *at) : NULL;
    known->names = names ? names : known->names;
    known->at = at ? at : known->at;
    char *name = at ? strdup(flatten->name) : NULL;
    if (!name) {
        error_set(error, ODS_REJECT, "column %s has more than %d members: extract: takes some",
                  flatten->settings->column, MEMBERS_MAX);
        return -1;
    }
    known->names[known->count] = name;
    known->to = NULL;
    return (int) known->count++;
}

static enum ods_status walk(struct flatten *flatten, struct known *known,
                            const struct shape *shape, yyjson_val *object, size_t prefix,
                            int64_t depth, struct found *found, struct arena *arena,
                            struct error *error)
{
    static const struct column untyped = {
        .name = "", .type = SEM_UNKNOWN, .length = -1, .scale = INT32_MIN, .optional = true};
    yyjson_obj_iter members = yyjson_obj_iter_with(object);
    yyjson_val *key;
    enum ods_status status = ODS_OK;
    while (status == ODS_OK && (key = yyjson_obj_iter_next(&members))) {
        yyjson_val *value = yyjson_obj_iter_get_val(key);
        size_t length = yyjson_get_len(key);
        if (!length || prefix + length + 2 > sizeof flatten->name ||
            strlen(yyjson_get_str(key)) != length)
            return error_set(error, ODS_REJECT, "column %s: a member's name can't name a column",
                             flatten->settings->column);
        memcpy(flatten->name + prefix, yyjson_get_str(key), length + 1);
        if (yyjson_is_obj(value) && depth > 1) {
            flatten->name[prefix + length] = '_';
            status = walk(flatten, known, shape, value, prefix + length + 1, depth - 1, found,
                          arena, error);
            continue;
        }
        int at = member(flatten, known, shape, error);
        if (at < 0)
            return ODS_REJECT;
        for (; found->count < known->count; found->count++)
            found->values[found->count].kind = VALUE_NULL;
        status = json_to_value(value, &untyped, arena, &found->values[at], error);
    }
    return status;
}

static enum ods_status make_shape(struct flatten *flatten, struct known *known,
                                  const struct shape *shape, struct arena *arena,
                                  struct error *error)
{
    struct shape to = *shape;
    struct column *columns =
        arena_alloc(arena, (shape->column_count + known->count) * sizeof *columns);
    uint32_t *key = arena_alloc(arena, shape->key_count * sizeof *key), count = 0;
    if (!columns || !key)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < shape->column_count; i++)
        if ((int) i != known->column || flatten->settings->keep)
            columns[count++] = shape->columns[i];
    for (uint32_t i = 0; i < shape->key_count; i++)
        key[i] = shape->key[i] -
                 (!flatten->settings->keep && (int) shape->key[i] > known->column);
    for (uint32_t i = 0; i < known->count; i++) {
        known->at[i] = count;
        columns[count++] = words_column(known->names[i], SEM_UNKNOWN);
    }
    to.columns = columns;
    to.column_count = count;
    to.key = key;
    known->to = shape_intern(flatten->shapes, &to);
    if (known->to)
        return ODS_OK;
    return shape_table_full(flatten->shapes)
               ? error_set(error, ODS_REJECT, "too many kinds of rows: table %s", shape->table)
               : error_out_of_memory(error);
}

static enum ods_status look(struct flatten *flatten, struct known *known,
                            const struct shape *shape, const struct value *image,
                            struct found *found, struct arena *arena, struct error *error)
{
    const struct value *value = &image[known->column];
    const struct column *column = &shape->columns[known->column];
    yyjson_doc *document;
    found->count = 0;
    enum ods_status status = json_document(column, value, &document, error);
    yyjson_val *root = document ? yyjson_doc_get_root(document) : NULL;
    if (status == ODS_OK && root && !yyjson_is_obj(root) && !yyjson_is_null(root))
        status = error_set(error, ODS_REJECT, "column %s holds no JSON object", column->name);
    size_t prefix = strlen(flatten->settings->prefix);
    memcpy(flatten->name, flatten->settings->prefix, prefix + 1);
    if (status == ODS_OK && root && yyjson_is_obj(root))
        status = walk(flatten, known, shape, root, prefix, flatten->settings->depth, found, arena,
                      error);
    yyjson_doc_free(document);
    return status;
}

/* `to` is known by now; what the image does not have of it is NULL, or not sent with the column. */
static const struct value *lay(const struct flatten *flatten, const struct known *known,
                               const struct shape *shape, const struct value *image,
                               const struct found *found, struct arena *arena)
{
    struct value *values = arena_alloc(arena, known->to->column_count * sizeof *values);
    bool absent = image[known->column].kind == VALUE_ABSENT;
    uint32_t count = 0;
    if (!values)
        return NULL;
    for (uint32_t i = 0; i < shape->column_count; i++)
        if ((int) i != known->column || flatten->settings->keep)
            values[count++] = image[i];
    for (uint32_t i = 0; i < known->count; i++)
        values[known->at[i]] = i < found->count
                                   ? found->values[i]
                                   : (struct value){.kind = absent ? VALUE_ABSENT : VALUE_NULL};
    return values;
}

static enum ods_status flatten_change(struct flatten *flatten, struct batch *batch,
                                      struct change *change, struct error *error)
{
    const struct shape *shape = change->shape;
    struct known *known = known_of(flatten, shape);
    struct found *after = &flatten->after, *before = &flatten->before;
    enum ods_status status = ODS_OK;
    if (!known)
        return error_out_of_memory(error);
    if (known->column < 0)
        return ODS_OK;
    if (known->key)
        return error_set(error, ODS_REJECT, "column %s is in the key of table %s",
                         flatten->settings->column, shape->table);
    if (change->after)
        status = look(flatten, known, shape, change->after, after, &batch->arena, error);
    if (status == ODS_OK && change->before)
        status = look(flatten, known, shape, change->before, before, &batch->arena, error);
    if (status == ODS_OK && !known->to)
        status = make_shape(flatten, known, shape, &batch->arena, error);
    if (status != ODS_OK)
        return status;
    if (change->after)
        change->after = lay(flatten, known, shape, change->after, after, &batch->arena);
    if (change->before)
        change->before = lay(flatten, known, shape, change->before, before, &batch->arena);
    change->shape = known->to;
    return change->op == OP_TRUNCATE || change->after || change->before
               ? ODS_OK
               : error_out_of_memory(error);
}

static enum ods_status flatten_apply(struct transform *transform, struct batch *batch,
                                     uint32_t first, struct error *error)
{
    struct flatten *flatten = (struct flatten *) transform;
    enum ods_status status = ODS_OK;
    for (uint32_t i = first; status == ODS_OK && i < batch->change_count; i++)
        status = flatten_change(flatten, batch, &batch->changes[i], error);
    return status;
}

static void flatten_close(struct transform *transform)
{
    if (transform)
        by_shape_done(&((struct flatten *) transform)->known, free_known);
    free(transform);
}

static enum ods_status flatten_open(struct transform **transform,
                                    const struct transform_config *config, struct error *error)
{
    struct flatten *flatten = calloc(1, sizeof *flatten);
    *transform = (struct transform *) flatten;
    if (!flatten)
        return error_out_of_memory(error);
    flatten->transform.ops = &flatten_transform;
    flatten->settings = config->settings;
    flatten->pipeline = config->pipeline;
    flatten->shapes = config->shapes;
    return ODS_OK;
}

const struct transform_ops flatten_transform = {
    .type = "flatten",
    .summary = "makes columns of a json object's members",
    .settings = &settings,
    .open = flatten_open,
    .apply = flatten_apply,
    .close = flatten_close,
};
