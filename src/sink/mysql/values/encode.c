/* Values into what MySQL's columns take: chooses the encoder by the column. See encode.h. */
#include "sink/mysql/values/encode.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "core/utf8.h"
#include "sink/mysql/values/encoder.h"

static void put_reason(struct mysql_encoder *encoder, enum mysql_refusal code, const char *format,
                       va_list arguments)
{
    struct error *error = encoder->error;
    const char *name = encoder->target->name;
    char why[512];
    vsnprintf(why, sizeof why, format, arguments);
    if (error) {
        error->fault = FAULT_ROW;
        snprintf(error->code, sizeof error->code, "%d", (int) code);
        utf8_copy(error->column, sizeof error->column, name, strlen(name));
    }
    error_set(error, ODS_REJECT, "column \"%s\": %s", name, why);
}

enum ods_status mysql_refuse(struct mysql_encoder *encoder, enum mysql_refusal code,
                             const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    put_reason(encoder, code, format, arguments);
    va_end(arguments);
    return ODS_REJECT;
}

enum ods_status mysql_inexact(struct mysql_encoder *encoder, bool fine, const char *format, ...)
{
    enum inexact allowed = encoder->encoding->table->inexact;
    bool rounds = allowed == INEXACT_ROUND || (fine && allowed == INEXACT_NANOSECONDS);
    va_list arguments;
    if (rounds && !mysql_is_key(encoder)) {
        encoder->encoding->result->values_rounded++;
        return ODS_OK;
    }
    va_start(arguments, format);
    put_reason(encoder, MYSQL_TRUNCATED, format, arguments);
    va_end(arguments);
    return ODS_REJECT;
}

enum ods_status mysql_put(struct mysql_encoder *encoder, enum mysql_form form, const char *bytes,
                          size_t length, bool copy)
{
    if (length > UINT32_MAX)
        return mysql_refuse(encoder, MYSQL_TOO_LONG, "the value has more than 4 GB");
    if (copy) {
        char *own = arena_alloc(encoder->arena, length ? length : 1);
        if (!own)
            return error_out_of_memory(encoder->error);
        memcpy(own, bytes, length);
        bytes = own;
    }
    *encoder->out = (struct mysql_out){
        .form = form, .length = (uint32_t) length, .bytes = length ? bytes : ""};
    return ODS_OK;
}

enum ods_status mysql_put_buffer(struct mysql_encoder *encoder, enum mysql_form form,
                                 struct buffer *buffer)
{
    enum ods_status status =
        buffer->failed ? error_out_of_memory(encoder->error)
                       : mysql_put(encoder, form, buffer->length ? buffer->bytes : "",
                                   buffer->length, true);
    buffer_done(buffer);
    return status;
}

enum ods_status mysql_as_text(struct mysql_encoder *encoder, struct buffer *room,
                              const char **text, size_t *length)
{
    enum semantic type = encoder->source->type;
    bool parsed = type == SEM_ZONED_TIMESTAMP || type == SEM_ZONED_TIME ||
                  (type >= SEM_ISO_DATE && type <= SEM_ISO_TIMESTAMP);
    if (encoder->value->kind == VALUE_TEXT && !parsed) {
        *text = encoder->value->bytes;
        *length = encoder->value->length;
        return ODS_OK;
    }
    enum ods_status status = text_value(room, encoder->source, encoder->value, encoder->error);
    if (status == ODS_OK && room->failed)
        return error_out_of_memory(encoder->error);
    *text = room->length ? room->bytes : "";
    *length = room->length;
    return status;
}

/* --- NULL ----------------------------------------------------------------------------------- */

/* The server may take NULL for something else: for now in a timestamp, for the next number in an
 * auto_increment column. */
static enum ods_status refuse_null(struct mysql_encoder *encoder)
{
    return mysql_refuse(encoder, MYSQL_NO_NULL, "the value is NULL, and the column is NOT NULL");
}

/* --- zero dates ----------------------------------------------------------------------------- */

/* 0000-00-00, and every date whose month or day is zero. A strict session refuses them. */
static bool is_zero_date(const struct mysql_column *target, const struct value *value)
{
    if (value->kind != VALUE_TEXT || value->length < 10 ||
        (target->type != MYSQL_IS_DATE && target->type != MYSQL_IS_DATETIME &&
         target->type != MYSQL_IS_TIMESTAMP))
        return false;
    for (size_t i = 0; i < 10; i++)
        if (i == 4 || i == 7 ? value->bytes[i] != '-'
                             : value->bytes[i] < '0' || value->bytes[i] > '9')
            return false;
    return memcmp(value->bytes + 5, "00", 2) == 0 || memcmp(value->bytes + 8, "00", 2) == 0;
}

