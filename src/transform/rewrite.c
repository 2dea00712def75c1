/* See rewrite.h. */
#include "transform/rewrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transform/rows.h"
#include "transform/words.h"

/* What is done to the rows of a shape. */
struct plan {
    const struct shape *to;
    bool idle; /* nothing is done */
    uint32_t *source, *work;
    bool rekeys, spares;
    char *refusal; /* NULL: none */
};

void **by_shape_at(struct by_shape *table, const struct shape *shape)
{
    if (shape->id >= table->count) {
        uint32_t count = (shape->id + 1) * 2;
        void **larger = realloc(table->items, count * sizeof *larger);
        if (!larger)
            return NULL;
        memset(larger + table->count, 0, (count - table->count) * sizeof *larger);
        table->items = larger;
        table->count = count;
    }
    return &table->items[shape->id];
}

void by_shape_done(struct by_shape *table, void (*free_item)(void *item))
{
    for (uint32_t i = 0; i < table->count; i++)
        if (table->items[i])
            free_item(table->items[i]);
    free(table->items);
    *table = (struct by_shape){0};
}

/* --- drafts --------------------------------------------------------------------------------- */

int draft_column(const struct draft *draft, const char *name)
{
    return shape_column(&draft->to, name, strlen(name));
}

bool draft_in_key(const struct draft *draft, const struct pipeline_settings *pipeline,
                  uint32_t column)
{
    const struct shape *from = draft->from;
    const struct table_settings *table =
        pipeline ? pipeline_table(pipeline, *from->schema ? from->schema : from->database,
                                  from->table)
                 : NULL;
    for (uint32_t i = 0; i < draft->to.key_count; i++)
        if (draft->key[i] == column)
            return true;
    return table && strings_contain(&table->key, draft->columns[column].name);
}

void draft_drop(struct draft *draft, uint32_t column)
{
    uint32_t behind = --draft->to.column_count - column, left = 0;
    memmove(&draft->columns[column], &draft->columns[column + 1], behind * sizeof *draft->columns);
    memmove(&draft->source[column], &draft->source[column + 1], behind * sizeof *draft->source);
    memmove(&draft->work[column], &draft->work[column + 1], behind * sizeof *draft->work);
    for (uint32_t i = 0; i < draft->to.key_count; i++)
        if (draft->key[i] != column)
            draft->key[left++] = draft->key[i] - (draft->key[i] > column);
    draft->to.key_count = left;
    draft->changed = true;
}

uint32_t draft_set(struct draft *draft, const struct column *column, uint32_t work)
{
    int found = draft_column(draft, column->name);
    uint32_t at = found < 0 ? draft->to.column_count++ : (uint32_t) found;
    if (found < 0)
        draft->source[at] = NO_SOURCE;
    draft->columns[at] = *column;
    draft->work[at] = work;
    draft->changed = true;
    return at;
}

static bool draft_open(struct draft *draft, const struct shape *from, uint32_t more,
                       struct arena *arena)
{
    uint32_t room = from->column_count + more;
    *draft = (struct draft){.from = from, .to = *from, .room = room, .arena = arena};
    draft->columns = arena_alloc(arena, room * sizeof *draft->columns);
    draft->source = arena_alloc(arena, room * sizeof *draft->source);
    draft->work = arena_alloc(arena, room * sizeof *draft->work);
    draft->key = arena_alloc(arena, from->key_count * sizeof *draft->key);
    if (!draft->columns || !draft->source || !draft->work || !draft->key)
        return false;
    if (from->column_count)
        memcpy(draft->columns, from->columns, from->column_count * sizeof *draft->columns);
    if (from->key_count)
        memcpy(draft->key, from->key, from->key_count * sizeof *draft->key);
    for (uint32_t i = 0; i < from->column_count; i++)
        draft->source[i] = i;
    memset(draft->work, 0, room * sizeof *draft->work);
    draft->to.columns = draft->columns;
    draft->to.key = draft->key;
    return true;
}

