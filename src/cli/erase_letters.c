/* The row's dead letters. Those of a table are deleted; of a topic each has a tombstone: a record
 * without value, with the letter's key, in its partition, whose header names its offset. Commands
 * pass over letters that are erased so; where the topic is compacted, Kafka takes the letter away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/erase.h"
#include "cli/interrupt.h"
#include "pipeline/deadletter.h"
#include "sink/postgres/letters/letters.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_producer.h"

#define POLL_MS 50

struct search {
    struct erase *erase;
    struct error *error;
    enum ods_status status;
};

static bool keep(struct erase *erase, const struct record *letter)
{
    if (erase->letter_count == erase->letter_capacity) {
        size_t larger = erase->letter_capacity ? erase->letter_capacity * 2 : 32;
        struct erased_letter *moved = realloc(erase->letters, larger * sizeof *moved);
        if (!moved)
            return false;
        erase->letters = moved;
        erase->letter_capacity = larger;
    }
    struct erased_letter *found = &erase->letters[erase->letter_count++];
    *found = (struct erased_letter){.partition = letter->partition,
                                    .offset = letter->offset,
                                    .key_length = letter->key_length};
    if (letter->key) {
        found->key = malloc(letter->key_length + 1);
        if (!found->key)
            return false;
        memcpy(found->key, letter->key, letter->key_length);
    }
    return true;
}

static void drop(struct erase *erase, int32_t partition, int64_t offset)
{
    for (size_t i = erase->letter_count; i-- > 0;)
        if (erase->letters[i].partition == partition && erase->letters[i].offset == offset) {
            free(erase->letters[i].key);
            erase->letters[i] = erase->letters[--erase->letter_count];
        }
}

static bool number(const struct trace *trace, const struct record *letter, const char *name,
                   int64_t *number_)
{
    size_t length;
    char digits[24];
    const char *value = letter_store_header(&trace->store, letter, name, &length);
    if (!value || !length || length >= sizeof digits)
        return false;
    memcpy(digits, value, length);
    digits[length] = '\0';
    return cli_parse_number(digits, INT64_MAX, number_);
}

/* The letter is kept before it is looked at, since looking takes its memory over, and is dropped
 * again if it is another row's. */
static enum ods_status take_letter(struct erase *erase, const struct record *letter,
                                   struct error *error)
{
    struct trace *trace = &erase->trace;
    size_t place = trace_letter_place(trace, letter);
    struct trace_entry entry = {.place = place, .time_ms = -1};
    bool found, closed;
    int64_t offset;
    int32_t partition = letter->partition;
    int64_t stands = letter->offset;
    if (trace->store.tool && letter_erases(letter, &offset))
        drop(erase, partition, offset);
    if (place == SIZE_MAX || !number(trace, letter, "ods.offset", &entry.offset)) {
        trace->store.release(letter->owner);
        return ODS_OK;
    }
    number(trace, letter, "ods.timestamp", &entry.time_ms);
    if (!keep(erase, letter)) {
        trace->store.release(letter->owner);
        return error_out_of_memory(error);
    }
    enum ods_status status =
        trace_look_letter(trace, letter, place, &entry, &found, &closed, error);
    bool mentioned = found && entry.maybe;
    if (status == ODS_OK && (!found || mentioned || entry.truncates))
        drop(erase, partition, stands);
    erase->closed += closed;
    erase->mentions += mentioned;
    trace_entry_done(&entry);
    return status;
}

static bool take(void *context, const struct record *record)
{
    struct search *search = context;
    search->status = take_letter(search->erase, record, search->error);
    return search->status == ODS_OK;
}

int erase_find_letters(struct erase *erase, struct error *error)
{
    struct trace *trace = &erase->trace;
    struct search search = {.erase = erase, .error = error};
    int32_t partitions = 0;
    if (!trace->store.name)
        return CLI_OK;
    enum ods_status status = letter_store_partitions(&trace->store, &partitions, error);
    if (status == ODS_OK && partitions)
        status = letter_store_read(&trace->store, NULL, take, &search, error);
    erase->unreadable = trace->unreadable;
    if (search.status != ODS_OK)
        return CLI_TARGET;
    return status == ODS_OK ? CLI_OK : trace->store.tool ? CLI_SOURCE : CLI_TARGET;
}

/* --- of a table ------------------------------------------------------------------------------- */

static int erase_rows(struct erase *erase, struct error *error)
{
    int64_t *ids = calloc(erase->letter_count, sizeof *ids);
    for (size_t i = 0; ids && i < erase->letter_count; i++)
        ids[i] = erase->letters[i].offset;
    enum ods_status status = ids ? letters_erase(erase->trace.store.letters, ids,
                                                 erase->letter_count, error)
                                 : error_out_of_memory(error);
    free(ids);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

/* --- tombstones ------------------------------------------------------------------------------ */

struct sending {
    const char *failure;
};

static void answered(void *context, void *what, struct kafka_answer answer)
{
    struct sending *sending = context;
    struct erased_letter *letter = what;
    letter->done = answer.fault == KAFKA_WRITTEN;
    if (!letter->done)
        sending->failure = answer.text;
}

static struct kafka_header_list *headers_of(const struct erased_letter *letter)
{
    char digits[24];
    struct kafka_header_list *headers = kafka_header_list_new();
    int length = snprintf(digits, sizeof digits, "%" PRId64, letter->offset);
    if (headers && kafka_header_list_add(headers, LETTER_ERASED, digits, (size_t) length))
        return headers;
    kafka_header_list_free(headers);
    return NULL;
}

static void send(struct kafka_producer *producer, const char *topic, struct erased_letter *letter,
                 struct sending *sending)
{
    struct kafka_header_list *headers = headers_of(letter);
    struct kafka_answer answer = {.fault = KAFKA_FAILED, .text = "out of memory"};
    bool again = headers != NULL;
    while (again) {
        answer = kafka_producer_send_tombstone(producer, topic, letter->partition, letter->key,
                                               letter->key_length, headers, letter);
        again = answer.fault == KAFKA_FULL && kafka_producer_pending(producer);
        if (again)
            kafka_producer_wait(producer, POLL_MS);
    }
    if (answer.fault == KAFKA_WRITTEN)
        return;
    kafka_header_list_free(headers);
    sending->failure = answer.text;
}

int erase_letters(struct erase *erase, struct error *error)
{
    struct kafka_producer *producer = NULL;
    const char *topic = erase->trace.settings->dead_letter.topic;
    struct sending sending = {0};
    const struct kafka_producer_config config = {.settings = erase->trace.settings,
                                                 .client_id = "ods-sink-erase",
                                                 .answered = answered,
                                                 .context = &sending};
    if (!erase->letter_count)
        return CLI_OK;
    if (erase->trace.store.letters)
        return erase_rows(erase, error);
    if (kafka_producer_open(&producer, &config, error) != ODS_OK)
        return CLI_SOURCE;
    for (size_t i = 0; i < erase->letter_count && !sending.failure; i++)
        send(producer, topic, &erase->letters[i], &sending);
    while (kafka_producer_pending(producer)) /* bounded by message.timeout.ms */
        kafka_producer_wait(producer, POLL_MS);
    kafka_producer_close(producer);
    if (!sending.failure)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "the dead-letter topic %s does not take the tombstones: %s; what is done stays, and "
              "the same command goes on from there",
              topic, sending.failure);
    return CLI_SOURCE;
}
