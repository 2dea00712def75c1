/* From shape to table: names, columns, key. See plan.h. */
#include "sink/postgres/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/ddl.h"

#define MOST_IDENTIFIER_BYTES 63

void plans_init(struct plans *plans, const struct sink_config *config, struct catalog *catalog,
                struct conn *conn)
{
    *plans = (struct plans){.config = config, .catalog = catalog, .conn = conn};
}

static void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    free(plan->schema);
    free(plan->name);
    free(plan->target_of);
    free(plan->source_of);
    free(plan->columns);
    free(plan);
}

void plans_clear(struct plans *plans)
{
    for (size_t i = 0; i < plans->count; i++)
        plan_free(plans->items[i]);
    free(plans->items);
    plans->items = NULL;
    plans->count = 0;
}

/* Plans that point to a table which is about to be read again. */
static void forget_table(struct plans *plans, const struct pg_table *table)
{
    for (size_t i = 0; i < plans->count; i++)
        if (plans->items[i] && table && plans->items[i]->table == table) {
            plan_free(plans->items[i]);
            plans->items[i] = NULL;
        }
}

static void notice(const struct plan_listener *listener, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    if (!listener->notice)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    listener->notice(listener->context, text);
}

static enum ods_status out_of_memory(struct error *error)
{
    return error_set(error, ODS_RETRY, "out of memory");
}

static const char *connector_of(const struct plans *plans, const struct shape *shape)
{
    return shape->connector[0] ? shape->connector : plans->config->pipeline->source.connector;
}

static const char *source_database(const struct shape *shape)
{
    return shape->schema[0] ? shape->schema : shape->database;
}

/* The target's name of a source column; NULL: the configuration leaves it out. */
static const char *target_name(const struct table_settings *settings, const char *column)
{
    bool included = settings->include.count == 0;
    for (size_t i = 0; i < settings->include.count; i++)
        included |= strcmp(settings->include.items[i], column) == 0;
    for (size_t i = 0; i < settings->exclude.count; i++)
        included &= strcmp(settings->exclude.items[i], column) != 0;
    if (!included)
        return NULL;
    for (size_t i = 0; i < settings->rename_count; i++)
        if (strcmp(settings->renames[i].from, column) == 0)
            return settings->renames[i].to;
    return column;
}

static enum ods_status check_identifier(const char *name, struct error *error)
{
    if (strlen(name) <= MOST_IDENTIFIER_BYTES && *name)
        return ODS_OK;
    return error_set(error, ODS_FATAL,
                     "the name \"%.80s\" has %zu bytes, PostgreSQL takes 1 to %d: "
                     "give it another with target: or columns.rename in tables.yaml",
                     name, strlen(name), MOST_IDENTIFIER_BYTES);
}

static enum ods_status resolve_names(struct plans *plans, struct plan *plan, struct error *error)
{
    const struct shape *shape = plan->shape;
    plan->settings = pipeline_table(plans->config->pipeline, source_database(shape), shape->table);
    plan->skip = plan->settings->skip;
    const char *target = plan->settings->target[0] ? plan->settings->target : shape->table;
    const char *dot = plan->settings->target[0] ? strchr(target, '.') : NULL;
    plan->schema = dot ? strndup(target, (size_t) (dot - target)) : strdup(plan->settings->schema);
    plan->name = strdup(dot ? dot + 1 : target);
    if (!plan->schema || !plan->name)
        return out_of_memory(error);
    if (plan->skip)
        return ODS_OK;
    enum ods_status status = check_identifier(plan->schema, error);
    return status == ODS_OK ? check_identifier(plan->name, error) : status;
}

static bool is_configured_key(const struct plan *plan, uint32_t column)
{
    const struct strings *key = &plan->settings->key;
    for (size_t i = 0; i < key->count; i++)
        if (strcmp(key->items[i], plan->shape->columns[column].name) == 0)
            return true;
    return false;
}

