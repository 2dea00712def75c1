/* Samples of a column's documents: from a topic of Kafka, the newest of its records, from a file of
 * records, or a file that is one document. Reads only; joins no group. */
#include "cli/xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/lines.h>
#include <ods/pipeline.h>
#include <ods/shape.h>

#include "cli/interrupt.h"
#include "core/text.h"
#include "pipeline/recording.h"
#include "pipeline/worker.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

struct look {
    struct xml_samples *samples;
    const struct pipeline_settings *pipeline; /* NULL: none is configured */
    struct worker worker;
    struct batch *batch;
    struct buffer text;
    enum ods_status status; /* of what ends it */
    struct error *error;
};

void samples_done(struct xml_samples *samples)
{
    outline_done(&samples->outline);
    free(samples->source_table);
    free(samples->source_column);
    free(samples->schema);
    free(samples->table);
    free(samples->column);
    for (size_t i = 0; i < samples->key_count; i++)
        free(samples->keys[i]);
}

/* --- names ----------------------------------------------------------------------------------- */

static char *name_in_target(const struct look *look, const struct table_settings *table,
                            const char *column)
{
    const char *name = table ? lines_column(table, column) : column;
    char *copy = name ? strdup(name) : NULL;
    bool lower = look->samples->options->lower ||
                 (table && table->fold == NAME_LOWER && name == column);
    for (char *at = copy; at && lower && *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char) (*at + 'a' - 'A');
    return copy;
}

/* The names that the target has for the table, once. */
static enum ods_status name_all(struct look *look, const struct shape *shape, uint32_t column)
{
    struct xml_samples *samples = look->samples;
    const char *space = *shape->schema ? shape->schema : shape->database;
    const struct table_settings *table =
        look->pipeline ? pipeline_table(look->pipeline, space, shape->table) : NULL;
    const struct sink_ops *sink =
        look->pipeline
            ? sink_find(settings_target(samples->settings, look->pipeline->target)->type)
            : NULL;
    enum ods_status status = ODS_OK;
    if (table && sink && sink->name_table)
        status = sink->name_table(table, shape, &samples->schema, &samples->table, look->error);
    else
        samples->table = name_in_target(look, NULL, shape->table);
    samples->column = name_in_target(look, table, shape->columns[column].name);
    samples->source_table = strdup(shape->table);
    samples->source_column = strdup(shape->columns[column].name);
    bool configured = table && table->key.count;
    size_t count = configured ? table->key.count : shape->key_count;
    for (size_t i = 0; i < count && samples->key_count < SUGGEST_KEYS; i++) {
        const char *name =
            configured ? table->key.items[i] : shape->columns[shape->key[i]].name;
        if ((samples->keys[samples->key_count] = name_in_target(look, table, name)))
            samples->key_count++;
    }
    if (status == ODS_OK && !samples->column)
        status = error_set(look->error, ODS_FATAL, "the column %s is left out by tables.yaml",
                           shape->columns[column].name);
    if (status == ODS_OK && (!samples->table || !samples->source_table || !samples->source_column))
        status = error_out_of_memory(look->error);
    return status;
}

/* --- documents ------------------------------------------------------------------------------- */

static void refuse(struct xml_samples *samples, const struct record *record,
                   const struct error *error)
{
    if (!samples->refused++)
        snprintf(samples->refusal, sizeof samples->refusal, "%.120s %d@%lld: %.220s",
                 record->topic, (int) record->partition, (long long) record->offset, error->text);
}

static int find_column(const struct shape *shape, const char *name)
{
    int found = shape_column(shape, name, strlen(name));
    for (uint32_t i = 0; found < 0 && i < shape->column_count; i++)
        if (strcasecmp(shape->columns[i].name, name) == 0)
            found = (int) i;
    return found;
}

