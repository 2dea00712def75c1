/* What the files of a verifier share: verifier.c compares, verifier_show.c shows. */
#ifndef VERIFIER_ROOM_H
#define VERIFIER_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/rare.h"
#include "pipeline/run_report.h"
#include "verify/cutoff.h"
#include "verify/turn.h"

struct verifier {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct lane *const *lanes; /* the pipeline's, in this process */
    size_t lane_count;
    char self[128]; /* this process */
    pthread_t thread;
    atomic_bool stop, ended;
    atomic_bool hurry; /* somebody wants a comparison now */
    struct cutoff cutoff;

    /* The thread's. */
    struct turn *turn;
    struct rare away, failing;
    bool hurries; /* the next run is due at once: until it has run, or another process runs one */
    int64_t began_waiting_us; /* for the first records to be applied */
    struct run_report report; /* of the current run */

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t wakes;
    bool runs;          /* here */
    char table[600];    /* then */
    int64_t source_rows, target_rows;
    int64_t began_us, failed_us, next_us; /* 0: not */
    char *worker, *failure;
    json_t *last; /* report; NULL: none */
    char *last_text;
};

const char *verifier_mode(const struct verifier *verifier); /* "full", "sample", "counts" */

#endif
