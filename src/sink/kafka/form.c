/* See form.h. All that a shape decides is written out once, in its plan (form_plan.c): names of
 * columns as tokens, the Connect schema, what stands in `source`. Then a change costs one pass over
 * its values.
 *
 * In envelopes and flattened rows values stand as a Debezium record has them: days and microseconds
 * as numbers, bytes and decimals as base64; a plain row has them as ods/json.h says. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/json.h>

#include "core/base64.h"
#include "sink/kafka/connect_type.h"
#include "sink/kafka/form_room.h"

#define PLACEHOLDER "__debezium_unavailable_value"

enum ods_status form_init(struct form *form, const struct kafka_target_settings *settings,
                          const struct pipeline_settings *pipeline, struct error *error)
{
    const char *placeholder = pipeline->source.unavailable_value;
    *form = (struct form){.settings = settings, .pipeline = pipeline};
    if (!placeholder || !*placeholder || strncmp(placeholder, "hex:", 4) == 0)
        placeholder = PLACEHOLDER;
    form->placeholder = placeholder;
    size_t length = strlen(placeholder);
    json_quote(&form->unavailable, placeholder, length);
    buffer_puts(&form->unavailable_base64, "\"");
    char *base64 = buffer_take(&form->unavailable_base64, BASE64_ENCODED(length));
    if (base64)
        base64_encode(placeholder, length, base64);
    buffer_puts(&form->unavailable_base64, "\"");
    return form->unavailable.failed || form->unavailable_base64.failed ? error_out_of_memory(error)
                                                                       : ODS_OK;
}

void form_done(struct form *form)
{
    form_forget_plans(form);
    free(form->plans);
    buffer_done(&form->unavailable);
    buffer_done(&form->unavailable_base64);
    *form = (struct form){0};
}

/* --- values ------------------------------------------------------------------------------- */

static void put_integer(struct buffer *out, int64_t value)
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t) value : (uint64_t) value;
    do
        *--at = (char) ('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *--at = '-';
    buffer_add(out, at, (size_t) (digits + sizeof digits - at));
}

