/* The memory of one load: freed all at once, and wiped, since it holds passwords. */
#ifndef POOL_H
#define POOL_H

#include <stdbool.h>
#include <stddef.h>

struct pool_block;

struct pool {
    struct pool_block *blocks;
    bool failed; /* memory ran out once: what was built is incomplete */
};

void pool_done(struct pool *pool);
void *pool_alloc(struct pool *pool, size_t count, size_t size); /* zeroed; NULL: memory is out */
char *pool_strndup(struct pool *pool, const char *text, size_t length);
char *pool_strdup(struct pool *pool, const char *text);
char *pool_printf(struct pool *pool, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
