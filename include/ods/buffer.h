/* A growing byte buffer on the heap, reused from batch to batch. */
#ifndef ODS_BUFFER_H
#define ODS_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

struct buffer {
    char *bytes;
    size_t length, capacity;
    bool failed; /* memory ran out, so the contents are incomplete; check it once, at the end */
};

void buffer_init(struct buffer *buffer);
void buffer_done(struct buffer *buffer);
bool buffer_grow(struct buffer *buffer, size_t more); /* room for `more` bytes after length */
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
const char *buffer_text(struct buffer *buffer); /* terminated; "" when memory is out */

static inline void buffer_reset(struct buffer *buffer)
{
    buffer->length = 0;
    buffer->failed = false;
}

/* `bytes` of room at the end, already counted as used; NULL when memory is out. */
static inline char *buffer_take(struct buffer *buffer, size_t bytes)
{
    if ((!buffer->bytes || buffer->capacity - buffer->length < bytes) &&
        !buffer_grow(buffer, bytes))
        return NULL;
    char *at = buffer->bytes + buffer->length;
    buffer->length += bytes;
    return at;
}

static inline void buffer_add(struct buffer *buffer, const void *bytes, size_t length)
{
    char *at = buffer_take(buffer, length);
    if (at && length)
        memcpy(at, bytes, length);
}

static inline void buffer_puts(struct buffer *buffer, const char *text)
{
    buffer_add(buffer, text, strlen(text));
}

#ifdef __cplusplus
}
#endif

#endif
