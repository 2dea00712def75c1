/* Text of structs, maps and arrays: array literals, geometric types, Debezium's structs of a
 * decimal, a date, a vector. What has no other form stays the JSON that it is. */
#include "core/text_nested.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/base64.h"
#include "core/decimal.h"
#include "core/time.h"

#define US_PER_DAY INT64_C(86400000000)

static enum ods_status reject(struct error *error, const struct column *column, const char *what)
{
    return error_set(error, ODS_REJECT, "column %.63s: %s (its type is %s)", column->name, what,
                     semantic_name(column->type));
}

static enum ods_status no_memory(struct error *error)
{
    return error_set(error, ODS_FATAL, "out of memory while writing a value");
}

/* A base64 member's bytes on the heap; NULL: there is none, or it is malformed. */
static unsigned char *decode_bytes(yyjson_val *text, size_t *length)
{
    if (!yyjson_is_str(text))
        return NULL;
    unsigned char *bytes = malloc(BASE64_DECODED_MAX(yyjson_get_len(text)) + 1);
    if (bytes && base64_decode(yyjson_get_str(text), yyjson_get_len(text), bytes, length))
        return bytes;
    free(bytes);
    return NULL;
}

/* Numbers are read as their own characters. */
static bool get_integer(yyjson_val *number, int64_t *integer)
{
    const char *text = yyjson_get_raw(number);
    char *end;
    if (!text)
        return false;
    char copy[24];
    size_t length = yyjson_get_len(number);
    if (length >= sizeof copy)
        return false;
    memcpy(copy, text, length);
    copy[length] = '\0';
    *integer = strtoll(copy, &end, 10);
    return !*end && end != copy;
}

static bool put_float(struct buffer *out, yyjson_val *number)
{
    if (yyjson_is_str(number))
        return text_float(out, yyjson_get_str(number), yyjson_get_len(number), 64);
    const char *text = yyjson_get_raw(number);
    return text && text_float(out, text, yyjson_get_len(number), 64);
}

/* --- arrays --- */

static enum ods_status put_array(struct buffer *out, const struct column *column, yyjson_val *array,
                                 struct error *error);

/* An element as array_out() writes it: quoted where it must be. */
static void put_quoted(struct buffer *out, const char *text, size_t length)
{
    bool quote = !length || (length == 4 && strncasecmp(text, "null", 4) == 0);
    for (size_t i = 0; i < length && !quote; i++)
        quote = text[i] && strchr("\"\\{}, \t\n\r\v\f", text[i]);
    if (!quote) {
        buffer_add(out, text, length);
        return;
    }
    buffer_add(out, "\"", 1);
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            buffer_add(out, "\\", 1);
        buffer_add(out, &text[i], 1);
    }
    buffer_add(out, "\"", 1);
}

static bool is_binary(enum semantic type)
{
    return type == SEM_BYTES || type == SEM_DECIMAL || type == SEM_BITS;
}

/* A struct value of an element; what has to be freed afterwards goes to *owned. */
static bool element_value(yyjson_val *element, const struct column *column, struct value *value,
                          void **owned)
{
    size_t length = yyjson_get_len(element);
    int64_t integer;
    *value = (struct value){.kind = VALUE_TEXT};
    if (yyjson_is_str(element) && is_binary(column->type)) {
        *owned = decode_bytes(element, &length);
        value->kind = VALUE_BYTES;
        value->bytes = *owned;
    } else if (yyjson_is_str(element)) {
        value->kind =
            column->type == SEM_FLOAT32 || column->type == SEM_FLOAT64 ? VALUE_NUMBER : VALUE_TEXT;
        value->bytes = yyjson_get_str(element);
    } else if (yyjson_is_raw(element) && column->type != SEM_FLOAT32 &&
               column->type != SEM_FLOAT64 && get_integer(element, &integer)) {
        *value = (struct value){.kind = VALUE_INT, .integer = integer};
        return true;
    } else if (yyjson_is_raw(element)) {
        value->kind = VALUE_NUMBER;
        value->bytes = yyjson_get_raw(element);
    } else {
        *owned = yyjson_val_write(element, YYJSON_WRITE_ALLOW_INF_AND_NAN, &length);
        value->kind = VALUE_JSON;
        value->bytes = *owned;
    }
    value->length = (uint32_t) length;
    return value->bytes != NULL;
}

