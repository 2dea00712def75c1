/* From shape to table: names, columns, key. See plan.h. */
#include "sink/mysql/tables/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <ods/pipeline.h>
#include "core/time.h"
#include "sink/mysql/tables/names.h"
#include "sink/mysql/wire/conn.h"
#include "sink/rows/plans.h"

void mysql_plans_init(struct mysql_plans *plans, const struct sink_config *config,
                      struct mysql_catalog *catalog, struct mysql_conn *conn,
                      struct mysql_conn *ddl)
{
    *plans = (struct mysql_plans){.config = config, .catalog = catalog, .conn = conn, .ddl = ddl};
}

static void plan_free(struct mysql_plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; plan->names && i < plan->column_count; i++)
        free(plan->names[i]);
    free(plan->names);
    free(plan->sources);
    free(plan->refusal);
    free(plan->schema);
    free(plan->name);
    free(plan->target_of);
    free(plan->source_of);
    free(plan);
}

void mysql_plans_clear(struct mysql_plans *plans)
{
    for (size_t i = 0; i < plans->count; i++)
        plan_free(plans->items[i]);
    free(plans->items);
    plans->items = NULL;
    plans->count = 0;
}

/* Frees the plans that point to a table which is about to be read again. */
static void forget_table(struct mysql_plans *plans, struct mysql_table *table, bool *stale)
{
    if (!table)
        return;
    for (size_t i = 0; i < plans->count; i++)
        if (plans->items[i] && plans->items[i]->table == table) {
            plan_free(plans->items[i]);
            plans->items[i] = NULL;
            *stale = true;
        }
    mysql_catalog_forget(plans->catalog, table);
}

enum ods_status mysql_plan_reload(struct mysql_plans *plans, struct mysql_plan *plan, bool *stale,
                                  struct error *error)
{
    struct mysql_table *before = plan->table;
    plan->table = NULL; /* so that forget_table() leaves this very plan */
    forget_table(plans, before, stale);
    return mysql_catalog_find(plans->catalog, plans->conn, plan->schema, plan->name, &plan->table,
                              error);
}

/* --- names and columns ----------------------------------------------------------------------- */

bool mysql_plan_is_key(const struct mysql_plan *plan, uint32_t column)
{
    if (plan->settings->key.count)
        return strings_contain(&plan->settings->key, plan->shape->columns[column].name);
    for (uint32_t k = 0; k < plan->shape->key_count; k++)
        if (plan->shape->key[k] == column)
            return true;
    return false;
}

/* Two columns of the source must not go into one column of the target, nor one into the sink's own.
 * MySQL compares names without regard to case. Where the source's schema has both, every row of the
 * table has them, and the lane stops for the configuration; where a record has brought the name,
 * the records are at fault. */
static enum ods_status check_names(const struct mysql_plan *plan, struct error *error)
{
    const struct column *columns = plan->shape->columns;
    for (uint32_t i = 0; i < plan->column_count; i++) {
        const char *name = plan->names[i], *other = NULL;
        bool typed = plan->shape->typed && !plan->shape->literal;
        if (!name)
            continue;
        if (strcasecmp(name, plan->settings->cdc_operation) == 0 ||
            strcasecmp(name, plan->settings->cdc_timestamp) == 0)
            other = "the sink's own column";
        for (uint32_t k = 0; !other && k < i; k++)
            if (plan->names[k] && strcasecmp(name, plan->names[k]) == 0)
                other = columns[k].name;
        if (other)
            return error_set(error, typed ? ODS_FATAL : ODS_REJECT,
                             "table %s: columns \"%.80s\" and \"%.80s\" would both be named "
                             "\"%s\": rename one with columns.rename in tables.yaml, or leave it "
                             "out with columns.exclude",
                             plan->shape->table, other, columns[i].name, name);
    }
    return ODS_OK;
}

