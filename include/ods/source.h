/* A source delivers records. One instance a lane, entered by its consumer thread only, unless said
 * otherwise.
 *
 *   open ─ join ─┬─ next, next, … turn ─ housekeep ─┬─ leave ─ close
 *                └─ start, pause, ack, questions ◄──┘
 *
 * A source tells the lane which partitions it has and delivers their records from a given offset
 * on. The pipeline decides where to start, what to pause and what to do about a gap. next() never
 * waits; the calls that ask the source something wait a few seconds at most.
 *
 * Partitions are assigned and revoked by callbacks, not by events of next(): the batches of a
 * partition must be finished or abandoned before the other members hear that it is free, and
 * Kafka's client tells them as soon as its own callback returns.
 *
 * Adding a source: "A new source" in ARCHITECTURE.md has the steps.
 */
#ifndef ODS_SOURCE_H
#define ODS_SOURCE_H

#include <ods/batch.h>
#include <ods/number.h>
#include <ods/buffer.h>
#include <ods/setting.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings; /* ods/pipeline.h */
struct settings;          /* config/settings.h */

/* Start at the oldest record there is. */
#define POSITION_BEGINNING INT64_C(-2)

/* A position in a source: the record of a partition that is next. */
struct place {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t first; /* of an acknowledgement alone: the record with which the target began */
    bool failed;   /* set by the call: it failed for this place */
};

/* In place of the record with which the target began: */
#define FIRST_UNTOLD  INT64_C(-1) /* nobody says so: another program has acknowledged, or a target
                                     that stores no offsets was written to */
#define FIRST_UNKNOWN INT64_C(-2) /* the target stores offsets, and it is not known which it was */

/* What a source's offsets are. */
enum source_kind {
    /* An offset names the same record for ever, and records from before the one that a partition
     * goes on with can be had again. The target stores the offset, and lanes start from it. */
    SOURCE_OFFSETS,
    /* Offsets number what is delivered from the one on that the target has stored, and what was not
     * acknowledged comes again under the same number. */
    SOURCE_NUMBERED,
    /* A queue: offsets count deliveries as they come, from any number on, and mean nothing once the
     * source is closed. What is not settled is delivered again, maybe elsewhere, under another
     * number and with the same identity, by which the target knows what it has. */
    SOURCE_DELIVERIES,
};

/* What next() yields. */
enum source_event {
    SOURCE_NOTHING, /* nothing more for now; the wake_fd becomes readable when there is */
    SOURCE_RECORD,
    SOURCE_END,    /* of a partition: everything below record->offset has been delivered */
    SOURCE_GAP,    /* the source has no record where the partition was started */
    /* The source is unusable, and error says why. With FAULT_ROW in it, a line is no record;
     * record->offset is its number, and whoever reads for no pipeline may ask for the next one.
     * Other problems the source logs, not too often, and goes on. */
    SOURCE_FAILED,
};

/* Called from join(), next(), leave(), ack() or housekeep(), in their thread. The places are valid
 * during the call. */
struct source_events {
    /* These partitions are now the lane's. They deliver nothing until they are started. */
    void (*assigned)(void *context, const struct place *places, size_t count);
    /* These partitions are no longer the lane's once this returns. lost: another member may have
     * them already. */
    void (*revoked)(void *context, const struct place *places, size_t count, bool lost);
    /* The source has stored these acknowledgements, except those with `failed`. */
    void (*acknowledged)(void *context, const struct place *places, size_t count);
    void *context;
};

struct source_config {
    const void *settings; /* the struct of source_ops.settings; where that is NULL the daemon's own
                             (config/settings.h). Outlives the source, as does the pipeline */
    const struct settings
        *daemon; /* the daemon's own. NULL only for the type "file", in commands */
    /* NULL only for the type "file", in commands: all that stands in it, as it stands. */
    const struct pipeline_settings *pipeline;
    size_t lane;
    int wake_fd; /* an eventfd: write 1 to it when next() has something again; or use poll_fd() */
    struct source_events events;
};

/* The state of a source, for readiness and status. */
struct source_state {
    bool joined;         /* it is a member of its group and knows its partitions, which may be
                            none */
    bool without_topics; /* it answers, but has none of the pipeline's topics */
    bool away;
    bool ended; /* there will be nothing more */
    int64_t joining_us; /* wall clock: since when its group has not said which partitions it has; 0:
                           it has */
    const char *hindrance; /* why most likely, and what to do; NULL: not known */
};

/* Embedded as the first member of each source's own struct. */
struct source {
    const struct source_ops *ops;
};

struct topic_reader;

