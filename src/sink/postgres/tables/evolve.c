/* Following the source's schema. See evolve.h.
 *
 * A shape is compared with the table when it is first met. That is before any row of its batch is
 * written, so the changed table is ready for the rows that need it. Only tables that the sink made
 * are changed, and in them only columns whose type nobody else has changed since. The comparison is
 * made again under the lock, with the table as it is then: of several lanes and processes one
 * changes it, and the others find it changed.
 *
 * Sometimes no type holds both the old and the new values (a date where numbers were). With evolve:
 * full the old column is renamed to "<name>__v1" and a new one takes its name. Records of the older
 * shape, which other partitions may still bring, are written to the renamed column. Without evolve:
 * full the new values are refused, each with its record.
 */
#include "sink/postgres/tables/evolve.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/ddl.h"
#include "sink/postgres/tables/history.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/origin.h"
#include "sink/postgres/tables/rehearsal.h"
#include "sink/postgres/tables/rekey.h"
#include "sink/postgres/tables/widen.h"

#define KEPT_MAX 100 /* how often one column may be renamed for a new one */

/* What a table needs for a shape. */
struct survey {
    struct plans *plans;
    struct plan *plan;
    const struct change *change; /* NULL: nothing is made or changed */
    struct ddl_table table;
    struct ddl_change *changes;
    size_t count;
    struct buffer rekey; /* the SQL of a DDL_REKEY */
    char **kept; /* names to which the changes point */
    size_t kept_count;
};

static void notice(const struct plan_listener *listener, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    if (!listener->notice)
        return;
    va_start(arguments, format);
    int length = vasprintf(&text, format, arguments);
    va_end(arguments);
    listener->notice(listener->context, length < 0 ? "out of memory" : text);
    if (length >= 0)
        free(text);
}

/* --- what is needed ------------------------------------------------------------------------- */

static bool has_row(const struct survey *survey)
{
    return survey->change && survey->change->after;
}

/* Is the column in the primary key that the table keeps? Then it can't be NULL, whatever the source
 * says. */
static bool is_in_primary(const struct survey *survey, uint32_t column)
{
    const struct pg_unique *key = catalog_key(survey->plan->table);
    for (uint16_t k = 0; key && key->primary && !survey->rekey.length && k < key->count; k++)
        if (key->columns[k] == column)
            return true;
    return false;
}

static struct ddl_change *add(struct survey *survey, enum ddl_kind kind, uint32_t column)
{
    const struct plan *plan = survey->plan;
    struct ddl_change *change = &survey->changes[survey->count++];
    *change = (struct ddl_change){
        .kind = kind,
        .column = {.name = plan->names[column],
                   .source = &plan->sources[column],
                   .sample = has_row(survey) ? &survey->change->after[column] : NULL,
                   .key = plan_is_key(plan, column)}};
    return change;
}

static bool has_source_column(const struct plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (plan->names[i] && strcmp(plan->names[i], name) == 0)
            return true;
    return false;
}

static enum ods_status refuse(struct plan *plan, uint32_t column, const char *have,
                              const char *wanted, struct error *error)
{
    char *why = NULL;
    const char *remedy = plan_is_key(plan, column)
                             ? "it is part of the key, so give the table another one"
                             : "evolve: full keeps the column aside and makes a new one";
    if (asprintf(&why, "the source's type has become %s, which a column of type %s can't take; %s",
                 wanted, have, remedy) < 0)
        return error_out_of_memory(error);
    free(plan->refusals[column]);
    plan->refusals[column] = why;
    plan->sources[column].refusal = why;
    return ODS_OK;
}

/* The target's column of this name can't take the values: they go into a column that was kept, or
 * the present one is to be kept and a new one made. */
