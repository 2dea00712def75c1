/* Stores of the process, and how they are opened. See store.h. */
#include "sink/lake/store.h"

#include <stdlib.h>
#include <string.h>

/* The one list of stores of the process: lanes of a pipeline find each other here. */
static pthread_mutex_t all_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct lake_store *all;

/* --- how the engine is told ------------------------------------------------------------------- */

static void put(json_t *object, const char *name, const char *text)
{
    if (*text)
        json_object_set_new(object, name, json_string(text));
}

json_t *lake_storage_of(const struct lake_settings *settings)
{
    json_t *s3 = json_object();
    put(s3, "endpoint", settings->endpoint);
    put(s3, "region", settings->region);
    if (*settings->endpoint)
        json_object_set_new(s3, "path_style", json_boolean(settings->path_style));
    put(s3, "access_key_id", settings->access_key_id);
    put(s3, "secret_access_key", settings->secret_access_key);
    put(s3, "session_token", settings->session_token);
    json_object_set_new(s3, "timeout_ms", json_integer(settings->timeout_ms));
    json_object_set_new(s3, "retries", json_integer(settings->retries));
    return s3;
}

json_t *lake_catalog_of(const struct lake_settings *settings)
{
    json_t *catalog = json_object();
    put(catalog, "uri", settings->catalog_uri);
    put(catalog, "name", settings->catalog_name);
    put(catalog, "warehouse", settings->warehouse);
    put(catalog, "prefix", settings->catalog_prefix);
    put(catalog, "token", settings->catalog_token);
    put(catalog, "credential", settings->catalog_credential);
    put(catalog, "oauth2_uri", settings->oauth2_uri);
    put(catalog, "scope", settings->oauth2_scope);
    json_object_set_new(catalog, "timeout_ms", json_integer(settings->catalog_timeout_ms));
    return catalog;
}

char *lake_place_of(const struct lake_settings *settings, bool iceberg)
{
    json_t *place = json_pack("{s:s, s:s}", "format", iceberg ? "iceberg" : "delta", "location",
                              settings->location);
    if (iceberg)
        json_object_set_new(place, "catalog", lake_catalog_of(settings));
    if (strncmp(settings->location, "s3://", 5) == 0)
        json_object_set_new(place, "s3", lake_storage_of(settings));
    char *text = json_dumps(place, JSON_COMPACT);
    json_decref(place);
    return text;
}

static enum ods_status open_lake(struct lake_store *store, struct error *error)
{
    const struct lake_settings *settings = store->settings;
    enum ods_status status = lake_engine_load(&store->engine, settings->library, error);
    char *place = NULL, *text = NULL;
    if (status == ODS_OK && !(place = lake_place_of(settings, store->iceberg)))
        return error_out_of_memory(error);
    if (status == ODS_OK) {
        enum ods_lake_answer answer = store->engine.open(place, &store->lake, &text);
        status = lake_engine_judge(&store->engine, answer, text, error);
    }
    free(place);
    return status;
}

/* --- stores ----------------------------------------------------------------------------------- */

void lake_table_free(struct lake_table *table)
{
    if (!table)
        return;
    lake_table_close(table);
    for (struct lake_columns *columns = (struct lake_columns *) (uintptr_t) table->columns, *older;
         columns; columns = older) {
        older = columns->older;
        for (uint32_t i = 0; i < columns->count; i++)
            free(columns->items[i].name);
        free(columns);
    }
    json_decref(table->offsets);
    free(table->schema);
    free(table->name);
    free(table->source);
    free(table->key);
    free(table);
}

static void store_free(struct lake_store *store)
{
    for (struct lake_table *table = store->tables, *next; table; table = next) {
        next = table->next;
        lake_table_free(table);
    }
    if (store->lake)
        store->engine.close(store->lake);
    pthread_mutex_destroy(&store->mutex);
    free(store->group);
    free(store->target);
    free(store);
}

