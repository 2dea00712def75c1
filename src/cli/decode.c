/* `ods-sink decode`: records from a file, their changes to standard output, a JSON object a line.
 * No configuration, no Kafka, no database: what the decoder sees, as text. --transform is in
 * decode_transform.c. */
#include "cli/decode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <ods/format.h>

#include <ods/buffer.h>
#include "core/json_scan.h"
#include "core/text.h"
#include "core/time.h"
#include "pipeline/recording.h"
#include "pipeline/worker.h"

struct output {
    struct buffer line, text;
    bool bad;          /* a record was rejected */
    int exit;          /* CLI_INTERNAL once writing or memory fails */
    bool next_of_list; /* a comma is due */
};

/* --- JSON --- */

static void put_string(struct buffer *out, const char *text, size_t length)
{
    static const char hex[] = "0123456789abcdef";
    buffer_add(out, "\"", 1);
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) text[i];
        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        buffer_add(out, text + start, i - start);
        start = i + 1;
        char escape[] = {'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]};
        if (byte == '"' || byte == '\\')
            buffer_add(out, (char[]){'\\', (char) byte}, 2);
        else if (byte == '\n' || byte == '\t' || byte == '\r')
            buffer_add(out, byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r", 2);
        else
            buffer_add(out, escape, sizeof escape);
    }
    buffer_add(out, text + start, length - start);
    buffer_add(out, "\"", 1);
}

static void put_name(struct output *output, const char *name)
{
    if (output->next_of_list)
        buffer_add(&output->line, ",", 1);
    output->next_of_list = true;
    put_string(&output->line, name, strlen(name));
    buffer_add(&output->line, ":", 1);
}

static void put_member(struct output *output, const char *name, const char *text)
{
    put_name(output, name);
    put_string(&output->line, text, strlen(text));
}

static void open_object(struct output *output)
{
    buffer_add(&output->line, "{", 1);
    output->next_of_list = false;
}

static void close_object(struct output *output)
{
    buffer_add(&output->line, "}", 1);
    output->next_of_list = true;
}

/* --- changes --- */

static enum ods_status put_value(struct output *output, const struct column *column,
                                 const struct value *value, struct error *error)
{
    if (value->kind == VALUE_ABSENT)
        return ODS_OK;
    put_name(output, column->name);
    if (value->kind == VALUE_NULL) {
        buffer_puts(&output->line, "null");
        return ODS_OK;
    }
    buffer_reset(&output->text);
    enum ods_status status = text_value(&output->text, column, value, error);
    output->line.failed |= output->text.failed;
    put_string(&output->line, output->text.bytes ? output->text.bytes : "", output->text.length);
    return status;
}

/* Columns of an image, or the key's only. */
static enum ods_status put_image(struct output *output, const char *name, const struct shape *shape,
                                 const struct value *values, bool key_only, struct error *error)
{
    enum ods_status status = ODS_OK;
    uint32_t count = key_only ? shape->key_count : shape->column_count;
    put_name(output, name);
    if (!values || (key_only && !count)) {
        buffer_puts(&output->line, "null");
        return ODS_OK;
    }
    open_object(output);
    for (uint32_t i = 0; i < count && status == ODS_OK; i++) {
        uint32_t column = key_only ? shape->key[i] : i;
        status = put_value(output, &shape->columns[column], &values[column], error);
    }
    close_object(output);
    return status;
}

static void put_time(struct output *output, int64_t source_us)
{
    put_name(output, "source_ts");
    if (source_us == INT64_MIN) {
        buffer_puts(&output->line, "null");
        return;
    }
    int64_t of_second, seconds = time_floor_div(source_us, 1000000, &of_second);
    buffer_reset(&output->text);
    time_format_timestamp(&output->text, seconds * 1000000, false);
    buffer_printf(&output->text, ".%06dZ", (int) of_second);
    char *space = output->text.bytes ? memchr(output->text.bytes, ' ', output->text.length) : NULL;
    if (space)
        *space = 'T';
    put_string(&output->line, output->text.bytes ? output->text.bytes : "", output->text.length);
}

