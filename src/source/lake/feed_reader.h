/* The thread of a lane that reads the changes of its tables, since next() must not wait for the
 * storage.
 *
 * What is under the mutex is shared with the consumer thread; the rest of a table is the thread's.
 */
#ifndef FEED_READER_H
#define FEED_READER_H

#include <pthread.h>
#include <stdatomic.h>

#include <ods/source.h>
#include "core/rare.h"
#include "sink/lake/reader.h"
#include "source/lake/feed_settings.h"

/* Cursors of who begins: as `start` says, or with a snapshot whatever it says. */
#define FEED_BEGIN INT64_C(-1)
#define FEED_ANEW  INT64_C(-2)

/* A position is a version and a row within it, its changes first and then, of a snapshot, the rows
 * that it has. */
#define FEED_VERSION  INT64_C(10000000000)
#define FEED_SNAPSHOT INT64_C(5000000000)

/* An event. A record's owner. */
struct feed_block {
    struct feed_block *next;
    struct record record;
    size_t bytes;
};

struct feed_table {
    struct place place;
    char *path;       /* of the table; of Iceberg behind the location, its name in the catalog */
    size_t location;  /* so much of it */
    char *schema;     /* names in the events */
    const char *name;
    const struct strings *key; /* by the configuration; empty: the table's own */
    struct lake_reader *reader;
    struct rare losses;
    int64_t look_us;   /* when it is looked at next */
    int64_t reading;   /* the next event of what is being read; below 0: nothing is */
    unsigned read_epoch;
    bool away;         /* the storage did not answer when it was asked last */
    bool keyless;      /* it was told that there is no key */
    /* Under the mutex. */
    bool started, missing, told_missing;
    unsigned epoch;  /* grows when what was read no longer counts */
    int64_t cursor;  /* the event that is read next; FEED_BEGIN and so on */
    int64_t newest;  /* version; -1: not known */
    int64_t end;     /* all below it has been read */
    struct feed_block *first, **last;
    size_t bytes;
    struct error gone; /* why, where a version is */
    bool gap;
    /* The consumer thread's. */
    int64_t told_end;
    bool fresh;  /* it has begun, and nothing was handed out yet */
    bool anew;   /* what was to come next is gone */
};

struct feed_reader {
    const struct source_config *config; /* the source's copy */
    const struct feed_settings *settings;
    struct feed_table *tables;
    size_t count;
    pthread_t thread;
    bool runs;
    pthread_mutex_t mutex;
    pthread_cond_t work;
    bool stop, news; /* under the mutex */
    struct error failed;
    bool has_failed; /* under the mutex: it does not get better by itself */
    atomic_bool up;
};

bool feed_reader_init(struct feed_reader *reader, const struct source_config *config);
void feed_reader_done(struct feed_reader *reader);
/* False: there is no thread to be had. */
bool feed_reader_start(struct feed_reader *reader);
void feed_reader_stop(struct feed_reader *reader);

/* With the mutex held. */
void feed_drop(struct feed_table *table); /* what was read and not handed out */
void feed_nudge(struct feed_reader *reader);

/* For `check --connect`: the table's newest version, and whether it has a key. */
enum ods_status feed_look(const struct feed_reader *reader, const struct feed_table *table,
                          struct lake_feed_about *about, struct error *error);

#endif
