/* The records of a row in its topics. See trace.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <ods/transform.h>

#include "cli/interrupt.h"
#include "cli/redact.h"
#include "cli/trace.h"
#include "core/text.h"
#include "core/time.h"
#include "core/utf8.h"
#include "source/kafka/kafka.h"

#define ENTRIES_MAX       1000
#define ENTRIES_MAX_BYTES ((size_t) 32 << 20)

/* --- entries --------------------------------------------------------------------------------- */

void trace_entry_done(struct trace_entry *entry)
{
    json_decref(entry->change);
    free(entry->problem);
    free(entry->note);
    free(entry->letter.stage);
    free(entry->letter.code);
    free(entry->letter.reason);
    *entry = (struct trace_entry){0};
}

void trace_drop(struct trace_entries *entries, size_t index)
{
    entries->bytes -= entries->items[index].bytes;
    trace_entry_done(&entries->items[index]);
    memmove(&entries->items[index], &entries->items[index + 1],
            (--entries->count - index) * sizeof *entries->items);
}

bool trace_keep(struct trace_entries *entries, const struct trace_entry *entry)
{
    if (entries->count == entries->capacity) {
        size_t larger = entries->capacity ? entries->capacity * 2 : 32;
        struct trace_entry *moved = realloc(entries->items, larger * sizeof *moved);
        if (!moved) {
            struct trace_entry lost = *entry;
            trace_entry_done(&lost);
            return false;
        }
        entries->items = moved;
        entries->capacity = larger;
    }
    entries->items[entries->count++] = *entry;
    entries->bytes += entry->bytes;
    while (entries->count > 1 &&
           (entries->count > ENTRIES_MAX || entries->bytes > ENTRIES_MAX_BYTES)) {
        trace_drop(entries, 0);
        entries->dropped++;
    }
    return true;
}

/* --- what a change says, for people ---------------------------------------------------------- */

static json_t *text_json(const char *text, size_t length)
{
    json_t *string = json_stringn(text, length);
    char *copy = string ? NULL : malloc(3 * length + 1);
    if (copy)
        string = json_stringn(copy, utf8_copy(copy, 3 * length + 1, text, length));
    free(copy);
    return string ? string : json_null();
}

/* `raw`: the change has not been through the transforms, so what they mask is in it. */
static json_t *value_json(const struct trace *trace, const struct shape *shape,
                          const struct column *column, const struct value *value, bool raw,
                          struct buffer *room)
{
    const char *schema = *shape->schema ? shape->schema : shape->database;
    struct error ignored;
    if (value->kind == VALUE_NULL)
        return json_null();
    if (is_redacted(trace->choice.table, column->name) ||
        (raw && transform_masks(trace->choice.pipeline, schema, shape->table, column->name)))
        return json_string(REDACTED);
    error_init(&ignored);
    buffer_reset(room);
    if (text_value(room, column, value, &ignored) != ODS_OK)
        return json_string("(can't be shown)");
    return text_json(room->bytes ? room->bytes : "", room->length);
}

static json_t *image_json(const struct trace *trace, const struct shape *shape,
                          const struct value *image, bool raw, struct trace_entry *entry)
{
    struct buffer room;
    if (!image)
        return json_null();
    buffer_init(&room);
    json_t *object = json_object();
    for (uint32_t i = 0; i < shape->column_count; i++) {
        if (image[i].kind == VALUE_ABSENT)
            continue;
        json_object_set_new(object, shape->columns[i].name,
                            value_json(trace, shape, &shape->columns[i], &image[i], raw, &room));
        entry->bytes += shape->columns[i].name_length + room.length + 64;
    }
    buffer_done(&room);
    return object;
}

static enum ods_status left_out_json(struct trace *trace, const struct change *change,
                                     json_t **list, struct error *error)
{
    enum ods_status status = ODS_OK;
    *list = json_array();
    for (uint32_t i = 0; change->after && status == ODS_OK && i < change->shape->column_count;
         i++) {
        enum value_place place = VALUE_WRITTEN;
        if (change->after[i].kind == VALUE_ABSENT)
            continue;
        status = keyed_row_place(trace->row, change->shape, i, &place, error);
        if (place != VALUE_WRITTEN)
            json_array_append_new(
                *list, json_pack("{s:s, s:s}", "column", change->shape->columns[i].name, "why",
                                 place == VALUE_LEFT_OUT ? "left out by tables.yaml"
                                                         : "the table has no column for it"));
    }
    return status;
}

