/* Batches of deliveries: what they cover, what is held, what is dropped, and records that nobody
 * could know again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pipeline/intake.h"

static enum ods_status decode(struct decoder *decoder, struct batch *batch, uint32_t record,
                              struct error *error)
{
    if (batch->records[record].value[0] == 'x')
        return error_set(error, ODS_REJECT, "not JSON");
    for (int i = 0; i < 2; i++)
        batch_add_change(batch)->record = record;
    return ODS_OK;
}

static const struct format_ops format = {.name = "two", .decode = decode};
static struct decoder decoder = {&format};
static struct worker worker = {.decoder = &decoder};

/* Records "a", "b" and so on of the text, numbered from `first` on, each known by its letter. */
static struct batch *deliveries(const char *text, int64_t first)
{
    struct batch *batch = batch_new();
    struct error error;
    batch->delivers = true;
    error_init(&error);
    for (const char *at = text; *at; at++) {
        struct record record = {.topic = "q", .offset = first + (at - text), .identity = at,
                                .identity_length = 1, .value = at, .value_length = 1};
        assert_int_equal(intake_add(batch, &worker, &record, OFFSET_NONE, &error), ODS_OK);
    }
    return batch;
}

static void nothing_of_them_is_a_claim(void **state)
{
    struct batch *batch = deliveries("abc", 100);
    uint32_t count;
    assert_int_equal(batch->claim_count, 0);
    assert_int_equal(batch->delivery_count, 1);
    assert_ptr_equal(batch_runs(batch, &count), batch->deliveries);
    assert_int_equal(count, 1);
    assert_int_equal(batch->deliveries[0].upto, 103);
    assert_true(batch_covers(batch));
    batch_reset(batch);
    assert_false(batch_covers(batch));
    batch->delivers = false;
    assert_true(batch_cover(batch, "q", 0, 5, 5));
    assert_int_equal(batch->claim_count, 1);
    assert_int_equal(batch->delivery_count, 0);
    batch_free(batch);
}

static void what_is_held_waits_for_another_transaction(void **state)
{
    struct batch *batch = deliveries("abcd", 7);
    batch_hold(batch, 2);
    assert_true(batch->partial);
    assert_true(batch_reaches(batch, &batch->records[1]));
    assert_false(batch_reaches(batch, &batch->records[2]));
    assert_true(batch_advance(batch));
    assert_false(batch_reaches(batch, &batch->records[1]));
    assert_true(batch_reaches(batch, &batch->records[2]));
    assert_false(batch_advance(batch));
    batch_free(batch);
}

/* Changes are passed over, letters that wait are taken back, and those that are written stay. */
static void what_is_there_is_dropped(void **state)
{
    const bool there[] = {true, false, true, true, false};
    struct batch *batch = deliveries("abxxx", 0);
    assert_int_equal(batch->change_count, 4);
    assert_int_equal(batch->reject_count, 3);
    batch->rejects[1].delivered = true;
    batch_drop(batch, there);
    assert_true(batch->changes[0].rejected && batch->changes[1].rejected);
    assert_false(batch->changes[2].rejected || batch->changes[3].rejected);
    assert_int_equal(batch->reject_count, 2);
    assert_int_equal(batch->rejects[0].record, 3);
    assert_int_equal(batch->rejects[1].record, 4);
    batch_free(batch);
}

static void a_record_without_identity_is_a_letter(void **state)
{
    struct batch *batch = deliveries("a", 0);
    struct record record = {.topic = "q", .offset = 1, .value = "b", .value_length = 1};
    struct error error;
    error_init(&error);
    assert_int_equal(intake_add(batch, &worker, &record, OFFSET_NONE, &error), ODS_OK);
    assert_int_equal(batch->reject_count, 1);
    assert_non_null(strstr(batch->rejects[0].error.text, "no identity"));
    assert_int_equal(batch->change_count, 2);
    assert_int_equal(batch->deliveries[0].upto, 2);
    batch->delivers = false; /* of a source with offsets it needs none */
    record.offset = 2;
    assert_int_equal(intake_add(batch, &worker, &record, OFFSET_NONE, &error), ODS_OK);
    assert_int_equal(batch->reject_count, 1);
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_of_them_is_a_claim),
        cmocka_unit_test(what_is_held_waits_for_another_transaction),
        cmocka_unit_test(what_is_there_is_dropped),
        cmocka_unit_test(a_record_without_identity_is_a_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
