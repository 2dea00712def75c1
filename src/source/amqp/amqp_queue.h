/* A queue that a lane reads: its link, and its messages from when they come until they are
 * settled. The lane's consumer thread. */
#ifndef AMQP_QUEUE_H
#define AMQP_QUEUE_H

#include <proton/delivery.h>
#include <proton/link.h>

#include <ods/source.h>
#include "source/amqp/amqp_record.h"
#include "source/amqp/amqp_settings.h"

struct amqp_pending {
    struct amqp_block *block;
    pn_delivery_t *delivery;
    bool rejected; /* it has become a dead letter */
};

struct amqp_queue {
    const struct amqp_settings *settings;
    struct place place; /* its topic in the pipeline */
    char *address;      /* at the broker */
    char *link_name;
    pn_link_t *link;  /* NULL: not attached */
    bool attached;    /* the broker has agreed */
    bool missing;     /* the broker says that there is no such queue, or that it is not for us */
    int64_t retry_us; /* of a link that was refused */
    bool started;
    /* Messages that are not settled, a ring: the first has the number `base`, `next` is handed out
     * next. Numbers count what came, over all connections. */
    struct amqp_pending *ring;
    size_t capacity, first, count;
    int64_t base, next;
    struct amqp_block *partial; /* of a message that has not come whole */
    bool cut;                   /* it is larger than allowed: what more comes is dropped */
    bool presettled;            /* the broker settles messages as it sends them */
    size_t waiting_bytes;       /* of messages from `next` on */
    size_t usual_bytes;         /* of a message, lately */
};

/* False: memory is out. The address is settings->address with the topic in it. */
bool amqp_queue_init(struct amqp_queue *queue, const struct amqp_settings *settings,
                     const char *topic, size_t lane);
/* Are these two, with their topics in them, one address? */
bool amqp_queue_same(const char *address, const char *topic, const char *other,
                     const char *other_topic);
void amqp_queue_done(struct amqp_queue *queue);

void amqp_queue_attach(struct amqp_queue *queue, pn_session_t *session);
/* The link is over: the broker delivers what is not settled again. `again_ms`: when to attach
 * anew. */
void amqp_queue_lost(struct amqp_queue *queue, int64_t again_ms);
/* Takes what has come of the link's messages. False: memory is out, the link must be given up. */
bool amqp_queue_receive(struct amqp_queue *queue);
/* Grants credit in large steps, before it runs low: for as many messages as fit into so many bytes,
 * its share of what may wait. */
void amqp_queue_grant(struct amqp_queue *queue, size_t share_bytes);

/* The next one; false: none waits, or the queue is not started. */
bool amqp_queue_take(struct amqp_queue *queue, struct record *record);
/* From this number on, or as near to it as there is. */
void amqp_queue_rewind(struct amqp_queue *queue, int64_t number);
void amqp_queue_reject(struct amqp_queue *queue, int64_t number);
void amqp_queue_settle(struct amqp_queue *queue, int64_t upto);

#endif
