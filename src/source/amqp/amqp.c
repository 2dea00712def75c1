/* Queues of an AMQP 1.0 broker. source_ops say what each function answers.
 *
 * A lane has a connection of its own and a link for each of its queues. What the broker sends stays
 * in the socket until the lane takes it: a read at a time is decoded, messages are handed out one
 * by one, kept until they are settled (their bytes are shared with the batch), and handed out again
 * from there when a batch was dropped. When the connection is lost all that is not settled is
 * forgotten here and comes again from the broker, under higher numbers and with the same
 * identities.
 */
#include <assert.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ods/pipeline.h>

#include "core/log.h"
#include "core/rare.h"
#include "core/time.h"
#include "source/amqp/amqp_check.h"
#include "source/amqp/amqp_connection.h"
#include "source/amqp/amqp_queue.h"

#define AGAIN_MS   INT64_C(1000) /* before a link is asked for again that was refused */
#define GOODBYE_MS INT64_C(1000)

#define BATCHES_AHEAD 4 /* prefetch_bytes in batches */
#define BATCH_LEAST   (INT64_C(1) << 20)

struct amqp_source {
    struct source base;
    struct source_events events;
    const struct broker_settings *broker;
    const struct amqp_settings *settings;
    const struct pipeline_settings *pipeline;
    size_t lane;
    char container[320];
    struct amqp_connection connection;
    struct amqp_queue *queues;
    size_t queue_count, turn; /* whose message is taken next */
    bool joined, left, serves;
    struct rare losses, refusals;
    atomic_bool up, attached, missing; /* for look() */
};

extern const struct source_ops amqp_source_ops;

#define LOG_FIELDS(source)                                                                         \
    (const char *[])                                                                               \
    {                                                                                              \
        "pipeline", (source)->pipeline->name, "broker", (source)->broker->name, NULL               \
    }

/* Of a place that this source has given. */
static struct amqp_queue *queue_of(struct amqp_source *amqp, const struct place *place)
{
    struct amqp_queue *queue = NULL;
    for (size_t i = 0; !queue && i < amqp->queue_count; i++)
        if (strcmp(amqp->queues[i].place.topic, place->topic) == 0)
            queue = &amqp->queues[i];
    assert(queue);
    return queue;
}

static void show_links(struct amqp_source *amqp)
{
    bool attached = true, missing = false;
    for (size_t i = 0; i < amqp->queue_count; i++) {
        attached &= amqp->queues[i].attached;
        missing |= amqp->queues[i].missing;
    }
    atomic_store(&amqp->attached, attached);
    atomic_store(&amqp->missing, missing);
}

/* --- what the connection says ----------------------------------------------------------------- */

static void on_up(void *context)
{
    struct amqp_source *amqp = context;
    atomic_store(&amqp->up, true);
    amqp->serves = false;
    for (size_t i = 0; i < amqp->queue_count; i++)
        amqp_queue_attach(&amqp->queues[i], amqp->connection.session);
}

static void on_down(void *context, bool was_up, const char *why)
{
    struct amqp_source *amqp = context;
    for (size_t i = 0; i < amqp->queue_count; i++)
        amqp_queue_lost(&amqp->queues[i], 0);
    atomic_store(&amqp->up, false);
    show_links(amqp);
    if (!amqp->left && rare_due(&amqp->losses))
        log_event(LOG_WARN, LOG_FIELDS(amqp), "%s %s: %s; it is tried again%s",
                  was_up && amqp->serves ? "lost the connection to" : "can't connect to",
                  amqp->connection.place, why,
                  amqp->broker->urls.count > 1 ? ", and so are the other servers" : "");
}

/* A link is there, so the connection is good for something. */
static void note_service(struct amqp_source *amqp)
{
    char product[200];
    if (amqp->serves)
        return;
    amqp->serves = true;
    amqp->losses = (struct rare){0};
    amqp_connection_serves(&amqp->connection);
    amqp_check_product(amqp->connection.driver.connection, product, sizeof product);
    log_event(LOG_INFO, LOG_FIELDS(amqp), "connected to %s%s%s", amqp->connection.place,
              *product ? ": " : "", product);
}

