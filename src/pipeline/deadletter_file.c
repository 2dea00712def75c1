/* Dead letters in a file, for replay: one JSON object a line, as `kcat -J` writes records, so that
 * a corrected decoder or table can be tried on the same file. A key or value that is no UTF-8 goes
 * as base64, in key_b64 or value_b64. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/base64.h"
#include <ods/buffer.h>
#include "core/utf8.h"
#include "pipeline/deadletter.h"

struct file_deadletter {
    struct deadletter base;
    FILE *file;
    char *path;
    struct deadletter_origin origin;
    struct buffer line;
};

static void put_string(struct buffer *out, const char *bytes, size_t length)
{
    if (!bytes) {
        buffer_puts(out, "null");
        return;
    }
    buffer_puts(out, "\"");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char) bytes[i];
        if (byte == '"' || byte == '\\')
            buffer_printf(out, "\\%c", byte);
        else if (byte < 0x20)
            buffer_printf(out, "\\u%04x", byte);
        else
            buffer_add(out, &byte, 1);
    }
    buffer_puts(out, "\"");
}

static void put_bytes(struct buffer *out, const char *name, const char *base64_name,
                      const char *bytes, size_t length)
{
    if (!bytes || utf8_valid(bytes, length)) {
        buffer_printf(out, ",\"%s\":", name);
        put_string(out, bytes, length);
        return;
    }
    buffer_printf(out, ",\"%s\":\"", base64_name);
    char *text = buffer_take(out, BASE64_ENCODED(length));
    if (text)
        base64_encode(bytes, length, text);
    buffer_puts(out, "\"");
}

struct headers {
    struct buffer *out;
    bool begun;
};

static void put_header(void *context, const char *name, const char *value, size_t length)
{
    struct headers *headers = context;
    buffer_puts(headers->out, headers->begun ? "," : "");
    put_string(headers->out, name, strlen(name));
    buffer_puts(headers->out, ",");
    put_string(headers->out, value, length);
    headers->begun = true;
}

static bool write_letter(struct file_deadletter *deadletter, const struct batch *batch,
                         const struct reject *reject)
{
    const struct record *record = &batch->records[reject->record];
    struct buffer *line = &deadletter->line;
    struct headers headers = {.out = line};
    buffer_reset(line);
    buffer_puts(line, "{\"topic\":");
    put_string(line, record->topic, strlen(record->topic));
    buffer_printf(
        line, ",\"partition\":%d,\"offset\":%lld,\"tstype\":\"%s\",\"ts\":%lld,\"headers\":[",
        (int) record->partition, (long long) record->offset,
        record->timestamp_ms < 0 ? "unknown" : "create", (long long) record->timestamp_ms);
    bool good = deadletter_headers(batch, reject, &deadletter->origin, put_header, &headers);
    buffer_puts(line, "]");
    put_bytes(line, "key", "key_b64", record->key, record->key_length);
    put_bytes(line, "payload", "value_b64", record->value, record->value_length);
    buffer_puts(line, "}\n");
    if (!good || line->failed) {
        errno = ENOMEM;
        return false;
    }
    return fwrite(line->bytes, 1, line->length, deadletter->file) == line->length;
}

static enum ods_status file_deliver(struct deadletter *base, struct batch *batch,
                                    struct error *error)
{
    struct file_deadletter *deadletter = (struct file_deadletter *) base;
    bool good = true;
    for (uint32_t i = 0; i < batch->reject_count && good; i++)
        if (!batch->rejects[i].delivered)
            good = write_letter(deadletter, batch, &batch->rejects[i]);
    good = good && fflush(deadletter->file) == 0;
    /* A pipe or a terminal can't be synchronised, which is no failure. */
    if (good && fsync(fileno(deadletter->file)) != 0 && errno != EINVAL && errno != EROFS)
        good = false;
    if (!good)
        return error_set(error, ODS_FATAL, "dead letters: can't write to %s: %s", deadletter->path,
                         strerror(errno));
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
    deadletter->file = fopen(path, "a");
    if (!deadletter->path || !deadletter->file) {
        error_set(error, ODS_FATAL, "dead letters: can't open %s: %s", path, strerror(errno));
        file_close(&deadletter->base);
        return ODS_FATAL;
    }
    *out = &deadletter->base;
    return ODS_OK;
}
