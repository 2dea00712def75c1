/* The files whose contents a configuration has, or names for others to read: passwords by
 * ${file:…}, certificates and their keys. Who rotates them replaces them while the daemon runs. */
#ifndef NAMED_FILES_H
#define NAMED_FILES_H

#include <stdint.h>

#include "config/node.h"

struct named_file {
    const char *path;
    struct named_file *next;
    uint64_t stamp; /* as it was when it was kept; 0: it was not there */
};

/* Keep a file with the configuration, once. Before it is read, so that no change is missed. */
void named_files_add(struct load *load, const char *path);
/* Keep those that settings in this tree name: authorities, certificates, keys. */
void named_files_collect(struct load *load, const struct node *node);
/* A number that is another one once any of them was written or replaced: as they were when they
 * were kept, and as they are now; 0: one is not there. */
uint64_t named_files_loaded(const struct named_file *files);
uint64_t named_files_now(const struct named_file *files);

#endif
