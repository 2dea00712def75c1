/* The batch: growing arrays and an arena, all released by batch_reset(). No locks: only one thread
 * holds a batch at a time. */
#include <ods/batch.h>

#include <stdlib.h>
#include <string.h>

/* Memory that any batch keeps for its next use; what only a rare giant record needed is freed. */
#define ARENA_KEEP_BYTES ((size_t) 8 * 1024 * 1024)
#define ARRAY_KEEP_BYTES ((size_t) 4 * 1024 * 1024)

const char *pass_reason_name(enum pass_reason reason)
{
    static const char *const names[PASS_COUNT] = {
        [PASS_SCHEMA_CHANGE] = "schema_change",
        [PASS_TRANSACTION] = "transaction",
        [PASS_HEARTBEAT] = "heartbeat",
        [PASS_MESSAGE] = "message",
        [PASS_TOMBSTONE] = "tombstone",
        [PASS_BOOTSTRAP] = "bootstrap",
        [PASS_SKIPPED] = "skipped",
        [PASS_FILTERED] = "filtered",
    };
    return (size_t) reason < PASS_COUNT ? names[reason] : "unknown";
}

struct batch *batch_new(void)
{
    return calloc(1, sizeof(struct batch));
}

void batch_free(struct batch *batch)
{
    if (!batch)
        return;
    batch_reset(batch);
    arena_done(&batch->arena);
    free(batch->records);
    free(batch->changes);
    free(batch->claims);
    free(batch->deliveries);
    free(batch->rejects);
    free(batch);
}

/* What a use took is kept for the next one up to keep_bytes, and else no more than `least`. */
static size_t most_kept(const struct batch *batch, size_t used, size_t least)
{
    size_t kept = used < batch->keep_bytes ? used : batch->keep_bytes;
    return kept > least ? kept : least;
}

/* Empties an array; `items` points to its pointer, whatever its type: copied as bytes, never
 * aliased. */
static void empty(const struct batch *batch, void *items, uint32_t *count, uint32_t *capacity,
                  size_t size)
{
    void *array;
    memcpy(&array, items, sizeof array);
    /* It grows by doubling. */
    if (*capacity * size > most_kept(batch, *count * size * 2, ARRAY_KEEP_BYTES)) {
        free(array);
        array = NULL;
        memcpy(items, &array, sizeof array);
        *capacity = 0;
    }
    *count = 0;
}

void batch_reset(struct batch *batch)
{
    if (batch->release)
        for (uint32_t i = 0; i < batch->record_count; i++)
            if (batch->records[i].owner)
                batch->release(batch->records[i].owner);
    empty(batch, &batch->records, &batch->record_count, &batch->record_capacity,
          sizeof *batch->records);
    empty(batch, &batch->changes, &batch->change_count, &batch->change_capacity,
          sizeof *batch->changes);
    empty(batch, &batch->rejects, &batch->reject_count, &batch->reject_capacity,
          sizeof *batch->rejects);
    batch->claim_count = batch->delivery_count = 0;
    arena_reset(&batch->arena, most_kept(batch, batch->arena.used_bytes, ARENA_KEEP_BYTES));
    memset(batch->passed, 0, sizeof batch->passed);
    batch->payload_bytes = 0;
    batch->commit_unknown = batch->partial = batch->headers_read = false;
    batch->patience = 0;
    batch->guard_time = batch->apart = batch->can_await = false;
    batch->awaiting = 0;
    batch->opened_us = batch->beat_us = 0;
}

bool batch_is_empty(const struct batch *batch)
{
    return batch->record_count == 0;
}

size_t batch_bytes(const struct batch *batch)
{
    return batch->payload_bytes + batch->arena.used_bytes +
           batch->record_count * sizeof *batch->records +
           batch->change_count * sizeof *batch->changes +
           batch->reject_count * sizeof *batch->rejects;
}

size_t batch_kept_bytes(const struct batch *batch)
{
    return batch->arena.reserved_bytes + batch->record_capacity * sizeof *batch->records +
           batch->change_capacity * sizeof *batch->changes +
           batch->reject_capacity * sizeof *batch->rejects;
}

/* The next slot of a growing array, zeroed; NULL when memory is out. */
static void *append(void *items, uint32_t *count, uint32_t *capacity, size_t size)
{
    void *array;
    memcpy(&array, items, sizeof array);
    if (*count == *capacity) {
        uint32_t larger = *capacity ? *capacity * 2 : 64;
        if (larger < *capacity)
            return NULL;
        void *moved = realloc(array, larger * size);
        if (!moved)
            return NULL;
        array = moved;
        memcpy(items, &array, sizeof array);
        *capacity = larger;
    }
    void *slot = (char *) array + (size_t) (*count)++ * size;
    return memset(slot, 0, size);
}

struct record *batch_add_record(struct batch *batch)
{
    return append(&batch->records, &batch->record_count, &batch->record_capacity,
                  sizeof *batch->records);
}

