/* From shape to table: names, columns, key. See plan.h. */
#include "sink/postgres/tables/plan.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/postgres/tables/evolve.h"
#include "sink/postgres/tables/follow.h"
#include "sink/postgres/tables/history.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/origin.h"
#include "sink/postgres/tables/rekey.h"

/* How long a refused table waits until it is looked at again, which takes one query, or once more
 * the DDL that PostgreSQL has refused. */
#define ASK_AGAIN_US INT64_C(5000000)
#define TRY_AGAIN_US INT64_C(60000000)

void plans_init(struct plans *plans, const struct sink_config *config,
                const struct making_settings *making, struct catalog *catalog, struct conn *conn)
{
    *plans = (struct plans){.config = config, .making = making, .catalog = catalog, .conn = conn};
}

static void plan_free(struct plan *plan)
{
    if (!plan)
        return;
    for (uint32_t i = 0; plan->names && i < plan->column_count; i++)
        free(plan->names[i]);
    for (uint32_t i = 0; plan->refusals && i < plan->column_count; i++)
        free(plan->refusals[i]);
    free(plan->names);
    for (uint32_t i = 0; plan->meets && i < plan->column_count; i++)
        free(plan->meets[i]);
    free(plan->meets);
    free(plan->refusals);
    free(plan->refusal);
    free(plan->own_settings);
    free(plan->key_stays);
    free(plan->sources);
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

/* Frees the plans that point to a table which is about to be read again. */
static void forget_table(struct plans *plans, const struct pg_table *table)
{
    for (size_t i = 0; i < plans->count; i++)
        if (plans->items[i] && table && plans->items[i]->table == table) {
            plan_free(plans->items[i]);
            plans->items[i] = NULL;
        }
}

static const char *source_database(const struct shape *shape)
{
    return shape->schema[0] ? shape->schema : shape->database;
}

/* Does no schema of the source name the column? A record has brought its name then. */
static bool is_of_record(const struct plan *plan, uint32_t column)
{
    const struct column *source = &plan->shape->columns[column];
    return !plan_is_added(plan, column) &&
           (plan->shape->literal || (source->type == SEM_UNKNOWN && !source->source_type));
}

/* The plan goes on without the column; rows that have a value in it are refused by `why`. */
static enum ods_status set_aside(struct plan *plan, uint32_t column, struct error *why)
{
    if (!plan->meets)
        plan->meets = calloc(plan->column_count + 1u, sizeof *plan->meets);
    struct error *kept = plan->meets ? malloc(sizeof *kept) : NULL;
    if (!kept)
        return error_out_of_memory(why);
    *kept = *why;
    kept->fault = FAULT_TABLE;
    error_init(why);
    plan->meets[column] = kept;
    free(plan->names[column]);
    plan->names[column] = NULL;
    return ODS_OK;
}

/* What else the column's name stands for: an earlier column, `column` itself for one of the sink's
 * own, or -1. */
static int64_t meets(const struct plan *plan, uint32_t column)
{
    const char *name = plan->names[column];
    if (!name)
        return -1;
    if (strcmp(name, plan->settings->cdc_operation) == 0 ||
        strcmp(name, plan->settings->cdc_timestamp) == 0)
        return column;
    for (uint32_t i = 0; i < column; i++)
        if (plan->names[i] && strcmp(name, plan->names[i]) == 0)
            return i;
    return -1;
}

/* Two columns of the source must not go into one column of the target. Where the source's schema
 * has both, every row of the table has them, and the lane stops for the configuration. Where a
 * record has brought one, other rows may be without: those with a value in it are at fault, or all
 * of the shape if it is in their key. */
static enum ods_status check_names(struct plan *plan, struct error *error)
{
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        const struct column *columns = plan->shape->columns;
        int64_t met = meets(plan, i);
        if (met < 0)
            continue;
        uint32_t other = (uint32_t) met, aside = is_of_record(plan, i) ? i : other;
        bool own = other == i, of_record = is_of_record(plan, aside);
        error_set(error, of_record ? ODS_REJECT : ODS_FATAL,
                  "table %s: columns \"%.80s\" and \"%.80s\" would both be named \"%s\": rename "
                  "one with columns.rename in tables.yaml, or leave it out with columns.exclude%s",
                  plan->shape->table, own ? "the sink's own column" : columns[other].name,
                  columns[i].name, plan->names[i],
                  plan->shape->history_of ? ", or set history.prefix" : "");
        if (!of_record)
            return ODS_FATAL;
        if (plan_is_key(plan, aside))
            return ODS_REJECT;
        enum ods_status status = set_aside(plan, aside, error);
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

/* The shape's columns as this plan reads and names them. */
static enum ods_status resolve_columns(const struct plans *plans, struct plan *plan,
                                       struct error *error)
{
    const struct shape *shape = plan->shape;
    enum ods_status status = ODS_OK;
    enum connector connector = connector_named(
        shape->connector[0] ? shape->connector : plans->config->pipeline->source.connector);
    plan->sources = calloc(shape->column_count + 1u, sizeof *plan->sources);
    plan->names = calloc(shape->column_count + 1u, sizeof *plan->names);
    plan->refusals = calloc(shape->column_count + 1u, sizeof *plan->refusals);
    if (!plan->sources || !plan->names || !plan->refusals)
        return error_out_of_memory(error);
    for (uint32_t i = 0; status == ODS_OK && i < shape->column_count; i++) {
        struct source_column *source = &plan->sources[i];
        source->column = shape->columns[i];
        source->literal = shape->literal && !plan_is_added(plan, i);
        source->connector = connector;
        source->strip_nul = plan->settings->nul == NUL_STRIP;
        source->zero_is_null =
            plan->settings->zero_dates == ZERO_DATES_NULL && !plan_is_key(plan, i);
        source->inexact = plan_is_key(plan, i) ? INEXACT_REJECT : plan->settings->inexact;
        /* Without a schema any column may be NULL, unless the schema topic knows the column. */
        source->column.optional |=
            source->column.type == SEM_UNKNOWN && !source->column.source_type;
        source_column_correct(source,
                       properties_find(&plan->settings->source_types, source->column.name));
        status = plan_is_added(plan, i)
                     ? history_name(plan->settings, source->column.name, &plan->names[i], error)
                     : name_column(plan->settings, source->column.name, &plan->names[i], error);
    }
    return status == ODS_OK ? check_names(plan, error) : status;
}

static enum ods_status resolve_names(struct plans *plans, struct plan *plan, struct error *error)
{
    const struct shape *shape = plan->shape;
    plan->settings = pipeline_table(plans->config->pipeline, source_database(shape), shape->table);
    plan->configured = plan->settings;
    plan->skip = plan->settings->skip;
    if (plan->skip)
        return ODS_OK;
    enum ods_status status = ODS_OK;
    if (shape->history_of) {
        plan->own_settings = history_settings_of(plan->settings);
        if (!plan->own_settings)
            return error_out_of_memory(error);
        plan->settings = plan->own_settings;
        status = history_name_table(plan->settings, shape, &plan->schema, &plan->name, error);
    } else {
        status = name_table(plan->settings, shape, &plan->schema, &plan->name, error);
    }
    return status == ODS_OK ? resolve_columns(plans, plan, error) : status;
}

static bool is_configured_key(const struct plan *plan, uint32_t column)
{
    const struct strings *key = &plan->settings->key;
    for (size_t i = 0; i < key->count; i++)
        if (strcmp(key->items[i], plan->shape->columns[column].name) == 0)
            return true;
    return false;
}

bool plan_is_key(const struct plan *plan, uint32_t column)
{
    if (plan->settings->key.count)
        return is_configured_key(plan, column);
    for (uint32_t k = 0; k < plan->shape->key_count; k++)
        if (plan->shape->key[k] == column)
            return true;
    return false;
}

enum ods_status plan_reload(struct plans *plans, struct plan *plan, bool *changed,
                            struct error *error)
{
    *changed |= plan->table != NULL;
    struct pg_table *stale = plan->table;
    plan->table = NULL; /* or forget_table() would free this very plan */
    forget_table(plans, stale);
    enum ods_status status =
        catalog_reload(plans->catalog, plans->conn, plan->schema, plan->name, &plan->table, error);
    if (status == ODS_OK && plan->table)
        plan->table->reread = plans->epoch;
    return status;
}

static int shape_column_named(const struct shape *shape, const char *name)
{
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (strcmp(shape->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}

/* The record has no column of this name, which the configured key names. Where the table has the
 * column, the fault is this record's, and others may be right. Where it has not, the configuration
 * is wrong. */
static enum ods_status lacks_key(const struct plan *plan, const char *column, struct error *error)
{
    char *name = NULL;
    enum ods_status status = name_column(plan->settings, column, &name, error);
    bool known = name && catalog_column(plan->table, name) >= 0;
    free(name);
    if (status != ODS_OK)
        return status;
    return error_set(error, known ? ODS_REJECT : ODS_FATAL,
                     "table %s: the record%s no column \"%s\", which tables.yaml names in its key",
                     plan->shape->table, known ? " carries" : "s carry", column);
}

/* Key columns are kept in the table's order, whatever their order in the record. */
void plan_add_key(struct plan *plan, uint32_t source, uint32_t target)
{
    enum spelling spelling = plan->table->columns[target].spelling;
    uint32_t at = plan->key_count++;
    for (; at && plan->key_target[at - 1] > target; at--) {
        plan->key_source[at] = plan->key_source[at - 1];
        plan->key_target[at] = plan->key_target[at - 1];
    }
    plan->key_source[at] = source;
    plan->key_target[at] = target;
    plan->spelt |= spelling != SPELLING_ONE;
    plan->asks |= spelling == SPELLING_ASK;
}

static enum ods_status map_key(struct plan *plan, struct error *error)
{
    const struct shape *shape = plan->shape;
    const struct strings *configured = &plan->settings->key;
    size_t count = configured->count ? configured->count : shape->key_count;
    if (shape->history_of)
        return history_map_key(plan, error);
    if (count > PLAN_MAX_KEY)
        return error_set(error, ODS_FATAL, "table %s: a key of %zu columns; %d is the most",
                         shape->table, count, PLAN_MAX_KEY);
    plan->key_count = 0;
    plan->spelt = plan->asks = false;
    if (!shape->column_count) /* the shape of a truncate, which names no row */
        return ODS_OK;
    for (size_t i = 0; i < count; i++) {
        int source = configured->count ? shape_column_named(shape, configured->items[i])
                                       : (int) shape->key[i];
        if (source < 0)
            return lacks_key(plan, configured->items[i], error);
        int target = plan->target_of[source];
        const char *name = plan->names[source];
        if (target < 0 && name && catalog_column(plan->table, name) < 0)
            return rekey_refuse(plan, plan->key_stays, error);
        if (target < 0)
            return error_set(error, ODS_FATAL,
                             "table %s: key column \"%s\" has no place in %s.%s: "
                             "do not exclude it",
                             shape->table, shape->columns[source].name, plan->schema, plan->name);
        plan_add_key(plan, (uint32_t) source, (uint32_t) target);
    }
    if (plan->key_count && plan->table->is_view) /* the view's triggers decide what is one row */
        return ODS_OK;
    if (plan->key_count && plan->table->unique_count &&
        catalog_is_unique(plan->table, plan->key_target, plan->key_count))
        return ODS_OK;
    if (!plan->key_count)
        return ODS_OK;
    /* A tombstone whose key is not the key of the rows is this record's fault. */
    if (plan->tombstone && plan->table->unique_count)
        return error_set(error, ODS_REJECT,
                         "table %s.%s has no primary key or unique index on exactly the key "
                         "columns of this tombstone (first: \"%s\", %u in all): name the table's "
                         "own key with key: in tables.yaml, or make one",
                         plan->schema, plan->name, plan->table->columns[plan->key_target[0]].name,
                         plan->key_count);
    return rekey_refuse(plan, plan->key_stays, error);
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
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < table->column_count; i++)
        plan->source_of[i] = -1;
    for (uint32_t i = 0; i < shape->column_count; i++) {
        int target = plan->names[i] ? catalog_column(table, plan->names[i]) : -1;
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

/* PostgreSQL refuses the table or the columns that this shape needs. It may accept them later, when
 * somebody has removed the cause; until then the changes of this table are refused, and those of
 * other tables are applied. */
static enum ods_status plan_refuse(struct plan *plan, struct error *error)
{
    plan->refusal = malloc(sizeof *plan->refusal);
    if (!plan->refusal)
        return error_out_of_memory(error);
    *plan->refusal = *error;
    plan->refusal->fault = FAULT_TABLE;
    bool tried = plan->key_stays || error->code[0];
    error_init(error);
    plan->ask_again_us = time_monotonic_us() + (tried ? TRY_AGAIN_US : ASK_AGAIN_US);
    plan->table = NULL;
    return ODS_OK;
}

bool plan_comes_first(const struct plan_listener *listener, const struct pg_table *table)
{
    for (uint32_t i = 0; i < listener->count; i++)
        if (listener->plans[i] && listener->plans[i]->table == table &&
            !listener->batch->changes[i].rejected)
            return true;
    return false;
}

/* The table's owner may have removed the cause of the refusal, so it is read again, once in a
 * batch. */
static enum ods_status read_again(struct plans *plans, struct plan *plan, bool *changed,
                                  struct error *error)
{
    if (!plan->table || plan->table->reread == plans->epoch)
        return ODS_OK;
    return plan_reload(plans, plan, changed, error);
}

/* Stores the plan's source for its table, and that this topic brings it. */
static enum ods_status note_topic(struct plans *plans, struct plan *plan, const char *topic,
                                  struct error *error)
{
    for (uint32_t i = 0; i < plan->topic_count; i++)
        if (plan->topics[i] == topic)
            return ODS_OK;
    if (plan->topic_count == PLAN_MAX_TOPICS)
        return ODS_OK;
    enum ods_status status = origin_claim(plan, plans->config->group, topic, plans->conn, error);
    if (status == ODS_OK)
        plan->topics[plan->topic_count++] = topic;
    return status;
}

static enum ods_status resolve(struct plans *plans, struct plan *plan, const struct change *change,
                               struct plan_listener *listener, bool again, bool *changed,
                               struct error *error)
{
    const char *topic = listener->batch->records[change->record].topic;
    enum ods_status status = resolve_names(plans, plan, error);
    if (status == ODS_OK && !plan->skip)
        status = catalog_find(plans->catalog, plans->conn, plan->schema, plan->name, &plan->table,
                              error);
    if (status == ODS_OK && !plan->skip && again)
        status = read_again(plans, plan, changed, error);
    bool there = status == ODS_OK && plan->table;
    if (there)
        status = note_topic(plans, plan, topic, error);
    bool row = change->after && !change->derived; /* of a tombstone the table may be a wrong one */
    bool acts = row || (plan->table && change->op == OP_DELETE && change->before);
    if (status == ODS_OK && !plan->skip && (plan->table || row))
        status = evolve_table(plans, plan, acts ? change : NULL, listener, changed, error);
    if (status == ODS_OK && plan->table && !there) /* made now, by us or by another lane */
        status = note_topic(plans, plan, topic, error);
    if (status == ODS_OK && plan->table)
        status = map_columns(plan, error);
    if (status == ODS_OK && plan->table && plan->shape->history_of)
        return history_note(plan, plans->conn, error);
    if (status == ODS_OK && plan->table)
        status = rekey_look(plan, plans->conn, error);
    if (status == ODS_OK && plan->table && (plan->settings->outbox || plan->table->followed))
        status = follow_table(plan, plans->conn, error);
    return status;
}

/* A refusal is reported once, and not each time that the table is looked at again. */
static void tell_refusal(const struct plan_listener *listener, const struct plan *plan,
                         const char *said)
{
    if (listener->notice && strcmp(said, plan->refusal->text) != 0)
        listener->notice(listener->context, plan->refusal->text);
}

enum ods_status plan_find(struct plans *plans, const struct change *change,
                          struct plan_listener *listener, struct plan **found, bool *changed,
                          struct error *error)
{
    struct plan **slot = plan_slot(plans, change->shape->id);
    if (!slot)
        return error_out_of_memory(error);
    bool good = *slot && ((*slot)->skip || (*slot)->complete);
    if (*slot && !good && !change->after)
        good = (*slot)->table || (*slot)->refusal || (*slot)->epoch == plans->epoch;
    if (good && (*slot)->refusal)
        good = (*slot)->epoch == plans->epoch || time_monotonic_us() < (*slot)->ask_again_us;
    if (good) {
        const char *topic = listener->batch->records[change->record].topic;
        *found = *slot;
        /* Another topic may bring the same table. */
        return (*slot)->topic_count && (*slot)->topics[0] != topic
                   ? note_topic(plans, *slot, topic, error)
                   : ODS_OK;
    }
    *changed |= *slot != NULL; /* an earlier change of the batch may point to it */
    char said[ERROR_TEXT_BYTES] = "";
    bool again = *slot && (*slot)->refusal;
    if (again)
        memcpy(said, (*slot)->refusal->text, sizeof said);
    plan_free(*slot);
    *slot = NULL;
    struct plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return error_out_of_memory(error);
    plan->shape = change->shape;
    plan->column_count = change->shape->column_count;
    plan->epoch = plans->epoch;
    plan->tombstone = change->tombstone && change->shape->column_count == change->shape->key_count;
    enum ods_status status = resolve(plans, plan, change, listener, again, changed, error);
    if (status == ODS_REJECT && !listener->waits && !listener->later) {
        status = plan_refuse(plan, error);
        if (status == ODS_OK)
            tell_refusal(listener, plan, said);
    }
    if (status != ODS_OK) {
        plan_free(plan);
        return status;
    }
    plan->complete = change->after != NULL && !change->derived;
    plans->items[change->shape->id] = plan;
    *found = plan;
    return ODS_OK;
}

/* Has map_key() found every column of the key in the table? */
static bool has_key(const struct plan *plan)
{
    size_t count = plan->settings->key.count ? plan->settings->key.count : plan->shape->key_count;
    return plan->key_count == count;
}

enum ods_status plan_look(struct plans *plans, const struct shape *shape, struct plan **found,
                          struct error *error)
{
    struct plan **slot = plan_slot(plans, shape->id);
    struct plan *plan = calloc(1, sizeof *plan);
    if (!slot || !plan) {
        free(plan);
        return error_out_of_memory(error);
    }
    plan_free(*slot);
    *found = *slot = plan;
    plan->shape = shape;
    plan->column_count = shape->column_count;
    enum ods_status status = resolve_names(plans, plan, error);
    if (status == ODS_OK && !plan->skip)
        status = catalog_find(plans->catalog, plans->conn, plan->schema, plan->name, &plan->table,
                              error);
    if (status != ODS_OK || !plan->table)
        return status;
    status = map_columns(plan, error);
    if (status == ODS_REJECT && has_key(plan)) {
        error_init(error);
        status = ODS_OK;
    }
    return status;
}
