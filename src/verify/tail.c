/* Places in records. See tail.h. */
#include "verify/tail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

static int64_t number_of(yyjson_val *value, int64_t none)
{
    if (yyjson_is_int(value))
        return yyjson_get_sint(value);
    if (yyjson_is_str(value) && yyjson_get_len(value) < 20) {
        long long number;
        if (sscanf(yyjson_get_str(value), "%lld", &number) == 1)
            return number;
    }
    return none;
}

static yyjson_val *named(yyjson_val *object, const char *prefix, const char *name)
{
    char whole[300];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return yyjson_obj_get(object, whole);
}

/* Reads the members that describe the record's source. Their names begin with the prefix. */
static void read_source(yyjson_val *object, const char *prefix, struct told *told)
{
    int64_t us = number_of(named(object, prefix, "ts_us"), INT64_MIN);
    int64_t ms = number_of(named(object, prefix, "ts_ms"), INT64_MIN);
    told->time_us = us != INT64_MIN ? us : ms != INT64_MIN ? ms * 1000 : INT64_MIN;
    const char *file = yyjson_get_str(named(object, prefix, "file"));
    int64_t position = number_of(named(object, prefix, "pos"), -1);
    int64_t lsn = number_of(named(object, prefix, "lsn"), -1);
    if (file && *file && position >= 0) {
        snprintf(told->place.file, sizeof told->place.file, "%s", file);
        told->place.position = (uint64_t) position;
        told->place.known = true;
    } else if (lsn > 0) {
        told->place.position = (uint64_t) lsn;
        told->place.known = true;
    }
    const char *snapshot = yyjson_get_str(named(object, prefix, "snapshot"));
    if (yyjson_get_bool(named(object, prefix, "snapshot")) ||
        (snapshot && strcmp(snapshot, "false") != 0))
        told->is_change = false;
}

static bool is_change(yyjson_val *op)
{
    const char *text = yyjson_get_str(op);
    return text && strchr("cud", *text) && strlen(text) == 1;
}

static void read_maxwell(yyjson_val *root, const char *type, struct told *told)
{
    int64_t seconds = number_of(yyjson_obj_get(root, "ts"), INT64_MIN);
    const char *position = yyjson_get_str(yyjson_obj_get(root, "position"));
    const char *colon = position ? strrchr(position, ':') : NULL;
    told->is_change = strcmp(type, "insert") == 0 || strcmp(type, "update") == 0 ||
                      strcmp(type, "delete") == 0;
    told->time_us = seconds == INT64_MIN ? INT64_MIN : seconds * 1000000;
    if (colon && (size_t) (colon - position) < sizeof told->place.file) {
        memcpy(told->place.file, position, (size_t) (colon - position));
        told->place.position = strtoull(colon + 1, NULL, 10);
        told->place.known = true;
    }
}

void tail_read(const char *value, size_t length, const char *prefix, struct told *told)
{
    *told = (struct told){.time_us = INT64_MIN};
    yyjson_doc *document =
        value ? yyjson_read_opts((char *) (uintptr_t) value, length, 0, NULL, NULL) : NULL;
    yyjson_val *root = yyjson_doc_get_root(document);
    yyjson_val *payload = yyjson_obj_get(root, "payload");
    if (yyjson_is_obj(payload))
        root = payload;
    yyjson_val *source = yyjson_obj_get(root, "source");
    const char *type = yyjson_get_str(yyjson_obj_get(root, "type"));
    if (yyjson_is_obj(source)) {
        told->is_change = is_change(yyjson_obj_get(root, "op"));
        read_source(source, "", told);
    } else if (type && yyjson_obj_get(root, "ts") && yyjson_obj_get(root, "database")) {
        read_maxwell(root, type, told);
    } else if (yyjson_is_obj(root)) {
        char inner[200];
        snprintf(inner, sizeof inner, "%ssource_", prefix);
        told->is_change = is_change(named(root, prefix, "op"));
        read_source(root, inner, told);
    }
    yyjson_doc_free(document);
}
