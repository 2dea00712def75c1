/* See flow.h. */
#include "quality/flow.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "quality/judge.h"

#define TIMED_EACH 64 /* one change of so many tells what the rules cost */

/* A rule and a column of one shape. */
struct asked {
    struct judge *judge;
    struct quality_count *count;
    uint32_t column;
    bool first;          /* of the rule's columns: the row counts once */
    const char *refusal; /* every row of the shape breaks the rule; NULL: the value decides */
};

/* What is asked of the rows of one shape. */
struct flight {
    struct asked *asked;
    size_t count;
    const struct shape *marked; /* the shape and the column for marks; NULL: nothing is marked */
};

struct quality_flow {
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    struct quality_counts *counts, own;
    struct judge **judges; /* one a rule, made as tables need them */
    size_t judge_count;
    struct flight **flights; /* by the shape's id */
    size_t flight_count;
    uint64_t changes;
    bool lenient; /* no rule refuses a record */
    struct buffer text;
};

enum ods_status quality_flow_open(struct quality_flow **flow,
                                  const struct pipeline_settings *pipeline,
                                  struct shape_table *shapes, struct quality_counts *counts,
                                  struct error *error)
{
    *flow = NULL;
    if (!quality_any(pipeline, true))
        return ODS_OK;
    struct quality_flow *made = calloc(1, sizeof *made);
    if (!made)
        return error_set(error, ODS_FATAL, "out of memory for the rules of quality");
    made->pipeline = pipeline;
    made->shapes = shapes;
    quality_counts_init(&made->own);
    made->counts = counts ? counts : &made->own;
    buffer_init(&made->text);
    *flow = made;
    return ODS_OK;
}

static void flight_free(struct flight *flight)
{
    if (flight)
        free(flight->asked);
    free(flight);
}

void quality_flow_close(struct quality_flow *flow)
{
    if (!flow)
        return;
    for (size_t i = 0; i < flow->flight_count; i++)
        flight_free(flow->flights[i]);
    for (size_t i = 0; i < flow->judge_count; i++) {
        judge_close(flow->judges[i]);
        free(flow->judges[i]);
    }
    free(flow->flights);
    free(flow->judges);
    quality_counts_done(&flow->own);
    buffer_done(&flow->text);
    free(flow);
}

void quality_flow_be_lenient(struct quality_flow *flow)
{
    if (flow)
        flow->lenient = true;
}

/* --- what is asked of a shape ----------------------------------------------------------------- */

static struct judge *judge_of(struct quality_flow *flow, const struct quality_rule *rule,
                              struct error *error)
{
    for (size_t i = 0; i < flow->judge_count; i++)
        if (flow->judges[i]->rule == rule)
            return flow->judges[i];
    struct judge **larger = realloc(flow->judges, (flow->judge_count + 1) * sizeof *larger);
    flow->judges = larger ? larger : flow->judges;
    struct judge *judge = larger ? malloc(sizeof *judge) : NULL;
    if (!judge || judge_open(judge, rule, error) != ODS_OK) {
        free(judge);
        return NULL;
    }
    flow->judges[flow->judge_count++] = judge;
    return judge;
}

static bool adds(struct flight *flight, struct judge *judge, struct quality_count *count,
                 uint32_t column, bool first, const char *refusal)
{
    struct asked *larger = realloc(flight->asked, (flight->count + 1) * sizeof *larger);
    if (!larger)
        return false;
    flight->asked = larger;
    larger[flight->count++] = (struct asked){.judge = judge,
                                             .count = count,
                                             .column = column,
                                             .first = first,
                                             .refusal = refusal};
    return true;
}

/* What of the shape's columns is not as the rule expects them; NULL: nothing. */
static const char *schema_refusal(const struct quality_rule *rule, const struct shape *shape)
{
    for (size_t i = 0; i < rule->types.count; i++) {
        const char *name = rule->types.items[i].name;
        if (shape_column(shape, name, strlen(name)) < 0)
            return "a column that is expected is not there";
    }
    for (uint32_t i = 0; !rule->others && i < shape->column_count; i++)
        if (!properties_find(&rule->types, shape->columns[i].name))
            return "there is a column that is not expected";
    return NULL;
}

static bool add_rule(struct quality_flow *flow, struct flight *flight,
                     const struct quality_rule *rule, const struct shape *shape,
                     const char *table, struct error *error)
{
    struct judge *judge = judge_of(flow, rule, error);
    struct quality_count *count = judge ? quality_count_of(flow->counts, rule, table) : NULL;
    if (!count)
        return false;
    if (rule->check == QUALITY_SCHEMA)
        return adds(flight, judge, count, 0, true, schema_refusal(rule, shape));
    for (size_t i = 0; i < rule->columns.count; i++) {
        int at = shape_column(shape, rule->columns.items[i], strlen(rule->columns.items[i]));
        const char *refusal = at < 0 ? "is not in the row" : NULL;
        uint32_t column = at < 0 ? (uint32_t) i : (uint32_t) at;
        if (!adds(flight, judge, count, column, i == 0, refusal))
            return false;
    }
    return true;
}

