/* A row of an outbox as a record. See outbox_record.h. */
#include "source/outbox/outbox_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/buffer.h>
#include <ods/json.h>

/* "schema.table", or a name alone. */
static void put_envelope(struct buffer *out, const char *name, const struct outbox_row *row)
{
    const char *dot = strchr(name, '.'), *table = dot ? dot + 1 : name;
    buffer_puts(out, "{\"before\":");
    buffer_puts(out, row->before ? row->before : "null");
    buffer_puts(out, ",\"after\":");
    buffer_puts(out, row->after ? row->after : "null");
    buffer_puts(out, ",\"source\":{\"connector\":\"postgresql\",\"name\":\"ods-sink\"");
    if (dot) {
        buffer_puts(out, ",\"schema\":");
        json_quote(out, name, (size_t) (dot - name));
    }
    buffer_puts(out, ",\"table\":");
    json_quote(out, table, strlen(table));
    buffer_printf(out, ",\"ts_ms\":%lld},\"op\":\"%.1s\",\"ts_ms\":%lld}", (long long) row->at_ms,
                  row->op, (long long) row->at_ms);
}

/* A row that could not be computed. */
static void put_refusal(struct buffer *out, const struct outbox_row *row)
{
    buffer_printf(out, "the row could not be computed: %.4000s",
                  row->error ? row->error : "it is not said why");
}

static size_t put(struct buffer *out, const char *text, size_t length)
{
    size_t at = out->length;
    buffer_add(out, text, length);
    buffer_add(out, "", 1);
    return at;
}

struct outbox_block *outbox_block_new(const char *name, const struct outbox_row *row)
{
    struct buffer bytes;
    buffer_init(&bytes);
    bool failed_row = *row->op == 'e';
    size_t name_at = put(&bytes, name, strlen(name));
    size_t key_at = put(&bytes, row->key, strlen(row->key));
    size_t refusal_at = bytes.length;
    if (failed_row)
        put_refusal(&bytes, row);
    buffer_add(&bytes, "", 1);
    size_t value_at = bytes.length;
    put_envelope(&bytes, name, row);
    struct outbox_block *block = bytes.failed ? NULL : malloc(sizeof *block + bytes.length);
    if (block) {
        char *text = (char *) (block + 1);
        memcpy(text, bytes.bytes, bytes.length);
        *block = (struct outbox_block){
            .name = text + name_at,
            .bytes = sizeof *block + bytes.length,
            .record = {.offset = row->place,
                       .timestamp_ms = row->at_ms,
                       .key = text + key_at,
                       .key_length = strlen(row->key),
                       .value = text + value_at,
                       .value_length = bytes.length - value_at,
                       .refusal = failed_row ? text + refusal_at : NULL,
                       .refused_at = "derived",
                       .owner = block}};
        snprintf(block->id, sizeof block->id, "%lld", (long long) row->id);
    }
    buffer_done(&bytes);
    return block;
}

void outbox_block_release(void *owner)
{
    free(owner);
}

/* By which a row is known wherever it comes to: it is appended once. */
size_t outbox_block_headers(const struct record *record, struct header *headers, size_t max)
{
    const struct outbox_block *block = record->owner;
    const struct header all[] = {{"outbox.name", block->name, strlen(block->name)},
                                 {"outbox.id", block->id, strlen(block->id)}};
    size_t count = sizeof all / sizeof *all;
    for (size_t i = 0; i < count && i < max; i++)
        headers[i] = all[i];
    return count;
}