static enum ods_status put_element(struct buffer *out, const struct column *column,
                                   yyjson_val *element, struct error *error)
{
    if (yyjson_is_null(element)) {
        buffer_add(out, "NULL", 4);
        return ODS_OK;
    }
    if (yyjson_is_bool(element)) { /* one letter, as in an array PostgreSQL prints */
        buffer_add(out, yyjson_get_bool(element) ? "t" : "f", 1);
        return ODS_OK;
    }
    if (yyjson_is_arr(element) && (column->type == SEM_ARRAY || column->type == SEM_UNKNOWN))
        return put_array(out, column, element, error);
    void *owned = NULL;
    struct value value;
    struct buffer text;
    buffer_init(&text);
    enum ods_status status = ODS_REJECT;
    if (!element_value(element, column, &value, &owned))
        error_set(error, ODS_REJECT, "an array's element can't be read as %s",
                  semantic_name(column->type));
    else
        status = text_value(&text, column, &value, error);
    if (status == ODS_OK)
        put_quoted(out, text.bytes ? text.bytes : "", text.length);
    out->failed |= text.failed;
    buffer_done(&text);
    free(owned);
    return status;
}

static enum ods_status put_array(struct buffer *out, const struct column *column, yyjson_val *array,
                                 struct error *error)
{
    static const struct column unknown = {.name = "", .length = -1, .scale = INT32_MIN};
    const struct column *element_column = column->element ? column->element : &unknown;
    size_t index, max;
    yyjson_val *element;
    buffer_add(out, "{", 1);
    yyjson_arr_foreach(array, index, max, element)
    {
        if (index)
            buffer_add(out, ",", 1);
        enum ods_status status = put_element(out, element_column, element, error);
        if (status != ODS_OK)
            return status;
    }
    buffer_add(out, "}", 1);
    return ODS_OK;
}

/* --- geometry: well-known binary, little- or big-endian --- */

struct wkb {
    const unsigned char *at, *end;
    bool little;
    bool failed;
};

static uint32_t wkb_integer(struct wkb *wkb)
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

static double wkb_double(struct wkb *wkb)
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

#define WKB_SRID    0x20000000U
#define WKB_LINE    2
#define WKB_POLYGON 3

/* Byte order and type; the SRID, if one is there, is passed over. */
static uint32_t wkb_open(struct wkb *wkb, const unsigned char *bytes, size_t length, bool *srid)
{
    *wkb = (struct wkb){.at = bytes, .end = bytes + length};
    if (!length) {
        wkb->failed = true;
        return 0;
    }
    wkb->little = *wkb->at++ == 1;
    uint32_t type = wkb_integer(wkb);
    *srid = type & WKB_SRID;
    if (*srid)
        wkb_integer(wkb);
    return type & ~WKB_SRID;
}

/* "(x,y),(x,y)…" of `count` points. */
static void put_points(struct buffer *out, struct wkb *wkb, uint32_t count)
{
    for (uint32_t i = 0; i < count && !wkb->failed; i++) {
        double x = wkb_double(wkb), y = wkb_double(wkb);
        buffer_puts(out, i ? ",(" : "(");
        text_real(out, x, 64);
        buffer_add(out, ",", 1);
        text_real(out, y, 64);
        buffer_add(out, ")", 1);
    }
}

/* A box is sent as the polygon around it: its corners are the extremes. */
static void put_box(struct buffer *out, struct wkb *wkb, uint32_t count)
{
    double left = INFINITY, right = -INFINITY, bottom = INFINITY, top = -INFINITY;
    for (uint32_t i = 0; i < count && !wkb->failed; i++) {
        double x = wkb_double(wkb), y = wkb_double(wkb);
        left = fmin(left, x);
        right = fmax(right, x);
        bottom = fmin(bottom, y);
        top = fmax(top, y);
    }
    buffer_add(out, "(", 1);
    text_real(out, right, 64);
    buffer_add(out, ",", 1);
    text_real(out, top, 64);
    buffer_add(out, "),(", 3);
    text_real(out, left, 64);
    buffer_add(out, ",", 1);
    text_real(out, bottom, 64);
    buffer_add(out, ")", 1);
}

