/* A pipeline's offsets and rows are taken out of the lake.
 *
 * The pipeline's own table is committed first: from then on it starts from the beginning, and what
 * its tables have stored does not count any more. Then each table is emptied, in one commit that
 * forgets its offsets too. Whoever dies between two commits has lost nothing: the same call goes
 * on, and a pipeline that is started before that writes over what is still there. Older versions
 * stay readable until they expire.
 */
#include "sink/lake/forget.h"

#include <stdlib.h>

#include "core/time.h"

static enum ods_status look_at(struct lake_sink *lake, struct forgotten *told,
                               struct lake_table **found, struct error *error)
{
    struct lake_table *table = *found = lake_store_table(lake->store, told->schema, told->table);
    if (!table)
        return error_out_of_memory(error);
    enum ods_status status = lake_table_find(table, error);
    if (status == ODS_OK && table->handle)
        status = lake_table_ready(table, error);
    if (status != ODS_OK || !table->handle)
        return status;
    json_t *stats = lake_table_stats(table);
    told->there = told->keeps_versions = true;
    told->bytes = json_integer_value(json_object_get(stats, "bytes"));
    json_decref(stats);
    told->untouched = !lake_table_writers(table, told->writers, sizeof told->writers);
    return ODS_OK;
}

static enum ods_status commit(struct lake_table *table, int64_t again_us, struct error *error)
{
    json_t *expect = json_object(), *next = json_object();
    enum ods_status status = expect && next && lake_table_forget(table, expect, next, again_us)
                                 ? lake_table_commit(table, expect, next, error)
                                 : error_out_of_memory(error);
    json_decref(expect);
    json_decref(next);
    return status;
}

static enum ods_status empty(struct lake_table *table, struct error *error)
{
    const struct lake_engine *engine = &table->store->engine;
    char *text = NULL;
    enum ods_lake_answer answer = engine->truncate(table->handle, &text);
    enum ods_status status = lake_engine_judge(engine, answer, text, error);
    if (status == ODS_OK)
        return commit(table, 0, error);
    error_prefix(error, "target %s, table %s/%s: ", table->store->target, table->schema,
                 table->name);
    return status;
}

static enum ods_status take_out(struct lake_sink *lake, const struct forgotten *tables,
                                struct lake_table *const *found, size_t count, struct error *error)
{
    struct lake_table *control = lake->store->control;
    enum ods_status status = ODS_OK;
    if (control->handle)
        status = commit(control, time_wall_us(), error);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        if (tables[i].there && !tables[i].untouched && !*tables[i].writers)
            status = empty(found[i], error);
    return status;
}

enum ods_status lake_forget(struct lake_sink *lake, struct forgotten *tables, size_t count,
                            bool look, int64_t *offsets, struct error *error)
{
    struct lake_table **found = calloc(count + 1, sizeof *found);
    *offsets = 0;
    if (!found)
        return error_out_of_memory(error);
    enum ods_status status = lake_enter(lake, false, error);
    if (status != ODS_OK) {
        free(found);
        return status;
    }
    if (lake->store->control->handle)
        *offsets = lake_table_offsets_count(lake->store->control);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        status = look_at(lake, &tables[i], &found[i], error);
    if (status == ODS_OK && !look)
        status = take_out(lake, tables, found, count, error);
    lake_leave(lake);
    free(found);
    return status;
}
