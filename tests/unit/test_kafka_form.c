/* What the Kafka target writes of a row is what Debezium's decoder reads: random values of every
 * type, with a schema and without, NULL and absent ones, through both; in JSON, and in Avro with
 * the schemas in a file in place of a registry. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <ods/format.h>
#include <ods/json.h>
#include <ods/pipeline.h>
#include <ods/shape.h>

#include "sink/kafka/form.h"

enum { ROWS = 3000, TEXT_MAX = 40 };

static uint64_t state = 88172645463325252u;

static uint64_t any(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static const struct sample {
    enum semantic type;
    enum value_kind kind;
    int32_t length, scale;
    const char *source_type;
} samples[] = {
    {SEM_INT64, VALUE_INT, -1, INT32_MIN, "BIGINT UNSIGNED"}, /* the key */
    {SEM_BOOLEAN, VALUE_BOOL, -1, INT32_MIN, NULL},
    {SEM_INT8, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_INT16, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_INT32, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_FLOAT64, VALUE_NUMBER, -1, INT32_MIN, NULL},
    {SEM_STRING, VALUE_TEXT, 20, INT32_MIN, "VARCHAR"},
    {SEM_BYTES, VALUE_BYTES, -1, INT32_MIN, NULL},
    {SEM_DECIMAL, VALUE_BYTES, 38, 4, NULL},
    {SEM_DECIMAL, VALUE_BYTES, 10, -2, NULL},
    {SEM_VARIABLE_DECIMAL, VALUE_JSON, -1, INT32_MIN, NULL},
    {SEM_DATE, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_TIME_MS, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_TIME_US, VALUE_INT, -1, 6, NULL},
    {SEM_TIME_NS, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_TIMESTAMP_MS, VALUE_INT, -1, 3, "DATETIME"},
    {SEM_TIMESTAMP_US, VALUE_INT, -1, 6, NULL},
    {SEM_TIMESTAMP_NS, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_ZONED_TIMESTAMP, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_ZONED_TIME, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_ISO_DATE, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_ISO_TIME, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_ISO_TIMESTAMP, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_DURATION_US, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_DURATION_NS, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_INTERVAL, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_YEAR, VALUE_INT, -1, INT32_MIN, NULL},
    {SEM_BITS, VALUE_BYTES, 12, INT32_MIN, NULL},
    {SEM_JSON, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_XML, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_UUID, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_ENUM, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_ENUM_SET, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_LTREE, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_TSVECTOR, VALUE_TEXT, -1, INT32_MIN, NULL},
    {SEM_POINT, VALUE_JSON, -1, INT32_MIN, NULL},
    {SEM_GEOMETRY, VALUE_JSON, -1, INT32_MIN, NULL},
    {SEM_GEOGRAPHY, VALUE_JSON, -1, INT32_MIN, NULL},
    {SEM_VECTOR, VALUE_JSON, -1, INT32_MIN, NULL},
    {SEM_ARRAY, VALUE_JSON, -1, INT32_MIN, NULL},
    {SEM_MAP, VALUE_JSON, -1, INT32_MIN, NULL},
};

enum { COLUMNS = sizeof samples / sizeof *samples };

static const struct column text_element = {
    .name = "", .type = SEM_STRING, .length = -1, .scale = INT32_MIN, .optional = true};

/* --- a table and its rows ------------------------------------------------------------------- */

struct world {
    struct shape_table *shapes;
    const struct shape *shape;
    struct decoder *decoder;
    struct batch *batch;
    struct form form;
    struct kafka_target_settings settings;
    struct pipeline_settings pipeline;
    struct registry_settings registry;
    char names[COLUMNS][8], url[64];
    int file; /* of the schemas; below 0: there is none yet */
};

static bool in_avro(const struct world *world)
{
    return world->settings.encoding == KAFKA_AVRO;
}

