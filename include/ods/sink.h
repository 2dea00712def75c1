/* A sink applies batches to a target. One instance a lane, entered by its writer thread only.
 *
 *   open ─ connect ─ resume ─┬─ clear_interrupt ─ apply, apply, … ─┬─ close
 *                            └─ resume, connect again ◄────────────┘
 *
 * `check` opens one, calls check() and closes it, without connect(). Commands (`replay`, `reset`,
 * `dlq replay`) open one of their own and call it from one thread.
 *
 * Adding a target: "A new target" in ARCHITECTURE.md has the steps.
 */
#ifndef ODS_SINK_H
#define ODS_SINK_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/number.h>
#include <ods/setting.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings; /* ods/pipeline.h */
struct settings;          /* config/settings.h */
struct control_ops;       /* ods/control.h */
struct table_settings;

/* What a target guarantees, as long as only ods-sink writes to it. */
enum guarantee {
    EXACT_BY_STORED_OFFSET,      /* rows and offsets are stored together; lanes start from them */
    EXACT_BY_SOURCE_TRANSACTION, /* offsets are committed to the source in the transaction that
                                    sends the records */
    AT_LEAST_ONCE,               /* offsets are committed to the source afterwards */
};

/* How large a batch should be before the target gets it: it is handed over when one of these is
 * reached, or when it is full. All zero: as soon as the writer is idle. */
struct sink_wants {
    int64_t min_events, min_bytes;
    int64_t max_wait_ms; /* since the batch's first record; 0 where none of them is set */
    bool fills; /* a batch is full when it has min_bytes, where that is more than batch.max_bytes,
                   and however many records those are; held_bytes() counts it */
    size_t batches; /* of a lane at most, 0: as many as batch.per_lane says. With one the lane takes
                       no record while that is written */
};

/* Embedded as the first member of each sink's own struct. */
struct sink {
    const struct sink_ops *ops;
    struct sink_wants wants; /* set when it is opened, as is what follows */
    bool wants_before;       /* images before of updates too, where the record has them */
};

struct sink_config {
    const char *name;                         /* the target's, for messages */
    const void *settings;                     /* the struct of sink_ops.settings; outlives it */
    const struct pipeline_settings *pipeline; /* outlives the sink */
    const char *group;                        /* consumer group, the key of stored offsets */
    const struct settings *daemon; /* the daemon's own: for a target at the source's servers */
    /* Called at least once a second while a call waits for the target, which may work on one
     * statement for hours: it shows that the lane is alive. NULL: nobody wants to know. */
    void (*alive)(void *context);
    void *alive_context;
};

/* What the target stores for one topic-partition. */
struct position {
    const char *topic;
    int32_t partition;
    int64_t offset;    /* next record to apply, or OFFSET_NONE */
    int64_t stored_us; /* when it was stored, by the target's clock; 0 when that is not known */
    char cluster[CLUSTER_BYTES]; /* of which servers the offset is; "": not known */
};

/* Counts of one apply. Each line is a member, its name in JSON, its metric and the metric's help
 * text. MADE marks what is made outside of the rows' transaction: it counts even if that
 * transaction is rolled back. NULL for a metric: the one of the line before, with another label. */
#define APPLY_COUNTS(COUNT)                                                                        \
    COUNT(upserted, "upserted", ROWS, "rows_total", ",action=\"upsert\"",                          \
          "Rows that the target was sent")                                                         \
    COUNT(deleted, "deleted", ROWS, NULL, ",action=\"delete\"", NULL)                              \
    COUNT(truncated, "truncated", ROWS, NULL, ",action=\"truncate\"", NULL)                        \
    COUNT(folded, "folded", ROWS, "changes_folded_total", "",                                      \
          "Changes that were not written because a later one in the same batch has the same "      \
          "key")                                                                                   \
    COUNT(missing, "missing", ROWS, "deletes_missing_total", "",                                   \
          "Deletes, and updates without a key, of rows that the target did not have")              \
    COUNT(outdated, "outdated", ROWS, "changes_outdated_total", "",                                \
          "Changes that were dropped because a newer change of their key had come from another "   \
          "partition")                                                                             \
    COUNT(redelivered, "redelivered", ROWS, "changes_redelivered_total", "",                       \
          "Changes of records that were delivered again, which the target had already")            \
    COUNT(skipped, "left_out", ROWS, "changes_skipped_total", "",                                  \
          "Changes that the configuration leaves out")                                             \
    COUNT(columns_added, "columns_added", MADE, "columns_added_total", "",                         \
          "Columns added to tables of the target")                                                 \
    COUNT(tables_created, "tables_created", MADE, "tables_created_total", "",                      \
          "Tables created in the target")                                                          \
    COUNT(columns_changed, "columns_changed", MADE, "columns_changed_total", "",                   \
          "Columns of the target that were widened, made nullable, or renamed to make place for a "\
          "new one")                                                                               \
    COUNT(values_lost, "values_lost", ROWS, "values_lost_total", "",                               \
          "Values that are NULL in the target because a key change did not carry them and the old "\
          "row was not there")                                                                     \
    COUNT(values_rounded, "values_rounded", ROWS, "values_rounded_total", "",                      \
          "Values that had more digits than their column and were rounded")                        \
    COUNT(zero_dates, "zero_dates", ROWS, "zero_dates_total", "",                                  \
          "Zero dates of MySQL that are NULL in the target")                                       \
    COUNT(nul_stripped, "nul_stripped", ROWS, "nul_stripped_total", "",                            \
          "Values that lost a U+0000, with nul: strip")

