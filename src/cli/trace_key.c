/* In which partition a row's records are. See trace.h.
 *
 * Producers put a record where a hash of its key's bytes says. Which bytes those are for a row,
 * some records of the topic tell: their keys, with the row's values in place of theirs. The
 * partition counts only where the records that were looked at are where the hash says, and the
 * bytes decode to the row's key; else every partition is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/trace.h"
#include "core/json_scan.h"
#include "source/kafka/kafka.h"

#define SAMPLE_RECORDS  16 /* at either end of a partition: some offsets may be no record */
#define SAMPLES_MAX     256
#define SAMPLE_BYTES    8192
#define CANDIDATES_MAX  8

struct sample {
    int32_t partition;
    char *key;
    size_t length;
};

struct sampling {
    struct trace *trace;
    const struct choice_topic *topic;
    struct sample items[SAMPLES_MAX];
    size_t count;
    bool *seen; /* by partition, of the current end of them */
    bool failed;
};

static bool take_sample(void *context, const struct record *record)
{
    struct sampling *sampling = context;
    bool wanted = record->key_length && record->key_length <= SAMPLE_BYTES &&
                  !sampling->seen[record->partition] && sampling->count < SAMPLES_MAX;
    if (wanted) {
        struct sample *sample = &sampling->items[sampling->count];
        sample->partition = record->partition;
        sample->length = record->key_length;
        sample->key = malloc(record->key_length);
        sampling->failed |= !sample->key;
        if (sample->key)
            memcpy(sample->key, record->key, record->key_length);
        sampling->count += sample->key != NULL;
        sampling->seen[record->partition] = true;
    }
    kafka_release(record->owner);
    return true;
}

/* The first record of each partition, or one of the last. */
static enum ods_status read_samples(struct sampling *sampling, size_t first, bool last,
                                    struct error *error)
{
    const struct choice_topic *topic = sampling->topic;
    size_t count = (size_t) topic->partitions;
    struct kafka_span *spans = calloc(count + 1, sizeof *spans);
    if (!spans)
        return error_out_of_memory(error);
    memset(sampling->seen, 0, count * sizeof *sampling->seen);
    for (size_t i = 0; i < count; i++) {
        const struct trace_place *place = &sampling->trace->places[first + i];
        spans[i].partition = (int32_t) i;
        spans[i].from = last ? place->high - SAMPLE_RECORDS : place->low;
        spans[i].upto = last ? place->high : place->low + SAMPLE_RECORDS;
    }
    enum ods_status status =
        kafka_tool_read_spans(sampling->trace->tool, topic->name, spans, count, take_sample,
                              interrupt_came, sampling, error);
    free(spans);
    return status;
}

/* Are all of them where the hash says? */
static bool is_hashed(const struct sampling *sampling)
{
    for (size_t i = 0; i < sampling->count; i++) {
        const struct sample *sample = &sampling->items[i];
        if (kafka_partition_of(sample->key, sample->length, sampling->topic->partitions) !=
            sample->partition)
            return false;
    }
    return sampling->count > 0;
}

/* --- the row's key as bytes ------------------------------------------------------------------ */

