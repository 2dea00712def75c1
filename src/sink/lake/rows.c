/* The rows of a table into arrays: one for each of its columns, and for a table with a key one of
 * operations and one that says which values the table keeps. */
#include <string.h>

#include <ods/lake.h>

#include "sink/lake/fold.h"

#define NONE UINT32_MAX

/* What a row's chain comes to. */
struct outcome {
    bool erases;  /* the row goes */
    bool present; /* the batch has a row, which is inserted where the table has none */
    bool anew;    /* what the table has is of no meaning: the row was deleted and made again */
    bool marks;   /* a soft delete: the row says 'd' */
};

static struct outcome outcome_of(const struct lake_fold *fold, const struct lake_row *row)
{
    struct outcome outcome = {0};
    const struct change *last = &fold->batch->changes[row->last];
    bool hard = row->plan->settings->on_delete == ON_DELETE_HARD;
    outcome.erases = last->op == OP_DELETE && hard;
    outcome.marks = last->op == OP_DELETE && !hard;
    for (uint32_t i = row->last; i != NONE; i = fold->previous[i]) {
        bool deletes = fold->batch->changes[i].op == OP_DELETE;
        outcome.present |= !deletes;
        if (deletes && hard) {
            outcome.anew = i != row->last;
            break;
        }
    }
    return outcome;
}

/* The newest value that the chain carries for a column; NULL: none. */
static const struct value *find_value(const struct lake_fold *fold, const struct lake_row *row,
                                      uint32_t column, const struct lake_plan **plan)
{
    bool hard = row->plan->settings->on_delete == ON_DELETE_HARD;
    for (uint32_t i = row->last; i != NONE; i = fold->previous[i]) {
        const struct change *change = &fold->batch->changes[i];
        const struct lake_plan *own = fold->plans[i];
        int32_t source = own->source_of[column];
        if (change->op == OP_DELETE && hard)
            return NULL;
        if (change->op == OP_DELETE || source < 0 || change->after[source].kind == VALUE_ABSENT)
            continue;
        *plan = own;
        return &change->after[source];
    }
    return NULL;
}

/* What is put into the row as it is encoded. */
struct encoded {
    struct lake_fold *fold;
    struct lake_work *work;
    const struct lake_row *row;
    struct outcome outcome;
    unsigned char *kept; /* a bit by array */
    bool keeps;
    struct error why;
};

static enum ods_status put_value(struct encoded *encoded, uint32_t column,
                                 const struct lake_plan *plan, const struct value *value)
{
    uint32_t source = (uint32_t) plan->source_of[column];
    encoded->fold->encoding->table = plan->settings;
    return lake_encode(encoded->fold->encoding, encoded->work->names[column], plan->in_key[column],
                       &plan->sources[source], value, &encoded->work->arrays[column],
                       &encoded->why);
}

static void put_own(struct encoded *encoded, uint32_t column)
{
    const struct change *change = &encoded->fold->batch->changes[encoded->row->last];
    struct lake_array *array = &encoded->work->arrays[column];
    const struct lake_plan *plan = encoded->row->plan;
    char op = (char) change->op;
    int64_t us = (int) column == plan->ingested ? encoded->fold->now_us : change->source_us;
    if ((int) column == plan->operation && array->type.type == LAKE_STRING)
        lake_array_bytes(array, &op, 1);
    else if ((int) column != plan->operation && array->type.type == LAKE_TIMESTAMPTZ &&
             us != INT64_MIN)
        lake_array_fixed(array, &us);
    else
        lake_array_null(array);
}

/* A time that is not known, which a history has as a text. */
static bool is_never(const struct lake_plan *plan, uint32_t column, const struct value *value)
{
    return plan->shape->history_of && value->kind == VALUE_TEXT &&
           plan->source_of[column] >= (int32_t) plan->shape->history_of->column_count &&
           plan->sources[plan->source_of[column]].column.type == SEM_TIMESTAMP_US;
}

static enum ods_status put_cell(struct encoded *encoded, uint32_t column)
{
    const struct lake_plan *plan = encoded->row->plan;
    const struct change *change = &encoded->fold->batch->changes[encoded->row->last];
    const struct value *value = NULL;
    if ((int) column == plan->operation || (int) column == plan->timestamp ||
        (int) column == plan->ingested) {
        put_own(encoded, column);
        return ODS_OK;
    }
    if (plan->in_key[column] || encoded->work->appends) {
        const struct value *image = change->after ? change->after : change->before;
        if (plan->source_of[column] >= 0 && image)
            value = &image[plan->source_of[column]];
        if (value && value->kind == VALUE_ABSENT && encoded->work->appends)
            value = NULL; /* told by `unchanged` of a history */
        if (value && is_never(plan, column, value))
            value = NULL;
    } else if (!encoded->outcome.erases) {
        value = find_value(encoded->fold, encoded->row, column, &plan);
        if (!value && !encoded->outcome.anew) {
            encoded->kept[column / 8] |= (unsigned char) (1 << column % 8);
            encoded->keeps = true;
        }
    }
    if (value)
        return put_value(encoded, column, plan, value);
    lake_array_null(&encoded->work->arrays[column]);
    return ODS_OK;
}

