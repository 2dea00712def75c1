/* What asks for attention beside the pipelines, from what /status tells of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "pipeline/attention.h"

static const struct {
    const char *status, *says; /* with ' in place of "; "level: says" one a line */
} cases[] = {
    {"{}", ""},
    {"{'connect': [{'failure': null, 'connectors': [{'name': 'a', 'level': 'good', 'says': "
     "'running'}, {'name': 'b', 'level': 'warn', 'says': 'paused'}]}, {'failure': 'cluster x: "
     "refused', 'connectors': [{'name': 'c', 'level': 'bad', 'says': 'task failed'}]}]}",
     "bad: connector c: task failed\nwarn: connector b: paused\nwarn: cluster x: refused\n"},
    {"{'sources': [{'database': 'new', 'reachable': false, 'looked_at': null, 'logs': []},"
     "{'database': 'away', 'reachable': false, 'looked_at': 7.5, 'logs': []},"
     "{'database': 'well', 'reachable': true, 'looked_at': 7.5, 'logs': [{'state': 'ok'}]},"
     "{'database': 'old', 'reachable': true, 'looked_at': 7.5, 'logs': [{'state': 'inactive'},"
     "{'state': 'lost'}]}]}",
     "bad: the log of old is lost\nwarn: away is not reached\nwarn: the log of old is inactive\n"},
    {"{'retention': [{'topic': 'a', 'lost': 0, 'retention_left_seconds': null},"
     "{'topic': 'b', 'lost': 0, 'retention_left_seconds': 86400},"
     "{'topic': 'c', 'lost': 0, 'retention_left_seconds': 3600},"
     "{'topic': 'd', 'lost': 3, 'retention_left_seconds': 0}]}",
     "bad: d: Kafka has dropped records that were not read\n"
     "warn: c: Kafka may drop what was not read in 60 min\n"},
    {"{'verify': [{'pipeline': 'a', 'failure': null, 'last': null},"
     "{'pipeline': 'b', 'failure': null, 'last': {'result': 'equal'}},"
     "{'pipeline': 'c', 'failure': 'the source refuses', 'last': {'result': 'can\\u0027t tell'}},"
     "{'pipeline': 'd', 'failure': null, 'last': {'result': 'differs'}}]}",
     "bad: d compared with its source: differs\n"
     "warn: c compared with its source: can't tell\n"
     "warn: c is not compared with its source: the source refuses\n"},
    {"{'quality': [{'pipeline': 'a', 'problem': 'the target is away', 'broken': []},"
     "{'pipeline': 'b', 'problem': null, 'broken': ["
     "{'table': 'store.orders', 'rule': 'checksum', 'state': 'unknown'},"
     "{'table': 'store.orders', 'rule': 'amounts', 'state': 'fail'}]}]}",
     "bad: rule amounts of store.orders is broken\n"
     "warn: rules of a can't be checked: the target is away\n"
     "warn: whether rule checksum of store.orders holds is not known\n"},
    {"{'now': 1795921000.0, 'dead_letters': [{'pipeline': 'a', 'waiting': 0, 'oldest_at': null},"
     "{'pipeline': 'b', 'waiting': 1, 'oldest_at': 1795920000.5},"
     "{'pipeline': 'c', 'waiting': 12, 'oldest_at': 0.0}]}",
     "warn: b: 1 dead letter waits since 2026-11-29 02:40 UTC\n"
     "warn: c: 12 dead letters wait, the oldest since 1970-01-01 00:00 UTC\n"},
    {"{'derived': [{'table': 'a', 'state': 'keeps', 'problem': null, 'errors': 0},"
     "{'table': 'b', 'state': 'keeps', 'problem': null, 'errors': 1},"
     "{'table': 'c', 'state': 'stopped', 'problem': 'no such column', 'errors': 0},"
     "{'table': 'd', 'state': 'keeps', 'problem': null, 'errors': 2}]}",
     "bad: derived table c: no such column\nwarn: derived table b: keeps, but 1 key fails\n"
     "warn: derived table d: keeps, but 2 keys fail\n"},
};

static json_t *parse(const char *text)
{
    char quoted[2048];
    assert_true(strlen(text) < sizeof quoted);
    strcpy(quoted, text);
    for (char *at = quoted; (at = strchr(at, '\''));)
        *at = '"';
    json_t *status = json_loads(quoted, 0, NULL);
    assert_non_null(status);
    return status;
}

static void test_words(void **state)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[2048] = "";
        json_t *status = parse(cases[i].status), *list = attention_describe(status, NULL, 0), *one;
        size_t k;
        json_array_foreach(list, k, one)
            snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\n",
                     json_string_value(json_object_get(one, "level")),
                     json_string_value(json_object_get(one, "says")));
        assert_string_equal(text, cases[i].says);
        json_decref(list);
        json_decref(status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_words)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
