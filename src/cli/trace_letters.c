/* The row's dead letters, whatever partition their records were in, and what has become of them.
 * See trace.h and dlq_letters.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/dlq.h"
#include "cli/interrupt.h"
#include "cli/trace.h"
#include "source/kafka/kafka.h"

#define REASON_BYTES 512

struct lettering {
    struct trace *trace;
    struct error *error;
    enum ods_status status;
    uint64_t read;
};

static char *text(const struct trace *trace, const struct record *record, const char *name,
                  size_t most)
{
    size_t length = 0;
    const char *value = letter_store_text(&trace->store, record, name, most, &length);
    return value ? strndup(value, length) : strdup("");
}

static bool number(const struct trace *trace, const struct record *record, const char *name,
                   int64_t *number_)
{
    char *digits = text(trace, record, name, 24);
    bool good = digits && cli_parse_number(digits, INT64_MAX, number_);
    free(digits);
    return good;
}

static bool is_text(const struct trace *trace, const struct record *record, const char *name,
                    const char *wanted)
{
    size_t length = 0;
    const char *value = letter_store_header(&trace->store, record, name, &length);
    return value && length == strlen(wanted) && memcmp(value, wanted, length) == 0;
}

size_t trace_letter_place(const struct trace *trace, const struct record *record)
{
    int64_t partition;
    if (!is_text(trace, record, "ods.pipeline", trace->choice.pipeline->name) ||
        !number(trace, record, "ods.partition", &partition))
        return SIZE_MAX;
    for (size_t i = 0; i < trace->place_count; i++)
        if (trace->places[i].partition == partition &&
            is_text(trace, record, "ods.topic", trace->places[i].topic))
            return i;
    return SIZE_MAX;
}

struct trace_entry *trace_letter_of(struct trace *trace, size_t place, int64_t offset)
{
    for (size_t i = 0; i < trace->letters.count; i++)
        if (trace->letters.items[i].place == place && trace->letters.items[i].offset == offset)
            return &trace->letters.items[i];
    return NULL;
}

/* An earlier one of the same record counts no more. */
static bool keep(struct trace *trace, const struct trace_entry *entry)
{
    for (size_t i = 0; i < trace->letters.count; i++)
        if (trace->letters.items[i].place == entry->place &&
            trace->letters.items[i].offset == entry->offset) {
            trace_drop(&trace->letters, i);
            break;
        }
    return trace_keep(&trace->letters, entry);
}

enum ods_status trace_look_letter(struct trace *trace, const struct record *letter, size_t place,
                                  struct trace_entry *entry, bool *found, bool *closed,
                                  struct error *error)
{
    struct record record = *letter;
    struct error why;
    uint32_t change;
    enum ods_status status = ODS_OK;
    *found = *closed = false;
    trace->opened = trace->store.letters != NULL;
    if (letter_is_sealed(letter, trace->store.headers, NULL)) {
        error_init(&why);
        status = letter_open(&trace->keys, letter, trace->store.headers, &record, &why);
        trace->store.release(letter->owner);
        *closed = status == ODS_REJECT;
        if (status != ODS_OK && !*closed)
            *error = why;
        trace->opened = status == ODS_OK;
        if (status != ODS_OK)
            return *closed ? ODS_OK : status;
    }
    record.topic = trace->places[place].topic;
    record.partition = trace->places[place].partition;
    record.offset = entry->offset;
    record.timestamp_ms = entry->time_ms;
    status = trace_look(trace, &record, true, entry, &change, found, error);
    trace->opened = false;
    return status;
}

/* The letter at an offset of this partition counts no more. */
static void forget(struct trace *trace, int32_t partition, int64_t offset)
{
    for (size_t i = trace->letters.count; i-- > 0;) {
        const struct trace_letter *letter = &trace->letters.items[i].letter;
        if (letter->partition == partition && letter->offset == offset)
            trace_drop(&trace->letters, i);
    }
}

