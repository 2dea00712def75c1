/* The unit of work, of memory and of acknowledgement.
 *
 * A lane owns a fixed number of batches. The consumer thread fills one, hands it to the writer
 * thread and gets it back when the writer is done with it. Only the thread that holds it touches
 * it, so it has no locks. Everything that can be reached from it dies at batch_reset().
 */
#ifndef ODS_BATCH_H
#define ODS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/change.h>
#include <ods/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* No offset is stored for the partition yet. */
#define OFFSET_NONE INT64_C(-1)

/* A chunked bump allocator. Chunks are kept over arena_reset(), up to keep_bytes. */
struct arena_chunk;
struct arena {
    struct arena_chunk *first, *current;
    char *next, *end;
    size_t used_bytes;     /* since the last reset */
    size_t reserved_bytes; /* chunks held */
};

void arena_init(struct arena *arena);
void arena_done(struct arena *arena); /* NULL and zeroed arenas are fine */
void arena_reset(struct arena *arena, size_t keep_bytes);
/* 8-byte aligned; NULL when memory is out. */
void *arena_alloc_slow(struct arena *arena, size_t bytes);
char *arena_strndup(struct arena *arena, const char *text, size_t length); /* terminated */

/* How full an arena is at one moment; what is allocated later can be freed by itself. */
struct arena_mark {
    struct arena_chunk *current;
    char *next;
    size_t used_bytes;
};

static inline struct arena_mark arena_mark(const struct arena *arena)
{
    struct arena_mark mark = {arena->current, arena->next, arena->used_bytes};
    return mark;
}

/* Frees everything that was allocated since the mark. Marks set after it are no longer valid. */
void arena_release(struct arena *arena, struct arena_mark mark);

static inline void *arena_alloc(struct arena *arena, size_t bytes)
{
    size_t rounded = bytes ? (bytes + 7) & ~(size_t) 7 : 8;
    if ((size_t) (arena->end - arena->next) >= rounded) {
        char *memory = arena->next;
        arena->next += rounded;
        arena->used_bytes += rounded;
        return memory;
    }
    return arena_alloc_slow(arena, bytes);
}

struct header {
    const char *name;  /* terminated */
    const char *value; /* NULL for a null header */
    size_t length;
};

/* A record as the source delivered it. Its bytes belong to `owner` and live until batch_reset(). */
struct record {
    const char *topic; /* terminated; interned by the source, outlives the batch */
    int32_t partition;
    uint32_t identity_length;
    int64_t offset;
    int64_t timestamp_ms; /* the broker's or producer's, -1 when unknown */
    const char *key;      /* NULL: no key */
    size_t key_length;
    const char *value; /* NULL: tombstone */
    size_t value_length;
    const char *identity; /* by which it is known when it is delivered again, under another offset;
                             NULL: its offset is as good, or it has none */
    const char *refusal;  /* why the source can't make a record of what it was given: a dead letter
                             says so. NULL: it is one */
    const char *refused_at; /* of a refusal: the letter's stage, static; NULL: "decode" */
    void *owner; /* what batch->release gets, NULL when nothing is owned */
};

/* A run of records of one topic-partition that this batch covers: [from, upto). */
struct claim {
    const char *topic; /* as in struct record */
    int32_t partition;
    int64_t from; /* the offset the target must hold for this batch to apply, or OFFSET_NONE */
    int64_t upto; /* what it holds afterwards: last record's offset + 1 */
    int64_t complete_us; /* the source's time up to which the partition is complete with these
                            records, microseconds since 1970 UTC; 0: they do not tell */
    bool holds;   /* the sink's next transaction stops before held_from */
    int64_t held_from;
    int64_t arrived; /* for records below it nothing is still to come from other partitions of the
                        topic: batch_await() */
};

/* Where the run ends after the next transaction. */
static inline int64_t claim_end(const struct claim *claim)
{
    return claim->holds ? claim->held_from : claim->upto;
}

/* A record that can't be decoded or applied, and why: it becomes a dead letter. */
struct reject {
    uint32_t record;   /* index into records */
    const char *stage; /* "decode", "apply" or "derived", static */
    bool delivered;    /* the dead-letter topic has acknowledged it */
    struct error error;
};

/* Records that are recognised, counted and skipped, since they are no row changes. */
enum pass_reason {
    PASS_SCHEMA_CHANGE,
    PASS_TRANSACTION,
    PASS_HEARTBEAT,
    PASS_MESSAGE,   /* op m: pg_logical_emit_message */
    PASS_TOMBSTONE, /* it follows its delete, or the configuration says ignore */
    PASS_BOOTSTRAP, /* Maxwell: a bootstrap is asked for, begins or ends */
    PASS_SKIPPED,   /* the configuration says skip */
    PASS_FILTERED,  /* a transform has dropped all its changes */
    PASS_COUNT
};

const char *pass_reason_name(enum pass_reason reason);

#define CLUSTER_BYTES     64 /* a longer id is cut */
#define CLUSTER_FORGOTTEN "-"

struct batch {
    struct arena arena;

    struct record *records;
    uint32_t record_count, record_capacity;
    struct change *changes;
    uint32_t change_count, change_capacity;
    /* What the target stores, in the rows' transaction: by compare-and-swap, from `from`. */
    struct claim *claims;
    uint32_t claim_count, claim_capacity;
    /* In their place, of a source that numbers its deliveries as they come (`delivers`): runs that
     * are settled through the source once the target has committed. Nothing of them is stored: the
     * target knows a record by its identity. */
    struct claim *deliveries;
    uint32_t delivery_count, delivery_capacity;
    struct reject *rejects;
    uint32_t reject_count, reject_capacity;

