/* Small allocations that share one owner and one lifetime: blocks_done() frees everything that
 * blocks_alloc() gave. For what lives long and is built once (shapes, compiled schemas). */
#ifndef BLOCKS_H
#define BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

struct block;
struct blocks {
    struct block *first;
    size_t bytes; /* handed out */
    bool failed;  /* memory ran out since the owner last set this to false */
};

void *blocks_alloc(struct blocks *blocks, size_t bytes); /* zeroed; NULL when memory is out */
char *blocks_strndup(struct blocks *blocks, const char *text, size_t length); /* terminated */
void blocks_done(struct blocks *blocks); /* zeroed ones are fine */

#endif
