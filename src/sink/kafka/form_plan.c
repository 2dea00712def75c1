/* Plans: what a shape decides of its records, written out once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/json.h>
#include <ods/lines.h>
#include <ods/shape.h>

#include "format/avro/avro_write.h"
#include "sink/kafka/connect_type.h"
#include "sink/kafka/form_room.h"

#define PLANS_BYTES_MAX ((size_t) 64 * 1024 * 1024)

static void plan_free(struct form_plan *plan)
{
    if (!plan)
        return;
    buffer_done(&plan->tokens);
    buffer_done(&plan->value_schema);
    buffer_done(&plan->key_schema);
    buffer_done(&plan->source);
    form_avro_free(plan->avro);
    free(plan->columns);
    free(plan->key);
    free(plan);
}

void form_forget_plans(struct form *form)
{
    for (size_t i = 0; i < form->plan_count; i++) {
        plan_free(form->plans[i]);
        form->plans[i] = NULL;
    }
    form->bytes = 0;
}

/* Names as tokens. Their pointers are set when the buffer does not grow any more. */
static bool name_columns(struct form_plan *plan)
{
    const struct shape *shape = plan->shape;
    for (uint32_t i = 0; i < shape->column_count; i++) {
        const char *name = lines_column(plan->table, shape->columns[i].name);
        size_t start = plan->tokens.length;
        if (!name)
            continue;
        buffer_puts(&plan->tokens, ",");
        json_quote(&plan->tokens, name, strlen(name));
        buffer_puts(&plan->tokens, ":");
        plan->columns[i].token_length = plan->tokens.length - start;
    }
    const char *at = plan->tokens.bytes;
    for (uint32_t i = 0; !plan->tokens.failed && i < shape->column_count; i++) {
        plan->columns[i].token = plan->columns[i].token_length ? at : NULL;
        at += plan->columns[i].token_length;
    }
    return !plan->tokens.failed;
}

static bool find_key(struct form_plan *plan)
{
    const struct shape *shape = plan->shape;
    const struct strings *told = &plan->table->key;
    plan->key_count = told->count ? (uint32_t) told->count : shape->key_count;
    plan->key = malloc((plan->key_count + 1) * sizeof *plan->key);
    for (uint32_t i = 0; plan->key && i < plan->key_count; i++) {
        int found = told->count ? shape_column(shape, told->items[i], strlen(told->items[i]))
                                : (int) shape->key[i];
        if (found < 0)
            plan->missing = told->items[i];
        plan->key[i] = found < 0 ? 0 : (uint32_t) found;
    }
    return plan->key;
}

/* Can each column be declared? Those without a type are, by their first value. */
static void declare(struct form_plan *plan, const struct kafka_target_settings *settings)
{
    const struct shape *shape = plan->shape;
    plan->declared = settings->schemas && settings->form != KAFKA_PLAIN && shape->typed &&
                     !shape->literal && settings->encoding == KAFKA_JSON;
    for (uint32_t i = 0; i < shape->column_count; i++) {
        const struct column *column = &shape->columns[i];
        if (!plan->columns[i].token)
            continue;
        plan->columns[i].base = connect_base(column);
        plan->columns[i].untyped = column->type == SEM_UNKNOWN;
        plan->declared &= plan->columns[i].base || plan->columns[i].untyped;
    }
}

const char *form_shown_name(const struct form_plan *plan, uint32_t column)
{
    return lines_column(plan->table, plan->shape->columns[column].name);
}

static bool put_row_fields(struct buffer *out, const struct form_plan *plan)
{
    bool any = false;
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        if (!plan->columns[i].token)
            continue;
        buffer_puts(out, any ? "," : "");
        connect_put_field(out, &plan->shape->columns[i], form_base(plan, i),
                          form_shown_name(plan, i));
        any = true;
    }
    return any;
}

/* Debezium's names of a table's schemas: <server>.<database or schema>.<table>.<what> */
static void put_schema_name(struct buffer *out, const struct form *form,
                            const struct form_plan *plan, const char *what)
{
    const struct shape *shape = plan->shape;
    struct buffer name;
    buffer_init(&name);
    buffer_puts(&name, form->pipeline->name);
    if (*shape->schema || *shape->database)
        buffer_printf(&name, ".%s", *shape->schema ? shape->schema : shape->database);
    buffer_printf(&name, ".%s.%s", shape->table, what);
    buffer_puts(out, ",\"name\":");
    json_quote(out, buffer_text(&name), name.length);
    out->failed |= name.failed;
    buffer_done(&name);
}

struct plain_field {
    const char *type, *name;
    bool optional;
};

static const struct plain_field source_fields[] = {
    {"string", "version", false}, {"string", "connector", false}, {"string", "name", false},
    {"int64", "ts_ms", true},     {"string", "snapshot", true},   {"string", "db", true},
    {"string", "schema", true},   {"string", "table", false},     {NULL, NULL, false},
};

