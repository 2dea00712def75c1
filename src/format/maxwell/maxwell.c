/* Maxwell's JSON to changes: rows, bootstrapped rows, and the records that are no rows.
 *
 * Format: Maxwell's documentation, "data format", "DDL events", "bootstrapping". `data` is the row
 * after the change (for a delete: before it), `old` has the values that an update replaced. Read
 * decode() first.
 */
#include "format/maxwell/maxwell.h"
#include "format/schema_follower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/settings.h"

extern const struct format_ops format_maxwell;

#define SECOND_US INT64_C(1000000)

/* --- what a record says ---------------------------------------------------------------------- */

struct message {
    struct slice type, database, table;
    const char *data, *old; /* where the objects begin; NULL: none */
    struct slice key_columns;
    int64_t source_us;
    int64_t xid, xoffset;     /* of the transaction, and the row in it; 0 when not told */
    bool commit;              /* the transaction's last row, which has no xoffset */
    struct maxwell_table *of; /* the table as whose row `data` has been read; NULL: not yet */
    struct maxwell_rows *rows;
    struct value *values;
    bool bad_old; /* `old` is not an object */
};

/* Rows of one transaction have its number and their own in it. */
static int64_t sequence_of(const struct message *message)
{
    const int64_t most = (INT64_C(1) << 20) - 1;
    int64_t row = message->commit || message->xoffset > most ? most : message->xoffset;
    if (message->xid <= 0 || message->xid >= INT64_C(1) << 43 || row < 0)
        return 0;
    return message->xid << 20 | row;
}

enum ods_status maxwell_no_memory(struct maxwell_reading *reading)
{
    return error_set(reading->error, ODS_RETRY, "out of memory while decoding a record");
}

static enum ods_status scan_error(struct maxwell_reading *reading, const struct json_scan *scan)
{
    if (scan->out_of_memory)
        return maxwell_no_memory(reading);
    return error_set(reading->error, ODS_REJECT, "the record's value is not JSON: %s at byte %zu",
                     scan->problem, (size_t) (scan->at - scan->start));
}

/* Reads a string; anything else is skipped, and the text has no bytes. */
static bool read_text(struct maxwell_reading *reading, struct json_scan *scan, struct slice *text)
{
    *text = (struct slice){0};
    if (json_peek(scan) == '"')
        return json_string(scan, reading->reader.arena, &text->bytes, &text->length);
    return json_skip(scan);
}

/* Reads a whole number; anything else is skipped, and the number stays as it is. */
static bool read_integer(struct json_scan *scan, int64_t *integer)
{
    struct value value;
    char first = json_peek(scan);
    if (first != '-' && (first < '0' || first > '9'))
        return json_skip(scan);
    if (!json_number(scan, &value))
        return false;
    if (value.kind == VALUE_INT)
        *integer = value.integer;
    return true;
}

/* Seconds since 1970. */
static bool read_time(struct json_scan *scan, int64_t *us)
{
    int64_t seconds = INT64_MIN;
    if (!read_integer(scan, &seconds))
        return false;
    if (__builtin_mul_overflow(seconds, SECOND_US, us))
        *us = INT64_MIN;
    return true;
}

/* Reads the row at the cursor, expecting the members of the table's last row. */
static bool read_row(struct maxwell_reading *reading, struct json_scan *scan,
                     struct maxwell_table *table, struct message *message)
{
    struct maxwell_rows *rows = table->rows;
    const char *start = scan->at;
    for (int attempt = 0; attempt < 2; attempt++) {
        scan->at = start;
        if (!rows && !(rows = maxwell_rows_find(reading, table, scan)))
            return false;
        message->values = arena_alloc(reading->reader.arena,
                                      (rows->layout.column_count + 1) * sizeof *message->values);
        if (!message->values)
            return json_no_memory(scan);
        enum layout_answer answer =
            layout_read(&rows->layout, scan, &reading->reader, message->values, NULL);
        if (answer == LAYOUT_OK) {
            message->of = table;
            message->rows = rows;
            return true;
        }
        if (answer == LAYOUT_BAD)
            return scan->problem || json_fail(scan, "the row can't be read");
        rows = NULL;
    }
    return json_fail(scan, "the row has a member twice");
}

static bool is_wanted(const struct message *message)
{
    return !message->type.bytes || SLICE_IS(message->type, "insert") ||
           SLICE_IS(message->type, "update") || SLICE_IS(message->type, "delete") ||
           SLICE_IS(message->type, "bootstrap-insert");
}

