/* Texts as PostgreSQL reads them. See readings.h. */
#include "sink/postgres/values/readings.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"

#define KEEP_BYTES ((size_t) 256 * 1024)

void readings_init(struct readings *readings)
{
    memset(readings, 0, sizeof *readings);
    arena_init(&readings->arena);
}

void readings_done(struct readings *readings)
{
    arena_done(&readings->arena);
    hash_index_done(&readings->index);
    readings_init(readings);
}

void readings_reset(struct readings *readings)
{
    if (!readings->index.slot_count)
        return;
    arena_reset(&readings->arena, KEEP_BYTES);
    hash_index_done(&readings->index);
    memset(readings->waiting, 0, sizeof readings->waiting);
    readings->waiting_count = 0;
}

static const char *keep(struct readings *readings, const char *bytes, size_t length)
{
    char *copy = arena_alloc(&readings->arena, length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

struct reading *readings_find(struct readings *readings, enum reading_kind kind, const char *text,
                              uint32_t length)
{
    uint64_t hash = hash_bytes(text, length, kind);
    size_t at = hash_index_start(hash);
    struct reading *reading;
    while ((reading = hash_index_next(&readings->index, hash, &at)))
        if (reading->kind == kind && reading->length == length &&
            memcmp(reading->text, text, length) == 0)
            return reading;
    if (!hash_index_reserve(&readings->index))
        return NULL;
    reading = arena_alloc(&readings->arena, sizeof *reading);
    const char *copy = keep(readings, text, length);
    if (!reading || !copy)
        return NULL;
    *reading = (struct reading){.next = readings->waiting[kind],
                                .kind = kind,
                                .text = copy,
                                .length = length};
    readings->waiting[kind] = reading;
    hash_index_add(&readings->index, hash, reading);
    readings->waiting_count++;
    return reading;
}

bool readings_answer(struct readings *readings, struct reading *reading, enum reading_state state,
                     const char *answer, const char *sqlstate)
{
    size_t length = strlen(answer);
    reading->answer = keep(readings, answer, length);
    if (!reading->answer)
        return false;
    reading->answer_length = (uint32_t) length;
    reading->state = state;
    snprintf(reading->sqlstate, sizeof reading->sqlstate, "%s", sqlstate);
    return true;
}
