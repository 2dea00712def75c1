/* Tables of a store: what the engine is told of them, their columns and commits. */
#include <stdarg.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/rand.h>

#include "sink/lake/array.h"
#include "sink/lake/store.h"

void lake_table_close(struct lake_table *table)
{
    table->store->engine.close_table(table->handle);
    table->handle = NULL;
}

enum ods_status lake_table_judge(struct lake_table *table, enum ods_lake_answer answer, char *text,
                                 struct error *error)
{
    enum ods_status status = lake_engine_judge(&table->store->engine, answer, text, error);
    if (status != ODS_OK)
        error_prefix(error, "target %s, table %s/%s: ", table->store->target, table->schema,
                     table->name);
    if (status == ODS_FATAL) /* the handle may be of no use any more */
        lake_table_close(table);
    return status;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* "region, bucket(16, id)" as an array. */
static json_t *columns_listed(const char *text)
{
    json_t *list = json_array();
    while (*text) {
        const char *name = text + strspn(text, ", ");
        size_t length = strcspn(name, ",("); /* a comma in parentheses parts nothing */
        if (name[length] == '(')
            length += strcspn(name + length, ")");
        length += strcspn(name + length, ",");
        text = name + length;
        while (length && name[length - 1] == ' ')
            length--;
        if (length)
            json_array_append_new(list, json_stringn(name, length));
    }
    return list;
}

static const char *of_table(const struct properties *properties, const struct lake_table *table)
{
    char whole[1024];
    const char *found;
    snprintf(whole, sizeof whole, "%s.%s", table->schema, table->name);
    found = properties_find(properties, whole);
    return found ? found : properties_find(properties, table->name);
}

static json_t *properties_of(const struct lake_store *store)
{
    const struct lake_settings *settings = store->settings;
    json_t *properties = json_object();
    for (size_t i = 0; i < settings->properties.count; i++)
        json_object_set_new(properties, settings->properties.items[i].name,
                            json_string(settings->properties.items[i].value));
    return properties;
}

static char *request_of(const struct lake_table *table, const struct lake_wanted *wanted)
{
    static const char *const compressions[] = {"snappy", "zstd", "none"};
    const struct lake_settings *settings = table->store->settings;
    const char *parted = of_table(&settings->partition_by, table);
    const char *sorted = of_table(&settings->sort_by, table);
    int64_t half = settings->file_bytes / 2; /* what is larger gains nothing */
    int64_t small = settings->small_bytes < half ? settings->small_bytes : half;
    json_t *request = json_pack(
        "{s:[s], s:s, s:s, s:s, s:b, s:b, s:I, s:I, s:s, s:s}", "namespace", table->schema, "name",
        table->name, "mode", wanted->appends ? "history" : "upsert", "schema", "keep", "create",
        wanted->create, "change_data", settings->change_data && !wanted->appends,
        "target_file_bytes", (json_int_t) settings->file_bytes, "small_file_bytes",
        (json_int_t) small, "compression",
        compressions[settings->compression], "comment", wanted->comment);
    json_t *key = json_array();
    for (size_t i = 0; i < wanted->key_count; i++)
        json_array_append_new(key, json_string(wanted->key[i]));
    json_object_set_new(request, "key", key);
    if (parted)
        json_object_set_new(request, "partition", columns_listed(parted));
    if (sorted)
        json_object_set_new(request, "sort", columns_listed(sorted));
    json_object_set_new(request, "properties", properties_of(table->store));
    if (table->store->iceberg)
        json_object_set_new(request, "format_version", json_integer(settings->format_version));
    if (*settings->index_folder)
        json_object_set_new(request, "index_folder", json_string(settings->index_folder));
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    return text;
}

static bool fill_columns(struct lake_columns *columns, const struct ArrowSchema *schema)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct lake_column *column = &columns->items[i];
        column->type = lake_type_read(schema->children[i]->format);
        lake_type_format(&column->type, column->format);
        column->name = strdup(schema->children[i]->name);
        if (!column->name)
            return false;
        columns->count++;
    }
    return true;
}

