/* The bump allocator behind a batch. One thread at a time; no locks. */
#include <ods/batch.h>

#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES ((size_t) 256 * 1024)

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes; /* that follow this header */
};

static char *chunk_start(struct arena_chunk *chunk)
{
    return (char *) (chunk + 1);
}

static void arena_enter(struct arena *arena, struct arena_chunk *chunk)
{
    arena->current = chunk;
    arena->next = chunk_start(chunk);
    arena->end = arena->next + chunk->bytes;
}

void arena_init(struct arena *arena)
{
    memset(arena, 0, sizeof *arena);
}

void arena_done(struct arena *arena)
{
    if (!arena)
        return;
    for (struct arena_chunk *chunk = arena->first, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    arena_init(arena);
}

void arena_reset(struct arena *arena, size_t keep_bytes)
{
    /* Oversized chunks are freed first: one giant record must not hold its memory for ever. */
    size_t kept = 0;
    struct arena_chunk **link = &arena->first;
    while (*link) {
        struct arena_chunk *chunk = *link;
        if (chunk->bytes <= CHUNK_BYTES && kept + chunk->bytes <= keep_bytes) {
            kept += chunk->bytes;
            link = &chunk->next;
        } else {
            *link = chunk->next;
            arena->reserved_bytes -= chunk->bytes;
            free(chunk);
        }
    }
    arena->used_bytes = 0;
    if (arena->first) {
        arena_enter(arena, arena->first);
    } else {
        arena->current = NULL;
        arena->next = arena->end = NULL;
    }
}

/* Oversized chunks are freed: if the same work is tried again in another order, they would pile up.
 */
static void free_giants(struct arena *arena, struct arena_chunk **link)
{
    while (*link) {
        struct arena_chunk *chunk = *link;
        if (chunk->bytes <= CHUNK_BYTES) {
            link = &chunk->next;
            continue;
        }
        *link = chunk->next;
        arena->reserved_bytes -= chunk->bytes;
        free(chunk);
    }
}

void arena_release(struct arena *arena, struct arena_mark mark)
{
    if (arena->used_bytes == mark.used_bytes)
        return;
    free_giants(arena, mark.current ? &mark.current->next : &arena->first);
    arena->used_bytes = mark.used_bytes;
    arena->current = mark.current;
    arena->next = mark.next;
    arena->end = mark.current ? chunk_start(mark.current) + mark.current->bytes : NULL;
    if (!mark.current && arena->first)
        arena_enter(arena, arena->first);
}

void *arena_alloc_slow(struct arena *arena, size_t bytes)
{
    if (bytes > SIZE_MAX - 64)
        return NULL;
    size_t rounded = bytes ? (bytes + 7) & ~(size_t) 7 : 8;
    struct arena_chunk *next = arena->current ? arena->current->next : NULL;
    if (!next || next->bytes < rounded) {
        size_t size = rounded > CHUNK_BYTES ? rounded : CHUNK_BYTES;
        struct arena_chunk *chunk = malloc(sizeof *chunk + size);
        if (!chunk)
            return NULL;
        chunk->bytes = size;
        chunk->next = next;
        if (arena->current)
            arena->current->next = chunk;
        else
            arena->first = chunk;
        arena->reserved_bytes += size;
        next = chunk;
    }
    arena_enter(arena, next);
    void *memory = arena->next;
    arena->next += rounded;
    arena->used_bytes += rounded;
    return memory;
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}