#define APPLY_MEMBER(member, ...) uint64_t member;
struct apply_result {
    APPLY_COUNTS(APPLY_MEMBER)
    /* Not counts of this apply: how many statements are prepared in the session now, and how many
     * connections the sink has made. 0: nobody counts. */
    uint64_t statements, connections;
};
#undef APPLY_MEMBER

#define APPLY_NUMBER(member, ...) APPLY_##member,
enum { APPLY_COUNTS(APPLY_NUMBER) APPLY_COUNT_KINDS };
#undef APPLY_NUMBER

/* The same as a table, by number. */
struct apply_count {
    const char *name, *metric, *labels, *help;
    size_t offset; /* in struct apply_result */
    enum apply_count_of { APPLY_OF_ROWS, APPLY_OF_MADE } of;
};
extern const struct apply_count apply_counts[APPLY_COUNT_KINDS];

static inline uint64_t *apply_count(struct apply_result *result, size_t number)
{
    return (uint64_t *) ((char *) result + apply_counts[number].offset);
}
/* Each count by so much more. */
void apply_result_add(struct apply_result *result, const struct apply_result *more);

/* What an apply is at. */
enum apply_phase {
    APPLY_PREPARE, /* nothing is written yet: rows are looked up, folded, planned */
    APPLY_WRITE,   /* rows are encoded and sent */
    APPLY_LETTERS, /* before_commit(), which tells so itself */
    APPLY_COMMIT,  /* all is sent: the target does the rest of its work and commits */
    APPLY_PHASES
};

/* Each member but the context may be NULL, and so may the hooks as a whole (`reset` has none): then
 * nobody takes the rejects, and the transaction is committed as it is. */
struct apply_hooks {
    /* Called with something that the operator should know and that is no error (a table was made, a
     * column is left out). NULL: nobody reads it. */
    void (*notice)(void *context, const char *text);
    /* The sink calls it after the rows are written and before the commit, when
     * batch_letters_wait(): also for rejects of decoding, and where there is no row. It answers
     * ODS_OK once all are acknowledged; any other answer rolls the transaction back, and is what
     * apply() answers. */
    enum ods_status (*before_commit)(void *context, struct batch *batch, struct error *error);
    /* How many partitions a topic has: if it has several, others may be applied elsewhere at the
     * same time. NULL: the caller applies all of them, in order. */
    enum ods_status (*partitions)(void *context, const char *topic, int32_t *count,
                                  struct error *error);
    /* Of a source whose offsets can be committed in a transaction of the target's: appends who
     * the lane is in its group (source_ops.membership), which holds as long as the batch is the
     * lane's. Asked anew for each attempt. ODS_RETRY: it is no member now, or has lost the batch.
     * NULL: the records are not those of a lane, and no offset is to be committed. */
    enum ods_status (*membership)(void *context, struct buffer *out, struct error *error);
    /* The sink tells what it is at, as often as that changes; an apply begins with APPLY_WRITE. For
     * metrics and traces. */
    void (*phase)(void *context, enum apply_phase phase);
    void *context;
};

static inline void apply_hooks_phase(const struct apply_hooks *hooks, enum apply_phase phase)
{
    if (hooks && hooks->phase)
        hooks->phase(hooks->context, phase);
}

