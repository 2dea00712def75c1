/* The records of queues that a folder has. See identities.h. */
#include "sink/file/identities.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/sha.h>

#include <ods/durable.h>

static const unsigned char no_key[IDENTITY_KEY_BYTES];

/* --- the set of keys ------------------------------------------------------------------------- */

/* The slot that has the key, or a free one for it. There is always a free slot. */
static unsigned char *slot_of(const struct identities *identities, const unsigned char *key)
{
    uint64_t at;
    memcpy(&at, key, sizeof at);
    for (;; at++) {
        unsigned char *slot = identities->slots[at & (identities->slot_count - 1)];
        if (memcmp(slot, key, IDENTITY_KEY_BYTES) == 0 ||
            memcmp(slot, no_key, IDENTITY_KEY_BYTES) == 0)
            return slot;
    }
}

static bool has(const struct identities *identities, const unsigned char *key)
{
    return identities->slot_count && memcmp(slot_of(identities, key), key, IDENTITY_KEY_BYTES) == 0;
}

/* Sees to it that at most half of the slots are used. False: out of memory, and nothing has
 * changed. */
static bool reserve(struct identities *identities, size_t more)
{
    struct identities larger = *identities;
    if (!larger.slot_count)
        larger.slot_count = 1024;
    while (larger.slot_count < 2 * (identities->key_count + more))
        larger.slot_count *= 2;
    if (larger.slot_count == identities->slot_count)
        return true;
    larger.slots = calloc(larger.slot_count, sizeof *larger.slots);
    if (!larger.slots)
        return false;
    for (size_t i = 0; i < identities->slot_count; i++)
        if (memcmp(identities->slots[i], no_key, IDENTITY_KEY_BYTES) != 0)
            memcpy(slot_of(&larger, identities->slots[i]), identities->slots[i],
                   IDENTITY_KEY_BYTES);
    free(identities->slots);
    *identities = larger;
    return true;
}

static bool add_all(struct identities *identities, const char *keys, size_t bytes)
{
    if (!reserve(identities, bytes / IDENTITY_KEY_BYTES))
        return false;
    for (size_t at = 0; at + IDENTITY_KEY_BYTES <= bytes; at += IDENTITY_KEY_BYTES) {
        const unsigned char *key = (const unsigned char *) keys + at;
        if (has(identities, key))
            continue;
        memcpy(slot_of(identities, key), key, IDENTITY_KEY_BYTES);
        identities->key_count++;
    }
    return true;
}

static void forget_all(struct identities *identities)
{
    free(identities->slots);
    identities->slots = NULL;
    identities->slot_count = identities->key_count = 0;
    identities->file = identities->length = identities->before = identities->begun_us = 0;
}

/* --- the files ------------------------------------------------------------------------------- */

static void name_of(json_int_t file, char name[64])
{
    snprintf(name, 64, "delivered-%012lld.keys", (long long) file);
}

/* Reads the keys in the bytes [from, to) of a file. */
static int read_keys(struct identities *identities, int folder, json_int_t file, int64_t from,
                     int64_t to)
{
    char name[64];
    struct buffer keys;
    int why = 0;
    if (from >= to)
        return 0;
    name_of(file, name);
    int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ENODATA : errno;
    buffer_init(&keys);
    char *room = buffer_take(&keys, (size_t) (to - from));
    for (int64_t at = from; room && !why && at < to;) {
        ssize_t got = pread(fd, room + (at - from), (size_t) (to - at), (off_t) at);
        if (got > 0)
            at += got;
        else if (got == 0 || errno != EINTR)
            why = got == 0 ? ENODATA : errno;
    }
    close(fd);
    if (!why && (!room || !add_all(identities, room, keys.length)))
        why = ENOMEM;
    buffer_done(&keys);
    return why;
}

/* Reads the keys that this lane, another lane or another process has written since the last
 * look. */
static int refresh(struct identities *identities, int folder, json_t *state)
{
    json_int_t file = 0, length = 0, before = 0, begun_us = 0;
    int why = 0;
    json_unpack(json_object_get(state, "delivered"), "{s:I, s:I, s:I, s:I}", "file", &file,
                "length", &length, "before", &before, "begun_us", &begun_us);
    if (file != identities->file || length < identities->length) {
        forget_all(identities);
        why = file > 1 ? read_keys(identities, folder, file - 1, 0, before) : 0;
    }
    if (!why)
        why = read_keys(identities, folder, file, identities->length, length);
    if (why) {
        forget_all(identities);
        return why;
    }
    identities->file = file;
    identities->length = length;
    identities->before = before;
    identities->begun_us = begun_us;
    return 0;
}