/* Refuses what changes the key, unless it may. */
static void look_at_key(const struct rewriter *rewriter, struct draft *draft)
{
    for (uint32_t i = 0; i < draft->to.column_count; i++) {
        if (!draft->work[i] || !draft_in_key(draft, rewriter->pipeline, i))
            continue;
        draft->rekeys = true;
        if (!rewriter->rekey && (!*draft->refusal || draft->spares)) {
            draft->spares = false;
            snprintf(
                draft->refusal, sizeof draft->refusal,
                "column %.100s is in the key of table %.100s and can't be set or changed: name "
                "another column, leave the table out (tables: [...]), or say rekey: true",
                draft->columns[i].name, draft->from->table);
        }
    }
}

static void free_plan(void *item)
{
    struct plan *plan = item;
    free(plan->source);
    free(plan->refusal);
    free(plan);
}

/* NULL: out of memory, or there are too many shapes. */
static struct plan *make_plan(struct rewriter *rewriter, const struct shape *shape,
                              struct arena *arena)
{
    struct draft draft;
    struct plan *plan = calloc(1, sizeof *plan);
    uint32_t more = rewriter->ops->more + rewriter->more;
    if (!plan || !draft_open(&draft, shape, more, arena) ||
        !rewriter->ops->plan(rewriter, &draft)) {
        free(plan);
        return NULL;
    }
    look_at_key(rewriter, &draft);
    uint32_t count = draft.to.column_count;
    plan->source = malloc((2 * count + 1) * sizeof *plan->source);
    plan->to = draft.changed ? shape_intern(rewriter->shapes, &draft.to) : shape;
    plan->refusal = *draft.refusal ? strdup(draft.refusal) : NULL;
    plan->rekeys = draft.rekeys;
    plan->spares = draft.spares;
    plan->idle = !draft.changed;
    if (!plan->source || !plan->to || (*draft.refusal && !plan->refusal)) {
        free_plan(plan);
        return NULL;
    }
    plan->work = plan->source + count;
    memcpy(plan->source, draft.source, count * sizeof *plan->source);
    memcpy(plan->work, draft.work, count * sizeof *plan->work);
    return plan;
}

static enum ods_status find_plan(struct rewriter *rewriter, const struct shape *shape,
                                 struct batch *batch, struct plan **plan, struct error *error)
{
    void **at = by_shape_at(&rewriter->plans, shape);
    if (at && !*at)
        *at = make_plan(rewriter, shape, &batch->arena);
    *plan = at ? *at : NULL;
    if (*plan)
        return ODS_OK;
    if (shape_table_full(rewriter->shapes))
        return error_set(error, ODS_REJECT, "too many kinds of rows: table %s", shape->table);
    return error_out_of_memory(error);
}

/* --- images --------------------------------------------------------------------------------- */

static bool is_key(const struct shape *shape, uint32_t column)
{
    for (uint32_t i = 0; i < shape->key_count; i++)
        if (shape->key[i] == column)
            return true;
    return false;
}

/* Values of a literal shape are as they are written: an integer there is a number, not a moment. */
static enum ods_status write_out(struct rewriter *rewriter, const struct column *column,
                                 struct batch *batch, struct value *value, struct error *error)
{
    const char *text;
    size_t length;
    if (value->kind != VALUE_INT || column->type < SEM_DATE || column->type > SEM_TIMESTAMP_NS)
        return ODS_OK;
    enum ods_status status = words_of(&rewriter->text, column, value, &text, &length, error);
    if (status != ODS_OK)
        return status;
    *value = words_text(&batch->arena, text, length);
    return value->kind == VALUE_ABSENT ? error_out_of_memory(error) : ODS_OK;
}

static enum ods_status rewrite_image(struct rewriter *rewriter, const struct plan *plan,
                                     const struct change *change, const struct value **image,
                                     struct batch *batch, struct error *error)
{
    uint32_t count = plan->to->column_count;
    struct value *values = arena_alloc(&batch->arena, count * sizeof *values);
    if (!values)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = plan->source[i];
        values[i] = at == NO_SOURCE ? (struct value){.kind = VALUE_ABSENT} : (*image)[at];
        if (!plan->work[i])
            continue;
        if (change->tombstone && !is_key(plan->to, i)) {
            values[i].kind = VALUE_ABSENT;
            continue;
        }
        enum ods_status status = rewriter->ops->value(rewriter, plan->work[i], change, *image, at,
                                                      batch, &values[i], error);
        if (status == ODS_OK && plan->to->literal)
            status = write_out(rewriter, &plan->to->columns[i], batch, &values[i], error);
        if (status != ODS_OK)
            return status;
    }
    *image = values;
    return ODS_OK;
}

