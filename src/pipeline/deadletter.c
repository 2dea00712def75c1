/* Dead letters in Kafka.
 *
 * The producer is idempotent and waits for all replicas. It is made for the first bad record, so a
 * pipeline without any has no connection for them. After any failure it is closed with all that it
 * still holds, so that nothing in it refers to a batch that its lane has dropped.
 *
 * Whatever the brokers answer, a letter is tried again later and its lane waits: a topic that is
 * not there can be made, one that takes no record as large can be altered, a right can be granted.
 * What was acknowledged stays so and is not sent again.
 */
#include "pipeline/deadletter.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "source/kafka/kafka_producer.h"

#define POLL_MS 50

struct kafka_deadletter {
    struct deadletter base;
    const struct settings *settings;
    struct deadletter_origin origin;
    struct kafka_producer *producer; /* NULL until the first reject, and after a failure */
    atomic_bool interrupted;
    struct kafka_answer failure; /* the first one of this delivery */
    const struct reject *failed; /* the letter that it is about */
    struct jwe_key *seal;        /* NULL: letters are written as the records are */
    struct arena sealed;         /* keys and values of the letters on their way */
};

enum ods_status deadletter_key_read(struct jwe_key **key, const char *public_key,
                                    struct error *error)
{
    *key = NULL;
    enum ods_status status = *public_key ? jwe_key_read_public(key, public_key, error) : ODS_OK;
    if (status != ODS_OK)
        error_prefix(error, "dead_letter.encrypt.public_key: ");
    return status;
}

void deadletter_close(struct deadletter *deadletter)
{
    if (deadletter)
        deadletter->ops->close(deadletter);
}

static void note_failure(struct kafka_deadletter *deadletter, const struct reject *reject,
                         struct kafka_answer answer)
{
    if (deadletter->failure.fault != KAFKA_WRITTEN)
        return;
    deadletter->failure = answer;
    deadletter->failed = reject;
}

static void take_answer(void *context, void *what, struct kafka_answer answer)
{
    struct reject *reject = what;
    if (answer.fault == KAFKA_WRITTEN)
        reject->delivered = true;
    else
        note_failure(context, reject, answer);
}

static enum ods_status start_producer(struct kafka_deadletter *deadletter, struct error *error)
{
    const struct kafka_producer_config config = {.settings = deadletter->settings,
                                                 .client_id = "ods-sink-dead-letter",
                                                 .answered = take_answer,
                                                 .context = deadletter};
    if (deadletter->producer)
        return ODS_OK;
    enum ods_status status = kafka_producer_open(&deadletter->producer, &config, error);
    if (status != ODS_OK)
        error_prefix(error, "dead letters: ");
    return status;
}

static void discard_producer(struct kafka_deadletter *deadletter)
{
    kafka_producer_close(deadletter->producer);
    deadletter->producer = NULL;
}

struct headers {
    struct kafka_header_list *list;
    bool failed;
};

static void add_header(void *context, const char *name, const char *value, size_t length)
{
    struct headers *headers = context;
    headers->failed |= !kafka_header_list_add(headers->list, name, value, length);
}

/* NULL when memory is out. */
static struct kafka_header_list *make_headers(const struct kafka_deadletter *deadletter,
                                          const struct batch *batch, const struct reject *reject)
{
    struct headers headers = {.list = kafka_header_list_new()};
    if (deadletter_headers(batch, reject, &deadletter->origin, add_header, &headers) &&
        !headers.failed)
        return headers.list;
    kafka_header_list_free(headers.list);
    return NULL;
}

static const char *keep(struct kafka_deadletter *deadletter, const struct buffer *bytes)
{
    char *copy = arena_alloc(&deadletter->sealed, bytes->length);
    if (copy)
        memcpy(copy, bytes->bytes, bytes->length);
    return copy;
}

/* The record with what is sent in place of its key and value. False: memory is out. */
static bool seal(struct kafka_deadletter *deadletter, const struct batch *batch,
                 const struct reject *reject, struct record *record)
{
    struct buffer key, value;
    struct error ignored;
    *record = batch->records[reject->record];
    if (!deadletter->seal)
        return true;
    buffer_init(&key);
    buffer_init(&value);
    error_init(&ignored);
    bool good = deadletter_seal(&key, &value, batch, reject, &deadletter->origin, &ignored) ==
                ODS_OK;
    record->key = good ? keep(deadletter, &key) : NULL;
    record->key_length = key.length;
    record->value = good ? keep(deadletter, &value) : NULL;
    record->value_length = value.length;
    buffer_done(&key);
    buffer_done(&value);
    return record->key && record->value;
}

static void produce(struct kafka_deadletter *deadletter, const struct batch *batch,
                    struct reject *reject)
{
    struct kafka_producer *producer = deadletter->producer;
    struct kafka_answer answer = {.fault = KAFKA_FAILED, .text = "out of memory"};
    struct record record;
    struct kafka_header_list *headers =
        seal(deadletter, batch, reject, &record) ? make_headers(deadletter, batch, reject) : NULL;
    bool again = headers != NULL;
    while (again) {
        answer = kafka_producer_send(producer, deadletter->settings->dead_letter.topic, &record,
                                     headers, reject);
        again = answer.fault == KAFKA_FULL && kafka_producer_pending(producer) &&
                !atomic_load(&deadletter->interrupted);
        if (again)
            kafka_producer_wait(producer, POLL_MS);
    }
    if (answer.fault == KAFKA_WRITTEN)
        return;
    kafka_header_list_free(headers);
    note_failure(deadletter, reject, answer);
}

