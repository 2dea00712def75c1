/* The neutral tree: what a libconfig file and a YAML file have in common.
 *
 * Both readers build it and the settings are parsed from it, so both files share one
 * implementation. It lives in the load's scratch pool.
 */
#ifndef NODE_H
#define NODE_H

#include "config/finding.h"
#include "config/pool.h"

struct named_file;

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

enum node_style {
    STYLE_STRING,      /* quoted, so it is text */
    STYLE_PLAIN,       /* YAML without quotes: of the type that the setting has */
    STYLE_NUMBER,      /* libconfig's numbers and booleans are never text */
    STYLE_BOOL,
    STYLE_SUBSTITUTED, /* from the environment or a file: of the type that the setting has */
};

struct node;

struct entry {
    const char *key; /* "" in lists */
    int line;
    struct node *node;
};

struct node {
    enum node_kind kind;
    enum node_style style;
    const struct config_source *source;
    int line;
    const char *text; /* scalars: substituted */
    const char *raw;  /* scalars: as the file has it */
    struct entry *entries;
    size_t count;
    bool broken;  /* scalars: could not be substituted, and a finding says so */
    size_t weight; /* nodes in this subtree, aliases counted as if written out */
};

/* What all files of one load share. */
struct load {
    struct pool scratch; /* freed at the end of the load */
    struct pool *keep;   /* what the settings point to */
    struct findings *findings;
    struct named_file **files; /* what values come from, or settings name */
    unsigned sources;
};

#define NODE_DEPTH_MAX 64
#define NODE_WEIGHT_MAX 200000

struct node *node_new(struct load *load, enum node_kind kind, const struct config_source *source,
                      int line);
/* Makes a scalar, with ${…} replaced; a finding says if that failed. */
struct node *node_scalar(struct load *load, enum node_style style,
                         const struct config_source *source, int line, const char *text,
                         size_t length);
/* False when memory is out. *capacity is the caller's, 0 at first. */
bool node_add(struct load *load, struct node *node, size_t *capacity, struct entry entry);

/* The entry of a map, or NULL; a dotted path walks inner maps. NULL node: NULL. */
const struct entry *node_find(const struct node *node, const char *path);
bool node_is_null(const struct node *node); /* YAML's ~, null, or nothing at all */

/* Describes the node for a message: `a list`, `"abc"`. Buffer of at least 64 bytes; text from the
 * environment or a file is not shown. */
const char *node_describe(const struct node *node, char *buffer, size_t size);

/* The readers. NULL: findings say why, or memory is out. The bytes are wiped by the caller. */
struct node *libconfig_read(struct load *load, const struct config_source *source,
                            const char *bytes, size_t length);
struct node *yaml_read(struct load *load, const struct config_source *source, const char *bytes,
                       size_t length);

#endif