static enum ods_status store_new(struct lake_store **made, const struct sink_config *config,
                                 const char *format, struct error *error)
{
    struct lake_store *store = calloc(1, sizeof *store);
    if (!store)
        return error_out_of_memory(error);
    pthread_mutex_init(&store->mutex, NULL);
    store->settings = config->settings;
    store->iceberg = strcmp(format, "iceberg") == 0;
    store->group = strdup(config->group);
    store->target = strdup(config->name);
    enum ods_status status =
        store->group && store->target ? open_lake(store, error) : error_out_of_memory(error);
    if (status != ODS_OK) {
        error_prefix(error, "target %s: ", config->name);
        store_free(store);
        return status;
    }
    *made = store;
    return ODS_OK;
}

enum ods_status lake_store_open(struct lake_store **store, const struct sink_config *config,
                                const char *format, struct error *error)
{
    enum ods_status status = ODS_OK;
    struct lake_store *found;
    pthread_mutex_lock(&all_mutex);
    for (found = all; found; found = found->next)
        if (found->settings == config->settings && strcmp(found->group, config->group) == 0)
            break;
    if (!found) {
        status = store_new(&found, config, format, error);
        if (status == ODS_OK) {
            found->next = all;
            all = found;
        }
    }
    if (status == ODS_OK)
        found->users++;
    pthread_mutex_unlock(&all_mutex);
    *store = status == ODS_OK ? found : NULL;
    return status;
}

void lake_store_close(struct lake_store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&all_mutex);
    bool last = !--store->users;
    for (struct lake_store **link = &all; last && *link; link = &(*link)->next)
        if (*link == store) {
            *link = store->next;
            break;
        }
    pthread_mutex_unlock(&all_mutex);
    if (last) {
        lake_store_release(store);
        store_free(store);
    }
}

struct lake_table *lake_store_table(struct lake_store *store, const char *schema, const char *name)
{
    struct lake_table *table;
    for (table = store->tables; table; table = table->next)
        if (strcmp(table->schema, schema) == 0 && strcmp(table->name, name) == 0)
            return table;
    table = calloc(1, sizeof *table);
    if (!table)
        return NULL;
    table->store = store;
    table->schema = strdup(schema);
    table->name = strdup(name);
    if (!table->schema || !table->name) {
        lake_table_free(table);
        return NULL;
    }
    table->next = store->tables;
    store->tables = table;
    return table;
}

void lake_store_forget_offsets(struct lake_store *store)
{
    for (struct lake_table *table = store->tables; table; table = table->next) {
        json_decref(table->offsets);
        table->offsets = NULL;
    }
}

enum ods_status lake_store_read_anew(struct lake_store *store, struct error *error)
{
    lake_store_forget_offsets(store);
    return store->control->handle ? lake_table_ready(store->control, error) : ODS_OK;
}

/* The group as a folder's name: what none may have becomes _ and, so that names stay apart, its
 * code. */
static char *folder_of(const char *group)
{
    struct buffer out;
    buffer_init(&out);
    for (const char *at = group; *at; at++) {
        bool plain = (*at >= '0' && *at <= '9') || ((*at | 0x20) >= 'a' && (*at | 0x20) <= 'z') ||
                     (unsigned char) *at >= 0x80 || strchr("-_", *at) || (*at == '.' && at > group);
        if (plain)
            buffer_add(&out, at, 1);
        else
            buffer_printf(&out, "_%02x", (unsigned) (unsigned char) *at);
    }
    char *folder = strdup(buffer_text(&out));
    bool failed = out.failed;
    buffer_done(&out);
    if (failed) {
        free(folder);
        return NULL;
    }
    return folder;
}

enum ods_status lake_store_control(struct lake_store *store, bool create, struct error *error)
{
    static const char *const names[] = {"note"}, *const formats[] = {"u"};
    const struct lake_wanted wanted = {
        .names = names,
        .formats = formats,
        .count = 1,
        .appends = true,
        .create = create,
        .comment = "ods-sink: how far a pipeline's records are applied, in this table's commits"};
    if (!store->control) {
        char *folder = folder_of(store->group);
        store->control = folder ? lake_store_table(store, "_ods_sink", folder) : NULL;
        free(folder);
        if (!store->control)
            return error_out_of_memory(error);
    }
    enum ods_status status = lake_table_open(store->control, &wanted, error);
    return status == ODS_OK && store->control->handle ? lake_table_ready(store->control, error)
                                                      : status;
}
