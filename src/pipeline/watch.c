/* See watch.h. */
#include "pipeline/watch.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/exit.h"
#include "core/rare.h"
#include "core/time.h"
#include "core/wait.h"
#include "pipeline/complete.h"
#include "pipeline/fleet.h"
#include "pipeline/history.h"
#include "pipeline/idle.h"

#define LOOK_MS    1000 /* between two looks for orders */
#define HURRY_MS   200  /* as long as none could be read, and no lane begins */
#define MEASURE_US INT64_C(2000000)  /* between two looks at what waits */
#define TEND_US    INT64_C(10000000) /* between two looks after the target's own */
#define AWAY_US    INT64_C(15000000) /* after one that was not answered */
#define LEAVE_S    1 /* in which it takes its leave of the target, if that answers */

/* A partition of a topic that is held. */
struct place_held {
    const char *topic; /* its order's */
    int32_t partition;
    int64_t stored, end;
};

struct watch {
    const struct worker_origin *origin;
    struct sink *sink; /* of its own */
    struct lane *const *lanes;
    size_t lane_count;
    pthread_t thread;
    bool runs;
    struct timespec leave_until; /* once `stop` is set */
    atomic_bool stop;
    atomic_int_fast64_t number;

    /* The thread's. */
    struct control_member self;
    struct orders known; /* as read last; what is below is a copy */
    struct topic_reader *reader; /* NULL: nothing is held */
    int64_t next_measure_us;
    int64_t tend_us;
    struct idle idle;
    struct complete complete;
    struct fleet fleet;
    struct rare away, unmeasured, untended, unfresh, unread, alone;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t changed;
    bool woken;
    struct orders orders;
    struct watch_held *held; /* of each of them */
    struct place_held *places;
    size_t place_count;
};

/* --- what others ask ------------------------------------------------------------------------- */

int64_t watch_number(const struct watch *watch)
{
    return atomic_load_explicit(&watch->number, memory_order_acquire);
}

bool watch_holds(struct watch *watch, const char *topic)
{
    pthread_mutex_lock(&watch->mutex);
    bool holds = orders_find(&watch->orders, topic) != NULL;
    pthread_mutex_unlock(&watch->mutex);
    return holds;
}

void watch_wake(struct watch *watch)
{
    pthread_mutex_lock(&watch->mutex);
    watch->woken = true;
    pthread_cond_signal(&watch->changed);
    pthread_mutex_unlock(&watch->mutex);
}

bool watch_place(struct watch *watch, const char *topic, int32_t partition, int64_t *stored,
                 int64_t *end)
{
    bool found = false;
    pthread_mutex_lock(&watch->mutex);
    for (size_t i = 0; !found && i < watch->place_count; i++) {
        const struct place_held *place = &watch->places[i];
        found = place->partition == partition && strcmp(place->topic, topic) == 0;
        if (found) {
            *stored = place->stored;
            *end = place->end;
        }
    }
    pthread_mutex_unlock(&watch->mutex);
    return found;
}

struct fleet *watch_fleet(struct watch *watch)
{
    return watch->sink->ops->control->beat ? &watch->fleet : NULL;
}

int64_t watch_complete_us(struct watch *watch, const char *topic)
{
    return complete_of(&watch->complete, topic);
}

const struct watch_held *watch_lock(struct watch *watch, size_t *count)
{
    pthread_mutex_lock(&watch->mutex);
    *count = watch->held ? watch->orders.count : 0;
    return watch->held;
}

void watch_unlock(struct watch *watch)
{
    pthread_mutex_unlock(&watch->mutex);
}

/* --- orders ---------------------------------------------------------------------------------- */

static void say(const struct watch *watch, bool warning, const char *text)
{
    watch->origin->say(watch->origin->context, warning, text);
}

static void tell(const struct watch *watch, const struct order *order, const char *what)
{
    char text[ERROR_TEXT_BYTES];
    snprintf(text, sizeof text, "topic %s %s: %s, ordered by %s%s%s", order->topic, what,
             order->table, order->by, *order->reason ? ": " : "", order->reason);
    say(watch, false, text);
}