/* PostgreSQL's own box, path, lseg and polygon, which Debezium marks in `extensions`. False: not
 * one of them, nothing was written. */
static bool put_native(struct buffer *out, yyjson_val *extensions, const unsigned char *bytes,
                       size_t length)
{
    yyjson_val *type = yyjson_obj_get(extensions, "type");
    yyjson_val *closed = yyjson_obj_get(extensions, "closed");
    struct wkb wkb;
    bool srid;
    size_t start = out->length;
    uint32_t shape = wkb_open(&wkb, bytes, length, &srid);
    if (!yyjson_is_str(type) || (shape != WKB_LINE && shape != WKB_POLYGON))
        return false;
    if (shape == WKB_POLYGON && wkb_integer(&wkb) != 1)
        return false;
    uint32_t count = wkb_integer(&wkb);
    if (wkb.failed || count > (size_t) (wkb.end - wkb.at) / 16)
        return false;
    bool open =
        yyjson_equals_str(closed, "false") || (yyjson_is_bool(closed) && !yyjson_get_bool(closed));
    if (yyjson_equals_str(type, "box") && count) {
        put_box(out, &wkb, count);
    } else if (yyjson_equals_str(type, "path") || yyjson_equals_str(type, "lseg")) {
        bool square = open || yyjson_equals_str(type, "lseg");
        buffer_puts(out, square ? "[" : "(");
        put_points(out, &wkb, count);
        buffer_puts(out, square ? "]" : ")");
    } else if (yyjson_equals_str(type, "polygon") && count > 1) {
        buffer_puts(out, "(");
        put_points(out, &wkb, shape == WKB_POLYGON ? count - 1 : count);
        buffer_puts(out, ")");
    } else {
        return false;
    }
    if (wkb.failed)
        out->length = start;
    return !wkb.failed;
}

/* Extended well-known binary in hex, as PostGIS prints it, the SRID put in where it stands beside.
 */
static void put_ewkb(struct buffer *out, const unsigned char *bytes, size_t length, bool with_srid,
                     uint32_t srid)
{
    struct wkb wkb;
    bool has_srid;
    unsigned char head[9];
    uint32_t type = wkb_open(&wkb, bytes, length, &has_srid) | WKB_SRID;
    if (wkb.failed || has_srid || !with_srid) {
        text_hex(out, bytes, length, "", true);
        return;
    }
    head[0] = bytes[0];
    for (int i = 0; i < 4; i++) {
        int shift = 8 * (wkb.little ? i : 3 - i);
        head[1 + i] = (unsigned char) (type >> shift);
        head[5 + i] = (unsigned char) (srid >> shift);
    }
    text_hex(out, head, sizeof head, "", true);
    text_hex(out, bytes + 5, length - 5, "", true);
}

static enum ods_status put_geometry(struct buffer *out, const struct column *column,
                                    yyjson_val *object, struct error *error)
{
    size_t length;
    int64_t srid = 0;
    unsigned char *bytes = decode_bytes(yyjson_obj_get(object, "wkb"), &length);
    if (!bytes)
        return reject(error, column, "a geometry without base64 'wkb'");
    bool with_srid = get_integer(yyjson_obj_get(object, "srid"), &srid) && srid > 0;
    if (!put_native(out, yyjson_obj_get(object, "extensions"), bytes, length))
        put_ewkb(out, bytes, length, with_srid, (uint32_t) srid);
    free(bytes);
    return ODS_OK;
}

static enum ods_status put_point(struct buffer *out, const struct column *column,
                                 yyjson_val *object, struct error *error)
{
    buffer_add(out, "(", 1);
    bool ok = put_float(out, yyjson_obj_get(object, "x"));
    buffer_add(out, ",", 1);
    ok = ok && put_float(out, yyjson_obj_get(object, "y"));
    buffer_add(out, ")", 1);
    return ok ? ODS_OK : reject(error, column, "a point without numbers 'x' and 'y'");
}

/* --- decimals and vectors --- */