static enum ods_status resolve_columns(const struct mysql_plans *plans, struct mysql_plan *plan,
                                       struct error *error)
{
    const struct shape *shape = plan->shape;
    enum ods_status status = ODS_OK;
    enum connector connector = connector_named(
        shape->connector[0] ? shape->connector : plans->config->pipeline->source.connector);
    plan->sources = calloc(shape->column_count + 1u, sizeof *plan->sources);
    plan->names = calloc(shape->column_count + 1u, sizeof *plan->names);
    if (!plan->sources || !plan->names)
        return error_out_of_memory(error);
    for (uint32_t i = 0; status == ODS_OK && i < shape->column_count; i++) {
        struct source_column *source = &plan->sources[i];
        source->column = shape->columns[i];
        source->literal = shape->literal;
        source->connector = connector;
        /* Without a schema any column may be NULL, unless the schema topic knows the column. */
        source->column.optional |=
            source->column.type == SEM_UNKNOWN && !source->column.source_type;
        source_column_correct(
            source, properties_find(&plan->settings->source_types, source->column.name));
        status = mysql_name_column(plan->settings, shape->columns[i].name, &plan->names[i], error);
    }
    return status == ODS_OK ? check_names(plan, error) : status;
}

static enum ods_status resolve_names(struct mysql_plans *plans, struct mysql_plan *plan,
                                     struct error *error)
{
    enum ods_status status =
        mysql_name_table(plan->settings, plan->shape, &plan->schema, &plan->name, error);
    if (status == ODS_OK && !*plan->schema) {
        free(plan->schema);
        plan->schema = strdup(plans->conn->database);
        if (!plan->schema)
            return error_out_of_memory(error);
        if (!*plan->schema)
            return error_set(error, ODS_FATAL,
                             "table %s: neither the dsn of target %s names a database (dbname) nor "
                             "does tables.yaml (schema: or target:)",
                             plan->name, plans->config->name);
    }
    return status == ODS_OK ? resolve_columns(plans, plan, error) : status;
}

/* --- the key --------------------------------------------------------------------------------- */

static int shape_column_named(const struct shape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}

/* Where the table has the column that the configured key names, the fault is this record's. */
static enum ods_status lacks_key(const struct mysql_plan *plan, const char *column,
                                 struct error *error)
{
    char *name = NULL;
    enum ods_status status = mysql_name_column(plan->settings, column, &name, error);
    bool known = name && mysql_table_column(plan->table, name) >= 0;
    free(name);
    if (status != ODS_OK)
        return status;
    return error_set(error, known ? ODS_REJECT : ODS_FATAL,
                     "table %s: the record%s no column \"%s\", which tables.yaml names in its key",
                     plan->shape->table, known ? " carries" : "s carry", column);
}

static void add_key(struct mysql_plan *plan, uint32_t source, uint32_t target)
{
    uint32_t at = plan->key_count++;
    for (; at && plan->key_target[at - 1] > target; at--) {
        plan->key_source[at] = plan->key_source[at - 1];
        plan->key_target[at] = plan->key_target[at - 1];
    }
    plan->key_source[at] = source;
    plan->key_target[at] = target;
    plan->spelt |= plan->table->columns[target].collated;
}

static enum ods_status refuse_key(const struct mysql_plan *plan, struct error *error)
{
    char columns[256] = "";
    const struct strings *configured = &plan->settings->key;
    size_t count = configured->count ? configured->count : plan->shape->key_count;
    for (size_t i = 0, used = 0; i < count && used < sizeof columns; i++)
        used += (size_t) snprintf(columns + used, sizeof columns - used, "%s%.60s", i ? ", " : "",
                                  configured->count
                                      ? configured->items[i]
                                      : plan->shape->columns[plan->shape->key[i]].name);
    error->fault = FAULT_TABLE;
    return error_set(error, ODS_REJECT,
                     "table %s.%s has no primary or unique key on exactly the key of the records "
                     "(%s): make one, or name the table's own key with key: in tables.yaml",
                     plan->schema, plan->name, columns);
}

