/* Well-known text into well-known binary: "POINT (1.5 -2)", as Maxwell writes geometries. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/mysql/values/wkt.h"

#define DEPTH_MAX    32
#define NUMBER_BYTES 64

struct text {
    const char *at, *end;
    struct buffer *out;
};

static void skip_blanks(struct text *text)
{
    while (text->at < text->end && (*text->at == ' ' || *text->at == '\n' || *text->at == '\t'))
        text->at++;
}

static bool take(struct text *text, char byte)
{
    skip_blanks(text);
    if (text->at == text->end || *text->at != byte)
        return false;
    text->at++;
    return true;
}

static bool take_word(struct text *text, const char *word)
{
    size_t length = strlen(word);
    skip_blanks(text);
    if ((size_t) (text->end - text->at) < length || strncasecmp(text->at, word, length) != 0)
        return false;
    text->at += length;
    return true;
}

static void put_integer(struct buffer *out, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        buffer_add(out, &(char){(char) (value >> 8 * i & 0xff)}, 1);
}

static void put_head(struct buffer *out, uint32_t kind)
{
    buffer_add(out, "\1", 1);
    put_integer(out, kind);
}

static bool put_number(struct text *text)
{
    char copy[NUMBER_BYTES], *end;
    size_t length = 0;
    uint64_t bits;
    skip_blanks(text);
    while (text->at < text->end && length < sizeof copy - 1 && *text->at &&
           strchr("+-.0123456789eE", *text->at))
        copy[length++] = *text->at++;
    copy[length] = '\0';
    double number = strtod(copy, &end);
    if (!length || *end || !isfinite(number))
        return false;
    memcpy(&bits, &number, sizeof bits);
    put_integer(text->out, (uint32_t) bits);
    put_integer(text->out, (uint32_t) (bits >> 32));
    return true;
}

static bool put_point(struct text *text)
{
    return put_number(text) && put_number(text);
}

typedef bool item_function(struct text *text, int depth);

/* "(item, item)" or "EMPTY", behind their number. */
static bool put_list(struct text *text, item_function *item, int depth)
{
    uint32_t count = 0;
    size_t place = text->out->length;
    put_integer(text->out, 0);
    if (take_word(text, "EMPTY"))
        return true;
    if (!take(text, '('))
        return false;
    do {
        if (!item(text, depth) || text->out->failed)
            return false;
        count++;
    } while (take(text, ','));
    for (int i = 0; i < 4 && !text->out->failed; i++)
        text->out->bytes[place + (size_t) i] = (char) (count >> 8 * i & 0xff);
    return take(text, ')');
}

static bool put_vertex(struct text *text, int depth)
{
    return put_point(text);
}

static bool put_ring(struct text *text, int depth)
{
    return put_list(text, put_vertex, depth);
}

/* The points of a multipoint may have parentheses or not. */
static bool put_lone_point(struct text *text, int depth)
{
    put_head(text->out, 1);
    bool inside = take(text, '(');
    return put_point(text) && (!inside || take(text, ')'));
}

static bool put_line(struct text *text, int depth)
{
    put_head(text->out, 2);
    return put_list(text, put_vertex, depth);
}

static bool put_polygon(struct text *text, int depth)
{
    put_head(text->out, 3);
    return put_list(text, put_ring, depth);
}

static bool put_geometry(struct text *text, int depth)
{
    static const struct {
        const char *name;
        uint32_t kind;
        item_function *item;
    } kinds[] = {{"MULTIPOINT", 4, put_lone_point},      {"MULTILINESTRING", 5, put_line},
                 {"MULTIPOLYGON", 6, put_polygon},       {"GEOMETRYCOLLECTION", 7, put_geometry},
                 {"GEOMCOLLECTION", 7, put_geometry}};
    if (depth > DEPTH_MAX)
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (take_word(text, kinds[i].name)) {
            put_head(text->out, kinds[i].kind);
            return put_list(text, kinds[i].item, depth + 1);
        }
    if (take_word(text, "POINT")) {
        put_head(text->out, 1);
        return take(text, '(') && put_point(text) && take(text, ')');
    }
    if (take_word(text, "LINESTRING"))
        return put_line(text, depth);
    return take_word(text, "POLYGON") && put_polygon(text, depth);
}

bool mysql_wkt_read(struct buffer *out, const char *bytes, size_t length)
{
    struct text text = {bytes, bytes + length, out};
    bool good = put_geometry(&text, 0);
    skip_blanks(&text);
    return good && text.at == text.end;
}
