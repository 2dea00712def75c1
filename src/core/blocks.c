/* A list of allocations. */
#include "core/blocks.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    max_align_t memory[];
};

void *blocks_alloc(struct blocks *blocks, size_t bytes)
{
    struct block *block =
        bytes > SIZE_MAX / 2 ? NULL : calloc(1, sizeof *block + bytes);
    if (!block) {
        blocks->failed = true;
        return NULL;
    }
    block->next = blocks->first;
    blocks->first = block;
    blocks->bytes += sizeof *block + bytes;
    return block->memory;
}

char *blocks_strndup(struct blocks *blocks, const char *text, size_t length)
{
    char *copy = blocks_alloc(blocks, length + 1);
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

void blocks_done(struct blocks *blocks)
{
    for (struct block *block = blocks->first, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    *blocks = (struct blocks){0};
}