static bool is_key(const struct plan *plan, uint32_t column)
{
    if (plan->settings->key.count)
        return is_configured_key(plan, column);
    for (uint32_t k = 0; k < plan->shape->key_count; k++)
        if (plan->shape->key[k] == column)
            return true;
    return false;
}

/* Columns that the record carries (and the cdc columns) as DDL wants them; only those the table
 * lacks, when there is a table. *count is how many. NULL when memory is out. */
static struct ddl_column *wanted_columns(const struct plan *plan, const struct change *change,
                                         size_t *count)
{
    const struct shape *shape = plan->shape;
    struct ddl_column *columns = calloc(shape->column_count + 2u, sizeof *columns);
    *count = 0;
    if (!columns)
        return NULL;
    for (uint32_t i = 0; i < shape->column_count; i++) {
        const char *name = target_name(plan->settings, shape->columns[i].name);
        if (!name || (plan->table && catalog_column(plan->table, name) >= 0))
            continue;
        columns[(*count)++] =
            (struct ddl_column){.name = name,
                                .source = &shape->columns[i],
                                .sample = change->after ? &change->after[i] : NULL,
                                .key = is_key(plan, i)};
    }
    const char *own[][2] = {{plan->settings->cdc_operation, "text"},
                            {plan->settings->cdc_timestamp, "timestamptz"}};
    for (size_t i = 0; i < 2; i++)
        if (own[i][0][0] && !(plan->table && catalog_column(plan->table, own[i][0]) >= 0))
            columns[(*count)++] = (struct ddl_column){.name = own[i][0], .type = own[i][1]};
    return columns;
}

/* Two source columns must not meet in one target column. */
static enum ods_status check_columns(const struct ddl_column *columns, size_t count,
                                     struct error *error)
{
    for (size_t i = 0; i < count; i++) {
        enum ods_status status = check_identifier(columns[i].name, error);
        if (status != ODS_OK)
            return status;
        for (size_t k = 0; k < i; k++)
            if (strcmp(columns[i].name, columns[k].name) == 0)
                return error_set(error, ODS_FATAL,
                                 "two columns would be named \"%s\": rename one "
                                 "with columns.rename in tables.yaml",
                                 columns[i].name);
    }
    return ODS_OK;
}

static enum ods_status reload(struct plans *plans, struct plan *plan, bool *changed,
                              struct error *error)
{
    *changed |= plan->table != NULL;
    struct pg_table *stale = plan->table;
    plan->table = NULL; /* or forget_table() would free this very plan */
    forget_table(plans, stale);
    return catalog_reload(plans->catalog, plans->conn, plan->schema, plan->name, &plan->table,
                          error);
}

static enum ods_status create_table(struct plans *plans, struct plan *plan,
                                    const struct ddl_table *ddl,
                                    const struct plan_listener *listener, bool *changed,
                                    struct error *error)
{
    if (!plan->settings->create_tables)
        return error_set(error, ODS_FATAL,
                         "the target has no table %s.%s: make it, or set "
                         "create_tables: true, or skip: true for this table",
                         plan->schema, plan->name);
    bool made;
    enum ods_status status = ddl_create_table(plans->conn, ddl, &made, error);
    if (status == ODS_OK)
        status = reload(plans, plan, changed, error);
    if (status == ODS_OK && !plan->table)
        status = error_set(error, ODS_RETRY, "table %s.%s went away while it was made",
                           plan->schema, plan->name);
    if (status != ODS_OK || !made)
        return status;
    listener->result->tables_created++;
    notice(listener, "made table %s.%s with %zu columns%s", plan->schema, plan->name, ddl->count,
           ddl->shape->typed ? ""
                             : "; its records carry no schema, so types are told by first values: "
                               "make the table yourself for exact ones");
    return ODS_OK;
}