/* Maxwell writes the names before the row, so the row can be decoded in the same pass. */
static bool read_data(struct maxwell_reading *reading, struct json_scan *scan,
                      struct message *message)
{
    if (json_peek(scan) != '{')
        return json_skip(scan);
    message->data = scan->at;
    if (!message->database.bytes || !message->table.bytes || !is_wanted(message))
        return json_skip(scan);
    struct maxwell_table *table =
        maxwell_table_find(reading->self, message->database, message->table);
    return table ? read_row(reading, scan, table, message) : json_no_memory(scan);
}

static bool read_member(struct maxwell_reading *reading, struct json_scan *scan, struct slice name,
                        struct message *message)
{
    if (SLICE_IS(name, "data"))
        return read_data(reading, scan, message);
    if (SLICE_IS(name, "old")) {
        message->old = json_peek(scan) == '{' ? scan->at : NULL;
        message->bad_old = !message->old && json_peek(scan) != 'n';
        return json_skip(scan);
    }
    if (SLICE_IS(name, "type"))
        return read_text(reading, scan, &message->type);
    if (SLICE_IS(name, "database"))
        return read_text(reading, scan, &message->database);
    if (SLICE_IS(name, "table"))
        return read_text(reading, scan, &message->table);
    if (SLICE_IS(name, "ts"))
        return read_time(scan, &message->source_us);
    if (SLICE_IS(name, "xid"))
        return read_integer(scan, &message->xid);
    if (SLICE_IS(name, "xoffset"))
        return read_integer(scan, &message->xoffset);
    if (SLICE_IS(name, "commit")) {
        message->commit = json_peek(scan) == 't';
        return json_skip(scan);
    }
    if (SLICE_IS(name, "primary_key_columns")) {
        message->key_columns.bytes = scan->at;
        bool good = json_skip(scan);
        message->key_columns.length = (size_t) (scan->at - message->key_columns.bytes);
        return good;
    }
    return json_skip(scan);
}

static bool read_message(struct maxwell_reading *reading, struct json_scan *scan,
                         struct message *message)
{
    bool first = true;
    *message = (struct message){.source_us = INT64_MIN};
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length))
            return false;
        if (!read_member(reading, scan, name, message))
            return false;
    }
    return !scan->problem && json_end(scan);
}

/* --- rows ------------------------------------------------------------------------------------ */

static const struct source_position *position_of(struct maxwell_reading *reading,
                                                 const struct message *message)
{
    struct source_position *position = arena_alloc(reading->reader.arena, sizeof *position);
    if (!position)
        return NULL;
    *position = (struct source_position){
        .transaction = {.kind = VALUE_INT, .integer = message->xid}};
    if (message->xoffset && !message->commit) /* the last row's place is not told */
        position->order = (struct value){.kind = VALUE_INT, .integer = message->xoffset};
    return position;
}

static enum ods_status append(struct maxwell_reading *reading, const struct message *message,
                              enum change_op op, const struct value *before,
                              const struct value *after)
{
    struct change *change = batch_add_change(reading->batch);
    if (!change)
        return maxwell_no_memory(reading);
    change->op = op;
    change->record = reading->index;
    change->shape = message->rows->shape;
    change->before = before;
    change->after = after;
    change->source_us = message->source_us;
    change->sequence = sequence_of(message);
    change->position = NULL;
    if (!reading->self->want_position || !message->xid)
        return ODS_OK;
    change->position = position_of(reading, message);
    return change->position ? ODS_OK : maxwell_no_memory(reading);
}

/* An update of the key is one record, under the new key. It becomes a delete of the old row and a
 * create of the new one. */
static enum ods_status append_move(struct maxwell_reading *reading, const struct message *message,
                                   const struct value *before)
{
    enum ods_status status = append(reading, message, OP_DELETE, before, NULL);
    if (status == ODS_OK)
        status = append(reading, message, OP_CREATE, NULL, message->values);
    if (status != ODS_OK)
        return status;
    struct change *last = &reading->batch->changes[reading->batch->change_count - 1];
    last[-1].moved = last->moved = true;
    return ODS_OK;
}

/* The row before an update: the row after it, overwritten by the values in `old`. */
static enum ods_status read_before(struct maxwell_reading *reading, const struct json_scan *scan,
                                   const struct message *message, struct value **before)
{
    const struct layout *layout = &message->rows->layout;
    size_t bytes = (layout->column_count + 1) * sizeof **before;
    struct json_scan old = *scan;
    struct slice column;
    if (message->bad_old)
        return error_set(reading->error, ODS_REJECT, "'old' is not an object of the replaced "
                                                     "values");
    *before = arena_alloc(reading->reader.arena, bytes);
    if (!*before)
        return maxwell_no_memory(reading);
    memcpy(*before, message->values, layout->column_count * sizeof **before);
    old.at = message->old;
    enum layout_answer answer =
        message->old ? layout_read_over(layout, &old, &reading->reader, *before, &column)
                     : LAYOUT_OK;
    if (answer == LAYOUT_OTHER)
        return error_set(reading->error, ODS_REJECT,
                         "column %.*s is in 'old', but not in 'data': it may be NULL now, which "
                         "only a record with all columns says (Maxwell: output_nulls=true)",
                         (int) (column.length < 63 ? column.length : 63), column.bytes);
    return answer == LAYOUT_OK ? ODS_OK : scan_error(reading, &old);
}