static const struct plain_field envelope_fields[] = {
    {"string", "op", false}, {"int64", "ts_ms", true}, {NULL, NULL, false}};

static const struct plain_field flattened_fields[] = {
    {"string", "__op", true},    {"string", "__db", true},          {"string", "__schema", true},
    {"string", "__table", true}, {"int64", "__source_ts_ms", true}, {"string", "__deleted", true},
    {NULL, NULL, false},
};

static void put_fields(struct buffer *out, const struct plain_field *fields, bool first)
{
    for (; fields->name; fields++, first = false)
        buffer_printf(out, "%s{\"type\":\"%s\",\"optional\":%s,\"field\":\"%s\"}", first ? "" : ",",
                      fields->type, fields->optional ? "true" : "false", fields->name);
}

static void put_envelope_schema(struct buffer *out, const struct form *form,
                                const struct form_plan *plan)
{
    static const char *const images[] = {"before", "after"};
    const char *connector = plan->shape->connector;
    buffer_puts(out, "{\"type\":\"struct\",\"fields\":[");
    for (size_t i = 0; i < 2; i++) {
        buffer_puts(out, "{\"type\":\"struct\",\"fields\":[");
        put_row_fields(out, plan);
        buffer_puts(out, "],\"optional\":true");
        put_schema_name(out, form, plan, "Value");
        buffer_printf(out, ",\"field\":\"%s\"},", images[i]);
    }
    buffer_puts(out, "{\"type\":\"struct\",\"fields\":[");
    put_fields(out, source_fields, true);
    buffer_puts(out, "],\"optional\":false,");
    /* Records in Avro have names. */
    if (form->settings->encoding == KAFKA_AVRO)
        buffer_printf(out, "\"name\":\"io.debezium.connector.%s%sSource\",",
                      avro_name_is_good(connector) ? connector : "",
                      avro_name_is_good(connector) ? "." : "");
    buffer_puts(out, "\"field\":\"source\"}");
    put_fields(out, envelope_fields, false);
    buffer_puts(out, "],\"optional\":false");
    put_schema_name(out, form, plan, "Envelope");
    buffer_puts(out, ",\"version\":2}");
}

/* Flattened and plain rows. */
static void put_row_schema(struct buffer *out, const struct form *form,
                           const struct form_plan *plan)
{
    const char *op_field = form->settings->op_field;
    buffer_puts(out, "{\"type\":\"struct\",\"fields\":[");
    bool any = put_row_fields(out, plan);
    if (form->settings->form == KAFKA_FLATTENED) {
        put_fields(out, flattened_fields, !any);
    } else if (*op_field) {
        buffer_printf(out, "%s{\"type\":\"string\",\"optional\":false,\"field\":", any ? "," : "");
        json_quote(out, op_field, strlen(op_field));
        buffer_puts(out, "}");
    }
    buffer_puts(out, "],\"optional\":false");
    put_schema_name(out, form, plan, "Value");
    buffer_puts(out, "}");
}

void form_put_value_schema(struct buffer *out, const struct form *form,
                           const struct form_plan *plan)
{
    if (form->settings->form == KAFKA_ENVELOPE)
        put_envelope_schema(out, form, plan);
    else
        put_row_schema(out, form, plan);
}

/* A key in Avro bears its schema's id, by which its bytes and their hash change: so no more stands
 * in that schema than what its values are. */
static struct column bare_column(const struct form *form, const struct column *column)
{
    struct column bare = *column;
    if (form->settings->encoding != KAFKA_AVRO)
        return bare;
    bare.source_type = bare.default_json = bare.allowed = NULL;
    if (bare.type != SEM_DECIMAL && bare.type != SEM_BITS) {
        bare.length = -1;
        bare.scale = INT32_MIN;
    }
    return bare;
}

void form_put_key_schema(struct buffer *out, const struct form *form,
                         const struct form_plan *plan)
{
    buffer_puts(out, "{\"type\":\"struct\",\"fields\":[");
    for (uint32_t i = 0; !plan->missing && i < plan->key_count; i++) {
        uint32_t at = plan->key[i];
        const char *name = form_shown_name(plan, at);
        const struct column column = bare_column(form, &plan->shape->columns[at]);
        buffer_puts(out, i ? "," : "");
        connect_put_field(out, &column, form_key_base(plan, at), name ? name : column.name);
    }
    buffer_puts(out, "],\"optional\":false");
    put_schema_name(out, form, plan, "Key");
    buffer_puts(out, "}");
}

bool form_write_key_schema(const struct form *form, struct form_plan *plan)
{
    buffer_reset(&plan->key_schema);
    if (!plan->declared)
        return true;
    buffer_puts(&plan->key_schema, "{\"schema\":");
    form_put_key_schema(&plan->key_schema, form, plan);
    buffer_puts(&plan->key_schema, ",\"payload\":");
    return !plan->key_schema.failed;
}

