/* `ods-sink xml suggest`: what xml.c and xml_samples.c share. */
#ifndef CLI_XML_H
#define CLI_XML_H

#include <stddef.h>
#include <stdint.h>

#include "cli/cli.h"
#include "xml/outline.h"
#include "xml/suggest.h"

struct xml_options {
    const char *config, *topic, *file, *table, *column;
    int64_t samples;
    bool lower, json;
};

/* What the samples are, and what was seen of them. */
struct xml_samples {
    const struct xml_options *options;
    const struct settings *settings; /* NULL: no configuration */
    struct outline outline;
    char *source_table, *source_column; /* as the records say; NULL: none yet, or a document */
    char *schema, *table, *column;      /* in the target */
    char *keys[SUGGEST_KEYS];
    size_t key_count;
    uint64_t looked_at; /* records */
    uint64_t read, refused;
    char refusal[400]; /* the first one, and where */
};

/* Fills them. A cli_exit; samples_done() either way. */
int samples_load(struct xml_samples *samples, struct error *error);
void samples_done(struct xml_samples *samples);

#endif
