/* Dead letters at an address of an AMQP 1.0 broker: a message each, durable, with the record's
 * value as its body and all headers as application properties. The record's key, where it has one,
 * is the property "ods.key".
 *
 * A letter is delivered when the broker has accepted it. After any failure the connection is
 * closed, and what was not acknowledged is sent again, so a letter may be there twice: its
 * message-id, made of the record's place, is then the same. */
#include "pipeline/deadletter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "source/amqp/amqp_sender.h"

struct amqp_deadletter {
    struct deadletter base;
    const struct dead_letter_settings *settings;
    struct deadletter_origin origin;
    char container[300];
    struct amqp_sender *sender;
    struct amqp_draft draft;
    struct buffer key, value; /* of a letter that is sealed */
    struct jwe_key *seal;
};

static void add_property(void *context, const char *name, const char *value, size_t length)
{
    amqp_draft_property(context, name, value, length);
}

/* The record's key and value, or what is sent in their place. */
static enum ods_status take_contents(struct amqp_deadletter *letters, const struct batch *batch,
                                     const struct reject *reject, struct record *record,
                                     struct error *error)
{
    *record = batch->records[reject->record];
    if (!letters->seal)
        return ODS_OK;
    buffer_reset(&letters->key);
    buffer_reset(&letters->value);
    enum ods_status status = deadletter_seal(&letters->key, &letters->value, batch, reject,
                                             &letters->origin, error);
    record->key = letters->key.bytes;
    record->key_length = letters->key.length;
    record->value = letters->value.bytes;
    record->value_length = letters->value.length;
    return status;
}

static enum ods_status send_letter(struct amqp_deadletter *letters, const struct batch *batch,
                                   struct reject *reject, struct error *error)
{
    struct amqp_draft *draft = &letters->draft;
    struct record record;
    char id[400];
    enum ods_status status = take_contents(letters, batch, reject, &record, error);
    if (status != ODS_OK)
        return status;
    const char *identity = record.identity ? record.identity : "";
    snprintf(id, sizeof id, "%.100s/%d/%lld/%.*s", record.topic, (int) record.partition,
             (long long) record.offset, record.identity_length > 200 ? 200
                                                                     : (int) record.identity_length,
             identity);
    amqp_draft_reset(draft);
    bool good = deadletter_headers(batch, reject, &letters->origin, add_property, draft);
    if (record.key)
        amqp_draft_property(draft, "ods.key", record.key, record.key_length);
    if (!good || !amqp_draft_end(draft, id, record.value, record.value_length))
        return error_out_of_memory(error);
    return amqp_sender_send(letters->sender, draft, &reject->delivered, error);
}

static enum ods_status amqp_deliver(struct deadletter *base, struct batch *batch,
                                    struct error *error)
{
    struct amqp_deadletter *letters = (struct amqp_deadletter *) base;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; i < batch->reject_count && status == ODS_OK; i++)
        if (!batch->rejects[i].delivered)
            status = send_letter(letters, batch, &batch->rejects[i], error);
    if (status == ODS_OK)
        status = amqp_sender_wait(letters->sender, error);
    amqp_sender_interrupt(letters->sender, false);
    if (status != ODS_OK)
        error_prefix(error, "dead letters: ");
    return status;
}

static void amqp_interrupt(struct deadletter *base)
{
    amqp_sender_interrupt(((struct amqp_deadletter *) base)->sender, true);
}

static void amqp_clear_interrupt(struct deadletter *base)
{
    amqp_sender_interrupt(((struct amqp_deadletter *) base)->sender, false);
}

static void amqp_close(struct deadletter *base)
{
    struct amqp_deadletter *letters = (struct amqp_deadletter *) base;
    amqp_sender_free(letters->sender);
    amqp_draft_done(&letters->draft);
    buffer_done(&letters->key);
    buffer_done(&letters->value);
    jwe_key_free(letters->seal);
    free(letters);
}

static const struct deadletter_ops amqp_ops = {
    .deliver = amqp_deliver,
    .interrupt = amqp_interrupt,
    .clear_interrupt = amqp_clear_interrupt,
    .close = amqp_close,
};

enum ods_status deadletter_amqp_open(struct deadletter **out, const struct settings *settings,
                                     const struct deadletter_origin *origin, struct error *error)
{
    const struct dead_letter_settings *own = &settings->dead_letter;
    struct amqp_deadletter *letters = calloc(1, sizeof *letters);
    *out = NULL;
    if (!letters)
        return error_set(error, ODS_FATAL, "out of memory for dead letters");
    letters->base.ops = &amqp_ops;
    letters->settings = own;
    letters->origin = *origin;
    amqp_draft_init(&letters->draft);
    buffer_init(&letters->key);
    buffer_init(&letters->value);
    snprintf(letters->container, sizeof letters->container, "%.200s-letters-%zu",
             origin->pipeline->group_id, origin->lane);
    letters->sender = amqp_sender_new(settings_broker(settings, own->broker), own->address,
                                      letters->container);
    enum ods_status status =
        letters->sender ? deadletter_key_read(&letters->seal, own->public_key, error)
                        : error_set(error, ODS_FATAL, "out of memory for dead letters");
    letters->origin.seal = letters->seal;
    if (status == ODS_OK)
        *out = &letters->base;
    else
        amqp_close(&letters->base);
    return status;
}
