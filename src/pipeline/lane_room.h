/* What the files of a lane share: lane.c, consumer.c, later.c, shown.c, rebalance.c, locate.c,
 * gaps.c, obey.c, writer.c. Nobody else includes it. */
#ifndef LANE_ROOM_H
#define LANE_ROOM_H

#include <pthread.h>

#include <ods/source.h>

#include "core/backoff.h"
#include "core/queue.h"
#include "core/rare.h"
#include "pipeline/arrivals.h"
#include "pipeline/assignment.h"
#include "pipeline/deadletter.h"
#include "pipeline/lane.h"
#include "pipeline/recent.h"
#include "pipeline/tracer.h"
#include "pipeline/watch.h"
#include "pipeline/worker.h"

#define PUT_OFF_US INT64_C(1000000) /* before a record is decoded again */
#define AWAIT_US   INT64_C(100000)  /* likewise one that needs what another partition brings, */
#define AWAIT_MOST INT64_C(1000000) /* at first, and at most */
/* Partitions that one question to the source is about. The lane waits for the answer, and with
 * thousands in one question there may be none in time, then or ever. */
#define DUE_AT_ONCE 256

/* What travels with a batch. The consumer's while it fills it, the writer's while it has it. */
struct slot {
    struct batch *batch;
    bool is_request;         /* no records: the offsets of `asked` are wanted */
    size_t bytes;            /* that it held when it was handed over */
    unsigned epoch;          /* the lane's when it was handed over */
    struct traces traces;    /* of its records; none without a tracer */
    enum ods_status outcome; /* OK, FENCED (drop, ask again), RETRY (abandoned), FATAL */
    atomic_bool abandoned;   /* set by the consumer: the writer must end its work on the batch
                                soon */
};

struct lane {
    /* Set before the threads start, read by all. */
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    const struct target_settings *target;
    struct lane_shared *shared;
    const struct lane_limits *limits;
    size_t index;
    char index_text[24];
    int wake_fd; /* wakes the consumer: the source, a batch that is back, stop */
    struct queue *queue;
    struct slot slots[QUEUE_MAX]; /* the last one is the request's */
    size_t slot_count;
    pthread_t consumer, writer;
    bool consumer_runs, writer_runs;

    /* The consumer thread's. */
    struct worker worker; /* its sink is the writer thread's */
    struct source *source;
    struct assignment assignment;
    struct batch *idle[QUEUE_MAX]; /* empty batches */
    size_t idle_count;
    struct batch *filling;
    int64_t batch_bytes; /* with which the source has a batch be full, if it may have as many */
    char cluster[CLUSTER_BYTES]; /* the source's, as last seen */
    unsigned untold;             /* how often in a row the source has not said it */
    unsigned epoch;   /* how many batches came back that were not applied */
    size_t in_flight; /* batches with the writer, the request not counted */
    bool request_out, greeted;
    bool held;          /* partitions are paused: no batch is free */
    atomic_int_fast64_t released_us; /* monotonic: when they last went on */
    int64_t starved_us; /* since when no batch is free, 0: one is */
    int64_t next_tick_us, next_ack_us;
    size_t next_end; /* the partition whose end is asked for first the next time */
    int64_t join_at_us; /* 0: has been done */
    struct rare putting_off;
    unsigned helped; /* the value of shared->helped when the put-off records were last tried */
    int64_t ordered; /* number of the last order that the partitions were looked at for */
    int64_t ordered_us;

    /* The request's: the consumer's unless request_out. */
    struct position *asked;
    size_t asked_count, asked_capacity;

    /* The writer thread's. */
    struct table_counting counting;
    struct deadletter *deadletter;
    const struct slot *applying; /* the last batch that was begun */
    int refusal_code; /* exit code of a fatal dead letter, 0: none, */
    char refused_trace[33]; /* and its trace, "": none */
    enum apply_phase phase; /* of the attempt, APPLY_PHASES: none runs */
    int64_t phase_us, commit_us; /* since when, and, by the wall clock, since when it commits;
                                    0: it does not */
    int64_t patience; /* attempts at a batch with rows that a key refuses; -1: as configured */
    unsigned lost;       /* how many batches were not applied: what `epoch` comes to be */
    unsigned given_back; /* what it came to be with the last one of which a record has to wait */
    struct arrivals arrivals;
    bool letters_failed; /* the last attempt: for the dead-letter topic, not the target */

    /* Shared. */
    atomic_bool stop, abandon, failed, ended, target_ready, letters_ready;
    atomic_int_fast64_t obeyed; /* number of the last order that is obeyed */
    atomic_bool awaiting; /* a record of a partition has to wait (`awaits_at`) */
    atomic_int writer_state; /* enum lane_state: IDLE, APPLYING, WAITING, STOPPED */
    atomic_int_fast64_t consumer_beat_us, writer_beat_us;
    atomic_int_fast64_t writer_since_us; /* in this state */
    atomic_int_fast64_t source_away_us, outage_us, put_off_us; /* wall clock; 0: it is not so */
    struct metrics metrics;

    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t pause;  /* ends the writer's back-off early */
    struct error failure;  /* the first one that stopped the lane */
    int exit_code;
    char last_error[ERROR_TEXT_BYTES];
    struct recent recent;
    struct lane_partition *shown;
    int64_t shown_us; /* when they were so */
    size_t shown_count, shown_capacity;
};

#define LANE_FIELDS(lane)                                                                          \
    ((const char *const[]){"pipeline", (lane)->pipeline->name, "lane", (lane)->index_text, NULL})