static void link_opened(struct amqp_source *amqp, struct amqp_queue *queue)
{
    if (pn_terminus_get_type(pn_link_remote_source(queue->link)) == PN_UNSPECIFIED)
        return; /* it is refused: the broker says why as it closes it */
    if (queue->missing)
        log_event(LOG_INFO, LOG_FIELDS(amqp), "the queue \"%s\" can be read now", queue->address);
    queue->attached = true;
    queue->missing = false;
    note_service(amqp);
    if (pn_link_remote_snd_settle_mode(queue->link) == PN_SND_SETTLED)
        log_event(LOG_WARN, LOG_FIELDS(amqp),
                  "the broker settles messages of \"%s\" as it sends them: those on their way are "
                  "lost when the connection is",
                  queue->address);
    show_links(amqp);
}

static void link_closed(struct amqp_source *amqp, struct amqp_queue *queue)
{
    char why[400];
    pn_link_t *link = queue->link;
    amqp_condition_text(pn_link_remote_condition(link), why, sizeof why);
    pn_link_close(link);
    amqp_queue_lost(queue, AGAIN_MS);
    pn_link_free(link);
    queue->missing = true;
    show_links(amqp);
    if (rare_due(&amqp->refusals))
        log_event(LOG_WARN, LOG_FIELDS(amqp), "the broker does not let \"%s\" be read: %s; it is "
                  "asked again", queue->address, *why ? why : "it does not say why");
}

static void on_event(void *context, pn_event_t *event)
{
    struct amqp_source *amqp = context;
    pn_link_t *link = pn_event_link(event);
    struct amqp_queue *queue = link ? pn_link_get_context(link) : NULL;
    if (!queue || queue->link != link)
        return;
    switch (pn_event_type(event)) {
    case PN_LINK_REMOTE_OPEN:
        link_opened(amqp, queue);
        break;
    case PN_LINK_REMOTE_CLOSE:
    case PN_LINK_REMOTE_DETACH:
        link_closed(amqp, queue);
        break;
    case PN_DELIVERY:
        if (!amqp_queue_receive(queue))
            pn_connection_close(amqp->connection.driver.connection);
        break;
    default:
        break;
    }
}

/* --- taking ----------------------------------------------------------------------------------- */

static void grant(struct amqp_source *amqp)
{
    size_t share = (size_t) amqp->settings->prefetch_bytes / amqp->queue_count;
    for (size_t i = 0; i < amqp->queue_count; i++)
        amqp_queue_grant(&amqp->queues[i], share);
}

/* Twice what credit is granted for: messages that are larger than usual need not stop it. Beyond it
 * only as much is read as keeps the connection. */
static size_t most_waiting(const struct amqp_settings *settings)
{
    return 2 * (size_t) settings->prefetch_bytes;
}

static bool has_room(const struct amqp_source *amqp)
{
    size_t waiting = 0;
    for (size_t i = 0; i < amqp->queue_count; i++)
        waiting += amqp->queues[i].waiting_bytes;
    return waiting < most_waiting(amqp->settings);
}

static bool take(struct amqp_source *amqp, struct record *record)
{
    for (size_t i = 0; i < amqp->queue_count; i++) {
        amqp->turn = (amqp->turn + 1) % amqp->queue_count;
        if (amqp_queue_take(&amqp->queues[amqp->turn], record))
            return true;
    }
    return false;
}

static enum source_event amqp_next(struct source *source, struct record *record,
                                   struct error *error)
{
    struct amqp_source *amqp = (struct amqp_source *) source;
    while (!take(amqp, record)) {
        if (!has_room(amqp) || !amqp_connection_pump(&amqp->connection, true))
            return SOURCE_NOTHING;
        grant(amqp);
    }
    return SOURCE_RECORD;
}

static void attach_again(struct amqp_source *amqp)
{
    int64_t now_us = time_monotonic_us();
    for (size_t i = 0; amqp->connection.state == AMQP_UP && i < amqp->queue_count; i++)
        if (!amqp->queues[i].link && now_us >= amqp->queues[i].retry_us)
            amqp_queue_attach(&amqp->queues[i], amqp->connection.session);
}

