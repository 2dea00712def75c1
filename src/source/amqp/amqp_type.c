/* Values as AMQP 1.0 encodes them. See amqp_type.h. */
#include "source/amqp/amqp_type.h"

#include <inttypes.h>

/* The high half of a constructor says how the value's size is known, the low half which type of
 * that size it is. */
enum {
    DESCRIBED = 0x00,
    FORM_EMPTY = 0x4,
    FORM_1 = 0x5,
    FORM_2 = 0x6,
    FORM_4 = 0x7,
    FORM_8 = 0x8,
    FORM_16 = 0x9,
    FORM_VARIABLE_1 = 0xA,
    FORM_VARIABLE_4 = 0xB,
    FORM_COMPOUND_1 = 0xC,
    FORM_COMPOUND_4 = 0xD,
    FORM_ARRAY_1 = 0xE,
    FORM_ARRAY_4 = 0xF,
};

static bool take_bytes(struct amqp_bytes *from, size_t length, struct amqp_bytes *bytes)
{
    if (from->length < length)
        return false;
    *bytes = (struct amqp_bytes){from->at, length};
    from->at += length;
    from->length -= length;
    return true;
}

/* A number of up to eight bytes, the most significant first. */
static uint64_t number_of(struct amqp_bytes bytes)
{
    uint64_t number = 0;
    for (size_t i = 0; i < bytes.length; i++)
        number = number << 8 | (unsigned char) bytes.at[i];
    return number;
}

static bool take_number(struct amqp_bytes *from, size_t width, uint64_t *number)
{
    struct amqp_bytes bytes;
    if (!take_bytes(from, width, &bytes))
        return false;
    *number = number_of(bytes);
    return true;
}

static bool take_empty(unsigned code, struct amqp_value *value)
{
    value->number = code == 0x41;
    value->kind = code == 0x40                   ? AMQP_NULL
                  : code == 0x41 || code == 0x42 ? AMQP_BOOL
                  : code == 0x45                 ? AMQP_LIST
                                                 : AMQP_UINT;
    return code <= 0x45;
}

static void set_signed(struct amqp_value *value, size_t width)
{
    unsigned unused = 64 - 8 * (unsigned) width;
    value->number = (uint64_t) ((int64_t) (value->number << unused) >> unused);
    value->kind = AMQP_INT;
}

static void set_real(struct amqp_value *value, size_t width)
{
    uint32_t half = (uint32_t) value->number;
    float single;
    memcpy(&single, &half, sizeof single);
    if (width == 4)
        value->real = (double) single;
    else
        memcpy(&value->real, &value->number, sizeof value->real);
    value->kind = AMQP_FLOAT;
}

static bool take_fixed(struct amqp_bytes *from, unsigned code, size_t width,
                       struct amqp_value *value)
{
    if (!take_bytes(from, width, &value->bytes))
        return false;
    value->number = width <= 8 ? number_of(value->bytes) : 0;
    value->kind = AMQP_OTHER;
    switch (code) {
    case 0x50: /* ubyte */
    case 0x52: /* uint */
    case 0x53: /* ulong */
    case 0x60: /* ushort */
    case 0x70: /* uint */
    case 0x80: /* ulong */
        value->kind = AMQP_UINT;
        return true;
    case 0x51: /* byte */
    case 0x54: /* int */
    case 0x55: /* long */
    case 0x61: /* short */
    case 0x71: /* int */
    case 0x81: /* long */
        set_signed(value, width);
        return true;
    case 0x56:
        value->kind = AMQP_BOOL;
        return value->number <= 1;
    case 0x72:
    case 0x82:
        set_real(value, width);
        return true;
    case 0x83:
        value->kind = AMQP_TIMESTAMP;
        return true;
    case 0x98:
        value->kind = AMQP_UUID;
        return true;
    case 0x73: /* char */
    case 0x74: /* decimal32 */
    case 0x84: /* decimal64 */
    case 0x94: /* decimal128 */
        return true;
    default:
        return false;
    }
}

static bool take_variable(struct amqp_bytes *from, unsigned code, size_t width,
                          struct amqp_value *value)
{
    uint64_t length;
    unsigned type = code & 0xF;
    value->kind = type == 0 ? AMQP_BINARY : type == 1 ? AMQP_STRING : AMQP_SYMBOL;
    return (type == 0 || type == 1 || type == 3) && take_number(from, width, &length) &&
           take_bytes(from, length, &value->bytes);
}

