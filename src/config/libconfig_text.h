/* A libconfig file as libconfig itself can read it: see libconfig_text.c for what changes. */
#ifndef LIBCONFIG_TEXT_H
#define LIBCONFIG_TEXT_H

#include "config/node.h"
#include <ods/buffer.h>

struct text_line {
    const struct config_source *source;
    int line;
};

struct libconfig_text {
    struct load *load;
    struct buffer out;
    struct text_line *lines; /* where each line of `out` stands */
    size_t line_count, line_capacity;
    unsigned depth; /* of @include */
    bool failed;    /* a finding says why, or memory is out */
};

/* Append bytes, and all that they include, to text->out. */
void libconfig_text_add(struct libconfig_text *text, const struct config_source *source,
                        const char *bytes, size_t length);
void libconfig_text_done(struct libconfig_text *text); /* wipes */

/* Undo the encoding of a name, in the scratch pool; NULL when memory is out. */
const char *libconfig_text_name(struct load *load, const char *name);

#endif
