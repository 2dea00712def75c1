/* What of a table is compared. See comparison.h. */
#include "verify/comparison.h"

#include <stdlib.h>
#include <string.h>

#define PROBED_PARTITION 1234567
#define PROBED_OFFSET    INT64_C(987654321)

static bool is_listed(const struct strings *names, const char *name)
{
    return strings_contain(names, name);
}

/* --- what depends on the record ------------------------------------------------------------- */


/* Sends a row of NULLs through the transforms as if it came from this record. */
static enum ods_status probe(struct comparison *comparison, const struct record *record,
                             struct value **copy, const struct shape **shape, struct error *error)
{
    struct passage *passage = &comparison->passage;
    const struct change *change = NULL;
    uint32_t count = passage->shape->column_count;
    struct value *row = calloc(count + 1u, sizeof *row);
    if (!row)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < count; i++)
        row[i].kind = VALUE_NULL;
    passage->record = *record;
    passage->batch->probes = true;
    enum ods_status status = passage_row(passage, row, &change, error);
    passage->batch->probes = false;
    *copy = NULL;
    if (status == ODS_OK && change) {
        *shape = change->shape;
        *copy = calloc(change->shape->column_count + 1u, sizeof **copy);
        status = *copy ? ODS_OK : error_out_of_memory(error);
        for (uint32_t i = 0; *copy && i < change->shape->column_count; i++)
            (*copy)[i] = change->after[i];
    }
    free(row);
    return status;
}

/* Columns whose value depends on the record that brought the row are not compared, as the source
 * has no such value. The kind of the value shows which column it is. */
static enum ods_status find_varying(struct comparison *comparison, const struct shape **shape,
                                    bool **varying, struct error *error)
{
    const struct record one = {.topic = "one", .partition = PROBED_PARTITION,
                               .offset = PROBED_OFFSET, .timestamp_ms = 1};
    const struct record other = {.topic = "other", .partition = 1, .offset = 2, .timestamp_ms = 3};
    struct value *first = NULL, *second = NULL;
    enum ods_status status = probe(comparison, &one, &first, shape, error);
    uint32_t count = first ? (*shape)->column_count : 0;
    bool *topics = calloc(count + 1u, sizeof *topics);
    *varying = calloc(count + 1u, sizeof **varying);
    if (!topics || !*varying)
        status = error_out_of_memory(error);
    /* The first row's texts are valid only until the second row begins. */
    for (uint32_t i = 0; status == ODS_OK && i < count; i++)
        topics[i] = first[i].kind == VALUE_TEXT && first[i].length == 3 &&
                    memcmp(first[i].bytes, "one", 3) == 0;
    if (status == ODS_OK && first)
        status = probe(comparison, &other, &second, shape, error);
    for (uint32_t i = 0; status == ODS_OK && second && i < count; i++) {
        (*varying)[i] = topics[i] || (first[i].kind == VALUE_INT && second[i].kind == VALUE_INT &&
                                      first[i].integer != second[i].integer);
        if (topics[i])
            comparison->provenance.topic = (int) i;
        else if (first[i].kind == VALUE_INT && first[i].integer == PROBED_PARTITION)
            comparison->provenance.partition = (int) i;
        else if (first[i].kind == VALUE_INT && first[i].integer == PROBED_OFFSET)
            comparison->provenance.offset = (int) i;
    }
    if (status == ODS_OK && !first)
        status = error_set(error, ODS_REJECT, "the pipeline's transforms leave its rows out, or "
                                              "send them to other tables");
    free(first);
    free(second);
    free(topics);
    return status;
}

/* When the transforms drop deletes, rows that are gone from the source stay in the target, and are
 * no difference. */
static enum ods_status look_at_deletes(struct comparison *comparison, struct error *error)
{
    struct passage *passage = &comparison->passage;
    const struct change *change = NULL;
    struct value *row = calloc(passage->shape->column_count + 1u, sizeof *row);
    if (!row)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < passage->shape->column_count; i++)
        row[i].kind = VALUE_NULL;
    passage->op = OP_DELETE;
    passage->batch->probes = true;
    enum ods_status status = passage_row(passage, row, &change, error);
    passage->batch->probes = false;
    passage->op = OP_CREATE;
    comparison->extras = change && comparison->settings->on_delete != ON_DELETE_IGNORE;
    free(row);
    return status == ODS_REJECT ? ODS_OK : status;
}

/* --- the key -------------------------------------------------------------------------------- */

