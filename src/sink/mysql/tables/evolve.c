/* Following the source's schema: a shape is compared with the table when it is first met, before
 * any row of its batch is written. Only tables that the sink made are changed, and in them only
 * columns whose type nobody else has changed since. The comparison is made again under the lock,
 * with the table as it is then: of several lanes and processes one changes it, and the others find
 * it changed.
 *
 * Where no type holds both the old and the new values, `evolve: full` keeps the old column as
 * "<name>__v1" beside a new one, and records of the older shape go on into it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/mysql/tables/ddl.h"
#include "sink/mysql/tables/names.h"

#define KEPT_MAX         100 /* how often one column may be renamed for a new one */
#define KEY_BYTES        3072 /* of an InnoDB index */
#define KEY_PART_BYTES   64 /* more than a part that is neither text nor binary takes */
#define KEY_LENGTH       255
#define CHARACTER_BYTES  4

struct survey {
    struct mysql_plan *plan;
    const struct change *change;
    struct mysql_ddl_change *changes;
    size_t count;
    char **kept; /* names to which the changes point */
    size_t kept_count;
    uint32_t key_room;
};

static void notice(const struct mysql_plan_listener *listener, const char *format, ...)
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

static const struct value *sample_of(const struct survey *survey, uint32_t column)
{
    return survey->change->after ? &survey->change->after[column] : NULL;
}

/* How many characters or bytes each text or binary of the key may have: 255, or as many as fit into
 * an index together. */
static uint32_t key_room(const struct survey *survey)
{
    const struct mysql_plan *plan = survey->plan;
    uint32_t texts = 0, taken = 0;
    bool binary;
    for (uint32_t i = 0; i < plan->column_count; i++) {
        struct mysql_making making = {.source = &plan->sources[i], .sample = sample_of(survey, i)};
        struct mysql_typed typed;
        char room[MYSQL_TYPE_BYTES];
        if (!plan->names[i] || !mysql_plan_is_key(plan, i))
            continue;
        if (mysql_type_needs_room(making.source, making.sample, &binary)) {
            texts++;
            continue;
        }
        mysql_type_made(&making, room);
        mysql_typed_read(&typed, room);
        taken += typed.type == MYSQL_IS_CHAR || typed.type == MYSQL_IS_VARCHAR
                     ? (uint32_t) typed.length * CHARACTER_BYTES
                     : KEY_PART_BYTES;
    }
    if (!texts || taken >= KEY_BYTES)
        return KEY_LENGTH;
    uint32_t room = (KEY_BYTES - taken) / texts / CHARACTER_BYTES;
    return room < KEY_LENGTH ? room : KEY_LENGTH;
}

static void type_of(const struct survey *survey, uint32_t column, char room[MYSQL_TYPE_BYTES])
{
    const struct mysql_plan *plan = survey->plan;
    struct mysql_making making = {.source = &plan->sources[column],
                                  .sample = sample_of(survey, column),
                                  .key = mysql_plan_is_key(plan, column),
                                  .key_room = survey->key_room};
    mysql_type_made(&making, room);
}

static struct mysql_ddl_change *add(struct survey *survey, enum mysql_ddl_kind kind,
                                    uint32_t column)
{
    struct mysql_ddl_change *change = &survey->changes[survey->count++];
    *change = (struct mysql_ddl_change){.kind = kind,
                                        .name = survey->plan->names[column],
                                        .source = &survey->plan->sources[column],
                                        .key = mysql_plan_is_key(survey->plan, column)};
    type_of(survey, column, change->type);
    return change;
}

static bool has_source_column(const struct mysql_plan *plan, const char *name)
{
    for (uint32_t i = 0; i < plan->column_count; i++)
        if (plan->names[i] && strcasecmp(plan->names[i], name) == 0)
            return true;
    return false;
}

