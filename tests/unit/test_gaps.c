/* Which Kafka cluster a lane's partitions are of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/time.h"
#include "pipeline/lane_room.h"

static const char *says; /* what the source says that its cluster is */
static int asked;

static void cluster(struct source *source, char name[CLUSTER_BYTES])
{
    asked++;
    snprintf(name, CLUSTER_BYTES, "%s", says);
}

static enum ods_status offsets_at(struct source *source, struct place *places, size_t count,
                                  struct error *error)
{
    fail_msg("no time is looked for");
    return ODS_FATAL;
}

static void pause_partitions(struct source *source, const struct place *places, size_t count)
{
}

static const struct source_ops source_ops = {.type = "played",
                                             .cluster = cluster,
                                             .offsets_at = offsets_at,
                                             .pause = pause_partitions};

struct stage {
    struct lane lane;
    struct settings settings;
    struct source source;
    struct partition *partition;
};

static void begin(struct stage *stage, const char *stored_of)
{
    *stage = (struct stage){.settings.kafka.on_topic_recreated = "stop", .source.ops = &source_ops};
    stage->lane.settings = &stage->settings;
    stage->lane.source = &stage->source;
    pthread_mutex_init(&stage->lane.mutex, NULL);
    assignment_init(&stage->lane.assignment);
    stage->partition = assignment_add(&stage->lane.assignment, "t", 0);
    stage->partition->state = PARTITION_LOCATING;
    stage->partition->stored = 5;
    stage->partition->stored_us = 0;
    stage->partition->not_before_us = 0;
    stage->partition->cluster = stored_of;
    asked = 0;
}

static void end(struct stage *stage)
{
    assignment_done(&stage->lane.assignment);
    pthread_mutex_destroy(&stage->lane.mutex);
}

/* Without a batch: a lane whose topics are quiet for hours knows it all the same. */
static void a_lane_knows_its_cluster_once_partitions_are_located(void **state)
{
    static struct stage stage;
    begin(&stage, "one");
    says = "one";
    gaps_look(&stage.lane);
    assert_string_equal(stage.lane.cluster, "one");
    assert_int_equal(stage.partition->not_before_us, 0);
    /* What is being filled is of the one that was here before: it is found out as it goes. */
    says = "two";
    stage.partition->cluster = NULL;
    gaps_look(&stage.lane);
    assert_string_equal(stage.lane.cluster, "one");
    end(&stage);
}

static void nothing_begins_while_the_cluster_has_no_name(void **state)
{
    static struct stage stage;
    begin(&stage, "one");
    says = "";
    gaps_look(&stage.lane);
    assert_true(stage.partition->not_before_us > time_monotonic_us());
    assert_int_equal(stage.partition->state, PARTITION_LOCATING);
    assert_non_null(stage.partition->cluster);
    assert_string_equal(stage.lane.cluster, "");
    assert_non_null(strstr(stage.lane.last_error, "does not say its id"));
    end(&stage);
}

static void the_cluster_is_asked_while_partitions_are_located_alone(void **state)
{
    static struct stage stage;
    begin(&stage, "one");
    says = "one";
    stage.partition->state = PARTITION_ACTIVE;
    gaps_look(&stage.lane);
    stage.partition->state = PARTITION_LOCATING;
    stage.partition->not_before_us = INT64_MAX;
    gaps_look(&stage.lane);
    assert_int_equal(asked, 0);
    end(&stage);
}

/* One broker of several that hangs must not cost what the others have sent. */
static void a_batch_waits_while_the_cluster_has_no_name(void **state)
{
    static struct stage stage;
    struct batch *batch = batch_new();
    assert_non_null(batch);
    begin(&stage, NULL);
    says = "one";
    assert_true(gaps_same_cluster(&stage.lane, batch, true));
    assert_string_equal(batch->cluster, "one");
    stage.partition->state = PARTITION_ACTIVE;
    says = "";
    assert_false(gaps_same_cluster(&stage.lane, batch, true));
    assert_false(gaps_same_cluster(&stage.lane, batch, true));
    assert_int_equal(stage.partition->state, PARTITION_ACTIVE);
    says = "one";
    assert_true(gaps_same_cluster(&stage.lane, batch, true));
    says = "";
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stage.partition->state, PARTITION_ACTIVE);
        assert_false(gaps_same_cluster(&stage.lane, batch, true));
    }
    assert_int_not_equal(stage.partition->state, PARTITION_ACTIVE);
    /* What must go at once is read again at once. */
    stage.partition->state = PARTITION_ACTIVE;
    assert_false(gaps_same_cluster(&stage.lane, batch, false));
    assert_int_not_equal(stage.partition->state, PARTITION_ACTIVE);
    batch_free(batch);
    end(&stage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_knows_its_cluster_once_partitions_are_located),
        cmocka_unit_test(nothing_begins_while_the_cluster_has_no_name),
        cmocka_unit_test(the_cluster_is_asked_while_partitions_are_located_alone),
        cmocka_unit_test(a_batch_waits_while_the_cluster_has_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