static enum ods_status take_letter(struct lettering *lettering, const struct record *letter)
{
    struct trace *trace = lettering->trace;
    struct trace_entry entry = {.place = trace_letter_place(trace, letter), .has_letter = true};
    bool found;
    int64_t erased;
    if (trace->store.tool && letter_erases(letter, &erased))
        forget(trace, letter->partition, erased);
    if (entry.place == SIZE_MAX || !number(trace, letter, "ods.offset", &entry.offset)) {
        trace->store.release(letter->owner);
        return ODS_OK;
    }
    entry.time_ms = -1;
    number(trace, letter, "ods.timestamp", &entry.time_ms);
    entry.letter = (struct trace_letter){.partition = letter->partition,
                                         .offset = letter->offset,
                                         .time_ms = letter->timestamp_ms,
                                         .stage = text(trace, letter, "ods.stage", 32),
                                         .code = text(trace, letter, "ods.code", 23),
                                         .reason = text(trace, letter, "ods.error", REASON_BYTES),
                                         .mark = OFFSET_NONE};
    enum ods_status status = trace_look_letter(trace, letter, entry.place, &entry, &found,
                                               &entry.closed, lettering->error);
    if (status == ODS_OK && (!entry.letter.stage || !entry.letter.code || !entry.letter.reason))
        status = error_out_of_memory(lettering->error);
    if (status != ODS_OK || (!found && !entry.closed)) {
        trace_entry_done(&entry);
        return status;
    }
    entry.has_letter = entry.from_letter = true;
    entry.bytes += 1024;
    return keep(trace, &entry) ? ODS_OK : error_out_of_memory(lettering->error);
}

static bool take(void *context, const struct record *record)
{
    struct lettering *lettering = context;
    progress_show(&lettering->trace->progress, "reading %s: %" PRIu64 " letters",
                  lettering->trace->store.name, ++lettering->read);
    lettering->trace->letters_upto[record->partition] = record->offset + 1;
    lettering->status = take_letter(lettering, record);
    return lettering->status == ODS_OK && !interrupt_came();
}

static enum ods_status read_topic(struct trace *trace, struct lettering *lettering,
                                  struct error *error)
{
    const char *topic = trace->store.name;
    struct kafka_span *spans = calloc((size_t) trace->letter_partitions + 1, sizeof *spans);
    if (!spans)
        return error_out_of_memory(error);
    for (int32_t i = 0; i < trace->letter_partitions; i++)
        spans[i] = (struct kafka_span){
            .partition = i, .from = trace->letters_upto[i], .upto = INT64_MAX};
    enum ods_status status =
        kafka_tool_read_spans(trace->tool, topic, spans, (size_t) trace->letter_partitions, take,
                              interrupt_came, lettering, error);
    free(spans);
    return status;
}

int trace_open_letters(struct trace *trace, struct error *error)
{
    const struct dead_letter_settings *own = &trace->settings->dead_letter;
    if (*own->table)
        return letter_store_open(&trace->store, trace->settings, error) == ODS_OK ? CLI_OK
                                                                                  : CLI_CONFIG;
    if (*own->topic)
        trace->store = (struct letter_store){.name = own->topic,
                                             .kind = "topic",
                                             .headers = kafka_headers,
                                             .release = kafka_release,
                                             .tool = trace->tool};
    return CLI_OK;
}

int trace_read_letters(struct trace *trace, struct error *error)
{
    struct lettering lettering = {.trace = trace, .error = error};
    enum ods_status status = ODS_OK;
    uint64_t unreadable = trace->unreadable;
    if (!trace->store.name)
        return CLI_OK;
    if (!trace->letters_upto) {
        status = letter_store_partitions(&trace->store, &trace->letter_partitions, error);
        trace->letters_upto =
            calloc((size_t) trace->letter_partitions + 1, sizeof *trace->letters_upto);
    }
    if (status == ODS_OK && !trace->letters_upto)
        status = error_out_of_memory(error);
    if (status == ODS_OK)
        status = trace->store.tool ? read_topic(trace, &lettering, error)
                                   : letter_store_read(&trace->store, trace->letters_upto, take,
                                                       &lettering, error);
    progress_done(&trace->progress);
    trace->unreadable = unreadable; /* they are in the topics too */
    if (lettering.status != ODS_OK)
        return CLI_TARGET;
    return status == ODS_OK ? CLI_OK : trace->store.tool ? CLI_SOURCE : CLI_TARGET;
}

int trace_read_marks(struct trace *trace, struct error *error)
{
    struct arena arena;
    struct position *positions = calloc(trace->letters.count + 1, sizeof *positions);
    char *group = NULL;
    bool good = positions && asprintf(&group, "%s" LETTERS_REPLAYS,
                                      trace->choice.pipeline->group_id) >= 0;
    arena_init(&arena);
    for (size_t i = 0; good && i < trace->letters.count; i++) {
        const struct trace_letter *letter = &trace->letters.items[i].letter;
        const struct letter named = {.offset = letter->offset, .time_ms = letter->time_ms};
        positions[i].partition = letter->partition;
        positions[i].topic = dlq_mark_topic(trace->store.name, &arena, &named);
        good = positions[i].topic != NULL;
    }
    enum ods_status status =
        good ? reader_positions(trace->reader, group, positions, trace->letters.count, error)
             : error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i < trace->letters.count; i++)
        trace->letters.items[i].letter.mark = positions[i].offset;
    free(positions);
    free(good ? group : NULL);
    arena_done(&arena);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}