static int64_t amqp_turn(struct source *source)
{
    struct amqp_source *amqp = (struct amqp_source *) source;
    if (!amqp->queue_count || !amqp->joined || amqp->left)
        return INT32_MAX;
    attach_again(amqp);
    if (has_room(amqp))
        amqp_connection_pump(&amqp->connection, true);
    else
        amqp_connection_stay(&amqp->connection);
    grant(amqp);
    return amqp_connection_turn(&amqp->connection);
}

static int amqp_poll_fd(const struct source *source)
{
    const struct amqp_source *amqp = (const struct amqp_source *) source;
    return amqp->connection.state == AMQP_UP && has_room(amqp) ? amqp->connection.fd : -1;
}

static enum ods_status amqp_start(struct source *source, struct place *places, size_t count,
                                  struct error *error)
{
    struct amqp_source *amqp = (struct amqp_source *) source;
    for (size_t i = 0; i < count; i++) {
        struct amqp_queue *queue = queue_of(amqp, &places[i]);
        queue->started = true;
        amqp_queue_rewind(queue, places[i].offset);
    }
    grant(amqp);
    return ODS_OK;
}

static void amqp_pause(struct source *source, const struct place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        queue_of((struct amqp_source *) source, &places[i])->started = false;
}

static void amqp_ack(struct source *source, const struct place *places, size_t count, int wait_ms)
{
    struct amqp_source *amqp = (struct amqp_source *) source;
    for (size_t i = 0; i < count; i++)
        amqp_queue_settle(queue_of(amqp, &places[i]), places[i].offset);
    amqp_connection_flush(&amqp->connection, wait_ms);
    if (!amqp->connection.output_waits)
        amqp->events.acknowledged(amqp->events.context, places, count);
}