/* What is not said to be NULL at times must be there; tests/unit/test_plugins.c looks. */
struct source_ops {
    const char *type; /* as in tables.yaml: input: { type: <type> } */
    const char *summary;
    const struct setting_group *settings; /* beside `type`; NULL: the daemon's own */
    enum source_kind kind;
    /* Under which condition a target with an exact guarantee applies each record once: a clause for
     * people that `check` prints behind "provided that". NULL: there is none, so the source itself
     * delivers all that is not acknowledged again, also after a crash. */
    const char *provided;
    /* Do several consumers share out the deliveries of one partition, in no order? Then the target
     * keeps the source's position of each key's last change, and passes over what is older.
     * `settings` and `pipeline` are set. NULL: they never do. */
    bool (*merges)(const struct source_config *config);
    /* The sender waits for acknowledgements, so one is sent as soon as a batch is committed. False:
     * they are for monitoring, and sent every few seconds. */
    bool awaits_acks;
    /* Its partitions are read by themselves: a record may come long before what was written before
     * it to another partition of the topic. Then ends(), offsets_at() and partitions() are there,
     * for any thread. */
    bool parted;

    /* What the rows of its settings can't say of a pipeline: ODS_OK, or an error that is shown with
     * file and line as the configuration is loaded. `settings`, `daemon` and `pipeline` are set;
     * pipelines before this one are checked already. NULL: nothing. */
    enum ods_status (*suits)(const struct source_config *config, struct error *error);
    /* Of settings that suit: is there something that is hardly meant? `why` then says what, and
     * what to do, and is shown as a warning with file and line. NULL: there never is. */
    bool (*doubts)(const struct source_config *config, struct error *why);
    /* ODS_FATAL: it can't work with this configuration. Does not wait for the source's server. Sets
     * source->ops; after a failure *source is NULL. One instance a lane: where a stream can't be
     * shared, lane 0 has its partitions and the others have none. */
    enum ods_status (*open)(struct source **source, const struct source_config *config,
                            struct error *error);
    /* Called once, at any time after open(): asks for partitions. One that knows them calls
     * `assigned` at once. */
    void (*join)(struct source *source);
    /* The next record or event, without waiting. The record is zeroed. Offsets of a partition grow;
     * they may have gaps. A record that memory is out for is SOURCE_NOTHING, and comes later. A
     * record's bytes and its topic's name live until its owner is released, and so does the name in
     * an event. The caller releases the owner, unless it is NULL. */
    enum source_event (*next)(struct source *source, struct record *record, struct error *error);
    /* Deliver from each place's offset on (absolute or POSITION_BEGINNING), the first time where
     * the target or acked() says. Later it may be below what was delivered, since a batch was
     * dropped, but not below what was acknowledged: a source that can't read anew keeps its records
     * until ack(). If the source still delivers older records, the caller skips them. Called again
     * after a pause, and to have records delivered once more. Of deliveries: those that were handed
     * out from the offset on come again, with POSITION_BEGINNING all that are not settled, under
     * their numbers or under higher ones than any before. */
    enum ods_status (*start)(struct source *source, struct place *places, size_t count,
                             struct error *error);
    /* Deliver nothing of these partitions until they are started again. */
    void (*pause)(struct source *source, const struct place *places, size_t count);
    /* Everything below these offsets is committed in the target; of deliveries: is to be settled.
     * A source that has acked() keeps `first` with them, unless it is FIRST_UNTOLD.
     * Called again until `acknowledged` was called for it. wait_ms 0: send, and do not wait for the
     * answer. Failures are logged at debug level. Deliveries that the source can't settle any more,
     * since their connection is gone, count as acknowledged: they come again. */
    void (*ack)(struct source *source, const struct place *places, size_t count, int wait_ms);
    /* Of deliveries, once for each, and before the ack() that covers it: this one has become a dead
     * letter, which is acknowledged, so it is to be settled as rejected. NULL: that makes no
     * difference. */
    void (*reject)(struct source *source, const struct place *place);

    /* Sets each place to the last acknowledged offset, below 0 if there is none, and `first` to
     * what was kept with it, or FIRST_UNTOLD. NULL: the source stores none, and a partition without
     * an offset in the target starts at its beginning. */
    enum ods_status (*acked)(struct source *source, struct place *places, size_t count,
                             struct error *error);
    /* The first offset of a partition and the one that will be written next. NULL if the source has
     * neither gaps nor acked(). */
    enum ods_status (*ends)(struct source *source, const char *topic, int32_t partition,
                            int64_t *low, int64_t *high, struct error *error);
    /* Each place's offset holds a time in milliseconds; it is replaced by the offset of the first
     * record that is not older, below 0 if there is none. NULL: records have no times. */
    enum ods_status (*offsets_at)(struct source *source, struct place *places, size_t count,
                                  struct error *error);
    /* By what name the servers whose offsets these are call themselves, made anew they have another
     * one; "": it is not known, or not now. Waits for an answer where a connection has broken since
     * the last call. NULL: they have none. */
    void (*cluster)(struct source *source, char name[CLUSTER_BYTES]);
    /* How many partitions the topic has. Any thread. NULL: one. */
    enum ods_status (*partitions)(struct source *source, const char *topic, int32_t *count,
                                  struct error *error);
    /* The offset that will be written next, if it is known without asking the server; -1: it is
     * not. NULL: it never is. */
    int64_t (*known_end)(struct source *source, const char *topic, int32_t partition);
    /* How far behind one is who has applied all below `from` where `upto` is written next. NULL: so
     * many records as offsets lie between. */
    int64_t (*distance)(int64_t from, int64_t upto);
    /* Of a SOURCE_GAP: sets what is gone and what to do about it. NULL: the offsets say it. */
    void (*explain)(struct source *source, const char *topic, struct error *error);

