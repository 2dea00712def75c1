/* The thread that reads outboxes. See outbox_reader.h. */
#include "source/outbox/outbox_reader.h"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <ods/pipeline.h>
#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"

#define READ_ROWS    500
#define HOLD_US      INT64_C(500000)  /* between two tries for a lock that another process has */
#define COUNT_US     INT64_C(1000000) /* between two counts of what waits */
#define COUNT_MOST   INT64_C(10000)
#define LONGEST_MS   INT64_C(1000)
#define AWAY_MS      INT64_C(100)
#define AWAY_MOST_MS INT64_C(3000)

#define LOG_FIELDS(reader)                                                                         \
    (const char *[])                                                                               \
    {                                                                                              \
        "pipeline", (reader)->pipeline, "target", (reader)->target->name, NULL                     \
    }

/* --- what both threads do --------------------------------------------------------------------- */

static void free_blocks(struct outbox_block *block)
{
    while (block) {
        struct outbox_block *next = block->next;
        outbox_block_release(block);
        block = next;
    }
}

void outbox_name_drop(struct outbox_name *name)
{
    free_blocks(name->first);
    name->first = NULL;
    name->end = &name->first;
    name->bytes = 0;
    name->epoch++;
}

void outbox_reader_nudge(struct outbox_reader *reader)
{
    reader->news = true;
    pthread_cond_signal(&reader->work);
}

static void wake_lane(const struct outbox_reader *reader)
{
    uint64_t one = 1;
    ssize_t sent = write(reader->wake_fd, &one, sizeof one);
    (void) sent;
}

/* --- one name --------------------------------------------------------------------------------- */

/* What the thread is to do for a name, as it was asked at one moment. */
struct task {
    bool started, room;
    unsigned epoch;
    int64_t cursor, wanted;
};

static struct task look(struct outbox_reader *reader, const struct outbox_name *name)
{
    pthread_mutex_lock(&reader->mutex);
    const struct task task = {
        .started = name->started,
        .room = name->bytes < (size_t) reader->settings->prefetch_bytes / 2,
        .epoch = name->epoch,
        .cursor = name->cursor,
        .wanted = name->wanted,
    };
    pthread_mutex_unlock(&reader->mutex);
    return task;
}

static void publish(struct outbox_reader *reader, struct outbox_name *name)
{
    pthread_mutex_lock(&reader->mutex);
    name->next_place = name->view.next_place;
    name->settled = name->view.settled;
    pthread_cond_broadcast(&reader->settled);
    pthread_mutex_unlock(&reader->mutex);
}

static enum ods_status hold(struct outbox_reader *reader, struct outbox_name *name,
                            struct error *error)
{
    bool held;
    int64_t now_us = time_monotonic_us();
    if (name->held || now_us < name->hold_at_us)
        return ODS_OK;
    name->hold_at_us = now_us + HOLD_US;
    enum ods_status status = outbox_hold(reader->outbox, &name->view, &held, error);
    if (status != ODS_OK || !held)
        return status;
    pthread_mutex_lock(&reader->mutex);
    name->held = true;
    name->next_place = name->view.next_place;
    name->settled = name->view.settled;
    name->tenure++;
    name->started = false;
    name->cursor = name->view.settled;
    /* What was applied while the session was gone is deleted now. */
    if (name->wanted < name->view.settled || name->wanted > name->view.next_place)
        name->wanted = name->view.settled;
    outbox_name_drop(name);
    pthread_mutex_unlock(&reader->mutex);
    publish(reader, name);
    log_event(LOG_INFO, LOG_FIELDS(reader), "reads %s of the outbox", name->place.topic);
    wake_lane(reader);
    return ODS_OK;
}

/* Rows of one statement. */
struct taking {
    const struct outbox_name *name;
    struct outbox_block *first, **end;
    size_t bytes;
    int64_t next; /* place behind the last row */
};

static bool take(void *context, const struct outbox_row *row)
{
    struct taking *taking = context;
    struct outbox_block *block = outbox_block_new(taking->name->place.topic, row);
    if (!block)
        return false;
    block->record.topic = taking->name->place.topic;
    *taking->end = block;
    taking->end = &block->next;
    taking->bytes += block->bytes;
    taking->next = row->place + 1;
    return true;
}