static int source_column_named(const struct source_table *source, const char *name)
{
    for (uint32_t i = 0; i < source->column_count; i++)
        if (strcmp(source->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}

/* Have both keys the same columns, in any order? */
static bool is_same_key(const struct plan *plan, const struct pg_unique *unique,
                        const struct source_table *source)
{
    uint32_t shared = 0;
    for (uint16_t k = 0; k < unique->count; k++)
        for (uint32_t i = 0; i < source->key_count; i++)
            shared += plan->source_of[unique->columns[k]] == (int32_t) source->key[i];
    return shared == unique->count && shared == source->key_count;
}

/* Chooses the key: that of tables.yaml; else the target's, where it differs from the source's; else
 * the source's. */
static uint32_t choose_key(const struct comparison *comparison, uint32_t *key)
{
    const struct source_table *source = comparison->source;
    const struct plan *plan = comparison->plan;
    const struct strings *configured = &comparison->settings->key;
    uint32_t count = 0;
    for (size_t i = 0; i < configured->count && count < PLAN_MAX_KEY; i++) {
        int column = source_column_named(source, configured->items[i]);
        if (column >= 0)
            key[count++] = (uint32_t) column;
    }
    if (configured->count)
        return count;
    const struct pg_unique *unique = catalog_key(plan->table);
    if (unique && !is_same_key(plan, unique, source)) {
        for (uint16_t k = 0; k < unique->count && k < PLAN_MAX_KEY; k++)
            if (plan->source_of[unique->columns[k]] >= 0 &&
                (uint32_t) plan->source_of[unique->columns[k]] < source->column_count)
                key[count++] = (uint32_t) plan->source_of[unique->columns[k]];
        if (count == unique->count)
            return count;
        count = 0;
    }
    for (uint32_t i = 0; i < source->key_count && count < PLAN_MAX_KEY; i++)
        key[count++] = source->key[i];
    return count;
}

/* Do source and target sort the values of this column in the same order? */
static bool same_order(const struct pg_column *target, const struct form_column *form,
                       const struct column *column)
{
    switch (target->encoding) {
    case ENCODE_INT2:
    case ENCODE_INT4:
    case ENCODE_INT8:
    case ENCODE_NUMERIC:
        return form->form == FORM_INT || (form->form == FORM_NUMBER && column->type == SEM_DECIMAL);
    case ENCODE_DATE:
        return form->form == FORM_DATE;
    case ENCODE_TIMESTAMP:
        return form->form == FORM_TIMESTAMP_MS || form->form == FORM_TIMESTAMP_US;
    case ENCODE_TIMESTAMPTZ:
        return form->form == FORM_MOMENT;
    case ENCODE_BYTEA:
        return form->form == FORM_BYTES || form->form == FORM_HEX;
    case ENCODE_UUID:
        return column->type == SEM_UUID;
    default:
        return false;
    }
}

/* --- columns -------------------------------------------------------------------------------- */

static void add(struct comparison *comparison, uint32_t source, bool key)
{
    const struct plan *plan = comparison->plan;
    uint32_t target = (uint32_t) plan->target_of[source];
    const struct pg_column *column = &plan->table->columns[target];
    bool own = source < comparison->source->column_count;
    struct compared *compared = &comparison->columns[comparison->count++];
    *compared = (struct compared){
        .name = plan->shape->columns[source].name,
        .source = source,
        .target = target,
        .canon = canon_of(column, own && comparison->source->forms[source].is_float),
        .asked = column->encoding == ENCODE_CAST && column->spelling != SPELLING_ONE,
        .redacted = is_listed(&comparison->settings->redact, plan->shape->columns[source].name)};
    comparison->asks |= compared->asked;
    comparison->keys += key;
}

static bool is_added(const struct comparison *comparison, uint32_t source)
{
    for (uint32_t i = 0; i < comparison->count; i++)
        if (comparison->columns[i].source == source)
            return true;
    return false;
}

static bool readable(const struct comparison *comparison, uint32_t source)
{
    return source >= comparison->source->column_count ||
           comparison->source->forms[source].form != FORM_NONE;
}

static enum ods_status add_columns(struct comparison *comparison, const uint32_t *key,
                                   uint32_t key_count, const bool *varying, struct error *error)
{
    const struct plan *plan = comparison->plan;
    struct buffer notes;
    comparison->columns = calloc(plan->shape->column_count + 1u, sizeof *comparison->columns);
    if (!comparison->columns)
        return error_out_of_memory(error);
    buffer_init(&notes);
    comparison->ranges = key_count > 0;
    for (uint32_t k = 0; k < key_count; k++) {
        uint32_t source = key[k];
        if (plan->target_of[source] < 0 || !readable(comparison, source)) {
            buffer_done(&notes);
            return error_set(error, ODS_REJECT, "key column \"%s\" %s",
                             plan->shape->columns[source].name,
                             readable(comparison, source) ? "has no place in the target"
                                                          : "is of a type that verify can't read");
        }
        comparison->order[k] = comparison->count;
        comparison->ranges &=
            same_order(&plan->table->columns[plan->target_of[source]],
                       &comparison->source->forms[source], &plan->shape->columns[source]);
        add(comparison, source, true);
    }
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        const char *name = plan->shape->columns[i].name;
        if (is_added(comparison, i))
            continue;
        if (plan->target_of[i] >= 0 && !varying[i] && readable(comparison, i))
            add(comparison, i, false);
        else if (plan->target_of[i] >= 0 && !readable(comparison, i))
            buffer_printf(&notes, "%scolumn %s is not compared: verify can't read its type",
                          notes.length ? "; " : "", name);
        else if (plan->names[i] && plan->target_of[i] < 0 &&
                 catalog_column(plan->table, plan->names[i]) < 0)
            buffer_printf(&notes, "%scolumn %s is not compared: the target has none of that name",
                          notes.length ? "; " : "", name);
    }
    comparison->notes = notes.failed ? NULL : strdup(buffer_text(&notes));
    buffer_done(&notes);
    return comparison->notes ? ODS_OK : error_out_of_memory(error);
}

/* --- SQL ------------------------------------------------------------------------------------ */

static char *take(struct buffer *sql)
{
    char *text = sql->failed ? NULL : strdup(buffer_text(sql));
    buffer_done(sql);
    return text;
}

static char *list_source(const struct comparison *comparison)
{
    const struct source_table *source = comparison->source;
    struct buffer sql;
    buffer_init(&sql);
    uint32_t count = comparison->whole ? source->column_count : comparison->count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = comparison->whole ? i : comparison->columns[i].source;
        buffer_puts(&sql, i ? ", " : "");
        buffer_puts(&sql, readable(comparison, column) ? source->quoted_columns[column] : "null");
    }
    return take(&sql);
}