    uint64_t passed[PASS_COUNT];
    size_t payload_bytes; /* keys and values of the records */
    int64_t beat_us;      /* a format's: the record that it passes is a heartbeat, by which all
                             before that time of the source was sent; 0: it is none */
    bool delivers;        /* its records are deliveries; set by who fills it, like release */
    bool probes;          /* its rows are none: somebody asks what transforms make of the columns,
                             so conditions on rows hold */
    const char *probed;   /* with `probes`: the table to which rows go, "table" or "schema.table";
                             NULL: to their own */
    bool apart;           /* its records are applied alone, outside the order of their topic */
    bool guard_time;      /* do not change a row that is as new as its change, or newer, or whose
                             time can't be compared: the change is rejected */
    int64_t patience;     /* how often the sink may still answer ODS_RETRY for rows that a unique
                             or foreign key refuses, before it rejects them; the sink counts it
                             down */
    bool can_await;       /* who hands it over can give a record again later; set by it */
    uint32_t awaiting;    /* 1 + the record that batch_await() was called for last; 0: none */
    bool partial;         /* some of the records are applied already, or held */
    bool commit_unknown;  /* the connection was lost during a commit: the stored offset tells
                             whether it took place */
    int64_t opened_us;    /* monotonic, when its first record came; 0 when empty */
    /* Which servers the records are of, for the target to store beside the offsets, where it does;
     * "": not known; CLUSTER_FORGOTTEN: nor what the target has stored of that. Not reset. */
    char cluster[CLUSTER_BYTES];

    /* Memory up to this, of what its last use took, is kept for the next one, which will need it
     * again: a target's batches that fill. Not reset. */
    size_t keep_bytes;

    /* Frees what a record owns; set by the source. */
    void (*release)(void *owner);
    /* Headers of a record, read on demand (dead letters, key changes). Writes up to `max` entries
     * that live as long as the record, returns how many there are. NULL: no headers. */
    size_t (*headers)(const struct record *record, struct header *headers, size_t max);
    bool headers_read; /* since the reset, by batch_headers(): values may stand in them */
};

struct batch *batch_new(void); /* NULL when memory is out */
void batch_free(struct batch *batch);
void batch_reset(struct batch *batch);          /* releases records, keeps memory for reuse */
bool batch_is_empty(const struct batch *batch); /* no record */

/* Bytes held by this batch: payloads, arena and arrays. */
size_t batch_bytes(const struct batch *batch);
/* Memory that it keeps, also when it is empty. */
size_t batch_kept_bytes(const struct batch *batch);

/* Append a zeroed one; each answers NULL when memory is out. The pointer is good until the next
 * append. */
struct record *batch_add_record(struct batch *batch);
struct change *batch_add_change(struct batch *batch);
struct reject *batch_add_reject(struct batch *batch, uint32_t record, const char *stage,
                                const struct error *error);

/* For sinks and transforms: marks all changes of the record as rejected, and adds the reject.
 * ODS_RETRY: memory is out. */
enum ods_status batch_set_aside(struct batch *batch, uint32_t record, const char *stage,
                                const struct error *why, struct error *error);

/* A sink's: it has applied the records before for which there[] says so, or set them aside. Their
 * changes are passed over, and letters of theirs that wait are not written again. */
void batch_drop(struct batch *batch, const bool *there);

/* Is any reject of the batch not delivered yet? */
bool batch_letters_wait(const struct batch *batch);

/* What the batch covers: its claims, or its deliveries. A source has but one of both. */
static inline struct claim *batch_runs(const struct batch *batch, uint32_t *count)
{
    *count = batch->delivers ? batch->delivery_count : batch->claim_count;
    return batch->delivers ? batch->deliveries : batch->claims;
}

/* Is any record covered, or passed over? */
static inline bool batch_covers(const struct batch *batch)
{
    return batch->claim_count || batch->delivery_count;
}

/* For formats and transforms: batch->headers, 0 where it is NULL. Values may point to what it
 * answers. */
static inline size_t batch_headers(struct batch *batch, const struct record *record,
                                   struct header *headers, size_t max)
{
    batch->headers_read |= batch->headers != NULL;
    return batch->headers ? batch->headers(record, headers, max) : 0;
}

/* Extend the run of topic-partition to cover `offset`; a new one starts at `from`. False when
 * memory is out. Topic pointers are interned: compared by pointer first, then by text. */
bool batch_cover(struct batch *batch, const char *topic, int32_t partition, int64_t from,
                 int64_t offset);
/* The same; the run, which is good until the next one is added. NULL when memory is out. */
struct claim *batch_cover_run(struct batch *batch, const char *topic, int32_t partition,
                              int64_t from, int64_t offset);

/* For sinks, before they write what they are at of the batch: the record needs what another
 * partition of its topic may still bring. ODS_OK: it brings nothing more, or nobody would give the
 * record again. ODS_RETRY, which the sink answers: who handed the batch over takes it back, and
 * gives the record again when that may have come. */
enum ods_status batch_await(struct batch *batch, uint32_t record, const char *what,
                            struct error *error);
/* For sinks: this record, and those that follow it in its partition, wait for a later transaction.
 */
void batch_hold(struct batch *batch, uint32_t record);
/* Does the next transaction apply this record? */
bool batch_reaches(const struct batch *batch, const struct record *record);
/* To be called after a commit: the runs now begin where the transaction ended. False: no record
 * is left to apply. */
bool batch_advance(struct batch *batch);
/* No record is held for a later transaction any more. */
void batch_release_holds(struct batch *batch);

#ifdef __cplusplus
}
#endif

#endif