static enum ods_status survey_other(struct survey *survey, uint32_t column, int there,
                                    const char *wanted, struct error *error)
{
    struct plan *plan = survey->plan;
    const struct pg_column *target = &plan->table->columns[there];
    if (plan->settings->evolve != EVOLVE_FULL || plan_is_key(plan, column))
        return refuse(plan, column, target->declared, wanted, error);
    for (unsigned number = 1; number <= KEPT_MAX; number++) {
        char wider[DDL_TYPE_BYTES], *name = name_kept(plan->names[column], number);
        if (!name)
            return error_out_of_memory(error);
        int older = catalog_column(plan->table, name);
        if (older >= 0 && plan->table->columns[older].type_ours &&
            widen(plan->table->columns[older].declared, wanted, wider, sizeof wider) ==
                WIDEN_FITS) {
            free(plan->names[column]); /* an older record: its values go into the kept column */
            plan->names[column] = name;
            return ODS_OK;
        }
        if (older < 0 && !has_source_column(plan, name)) {
            struct ddl_change *keep = add(survey, DDL_KEEP, column);
            keep->there = target;
            keep->kept = survey->kept[survey->kept_count++] = name;
            add(survey, DDL_ADD, column)->column.unfilled = true;
            return ODS_OK;
        }
        free(name);
    }
    return refuse(plan, column, target->declared, wanted, error);
}

static enum ods_status survey_type(struct survey *survey, uint32_t column, int there,
                                   struct error *error)
{
    const struct plan *plan = survey->plan;
    const struct pg_column *target = &plan->table->columns[there];
    struct ddl_column wanted = {.source = &plan->sources[column]};
    char room[DDL_TYPE_BYTES], wider[DDL_TYPE_BYTES];
    if (!target->type_ours || plan->sources[column].column.type == SEM_UNKNOWN)
        return ODS_OK;
    const char *type = ddl_type(&survey->table, &wanted, room, sizeof room);
    switch (widen(target->declared, type, wider, sizeof wider)) {
    case WIDEN_FITS:
        return ODS_OK;
    case WIDEN_WIDER:
        /* A history's rows are never written again: what would rewrite them stands beside. */
        if (plan->shape->history_of && !widen_keeps_rows(target->declared, wider))
            return survey_other(survey, column, there, type, error);
        /* Where the column may not be widened, the encoder takes each value that fits. */
        if (plan->settings->evolve >= EVOLVE_WIDEN && !plan->rigid) {
            struct ddl_change *retype = add(survey, DDL_RETYPE, column);
            retype->there = target;
            snprintf(retype->type, sizeof retype->type, "%s", wider);
        } else if (survey->plans->conn->rehearsal && !plan->rigid) {
            rehearsal_tell_narrow(survey->plans->conn->rehearsal, plan->schema, plan->name, target,
                                  wider);
        }
        return ODS_OK;
    default:
        return survey_other(survey, column, there, type, error);
    }
}

static enum ods_status survey_column(struct survey *survey, uint32_t column, struct error *error)
{
    const struct plan *plan = survey->plan;
    int there = plan->table ? catalog_column(plan->table, plan->names[column]) : -1;
    if (there < 0) {
        add(survey, DDL_ADD, column);
        return ODS_OK;
    }
    if (!plan->table->made_by_us)
        return ODS_OK;
    const struct pg_column *target = &plan->table->columns[there];
    if (plan->settings->evolve >= EVOLVE_WIDEN && target->ours && target->not_null &&
        !plan_is_key(plan, column) && !is_in_primary(survey, (uint32_t) there) &&
        plan->sources[column].column.optional)
        add(survey, DDL_RELAX, column)->there = target;
    return survey_type(survey, column, there, error);
}

/* The sink's own columns, for operation and time. */
static void survey_own(struct survey *survey)
{
    const struct plan *plan = survey->plan;
    if (plan->shape->history_of) {
        for (size_t i = 0; i < HISTORY_COLUMN_COUNT; i++)
            if (!plan->table || catalog_column(plan->table, survey->table.added[i]) < 0)
                survey->changes[survey->count++] = (struct ddl_change){
                    .kind = DDL_ADD,
                    .column = {.name = survey->table.added[i], .type = history_columns[i].type}};
        return;
    }
    const char *own[][2] = {{plan->settings->cdc_operation, "text"},
                            {plan->settings->cdc_timestamp, "timestamp with time zone"}};
    for (size_t i = 0; i < 2; i++)
        if (own[i][0][0] && !(plan->table && catalog_column(plan->table, own[i][0]) >= 0))
            survey->changes[survey->count++] = (struct ddl_change){
                .kind = DDL_ADD, .column = {.name = own[i][0], .type = own[i][1]}};
}

