/* A queue that a lane reads. See amqp_queue.h. */
#include "source/amqp/amqp_queue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proton/disposition.h>
#include <proton/terminus.h>

#include "core/time.h"

#define TOPIC_WORD  "${topic}"
#define FIRST_BYTES ((size_t) 16 * 1024) /* how large a message is thought to be before any came */

/* The text with the topic in place of ${topic}; on the heap. */
static char *put_topic(const char *text, const char *topic)
{
    struct buffer out;
    const char *at;
    buffer_init(&out);
    while ((at = strstr(text, TOPIC_WORD))) {
        buffer_add(&out, text, (size_t) (at - text));
        buffer_puts(&out, topic);
        text = at + strlen(TOPIC_WORD);
    }
    buffer_puts(&out, text);
    char *copy = out.failed ? NULL : strdup(buffer_text(&out));
    buffer_done(&out);
    return copy;
}

bool amqp_queue_same(const char *address, const char *topic, const char *other,
                     const char *other_topic)
{
    char *one = put_topic(address, topic), *two = put_topic(other, other_topic);
    bool same = one && two && strcmp(one, two) == 0;
    free(one);
    free(two);
    return same;
}

bool amqp_queue_init(struct amqp_queue *queue, const struct amqp_settings *settings,
                     const char *topic, size_t lane)
{
    char name[300];
    snprintf(name, sizeof name, "ods-sink:%.250s:%zu", topic, lane);
    *queue = (struct amqp_queue){.settings = settings,
                                 .place = {.topic = topic},
                                 .usual_bytes = FIRST_BYTES};
    queue->address = put_topic(settings->address, topic);
    queue->link_name = *settings->subscription ? put_topic(settings->subscription, topic)
                                               : strdup(name);
    return queue->address && queue->link_name;
}

static struct amqp_pending *pending_at(const struct amqp_queue *queue, int64_t number)
{
    size_t place = queue->first + (size_t) (number - queue->base);
    return &queue->ring[place & (queue->capacity - 1)];
}

static int64_t end_of(const struct amqp_queue *queue)
{
    return queue->base + (int64_t) queue->count;
}

static void drop_partial(struct amqp_queue *queue)
{
    amqp_block_release(queue->partial);
    queue->partial = NULL;
    queue->cut = false;
}

void amqp_queue_lost(struct amqp_queue *queue, int64_t again_ms)
{
    for (int64_t number = queue->base; number < end_of(queue); number++)
        amqp_block_release(pending_at(queue, number)->block);
    queue->base = queue->next = end_of(queue);
    queue->first = queue->count = 0;
    queue->waiting_bytes = 0;
    drop_partial(queue);
    queue->link = NULL;
    queue->attached = false;
    queue->retry_us = time_monotonic_us() + again_ms * 1000;
}

void amqp_queue_done(struct amqp_queue *queue)
{
    amqp_queue_lost(queue, 0);
    free(queue->ring);
    free(queue->address);
    free(queue->link_name);
}

/* --- the link --------------------------------------------------------------------------------- */

void amqp_queue_attach(struct amqp_queue *queue, pn_session_t *session)
{
    pn_link_t *link = pn_receiver(session, queue->link_name);
    if (!link)
        return;
    pn_terminus_t *source = pn_link_source(link);
    pn_terminus_set_address(source, queue->address);
    if (*queue->settings->subscription) {
        pn_data_t *capabilities = pn_terminus_capabilities(source);
        pn_terminus_set_durability(source, PN_DELIVERIES);
        pn_terminus_set_expiry_policy(source, PN_EXPIRE_NEVER);
        pn_data_put_symbol(capabilities, pn_bytes(strlen("topic"), "topic"));
    }
    pn_link_set_snd_settle_mode(link, PN_SND_UNSETTLED);
    pn_link_set_rcv_settle_mode(link, PN_RCV_FIRST);
    pn_link_set_max_message_size(link, (uint64_t) queue->settings->max_message_bytes);
    pn_link_set_context(link, queue);
    pn_link_open(link);
    queue->link = link;
    queue->attached = false;
}

void amqp_queue_grant(struct amqp_queue *queue, size_t share_bytes)
{
    size_t credit = (size_t) queue->settings->credit;
    if (!queue->attached || !queue->started)
        return;
    size_t room = share_bytes > queue->waiting_bytes ? share_bytes - queue->waiting_bytes : 0;
    size_t fit = room / queue->usual_bytes;
    int most = (int) (fit > credit ? credit : fit);
    int granted = pn_link_credit(queue->link) - pn_link_queued(queue->link);
    if (most < 1 && !queue->waiting_bytes)
        most = 1; /* it takes them one by one, however large they are */
    if (granted <= most / 2 && granted < most)
        pn_link_flow(queue->link, most - granted);
}

/* --- what comes ------------------------------------------------------------------------------- */

static bool grow(struct amqp_queue *queue)
{
    if (queue->count < queue->capacity)
        return true;
    size_t capacity = queue->capacity ? queue->capacity * 2 : 1024;
    struct amqp_pending *ring = malloc(capacity * sizeof *ring);
    if (!ring)
        return false;
    for (size_t i = 0; i < queue->count; i++)
        ring[i] = *pending_at(queue, queue->base + (int64_t) i);
    free(queue->ring);
    queue->ring = ring;
    queue->capacity = capacity;
    queue->first = 0;
    return true;
}

