/* Columns that follow the source. See columns.h. */
#include "sink/lake/columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/history.h>

/* A column as it should be: of the source, or of the sink's own. */
struct wish {
    char *name; /* on the heap */
    struct lake_typed type;
    char format[LAKE_FORMAT_BYTES];
    int32_t source; /* the shape's column; -1: the sink's own */
};

struct wishes {
    struct wish *items;
    size_t count;
    bool failed;
};

static void add_wish(struct wishes *wishes, const char *name, const struct lake_typed *type,
                     int32_t source)
{
    struct wish *wish = &wishes->items[wishes->count++];
    *wish = (struct wish){.name = strdup(name), .type = *type, .source = source};
    lake_type_format(type, wish->format);
    wishes->failed |= !wish->name;
}

static void wishes_done(struct wishes *wishes)
{
    for (size_t i = 0; wishes->items && i < wishes->count; i++)
        free(wishes->items[i].name);
    free(wishes->items);
}

static bool is_wished(const struct wishes *wishes, const char *name)
{
    for (size_t i = 0; i < wishes->count; i++)
        if (wishes->items[i].name && strcmp(wishes->items[i].name, name) == 0)
            return true;
    return false;
}

/* Those of a history that this shape does not tell are there too. */
static void wish_history(const struct lake_plan *plan, struct wishes *wishes)
{
    static const struct {
        const char *name;
        enum lake_type type;
    } columns[] = {
        [HISTORY_OP] = {"op", LAKE_STRING},
        [HISTORY_TIMESTAMP] = {"cdc_timestamp", LAKE_TIMESTAMPTZ},
        [HISTORY_TOPIC] = {"topic", LAKE_STRING},
        [HISTORY_PARTITION] = {"partition", LAKE_INT32},
        [HISTORY_OFFSET] = {"offset", LAKE_INT64},
        [HISTORY_PART] = {"part", LAKE_INT32},
        [HISTORY_LSN] = {"lsn", LAKE_INT64},
        [HISTORY_FILE] = {"binlog_file", LAKE_STRING},
        [HISTORY_POS] = {"binlog_pos", LAKE_INT64},
        [HISTORY_ROW] = {"binlog_row", LAKE_INT32},
        [HISTORY_GTID] = {"gtid", LAKE_STRING},
        [HISTORY_TX] = {"tx_id", LAKE_STRING},
        [HISTORY_TX_ORDER] = {"tx_order", LAKE_INT64},
        [HISTORY_UNCHANGED] = {"unchanged", LAKE_STRING},
        [HISTORY_BEFORE] = {"before", LAKE_STRING},
        [HISTORY_INGESTED] = {"ingested_at", LAKE_TIMESTAMPTZ},
    };
    uint32_t own = plan->shape->history_of->column_count;
    for (size_t i = 0; i < HISTORY_COLUMN_COUNT; i++) {
        const struct lake_typed type = {.type = columns[i].type};
        char name[200];
        int32_t source = -1;
        snprintf(name, sizeof name, "%s%s",
                 i == HISTORY_TIMESTAMP ? "" : plan->settings->history.prefix, columns[i].name);
        for (uint32_t k = own; k < plan->shape->column_count; k++)
            if (strcmp(plan->names[k], name) == 0)
                source = (int32_t) k;
        add_wish(wishes, name, &type, source);
    }
}

/* Of a column without a type its first value tells. */
static bool make_wishes(struct lake_plan *plan, const struct change *change, struct wishes *wishes)
{
    const struct shape *shape = plan->shape;
    const struct lake_typed text = {.type = LAKE_STRING}, moment = {.type = LAKE_TIMESTAMPTZ};
    uint32_t own = shape->history_of ? shape->history_of->column_count : shape->column_count;
    *wishes = (struct wishes){
        .items = calloc(shape->column_count + HISTORY_COLUMN_COUNT + 2u, sizeof *wishes->items)};
    if (!wishes->items)
        return false;
    plan->incomplete = false;
    for (uint32_t i = 0; i < own; i++) {
        const struct value *image = change->after ? change->after : change->before;
        const struct value *sample = image && image[i].kind > VALUE_NULL ? &image[i] : NULL;
        if (!plan->names[i])
            continue;
        struct lake_typed type = lake_type_made(&plan->sources[i], sample);
        if (plan->sources[i].column.type == SEM_UNKNOWN && !sample) {
            plan->incomplete = true;
            type.type = LAKE_OTHER; /* nothing is asked for, what is there is used */
        }
        add_wish(wishes, plan->names[i], &type, (int32_t) i);
    }
    if (shape->history_of)
        wish_history(plan, wishes);
    else if (*plan->settings->cdc_operation)
        add_wish(wishes, plan->settings->cdc_operation, &text, -1);
    if (!shape->history_of && *plan->settings->cdc_timestamp)
        add_wish(wishes, plan->settings->cdc_timestamp, &moment, -1);
    return !wishes->failed;
}

