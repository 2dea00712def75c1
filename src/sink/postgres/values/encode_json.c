/* Values into json and jsonb. */
#include <string.h>

#include "core/json_value.h"
#include "sink/postgres/values/encode.h"

/* Does an escaped U+0000 begin at this backslash? The backslash must not be escaped itself. */
static bool is_escaped_nul(const char *at, const char *end)
{
    return end - at >= 6 && memcmp(at, "\\u0000", 6) == 0;
}

/* Removes escaped U+0000 from JSON: json would keep it, jsonb can't hold it. */
static enum ods_status strip_json(struct encoder *encoder, const char **text, size_t *length,
                                  struct error *error)
{
    if (!memmem(*text, *length, "\\u0000", 6))
        return ODS_OK;
    struct buffer *out = &encoder->digits;
    bool stripped = false;
    buffer_reset(out);
    for (const char *at = *text, *end = at + *length; at < end;) {
        if (is_escaped_nul(at, end)) {
            stripped = true;
            at += 6;
            continue;
        }
        size_t pair = *at == '\\' && at + 1 < end ? 2 : 1; /* an escape stays together */
        buffer_add(out, at, pair);
        at += pair;
    }
    if (out->failed)
        return error_out_of_memory(error);
    *text = buffer_text(out);
    *length = out->length;
    encoder->losses.stripped += stripped;
    return ODS_OK;
}

enum ods_status encode_json(struct encoder *encoder, struct buffer *out,
                            const struct pg_column *target, const struct column *source,
                            const struct value *value, struct error *error)
{
    bool binary = target->encoding == ENCODE_JSONB;
    bool itself = json_stays(source, value, false) && value->kind >= VALUE_NUMBER;
    const char *text = value->bytes;
    size_t length = value->length;
    enum ods_status status = ODS_OK;
    if (!itself) {
        buffer_reset(&encoder->text);
        status = json_nested(&encoder->text, source, value, false, error);
        if (status == ODS_OK && encoder->text.failed)
            status = error_out_of_memory(error);
        text = buffer_text(&encoder->text);
        length = encoder->text.length;
    }
    if (status == ODS_OK && binary && encoder->strip_nul)
        status = strip_json(encoder, &text, &length, error);
    if (status != ODS_OK)
        return status;
    encode_put32(out, (uint32_t) (length + binary));
    if (binary)
        buffer_add(out, "\1", 1); /* jsonb_recv's format version */
    buffer_add(out, text, length);
    return ODS_OK;
}