/* The message is there. */
static bool keep(struct amqp_queue *queue, pn_delivery_t *delivery)
{
    if (!grow(queue))
        return false;
    if (queue->cut)
        amqp_block_cut(queue->partial);
    amqp_block_read(queue->partial, queue->settings->identity, queue->settings->key);
    *pending_at(queue, end_of(queue)) =
        (struct amqp_pending){.block = queue->partial, .delivery = delivery};
    size_t bytes = amqp_block_bytes(queue->partial);
    queue->count++;
    queue->waiting_bytes += bytes;
    queue->usual_bytes = bytes > queue->usual_bytes ? (bytes + queue->usual_bytes) / 2
                                                    : (bytes + queue->usual_bytes * 15) / 16;
    queue->partial = NULL;
    queue->cut = false;
    return true;
}

/* Takes the bytes that are there. Of what is larger than allowed the rest is dropped. */
static bool take_bytes(struct amqp_queue *queue, pn_delivery_t *delivery)
{
    size_t limit = (size_t) queue->settings->max_message_bytes, left;
    char dropped[16 * 1024], *room;
    while ((left = pn_delivery_pending(delivery))) {
        if (!queue->partial && !(queue->partial = amqp_block_new(left < limit ? left : limit)))
            return false;
        size_t free_bytes = limit - amqp_block_length(queue->partial);
        if (free_bytes) {
            left = left < free_bytes ? left : free_bytes;
            room = amqp_block_take(&queue->partial, left);
        } else {
            queue->cut = true;
            left = left < sizeof dropped ? left : sizeof dropped;
            room = dropped;
        }
        if (!room)
            return false;
        if (pn_link_recv(queue->link, room, left) <= 0)
            return true;
    }
    return true;
}

bool amqp_queue_receive(struct amqp_queue *queue)
{
    pn_delivery_t *delivery;
    while ((delivery = pn_link_current(queue->link)) && pn_delivery_readable(delivery)) {
        if (pn_delivery_aborted(delivery)) {
            drop_partial(queue);
            pn_delivery_settle(delivery);
            continue;
        }
        bool whole = !pn_delivery_partial(delivery);
        if (!take_bytes(queue, delivery))
            return false;
        if (!whole)
            return true;
        if (!queue->partial && !(queue->partial = amqp_block_new(0)))
            return false;
        queue->presettled |= pn_delivery_settled(delivery);
        if (!keep(queue, delivery))
            return false;
        pn_link_advance(queue->link);
    }
    return true;
}

/* --- what goes -------------------------------------------------------------------------------- */

bool amqp_queue_take(struct amqp_queue *queue, struct record *record)
{
    if (!queue->started || queue->next == end_of(queue))
        return false;
    struct amqp_block *block = pending_at(queue, queue->next)->block;
    amqp_block_record(block, record);
    record->topic = queue->place.topic;
    record->offset = queue->next++;
    queue->waiting_bytes -= amqp_block_bytes(block);
    return true;
}

void amqp_queue_rewind(struct amqp_queue *queue, int64_t number)
{
    if (number < queue->base)
        number = queue->base;
    while (queue->next > number)
        queue->waiting_bytes += amqp_block_bytes(pending_at(queue, --queue->next)->block);
}

void amqp_queue_reject(struct amqp_queue *queue, int64_t number)
{
    if (number >= queue->base && number < end_of(queue))
        pending_at(queue, number)->rejected = true;
}

static void settle_rejected(const struct amqp_queue *queue, pn_delivery_t *delivery)
{
    pn_disposition_t *local = pn_delivery_local(delivery);
    pn_condition_t *condition = pn_disposition_condition(local);
    switch (queue->settings->letters) {
    case AMQP_REJECTED:
        pn_condition_set_name(condition, "ods-sink:dead-letter");
        pn_condition_set_description(condition, "ods-sink has made it a dead letter of its own");
        pn_delivery_update(delivery, PN_REJECTED);
        break;
    case AMQP_MODIFIED:
        pn_disposition_set_failed(local, true);
        pn_disposition_set_undeliverable(local, true);
        pn_delivery_update(delivery, PN_MODIFIED);
        break;
    case AMQP_ACCEPTED:
        pn_delivery_update(delivery, PN_ACCEPTED);
        break;
    }
}

/* The library puts equal outcomes of deliveries in a row into one frame. */
void amqp_queue_settle(struct amqp_queue *queue, int64_t upto)
{
    while (queue->count && queue->base < upto) {
        struct amqp_pending *pending = pending_at(queue, queue->base);
        if (pending->rejected)
            settle_rejected(queue, pending->delivery);
        else
            pn_delivery_update(pending->delivery, PN_ACCEPTED);
        pn_delivery_settle(pending->delivery);
        if (queue->base == queue->next) {
            queue->waiting_bytes -= amqp_block_bytes(pending->block);
            queue->next++;
        }
        amqp_block_release(pending->block);
        queue->base++;
        queue->first = (queue->first + 1) & (queue->capacity - 1);
        queue->count--;
    }
}
