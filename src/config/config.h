/* Loading, checking and describing the configuration. */
#ifndef CONFIG_H
#define CONFIG_H

#include <stdint.h>
#include <stdio.h>

#include <ods/status.h>
#include "config/settings.h"

/* Findings of a load, in the order found: every one, not just the first. */
struct finding {
    bool warning; /* the configuration still loads */
    char *text;   /* "ods-sink.conf:12: unknown setting 'lane'; did you mean 'lanes'?" */
};

struct config; /* owns the settings and all their strings */

/* Read path and the tables.yaml that it names. On failure *config still holds the findings;
 * free it either way. */
enum ods_status config_load(struct config **config, const char *path);

/* The same from memory, the files under the names given for the findings. Paths in them are
 * relative to the working directory. */
struct config_text {
    const char *name, *bytes;
    size_t length;
};
enum ods_status config_parse(struct config **config, const struct config_text *daemon,
                             const struct config_text *tables);

const struct settings *config_settings(const struct config *config); /* NULL when it did not load */
const struct finding *config_findings(const struct config *config, size_t *count);
void config_free(struct config *config); /* NULL is fine; secrets are wiped */

/* Another number once a file was written that values come from (${file:…}) or that holds a
 * certificate or key which ods-sink.conf names. As the files were while the configuration was read,
 * and as they are now; 0: one is not there. */
uint64_t config_files_loaded(const struct config *config);
uint64_t config_files_now(const struct config *config);

/* Writes the settings that differ and need a restart to `out`, one a line. Returns how many. */
size_t config_compare(const struct config *old, const struct config *new, FILE *out);

/* Every setting with the value that is in effect, one a line, secrets as ***. */
void config_print(const struct config *config, FILE *out);

/* The same for a program: each setting's path and its value as JSON. `reloaded` is what was read
 * since, of which counts what a reload may change; NULL: nothing was. False: memory ran out, and
 * not all came. Both have loaded. */
bool config_each(const struct config *config, const struct config *reloaded,
                 void (*each)(void *context, const char *path, const char *json), void *context);

/* The generated reference of all settings, as Markdown. */
void config_reference(FILE *out);

/* A JSON Schema of tables.yaml, for editors. False: it could not be made or written. */
bool config_schema(FILE *out);

#endif