    /* Called in every turn of the lane, several times a second, before it sleeps or pauses: for the
     * source's own periodic work. Returns how many milliseconds the lane may sleep at most. NULL:
     * it has none. */
    int64_t (*turn)(struct source *source);
    /* A descriptor that becomes readable when next() may have something; -1: nothing to wait for
     * now, as while its partitions are paused: a descriptor that stays readable costs a processor.
     * NULL: the source writes to the wake_fd. */
    int (*poll_fd)(const struct source *source);
    /* Called about once a second. NULL: nothing to do. */
    void (*housekeep)(struct source *source);
    /* There may be topics that were not there when it last looked. NULL: it sees them anyway. */
    void (*refresh)(struct source *source);
    /* Sets the whole state. Any thread, so what it reads is atomic. */
    void (*look)(const struct source *source, struct source_state *state);

    /* What it shows of itself in /metrics, and the values, in the order of the rows, as they were
     * when it last looked; any thread. NULL: nothing. */
    const struct number *numbers;
    void (*tell)(const struct source *source, double *values);

    /* For the batches of its records, see struct batch. Any thread. headers NULL: it has none. */
    void (*release)(void *owner);
    size_t (*headers)(const struct record *record, struct header *headers, size_t max);

    /* Gives all partitions up; calls `revoked` for them. */
    void (*leave)(struct source *source);
    void (*close)(struct source *source); /* NULL is fine; all records are released */

    /* How much a lane keeps at most of what has come and is in no batch yet, for `check`. NULL: as
     * much as Kafka's client. */
    int64_t (*ahead_bytes)(const struct source_config *config);
    /* A batch is full when it has so many bytes, where batch.max_bytes is not less. NULL: by that
     * alone. */
    int64_t (*batch_bytes)(const struct source_config *config);
    /* For `check --connect`, without an instance: is what the configuration names there? Changes
     * nothing. NULL: there is nothing to look at. */
    enum ods_status (*check)(const struct source_config *config,
                             void (*report)(void *context, const char *line), void *context,
                             struct error *error);
    /* Appends who this member of its group is now, in a form of the source's own that a target at
     * the same servers takes with offsets which it commits in its transactions. A member that has
     * lost a partition has been another one since. Any thread. ODS_RETRY: it is none at the
     * moment. NULL: nobody else can commit its offsets. */
    enum ods_status (*membership)(struct source *source, struct buffer *out, struct error *error);

    /* For formats that have to read a whole topic. NULL: the source can't do this. */
    enum ods_status (*open_reader)(struct topic_reader **reader, const struct source_config *config,
                                   struct error *error);
};

/* Reads a topic from its beginning, apart from the lanes; each process does so for itself. Used by
 * one thread; a call waits ten seconds at most for its answer. */
struct topic_reader {
    const struct topic_reader_ops *ops;
};

struct topic_reader_ops {
    /* How many partitions a topic has; 0 when it is not there. */
    enum ods_status (*partitions)(struct topic_reader *reader, const char *topic, int32_t *count,
                                  struct error *error);
    enum ods_status (*ends)(struct topic_reader *reader, const char *topic, int32_t partition,
                            int64_t *low, int64_t *high, struct error *error);
    /* From now on next() delivers partitions 0 to count - 1, each from next[] on, also what is
     * written later. */
    enum ods_status (*follow)(struct topic_reader *reader, const char *topic, const int64_t *next,
                              int32_t count, struct error *error);
    /* SOURCE_RECORD, SOURCE_END or SOURCE_NOTHING, after wait_ms at most. The owner is the caller's
     * to release, with release(). */
    enum source_event (*next)(struct topic_reader *reader, int wait_ms, struct record *record);
    void (*release)(void *owner);
    void (*close)(struct topic_reader *reader); /* NULL is fine */
};

const struct source_ops *source_find(const char *type); /* NULL: no such type */
const struct source_ops *const *source_list(void);      /* NULL-terminated */
setting_plugins source_groups;                          /* of every type, in that order */

#ifdef __cplusplus
}
#endif

#endif