static const struct shape *make_shape(struct world *world, bool typed)
{
    struct column columns[COLUMNS];
    static const uint32_t key[] = {0};
    for (size_t i = 0; i < COLUMNS; i++) {
        const struct sample *sample = &samples[i];
        bool nested = sample->type == SEM_ARRAY || sample->type == SEM_MAP;
        snprintf(world->names[i], sizeof world->names[i], in_avro(world) ? "c%zu" : "c%zu\"", i);
        columns[i] = (struct column){.name = world->names[i],
                                     .name_length = (uint32_t) strlen(world->names[i]),
                                     .type = sample->type,
                                     .length = sample->length,
                                     .scale = sample->scale,
                                     .optional = i > 0,
                                     .source_type = sample->source_type,
                                     .allowed = sample->type == SEM_ENUM ? "a,b" : NULL,
                                     .element = nested ? &text_element : NULL};
    }
    const struct shape candidate = {.topic = "t",
                                    .database = "shop",
                                    .schema = "",
                                    .table = "items",
                                    .connector = "mysql",
                                    .typed = typed,
                                    .column_count = COLUMNS,
                                    .columns = columns,
                                    .key_count = 1,
                                    .key = key};
    return shape_intern(world->shapes, &candidate);
}

static void world_init(struct world *world, enum kafka_encoding encoding, enum kafka_form form,
                       bool typed)
{
    struct error error;
    error_init(&error);
    *world = (struct world){
        .shapes = shape_table_new(),
        .batch = batch_new(),
        .settings = {.brokers = "",
                     .topic = "t",
                     .form = form,
                     .encoding = encoding,
                     .schemas = true,
                     .op_field = "",
                     .key = KAFKA_KEY_COLUMNS},
        .pipeline = {.name = "p", .format = "debezium", .source = {.unavailable_value = ""}},
        .registry = {.timeout_ms = 1000, .cache = 10},
        .file = -1};
    if (encoding == KAFKA_AVRO)
        world->file = memfd_create("registry", 0);
    snprintf(world->url, sizeof world->url, "file:///proc/self/fd/%d", world->file);
    world->registry.url = world->url;
    world->shape = make_shape(world, typed);
    assert_non_null(world->shape);
    const struct decoder_config config = {
        .shapes = world->shapes,
        .want_before = true,
        .registry = encoding == KAFKA_AVRO ? &world->registry : NULL};
    const struct format_ops *format =
        format_find(encoding == KAFKA_AVRO ? "debezium-avro" : "debezium");
    assert_int_equal(format->open(&world->decoder, &config, &error), ODS_OK);
    assert_int_equal(form_init(&world->form, &world->settings, &world->pipeline, &error), ODS_OK);
}

static void world_done(struct world *world)
{
    form_done(&world->form);
    world->decoder->ops->close(world->decoder);
    batch_free(world->batch);
    shape_table_free(world->shapes);
    if (world->file >= 0)
        close(world->file);
}

/* The schemas of the plan under the ids 1 and 2. */
static void keep_schemas(const struct world *world, const struct form_plan *plan)
{
    struct buffer text;
    if (!in_avro(world) || lseek(world->file, 0, SEEK_END) > 0)
        return;
    buffer_init(&text);
    for (int i = 0; i < 2; i++) {
        const struct buffer *schema = &form_schema(plan, i == 0)->text;
        buffer_printf(&text, "%s\"%d\":{\"schema\":", i ? "," : "{", i + 1);
        json_quote(&text, schema->bytes, schema->length);
        buffer_puts(&text, "}");
    }
    buffer_puts(&text, "}");
    assert_int_equal(write(world->file, text.bytes, text.length), text.length);
    buffer_done(&text);
}

/* What the target puts before a key or a value in Avro. */
static void put_head(const struct world *world, struct buffer *out, char id)
{
    const char head[] = {0, 0, 0, 0, id};
    if (in_avro(world))
        buffer_add(out, head, sizeof head);
}