static void put_string(struct buffer *out, const char *text)
{
    static const char hex[] = "0123456789ABCDEF"; /* as Java's writer has it */
    buffer_add(out, "\"", 1);
    for (; *text; text++) {
        unsigned char byte = (unsigned char) *text;
        const char *plain = "\b\t\n\f\r\"\\", *as = "btnfr\"\\";
        const char *at = strchr(plain, byte);
        if (at)
            buffer_add(out, (char[]){'\\', as[at - plain]}, 2);
        else if (byte < 0x20)
            buffer_add(out, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
        else
            buffer_add(out, text, 1);
    }
    buffer_add(out, "\"", 1);
}

/* The value in the form that the sample's has. */
static bool put_value(struct buffer *out, char first, const char *text)
{
    struct slice number = {text, strlen(text)};
    if (first == '"') {
        put_string(out, text);
    } else if (first == 't' || first == 'f') {
        buffer_puts(out, *text == 't' ? "true" : "false");
    } else {
        if (json_number_of(number).kind == VALUE_NULL)
            return false;
        buffer_puts(out, text);
    }
    return true;
}

/* An object's members, each with the row's value. False: it has others than the row's key. */
static bool put_members(const struct trace *trace, struct json_scan *scan, struct arena *arena,
                        struct buffer *out, const char **copied)
{
    bool next = true;
    size_t members = 0;
    scan->at++;
    while (json_next_member(scan, &next)) {
        const char *name;
        size_t length;
        if (!json_name(scan, arena, &name, &length))
            return false;
        char *column = arena_strndup(arena, name, length);
        json_space(scan);
        const char *value = scan->at;
        if (!column || !json_skip(scan))
            return false;
        const char *text = keyed_row_value(trace->row, trace->choice.table, column);
        if (!text)
            return false;
        buffer_add(out, *copied, (size_t) (value - *copied));
        if (!put_value(out, *value, text))
            return false;
        *copied = scan->at;
        members++;
    }
    return !scan->problem && members == trace->key.count;
}

/* The sample's key with the row's values. */
static bool put_candidate(const struct trace *trace, const struct sample *sample,
                          struct arena *arena, struct buffer *out)
{
    struct json_scan scan;
    const char *copied = sample->key, *end = sample->key + sample->length;
    bool next = true, done = false;
    buffer_reset(out);
    json_scan_init(&scan, sample->key, sample->length);
    json_space(&scan);
    if (json_peek(&scan) != '{')
        return false;
    struct json_scan whole = scan;
    scan.at++;
    while (!done && json_next_member(&scan, &next)) {
        const char *name;
        size_t length;
        if (!json_name(&scan, arena, &name, &length))
            return false;
        json_space(&scan);
        if (length == 7 && memcmp(name, "payload", 7) == 0 && json_peek(&scan) == '{')
            done = put_members(trace, &scan, arena, out, &copied);
        else if (!json_skip(&scan))
            return false;
    }
    if (!done) { /* without a schema around it */
        buffer_reset(out);
        copied = sample->key;
        done = put_members(trace, &whole, arena, out, &copied);
    }
    if (done)
        buffer_add(out, copied, (size_t) (end - copied));
    return done && !out->failed;
}

/* Does the pipeline's decoder find the row in it? */
static bool is_the_row(struct trace *trace, const char *topic, const struct buffer *key)
{
    struct trace_entry entry = {0};
    struct error ignored;
    uint32_t change;
    bool found;
    const struct record record = {.topic = topic,
                                  .offset = INT64_MAX - 1,
                                  .timestamp_ms = -1,
                                  .key = key->bytes,
                                  .key_length = key->length};
    error_init(&ignored);
    enum ods_status status =
        trace_look(trace, &record, true, &entry, &change, &found, &ignored);
    trace_entry_done(&entry);
    trace->unreadable = 0;
    return status == ODS_OK && found && change != UINT32_MAX;
}

/* The partitions that the samples' keys tell; none: they don't. */
static size_t find_partitions(struct sampling *sampling, bool *partitions)
{
    struct trace *trace = sampling->trace;
    struct arena arena;
    struct buffer candidate;
    char *last = NULL;
    size_t last_length = 0, found = 0, tried = 0;
    arena_init(&arena);
    buffer_init(&candidate);
    for (size_t i = 0; i < sampling->count && tried < CANDIDATES_MAX; i++) {
        if (!put_candidate(trace, &sampling->items[i], &arena, &candidate) ||
            (last && last_length == candidate.length &&
             memcmp(last, candidate.bytes, last_length) == 0))
            continue;
        free(last);
        last_length = candidate.length;
        last = malloc(last_length + 1);
        if (last)
            memcpy(last, candidate.bytes, last_length);
        tried++;
        if (!is_the_row(trace, sampling->topic->name, &candidate))
            continue;
        int32_t partition = kafka_partition_of(candidate.bytes, candidate.length,
                                               sampling->topic->partitions);
        found += !partitions[partition];
        partitions[partition] = true;
    }
    free(last);
    buffer_done(&candidate);
    arena_done(&arena);
    return tried < CANDIDATES_MAX ? found : 0;
}

static enum ods_status choose(struct sampling *sampling, size_t first, struct error *error)
{
    struct trace *trace = sampling->trace;
    size_t count = (size_t) sampling->topic->partitions, found = 0;
    bool *partitions = calloc(count + 1, sizeof *partitions);
    sampling->seen = calloc(count + 1, sizeof *sampling->seen);
    enum ods_status status =
        partitions && sampling->seen ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK && count > 1)
        status = read_samples(sampling, first, false, error);
    if (status == ODS_OK && count > 1)
        status = read_samples(sampling, first, true, error);
    if (status == ODS_OK && count > 1 && is_hashed(sampling))
        found = find_partitions(sampling, partitions);
    for (size_t i = 0; status == ODS_OK && i < count; i++)
        trace->places[first + i].wanted = !found || partitions[i];
    trace->told |= found && found < count;
    free(partitions);
    free(sampling->seen);
    for (size_t i = 0; i < sampling->count; i++)
        free(sampling->items[i].key);
    return status;
}

int trace_choose_partitions(struct trace *trace, struct error *error)
{
    enum ods_status status = ODS_OK;
    size_t first = 0;
    struct sampling *sampling = malloc(sizeof *sampling);
    if (!sampling) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; status == ODS_OK && i < trace->topics.count; i++) {
        *sampling = (struct sampling){.trace = trace, .topic = &trace->topics.items[i]};
        status = choose(sampling, first, error);
        first += (size_t) trace->topics.items[i].partitions;
    }
    free(sampling);
    return status == ODS_OK ? CLI_OK : CLI_SOURCE;
}
