/* A table of a lake that is only read. See reader.h. */
#include "sink/lake/reader.h"

#include <stdlib.h>
#include <string.h>

#include "sink/lake/array.h"
#include "sink/lake/store.h"

struct lake_reader {
    struct lake_engine engine;
    struct ods_lake *lake;
    struct ods_lake_table *table;
    struct ods_lake_lines *lines;
    struct ods_lake_feed *feed;
    char *text; /* the lines handed out */
    struct ods_lake_arrow *arrow;
};

/* --- opening ---------------------------------------------------------------------------------- */

/* The storage that the environment names; credentials the engine finds there by itself. */
static json_t *storage_of_environment(void)
{
    json_t *s3 = json_object();
    const char *endpoint = getenv("AWS_ENDPOINT_URL_S3");
    if (!endpoint)
        endpoint = getenv("AWS_ENDPOINT_URL");
    if (endpoint && *endpoint)
        json_object_set_new(s3, "endpoint", json_string(endpoint));
    return s3;
}

/* The lake is the folder that the table stands in. NULL: memory is out. */
static char *lake_of(const char *place, size_t length, const struct lake_settings *settings)
{
    json_t *lake = json_object();
    json_object_set_new(lake, "format", json_string("delta"));
    json_object_set_new(lake, "location", json_stringn(place, length ? length : 1));
    if (strncmp(place, "s3://", 5) == 0)
        json_object_set_new(lake, "s3",
                            settings ? lake_storage_of(settings) : storage_of_environment());
    char *text = json_dumps(lake, JSON_COMPACT);
    json_decref(lake);
    return text;
}

/* The table's name is the last part of `table`, its namespace those before. NULL: memory is out. */
static char *request_of(const char *table)
{
    json_t *request = json_pack("{s:s}", "mode", "read"), *parts = json_array();
    const char *slash;
    for (; (slash = strchr(table, '/')); table = slash + 1)
        json_array_append_new(parts, json_stringn(table, (size_t) (slash - table)));
    if (json_array_size(parts))
        json_object_set(request, "namespace", parts);
    json_object_set_new(request, "name", json_string(table));
    char *text = json_dumps(request, JSON_COMPACT);
    json_decref(parts);
    json_decref(request);
    return text;
}

static enum ods_status open_table(struct lake_reader *reader, const char *lake, const char *request,
                                  struct error *error)
{
    const struct lake_engine *engine = &reader->engine;
    struct ArrowSchema none;
    char *text = NULL;
    enum ods_status status =
        lake_engine_judge(engine, engine->open(lake, &reader->lake, &text), text, error);
    if (status != ODS_OK)
        return status;
    if (!lake_schema_export(NULL, NULL, 0, &none))
        return error_out_of_memory(error);
    text = NULL;
    enum ods_lake_answer answer =
        engine->table(reader->lake, request, &none, &reader->table, &text);
    return lake_engine_judge(engine, answer, text, error);
}

/* Both texts are freed. *made stays NULL where there is no table, too. */
static enum ods_status open_reader(struct lake_reader **made, char *lake, char *request,
                                   const struct lake_settings *settings, struct error *error)
{
    struct lake_reader *reader = lake && request ? calloc(1, sizeof *reader) : NULL;
    *made = NULL;
    enum ods_status status =
        reader ? lake_engine_load(&reader->engine, settings ? settings->library : "", error)
               : error_out_of_memory(error);
    if (status == ODS_OK)
        status = open_table(reader, lake, request, error);
    if (status == ODS_OK && reader->table)
        *made = reader;
    else
        lake_reader_close(reader);
    free(lake);
    free(request);
    return status;
}

enum ods_status lake_reader_open(struct lake_reader **made, const char *place,
                                 const struct lake_settings *settings, struct error *error)
{
    const char *slash = strrchr(place, '/');
    enum ods_status status =
        open_reader(made, lake_of(place, (size_t) (slash - place), settings), request_of(slash + 1),
                    settings, error);
    if (status == ODS_OK && !*made)
        return error_set(error, ODS_REJECT, "there is no table of Delta Lake in %.1000s", place);
    return status;
}

/* The lake whose catalog is in its folder. NULL: memory is out. */
static char *folder_of(const char *location)
{
    json_t *lake = json_pack("{s:s, s:s}", "format", "iceberg", "location", location);
    char *text = json_dumps(lake, JSON_COMPACT);
    json_decref(lake);
    return text;
}

enum ods_status lake_reader_open_iceberg(struct lake_reader **made, const char *location,
                                         const char *table, const struct lake_settings *settings,
                                         struct error *error)
{
    enum ods_status status =
        open_reader(made, settings ? lake_place_of(settings, true) : folder_of(location),
                    request_of(table), settings, error);
    if (status == ODS_OK && !*made)
        return error_set(error, ODS_REJECT,
                         "the catalog of the tables in %.1000s has no table %.500s", location,
                         table);
    return status;
}

static void end_lines(struct lake_reader *reader)
{
    if (reader->text)
        reader->engine.free(reader->text);
    if (reader->lines)
        reader->engine.close_lines(reader->lines);
    if (reader->feed)
        reader->engine.close_feed(reader->feed);
    reader->text = NULL;
    reader->lines = NULL;
    reader->feed = NULL;
}

