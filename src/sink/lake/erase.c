/* One row is taken out of the lake: of its table, and its changes of the history.
 *
 * The engine writes the files anew that have it, so that the newest version has nothing left of it.
 * It moves no offsets: what the pipeline applies meanwhile are records that came after those that
 * have to be applied before. What was done is a row of the pipeline's own table, without the key.
 */
#include "sink/lake/erase.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "sink/lake/encode.h"

/* --- the key ---------------------------------------------------------------------------------- */

struct keys {
    struct lake_array *arrays;
    const char **names;
    size_t count;
};

static void keys_done(struct keys *keys)
{
    for (size_t i = 0; keys->arrays && i < keys->count; i++)
        lake_array_done(&keys->arrays[i]);
    free(keys->arrays);
    free(keys->names);
}

/* The value as the column has it, from its text. */
static enum ods_status put_value(const struct lake_sink *lake, const struct lake_column *column,
                                 const char *text, struct lake_array *array, struct error *error)
{
    struct apply_result ignored = {0};
    struct arena arena;
    struct lake_encoding encoding = {.source = &lake->config.pipeline->source,
                                     .table = &lake->config.pipeline->defaults,
                                     .result = &ignored,
                                     .arena = &arena};
    const struct source_column source = {
        .column = {.name = column->name},
        .connector = connector_named(lake->config.pipeline->source.connector)};
    const struct value value = {
        .kind = VALUE_TEXT, .length = (uint32_t) strlen(text), .bytes = text};
    arena_init(&arena);
    buffer_init(&encoding.text);
    lake_array_init(array, &column->type, column->format);
    enum ods_status status =
        lake_encode(&encoding, column->name, true, &source, &value, array, error);
    buffer_done(&encoding.text);
    arena_done(&arena);
    return status == ODS_OK && lake_array_failed(array) ? error_out_of_memory(error) : status;
}

static enum ods_status find_keys(const struct lake_sink *lake, const struct lake_table *table,
                                 const struct erasing *erasing, struct keys *keys,
                                 struct error *error)
{
    enum ods_status status = ODS_OK;
    *keys = (struct keys){.arrays = calloc(erasing->key_count + 1, sizeof *keys->arrays),
                          .names = calloc(erasing->key_count + 1, sizeof *keys->names)};
    if (!keys->arrays || !keys->names)
        return error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i < erasing->key_count; i++) {
        int at = lake_table_column(table->columns, erasing->columns[i]);
        if (at < 0)
            return error_set(error, ODS_FATAL, "table %s/%s has no column \"%s\"", table->schema,
                             table->name, erasing->columns[i]);
        const struct lake_column *column = &table->columns->items[at];
        keys->names[keys->count] = column->name;
        status = put_value(lake, column, erasing->values[i], &keys->arrays[keys->count++], error);
    }
    return status == ODS_REJECT ? ODS_FATAL : status;
}

/* --- tables ----------------------------------------------------------------------------------- */

static enum ods_status erase_from(struct lake_sink *lake, const struct erasing *erasing,
                                  const char *schema, const char *name, bool look, int64_t *rows,
                                  struct error *error)
{
    struct keys keys = {0};
    struct ArrowArray array;
    struct ArrowSchema columns;
    char *text = NULL;
    struct lake_table *table = lake_store_table(lake->store, schema, name);
    *rows = -1;
    if (!table)
        return error_out_of_memory(error);
    enum ods_status status = lake_table_find(table, error);
    if (status != ODS_OK || !table->handle)
        return status;
    status = find_keys(lake, table, erasing, &keys, error);
    if (status == ODS_OK &&
        !lake_array_export(keys.arrays, keys.names, keys.count, &array, &columns))
        status = error_out_of_memory(error);
    if (status == ODS_OK) {
        const struct lake_engine *engine = &lake->store->engine;
        enum ods_lake_answer answer =
            engine->erase(table->handle, &array, &columns, look, rows, &text);
        status = lake_engine_judge(engine, answer, text, error);
        if (status == ODS_OK && !look)
            status = lake_table_expire(table, error);
        if (status != ODS_OK)
            error_prefix(error, "target %s, table %s/%s: ", lake->config.name, schema, name);
    }
    keys_done(&keys);
    return status;
}