static enum ods_status take_document(struct look *look, const struct record *record,
                                     const struct column *column, const struct value *value)
{
    struct error error;
    error_init(&error);
    buffer_reset(&look->text);
    enum ods_status status = text_value(&look->text, column, value, &error);
    if (status == ODS_OK)
        status = outline_read(&look->samples->outline, buffer_text(&look->text),
                              look->text.length, true, &error);
    if (status == ODS_REJECT)
        refuse(look->samples, record, &error);
    else if (status == ODS_OK)
        look->samples->read++;
    else
        *look->error = error;
    return status == ODS_REJECT ? ODS_OK : status;
}

/* A change of the table that is meant: of the first one that has the column, unless it is named. */
static enum ods_status take_change(struct look *look, const struct record *record,
                                   const struct change *change)
{
    struct xml_samples *samples = look->samples;
    const struct shape *shape = change->shape;
    const char *table = samples->options->table;
    if (!change->after || (table && strcasecmp(table, shape->table) != 0) ||
        (samples->source_table && strcmp(samples->source_table, shape->table) != 0))
        return ODS_OK;
    int column = find_column(shape, samples->options->column);
    if (column < 0)
        return ODS_OK;
    const struct value *value = &change->after[column];
    enum ods_status status =
        samples->source_table ? ODS_OK : name_all(look, shape, (uint32_t) column);
    if (status != ODS_OK || value->kind == VALUE_ABSENT || value->kind == VALUE_NULL)
        return status;
    return take_document(look, record, &shape->columns[column], value);
}

/* batch->records[0], whose batch is reset by the caller. */
static enum ods_status take_record(struct look *look)
{
    struct error error;
    error_init(&error);
    look->samples->looked_at++;
    enum ods_status status = worker_decode(&look->worker, look->batch, 0, &error);
    if (status == ODS_REJECT) {
        refuse(look->samples, &look->batch->records[0], &error);
        return ODS_OK;
    }
    if (status != ODS_OK)
        *look->error = error;
    for (uint32_t i = 0; status == ODS_OK && i < look->batch->change_count; i++)
        status = take_change(look, &look->batch->records[0], &look->batch->changes[i]);
    return status;
}

static bool is_enough(const struct look *look)
{
    return look->status != ODS_OK || interrupt_came() ||
           look->samples->read >= (uint64_t) look->samples->options->samples;
}

/* --- where they come from -------------------------------------------------------------------- */

static const struct pipeline_settings *reader_of(const struct settings *settings,
                                                 const char *topic)
{
    for (size_t i = 0; settings && i < settings->pipeline_count; i++)
        if (pipeline_reads(&settings->pipelines[i], topic))
            return &settings->pipelines[i];
    return NULL;
}

static enum ods_status open_worker(struct look *look, const char *topic)
{
    struct registry_settings registry;
    const struct settings *settings = look->samples->settings;
    cli_registry(&registry, "");
    look->pipeline = reader_of(settings, topic);
    if (settings && !look->pipeline)
        return error_set(look->error, ODS_FATAL, "topic %s is read by no pipeline", topic);
    const struct worker_options options = {.pipeline = look->pipeline,
                                           .format = look->pipeline ? NULL : "auto",
                                           .registry = look->pipeline ? NULL : &registry};
    return worker_open(&look->worker, &options, look->error);
}

static int look_at_records(struct look *look, struct recording *source)
{
    bool end = false;
    while (!is_enough(look)) {
        batch_reset(look->batch);
        enum ods_status status = recording_read(source, look->batch, &end, look->error);
        if (status == ODS_OK && end)
            break;
        if (status == ODS_REJECT) {
            error_set(look->error, ODS_FATAL, "%s, line %llu: %.200s",
                      look->samples->options->file,
                      (unsigned long long) recording_line(source), look->error->text);
            return CLI_SOURCE;
        }
        if (status == ODS_OK && !look->worker.decoder)
            status = open_worker(look, look->batch->records[0].topic);
        if (status == ODS_OK)
            status = take_record(look);
        look->status = status;
    }
    batch_reset(look->batch);
    return look->status == ODS_OK ? CLI_OK : CLI_CONFIG;
}

