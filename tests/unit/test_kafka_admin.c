/* Questions about a cluster whose leaders are being chosen, as librdkafka's mock cluster plays it:
 * a real one is so for some milliseconds behind a topic's creation, at no moment that a test could
 * name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "source/kafka/kafka_admin.h"

#define LIST_OFFSETS 2 /* its number in Kafka's protocol */

struct cluster {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *mock;
    struct settings settings;
    struct kafka_admin *admin;
};

static void begin(struct cluster *cluster, int brokers)
{
    char text[256];
    struct error error;
    *cluster = (struct cluster){0};
    cluster->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    assert_non_null(cluster->rk);
    cluster->mock = rd_kafka_mock_cluster_new(cluster->rk, brokers);
    rd_kafka_mock_topic_create(cluster->mock, "t", 2, 1);
    cluster->settings.kafka.bootstrap_servers = rd_kafka_mock_cluster_bootstraps(cluster->mock);
    assert_int_equal(kafka_admin_open(&cluster->admin, &cluster->settings, "g", &error), ODS_OK);
}

static void end(struct cluster *cluster)
{
    kafka_admin_close(cluster->admin);
    rd_kafka_mock_cluster_destroy(cluster->mock);
    rd_kafka_destroy(cluster->rk);
}

static void a_leader_that_is_not_chosen_yet_is_asked_again(void **state)
{
    struct cluster cluster;
    struct error error;
    struct kafka_extent extents[2] = {{.topic = "t"}, {.topic = "t", .partition = 1}};
    begin(&cluster, 1);
    rd_kafka_mock_push_request_errors(
        cluster.mock, LIST_OFFSETS, 4, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_int_equal(kafka_admin_extents(cluster.admin, extents, 2, &error), ODS_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(extents[i].low, 0);
        assert_int_equal(extents[i].high, 0);
        assert_int_equal(extents[i].committed, -1);
    }
    end(&cluster);
}

static void it_is_asked_again_though_other_leaders_have_answered(void **state)
{
    struct cluster cluster;
    struct error error;
    struct kafka_extent extents[2] = {{.topic = "t"}, {.topic = "t", .partition = 1}};
    begin(&cluster, 2);
    for (int32_t i = 0; i < 2; i++)
        rd_kafka_mock_partition_set_leader(cluster.mock, "t", i, i + 1);
    rd_kafka_mock_broker_push_request_error_rtts(
        cluster.mock, 2, LIST_OFFSETS, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 0,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 0);
    assert_int_equal(kafka_admin_extents(cluster.admin, extents, 2, &error), ODS_OK);
    size_t left = 2;
    rd_kafka_mock_broker_error_stack_cnt(cluster.mock, 2, LIST_OFFSETS, &left);
    assert_int_equal(left, 0);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(extents[i].low, 0);
        assert_int_equal(extents[i].high, 0);
    }
    end(&cluster);
}

static void a_cluster_that_stays_without_one_is_told(void **state)
{
    struct cluster cluster;
    struct error error;
    struct kafka_extent extent = {.topic = "t", .partition = 0};
    begin(&cluster, 1);
    error_init(&error);
    kafka_admin_patience(cluster.admin, 300);
    for (int i = 0; i < 30; i++)
        rd_kafka_mock_push_request_errors(cluster.mock, LIST_OFFSETS, 1,
                                          RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION);
    assert_int_equal(kafka_admin_extents(cluster.admin, &extent, 1, &error), ODS_RETRY);
    end(&cluster);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leader_that_is_not_chosen_yet_is_asked_again),
        cmocka_unit_test(it_is_asked_again_though_other_leaders_have_answered),
        cmocka_unit_test(a_cluster_that_stays_without_one_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