static void put_source_time(json_t *object, int64_t source_us)
{
    char text[40];
    if (source_us == INT64_MIN)
        return;
    int64_t rest;
    trace_time(text, time_floor_div(source_us, 1000, &rest));
    json_object_set_new(object, "source_time", json_string(text));
}

static enum ods_status describe(struct trace *trace, const struct change *change, bool raw,
                                struct trace_entry *entry, struct error *error)
{
    const struct shape *shape = change->shape;
    const char op[] = {(char) change->op, '\0'};
    const char *schema = *shape->schema ? shape->schema : shape->database;
    json_t *list = NULL;
    entry->op = change->op;
    entry->left_out =
        pipeline_table(trace->choice.pipeline, schema, shape->table)->skip;
    entry->bytes = 512;
    json_t *object = json_object();
    json_object_set_new(object, "op", json_string(op));
    json_object_set_new(object, "schema", text_json(schema, strlen(schema)));
    json_object_set_new(object, "table", text_json(shape->table, strlen(shape->table)));
    put_source_time(object, change->source_us);
    json_object_set_new(object, "before", image_json(trace, shape, change->before, raw, entry));
    json_object_set_new(object, "after", image_json(trace, shape, change->after, raw, entry));
    enum ods_status status = left_out_json(trace, change, &list, error);
    json_object_set_new(object, "not_written", list);
    entry->change = object;
    return status;
}

/* --- whose a record is ----------------------------------------------------------------------- */

static void remember_key(struct trace *trace, const struct record *record)
{
    for (size_t i = 0; i < trace->raw_count; i++)
        if (trace->raw_lengths[i] == record->key_length &&
            memcmp(trace->raw_keys[i], record->key, record->key_length) == 0)
            return;
    if (!record->key || trace->raw_count == sizeof trace->raw_keys / sizeof *trace->raw_keys)
        return;
    char *copy = malloc(record->key_length + 1);
    if (!copy)
        return;
    memcpy(copy, record->key, record->key_length);
    trace->raw_lengths[trace->raw_count] = record->key_length;
    trace->raw_keys[trace->raw_count++] = copy;
}

static bool has_known_key(const struct trace *trace, const struct record *record)
{
    for (size_t i = 0; record->key && i < trace->raw_count; i++)
        if (trace->raw_lengths[i] == record->key_length &&
            memcmp(trace->raw_keys[i], record->key, record->key_length) == 0)
            return true;
    return false;
}

/* The last change of the batch that is the row's. */
static enum ods_status find_change(struct trace *trace, const struct batch *batch,
                                   uint32_t *change, bool *truncates, struct error *error)
{
    enum ods_status status = ODS_OK;
    *change = UINT32_MAX;
    for (uint32_t i = 0; status == ODS_OK && i < batch->change_count; i++) {
        enum row_match match = ROW_OTHER;
        status = keyed_row_match(trace->row, batch, i, &match, error);
        if (status != ODS_OK || match == ROW_OTHER)
            continue;
        *change = i;
        *truncates = match == ROW_ALL;
    }
    return status;
}

/* Does the key of a record whose value can't be read name the row? The record stays its owner's:
 * this batch releases nothing. */
static enum ods_status ask_key(struct trace *trace, const struct record *record, bool *found,
                               struct error *error)
{
    struct batch *batch = trace->key_batch;
    struct error ignored;
    uint32_t change;
    bool truncates;
    *found = false;
    batch_reset(batch);
    batch->apart = true;
    batch->headers = !record->owner ? NULL : trace->opened ? letter_headers : kafka_headers;
    struct record *slot = record->key_length ? batch_add_record(batch) : NULL;
    if (!slot)
        return ODS_OK;
    *slot = *record;
    slot->value = NULL;
    slot->value_length = 0;
    error_init(&ignored);
    struct decoder *decoder = trace->worker.decoder;
    if (decoder->ops->decode(decoder, batch, 0, &ignored) != ODS_OK)
        return ODS_OK;
    enum ods_status status = find_change(trace, batch, &change, &truncates, error);
    *found = status == ODS_OK && change != UINT32_MAX;
    return status;
}

static bool is_word(char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '_' || (byte & 0x80);
}