/* --- asking the engine ------------------------------------------------------------------------ */

/* Names and formats side by side, as the engine's calls want them. */
struct asked {
    const char **names, **formats, **key;
    struct lake_wanted wanted;
};

static void asked_done(struct asked *asked)
{
    free(asked->names);
    free(asked->formats);
    free(asked->key);
}

static bool ask(struct asked *asked, const struct lake_plan *plan, const struct wishes *wishes)
{
    *asked = (struct asked){.names = calloc(wishes->count + 1, sizeof *asked->names),
                            .formats = calloc(wishes->count + 1, sizeof *asked->formats),
                            .key = calloc(plan->key_count + 1, sizeof *asked->key)};
    if (!asked->names || !asked->formats || !asked->key) {
        asked_done(asked);
        return false;
    }
    size_t count = 0;
    for (size_t i = 0; i < wishes->count; i++) {
        if (wishes->items[i].type.type == LAKE_OTHER)
            continue;
        asked->names[count] = wishes->items[i].name;
        asked->formats[count++] = wishes->items[i].format;
    }
    for (uint32_t i = 0; i < plan->key_count; i++)
        asked->key[i] = plan->names[plan->key[i]];
    asked->wanted = (struct lake_wanted){.names = asked->names,
                                         .formats = asked->formats,
                                         .count = count,
                                         .key = asked->key,
                                         .key_count = plan->key_count,
                                         .appends = plan->appends,
                                         .comment = "made by ods-sink"};
    return true;
}

static enum ods_status open_table(struct lake_plan *plan, struct lake_table *table,
                                  const struct wishes *wishes, const struct change *change,
                                  struct error *error)
{
    struct asked asked;
    for (size_t i = 0; i < wishes->count; i++)
        for (uint32_t k = 0; k < plan->key_count; k++)
            if (wishes->items[i].source == (int32_t) plan->key[k] &&
                (wishes->items[i].type.type == LAKE_FLOAT ||
                 wishes->items[i].type.type == LAKE_DOUBLE))
                return error_set(error, ODS_REJECT,
                                 "table %s/%s: column \"%s\" is a float, which can't be in a key "
                                 "of the lake: name another key with key: in tables.yaml",
                                 plan->schema, plan->name, wishes->items[i].name);
    if (!ask(&asked, plan, wishes))
        return error_out_of_memory(error);
    asked.wanted.unkeyed = change->op == OP_TRUNCATE;
    asked.wanted.create = change->after && !change->derived && plan->settings->create_tables;
    enum ods_status status = lake_table_open(table, &asked.wanted, error);
    asked_done(&asked);
    if (status == ODS_OK && !table->handle && change->after)
        status = error_set(error, ODS_REJECT,
                           "table %s/%s is not there, and create_tables is false: make it, or name "
                           "another with target: in tables.yaml",
                           plan->schema, plan->name);
    return status;
}

/* --- what is to be changed -------------------------------------------------------------------- */

int lake_column_newest(const struct lake_columns *columns, const char *name, unsigned *version)
{
    char later[300];
    int found = lake_table_column(columns, name);
    *version = 1;
    for (unsigned next = 2; found >= 0 && next < 1000; next++) {
        snprintf(later, sizeof later, "%s__v%u", name, next);
        int at = lake_table_column(columns, later);
        if (at < 0)
            break;
        found = at;
        *version = next;
    }
    return found;
}

static bool add_change(struct wishes *changes, const char *name, const struct lake_typed *type,
                       uint64_t *count)
{
    if (!is_wished(changes, name)) {
        add_wish(changes, name, type, -1);
        ++*count;
    }
    return !changes->failed;
}

