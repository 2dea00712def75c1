/* Decode a record into a batch. Entered by whoever fills the batch. */
#include "pipeline/intake.h"

#include "core/time.h"

static enum ods_status out_of_memory(struct error *error, const struct record *record)
{
    return error_set(error, ODS_FATAL, "out of memory for topic %s partition %d offset %lld",
                     record->topic, (int) record->partition, (long long) record->offset);
}

enum ods_status intake_add(struct batch *batch, struct worker *worker,
                           const struct record *record, int64_t from, struct error *error)
{
    uint32_t index = batch->record_count, changes = batch->change_count;
    uint32_t rejects = batch->reject_count;
    size_t bytes = record->key_length + record->value_length;
    struct record *slot = batch_add_record(batch);
    if (!slot)
        return out_of_memory(error, record);
    *slot = *record;
    batch->payload_bytes += bytes;

    enum ods_status status = worker_decode(worker, batch, index, error);
    if (status == ODS_REJECT) {
        batch->change_count = changes;
        status =
            batch_add_reject(batch, index, "decode", error) ? ODS_OK : out_of_memory(error, record);
    }
    if (status == ODS_OK &&
        !batch_cover(batch, record->topic, record->partition, from, record->offset))
        status = out_of_memory(error, record);
    if (status == ODS_OK) {
        if (!batch->opened_us)
            batch->opened_us = time_monotonic_us();
        return ODS_OK;
    }
    /* The caller keeps the record: its owner must not be released with the batch. */
    batch->record_count = index;
    batch->change_count = changes;
    batch->reject_count = rejects;
    batch->payload_bytes -= bytes;
    return status;
}
