/* `decode --transform`: what a pipeline's transforms make of records, before and after side by
 * side. From a file, or from a topic as its records come (--watch). Reads only; joins no group. */
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>

#include "cli/columns.h"
#include "cli/decode.h"
#include "cli/interrupt.h"
#include "cli/json.h"
#include "cli/preview.h"
#include "cli/terminal.h"
#include "pipeline/recording.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

#define POLL_MS 200

struct show {
    const struct decode_options *options;
    const struct settings *settings;
    struct preview *previews;
    size_t count;
    struct terminal terminal;
    struct buffer before, after;
    int64_t shown;
    bool bad, unread;
};

/* --- one record ------------------------------------------------------------------------------ */

static json_t *row_of(json_t *change)
{
    json_t *after = json_object_get(change, "after");
    return json_is_object(after) ? after : json_object_get(change, "before");
}

static const char *cell(json_t *row, const char *name)
{
    json_t *value = json_object_get(row, name);
    return !value ? "" : json_is_null(value) ? "null" : json_string_value(value);
}

static void put_title(struct columns *table, json_t *change, const char *without)
{
    char text[300];
    if (change)
        snprintf(text, sizeof text, "%s of %s", cell(change, "op"), cell(change, "table"));
    columns_add(table, change ? text : without);
    columns_paint(table, PAINT_HEAD);
}

static void put_row(struct columns *table, const char *name, json_t *before, json_t *after)
{
    const char *left = cell(before, name), *right = cell(after, name);
    columns_add(table, name);
    columns_add(table, left);
    columns_add(table, right);
    if (strcmp(left, right) != 0)
        columns_paint(table, PAINT_WARN);
}

/* A pair of changes, of which one may be missing. */
static void show_pair(struct columns *table, json_t *before, json_t *after, const char *without)
{
    json_t *left = before ? row_of(before) : NULL, *right = after ? row_of(after) : NULL;
    const char *name;
    json_t *value;
    columns_add(table, "");
    put_title(table, before, "");
    put_title(table, after, without);
    json_object_foreach (left, name, value)
        put_row(table, name, left, right);
    json_object_foreach (right, name, value)
        if (!json_object_get(left, name))
            put_row(table, name, left, right);
}

static void show_side_by_side(struct show *show, const struct record *record, json_t *before,
                              json_t *after, const struct preview_result *result)
{
    static const char *const heads[] = {"column", "decoded", "transformed"};
    size_t count = json_array_size(before) > json_array_size(after) ? json_array_size(before)
                                                                    : json_array_size(after);
    terminal_line(stdout, "%s %d@%lld", record->topic, (int) record->partition,
                  (long long) record->offset);
    if (result->rejected) {
        terminal_line(stdout, "  dead letter: %s", result->error.text);
        count = json_array_size(before);
    }
    if (!count)
        return;
    struct columns table;
    columns_init(&table, &show->terminal, heads, 3);
    for (size_t i = 0; i < count; i++)
        show_pair(&table, json_array_get(before, i), json_array_get(after, i),
                  result->rejected ? "(dead letter)" : "(dropped)");
    columns_print(&table);
    columns_done(&table);
}