static enum ods_status put_decimal(struct buffer *out, const struct column *column,
                                   yyjson_val *object, struct error *error)
{
    int64_t scale;
    size_t length;
    unsigned char *bytes = decode_bytes(yyjson_obj_get(object, "value"), &length);
    bool ok = bytes && get_integer(yyjson_obj_get(object, "scale"), &scale) &&
              scale >= -DECIMAL_WHOLE_DIGITS_MAX && scale <= DECIMAL_SCALE_MAX &&
              decimal_from_bytes(out, bytes, length, (int32_t) scale);
    free(bytes);
    return ok ? ODS_OK : reject(error, column, "not a scale and a base64 value");
}

static enum ods_status put_vector(struct buffer *out, const struct column *column,
                                  yyjson_val *array, struct error *error)
{
    size_t index, max;
    yyjson_val *element;
    if (!yyjson_is_arr(array))
        return reject(error, column, "not an array of numbers");
    buffer_add(out, "[", 1);
    yyjson_arr_foreach(array, index, max, element)
    {
        if (index)
            buffer_add(out, ",", 1);
        if (!put_float(out, element))
            return reject(error, column, "not an array of numbers");
    }
    buffer_add(out, "]", 1);
    return ODS_OK;
}

/* {"dimensions":5,"vector":{"1":1.0,"3":2.0}}, or the vector as an array of pairs, to {1:1,3:2}/5.
 */
static enum ods_status put_sparse(struct buffer *out, const struct column *column,
                                  yyjson_val *object, struct error *error)
{
    int64_t dimensions, position;
    yyjson_val *vector = yyjson_obj_get(object, "vector"), *key, *number;
    size_t index, max;
    bool ok = get_integer(yyjson_obj_get(object, "dimensions"), &dimensions);
    if (!ok || !(yyjson_is_obj(vector) || yyjson_is_arr(vector)))
        return reject(error, column, "not dimensions and a vector");
    buffer_add(out, "{", 1);
    if (yyjson_is_arr(vector)) {
        yyjson_arr_foreach(vector, index, max, key)
        {
            ok = ok && get_integer(yyjson_arr_get(key, 0), &position);
            buffer_printf(out, "%s%lld:", index ? "," : "", ok ? (long long) position : 0);
            ok = ok && put_float(out, yyjson_arr_get(key, 1));
        }
    } else {
        yyjson_obj_foreach(vector, index, max, key, number)
        {
            if (index)
                buffer_add(out, ",", 1);
            buffer_add(out, yyjson_get_str(key), yyjson_get_len(key));
            buffer_add(out, ":", 1);
            ok = ok && put_float(out, number);
        }
    }
    buffer_printf(out, "}/%lld", (long long) dimensions);
    return ok ? ODS_OK : reject(error, column, "not dimensions and a vector");
}

/* --- structured dates and times --- */

struct parts {
    int64_t year, month, day, hour, minute, second, nanos, months, days;
};

static bool read_part(yyjson_val *object, const char *name, int64_t *part)
{
    yyjson_val *number = yyjson_obj_get(object, name);
    *part = 0;
    return !number || yyjson_is_null(number) ||
           (get_integer(number, part) && *part >= INT32_MIN && *part <= INT32_MAX);
}

/* Microseconds of hour, minute, second and nanos, rounded half up. */
static bool read_time(yyjson_val *object, const char *plural, int64_t *us)
{
    struct parts p;
    bool many = *plural;
    if (!read_part(object, many ? "hours" : "hour", &p.hour) ||
        !read_part(object, many ? "minutes" : "minute", &p.minute) ||
        !read_part(object, many ? "seconds" : "second", &p.second) ||
        !read_part(object, "nanos", &p.nanos))
        return false;
    *us = (p.hour * 3600 + p.minute * 60 + p.second) * 1000000 + time_round_ns(p.nanos);
    return true;
}

static bool read_date(yyjson_val *object, int64_t *days)
{
    struct parts p;
    if (!read_part(object, "year", &p.year) || !read_part(object, "month", &p.month) ||
        !read_part(object, "day", &p.day) || p.month < 1 || p.month > 12 || p.day < 1 ||
        p.day > 31 || p.year < -5000 || p.year > 5874897)
        return false;
    *days = time_days(p.year, (int) p.month, (int) p.day);
    return *days >= TIME_DAYS_MIN && *days <= TIME_DAYS_MAX;
}