/* --- a batch --------------------------------------------------------------------------------- */

/* False: out of memory. */
static bool make_key(const struct record *record, unsigned char key[IDENTITY_KEY_BYTES])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    struct buffer identified;
    buffer_init(&identified);
    buffer_add(&identified, record->topic, strlen(record->topic) + 1);
    buffer_add(&identified, record->identity, record->identity_length);
    bool good = !identified.failed;
    if (good)
        SHA256((const unsigned char *) identified.bytes, identified.length, digest);
    buffer_done(&identified);
    if (good)
        memcpy(key, digest, IDENTITY_KEY_BYTES);
    return good;
}

/* Sets `there` for the records that the files have. A record that comes twice in the batch counts
 * as there the second time. */
static bool sort_out(struct identities *identities, const struct batch *batch, bool *there)
{
    struct identities seen = {.slots = NULL};
    bool good = reserve(&seen, batch->record_count);
    identities->fresh = 0;
    for (uint32_t i = 0; good && i < batch->record_count; i++) {
        unsigned char key[IDENTITY_KEY_BYTES];
        there[i] = false;
        identities->fresh += !batch->records[i].identity_length;
        if (!batch->records[i].identity_length)
            continue;
        good = make_key(&batch->records[i], key);
        there[i] = good && (has(identities, key) || has(&seen, key));
        if (!good || there[i])
            continue;
        good = add_all(&seen, (const char *) key, sizeof key);
        buffer_add(&identities->news, key, sizeof key);
        identities->fresh++;
    }
    free(seen.slots);
    return good && !identities->news.failed;
}

int identities_look(struct identities *identities, int folder, json_t *state, struct batch *batch)
{
    int why = refresh(identities, folder, state);
    if (why)
        return why;
    buffer_reset(&identities->news);
    buffer_reset(&identities->there);
    bool *there = (bool *) buffer_take(&identities->there, batch->record_count * sizeof *there);
    if (!there || !sort_out(identities, batch, there))
        return ENOMEM;
    batch_drop(batch, there);
    return 0;
}

/* Is it time for the next file? */
static bool is_full(const struct identities *identities, int64_t now_us)
{
    return (now_us - identities->begun_us) / 1000 >= identities->keep_ms ||
           identities->length / IDENTITY_KEY_BYTES >= identities->most / 2;
}

int identities_put(struct identities *identities, int folder, json_t *state, int64_t now_us)
{
    json_int_t file = identities->file, length = identities->length, before = identities->before;
    json_int_t begun_us = identities->begun_us;
    char name[64];
    identities->removable = 0;
    if (!file || is_full(identities, now_us)) {
        identities->removable = file > 1 ? file - 1 : 0;
        before = length;
        length = 0;
        begun_us = now_us;
        file++;
    }
    name_of(file, name);
    int why = durable_append(folder, name, identities->news.bytes, identities->news.length, length);
    json_t *told = json_pack("{s:I, s:I, s:I, s:I}", "file", file, "length",
                             length + (json_int_t) identities->news.length, "before", before,
                             "begun_us", begun_us);
    if (!told || json_object_set_new(state, "delivered", told))
        return why ? why : ENOMEM;
    return why;
}

/* Removes the file that is no longer needed, and the one before it, which a crash may have left.
 * The next look makes the memory agree with the state again. */
void identities_committed(struct identities *identities, int folder)
{
    char name[64];
    if (!identities->removable)
        return;
    for (int i = 0; i < 2; i++) {
        name_of(identities->removable - i, name);
        unlinkat(folder, name, 0);
    }
    identities->removable = 0;
}

uint64_t identities_count(const struct identities *identities, const struct batch *batch)
{
    const bool *there = (const bool *) identities->there.bytes;
    uint64_t count = 0;
    for (uint32_t i = 0; i < batch->change_count; i++)
        count += there[batch->changes[i].record];
    return count;
}

void identities_init(struct identities *identities, int64_t keep_ms, int64_t most)
{
    *identities = (struct identities){.keep_ms = keep_ms, .most = most};
    buffer_init(&identities->news);
    buffer_init(&identities->there);
}

void identities_done(struct identities *identities)
{
    forget_all(identities);
    buffer_done(&identities->news);
    buffer_done(&identities->there);
}
