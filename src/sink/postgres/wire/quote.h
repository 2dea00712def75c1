/* Names in the text of statements. */
#ifndef QUOTE_H
#define QUOTE_H

/* A quoted identifier; heap, NULL when memory is out. */
char *quote_name(const char *name);

#endif