static char *list_target(const struct comparison *comparison)
{
    struct buffer sql;
    buffer_init(&sql);
    for (uint32_t i = 0; i < comparison->count; i++)
        buffer_printf(&sql, "%st.%s%s", i ? ", " : "", compared_target(comparison, i)->quoted,
                      compared_target(comparison, i)->encoding == ENCODE_CAST ? "::text" : "");
    return take(&sql);
}

static char *where_target(const struct comparison *comparison)
{
    const struct plan *plan = comparison->plan;
    struct buffer sql;
    buffer_init(&sql);
    if (comparison->settings->on_delete == ON_DELETE_SOFT && plan->operation_column >= 0)
        buffer_printf(&sql, " and t.%s is distinct from 'd'",
                      plan->table->columns[plan->operation_column].quoted);
    return take(&sql);
}

/* --- making one ----------------------------------------------------------------------------- */

static enum ods_status look(struct comparison *comparison, struct plans *plans,
                            const struct shape *shape, struct error *error)
{
    struct plan *plan = NULL;
    enum ods_status status = plan_look(plans, shape, &plan, error);
    if (status != ODS_OK)
        return status == ODS_FATAL ? ODS_REJECT : status;
    comparison->plan = plan;
    comparison->settings = plan->settings;
    if (plan->skip)
        return error_set(error, ODS_REJECT, "tables.yaml says skip");
    if (!table_keeps_rows(plan->settings))
        return error_set(error, ODS_REJECT, "only its history is kept (mode: history)");
    if (!plan->table)
        return error_set(error, ODS_REJECT, "the target has no table %s.%s", plan->schema,
                         plan->name);
    return ODS_OK;
}

static bool fill_sql(struct comparison *comparison)
{
    comparison->source_list = list_source(comparison);
    comparison->target_list = list_target(comparison);
    comparison->target_where = where_target(comparison);
    return comparison->source_list && comparison->target_list && comparison->target_where;
}

