/* explode: the elements of a json array become rows of a child table, whose key is the parent's and
 * their place in the array. They are replaced as a set: what the array no longer has is deleted.
 *
 * How many there were is in the before image. Where that was not sent, `most` places are deleted,
 * if it is set; else the change is a dead letter.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transform/columns.h"
#include "transform/json_path.h"
#include "transform/rewrite.h"
#include "transform/words.h"

#define MEMBERS_MAX 1000
#define ROWS_MAX    100000
#define VALUES_MAX  2000000

/* What of a parent's shape is known. */
struct family {
    const struct shape *of;
    int column;                 /* the array, -1: the shape does not have it */
    const struct shape *parent; /* without the array */
    const struct shape *child;  /* with the members that are known; NULL: not made yet */
    const struct shape *gone;   /* of its rows that are deleted: key and place alone */
    char **names;               /* of the members */
    uint32_t count;
    bool key; /* the array is in the key */
};

struct explode {
    struct transform transform;
    const struct explode_settings *settings;
    bool chosen; /* tombstones without the column are the parent's all the same */
    struct shape_table *shapes;
    struct by_shape families;
};

/* One change while it is taken apart. */
struct taking {
    struct explode *explode;
    struct family *family;
    struct batch *batch;
    struct change change;
    yyjson_doc *old, *new;
    size_t had, has; /* elements */
    struct error *error;
};

#define AT(member) offsetof(struct explode_settings, member)

extern const struct transform_ops explode_transform;

static const struct setting rows[] = {
    {"column", SETTING_STRING, AT(column), .min = 1, .max = 200, .flags = SETTING_REQUIRED,
     .doc = "The column with a JSON array: json, text or an array."},
    {"table", SETTING_STRING, AT(table), .min = 1, .max = 200, .flags = SETTING_REQUIRED,
     .doc = "The child table, whose settings are those of this name."},
    {"key", SETTING_RENAMES, AT(key), .max = 64, .inherits = "`<table>_<column>`",
     .doc = "The parent's key columns in the child table, as `{ id: order_id }`."},
    {"index", SETTING_STRING, AT(index), "position", .min = 1, .max = 200,
     .doc = "The column with the place in the array, from 0 on."},
    {"keep", SETTING_BOOL, AT(keep), "false", .doc = "The parent keeps the column too."},
    {"most", SETTING_INT, AT(most), "0", .min = 0, .max = 10000,
     .doc = "The longest array (a longer one is a dead letter). With it rows can be deleted where "
            "the source sends no before image. 0: any length, and the before image is needed."},
};

static const struct setting_group settings = {
    .title = "transforms of type `explode`",
    .intro =
        "Rows of a child table for the elements of an array: `explode: { column: lines, table: "
        "order_lines }`. An object's members become columns, anything else the column `value`. "
        "When the parent changes the rows are replaced as a set; when it is deleted they are.",
    .size = sizeof(struct explode_settings),
    SETTING_ROWS(rows),
};

/* --- shapes --------------------------------------------------------------------------------- */

static void free_family(void *item)
{
    struct family *family = item;
    for (uint32_t i = 0; i < family->count; i++)
        free(family->names[i]);
    free(family->names);
    free(family);
}

static const struct shape *parent_shape(const struct explode *explode, const struct shape *shape,
                                        uint32_t column, struct arena *arena)
{
    struct shape to = *shape;
    struct column *columns = arena_alloc(arena, shape->column_count * sizeof *columns);
    uint32_t *key = arena_alloc(arena, shape->key_count * sizeof *key), count = 0;
    if (explode->settings->keep)
        return shape;
    if (!columns || !key)
        return NULL;
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (i != column)
            columns[count++] = shape->columns[i];
    for (uint32_t i = 0; i < shape->key_count; i++)
        key[i] = shape->key[i] - (shape->key[i] > column);
    to.columns = columns;
    to.column_count = count;
    to.key = key;
    return shape_intern(explode->shapes, &to);
}

