/* What the files of an inspector share: inspector.c checks, inspector_show.c shows. */
#ifndef INSPECTOR_ROOM_H
#define INSPECTOR_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/rare.h"
#include "pipeline/inspector.h"
#include "quality/counts.h"
#include "quality/store.h"
#include "verify/cutoff.h"

struct inspector {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct quality_counts *counts; /* of its lanes */
    char self[128];                /* this process */
    pthread_t thread;
    bool runs_thread; /* else it only shows what lanes count */
    atomic_bool stop, ended;
    struct cutoff cutoff;

    /* The thread's. */
    struct quality_store *store;
    struct rare away, failing;
    int64_t started_us;          /* wall clock */
    int64_t newest_us;           /* of the results that are shown */
    int64_t newest_rows;         /* how many results that moment has: a run adds them one by one */
    bool unfinished;             /* the last run was broken off */
    int64_t told_us;             /* monotonic: when the lanes' counts were kept last */
    struct quality_run_id id;    /* of the current run */
    size_t results[3];           /* of it, by quality_state */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wakes;
    bool running;
    int64_t next_us; /* 0: not known */
    char failure[1024];
    json_t *last; /* the last result of each rule and table; NULL: none */
};

#endif