/* Columns that the source no longer sends: they must allow NULL for rows without them. */
static void survey_gone(struct survey *survey)
{
    const struct plan *plan = survey->plan;
    if (!plan->table || !plan->table->made_by_us || plan->settings->evolve < EVOLVE_WIDEN)
        return;
    for (uint32_t i = 0; i < plan->table->column_count; i++) {
        const struct pg_column *column = &plan->table->columns[i];
        if (column->ours && column->not_null && !column->has_default &&
            !is_in_primary(survey, i) && !has_source_column(plan, column->name))
            survey->changes[survey->count++] = (struct ddl_change){
                .kind = DDL_RELAX, .column = {.name = column->name}, .there = column};
    }
}

/* A change of the key comes first in the list: a column that leaves the key may then be NULL. */
static enum ods_status survey_key(struct survey *survey, struct error *error)
{
    bool due = false;
    buffer_reset(&survey->rekey);
    /* A tombstone's key need not be the key of the table's rows. */
    if (!survey->change || survey->change->tombstone || survey->plan->key_stays ||
        survey->plan->shape->history_of)
        return ODS_OK;
    enum ods_status status = rekey_is_due(survey->plan, survey->plans->conn, &due, error);
    if (status != ODS_OK || !due)
        return status;
    rekey_put(&survey->rekey, survey->plan);
    survey->changes[survey->count++] =
        (struct ddl_change){.kind = DDL_REKEY, .text = buffer_text(&survey->rekey)};
    return survey->rekey.failed ? error_out_of_memory(error) : ODS_OK;
}

static void forget(struct survey *survey)
{
    while (survey->kept_count)
        free(survey->kept[--survey->kept_count]);
    survey->count = 0;
}

static void survey_done(struct survey *survey)
{
    forget(survey);
    free(survey->changes);
    free(survey->kept);
    buffer_done(&survey->rekey);
    survey->changes = NULL;
    survey->kept = NULL;
}

static enum ods_status look(struct survey *survey, struct error *error)
{
    struct plan *plan = survey->plan;
    const struct shape *shape = plan->shape;
    survey_done(survey);
    size_t most = shape->column_count * 3u + 3 + HISTORY_COLUMN_COUNT +
                  (plan->table ? plan->table->column_count : 0);
    survey->changes = calloc(most, sizeof *survey->changes);
    survey->kept = calloc(shape->column_count + 1u, sizeof *survey->kept);
    enum ods_status status = survey->changes && survey->kept ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK)
        status = survey_key(survey, error);
    for (uint32_t i = 0; status == ODS_OK && i < shape->column_count; i++) {
        plan->sources[i].refusal = NULL;
        if (plan->names[i] && !plan_is_added(plan, i))
            status = survey_column(survey, i, error);
    }
    if (status == ODS_OK) {
        survey_own(survey);
        survey_gone(survey);
    }
    if (survey->change && !has_row(survey)) /* a delete needs only its key */
        survey->count = survey->rekey.length ? 1 : 0;
    return status;
}

/* --- what is done about it ------------------------------------------------------------------ */

/* Somebody else made the table, or the settings forbid to change it: it is used as it is. */
static enum ods_status leave_out(const struct survey *survey, const struct plan_listener *listener,
                                 struct error *error)
{
    const struct plan *plan = survey->plan;
    for (size_t i = 0; i < survey->count; i++) {
        const struct ddl_column *column = &survey->changes[i].column;
        if (!column->source)
            return error_set(error, ODS_FATAL,
                             "table %s.%s has no column %s: add it (%s)%s", plan->schema,
                             plan->name, column->name, column->type,
                             plan->shape->history_of
                                 ? ", or give the history another table (history.name)"
                                 : ", or turn it off with cdc_operation: off / cdc_timestamp: off");
        notice(listener,
               "table %s.%s has no column %s: its values are left out (ods-sink adds columns only "
               "to tables that it made, with evolve: add)",
               plan->schema, plan->name, column->name);
    }
    return ODS_OK;
}