/* Gives them to the lane, unless it has asked for others meanwhile. */
static void hand_over(struct outbox_reader *reader, struct outbox_name *name,
                      const struct task *task, struct taking *taking)
{
    pthread_mutex_lock(&reader->mutex);
    if (name->epoch == task->epoch) {
        name->cursor = taking->next;
        if (taking->first) {
            *name->end = taking->first;
            name->end = taking->end;
            name->bytes += taking->bytes;
            taking->first = NULL;
        }
    }
    pthread_mutex_unlock(&reader->mutex);
    free_blocks(taking->first);
    if (taking->bytes)
        wake_lane(reader);
}

static enum ods_status read_ahead(struct outbox_reader *reader, struct outbox_name *name,
                                  const struct task *task, int64_t *count, struct error *error)
{
    const struct outbox_limits limits = {READ_ROWS, reader->settings->prefetch_bytes / 2};
    struct taking taking = {.name = name, .next = task->cursor};
    bool again = task->cursor < name->view.next_place;
    taking.end = &taking.first;
    enum ods_status status =
        again ? outbox_read_again(reader->outbox, &name->view, task->cursor, &limits, take, &taking,
                                  count, error)
              : outbox_read(reader->outbox, &name->view, &limits, take, &taking, count, error);
    if (status != ODS_OK) {
        free_blocks(taking.first);
        return status;
    }
    if (!*count) /* somebody else has deleted what was read before */
        taking.next = name->view.next_place;
    publish(reader, name);
    hand_over(reader, name, task, &taking);
    return ODS_OK;
}

/* Also says something to the server, which ends sessions that stand still. */
static enum ods_status count_waiting(struct outbox_reader *reader, struct outbox_name *name,
                                     struct error *error)
{
    int64_t count, now_us = time_monotonic_us();
    if (now_us < name->count_at_us)
        return ODS_OK;
    name->count_at_us = now_us + COUNT_US;
    enum ods_status status =
        outbox_waiting(reader->outbox, name->place.topic, COUNT_MOST, &count, error);
    if (status != ODS_OK)
        return status;
    pthread_mutex_lock(&reader->mutex);
    name->waiting = count;
    pthread_mutex_unlock(&reader->mutex);
    return ODS_OK;
}

/* *count grows by what was read or deleted. */
static enum ods_status serve(struct outbox_reader *reader, struct outbox_name *name, int64_t *count,
                             struct error *error)
{
    int64_t read = 0;
    enum ods_status status = hold(reader, name, error);
    if (status != ODS_OK || !name->held)
        return status;
    const struct task task = look(reader, name);
    if (task.wanted > name->view.settled) {
        status = outbox_settle(reader->outbox, &name->view, task.wanted, error);
        publish(reader, name);
        *count += status == ODS_OK;
    }
    if (status == ODS_OK && task.started && task.room)
        status = read_ahead(reader, name, &task, &read, error);
    if (status == ODS_OK)
        status = count_waiting(reader, name, error);
    *count += read;
    return status;
}

/* --- the thread ------------------------------------------------------------------------------- */

/* The session is gone, and with it the locks: another process may have them. */
static void lose(struct outbox_reader *reader)
{
    outbox_disconnect(reader->outbox);
    atomic_store(&reader->up, false);
    pthread_mutex_lock(&reader->mutex);
    for (size_t i = 0; i < reader->name_count; i++) {
        struct outbox_name *name = &reader->names[i];
        name->held = name->started = false;
        name->hold_at_us = 0;
        outbox_name_drop(name);
    }
    pthread_cond_broadcast(&reader->settled);
    pthread_mutex_unlock(&reader->mutex);
    wake_lane(reader);
}

static bool stops(struct outbox_reader *reader)
{
    pthread_mutex_lock(&reader->mutex);
    bool stop = reader->stop;
    pthread_mutex_unlock(&reader->mutex);
    return stop;
}

static void say_away(struct outbox_reader *reader, const struct error *error)
{
    if (!stops(reader) && rare_due(&reader->losses))
        log_event(LOG_WARN, LOG_FIELDS(reader), "the outbox can't be read: %s; it is tried again",
                  error->text);
}

static void say_back(struct outbox_reader *reader)
{
    if (!atomic_exchange(&reader->up, true))
        reader->losses = (struct rare){0};
}