static void put_place(struct output *output, const struct record *record)
{
    buffer_reset(&output->line);
    open_object(output);
    put_member(output, "topic", record->topic);
    put_name(output, "partition");
    buffer_printf(&output->line, "%d", record->partition);
    put_name(output, "offset");
    buffer_printf(&output->line, "%lld", (long long) record->offset);
}

static enum ods_status put_change(struct output *output, const struct record *record,
                                  const struct change *change, struct error *error)
{
    const struct shape *shape = change->shape;
    const char op[] = {(char) change->op, '\0'};
    put_place(output, record);
    put_member(output, "op", op);
    put_member(output, "schema", *shape->schema ? shape->schema : shape->database);
    put_member(output, "table", shape->table);
    const struct value *main = change->after ? change->after : change->before;
    enum ods_status status = put_image(output, "key", shape, main, true, error);
    if (status == ODS_OK)
        status = put_image(output, "before", shape, change->before, false, error);
    if (status == ODS_OK)
        status = put_image(output, "after", shape, change->after, false, error);
    put_time(output, change->source_us);
    close_object(output);
    return status;
}

enum ods_status cli_put_change(struct buffer *line, const struct batch *batch, uint32_t change,
                               struct error *error)
{
    struct output output = {0};
    const struct change *what = &batch->changes[change];
    enum ods_status status = put_change(&output, &batch->records[what->record], what, error);
    buffer_add(line, output.line.bytes, output.line.length);
    line->failed |= output.line.failed;
    buffer_done(&output.line);
    buffer_done(&output.text);
    return status;
}

void cli_registry(struct registry_settings *registry, const char *url)
{
    *registry = (struct registry_settings){.url = url, .timeout_ms = 10000, .cache = 1000};
}

/* --- records --- */

static void print_line(struct output *output)
{
    buffer_add(&output->line, "\n", 1);
    if (output->line.failed ||
        fwrite(output->line.bytes, 1, output->line.length, stdout) != output->line.length)
        output->exit = CLI_INTERNAL;
}

static void print_error(struct output *output, const struct record *record, uint64_t line,
                        const struct error *error)
{
    if (record) {
        put_place(output, record);
    } else {
        buffer_reset(&output->line);
        open_object(output);
        put_name(output, "line");
        buffer_printf(&output->line, "%llu", (unsigned long long) line);
    }
    put_member(output, "error", error->text);
    close_object(output);
    print_line(output);
    output->bad = true;
}

/* Every change of the record, or why there is none: a record is printed whole or not at all. */
static void print_changes(struct output *output, const struct batch *batch, struct error *error)
{
    const struct record *record = &batch->records[0];
    for (uint32_t i = 0; i < batch->change_count; i++) {
        if (put_change(output, record, &batch->changes[i], error) == ODS_OK) {
            print_line(output);
        } else {
            print_error(output, record, 0, error);
            return;
        }
    }
}

static enum ods_status decode_file(struct recording *source, struct worker *worker,
                                   struct batch *batch, struct output *output, struct error *error)
{
    while (output->exit == CLI_OK) {
        bool end = false;
        batch_reset(batch);
        error_init(error);
        enum ods_status status = recording_read(source, batch, &end, error);
        if (status == ODS_OK && end)
            return ODS_OK;
        if (status == ODS_REJECT) {
            print_error(output, NULL, recording_line(source), error);
            continue;
        }
        if (status == ODS_OK)
            status = worker_decode(worker, batch, 0, error);
        if (status == ODS_OK)
            print_changes(output, batch, error);
        else if (status == ODS_REJECT)
            print_error(output, &batch->records[0], 0, error);
        else
            return status;
    }
    return ODS_OK;
}