static void amqp_reject(struct source *source, const struct place *place)
{
    amqp_queue_reject(queue_of((struct amqp_source *) source, place), place->offset);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void amqp_close(struct source *source)
{
    struct amqp_source *amqp = (struct amqp_source *) source;
    if (!amqp)
        return;
    if (amqp->joined && !amqp->left) {
        amqp->left = true;
        amqp_connection_close(&amqp->connection, 0);
    }
    for (size_t i = 0; i < amqp->queue_count; i++)
        amqp_queue_done(&amqp->queues[i]);
    free(amqp->queues);
    free(amqp);
}

/* A subscription belongs to its container, so that must have the same name again; where there is
 * none, two processes that read one queue must not be taken for one. */
static void name_container(struct amqp_source *amqp)
{
    const char *name = *amqp->broker->container ? amqp->broker->container
                                                : amqp->pipeline->group_id;
    char host[64] = "";
    int length = snprintf(amqp->container, sizeof amqp->container, "%.200s", name);
    if (amqp->lane)
        length += snprintf(amqp->container + length, sizeof amqp->container - (size_t) length,
                           "-%zu", amqp->lane);
    if (*amqp->settings->subscription || *amqp->broker->container)
        return;
    gethostname(host, sizeof host - 1);
    snprintf(amqp->container + length, sizeof amqp->container - (size_t) length, "@%s-%ld", host,
             (long) getpid());
}

/* Topic i is lane i's; with more of them than lanes they are dealt out. */
static enum ods_status make_queues(struct amqp_source *amqp, struct error *error)
{
    const struct strings *topics = &amqp->pipeline->topics;
    size_t lanes = (size_t) amqp->pipeline->lanes;
    amqp->queues = calloc(topics->count + 1, sizeof *amqp->queues);
    for (size_t i = amqp->lane; amqp->queues && i < topics->count; i += lanes) {
        struct amqp_queue *queue = &amqp->queues[amqp->queue_count++];
        if (!amqp_queue_init(queue, amqp->settings, topics->items[i], amqp->lane))
            return error_set(error, ODS_FATAL, "out of memory for a source");
    }
    return amqp->queues ? ODS_OK : error_set(error, ODS_FATAL, "out of memory for a source");
}

static enum ods_status amqp_open(struct source **source, const struct source_config *config,
                                 struct error *error)
{
    const struct amqp_events events = {on_up, on_down, on_event, NULL};
    struct amqp_source *amqp = calloc(1, sizeof *amqp);
    enum ods_status status = amqp_check_settings(config, error);
    *source = NULL;
    if (!amqp || status != ODS_OK) {
        free(amqp);
        return status == ODS_OK ? error_set(error, ODS_FATAL, "out of memory for a source")
                                : status;
    }
    amqp->base.ops = &amqp_source_ops;
    amqp->events = config->events;
    amqp->settings = config->settings;
    amqp->pipeline = config->pipeline;
    amqp->broker = settings_broker(config->daemon, amqp->settings->broker);
    amqp->lane = config->lane;
    name_container(amqp);
    status = make_queues(amqp, error);
    struct amqp_events mine = events;
    mine.context = amqp;
    amqp_connection_init(&amqp->connection, amqp->broker, amqp->container, &mine);
    if (status == ODS_OK)
        *source = &amqp->base;
    else
        amqp_close(&amqp->base);
    return status;
}

/* The places of all queues; NULL where there are none, or memory is out. */
static struct place *all_places(const struct amqp_source *amqp)
{
    struct place *places = amqp->queue_count ? calloc(amqp->queue_count, sizeof *places) : NULL;
    for (size_t i = 0; places && i < amqp->queue_count; i++)
        places[i] = amqp->queues[i].place;
    return places;
}

static void amqp_join(struct source *source)
{
    struct amqp_source *amqp = (struct amqp_source *) source;
    struct place *places = all_places(amqp);
    if (places)
        amqp->events.assigned(amqp->events.context, places, amqp->queue_count);
    free(places);
    amqp->joined = true;
    if (!amqp->queue_count) {
        atomic_store(&amqp->up, true);
        atomic_store(&amqp->attached, true);
    }
}

static void amqp_leave(struct source *source)
{
    struct amqp_source *amqp = (struct amqp_source *) source;
    struct place *places = all_places(amqp);
    if (places)
        amqp->events.revoked(amqp->events.context, places, amqp->queue_count, false);
    free(places);
    for (size_t i = 0; i < amqp->queue_count; i++) {
        pn_link_t *link = amqp->queues[i].link;
        if (link && *amqp->settings->subscription)
            pn_link_detach(link); /* closed, it would be at its end */
        else if (link)
            pn_link_close(link);
    }
    amqp->left = true;
    amqp_connection_close(&amqp->connection, GOODBYE_MS);
}

static void amqp_look(const struct source *source, struct source_state *state)
{
    const struct amqp_source *amqp = (const struct amqp_source *) source;
    bool up = atomic_load(&amqp->up);
    *state = (struct source_state){.joined = up && atomic_load(&amqp->attached),
                                   .without_topics = up && atomic_load(&amqp->missing),
                                   .away = !up};
}

static bool amqp_merges(const struct source_config *config)
{
    const struct amqp_settings *settings = config->settings;
    return settings->consumers == AMQP_MERGED;
}

static int64_t amqp_ahead_bytes(const struct source_config *config)
{
    return (int64_t) most_waiting(config->settings);
}

/* Messages are not settled while a batch has them, and wait beside it. */
static int64_t amqp_batch_bytes(const struct source_config *config)
{
    const struct amqp_settings *settings = config->settings;
    int64_t bytes = settings->prefetch_bytes / BATCHES_AHEAD;
    return bytes > BATCH_LEAST ? bytes : BATCH_LEAST;
}

const struct source_ops amqp_source_ops = {
    .type = "amqp",
    .summary = "queues of an AMQP 1.0 broker, each message settled when it is committed",
    .settings = &amqp_settings_group,
    .kind = SOURCE_DELIVERIES,
    .provided = "the broker gives each message to one consumer at a time and delivers what is not "
                "settled again, before newer messages of the same key",
    .merges = amqp_merges,
    .awaits_acks = true,
    .suits = amqp_check_settings,
    .doubts = amqp_doubts_settings,
    .open = amqp_open,
    .join = amqp_join,
    .next = amqp_next,
    .start = amqp_start,
    .pause = amqp_pause,
    .ack = amqp_ack,
    .reject = amqp_reject,
    .turn = amqp_turn,
    .poll_fd = amqp_poll_fd,
    .look = amqp_look,
    .release = amqp_block_release,
    .headers = amqp_block_headers,
    .leave = amqp_leave,
    .close = amqp_close,
    .ahead_bytes = amqp_ahead_bytes,
    .batch_bytes = amqp_batch_bytes,
    .check = amqp_check,
};