static struct family *family_of(struct explode *explode, const struct shape *shape,
                                struct arena *arena)
{
    void **at = by_shape_at(&explode->families, shape);
    const char *name = explode->settings->column;
    if (!at || *at)
        return at ? *at : NULL;
    struct family *family = calloc(1, sizeof *family);
    if (!family)
        return NULL;
    family->of = shape;
    family->column = shape_column(shape, name, strlen(name));
    for (uint32_t i = 0; i < shape->key_count; i++)
        family->key |= (int) shape->key[i] == family->column;
    if (!family->key) {
        family->parent = family->column < 0
                             ? shape
                             : parent_shape(explode, shape, (uint32_t) family->column, arena);
        if (!family->parent) {
            free_family(family);
            return NULL;
        }
    }
    *at = family;
    return family;
}

/* "order_id": a key column of the parent in the child. */
static const char *key_name(const struct explode *explode, const struct shape *shape, uint32_t k,
                            struct arena *arena)
{
    const char *column = shape->columns[shape->key[k]].name;
    const char *told = properties_find(&explode->settings->key, column);
    size_t length = strlen(shape->table) + strlen(column) + 2;
    char *name = told ? NULL : arena_alloc(arena, length);
    if (name)
        snprintf(name, length, "%s_%s", shape->table, column);
    return told ? told : name;
}

/* Key, place, members. */
static enum ods_status make_child(struct taking *taking)
{
    const struct explode *explode = taking->explode;
    const struct shape *shape = taking->change.shape;
    struct arena *arena = &taking->batch->arena;
    struct family *family = taking->family;
    uint32_t keys = shape->key_count + 1, count = keys + family->count;
    struct shape to = *shape;
    struct column *columns = arena_alloc(arena, count * sizeof *columns);
    uint32_t *key = arena_alloc(arena, keys * sizeof *key);
    if (!columns || !key)
        return error_out_of_memory(taking->error);
    for (uint32_t i = 0; i + 1 < keys; i++) {
        columns[i] = shape->columns[shape->key[i]];
        columns[i].name = key_name(explode, shape, i, arena);
        if (!columns[i].name)
            return error_out_of_memory(taking->error);
        columns[i].name_length = (uint32_t) strlen(columns[i].name);
    }
    columns[keys - 1] = words_column(explode->settings->index, SEM_INT32);
    for (uint32_t i = 0; i < family->count; i++)
        columns[keys + i] = words_column(family->names[i], SEM_UNKNOWN);
    for (uint32_t i = 0; i < keys; i++) {
        columns[i].optional = false;
        key[i] = i;
    }
    to.table = explode->settings->table;
    to.columns = columns;
    to.column_count = count;
    to.key = key;
    to.key_count = keys;
    for (uint32_t i = 0; i < count; i++)
        if (shape_column(&to, columns[i].name, columns[i].name_length) != (int) i)
            return error_set(taking->error, ODS_REJECT,
                             "table %s would have two columns %s: name the key's otherwise (key:)",
                             to.table, columns[i].name);
    family->child = shape_intern(explode->shapes, &to);
    to.column_count = keys;
    family->gone = shape_intern(explode->shapes, &to);
    if (family->child && family->gone)
        return ODS_OK;
    family->child = NULL;
    return shape_table_full(explode->shapes)
               ? error_set(taking->error, ODS_REJECT, "too many kinds of rows: table %s", to.table)
               : error_out_of_memory(taking->error);
}

/* A member that has the name of the child's key or index is refused before it is known: the rows
 * that come later do without it. */
static enum ods_status refuse_taken(const struct taking *taking, const char *name, size_t length)
{
    const struct explode *explode = taking->explode;
    const struct shape *shape = taking->change.shape;
    for (uint32_t i = 0; i <= shape->key_count; i++) {
        const char *taken = i < shape->key_count
                                ? key_name(explode, shape, i, &taking->batch->arena)
                                : explode->settings->index;
        if (!taken)
            return error_out_of_memory(taking->error);
        if (strlen(taken) == length && memcmp(taken, name, length) == 0)
            return error_set(taking->error, ODS_REJECT,
                             "table %s would have two columns %s, the key's and a member's: name "
                             "the key's otherwise (key: or index:)",
                             explode->settings->table, taken);
    }
    return ODS_OK;
}

