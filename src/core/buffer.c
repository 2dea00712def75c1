/* The growing byte buffer. Its owner's thread only. */
#include <ods/buffer.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void buffer_init(struct buffer *buffer)
{
    memset(buffer, 0, sizeof *buffer);
}

void buffer_done(struct buffer *buffer)
{
    if (!buffer)
        return;
    free(buffer->bytes);
    buffer_init(buffer);
}

bool buffer_grow(struct buffer *buffer, size_t more)
{
    if (more > SIZE_MAX / 2 - buffer->length) {
        buffer->failed = true;
        return false;
    }
    size_t needed = buffer->length + more;
    size_t larger = buffer->capacity ? buffer->capacity : 256;
    while (larger < needed)
        larger *= 2;
    char *moved = realloc(buffer->bytes, larger);
    if (!moved) {
        buffer->failed = true;
        return false;
    }
    buffer->bytes = moved;
    buffer->capacity = larger;
    return true;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length < 0 || (buffer->capacity - buffer->length <= (size_t) length &&
                       !buffer_grow(buffer, (size_t) length + 1))) {
        buffer->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(buffer->bytes + buffer->length, (size_t) length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t) length;
}

const char *buffer_text(struct buffer *buffer)
{
    if (buffer->capacity == buffer->length && !buffer_grow(buffer, 1))
        return "";
    buffer->bytes[buffer->length] = '\0';
    return buffer->bytes;
}
