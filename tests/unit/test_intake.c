/* The way of a record into a batch, and of a bad one into a dead-letter file and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pipeline/deadletter.h"
#include "pipeline/intake.h"
#include "pipeline/recording.h"

static size_t scratch_bytes; /* that it takes from the arena */

/* A decoder that does what the first byte of the value says, after it has begun its work. */
static enum ods_status scripted_decode(struct decoder *decoder, struct batch *batch,
                                       uint32_t record, struct error *error)
{
    struct change *change = batch_add_change(batch);
    assert_non_null(change);
    if (scratch_bytes) {
        assert_non_null(arena_alloc(&batch->arena, scratch_bytes / 2));
        assert_non_null(arena_alloc(&batch->arena, scratch_bytes / 2));
        batch->passed[PASS_HEARTBEAT] += batch->records[record].value[0] == 'r';
    }
    change->record = record;
    switch (batch->records[record].value[0]) {
    case 'x':
        return error_set(error, ODS_REJECT, "not JSON");
    case 'r':
        return error_set(error, ODS_RETRY, "registry away");
    case 'f':
        return error_set(error, ODS_FATAL, "broken");
    default:
        return ODS_OK;
    }
}

static const struct format_ops scripted = {.name = "scripted", .decode = scripted_decode};
static struct decoder decoder = {&scripted};
static struct worker worker = {.decoder = &decoder};

static int released;

static void count_release(void *owner)
{
    released++;
}

static enum ods_status add(struct batch *batch, int32_t partition, int64_t offset,
                           const char *value, int64_t from, struct error *error)
{
    struct record record = {
        .topic = "t", .partition = partition, .offset = offset, .key = "k", .key_length = 1,
        .value = value, .value_length = strlen(value), .owner = batch};
    error_init(error);
    return intake_add(batch, &worker, &record, from, error);
}

static void claims_begin_where_the_target_stands(void **state)
{
    struct batch *batch = batch_new();
    struct error error;
    assert_int_equal(add(batch, 0, 10, "a", 7, &error), ODS_OK);
    assert_int_equal(add(batch, 1, 5, "a", OFFSET_NONE, &error), ODS_OK);
    assert_int_equal(add(batch, 0, 12, "a", 11, &error), ODS_OK);
    assert_int_equal(batch->claim_count, 2);
    assert_int_equal(batch->claims[0].from, 7);
    assert_int_equal(batch->claims[0].upto, 13);
    assert_int_equal(batch->claims[1].from, OFFSET_NONE);
    assert_int_equal(batch->claims[1].upto, 6);
    assert_int_equal(batch->payload_bytes, 6);
    assert_true(batch->opened_us > 0);
    batch_free(batch);
}

static void a_bad_record_is_covered_and_set_aside(void **state)
{
    struct batch *batch = batch_new();
    struct error error;
    assert_int_equal(add(batch, 0, 10, "a", 10, &error), ODS_OK);
    assert_int_equal(add(batch, 0, 11, "x", 11, &error), ODS_OK);
    assert_int_equal(batch->record_count, 2);
    assert_int_equal(batch->change_count, 1);
    assert_int_equal(batch->reject_count, 1);
    assert_int_equal(batch->rejects[0].record, 1);
    assert_string_equal(batch->rejects[0].stage, "decode");
    assert_string_equal(batch->rejects[0].error.text, "not JSON");
    assert_int_equal(batch->claims[0].upto, 12);
    batch_free(batch);
}

/* What is put off again and again takes no more memory than once, and is counted nowhere. */
static void what_is_put_off_leaves_no_memory_behind(void **state)
{
    static const size_t sizes[] = {8, 1000, 200 * 1024, 300 * 1024, 3 * 1024 * 1024};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int held = 0; held < 2; held++) {
            struct batch *batch = batch_new();
            struct error error;
            scratch_bytes = 100;
            if (held)
                assert_int_equal(add(batch, 0, 10, "a", 10, &error), ODS_OK);
            size_t bytes = batch_bytes(batch);
            for (int again = 0; again < 50; again++) {
                scratch_bytes = sizes[i];
                assert_int_equal(add(batch, 0, 11, "r", 11, &error), ODS_RETRY);
                assert_int_equal(batch_bytes(batch), bytes);
                assert_int_equal(batch->passed[PASS_HEARTBEAT], 0);
                /* Records of other partitions that come meanwhile, of another size. */
                scratch_bytes = sizes[(i + 1) % 5] / 16;
                assert_int_equal(add(batch, 1, again, "a", again, &error), ODS_OK);
                bytes = batch_bytes(batch);
            }
            assert_true(batch->arena.reserved_bytes < 2 * bytes + 4 * 1024 * 1024);
            scratch_bytes = 0;
            batch_free(batch);
        }
}

