/* A change as a line of JSON, for targets that send changes on. */
#include <ods/lines.h>

#include <stdio.h>
#include <string.h>

#include <ods/json.h>
#include <ods/pipeline.h>

static void put_name(struct buffer *out, const char *before, const char *name)
{
    buffer_puts(out, before);
    json_quote(out, name, strlen(name));
    buffer_puts(out, ":");
}

static void put_text(struct buffer *out, const char *name, const char *text)
{
    put_name(out, ",", name);
    if (*text)
        json_quote(out, text, strlen(text));
    else
        buffer_puts(out, "null");
}

static bool is_written(const struct table_settings *table, const char *column)
{
    return !strings_contain(&table->exclude, column) &&
           (!table->include.count || strings_contain(&table->include, column));
}

const struct table_settings *lines_table(const struct pipeline_settings *pipeline,
                                         const struct shape *shape)
{
    return pipeline_table(pipeline, *shape->schema ? shape->schema : shape->database, shape->table);
}

const char *lines_column(const struct table_settings *table, const char *column)
{
    const char *renamed = properties_find(&table->renames, column);
    return !is_written(table, column) ? NULL : renamed ? renamed : column;
}

enum ods_status lines_put_image(struct buffer *out, const struct shape *shape,
                                const struct value *values, bool key_only,
                                const struct table_settings *table, struct error *error)
{
    uint32_t count = key_only ? shape->key_count : shape->column_count, written = 0;
    if (!values || !count) {
        buffer_puts(out, "null");
        return ODS_OK;
    }
    buffer_puts(out, "{");
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = key_only ? shape->key[i] : i;
        const struct column *column = &shape->columns[at];
        const char *name =
            values[at].kind == VALUE_ABSENT ? NULL : lines_column(table, column->name);
        if (!name)
            continue;
        put_name(out, written++ ? "," : "", name);
        enum ods_status status = json_value(out, column, &values[at], error);
        if (status != ODS_OK)
            return status;
    }
    buffer_puts(out, "}");
    return ODS_OK;
}

static enum ods_status put_image(struct buffer *out, const char *name, const struct shape *shape,
                                 const struct value *values, bool key_only,
                                 const struct table_settings *table, struct error *error)
{
    put_name(out, ",", name);
    return lines_put_image(out, shape, values, key_only, table, error);
}

enum ods_status lines_put(struct buffer *out, const struct batch *batch, uint32_t index,
                          const struct pipeline_settings *pipeline, struct error *error)
{
    const struct change *change = &batch->changes[index];
    const struct shape *shape = change->shape;
    const struct record *record = &batch->records[change->record];
    const struct table_settings *table = lines_table(pipeline, shape);
    const struct value *row = change->after ? change->after : change->before;
    size_t start = out->length;
    if (table->skip)
        return ODS_OK;
    buffer_printf(out, "{\"op\":\"%c\"", (char) change->op);
    put_text(out, "database", shape->database);
    put_text(out, "schema", shape->schema);
    put_text(out, "table", shape->table);
    enum ods_status status = put_image(out, "key", shape, row, true, table, error);
    if (status == ODS_OK)
        status = put_image(out, "before", shape, change->before, change->tombstone, table, error);
    if (status == ODS_OK)
        status = put_image(out, "after", shape, change->after, false, table, error);
    if (status != ODS_OK)
        return status;
    if (change->source_us == INT64_MIN)
        buffer_puts(out, ",\"source_us\":null");
    else
        buffer_printf(out, ",\"source_us\":%lld", (long long) change->source_us);
    put_text(out, "topic", record->topic);
    buffer_printf(out, ",\"partition\":%d,\"offset\":%lld", (int) record->partition,
                  (long long) record->offset);
    if (record->identity) {
        put_name(out, ",", "identity");
        json_quote(out, record->identity, record->identity_length);
    }
    buffer_puts(out, "}\n");
    /* A value that came as JSON may have line ends between its tokens, and nowhere else. */
    for (size_t i = start; !out->failed && i + 1 < out->length; i++)
        if (out->bytes[i] == '\n' || out->bytes[i] == '\r')
            out->bytes[i] = ' ';
    return out->failed ? error_out_of_memory(error) : ODS_OK;
}

/* One record's changes: from `first` to the first of another record. */
static enum ods_status put_record(struct batch *batch, uint32_t first, uint32_t end,
                                  const struct lines_writer *writer, struct error *error)
{
    struct error why;
    enum ods_status status = ODS_OK;
    error_init(&why);
    if (batch->guard_time)
        status = error_set(&why, ODS_REJECT, "what was sent on can't be compared with a letter");
    for (uint32_t i = first; i < end && status == ODS_OK; i++)
        status = writer->put(writer->context, i, &why);
    writer->end(writer->context, status == ODS_OK);
    if (status == ODS_REJECT)
        return batch_set_aside(batch, batch->changes[first].record, "apply", &why, error);
    if (status != ODS_OK)
        *error = why;
    return status;
}

enum ods_status lines_each(struct batch *batch, const struct lines_writer *writer,
                           struct error *error)
{
    for (uint32_t first = 0, end; first < batch->change_count; first = end) {
        uint32_t record = batch->changes[first].record;
        for (end = first + 1; end < batch->change_count; end++)
            if (batch->changes[end].record != record)
                break;
        if (batch->changes[first].rejected)
            continue; /* as all of its record are */
        enum ods_status status = put_record(batch, first, end, writer, error);
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

/* Into one buffer. */
struct all {
    struct buffer *out;
    const struct batch *batch;
    const struct pipeline_settings *pipeline;
    uint64_t *count;
    size_t whole;         /* where the lines of the present record begin, */
    uint64_t whole_count; /* and how many lines come before them */
};

static enum ods_status put_line(void *context, uint32_t index, struct error *error)
{
    struct all *all = context;
    size_t start = all->out->length;
    enum ods_status status = lines_put(all->out, all->batch, index, all->pipeline, error);
    *all->count += status == ODS_OK && all->out->length > start;
    return status;
}

static void end_record(void *context, bool good)
{
    struct all *all = context;
    if (!good) {
        all->out->length = all->whole;
        *all->count = all->whole_count;
    }
    all->whole = all->out->length;
    all->whole_count = *all->count;
}

enum ods_status lines_put_all(struct buffer *out, struct batch *batch,
                              const struct pipeline_settings *pipeline, uint64_t *count,
                              struct error *error)
{
    struct all all = {out, batch, pipeline, count, out->length, *count};
    const struct lines_writer writer = {put_line, end_record, &all};
    enum ods_status status = lines_each(batch, &writer, error);
    return status == ODS_OK && out->failed ? error_out_of_memory(error) : status;
}