static bool has_unknown(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (plan->names[i] && plan->sources[i].column.type == SEM_UNKNOWN)
            return true;
    return false;
}

static void tell(const struct survey *survey, const struct ddl *ddl, bool created,
                 const struct plan_listener *listener)
{
    const char *at = ddl->statements.bytes, *end = at + ddl->statements.length;
    for (; !ddl->conn->rehearsal && at < end; at += strlen(at) + 1)
        notice(listener, "%s (topic %s partition %d offset %lld)", at, ddl->cause->topic,
               (int) ddl->cause->partition, (long long) ddl->cause->offset);
    if (created && has_unknown(survey->plan))
        notice(listener,
               "table %s.%s: its records carry no schema, so types are told by first values: make "
               "the table yourself, or name them in source_types, for exact ones",
               survey->plan->schema, survey->plan->name);
    listener->result->tables_created += created;
    for (size_t i = 0; !created && i < survey->count; i++)
        if (survey->changes[i].kind == DDL_ADD)
            listener->result->columns_added++;
        else
            listener->result->columns_changed++;
}

/* Was the change of a type refused because, for example, a view depends on the column? Then the
 * column keeps its type and takes the values that fit. */
static bool is_held(const struct survey *survey, const struct error *error)
{
    bool retypes = false;
    for (size_t i = 0; i < survey->count; i++)
        retypes |= survey->changes[i].kind == DDL_RETYPE;
    return retypes && (strcmp(error->code, "0A000") == 0 || /* feature not supported */
                       strcmp(error->code, "2BP01") == 0 || /* dependent objects */
                       strcmp(error->code, "42501") == 0);  /* not the table's owner */
}

static bool has_rekey(const struct survey *survey)
{
    return survey->count && survey->changes[0].kind == DDL_REKEY;
}

/* The table can't get the new key: some of its rows share one or lack one, or another table refers
 * to the old key. It keeps the old one, and the changes are refused with that reason. */
static enum ods_status keep_key(struct survey *survey, struct error *error)
{
    struct plan *plan = survey->plan;
    plan->key_stays = rekey_why_not(plan, survey->plans->conn, error);
    error_init(error);
    return plan->key_stays ? ODS_OK : error_out_of_memory(error);
}

static bool may_change(const struct plan *plan)
{
    return !plan->table || (plan->table->made_by_us && plan->settings->evolve != EVOLVE_NONE);
}

/* Makes or changes the table. Called under the lock. */
static enum ods_status make(struct survey *survey, struct ddl *ddl,
                            const struct plan_listener *listener, bool *changed,
                            struct error *error)
{
    struct plan *plan = survey->plan;
    bool there = plan->table;
    enum ods_status status = plan_reload(survey->plans, plan, changed, error);
    if (status == ODS_OK && plan->table && !there) /* made by another lane, perhaps for another */
        status = origin_claim(plan, survey->plans->config->group, plan->shape->topic,
                              survey->plans->conn, error);
    if (status == ODS_OK)
        status = look(survey, error);
    if (status != ODS_OK || !survey->count || !may_change(plan)) {
        ddl_abort(ddl);
        return status;
    }
    bool create = !plan->table;
    if (create)
        status = ddl_create(ddl, survey->changes, survey->count, error);
    if (create && status == ODS_OK && survey->plan->shape->history_of)
        history_put_rest(ddl, survey->plan);
    if (create && status == ODS_OK && !survey->plans->conn->rehearsal)
        origin_put_first(&ddl->script, plan, survey->plans->conn);
    if (!create && survey->plan->shape->history_of)
        history_put_drop_view(ddl);
    if (!create)
        status = ddl_alter(ddl, survey->changes, survey->count, error);
    if (status != ODS_OK) {
        ddl_abort(ddl);
        return status;
    }
    status = ddl_commit(ddl, error);
    if (status == ODS_OK)
        tell(survey, ddl, create, listener);
    else if (has_rekey(survey) && (status == ODS_REJECT || strncmp(error->code, "23", 2) == 0))
        return keep_key(survey, error);
    else if (is_held(survey, error)) {
        notice(listener, "%s; the column keeps its type, and values that it can't hold are refused",
               error->text);
        plan->rigid = true;
        return ODS_OK;
    }
    return status;
}

