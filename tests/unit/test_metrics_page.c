/* /metrics of 10,000 tables, each with a topic of its own and three operations. With
 * ODS_TEST_MEASURE the time of a page is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <ods/shape.h>

#include "core/time.h"
#include "pipeline/exposition.h"
#include "pipeline/lane_room.h"

#define TABLES 10000

static void look(const struct source *source, struct source_state *state)
{
    *state = (struct source_state){.joined = true};
}

static const struct source_ops source_ops = {.type = "nothing", .look = look};
static const struct sink_ops sink_ops = {.type = "nothing"};

struct stage {
    struct lane lane;
    struct lane_shared shared;
    struct lane_limits limits;
    struct pipeline_settings pipeline;
    struct source source;
    struct sink sink;
    char (*topics)[64];
    struct shape *shapes;
};

/* Its changes are that record's. */
static struct batch *batch_of_a_record(void)
{
    struct batch *batch = batch_new();
    *batch_add_record(batch) = (struct record){.topic = "t"};
    return batch;
}

static void apply(struct stage *stage, enum change_op op)
{
    struct batch *batch = batch_of_a_record();
    for (size_t i = 0; i < TABLES; i++)
        *batch_add_change(batch) = (struct change){
            .op = op, .shape = &stage->shapes[i], .source_us = INT64_MIN};
    table_counting_add(&stage->lane.counting, batch);
    batch_free(batch);
}

static void begin(struct stage *stage)
{
    struct lane *lane = &stage->lane;
    *stage = (struct stage){
        .source.ops = &source_ops, .sink.ops = &sink_ops, .pipeline.name = "shop"};
    stage->topics = calloc(TABLES, sizeof *stage->topics);
    stage->shapes = calloc(TABLES, sizeof *stage->shapes);
    lane->pipeline = &stage->pipeline;
    lane->shared = &stage->shared;
    lane->source = &stage->source;
    lane->worker.sink = &stage->sink;
    lane->shown = calloc(TABLES, sizeof *lane->shown);
    lane->shown_count = TABLES;
    pthread_mutex_init(&lane->mutex, NULL);
    metrics_init(&lane->metrics);
    table_counts_init(&stage->shared.tables, "shop", 1);
    lane->counting = (struct table_counting){.counts = &stage->shared.tables};
    for (size_t i = 0; i < TABLES; i++) {
        snprintf(stage->topics[i], sizeof *stage->topics, "store.public.table_%05zu", i);
        lane->shown[i] = (struct lane_partition){
            .topic = stage->topics[i], .applied = 123456, .position = 123456, .high = 123460,
            .lag = 4};
        stage->shapes[i] = (struct shape){.id = (uint32_t) i,
                                          .database = "",
                                          .schema = "public",
                                          .table = stage->topics[i] + sizeof "store.public"};
    }
    apply(stage, OP_READ);
    apply(stage, OP_CREATE);
    apply(stage, OP_UPDATE);
}

static void end(struct stage *stage)
{
    table_counting_done(&stage->lane.counting);
    table_counts_done(&stage->shared.tables);
    pthread_mutex_destroy(&stage->lane.mutex);
    free(stage->lane.shown);
    free(stage->topics);
    free(stage->shapes);
}

/* Without strstr(), which under AddressSanitizer first reads to the end of the text: here 5 MB for
 * each of 50,000 lines. */
static size_t count(const char *text, const char *what)
{
    size_t found = 0, length = strlen(what);
    for (const char *at = text; *at; at++)
        found += *at == *what && strncmp(at, what, length) == 0;
    return found;
}

