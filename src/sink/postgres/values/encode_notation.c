/* Values whose target type reads another notation than the source writes: a map of texts for
 * hstore, a set's labels for an array, geometries and vectors for the types that hold them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/text_geometry.h"
#include "sink/postgres/values/encode.h"

static bool is_type(const struct pg_column *target, const char *name)
{
    const char *dot = strrchr(target->cast, '.');
    return strcmp(dot ? dot + 1 : target->cast, name) == 0;
}

static bool is_array(const struct pg_column *target)
{
    size_t length = strlen(target->cast);
    return length > 2 && strcmp(target->cast + length - 2, "[]") == 0;
}

/* Writes "text" with quotes and backslashes escaped: hstore_in and array_in both read that. */
static void put_quoted(struct buffer *out, const char *text, size_t length)
{
    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buffer_add(out, "\\", 1);
        buffer_add(out, text + i, 1);
    }
    buffer_add(out, "\"", 1);
}

static bool put_pair(struct buffer *out, yyjson_val *name, yyjson_val *value, bool first)
{
    if (!yyjson_is_str(name) || !(yyjson_is_str(value) || yyjson_is_null(value)))
        return false;
    buffer_puts(out, first ? "" : ",");
    put_quoted(out, yyjson_get_str(name), yyjson_get_len(name));
    buffer_puts(out, "=>");
    if (yyjson_is_null(value))
        buffer_puts(out, "NULL");
    else
        put_quoted(out, yyjson_get_str(value), yyjson_get_len(value));
    return true;
}

/* A JSON object of texts; false when it is anything else. */
static bool put_hstore(struct buffer *out, const char *json, size_t length)
{
    yyjson_read_err problem = {0};
    yyjson_doc *document =
        yyjson_read_opts((char *) (uintptr_t) json, length, 0, NULL, &problem);
    out->failed |= problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    yyjson_val *root = yyjson_doc_get_root(document), *name;
    yyjson_obj_iter pairs;
    bool good = yyjson_is_obj(root) && yyjson_obj_iter_init(root, &pairs), first = true;
    while (good && (name = yyjson_obj_iter_next(&pairs))) {
        good = put_pair(out, name, yyjson_obj_iter_get_val(name), first);
        first = false;
    }
    yyjson_doc_free(document);
    return good;
}

static void put_labels(struct buffer *out, const char *labels, size_t length)
{
    buffer_puts(out, "{");
    for (const char *at = labels, *end = labels + length; at < end;) {
        const char *comma = memchr(at, ',', (size_t) (end - at));
        size_t label = (size_t) ((comma ? comma : end) - at);
        put_quoted(out, at, label);
        at += label + (comma != NULL);
        buffer_puts(out, comma ? "," : "");
    }
    buffer_puts(out, "}");
}

/* --- geometries ----------------------------------------------------------------------------- */

/* How a geometry is written for this column. GEOMETRY_ITSELF: it needs no other form. */
static enum geometry_form geometry_form(const struct pg_column *target)
{
    static const struct {
        const char *type;
        enum geometry_form form;
    } forms[] = {
        {"point", GEOMETRY_POINT}, {"lseg", GEOMETRY_LSEG},       {"path", GEOMETRY_PATH},
        {"box", GEOMETRY_BOX},     {"polygon", GEOMETRY_POLYGON}, {"circle", GEOMETRY_CIRCLE},
        {"line", GEOMETRY_LINE},   {"geometry", GEOMETRY_EWKB},   {"geography", GEOMETRY_EWKB}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (is_type(target, forms[i].type))
            return forms[i].form;
    return GEOMETRY_ITSELF;
}

/* --- vectors -------------------------------------------------------------------------------- */

/* Does a half float (eleven bits and a small exponent) hold the number exactly? */
static bool is_half(double number)
{
    int exponent;
    double fraction = frexp(number, &exponent);
    return fabs(number) <= 65504 && fraction * 2048 == rint(fraction * 2048) &&
           number * 16777216 == rint(number * 16777216);
}

/* The numbers of "[1,2.5]" or "{1:1,3:2.5}/5" must be floats of the target's size. */
static enum ods_status check_vector(struct encoder *encoder, const struct pg_column *target,
                                    const struct buffer *text, struct error *error)
{
    bool half = is_type(target, "halfvec"), sparse = is_type(target, "sparsevec");
    const char *at = text->bytes, *end = at + text->length;
    for (; at < end; at++) {
        if (!strchr(sparse ? ":" : "[,", *at))
            continue;
        size_t length = strcspn(at + 1, ",]}");
        double number = half ? strtod(at + 1, NULL) : (double) strtof(at + 1, NULL);
        if (!length ||
            (half ? is_half(number) : encode_float_shows(encoder, at + 1, length, number, 32)))
            continue;
        return encode_inexact(encoder, target, "22003",
                              "the vector has numbers of more digits than the column's", error);
    }
    return ODS_OK;
}

static bool is_vector(const struct pg_column *target)
{
    return is_type(target, "vector") || is_type(target, "halfvec") || is_type(target, "sparsevec");
}

static enum ods_status put_vector(struct encoder *encoder, struct buffer *text,
                                  const struct pg_column *target, const struct column *source,
                                  const struct value *value, struct error *error)
{
    enum ods_status status = text_value(text, source, value, error);
    buffer_text(text); /* terminated */
    return status == ODS_OK && !text->failed ? check_vector(encoder, target, text, error) : status;
}

enum ods_status encode_notation(struct encoder *encoder, struct buffer *out,
                                const struct pg_column *target, const struct column *source,
                                const struct value *value, bool *handled, struct error *error)
{
    struct buffer *text = &encoder->text;
    enum ods_status status = ODS_OK;
    *handled = false;
    if (value->kind != VALUE_TEXT && value->kind != VALUE_JSON)
        return ODS_OK;
    buffer_reset(text);
    if (is_type(target, "hstore") && value->length && value->bytes[0] == '{') {
        if (!put_hstore(text, value->bytes, value->length) && !text->failed)
            return encode_refuse(target, "22P02", "the value is not a map of texts", error);
    } else if (source->type == SEM_ENUM_SET && is_array(target)) {
        put_labels(text, value->bytes, value->length);
    } else if (text_is_geometry(source->type) && value->kind == VALUE_JSON &&
               geometry_form(target) != GEOMETRY_ITSELF) {
        status = text_geometry_value(text, source, value, geometry_form(target), error);
    } else if ((source->type == SEM_VECTOR || source->type == SEM_SPARSE_VECTOR) &&
               is_vector(target)) {
        status = put_vector(encoder, text, target, source, value, error);
    } else {
        return ODS_OK;
    }
    if (status == ODS_OK && text->failed)
        status = error_out_of_memory(error);
    const char *bytes = buffer_text(text);
    size_t length = text->length;
    if (status == ODS_OK)
        status = encode_check_nul(encoder, target, &bytes, &length, error);
    if (status != ODS_OK)
        return status;
    encode_put32(out, (uint32_t) length);
    buffer_add(out, bytes, length);
    *handled = true;
    return ODS_OK;
}
