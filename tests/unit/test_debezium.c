/* The Debezium decoder as a program sees it: shapes, images asked for, memory, settings. What
 * records mean is the golden tests' matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ods/format.h>
#include "config/settings.h"
#include "pipeline/recording.h"

#define COUNT(array) (sizeof array / sizeof *array)

struct fixture {
    struct shape_table *shapes;
    struct decoder *decoder;
    struct batch *batch;
    struct error error;
};

static void open_decoder(struct fixture *fixture, const struct pipeline_settings *pipeline,
                         bool want_before)
{
    fixture->shapes = shape_table_new();
    struct decoder_config config = {
        .pipeline = pipeline, .shapes = fixture->shapes, .want_before = want_before};
    error_init(&fixture->error);
    fixture->batch = batch_new();
    assert_int_equal(format_find("debezium")->open(&fixture->decoder, &config, &fixture->error),
                     ODS_OK);
}

static void close_decoder(struct fixture *fixture)
{
    fixture->decoder->ops->close(fixture->decoder);
    shape_table_free(fixture->shapes);
    batch_free(fixture->batch);
}

static enum ods_status decode(struct fixture *fixture, const char *key, const char *value)
{
    struct record *record = batch_add_record(fixture->batch);
    *record = (struct record){.topic = "p.d.t",
                              .key = key,
                              .key_length = key ? strlen(key) : 0,
                              .value = value,
                              .value_length = value ? strlen(value) : 0,
                              .timestamp_ms = 1000};
    error_init(&fixture->error);
    return fixture->decoder->ops->decode(fixture->decoder, fixture->batch,
                                         fixture->batch->record_count - 1, &fixture->error);
}

static const struct change *last(const struct fixture *fixture)
{
    assert_true(fixture->batch->change_count > 0);
    return &fixture->batch->changes[fixture->batch->change_count - 1];
}

#define SOURCE "\"source\":{\"connector\":\"mysql\",\"db\":\"d\",\"table\":\"t\",\"ts_ms\":5}"
#define UPDATE(id, v)                                                                              \
    "{\"before\":{\"id\":" #id ",\"v\":\"old\"},\"after\":{\"id\":" #id ",\"v\":\"" v              \
    "\"}," SOURCE ",\"op\":\"u\"}"

static void equal_tables_share_one_shape(void **state)
{
    struct fixture f;
    open_decoder(&f, NULL, false);
    assert_int_equal(decode(&f, "{\"id\":1}", UPDATE(1, "a")), ODS_OK);
    assert_int_equal(decode(&f, "{\"id\":2}", UPDATE(2, "b")), ODS_OK);
    const struct shape *shape = last(&f)->shape;
    assert_ptr_equal(f.batch->changes[0].shape, shape);
    assert_string_equal(shape->database, "d");
    assert_string_equal(shape->schema, "");
    assert_string_equal(shape->table, "t");
    assert_string_equal(shape->connector, "mysql");
    assert_false(shape->typed);
    assert_int_equal(shape->key_count, 1);
    assert_int_equal(shape->key[0], 0);
    assert_int_equal(last(&f)->source_us, 5000);
    close_decoder(&f);
}

static void before_is_decoded_when_asked_for_or_without_a_key(void **state)
{
    struct fixture f;
    open_decoder(&f, NULL, false);
    decode(&f, "{\"id\":1}", UPDATE(1, "a"));
    assert_null(last(&f)->before);
    decode(&f, NULL, UPDATE(1, "a"));
    assert_non_null(last(&f)->before);
    assert_int_equal(last(&f)->before[1].length, 3);
    close_decoder(&f);
    open_decoder(&f, NULL, true);
    decode(&f, "{\"id\":1}", UPDATE(1, "a"));
    assert_non_null(last(&f)->before);
    close_decoder(&f);
}

static void text_without_escapes_is_not_copied(void **state)
{
    static const char value[] = UPDATE(1, "zero copy");
    struct fixture f;
    open_decoder(&f, NULL, false);
    decode(&f, "{\"id\":1}", value);
    const char *bytes = last(&f)->after[1].bytes;
    assert_true(bytes > value && bytes < value + sizeof value);
    close_decoder(&f);
}

static void a_rejected_record_leaves_nothing_behind(void **state)
{
    struct fixture f;
    open_decoder(&f, NULL, false);
    assert_int_equal(decode(&f, "{\"id\":1}", UPDATE(1, "a")), ODS_OK);
    assert_int_equal(decode(&f, "{\"id\":1}", UPDATE(1, "a") "x"), ODS_REJECT);
    assert_int_equal(f.batch->change_count, 1);
    assert_string_equal(f.error.text, "the record's value is not JSON: more text behind the value "
                                      "at byte 125");
    assert_int_equal(decode(&f, "{\"serverName\":\"s\"}", "{\"ts_ms\":1} "), ODS_OK);
    assert_int_equal(decode(&f, "{\"serverName\":\"s\"}", "{\"ts_ms\":1}x"), ODS_REJECT);
    assert_int_equal(f.batch->passed[PASS_HEARTBEAT], 1);
    close_decoder(&f);
}

/* An unreadable key is an error, unless the configuration says which columns are the key. */
static void a_configured_key_excuses_an_unreadable_one(void **state)
{
    static const char *names[] = {"id"};
    struct table_settings table = {.name = "t", .key = {.items = names, .count = 1}};
    struct pipeline_settings pipeline = {.source = {.connector = "", .unavailable_value = "gone"},
                                         .defaults = {.name = ""}};
    struct fixture f;
    open_decoder(&f, &pipeline, false);
    assert_int_equal(decode(&f, "Struct{id=1}", UPDATE(1, "a")), ODS_REJECT);
    close_decoder(&f);
    pipeline.tables = &table;
    pipeline.table_count = 1;
    static const char *const forms[] = {"t", "d.t"};
    for (size_t i = 0; i < COUNT(forms); i++) {
        table.name = forms[i];
        open_decoder(&f, &pipeline, false);
        assert_int_equal(decode(&f, "Struct{id=1}", UPDATE(1, "a")), ODS_OK);
        assert_int_equal(last(&f)->shape->key_count, 0);
        close_decoder(&f);
    }
    table.name = "u";
    open_decoder(&f, &pipeline, false);
    assert_int_equal(decode(&f, "Struct{id=1}", UPDATE(1, "a")), ODS_REJECT);
    close_decoder(&f);
}

