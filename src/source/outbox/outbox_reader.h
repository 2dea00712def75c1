/* The thread of a lane that reads its outboxes, since next() must not wait for the database.
 *
 * It has a session of its own, holds the lock of each name, reads ahead of the lane and deletes
 * what is settled. What is under the mutex is shared with the consumer thread; views are the
 * thread's.
 */
#ifndef OUTBOX_READER_H
#define OUTBOX_READER_H

#include <pthread.h>
#include <stdatomic.h>

#include <ods/source.h>
#include "core/rare.h"
#include "sink/postgres/outbox/outbox.h"
#include "source/outbox/outbox_record.h"
#include "source/outbox/outbox_settings.h"

/* One name of the outbox. */
struct outbox_name {
    struct place place;
    struct outbox_view view; /* the thread's, as is: */
    int64_t hold_at_us, count_at_us;
    /* Under the mutex. */
    bool held;              /* this process reads it */
    unsigned tenure;        /* grows each time that it is held anew */
    int64_t next_place, settled;
    int64_t waiting;        /* rows that were there when it was last looked */
    int64_t wanted;         /* below it all is to be deleted */
    bool started;
    unsigned epoch;         /* grows when what was read no longer counts */
    int64_t cursor;         /* place of the row that is read next */
    struct outbox_block *first, **end;
    size_t bytes;
    /* The consumer thread's. */
    bool announced;         /* the lane has it, */
    unsigned announced_tenure;
    bool gap;               /* which has asked for a place that is not there */
};

struct outbox_reader {
    const struct outbox_settings *settings;
    const struct target_settings *target;
    const char *pipeline;
    struct outbox *outbox;
    struct outbox_name *names;
    size_t name_count;
    int wake_fd;
    struct rare losses;
    int64_t wait_ms; /* until the next look, or try */
    pthread_t thread;
    bool runs;
    pthread_mutex_t mutex;
    pthread_cond_t work, settled; /* for the thread; for who waits in ack() */
    bool stop, news;              /* under the mutex */
    atomic_bool up;
};

bool outbox_reader_init(struct outbox_reader *reader, const struct source_config *config,
                        const struct target_settings *target);
void outbox_reader_done(struct outbox_reader *reader);
/* False: there is no thread to be had. */
bool outbox_reader_start(struct outbox_reader *reader);
/* Ends the thread and its session, and with that the locks. */
void outbox_reader_stop(struct outbox_reader *reader);

/* With the mutex held. */
void outbox_name_drop(struct outbox_name *name); /* what was read and not handed out */
void outbox_reader_nudge(struct outbox_reader *reader);

#endif