enum ods_status lake_table_columns(struct lake_table *table, struct error *error)
{
    struct ArrowSchema schema = {0};
    char *text = NULL;
    enum ods_lake_answer answer = table->store->engine.schema(table->handle, &schema, &text);
    enum ods_status status = lake_table_judge(table, answer, text, error);
    if (status != ODS_OK)
        return status;
    struct lake_columns *columns =
        calloc(1, sizeof *columns + (size_t) schema.n_children * sizeof *columns->items);
    bool good = columns && fill_columns(columns, &schema);
    schema.release(&schema);
    if (columns) { /* also where it is incomplete: it is freed with the others */
        columns->older = (struct lake_columns *) (uintptr_t) table->columns;
        table->columns = columns;
    }
    return good ? ODS_OK : error_out_of_memory(error);
}

static char *key_of(const struct lake_wanted *wanted)
{
    struct buffer out;
    buffer_init(&out);
    for (size_t i = 0; i < wanted->key_count; i++)
        buffer_printf(&out, "%s\n", wanted->key[i]);
    char *key = strdup(buffer_text(&out));
    buffer_done(&out);
    return key;
}

/* A table's rows are found by one key. */
static enum ods_status check_key(struct lake_table *table, const struct lake_wanted *wanted,
                                 struct error *error)
{
    char *key = key_of(wanted);
    if (!key)
        return error_out_of_memory(error);
    bool same = strcmp(key, table->key) == 0 && table->appends == wanted->appends;
    free(key);
    if (same)
        return ODS_OK;
    if (error)
        error->fault = FAULT_TABLE;
    return error_set(error, ODS_REJECT,
                     "table %s/%s is written by another key: name one for all of its records with "
                     "key: in tables.yaml",
                     table->schema, table->name);
}

enum ods_status lake_table_open(struct lake_table *table, const struct lake_wanted *wanted,
                                struct error *error)
{
    struct ArrowSchema schema;
    char *text = NULL;
    if (table->handle && (wanted->unkeyed || !table->unkeyed))
        return wanted->unkeyed ? ODS_OK : check_key(table, wanted, error);
    lake_table_close(table);
    table->unkeyed = wanted->unkeyed;
    free(table->key);
    table->key = key_of(wanted);
    table->appends = wanted->appends;
    char *request = request_of(table, wanted);
    if (!table->key || !request ||
        !lake_schema_export(wanted->formats, wanted->names, wanted->count, &schema)) {
        free(request);
        return error_out_of_memory(error);
    }
    const struct lake_engine *engine = &table->store->engine;
    enum ods_lake_answer answer =
        engine->table(table->store->lake, request, &schema, &table->handle, &text);
    enum ods_status status = lake_table_judge(table, answer, text, error);
    free(request);
    if (status == ODS_OK && table->handle)
        status = lake_table_columns(table, error);
    json_decref(table->offsets);
    table->offsets = NULL;
    table->missing = table->lost = 0;
    table->pending[0] = '\0';
    if (status != ODS_OK)
        lake_table_close(table);
    return status;
}

enum ods_status lake_table_find(struct lake_table *table, struct error *error)
{
    static const char *const names[] = {"note"}, *const formats[] = {"u"}; /* nothing is made */
    const struct lake_wanted wanted = {.names = names,
                                       .formats = formats,
                                       .count = 1,
                                       .appends = true,
                                       .unkeyed = true,
                                       .comment = ""};
    return lake_table_open(table, &wanted, error);
}

enum ods_status lake_table_evolve(struct lake_table *table, const struct lake_wanted *wanted,
                                  struct error *error)
{
    struct ArrowSchema schema;
    char *text = NULL;
    if (!lake_schema_export(wanted->formats, wanted->names, wanted->count, &schema))
        return error_out_of_memory(error);
    enum ods_lake_answer answer = table->store->engine.evolve(table->handle, &schema, &text);
    enum ods_status status = lake_table_judge(table, answer, text, error);
    return status == ODS_OK ? lake_table_columns(table, error) : status;
}