/* A file that begins with < is a document. */
static int look_at_document(struct look *look, FILE *file)
{
    struct xml_samples *samples = look->samples;
    char piece[65536];
    for (size_t got; (got = fread(piece, 1, sizeof piece, file)) > 0;) {
        buffer_add(&look->text, piece, got);
        if (look->text.length > OUTLINE_BYTES)
            break;
    }
    enum ods_status status = outline_read(&samples->outline, buffer_text(&look->text),
                                          look->text.length, false, look->error);
    samples->looked_at++;
    samples->read += status == ODS_OK;
    return status == ODS_OK ? CLI_OK : status == ODS_REJECT ? CLI_NEGATIVE : CLI_INTERNAL;
}

static bool begins_with_markup(FILE *file)
{
    int byte;
    do
        byte = fgetc(file);
    while (byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t' || byte == 0xEF ||
           byte == 0xBB || byte == 0xBF);
    rewind(file);
    return byte == '<' || byte == 0xFE || byte == 0xFF;
}

static int look_at_file(struct look *look)
{
    const char *path = look->samples->options->file;
    struct recording *source = NULL;
    FILE *file = strcmp(path, "-") == 0 ? NULL : fopen(path, "r");
    bool document = file && begins_with_markup(file);
    int code = CLI_SOURCE;
    if (document)
        code = look_at_document(look, file);
    else if (recording_open(&source, path, look->error) == ODS_OK)
        code = look_at_records(look, source);
    recording_close(source);
    if (file)
        fclose(file);
    return code;
}

static bool take_from_topic(void *context, const struct record *record)
{
    struct look *look = context;
    struct record *slot = batch_add_record(look->batch);
    if (slot) {
        *slot = *record;
        look->batch->headers = kafka_headers;
        look->status = take_record(look);
        slot->owner = NULL;
        batch_reset(look->batch);
    } else {
        look->status = error_out_of_memory(look->error);
    }
    kafka_release(record->owner);
    return !is_enough(look);
}

/* The newest records of each partition, several for each sample that is wanted: updates do not
 * carry documents that they do not change. */
static enum ods_status look_at_topic(struct look *look)
{
    const char *topic = look->samples->options->topic;
    struct kafka_tool *tool = NULL;
    int32_t count = 0;
    enum ods_status status = open_worker(look, topic);
    if (status == ODS_OK && strcmp(look->pipeline->input.type, "kafka") != 0)
        return error_set(look->error, ODS_FATAL,
                         "topic %s is no topic of Kafka, and reading it would take its records: "
                         "give some of them with --file",
                         topic);
    if (status == ODS_OK)
        status = kafka_tool_open_quick(&tool, look->samples->settings, look->pipeline->group_id,
                                       look->error);
    if (status == ODS_OK)
        status = kafka_tool_partitions(tool, topic, &count, look->error);
    if (status == ODS_OK && !count)
        status = error_set(look->error, ODS_FATAL, "there is no topic %s", topic);
    for (int32_t i = 0; status == ODS_OK && i < count && !is_enough(look); i++) {
        struct kafka_span span = {.partition = i};
        int64_t low = 0;
        status = kafka_tool_ends(tool, topic, i, &low, &span.upto, look->error);
        span.from = span.upto - look->samples->options->samples * 10;
        span.from = span.from < low ? low : span.from;
        if (status == ODS_OK && span.from < span.upto)
            status = kafka_tool_read_spans(tool, topic, &span, 1, take_from_topic, interrupt_came,
                                           look, look->error);
        status = look->status != ODS_OK ? look->status : status;
    }
    kafka_tool_close(tool);
    return status;
}

int samples_load(struct xml_samples *samples, struct error *error)
{
    struct look look = {.samples = samples, .error = error, .batch = batch_new()};
    int code = CLI_INTERNAL;
    buffer_init(&look.text);
    interrupt_catch();
    if (!look.batch)
        error_out_of_memory(error);
    else if (samples->options->file)
        code = look_at_file(&look);
    else
        code = look_at_topic(&look) == ODS_OK ? CLI_OK : CLI_SOURCE;
    worker_close(&look.worker);
    if (look.batch)
        batch_free(look.batch);
    buffer_done(&look.text);
    return code;
}