static void put_operation(struct encoded *encoded, uint32_t columns)
{
    struct lake_work *work = encoded->work;
    const struct outcome *outcome = &encoded->outcome;
    uint8_t op = outcome->erases                       ? ODS_LAKE_OP_DELETE
                 : outcome->marks && !outcome->present ? ODS_LAKE_OP_UPDATE
                                                       : ODS_LAKE_OP_UPSERT;
    lake_array_fixed(&work->arrays[columns], &op);
    if (encoded->keeps && !outcome->erases)
        lake_array_bytes(&work->arrays[columns + 1], encoded->kept, (columns + 7) / 8);
    else
        lake_array_null(&work->arrays[columns + 1]);
    work->deleted += outcome->erases || outcome->marks;
    work->upserted += !outcome->erases && !outcome->marks;
}

/* A soft delete of a table without columns that could say so changes nothing. */
static bool says_nothing(const struct encoded *encoded)
{
    const struct lake_plan *plan = encoded->row->plan;
    return encoded->outcome.marks && !encoded->outcome.present && plan->operation < 0 &&
           plan->timestamp < 0;
}

static void cut_row(struct lake_work *work)
{
    for (uint32_t i = 0; i < work->array_count; i++)
        lake_array_cut(&work->arrays[i], work->length);
}

static enum ods_status put_row(struct encoded *encoded, const struct lake_row *row)
{
    struct lake_fold *fold = encoded->fold;
    struct lake_work *work = encoded->work;
    uint32_t columns = work->table->columns->count;
    enum ods_status status = ODS_OK;
    encoded->row = row;
    encoded->keeps = false;
    encoded->outcome = (struct outcome){0};
    memset(encoded->kept, 0, (columns + 7) / 8);
    if (!work->appends)
        encoded->outcome = outcome_of(fold, row);
    if (says_nothing(encoded)) {
        fold->skipped++;
        return ODS_OK;
    }
    for (uint32_t i = 0; status == ODS_OK && i < columns; i++)
        status = put_cell(encoded, i);
    if (status == ODS_REJECT) {
        cut_row(work);
        fold->again |= row->chain > 1; /* the change before it counts now */
        status = lake_fold_refuse(fold, row->last, &encoded->why);
        error_init(&encoded->why);
        return status;
    }
    if (status != ODS_OK) {
        *fold->error = encoded->why;
        return status;
    }
    if (work->appends)
        work->upserted++;
    else
        put_operation(encoded, columns);
    work->folded += row->chain - 1;
    work->changes[work->length++] = row->last;
    return ODS_OK;
}

static bool make_arrays(struct lake_fold *fold, struct lake_work *work)
{
    static const struct lake_typed byte = {.type = LAKE_INT8}, bytes = {.type = LAKE_BINARY};
    const struct lake_columns *columns = work->table->columns;
    uint32_t count = columns->count + (work->appends ? 0 : 2);
    work->names = arena_alloc(fold->arena, (count + 1) * sizeof *work->names);
    work->arrays = arena_alloc(fold->arena, (count + 1) * sizeof *work->arrays);
    work->changes = arena_alloc(fold->arena, (work->row_count + 1u) * sizeof *work->changes);
    if (!work->names || !work->arrays || !work->changes)
        return false;
    for (uint32_t i = 0; i < columns->count; i++) {
        work->names[i] = columns->items[i].name;
        lake_array_init(&work->arrays[i], &columns->items[i].type, columns->items[i].format);
    }
    if (!work->appends) {
        work->names[count - 2] = ODS_LAKE_OP_COLUMN;
        work->names[count - 1] = ODS_LAKE_KEEP_COLUMN;
        lake_array_init(&work->arrays[count - 2], &byte, "C");
        lake_array_init(&work->arrays[count - 1], &bytes, "z");
    }
    for (uint32_t i = 0; i < count; i++)
        lake_array_reserve(&work->arrays[i], work->row_count);
    work->array_count = count;
    return true;
}

enum ods_status lake_fold_rows(struct lake_fold *fold, struct lake_work *work)
{
    struct encoded encoded = {.fold = fold, .work = work};
    enum ods_status status = ODS_OK;
    error_init(&encoded.why);
    encoded.kept = arena_alloc(fold->arena, work->table->columns->count / 8 + 1);
    if (!encoded.kept || !make_arrays(fold, work))
        return error_out_of_memory(fold->error);
    for (uint32_t i = 0; status == ODS_OK && i < work->row_count; i++)
        status = put_row(&encoded, work->rows[i]);
    for (uint32_t i = 0; status == ODS_OK && i < work->array_count; i++)
        if (lake_array_failed(&work->arrays[i]))
            status = error_set(fold->error, ODS_RETRY,
                               "out of memory, or more than 2 GB of one column in a commit: "
                               "lower commit_bytes");
    return status;
}