static enum ods_status know(struct taking *taking, const char *name, size_t length)
{
    struct family *family = taking->family;
    for (uint32_t i = 0; i < family->count; i++)
        if (strlen(family->names[i]) == length && memcmp(family->names[i], name, length) == 0)
            return ODS_OK;
    if (!length || length > 500 || memchr(name, 0, length) || family->count == MEMBERS_MAX)
        return error_set(
            taking->error, ODS_REJECT,
            "column %s: a member's name can't name a column, or there are more than %d",
            taking->explode->settings->column, MEMBERS_MAX);
    enum ods_status status = refuse_taken(taking, name, length);
    if (status != ODS_OK)
        return status;
    char **names = realloc(family->names, (family->count + 1) * sizeof *names);
    char *copy = strndup(name, length);
    family->names = names ? names : family->names;
    if (!names || !copy) {
        free(copy);
        return error_out_of_memory(taking->error);
    }
    names[family->count++] = copy;
    family->child = NULL;
    return ODS_OK;
}

static enum ods_status know_members(struct taking *taking, yyjson_val *array)
{
    enum ods_status status = ODS_OK;
    yyjson_val *element, *key;
    size_t index, most;
    yyjson_arr_foreach(array, index, most, element)
    {
        if (!yyjson_is_obj(element)) {
            status = know(taking, "value", 5);
        } else {
            yyjson_obj_iter members = yyjson_obj_iter_with(element);
            while (status == ODS_OK && (key = yyjson_obj_iter_next(&members)))
                status = know(taking, yyjson_get_str(key), yyjson_get_len(key));
        }
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

/* --- rows ----------------------------------------------------------------------------------- */

static struct value *child_row(const struct taking *taking, const struct shape *child,
                               const struct value *parent, size_t index)
{
    const struct shape *shape = taking->change.shape;
    struct value *values =
        arena_alloc(&taking->batch->arena, child->column_count * sizeof *values);
    for (uint32_t i = 0; values && i < child->column_count; i++)
        values[i].kind = VALUE_ABSENT;
    for (uint32_t i = 0; values && i < shape->key_count; i++)
        values[i] = parent[shape->key[i]];
    if (values)
        values[shape->key_count] =
            (struct value){.kind = VALUE_INT, .integer = (int64_t) index};
    return values;
}

static enum ods_status add_child(const struct taking *taking, enum change_op op,
                                 const struct value *row)
{
    struct change *change = row ? batch_add_change(taking->batch) : NULL;
    if (!change)
        return error_out_of_memory(taking->error);
    change->op = op;
    change->record = taking->change.record;
    change->tombstone = op == OP_DELETE;
    change->shape = op == OP_DELETE ? taking->family->gone : taking->family->child;
    change->source_us = taking->change.source_us;
    change->sequence = taking->change.sequence;
    *(op == OP_DELETE ? &change->before : &change->after) = row;
    return ODS_OK;
}

static enum ods_status put_element(const struct taking *taking, enum change_op op,
                                   yyjson_val *element, size_t index)
{
    const struct family *family = taking->family;
    uint32_t keys = taking->change.shape->key_count + 1;
    struct value *row = child_row(taking, family->child, taking->change.after, index);
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; row && status == ODS_OK && i < family->count; i++) {
        yyjson_val *part = yyjson_is_obj(element) ? yyjson_obj_get(element, family->names[i])
                           : strcmp(family->names[i], "value") == 0 ? element
                                                                   : NULL;
        status = json_to_value(part, &family->child->columns[keys + i], &taking->batch->arena,
                               &row[keys + i], taking->error);
    }
    return status == ODS_OK ? add_child(taking, op, row) : status;
}

/* Those that have not changed too: the target may not have them. */
static enum ods_status put_rows(const struct taking *taking)
{
    if (!taking->new)
        return ODS_OK; /* a null has no rows */
    yyjson_arr_iter elements = yyjson_arr_iter_with(yyjson_doc_get_root(taking->new));
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < taking->has; i++) {
        enum change_op op = taking->change.op == OP_READ       ? OP_READ
                            : i < taking->had && taking->change.op == OP_UPDATE ? OP_UPDATE
                                                                               : OP_CREATE;
        status = put_element(taking, op, yyjson_arr_iter_next(&elements), i);
    }
    return status;
}

static enum ods_status delete_rows(const struct taking *taking)
{
    const struct value *parent =
        taking->change.op == OP_DELETE ? taking->change.before : taking->change.after;
    enum ods_status status = ODS_OK;
    for (size_t i = taking->has; status == ODS_OK && i < taking->had; i++)
        status = add_child(taking, OP_DELETE, child_row(taking, taking->family->gone, parent, i));
    return status;
}