static enum ods_status map_key(struct mysql_plan *plan, struct error *error)
{
    const struct shape *shape = plan->shape;
    const struct strings *configured = &plan->settings->key;
    size_t count = configured->count ? configured->count : shape->key_count;
    plan->key_count = 0;
    plan->spelt = false;
    if (count > MYSQL_MAX_KEY)
        return error_set(error, ODS_FATAL, "table %s: a key of %zu columns; %d is the most",
                         shape->table, count, MYSQL_MAX_KEY);
    if (!shape->column_count) /* the shape of a truncate, which names no row */
        return ODS_OK;
    for (size_t i = 0; i < count; i++) {
        int source = configured->count ? shape_column_named(shape, configured->items[i])
                                       : (int) shape->key[i];
        if (source < 0)
            return lacks_key(plan, configured->items[i], error);
        int target = plan->target_of[source];
        if (target < 0 && !plan->names[source])
            return error_set(error, ODS_FATAL,
                             "table %s: key column \"%s\" has no place in %s.%s: do not exclude it",
                             shape->table, shape->columns[source].name, plan->schema, plan->name);
        if (target < 0)
            return refuse_key(plan, error);
        add_key(plan, (uint32_t) source, (uint32_t) target);
    }
    if (!plan->key_count || mysql_table_unique(plan->table, plan->key_target, plan->key_count))
        return ODS_OK;
    return refuse_key(plan, error);
}

static enum ods_status map_columns(struct mysql_plan *plan, struct error *error)
{
    const struct mysql_table *table = plan->table;
    plan->target_of = calloc(plan->column_count + 1u, sizeof *plan->target_of);
    plan->source_of = calloc(table->column_count + 1u, sizeof *plan->source_of);
    if (!plan->target_of || !plan->source_of)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < table->column_count; i++)
        plan->source_of[i] = -1;
    for (uint32_t i = 0; i < plan->column_count; i++) {
        int at = plan->names[i] ? mysql_table_column(table, plan->names[i]) : -1;
        plan->target_of[i] = at >= 0 && !table->columns[at].generated ? at : -1;
        if (plan->target_of[i] >= 0)
            plan->source_of[at] = (int32_t) i;
    }
    const char *operation = plan->settings->cdc_operation, *time = plan->settings->cdc_timestamp;
    plan->operation_column = *operation ? mysql_table_column(table, operation) : -1;
    plan->timestamp_column = *time ? mysql_table_column(table, time) : -1;
    return map_key(plan, error);
}

/* --- plans ------------------------------------------------------------------------------------ */

/* Every change of the shape is a letter, until the table is looked at again. */
static enum ods_status keep_refusal(struct mysql_plan *plan, struct error *error)
{
    enum ods_status status = rows_plans_refuse(&plan->refusal, error);
    if (status == ODS_OK)
        plan->look_again_us = time_monotonic_us() + ROWS_REFUSED_US;
    return status;
}

/* A table that was made from one table of a source takes no rows of another one that only has the
 * same name, unless the settings send both there. Records that name no database tell nothing. */
static enum ods_status check_source(const struct mysql_plan *plan, struct error *error)
{
    char source[MYSQL_SOURCE_BYTES];
    const char *made = plan->table && plan->table->ours && mysql_name_is_derived(plan->settings)
                           ? strstr(plan->table->comment, MYSQL_COMMENT_SOURCE)
                           : NULL;
    const char *end = made ? strstr(made, ", topic ") : NULL;
    mysql_name_source(plan->shape, source);
    if (!end || !strchr(source, '.'))
        return ODS_OK;
    made += strlen(MYSQL_COMMENT_SOURCE);
    size_t length = (size_t) (end - made);
    if (!memchr(made, '.', length) ||
        (strlen(source) == length && memcmp(source, made, length) == 0))
        return ODS_OK;
    error->fault = FAULT_TABLE;
    return error_set(error, ODS_REJECT,
                     "table %s.%s was made from %.*s, and these are rows of %s: give one of them "
                     "another name with target: or schema: in tables.yaml, or name the table there "
                     "for both",
                     plan->schema, plan->name, (int) length, made, source);
}