static enum ods_status encode_zero_date(struct mysql_encoder *encoder)
{
    if (encoder->encoding->table->zero_dates == ZERO_DATES_REJECT || mysql_is_key(encoder))
        return mysql_refuse(encoder, MYSQL_BAD_TIME,
                            "a date with a zero month or day, which a strict session refuses "
                            "(zero_dates: null makes it NULL, but in a key)");
    if (!encoder->target->nullable)
        return refuse_null(encoder);
    encoder->out->form = MYSQL_NULL;
    encoder->encoding->result->zero_dates++;
    return ODS_OK;
}

/* --- by the column -------------------------------------------------------------------------- */

typedef enum ods_status encode_function(struct mysql_encoder *encoder);

static encode_function *const encode_functions[] = {
    [MYSQL_IS_OTHER] = mysql_encode_text,
    [MYSQL_IS_TINYINT] = mysql_encode_exact,
    [MYSQL_IS_SMALLINT] = mysql_encode_exact,
    [MYSQL_IS_MEDIUMINT] = mysql_encode_exact,
    [MYSQL_IS_INT] = mysql_encode_exact,
    [MYSQL_IS_BIGINT] = mysql_encode_exact,
    [MYSQL_IS_DECIMAL] = mysql_encode_exact,
    [MYSQL_IS_FLOAT] = mysql_encode_real,
    [MYSQL_IS_DOUBLE] = mysql_encode_real,
    [MYSQL_IS_BIT] = mysql_encode_bits,
    [MYSQL_IS_YEAR] = mysql_encode_year,
    [MYSQL_IS_DATE] = mysql_encode_moment,
    [MYSQL_IS_TIME] = mysql_encode_time,
    [MYSQL_IS_DATETIME] = mysql_encode_moment,
    [MYSQL_IS_TIMESTAMP] = mysql_encode_moment,
    [MYSQL_IS_CHAR] = mysql_encode_text,
    [MYSQL_IS_VARCHAR] = mysql_encode_text,
    [MYSQL_IS_TEXT] = mysql_encode_text,
    [MYSQL_IS_BINARY] = mysql_encode_binary,
    [MYSQL_IS_VARBINARY] = mysql_encode_binary,
    [MYSQL_IS_BLOB] = mysql_encode_binary,
    [MYSQL_IS_ENUM] = mysql_encode_enum,
    [MYSQL_IS_SET] = mysql_encode_set,
    [MYSQL_IS_JSON] = mysql_encode_json,
    [MYSQL_IS_GEOMETRY] = mysql_encode_geometry,
    [MYSQL_IS_UUID] = mysql_encode_text,
    [MYSQL_IS_INET] = mysql_encode_text,
    [MYSQL_IS_VECTOR] = mysql_encode_vector,
};

enum ods_status mysql_encode(const struct mysql_encoding *encoding,
                             const struct mysql_column *column,
                             const struct source_column *source, const struct value *value,
                             struct arena *arena, struct mysql_out *out, struct error *error)
{
    struct mysql_sense meaning;
    struct mysql_encoder encoder = {.encoding = encoding,
                                    .target = column,
                                    .source = &source->column,
                                    .value = value,
                                    .arena = arena,
                                    .out = out,
                                    .error = error};
    *out = (struct mysql_out){.form = MYSQL_NULL, .bytes = ""};
    if (value->kind == VALUE_NULL)
        return column->nullable ? ODS_OK : refuse_null(&encoder);
    if (value->kind == VALUE_ABSENT)
        return mysql_refuse(&encoder, MYSQL_BAD_VALUE, "the record does not carry its value");
    enum ods_status status = mysql_find_meaning(&encoder, source, &meaning);
    if (status == ODS_OK && is_zero_date(column, encoder.value))
        return encode_zero_date(&encoder);
    if (status == ODS_OK)
        status = encode_functions[column->type](&encoder);
    if (status == ODS_REJECT && error && !error->column[0]) {
        /* The conversions of core/ know the value, but not the column that it goes into. */
        error->fault = FAULT_ROW;
        utf8_copy(error->column, sizeof error->column, column->name, strlen(column->name));
        error_prefix(error, "column \"%s\": ", column->name);
    }
    return status;
}