static void the_placeholder_is_configurable(void **state)
{
    static const struct {
        const char *placeholder, *value;
        enum value_kind kind;
    } cases[] = {{"gone", "gone", VALUE_ABSENT},
                 {"gone", "__debezium_unavailable_value", VALUE_TEXT},
                 {"hex:676f6e65", "gone", VALUE_ABSENT},
                 {"hex:676f6e65", "Z29uZQ==", VALUE_ABSENT},
                 {"hex:6", "hex:6", VALUE_ABSENT},
                 {"", "", VALUE_TEXT}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct pipeline_settings pipeline = {
            .source = {.connector = "", .unavailable_value = cases[i].placeholder}};
        struct fixture f;
        char value[256];
        open_decoder(&f, &pipeline, false);
        snprintf(value, sizeof value, "{\"after\":{\"id\":1,\"v\":\"%s\"}," SOURCE ",\"op\":\"u\"}",
                 cases[i].value);
        assert_int_equal(decode(&f, "{\"id\":1}", value), ODS_OK);
        assert_int_equal(last(&f)->after[1].kind, cases[i].kind);
        close_decoder(&f);
    }
}

/* Ever new sets of columns: plans are forgotten and learned again, shapes end in a reject. */
static void memory_has_a_ceiling(void **state)
{
    struct fixture f;
    enum ods_status status = ODS_OK;
    open_decoder(&f, NULL, false);
    size_t learned = 0;
    for (; learned < 200000 && status == ODS_OK; learned++) {
        char value[160];
        if (learned % 1000 == 0)
            batch_reset(f.batch);
        snprintf(value, sizeof value, "{\"after\":{\"id\":1,\"c%zu\":2}," SOURCE ",\"op\":\"u\"}",
                 learned);
        status = decode(&f, "{\"id\":1}", value);
    }
    assert_int_equal(status, ODS_REJECT);
    assert_true(learned > 50000);
    assert_non_null(strstr(f.error.text, "too many different sets of columns"));
    /* What is known goes on. */
    assert_int_equal(
        decode(&f, "{\"id\":1}", "{\"after\":{\"id\":1,\"c7\":2}," SOURCE ",\"op\":\"u\"}"),
        ODS_OK);
    close_decoder(&f);
}