/* Letters that were sent are waited for even after a failure, since they might be written and then
 * sent again. message.timeout.ms bounds it. */
static void await_answers(struct kafka_deadletter *deadletter)
{
    while (kafka_producer_pending(deadletter->producer) && !atomic_load(&deadletter->interrupted))
        kafka_producer_wait(deadletter->producer, POLL_MS);
}

static void produce_all(struct kafka_deadletter *deadletter, struct batch *batch, bool one_by_one)
{
    deadletter->failure = (struct kafka_answer){.fault = KAFKA_WRITTEN};
    for (uint32_t i = 0; i < batch->reject_count; i++) {
        if (batch->rejects[i].delivered || atomic_load(&deadletter->interrupted))
            continue;
        produce(deadletter, batch, &batch->rejects[i]);
        if (one_by_one)
            await_answers(deadletter);
    }
    await_answers(deadletter);
}

static enum ods_status describe(struct kafka_deadletter *deadletter, const struct batch *batch,
                                struct error *error)
{
    const char *topic = deadletter->settings->dead_letter.topic;
    const char *advice = "", *trouble = kafka_producer_trouble(deadletter->producer);
    const struct record *record =
        deadletter->failed ? &batch->records[deadletter->failed->record] : NULL;
    switch (deadletter->failure.fault) {
    case KAFKA_TOO_LARGE:
        advice =
            deadletter->seal
                ? ": raise the topic's max.message.bytes above the record's size, a third "
                  "more since it is encrypted, and that of its headers, about 8 KiB, or pass over "
                  "the record with ods-sink reset"
                : ": raise the topic's max.message.bytes above the record's size and that of "
                  "its headers, about 8 KiB, or pass over the record with ods-sink reset";
        break;
    case KAFKA_NO_TOPIC:
        advice = ": is the topic there?";
        break;
    case KAFKA_NO_RIGHT:
        advice = ": grant WRITE and DESCRIBE on it";
        break;
    default:
        break;
    }
    if (record)
        error_set(error, ODS_RETRY,
                  "dead-letter topic %s does not take the record of topic %s partition %d offset "
                  "%lld (%zu bytes): %s%s%s%s",
                  topic, record->topic, (int) record->partition, (long long) record->offset,
                  record->key_length + record->value_length, deadletter->failure.text, advice,
                  *trouble ? "; " : "", trouble);
    else
        error_set(error, ODS_RETRY, "writing to dead-letter topic %s was interrupted", topic);
    return ODS_RETRY;
}

static enum ods_status kafka_deliver(struct deadletter *base, struct batch *batch,
                                     struct error *error)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    enum ods_status status = start_producer(deadletter, error);
    if (status != ODS_OK)
        return status;
    kafka_producer_forget_trouble(deadletter->producer);
    deadletter->failed = NULL;
    produce_all(deadletter, batch, false);
    /* The limit is one of what is sent together: each may fit by itself. */
    if (deadletter->failure.fault == KAFKA_TOO_LARGE)
        produce_all(deadletter, batch, true);
    atomic_store(&deadletter->interrupted, false);
    if (batch_letters_wait(batch)) {
        status = describe(deadletter, batch, error);
        discard_producer(deadletter);
    }
    arena_reset(&deadletter->sealed, 0); /* nothing is on its way any more */
    return status;
}

static void kafka_interrupt(struct deadletter *base)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    atomic_store(&deadletter->interrupted, true);
}

static void kafka_clear_interrupt(struct deadletter *base)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    atomic_store(&deadletter->interrupted, false);
}

static void kafka_close_producer(struct deadletter *base)
{
    struct kafka_deadletter *deadletter = (struct kafka_deadletter *) base;
    discard_producer(deadletter);
    jwe_key_free(deadletter->seal);
    arena_done(&deadletter->sealed);
    free(deadletter);
}

static const struct deadletter_ops kafka_ops = {
    .deliver = kafka_deliver,
    .interrupt = kafka_interrupt,
    .clear_interrupt = kafka_clear_interrupt,
    .close = kafka_close_producer,
};

enum ods_status deadletter_kafka_open(struct deadletter **out, const struct settings *settings,
                                      const struct deadletter_origin *origin, struct error *error)
{
    struct kafka_deadletter *deadletter = calloc(1, sizeof *deadletter);
    *out = NULL;
    if (!deadletter)
        return error_set(error, ODS_FATAL, "out of memory for dead letters");
    deadletter->base.ops = &kafka_ops;
    deadletter->settings = settings;
    deadletter->origin = *origin;
    arena_init(&deadletter->sealed);
    enum ods_status status = 
        deadletter_key_read(&deadletter->seal, settings->dead_letter.public_key, error);
    deadletter->origin.seal = deadletter->seal;
    if (status == ODS_OK)
        *out = &deadletter->base;
    else
        kafka_close_producer(&deadletter->base);
    return status;
}