static enum ods_status refuse(const struct survey *survey, uint32_t column,
                              const struct mysql_column *there, const char *wanted,
                              struct error *error)
{
    error->fault = FAULT_TABLE;
    return error_set(error, ODS_REJECT,
                     "table %s.%s: the source's type of column %s has become %s, which a column of "
                     "type %s can't take; evolve: full keeps the column aside and makes a new one",
                     survey->plan->schema, survey->plan->name, survey->plan->names[column], wanted,
                     there->column_type);
}

static bool holds(const struct mysql_column *column, const struct mysql_typed *wanted)
{
    struct mysql_typed have;
    char wider[MYSQL_TYPE_BYTES];
    mysql_typed_column(&have, column);
    return column->type_ours && mysql_widen(&have, wanted, wider) == MYSQL_FITS;
}

/* The values go into a column that was kept, or the present one is to be kept and a new one made.
 */
static enum ods_status survey_other(struct survey *survey, uint32_t column,
                                    const struct mysql_column *there, const char *type,
                                    struct error *error)
{
    struct mysql_plan *plan = survey->plan;
    struct mysql_typed wanted;
    mysql_typed_read(&wanted, type);
    if (plan->settings->evolve != EVOLVE_FULL)
        return refuse(survey, column, there, type, error);
    for (unsigned number = 1; number <= KEPT_MAX; number++) {
        char *name = mysql_name_kept(plan->names[column], number);
        if (!name)
            return error_out_of_memory(error);
        int older = mysql_table_column(plan->table, name);
        if (older >= 0 && holds(&plan->table->columns[older], &wanted)) {
            free(plan->names[column]); /* an older record: its values go into the kept column */
            plan->names[column] = name;
            return ODS_OK;
        }
        if (older < 0 && !has_source_column(plan, name)) {
            struct mysql_ddl_change *keep = add(survey, MYSQL_DDL_KEEP, column);
            keep->there = there;
            keep->kept = survey->kept[survey->kept_count++] = name;
            add(survey, MYSQL_DDL_ADD, column)->unfilled = true;
            return ODS_OK;
        }
        free(name);
    }
    return refuse(survey, column, there, type, error);
}

static enum ods_status survey_type(struct survey *survey, uint32_t column,
                                   const struct mysql_column *there, struct error *error)
{
    const struct mysql_plan *plan = survey->plan;
    struct mysql_typed have, wanted;
    char type[MYSQL_TYPE_BYTES], wider[MYSQL_TYPE_BYTES];
    if (!there->type_ours || there->key_position ||
        plan->sources[column].column.type == SEM_UNKNOWN)
        return ODS_OK;
    type_of(survey, column, type);
    mysql_typed_column(&have, there);
    mysql_typed_read(&wanted, type);
    switch (mysql_widen(&have, &wanted, wider)) {
    case MYSQL_FITS:
        return ODS_OK;
    case MYSQL_WIDER: /* where it may not be widened, each value that fits goes in */
        if (plan->settings->evolve >= EVOLVE_WIDEN) {
            struct mysql_ddl_change *retype = add(survey, MYSQL_DDL_RETYPE, column);
            retype->there = there;
            snprintf(retype->type, sizeof retype->type, "%s", wider);
        }
        return ODS_OK;
    default:
        return survey_other(survey, column, there, type, error);
    }
}

static enum ods_status survey_column(struct survey *survey, uint32_t column, struct error *error)
{
    const struct mysql_plan *plan = survey->plan;
    int at = plan->table ? mysql_table_column(plan->table, plan->names[column]) : -1;
    if (at < 0) {
        add(survey, MYSQL_DDL_ADD, column);
        return ODS_OK;
    }
    if (!plan->table->ours)
        return ODS_OK;
    const struct mysql_column *there = &plan->table->columns[at];
    size_t before = survey->count;
    enum ods_status status = survey_type(survey, column, there, error);
    if (status != ODS_OK || plan->settings->evolve < EVOLVE_WIDEN || there->nullable ||
        there->key_position || !there->ours || !plan->sources[column].column.optional)
        return status;
    /* One statement about a column says its type and whether it may be NULL. */
    if (survey->count == before)
        add(survey, MYSQL_DDL_RELAX, column)->there = there;
    else
        survey->changes[before].relaxes = true;
    return ODS_OK;
}