/* What is new against what was. */
static void tell_changes(const struct watch *watch, const struct orders *was,
                         const struct orders *now)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct order *before = orders_find(was, now->items[i].topic);
        if (!before || before->state != now->items[i].state)
            tell(watch, &now->items[i],
                 now->items[i].state == ORDER_RESYNC ? "is held for an exchange of its table"
                                                     : "is paused");
    }
    for (size_t i = 0; i < was->count; i++)
        if (!orders_find(now, was->items[i].topic))
            tell(watch, &was->items[i], "goes on; it was held");
}

static bool copy_orders(struct orders *to, const struct orders *from)
{
    for (size_t i = 0; i < from->count; i++)
        if (!orders_add(to, &from->items[i]))
            return false;
    to->number = from->number;
    return true;
}

/* Where memory is out nothing changes, and the next look tries again. */
static void publish(struct watch *watch)
{
    struct orders copy = {0}, was;
    struct watch_held *held = calloc(watch->known.count + 1, sizeof *held);
    if (!held || !copy_orders(&copy, &watch->known)) {
        orders_done(&copy);
        free(held);
        return;
    }
    for (size_t i = 0; i < copy.count; i++)
        held[i] = (struct watch_held){.order = &copy.items[i], .backlog = -1};
    pthread_mutex_lock(&watch->mutex);
    was = watch->orders;
    watch->orders = copy;
    free(watch->held);
    watch->held = held;
    free(watch->places);
    watch->places = NULL;
    watch->place_count = 0;
    pthread_mutex_unlock(&watch->mutex);
    atomic_store_explicit(&watch->number, copy.number, memory_order_release);
    watch->next_measure_us = 0;
    tell_changes(watch, &was, &watch->known);
    orders_done(&was);
    watch->origin->wake(watch->origin->context);
}

/* The last order that all lanes obey. A lane that has ended writes nothing any more. */
static int64_t obeyed(const struct watch *watch)
{
    int64_t least = watch_number(watch);
    for (size_t i = 0; i < watch->lane_count; i++) {
        int64_t number = lane_obeys(watch->lanes[i]);
        if (number < least)
            least = number;
    }
    return least;
}

/* Without having read them no lane begins: what no waiting mends must not be waited for. */
static void complain(struct watch *watch, enum ods_status status, struct error *error)
{
    error_prefix(error, "orders about single tables can't be read: ");
    if (status != ODS_RETRY && watch_number(watch) < 0 && watch->lane_count)
        lane_give_up(watch->lanes[0], CLI_TARGET, error);
    else if (rare_due(&watch->away))
        say(watch, true, error->text);
}

/* What the target does from time to time, where the pipeline keeps histories. */
static void tend(struct watch *watch)
{
    const struct control_ops *control = watch->sink->ops->control;
    struct error error;
    bool failed = false, before;
    if (!control->tend || time_monotonic_us() < watch->tend_us ||
        !history_is_kept(watch->origin->pipeline, &before))
        return;
    error_init(&error);
    watch->tend_us = time_monotonic_us() + TEND_US;
    enum ods_status status = control->tend(watch->sink, &failed, &error);
    if ((status != ODS_OK || failed) && !atomic_load(&watch->stop) &&
        rare_due(&watch->untended))
        say(watch, true, error.text);
}

/* Tables that are idle are complete up to a time that moves on. */
static void freshen(struct watch *watch)
{
    struct error error;
    error_init(&error);
    enum ods_status status =
        idle_keep(&watch->idle, watch->sink, watch->lanes, watch->lane_count, &error);
    if (status == ODS_OK || atomic_load(&watch->stop) || !rare_due(&watch->unfresh))
        return;
    error_prefix(&error, "up to when idle tables are complete can't be kept: ");
    say(watch, true, error.text);
}

/* For who asks the daemon; nothing else depends on it. */
static void read_complete(struct watch *watch)
{
    struct error error;
    error_init(&error);
    enum ods_status status =
        complete_keep(&watch->complete, watch->sink, watch->origin->settings, &error);
    if (status == ODS_OK || atomic_load(&watch->stop) || !rare_due(&watch->unread))
        return;
    error_prefix(&error, "up to when tables are complete can't be read: ");
    say(watch, true, error.text);
}

