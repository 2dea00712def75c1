/* What the files of `decode` share. */
#ifndef DECODE_H
#define DECODE_H

#include "cli/cli.h"

struct decode_options {
    const char *format, *path, *registry, *config, *pipeline, *watch;
    bool json, transform, beginning;
    int64_t count;
};

/* decode --transform: an exit code. */
int decode_transformed(const struct call *call, const struct decode_options *options);

#endif