/* One look at all names. */
static void work(struct outbox_reader *reader)
{
    struct error error;
    int64_t count = 0;
    error_init(&error);
    enum ods_status status = outbox_connect(reader->outbox, &error);
    for (size_t i = 0; i < reader->name_count && status == ODS_OK; i++)
        status = serve(reader, &reader->names[i], &count, &error);
    if (status != ODS_OK) {
        bool was_up = atomic_load(&reader->up);
        lose(reader);
        say_away(reader, &error);
        reader->wait_ms = was_up ? AWAY_MS : 2 * reader->wait_ms;
        reader->wait_ms = reader->wait_ms < AWAY_MS        ? AWAY_MS
                          : reader->wait_ms > AWAY_MOST_MS ? AWAY_MOST_MS
                                                           : reader->wait_ms;
        return;
    }
    say_back(reader);
    if (count >= READ_ROWS)
        reader->wait_ms = 0;
    else if (count || reader->wait_ms < reader->settings->poll_ms)
        reader->wait_ms = reader->settings->poll_ms;
    else if (2 * reader->wait_ms < reader->settings->idle_ms)
        reader->wait_ms *= 2;
    else
        reader->wait_ms = reader->settings->idle_ms;
}

/* Until the next look is due, or the lane wants something. True: the thread goes on. */
static bool await(struct outbox_reader *reader)
{
    int64_t wait_ms = reader->wait_ms < LONGEST_MS ? reader->wait_ms : LONGEST_MS;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t ns = until.tv_nsec + (wait_ms % 1000) * 1000000;
    until.tv_sec += wait_ms / 1000 + ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&reader->mutex);
    while (!reader->stop && !(reader->news && atomic_load(&reader->up)) &&
           pthread_cond_timedwait(&reader->work, &reader->mutex, &until) == 0)
        ;
    reader->news = false;
    bool go_on = !reader->stop;
    pthread_mutex_unlock(&reader->mutex);
    return go_on;
}

static void *read_main(void *context)
{
    struct outbox_reader *reader = context;
    do
        work(reader);
    while (await(reader));
    lose(reader);
    return NULL;
}

/* --- its life --------------------------------------------------------------------------------- */

bool outbox_reader_init(struct outbox_reader *reader, const struct source_config *config,
                        const struct target_settings *target)
{
    const struct strings *topics = &config->pipeline->topics;
    size_t lanes = (size_t) config->pipeline->lanes;
    *reader = (struct outbox_reader){.settings = config->settings,
                                     .target = target,
                                     .pipeline = config->pipeline->name,
                                     .wake_fd = config->wake_fd};
    pthread_mutex_init(&reader->mutex, NULL);
    wait_init(&reader->work);
    wait_init(&reader->settled);
    reader->names = calloc(topics->count + 1, sizeof *reader->names);
    if (!reader->names)
        return false;
    /* Name i is lane i's; with more of them than lanes they are dealt out. */
    for (size_t i = config->lane; i < topics->count; i += lanes) {
        struct outbox_name *name = &reader->names[reader->name_count++];
        name->place.topic = name->view.name = topics->items[i];
        name->end = &name->first;
    }
    reader->outbox = outbox_new(target);
    return reader->outbox != NULL;
}

void outbox_reader_done(struct outbox_reader *reader)
{
    outbox_reader_stop(reader);
    for (size_t i = 0; i < reader->name_count; i++)
        outbox_name_drop(&reader->names[i]);
    free(reader->names);
    outbox_free(reader->outbox);
    pthread_cond_destroy(&reader->settled);
    pthread_cond_destroy(&reader->work);
    pthread_mutex_destroy(&reader->mutex);
}

bool outbox_reader_start(struct outbox_reader *reader)
{
    if (!reader->name_count)
        atomic_store(&reader->up, true);
    else
        reader->runs = pthread_create(&reader->thread, NULL, read_main, reader) == 0;
    return reader->runs || !reader->name_count;
}

void outbox_reader_stop(struct outbox_reader *reader)
{
    if (!reader->runs)
        return;
    pthread_mutex_lock(&reader->mutex);
    reader->stop = true;
    pthread_cond_broadcast(&reader->work);
    pthread_mutex_unlock(&reader->mutex);
    outbox_interrupt(reader->outbox);
    pthread_join(reader->thread, NULL);
    reader->runs = false;
}
