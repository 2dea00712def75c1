/* Decode a record into a batch. Entered by whoever fills the batch. */
#include "pipeline/intake.h"

#include <string.h>

#include "core/time.h"

/* What a batch held before a record. */
struct before {
    uint32_t records, changes, rejects;
    size_t payload_bytes;
    uint64_t passed[PASS_COUNT];
    struct arena_mark arena;
};

static enum ods_status out_of_memory(struct error *error, const struct record *record)
{
    return error_set(error, ODS_RETRY, "out of memory for topic %s partition %d offset %lld",
                     record->topic, (int) record->partition, (long long) record->offset);
}

static struct before look(const struct batch *batch)
{
    struct before before = {.records = batch->record_count,
                            .changes = batch->change_count,
                            .rejects = batch->reject_count,
                            .payload_bytes = batch->payload_bytes,
                            .arena = arena_mark(&batch->arena)};
    memcpy(before.passed, batch->passed, sizeof before.passed);
    return before;
}

/* Remove everything that was appended for the record. */
static void forget_changes(struct batch *batch, const struct before *before)
{
    batch->change_count = before->changes;
    batch->beat_us = 0;
    memcpy(batch->passed, before->passed, sizeof before->passed);
    arena_release(&batch->arena, before->arena);
}

/* The caller keeps the record: its owner must not be released with the batch. */
static void forget_record(struct batch *batch, const struct before *before)
{
    forget_changes(batch, before);
    batch->record_count = before->records;
    batch->reject_count = before->rejects;
    batch->payload_bytes = before->payload_bytes;
}

/* Notes up to when the partition is complete with the record. Rows of snapshots are not of a time
 * before which all is there. */
static void note_time(struct batch *batch, struct claim *run, const struct before *before)
{
    int64_t newest_us = batch->beat_us;
    for (uint32_t i = before->changes; i < batch->change_count; i++)
        if (batch->changes[i].op != OP_READ && batch->changes[i].source_us > newest_us)
            newest_us = batch->changes[i].source_us;
    if (newest_us > run->complete_us)
        run->complete_us = newest_us;
    batch->beat_us = 0;
}

enum ods_status intake_add(struct batch *batch, struct worker *worker,
                           const struct record *record, int64_t from, struct error *error)
{
    const struct before before = look(batch);
    uint32_t index = before.records;
    struct record *slot = batch_add_record(batch);
    if (!slot)
        return out_of_memory(error, record);
    *slot = *record;
    batch->payload_bytes += record->key_length + record->value_length;

    enum ods_status status = ODS_OK;
    if (record->refusal)
        status = error_set(error, ODS_REJECT, "%s", record->refusal);
    else if (batch->delivers && !record->identity_length)
        status = error_set(error, ODS_REJECT,
                           "the record has no identity by which it would be known when it is "
                           "delivered again");
    else
        status = worker_decode(worker, batch, index, error);
    if (status == ODS_REJECT) {
        const char *stage =
            record->refusal && record->refused_at ? record->refused_at : "decode";
        forget_changes(batch, &before);
        status =
            batch_add_reject(batch, index, stage, error) ? ODS_OK : out_of_memory(error, record);
    }
    struct claim *run = status == ODS_OK ? batch_cover_run(batch, record->topic, record->partition,
                                                           from, record->offset)
                                         : NULL;
    if (status == ODS_OK && !run)
        status = out_of_memory(error, record);
    if (status == ODS_OK) {
        note_time(batch, run, &before);
        if (!batch->opened_us)
            batch->opened_us = time_monotonic_us();
        return ODS_OK;
    }
    forget_record(batch, &before);
    return status;
}