static enum ods_status add_columns(struct plans *plans, struct plan *plan, struct ddl_table *ddl,
                                   const struct plan_listener *listener, bool *changed,
                                   struct error *error)
{
    if (plan->table->made_by_us && plan->settings->evolve == EVOLVE_ADD) {
        enum ods_status status = ddl_add_columns(plans->conn, ddl, error);
        if (status == ODS_OK)
            status = reload(plans, plan, changed, error);
        for (size_t i = 0; status == ODS_OK && i < ddl->count; i++)
            notice(listener, "added column %s to table %s.%s", ddl->columns[i].name, plan->schema,
                   plan->name);
        listener->result->columns_added += ddl->count;
        return status;
    }
    for (size_t i = 0; i < ddl->count; i++) {
        if (!ddl->columns[i].source)
            return error_set(error, ODS_FATAL,
                             "table %s.%s has no column %s: add it (%s), or turn "
                             "it off with cdc_operation: off / cdc_timestamp: off",
                             plan->schema, plan->name, ddl->columns[i].name, ddl->columns[i].type);
        notice(listener,
               "table %s.%s has no column %s: its values are left out (ods-sink adds "
               "columns only to tables that it made, with evolve: add)",
               plan->schema, plan->name, ddl->columns[i].name);
    }
    return ODS_OK;
}

static enum ods_status complete_table(struct plans *plans, struct plan *plan,
                                      const struct change *change,
                                      const struct plan_listener *listener, bool *changed,
                                      struct error *error)
{
    size_t count;
    struct ddl_column *columns = wanted_columns(plan, change, &count);
    if (!columns)
        return out_of_memory(error);
    struct ddl_table ddl = {.schema = plan->schema,
                            .name = plan->name,
                            .shape = plan->shape,
                            .connector = connector_of(plans, plan->shape),
                            .columns = columns,
                            .count = count};
    enum ods_status status = check_columns(columns, count, error);
    bool missing = !plan->table;
    if (status == ODS_OK && missing)
        status = create_table(plans, plan, &ddl, listener, changed, error);
    else if (status == ODS_OK && count)
        status = add_columns(plans, plan, &ddl, listener, changed, error);
    free(columns);
    /* Another lane may have made it, from a record with fewer columns. */
    return status == ODS_OK && missing
               ? complete_table(plans, plan, change, listener, changed, error)
               : status;
}

static int shape_column_named(const struct shape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}

static enum ods_status map_key(struct plan *plan, struct error *error)
{
    const struct shape *shape = plan->shape;
    const struct strings *configured = &plan->settings->key;
    size_t count = configured->count ? configured->count : shape->key_count;
    if (count > PLAN_MAX_KEY)
        return error_set(error, ODS_FATAL, "table %s: a key of %zu columns; %d is the most",
                         shape->table, count, PLAN_MAX_KEY);
    plan->key_count = 0;
    for (size_t i = 0; i < count; i++) {
        int source = configured->count ? shape_column_named(shape, configured->items[i])
                                       : (int) shape->key[i];
        if (source < 0)
            return error_set(error, ODS_FATAL,
                             "table %s: the records carry no column \"%s\", which "
                             "tables.yaml names in its key",
                             shape->table, configured->items[i]);
        int target = plan->target_of[source];
        if (target < 0)
            return error_set(error, ODS_FATAL,
                             "table %s: key column \"%s\" has no place in %s.%s: "
                             "do not exclude it",
                             shape->table, shape->columns[source].name, plan->schema, plan->name);
        plan->key_source[plan->key_count] = (uint32_t) source;
        plan->key_target[plan->key_count++] = (uint32_t) target;
    }
    if (plan->key_count && plan->table->unique_count &&
        catalog_is_unique(plan->table, plan->key_target, plan->key_count))
        return ODS_OK;
    if (!plan->key_count)
        return ODS_OK;
    return error_set(error, ODS_FATAL,
                     "table %s.%s has no primary key or unique index on exactly "
                     "the key columns of its records (first: \"%s\", %u in all): make one, or name "
                     "the table's own key with key: in tables.yaml",
                     plan->schema, plan->name, plan->table->columns[plan->key_target[0]].name,
                     plan->key_count);
}

