/* Traces of records, exemplars, the forms of metrics, librdkafka's statistics. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "core/traceparent.h"
#include "pipeline/exemplar.h"
#include "pipeline/exposition.h"
#include "source/kafka/kafka_statistics.h"

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN  "00f067aa0ba902b7"

static bool parse(const char *text, struct traceparent *parent)
{
    return traceparent_parse(parent, text, strlen(text));
}

static void a_traceparent_is_read_as_w3c_has_it(void **state)
{
    struct traceparent parent;
    assert_true(parse("00-" TRACE "-" SPAN "-01", &parent));
    assert_string_equal(parent.trace, TRACE);
    assert_string_equal(parent.span, SPAN);
    assert_true(parent.sampled);
    assert_true(parse("00-" TRACE "-" SPAN "-00", &parent) && !parent.sampled);
    assert_true(parse("00-" TRACE "-" SPAN "-ff", &parent) && parent.sampled);
    assert_true(parse(" 00-" TRACE "-" SPAN "-03\t", &parent) && parent.sampled);
    assert_true(parse("cc-" TRACE "-" SPAN "-01-what the future brings", &parent));
}

static void what_is_no_traceparent_is_none(void **state)
{
    static const char *const texts[] = {
        "", "00", "00-" TRACE "-" SPAN, "00-" TRACE "-" SPAN "-1", "ff-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-01-more", "cc-" TRACE "-" SPAN "-01.more",
        "00-00000000000000000000000000000000-" SPAN "-01", "00-" TRACE "-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-0g"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct traceparent parent;
        if (parse(texts[i], &parent))
            fail_msg("%s", texts[i]);
        assert_string_equal(parent.trace, "");
    }
}

static size_t headers(const struct record *record, struct header *headers, size_t max)
{
    const struct header own[] = {{"traceparent", NULL, 0},
                                 {"other", "x", 1},
                                 {"TraceParent", "00-" TRACE "-" SPAN "-01", 55}};
    for (size_t i = 0; i < 3 && i < max; i++)
        headers[i] = own[i];
    return 3;
}

static void a_header_is_found_whatever_its_case(void **state)
{
    struct record record = {.topic = "t"};
    struct traceparent parent;
    assert_true(traceparent_of(&parent, headers, &record));
    assert_string_equal(parent.trace, TRACE);
    assert_false(traceparent_of(&parent, NULL, &record));
    assert_string_equal(parent.trace, "");
}

static void an_exemplar_is_the_newest(void **state)
{
    struct exemplar_cell cell = {0};
    struct exemplar exemplar;
    assert_false(exemplar_read(&cell, &exemplar));
    exemplar_note(&cell, TRACE, 5000, 7000000);
    exemplar_note(&cell, "00000000000000010000000000000002", 6000, 8000000);
    assert_true(exemplar_read(&cell, &exemplar));
    assert_int_equal(exemplar.trace[0], 1);
    assert_int_equal(exemplar.trace[1], 2);
    assert_int_equal(exemplar.value, 6000);
}

static void a_scraper_gets_what_it_prefers(void **state)
{
    static const char protobuf[] = "application/vnd.google.protobuf;"
                                   "proto=io.prometheus.client.MetricFamily;encoding=delimited";
    char text[300];
    assert_int_equal(exposition_of("application/openmetrics-text"), EXPOSE_OPENMETRICS);
    assert_int_equal(
        exposition_of("application/openmetrics-text;version=1.0.0;q=0.75,application/"
                      "openmetrics-text; version=0.0.1; q=0.5, text/plain;version=0.0.4;q=0.2"),
        EXPOSE_OPENMETRICS);
    assert_int_equal(exposition_of("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;"
                                   "version=1.0.0;q=0.4"),
                     EXPOSE_TEXT);
    assert_int_equal(exposition_of(protobuf), EXPOSE_PROTOBUF);
    snprintf(text, sizeof text, "%s,application/openmetrics-text;q=0.8,text/plain;q=0.5", protobuf);
    assert_int_equal(exposition_of(text), EXPOSE_PROTOBUF);
    snprintf(text, sizeof text, "%s;q=0.7,application/openmetrics-text;q=0.8", protobuf);
    assert_int_equal(exposition_of(text), EXPOSE_OPENMETRICS);
    assert_int_equal(exposition_of("application/vnd.google.protobuf;proto=x;encoding=delimited"),
                     EXPOSE_TEXT);
    assert_int_equal(exposition_of("application/openmetrics-text;q=0"), EXPOSE_TEXT);
    assert_int_equal(exposition_of("text/html,*/*;q=0.8"), EXPOSE_TEXT);
    assert_int_equal(exposition_of("application/openmetrics-textual"), EXPOSE_TEXT);
    assert_int_equal(exposition_of(";;,,;q=;q"), EXPOSE_TEXT);
    assert_int_equal(exposition_of(NULL), EXPOSE_TEXT);
}

static void heads_of_openmetrics(void **state)
{
    struct buffer text, out;
    buffer_init(&text);
    buffer_init(&out);
    buffer_puts(&text, "# HELP ods_sink_info The version\n# TYPE ods_sink_info gauge\n"
                       "ods_sink_info{version=\"1\"} 1\n# HELP ods_sink_x_total A \"b\"\n"
                       "# TYPE ods_sink_x_total counter\nods_sink_x_total{a=\"# b\"} 2\n");
    exposition_finish(&out, &text, EXPOSE_OPENMETRICS);
    assert_string_equal(buffer_text(&out),
                        "# HELP ods_sink The version\n# TYPE ods_sink info\n"
                        "ods_sink_info{version=\"1\"} 1\n# HELP ods_sink_x A \\\"b\\\"\n"
                        "# TYPE ods_sink_x counter\nods_sink_x_total{a=\"# b\"} 2\n# EOF\n");
    buffer_done(&text);
    buffer_done(&out);
}

