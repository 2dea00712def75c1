/* By what a message is known when it is delivered again. See amqp_identity.h. */
#include "source/amqp/amqp_identity.h"

#include <string.h>

#include <openssl/evp.h>

#include "core/json_scan.h"

/* The members of an envelope that are the change itself. What else it has (`ts_ms`, when the
 * connector handled it) may differ from one sending to the next. */
enum { PART_SOURCE, PART_OP, PART_BEFORE, PART_AFTER, PART_COUNT };
static const char *const part_names[] = {"source", "op", "before", "after"};

struct envelope {
    struct slice parts[PART_COUNT];
    struct slice payload; /* where the envelope stands beside its schema */
};

static void note_member(struct envelope *envelope, const char *name, size_t length,
                        struct slice value)
{
    for (size_t i = 0; i < PART_COUNT; i++)
        if (strlen(part_names[i]) == length && memcmp(part_names[i], name, length) == 0)
            envelope->parts[i] = value;
    if (length == strlen("payload") && memcmp(name, "payload", length) == 0)
        envelope->payload = value;
}

static bool read_members(struct envelope *envelope, struct slice text, struct arena *arena)
{
    struct json_scan scan;
    const char *name;
    size_t length;
    bool first = true;
    *envelope = (struct envelope){0};
    json_scan_init(&scan, text.bytes, text.length);
    if (!json_take(&scan, '{'))
        return false;
    while (json_next_member(&scan, &first)) {
        if (!json_name(&scan, arena, &name, &length))
            return false;
        json_space(&scan);
        const char *from = scan.at;
        if (!json_skip(&scan))
            return false;
        note_member(envelope, name, length, (struct slice){from, (size_t) (scan.at - from)});
    }
    return !scan.problem;
}

static bool digest(const struct envelope *envelope, char identity[AMQP_IDENTITY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    for (size_t i = 0; good && i < PART_COUNT; i++) {
        uint64_t length = envelope->parts[i].length;
        good = EVP_DigestUpdate(context, &length, sizeof length) &&
               EVP_DigestUpdate(context, envelope->parts[i].bytes, length);
    }
    good = good && EVP_DigestFinal_ex(context, hash, NULL);
    EVP_MD_CTX_free(context);
    for (size_t i = 0; good && i < AMQP_IDENTITY_BYTES; i++)
        identity[i] = digits[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
    return good;
}

bool amqp_identity_of_content(const char *value, size_t length, char identity[AMQP_IDENTITY_BYTES])
{
    struct envelope envelope;
    struct arena arena;
    arena_init(&arena);
    bool good = value && read_members(&envelope, (struct slice){value, length}, &arena);
    if (good && envelope.payload.bytes)
        good = read_members(&envelope, envelope.payload, &arena);
    good = good && envelope.parts[PART_SOURCE].bytes && *envelope.parts[PART_SOURCE].bytes == '{' &&
           digest(&envelope, identity);
    arena_done(&arena);
    return good;
}
