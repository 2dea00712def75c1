/* Geometries. See text_geometry.h.
 *
 * Formats: Debezium's io.debezium.data.geometry.*: well-known binary of either byte order in
 * base64, or the numbers themselves (x and y, radius, coefficients); `extensions` tells
 * PostgreSQL's own box, lseg, path and polygon apart, which are sent as lines and polygons. */
#include "core/text_geometry.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WKB_SRID    0x20000000U
#define WKB_POINT   1
#define WKB_STRING  2
#define WKB_POLYGON 3

/* The vertices of a plain point, line or polygon of one ring. */
struct wkb {
    const unsigned char *at, *end;
    bool little, failed;
    uint32_t type;
    uint32_t count;
};

static uint32_t read_integer(struct wkb *wkb)
{
    uint32_t value = 0;
    if (wkb->end - wkb->at < 4) {
        wkb->failed = true;
        return 0;
    }
    for (int i = 0; i < 4; i++)
        value |= (uint32_t) wkb->at[i] << 8 * (wkb->little ? i : 3 - i);
    wkb->at += 4;
    return value;
}

static double read_double(struct wkb *wkb)
{
    uint64_t bits = 0;
    double value;
    if (wkb->end - wkb->at < 8) {
        wkb->failed = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        bits |= (uint64_t) wkb->at[i] << 8 * (wkb->little ? i : 7 - i);
    wkb->at += 8;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Reads byte order and type, and skips the SRID if there is one. */
static bool open_wkb(struct wkb *wkb, const unsigned char *bytes, size_t length, bool *has_srid)
{
    *wkb = (struct wkb){.at = bytes, .end = bytes + length};
    if (length < 5)
        return false;
    wkb->little = *wkb->at++ == 1;
    wkb->type = read_integer(wkb);
    *has_srid = wkb->type & WKB_SRID;
    if (*has_srid)
        read_integer(wkb);
    wkb->type &= ~WKB_SRID;
    return !wkb->failed;
}

/* Reads everything before the first vertex. */
static bool open_vertices(struct wkb *wkb, const unsigned char *bytes, size_t length)
{
    bool has_srid;
    if (!bytes || !open_wkb(wkb, bytes, length, &has_srid))
        return false;
    if (wkb->type == WKB_POLYGON && read_integer(wkb) != 1)
        return false;
    wkb->count = wkb->type == WKB_POINT                                ? 1
                 : wkb->type == WKB_STRING || wkb->type == WKB_POLYGON ? read_integer(wkb)
                                                                       : 0;
    return !wkb->failed && wkb->count && wkb->count == (size_t) (wkb->end - wkb->at) / 16 &&
           (wkb->end - wkb->at) % 16 == 0;
}

/* --- PostgreSQL's own types ----------------------------------------------------------------- */

static void put_vertex(struct buffer *out, double x, double y)
{
    buffer_puts(out, "(");
    text_real(out, x, 64);
    buffer_puts(out, ",");
    text_real(out, y, 64);
    buffer_puts(out, ")");
}

/* "(x,y),(x,y)…" */
static void put_vertices(struct buffer *out, struct wkb *wkb, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        double x = read_double(wkb), y = read_double(wkb);
        buffer_puts(out, i ? "," : "");
        put_vertex(out, x, y);
    }
}

/* A box is sent as the polygon around it, so its corners are the extremes of the polygon's
 * vertices. */
static bool put_box(struct buffer *out, struct wkb wkb)
{
    double left = INFINITY, right = -INFINITY, bottom = INFINITY, top = -INFINITY;
    struct wkb again = wkb;
    for (uint32_t i = 0; i < wkb.count; i++) {
        double x = read_double(&wkb), y = read_double(&wkb);
        left = fmin(left, x);
        right = fmax(right, x);
        bottom = fmin(bottom, y);
        top = fmax(top, y);
    }
    for (uint32_t i = 0; i < again.count; i++) {
        double x = read_double(&again), y = read_double(&again);
        if ((x != left && x != right) || (y != bottom && y != top))
            return false;
    }
    put_vertex(out, right, top);
    buffer_puts(out, ",");
    put_vertex(out, left, bottom);
    return true;
}

static bool is_closed(yyjson_val *object, bool otherwise)
{
    yyjson_val *closed = yyjson_obj_get(yyjson_obj_get(object, "extensions"), "closed");
    return yyjson_is_str(closed)    ? yyjson_equals_str(closed, "true")
           : yyjson_is_bool(closed) ? yyjson_get_bool(closed)
                                    : otherwise;
}

static bool put_vertices_as(struct buffer *out, yyjson_val *object, struct wkb *wkb,
                            enum geometry_form form)
{
    bool line = wkb->type == WKB_STRING, ring = wkb->type == WKB_POLYGON;
    switch (form) {
    case GEOMETRY_POINT:
        if (wkb->type == WKB_POINT)
            put_vertices(out, wkb, 1);
        return wkb->type == WKB_POINT;
    case GEOMETRY_LSEG:
        if (!line || wkb->count != 2)
            return false;
        buffer_puts(out, "[");
        put_vertices(out, wkb, 2);
        buffer_puts(out, "]");
        return true;
    case GEOMETRY_PATH: {
        bool closed = is_closed(object, false);
        if (!line)
            return false;
        buffer_puts(out, closed ? "(" : "[");
        put_vertices(out, wkb, wkb->count);
        buffer_puts(out, closed ? ")" : "]");
        return true;
    }
    case GEOMETRY_BOX:
        return ring && put_box(out, *wkb);
    case GEOMETRY_POLYGON:
        if (!ring || wkb->count < 2)
            return false;
        buffer_puts(out, "(");
        put_vertices(out, wkb, wkb->count - 1); /* the last is the first again */
        buffer_puts(out, ")");
        return true;
    default:
        return false;
    }
}

/* Writes members that are numbers, with `before` in front of each one and `after` at the end. */
static bool put_members(struct buffer *out, yyjson_val *object, const char *const *names,
                        const char *const *before, size_t count, const char *after)
{
    size_t start = out->length;
    for (size_t i = 0; i < count; i++) {
        buffer_puts(out, before[i]);
        if (!text_json_float(out, yyjson_obj_get(object, names[i]))) {
            out->length = start;
            return false;
        }
    }
    buffer_puts(out, after);
    return true;
}

static bool put_point(struct buffer *out, yyjson_val *object)
{
    return put_members(out, object, (const char *const[]){"x", "y"},
                       (const char *const[]){"(", ","}, 2, ")");
}

static bool put_circle(struct buffer *out, yyjson_val *object, struct wkb *center)
{
    size_t start = out->length;
    buffer_puts(out, "<");
    bool good = put_point(out, object);
    if (!good && center && center->type == WKB_POINT) {
        put_vertices(out, center, 1);
        good = true;
    }
    good = good && put_members(out, object, (const char *const[]){"radius"},
                               (const char *const[]){","}, 1, ">");
    if (!good)
        out->length = start;
    return good;
}

static bool put_line(struct buffer *out, yyjson_val *object)
{
    return put_members(out, object, (const char *const[]){"a", "b", "c"},
                       (const char *const[]){"{", ",", ","}, 3, "}");
}

static bool put_native(struct buffer *out, yyjson_val *object, const unsigned char *bytes,
                       size_t length, enum geometry_form form)
{
    struct wkb wkb;
    bool vertices = open_vertices(&wkb, bytes, length);
    if (form == GEOMETRY_CIRCLE)
        return put_circle(out, object, vertices ? &wkb : NULL);
    if (form == GEOMETRY_LINE)
        return put_line(out, object);
    if (form == GEOMETRY_POINT && put_point(out, object))
        return true;
    return vertices && put_vertices_as(out, object, &wkb, form);
}

/* --- well-known binary ---------------------------------------------------------------------- */

/* Inserts an SRID that the record has beside the bytes. */
static void put_ewkb(struct buffer *out, const unsigned char *bytes, size_t length, bool with_srid,
                     uint32_t srid)
{
    struct wkb wkb;
    bool has_srid;
    unsigned char head[9];
    if (!open_wkb(&wkb, bytes, length, &has_srid) || has_srid || !with_srid) {
        text_hex(out, bytes, length, "", true);
        return;
    }
    head[0] = bytes[0];
    for (int i = 0; i < 4; i++) {
        int shift = 8 * (wkb.little ? i : 3 - i);
        head[1 + i] = (unsigned char) ((wkb.type | WKB_SRID) >> shift);
        head[5 + i] = (unsigned char) (srid >> shift);
    }
    text_hex(out, head, sizeof head, "", true);
    text_hex(out, bytes + 5, length - 5, "", true);
}

/* --- all ------------------------------------------------------------------------------------ */

static enum geometry_form form_of(const struct column *column, yyjson_val *object)
{
    static const struct {
        const char *name;
        enum geometry_form form;
    } forms[] = {{"box", GEOMETRY_BOX},
                 {"path", GEOMETRY_PATH},
                 {"lseg", GEOMETRY_LSEG},
                 {"polygon", GEOMETRY_POLYGON}};
    if (column->type == SEM_POINT)
        return GEOMETRY_POINT;
    if (column->type == SEM_CIRCLE)
        return GEOMETRY_CIRCLE;
    if (column->type == SEM_LINE)
        return GEOMETRY_LINE;
    yyjson_val *type = yyjson_obj_get(yyjson_obj_get(object, "extensions"), "type");
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (yyjson_equals_str(type, forms[i].name))
            return forms[i].form;
    return GEOMETRY_EWKB;
}

enum ods_status text_geometry(struct buffer *out, const struct column *column, yyjson_val *object,
                              enum geometry_form form, struct error *error)
{
    size_t length = 0, start = out->length;
    int64_t srid = 0;
    unsigned char *bytes = text_json_bytes(out, yyjson_obj_get(object, "wkb"), &length);
    enum ods_status status = ODS_OK;
    bool itself = form == GEOMETRY_ITSELF;
    bool known = text_json_integer(yyjson_obj_get(object, "srid"), &srid);
    if (itself)
        form = form_of(column, object);
    if (form > GEOMETRY_WKB && put_native(out, object, bytes, length, form))
        goto out;
    out->length = start;
    if (form > GEOMETRY_WKB && (!itself || column->type != SEM_GEOMETRY))
        status = text_json_reject(error, column, "not the numbers or the shape of such a geometry");
    else if (!bytes)
        status = text_json_reject(error, column, "a geometry without base64 'wkb'");
    else if (form == GEOMETRY_WKB)
        buffer_add(out, bytes, length);
    else
        put_ewkb(out, bytes, length, known && srid > 0, (uint32_t) srid);
out:
    free(bytes);
    return status;
}

enum ods_status text_geometry_value(struct buffer *out, const struct column *column,
                                    const struct value *value, enum geometry_form form,
                                    struct error *error)
{
    enum ods_status status;
    yyjson_doc *doc = text_json_read(column, value, &status, error);
    if (!doc)
        return status;
    status = text_geometry(out, column, yyjson_doc_get_root(doc), form, error);
    yyjson_doc_free(doc);
    return status == ODS_REJECT && out->failed ? error_out_of_memory(error) : status;
}