static const char *any_text(struct arena *arena, size_t length)
{
    static const char *const parts[] = {"a", "\"", "\\", "\n", "\x01", "\x1f",
                                        "ü", "😀",  "/",  "{",  "0"};
    char *text = arena_alloc(arena, 8 * length + 1), *at = text;
    *at = '\0';
    for (size_t i = 0; i < length; i++)
        at = stpcpy(at, parts[any() % (sizeof parts / sizeof *parts)]);
    return text;
}

static int64_t any_integer(enum semantic type)
{
    static const int64_t edges[] = {0, -1, 1, INT64_MIN, INT64_MAX, INT64_C(9007199254740993)};
    int64_t value = any() % 3 ? (int64_t) any() : edges[any() % 6];
    return type == SEM_INT8                                               ? (int8_t) value
           : type == SEM_INT16                                            ? (int16_t) value
           : type == SEM_INT32 || type == SEM_DATE || type == SEM_TIME_MS ? (int32_t) value
           : type == SEM_YEAR                                             ? (int32_t) value
                                                                          : value;
}

static const char *any_json(enum semantic type)
{
    switch (type) {
    case SEM_VARIABLE_DECIMAL:
        return "{\"scale\":2,\"value\":\"AeJA\"}";
    case SEM_POINT:
        return "{\"x\":1.5,\"y\":-2.25,\"wkb\":\"AQE=\",\"srid\":null}";
    case SEM_VECTOR:
        return "[1.5,2,-3]";
    case SEM_ARRAY:
        return any() % 2 ? "[\"a\",null,\"\\\"\"]" : "[]";
    case SEM_MAP:
        return "{\"k\":\"v\",\"n\":null}";
    case SEM_GEOMETRY:
        return "{\"wkb\":\"AQEAAAA=\",\"srid\":4326,\"extensions\":null}";
    default:
        return "{\"wkb\":\"AQEAAAA=\",\"srid\":4326}";
    }
}

static const char *any_number(void)
{
    static const char *const numbers[] = {"0.1",    "-1e-300",           "1.7976931348623157E308",
                                          "NaN",    "Infinity",          "-Infinity",
                                          "5e-324", "12345.678901234567"};
    return numbers[any() % 8];
}

/* In Avro there is no field that is left out: what says so has to be a value of the type. */
static bool may_be_absent(const struct world *world, const struct sample *sample)
{
    return !in_avro(world) || sample->kind == VALUE_TEXT || sample->type == SEM_BYTES ||
           sample->type == SEM_ARRAY || sample->type == SEM_MAP;
}

static struct value any_value(struct world *world, const struct sample *sample)
{
    struct arena *arena = &world->batch->arena;
    struct value value = {.kind = (uint8_t) sample->kind};
    unsigned dice = (unsigned) (any() % 8);
    if (sample != samples && dice < 2)
        return (struct value){.kind = dice || !may_be_absent(world, sample) ? VALUE_NULL
                                                                            : VALUE_ABSENT};
    if (value.kind == VALUE_BOOL) {
        value.integer = (int64_t) (any() % 2);
    } else if (value.kind == VALUE_INT) {
        value.integer = any_integer(sample->type);
    } else if (value.kind == VALUE_BYTES) {
        int most = sample->type == SEM_DECIMAL ? sample->length / 3 : 20;
        value.length = (uint32_t) (1 + any() % (unsigned) most);
        char *bytes = arena_alloc(arena, value.length);
        for (uint32_t i = 0; i < value.length; i++)
            bytes[i] = (char) any();
        value.bytes = bytes;
    } else {
        value.bytes = value.kind == VALUE_TEXT   ? any_text(arena, any() % TEXT_MAX)
                      : value.kind == VALUE_JSON ? any_json(sample->type)
                                                 : any_number();
        value.length = (uint32_t) strlen(value.bytes);
    }
    return value;
}

/* --- there and back ------------------------------------------------------------------------- */

