/* Files with schemas: schema-change records, a registry's schemas, Connect's. See plan_row.c for
 * what becomes of them. */
#include "cli/plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"

#define FILE_BYTES_MAX (64 * 1024 * 1024)

/* --- files ------------------------------------------------------------------------------------ */

struct reading_schema {
    struct schema_files *files;
    const char *path, *topic; /* of the option --topic; NULL: it was not given */
    struct error *error;
};

static int wrong(const struct reading_schema *reading, const char *why)
{
    error_set(reading->error, ODS_REJECT,
              "%s: %s (wanted: a schema-change record, an Avro schema or a registry's answer with "
              "one, or a schema of Kafka Connect)",
              reading->path, why);
    return CLI_USAGE;
}

static bool cut_suffix(char *text, const char *suffix)
{
    size_t length = strlen(text), tail = strlen(suffix);
    if (length < tail || strcmp(text + length - tail, suffix) != 0)
        return false;
    text[length - tail] = '\0';
    return true;
}

static const json_t *field_named(const json_t *schema, const char *name)
{
    const json_t *field;
    size_t i;
    json_array_foreach(json_object_get(schema, "fields"), i, field)
    {
        if (strcmp(text_in(field, "field"), name) == 0)
            return field;
    }
    return NULL;
}

/* A schema of Kafka Connect, of rows or of keys. `subject`: its name in the registry, or NULL. */
static int add_schema(const struct reading_schema *reading, const json_t *schema,
                      const char *subject)
{
    const json_t *after = field_named(schema, "after");
    const json_t *row = after && field_named(schema, "op") ? after : schema;
    char *name = strdup(subject ? subject : text_in(schema, "name"));
    if (!name) {
        error_out_of_memory(reading->error);
        return CLI_INTERNAL;
    }
    bool key = cut_suffix(name, subject ? "-key" : ".Key") || strcmp(name, "Key") == 0;
    if (!key && !cut_suffix(name, "-value") && !cut_suffix(name, ".Envelope"))
        cut_suffix(name, ".Value");
    json_t *one =
        json_pack("{s:O, s:s, s:s}", "schema", row, "topic", reading->topic ? reading->topic : name,
                  "connector", text_in(field_named(schema, "source"), "name"));
    free(name);
    json_array_append_new(key ? reading->files->keys : reading->files->rows, one);
    return CLI_OK;
}

static int add_document(const struct reading_schema *reading, const json_t *document,
                        const char *subject, int depth);

/* A text with JSON in it: a registry's schema, a record's payload. */
static int add_text(const struct reading_schema *reading, const char *text, const char *subject,
                    int depth)
{
    json_t *inner = json_loads(text, JSON_DECODE_ANY, NULL);
    int code = inner ? add_document(reading, inner, subject, depth)
                     : wrong(reading, "a schema within it is not JSON");
    json_decref(inner);
    return code;
}

static int add_avro(const struct reading_schema *reading, const json_t *avro, const char *subject)
{
    const char *problem = NULL;
    json_t *connect = connect_from_avro(avro, &problem);
    int code = connect ? add_schema(reading, connect, subject)
                       : wrong(reading, problem ? problem : "it can't be read");
    json_decref(connect);
    return code;
}

static int add_document(const struct reading_schema *reading, const json_t *document,
                        const char *subject, int depth)
{
    const json_t *schema = json_object_get(document, "schema");
    const json_t *payload = json_object_get(document, "payload");
    const char *type = text_in(document, "type"), *registered = text_in(document, "schemaType");
    if (depth > 4)
        return wrong(reading, "schemas within schemas");
    if (json_is_object(payload) && !json_is_object(json_object_get(payload, "after")) &&
        (json_object_get(payload, "tableChanges") || json_object_get(payload, "ddl")))
        document = payload;
    if (json_object_get(document, "tableChanges") ||
        json_is_object(json_object_get(document, "def"))) {
        json_array_append(reading->files->changes, (json_t *) document);
        return CLI_OK;
    }
    if (*registered && strcmp(registered, "AVRO") != 0)
        return wrong(reading, "a registry's schema that is not Avro");
    if (json_is_string(schema)) {
        const char *own = text_in(document, "subject");
        return add_text(reading, json_string_value(schema), *own ? own : subject, depth + 1);
    }
    if (json_is_object(schema)) /* a record with its schema */
        return add_document(reading, schema, subject, depth + 1);
    if (json_is_string(payload)) /* a recorded line */
        return add_text(reading, json_string_value(payload), subject, depth + 1);
    if (strcmp(type, "struct") == 0)
        return add_schema(reading, document, subject);
    if (strcmp(type, "record") == 0)
        return add_avro(reading, document, subject);
    return wrong(reading, "it holds no schema");
}

/* A file may hold several, one after the other. */
static int add_text_of_file(const struct reading_schema *reading, const char *text, size_t length)
{
    size_t at = 0;
    bool any = false;
    int code = CLI_OK;
    while (code == CLI_OK) {
        while (at < length && strchr(" \t\r\n,", text[at]))
            at++;
        if (at == length)
            break;
        json_error_t problem;
        json_t *document = json_loadb(text + at, length - at, JSON_DISABLE_EOF_CHECK, &problem);
        if (!document)
            return wrong(reading, problem.text);
        at += (size_t) problem.position;
        any = true;
        code = add_document(reading, document, NULL, 0);
        json_decref(document);
    }
    return code == CLI_OK && !any ? wrong(reading, "it is empty") : code;
}

static int read_file(const struct reading_schema *reading)
{
    bool standard = strcmp(reading->path, "-") == 0;
    FILE *file = standard ? stdin : fopen(reading->path, "r");
    char *text = file ? malloc(FILE_BYTES_MAX + 1) : NULL;
    int code;
    if (!text) {
        error_set(reading->error, ODS_FATAL, "%s: %s", reading->path, strerror(errno));
        code = CLI_SOURCE;
    } else {
        size_t length = fread(text, 1, FILE_BYTES_MAX + 1, file);
        code = ferror(file)              ? wrong(reading, strerror(errno))
               : length > FILE_BYTES_MAX ? wrong(reading, "it has more than 64 MB")
                                         : add_text_of_file(reading, text, length);
    }
    free(text);
    if (file && !standard)
        fclose(file);
    return code;
}

int schema_files_read(struct schema_files *files, const struct strings *paths, const char *topic,
                      struct error *error)
{
    int code = CLI_OK;
    *files = (struct schema_files){json_array(), json_array(), json_array()};
    for (size_t i = 0; code == CLI_OK && i < paths->count; i++) {
        const struct reading_schema reading = {
            .files = files, .path = paths->items[i], .topic = topic, .error = error};
        code = read_file(&reading);
    }
    if (code == CLI_OK && !json_array_size(files->changes) && !json_array_size(files->rows)) {
        error_set(error, ODS_REJECT, "there are schemas of keys alone: give that of the rows too");
        code = CLI_USAGE;
    }
    return code;
}

void schema_files_done(struct schema_files *files)
{
    json_decref(files->changes);
    json_decref(files->rows);
    json_decref(files->keys);
}
