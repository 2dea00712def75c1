/* What the files of the guard of sources share: source_guard.c looks, source_show.c shows. */
#ifndef SOURCE_ROOM_H
#define SOURCE_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/rare.h"
#include "pipeline/connector_watch.h"
#include "verify/arrival.h"
#include "verify/cutoff.h"
#include "verify/source_log.h"

/* How far a log had come at a moment, to tell how fast it grows, and how fast its old end goes. */
struct log_mark {
    int64_t at_us; /* monotonic; 0: none */
    int64_t written, gone; /* bytes, counted on for ever */
};

/* One log of a source: a slot, or the binary log. */
struct guarded_log {
    struct source_log log;
    struct log_mark first, next; /* the rate counts from the first, which the next one replaces */
    double written_rate, gone_rate; /* bytes a second, -1: not known */
    int64_t left_ms; /* until the log has lost the connector's place, -1: not known or never */
    int64_t inactive_us; /* since when it is seen without a reader, source's clock; 0: it has one */
    enum { TOLD_NOTHING, TOLD_INACTIVE, TOLD_OF_END, TOLD_OF_LOSS } told; /* not over since */
};

/* A pipeline's source. */
struct guarded_source {
    const struct pipeline_settings *pipeline;
    const struct database_settings *database;
    int64_t next_us; /* monotonic */
    struct arrival arrival; /* of a binary log: the connector's newest records */
    struct source_place place; /* the connector's, in a binary log */
    const char *found_from; /* who told it: "records", "connect"; "" */
    struct rare away, unasked;
    /* Guarded by the mutex: */
    struct guarded_log *logs;
    size_t log_count;
    const char *place_from; /* who told the place that they were held against */
    bool reached; /* by the last look; else `failure` says why not */
    int64_t looked_us; /* wall clock, 0: never */
    char failure[ERROR_TEXT_BYTES];
};

struct source_guard {
    const struct settings *settings;
    struct verify_options options; /* for the arrivals: when to stop, and the settings */
    struct cutoff cutoff;
    struct guarded_source *sources;
    size_t count;
    struct connector_watch *connectors; /* NULL: there is no Connect to ask */
    pthread_t thread;
    atomic_bool stop, ended;
    pthread_mutex_t mutex;
    pthread_cond_t wakes;
};

/* "ok", "inactive", "lost", "unknown", for people and programs. */
const char *guarded_state(const struct guarded_log *log);

#endif