static void show_json(const struct record *record, json_t *before, json_t *after,
                      const struct preview_result *result)
{
    json_t *line = json_pack("{s:o, s:i, s:I, s:O, s:O, s:o}", "topic", cli_json(record->topic),
                             "partition", (int) record->partition, "offset",
                             (json_int_t) record->offset, "before", before, "after", after,
                             "error", result->rejected ? cli_json(result->error.text)
                                                       : json_null());
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

/* The record is the first one of the preview's batch. */
static enum ods_status show_record(struct show *show, struct preview *preview,
                                   struct error *error)
{
    struct preview_result result = {.before = &show->before, .after = &show->after};
    enum ods_status status = preview_record(preview, &result, error);
    if (status != ODS_OK)
        return status;
    json_t *before = json_loadb(show->before.bytes, show->before.length, 0, NULL);
    json_t *after = json_loadb(show->after.bytes, show->after.length, 0, NULL);
    const struct record *record = &preview->batch->records[0];
    show->bad |= result.rejected;
    if (show->options->json)
        show_json(record, before, after, &result);
    else
        show_side_by_side(show, record, before, after, &result);
    fflush(stdout);
    json_decref(before);
    json_decref(after);
    show->shown++;
    return ODS_OK;
}

static struct preview *preview_of(struct show *show, const char *topic)
{
    for (size_t i = 0; i < show->count; i++)
        if (pipeline_reads(show->previews[i].pipeline, topic))
            return &show->previews[i];
    return NULL;
}

static bool is_done(const struct show *show)
{
    return interrupt_came() || (show->options->count && show->shown >= show->options->count);
}

/* --- where they come from -------------------------------------------------------------------- */

static int show_file(struct show *show, struct error *error)
{
    struct recording *source = NULL;
    int code = CLI_OK;
    bool end = false;
    struct batch *batch = batch_new();
    if (!batch || recording_open(&source, show->options->path, error) != ODS_OK)
        code = CLI_SOURCE;
    while (code == CLI_OK && !is_done(show)) {
        batch_reset(batch);
        enum ods_status status = recording_read(source, batch, &end, error);
        if (status == ODS_OK && end)
            break;
        if (status == ODS_REJECT) {
            terminal_line(stderr, "line %llu: %s",
                          (unsigned long long) recording_line(source), error->text);
            show->bad = true;
            continue;
        }
        struct preview *preview =
            status == ODS_OK ? preview_of(show, batch->records[0].topic) : NULL;
        if (status == ODS_OK && !preview) {
            terminal_line(stderr, "topic %s is read by no pipeline", batch->records[0].topic);
            show->bad = true;
            continue;
        }
        if (status == ODS_OK) {
            struct record *record = batch_add_record(preview->batch);
            if (record) {
                *record = batch->records[0];
                record->owner = NULL;
                preview->batch->headers = batch->headers;
            }
            status = record ? show_record(show, preview, error) : error_out_of_memory(error);
            batch_reset(preview->batch);
        }
        if (status != ODS_OK)
            code = CLI_INTERNAL;
    }
    if (batch)
        batch_free(batch);
    recording_close(source);
    return code;
}

/* From the ends of the topic's partitions on, or from what Kafka still has. */
static enum ods_status follow(const struct show *show, struct kafka_tool *tool,
                              struct error *error)
{
    const char *topic = show->options->watch;
    struct topic_reader *reader = kafka_tool_reader(tool);
    int32_t count = 0;
    enum ods_status status = kafka_tool_partitions(tool, topic, &count, error);
    if (status == ODS_OK && !count)
        return error_set(error, ODS_FATAL, "there is no topic %s", topic);
    int64_t *next = calloc((size_t) count + 1, sizeof *next);
    for (int32_t i = 0; status == ODS_OK && next && i < count; i++) {
        int64_t low = 0, high = 0;
        status = kafka_tool_ends(tool, topic, i, &low, &high, error);
        next[i] = show->options->beginning ? low : high;
    }
    if (status == ODS_OK)
        status = next ? reader->ops->follow(reader, topic, next, count, error)
                      : error_out_of_memory(error);
    free(next);
    return status;
}

static int watch_topic(struct show *show, struct error *error)
{
    struct kafka_tool *tool = NULL;
    struct preview *preview = preview_of(show, show->options->watch);
    if (!preview) {
        error_set(error, ODS_FATAL, "topic %s is read by no pipeline", show->options->watch);
        return CLI_USAGE;
    }
    assert(preview->pipeline); /* as of each that open_previews() counts */
    enum ods_status status =
        kafka_tool_open(&tool, show->settings, preview->pipeline->group_id, error);
    if (status == ODS_OK)
        status = follow(show, tool, error);
    struct topic_reader *reader = tool ? kafka_tool_reader(tool) : NULL;
    assert(status != ODS_OK || reader);
    preview->batch->headers = kafka_headers;
    while (status == ODS_OK && !is_done(show)) {
        struct record record = {0};
        if (reader->ops->next(reader, POLL_MS, &record) != SOURCE_RECORD)
            continue;
        struct record *slot = batch_add_record(preview->batch);
        if (slot)
            *slot = record;
        status = slot ? show_record(show, preview, error) : error_out_of_memory(error);
        if (slot)
            slot->owner = NULL;
        batch_reset(preview->batch);
        preview->batch->headers = kafka_headers;
        reader->ops->release(record.owner);
    }
    kafka_tool_close(tool);
    return status == ODS_OK ? CLI_OK : CLI_SOURCE;
}

/* --- the command ----------------------------------------------------------------------------- */

static int open_previews(struct show *show, struct error *error)
{
    const struct settings *settings = show->settings;
    const char *only = show->options->pipeline;
    show->previews = calloc(settings->pipeline_count + 1, sizeof *show->previews);
    for (size_t i = 0; show->previews && i < settings->pipeline_count; i++) {
        if (only && strcmp(only, settings->pipelines[i].name) != 0)
            continue;
        if (preview_open(&show->previews[show->count++], &settings->pipelines[i], error) != ODS_OK)
            return CLI_CONFIG;
    }
    if (show->count)
        return CLI_OK;
    error_set(error, ODS_FATAL, "there is no pipeline \"%s\"", only ? only : "");
    return CLI_USAGE;
}

int decode_transformed(const struct call *call, const struct decode_options *options)
{
    struct show show = {.options = options};
    struct config *config = NULL;
    struct error error;
    error_init(&error);
    if (!options->config)
        return cli_usage(call->name, "--transform needs -c ods-sink.conf");
    if ((options->path != NULL) == (options->watch != NULL))
        return cli_usage(call->name, "--transform needs a FILE, or --watch TOPIC");
    int code = cli_load(&config, options->config);
    buffer_init(&show.before);
    buffer_init(&show.after);
    terminal_init(&show.terminal, "auto");
    if (code == CLI_OK) {
        show.settings = config_settings(config);
        code = open_previews(&show, &error);
    }
    interrupt_catch();
    if (code == CLI_OK)
        code = options->watch ? watch_topic(&show, &error) : show_file(&show, &error);
    if (code != CLI_OK && *error.text)
        terminal_line(stderr, "ods-sink decode: %s", error.text);
    for (size_t i = 0; i < show.count; i++)
        preview_close(&show.previews[i]);
    free(show.previews);
    buffer_done(&show.before);
    buffer_done(&show.after);
    config_free(config);
    return cli_finish(code != CLI_OK ? code : show.bad ? CLI_NEGATIVE : CLI_OK);
}
