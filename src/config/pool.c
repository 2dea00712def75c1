/* Memory of one load: a list of blocks, wiped before they go back. */
#include "config/pool.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pool_block {
    struct pool_block *next;
    size_t size;
    max_align_t bytes[];
};

void pool_done(struct pool *pool)
{
    struct pool_block *block = pool->blocks;
    while (block) {
        struct pool_block *next = block->next;
        explicit_bzero(block->bytes, block->size);
        free(block);
        block = next;
    }
    *pool = (struct pool){0};
}

void *pool_alloc(struct pool *pool, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes) ||
        bytes > SIZE_MAX - sizeof(struct pool_block)) {
        pool->failed = true;
        return NULL;
    }
    struct pool_block *block = calloc(1, sizeof(*block) + bytes);
    if (!block) {
        pool->failed = true;
        return NULL;
    }
    block->size = bytes;
    block->next = pool->blocks;
    pool->blocks = block;
    return block->bytes;
}

char *pool_strndup(struct pool *pool, const char *text, size_t length)
{
    char *copy = pool_alloc(pool, length + 1, 1);
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

char *pool_strdup(struct pool *pool, const char *text)
{
    return pool_strndup(pool, text, strlen(text));
}

char *pool_printf(struct pool *pool, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : pool_alloc(pool, (size_t) length + 1, 1);
    if (text)
        vsnprintf(text, (size_t) length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}