static bool mentions(const char *bytes, size_t length, const char *word)
{
    size_t word_length = strlen(word);
    const char *at = bytes, *end = bytes + length;
    while (word_length && (at = memmem(at, (size_t) (end - at), word, word_length))) {
        bool begins = at == bytes || !is_word(at[-1]) || !is_word(*word);
        bool ends = at + word_length == end || !is_word(at[word_length]) ||
                    !is_word(word[word_length - 1]);
        if (begins && ends)
            return true;
        at++;
    }
    return false;
}

/* In the key, or in the value of a record without one. */
static bool may_be(const struct trace *trace, const struct record *record)
{
    bool by_key = record->key_length > 0;
    const char *bytes = by_key ? record->key : record->value;
    size_t length = by_key ? record->key_length : record->value_length;
    for (size_t i = 0; i < trace->key.count; i++)
        if (!bytes || !mentions(bytes, length, trace->key.items[i].value))
            return false;
    return trace->key.count > 0;
}

static enum ods_status look_unreadable(struct trace *trace, const struct record *record,
                                       const char *problem, struct trace_entry *entry,
                                       bool *found, struct error *error)
{
    enum ods_status status = ask_key(trace, record, found, error);
    if (status != ODS_OK)
        return status;
    entry->maybe = !*found;
    *found = *found || has_known_key(trace, record) || may_be(trace, record);
    if (!*found) {
        trace->unreadable++;
        return ODS_OK;
    }
    entry->unreadable = true;
    entry->problem = strdup(problem);
    entry->bytes = 512;
    return entry->problem ? ODS_OK : error_out_of_memory(error);
}

/* What a transform has dropped, as it was before, but for what they mask. */
static enum ods_status look_filtered(struct trace *trace, struct trace_entry *entry, bool *found,
                                     struct error *error)
{
    struct decoder *decoder = trace->worker.decoder;
    struct batch *batch = trace->batch;
    struct error ignored;
    uint32_t change = UINT32_MAX;
    error_init(&ignored);
    batch->change_count = 0;
    enum ods_status status = decoder->ops->decode(decoder, batch, 0, &ignored);
    if (status != ODS_OK)
        return ODS_OK;
    status = find_change(trace, batch, &change, &entry->truncates, error);
    *found = status == ODS_OK && change != UINT32_MAX;
    if (*found)
        status = describe(trace, &batch->changes[change], true, entry, error);
    entry->passed = *found;
    entry->why_passed = PASS_FILTERED;
    return status;
}

static enum ods_status look_passed(struct trace *trace, const struct record *record,
                                   struct trace_entry *entry, bool *found, struct error *error)
{
    const struct batch *batch = trace->batch;
    if (batch->passed[PASS_FILTERED])
        return look_filtered(trace, entry, found, error);
    for (int reason = 0; reason < PASS_COUNT; reason++)
        if (batch->passed[reason])
            entry->why_passed = (enum pass_reason) reason;
    bool key = has_known_key(trace, record);
    enum ods_status status = key ? ODS_OK : ask_key(trace, record, &key, error);
    *found = entry->passed = key;
    entry->bytes = 512;
    return status;
}

static enum ods_status refuse(const struct record *record, struct error *error)
{
    error_prefix(error, "topic %s partition %d offset %lld can't be decoded now: ", record->topic,
                 (int) record->partition, (long long) record->offset);
    return ODS_RETRY;
}

enum ods_status trace_look(struct trace *trace, const struct record *record, bool apart,
                           struct trace_entry *entry, uint32_t *change, bool *found,
                           struct error *error)
{
    struct batch *batch = trace->batch;
    struct error why;
    *found = false;
    *change = UINT32_MAX;
    batch_reset(batch);
    batch->release = trace->opened ? free : kafka_release;
    batch->headers = !record->owner ? NULL : trace->opened ? letter_headers : kafka_headers;
    batch->apart = apart;
    struct record *slot = batch_add_record(batch);
    if (!slot) {
        batch->release(record->owner);
        return error_out_of_memory(error);
    }
    *slot = *record;
    error_init(&why);
    enum ods_status status = worker_decode(&trace->worker, batch, 0, &why);
    if (status == ODS_REJECT)
        return look_unreadable(trace, record, why.text, entry, found, error);
    if (status != ODS_OK) {
        *error = why;
        return refuse(record, error);
    }
    status = find_change(trace, batch, change, &entry->truncates, error);
    if (status != ODS_OK)
        return status;
    if (*change == UINT32_MAX)
        return batch->change_count ? ODS_OK : look_passed(trace, record, entry, found, error);
    *found = true;
    if (!entry->truncates)
        remember_key(trace, record);
    return describe(trace, &batch->changes[*change], false, entry, error);
}

