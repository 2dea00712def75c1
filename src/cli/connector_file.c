/* A connector's configuration in a file, and what differs from the one that runs.
 * See connector.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connector.h"
#include "config/config_file.h"
#include "config/secret.h"

#define FILE_MAX_BYTES (1024 * 1024)

/* --- ${NAME} -------------------------------------------------------------------------------- */

#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"

/* ${NAME} or ${NAME:-default} at `at`: what it stands for, appended, and the place after it. NULL:
 * it is none of these. *missing: the variable that is not set. */
static const char *put_variable(struct buffer *out, const char *at, char *missing, size_t size)
{
    const char *name = at + 2, *end = strchr(at, '}');
    size_t length = strspn(name, CAPITALS);
    bool fallback = strncmp(name + length, ":-", 2) == 0;
    if (!end || !length || (name + length != end && !fallback) || (*name >= '0' && *name <= '9'))
        return NULL;
    char variable[256];
    snprintf(variable, sizeof variable, "%.*s", (int) length, name);
    const char *value = getenv(variable);
    if (value && *value)
        buffer_puts(out, value);
    else if (fallback)
        buffer_add(out, name + length + 2, (size_t) (end - name) - length - 2);
    else
        snprintf(missing, size, "%s", variable);
    return end + 1;
}

static json_t *substituted(const char *text, char *missing, size_t size)
{
    struct buffer out;
    buffer_init(&out);
    while (*text) {
        const char *behind = strncmp(text, "${", 2) == 0 ? put_variable(&out, text, missing, size)
                                                         : NULL;
        if (!behind) {
            buffer_add(&out, text, 1);
            behind = text + 1;
        }
        text = behind;
    }
    json_t *value = out.failed ? NULL : json_string(buffer_text(&out));
    if (out.bytes)
        explicit_bzero(out.bytes, out.capacity);
    buffer_done(&out);
    return value;
}

/* --- reading -------------------------------------------------------------------------------- */

/* Connect takes texts; what JSON has else is written as it stands. */
static enum ods_status take_property(struct connector_file *file, const char *name,
                                     const json_t *value, struct error *error)
{
    char missing[256] = "";
    json_t *text = NULL;
    if (json_is_string(value)) {
        text = substituted(json_string_value(value), missing, sizeof missing);
    } else if (json_is_object(value) || json_is_array(value)) {
        return error_set(error, ODS_FATAL, "%s: \"%s\" must be a string", file->path, name);
    } else if (!json_is_null(value)) {
        char *written = json_dumps(value, JSON_ENCODE_ANY);
        text = written ? json_string(written) : NULL;
        free(written);
    } else {
        return ODS_OK;
    }
    if (*missing) {
        json_decref(text);
        return error_set(error, ODS_FATAL,
                         "%s: \"%s\" wants the environment variable %s, which is not set; set it, "
                         "or give a default with ${%s:-default}",
                         file->path, name, missing, missing);
    }
    return text && json_object_set_new(file->config, name, text) == 0 ? ODS_OK
                                                                      : error_out_of_memory(error);
}

static enum ods_status take_config(struct connector_file *file, json_t *root, struct error *error)
{
    json_t *inner = json_object_get(root, "config"), *value;
    json_t *properties = json_is_object(inner) ? inner : root;
    const char *name = json_text(root, "name"), *property;
    enum ods_status status = ODS_OK;
    if (!*name)
        name = json_text(properties, "name");
    if (!*name || !*json_text(properties, "connector.class"))
        return error_set(error, ODS_FATAL,
                         "%s is not a connector: expected {\"name\": …, \"config\": "
                         "{\"connector.class\": …}}, or the properties alone with their name",
                         file->path);
    file->config = json_object();
    char missing[256] = "";
    json_t *own = substituted(name, missing, sizeof missing);
    file->name = own && !*missing ? strdup(json_string_value(own)) : NULL;
    json_decref(own);
    if (!file->config || !file->name)
        return *missing ? error_set(error, ODS_FATAL,
                                    "%s: \"name\" wants the environment variable %s, which "
                                    "is not set",
                                    file->path, missing)
                        : error_out_of_memory(error);
    json_object_foreach(properties, property, value)
    {
        if (status == ODS_OK && strcmp(property, "name") != 0)
            status = take_property(file, property, value, error);
    }
    return status;
}

