/* From shape to table. See plan.h. */
#include "sink/lake/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ods/history.h>
#include <ods/lines.h>

#include "core/time.h"
#include "sink/lake/columns.h"
#include "sink/rows/plans.h"

void lake_plans_init(struct lake_plans *plans, const struct sink_config *config)
{
    *plans = (struct lake_plans){.config = config};
}

void lake_plan_free(struct lake_plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; plan->names && i < plan->shape->column_count; i++)
        free(plan->names[i]);
    free(plan->names);
    free(plan->sources);
    free(plan->source_of);
    free(plan->in_key);
    free(plan->key);
    free(plan->refusal);
    free(plan->schema);
    free(plan->name);
    free(plan);
}

void lake_plans_sweep(struct lake_plans *plans)
{
    for (struct lake_plan *plan = plans->stale, *next; plan; plan = next) {
        next = plan->next;
        lake_plan_free(plan);
    }
    plans->stale = NULL;
}

void lake_plans_clear(struct lake_plans *plans)
{
    lake_plans_sweep(plans);
    for (size_t i = 0; i < plans->count; i++)
        lake_plan_free(plans->items[i]);
    free(plans->items);
    plans->items = NULL;
    plans->count = 0;
}

/* --- names and key ---------------------------------------------------------------------------- */

/* The columns of a history behind those of the source: `history.prefix` keeps them apart. */
static enum ods_status name_own(const struct lake_plan *plan, const char *column, char **name,
                                struct error *error)
{
    const char *prefix = strcmp(column, "cdc_timestamp") == 0 ? "" : plan->settings->history.prefix;
    if (asprintf(name, "%s%s", prefix, column) >= 0)
        return ODS_OK;
    *name = NULL;
    return error_out_of_memory(error);
}

static enum ods_status check_names(const struct lake_plan *plan, struct error *error)
{
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        const char *name = plan->names[i], *other = NULL;
        const struct table_settings *settings = plan->settings;
        if (!name)
            continue;
        if (!plan->shape->history_of && (strcasecmp(name, settings->cdc_operation) == 0 ||
                                         strcasecmp(name, settings->cdc_timestamp) == 0))
            other = "the sink's own column";
        for (uint32_t k = 0; !other && k < i; k++)
            if (plan->names[k] && strcasecmp(name, plan->names[k]) == 0)
                other = plan->shape->columns[k].name;
        if (other)
            return error_set(error, plan->shape->typed ? ODS_FATAL : ODS_REJECT,
                             "table %s: columns \"%.80s\" and \"%.80s\" would both be named "
                             "\"%s\": rename one with columns.rename in tables.yaml%s",
                             plan->shape->table, other, plan->shape->columns[i].name, name,
                             plan->shape->history_of ? ", or set history.prefix" : "");
    }
    return ODS_OK;
}

static enum ods_status resolve_columns(const struct lake_plans *plans, struct lake_plan *plan,
                                       struct error *error)
{
    const struct shape *shape = plan->shape;
    enum connector connector = connector_named(
        shape->connector[0] ? shape->connector : plans->config->pipeline->source.connector);
    uint32_t own = shape->history_of ? shape->history_of->column_count : shape->column_count;
    enum ods_status status = ODS_OK;
    plan->sources = calloc(shape->column_count + 1u, sizeof *plan->sources);
    plan->names = calloc(shape->column_count + 1u, sizeof *plan->names);
    if (!plan->sources || !plan->names)
        return error_out_of_memory(error);
    for (uint32_t i = 0; status == ODS_OK && i < shape->column_count; i++) {
        struct source_column *source = &plan->sources[i];
        const char *name = shape->columns[i].name;
        source->column = shape->columns[i];
        source->connector = connector;
        source->inexact = plan->settings->inexact;
        source->literal = shape->literal && i < own;
        if (i >= own) {
            status = name_own(plan, name, &plan->names[i], error);
            continue;
        }
        source_column_correct(source, properties_find(&plan->settings->source_types, name));
        status = lake_name_column(plan->settings, name, &plan->names[i], error);
    }
    return status == ODS_OK ? check_names(plan, error) : status;
}

static int shape_column_named(const struct shape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}