static void a_page_of_ten_thousand_tables_is_below_five_megabytes(void **state)
{
    static struct stage stage;
    struct buffer out, openmetrics;
    struct lane *const lanes[] = {&stage.lane};
    begin(&stage);
    buffer_init(&out);
    buffer_init(&openmetrics);
    metrics_write(&out, lanes, 1, EXPOSE_OPENMETRICS);
    exposition_finish(&openmetrics, &out, EXPOSE_OPENMETRICS);
    const char *text = buffer_text(&openmetrics);
    assert_int_equal(count(text, "\nods_sink_table_changes_total{pipeline=\"shop\",table=\""),
                     3 * TABLES);
    assert_int_equal(count(text, "\nods_sink_partition_offset{"), TABLES);
    assert_int_equal(count(text, ",partition=\"0\"} 4\n"), TABLES);
    assert_non_null(strstr(text, "table=\"public.table_09999\",op=\"update\"} 1\n"));
    assert_true(openmetrics.length < 5000000);
    for (int i = 0; getenv("ODS_TEST_MEASURE") && i < 5; i++) {
        int64_t began_us = time_monotonic_us();
        buffer_reset(&out);
        buffer_reset(&openmetrics);
        metrics_write(&out, lanes, 1, EXPOSE_OPENMETRICS);
        exposition_finish(&openmetrics, &out, EXPOSE_OPENMETRICS);
        print_message("%zu bytes in %.1f ms\n", openmetrics.length,
                      (double) (time_monotonic_us() - began_us) / 1000);
    }
    buffer_done(&out);
    buffer_done(&openmetrics);
    end(&stage);
}

static void rows_of_a_history_are_counted_by_themselves(void **state)
{
    struct table_counts counts;
    struct table_counting counting = {.counts = &counts};
    struct batch *batch = batch_of_a_record();
    char name[] = "a";
    struct shape source = {.id = 0, .database = "d", .schema = "", .table = name};
    struct shape history = source;
    history.id = 1;
    history.history_of = &source;
    table_counts_init(&counts, "p", 1);
    *batch_add_change(batch) = (struct change){.op = OP_UPDATE, .shape = &source};
    *batch_add_change(batch) = (struct change){.op = OP_CREATE, .shape = &history};
    table_counting_add(&counting, batch);
    const struct table_count *rows = atomic_load(&counts.first);
    const struct table_count *versions = atomic_load(&rows->next);
    assert_string_equal(rows->labels, "pipeline=\"p\",table=\"d.a\"");
    assert_int_equal(atomic_load(&rows->lanes[0].changes[TABLE_CREATE]), 0);
    assert_int_equal(atomic_load(&rows->lanes[0].changes[TABLE_UPDATE]), 1);
    assert_string_equal(versions->labels, "pipeline=\"p\",table=\"d.a (history)\"");
    assert_int_equal(atomic_load(&versions->lanes[0].changes[TABLE_CREATE]), 1);
    table_counting_done(&counting);
    table_counts_done(&counts);
    batch_free(batch);
}

static void tables_beyond_the_limit_are_counted_together(void **state)
{
    struct table_counts counts;
    struct table_counting counting = {.counts = &counts};
    struct batch *batch = batch_of_a_record();
    char names[3][16] = {"a", "b", "c"};
    struct shape shapes[3];
    table_counts_init(&counts, "p", 1);
    counts.count = TABLE_COUNTS_MAX - 1;
    for (size_t i = 0; i < 3; i++) {
        shapes[i] = (struct shape){
            .id = (uint32_t) i, .database = "d", .schema = "", .table = names[i]};
        *batch_add_change(batch) = (struct change){.op = OP_DELETE, .shape = &shapes[i]};
    }
    batch->changes[2].rejected = true;
    *batch_add_change(batch) = (struct change){.op = OP_DELETE, .shape = &shapes[2]};
    table_counting_add(&counting, batch);
    const struct table_count *first = atomic_load(&counts.first);
    const struct table_count *others = atomic_load(&first->next);
    assert_string_equal(first->labels, "pipeline=\"p\",table=\"d.a\"");
    assert_string_equal(others->labels, "pipeline=\"p\",table=\"(others)\"");
    assert_int_equal(atomic_load(&first->lanes[0].changes[TABLE_DELETE]), 1);
    assert_int_equal(atomic_load(&others->lanes[0].changes[TABLE_DELETE]), 2);
    assert_null(atomic_load(&others->next));
    batch_free(batch);
    table_counting_done(&counting);
    table_counts_done(&counts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_of_ten_thousand_tables_is_below_five_megabytes),
        cmocka_unit_test(rows_of_a_history_are_counted_by_themselves),
        cmocka_unit_test(tables_beyond_the_limit_are_counted_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