/* The same about a record of this trace; "": it has none. */
#define RECORD_FIELDS(lane, trace)                                                                 \
    ((const char *const[]){"pipeline", (lane)->pipeline->name, "lane", (lane)->index_text,         \
                           *(trace) ? "trace_id" : NULL, (trace), NULL})

/* Stops this lane, and with it the daemon. Logs the error; of several the first decides the exit
 * code. Any thread. */
void lane_fail(struct lane *lane, int exit_code, const struct error *error);
/* The same for a record of this trace; "": it has none. */
void lane_fail_for(struct lane *lane, int exit_code, const struct error *error, const char *trace);
void lane_note_error(struct lane *lane, const char *text);   /* for /status */
void lane_note_letters(struct lane *lane,
                       const char *text);                  /* records were set aside; for /status */
void lane_wake(void *lane);                                /* the consumer, from any thread */
void lane_wake_writer(struct lane *lane);
struct slot *lane_slot(struct lane *lane, const struct batch *batch);

void *consumer_main(void *lane);
/* Account for a batch that came back from the writer. */
void consumer_take_back(struct lane *lane, struct batch *batch);
void consumer_hand_over(struct lane *lane);
void consumer_push(struct lane *lane); /* the batch being filled, which has a claim, at once */
/* Drop the batch being filled; its partitions start again at the target's offset. */
void consumer_discard_filling(struct lane *lane);
/* The source has said that there is no more, and has brought nothing since though it may. */
bool consumer_is_at_end(const struct lane *lane, const struct partition *partition);
/* Behind the newest record that the source knows of; below 0: it does not say. */
int64_t consumer_known_end(struct lane *lane, const struct partition *partition);

void shown_renew(struct lane *lane); /* shown.c, consumer thread */

/* rebalance.c, consumer thread */
void rebalance_assigned(void *lane, const struct place *places, size_t count);
void rebalance_revoked(void *lane, const struct place *places, size_t count, bool lost);
void rebalance_acknowledged(void *lane, const struct place *places, size_t count);
void rebalance_pause(struct lane *lane, struct partition *partition);
void rebalance_restart(struct lane *lane, struct partition *partition); /* pause and ask again */
void rebalance_ask(struct lane *lane);    /* send the request for partitions that are ASKING */
void rebalance_answer(struct lane *lane); /* the request is back */
void rebalance_locate(struct lane *lane); /* start partitions whose offset is known */
void rebalance_hold(struct lane *lane, bool hold);
/* Up to `most` partitions in this state that are due; NULL: none, or memory is out. The caller
 * frees the list. */
struct place *rebalance_due(struct lane *lane, enum partition_state state, size_t most,
                            size_t *count);
bool rebalance_target_acks(const struct lane *lane); /* the lane itself acknowledges nothing */
/* Abandons every batch that the writer has. If it commits one nevertheless, that is harmless: the
 * next owner starts at the target's offset, or is fenced and asks again. */
void rebalance_abandon(struct lane *lane);
void rebalance_ack(struct lane *lane, int wait_ms); /* what is applied, to the source */
int64_t rebalance_due_ms(const struct lane *lane, int64_t limit_ms); /* until something is to do */

/* later.c, consumer thread */
/* Something that the decoder needs is missing: the record is read again when the format's helper
 * has news, or after a second. */
void later_put_off(struct lane *lane, struct partition *partition, const struct record *record,
                   const struct error *error);
/* News of the helper that came while a record was being put off are seen in the next turn. */
void later_take_up(struct lane *lane);
/* A batch was given back for a record that needs what another partition brings. */
void later_note(struct lane *lane, const struct batch *batch);
/* Must the record, the partition's `awaits_at`, wait for that still? When it comes again it does,
 * so that a batch without it goes before. */
bool later_awaits(struct lane *lane, struct partition *partition, const struct record *record);
/* Is there a partition of which a record has to wait? For lane->awaiting. */
void later_look(struct lane *lane);

/* locate.c, consumer thread */
/* Find where partitions in state LOCATING start. */
void locate_partitions(struct lane *lane);
/* What is kept with an acknowledgement: struct place has it. */
int64_t locate_first(const struct lane *lane, const struct partition *partition);

/* obey.c, consumer thread */
/* Hold the partitions that orders hold, let the others go on, and say so when that is so. */
void obey_orders(struct lane *lane);
bool obey_knows(const struct lane *lane); /* can it be told whether a partition may begin? */
/* True: the partition is PAUSED now. */
bool obey_holds(struct lane *lane, struct partition *partition);

/* gaps.c, consumer thread */
/* Finds partitions in state LOCATING whose topic was recreated since the offset was stored, and
 * applies the policy to them. */
void gaps_look(struct lane *lane);
/* The partition was started before its position, and Kafka does not reach from there to it: it is
 * started at the position itself, so that Kafka says what is to be said of that. */
void gaps_out_of_sight(struct lane *lane, struct partition *partition);
/* Tells the batch that is filled of which cluster its records are. False: the cluster has become
 * another one under the lane; the batch is dropped, and all partitions begin anew, since positions
 * in the one before mean nothing. So it is where the source does not say what its cluster is, but
 * not at once if `can_wait`: then the batch stays, to be asked about again. */
bool gaps_same_cluster(struct lane *lane, struct batch *batch, bool can_wait);
/* To be called when Kafka has no record at the partition's next offset. */
void gaps_out_of_range(struct lane *lane, struct partition *partition);

/* consumer.c: everything below `offset` counts as applied when the batch is that is being filled.
 * False: not now. */
bool consumer_pass(struct lane *lane, struct partition *partition, int64_t offset);

void *writer_main(void *lane);

#endif