enum ods_status connector_file_read(struct connector_file *file, const char *path,
                                    struct error *error)
{
    struct config_file text;
    json_error_t where;
    *file = (struct connector_file){.path = path};
    const char *why = config_file_read(&text, path, FILE_MAX_BYTES);
    if (why)
        return error_set(error, ODS_FATAL, "cannot read %s: %s", path, why);
    json_t *root = json_loadb(text.bytes, text.length, JSON_REJECT_DUPLICATES, &where);
    config_file_done(&text);
    enum ods_status status =
        json_is_object(root)
            ? take_config(file, root, error)
            : error_set(error, ODS_FATAL, "%s:%d: %s", path, root ? 1 : where.line,
                        root ? "expected an object: {\"name\": …, \"config\": {…}}" : where.text);
    json_decref(root);
    if (status != ODS_OK)
        connector_file_done(file);
    return status;
}

void connector_file_done(struct connector_file *file)
{
    free(file->name);
    json_decref(file->config);
    *file = (struct connector_file){0};
}

bool connector_file_set(struct connector_file *file, const char *property, const char *value)
{
    if (strcmp(property, "name") != 0)
        return json_object_set_new(file->config, property, json_string(value)) == 0;
    char *name = strdup(value);
    if (!name)
        return false;
    free(file->name);
    file->name = name;
    return true;
}

/* --- differences ---------------------------------------------------------------------------- */

static const char *shown(const char *property, const char *value)
{
    return value && *value && secret_name(property) && strncmp(value, "${", 2) != 0 ? SECRET_MASK
                                                                                    : value;
}

size_t connector_changes(const json_t *running, const json_t *wanted,
                         void (*tell)(void *context, const char *property, const char *was,
                                      const char *is),
                         void *context)
{
    const char *property;
    json_t *value;
    size_t changes = 0;
    json_object_foreach((json_t *) wanted, property, value)
    {
        const char *is = json_string_value(value);
        const char *was = json_string_value(json_object_get(running, property));
        if (was && is && strcmp(was, is) == 0)
            continue;
        changes++;
        tell(context, property, shown(property, was), shown(property, is));
    }
    json_object_foreach((json_t *) running, property, value)
    {
        if (strcmp(property, "name") == 0 || json_object_get(wanted, property))
            continue;
        changes++;
        tell(context, property, shown(property, json_string_value(value)), NULL);
    }
    return changes;
}

/* --- validating and putting ----------------------------------------------------------------- */

enum ods_status connector_validate(struct connect *connect, const json_t *config,
                                   void (*tell)(void *context, const char *property,
                                                const char *complaint),
                                   void *context, size_t *complaints, struct error *error)
{
    char path[512];
    json_t *answer, *one, *complaint;
    size_t i, j;
    *complaints = 0;
    const char *class = json_text(config, "connector.class");
    if (strlen(class) > 400 || strpbrk(class, "/?#% "))
        return error_set(error, ODS_REJECT, "connector.class \"%.80s\" is not the name of a class",
                         class);
    snprintf(path, sizeof path, "/connector-plugins/%s/config/validate", class);
    enum ods_status status = connect_ask(connect, "PUT", path, config, &answer, error);
    if (status != ODS_OK)
        return status;
    json_array_foreach(json_object_get(answer, "configs"), i, one)
    {
        const json_t *value = json_object_get(one, "value");
        json_array_foreach(json_object_get(value, "errors"), j, complaint)
        {
            tell(context, json_text(value, "name"), json_string_value(complaint));
            ++*complaints;
        }
    }
    json_decref(answer);
    return ODS_OK;
}

enum ods_status connector_put(struct connect *connect, const char *name, const json_t *config,
                              struct error *error)
{
    struct buffer path;
    buffer_init(&path);
    connect_path(&path, name, "/config");
    enum ods_status status =
        path.failed ? error_out_of_memory(error)
                    : connect_ask(connect, "PUT", buffer_text(&path), config, NULL, error);
    buffer_done(&path);
    return status;
}