/* Without the others' rows nothing is wrong but what the page shows of them. */
static void meet(struct watch *watch)
{
    struct error error;
    error_init(&error);
    enum ods_status status = fleet_keep(&watch->fleet, watch->sink, watch->origin,
                                        watch->self.name, watch->lanes, watch->lane_count, &error);
    if (status == ODS_OK || atomic_load(&watch->stop) ||
        (status == ODS_RETRY && !rare_due(&watch->alone)))
        return;
    error_prefix(&error, "the group's processes do not learn of each other: ");
    say(watch, true, error.text);
}

static void look(struct watch *watch)
{
    struct error error;
    error_init(&error);
    watch->self.confirmed = obeyed(watch);
    enum ods_status status =
        watch->sink->ops->control->watch(watch->sink, &watch->self, &watch->known, &error);
    if (status != ODS_OK) {
        fleet_away(&watch->fleet, &error);
        if (!atomic_load(&watch->stop))
            complain(watch, status, &error);
        return;
    }
    watch->away = (struct rare){0};
    tend(watch);
    freshen(watch);
    read_complete(watch);
    meet(watch);
    if (watch->known.number != watch_number(watch))
        publish(watch);
}

/* --- what waits ------------------------------------------------------------------------------ */

static enum ods_status open_reader(struct watch *watch, struct error *error)
{
    struct source_config config = {0};
    const struct source_ops *ops =
        worker_source(watch->origin->settings, watch->origin->pipeline, &config);
    if (watch->reader || !ops->open_reader)
        return ODS_OK;
    return ops->open_reader(&watch->reader, &config, error);
}

static void close_reader(struct watch *watch)
{
    if (watch->reader)
        watch->reader->ops->close(watch->reader);
    watch->reader = NULL;
}

/* How far the topic's partitions are, behind those in *places. */
static enum ods_status measure_topic(struct watch *watch, const struct order *order,
                                     struct place_held **places, size_t *count,
                                     struct error *error)
{
    struct topic_reader *reader = watch->reader;
    struct sink *sink = watch->sink;
    int32_t partitions = 0;
    enum ods_status status = reader->ops->partitions(reader, order->topic, &partitions, error);
    if (status != ODS_OK || !partitions)
        return status;
    struct place_held *larger =
        realloc(*places, (*count + (size_t) partitions) * sizeof *larger);
    struct position *positions = calloc((size_t) partitions, sizeof *positions);
    if (larger)
        *places = larger;
    if (!larger || !positions)
        status = error_out_of_memory(error);
    for (int32_t i = 0; positions && i < partitions; i++)
        positions[i] = (struct position){.topic = order->topic, .partition = i};
    if (status == ODS_OK)
        status = sink->ops->resume(sink, positions, (size_t) partitions, error);
    for (int32_t i = 0; status == ODS_OK && i < partitions; i++) {
        int64_t low, high;
        status = atomic_load(&watch->stop)
                     ? error_set(error, ODS_RETRY, "stopped")
                     : reader->ops->ends(reader, order->topic, i, &low, &high, error);
        if (status != ODS_OK)
            break;
        int64_t stored = positions[i].offset < low ? low : positions[i].offset;
        larger[(*count)++] = (struct place_held){
            .topic = order->topic, .partition = i, .stored = stored, .end = high};
    }
    free(positions);
    return status;
}

static void take_places(struct watch *watch, struct place_held *places, size_t count)
{
    pthread_mutex_lock(&watch->mutex);
    free(watch->places);
    watch->places = places;
    watch->place_count = count;
    for (size_t i = 0; i < watch->orders.count; i++) {
        watch->held[i].backlog = 0;
        for (size_t k = 0; k < count; k++)
            if (places[k].topic == watch->orders.items[i].topic && places[k].end > places[k].stored)
                watch->held[i].backlog += places[k].end - places[k].stored;
    }
    pthread_mutex_unlock(&watch->mutex);
}

