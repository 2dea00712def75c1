/* Dead letters in a table of a PostgreSQL target: the letters of a batch in one transaction, which
 * is on the server's disk before the batch's own begins to commit. After a failure whose outcome is
 * unknown they are written again, so a letter may be there twice. */
#include "pipeline/deadletter.h"

#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "sink/postgres/letters/letters.h"

struct table_deadletter {
    struct deadletter base;
    const struct dead_letter_settings *settings;
    struct deadletter_origin origin;
    struct letters *letters;
    struct buffer line, error;
    struct jwe_key *seal;
};

/* A header may be bytes; what a text of PostgreSQL's can't hold becomes a question mark. */
static const char *clean(struct buffer *text)
{
    for (size_t i = 0; i < text->length;) {
        bool good;
        size_t length = utf8_next(text->bytes + i, text->length - i, &good);
        if (!good || !text->bytes[i])
            memset(text->bytes + i, '?', length);
        i += length;
    }
    return buffer_text(text);
}

static enum ods_status put(struct table_deadletter *own, const struct batch *batch,
                           const struct reject *reject, struct error *error)
{
    const struct record *record = &batch->records[reject->record];
    buffer_reset(&own->line);
    buffer_reset(&own->error);
    buffer_puts(&own->error, reject->error.text);
    enum ods_status status = deadletter_put_line(&own->line, batch, reject, &own->origin, error);
    if (status != ODS_OK)
        return status;
    if (!utf8_valid(own->line.bytes, own->line.length))
        clean(&own->line);
    const struct letter_row row = {.pipeline = own->origin.pipeline->name,
                                   .topic = record->topic,
                                   .stage = reject->stage,
                                   .code = reject->error.code,
                                   .error = clean(&own->error),
                                   .partition = record->partition,
                                   .record_offset = record->offset,
                                   .letter = buffer_text(&own->line)};
    return own->line.failed || own->error.failed ? error_out_of_memory(error)
                                                 : letters_put(own->letters, &row, error);
}

/* Whatever the table answers, it is tried again: somebody can see to it, and the lane waits. */
static enum ods_status waits(const struct table_deadletter *own, struct error *error)
{
    error_prefix(error, "dead letters to the table %.130s: ", own->settings->table);
    return ODS_RETRY;
}

static enum ods_status table_deliver(struct deadletter *base, struct batch *batch,
                                     struct error *error)
{
    struct table_deadletter *own = (struct table_deadletter *) base;
    enum ods_status status = letters_begin(own->letters, error);
    for (uint32_t i = 0; i < batch->reject_count && status == ODS_OK; i++)
        if (!batch->rejects[i].delivered)
            status = put(own, batch, &batch->rejects[i], error);
    if (status == ODS_OK)
        status = letters_commit(own->letters, error);
    if (status != ODS_OK)
        return waits(own, error);
    for (uint32_t i = 0; i < batch->reject_count; i++)
        batch->rejects[i].delivered = true;
    return ODS_OK;
}

static void table_interrupt(struct deadletter *base)
{
    letters_interrupt(((struct table_deadletter *) base)->letters);
}

static void table_clear_interrupt(struct deadletter *base)
{
    letters_clear_interrupt(((struct table_deadletter *) base)->letters);
}

static void table_close(struct deadletter *base)
{
    struct table_deadletter *own = (struct table_deadletter *) base;
    letters_free(own->letters);
    buffer_done(&own->line);
    buffer_done(&own->error);
    jwe_key_free(own->seal);
    free(own);
}

static const struct deadletter_ops table_ops = {
    .deliver = table_deliver,
    .interrupt = table_interrupt,
    .clear_interrupt = table_clear_interrupt,
    .close = table_close,
};

enum ods_status deadletter_table_open(struct deadletter **out, const struct settings *settings,
                                      const struct deadletter_origin *origin, struct error *error)
{
    const struct dead_letter_settings *letters = &settings->dead_letter;
    struct table_deadletter *own = calloc(1, sizeof *own);
    *out = NULL;
    if (!own)
        return error_set(error, ODS_FATAL, "out of memory for dead letters");
    own->base.ops = &table_ops;
    own->settings = letters;
    own->origin = *origin;
    buffer_init(&own->line);
    buffer_init(&own->error);
    own->letters = letters_new(settings_postgres(settings, letters->target), letters->table);
    enum ods_status status = own->letters
                                 ? deadletter_key_read(&own->seal, letters->public_key, error)
                                 : error_set(error, ODS_FATAL, "out of memory for dead letters");
    own->origin.seal = own->seal;
    if (status == ODS_OK)
        *out = &own->base;
    else
        table_close(&own->base);
    return status;
}
