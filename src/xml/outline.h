/* What samples of XML documents have in common: which elements and attributes, how often, and of
 * what kind their texts are. Read by expat as a stream, with limits; a document that declares
 * entities is refused, and nothing but its own bytes is ever read. One thread.
 */
#ifndef OUTLINE_H
#define OUTLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/status.h>

enum outline_limit {
    OUTLINE_BYTES = 16 << 20, /* of a document */
    OUTLINE_DEPTH = 64,
    OUTLINE_NODES = 1000,     /* that differ, in all documents; further ones are left out */
    OUTLINE_NAME = 512,       /* bytes of a name with its namespace */
    OUTLINE_NAMESPACES = 100,
};

/* What all texts of a node could be read as; a bit each. */
enum outline_kind {
    OUTLINE_BOOLEAN = 1,
    OUTLINE_INTEGER = 2,
    OUTLINE_NUMERIC = 4,
    OUTLINE_DATE = 8,
    OUTLINE_TIMESTAMP = 16,
    OUTLINE_TIMESTAMPTZ = 32,
    OUTLINE_ANY_KIND = 63,
};

struct outline_node {
    struct outline_node *parent, *child, *last, *next; /* the children in order of appearance */
    struct outline_node *recent;                       /* child that was found last */
    const char *uri, *name; /* uri "": no namespace */
    bool attribute;
    uint64_t seen; /* how often, in all documents */
    uint64_t most; /* how often in one parent, at most */
    bool text;     /* there was one that is not blank */
    bool empty;    /* there was one without text, or that is nil */
    unsigned kinds;
    uint64_t now;    /* in the parent that is being read */
    uint64_t parent_now; /* which one that is */
};

struct outline_namespace {
    char *uri, *prefix; /* the prefix is a name in XPath and SQL, and nobody else's */
};

struct outline {
    struct outline_node root; /* its children are the root elements */
    struct outline_node rest; /* in place of what is left out */
    size_t nodes;
    struct outline_namespace namespaces[OUTLINE_NAMESPACES];
    size_t namespace_count;
    uint64_t documents; /* that were read */
};

void outline_init(struct outline *outline);
void outline_done(struct outline *outline);

/* Adds a document. `text`: it is UTF-8, whatever it declares. ODS_REJECT: it is not well-formed, or
 * beyond a limit: nothing of it counts. ODS_FATAL: memory is out. */
enum ods_status outline_read(struct outline *outline, const char *bytes, size_t length, bool text,
                             struct error *error);

/* The namespace's prefix, or "" for that of `xml`, whose prefix is its own, or none. */
const char *outline_prefix(const struct outline *outline, const char *uri);

/* Which kinds a text is of; for the outline. */
unsigned outline_kinds(const char *text, size_t length);

#endif
