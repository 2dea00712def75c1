/* Dead letters in a file, for replay: one JSON object a line (deadletter_line.c), so that a
 * corrected decoder or table can be tried on the same file. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <ods/buffer.h>
#include "pipeline/deadletter.h"

struct file_deadletter {
    struct deadletter base;
    FILE *file;
    char *path;
    struct deadletter_origin origin;
    struct jwe_key *seal;
    struct buffer line;
};

static enum ods_status write_letter(struct file_deadletter *deadletter, const struct batch *batch,
                                    const struct reject *reject, struct error *error)
{
    struct buffer *line = &deadletter->line;
    buffer_reset(line);
    enum ods_status status =
        deadletter_put_line(line, batch, reject, &deadletter->origin, error);
    buffer_puts(line, "\n");
    if (status == ODS_OK && line->failed)
        status = error_out_of_memory(error);
    if (status == ODS_OK &&
        fwrite(line->bytes, 1, line->length, deadletter->file) != line->length)
        status = error_set(error, ODS_FATAL, "can't write to %s: %s", deadletter->path,
                           strerror(errno));
    return status;
}

static enum ods_status flush(struct file_deadletter *deadletter, struct error *error)
{
    /* A pipe or a terminal can't be synchronised, which is no failure. */
    if (fflush(deadletter->file) == 0 && (fsync(fileno(deadletter->file)) == 0 ||
                                          errno == EINVAL || errno == EROFS))
        return ODS_OK;
    return error_set(error, ODS_FATAL, "can't write to %s: %s", deadletter->path, strerror(errno));
}

static enum ods_status file_deliver(struct deadletter *base, struct batch *batch,
                                    struct error *error)
{
    struct file_deadletter *deadletter = (struct file_deadletter *) base;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; i < batch->reject_count && status == ODS_OK; i++)
        if (!batch->rejects[i].delivered)
            status = write_letter(deadletter, batch, &batch->rejects[i], error);
    if (status == ODS_OK)
        status = flush(deadletter, error);
    if (status != ODS_OK) {
        error_prefix(error, "dead letters: ");
        return ODS_FATAL;
    }
    for (uint32_t i = 0; i < batch->reject_count; i++)
        batch->rejects[i].delivered = true;
    return ODS_OK;
}

static void file_interrupt(struct deadletter *base)
{
}

static void file_close(struct deadletter *base)
{
    struct file_deadletter *deadletter = (struct file_deadletter *) base;
    if (deadletter->file)
        fclose(deadletter->file);
    jwe_key_free(deadletter->seal);
    buffer_done(&deadletter->line);
    free(deadletter->path);
    free(deadletter);
}

static const struct deadletter_ops file_ops = {
    .deliver = file_deliver,
    .interrupt = file_interrupt,
    .clear_interrupt = file_interrupt,
    .close = file_close,
};

enum ods_status deadletter_file_open(struct deadletter **out, const char *path,
                                     const char *public_key,
                                     const struct deadletter_origin *origin, struct error *error)
{
    struct file_deadletter *deadletter = calloc(1, sizeof *deadletter);
    *out = NULL;
    if (!deadletter)
        return error_set(error, ODS_FATAL, "out of memory for dead letters");
    deadletter->base.ops = &file_ops;
    deadletter->origin = *origin;
    deadletter->path = strdup(path);
    buffer_init(&deadletter->line);
    if (deadletter_key_read(&deadletter->seal, public_key, error) != ODS_OK) {
        file_close(&deadletter->base);
        return ODS_FATAL;
    }
    deadletter->origin.seal = deadletter->seal;
    deadletter->file = fopen(path, "a");
    if (!deadletter->path || !deadletter->file) {
        error_set(error, ODS_FATAL, "dead letters: can't open %s: %s", path, strerror(errno));
        file_close(&deadletter->base);
        return ODS_FATAL;
    }
    *out = &deadletter->base;
    return ODS_OK;
}
