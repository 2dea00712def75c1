/* What the files of actions share: actions.c has the threads and the audit, actions_do.c does what
 * is asked. */
#ifndef ACTIONS_ROOM_H
#define ACTIONS_ROOM_H

#include <pthread.h>
#include <stdatomic.h>

#include <ods/control.h>
#include <ods/sink.h>
#include "pipeline/actions.h"
#include "pipeline/child.h"

#define ACTIONS_AT_ONCE 4

struct actions;

enum job_state { JOB_FREE, JOB_RUNS, JOB_ENDED };

/* An action that is being done. Its thread's, except what the mutex of actions guards. */
struct job {
    struct actions *actions;
    enum job_state state; /* with the mutex */
    pthread_t thread;
    struct action_request *request;
    struct sink *sink; /* set and cleared with the mutex */
    struct child child;

    const struct pipeline_settings *pipeline;
    struct topic_tables known;
    struct strings topics;   /* that it is about; names are the body's, or of `known` */
    struct buffer tables;    /* what they carry, as a list in words */
    const char *called;      /* the table as the operator calls it, or the topic; "": none */
    struct buffer says;      /* what will be done, then what was */
    json_t *details;         /* what a command answered; NULL: nothing */
};

struct actions {
    const struct settings *settings;
    struct lane *const *lanes;
    size_t lane_count;
    struct verifier *const *verifiers;
    size_t verifier_count;
    atomic_uint_fast64_t counts[ACTION_KINDS][ACTION_RESULTS];

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t stops;
    bool stopped;
    struct job jobs[ACTIONS_AT_ONCE];
};

/* Pauses, and answers false when the daemon ends. */
bool job_waits(struct job *job, int64_t ms);
const char *job_text(const struct job *job, const char *member); /* of the body; "": it has none */
bool job_flag(const struct job *job, const char *member);

/* actions_do.c. Each fills the error unless ACTION_DONE. The first finds what is meant and writes
 * what will be done into `says`, the second does it and writes what was. */
enum action_result job_find(struct job *job, struct error *error);
enum action_result job_do(struct job *job, struct error *error);

#endif
