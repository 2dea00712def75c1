/* Rows of a source and those of a table. See compare.h. */
#include "sink/lake/compare.h"

#include <stdlib.h>
#include <string.h>

#include "sink/lake/columns.h"
#include "sink/lake/encode.h"

#define ROWS        10000                   /* that the engine takes at once */
#define SLICE_ROWS  INT64_C(5000000)        /* of which the hashes are in memory at a time */
#define SHOWN       1000                    /* differences that are named */
#define ARENA_BYTES ((size_t) 1024 * 1024)

struct lake_progress {
    struct sink_config config;
    struct lake_store *store;
};

struct lake_compare {
    struct lake_progress *progress;
    struct lake_plan *plan;
    struct lake_table *table; /* only read */
    bool by_counts;
    char *place;
    struct buffer left_out;
    uint32_t count; /* of what is compared: */
    int32_t *source_of;
    bool *in_key;
    const char **names;
    struct lake_array *arrays;
    struct apply_result result;
    struct arena arena;
    struct lake_encoding encoding;
};

/* --- how far the pipeline is ------------------------------------------------------------------ */

enum ods_status lake_progress_open(struct lake_progress **made, const struct sink_config *config,
                                   const char *format, struct error *error)
{
    struct lake_progress *progress = calloc(1, sizeof *progress);
    *made = NULL;
    if (!progress)
        return error_out_of_memory(error);
    progress->config = *config;
    enum ods_status status = lake_store_open(&progress->store, config, format, error);
    if (status == ODS_OK)
        *made = progress;
    else
        free(progress);
    return status;
}

void lake_progress_close(struct lake_progress *progress)
{
    if (!progress)
        return;
    lake_store_close(progress->store);
    free(progress);
}

/* "ods:<group>:<topic>:<partition>" without what is in front of the topic; NULL: another's. */
static const char *place_of(const struct lake_progress *progress, const char *id)
{
    const char *group = progress->config.group;
    size_t length = strlen(id);
    if (strncmp(id, "ods:", 4) != 0 || strncmp(id + 4, group, strlen(group)) != 0 ||
        id[4 + strlen(group)] != ':' || (length > 3 && strcmp(id + length - 3, "@us") == 0))
        return NULL;
    return id + 5 + strlen(group);
}

enum ods_status lake_progress_read(struct lake_progress *progress, json_t **offsets,
                                   struct error *error)
{
    struct lake_store *store = progress->store;
    char *text = NULL, *found = NULL;
    const char *id;
    json_t *offset;
    *offsets = NULL;
    pthread_mutex_lock(&store->mutex);
    enum ods_status status = lake_store_control(store, false, error);
    if (status == ODS_OK && store->control->handle) {
        enum ods_lake_answer answer = store->engine.offsets(store->control->handle, &found, &text);
        status = lake_engine_judge(&store->engine, answer, text, error);
    }
    pthread_mutex_unlock(&store->mutex);
    if (status != ODS_OK)
        return status;
    json_t *all = found ? json_loads(found, 0, NULL) : NULL;
    *offsets = json_object();
    json_object_foreach(json_object_get(all, "offsets"), id, offset)
        if (place_of(progress, id))
            json_object_set(*offsets, place_of(progress, id), offset);
    json_decref(all);
    store->engine.free(found);
    return *offsets ? ODS_OK : error_out_of_memory(error);
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum ods_status judge(struct lake_compare *compare, enum ods_lake_answer answer, char *text,
                             struct error *error)
{
    enum ods_status status =
        lake_engine_judge(&compare->progress->store->engine, answer, text, error);
    if (status != ODS_OK)
        error_prefix(error, "target %s, table %s: ", compare->progress->config.name,
                     compare->place);
    return status;
}

static enum ods_status open_table(struct lake_compare *compare, struct error *error)
{
    struct lake_store *store = compare->progress->store;
    struct lake_table *table = compare->table = calloc(1, sizeof *table);
    struct ArrowSchema none;
    char *text = NULL;
    if (!table)
        return error_out_of_memory(error);
    table->store = store;
    table->schema = strdup(compare->plan->schema);
    table->name = strdup(compare->plan->name);
    json_t *request = json_pack("{s:s, s:[s], s:s}", "mode", "read", "namespace",
                                compare->plan->schema, "name", compare->plan->name);
    char *json = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!json || !table->schema || !table->name || !lake_schema_export(NULL, NULL, 0, &none)) {
        free(json);
        return error_out_of_memory(error);
    }
    enum ods_lake_answer answer =
        store->engine.table(store->lake, json, &none, &table->handle, &text);
    free(json);
    enum ods_status status = judge(compare, answer, text, error);
    if (status == ODS_OK && !table->handle)
        return error_set(error, ODS_REJECT, "the target has no table %s", compare->place);
    return status == ODS_OK ? lake_table_columns(table, error) : status;
}

