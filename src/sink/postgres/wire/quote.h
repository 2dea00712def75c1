/* Names in the text of statements, and lists among their values. */
#ifndef QUOTE_H
#define QUOTE_H

#include <ods/buffer.h>
#include <ods/setting.h>

/* A quoted identifier; heap, NULL when memory is out. */
char *quote_name(const char *name);

/* Writes texts as the text of an array. The caller frees it with buffer_done(). */
void quote_array(struct buffer *array, const struct strings *texts);
/* The same one by one, into a buffer that is empty at first. */
void quote_array_put(struct buffer *array, const char *text);
void quote_array_end(struct buffer *array);

#endif