/* A table that is to be taken out. */
struct forgotten {
    const char *schema, *table;
    /* What it is now: */
    bool there;
    bool made_here; /* the sink made it, so it goes; else it is emptied */
    bool keeps_versions; /* it is emptied, whoever made it, and older versions stay for a while */
    bool untouched; /* somebody else made it, and no pipeline has written it: it stays */
    char writers[256]; /* other groups that write it, so that it stays; or "" */
    int64_t bytes;
};

/* A row that is to be erased: from its table, its history (the row's changes, where the target
 * keeps them) and from a table that is made anew in its place. */
struct erasing {
    const char *schema, *table;
    const char *history_schema, *history_table; /* NULL: it has none */
    const char *const *columns, *const *values; /* the row's key, as texts */
    size_t key_count;
    const struct position *reached; /* offsets up to which records must be applied before */
    size_t reached_count;
    int64_t letters; /* dead letters that are erased with it: only for the record */
    const char *by;  /* who asked for it */
    /* What was erased, or with `look` is there; -1: there is no such table. */
    int64_t behind; /* records that are not applied yet: above 0 nothing was erased */
    int64_t rows, history_rows, shadow_rows;
    char kept[400]; /* where the target itself has it still, and until when; "": nowhere */
};

/* What is not said to be NULL at times must be there; tests/unit/test_plugins.c looks. */
struct sink_ops {
    const char *type; /* as in ods-sink.conf: type = "<type>" */
    const char *summary;
    const char *codes; /* what the codes of its errors are called, "SQLSTATE"; NULL: it has none */
    enum guarantee guarantee; /* at its best */
    /* What it makes sure of with this configuration, which is as in open(). NULL: always its
     * best. */
    enum guarantee (*guarantees)(const struct sink_config *config);
    bool merges; /* it can put changes of several consumers in order, by the source's position */
    bool keeps_history; /* rows of shapes with history_of are the target's to keep */
    /* Set by a target that stores the identities of deliveries with their rows and drops the
     * records that it has, and so is exact for queues too: under which condition, a clause for
     * people. NULL: it is at least once for queues. */
    const char *identities;
    const struct setting_group *settings; /* of this type's targets; without rows: it has none */
    /* What the rows of its settings can't say of a pipeline that writes to it: ODS_OK, or an error
     * that is shown with file and line as the configuration is loaded. Of `config` the group is not
     * known yet. NULL: nothing. */
    enum ods_status (*suits)(const struct sink_config *config, struct error *error);
    /* How much a lane's instance keeps at most beside its batch, for `check`. NULL: nothing to
     * speak of. */
    int64_t (*held_bytes)(const struct sink_config *config);
    /* Allocate, set sink->ops and sink->wants, and check the configuration; does not connect. After
     * a failure *sink is NULL. */
    enum ods_status (*open)(struct sink **sink, const struct sink_config *config,
                            struct error *error);
    /* Connect if needed, and create what the sink owns in the target if it is missing. ODS_RETRY:
     * it is called again after a pause. Only called before resume(): after an outage apply()
     * connects by itself. */
    enum ods_status (*connect)(struct sink *sink, struct error *error);
    /* Set offset, stored_us and, where it is kept, cluster of each position to what is stored;
     * OFFSET_NONE, 0 and "" where nothing is. One that is not EXACT_BY_STORED_OFFSET says so of
     * all: the lane then starts from what the source has acknowledged, else from its beginning. */
    enum ods_status (*resume)(struct sink *sink, struct position *positions, size_t count,
                              struct error *error);
    /* As resume(), but creates nothing in the target. NULL: resume() creates nothing either. */
    enum ods_status (*peek)(struct sink *sink, struct position *positions, size_t count,
                            struct error *error);
    /* Writes rows and offsets in one transaction, so both or neither. Reconnects by itself after an
     * outage. *result is zeroed by the caller before the first call for a batch and grows by what
     * is committed, whatever the answer.
     *
     * Changes that are `rejected` are passed over. A change that can't be applied is set aside with
     * its record (batch_set_aside(), stage "apply"); the others are applied. What tables.yaml says
     * of a table (pipeline_table(): skip, columns, on_delete and so on) is the sink's to follow.
     * With guard_time a sink that can't compare sets every record aside. A batch may have claims
     * and no change, or no record (`reset`, the end of a partition): its offsets are stored all the
     * same.
     *
     * ODS_RETRY: call again with the same batch and result, after a pause; if batch->patience is
     * smaller afterwards, a row waits for another one, and the batch's claims begin after what was
     * committed. ODS_FENCED: the stored offset is not the batch's `from`; nothing was written.
     *
     * A target that is EXACT_BY_SOURCE_TRANSACTION commits the claims to the source, in the
     * transaction of what it sends and as the member that hooks->membership tells of; the lane
     * acknowledges nothing beside that. It answers ODS_FENCED where the lane has to ask the source
     * what is committed: another writer, or a commit whose outcome is not known.
     *
     * A target that is AT_LEAST_ONCE stores no claim and never answers ODS_FENCED; what it has
     * answered ODS_OK for is acknowledged to the source. A batch of deliveries has no claims: a
     * target with `identities` drops the records that it has, see batch_drop(), and stores the
     * identities of the others in the rows' transaction. */
    enum ods_status (*apply)(struct sink *sink, struct batch *batch,
                             const struct apply_hooks *hooks, struct apply_result *result,
                             struct error *error);
    /* What the target calls a source's table, from the names of its shape: schema and table, on the
     * heap. ODS_REJECT, ODS_FATAL: it can't have such a name. NULL: the target has no tables. */
    enum ods_status (*name_table)(const struct table_settings *settings, const struct shape *shape,
                                  char **schema, char **table, struct error *error);
    /* The same of the table's history. NULL where keeps_history is not set. */
    enum ods_status (*name_history)(const struct table_settings *settings,
                                    const struct shape *shape, char **schema, char **table,
                                    struct error *error);
    /* Delete the group's stored offsets and these tables in one transaction, or the offsets first;
     * *offsets is how many offsets there are. With `look` nothing is changed, and the tables are
     * described. NULL: the target can't do it. */
    enum ods_status (*forget)(struct sink *sink, struct forgotten *tables, size_t count, bool look,
                              int64_t *offsets, struct error *error);
    /* Erase a row in one transaction, during which no batch of the group is applied, and keep that
     * it was done, without its key. With `look` nothing is changed. NULL: the target can't do it.
     */
    enum ods_status (*erase)(struct sink *sink, struct erasing *erasing, bool look,
                             struct error *error);
    /* What it shows of itself in /metrics, and the values, in the order of the rows; any thread.
     * NULL: nothing. */
    const struct number *numbers;
    void (*tell)(const struct sink *sink, double *values);