/* Past int64 microseconds since 1970, as PostgreSQL's last timestamps are: day and time apart. */
static void put_timestamp(struct buffer *out, int64_t days, int64_t us)
{
    int64_t of_day, more = time_floor_div(us, US_PER_DAY, &of_day);
    struct buffer date;
    buffer_init(&date);
    time_format_date(&date, days + more);
    size_t length = date.length;
    bool before_christ = length > 3 && memcmp(date.bytes + length - 3, " BC", 3) == 0;
    buffer_add(out, date.bytes, before_christ ? length - 3 : length);
    buffer_add(out, " ", 1);
    time_format_time(out, of_day);
    if (before_christ)
        buffer_add(out, " BC", 3);
    out->failed |= date.failed;
    buffer_done(&date);
}

static enum ods_status put_structured(struct buffer *out, const struct column *column,
                                      yyjson_val *object, struct error *error)
{
    yyjson_val *special = yyjson_obj_get(object, "specialValue");
    int64_t days = 0, us = 0, years, months;
    bool ok = yyjson_is_obj(object);
    if (yyjson_is_str(special)) {
        const char *word = yyjson_get_str(special);
        bool minus = *word == '-' || strncasecmp(word, "neg", 3) == 0;
        ok = strcasestr(word, "infinity") != NULL;
        buffer_puts(out, minus ? "-infinity" : "infinity");
    } else if (column->type == SEM_STRUCTURED_DURATION) {
        ok = ok && read_part(object, "years", &years) && read_part(object, "months", &months) &&
             read_part(object, "days", &days) && read_time(object, "s", &us);
        if (ok)
            time_format_interval(out, years * 12 + months, days, us);
    } else if (column->type == SEM_STRUCTURED_TIME) {
        ok = ok && read_time(object, "", &us);
        time_format_time(out, us);
    } else if (column->type == SEM_STRUCTURED_DATE) {
        ok = ok && read_date(object, &days);
        if (ok)
            time_format_date(out, days);
    } else {
        ok = ok && read_date(object, &days) && read_time(object, "", &us);
        if (ok)
            put_timestamp(out, days, us);
    }
    return ok ? ODS_OK : reject(error, column, "parts that make no date, time or interval");
}

/* --- all --- */

static enum ods_status put_parsed(struct buffer *out, const struct column *column, yyjson_val *root,
                                  struct error *error)
{
    switch (column->type) {
    case SEM_ARRAY:
        if (!yyjson_is_arr(root))
            return reject(error, column, "not an array");
        return put_array(out, column, root, error);
    case SEM_VARIABLE_DECIMAL:
        return put_decimal(out, column, root, error);
    case SEM_POINT:
        return put_point(out, column, root, error);
    case SEM_GEOMETRY:
    case SEM_GEOGRAPHY:
        return put_geometry(out, column, root, error);
    case SEM_VECTOR:
        return put_vector(out, column, root, error);
    case SEM_SPARSE_VECTOR:
        return put_sparse(out, column, root, error);
    default:
        return put_structured(out, column, root, error);
    }
}

static bool stays_json(enum semantic type)
{
    switch (type) {
    case SEM_ARRAY:
    case SEM_VARIABLE_DECIMAL:
    case SEM_POINT:
    case SEM_GEOMETRY:
    case SEM_GEOGRAPHY:
    case SEM_VECTOR:
    case SEM_SPARSE_VECTOR:
    case SEM_STRUCTURED_DATE:
    case SEM_STRUCTURED_TIME:
    case SEM_STRUCTURED_TIMESTAMP:
    case SEM_STRUCTURED_DURATION:
        return false;
    default:
        return true;
    }
}

enum ods_status text_nested(struct buffer *out, const struct column *column,
                            const struct value *value, struct error *error)
{
    if (stays_json(column->type)) {
        buffer_add(out, value->bytes, value->length);
        return ODS_OK;
    }
    yyjson_read_err problem;
    yyjson_doc *doc =
        yyjson_read_opts((char *) (uintptr_t) value->bytes, value->length,
                         YYJSON_READ_NUMBER_AS_RAW | YYJSON_READ_ALLOW_INF_AND_NAN, NULL, &problem);
    if (!doc)
        return problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
                   ? no_memory(error)
                   : reject(error, column, "not JSON");
    enum ods_status status = put_parsed(out, column, yyjson_doc_get_root(doc), error);
    yyjson_doc_free(doc);
    return status;
}