/* Rows of an engine without transactions stay when the transaction is taken back. */
static enum ods_status check_engine(const struct mysql_plan *plan, struct error *error)
{
    const struct mysql_table *table = plan->table;
    if (!table || table->transactional)
        return ODS_OK;
    return error_set(error, ODS_FATAL, MYSQL_NO_TRANSACTIONS, table->quoted, table->engine,
                     table->quoted);
}

static enum ods_status resolve_table(struct mysql_plans *plans, struct mysql_plan *plan,
                                     const struct change *change,
                                     const struct mysql_plan_listener *listener, bool *stale,
                                     struct error *error)
{
    enum ods_status status = mysql_catalog_find(plans->catalog, plans->conn, plan->schema,
                                                plan->name, &plan->table, error);
    if (status == ODS_OK)
        status = check_engine(plan, error);
    if (status == ODS_OK)
        status = check_source(plan, error);
    if (status == ODS_OK && change->after) {
        status = mysql_evolve(plans, plan, change, listener, stale, error);
        plan->complete = status == ODS_OK;
    }
    if (status != ODS_OK)
        return status;
    if (plan->table)
        return map_columns(plan, error);
    plan->look_again_us = time_monotonic_us() + ROWS_MISSING_US;
    if (plan->settings->create_tables)
        return ODS_OK; /* a table that is yet to be made has no such row */
    return error_set(error, ODS_REJECT, "the target has no table %s.%s", plan->schema, plan->name);
}

static enum ods_status resolve(struct mysql_plans *plans, struct mysql_plan *plan,
                               const struct change *change,
                               const struct mysql_plan_listener *listener, bool *stale,
                               struct error *error)
{
    const struct shape *shape = plan->shape;
    plan->settings = pipeline_table(plans->config->pipeline,
                                    shape->schema[0] ? shape->schema : shape->database,
                                    shape->table);
    plan->skip = !table_keeps_rows(plan->settings);
    plan->operation_column = plan->timestamp_column = -1;
    if (plan->skip) {
        plan->complete = true;
        return ODS_OK;
    }
    enum ods_status status = resolve_names(plans, plan, error);
    if (status == ODS_OK)
        status = resolve_table(plans, plan, change, listener, stale, error);
    return status == ODS_REJECT ? keep_refusal(plan, error) : status;
}

/* A plan for deletes does not do for rows; what was refused, or was not there, is looked at again.
 */
static bool serves(const struct mysql_plan *plan, const struct change *change)
{
    if (plan->look_again_us && time_monotonic_us() >= plan->look_again_us)
        return false;
    return plan->refusal || plan->complete || !change->after;
}

enum ods_status mysql_plan_find(struct mysql_plans *plans, const struct change *change,
                                const struct mysql_plan_listener *listener,
                                const struct mysql_plan **found, bool *stale, struct error *error)
{
    const struct shape *shape = change->shape;
    struct mysql_plan **items = rows_plans_room(plans->items, &plans->count, shape->id);
    if (!items)
        return error_out_of_memory(error);
    plans->items = items;
    struct mysql_plan *plan = plans->items[shape->id];
    if (plan && serves(plan, change)) {
        *found = plan;
        return ODS_OK;
    }
    if (plan) {
        *stale = true; /* whoever has been given it must ask again */
        plans->items[shape->id] = NULL;
        if (plan->look_again_us)
            forget_table(plans, plan->table, stale);
        plan_free(plan);
    }
    plan = calloc(1, sizeof *plan);
    if (!plan)
        return error_out_of_memory(error);
    plan->shape = shape;
    plan->column_count = shape->column_count;
    enum ods_status status = resolve(plans, plan, change, listener, stale, error);
    if (status != ODS_OK) {
        plan_free(plan);
        return status;
    }
    plans->items[shape->id] = plan;
    *found = plan;
    return ODS_OK;
}
