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
    char *text; /* the lines handed out */
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

static enum ods_status open_table(struct lake_reader *reader, const char *place, const char *name,
                                  struct error *error)
{
    const struct lake_engine *engine = &reader->engine;
    struct ArrowSchema none;
    char *text = NULL;
    json_t *request = json_pack("{s:s, s:s}", "mode", "read", "name", name);
    char *json = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    if (!json || !lake_schema_export(NULL, NULL, 0, &none)) {
        free(json);
        return error_out_of_memory(error);
    }
    enum ods_lake_answer answer =
        engine->table(reader->lake, json, &none, &reader->table, &text);
    free(json);
    enum ods_status status = lake_engine_judge(engine, answer, text, error);
    if (status == ODS_OK && !reader->table)
        return error_set(error, ODS_REJECT, "there is no table of Delta Lake in %.1000s", place);
    return status;
}

enum ods_status lake_reader_open(struct lake_reader **made, const char *place,
                                 const struct lake_settings *settings, struct error *error)
{
    struct lake_reader *reader = calloc(1, sizeof *reader);
    const char *slash = strrchr(place, '/');
    char *text = NULL;
    *made = NULL;
    if (!reader)
        return error_out_of_memory(error);
    enum ods_status status =
        lake_engine_load(&reader->engine, settings ? settings->library : "", error);
    if (status == ODS_OK) {
        char *json = lake_of(place, (size_t) (slash - place), settings);
        status = json ? lake_engine_judge(&reader->engine,
                                          reader->engine.open(json, &reader->lake, &text), text,
                                          error)
                      : error_out_of_memory(error);
        free(json);
    }
    if (status == ODS_OK)
        status = open_table(reader, place, slash + 1, error);
    if (status != ODS_OK) {
        lake_reader_close(reader);
        return status;
    }
    *made = reader;
    return ODS_OK;
}

static void end_lines(struct lake_reader *reader)
{
    if (reader->text)
        reader->engine.free(reader->text);
    if (reader->lines)
        reader->engine.close_lines(reader->lines);
    reader->text = NULL;
    reader->lines = NULL;
}

void lake_reader_close(struct lake_reader *reader)
{
    if (!reader)
        return;
    end_lines(reader);
    if (reader->table)
        reader->engine.close_table(reader->table);
    if (reader->lake)
        reader->engine.close(reader->lake);
    free(reader);
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
