/* Texts, enums and sets, binaries. What is too long is refused here: of blanks at the end a strict
 * session would cut what is too much without an error. */
#include <string.h>

#include <yyjson.h>

#include "core/json_value.h"
#include "core/text_geometry.h"
#include "sink/mysql/values/encoder.h"

/* --- text ----------------------------------------------------------------------------------- */

static uint64_t characters(const char *text, size_t length)
{
    uint64_t count = 0;
    for (size_t i = 0; i < length; i++)
        count += ((unsigned char) text[i] & 0xc0) != 0x80;
    return count;
}

/* Of other character sets the server tells. */
static enum ods_status check_charset(struct mysql_encoder *encoder, const char *text,
                                     size_t length)
{
    const struct mysql_column *target = encoder->target;
    for (size_t i = 0; target->highest && i < length; i++)
        if ((unsigned char) text[i] > target->highest)
            return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                                "the text has characters that the character set %s does not have",
                                target->charset);
    return ODS_OK;
}

static enum ods_status check_length(struct mysql_encoder *encoder, const char *text, size_t length)
{
    const struct mysql_column *target = encoder->target;
    bool counted = target->type == MYSQL_IS_CHAR || target->type == MYSQL_IS_VARCHAR;
    if (!target->length || length <= target->length)
        return ODS_OK;
    uint64_t count = counted ? characters(text, length) : length;
    if (count <= target->length)
        return ODS_OK;
    return mysql_refuse(encoder, MYSQL_TOO_LONG, "the text has %llu %s, %s takes %llu",
                        (unsigned long long) count, counted ? "characters" : "bytes",
                        target->column_type, (unsigned long long) target->length);
}

/* A char column has no blanks at the end, so equal keys are equal bytes without them. */
static size_t without_padding(const struct mysql_column *target, const char *text, size_t length)
{
    while (target->type == MYSQL_IS_CHAR && length && text[length - 1] == ' ')
        length--;
    return length;
}

static bool is_nested(const struct column *source, const struct value *value)
{
    return value->kind == VALUE_JSON &&
           (source->type == SEM_ARRAY || source->type == SEM_MAP || source->type == SEM_STRUCT);
}

/* A key whose collation does not count blanks at the end would meet the one without them. */
static enum ods_status check_padding(struct mysql_encoder *encoder, const char *text, size_t length)
{
    const struct mysql_column *target = encoder->target;
    if (!mysql_is_key(encoder) || !target->padded || !length || text[length - 1] != ' ')
        return ODS_OK;
    return mysql_refuse(encoder, MYSQL_BAD_VALUE,
                        "a key with blanks at its end, which the collation %s does not count",
                        target->collation);
}

/* The value as a text column shows it: arrays, maps and structs as JSON, the rest in the canonical
 * form of core/text.h. */
static enum ods_status shown_text(struct mysql_encoder *encoder, struct buffer *room,
                                  const char **text, size_t *length)
{
    const struct value *value = encoder->value;
    if (value->kind == VALUE_TEXT && encoder->source->type == SEM_INTERVAL) {
        *text = value->bytes; /* ISO 8601, as the record has it */
        *length = value->length;
        return ODS_OK;
    }
    if (!is_nested(encoder->source, value))
        return mysql_as_text(encoder, room, text, length);
    enum ods_status status = json_nested(room, encoder->source, value, false, encoder->error);
    *text = room->length ? room->bytes : "";
    *length = room->length;
    return status == ODS_OK && room->failed ? error_out_of_memory(encoder->error) : status;
}

enum ods_status mysql_encode_text(struct mysql_encoder *encoder)
{
    struct buffer room;
    const char *text;
    size_t length;
    buffer_init(&room);
    enum ods_status status = shown_text(encoder, &room, &text, &length);
    if (status == ODS_OK)
        status = check_length(encoder, text, length);
    if (status == ODS_OK)
        status = check_charset(encoder, text, length);
    if (status == ODS_OK)
        status = check_padding(encoder, text, length);
    if (status == ODS_OK) {
        length = without_padding(encoder->target, text, length);
        status = mysql_put(encoder, MYSQL_TEXT, text, length, text != encoder->value->bytes);
    }
    buffer_done(&room);
    return status;
}

/* --- enums and sets ------------------------------------------------------------------------- */

/* The label's place. Only by all its bytes: the server would take another case for it, and "2" for
 * the second label. */
static int find_label(const struct mysql_column *target, const char *text, size_t length)
{
    for (uint32_t i = 0; i < target->label_count; i++)
        if (strlen(target->labels[i]) == length && memcmp(target->labels[i], text, length) == 0)
            return (int) i;
    return -1;
}

static enum ods_status text_of_label(struct mysql_encoder *encoder, struct buffer *room,
                                     const char **text, size_t *length)
{
    if (encoder->value->kind == VALUE_JSON || encoder->value->kind == VALUE_BYTES)
        return mysql_refuse(encoder, MYSQL_TRUNCATED, "the value is no text");
    return mysql_as_text(encoder, room, text, length);
}