static const struct change *decode(struct world *world, const struct buffer *key,
                                   const struct buffer *bytes)
{
    struct error error;
    error_init(&error);
    struct record *record = batch_add_record(world->batch);
    *record = (struct record){.topic = "t",
                              .offset = 1,
                              .timestamp_ms = 5,
                              .key = key->bytes,
                              .key_length = key->length,
                              .value = bytes->bytes,
                              .value_length = bytes->length};
    if (world->decoder->ops->decode(world->decoder, world->batch, 0, &error) != ODS_OK)
        fail_msg("%s in\n%.*s", error.text, (int) bytes->length, bytes->bytes);
    assert_int_equal(world->batch->change_count, 1);
    return &world->batch->changes[0];
}

static void same_column(const struct column *a, const struct column *b)
{
    assert_string_equal(a->name, b->name);
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->length, b->length);
    assert_int_equal(a->scale, b->scale);
    assert_int_equal(a->optional, b->optional);
    assert_string_equal(a->source_type ? a->source_type : "", b->source_type ? b->source_type : "");
    assert_string_equal(a->allowed ? a->allowed : "", b->allowed ? b->allowed : "");
}

static void same_real(const struct value *wrote, const struct value *read)
{
    char text[40];
    snprintf(text, sizeof text, "%.*s", (int) wrote->length, wrote->bytes);
    double real = strtod(text, NULL);
    assert_int_equal(read->kind, VALUE_DOUBLE);
    if (memcmp(&real, &read->real, sizeof real) != 0 && !(isnan(real) && isnan(read->real)))
        fail_msg("%s is %.17g", text, read->real);
}

static void same_row(const struct world *world, const struct shape *shape,
                     const struct value *wrote, const struct value *read)
{
    for (uint32_t i = 0; i < COLUMNS; i++) {
        int at = shape_column(shape, world->names[i], strlen(world->names[i]));
        if (at < 0) {
            assert_int_equal(wrote[i].kind, VALUE_ABSENT);
            continue;
        }
        if (world->shape->typed)
            same_column(&world->shape->columns[i], &shape->columns[at]);
        if (wrote[i].kind == VALUE_BYTES && !world->shape->typed)
            continue; /* base64, which nothing tells */
        if (wrote[i].kind == VALUE_NUMBER && wrote[i].bytes[wrote[i].length - 1] > '9' &&
            !world->shape->typed)
            continue; /* likewise NaN */
        if (in_avro(world) && wrote[i].kind == VALUE_NUMBER) {
            same_real(&wrote[i], &read[at]);
            continue;
        }
        if (!value_same(&wrote[i], &read[at]))
            fail_msg("column %u (%s): kind %d is %d", i, semantic_name(samples[i].type),
                     wrote[i].kind, read[at].kind);
    }
}

static void round_trip(struct world *world)
{
    struct value after[COLUMNS], before[COLUMNS];
    const struct form_plan *plan = NULL;
    struct buffer key = {0}, bytes = {0};
    struct error error;
    error_init(&error);
    for (size_t i = 0; i < COLUMNS; i++) {
        after[i] = any_value(world, &samples[i]);
        before[i] = any_value(world, &samples[i]);
    }
    before[0] = after[0];
    const struct form_value value = {.op = OP_UPDATE,
                                     .before = before,
                                     .after = after,
                                     .source_us = INT64_C(1760000000123456),
                                     .record_ms = 7};
    assert_int_equal(form_plan(&world->form, world->shape, &plan, &error), ODS_OK);
    keep_schemas(world, plan);
    put_head(world, &key, 1);
    put_head(world, &bytes, 2);
    assert_int_equal(form_put_key(&world->form, plan, after, &key, &error), ODS_OK);
    if (form_put_value(&world->form, plan, &value, &bytes, &error) != ODS_OK)
        fail_msg("%s", error.text);
    const struct change *change = decode(world, &key, &bytes);
    assert_int_equal(change->op, OP_UPDATE);
    assert_string_equal(change->shape->table, "items");
    assert_string_equal(change->shape->database, "shop");
    assert_int_equal(change->shape->typed, world->shape->typed);
    assert_int_equal(change->source_us / 1000, INT64_C(1760000000123));
    same_row(world, change->shape, after, change->after);
    if (world->settings.form == KAFKA_ENVELOPE)
        same_row(world, change->shape, before, change->before);
    buffer_done(&key);
    buffer_done(&bytes);
    batch_reset(world->batch);
}

