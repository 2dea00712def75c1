/* Reading configuration files: regular, bounded, wiped. */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "config/pool.h"

/* The largest size of a configuration file, with its includes. */
#define CONFIG_MAX_BYTES (256 * 1024)
/* The same for tables.yaml, which may have a line for each table. */
#define TABLES_MAX_BYTES (4 * 1024 * 1024)

struct config_file {
    char *bytes; /* terminated */
    size_t length;
    bool readable_by_others;
};

/* NULL, or why not (static or strerror's text). */
const char *config_file_read(struct config_file *file, const char *path, size_t max_bytes);
void config_file_done(struct config_file *file); /* wipes */

/* The path as seen from folder; NULL when memory is out. */
const char *config_file_resolve(struct pool *pool, const char *folder, const char *path);
/* The folder that path lies in, "." for a bare name. */
const char *config_file_folder(struct pool *pool, const char *path);

#endif