static bool take_compound(struct amqp_bytes *from, unsigned code, size_t width,
                          struct amqp_value *value)
{
    uint64_t size, count;
    unsigned type = code & 0xF;
    bool array = code >> 4 >= FORM_ARRAY_1;
    value->kind = array ? AMQP_ARRAY : type == 0 ? AMQP_LIST : AMQP_MAP;
    if (array ? type != 0 : type != 0 && type != 1)
        return false;
    if (!take_number(from, width, &size) || !take_bytes(from, size, &value->bytes) ||
        !take_number(&value->bytes, width, &count))
        return false;
    value->count = (uint32_t) count;
    /* Each member takes a byte at least, so the count bounds what follows. */
    return array || (count <= value->bytes.length && (value->kind == AMQP_LIST || count % 2 == 0));
}

static bool take_plain(struct amqp_bytes *from, struct amqp_value *value)
{
    uint64_t code;
    if (!take_number(from, 1, &code))
        return false;
    switch (code >> 4) {
    case FORM_EMPTY:
        return take_empty((unsigned) code, value);
    case FORM_1:
    case FORM_2:
    case FORM_4:
    case FORM_8:
    case FORM_16:
        return take_fixed(from, (unsigned) code, (size_t) 1 << ((code >> 4) - FORM_1), value);
    case FORM_VARIABLE_1:
    case FORM_VARIABLE_4:
        return take_variable(from, (unsigned) code, code >> 4 == FORM_VARIABLE_1 ? 1 : 4, value);
    case FORM_COMPOUND_1:
    case FORM_ARRAY_1:
        return take_compound(from, (unsigned) code, 1, value);
    case FORM_COMPOUND_4:
    case FORM_ARRAY_4:
        return take_compound(from, (unsigned) code, 4, value);
    default:
        return false;
    }
}

bool amqp_take(struct amqp_bytes *from, struct amqp_value *value)
{
    struct amqp_value descriptor = {0};
    *value = (struct amqp_value){0};
    bool described = from->length && *from->at == DESCRIBED;
    if (described) {
        from->at++;
        from->length--;
        if (!take_plain(from, &descriptor) ||
            (descriptor.kind != AMQP_UINT && descriptor.kind != AMQP_SYMBOL))
            return false;
    }
    if (!take_plain(from, value))
        return false;
    value->described = described;
    value->descriptor = descriptor.kind == AMQP_UINT ? descriptor.number : 0;
    return true;
}

bool amqp_member(const struct amqp_value *map, const char *name, struct amqp_value *value)
{
    struct amqp_bytes rest = map->bytes;
    struct amqp_value key;
    size_t length = strlen(name);
    if (map->kind != AMQP_MAP)
        return false;
    for (uint32_t i = 0; i + 1 < map->count; i += 2) {
        if (!amqp_take(&rest, &key) || !amqp_take(&rest, value))
            return false;
        if ((key.kind == AMQP_STRING || key.kind == AMQP_SYMBOL) && key.bytes.length == length &&
            memcmp(key.bytes.at, name, length) == 0)
            return true;
    }
    return false;
}

static void put_hex(struct buffer *out, struct amqp_bytes bytes, bool uuid)
{
    for (size_t i = 0; i < bytes.length; i++)
        buffer_printf(out, "%s%02x", uuid && (i == 4 || i == 6 || i == 8 || i == 10) ? "-" : "",
                      (unsigned) (unsigned char) bytes.at[i]);
}

bool amqp_text(const struct amqp_value *value, struct buffer *out)
{
    switch (value->kind) {
    case AMQP_STRING:
    case AMQP_SYMBOL:
        buffer_add(out, value->bytes.at, value->bytes.length);
        return true;
    case AMQP_BOOL:
        buffer_puts(out, value->number ? "true" : "false");
        return true;
    case AMQP_UINT:
        buffer_printf(out, "%" PRIu64, value->number);
        return true;
    case AMQP_INT:
    case AMQP_TIMESTAMP:
        buffer_printf(out, "%" PRId64, (int64_t) value->number);
        return true;
    case AMQP_FLOAT:
        buffer_printf(out, "%.17g", value->real);
        return true;
    case AMQP_UUID:
    case AMQP_BINARY:
        put_hex(out, value->bytes, value->kind == AMQP_UUID);
        return true;
    default:
        return false;
    }
}