static void round_trips(enum kafka_encoding encoding, enum kafka_form form, bool typed)
{
    struct world world;
    world_init(&world, encoding, form, typed);
    for (int i = 0; i < ROWS; i++)
        round_trip(&world);
    world_done(&world);
}

static void envelopes(void **test)
{
    round_trips(KAFKA_JSON, KAFKA_ENVELOPE, true);
}

static void envelopes_without_schema(void **test)
{
    round_trips(KAFKA_JSON, KAFKA_ENVELOPE, false);
}

static void flattened_rows(void **test)
{
    round_trips(KAFKA_JSON, KAFKA_FLATTENED, true);
}

static void envelopes_in_avro(void **test)
{
    round_trips(KAFKA_AVRO, KAFKA_ENVELOPE, true);
}

static void flattened_rows_in_avro(void **test)
{
    round_trips(KAFKA_AVRO, KAFKA_FLATTENED, true);
}

/* --- columns without a type ----------------------------------------------------------------- */

/* Declared by their values; a second kind makes texts of them. */
static void untyped_columns(void **test)
{
    struct world world;
    struct error error;
    static const struct column columns[] = {
        {.name = "id", .name_length = 2, .type = SEM_INT32, .length = -1, .scale = INT32_MIN},
        {.name = "flag", .name_length = 4, .length = -1, .scale = INT32_MIN, .optional = true}};
    static const uint32_t key[] = {0};
    const struct value values[] = {{.kind = VALUE_INT, .integer = 7},
                                   {.kind = VALUE_NUMBER, .length = 3, .bytes = "1.5"},
                                   {.kind = VALUE_INT, .integer = 8},
                                   {.kind = VALUE_NULL}};
    static const char *const wanted[] = {"\"flag\":7", "\"flag\":\"1.5\"", "\"flag\":\"8\"",
                                         "\"flag\":null"};
    static const char *const declared[] = {"\"int64\"", "\"string\"", "\"string\"", "\"string\""};
    error_init(&error);
    world_init(&world, KAFKA_JSON, KAFKA_FLATTENED, true);
    const struct shape candidate = {.topic = "t",
                                    .database = "",
                                    .schema = "",
                                    .table = "items",
                                    .connector = "",
                                    .typed = true,
                                    .column_count = 2,
                                    .columns = columns,
                                    .key_count = 1,
                                    .key = key};
    const struct shape *shape = shape_intern(world.shapes, &candidate);
    for (size_t i = 0; i < 4; i++) {
        const struct value row[] = {{.kind = VALUE_INT, .integer = 1}, values[i]};
        const struct form_value value = {.op = OP_CREATE, .after = row, .source_us = INT64_MIN};
        const struct form_plan *plan = NULL;
        struct buffer out = {0};
        assert_int_equal(form_plan(&world.form, shape, &plan, &error), ODS_OK);
        assert_int_equal(form_put_value(&world.form, plan, &value, &out, &error), ODS_OK);
        assert_non_null(strstr(buffer_text(&out), wanted[i]));
        char field[100];
        snprintf(field, sizeof field, "{\"type\":%s,\"optional\":true,\"field\":\"flag\"}",
                 declared[i]);
        assert_non_null(strstr(buffer_text(&out), field));
        buffer_done(&out);
    }
    world_done(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(envelopes),
        cmocka_unit_test(envelopes_without_schema),
        cmocka_unit_test(flattened_rows),
        cmocka_unit_test(envelopes_in_avro),
        cmocka_unit_test(flattened_rows_in_avro),
        cmocka_unit_test(untyped_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