/* The sink's own columns, for operation and time. */
static void survey_own(struct survey *survey)
{
    const struct mysql_plan *plan = survey->plan;
    const char *own[][2] = {{plan->settings->cdc_operation, "char(1)"},
                            {plan->settings->cdc_timestamp, "datetime(6)"}};
    for (size_t i = 0; i < 2; i++) {
        if (!own[i][0][0] || (plan->table && mysql_table_column(plan->table, own[i][0]) >= 0))
            continue;
        struct mysql_ddl_change *change = &survey->changes[survey->count++];
        *change = (struct mysql_ddl_change){.kind = MYSQL_DDL_ADD, .name = own[i][0]};
        snprintf(change->type, sizeof change->type, "%s", own[i][1]);
    }
}

/* Columns that the source no longer sends: they must allow NULL for rows without them. */
static void survey_gone(struct survey *survey)
{
    const struct mysql_plan *plan = survey->plan;
    if (!plan->table || !plan->table->ours || plan->settings->evolve < EVOLVE_WIDEN)
        return;
    for (uint32_t i = 0; i < plan->table->column_count; i++) {
        const struct mysql_column *column = &plan->table->columns[i];
        if (column->ours && !column->nullable && !column->has_default && !column->key_position &&
            !has_source_column(plan, column->name))
            survey->changes[survey->count++] = (struct mysql_ddl_change){
                .kind = MYSQL_DDL_RELAX, .name = column->name, .there = column};
    }
}

static void survey_done(struct survey *survey)
{
    while (survey->kept_count)
        free(survey->kept[--survey->kept_count]);
    free(survey->changes);
    free(survey->kept);
    survey->changes = NULL;
    survey->kept = NULL;
    survey->count = 0;
}

static enum ods_status look(struct survey *survey, struct error *error)
{
    struct mysql_plan *plan = survey->plan;
    survey_done(survey);
    size_t most = plan->column_count * 3u + 3 + (plan->table ? plan->table->column_count : 0);
    survey->changes = calloc(most, sizeof *survey->changes);
    survey->kept = calloc(plan->column_count + 1u, sizeof *survey->kept);
    survey->key_room = key_room(survey);
    enum ods_status status = survey->changes && survey->kept ? ODS_OK : error_out_of_memory(error);
    for (uint32_t i = 0; status == ODS_OK && i < plan->column_count; i++)
        if (plan->names[i])
            status = survey_column(survey, i, error);
    if (status == ODS_OK) {
        survey_own(survey);
        survey_gone(survey);
    }
    return status;
}

/* --- what is done about it ------------------------------------------------------------------ */

static bool may_change(const struct mysql_plan *plan)
{
    return !plan->table || (plan->table->ours && plan->settings->evolve >= EVOLVE_ADD);
}

/* Somebody else made the table, or the settings forbid to change it: it is used as it is. */
static enum ods_status leave_out(const struct survey *survey,
                                 const struct mysql_plan_listener *listener, struct error *error)
{
    const struct mysql_plan *plan = survey->plan;
    for (size_t i = 0; i < survey->count; i++) {
        const struct mysql_ddl_change *change = &survey->changes[i];
        if (!change->source && change->kind == MYSQL_DDL_ADD)
            return error_set(error, ODS_FATAL,
                             "table %s.%s has no column %s: add it (%s), or turn it off with "
                             "cdc_operation: off / cdc_timestamp: off",
                             plan->schema, plan->name, change->name, change->type);
        if (change->kind == MYSQL_DDL_ADD)
            notice(listener,
                   "table %s.%s has no column %s: its values are left out (ods-sink adds columns "
                   "only to tables that it made, with evolve: add)",
                   plan->schema, plan->name, change->name);
    }
    return ODS_OK;
}