/* What the table lacks, as far as `evolve` lets it be made. */
static bool compare(const struct lake_plan *plan, const struct lake_table *table,
                    const struct wishes *wishes, struct wishes *changes, uint64_t *added,
                    uint64_t *widened)
{
    enum evolve evolve = plan->settings->evolve;
    *changes = (struct wishes){.items = calloc(wishes->count + 1, sizeof *changes->items)};
    bool good = changes->items;
    for (size_t i = 0; good && i < wishes->count && evolve != EVOLVE_NONE; i++) {
        const struct wish *wish = &wishes->items[i];
        struct lake_typed wider;
        unsigned version;
        char later[300];
        int at = lake_column_newest(table->columns, wish->name, &version);
        if (wish->type.type == LAKE_OTHER)
            continue;
        if (at < 0) {
            good = add_change(changes, wish->name, &wish->type, added);
            continue;
        }
        enum lake_widening widening =
            lake_type_widen(&table->columns->items[at].type, &wish->type, &wider);
        if (widening == LAKE_WIDER && table->store->iceberg &&
            !lake_type_promotes(&table->columns->items[at].type, &wider))
            widening = LAKE_OTHERWISE;
        if (widening == LAKE_WIDER && evolve >= EVOLVE_WIDEN)
            good = add_change(changes, table->columns->items[at].name, &wider, widened);
        if (widening == LAKE_OTHERWISE && evolve == EVOLVE_FULL) {
            snprintf(later, sizeof later, "%s__v%u", wish->name, version + 1);
            good = add_change(changes, later, &wish->type, added);
        }
    }
    return good;
}

static enum ods_status evolve(struct lake_plan *plan, struct lake_table *table,
                              const struct wishes *wishes, const struct apply_hooks *hooks,
                              struct apply_result *result, struct error *error)
{
    struct wishes changes;
    struct asked asked;
    uint64_t added = 0, widened = 0;
    enum ods_status status = ODS_OK;
    if (!compare(plan, table, wishes, &changes, &added, &widened) ||
        (changes.count && !ask(&asked, plan, &changes)))
        status = error_out_of_memory(error);
    else if (changes.count) {
        status = lake_table_evolve(table, &asked.wanted, error);
        asked_done(&asked);
    }
    for (size_t i = 0; status == ODS_OK && i < changes.count; i++)
        lake_table_tell(table, hooks, "added or widened the column %s", changes.items[i].name);
    if (status == ODS_OK) {
        result->columns_added += added;
        result->columns_changed += widened;
    }
    wishes_done(&changes);
    return status;
}

static enum ods_status map(struct lake_plan *plan, const struct lake_table *table,
                           const struct wishes *wishes, struct error *error)
{
    const struct lake_columns *columns = table->columns;
    plan->source_of = calloc(columns->count + 1u, sizeof *plan->source_of);
    plan->in_key = calloc(columns->count + 1u, sizeof *plan->in_key);
    if (!plan->source_of || !plan->in_key)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < columns->count; i++)
        plan->source_of[i] = -1;
    for (size_t i = 0; i < wishes->count; i++) {
        unsigned version;
        int at = lake_column_newest(columns, wishes->items[i].name, &version);
        if (at >= 0 && wishes->items[i].source >= 0)
            plan->source_of[at] = wishes->items[i].source;
    }
    for (uint32_t i = 0; i < plan->key_count; i++)
        if (lake_table_column(columns, plan->names[plan->key[i]]) < 0)
            return error_set(error, ODS_REJECT,
                             "table %s/%s has no column \"%s\", which is in the key of its records",
                             plan->schema, plan->name, plan->names[plan->key[i]]);
    return ODS_OK;
}

enum ods_status lake_columns_follow(struct lake_plan *plan, struct lake_table *table,
                                    const struct change *change, const struct apply_hooks *hooks,
                                    struct apply_result *result, struct error *error)
{
    struct wishes wishes;
    if (!make_wishes(plan, change, &wishes)) {
        wishes_done(&wishes);
        return error_out_of_memory(error);
    }
    bool was_open = table->handle;
    enum ods_status status = open_table(plan, table, &wishes, change, error);
    if (status == ODS_OK && table->handle && change->after)
        status = evolve(plan, table, &wishes, hooks, result, error);
    if (status == ODS_OK && table->handle)
        status = map(plan, table, &wishes, error);
    if (status == ODS_OK && table->handle && !was_open && plan->appends)
        lake_table_tell(table, hooks, "opened to append");
    else if (status == ODS_OK && table->handle && !was_open)
        lake_table_opened(table, hooks);
    wishes_done(&wishes);
    return status;
}