void lake_reader_close(struct lake_reader *reader)
{
    if (!reader)
        return;
    end_lines(reader);
    if (reader->arrow)
        reader->engine.close_arrow(reader->arrow);
    if (reader->table)
        reader->engine.close_table(reader->table);
    if (reader->lake)
        reader->engine.close(reader->lake);
    free(reader);
}

/* --- events ----------------------------------------------------------------------------------- */

/* What was deleted is its caller's to decide about. */
static enum ods_status judge_events(struct lake_reader *reader, enum ods_lake_answer answer,
                                    char *text, struct error *error)
{
    if (answer != ODS_LAKE_GONE)
        return lake_engine_judge(&reader->engine, answer, text, error);
    error_set(error, ODS_REJECT, "%s", text ? text : "the version is gone");
    reader->engine.free(text);
    return ODS_REJECT;
}

static char *query_text(const struct lake_feed_query *query)
{
    json_t *json = json_pack("{s:b, s:I, s:s, s:s, s:s}", "snapshot", query->snapshot, "skip",
                             (json_int_t) query->skip, "topic", query->topic, "schema",
                             query->schema, "table", query->table);
    json_t *key = json_array();
    for (size_t i = 0; query->key && i < query->key->count; i++)
        json_array_append_new(key, json_string(query->key->items[i]));
    if (query->version >= 0)
        json_object_set_new(json, "version", json_integer(query->version));
    json_object_set_new(json, "key", key);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

enum ods_status lake_reader_feed(struct lake_reader *reader, const struct lake_feed_query *query,
                                 struct lake_feed_about *about, struct error *error)
{
    char *json = query_text(query), *known = NULL, *text = NULL;
    *about = (struct lake_feed_about){.newest = -1};
    end_lines(reader);
    if (!json)
        return error_out_of_memory(error);
    enum ods_lake_answer answer =
        reader->engine.feed(reader->table, json, &reader->feed, &known, &text);
    free(json);
    enum ods_status status = judge_events(reader, answer, text, error);
    if (status != ODS_OK)
        return status;
    json_t *found = json_loads(known, 0, NULL);
    reader->engine.free(known);
    about->newest = json_integer_value(json_object_get(found, "version"));
    about->keys = json_array_size(json_object_get(found, "key"));
    about->begun = reader->feed != NULL;
    json_decref(found);
    return found ? ODS_OK : error_out_of_memory(error);
}

enum ods_status lake_reader_events(struct lake_reader *reader, const char **lines,
                                   struct error *error)
{
    char *text = NULL;
    reader->engine.free(reader->text);
    reader->text = NULL;
    enum ods_lake_answer answer = reader->engine.next_events(reader->feed, &reader->text, &text);
    *lines = reader->text;
    return judge_events(reader, answer, text, error);
}

/* --- reading ---------------------------------------------------------------------------------- */

enum ods_status lake_reader_versions(struct lake_reader *reader, const json_t *which,
                                     json_t **versions, struct error *error)
{
    char *json = json_dumps(which, JSON_COMPACT), *found = NULL, *text = NULL;
    *versions = NULL;
    if (!json)
        return error_out_of_memory(error);
    enum ods_lake_answer answer =
        reader->engine.versions(reader->table, json, &found, &text);
    free(json);
    enum ods_status status = lake_engine_judge(&reader->engine, answer, text, error);
    if (status != ODS_OK)
        return status;
    *versions = json_loads(found, 0, NULL);
    reader->engine.free(found);
    return *versions ? ODS_OK : error_out_of_memory(error);
}

enum ods_status lake_reader_changes(struct lake_reader *reader, const json_t *which, int64_t *from,
                                    int64_t *upto, struct error *error)
{
    char *json = json_dumps(which, JSON_COMPACT), *text = NULL;
    end_lines(reader);
    if (!json)
        return error_out_of_memory(error);
    enum ods_lake_answer answer =
        reader->engine.changes(reader->table, json, &reader->lines, from, upto, &text);
    free(json);
    return lake_engine_judge(&reader->engine, answer, text, error);
}

enum ods_status lake_reader_next(struct lake_reader *reader, const char **lines,
                                 struct error *error)
{
    char *text = NULL;
    reader->engine.free(reader->text);
    reader->text = NULL;
    enum ods_lake_answer answer =
        reader->engine.next_lines(reader->lines, &reader->text, &text);
    *lines = reader->text;
    return lake_engine_judge(&reader->engine, answer, text, error);
}

enum ods_status lake_reader_arrow(struct lake_reader *reader, const json_t *which, int64_t *from,
                                  int64_t *upto, struct error *error)
{
    char *json = json_dumps(which, JSON_COMPACT), *text = NULL;
    if (!json)
        return error_out_of_memory(error);
    enum ods_lake_answer answer =
        reader->engine.arrow(reader->table, json, &reader->arrow, from, upto, &text);
    free(json);
    return lake_engine_judge(&reader->engine, answer, text, error);
}

enum ods_status lake_reader_next_arrow(struct lake_reader *reader, const uint8_t **bytes,
                                       size_t *size, struct error *error)
{
    char *text = NULL;
    enum ods_lake_answer answer = reader->engine.next_arrow(reader->arrow, bytes, size, &text);
    return lake_engine_judge(&reader->engine, answer, text, error);
}