int lake_table_column(const struct lake_columns *columns, const char *name)
{
    for (uint32_t i = 0; i < columns->count; i++)
        if (strcasecmp(columns->items[i].name, name) == 0)
            return (int) i;
    return -1;
}

/* --- offsets ---------------------------------------------------------------------------------- */

static enum ods_status read_offsets(struct lake_table *table, struct error *error)
{
    char *text = NULL, *stored = NULL;
    const struct lake_engine *engine = &table->store->engine;
    enum ods_lake_answer answer = engine->offsets(table->handle, &stored, &text);
    enum ods_status status = lake_table_judge(table, answer, text, error);
    if (status != ODS_OK)
        return status;
    json_t *read = json_loads(stored, 0, NULL);
    engine->free(stored);
    table->offsets = json_incref(json_object_get(read, "offsets"));
    json_decref(read);
    if (json_is_object(table->offsets))
        return ODS_OK;
    json_decref(table->offsets);
    table->offsets = NULL;
    return error_out_of_memory(error);
}

/* ODS_OK: it is known what became of the commit, and nothing is pending. */
static enum ods_status settle(struct lake_table *table, bool *committed, struct error *error)
{
    char *text = NULL;
    int made = 0;
    int64_t version;
    enum ods_lake_answer answer =
        table->store->engine.resolve(table->handle, table->pending, &made, &version, &text);
    enum ods_status status = lake_table_judge(table, answer, text, error);
    *committed = made;
    if (status != ODS_RETRY)
        table->pending[0] = '\0';
    return status;
}

enum ods_status lake_table_ready(struct lake_table *table, struct error *error)
{
    enum ods_status status = ODS_OK;
    bool committed;
    if (table->pending[0]) {
        status = settle(table, &committed, error);
        if (status == ODS_RETRY || status == ODS_FATAL)
            return status;
        table->store->engine.rollback(table->handle); /* it is staged anew, or it was committed */
        json_decref(table->offsets);
        table->offsets = NULL;
        status = ODS_OK;
    }
    return table->offsets ? status : read_offsets(table, error);
}

/* --- commits ---------------------------------------------------------------------------------- */

static enum ods_status name_commit(char id[40], struct error *error)
{
    unsigned char bytes[16];
    if (RAND_bytes(bytes, sizeof bytes) != 1)
        return error_set(error, ODS_RETRY, "no random numbers for the name of a commit");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(id + 2 * i, 3, "%02x", bytes[i]);
    return ODS_OK;
}

#define ATTEMPTS 3

/* As long as it is not known whether the commit took place, it is asked for; where it did not, it
 * is made again under the same name. */
static enum ods_status commit(struct lake_table *table, const char *expect, const char *next,
                              struct error *error)
{
    const struct lake_engine *engine = &table->store->engine;
    char id[40];
    enum ods_status status = name_commit(id, error);
    for (int i = 0; status == ODS_OK && i < ATTEMPTS; i++) {
        char *text = NULL;
        int64_t version;
        bool committed = false;
        enum ods_lake_answer answer =
            engine->commit(table->handle, expect, next, id, &version, &text);
        if (answer == ODS_LAKE_UNKNOWN)
            snprintf(table->pending, sizeof table->pending, "%s", id);
        status = lake_table_judge(table, answer, text, error);
        if (answer != ODS_LAKE_UNKNOWN)
            return status;
        status = settle(table, &committed, error);
        if (status == ODS_OK && committed)
            return ODS_OK;
    }
    return status == ODS_OK ? error_set(error, ODS_RETRY,
                                        "target %s, table %s/%s: the answers of %d commits "
                                        "were lost, none of which took place",
                                        table->store->target, table->schema, table->name, ATTEMPTS)
                            : status;
}

