/* By what a queue's record is kept. See counted.h. */
#include "sink/postgres/fold/counted.h"

#include <endian.h>
#include <string.h>

#include <openssl/sha.h>

#include "sink/postgres/values/encode.h"

#define DIGITS_MOST 18

/* --- identities ------------------------------------------------------------------------------- */

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Beyond ASCII all is taken for a letter. */
static bool is_of_word(char byte)
{
    char lower = (char) (byte | 0x20);
    return is_digit(byte) || (lower >= 'a' && lower <= 'z') || (unsigned char) byte >= 0x80;
}

bool counted_split(const char *identity, uint32_t length, uint32_t *stem, uint64_t *number)
{
    uint32_t at = length;
    while (at && is_digit(identity[at - 1]))
        at--;
    if (at == length || length - at > DIGITS_MOST || (at && is_of_word(identity[at - 1])))
        return false;
    while (at + 1 < length && identity[at] == '0')
        at++;
    *stem = at;
    *number = 0;
    for (; at < length; at++)
        *number = *number * 10 + (uint64_t) (identity[at] - '0');
    return true;
}

/* --- digests ---------------------------------------------------------------------------------- */

void counted_init(struct counted *counted, const char *group)
{
    *counted = (struct counted){.group = group};
}

void counted_done(struct counted *counted)
{
    hash_index_done(&counted->index);
    buffer_done(&counted->text);
}

static void put_part(struct buffer *out, const char *bytes, size_t length)
{
    encode_put32(out, (uint32_t) length);
    buffer_add(out, bytes, length);
}

bool counted_digest(struct counted *counted, const char *topic, const char *bytes, size_t length,
                    unsigned char digest[COUNTED_DIGEST_BYTES])
{
    struct buffer *text = &counted->text;
    unsigned char whole[SHA256_DIGEST_LENGTH];
    buffer_reset(text);
    put_part(text, counted->group, strlen(counted->group));
    put_part(text, topic, strlen(topic));
    buffer_add(text, bytes, length);
    if (text->failed)
        return false;
    SHA256((const unsigned char *) text->bytes, text->length, whole);
    memcpy(digest, whole, COUNTED_DIGEST_BYTES);
    return true;
}

/* Queues take turns, and few senders write into one, so the stem is mostly one that came lately. */
static bool digest_stem(struct counted *counted, const char *topic, const char *stem, size_t length,
                        unsigned char digest[COUNTED_DIGEST_BYTES])
{
    size_t topic_bytes = strlen(topic) + 1, all = topic_bytes + length;
    for (size_t i = 0; i < COUNTED_STEMS; i++) {
        const struct counted_stem *known = &counted->stems[i];
        if (known->length != all || memcmp(known->bytes, topic, topic_bytes) != 0 ||
            memcmp(known->bytes + topic_bytes, stem, length) != 0)
            continue;
        memcpy(digest, known->digest, COUNTED_DIGEST_BYTES);
        return true;
    }
    if (!counted_digest(counted, topic, stem, length, digest))
        return false;
    if (all > COUNTED_STEM_BYTES)
        return true;
    struct counted_stem *room = &counted->stems[counted->next++ % COUNTED_STEMS];
    memcpy(room->digest, digest, COUNTED_DIGEST_BYTES);
    memcpy(room->bytes, topic, topic_bytes);
    memcpy(room->bytes + topic_bytes, stem, length);
    room->length = (uint32_t) all;
    return true;
}

/* --- chunks ----------------------------------------------------------------------------------- */

bool counted_begin(struct counted *counted, struct arena *arena, uint32_t most)
{
    hash_index_done(&counted->index);
    counted->count = 0;
    counted->chunks = arena_alloc(arena, most * sizeof *counted->chunks);
    return counted->chunks != NULL;
}

/* The index has each chunk by its place among counted->chunks. */
static bool find_chunk(struct counted *counted, struct arena *arena,
                       const unsigned char key[COUNTED_KEY_BYTES], uint32_t *found)
{
    struct counted_chunk **same;
    uint64_t digest, number;
    memcpy(&digest, key, sizeof digest);
    memcpy(&number, key + COUNTED_DIGEST_BYTES, sizeof number);
    uint64_t hash = digest ^ (be64toh(number) * UINT64_C(0x9e3779b97f4a7c15));
    size_t at = hash_index_start(hash);
    while ((same = hash_index_next(&counted->index, hash, &at)))
        if (memcmp((*same)->key, key, COUNTED_KEY_BYTES) == 0) {
            *found = (uint32_t) (same - counted->chunks);
            return true;
        }
    struct counted_chunk *chunk = arena_alloc(arena, sizeof *chunk);
    if (!chunk || !hash_index_reserve(&counted->index))
        return false;
    *chunk = (struct counted_chunk){0};
    memcpy(chunk->key, key, COUNTED_KEY_BYTES);
    *found = counted->count++;
    counted->chunks[*found] = chunk;
    hash_index_add(&counted->index, hash, &counted->chunks[*found]);
    return true;
}

bool counted_place(struct counted *counted, struct arena *arena, const struct record *record,
                   struct counted_place *place)
{
    unsigned char key[COUNTED_KEY_BYTES];
    uint32_t stem;
    uint64_t number;
    place->chunk = COUNTED_NONE;
    if (!counted_split(record->identity, record->identity_length, &stem, &number))
        return true;
    uint64_t chunk = htobe64(number / COUNTED_BITS);
    place->bit = (uint32_t) (number % COUNTED_BITS);
    if (!digest_stem(counted, record->topic, record->identity, stem, key))
        return false;
    memcpy(key + COUNTED_DIGEST_BYTES, &chunk, sizeof chunk);
    return find_chunk(counted, arena, key, &place->chunk);
}

void counted_clear(struct counted *counted)
{
    for (uint32_t i = 0; i < counted->count; i++)
        memset(counted->chunks[i]->bits, 0, sizeof counted->chunks[i]->bits);
}

void counted_read_bits(struct counted *counted, uint32_t chunk, const char *bits)
{
    for (uint32_t bit = 0; bit < COUNTED_BITS && bits[bit]; bit++)
        if (bits[bit] == '1')
            counted_set(counted, (struct counted_place){chunk, bit});
}

/* --- to the target ---------------------------------------------------------------------------- */

static bool is_used(const struct counted_chunk *chunk)
{
    static const unsigned char none[COUNTED_BITS / 8];
    return memcmp(chunk->bits, none, sizeof none) != 0;
}

static uint32_t count_used(const struct counted *counted)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < counted->count; i++)
        count += is_used(counted->chunks[i]);
    return count;
}

void counted_put_keys(const struct counted *counted, bool used, struct buffer *keys)
{
    encode_array_begin(keys, OID_BYTEA, used ? count_used(counted) : counted->count);
    for (uint32_t i = 0; i < counted->count; i++)
        if (!used || is_used(counted->chunks[i]))
            encode_put_bytes(keys, counted->chunks[i]->key, COUNTED_KEY_BYTES);
}

void counted_put_bits(const struct counted *counted, struct buffer *bits)
{
    encode_array_begin(bits, OID_BIT, count_used(counted));
    for (uint32_t i = 0; i < counted->count; i++) {
        const struct counted_chunk *chunk = counted->chunks[i];
        if (!is_used(chunk))
            continue;
        encode_put32(bits, 4 + sizeof chunk->bits);
        encode_put32(bits, COUNTED_BITS);
        buffer_add(bits, chunk->bits, sizeof chunk->bits);
    }
}