static bool is_same_row(const struct maxwell_rows *rows, const struct value *a,
                        const struct value *b)
{
    for (uint32_t i = 0; i < rows->identifying_count; i++)
        if (!value_same(&a[rows->identifying[i]], &b[rows->identifying[i]]))
            return false;
    return true;
}

static enum ods_status append_update(struct maxwell_reading *reading, const struct json_scan *scan,
                                     const struct message *message)
{
    const struct maxwell_rows *rows = message->rows;
    struct value *before = NULL;
    enum ods_status status = read_before(reading, scan, message, &before);
    if (status != ODS_OK)
        return status;
    if (!is_same_row(rows, before, message->values))
        return append_move(reading, message, before);
    bool wanted = reading->self->want_before || !rows->identifying_count;
    return append(reading, message, OP_UPDATE, wanted ? before : NULL, message->values);
}

static enum ods_status append_row(struct maxwell_reading *reading, const struct json_scan *scan,
                                  struct message *message)
{
    struct maxwell_table *table =
        maxwell_table_find(reading->self, message->database, message->table);
    struct json_scan data = *scan;
    struct maxwell_key key;
    if (!table)
        return maxwell_no_memory(reading);
    data.at = message->data;
    if (message->of != table && !read_row(reading, &data, table, message))
        return scan_error(reading, &data);
    enum ods_status status = maxwell_key_read(reading, message->key_columns, &key);
    if (status == ODS_OK)
        status = maxwell_bind(reading, table, message->rows, &key, message->source_us);
    if (status != ODS_OK)
        return status;
    switch (*message->type.bytes) {
    case 'i':
        return append(reading, message, OP_CREATE, NULL, message->values);
    case 'b':
        return append(reading, message, OP_READ, NULL, message->values);
    case 'd':
        return append(reading, message, OP_DELETE, message->values, NULL);
    default:
        return append_update(reading, scan, message);
    }
}

/* --- records --------------------------------------------------------------------------------- */

static bool begins_with(struct slice text, const char *prefix)
{
    size_t length = strlen(prefix);
    return text.length > length && memcmp(text.bytes, prefix, length) == 0;
}

/* Is it Maxwell's own table of bootstraps, in which they are requested and their progress is
 * stored? */
static bool is_request(const struct message *message)
{
    return SLICE_IS(message->database, "maxwell") && SLICE_IS(message->table, "bootstrap");
}

static bool is_name(struct slice name)
{
    return name.length && !memchr(name.bytes, '\0', name.length);
}

/* -1: a row. PASS_COUNT: no record of Maxwell's. */
static int pass_of(const struct message *message)
{
    const struct slice type = message->type;
    if (begins_with(type, "table-") || begins_with(type, "database-"))
        return PASS_SCHEMA_CHANGE;
    if (SLICE_IS(type, "bootstrap-start") || SLICE_IS(type, "bootstrap-complete"))
        return PASS_BOOTSTRAP;
    if (!is_wanted(message) || !is_name(message->table) || !is_name(message->database))
        return PASS_COUNT;
    return is_request(message) ? PASS_BOOTSTRAP : -1;
}

/* The names of the record's members, as many as fit, for a message. */
static const char *member_names(struct maxwell_reading *reading, char *names, size_t room)
{
    struct json_scan scan;
    struct slice name;
    bool first = true;
    size_t used = 0;
    names[0] = '\0';
    json_scan_init(&scan, reading->record->value, reading->record->value_length);
    json_space(&scan);
    scan.at++;
    while (json_next_member(&scan, &first) &&
           json_name(&scan, reading->reader.arena, &name.bytes, &name.length) && json_skip(&scan)) {
        if (used + name.length + 3 > room || memchr(name.bytes, '\0', name.length))
            continue;
        used += (size_t) snprintf(names + used, room - used, "%s%.*s", used ? ", " : "",
                                  (int) name.length, name.bytes);
    }
    return *names ? names : "none";
}

static enum ods_status refuse(struct maxwell_reading *reading, const struct message *message)
{
    char names[160];
    const struct slice type = message->type;
    if (type.bytes && !is_wanted(message))
        return error_set(reading->error, ODS_REJECT,
                         "type '%.*s', expected one of insert update delete bootstrap-start "
                         "bootstrap-insert bootstrap-complete table-… database-…",
                         (int) (type.length < 40 ? type.length : 40), type.bytes);
    return error_set(reading->error, ODS_REJECT,
                     "found an object with members %s; expected a record of Maxwell's (database, "
                     "table, type, ts, data)",
                     member_names(reading, names, sizeof names));
}

