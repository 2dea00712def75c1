/* A table of a lake by its place. See lake_place.h. */
#include "cli/lake_place.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELTA "delta://"

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
    const char *name = whole ? strrchr(whole, '/') + 1 : "";
    bool bucket = whole && strncmp(whole, "s3://", 5) == 0;
    if (*name && *text && (!bucket || strchr(whole + 5, '/')))
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

static const struct lake_settings *settings_of(const struct settings *settings, const char *path)
{
    for (size_t i = 0; i < settings->target_count; i++) {
        const struct target_settings *target = &settings->targets[i];
        const struct lake_settings *lake = target->own;
        if (strcmp(target->type, "delta") == 0 && lake && is_below(path, lake->location))
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

int lake_place_open(struct lake_place *place, const struct call *call,
                    const struct lake_range *range)
{
    const struct lake_settings *settings = NULL;
    struct error error;
    error_init(&error);
    if (strncmp(range->place, "iceberg://", strlen("iceberg://")) == 0)
        return cli_usage(call->name, "tables of Iceberg are not read by it, those of Delta Lake "
                                     "are: with `mode: history` an Iceberg table has each change "
                                     "as a row");
    if (strncmp(range->place, DELTA, strlen(DELTA)) != 0)
        return cli_usage(call->name, "%s is no place of a table: write it as delta:///folder/table "
                                     "or delta://s3://bucket/folder/table", range->place);
    if (!(place->path = path_of(range->place + strlen(DELTA))))
        return cli_usage(call->name, "%s names no table", range->place);
    if (range->config) {
        int code = cli_load(&place->config, range->config);
        if (code != CLI_OK)
            return code;
        settings = settings_of(config_settings(place->config), place->path);
        if (!settings)
            return cli_usage(call->name, "no target of type delta in %s has its tables above %s",
                             range->config, place->path);
    }
    enum ods_status status = lake_reader_open(&place->reader, place->path, settings, &error);
    return status == ODS_OK ? CLI_OK : lake_place_failed(call, &error);
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