static bool make_marked(struct quality_flow *flow, struct flight *flight,
                        const struct shape *shape)
{
    const char *name = flow->pipeline->quality.mark;
    uint32_t count = shape->column_count;
    struct column *columns = calloc(count + 1, sizeof *columns);
    if (!columns)
        return false;
    memcpy(columns, shape->columns, count * sizeof *columns);
    columns[count] = (struct column){.name = name,
                                     .name_length = (uint32_t) strlen(name),
                                     .type = SEM_STRING,
                                     .length = -1,
                                     .scale = INT32_MIN,
                                     .optional = true};
    struct shape candidate = *shape;
    candidate.columns = columns;
    candidate.column_count = count + 1;
    flight->marked = shape_intern(flow->shapes, &candidate);
    free(columns);
    return flight->marked != NULL;
}

/* The rules for the shape's table that look at records on their way. */
static enum ods_status add_rules(struct quality_flow *flow, struct flight *flight,
                                 const struct shape *shape, bool *marks, struct error *error)
{
    const char *schema = *shape->schema ? shape->schema : shape->database;
    const struct table_settings *entry = pipeline_table(flow->pipeline, schema, shape->table);
    const struct quality_rule *rule;
    size_t at = 0;
    buffer_reset(&flow->text);
    buffer_printf(&flow->text, "%s%s%s", schema, *schema ? "." : "", shape->table);
    while ((rule = quality_rule_next(flow->pipeline, schema, shape->table, entry, &at))) {
        if (rule->on_fail == ON_FAIL_NONE)
            continue;
        *marks |= rule->on_fail == ON_FAIL_MARK;
        if (flow->text.failed ||
            !add_rule(flow, flight, rule, shape, buffer_text(&flow->text), error))
            return error_out_of_memory(error);
    }
    return ODS_OK;
}

static enum ods_status make_flight(struct quality_flow *flow, const struct shape *shape,
                                   struct flight **made, struct error *error)
{
    const char *mark = flow->pipeline->quality.mark;
    struct flight *flight = calloc(1, sizeof *flight);
    bool marks = false;
    enum ods_status status = flight ? add_rules(flow, flight, shape, &marks, error)
                                    : error_out_of_memory(error);
    if (status == ODS_OK && marks && shape_column(shape, mark, strlen(mark)) >= 0)
        status = error_set(error, ODS_REJECT,
                           "table %s has a column %s of its own: give marks another one by "
                           "quality.mark",
                           shape->table, mark);
    else if (status == ODS_OK && marks && !make_marked(flow, flight, shape))
        status = shape_table_full(flow->shapes)
                     ? error_set(error, ODS_REJECT, "too many kinds of rows: table %s",
                                 shape->table)
                     : error_out_of_memory(error);
    if (status == ODS_OK)
        *made = flight;
    else
        flight_free(flight);
    return status;
}

static enum ods_status find_flight(struct quality_flow *flow, const struct shape *shape,
                                   struct flight **flight, struct error *error)
{
    if (shape->id >= flow->flight_count) {
        size_t larger = flow->flight_count ? flow->flight_count : 64;
        while (larger <= shape->id)
            larger *= 2;
        struct flight **moved = realloc(flow->flights, larger * sizeof *moved);
        if (!moved)
            return error_out_of_memory(error);
        memset(moved + flow->flight_count, 0, (larger - flow->flight_count) * sizeof *moved);
        flow->flights = moved;
        flow->flight_count = larger;
    }
    struct flight **at = &flow->flights[shape->id];
    enum ods_status status = *at ? ODS_OK : make_flight(flow, shape, at, error);
    *flight = *at;
    return status;
}

/* --- a change --------------------------------------------------------------------------------- */

/* The names of the rules that the row breaks. */
struct marks {
    const struct quality_rule *last;
    struct buffer *text;
};

static void add_mark(struct marks *marks, const struct quality_rule *rule)
{
    if (marks->last == rule)
        return;
    buffer_printf(marks->text, "%s%s", marks->text->length ? ", " : "", rule->name);
    marks->last = rule;
}

static enum ods_status refuse(const struct change *change, const struct asked *asked,
                              const char *why, struct error *error)
{
    const struct quality_rule *rule = asked->judge->rule;
    const struct shape *shape = change->shape;
    const char *file = rule->file ? rule->file : "tables.yaml";
    const char *slash = strrchr(file, '/');
    const char *column = rule->check == QUALITY_SCHEMA ? NULL
                         : asked->refusal ? rule->columns.items[asked->column]
                                          : shape->columns[asked->column].name;
    return error_set(error, ODS_REJECT, "quality rule %s (%s:%d), %c of %s%s%s: %s%s%s", rule->name,
                     slash ? slash + 1 : file, rule->line, (char) change->op,
                     *shape->schema ? shape->schema : shape->database,
                     *shape->schema || *shape->database ? "." : "", shape->table,
                     column ? "column " : "", column ? column : "", why);
}