static enum ods_status lacks_data(struct maxwell_reading *reading, const struct message *message)
{
    char names[160];
    return error_set(reading->error, ODS_REJECT,
                     "a row of table %.*s without its data (found %s); rows that Maxwell encrypts "
                     "can't be read",
                     (int) (message->table.length < 63 ? message->table.length : 63),
                     message->table.bytes, member_names(reading, names, sizeof names));
}

static enum ods_status read_value(struct maxwell_reading *reading)
{
    const struct record *record = reading->record;
    struct json_scan scan;
    struct message message;
    json_scan_init(&scan, record->value, record->value_length);
    json_space(&scan);
    if (json_peek(&scan) != '{')
        return error_set(reading->error, ODS_REJECT,
                         "the record's value is %s, expected a JSON object", json_found(&scan));
    if (!read_message(reading, &scan, &message))
        return scan_error(reading, &scan);
    int pass = message.type.bytes ? pass_of(&message) : PASS_COUNT;
    if (pass == PASS_COUNT)
        return refuse(reading, &message);
    if (pass < 0 && !message.data)
        return lacks_data(reading, &message);
    if (pass < 0)
        return append_row(reading, &scan, &message);
    if (pass == PASS_SCHEMA_CHANGE) {
        enum ods_status status = schema_topic_learn(&reading->self->schema, record, reading->error);
        if (status != ODS_OK)
            return status;
    }
    reading->batch->passed[pass]++;
    return ODS_OK;
}

/* Maxwell writes no tombstones. Whoever did may have meant a delete. */
static enum ods_status read_tombstone(struct maxwell_reading *reading)
{
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    const struct table_settings *defaults = pipeline ? &pipeline->defaults : NULL;
    if (defaults && (defaults->on_tombstone == ON_TOMBSTONE_IGNORE ||
                     defaults->on_delete == ON_DELETE_IGNORE)) {
        reading->batch->passed[PASS_TOMBSTONE]++;
        return ODS_OK;
    }
    return error_set(reading->error, ODS_REJECT,
                     "a tombstone (a record without a value), which Maxwell does not write: "
                     "whether a row is to be deleted can't be told; to skip such records set "
                     "on_tombstone: ignore in defaults");
}

static enum ods_status maxwell_decode(struct decoder *decoder, struct batch *batch, uint32_t index,
                                      struct error *error)
{
    static const struct unavailable nothing; /* no value is unavailable */
    struct maxwell *self = (struct maxwell *) decoder;
    const struct record *record = &batch->records[index];
    struct maxwell_reading reading = {
        .self = self, .batch = batch, .index = index, .record = record, .error = error};
    reading.reader =
        (struct layout_reader){.arena = &batch->arena, .unavailable = &nothing, .error = error};
    uint32_t change_count = batch->change_count;
    if (record->value_length > UINT32_MAX || record->key_length > UINT32_MAX)
        return error_set(error, ODS_REJECT, "a record of more than 4 GB");
    if (!record->value)
        return read_tombstone(&reading);
    maxwell_trim(self);
    enum ods_status status = read_value(&reading);
    if (status != ODS_OK)
        batch->change_count = change_count;
    return status;
}

static void maxwell_close(struct decoder *decoder)
{
    struct maxwell *self = (struct maxwell *) decoder;
    if (!self)
        return;
    maxwell_tables_free(self);
    schema_topic_close(&self->schema);
    free(self);
}

static enum ods_status maxwell_open(struct decoder **decoder, const struct decoder_config *config,
                                    struct error *error)
{
    struct maxwell *self = calloc(1, sizeof *self);
    *decoder = NULL;
    if (!self)
        return error_set(error, ODS_FATAL, "out of memory while opening the decoder");
    self->decoder.ops = &format_maxwell;
    self->pipeline = config->pipeline;
    self->want_before = config->want_before;
    self->want_position = config->want_position;
    self->shapes = config->shapes;
    if (!schema_topic_open(&self->schema, config)) {
        maxwell_close(&self->decoder);
        return error_set(error, ODS_FATAL, "out of memory while opening the decoder");
    }
    *decoder = &self->decoder;
    return ODS_OK;
}

const struct format_ops format_maxwell = {
    .name = "maxwell",
    .summary = "Maxwell's JSON: rows, bootstraps, DDL",
    .open = maxwell_open,
    .decode = maxwell_decode,
    .close = maxwell_close,
    .helper = &schema_follower_ops,
};
