/* Rows in Avro. Their schema is what Kafka Connect's Avro converters make of the one that records
 * in JSON have around them (avro_of_connect()); what stands in a record is in the same order as
 * there.
 *
 * A column without a type is a string, whatever its values are: a schema that followed them would
 * change as the data does, and its subject would refuse that. So is one whose type Connect has no
 * words for, with its JSON as text. A transform `cast` gives a column a type. */
#include <stdlib.h>
#include <string.h>

#include "core/utf8.h"
#include "format/avro/avro_write.h"
#include "sink/kafka/form_room.h"

struct form_avro {
    struct form_schema key, value;
    const struct avro_type *row; /* of an image: the record with the columns */
    struct buffer source;        /* what is the same in each record's source, or behind each row, */
    size_t source_split;         /* with its time in between */
    bool refused;                /* rows can't be said in Avro: */
    char why[400];
};

/* --- plans -------------------------------------------------------------------------------- */

void form_avro_free(struct form_avro *avro)
{
    if (!avro)
        return;
    avro_schema_done(&avro->key.avro);
    avro_schema_done(&avro->value.avro);
    buffer_done(&avro->key.text);
    buffer_done(&avro->value.text);
    buffer_done(&avro->source);
    free(avro);
}

size_t form_avro_bytes(const struct form_avro *avro)
{
    return avro ? sizeof *avro + avro->key.text.capacity + avro->value.text.capacity +
                      avro->key.avro.blocks.bytes + avro->value.avro.blocks.bytes
                : 0;
}

static enum ods_status make_schema(const struct form *form, struct form_schema *schema,
                                   const struct buffer *connect, struct error *error)
{
    bool logical = form->settings->form == KAFKA_PLAIN;
    if (connect->failed)
        return error_out_of_memory(error);
    enum ods_status status =
        avro_of_connect(&schema->text, connect->bytes, connect->length, logical, error);
    const struct slice text = {schema->text.bytes, schema->text.length};
    if (status == ODS_OK)
        status = avro_schema_parse(&schema->avro, &text, 1, error);
    avro_schema_forget_texts(&schema->avro);
    return status;
}

/* A text that is null where there is none. */
static void put_optional_text(struct buffer *out, const char *text)
{
    avro_put_long(out, *text != '\0');
    if (*text)
        avro_put_bytes(out, text, strlen(text));
}

static void put_text(struct buffer *out, const char *text)
{
    avro_put_bytes(out, text, strlen(text));
}

/* As the schemas of form_plan.c list it. */
static void write_source(const struct form *form, struct form_plan *plan)
{
    const struct shape *shape = plan->shape;
    struct buffer *out = &plan->avro->source;
    bool envelope = form->settings->form == KAFKA_ENVELOPE;
    if (form->settings->form == KAFKA_PLAIN)
        return;
    if (envelope) {
        put_text(out, "ods-sink " ODS_VERSION);
        put_text(out, shape->connector);
        put_text(out, form->pipeline->name);
        plan->avro->source_split = out->length;
    }
    put_optional_text(out, shape->database);
    put_optional_text(out, shape->schema);
    if (envelope)
        put_text(out, shape->table);
    else
        put_optional_text(out, shape->table);
}

static enum ods_status make_schemas(const struct form *form, struct form_plan *plan,
                                    struct error *error)
{
    struct form_avro *avro = plan->avro;
    struct buffer connect;
    buffer_init(&connect);
    form_put_value_schema(&connect, form, plan);
    enum ods_status status = make_schema(form, &avro->value, &connect, error);
    if (status == ODS_OK && !kafka_keeps_key(form->settings) && plan->key_count && !plan->missing) {
        buffer_reset(&connect);
        form_put_key_schema(&connect, form, plan);
        status = make_schema(form, &avro->key, &connect, error);
    }
    buffer_done(&connect);
    return status;
}

enum ods_status form_avro_plan(const struct form *form, struct form_plan *plan,
                               struct error *error)
{
    if (form->settings->encoding != KAFKA_AVRO)
        return ODS_OK;
    struct form_avro *avro = plan->avro = calloc(1, sizeof *avro);
    if (!avro)
        return error_out_of_memory(error);
    enum ods_status status = make_schemas(form, plan, error);
    write_source(form, plan);
    if (status == ODS_REJECT) {
        avro->refused = true;
        utf8_copy(avro->why, sizeof avro->why, error->text, strlen(error->text));
    } else if (status == ODS_OK) {
        const struct avro_type *root = avro->value.avro.root;
        avro->row = form->settings->form == KAFKA_ENVELOPE ? root->fields[0].type->other : root;
    }
    return status == ODS_OK && avro->source.failed ? error_out_of_memory(error) : status;
}

enum ods_status form_avro_refusal(const struct form_plan *plan, struct error *error)
{
    if (!plan->avro || !plan->avro->refused)
        return ODS_OK;
    if (error)
        error->fault = FAULT_TABLE;
    return error_set(error, ODS_REJECT, "%s", plan->avro->why);
}

