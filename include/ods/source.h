/* A source delivers records. One instance a lane, entered by its consumer thread only, unless said
 * otherwise.
 *
 *   open ─ join ─┬─ next, next, … turn ─ housekeep ─┬─ leave ─ close
 *                └─ start, pause, ack, questions ◄──┘
 *
 * A source says which partitions are the lane's and delivers what they hold, from where it is told
 * to. Where that is, what is paused and what is done about a gap is the pipeline's to decide; a
 * source waits for nothing in next(), and for an answer in questions a few seconds at most.
 *
 * Partitions come and go by callbacks, not by events of next(): a partition must be given up, its
 * batches finished or abandoned, before the source tells the others so, and Kafka's client tells
 * them when its own callback returns.
 *
 * Adding a source: a folder in src/source/ whose file ends in its constant source_ops, and a line in
 * src/source/registry.c.
 */
#ifndef ODS_SOURCE_H
#define ODS_SOURCE_H

#include <ods/batch.h>
#include <ods/setting.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings; /* ods/pipeline.h */

/* Start at the oldest record there is. */
#define POSITION_BEGINNING INT64_C(-2)

/* A place in a source: which record of a partition is next. */
struct place {
    const char *topic;
    int32_t partition;
    int64_t offset;
    bool failed; /* by an answer: this one could not be asked for, or be done */
};

/* What next() yields. */
enum source_event {
    SOURCE_NOTHING, /* nothing more for now; the wake_fd tells when there is */
    SOURCE_RECORD,
    SOURCE_END,    /* of a partition: everything below record->offset has been delivered */
    SOURCE_GAP,    /* the source has no record where the partition was started */
    SOURCE_FAILED, /* for good: error says why. Other trouble the source logs, rarely, and goes on */
};

/* Inside of join(), next(), leave(), ack() or housekeep(), in their thread. The places live for the
 * call. */
struct source_events {
    /* Partitions come. They deliver nothing until they are started. */
    void (*assigned)(void *context, const struct place *places, size_t count);
    /* Partitions go, at the latest when this returns. Lost: another may have them already. */
    void (*revoked)(void *context, const struct place *places, size_t count, bool lost);
    /* The source has taken these acknowledgements; a failed one it has not. */
    void (*acknowledged)(void *context, const struct place *places, size_t count);
    void *context;
};

struct source_config {
    const void *settings; /* the struct of source_ops.settings; where that is NULL the daemon's own
                             (config/settings.h). Outlives the source, as does the pipeline */
    const struct pipeline_settings *pipeline;
    size_t lane;
    int wake_fd; /* an eventfd: write 1 to it when next() has something again, or see poll_fd() */
    struct source_events events;
};

/* What a source is like, for readiness and status. */
struct source_state {
    bool joined;         /* it has its part of the work, which may be none */
    bool without_topics; /* it answers, and has nothing that the pipeline reads */
    bool away;
};

/* Embedded as the first member of each source's own struct. */
struct source {
    const struct source_ops *ops;
};

struct topic_reader;

struct source_ops {
    const char *type;
    const char *summary;
    const struct setting_group *settings; /* NULL: the daemon's own */
    /* An offset names the same record for ever, and records from before the one that a partition
     * goes on with can be had again. False: offsets number what is delivered, and what comes again
     * is what was not acknowledged. It is then the same under the same offset, and each record's
     * effect there exactly once where the target's guarantee is exact, only provided that: a clause
     * for people, NULL where nothing has to be. */
    bool has_offsets;
    const char *provided;
    /* The other end waits for acknowledgements: one as soon as a batch is committed. False: they are
     * for monitoring, and given every few seconds. */
    bool awaits_acks;

    /* ODS_FATAL: the configuration does not do. Does not wait for anybody. */
    enum ods_status (*open)(struct source **source, const struct source_config *config,
                            struct error *error);
    /* Once, at any time later: ask for partitions. */
    void (*join)(struct source *source);
    /* What is there, without waiting. A record's bytes and its topic's name live until its owner is
     * released, and so does the name that an event has: owner is NULL, or the caller's to release. */
    enum source_event (*next)(struct source *source, struct record *record, struct error *error);
    /* Deliver from each place's offset on (absolute or POSITION_BEGINNING); what is delivered below
     * it is passed over. Again after a pause, and where something is to be delivered once more. */
    enum ods_status (*start)(struct source *source, struct place *places, size_t count,
                             struct error *error);
    /* Deliver nothing of them until they are started again. */
    void (*pause)(struct source *source, const struct place *places, size_t count);
    /* Everything below these offsets is committed in the target: said again until it was
     * `acknowledged`. wait_ms 0: sent, not waited for. A failure is worth a debug line. */
    void (*ack)(struct source *source, const struct place *places, size_t count, int wait_ms);

    /* The last acknowledged offset of each place, below 0: none. NULL: the source keeps none, and a
     * partition that the target does not know starts at its beginning. */
    enum ods_status (*acked)(struct source *source, struct place *places, size_t count,
                             struct error *error);
    /* First and next-to-be-written offset. NULL where there is neither GAP nor acked(). */
    enum ods_status (*ends)(struct source *source, const char *topic, int32_t partition,
                            int64_t *low, int64_t *high, struct error *error);
    /* The first offset whose record is not older than the time in milliseconds that stands in each
     * offset, into that offset; below 0 when there is none. NULL: records have no times. */
    enum ods_status (*offsets_at)(struct source *source, struct place *places, size_t count,
                                  struct error *error);
    /* How many partitions the topic has. Any thread. NULL: one. */
    enum ods_status (*partitions)(struct source *source, const char *topic, int32_t *count,
                                  struct error *error);
    /* The next-to-be-written offset as far as it is known without asking, -1: it is not. NULL: it
     * never is. */
    int64_t (*known_end)(struct source *source, const char *topic, int32_t partition);

    /* In every turn of the lane, several times a second, before it sleeps or pauses: keeps what is
     * the source's own at work. Answers how many milliseconds the lane may sleep at most. */
    int64_t (*turn)(struct source *source);
    /* What the lane is to wait for besides, until it can be read from; -1: nothing now. NULL: the
     * source writes to the wake_fd. */
    int (*poll_fd)(const struct source *source);
    /* About once a second. NULL: nothing is to be done. */
    void (*housekeep)(struct source *source);
    /* Any thread. */
    void (*look)(const struct source *source, struct source_state *state);

    /* For the batches of its records, see struct batch. Any thread. headers NULL: it has none. */
    void (*release)(void *owner);
    size_t (*headers)(const struct record *record, struct header *headers, size_t max);

    /* Give up all partitions: `revoked` is called for them. */
    void (*leave)(struct source *source);
    void (*close)(struct source *source); /* NULL is fine; all records are released */

    /* For `check --connect`: is what the configuration names there? Changes nothing. */
    enum ods_status (*check)(const struct source_config *config,
                             void (*report)(void *context, const char *line), void *context,
                             struct error *error);
    /* For formats that have to know a topic whole. NULL: the source has none that could be read so. */
    enum ods_status (*open_reader)(struct topic_reader **reader, const struct source_config *config,
                                   struct error *error);
};

/* Reads a topic beside the lanes, in every process from its beginning. One thread; a call waits for
 * its answer, ten seconds at most. */
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