static bool has_unknown(const struct mysql_plan *plan)
{
    for (uint32_t i = 0; i < plan->column_count; i++)
        if (plan->names[i] && plan->sources[i].column.type == SEM_UNKNOWN)
            return true;
    return false;
}

static void count(const struct survey *survey, bool created,
                  const struct mysql_plan_listener *listener)
{
    listener->result->tables_created += created;
    for (size_t i = 0; !created && i < survey->count; i++)
        if (survey->changes[i].kind == MYSQL_DDL_ADD)
            listener->result->columns_added++;
        else
            listener->result->columns_changed++;
    if (created && has_unknown(survey->plan))
        notice(listener,
               "table %s.%s: its records carry no schema, so types are told by first values: make "
               "the table yourself, or name them in source_types, for exact ones",
               survey->plan->schema, survey->plan->name);
}

static enum ods_status make(struct survey *survey, struct mysql_ddl *ddl,
                            struct mysql_plans *plans, bool *stale, struct error *error)
{
    struct mysql_plan *plan = survey->plan;
    enum ods_status status = mysql_plan_reload(plans, plan, stale, error);
    if (status == ODS_OK)
        status = look(survey, error);
    if (status != ODS_OK || !survey->count || !may_change(plan))
        return status;
    bool created = !plan->table;
    status = created ? mysql_ddl_create(ddl, survey->changes, survey->count, error)
                     : mysql_ddl_alter(ddl, survey->changes, survey->count, error);
    if (status == ODS_OK)
        count(survey, created, ddl->listener);
    return status;
}

static enum ods_status change_table(struct survey *survey, struct mysql_plans *plans,
                                    const struct mysql_plan_listener *listener, bool *stale,
                                    struct error *error)
{
    struct mysql_plan *plan = survey->plan;
    struct mysql_ddl ddl = {.conn = plans->ddl,
                            .plan = plan,
                            .listener = listener,
                            .shared = plan->settings->pattern &&
                                      !mysql_name_is_derived(plan->settings)};
    if (!plan->table && !plan->settings->create_tables)
        return error_set(error, ODS_FATAL,
                         "the target has no table %s.%s: make it, or set create_tables: true, or "
                         "skip: true for this table",
                         plan->schema, plan->name);
    enum ods_status status = mysql_ddl_begin(&ddl, error);
    if (status == ODS_OK) {
        status = make(survey, &ddl, plans, stale, error);
        mysql_ddl_end(&ddl);
    }
    if (status == ODS_OK)
        status = mysql_plan_reload(plans, plan, stale, error);
    if (status == ODS_OK && !plan->table)
        status = error_set(error, ODS_RETRY, "table %s.%s went away while it was made",
                           plan->schema, plan->name);
    return status == ODS_OK ? look(survey, error) : status;
}

/* The table's owner may have added what is missing since it was read. Only then is it read into the
 * catalog again, which frees the plans of other shapes: they come here too, and each would have the
 * others come again. */
static enum ods_status look_again(struct survey *survey, struct mysql_plans *plans, bool *stale,
                                  struct error *error)
{
    bool changed = false;
    enum ods_status status =
        mysql_catalog_changed(plans->conn, survey->plan->table, &changed, error);
    if (status != ODS_OK || !changed)
        return status;
    status = mysql_plan_reload(plans, survey->plan, stale, error);
    return status == ODS_OK ? look(survey, error) : status;
}

enum ods_status mysql_evolve(struct mysql_plans *plans, struct mysql_plan *plan,
                             const struct change *change,
                             const struct mysql_plan_listener *listener, bool *stale,
                             struct error *error)
{
    struct survey survey = {.plan = plan, .change = change};
    enum ods_status status = look(&survey, error);
    if (status == ODS_OK && survey.count && !may_change(plan))
        status = look_again(&survey, plans, stale, error);
    if (status == ODS_OK && survey.count && may_change(plan))
        status = change_table(&survey, plans, listener, stale, error);
    if (status == ODS_OK && survey.count)
        status = leave_out(&survey, listener, error);
    survey_done(&survey);
    return status;
}