struct change *batch_add_change(struct batch *batch)
{
    return append(&batch->changes, &batch->change_count, &batch->change_capacity,
                  sizeof *batch->changes);
}

struct reject *batch_add_reject(struct batch *batch, uint32_t record, const char *stage,
                                const struct error *error)
{
    struct reject *reject = append(&batch->rejects, &batch->reject_count, &batch->reject_capacity,
                                   sizeof *batch->rejects);
    if (!reject)
        return NULL;
    reject->record = record;
    reject->stage = stage;
    reject->error = *error;
    return reject;
}

enum ods_status batch_set_aside(struct batch *batch, uint32_t record, const char *stage,
                                const struct error *why, struct error *error)
{
    if (!batch_add_reject(batch, record, stage, why))
        return error_out_of_memory(error); /* the changes are not marked yet, so the record is
                                              not lost in silence */
    for (uint32_t i = 0; i < batch->change_count; i++)
        batch->changes[i].rejected |= batch->changes[i].record == record;
    return ODS_OK;
}

void batch_drop(struct batch *batch, const bool *there)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < batch->change_count; i++)
        batch->changes[i].rejected |= there[batch->changes[i].record];
    for (uint32_t i = 0; i < batch->reject_count; i++)
        if (!there[batch->rejects[i].record] || batch->rejects[i].delivered)
            batch->rejects[kept++] = batch->rejects[i];
    batch->reject_count = kept;
}

struct claim *batch_cover_run(struct batch *batch, const char *topic, int32_t partition,
                              int64_t from, int64_t offset)
{
    uint32_t count;
    struct claim *runs = batch_runs(batch, &count);
    /* Records of one partition come in runs, so the last one is nearly always the right one. */
    for (uint32_t i = count; i-- > 0;) {
        struct claim *claim = &runs[i];
        if (claim->partition == partition &&
            (claim->topic == topic || strcmp(claim->topic, topic) == 0)) {
            claim->upto = offset + 1;
            return claim;
        }
    }
    struct claim *claim =
        batch->delivers ? append(&batch->deliveries, &batch->delivery_count,
                                 &batch->delivery_capacity, sizeof *batch->deliveries)
                        : append(&batch->claims, &batch->claim_count, &batch->claim_capacity,
                                 sizeof *batch->claims);
    if (!claim)
        return NULL;
    *claim =
        (struct claim){.topic = topic, .partition = partition, .from = from, .upto = offset + 1};
    return claim;
}

bool batch_cover(struct batch *batch, const char *topic, int32_t partition, int64_t from,
                 int64_t offset)
{
    return batch_cover_run(batch, topic, partition, from, offset) != NULL;
}

static struct claim *claim_of(const struct batch *batch, const struct record *record)
{
    uint32_t count;
    struct claim *runs = batch_runs(batch, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct claim *claim = &runs[i];
        if (claim->partition == record->partition &&
            (claim->topic == record->topic || strcmp(claim->topic, record->topic) == 0))
            return claim;
    }
    return NULL;
}

enum ods_status batch_await(struct batch *batch, uint32_t record, const char *what,
                            struct error *error)
{
    const struct record *at = &batch->records[record];
    const struct claim *claim = claim_of(batch, at);
    if (!batch->can_await || !claim || at->offset < claim->arrived)
        return ODS_OK;
    batch->awaiting = record + 1;
    return error_set(error, ODS_RETRY, "topic %s partition %d offset %lld needs %s", at->topic,
                     (int) at->partition, (long long) at->offset, what);
}

void batch_hold(struct batch *batch, uint32_t record)
{
    struct claim *claim = claim_of(batch, &batch->records[record]);
    int64_t offset = batch->records[record].offset;
    if (!claim)
        return;
    if (!claim->holds || offset < claim->held_from)
        claim->held_from = offset > claim->from ? offset : claim->from;
    claim->holds = batch->partial = true;
}

bool batch_reaches(const struct batch *batch, const struct record *record)
{
    const struct claim *claim = claim_of(batch, record);
    return !claim || (record->offset >= claim->from && record->offset < claim_end(claim));
}

bool batch_advance(struct batch *batch)
{
    bool left = false;
    uint32_t count;
    struct claim *runs = batch_runs(batch, &count);
    for (uint32_t i = 0; i < count; i++) {
        struct claim *claim = &runs[i];
        claim->from = claim_end(claim);
        claim->holds = false;
        left |= claim->from < claim->upto;
    }
    return left;
}

void batch_release_holds(struct batch *batch)
{
    uint32_t count;
    struct claim *runs = batch_runs(batch, &count);
    for (uint32_t i = 0; i < count; i++)
        runs[i].holds = false;
}

bool batch_letters_wait(const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->reject_count; i++)
        if (!batch->rejects[i].delivered)
            return true;
    return false;
}