/* The bytes are those of io.prometheus.client.MetricFamily. */
static void protobuf_of_a_native_histogram(void **state)
{
    static const char expected[] =
        "\x08\x0a\x01g\x12\x01h\x18\x01" /* a family without a metric */
        "\x59\x0a\x01x\x12\x01h\x18\x04\x22\x4f"
        "\x0a\x06\x0a\x01p\x12\x01\"" /* the label */
        "\x3a\x45\x1a\x0b\x08\x01\x11\x00\x00\x00\x00\x00\x00\xf0\x3f"
        "\x1a\x0b\x08\x04\x11\x00\x00\x00\x00\x00\x00\xf0\x7f"
        "\x11\x00\x00\x00\x00\x00\x00\x00\x40\x08\x04"
        "\x28\x06\x31\x00\x00\x00\x00\x00\x00\xf0\x37\x38\x01"
        "\x62\x04\x08\x03\x10\x02\x62\x04\x08\x04\x10\x01"
        "\x6a\x03\x02\x00\x00\x08\x04";
    struct buffer text, out;
    buffer_init(&text);
    buffer_init(&out);
    buffer_puts(&text, "# HELP g h\n# TYPE g gauge\n# HELP x h\n# TYPE x histogram\n"
                       "x_bucket{p=\"\\\"\",le=\"1.0\"} 1\nx_bucket{p=\"\\\"\",le=\"+Inf\"} 4\n"
                       "x_sum{p=\"\\\"\"} 2\nx_count{p=\"\\\"\"} 4\n"
                       "#native 3 1 -2:1 -1:1 2:1\n");
    exposition_finish(&out, &text, EXPOSE_PROTOBUF);
    assert_int_equal(out.length, sizeof expected - 1);
    assert_memory_equal(out.bytes, expected, sizeof expected - 1);
    buffer_done(&text);
    buffer_done(&out);
}

/* A label's escapes are the text form's alone. */
static void protobuf_of_an_escaped_label(void **state)
{
    static const char label[] = "\x0a\x01p\x12\x05" "a\nb\\n";
    struct buffer text, out;
    buffer_init(&text);
    buffer_init(&out);
    buffer_puts(&text, "# HELP g h\n# TYPE g gauge\ng{p=\"a\\nb\\\\n\"} 1\n");
    exposition_finish(&out, &text, EXPOSE_PROTOBUF);
    assert_non_null(memmem(out.bytes, out.length, label, sizeof label - 1));
    buffer_done(&text);
    buffer_done(&out);
}

static void statistics_are_added_up(void **state)
{
    static const char json[] =
        "{ \"name\": \"a#consumer-1\", \"tx\": 5, \"rx\":4, \"brokers\": { \"b:1/1\": { "
        "\"connects\": 2, \"disconnects\":1, \"req\": { \"Fetch\": 3 }, "
        "\"rtt\": { \"min\": 1, \"p99\": 1500 } }, "
        "\"b:2/2\": { \"connects\":1, \"rtt\": { \"p99\":900 } } }, "
        "\"topics\":{ \"t\": { \"topic\":\"t\", \"partitions\":{ "
        "\"0\": { \"fetchq_cnt\":7, \"fetchq_size\":70 }, \"-1\":{} } } }, "
        "\"cgrp\": { \"rebalance_cnt\": 3 } }";
    struct kafka_statistics statistics = {0};
    double values[NUMBER_ROWS_MAX];
    kafka_statistics_take(&statistics, json, sizeof json - 1);
    kafka_statistics_take(&statistics, json, 40); /* cut off: nothing changes */
    kafka_statistics_tell(&statistics, values);
    assert_int_equal((int) values[KAFKA_REQUESTS_SENT], 5);
    assert_int_equal((int) values[KAFKA_REQUESTS_ANSWERED], 4);
    assert_int_equal((int) values[KAFKA_CONNECTS], 3);
    assert_int_equal((int) values[KAFKA_DISCONNECTS], 1);
    assert_int_equal((int) values[KAFKA_QUEUED_RECORDS], 7);
    assert_int_equal((int) values[KAFKA_QUEUED_BYTES], 70);
    assert_int_equal((int) values[KAFKA_REBALANCES], 3);
    assert_true(values[KAFKA_RTT_P99] > 0.00149 && values[KAFKA_RTT_P99] < 0.00151);
    assert_null(kafka_statistic_rows[KAFKA_STATISTICS].labels);
    assert_true(KAFKA_STATISTICS <= NUMBER_ROWS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_is_read_as_w3c_has_it),
        cmocka_unit_test(what_is_no_traceparent_is_none),
        cmocka_unit_test(a_header_is_found_whatever_its_case),
        cmocka_unit_test(an_exemplar_is_the_newest),
        cmocka_unit_test(a_scraper_gets_what_it_prefers),
        cmocka_unit_test(heads_of_openmetrics),
        cmocka_unit_test(protobuf_of_a_native_histogram),
        cmocka_unit_test(protobuf_of_an_escaped_label),
        cmocka_unit_test(statistics_are_added_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