/* The shape of the source's table. */
static struct shape shape_of(const struct database *database, const struct source_table *source,
                             const char *topic)
{
    return (struct shape){.topic = topic,
                          .database = source->database,
                          .schema = source->schema,
                          .table = source->name,
                          .connector = database->ops->connector,
                          .typed = true,
                          .column_count = source->column_count,
                          .columns = source->columns,
                          .key_count = source->key_count,
                          .key = source->key};
}

/* The target's column for a column of the shape that a transform sets; -1: there is none. */
static int provenance_column(const struct plan *plan, int column)
{
    return column < 0 ? -1 : plan->target_of[column];
}

/* The plan of a shape without a key does not require one in the target. */
static enum ods_status forget_key(const struct passage *passage, const struct shape **shape,
                                  struct error *error)
{
    struct shape bare = **shape;
    bare.key_count = 0;
    *shape = shape_intern(passage->shapes, &bare);
    return *shape ? ODS_OK : error_out_of_memory(error);
}

/* Is it the shape's table, "table" or "schema.table"? */
static bool is_named(const struct shape *shape, const char *name)
{
    return strcmp(shape->table, name) == 0 ||
           table_name_is_qualified(name, *shape->schema ? shape->schema : shape->database,
                                   shape->table);
}

enum ods_status comparison_leads(const struct pipeline_settings *pipeline,
                                 const struct database *database,
                                 const struct source_table *source, const char *topic,
                                 const char *routed, bool *leads, struct error *error)
{
    struct comparison probing = {.pipeline = pipeline, .source = source};
    const struct shape candidate = shape_of(database, source, topic);
    const struct record record = {.topic = topic, .timestamp_ms = 1};
    const struct shape *shape = NULL;
    struct value *row = NULL;
    *leads = false;
    enum ods_status status = passage_open(&probing.passage, pipeline, &candidate, error);
    if (status == ODS_OK) {
        probing.passage.batch->probed = routed;
        status = probe(&probing, &record, &row, &shape, error);
        *leads = status == ODS_OK && row && is_named(shape, routed);
    }
    free(row);
    passage_close(&probing.passage);
    if (status != ODS_REJECT)
        return status;
    error_init(error);
    return ODS_OK;
}

enum ods_status comparison_open(struct comparison *comparison,
                                const struct pipeline_settings *pipeline,
                                const struct database *database, const struct source_table *source,
                                const char *topic, const char *routed, struct plans *plans,
                                struct error *error)
{
    uint32_t key[PLAN_MAX_KEY], key_count = 0;
    const struct shape *shape = NULL;
    bool *varying = NULL;
    *comparison = (struct comparison){
        .pipeline = pipeline, .source = source, .provenance = {-1, -1, -1}};
    const struct shape candidate = shape_of(database, source, topic);
    enum ods_status status = passage_open(&comparison->passage, pipeline, &candidate, error);
    comparison->whole = comparison->passage.transforms != NULL;
    if (status == ODS_OK)
        comparison->passage.batch->probed = routed;
    if (status == ODS_OK)
        status = find_varying(comparison, &shape, &varying, error);
    comparison->passage.wanted = shape;
    if (status == ODS_OK)
        status = forget_key(&comparison->passage, &shape, error);
    if (status == ODS_OK)
        status = look(comparison, plans, shape, error);
    if (status == ODS_OK && comparison->settings->keyless == KEYLESS_APPEND &&
        !comparison->settings->key.count && !source->key_count)
        status = error_set(error, ODS_REJECT, "keyless: append keeps every change as a row");
    if (status == ODS_OK)
        status = look_at_deletes(comparison, error);
    if (status == ODS_OK) {
        key_count = choose_key(comparison, key);
        status = add_columns(comparison, key, key_count, varying, error);
    }
    if (status == ODS_OK) {
        struct provenance *from = &comparison->provenance;
        from->topic = provenance_column(comparison->plan, from->topic);
        from->partition = provenance_column(comparison->plan, from->partition);
        from->offset = provenance_column(comparison->plan, from->offset);
        if (!fill_sql(comparison))
            status = error_out_of_memory(error);
    }
    free(varying);
    if (status != ODS_OK)
        comparison_close(comparison);
    return status;
}

void comparison_close(struct comparison *comparison)
{
    free(comparison->columns);
    free(comparison->source_list);
    free(comparison->target_list);
    free(comparison->target_where);
    free(comparison->notes);
    passage_close(&comparison->passage);
    *comparison = (struct comparison){0};
}