enum ods_status lake_table_commit(struct lake_table *table, json_t *expect, json_t *next,
                                  struct error *error)
{
    char *from = json_dumps(expect, JSON_COMPACT), *to = json_dumps(next, JSON_COMPACT);
    enum ods_status status =
        from && to ? commit(table, from, to, error) : error_out_of_memory(error);
    free(from);
    free(to);
    if (status == ODS_OK) {
        json_object_update(table->offsets, next);
        return ODS_OK;
    }
    json_decref(table->offsets);
    table->offsets = NULL;
    if (table->handle && !table->pending[0])
        table->store->engine.rollback(table->handle);
    return status;
}

/* --- figures ---------------------------------------------------------------------------------- */

int64_t lake_stat(const json_t *stats, const char *name)
{
    return json_integer_value(json_object_get(stats, name));
}

static void note_figures(struct lake_table *table, const json_t *stats)
{
    static const char *const names[LAKE_FIGURES] = {
        [LAKE_FIGURE_FILES] = "files",
        [LAKE_FIGURE_SMALL_FILES] = "small_files",
        [LAKE_FIGURE_ROWS] = "rows",
        [LAKE_FIGURE_DELETED_ROWS] = "deleted_rows",
        [LAKE_FIGURE_BYTES] = "bytes",
        [LAKE_FIGURE_INDEX_KEYS] = "index_keys",
        [LAKE_FIGURE_INDEX_BYTES] = "index_bytes",
    };
    for (int i = 0; table != table->store->control && i < LAKE_FIGURES; i++) {
        int64_t now = lake_stat(stats, names[i]);
        atomic_fetch_add(&table->store->figures[i], now - table->figures[i]);
        table->figures[i] = now;
    }
}

json_t *lake_table_stats(struct lake_table *table)
{
    char *text = NULL, *stats = NULL;
    const struct lake_engine *engine = &table->store->engine;
    if (engine->stats(table->handle, &stats, &text) != ODS_LAKE_OK) {
        engine->free(text);
        return NULL;
    }
    json_t *read = json_loads(stats, 0, NULL);
    engine->free(stats);
    note_figures(table, read);
    return read;
}

void lake_table_tell(const struct lake_table *table, const struct apply_hooks *hooks,
                     const char *format, ...)
{
    char line[1200];
    va_list arguments;
    if (!hooks || !hooks->notice)
        return;
    int length = snprintf(line, sizeof line, "table %.300s/%.300s: ", table->schema, table->name);
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - (size_t) length, format, arguments);
    va_end(arguments);
    hooks->notice(hooks->context, line);
}

static void tell_index(struct lake_table *table, const json_t *stats,
                       const struct apply_hooks *hooks, const char *what)
{
    char text[200];
    int64_t mapped = lake_stat(stats, "index_mapped");
    int length = snprintf(text, sizeof text, "%lld keys, %.1f MB",
                          (long long) lake_stat(stats, "index_keys"),
                          (double) lake_stat(stats, "index_bytes") / 1048576);
    if (mapped)
        snprintf(text + length, sizeof text - (size_t) length,
                 ", of which %.1f MB are files of index_folder", (double) mapped / 1048576);
    table->indexed = lake_stat(stats, "indexed");
    lake_table_tell(table, hooks, "%s: %s", what, text);
}

void lake_table_opened(struct lake_table *table, const struct apply_hooks *hooks)
{
    json_t *stats = lake_table_stats(table);
    tell_index(table, stats, hooks, "opened by its key");
    json_decref(stats);
}

void lake_table_count(struct lake_table *table, const struct apply_hooks *hooks, uint64_t *missing,
                      uint64_t *lost)
{
    json_t *stats = lake_table_stats(table);
    int64_t now_missing = lake_stat(stats, "missing"), now_lost = lake_stat(stats, "lost");
    *missing += now_missing > table->missing ? (uint64_t) (now_missing - table->missing) : 0;
    *lost += now_lost > table->lost ? (uint64_t) (now_lost - table->lost) : 0;
    table->missing = now_missing;
    table->lost = now_lost;
    if (lake_stat(stats, "indexed") > table->indexed)
        tell_index(table, stats, hooks, "its index of keys was read anew");
    json_decref(stats);
}