    /* Called by the writer thread every few seconds while there is nothing to apply, for what is to
     * be done even then. Takes no longer than a batch. NULL: nothing is to be done. */
    void (*rest)(struct sink *sink);

    /* For `check`: does this machine have what it takes to write to the target, a library that is
     * loaded when it is needed? ODS_OK, or an error that says what is missing and how it is got.
     * Asks no server. NULL: there is nothing to look for. */
    enum ods_status (*lacks)(const struct sink_config *config, struct error *error);
    /* For `check --connect`: looks at rights, tables and version, and changes nothing. Each finding
     * is passed to `report`, without the pipeline's name. NULL: there is nothing to look at. */
    enum ods_status (*check)(struct sink *sink, void (*report)(void *context, const char *line),
                             void *context, struct error *error);
    /* Makes a call that runs in another thread return soon, with ODS_RETRY (at shutdown, and when
     * partitions are revoked). Any thread. Both NULL: no call waits for longer than a second, and
     * the target keeps no orders. */
    void (*interrupt)(struct sink *sink);
    /* Forget an interrupt that arrived after its call had returned. Whoever interrupts first
     * stores, elsewhere, which batch it means; look there after this and before apply(). */
    void (*clear_interrupt)(struct sink *sink);
    /* Orders about single tables; NULL: the target does not keep any. */
    const struct control_ops *control;
    void (*close)(struct sink *sink); /* NULL is fine */
};

enum guarantee sink_guarantee(const struct sink_ops *sink, const struct sink_config *config);
/* "exactly once: …", for people; of deliveries or of records with offsets. */
const char *guarantee_text(const struct sink_ops *sink, enum guarantee guarantee,
                           bool deliveries);

/* resume() and connect() of a target that stores no offsets by itself; it connects when it applies,
 * or not at all. */
enum ods_status sink_stores_no_offsets(struct sink *sink, struct position *positions, size_t count,
                                       struct error *error);
enum ods_status sink_needs_no_connection(struct sink *sink, struct error *error);

const struct sink_ops *sink_find(const char *type); /* NULL: no such type */
const struct sink_ops *const *sink_list(void);      /* NULL-terminated */
setting_plugins sink_groups;                        /* of every type, in that order */

#ifdef __cplusplus
}
#endif

#endif