enum ods_status mysql_encode_enum(struct mysql_encoder *encoder)
{
    struct buffer room;
    const char *text;
    size_t length;
    buffer_init(&room);
    enum ods_status status = text_of_label(encoder, &room, &text, &length);
    if (status == ODS_OK) {
        int label = find_label(encoder->target, text, length);
        status = label < 0 ? mysql_refuse(encoder, MYSQL_TRUNCATED,
                                          "the value is none of the labels of the enum")
                           : mysql_put(encoder, MYSQL_TEXT, encoder->target->labels[label], length,
                                       true);
    }
    buffer_done(&room);
    return status;
}

/* Which labels are in the text "a,c". */
static bool read_set(const struct mysql_column *target, const char *text, size_t length,
                     uint64_t *members)
{
    *members = 0;
    for (const char *at = text, *end = text + length; at < end;) {
        const char *comma = memchr(at, ',', (size_t) (end - at));
        int label = find_label(target, at, (size_t) ((comma ? comma : end) - at));
        if (label < 0 || label > 63 || comma == end - 1)
            return false;
        *members |= UINT64_C(1) << label;
        at = comma ? comma + 1 : end;
    }
    return true;
}

/* In the order of the column's labels, as the server keeps it, each of them once. */
static enum ods_status put_set(struct mysql_encoder *encoder, uint64_t members)
{
    const struct mysql_column *target = encoder->target;
    struct buffer text;
    buffer_init(&text);
    for (uint32_t i = 0; i < target->label_count && i < 64; i++) {
        if (!(members >> i & 1))
            continue;
        buffer_puts(&text, text.length ? "," : "");
        buffer_puts(&text, target->labels[i]);
    }
    return mysql_put_buffer(encoder, MYSQL_TEXT, &text);
}

enum ods_status mysql_encode_set(struct mysql_encoder *encoder)
{
    struct buffer room;
    const char *text;
    size_t length;
    uint64_t members;
    buffer_init(&room);
    enum ods_status status = text_of_label(encoder, &room, &text, &length);
    if (status == ODS_OK)
        status = read_set(encoder->target, text, length, &members)
                     ? put_set(encoder, members)
                     : mysql_refuse(encoder, MYSQL_TRUNCATED,
                                    "the value has a label that the set does not have");
    buffer_done(&room);
    return status;
}

/* --- binaries ------------------------------------------------------------------------------- */

bool mysql_read_uuid(const char *text, size_t length, unsigned char bytes[16])
{
    size_t count = 0;
    if (length != 36)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-')
                return false;
            continue;
        }
        char low = (char) (text[i] | 0x20);
        bool digit = text[i] >= '0' && text[i] <= '9';
        if (!digit && (low < 'a' || low > 'f'))
            return false;
        unsigned char nibble = (unsigned char) (digit ? text[i] - '0' : low - 'a' + 10);
        bytes[count / 2] = (unsigned char) (count % 2 ? bytes[count / 2] | nibble : nibble << 4);
        count++;
    }
    return true;
}

static bool takes_uuid(const struct mysql_column *target)
{
    return target->length == 16 && target->type != MYSQL_IS_BLOB;
}

/* A binary column pads with zero bytes, so equal keys are equal bytes with them. */
static enum ods_status put_binary(struct mysql_encoder *encoder, const char *bytes, size_t length,
                                  bool copy)
{
    const struct mysql_column *target = encoder->target;
    if (target->length && length > target->length)
        return mysql_refuse(encoder, MYSQL_TOO_LONG, "the value has %zu bytes, %s takes %llu",
                            length, target->column_type, (unsigned long long) target->length);
    if (target->type != MYSQL_IS_BINARY || length >= target->length)
        return mysql_put(encoder, MYSQL_BYTES, bytes, length, copy);
    char *padded = arena_alloc(encoder->arena, target->length);
    if (!padded)
        return error_out_of_memory(encoder->error);
    memcpy(padded, bytes, length);
    memset(padded + length, 0, target->length - length);
    return mysql_put(encoder, MYSQL_BYTES, padded, target->length, false);
}

static enum ods_status put_wkb(struct mysql_encoder *encoder)
{
    struct buffer bytes;
    buffer_init(&bytes);
    enum ods_status status = text_geometry_value(&bytes, encoder->source, encoder->value,
                                                 GEOMETRY_WKB, encoder->error);
    if (status == ODS_OK && bytes.failed)
        status = error_out_of_memory(encoder->error);
    if (status == ODS_OK)
        status = put_binary(encoder, bytes.length ? bytes.bytes : "", bytes.length, true);
    buffer_done(&bytes);
    return status;
}

enum ods_status mysql_encode_binary(struct mysql_encoder *encoder)
{
    const struct value *value = encoder->value;
    unsigned char uuid[16];
    bool raw = value->kind == VALUE_BYTES && encoder->source->type != SEM_DECIMAL;
    if (value->kind == VALUE_TEXT && takes_uuid(encoder->target) &&
        mysql_read_uuid(value->bytes, value->length, uuid))
        return mysql_put(encoder, MYSQL_BYTES, (const char *) uuid, sizeof uuid, true);
    if (raw || value->kind == VALUE_TEXT)
        return put_binary(encoder, value->bytes, value->length, false);
    if (value->kind == VALUE_JSON && text_is_geometry(encoder->source->type))
        return put_wkb(encoder);
    if (value->kind == VALUE_JSON)
        return put_binary(encoder, value->bytes, value->length, false);
    return mysql_refuse(encoder, MYSQL_BAD_VALUE, "a number has no bytes that this column means");
}
