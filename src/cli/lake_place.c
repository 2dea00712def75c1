/* A table of a lake by its place. See lake_place.h. */
#include "cli/lake_place.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELTA   "delta://"
#define ICEBERG "iceberg://"

/* NULL: the text names no table, or memory is out. */
static char *path_of(const char *text)
{
    struct buffer path;
    char folder[4096];
    size_t length;
    buffer_init(&path);
    if (*text != '/' && strncmp(text, "s3://", 5) != 0) {
        if (!getcwd(folder, sizeof folder))
            return NULL;
        buffer_printf(&path, "%s/", folder);
    }
    buffer_puts(&path, text);
    char *whole = strdup(buffer_text(&path));
    buffer_done(&path);
    for (length = whole ? strlen(whole) : 0; length > 1 && whole[length - 1] == '/'; length--)
        whole[length - 1] = '\0';
    const char *slash = whole ? strrchr(whole, '/') : NULL;
    bool bucket = whole && strncmp(whole, "s3://", 5) == 0;
    if (slash && slash[1] && *text && (!bucket || strchr(whole + 5, '/')))
        return whole;
    free(whole);
    return NULL;
}

/* Is the place below the target's? */
static bool is_below(const char *path, const char *location)
{
    size_t length = strlen(location);
    while (length && location[length - 1] == '/')
        length--;
    return strncmp(path, location, length) == 0 && path[length] == '/';
}

/* Of the target of this type whose tables are there; `path` NULL: of the first one. */
static const struct lake_settings *settings_of(const struct settings *settings, const char *type,
                                               const char *path)
{
    for (size_t i = 0; i < settings->target_count; i++) {
        const struct target_settings *target = &settings->targets[i];
        const struct lake_settings *lake = target->own;
        if (strcmp(target->type, type) == 0 && lake && (!path || is_below(path, lake->location)))
            return lake;
    }
    return NULL;
}

int lake_place_failed(const struct call *call, const struct error *error)
{
    fflush(stdout);
    fprintf(stderr, "ods-sink %s: %s\n", call->name, error->text);
    return CLI_TARGET;
}

static int open_delta(struct lake_place *place, const struct call *call,
                      const struct lake_range *range)
{
    const struct lake_settings *settings = NULL;
    struct error error;
    error_init(&error);
    if (range->from_snapshot >= 0 || range->upto_snapshot >= 0)
        return cli_usage(call->name, "a table of Delta Lake has versions and no snapshots: "
                                     "--from-version, --to-version");
    if (!(place->path = path_of(range->place + strlen(DELTA))))
        return cli_usage(call->name, "%s names no table", range->place);
    if (place->config) {
        settings = settings_of(config_settings(place->config), "delta", place->path);
        if (!settings)
            return cli_usage(call->name, "no target of type delta in %s has its tables above %s",
                             range->config, place->path);
    }
    enum ods_status status = lake_reader_open(&place->reader, place->path, settings, &error);
    return status == ODS_OK ? CLI_OK : lake_place_failed(call, &error);
}

/* The part of the path that is a lake's place: the folder above with a catalog in it. 0: none. */
static size_t lake_above(const char *path)
{
    char *folder = strdup(path), *slash;
    struct buffer file;
    size_t length = 0;
    buffer_init(&file);
    while (folder && !length && (slash = strrchr(folder, '/')) && slash > folder) {
        *slash = '\0';
        buffer_reset(&file);
        buffer_printf(&file, "%s/catalog.sqlite", folder);
        if (access(buffer_text(&file), F_OK) == 0)
            length = strlen(folder);
    }
    buffer_done(&file);
    free(folder);
    return length;
}

