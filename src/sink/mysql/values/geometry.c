/* Geometries into MySQL's own form: the SRID in four little-endian bytes, then well-known binary in
 * little-endian order (MySQL's manual, "Internal Geometry Storage Format"). Vectors: 32-bit floats,
 * little-endian. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <yyjson.h>

#include "core/text.h"
#include "core/text_geometry.h"
#include "sink/mysql/values/encoder.h"
#include "sink/mysql/values/wkt.h"

#define WKB_SRID  0x20000000U
#define DEPTH_MAX 32

enum shape_kind { POINT = 1, LINE, POLYGON, MULTIPOINT, MULTILINE, MULTIPOLYGON, COLLECTION };

static const char *const kind_names[] = {
    [POINT] = "point",           [LINE] = "linestring",           [POLYGON] = "polygon",
    [MULTIPOINT] = "multipoint", [MULTILINE] = "multilinestring", [MULTIPOLYGON] = "multipolygon",
    [COLLECTION] = "geometrycollection"};

struct reader {
    const unsigned char *at, *end;
    struct buffer *out;
};

static void put_integer(struct buffer *out, uint32_t value)
{
    char bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (char) (value >> 8 * i & 0xff);
    buffer_add(out, bytes, sizeof bytes);
}

static bool read_integer(struct reader *reader, bool little, uint32_t *value)
{
    *value = 0;
    if (reader->end - reader->at < 4)
        return false;
    for (int i = 0; i < 4; i++)
        *value |= (uint32_t) reader->at[i] << 8 * (little ? i : 3 - i);
    reader->at += 4;
    return true;
}

/* Numbers of eight bytes, each of which must be finite. */
static bool copy_doubles(struct reader *reader, bool little, uint64_t count)
{
    if (count > (uint64_t) (reader->end - reader->at) / 8)
        return false;
    for (uint64_t n = 0; n < count; n++, reader->at += 8) {
        char bytes[8];
        uint64_t bits = 0;
        double number;
        for (int i = 0; i < 8; i++) {
            bytes[i] = (char) reader->at[little ? i : 7 - i];
            bits |= (uint64_t) (unsigned char) bytes[i] << 8 * i;
        }
        memcpy(&number, &bits, sizeof number);
        if (!isfinite(number))
            return false;
        buffer_add(reader->out, bytes, sizeof bytes);
    }
    return true;
}

static bool copy_count(struct reader *reader, bool little, uint32_t *count)
{
    if (!read_integer(reader, little, count))
        return false;
    put_integer(reader->out, *count);
    return true;
}

/* One geometry from its byte order on, with those inside it. `inside`: 0, or the kind that a part
 * must have. */
static bool copy_geometry(struct reader *reader, uint32_t inside, int depth, uint32_t *kind)
{
    uint32_t count, points;
    if (depth > DEPTH_MAX || reader->at == reader->end || *reader->at > 1)
        return false;
    bool little = *reader->at++ == 1;
    if (!read_integer(reader, little, kind))
        return false;
    if (*kind & WKB_SRID) { /* which the record has beside the bytes too */
        *kind &= ~WKB_SRID;
        if (!read_integer(reader, little, &count))
            return false;
    }
    if (*kind < POINT || *kind > COLLECTION || (inside && *kind != inside))
        return false; /* with heights and measures there are others, which MySQL lacks */
    buffer_add(reader->out, "\1", 1);
    put_integer(reader->out, *kind);
    if (*kind == POINT)
        return copy_doubles(reader, little, 2);
    if (!copy_count(reader, little, &count))
        return false;
    if (*kind == LINE)
        return copy_doubles(reader, little, (uint64_t) count * 2);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t part;
        bool good = *kind == POLYGON
                        ? copy_count(reader, little, &points) &&
                              copy_doubles(reader, little, (uint64_t) points * 2)
                        : copy_geometry(reader, *kind == COLLECTION ? 0 : *kind - 3, depth + 1,
                                        &part);
        if (!good || reader->out->failed)
            return false;
    }
    return true;
}

/* A point that has its numbers and no bytes. */
static bool put_point(struct buffer *out, yyjson_val *object)
{
    yyjson_val *numbers[] = {yyjson_obj_get(object, "x"), yyjson_obj_get(object, "y")};
    buffer_add(out, "\1\1\0\0\0", 5);
    for (int i = 0; i < 2; i++) {
        uint64_t bits;
        char bytes[8];
        if (!yyjson_is_num(numbers[i]))
            return false;
        double number = yyjson_get_num(numbers[i]);
        memcpy(&bits, &number, sizeof bits);
        for (int b = 0; b < 8; b++)
            bytes[b] = (char) (bits >> 8 * b & 0xff);
        buffer_add(out, bytes, sizeof bytes);
    }
    return true;
}

/* A document of the record, to which the value's SRID and point belong. */
struct parts {
    uint32_t srid;
    bool has_wkb;
};