static void schemas_are_forgotten_and_learned_again(void **state)
{
    static const char format[] =
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,"
        "\"field\":\"id\"},{\"type\":\"string\",\"optional\":true,\"field\":\"__op\"}],\"name\":"
        "\"p.d.t.Value\",\"version\":%d},\"payload\":{\"id\":%d,\"__op\":\"c\"}}";
    struct fixture f;
    open_decoder(&f, NULL, false);
    for (int round = 0; round < 3; round++) {
        for (int version = 0; version < 200; version++) {
            char value[400];
            batch_reset(f.batch);
            snprintf(value, sizeof value, format, version, version);
            assert_int_equal(decode(&f, "{\"id\":1}", value), ODS_OK);
            assert_int_equal(last(&f)->after[0].integer, version);
            assert_int_equal(last(&f)->shape->id, 0); /* one table, whatever the schema's version */
        }
    }
    close_decoder(&f);
}

static void column_facts_reach_the_shape(void **state)
{
    static const char value[] =
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,"
        "\"field\":\"id\"},{\"type\":\"bytes\",\"optional\":true,\"name\":"
        "\"org.apache.kafka.connect.data.Decimal\",\"parameters\":{\"scale\":\"2\","
        "\"connect.decimal.precision\":\"15\"},\"default\":\"AA==\",\"field\":\"n\"},"
        "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"parameters\":"
        "{\"allowed\":\"a,b\",\"__debezium.source.column.type\":\"ENUM\"},\"field\":\"e\"},"
        "{\"type\":\"int64\",\"optional\":true,\"name\":\"io.debezium.time.MicroTimestamp\","
        "\"parameters\":{\"__debezium.source.column.length\":\"6\"},\"field\":\"at\"},"
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"name\":\"io.debezium.data.Uuid\"},"
        "\"optional\":true,\"field\":\"list\"},{\"type\":\"string\",\"optional\":true,"
        "\"parameters\":"
        "{\"__debezium.source.column.type\":\"VARCHAR\",\"__debezium.source.column.length\":\"40\"}"
        ","
        "\"field\":\"v\"},{\"type\":\"string\",\"optional\":true,\"field\":\"__deleted\"}],"
        "\"name\":\"p.d.t.Value\"},\"payload\":{\"id\":1,\"n\":null,\"e\":null,\"at\":null,"
        "\"list\":null,\"v\":null,\"__deleted\":\"false\"}}";
    struct fixture f;
    open_decoder(&f, NULL, false);
    assert_int_equal(decode(&f, "{\"id\":1}", value), ODS_OK);
    const struct shape *shape = last(&f)->shape;
    const struct column *columns = shape->columns;
    assert_true(shape->typed);
    assert_int_equal(shape->column_count, 6);
    assert_false(columns[0].optional);
    assert_int_equal(columns[1].type, SEM_DECIMAL);
    assert_int_equal(columns[1].length, 15);
    assert_int_equal(columns[1].scale, 2);
    assert_non_null(columns[1].default_json);
    assert_true(columns[1].optional);
    assert_string_equal(columns[2].allowed, "a,b");
    assert_string_equal(columns[2].source_type, "ENUM");
    assert_int_equal(columns[3].scale, 6);
    assert_int_equal(columns[4].element->type, SEM_UUID);
    assert_int_equal(columns[5].length, 40);
    assert_string_equal(shape->database, "d");
    assert_int_equal(last(&f)->source_us, INT64_MIN);
    close_decoder(&f);
}

/* Blanks before a payload whose schema is known already. */
static void blanks_do_not_matter_behind_a_known_schema(void **state)
{
    static const char value[] =
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"field\":\"id\"},"
        "{\"type\":\"string\",\"optional\":true,\"field\":\"__deleted\"}],"
        "\"name\":\"p.d.t.Value\"},\"payload\": \n{\"id\":1,\"__deleted\":\"false\"} }";
    struct fixture f;
    open_decoder(&f, NULL, false);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(decode(&f, "{\"id\":1}", value), ODS_OK);
        assert_int_equal(f.batch->change_count, i + 1);
    }
    close_decoder(&f);
}