static int64_t behind(const struct lake_table *control, const struct erasing *erasing)
{
    int64_t behind = 0;
    for (size_t i = 0; i < erasing->reached_count; i++) {
        const struct position *place = &erasing->reached[i];
        int64_t stored =
            control->handle ? lake_table_offset(control, place->topic, place->partition) : 0;
        if (place->offset > stored)
            behind += place->offset - (stored > 0 ? stored : 0);
    }
    return behind;
}

/* --- what was done ---------------------------------------------------------------------------- */

static char *note_of(const struct erasing *erasing)
{
    char at[64];
    time_t now = (time_t) (time_wall_us() / 1000000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(at, sizeof at, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_t *note = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "erased", erasing->table, "schema",
                             erasing->schema, "at", at, "by", erasing->by ? erasing->by : "",
                             "rows", (json_int_t) erasing->rows, "history_rows",
                             (json_int_t) erasing->history_rows);
    char *text = json_dumps(note, JSON_COMPACT);
    json_decref(note);
    return text;
}

static enum ods_status keep_note(struct lake_table *control, const char *note, struct error *error)
{
    static const char *const names[] = {"note"};
    const struct lake_engine *engine = &control->store->engine;
    const struct lake_typed type = {.type = LAKE_STRING};
    struct lake_array column;
    struct ArrowArray array;
    struct ArrowSchema schema;
    char *text = NULL;
    lake_array_init(&column, &type, "u");
    lake_array_bytes(&column, note, strlen(note));
    bool good =
        !lake_array_failed(&column) && lake_array_export(&column, names, 1, &array, &schema);
    lake_array_done(&column);
    if (!good)
        return error_out_of_memory(error);
    enum ods_lake_answer answer = engine->append(control->handle, &array, &schema, NULL, &text);
    enum ods_status status = lake_engine_judge(engine, answer, text, error);
    json_t *none = json_object();
    if (status == ODS_OK)
        status = lake_table_commit(control, none, none, error);
    json_decref(none);
    return status;
}

static enum ods_status keep(struct lake_table *control, const struct erasing *erasing,
                            struct error *error)
{
    if (!control->handle)
        return ODS_OK;
    char *note = note_of(erasing);
    enum ods_status status = note ? keep_note(control, note, error) : error_out_of_memory(error);
    free(note);
    if (status != ODS_OK)
        error_prefix(error, "the row is erased, and that could not be noted: ");
    return status;
}

static void tell_kept(const struct lake_settings *settings, struct erasing *erasing)
{
    const int64_t day_ms = 86400000;
    if (!settings->maintain)
        snprintf(erasing->kept, sizeof erasing->kept,
                 "older versions of the table, until whoever maintains it lets them expire and "
                 "vacuums (maintenance.enabled is false here)");
    else
        snprintf(erasing->kept, sizeof erasing->kept,
                 "older versions of the table and their change feed, until they are %.1f days old "
                 "(maintenance.expire), and their files, until they have not been used for %.1f "
                 "days (maintenance.vacuum); that is looked for after commits, and by this command",
                 (double) settings->expire_ms / (double) day_ms,
                 (double) settings->vacuum_ms / (double) day_ms);
}

enum ods_status lake_erase(struct lake_sink *lake, struct erasing *erasing, bool look,
                           struct error *error)
{
    enum ods_status status = lake_enter(lake, false, error);
    if (status != ODS_OK)
        return status;
    struct lake_table *control = lake->store->control;
    status = lake_store_read_anew(lake->store, error);
    erasing->behind = status == ODS_OK ? behind(control, erasing) : 0;
    look |= erasing->behind > 0;
    erasing->shadow_rows = erasing->history_rows = -1;
    tell_kept(lake->config.settings, erasing);
    if (status == ODS_OK)
        status = erase_from(lake, erasing, erasing->schema, erasing->table, look, &erasing->rows,
                            error);
    if (status == ODS_OK && erasing->history_table)
        status = erase_from(lake, erasing, erasing->history_schema, erasing->history_table, look,
                            &erasing->history_rows, error);
    if (status == ODS_OK && erasing->rows < 0 && erasing->history_rows < 0)
        status = error_set(error, ODS_FATAL,
                           "target %s: there is no table %s/%s: name it as schema.table, as the "
                           "lake has it",
                           lake->config.name, erasing->schema, erasing->table);
    if (status == ODS_OK && !look)
        status = keep(control, erasing, error);
    lake_leave(lake);
    return status;
}
