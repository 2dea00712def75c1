/* See json_path.h. */
#include "transform/json_path.h"

#include <stdlib.h>
#include <string.h>

#include "core/json_scan.h"
#include "transform/words.h"

#define DEPTH_MAX 500

struct step {
    const char *name; /* NULL: an index */
    size_t length, index;
};

struct json_path {
    char *text;
    struct step *steps;
    size_t count;
};

static bool take_bracket(const char **at, struct step *step)
{
    char *end;
    const char *from = *at + 1;
    if (*from == '"' || *from == '\'') {
        const char *close = strchr(from + 1, *from);
        if (!close || close[1] != ']')
            return false;
        *step = (struct step){.name = from + 1, .length = (size_t) (close - from - 1)};
        *at = close + 2;
        return true;
    }
    step->name = NULL;
    step->index = strtoul(from, &end, 10);
    if (end == from || *end != ']' || *from == '-')
        return false;
    *at = end + 1;
    return true;
}

static bool parse(struct json_path *path)
{
    const char *at = path->text;
    if (at[0] == '$')
        at++;
    while (*at) {
        struct step *step = &path->steps[path->count++];
        if (*at == '[') {
            if (!take_bracket(&at, step))
                return false;
            continue;
        }
        at += *at == '.';
        size_t length = strcspn(at, ".[");
        if (!length)
            return false;
        *step = (struct step){.name = at, .length = length};
        at += length;
    }
    return true;
}

struct json_path *json_path_new(const char *text)
{
    struct json_path *path = calloc(1, sizeof *path);
    if (!path)
        return NULL;
    path->text = strdup(text);
    path->steps = calloc(strlen(text) + 1, sizeof *path->steps);
    if (path->text && path->steps && parse(path))
        return path;
    json_path_free(path);
    return NULL;
}

void json_path_free(struct json_path *path)
{
    if (!path)
        return;
    free(path->text);
    free(path->steps);
    free(path);
}

yyjson_val *json_path_find(const struct json_path *path, yyjson_val *root)
{
    for (size_t i = 0; root && i < path->count; i++) {
        const struct step *step = &path->steps[i];
        root = step->name ? yyjson_obj_getn(root, step->name, step->length)
                          : yyjson_arr_get(root, step->index);
    }
    return root;
}

/* Of good JSON: whether more than DEPTH_MAX arrays and objects stand in one another. */
static bool is_deep(const char *text, size_t length)
{
    size_t depth = 0;
    bool string = false;
    if (length <= 2 * DEPTH_MAX)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"')
            string = !string;
        else if (string)
            i += text[i] == '\\';
        else if (text[i] == '[' || text[i] == '{')
            depth++;
        else if (text[i] == ']' || text[i] == '}')
            depth--;
        if (depth > DEPTH_MAX)
            return true;
    }
    return false;
}

enum ods_status json_document(const struct column *column, const struct value *value,
                              yyjson_doc **document, struct error *error)
{
    yyjson_read_err problem;
    *document = NULL;
    if (value->kind == VALUE_NULL || value->kind == VALUE_ABSENT)
        return ODS_OK;
    if (value->kind != VALUE_TEXT && value->kind != VALUE_JSON)
        return error_set(error, ODS_REJECT, "column %s holds no JSON", column->name);
    *document = yyjson_read_opts((char *) value->bytes, value->length,
                                 YYJSON_READ_NUMBER_AS_RAW, NULL, &problem);
    if (*document && is_deep(value->bytes, value->length)) {
        yyjson_doc_free(*document);
        *document = NULL;
        return error_set(error, ODS_REJECT,
                         "column %s holds JSON of more than %d arrays and objects in one another",
                         column->name, DEPTH_MAX);
    }
    if (*document)
        return ODS_OK;
    if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        return error_out_of_memory(error);
    return error_set(error, ODS_REJECT, "column %s holds no JSON: %s at byte %zu", column->name,
                     problem.msg, problem.pos);
}

static enum ods_status put_json(yyjson_val *from, struct arena *arena, struct value *value,
                                struct error *error)
{
    size_t length = 0;
    char *text = yyjson_val_write(from, 0, &length);
    if (!text)
        return error_out_of_memory(error);
    *value = words_text(arena, text, length);
    free(text);
    bool failed = value->kind == VALUE_ABSENT;
    value->kind = VALUE_JSON;
    return failed ? error_out_of_memory(error) : ODS_OK;
}

enum ods_status json_to_value(yyjson_val *from, const struct column *column, struct arena *arena,
                              struct value *value, struct error *error)
{
    bool typed = column->type != SEM_UNKNOWN, text = column->type == SEM_STRING;
    *value = (struct value){.kind = VALUE_NULL};
    if (!from || yyjson_is_null(from))
        return ODS_OK;
    if (yyjson_is_obj(from) || yyjson_is_arr(from)) {
        enum ods_status status = put_json(from, arena, value, error);
        if (status == ODS_OK && typed)
            status = words_read(arena, column, value->bytes, value->length, value, error);
        return status;
    }
    if (yyjson_is_bool(from) && !typed) {
        *value = (struct value){.kind = VALUE_BOOL, .integer = yyjson_get_bool(from)};
        return ODS_OK;
    }
    const char *bytes = yyjson_is_bool(from) ? (yyjson_get_bool(from) ? "true" : "false")
                        : yyjson_is_raw(from) ? yyjson_get_raw(from)
                                              : yyjson_get_str(from);
    size_t length = yyjson_is_bool(from) ? strlen(bytes) : yyjson_get_len(from);
    if (typed && !text) {
        if (column->type == SEM_JSON)
            return put_json(from, arena, value, error);
        return words_read(arena, column, bytes, length, value, error);
    }
    *value = words_text(arena, bytes, length);
    if (value->kind == VALUE_ABSENT)
        return error_out_of_memory(error);
    if (yyjson_is_raw(from) && !text)
        *value = json_number_of((struct slice){value->bytes, length});
    return ODS_OK;
}
