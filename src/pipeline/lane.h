/* A lane: one member of the pipeline's consumer group, with one connection to the target.
 *
 *   consumer thread ── batches ──► writer thread        consumer.c, rebalance.c │ writer.c
 *         ▲────────── the same ──────────┘
 *
 * The consumer decodes into the batch being filled and hands it over as soon as the writer is idle.
 * The writer applies it, rows and offsets in one transaction, and gives it back. Lanes share
 * nothing but settings and the HTTP thread that reads their counters.
 */
#ifndef LANE_H
#define LANE_H

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/status.h>
#include "config/settings.h"
#include "pipeline/fuse.h"
#include "pipeline/metrics.h"
#include "pipeline/moves.h"
#include "pipeline/table_counts.h"
#include "quality/counts.h"

/* Settings that a reload may change while lanes run. */
struct lane_limits {
    atomic_int_fast64_t max_events, max_bytes, max_wait_ms;
    atomic_int_fast64_t retry_initial_ms, retry_max_ms, retry_max_elapsed_ms;
    atomic_int_fast64_t constraint_attempts;
};
void lane_limits_set(struct lane_limits *limits, const struct settings *settings);

struct lane;
struct format_helper;
struct watch;
struct tracer;

/* What the lanes of a pipeline have in common. */
struct lane_shared {
    const struct lane_limits *limits;
    struct format_helper *helper; /* of the format, NULL: there is none */
    atomic_uint helped;           /* how often it had news */
    struct tracer *tracer;        /* NULL: no spans are wanted */
    struct watch *watch;          /* for orders about single tables, NULL: the target keeps none */
    int finished_fd;              /* an eventfd, written to when a lane ends by itself */
    atomic_bool led;              /* a lane has had its answer from the group */
    struct fuse fuse;             /* of its dead letters */
    struct moves moves;           /* of its partitions */
    struct table_counts tables;   /* what was applied of each */
    struct quality_counts quality; /* what rules found of records on their way */
    atomic_uint_fast64_t told[64]; /* hashes of the decoders' notices that are logged; 0: free */
};

/* The settings and what is shared outlive the lane. Opens the plug-ins and starts the threads; does
 * not wait for anything. *exit_code says what kind of failure (enum cli_exit). */
enum ods_status lane_start(struct lane **lane, const struct settings *settings,
                           const struct pipeline_settings *pipeline, struct lane_shared *shared,
                           size_t index, int *exit_code, struct error *error);
void lane_look_again(struct lane *lane); /* the helper, or the watch, has news. Any thread */
/* The last order that the lane obeys; INT64_MAX once it has ended. Any thread. */
int64_t lane_obeys(const struct lane *lane);
/* Stop it: what it waits for will not come. Logs. Any thread. */
void lane_give_up(struct lane *lane, int exit_code, const struct error *error);
struct watch *lane_watch(const struct lane *lane); /* NULL: there is none */
void lane_stop(struct lane *lane);    /* finish what is filled, then end */
void lane_abandon(struct lane *lane); /* end now; what is not applied will be read again */
bool lane_ended(const struct lane *lane);
/* Wait for the threads and free everything. Answers the failure's exit code, 0 without one. */
int lane_join(struct lane *lane);

/* What the HTTP thread and the main loop may ask of a running lane. */
enum lane_state {
    LANE_JOINING,
    LANE_WITHOUT_TOPICS,
    LANE_IDLE,
    LANE_APPLYING,
    LANE_WAITING,
    LANE_STOPPED,
};
const char *lane_state_name(enum lane_state state);

struct lane_partition {
    const char *topic;
    int32_t number;
    const char *state;
    bool paused;                     /* by an order: what waits in it is no work of the lane's */
    bool starts;                     /* it is not yet delivered */
    int64_t applied, position, high; /* -1: unknown */
    int64_t lag;                     /* records, or what the source counts in; -1: unknown */
};

struct lane_status {
    const char *pipeline, *group, *target;
    size_t index;
    enum lane_state state;
    bool joined, without_topics, source_away, target_ready, letters_ready, stuck;
    int64_t source_away_us, outage_us, put_off_us; /* wall clock: since when; 0: it is not so */
    int64_t joining_us;    /* likewise: the group has not said which partitions are its own */
    const char *hindrance; /* why most likely; NULL: not known */
    int64_t state_us; /* for how long the writer is at what it does */
    int exit_code;    /* of its failure, 0: none */
    char last_error[ERROR_TEXT_BYTES];
};
void lane_status(struct lane *lane, struct lane_status *status);
/* What its source and its target show of themselves: the rows, NULL where there are none, and up to
 * NUMBER_ROWS_MAX values in their order. */
const struct number *lane_source_numbers(const struct lane *lane, double *values);
const struct number *lane_target_numbers(const struct lane *lane, double *values);
struct table_counts *lane_tables(const struct lane *lane); /* its pipeline's */
/* The partitions as of at most a second ago, in the lane's lock; see
 * lane_unlock_partitions(). */
const struct lane_partition *lane_lock_partitions(struct lane *lane, size_t *count);
int64_t lane_shown_us(const struct lane *lane); /* when they were so; with the lock */
/* Since when they go on after they were held, 0: they never were; any thread. */
int64_t lane_released_us(const struct lane *lane);
void lane_unlock_partitions(struct lane *lane);
json_t *lane_recent(struct lane *lane); /* what went wrong lately, a list; any thread */
const struct metrics *lane_metrics(const struct lane *lane);

#endif