/* The row that is created is whole: what its update did not carry is in the before image. */
static enum ods_status fill_row(struct batch *batch, struct change *change, struct error *error)
{
    const struct shape *shape = change->shape;
    const struct value *row = rows_filled(change, batch);
    if (!row)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (row[i].kind == VALUE_ABSENT)
            return error_set(error, ODS_REJECT,
                             "the row has a new key, and its column %s was not sent (PostgreSQL: "
                             "alter table … replica identity full)",
                             shape->columns[i].name);
    change->after = row;
    return ODS_OK;
}

enum ods_status rewrite_split(struct batch *batch, uint32_t index, bool from_row,
                              struct error *error)
{
    struct change *change = &batch->changes[index];
    const struct shape *shape = change->shape;
    const struct value *named = change->op == OP_DELETE ? change->before : change->after;
    bool differs = false, known = change->before != NULL;
    for (uint32_t i = 0; named && i < shape->key_count; i++) {
        const struct value *value = &named[shape->key[i]];
        if (value->kind == VALUE_ABSENT || value->kind == VALUE_NULL)
            return error_set(error, ODS_REJECT,
                             "the new key of the row is not known: column %s %s",
                             shape->columns[shape->key[i]].name,
                             value->kind == VALUE_NULL ? "would be null" : "was not sent");
        const struct value *old = change->before ? &change->before[shape->key[i]] : NULL;
        known &= old && old->kind != VALUE_ABSENT;
        differs |= old && old->kind != VALUE_ABSENT && !value_same(old, value);
    }
    if (change->op != OP_UPDATE)
        return ODS_OK;
    if (!known && from_row)
        return error_set(error, ODS_REJECT,
                         "the old key of the row is not known: its before image was not sent "
                         "(PostgreSQL: alter table … replica identity full)");
    if (!differs)
        return ODS_OK;
    enum ods_status status = fill_row(batch, change, error);
    if (status != ODS_OK)
        return status;
    if (!batch_add_change(batch))
        return error_out_of_memory(error);
    change = &batch->changes[index];
    memmove(change + 1, change, (batch->change_count - index - 1) * sizeof *change);
    change[0].op = OP_DELETE;
    change[0].after = NULL;
    change[1].op = OP_CREATE;
    change[1].before = NULL;
    return ODS_OK;
}

static enum ods_status rewrite_change(struct rewriter *rewriter, struct batch *batch,
                                      uint32_t index, struct error *error)
{
    struct change *change = &batch->changes[index];
    struct plan *plan;
    enum ods_status status = find_plan(rewriter, change->shape, batch, &plan, error);
    if (status != ODS_OK)
        return status;
    bool spared = change->tombstone && plan->spares;
    if (plan->refusal && (change->after || change->before) && !spared)
        return error_set(error, ODS_REJECT, "%s", plan->refusal);
    if (plan->idle)
        return ODS_OK;
    if (change->after)
        status = rewrite_image(rewriter, plan, change, &change->after, batch, error);
    if (status == ODS_OK && change->before)
        status = rewrite_image(rewriter, plan, change, &change->before, batch, error);
    change->shape = plan->to;
    if (status == ODS_OK && plan->rekeys)
        status = rewrite_split(batch, index, rewriter->from_row, error);
    return status;
}

enum ods_status rewriter_apply(struct transform *transform, struct batch *batch, uint32_t first,
                               struct error *error)
{
    struct rewriter *rewriter = (struct rewriter *) transform;
    enum ods_status status = ODS_OK;
    for (uint32_t i = batch->change_count; status == ODS_OK && i-- > first;)
        status = rewrite_change(rewriter, batch, i, error);
    return status;
}

void rewriter_init(struct rewriter *rewriter, const struct transform_ops *transform,
                   const struct rewriter_ops *ops, const struct transform_config *config)
{
    rewriter->transform.ops = transform;
    rewriter->ops = ops;
    buffer_init(&rewriter->text);
    rewriter->pipeline = config->pipeline;
    rewriter->shapes = config->shapes;
    rewriter->rekey = config->told && config->told->rekey;
    rewriter->transform.wants_before = rewriter->rekey;
}

void rewriter_done(struct rewriter *rewriter)
{
    by_shape_done(&rewriter->plans, free_plan);
    buffer_done(&rewriter->text);
}
