/* Arrays. They are sent as text, which the column's input function reads. But each element is
 * converted as if it were a column's value, so that an array refuses what a column refuses. */
#include <string.h>

#include "core/text_nested.h"
#include "sink/postgres/values/encode.h"

struct array {
    struct encoder *encoder;
    const struct pg_column *item;
    bool waits; /* an element is a text for PostgreSQL to read */
};

/* Encodes the element only to find out whether the column's type can hold it. */
static enum ods_status check_element(const struct array *array, const struct column *column,
                                     const struct value *value, struct error *error)
{
    struct buffer *room = &array->encoder->item;
    buffer_reset(room);
    enum ods_status status = encode_as(array->encoder, room, array->item, column, value, error);
    if (status == ODS_OK && room->failed)
        status = error_out_of_memory(error);
    return status;
}

/* Is it a time as text? Such a text is written again: PostgreSQL can't read a year "+21016", and
 * ignores a zone in a timestamp without time zone. */
static bool is_moment(const struct pg_column *item, const struct column *column,
                      const struct value *value)
{
    return column->type == SEM_STRING && value->kind == VALUE_TEXT &&
           (item->encoding == ENCODE_TIMESTAMP || item->encoding == ENCODE_TIMESTAMPTZ);
}

static enum ods_status put_element(void *context, struct buffer *out, const struct column *column,
                                   const struct value *value, struct error *error)
{
    struct array *array = context;
    struct inferred inferred, read;
    enum ods_status status = ODS_OK;
    if (column->type == SEM_UNKNOWN)
        status = infer_value(array->encoder, array->item, &column, &value, &inferred, error);
    struct column moment;
    if (status == ODS_OK && is_moment(array->item, column, value)) {
        moment = *column;
        moment.type = SEM_ZONED_TIMESTAMP;
        column = &moment;
    }
    if (status == ODS_OK)
        status = check_element(array, column, value, error);
    if (status == ODS_REJECT && array->encoder->unreadable) {
        status = encode_reading(array->encoder, array->item, &column, &value, &read, error);
        if (status == ODS_OK)
            status = check_element(array, column, value, error);
    }
    if (status == ODS_RETRY && array->encoder->readings &&
        array->encoder->readings->waiting_count) { /* go on: later elements may be such texts too */
        array->waits = true;
        buffer_puts(out, "NULL");
        return ODS_OK;
    }
    if (status != ODS_OK)
        return status;
    switch (array->item->encoding) {
    case ENCODE_CAST:
    case ENCODE_TEXT: {
        const struct buffer *room = &array->encoder->item;
        buffer_add(out, room->bytes + 4, room->length - 4); /* without its length */
        return ODS_OK;
    }
    case ENCODE_JSON:
        buffer_add(out, array->encoder->item.bytes + 4, array->encoder->item.length - 4);
        return ODS_OK;
    case ENCODE_JSONB: /* also without its version */
        buffer_add(out, array->encoder->item.bytes + 5, array->encoder->item.length - 5);
        return ODS_OK;
    case ENCODE_BYTEA:
        text_hex(out, array->encoder->item.bytes + 4, array->encoder->item.length - 4, "\\x",
                 false);
        return ODS_OK;
    case ENCODE_BOOL:
        buffer_puts(out, array->encoder->item.bytes[4] ? "t" : "f");
        return ODS_OK;
    default:
        if (value->kind == VALUE_INT && array->item->encoding >= ENCODE_INT2 &&
            array->item->encoding <= ENCODE_NUMERIC) {
            buffer_printf(out, "%lld", (long long) value->integer);
            return ODS_OK;
        }
        return text_value(out, column, value, error);
    }
}

enum ods_status encode_array(struct encoder *encoder, struct buffer *out,
                             const struct pg_column *target, const struct column *source,
                             const struct value *value, struct error *error)
{
    static const struct column number = {
        .name = "", .type = SEM_FLOAT64, .length = -1, .scale = INT32_MIN};
    struct array array = {.encoder = encoder, .item = target->item};
    struct column vector = *source;
    if (source->type == SEM_VECTOR) {
        vector.type = SEM_ARRAY;
        vector.element = &number;
        source = &vector;
    }
    buffer_reset(&encoder->array);
    enum ods_status status = text_array(&encoder->array, source, value, put_element, &array, error);
    if (status == ODS_OK && encoder->array.failed)
        status = error_out_of_memory(error);
    if (status == ODS_OK && array.waits)
        status = error_set(error, ODS_RETRY, "PostgreSQL has not been asked yet what texts mean");
    if (status != ODS_OK)
        return status;
    encode_put32(out, (uint32_t) encoder->array.length);
    buffer_add(out, encoder->array.bytes, encoder->array.length);
    return ODS_OK;
}