static enum ods_status resolve_key(struct lake_plan *plan, struct error *error)
{
    const struct shape *shape = plan->shape;
    const struct strings *configured = &plan->settings->key;
    size_t count = configured->count ? configured->count : shape->key_count;
    plan->key = calloc(count + 1, sizeof *plan->key);
    if (!plan->key)
        return error_out_of_memory(error);
    if (shape->history_of || !count) {
        plan->appends = true;
        plan->matches = !shape->history_of && plan->settings->keyless == KEYLESS_MATCH_BEFORE;
        return shape->history_of || plan->settings->keyless != KEYLESS_REJECT
                   ? ODS_OK
                   : error_set(error, ODS_REJECT,
                               "table %s has no key, and keyless is reject: name one with key: in "
                               "tables.yaml",
                               shape->table);
    }
    for (size_t i = 0; i < count; i++) {
        int source = configured->count ? shape_column_named(shape, configured->items[i])
                                       : (int) shape->key[i];
        if (source < 0)
            return error_set(error, ODS_REJECT,
                             "table %s: the record carries no column \"%s\", which tables.yaml "
                             "names in its key",
                             shape->table, configured->items[i]);
        if (!plan->names[source])
            return error_set(error, ODS_FATAL,
                             "table %s: key column \"%s\" is left out: do not exclude it",
                             shape->table, shape->columns[source].name);
        plan->key[plan->key_count++] = (uint32_t) source;
    }
    return ODS_OK;
}

static enum ods_status resolve_names(struct lake_plan *plan, struct error *error)
{
    return plan->shape->history_of
               ? lake_name_history(plan->settings, plan->shape, &plan->schema, &plan->name, error)
               : lake_name_table(plan->settings, plan->shape, &plan->schema, &plan->name, error);
}

/* --- the table -------------------------------------------------------------------------------- */

/* Tables of one name in two databases don't become one table, unless the settings say so. */
static enum ods_status check_source(const struct lake_plan *plan, struct lake_table *table,
                                    struct error *error)
{
    char source[700];
    const struct shape *shape = plan->shape;
    snprintf(source, sizeof source, "%.200s.%.200s.%.200s", shape->database, shape->schema,
             shape->table);
    if (!table->source && !(table->source = strdup(source)))
        return error_out_of_memory(error);
    bool derived = !*plan->settings->target || strstr(plan->settings->target, "${table}") ||
                   strstr(plan->settings->target, "${topic}");
    if (!derived || strcmp(table->source, source) == 0)
        return ODS_OK;
    return error_set(error, ODS_REJECT,
                     "table %s/%s has rows of %s, and these are of %s: give one of them another "
                     "name with target: or schema: in tables.yaml",
                     plan->schema, plan->name, table->source, source);
}

static void map_columns(struct lake_plan *plan)
{
    const struct lake_columns *columns = plan->columns = plan->table->columns;
    const struct table_settings *settings = plan->settings;
    bool rows = !plan->shape->history_of;
    char ingested[80];
    for (uint32_t i = 0; i < plan->key_count; i++)
        for (uint32_t c = 0; c < columns->count; c++)
            if (plan->source_of[c] == (int32_t) plan->key[i])
                plan->in_key[c] = true;
    snprintf(ingested, sizeof ingested, "%s%s", settings->history.prefix, "ingested_at");
    plan->operation =
        rows && *settings->cdc_operation ? lake_table_column(columns, settings->cdc_operation) : -1;
    plan->timestamp =
        rows && *settings->cdc_timestamp ? lake_table_column(columns, settings->cdc_timestamp) : -1;
    plan->ingested = rows ? -1 : lake_table_column(columns, ingested);
}

static enum ods_status resolve_table(struct lake_plans *plans, struct lake_plan *plan,
                                     const struct change *change, const struct apply_hooks *hooks,
                                     struct apply_result *result, struct error *error)
{
    struct lake_table *table = lake_store_table(plans->store, plan->schema, plan->name);
    if (!table)
        return error_out_of_memory(error);
    enum ods_status status = check_source(plan, table, error);
    if (status == ODS_OK)
        status = lake_columns_follow(plan, table, change, hooks, result, error);
    plan->table = status == ODS_OK && table->handle ? table : NULL;
    if (plan->table)
        map_columns(plan);
    else
        plan->look_again_us = time_monotonic_us() + ROWS_MISSING_US;
    return status;
}