/* --- reading --------------------------------------------------------------------------------- */

struct scanning {
    struct trace *trace;
    size_t first; /* place of the topic's partition 0 */
    uint64_t records; /* that are there to read */
    enum ods_status status;
    bool of_target;
    struct error *error;
};

/* Below the stored offset, and not set aside. */
static bool is_applied(struct trace *trace, const struct trace_entry *entry)
{
    const struct trace_place *place = &trace->places[entry->place];
    const struct trace_entry *letter = trace_letter_of(trace, entry->place, entry->offset);
    return entry->offset < place->stored && !entry->passed && !entry->unreadable &&
           !trace_skip_of(trace, entry->place, entry->offset) &&
           (!letter || letter->letter.mark > 0);
}

static enum ods_status take_record(struct scanning *scanning, const struct record *record)
{
    struct trace *trace = scanning->trace;
    struct trace_place *place = &trace->places[scanning->first + (size_t) record->partition];
    struct trace_entry entry = {.place = scanning->first + (size_t) record->partition,
                                .offset = record->offset,
                                .time_ms = record->timestamp_ms};
    uint32_t change;
    bool found;
    if (record->offset < place->start) {
        struct decoder *decoder = trace->worker.decoder;
        enum ods_status seen = decoder->ops->observe
                                   ? decoder->ops->observe(decoder, record, scanning->error)
                                   : ODS_OK;
        if (seen != ODS_OK)
            seen = refuse(record, scanning->error);
        kafka_release(record->owner);
        return seen;
    }
    struct record known = *record;
    known.topic = place->topic;
    enum ods_status status =
        trace_look(trace, &known, false, &entry, &change, &found, scanning->error);
    place->upto = record->offset + 1;
    if (status == ODS_OK && found && change != UINT32_MAX && is_applied(trace, &entry))
        status = keyed_row_expect(trace->row, &place->expected, trace->batch, change,
                                  scanning->error);
    if (status != ODS_OK || !found) {
        trace_entry_done(&entry);
        return status;
    }
    return trace_keep(&trace->entries, &entry) ? ODS_OK : error_out_of_memory(scanning->error);
}

static bool take(void *context, const struct record *record)
{
    struct scanning *scanning = context;
    struct trace *trace = scanning->trace;
    trace->scanned++;
    progress_show(&trace->progress,
                  "reading %s: %" PRIu64 " of %" PRIu64 " records, %zu of the row",
                  record->topic, trace->scanned, scanning->records, trace->entries.count);
    scanning->status = take_record(scanning, record);
    return scanning->status == ODS_OK;
}

static int read_topic(struct trace *trace, size_t number, size_t first, struct error *error)
{
    const struct choice_topic *topic = &trace->topics.items[number];
    struct scanning scanning = {.trace = trace, .first = first, .error = error};
    struct kafka_span *spans = calloc((size_t) topic->partitions + 1, sizeof *spans);
    size_t count = 0;
    if (!spans) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (int32_t i = 0; i < topic->partitions; i++) {
        const struct trace_place *place = &trace->places[first + (size_t) i];
        if (!place->wanted || place->upto >= place->high)
            continue;
        int64_t from = place->upto;
        if (from == place->start && from > place->low)
            from -= trace->worker.decoder->ops->look_back;
        spans[count++] = (struct kafka_span){.partition = i, .from = from, .upto = place->high};
        scanning.records += (uint64_t) (place->high - place->upto);
    }
    scanning.records += trace->scanned;
    enum ods_status status =
        count ? kafka_tool_read_spans(trace->tool, topic->name, spans, count, take,
                                      interrupt_came, &scanning, error)
              : ODS_OK;
    for (size_t i = 0; status == ODS_OK && scanning.status == ODS_OK && i < count; i++)
        trace->places[first + (size_t) spans[i].partition].upto = spans[i].upto;
    free(spans);
    progress_done(&trace->progress);
    if (scanning.status != ODS_OK)
        return CLI_TARGET;
    return status == ODS_OK ? CLI_OK : CLI_SOURCE;
}

int trace_read_topics(struct trace *trace, struct error *error)
{
    int code = CLI_OK;
    size_t first = 0;
    for (size_t i = 0; code == CLI_OK && i < trace->topics.count; i++) {
        code = read_topic(trace, i, first, error);
        first += (size_t) trace->topics.items[i].partitions;
    }
    return code;
}