bool form_write_schemas(const struct form *form, struct form_plan *plan)
{
    buffer_reset(&plan->value_schema);
    if (!plan->declared)
        return true;
    buffer_puts(&plan->value_schema, "{\"schema\":");
    form_put_value_schema(&plan->value_schema, form, plan);
    buffer_puts(&plan->value_schema, ",\"payload\":");
    return !plan->value_schema.failed;
}

static void put_text(struct buffer *out, const char *name, const char *text)
{
    buffer_printf(out, ",\"%s\":", name);
    if (*text)
        json_quote(out, text, strlen(text));
    else
        buffer_puts(out, "null");
}

static bool write_source(const struct form *form, struct form_plan *plan)
{
    const struct shape *shape = plan->shape;
    struct buffer *out = &plan->source;
    bool envelope = form->settings->form == KAFKA_ENVELOPE;
    if (envelope) {
        buffer_puts(out, "\"source\":{\"version\":\"ods-sink " ODS_VERSION "\",\"connector\":");
        json_quote(out, shape->connector, strlen(shape->connector));
        put_text(out, "name", form->pipeline->name);
        buffer_puts(out, ",\"ts_ms\":");
        plan->source_split = out->length;
    }
    put_text(out, envelope ? "db" : "__db", shape->database);
    put_text(out, envelope ? "schema" : "__schema", shape->schema);
    put_text(out, envelope ? "table" : "__table", shape->table);
    return !out->failed;
}

static struct form_plan *make_plan(const struct form *form, const struct shape *shape,
                                   struct error *error)
{
    struct form_plan *plan = calloc(1, sizeof *plan);
    if (!plan)
        return NULL;
    plan->shape = shape;
    plan->table = lines_table(form->pipeline, shape);
    plan->columns = calloc(shape->column_count + 1, sizeof *plan->columns);
    if (!plan->columns || !name_columns(plan) || !find_key(plan)) {
        plan_free(plan);
        return NULL;
    }
    declare(plan, form->settings);
    for (uint32_t i = 0; *form->settings->op_field && i < shape->column_count; i++)
        plan->has_op_field |= plan->columns[i].token &&
                              strcmp(form_shown_name(plan, i), form->settings->op_field) == 0;
    if (!write_source(form, plan) || !form_write_schemas(form, plan) ||
        !form_write_key_schema(form, plan) || form_avro_plan(form, plan, error) == ODS_RETRY) {
        plan_free(plan);
        return NULL;
    }
    plan->bytes = sizeof *plan + plan->tokens.capacity + plan->value_schema.capacity +
                  plan->key_schema.capacity + plan->source.capacity +
                  shape->column_count * sizeof *plan->columns + form_avro_bytes(plan->avro);
    return plan;
}

static bool make_room(struct form *form, size_t id)
{
    size_t count = form->plan_count ? form->plan_count : 64;
    while (count <= id)
        count *= 2;
    if (count == form->plan_count)
        return true;
    struct form_plan **grown = realloc(form->plans, count * sizeof *grown);
    if (!grown)
        return false;
    memset(grown + form->plan_count, 0, (count - form->plan_count) * sizeof *grown);
    form->plans = grown;
    form->plan_count = count;
    return true;
}

static enum ods_status check_plan(const struct form *form, const struct form_plan *plan,
                                  struct error *error)
{
    /* A truncate has no row, and no key. */
    if (!kafka_keeps_key(form->settings) && plan->missing && form_has_columns(plan))
        return error_set(error, ODS_REJECT, "key column %s is not in the row", plan->missing);
    if (plan->has_op_field)
        return error_set(error, ODS_REJECT, "the row has a column %s, as op_field is called",
                         form->settings->op_field);
    return form_avro_refusal(plan, error);
}

enum ods_status form_plan(struct form *form, const struct shape *shape,
                          const struct form_plan **plan, struct error *error)
{
    if (!make_room(form, shape->id))
        return error_out_of_memory(error);
    struct form_plan **slot = &form->plans[shape->id];
    if (!*slot) {
        if (form->bytes > PLANS_BYTES_MAX)
            form_forget_plans(form);
        *slot = make_plan(form, shape, error);
        if (!*slot)
            return error_out_of_memory(error);
        form->bytes += (*slot)->bytes;
    }
    *plan = *slot;
    return check_plan(form, *slot, error);
}

const char *form_table_name(const struct form_plan *plan, char *room, size_t size)
{
    const struct shape *shape = plan->shape;
    const char *space = *shape->schema ? shape->schema : shape->database;
    snprintf(room, size, "%.200s%s%.200s", space, *space ? "." : "", shape->table);
    return room;
}

bool form_has_columns(const struct form_plan *plan)
{
    return plan->shape->column_count > 0;
}

const struct table_settings *form_table(const struct form_plan *plan)
{
    return plan->table;
}

const uint32_t *form_key(const struct form_plan *plan, uint32_t *count)
{
    *count = plan->key_count;
    return plan->key;
}