static void carry(struct plan *plan, int column)
{
    if (column >= 0)
        plan->columns[column / 64] |= UINT64_C(1) << (column % 64);
}

static enum ods_status map_columns(struct plan *plan, struct error *error)
{
    const struct shape *shape = plan->shape;
    const struct pg_table *table = plan->table;
    free(plan->target_of);
    free(plan->source_of);
    free(plan->columns);
    plan->target_of = malloc((shape->column_count + 1) * sizeof *plan->target_of);
    plan->source_of = malloc((table->column_count + 1) * sizeof *plan->source_of);
    plan->columns = calloc(plan_words(table) + 1, sizeof *plan->columns);
    if (!plan->target_of || !plan->source_of || !plan->columns)
        return out_of_memory(error);
    for (uint32_t i = 0; i < table->column_count; i++)
        plan->source_of[i] = -1;
    for (uint32_t i = 0; i < shape->column_count; i++) {
        const char *name = target_name(plan->settings, shape->columns[i].name);
        int target = name ? catalog_column(table, name) : -1;
        if (target >= 0 && table->columns[target].generated)
            target = -1; /* PostgreSQL computes it itself */
        plan->target_of[i] = target;
        if (target >= 0) {
            plan->source_of[target] = (int32_t) i;
            carry(plan, target);
        }
    }
    const char *operation = plan->settings->cdc_operation;
    const char *timestamp = plan->settings->cdc_timestamp;
    plan->operation_column = operation[0] ? catalog_column(table, operation) : -1;
    plan->timestamp_column = timestamp[0] ? catalog_column(table, timestamp) : -1;
    carry(plan, plan->operation_column);
    carry(plan, plan->timestamp_column);
    return map_key(plan, error);
}

static struct plan **plan_slot(struct plans *plans, uint32_t id)
{
    if (id >= plans->count) {
        size_t larger = plans->count ? plans->count : 64;
        while (larger <= id)
            larger *= 2;
        struct plan **moved = realloc(plans->items, larger * sizeof *moved);
        if (!moved)
            return NULL;
        memset(moved + plans->count, 0, (larger - plans->count) * sizeof *moved);
        plans->items = moved;
        plans->count = larger;
    }
    return &plans->items[id];
}

enum ods_status plan_find(struct plans *plans, const struct change *change,
                          const struct plan_listener *listener, struct plan **found, bool *changed,
                          struct error *error)
{
    struct plan **slot = plan_slot(plans, change->shape->id);
    if (!slot)
        return out_of_memory(error);
    bool good = *slot && ((*slot)->skip || (*slot)->complete);
    if (*slot && !good && !change->after)
        good = (*slot)->table || (*slot)->epoch == plans->epoch;
    if (good) {
        *found = *slot;
        return ODS_OK;
    }
    if (*slot)
        *changed = true; /* earlier changes of the batch have been told of it */
    *changed |= *slot != NULL; /* an earlier change of the batch may point to it */
    plan_free(*slot);
    *slot = NULL;
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return out_of_memory(error);
    plan->shape = change->shape;
    plan->epoch = plans->epoch;
    enum ods_status status = resolve_names(plans, plan, error);
    if (status == ODS_OK && !plan->skip)
        status = catalog_find(plans->catalog, plans->conn, plan->schema, plan->name, &plan->table,
                              error);
    if (status == ODS_OK && !plan->skip && change->after)
        status = complete_table(plans, plan, change, listener, changed, error);
    if (status == ODS_OK && plan->table)
        status = map_columns(plan, error);
    if (status != ODS_OK) {
        plan_free(plan);
        return status;
    }
    plan->complete = change->after != NULL;
    plans->items[change->shape->id] = plan;
    *found = plan;
    return ODS_OK;
}