static void leave_out(struct lake_compare *compare, const char *name)
{
    buffer_printf(&compare->left_out, "%s%s", compare->left_out.length ? ", " : "", name);
}

static bool is_key(const struct lake_plan *plan, uint32_t column)
{
    for (uint32_t i = 0; i < plan->key_count; i++)
        if (plan->key[i] == column)
            return true;
    return false;
}

/* Columns of both sides. */
static enum ods_status map(struct lake_compare *compare, const bool *passed_over,
                           struct error *error)
{
    const struct lake_plan *plan = compare->plan;
    const struct lake_columns *columns = compare->table->columns;
    uint32_t most = plan->shape->column_count, keys = 0;
    compare->source_of = calloc(most + 1u, sizeof *compare->source_of);
    compare->in_key = calloc(most + 1u, sizeof *compare->in_key);
    compare->names = calloc(most + 1u, sizeof *compare->names);
    compare->arrays = calloc(most + 1u, sizeof *compare->arrays);
    if (!compare->source_of || !compare->in_key || !compare->names || !compare->arrays)
        return error_out_of_memory(error);
    for (uint32_t i = 0; i < most; i++) {
        unsigned version;
        int at = plan->names[i] ? lake_column_newest(columns, plan->names[i], &version) : -1;
        if (at < 0 || passed_over[i]) {
            if (plan->names[i])
                leave_out(compare, plan->shape->columns[i].name);
            continue;
        }
        struct lake_array *array = &compare->arrays[compare->count];
        lake_array_init(array, &columns->items[at].type, columns->items[at].format);
        compare->names[compare->count] = columns->items[at].name;
        compare->in_key[compare->count] = is_key(plan, i);
        keys += compare->in_key[compare->count];
        compare->source_of[compare->count++] = (int32_t) i;
    }
    if (keys != plan->key_count || (!keys && !compare->by_counts))
        return error_set(error, ODS_REJECT,
                         keys ? "a column of its key is not compared"
                              : "it has no key: --counts compares how many rows there are");
    return ODS_OK;
}

static int64_t rows_of(const struct lake_compare *compare)
{
    const struct lake_engine *engine = &compare->progress->store->engine;
    char *text = NULL;
    if (engine->stats(compare->table->handle, &text, NULL) != ODS_LAKE_OK)
        return 0;
    json_t *stats = json_loads(text, 0, NULL);
    int64_t rows = json_integer_value(json_object_get(stats, "rows"));
    json_decref(stats);
    engine->free(text);
    return rows;
}

/* How the engine is told; to be freed. */
static char *settings_of(const struct lake_compare *compare)
{
    const struct table_settings *settings = compare->plan->settings;
    json_t *key = json_array(), *columns = json_array(), *how = json_object();
    for (uint32_t i = 0; i < compare->count; i++) {
        json_array_append_new(columns, json_string(compare->names[i]));
        if (compare->in_key[i])
            json_array_append_new(key, json_string(compare->names[i]));
    }
    json_object_set_new(how, "key", key);
    json_object_set_new(how, "columns", columns);
    json_object_set_new(how, "limit", json_integer(SHOWN));
    json_object_set_new(how, "slices", json_integer(rows_of(compare) / SLICE_ROWS + 1));
    if (settings->on_delete == ON_DELETE_SOFT && *settings->cdc_operation &&
        lake_table_column(compare->table->columns, settings->cdc_operation) >= 0)
        json_object_set_new(how, "deleted", json_pack("{s:s, s:s}", "column",
                                                      settings->cdc_operation, "is", "d"));
    char *text = json_dumps(how, JSON_COMPACT);
    json_decref(how);
    return text;
}

static enum ods_status begin(struct lake_compare *compare, struct error *error)
{
    char *how = settings_of(compare), *text = NULL;
    if (!how)
        return error_out_of_memory(error);
    enum ods_lake_answer answer =
        compare->progress->store->engine.compare(compare->table->handle, how, &text);
    free(how);
    return judge(compare, answer, text, error);
}

