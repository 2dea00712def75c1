/* The findings of one load, kept in the order of file and line. */
#ifndef FINDING_H
#define FINDING_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/* A file that was read, to which a finding belongs. */
struct config_source {
    const char *name;        /* as the messages call it */
    const char *folder;      /* relative paths inside it start here */
    unsigned order;          /* findings of the first file come first */
    bool readable_by_others; /* its mode lets group or others read */
};

struct findings {
    struct finding *items; /* `count` of them, without an entry that marks the end */
    struct finding_place *places;
    size_t count, capacity;
    size_t errors;
    size_t dropped; /* beyond the first FINDINGS_MAX */
    bool failed;    /* memory ran out: a finding may be missing, the load must not succeed */
};

#define FINDINGS_MAX 200

void findings_done(struct findings *findings);
/* line 0: the whole file. */
void findings_error(struct findings *findings, const struct config_source *source, int line,
                    const char *format, ...) __attribute__((format(printf, 4, 5)));
void findings_warn(struct findings *findings, const struct config_source *source, int line,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Adds a finding that says how many did not fit; call it once, at the end. */
void findings_close(struct findings *findings);

/* Edits (insert, delete, replace, swap of neighbours) that turn one name into the other; case
 * counts as nothing. Names longer than 63 bytes are far from everything. */
unsigned name_distance(const char *one, const char *other);

/* The nearest of `count` names, or NULL when none is near enough to be meant. */
const char *name_nearest(const char *name, const char *const *names, size_t count);

#endif