/* The shortest digits that are read as the same number. */
static void put_real(struct buffer *out, double value)
{
    char digits[40];
    if (isnan(value) || isinf(value)) {
        buffer_puts(out, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
        return;
    }
    for (int precision = 15; precision <= 17; precision++) {
        snprintf(digits, sizeof digits, "%.*g", precision, value);
        if (strtod(digits, NULL) == value)
            break;
    }
    buffer_puts(out, digits);
}

static void put_base64(struct buffer *out, const struct value *value)
{
    size_t length = BASE64_ENCODED(value->length);
    char *at = buffer_take(out, length + 2);
    if (!at)
        return;
    *at = at[length + 1] = '"';
    base64_encode(value->bytes, value->length, at + 1);
}

/* As a Debezium record has it. */
static void put_wire(struct buffer *out, const struct value *value)
{
    switch ((enum value_kind) value->kind) {
    case VALUE_ABSENT:
    case VALUE_NULL:
        buffer_puts(out, "null");
        break;
    case VALUE_BOOL:
        buffer_puts(out, value->integer ? "true" : "false");
        break;
    case VALUE_INT:
        put_integer(out, value->integer);
        break;
    case VALUE_DOUBLE:
        put_real(out, value->real);
        break;
    case VALUE_NUMBER: {
        char last = value->length ? value->bytes[value->length - 1] : 'N';
        bool digits = last >= '0' && last <= '9';
        if (digits)
            buffer_add(out, value->bytes, value->length);
        else
            json_quote(out, value->bytes, value->length);
        break;
    }
    case VALUE_TEXT:
        json_quote(out, value->bytes, value->length);
        break;
    case VALUE_BYTES:
        put_base64(out, value);
        break;
    case VALUE_JSON:
        buffer_add(out, value->bytes, value->length);
        break;
    }
}

/* A value of a column without a type that is declared as a text. */
static void put_as_text(struct buffer *out, const struct value *value)
{
    size_t start = out->length;
    put_wire(out, value);
    if (out->failed || value->kind == VALUE_NULL || value->kind == VALUE_TEXT ||
        value->kind == VALUE_BYTES || out->bytes[start] == '"')
        return;
    struct buffer text;
    buffer_init(&text);
    buffer_add(&text, out->bytes + start, out->length - start);
    out->length = start;
    json_quote(out, text.bytes, text.length);
    out->failed |= text.failed;
    buffer_done(&text);
}

static const char *base_of_value(const struct value *value)
{
    return value->kind == VALUE_BOOL ? "boolean" : value->kind == VALUE_INT ? "int64" : "string";
}

/* Declares a column without a type as its value is, or as a text where that does not hold for this
 * one. True: the schema is another one now. */
static bool redeclare(struct form_plan *plan, const struct value *values)
{
    bool changed = false;
    for (uint32_t i = 0; values && i < plan->shape->column_count; i++) {
        struct form_column *column = &plan->columns[i];
        if (!column->untyped || values[i].kind <= VALUE_NULL)
            continue;
        const char *base = base_of_value(&values[i]);
        if (column->base && (strcmp(column->base, base) == 0 || *column->base == 's'))
            continue;
        column->base = column->base ? "string" : base;
        changed = true;
    }
    return changed;
}

/* base: as which the column is declared, where it is. */
static enum ods_status put_value(const struct form *form, const struct form_plan *plan, uint32_t at,
                                 const char *base, const struct value *value, struct buffer *out,
                                 struct error *error)
{
    if (form->settings->form == KAFKA_PLAIN)
        return json_value(out, &plan->shape->columns[at], value, error);
    if (plan->declared && plan->columns[at].untyped && *base == 's')
        put_as_text(out, value);
    else
        put_wire(out, value);
    return ODS_OK;
}

/* What Debezium writes for a large value that an update does not carry; NULL: it is left out, since
 * a plain row has nothing of that kind, or a schema gives the column a type that can't hold it. */
static const struct buffer *unavailable(const struct form *form, const struct form_plan *plan,
                                        uint32_t at)
{
    const char *base = plan->columns[at].base;
    if (form->settings->form == KAFKA_PLAIN)
        return NULL;
    if (!plan->declared || (base && strcmp(base, "string") == 0))
        return &form->unavailable;
    return connect_is_bytes(&plan->shape->columns[at]) ? &form->unavailable_base64 : NULL;
}

/* The members of an image, each with a comma before it but the first. */
static enum ods_status put_members(const struct form *form, const struct form_plan *plan,
                                   const struct value *values, bool whole, struct buffer *out,
                                   bool *any, struct error *error)
{
    for (uint32_t i = 0; i < plan->shape->column_count; i++) {
        const struct form_column *column = &plan->columns[i];
        const struct buffer *stands =
            values[i].kind == VALUE_ABSENT && whole ? unavailable(form, plan, i) : NULL;
        if (!column->token || (values[i].kind == VALUE_ABSENT && !stands))
            continue;
        buffer_add(out, column->token + !*any, column->token_length - !*any);
        *any = true;
        enum ods_status status = ODS_OK;
        if (stands)
            buffer_add(out, stands->bytes, stands->length);
        else
            status = put_value(form, plan, i, form_base(plan, i), &values[i], out, error);
        if (status != ODS_OK)
            return status;
    }
    return ODS_OK;
}

static enum ods_status put_image(const struct form *form, const struct form_plan *plan,
                                 const struct value *values, bool whole, struct buffer *out,
                                 struct error *error)
{
    bool any = false;
    if (!values) {
        buffer_puts(out, "null");
        return ODS_OK;
    }
    buffer_puts(out, "{");
    enum ods_status status = put_members(form, plan, values, whole, out, &any, error);
    buffer_puts(out, "}");
    return status;
}

/* In a key a column without a type is declared as this value of it is, whatever came before: a row
 * has the same key always. False: memory is out. */
static bool declare_key(const struct form *form, struct form_plan *plan, const struct value *row)
{
    bool changed = false;
    for (uint32_t i = 0; i < plan->key_count; i++) {
        struct form_column *column = &plan->columns[plan->key[i]];
        const char *base = base_of_value(&row[plan->key[i]]);
        if (!column->untyped || strcmp(form_key_base(plan, plan->key[i]), base) == 0)
            continue;
        column->key_base = base;
        changed = true;
    }
    return !changed || form_write_key_schema(form, plan);
}

enum ods_status form_put_key(const struct form *form, const struct form_plan *plan,
                             const struct value *row, struct buffer *out, struct error *error)
{
    const struct shape *shape = plan->shape;
    if (plan->avro)
        return form_avro_put_key(form, plan, row, out, error);
    if (plan->declared) {
        if (row && !declare_key(form, form->plans[shape->id], row))
            return error_out_of_memory(error);
        buffer_add(out, plan->key_schema.bytes, plan->key_schema.length);
    }
    buffer_puts(out, "{");
    for (uint32_t i = 0; i < plan->key_count; i++) {
        uint32_t at = plan->key[i];
        const char *name = form_shown_name(plan, at);
        if (!row || row[at].kind == VALUE_ABSENT)
            return error_set(error, ODS_REJECT, "key column %s is not carried",
                             shape->columns[at].name);
        buffer_puts(out, i ? "," : "");
        name = name ? name : shape->columns[at].name;
        json_quote(out, name, strlen(name));
        buffer_puts(out, ":");
        enum ods_status status =
            put_value(form, plan, at, form_key_base(plan, at), &row[at], out, error);
        if (status != ODS_OK)
            return status;
    }
    buffer_puts(out, plan->declared ? "}}" : "}");
    return out->failed ? error_out_of_memory(error) : ODS_OK;
}

static void put_ms(struct buffer *out, int64_t ms, bool known)
{
    if (known)
        put_integer(out, ms);
    else
        buffer_puts(out, "null");
}

static int64_t floor_ms(int64_t us)
{
    return us / 1000 - (us % 1000 < 0);
}

static enum ods_status put_envelope(const struct form *form, const struct form_plan *plan,
                                    const struct form_value *value, struct buffer *out,
                                    struct error *error)
{
    const struct buffer *source = &plan->source;
    buffer_puts(out, "{\"before\":");
    /* Without a schema both images have the same columns. */
    bool both = value->before && value->after && !plan->declared;
    enum ods_status status = put_image(form, plan, value->before, both, out, error);
    buffer_puts(out, ",\"after\":");
    if (status == ODS_OK)
        status = put_image(form, plan, value->after, true, out, error);
    buffer_puts(out, ",");
    buffer_add(out, source->bytes, plan->source_split);
    put_ms(out, floor_ms(value->source_us), value->source_us != INT64_MIN);
    buffer_puts(out, value->op == OP_READ ? ",\"snapshot\":\"true\"" : ",\"snapshot\":\"false\"");
    buffer_add(out, source->bytes + plan->source_split, source->length - plan->source_split);
    buffer_puts(out, "},\"op\":\"");
    buffer_add(out, &(char){(char) value->op}, 1);
    buffer_puts(out, "\",\"ts_ms\":");
    put_ms(out, value->record_ms, value->record_ms >= 0);
    buffer_puts(out, "}");
    return status;
}

static enum ods_status put_flattened(const struct form *form, const struct form_plan *plan,
                                     const struct form_value *value, struct buffer *out,
                                     struct error *error)
{
    const struct value *row = value->after ? value->after : value->before;
    bool any = false;
    enum ods_status status = ODS_OK;
    buffer_puts(out, "{");
    if (row)
        status = put_members(form, plan, row, row == value->after, out, &any, error);
    buffer_puts(out, any ? ",\"__op\":\"" : "\"__op\":\"");
    buffer_add(out, &(char){(char) value->op}, 1);
    buffer_puts(out, "\"");
    buffer_add(out, plan->source.bytes, plan->source.length);
    buffer_puts(out, ",\"__source_ts_ms\":");
    put_ms(out, floor_ms(value->source_us), value->source_us != INT64_MIN);
    buffer_puts(out,
                value->op == OP_DELETE ? ",\"__deleted\":\"true\"}" : ",\"__deleted\":\"false\"}");
    return status;
}

static enum ods_status put_plain(const struct form *form, const struct form_plan *plan,
                                 const struct form_value *value, struct buffer *out,
                                 struct error *error)
{
    const struct value *row = value->after ? value->after : value->before;
    const char *op_field = form->settings->op_field;
    bool any = false;
    enum ods_status status = ODS_OK;
    buffer_puts(out, "{");
    if (row)
        status = put_members(form, plan, row, row == value->after, out, &any, error);
    if (*op_field) {
        buffer_puts(out, any ? "," : "");
        json_quote(out, op_field, strlen(op_field));
        buffer_printf(out, ":\"%c\"", (char) value->op);
    }
    buffer_puts(out, "}");
    return status;
}

enum ods_status form_put_value(struct form *form, const struct form_plan *plan,
                               const struct form_value *value, struct buffer *out,
                               struct error *error)
{
    struct form_plan *own = form->plans[plan->shape->id];
    enum ods_status status;
    if (plan->avro)
        return form_avro_put_value(form, plan, value, out, error);
    if (own->declared) {
        bool changed = redeclare(own, value->before);
        changed |= redeclare(own, value->after);
        if (changed && !form_write_schemas(form, own))
            return error_out_of_memory(error);
        buffer_add(out, plan->value_schema.bytes, plan->value_schema.length);
    }
    switch (form->settings->form) {
    case KAFKA_ENVELOPE:
        status = put_envelope(form, plan, value, out, error);
        break;
    case KAFKA_FLATTENED:
        status = put_flattened(form, plan, value, out, error);
        break;
    default:
        status = put_plain(form, plan, value, out, error);
        break;
    }
    if (plan->declared)
        buffer_puts(out, "}");
    if (status == ODS_OK && out->failed)
        status = error_out_of_memory(error);
    return status;
}