/* The orders are replaced by this thread alone, so that it reads them without the lock. */
static void measure(struct watch *watch)
{
    struct place_held *places = NULL;
    size_t count = 0;
    struct error error;
    int64_t now_us = time_monotonic_us();
    if (!watch->orders.count || now_us < watch->next_measure_us) {
        if (!watch->orders.count)
            close_reader(watch);
        return;
    }
    error_init(&error);
    enum ods_status status = open_reader(watch, &error);
    for (size_t i = 0; status == ODS_OK && watch->reader && i < watch->orders.count; i++)
        status = measure_topic(watch, &watch->orders.items[i], &places, &count, &error);
    watch->next_measure_us = time_monotonic_us() + (status == ODS_OK ? MEASURE_US : AWAY_US);
    if (status == ODS_OK && watch->reader) {
        take_places(watch, places, count);
        return;
    }
    free(places);
    if (status != ODS_OK && !atomic_load(&watch->stop) &&
        rare_due(&watch->unmeasured)) {
        error_prefix(&error, "how much waits for tables that are held is not known: ");
        say(watch, true, error.text);
    }
}

/* --- the thread ------------------------------------------------------------------------------ */

static void doze(struct watch *watch)
{
    struct timespec until = time_deadline(watch_number(watch) < 0 ? HURRY_MS : LOOK_MS);
    pthread_mutex_lock(&watch->mutex);
    while (!watch->woken && !atomic_load(&watch->stop))
        if (pthread_cond_timedwait(&watch->changed, &watch->mutex, &until))
            break;
    watch->woken = false;
    pthread_mutex_unlock(&watch->mutex);
}

static void *watch_main(void *context)
{
    struct watch *watch = context;
    while (!atomic_load(&watch->stop)) {
        look(watch);
        measure(watch);
        doze(watch);
    }
    fleet_leave(&watch->fleet, watch->sink);
    return NULL;
}

enum ods_status watch_open(struct watch **out, const struct worker_origin *origin,
                           struct error *error)
{
    const struct pipeline_settings *pipeline = origin->pipeline;
    struct sink_config config;
    const struct sink_ops *ops = worker_target(origin->settings, pipeline, &config);
    *out = NULL;
    if (!ops || !ops->control)
        return ODS_OK;
    struct watch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return error_set(error, ODS_FATAL, "out of memory for a thread that watches for orders");
    pthread_mutex_init(&watch->mutex, NULL);
    wait_init(&watch->changed);
    complete_init(&watch->complete);
    fleet_init(&watch->fleet);
    watch->origin = origin;
    atomic_store(&watch->number, -1);
    watch->known.number = -1;
    enum ods_status status = ops->open(&watch->sink, &config, error);
    if (status != ODS_OK) {
        watch_close(watch);
        return status;
    }
    *out = watch;
    return ODS_OK;
}

enum ods_status watch_start(struct watch *watch, struct lane *const *lanes, size_t count,
                            struct error *error)
{
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    watch->lanes = lanes;
    watch->lane_count = count;
    watch->self.lanes = (int32_t) count;
    /* In containers the number of a process, and the host's name as well, may be another's too. */
    snprintf(watch->self.name, sizeof watch->self.name, "%s, process %ld, %06llx", host,
             (long) getpid(), (unsigned long long) time_wall_us() & 0xffffff);
    int code = pthread_create(&watch->thread, NULL, watch_main, watch);
    watch->runs = code == 0;
    return code ? error_set(error, ODS_FATAL, "can't start a thread: %s", strerror(code)) : ODS_OK;
}

void watch_leave(struct watch *watch)
{
    if (!watch || !watch->runs || atomic_exchange(&watch->stop, true))
        return;
    clock_gettime(CLOCK_REALTIME, &watch->leave_until);
    watch->leave_until.tv_sec += LEAVE_S;
    watch_wake(watch);
}

void watch_stop(struct watch *watch)
{
    if (!watch || !watch->runs)
        return;
    watch_leave(watch);
    if (pthread_timedjoin_np(watch->thread, NULL, &watch->leave_until)) {
        watch->sink->ops->interrupt(watch->sink);
        pthread_join(watch->thread, NULL);
    }
    watch->runs = false;
}

void watch_close(struct watch *watch)
{
    if (!watch)
        return;
    watch_stop(watch);
    close_reader(watch);
    idle_done(&watch->idle);
    complete_done(&watch->complete);
    fleet_done(&watch->fleet);
    if (watch->sink)
        watch->sink->ops->close(watch->sink);
    orders_done(&watch->known);
    orders_done(&watch->orders);
    free(watch->held);
    free(watch->places);
    pthread_mutex_destroy(&watch->mutex);
    pthread_cond_destroy(&watch->changed);
    free(watch);
}