static enum ods_status add_copy(struct batch *batch, const struct change *change,
                                const struct shape *shape, struct error *error)
{
    struct change *slot = batch_add_change(batch);
    if (!slot)
        return error_out_of_memory(error);
    *slot = *change;
    slot->shape = shape;
    return ODS_OK;
}

static enum ods_status put_parent(const struct taking *taking)
{
    struct change change = taking->change;
    const struct shape *shape = change.shape;
    const struct value **images[] = {&change.after, &change.before};
    for (int i = 0; i < 2 && taking->family->parent != shape; i++) {
        const struct value *from = *images[i];
        uint32_t count = 0;
        struct value *values =
            from ? arena_alloc(&taking->batch->arena, shape->column_count * sizeof *values) : NULL;
        if (from && !values)
            return error_out_of_memory(taking->error);
        for (uint32_t c = 0; from && c < shape->column_count; c++)
            if ((int) c != taking->family->column)
                values[count++] = from[c];
        *images[i] = values;
    }
    return add_copy(taking->batch, &change, taking->family->parent, taking->error);
}

/* --- changes -------------------------------------------------------------------------------- */

static enum ods_status read_array(struct taking *taking, const struct value *image,
                                  yyjson_doc **document, size_t *count)
{
    const struct column *column = &taking->change.shape->columns[taking->family->column];
    enum ods_status status =
        json_document(column, &image[taking->family->column], document, taking->error);
    yyjson_val *root = *document ? yyjson_doc_get_root(*document) : NULL;
    size_t most = taking->explode->settings->most ? (size_t) taking->explode->settings->most
                                                  : ROWS_MAX;
    *count = root && yyjson_is_arr(root) ? yyjson_arr_size(root) : 0;
    if (status != ODS_OK)
        return status;
    if (root && !yyjson_is_arr(root) && !yyjson_is_null(root))
        return error_set(taking->error, ODS_REJECT, "column %s holds no JSON array", column->name);
    if (*count > most)
        return error_set(taking->error, ODS_REJECT, "column %s has %zu elements, more than %zu",
                         column->name, *count, most);
    return ODS_OK;
}

/* How many rows the parent had. One that is read again may have had any number. */
static enum ods_status look_back(struct taking *taking)
{
    const struct change *change = &taking->change;
    if (change->op == OP_CREATE)
        return ODS_OK;
    if (change->before && taking->family->column >= 0 &&
        change->before[taking->family->column].kind != VALUE_ABSENT)
        return read_array(taking, change->before, &taking->old, &taking->had);
    taking->had = (size_t) taking->explode->settings->most;
    if (taking->had || change->op == OP_READ)
        return ODS_OK;
    return error_set(taking->error, ODS_REJECT,
                     "how many elements column %s had is not known, as its before image was not "
                     "sent: set `most`, or (PostgreSQL) alter table … replica identity full",
                     taking->explode->settings->column);
}

static enum ods_status take_apart(struct taking *taking)
{
    const struct change *change = &taking->change;
    const struct family *family = taking->family;
    enum ods_status status = ODS_OK;
    bool unchanged = change->after && change->after[family->column].kind == VALUE_ABSENT;
    if (!change->shape->key_count)
        return error_set(taking->error, ODS_REJECT, "table %s has no key", change->shape->table);
    if (change->after && !unchanged)
        status = read_array(taking, change->after, &taking->new, &taking->has);
    if (status == ODS_OK && !unchanged)
        status = look_back(taking);
    if (status == ODS_OK && taking->new)
        status = know_members(taking, yyjson_doc_get_root(taking->new));
    size_t places = taking->has > taking->had ? taking->has : taking->had;
    if (status == ODS_OK && taking->has * taking->family->count +
                                    (places + 1) * (change->shape->key_count + 1) >
                                VALUES_MAX)
        status = error_set(taking->error, ODS_REJECT, "column %s makes more than %d values",
                           taking->explode->settings->column, VALUES_MAX);
    if (status == ODS_OK && !taking->family->child)
        status = make_child(taking);
    if (status == ODS_OK && change->op == OP_DELETE)
        status = delete_rows(taking);
    if (status == ODS_OK)
        status = put_parent(taking);
    if (status == ODS_OK && change->op != OP_DELETE && !unchanged)
        status = put_rows(taking);
    if (status == ODS_OK && change->op != OP_DELETE && !unchanged)
        status = delete_rows(taking);
    return status;
}