/* With the extension attributes and without: then its source and its topic have to tell. */
static void a_cloud_event_names_its_source(void **state)
{
#define EVENT(extensions)                                                                          \
    "{\"id\":\"1\",\"source\":\"/debezium/postgresql/p\",\"specversion\":\"1.0\"," extensions      \
    "\"data\":{\"before\":null,\"after\":{\"id\":1}}}"
    struct fixture f;
    open_decoder(&f, NULL, false);
    assert_int_equal(decode(&f, "{\"id\":1}", EVENT("")), ODS_OK);
    const struct shape *shape = last(&f)->shape;
    assert_string_equal(shape->connector, "postgresql");
    assert_string_equal(shape->database, "");
    assert_string_equal(shape->schema, "d");
    assert_string_equal(shape->table, "t");
    assert_int_equal(last(&f)->source_us, INT64_MIN);
    assert_int_equal(decode(&f, "{\"id\":1}",
                            EVENT("\"iodebeziumop\":\"r\",\"iodebeziumconnector\":\"mysql\","
                                  "\"iodebeziumdb\":\"e\",\"iodebeziumtable\":\"u\","
                                  "\"iodebeziumtsms\":\"7\",")),
                     ODS_OK);
    shape = last(&f)->shape;
    assert_string_equal(shape->connector, "mysql");
    assert_string_equal(shape->database, "e");
    assert_string_equal(shape->schema, "");
    assert_string_equal(shape->table, "u");
    assert_int_equal(last(&f)->op, OP_READ);
    assert_int_equal(last(&f)->source_us, 7000);
    close_decoder(&f);
}

/* Every fixture record cut at every byte: never accepted, never read beyond. */
static void no_cut_of_a_real_record_is_accepted(void **state)
{
    static const char *const files[] = {"debezium-mysql/lean.mks_finance_dw.customers.jsonl",
                                        "debezium-mysql/flat.mks_finance_dw.composite.jsonl",
                                        "cloudevents/input.jsonl"};
    struct batch *records = batch_new();
    for (size_t i = 0; i < COUNT(files); i++) {
        char path[512];
        struct recording *source;
        struct error error;
        bool end = false;
        snprintf(path, sizeof path, "%s/tests/golden/%s", ODS_SOURCE_DIR, files[i]);
        assert_int_equal(recording_open(&source, path, &error), ODS_OK);
        batch_reset(records);
        assert_int_equal(recording_read(source, records, &end, &error), ODS_OK);
        const struct record *record = &records->records[0];
        struct fixture f;
        open_decoder(&f, NULL, true);
        for (size_t length = record->value_length + 1; length-- > 0;) {
            char *exact = malloc(length ? length : 1);
            memcpy(exact, record->value, length);
            batch_reset(f.batch);
            struct record *cut = batch_add_record(f.batch);
            *cut = *record;
            cut->owner = NULL;
            cut->value = exact;
            cut->value_length = length;
            enum ods_status status = f.decoder->ops->decode(f.decoder, f.batch, 0, &f.error);
            assert_int_equal(status, length == record->value_length ? ODS_OK : ODS_REJECT);
            free(exact);
        }
        close_decoder(&f);
        recording_close(source);
    }
    batch_free(records);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_tables_share_one_shape),
        cmocka_unit_test(before_is_decoded_when_asked_for_or_without_a_key),
        cmocka_unit_test(text_without_escapes_is_not_copied),
        cmocka_unit_test(a_rejected_record_leaves_nothing_behind),
        cmocka_unit_test(a_configured_key_excuses_an_unreadable_one),
        cmocka_unit_test(the_placeholder_is_configurable),
        cmocka_unit_test(memory_has_a_ceiling),
        cmocka_unit_test(schemas_are_forgotten_and_learned_again),
        cmocka_unit_test(column_facts_reach_the_shape),
        cmocka_unit_test(blanks_do_not_matter_behind_a_known_schema),
        cmocka_unit_test(a_cloud_event_names_its_source),
        cmocka_unit_test(no_cut_of_a_real_record_is_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