/* --- plans ------------------------------------------------------------------------------------ */

/* Every change of the shape is a letter, until the table is looked at again. */
static enum ods_status keep_refusal(struct lake_plan *plan, struct error *error)
{
    enum ods_status status = rows_plans_refuse(&plan->refusal, error);
    if (status == ODS_OK)
        plan->look_again_us = time_monotonic_us() + ROWS_REFUSED_US;
    return status;
}

static enum ods_status make_plan(struct lake_plans *plans, struct lake_plan *plan,
                                 const struct change *change, const struct apply_hooks *hooks,
                                 struct apply_result *result, struct error *error)
{
    plan->shape = change->shape;
    plan->settings = lines_table(plans->config->pipeline, plan->shape);
    plan->operation = plan->timestamp = plan->ingested = -1;
    plan->skip = plan->settings->skip;
    if (plan->skip)
        return ODS_OK;
    enum ods_status status = resolve_names(plan, error);
    if (status == ODS_OK)
        status = resolve_columns(plans, plan, error);
    if (status == ODS_OK)
        status = resolve_key(plan, error);
    if (status == ODS_OK)
        status = resolve_table(plans, plan, change, hooks, result, error);
    return status == ODS_REJECT ? keep_refusal(plan, error) : status;
}

/* A column whose type nothing has told yet has a value here. */
static bool completes(const struct lake_plan *plan, const struct change *change)
{
    for (uint32_t i = 0; change->after && i < plan->shape->column_count; i++) {
        bool placed = !plan->names[i] || plan->sources[i].column.type != SEM_UNKNOWN;
        for (uint32_t c = 0; !placed && c < plan->columns->count; c++)
            placed = plan->source_of[c] == (int32_t) i;
        if (!placed && change->after[i].kind > VALUE_NULL)
            return true;
    }
    return false;
}

static bool is_current(const struct lake_plan *plan, const struct change *change)
{
    if (plan->skip)
        return true;
    if (!plan->table)
        return time_monotonic_us() < plan->look_again_us && (plan->refusal || !change->after);
    return plan->table->handle && plan->columns == plan->table->columns &&
           !(plan->incomplete && completes(plan, change));
}

enum ods_status lake_plan_find(struct lake_plans *plans, const struct change *change,
                               const struct apply_hooks *hooks, struct apply_result *result,
                               const struct lake_plan **plan, struct error *error)
{
    uint32_t id = change->shape->id;
    struct lake_plan **items = rows_plans_room(plans->items, &plans->count, id);
    if (!items)
        return error_out_of_memory(error);
    plans->items = items;
    struct lake_plan **place = &plans->items[id];
    if (*place && is_current(*place, change)) {
        *plan = *place;
        return ODS_OK;
    }
    if (*place) {
        (*place)->stale = true;
        (*place)->next = plans->stale;
        plans->stale = *place;
    }
    *place = calloc(1, sizeof **place);
    if (!*place)
        return error_out_of_memory(error);
    enum ods_status status = make_plan(plans, *place, change, hooks, result, error);
    *plan = *place;
    if (status == ODS_OK)
        return ODS_OK;
    lake_plan_free(*place);
    *place = NULL;
    *plan = NULL;
    return status;
}

enum ods_status lake_plan_names(const struct sink_config *config, const struct shape *shape,
                                struct lake_plan **made, struct error *error)
{
    const struct lake_plans plans = {.config = config};
    struct lake_plan *plan = calloc(1, sizeof *plan);
    *made = NULL;
    if (!plan)
        return error_out_of_memory(error);
    plan->shape = shape;
    plan->settings = lines_table(config->pipeline, shape);
    enum ods_status status = resolve_names(plan, error);
    if (status == ODS_OK)
        status = resolve_columns(&plans, plan, error);
    if (status == ODS_OK)
        status = resolve_key(plan, error);
    if (status == ODS_OK)
        *made = plan;
    else
        lake_plan_free(plan);
    return status;
}
