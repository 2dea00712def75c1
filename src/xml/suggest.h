/* Entries of `derived:` for what an outline shows: a table of the elements and attributes that a
 * document has once, and one for each that repeats, below the one that it stands in. */
#ifndef SUGGEST_H
#define SUGGEST_H

#include <stddef.h>
#include <stdint.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "xml/outline.h"

enum { SUGGEST_TABLES = 50, SUGGEST_COLUMNS = 200, SUGGEST_LEVELS = 16, SUGGEST_KEYS = 32 };

/* Where the documents are, by the target's names. */
struct suggest_base {
    const char *schema, *table, *column;
    const char *key[SUGGEST_KEYS];
    size_t key_count;
};

struct suggested_table {
    char *name;
    char *keys[SUGGEST_KEYS + SUGGEST_LEVELS]; /* the first `anchors` are the base's */
    size_t key_count, anchors;
    char *query;
    size_t columns;
};

struct suggested {
    struct suggested_table tables[SUGGEST_TABLES];
    size_t count;
    uint64_t left_out; /* columns and tables for which there was no room */
};

/* ODS_FATAL: memory is out. suggested_done() either way. */
enum ods_status suggest(struct suggested *suggested, const struct outline *outline,
                        const struct outline_node *root, const struct suggest_base *base,
                        struct error *error);
void suggested_done(struct suggested *suggested);

/* The entries as they stand in tables.yaml. False: memory is out. */
bool suggested_yaml(const struct suggested *suggested, const struct suggest_base *base,
                    struct buffer *out);

/* A name in SQL, in quotes where it needs them. */
void suggest_put_name(struct buffer *out, const char *name);

#endif