static bool read_parts(const struct value *value, struct parts *parts, struct buffer *point)
{
    yyjson_read_err problem = {0};
    yyjson_doc *document =
        yyjson_read_opts((char *) (uintptr_t) value->bytes, value->length, 0, NULL, &problem);
    yyjson_val *root = yyjson_doc_get_root(document), *srid = yyjson_obj_get(root, "srid");
    point->failed |= problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION;
    parts->srid = yyjson_is_uint(srid) && yyjson_get_uint(srid) <= UINT32_MAX
                      ? (uint32_t) yyjson_get_uint(srid)
                      : 0;
    parts->has_wkb = yyjson_is_str(yyjson_obj_get(root, "wkb"));
    bool good = yyjson_is_obj(root) && (parts->has_wkb || put_point(point, root));
    yyjson_doc_free(document);
    return good;
}

static enum ods_status malformed(struct mysql_encoder *encoder)
{
    return mysql_refuse(encoder, MYSQL_BAD_GEOMETRY,
                        "the value is no geometry of two dimensions that MySQL has");
}

/* A column of one kind of geometry takes no other. */
static bool takes_kind(const struct mysql_column *target, uint32_t kind)
{
    const char *type = target->column_type;
    size_t length = strcspn(type, " (");
    if (length == 8 && strncasecmp(type, "geometry", 8) == 0)
        return true;
    if (length == 14 && strncasecmp(type, "geomcollection", 14) == 0)
        return kind == COLLECTION;
    return strlen(kind_names[kind]) == length && strncasecmp(type, kind_names[kind], length) == 0;
}

static enum ods_status encode_bytes(struct mysql_encoder *encoder, const char *bytes, size_t length,
                                    uint32_t srid)
{
    struct buffer out;
    uint32_t kind = 0;
    buffer_init(&out);
    put_integer(&out, srid);
    struct reader reader = {(const unsigned char *) bytes, (const unsigned char *) bytes + length,
                            &out};
    bool good = copy_geometry(&reader, 0, 0, &kind) && reader.at == reader.end;
    if (out.failed || (good && takes_kind(encoder->target, kind)))
        return mysql_put_buffer(encoder, MYSQL_BYTES, &out);
    buffer_done(&out);
    if (!good)
        return malformed(encoder);
    return mysql_refuse(encoder, MYSQL_BAD_GEOMETRY, "a %s does not go into a column of type %s",
                        kind_names[kind], encoder->target->column_type);
}

enum ods_status mysql_encode_geometry(struct mysql_encoder *encoder)
{
    struct buffer bytes;
    struct parts parts;
    enum ods_status status = ODS_OK;
    const struct value *value = encoder->value;
    enum semantic type = encoder->source->type;
    bool text = value->kind == VALUE_TEXT;
    if ((!text && value->kind != VALUE_JSON) || type == SEM_CIRCLE || type == SEM_LINE)
        return malformed(encoder);
    buffer_init(&bytes);
    parts = (struct parts){0};
    if (text ? !mysql_wkt_read(&bytes, value->bytes, value->length)
             : !read_parts(value, &parts, &bytes))
        status = bytes.failed ? error_out_of_memory(encoder->error) : malformed(encoder);
    if (status == ODS_OK && parts.has_wkb)
        status = text_geometry_value(&bytes, encoder->source, value, GEOMETRY_WKB, encoder->error);
    if (status == ODS_OK && bytes.failed)
        status = error_out_of_memory(encoder->error);
    if (status == ODS_OK)
        status = encode_bytes(encoder, bytes.length ? bytes.bytes : "", bytes.length, parts.srid);
    buffer_done(&bytes);
    return status;
}

/* --- vectors -------------------------------------------------------------------------------- */

static bool put_floats(struct buffer *out, const char *text)
{
    char *end;
    while (*text == '[' || *text == ',') {
        float number = strtof(text + 1, &end);
        uint32_t bits;
        if (end == text + 1 || !isfinite(number))
            return text[0] == '[' && text[1] == ']' && !text[2];
        memcpy(&bits, &number, sizeof bits);
        put_integer(out, bits);
        text = end;
    }
    return strcmp(text, "]") == 0;
}

enum ods_status mysql_encode_vector(struct mysql_encoder *encoder)
{
    struct buffer text, bytes;
    buffer_init(&text);
    buffer_init(&bytes);
    enum ods_status status = text_value(&text, encoder->source, encoder->value, encoder->error);
    bool good = status == ODS_OK && put_floats(&bytes, buffer_text(&text));
    if (status == ODS_OK && (text.failed || bytes.failed))
        status = error_out_of_memory(encoder->error);
    buffer_done(&text);
    if (status == ODS_OK && good)
        return mysql_put_buffer(encoder, MYSQL_BYTES, &bytes);
    buffer_done(&bytes);
    return status == ODS_OK
               ? mysql_refuse(encoder, MYSQL_BAD_VALUE, "the value is no vector of numbers")
               : status;
}