/* shop.orders, as the catalog calls it: the target is the configuration's. */
static int open_named(struct lake_place *place, const struct call *call,
                      const struct lake_range *range, const char *name)
{
    struct error error;
    error_init(&error);
    if (!place->config)
        return cli_usage(call->name, "%s is a name in a catalog: -c names the configuration whose "
                                     "target has it, or give the table's folder, as "
                                     "iceberg:///folder/%.*s/%s", range->place,
                         (int) strcspn(name, "."), name, strchr(name, '.') + 1);
    const struct lake_settings *settings =
        settings_of(config_settings(place->config), "iceberg", NULL);
    if (!settings)
        return cli_usage(call->name, "%s has no target of type iceberg", range->config);
    place->path = strdup(name);
    if (!place->path)
        return CLI_INTERNAL;
    char *dot = strchr(place->path, '.');
    assert(dot); /* open_iceberg() */
    *dot = '/';
    enum ods_status status = lake_reader_open_iceberg(&place->reader, settings->location,
                                                      place->path, settings, &error);
    *dot = '.';
    return status == ODS_OK ? CLI_OK : lake_place_failed(call, &error);
}

static int open_iceberg(struct lake_place *place, const struct call *call,
                        const struct lake_range *range)
{
    const char *text = range->place + strlen(ICEBERG), *dot = strchr(text, '.');
    const struct lake_settings *settings = NULL;
    struct error error;
    size_t length;
    error_init(&error);
    if (!strchr(text, '/') && dot && dot > text && dot[1])
        return open_named(place, call, range, text);
    if (!(place->path = path_of(text)))
        return cli_usage(call->name, "%s names no table", range->place);
    if (place->config) {
        settings = settings_of(config_settings(place->config), "iceberg", place->path);
        if (!settings)
            return cli_usage(call->name, "no target of type iceberg in %s has its tables above %s",
                             range->config, place->path);
        for (length = strlen(settings->location); length && settings->location[length - 1] == '/';)
            length--;
    } else if (!(length = lake_above(place->path))) {
        return cli_usage(call->name, "no folder above %s has a catalog.sqlite: where the catalog "
                                     "is elsewhere, -c names the configuration whose target has "
                                     "it", place->path);
    }
    char *location = strndup(place->path, length);
    if (!location)
        return CLI_INTERNAL;
    enum ods_status status = lake_reader_open_iceberg(
        &place->reader, location, place->path + length + 1, settings, &error);
    free(location);
    return status == ODS_OK ? CLI_OK : lake_place_failed(call, &error);
}

int lake_place_open(struct lake_place *place, const struct call *call,
                    const struct lake_range *range)
{
    bool iceberg = strncmp(range->place, ICEBERG, strlen(ICEBERG)) == 0;
    if (!iceberg && strncmp(range->place, DELTA, strlen(DELTA)) != 0)
        return cli_usage(call->name, "%s is no place of a table: write it as "
                                     "delta:///folder/table, delta://s3://bucket/folder/table or "
                                     "iceberg:///folder/namespace/table", range->place);
    if (range->config) {
        int code = cli_load(&place->config, range->config);
        if (code != CLI_OK)
            return code;
    }
    return iceberg ? open_iceberg(place, call, range) : open_delta(place, call, range);
}

void lake_place_close(struct lake_place *place)
{
    lake_reader_close(place->reader);
    config_free(place->config);
    free(place->path);
}

json_t *lake_range_json(const struct lake_range *range)
{
    json_t *which = json_object();
    if (range->from >= 0)
        json_object_set_new(which, "from", json_integer(range->from));
    if (range->upto >= 0)
        json_object_set_new(which, "to", json_integer(range->upto));
    if (range->from_snapshot >= 0)
        json_object_set_new(which, "from_snapshot", json_integer(range->from_snapshot));
    if (range->upto_snapshot >= 0)
        json_object_set_new(which, "to_snapshot", json_integer(range->upto_snapshot));
    if (range->since_us != INT64_MIN)
        json_object_set_new(which, "since_ms", json_integer(range->since_us / 1000));
    return which;
}

const char *lake_moment(int64_t ms, char *text, size_t size)
{
    return terminal_moment(ms > 0 ? ms : -1, text, size);
}

const char *lake_offsets(const json_t *offsets, struct buffer *out)
{
    const char *name;
    const json_t *offset;
    buffer_reset(out);
    json_object_foreach((json_t *) (uintptr_t) offsets, name, offset)
        buffer_printf(out, "%s%s → %lld", out->length ? ", " : "", name,
                      (long long) json_integer_value(offset));
    return buffer_text(out);
}

bool lake_range_begins(const struct lake_range *range)
{
    return range->from >= 0 || range->from_snapshot >= 0 || range->since_us != INT64_MIN;
}
