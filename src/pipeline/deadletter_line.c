/* A letter as a line of JSON, as `kcat -J` writes records: topic, partition, offset, ts, headers,
 * key and payload. A key or value that is no UTF-8 goes as base64, in key_b64 or value_b64.
 *
 * A letter is encrypted by way of such a line: the record alone, with the headers that it came
 * with, is what is sealed (core/jwe.h), and takes the place of its value. Outside stays what is
 * said of the reject, and whose key opens it.
 */
#include <string.h>

#include <ods/json.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "core/base64.h"
#include "core/utf8.h"
#include "pipeline/deadletter.h"

static void put_string(struct buffer *out, const char *bytes, size_t length)
{
    if (!bytes) {
        buffer_puts(out, "null");
        return;
    }
    json_quote(out, bytes, length);
}

static void put_bytes(struct buffer *out, const char *name, const char *base64_name,
                      const char *bytes, size_t length)
{
    if (!bytes || utf8_valid(bytes, length)) {
        buffer_printf(out, ",\"%s\":", name);
        put_string(out, bytes, length);
        return;
    }
    buffer_printf(out, ",\"%s\":\"", base64_name);
    char *text = buffer_take(out, BASE64_ENCODED(length));
    if (text)
        base64_encode(bytes, length, text);
    buffer_puts(out, "\"");
}

struct headers {
    struct buffer *out;
    bool begun;
};

static void put_header(void *context, const char *name, const char *value, size_t length)
{
    struct headers *headers = context;
    buffer_puts(headers->out, headers->begun ? "," : "");
    put_string(headers->out, name, strlen(name));
    buffer_puts(headers->out, ",");
    put_string(headers->out, value, length);
    headers->begun = true;
}

static void begin_line(struct buffer *line, const struct record *record)
{
    buffer_puts(line, "{\"topic\":");
    put_string(line, record->topic, strlen(record->topic));
    buffer_printf(
        line, ",\"partition\":%d,\"offset\":%lld,\"tstype\":\"%s\",\"ts\":%lld,\"headers\":[",
        (int) record->partition, (long long) record->offset,
        record->timestamp_ms < 0 ? "unknown" : "create", (long long) record->timestamp_ms);
}

/* --- sealed ---------------------------------------------------------------------------------- */

static enum ods_status put_sealed(struct buffer *out, const struct batch *batch,
                                  const struct reject *reject,
                                  const struct deadletter_origin *origin, struct error *error)
{
    const struct record *record = &batch->records[reject->record];
    struct buffer line;
    struct headers headers = {.out = &line};
    buffer_init(&line);
    begin_line(&line, record);
    bool good = deadletter_originals(batch, record, put_header, &headers);
    buffer_puts(&line, "]");
    put_bytes(&line, "key", "key_b64", record->key, record->key_length);
    put_bytes(&line, "payload", "value_b64", record->value, record->value_length);
    buffer_puts(&line, "}");
    enum ods_status status = good && !line.failed
                                 ? jwe_seal(origin->seal, line.bytes, line.length, out, error)
                                 : error_out_of_memory(error);
    if (line.bytes)
        OPENSSL_cleanse(line.bytes, line.length);
    buffer_done(&line);
    return status;
}

/* Names the record, and nothing of what is in it: so each letter has a key of its own, and a
 * compacted topic loses only what is erased. */
static void put_sealed_key(struct buffer *out, const struct record *record,
                           const struct deadletter_origin *origin)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    buffer_printf(out, "%s/%s/", origin->pipeline->name, record->topic);
    if (!record->identity) {
        buffer_printf(out, "%d/%lld", (int) record->partition, (long long) record->offset);
        return;
    }
    SHA256((const unsigned char *) record->identity, record->identity_length, digest);
    for (size_t i = 0; i < sizeof digest; i++)
        buffer_printf(out, "%02x", digest[i]);
}

enum ods_status deadletter_seal(struct buffer *key, struct buffer *value,
                                const struct batch *batch, const struct reject *reject,
                                const struct deadletter_origin *origin, struct error *error)
{
    put_sealed_key(key, &batch->records[reject->record], origin);
    enum ods_status status = put_sealed(value, batch, reject, origin, error);
    return status == ODS_OK && (key->failed || value->failed) ? error_out_of_memory(error)
                                                              : status;
}

enum ods_status deadletter_put_line(struct buffer *line, const struct batch *batch,
                                    const struct reject *reject,
                                    const struct deadletter_origin *origin, struct error *error)
{
    const struct record *record = &batch->records[reject->record];
    struct record shown = *record;
    struct headers headers = {.out = line};
    struct buffer key, value;
    enum ods_status status = ODS_OK;
    buffer_init(&key);
    buffer_init(&value);
    if (origin->seal) {
        status = deadletter_seal(&key, &value, batch, reject, origin, error);
        shown.key = key.bytes;
        shown.key_length = key.length;
        shown.value = value.bytes;
        shown.value_length = value.length;
    }
    if (status == ODS_OK) {
        begin_line(line, record);
        if (!deadletter_headers(batch, reject, origin, put_header, &headers))
            status = error_out_of_memory(error);
        buffer_puts(line, "]");
        put_bytes(line, "key", "key_b64", shown.key, shown.key_length);
        put_bytes(line, "payload", "value_b64", shown.value, shown.value_length);
        buffer_puts(line, "}");
    }
    buffer_done(&key);
    buffer_done(&value);
    return status == ODS_OK && line->failed ? error_out_of_memory(error) : status;
}
