/* What a letter's headers say of it. Writer thread.
 *
 * Ours begin with "ods."; `ods-sink dlq` lives by them. Beside them stand those of Kafka Connect's
 * sinks under Connect's names and in its encoding, text for all of them, for tools that know those
 * (names and meanings: class DeadLetterQueueReporter of Kafka's connect-runtime). There are no
 * classes and no exceptions here: in their place stand the room that refused the record, and what
 * kind of refusal it was, so that letters can be grouped by them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/sink.h>
#include "core/traceparent.h"
#include "core/utf8.h"
#include "pipeline/deadletter.h"

struct writer {
    void (*add)(void *context, const char *name, const char *value, size_t length);
    void *context;
};

static void add_text(const struct writer *writer, const char *name, const char *text)
{
    writer->add(writer->context, name, text, strlen(text));
}

static void add_given(const struct writer *writer, const char *name, const char *text)
{
    if (*text)
        add_text(writer, name, text);
}

static void add_number(const struct writer *writer, const char *name, long long number)
{
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", number);
    add_text(writer, name, digits);
}

bool deadletter_originals(
    const struct batch *batch, const struct record *record,
    void (*add)(void *context, const char *name, const char *value, size_t length), void *context)
{
    size_t count = batch->headers ? batch->headers(record, NULL, 0) : 0;
    struct header *headers = count ? malloc(count * sizeof *headers) : NULL;
    if (count && !headers)
        return false;
    if (count)
        batch->headers(record, headers, count);
    for (size_t i = 0; i < count; i++)
        add(context, headers[i].name, headers[i].value, headers[i].length);
    free(headers);
    return true;
}

/* The source's table, where the record could be read so far. */
static void add_table(const struct writer *writer, const struct batch *batch,
                      const struct reject *reject)
{
    char table[512];
    int written;
    if (reject->error.index >= batch->change_count)
        return;
    const struct change *change = &batch->changes[reject->error.index];
    const struct shape *shape = change->shape;
    if (change->record != reject->record || !shape)
        return;
    const char *schema = *shape->schema ? shape->schema : shape->database;
    written = snprintf(table, sizeof table, "%s%s%s", schema, *schema ? "." : "", shape->table);
    if (written >= (int) sizeof table)
        table[utf8_cut(table, sizeof table - 1)] = '\0';
    add_text(writer, "ods.table", table);
}

static const char *name_of_codes(const struct deadletter_origin *origin)
{
    const struct sink_ops *sink = sink_find(origin->target_type);
    return sink ? sink->codes : NULL;
}

/* ods.code, and by the name that the target's codes have: ods.sqlstate. */
static void add_code(const struct writer *writer, const struct reject *reject,
                     const struct deadletter_origin *origin)
{
    const char *codes = name_of_codes(origin);
    char name[64];
    add_given(writer, "ods.code", reject->error.code);
    if (!codes)
        return;
    snprintf(name, sizeof name, "ods.%s", codes);
    for (char *at = name; *at; at++)
        *at = (char) (*at >= 'A' && *at <= 'Z' ? *at | 0x20 : *at);
    add_given(writer, name, reject->error.code);
}

/* Also of a letter that is encrypted: it names no more than the record's place does. */
static void add_trace(const struct writer *writer, const struct batch *batch,
                      const struct record *record)
{
    struct traceparent parent;
    if (traceparent_of(&parent, batch->headers, record))
        add_text(writer, "ods.trace_id", parent.trace);
}

static void add_ours(const struct writer *writer, const struct batch *batch,
                     const struct reject *reject, const struct deadletter_origin *origin)
{
    const struct record *record = &batch->records[reject->record];
    add_text(writer, "ods.topic", record->topic);
    add_number(writer, "ods.partition", record->partition);
    add_number(writer, "ods.offset", record->offset);
    if (record->identity) /* behind the offset: letters_waiting.sql looks for it there */
        writer->add(writer->context, "ods.identity", record->identity, record->identity_length);
    add_number(writer, "ods.timestamp", record->timestamp_ms);
    add_text(writer, "ods.pipeline", origin->pipeline->name);
    add_text(writer, "ods.stage", reject->stage);
    add_text(writer, "ods.error", reject->error.text);
    add_table(writer, batch, reject);
    add_code(writer, reject, origin);
    add_given(writer, "ods.column", reject->error.column);
    add_given(writer, "ods.constraint", reject->error.constraint);
    add_trace(writer, batch, record);
}

static void add_connects(const struct writer *writer, const struct batch *batch,
                         const struct reject *reject, const struct deadletter_origin *origin)
{
    const struct record *record = &batch->records[reject->record];
    const char *code = reject->error.code, *codes = name_of_codes(origin);
    bool decoding = strcmp(reject->stage, "decode") == 0;
    char room[128], kind[64], trace[ERROR_TEXT_BYTES + 512];
    snprintf(room, sizeof room, "ods_sink.%s.%s", decoding ? "decoder" : "sink",
             decoding ? origin->pipeline->format : origin->target_type);
    snprintf(kind, sizeof kind, "ods_sink.%sReject%s%s%s%s", decoding ? "Decode" : "Apply",
             *code ? "." : "", *code && codes ? codes : "", *code && codes ? "_" : "", code);
    snprintf(trace, sizeof trace, "%s: %s\n\tat %s(%s:%d:%lld)\n", kind, reject->error.text, room,
             record->topic, (int) record->partition, (long long) record->offset);
    add_text(writer, "__connect.errors.topic", record->topic);
    add_number(writer, "__connect.errors.partition", record->partition);
    add_number(writer, "__connect.errors.offset", record->offset);
    add_text(writer, "__connect.errors.connector.name", origin->pipeline->name);
    add_number(writer, "__connect.errors.task.id", (long long) origin->lane);
    add_text(writer, "__connect.errors.stage", decoding ? "VALUE_CONVERTER" : "TASK_PUT");
    add_text(writer, "__connect.errors.class.name", room);
    add_text(writer, "__connect.errors.exception.class.name", kind);
    add_text(writer, "__connect.errors.exception.message", reject->error.text);
    add_text(writer, "__connect.errors.exception.stacktrace", trace);
}

bool deadletter_headers(
    const struct batch *batch, const struct reject *reject, const struct deadletter_origin *origin,
    void (*add)(void *context, const char *name, const char *value, size_t length), void *context)
{
    const struct writer writer = {add, context};
    if (origin->seal)
        add_text(&writer, DEADLETTER_KEY_ID, jwe_key_id(origin->seal));
    else if (!deadletter_originals(batch, &batch->records[reject->record], add, context))
        return false;
    add_ours(&writer, batch, reject, origin);
    add_connects(&writer, batch, reject, origin);
    return true;
}