static enum ods_status ask(struct quality_flow *flow, const struct change *change,
                           const struct asked *asked, bool *broken, struct marks *marks,
                           struct error *error)
{
    const struct quality_rule *rule = asked->judge->rule;
    const char *why = asked->refusal;
    enum ods_status status = ODS_OK;
    if (asked->first) {
        *broken = false;
        atomic_fetch_add_explicit(&asked->count->looked_at, 1, memory_order_relaxed);
    }
    if (!why && rule->check != QUALITY_SCHEMA)
        status = judge_value(asked->judge, &change->shape->columns[asked->column],
                             &change->after[asked->column], &why, error);
    if (status == ODS_REJECT) { /* it can't be read as what it is: the target has its say */
        why = NULL;
        status = ODS_OK;
    }
    if (status != ODS_OK || !why)
        return status;
    if (!*broken)
        atomic_fetch_add_explicit(&asked->count->broken, 1, memory_order_relaxed);
    *broken = true;
    if (rule->on_fail == ON_FAIL_MARK)
        add_mark(marks, rule);
    if (rule->on_fail != ON_FAIL_LETTER || flow->lenient)
        return ODS_OK;
    char words[128];
    snprintf(words, sizeof words, "%s%s", rule->check == QUALITY_SCHEMA ? "" : " ", why);
    return refuse(change, asked, words, error);
}

static enum ods_status ask_all(struct quality_flow *flow, const struct change *change,
                               const struct flight *flight, struct marks *marks,
                               struct error *error)
{
    enum ods_status status = ODS_OK;
    bool broken = false, timed = flow->changes++ % TIMED_EACH == 0;
    for (size_t i = 0; status == ODS_OK && i < flight->count; i++) {
        const struct asked *asked = &flight->asked[i];
        struct timespec before, after;
        if (timed)
            clock_gettime(CLOCK_MONOTONIC, &before);
        status = ask(flow, change, asked, &broken, marks, error);
        if (timed) {
            clock_gettime(CLOCK_MONOTONIC, &after);
            int64_t ns = (after.tv_sec - before.tv_sec) * INT64_C(1000000000) + after.tv_nsec -
                         before.tv_nsec;
            atomic_fetch_add_explicit(&asked->count->timed_ns, (uint64_t) ns,
                                      memory_order_relaxed);
            atomic_fetch_add_explicit(&asked->count->timed, asked->first, memory_order_relaxed);
        }
    }
    return status;
}

/* A copy of the image with one more value. NULL: no memory. */
static const struct value *widen(struct batch *batch, const struct value *image, uint32_t count,
                                 struct value last)
{
    struct value *copy = arena_alloc(&batch->arena, (count + 1) * sizeof *copy);
    if (!copy)
        return NULL;
    memcpy(copy, image, count * sizeof *copy);
    copy[count] = last;
    return copy;
}

static enum ods_status mark(struct batch *batch, struct change *change,
                            const struct flight *flight, const struct buffer *text,
                            struct error *error)
{
    uint32_t count = change->shape->column_count;
    struct value value = {.kind = VALUE_NULL};
    if (text->failed)
        return error_out_of_memory(error);
    if (text->length) {
        value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t) text->length};
        value.bytes = arena_strndup(&batch->arena, text->bytes, text->length);
        if (!value.bytes)
            return error_out_of_memory(error);
    }
    if (change->after && !(change->after = widen(batch, change->after, count, value)))
        return error_out_of_memory(error);
    if (change->before && !(change->before = widen(batch, change->before, count,
                                                   (struct value){.kind = VALUE_ABSENT})))
        return error_out_of_memory(error);
    change->shape = flight->marked;
    return ODS_OK;
}

static enum ods_status look_at(struct quality_flow *flow, struct batch *batch,
                               struct change *change, struct error *error)
{
    struct flight *flight = NULL;
    struct marks marks = {.text = &flow->text};
    enum ods_status status = find_flight(flow, change->shape, &flight, error);
    if (status != ODS_OK || !flight->count)
        return status;
    buffer_reset(&flow->text);
    bool row = change->op != OP_DELETE && change->op != OP_TRUNCATE && change->after;
    if (row && !batch->probes)
        status = ask_all(flow, change, flight, &marks, error);
    if (status == ODS_OK && flight->marked)
        status = mark(batch, change, flight, &flow->text, error);
    return status;
}

enum ods_status quality_flow_apply(struct quality_flow *flow, struct batch *batch, uint32_t first,
                                   struct error *error)
{
    enum ods_status status = ODS_OK;
    for (uint32_t i = first; status == ODS_OK && i < batch->change_count; i++)
        status = look_at(flow, batch, &batch->changes[i], error);
    if (status != ODS_OK)
        batch->change_count = first;
    return status;
}
