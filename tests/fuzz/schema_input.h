/* What the fuzzers of formats with a schema registry do: any schema, and any bytes as a record of it.
 * Two bytes have the schema's length; the schema follows, then the record without magic byte and id.
 * The schema comes out of a file in memory, as from a registry. Looked for, beside crashes and leaks:
 * an answer that is none, one that differs the second time, and a record that takes long. */
#ifndef SCHEMA_INPUT_H
#define SCHEMA_INPUT_H

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "decoder_input.h"

static char url[64];
static int file = -1;

static void write_registry(const char *type, const char *schema, size_t length)
{
    struct buffer text;
    buffer_init(&text);
    buffer_printf(&text, "{\"1\":{\"schemaType\":\"%s\",\"schema\":\"", type);
    for (size_t i = 0; i < length; i++)
        buffer_printf(&text, "\\u%04x", (unsigned char) schema[i]);
    buffer_puts(&text, "\"}}");
    assert(!text.failed && ftruncate(file, 0) == 0);
    assert(pwrite(file, text.bytes, text.length, 0) == (ssize_t) text.length);
    buffer_done(&text);
}

static void decode_as(const char *name, const char *record, size_t length, bool as_key)
{
    const struct registry_settings registry = {.url = url, .timeout_ms = 1000, .cache = 10};
    const struct decoder_config config = {
        .shapes = shape_table_new(), .registry = &registry, .want_before = length % 2};
    const struct format_ops *format = format_find(name);
    struct batch *batch = batch_new();
    struct decoder *decoder = NULL;
    struct error error;
    error_init(&error);
    assert(batch && config.shapes && format->open(&decoder, &config, &error) == ODS_OK);
    enum ods_status first = ODS_OK;
    for (int time = 0; time < 2; time++) {
        enum ods_status status =
            as_key ? decode(decoder, batch, "p.d.t", record, length, NULL, 0)
                   : decode(decoder, batch, "p.d.t", NULL, 0, record, length);
        assert(time == 0 || status == first);
        first = status;
    }
    check_changes(batch);
    format->close(decoder);
    shape_table_free(config.shapes);
    batch_free(batch);
}

/* `data` as a record of a pipeline of both formats, and as a key. */
static int fuzz_schema(const char *type, const char *envelopes, const char *rows,
                       const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t length = (size_t) data[0] | (size_t) data[1] << 8;
    if (length > size - 2)
        length = size - 2;
    if (file < 0) {
        file = memfd_create("registry", 0);
        snprintf(url, sizeof url, "file:///proc/self/fd/%d", file);
    }
    write_registry(type, (const char *) data + 2, length);
    size_t rest = size - 2 - length;
    char *record = malloc(rest + 5);
    assert(record);
    memcpy(record, "\0\0\0\0\1", 5);
    memcpy(record + 5, data + 2 + length, rest);
    decode_as(envelopes, record, rest + 5, false);
    decode_as(rows, record, rest + 5, false);
    decode_as(envelopes, record, rest + 5, true);
    free(record);
    return 0;
}

#endif