static void an_outage_leaves_the_batch_as_it_was(void **state)
{
    static const struct {
        const char *value;
        enum ods_status status;
    } cases[] = {{"r", ODS_RETRY}, {"f", ODS_FATAL}};
    for (size_t i = 0; i < 2; i++) {
        struct batch *batch = batch_new();
        struct error error;
        batch->release = count_release;
        released = 0;
        assert_int_equal(add(batch, 0, 10, "a", 10, &error), ODS_OK);
        assert_int_equal(add(batch, 0, 11, cases[i].value, 11, &error), cases[i].status);
        assert_int_equal(batch->record_count, 1);
        assert_int_equal(batch->change_count, 1);
        assert_int_equal(batch->claims[0].upto, 11);
        assert_int_equal(batch->payload_bytes, 2);
        batch_free(batch);
        /* The second record is still its reader's. */
        assert_int_equal(released, 1);
    }
}

static const struct pipeline_settings pipeline = {.name = "p", .format = "debezium"};
static const struct deadletter_origin origin = {.pipeline = &pipeline, .target_type = "postgres"};

static void dead_letters_come_back_as_they_were(void **state)
{
    static const char key[] = "k\"\\\n\x01", value[] = "x\xff\xfe not text";
    char path[] = "/tmp/ods-sink-test-XXXXXX";
    struct deadletter *deadletter;
    struct batch *batch = batch_new(), *again = batch_new();
    struct error error;
    struct header headers[32];
    struct recording *source;
    bool end;
    close(mkstemp(path));
    struct record record = {.topic = "a.b", .partition = 3, .offset = 77, .timestamp_ms = 5,
                            .key = key, .key_length = sizeof key - 1, .value = value,
                            .value_length = sizeof value - 1};
    error_init(&error);
    assert_int_equal(intake_add(batch, &worker, &record, OFFSET_NONE, &error), ODS_OK);
    assert_int_equal(deadletter_file_open(&deadletter, path, "", &origin, &error), ODS_OK);
    assert_int_equal(deadletter->ops->deliver(deadletter, batch, &error), ODS_OK);
    assert_true(batch->rejects[0].delivered);
    /* What is delivered is not delivered again. */
    assert_int_equal(deadletter->ops->deliver(deadletter, batch, &error), ODS_OK);
    deadletter_close(deadletter);

    assert_int_equal(recording_open(&source, path, &error), ODS_OK);
    assert_int_equal(recording_read(source, again, &end, &error), ODS_OK);
    assert_false(end);
    const struct record *read = &again->records[0];
    assert_string_equal(read->topic, "a.b");
    assert_int_equal(read->partition, 3);
    assert_int_equal(read->offset, 77);
    assert_int_equal(read->key_length, sizeof key - 1);
    assert_memory_equal(read->key, key, sizeof key - 1);
    assert_int_equal(read->value_length, sizeof value - 1);
    assert_memory_equal(read->value, value, sizeof value - 1);
    size_t count = again->headers(read, headers, 32);
    assert_int_equal(count, 17);
    assert_string_equal(headers[6].name, "ods.error");
    assert_memory_equal(headers[6].value, "not JSON", 8);
    assert_int_equal(recording_read(source, again, &end, &error), ODS_OK);
    assert_true(end);
    batch_free(again);
    batch_free(batch);
    recording_close(source);
    unlink(path);
}

static void a_full_disk_is_an_error(void **state)
{
    struct deadletter *deadletter;
    struct batch *batch = batch_new();
    struct error error;
    if (access("/dev/full", W_OK) != 0)
        skip();
    assert_int_equal(add(batch, 0, 1, "x", 1, &error), ODS_OK);
    assert_int_equal(deadletter_file_open(&deadletter, "/dev/full", "", &origin, &error), ODS_OK);
    assert_int_equal(deadletter->ops->deliver(deadletter, batch, &error), ODS_FATAL);
    assert_false(batch->rejects[0].delivered);
    deadletter_close(deadletter);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(claims_begin_where_the_target_stands),
        cmocka_unit_test(a_bad_record_is_covered_and_set_aside),
        cmocka_unit_test(what_is_put_off_leaves_no_memory_behind),
        cmocka_unit_test(an_outage_leaves_the_batch_as_it_was),
        cmocka_unit_test(dead_letters_come_back_as_they_were),
        cmocka_unit_test(a_full_disk_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
