/* A batch is a transaction: its records, and where the source is at the same cluster the offsets up
 * to which the group has read. Letters are acknowledged before it is committed. What a broker
 * refuses is known only at the end: the transaction is taken back then, and what is left of the
 * batch is sent again. */
#include <ods/lines.h>

#include "sink/kafka/kafka_sink.h"

/* A batch whose transaction met a new generation of the group is sent again so often. */
#define GENERATIONS 3

void kafka_refused(void *context, uint32_t change, const struct error *why)
{
    struct kafka_sink *kafka = context;
    struct batch *batch = kafka->batch;
    if (!batch || change >= batch->change_count || batch->changes[change].rejected)
        return;
    error_init(&kafka->trouble);
    batch_set_aside(batch, batch->changes[change].record, "apply", why, &kafka->trouble);
}

/* --- sending ------------------------------------------------------------------------------ */

struct sending {
    struct kafka_sink *kafka;
    struct apply_result *result;
    enum ods_status status; /* of the writer: the batch, not a record */
    struct error *error;
};

static void count_change(struct apply_result *result, const struct change *change)
{
    result->deleted += change->op == OP_DELETE;
    result->truncated += change->op == OP_TRUNCATE;
    result->upserted += change->op != OP_DELETE && change->op != OP_TRUNCATE;
}

static enum ods_status put_change(void *context, uint32_t index, struct error *error)
{
    struct sending *sending = context;
    bool skipped = false;
    enum ods_status status = pieces_add(sending->kafka, index, &skipped, error);
    sending->result->skipped += skipped;
    return status;
}

static void end_record(void *context, bool good)
{
    struct sending *sending = context;
    struct kafka_sink *kafka = sending->kafka;
    uint32_t last = UINT32_MAX;
    if (good && sending->status == ODS_OK)
        sending->status = pieces_send(kafka, sending->error);
    for (size_t i = 0; good && i < kafka->piece_count; i++) {
        uint32_t index = kafka->pieces[i].change;
        if (index != last && !kafka->batch->changes[index].rejected)
            count_change(sending->result, &kafka->batch->changes[index]);
        last = index;
    }
    kafka->piece_count = 0;
    buffer_reset(&kafka->bytes);
}

static enum ods_status send_all(struct kafka_sink *kafka, struct apply_result *result,
                                struct error *error)
{
    struct sending sending = {.kafka = kafka, .result = result, .error = error};
    const struct lines_writer writer = {put_change, end_record, &sending};
    enum ods_status status = lines_each(kafka->batch, &writer, error);
    if (status != ODS_OK || sending.status != ODS_OK)
        kafka_writer_abort(kafka_writer_of(kafka));
    return sending.status != ODS_OK ? sending.status : status;
}

/* --- committing --------------------------------------------------------------------------- */

static bool commits_offsets(const struct kafka_sink *kafka)
{
    return kafka->same_cluster && kafka->hooks && kafka->hooks->membership &&
           kafka->batch->claim_count;
}

static enum ods_status add_offsets(struct kafka_sink *kafka, bool *moved, struct error *error)
{
    const struct apply_hooks *hooks = kafka->hooks;
    const struct batch *batch = kafka->batch;
    if (!commits_offsets(kafka))
        return ODS_OK;
    buffer_reset(&kafka->membership);
    enum ods_status status = hooks->membership(hooks->context, &kafka->membership, error);
    if (status != ODS_OK) {
        kafka_writer_abort(kafka_writer_of(kafka));
        return status;
    }
    status = kafka_writer_offsets(kafka_writer_of(kafka), batch->claims, batch->claim_count,
                                  &kafka->membership, error);
    *moved = status == ODS_FENCED;
    return status;
}

static enum ods_status deliver_letters(struct kafka_sink *kafka, struct error *error)
{
    const struct apply_hooks *hooks = kafka->hooks;
    if (!hooks || !hooks->before_commit)
        return ODS_OK;
    enum ods_status status = ODS_OK;
    if (batch_letters_wait(kafka->batch)) {
        status = kafka_writer_flush(kafka_writer_of(kafka), error);
        if (status == ODS_OK)
            status = hooks->before_commit(hooks->context, kafka->batch, error);
        if (status != ODS_OK)
            kafka_writer_abort(kafka_writer_of(kafka));
    }
    return status;
}

/* Without a transaction records are refused while commit() waits. */
static enum ods_status deliver_late_letters(struct kafka_sink *kafka, struct error *error)
{
    return kafka->same_cluster ? ODS_OK : deliver_letters(kafka, error);
}

/* *moved: the group has a new generation, and the offsets were refused. */
static enum ods_status attempt(struct kafka_sink *kafka, struct apply_result *result, bool *moved,
                               struct error *error)
{
    *result = (struct apply_result){0};
    *moved = false;
    kafka->turn = (kafka->turn + 1) % kafka->writer_count;
    arena_reset(&kafka->values, 4 * 1024 * 1024);
    enum ods_status status = subjects_prepare(kafka, error);
    if (status == ODS_OK)
        status = kafka_writer_begin(kafka_writer_of(kafka), error);
    if (status == ODS_OK)
        status = send_all(kafka, result, error);
    if (status == ODS_OK)
        status = add_offsets(kafka, moved, error);
    if (status == ODS_OK)
        status = deliver_letters(kafka, error);
    apply_hooks_phase(kafka->hooks, APPLY_COMMIT);
    if (status == ODS_OK)
        status = kafka_writer_commit(kafka_writer_of(kafka), error);
    return status == ODS_OK ? deliver_late_letters(kafka, error) : status;
}

static bool has_work(const struct kafka_sink *kafka)
{
    return kafka->batch->change_count || commits_offsets(kafka) || batch_letters_wait(kafka->batch);
}

enum ods_status kafka_apply(struct sink *sink, struct batch *batch, const struct apply_hooks *hooks,
                            struct apply_result *result, struct error *error)
{
    struct kafka_sink *kafka = (struct kafka_sink *) sink;
    struct apply_result tried;
    enum ods_status status = ODS_OK;
    unsigned generations = 0;
    bool again = true, moved;
    kafka->batch = batch;
    kafka->hooks = hooks;
    if (kafka->same_cluster)
        status = identity_take(kafka, error);
    while (status == ODS_OK && again && has_work(kafka)) {
        status = attempt(kafka, &tried, &moved, error);
        if (status == ODS_OK)
            apply_result_add(result, &tried);
        again = (status == ODS_REJECT || (moved && ++generations < GENERATIONS)) &&
                !atomic_load(&kafka->interrupted);
        if (again)
            status = ODS_OK;
    }
    kafka->batch = NULL;
    kafka->hooks = NULL;
    /* Interrupted while records were refused: the batch comes again. */
    return status == ODS_REJECT ? ODS_RETRY : status;
}