static bool same_table(const struct shape *a, const struct shape *b)
{
    return strcmp(a->table, b->table) == 0 && strcmp(a->schema, b->schema) == 0 &&
           strcmp(a->database, b->database) == 0;
}

/* A truncate names no columns: whether its table has the array is known where it is chosen, or
 * where a row of it was seen. */
static enum ods_status is_parent(const struct explode *explode, const struct shape *shape,
                                 bool *parent, struct error *error)
{
    bool seen = explode->chosen;
    *parent = explode->chosen;
    for (uint32_t i = 0; i < explode->families.count; i++) {
        const struct family *family = explode->families.items[i];
        if (!family || !family->of->column_count || !same_table(family->of, shape))
            continue;
        seen = true;
        *parent |= family->column >= 0;
    }
    return seen ? ODS_OK
                : error_set(error, ODS_REJECT,
                            "whether table %s has column %s is not known before a row of it came: "
                            "name the tables that have it (tables: [...])",
                            shape->table, explode->settings->column);
}

/* The rows of the child go with those of the parent. */
static enum ods_status truncate_both(struct explode *explode, struct batch *batch,
                                     const struct change *change, struct error *error)
{
    bool parent;
    struct shape to = *change->shape;
    enum ods_status status = is_parent(explode, change->shape, &parent, error);
    to.table = explode->settings->table;
    to.column_count = to.key_count = 0;
    if (status == ODS_OK && parent) {
        const struct shape *child = shape_intern(explode->shapes, &to);
        if (!child && shape_table_full(explode->shapes))
            return error_set(error, ODS_REJECT, "too many kinds of rows: table %s", to.table);
        status = child ? add_copy(batch, change, child, error) : error_out_of_memory(error);
    }
    return status == ODS_OK ? add_copy(batch, change, change->shape, error) : status;
}

static enum ods_status explode_change(struct explode *explode, struct batch *batch,
                                      const struct change *change, struct error *error)
{
    struct taking taking = {
        .explode = explode, .batch = batch, .change = *change, .error = error};
    if (change->op == OP_TRUNCATE)
        return truncate_both(explode, batch, change, error);
    taking.family = family_of(explode, change->shape, &batch->arena);
    if (!taking.family)
        return error_out_of_memory(error);
    if (taking.family->key)
        return error_set(error, ODS_REJECT, "column %s is in the key of table %s",
                         explode->settings->column, change->shape->table);
    bool bare = change->tombstone && taking.family->column < 0 && explode->chosen;
    if (taking.family->column < 0 && !bare)
        return add_copy(batch, change, change->shape, error);
    enum ods_status status = take_apart(&taking);
    yyjson_doc_free(taking.old);
    yyjson_doc_free(taking.new);
    return status;
}

static enum ods_status explode_apply(struct transform *transform, struct batch *batch,
                                     uint32_t first, struct error *error)
{
    uint32_t count = batch->change_count - first;
    struct change *all = arena_alloc(&batch->arena, count * sizeof *all);
    enum ods_status status = ODS_OK;
    if (!all)
        return error_out_of_memory(error);
    memcpy(all, &batch->changes[first], count * sizeof *all);
    batch->change_count = first;
    for (uint32_t i = 0; status == ODS_OK && i < count; i++)
        status = explode_change((struct explode *) transform, batch, &all[i], error);
    return status;
}

static void explode_close(struct transform *transform)
{
    if (transform)
        by_shape_done(&((struct explode *) transform)->families, free_family);
    free(transform);
}

static enum ods_status explode_open(struct transform **transform,
                                    const struct transform_config *config, struct error *error)
{
    struct explode *explode = calloc(1, sizeof *explode);
    *transform = (struct transform *) explode;
    if (!explode)
        return error_out_of_memory(error);
    explode->transform = (struct transform){.ops = &explode_transform, .wants_before = true};
    explode->settings = config->settings;
    explode->shapes = config->shapes;
    explode->chosen = config->chosen;
    return ODS_OK;
}

const struct transform_ops explode_transform = {
    .type = "explode",
    .summary = "makes rows of a child table of a json array",
    .settings = &settings,
    .open = explode_open,
    .apply = explode_apply,
    .close = explode_close,
};