struct form_schema *form_schema(const struct form_plan *plan, bool key)
{
    return !plan->avro ? NULL : key ? &plan->avro->key : &plan->avro->value;
}

/* --- rows --------------------------------------------------------------------------------- */

static enum ods_status put_row(const struct form *form, const struct form_plan *plan,
                               const struct value *values, bool whole, struct buffer *out,
                               struct error *error)
{
    const struct avro_field *field = plan->avro->row->fields;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; i < plan->shape->column_count && status == ODS_OK; i++)
        if (plan->columns[i].token)
            status = form_avro_put_field(form, &plan->shape->columns[i], (field++)->type,
                                         &values[i], whole, out, error);
    return status;
}

/* Has an image before a value in each column that can't be null? One of a key alone has not. */
static bool is_whole(const struct form_plan *plan, const struct value *values)
{
    const struct avro_field *field = plan->avro->row->fields;
    for (uint32_t i = 0; i < plan->shape->column_count; i++)
        if (plan->columns[i].token && !form_avro_optional((field++)->type) &&
            values[i].kind <= VALUE_NULL)
            return false;
    return true;
}

static enum ods_status put_image(const struct form *form, const struct form_plan *plan,
                                 const struct value *values, bool whole, struct buffer *out,
                                 struct error *error)
{
    avro_put_long(out, values != NULL);
    return values ? put_row(form, plan, values, whole, out, error) : ODS_OK;
}

/* In microseconds; INT64_MIN: it is not known. */
static void put_ms(struct buffer *out, int64_t us)
{
    avro_put_long(out, us != INT64_MIN);
    if (us != INT64_MIN)
        avro_put_long(out, us / 1000 - (us % 1000 < 0));
}

static void put_op(struct buffer *out, enum change_op op)
{
    avro_put_bytes(out, &(char){(char) op}, 1);
}

static enum ods_status put_envelope(const struct form *form, const struct form_plan *plan,
                                    const struct form_value *value, struct buffer *out,
                                    struct error *error)
{
    const struct form_avro *avro = plan->avro;
    const struct value *before = value->before;
    if (before && !is_whole(plan, before))
        before = NULL;
    if (value->before && !before && value->op == OP_DELETE && !plan->key_count)
        return error_set(error, ODS_REJECT,
                         "the table has no key, and the image before the delete lacks columns that "
                         "can't be null: nothing would say which row it was");
    enum ods_status status = put_image(form, plan, before, false, out, error);
    if (status == ODS_OK)
        status = put_image(form, plan, value->after, true, out, error);
    if (avro->source.length)
        buffer_add(out, avro->source.bytes, avro->source_split);
    put_ms(out, value->source_us);
    put_optional_text(out, value->op == OP_READ ? "true" : "false");
    buffer_add(out, avro->source.bytes + avro->source_split,
               avro->source.length - avro->source_split);
    put_op(out, value->op);
    avro_put_long(out, value->record_ms >= 0);
    if (value->record_ms >= 0)
        avro_put_long(out, value->record_ms);
    return status;
}

static void put_metadata(const struct form_plan *plan, const struct form_value *value,
                         struct buffer *out)
{
    avro_put_long(out, 1);
    put_op(out, value->op);
    buffer_add(out, plan->avro->source.bytes, plan->avro->source.length);
    put_ms(out, value->source_us);
    put_optional_text(out, value->op == OP_DELETE ? "true" : "false");
}

enum ods_status form_avro_put_value(const struct form *form, const struct form_plan *plan,
                                    const struct form_value *value, struct buffer *out,
                                    struct error *error)
{
    const struct value *row = value->after ? value->after : value->before;
    enum ods_status status = ODS_OK;
    if (form->settings->form == KAFKA_ENVELOPE) {
        status = put_envelope(form, plan, value, out, error);
    } else if (!row) {
        status = error_set(error, ODS_REJECT, "the change has no row");
    } else {
        status = put_row(form, plan, row, row == value->after, out, error);
        if (form->settings->form == KAFKA_FLATTENED)
            put_metadata(plan, value, out);
        else if (*form->settings->op_field)
            put_op(out, value->op);
    }
    return status == ODS_OK && out->failed ? error_out_of_memory(error) : status;
}

enum ods_status form_avro_put_key(const struct form *form, const struct form_plan *plan,
                                  const struct value *row, struct buffer *out,
                                  struct error *error)
{
    const struct avro_type *type = plan->avro->key.avro.root;
    enum ods_status status = ODS_OK;
    for (uint32_t i = 0; i < plan->key_count && status == ODS_OK; i++) {
        const struct column *column = &plan->shape->columns[plan->key[i]];
        const struct value *value = row ? &row[plan->key[i]] : NULL;
        status = !value || value->kind == VALUE_ABSENT
                     ? error_set(error, ODS_REJECT, "key column %s is not carried", column->name)
                     : form_avro_put_field(form, column, type->fields[i].type, value, true, out,
                                           error);
    }
    return status == ODS_OK && out->failed ? error_out_of_memory(error) : status;
}