static int decode(const struct decode_options *given)
{
    struct registry_settings registry;
    cli_registry(&registry, given->registry);
    const struct worker_options options = {
        .format = given->format, .registry = &registry, .want_before = true};
    struct worker worker = {0};
    struct recording *source = NULL;
    struct output output = {.exit = CLI_OK};
    struct batch *batch = batch_new();
    struct error error;
    error_init(&error);
    enum ods_status status = batch ? ODS_OK : error_set(&error, ODS_FATAL, "out of memory");
    if (status == ODS_OK && recording_open(&source, given->path, &error) != ODS_OK) {
        batch_free(batch);
        return cli_usage("decode", "%s", error.text);
    }
    if (status == ODS_OK)
        status = worker_open(&worker, &options, &error);
    if (status == ODS_OK)
        status = decode_file(source, &worker, batch, &output, &error);
    if (status != ODS_OK) {
        terminal_line(stderr, "ods-sink decode: %s", error.text);
        output.exit = CLI_INTERNAL;
    }
    worker_close(&worker);
    recording_close(source);
    batch_free(batch);
    buffer_done(&output.line);
    buffer_done(&output.text);
    return cli_finish(output.exit != CLI_OK ? output.exit : output.bad ? CLI_NEGATIVE : CLI_OK);
}

static int run(const struct call *call, void *given)
{
    const struct decode_options *options = given;
    if (options->transform)
        return decode_transformed(call, options);
    if (!options->path || options->watch || options->pipeline || options->config)
        return cli_usage(call->name, options->path
                                         ? "-c, --pipeline and --watch belong to --transform"
                                         : "FILE is missing");
    const struct format_ops *format = format_find(options->format);
    if (!format)
        return cli_usage(call->name, "no format '%s' (`ods-sink reference` lists them)",
                         options->format);
    if (format->helper && format->helper->registry && !*options->registry)
        return cli_usage(call->name, "the format %s needs --registry URL", options->format);
    return decode(options);
}

static const struct decode_options defaults = {.format = "auto", .registry = ""};

static const struct parameter options[] = {
    OPTION(struct decode_options, format, "format", &argument_text,
           "how the records are written (default: auto, each record tells)", .value = "NAME"),
    OPTION(struct decode_options, registry, "registry", &argument_text,
           "where the schemas of Avro and Protobuf records are: a registry's URL "
           "(`http://host:8081`, or with a path), or a JSON file of schemas by id",
           .value = "URL"),
    SWITCH(struct decode_options, transform, "transform",
           "what the pipeline's transforms make of the changes, before and after side by side"),
    OPTION(struct decode_options, config, "config", &argument_file,
           "with `--transform`: ods-sink.conf", .letter = 'c'),
    OPTION(struct decode_options, pipeline, "pipeline", &argument_pipeline,
           "with `--transform`: only this pipeline (default: the first that reads the topic)"),
    OPTION(struct decode_options, watch, "watch", &argument_topic,
           "with `--transform`: the records of a topic as they come, in place of a file"),
    SWITCH(struct decode_options, beginning, "from-beginning",
           "with `--watch`: first all that the topic holds"),
    OPTION(struct decode_options, count, "count", &argument_number,
           "with `--transform`: end after this many records (default: 0, never)", .value = "N",
           .max = INT64_C(1000000000)),
    SWITCH(struct decode_options, json, "json", "as JSON, as it is without `--transform`"),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct decode_options, path, "FILE", &argument_file,
            "one record a line, as `kcat -C -J` writes them; `-` is standard input"),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "A record can't be decoded or transformed; it is printed with its error."},
    EXIT_IS_CONFIG,
    {CLI_SOURCE, "The file, or with `--watch` the topic, can't be read."},
    {0}};

static const struct example examples[] = {
    {"kcat -C -b localhost:9092 -t shop.customers -e -q -J | ods-sink decode -",
     "See what a topic holds."},
    {"ods-sink decode --transform -c ods-sink.conf --watch shop.customers",
     "See what the transforms do to records as they come."},
    {"kcat -C -b localhost:9092 -t shop.customers -e -q -J | ods-sink decode --format "
     "debezium-avro --registry http://localhost:8081 -",
     "The same of a topic in Avro."},
    {0}};

const struct command cli_decode = {
    .name = "decode",
    .chapter = "Records in files",
    .summary = "print the changes that records hold, as JSON",
    .description = "One JSON object a line: what the decoder makes of each record, without a "
                   "configuration, Kafka or a target. With `--transform` also what a pipeline's "
                   "transforms make of it, side by side; nothing is written anywhere.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct decode_options),
    .defaults = &defaults,
    .run = run,
};
