/* The order of batches that a lane's writer applies: what follows one that was not applied is not
 * applied either until it was read again, where the target's offsets don't see to that. The
 * consumer's part is done here, step by step; the writer runs in its own thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "pipeline/lane_room.h"

/* A sink whose answer stands in the record: '!' is fenced, all else is applied. */
struct script {
    struct sink sink;
    char applied[16];
    size_t count;
};

static enum ods_status apply(struct sink *sink, struct batch *batch,
                             const struct apply_hooks *hooks, struct apply_result *result,
                             struct error *error)
{
    struct script *script = (struct script *) sink;
    char name = batch->records[0].value[0];
    if (name == '!')
        return error_set(error, ODS_FENCED, "as the script says");
    script->applied[script->count++] = name;
    return ODS_OK;
}

static const struct sink_ops forgetful = {.guarantee = AT_LEAST_ONCE, .apply = apply};
static const struct sink_ops exact = {.guarantee = EXACT_BY_STORED_OFFSET, .apply = apply};

static const struct source_ops nothing = {.type = "nothing"};

struct stage {
    struct lane lane;
    struct lane_shared shared;
    struct lane_limits limits;
    struct pipeline_settings pipeline;
    struct source source;
    struct script script;
};

static void begin(struct stage *stage, const struct sink_ops *ops)
{
    struct lane *lane = &stage->lane;
    *stage = (struct stage){.source.ops = &nothing, .script.sink.ops = ops, .pipeline.name = "p"};
    lane->pipeline = &stage->pipeline;
    lane->shared = &stage->shared;
    lane->limits = &stage->limits;
    lane->source = &stage->source;
    lane->worker.sink = &stage->script.sink;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_cond_init(&lane->pause, NULL);
    assignment_init(&lane->assignment);
    metrics_init(&lane->metrics);
    for (lane->slot_count = 0; lane->slot_count < 4; lane->slot_count++) {
        lane->slots[lane->slot_count].batch = batch_new();
        lane->idle[lane->idle_count++] = lane->slots[lane->slot_count].batch;
    }
    lane->queue = queue_new(lane->slot_count);
    assert_int_equal(pthread_create(&lane->writer, NULL, writer_main, lane), 0);
}

static void end(struct stage *stage)
{
    struct lane *lane = &stage->lane;
    queue_close(lane->queue);
    pthread_join(lane->writer, NULL);
    queue_free(lane->queue);
    for (size_t i = 0; i < lane->slot_count; i++)
        batch_free(lane->slots[i].batch);
    assignment_done(&lane->assignment);
    pthread_mutex_destroy(&lane->mutex);
    pthread_cond_destroy(&lane->pause);
}

static void hand_over(struct stage *stage, const char *name)
{
    struct lane *lane = &stage->lane;
    struct batch *batch = lane->filling = lane->idle[--lane->idle_count];
    struct record *record = batch_add_record(batch);
    *record = (struct record){.topic = "t", .value = name, .value_length = 1};
    batch_cover(batch, "t", 0, 0, 0);
    consumer_push(lane);
}

/* What came of the batch that the writer gives back next. */
static enum ods_status take_back(struct stage *stage)
{
    struct lane *lane = &stage->lane;
    struct batch *batch = queue_take_done(lane->queue, -1);
    enum ods_status outcome = lane_slot(lane, batch)->outcome;
    consumer_take_back(lane, batch);
    return outcome;
}

static void what_follows_a_lost_batch_waits_until_all_are_back(void **state)
{
    struct stage stage;
    begin(&stage, &forgetful);
    hand_over(&stage, "!");
    hand_over(&stage, "b"); /* of before it was known */
    assert_int_equal(take_back(&stage), ODS_FENCED);
    hand_over(&stage, "c"); /* the first is back, the second is not: it stands between them */
    assert_int_equal(take_back(&stage), ODS_RETRY);
    assert_int_equal(take_back(&stage), ODS_RETRY);
    hand_over(&stage, "d");
    assert_int_equal(take_back(&stage), ODS_OK);
    end(&stage);
    assert_string_equal(stage.script.applied, "d");
}

static void a_second_loss_is_counted_beside_the_first(void **state)
{
    struct stage stage;
    begin(&stage, &forgetful);
    hand_over(&stage, "!");
    assert_int_equal(take_back(&stage), ODS_FENCED);
    hand_over(&stage, "!");
    hand_over(&stage, "b");
    assert_int_equal(take_back(&stage), ODS_FENCED);
    hand_over(&stage, "c");
    assert_int_equal(take_back(&stage), ODS_RETRY);
    hand_over(&stage, "d");
    assert_int_equal(take_back(&stage), ODS_RETRY);
    assert_int_equal(take_back(&stage), ODS_RETRY);
    hand_over(&stage, "e");
    hand_over(&stage, "f");
    assert_int_equal(take_back(&stage), ODS_OK);
    assert_int_equal(take_back(&stage), ODS_OK);
    end(&stage);
    assert_string_equal(stage.script.applied, "ef");
}

/* The offsets refuse what does not follow: the writer asks the target about each. */
static void where_offsets_are_stored_each_is_tried(void **state)
{
    struct stage stage;
    begin(&stage, &exact);
    hand_over(&stage, "!");
    hand_over(&stage, "b");
    assert_int_equal(take_back(&stage), ODS_FENCED);
    assert_int_equal(take_back(&stage), ODS_OK);
    end(&stage);
    assert_string_equal(stage.script.applied, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_follows_a_lost_batch_waits_until_all_are_back),
        cmocka_unit_test(a_second_loss_is_counted_beside_the_first),
        cmocka_unit_test(where_offsets_are_stored_each_is_tried),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
