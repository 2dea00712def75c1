/* libFuzzer: any bytes as a file of records, as replay and `dlq` read them, and what the records
 * hold through the decoder. What a line says is read twice and has to be the same; a line that is
 * refused does not keep the next one from being read. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ods/format.h>

#include "pipeline/recording.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_record(const struct batch *batch, const struct record *record)
{
    struct header headers[8];
    assert(record->topic && record->topic[0]);
    assert(record->partition >= 0 && record->offset >= 0 && record->offset < INT64_MAX);
    assert(record->key || !record->key_length);
    assert(record->value || !record->value_length);
    size_t count = batch->headers(record, headers, 8);
    for (size_t i = 0; i < count && i < 8; i++)
        assert(headers[i].name && (headers[i].value || !headers[i].length));
}

/* Records of the file; each is decoded where there is a decoder. */
static uint32_t read_all(const char *path, struct batch *batch, struct decoder *decoder,
                         uint64_t *lines)
{
    struct recording *source = NULL;
    struct error error;
    bool end = false;
    error_init(&error);
    assert(recording_open(&source, path, &error) == ODS_OK);
    while (!end) {
        uint32_t before = batch->record_count;
        error_init(&error);
        enum ods_status status = recording_read(source, batch, &end, &error);
        assert(status == ODS_OK || (status == ODS_REJECT && error.text[0]));
        assert(batch->record_count == before + (status == ODS_OK && !end));
        if (status != ODS_OK || end)
            continue;
        check_record(batch, &batch->records[before]);
        if (!decoder)
            continue;
        status = decoder->ops->decode(decoder, batch, before, &error);
        assert(status == ODS_OK || (status == ODS_REJECT && error.text[0]));
    }
    *lines = recording_line(source);
    uint32_t count = batch->record_count;
    batch_reset(batch); /* before the source, whose topics the records name */
    recording_close(source);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct decoder_config config = {.shapes = shape_table_new(), .want_before = size % 2};
    struct decoder *decoder = NULL;
    struct batch *batch = batch_new();
    struct error error;
    char path[64];
    uint64_t lines, again;
    int file = memfd_create("records", 0);
    assert(batch && file >= 0 && (!size || write(file, data, size) == (ssize_t) size));
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    assert(format_find("debezium")->open(&decoder, &config, &error) == ODS_OK);
    uint32_t count = read_all(path, batch, decoder, &lines);
    assert(read_all(path, batch, NULL, &again) == count && lines == again);
    decoder->ops->close(decoder);
    shape_table_free(config.shapes);
    batch_free(batch);
    close(file);
    return 0;
}