static enum ods_status change_table(struct survey *survey, struct plan_listener *listener,
                                    bool *changed, struct error *error)
{
    struct plan *plan = survey->plan;
    const struct record *cause = &listener->batch->records[survey->change->record];
    struct ddl ddl;
    listener->later = has_rekey(survey) && *changed && listener->count;
    if (listener->later)
        return error_set(error, ODS_REJECT, "other plans have to be found again first");
    if (has_rekey(survey) && plan_comes_first(listener, plan->table)) {
        listener->waits = true;
        return error_set(error, ODS_REJECT,
                         "table %s.%s: its key changes; what comes before is applied first",
                         plan->schema, plan->name);
    }
    if (!plan->table && !plan->settings->create_tables)
        return error_set(error, ODS_FATAL,
                         "the target has no table %s.%s: make it, or set create_tables: true, or "
                         "skip: true for this table",
                         plan->schema, plan->name);
    enum ods_status status = ddl_begin(&ddl, survey->plans->conn, &survey->table, cause, error);
    if (status == ODS_OK)
        status = make(survey, &ddl, listener, changed, error);
    else
        ddl_abort(&ddl);
    ddl_done(&ddl);
    if (status == ODS_OK)
        status = plan_reload(survey->plans, plan, changed, error);
    if (status == ODS_OK && !plan->table)
        status = error_set(error, ODS_RETRY, "table %s.%s went away while it was made",
                           plan->schema, plan->name);
    return status == ODS_OK ? look(survey, error) : status;
}

/* The table's owner may have added what is missing since it was read, so it is read again. That is
 * done once in a batch: it discards the plans of other shapes of the batch, which then come here
 * too. */
static enum ods_status look_again(struct survey *survey, bool *changed, struct error *error)
{
    struct plan *plan = survey->plan;
    if (plan->table->reread == survey->plans->epoch)
        return ODS_OK;
    enum ods_status status = plan_reload(survey->plans, plan, changed, error);
    return status == ODS_OK ? look(survey, error) : status;
}

enum ods_status evolve_table(struct plans *plans, struct plan *plan, const struct change *change,
                             struct plan_listener *listener, bool *changed, struct error *error)
{
    struct survey survey = {.plans = plans,
                            .plan = plan,
                            .change = change,
                            .table = {.schema = plan->schema,
                                      .name = plan->name,
                                      .shape = plan->shape,
                                      .connector = plan->shape->connector[0]
                                                       ? plan->shape->connector
                                                       : plans->config->pipeline->source.connector,
                                      .extras = plans->catalog->extras,
                                      .shared = plan->settings->pattern &&
                                                !name_is_derived(plan->settings),
                                      .compression = plans->making->toast_compression}};
    struct history_names names;
    enum ods_status status = catalog_read_extras(plans->catalog, plans->conn, error);
    if (status == ODS_OK && plan->shape->history_of)
        history_names_fill(&names, plan->settings);
    survey.table.added = names.names;
    survey.table.parted = plan->settings->history.partition != PARTITION_NONE;
    if (status == ODS_OK)
        status = look(&survey, error);
    if (status == ODS_OK && change && survey.count && !may_change(plan))
        status = look_again(&survey, changed, error);
    /* A second time for the other changes when a type could not be changed. */
    for (int tries = 0; status == ODS_OK && change && survey.count && tries < 2; tries++) {
        if (!may_change(plan)) {
            status = leave_out(&survey, listener, error);
            break;
        }
        status = change_table(&survey, listener, changed, error);
    }
    survey_done(&survey);
    return status;
}