enum ods_status lake_compare_open(struct lake_compare **made, struct lake_progress *progress,
                                  const struct shape *shape, const bool *passed_over,
                                  bool by_counts, struct error *error)
{
    struct lake_compare *compare = calloc(1, sizeof *compare);
    *made = NULL;
    if (!compare)
        return error_out_of_memory(error);
    compare->progress = progress;
    compare->by_counts = by_counts;
    arena_init(&compare->arena);
    buffer_init(&compare->left_out);
    enum ods_status status = lake_plan_names(&progress->config, shape, &compare->plan, error);
    if (status == ODS_OK &&
        asprintf(&compare->place, "%s.%s", compare->plan->schema, compare->plan->name) < 0) {
        compare->place = NULL;
        status = error_out_of_memory(error);
    }
    if (status == ODS_OK)
        status = open_table(compare, error);
    if (status == ODS_OK)
        status = map(compare, passed_over, error);
    if (status == ODS_OK && !by_counts)
        status = begin(compare, error);
    if (status != ODS_OK) {
        lake_compare_close(compare);
        return status;
    }
    compare->encoding = (struct lake_encoding){.source = &progress->config.pipeline->source,
                                               .table = compare->plan->settings,
                                               .result = &compare->result,
                                               .arena = &compare->arena};
    buffer_init(&compare->encoding.text);
    *made = compare;
    return ODS_OK;
}

void lake_compare_close(struct lake_compare *compare)
{
    if (!compare)
        return;
    for (uint32_t i = 0; compare->arrays && i < compare->count; i++)
        lake_array_done(&compare->arrays[i]);
    lake_table_free(compare->table);
    lake_plan_free(compare->plan);
    buffer_done(&compare->left_out);
    buffer_done(&compare->encoding.text);
    arena_done(&compare->arena);
    free(compare->source_of);
    free(compare->in_key);
    free(compare->names);
    free(compare->arrays);
    free(compare->place);
    free(compare);
}

const char *lake_compare_place(const struct lake_compare *compare)
{
    return compare->place;
}

const char *lake_compare_left_out(const struct lake_compare *compare)
{
    return buffer_text((struct buffer *) (uintptr_t) &compare->left_out);
}

/* --- rows ------------------------------------------------------------------------------------- */

static enum ods_status flush(struct lake_compare *compare, struct error *error)
{
    struct ArrowArray array;
    struct ArrowSchema schema;
    char *text = NULL;
    arena_reset(&compare->arena, ARENA_BYTES);
    if (!compare->arrays->length)
        return ODS_OK;
    if (!lake_array_export(compare->arrays, compare->names, compare->count, &array, &schema))
        return error_out_of_memory(error);
    enum ods_lake_answer answer = compare->progress->store->engine.compare_rows(
        compare->table->handle, &array, &schema, &text);
    return judge(compare, answer, text, error);
}

enum ods_status lake_compare_row(struct lake_compare *compare, const struct value *values,
                                 struct error *error)
{
    int64_t length = compare->arrays->length;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; status == ODS_OK && i < compare->count; i++) {
        int32_t source = compare->source_of[i];
        status = lake_encode(&compare->encoding, compare->names[i], compare->in_key[i],
                             &compare->plan->sources[source], &values[source],
                             &compare->arrays[i], error);
        if (status == ODS_OK && lake_array_failed(&compare->arrays[i]))
            status = error_out_of_memory(error);
    }
    if (status != ODS_OK)
        for (uint32_t i = 0; i < compare->count; i++)
            lake_array_cut(&compare->arrays[i], length);
    else if (length + 1 >= ROWS)
        status = flush(compare, error);
    return status;
}

enum ods_status lake_compare_end(struct lake_compare *compare, json_t **found, struct error *error)
{
    const struct lake_engine *engine = &compare->progress->store->engine;
    char *json = NULL, *text = NULL;
    *found = NULL;
    enum ods_status status = flush(compare, error);
    if (status == ODS_OK)
        status = judge(compare, engine->compared(compare->table->handle, &json, &text), text,
                       error);
    if (status != ODS_OK || !json)
        return status;
    *found = json_loads(json, 0, NULL);
    engine->free(json);
    return *found ? ODS_OK : error_out_of_memory(error);
}

enum ods_status lake_compare_count(struct lake_compare *compare, int64_t *rows,
                                   struct error *error)
{
    const struct lake_engine *engine = &compare->progress->store->engine;
    char *how = settings_of(compare), *text = NULL;
    *rows = 0;
    if (!how)
        return error_out_of_memory(error);
    enum ods_lake_answer answer = engine->count(compare->table->handle, how, rows, &text);
    free(how);
    return judge(compare, answer, text, error);
}
