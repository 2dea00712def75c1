/* See outline.h. */
#include "xml/outline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#define SEPARATOR '\n' /* between a namespace and a name: it stands in neither */
#define INSTANCE  "http://www.w3.org/2001/XMLSchema-instance"
#define XML       "http://www.w3.org/XML/1998/namespace"

enum { TEXT_MAX = 64 }; /* longer ones are of no kind */

/* An element that is open. */
struct frame {
    struct outline_node *node;
    char text[TEXT_MAX];
    size_t length;
    bool more, words, nil; /* more text than that; some that is not blank; xsi:nil */
    bool blank, children;
};

struct reading {
    struct outline *outline;
    XML_Parser parser;
    bool text;
    bool counts; /* the second time: what is read goes into the outline */
    size_t depth;
    uint64_t serial; /* of elements in all documents */
    uint64_t serials[OUTLINE_DEPTH + 1];
    struct frame frames[OUTLINE_DEPTH + 1];
    struct error *error;
    enum ods_status status;
};

/* --- nodes ----------------------------------------------------------------------------------- */

void outline_init(struct outline *outline)
{
    *outline = (struct outline){.root = {.uri = "", .name = "", .kinds = OUTLINE_ANY_KIND},
                                .rest = {.uri = "", .name = ""}};
}

void outline_done(struct outline *outline)
{
    struct outline_node *node = outline->root.child;
    while (node) { /* children first; no recursion */
        if (node->child) {
            struct outline_node *child = node->child;
            node->child = NULL;
            node = child;
            continue;
        }
        struct outline_node *next = node->next ? node->next : node->parent;
        free((char *) (*node->uri ? node->uri : node->name));
        free(node);
        node = next == &outline->root ? NULL : next;
    }
    for (size_t i = 0; i < outline->namespace_count; i++) {
        free(outline->namespaces[i].uri);
        free(outline->namespaces[i].prefix);
    }
}

static void refuse(struct reading *reading, enum ods_status status, const char *why)
{
    if (reading->status == ODS_OK)
        reading->status = error_set(reading->error, status, "%s", why);
    XML_StopParser(reading->parser, XML_FALSE);
}

static bool is_it(const struct outline_node *node, const char *full, size_t uri, const char *name,
                  bool attribute)
{
    return node && node->attribute == attribute && strcmp(node->name, name) == 0 &&
           strlen(node->uri) == uri && memcmp(node->uri, full, uri) == 0;
}

/* "uri\nname", as expat has it. Most often it is the child that was found last, or the next one. */
static struct outline_node *find_child(struct outline_node *parent, const char *full,
                                       bool attribute)
{
    const char *name = strrchr(full, SEPARATOR);
    size_t uri = name ? (size_t) (name - full) : 0;
    name = name ? name + 1 : full;
    struct outline_node *node = parent->recent;
    if (!is_it(node, full, uri, name, attribute))
        node = node ? node->next : NULL;
    if (!is_it(node, full, uri, name, attribute))
        for (node = parent->child; node && !is_it(node, full, uri, name, attribute);)
            node = node->next;
    if (node)
        parent->recent = node;
    return node;
}

/* Has the namespace a prefix? */
static bool is_known(const struct outline *outline, const char *uri, size_t length)
{
    for (size_t i = 0; i < outline->namespace_count; i++)
        if (strlen(outline->namespaces[i].uri) == length &&
            memcmp(outline->namespaces[i].uri, uri, length) == 0)
            return true;
    return length == sizeof XML - 1 && memcmp(uri, XML, length) == 0;
}

/* A new one; the rest where there is no room for it. NULL: memory is out. */
static struct outline_node *add_child(struct reading *reading, struct outline_node *parent,
                                      const char *full, bool attribute)
{
    struct outline *outline = reading->outline;
    const char *separator = strrchr(full, SEPARATOR);
    if (parent == &outline->rest || outline->nodes >= OUTLINE_NODES ||
        (separator && !is_known(outline, full, (size_t) (separator - full))))
        return &outline->rest;
    struct outline_node *node = calloc(1, sizeof *node);
    char *copy = strdup(full);
    if (!node || !copy) {
        free(node);
        free(copy);
        refuse(reading, ODS_FATAL, "out of memory");
        return NULL;
    }
    char *name = strrchr(copy, SEPARATOR);
    if (name)
        *name++ = '\0';
    node->name = name ? name : copy;
    node->uri = name ? copy : ""; /* what is freed is the one that stands in front */
    node->attribute = attribute;
    node->parent = parent;
    node->kinds = OUTLINE_ANY_KIND;
    *(parent->last ? &parent->last->next : &parent->child) = node;
    parent->last = node;
    outline->nodes++;
    return node;
}

/* The child of that name, which is counted. NULL: refused. */
static struct outline_node *count_child(struct reading *reading, struct outline_node *parent,
                                        const char *full, bool attribute, uint64_t parent_now)
{
    struct outline_node *node = find_child(parent, full, attribute);
    if (!node && !(node = add_child(reading, parent, full, attribute)))
        return NULL;
    node->seen++;
    node->now = node->parent_now == parent_now ? node->now + 1 : 1;
    node->parent_now = parent_now;
    if (node->now > node->most)
        node->most = node->now;
    return node;
}

static bool is_blank(char byte)
{
    return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

static void take_text(struct outline_node *node, const char *text, size_t length, bool more)
{
    if (!length && !more) {
        node->empty = true;
        return;
    }
    node->text = true;
    node->kinds &= more ? 0 : outline_kinds(text, length);
}

/* --- namespaces ------------------------------------------------------------------------------ */

static bool prefix_is_free(const struct outline *outline, const char *prefix)
{
    for (size_t i = 0; i < outline->namespace_count; i++)
        if (strcmp(outline->namespaces[i].prefix, prefix) == 0)
            return false;
    return strcmp(prefix, "xml") != 0 && strcmp(prefix, "xmlns") != 0;
}

/* The document's own prefix where it will do: lower case letters and digits; else n, n2, … */
static char *choose_prefix(const struct outline *outline, const char *prefix)
{
    char name[40];
    size_t length = prefix ? strspn(prefix, "abcdefghijklmnopqrstuvwxyz0123456789") : 0;
    bool fine = length && length < 20 && !prefix[length] && *prefix > '9';
    snprintf(name, sizeof name, "%s", fine ? prefix : "n");
    for (unsigned i = 2; !prefix_is_free(outline, name); i++)
        snprintf(name, sizeof name, "%s%u", fine ? prefix : "n", i);
    return strdup(name);
}

const char *outline_prefix(const struct outline *outline, const char *uri)
{
    for (size_t i = 0; *uri && i < outline->namespace_count; i++)
        if (strcmp(outline->namespaces[i].uri, uri) == 0)
            return outline->namespaces[i].prefix;
    return strcmp(uri, XML) == 0 ? "xml" : "";
}

/* Printable ASCII, as a URI is. */
static bool is_plain(const char *uri)
{
    for (; *uri; uri++)
        if (*uri <= ' ' || *uri > '~')
            return false;
    return true;
}

static void XMLCALL on_namespace(void *context, const char *prefix, const char *uri)
{
    struct reading *reading = context;
    struct outline *outline = reading->outline;
    if (!uri || !*uri || !reading->counts || strcmp(uri, INSTANCE) == 0 ||
        *outline_prefix(outline, uri) || !is_plain(uri))
        return;
    if (outline->namespace_count == OUTLINE_NAMESPACES)
        return; /* what is in it is left out */
    struct outline_namespace *added = &outline->namespaces[outline->namespace_count];
    added->uri = strdup(uri);
    added->prefix = choose_prefix(outline, prefix);
    if (added->uri && added->prefix) {
        outline->namespace_count++;
        return;
    }
    free(added->uri);
    free(added->prefix);
    refuse(reading, ODS_FATAL, "out of memory");
}

/* --- elements -------------------------------------------------------------------------------- */

static bool is_instance(const char *name)
{
    return strncmp(name, INSTANCE, sizeof INSTANCE - 1) == 0 &&
           name[sizeof INSTANCE - 1] == SEPARATOR;
}

static bool is_nil(const char *name, const char *value)
{
    return is_instance(name) && strcmp(name + sizeof INSTANCE, "nil") == 0 &&
           (strcmp(value, "true") == 0 || strcmp(value, "1") == 0);
}

/* In the first reading: is it within the limits? */
static void check_element(struct reading *reading, const char *name, const char **attributes)
{
    bool fine = strlen(name) <= OUTLINE_NAME;
    for (const char **at = attributes; *at; at += 2)
        fine = fine && strlen(*at) <= OUTLINE_NAME;
    if (!fine)
        refuse(reading, ODS_REJECT, "a name in it is too long");
}

static void take_attributes(struct reading *reading, struct frame *frame, const char **attributes,
                            uint64_t serial)
{
    for (; *attributes && reading->status == ODS_OK; attributes += 2) {
        const char *value = attributes[1];
        size_t length = strlen(value);
        frame->nil |= is_nil(attributes[0], value);
        if (is_instance(attributes[0]))
            continue;
        struct outline_node *node =
            count_child(reading, frame->node, attributes[0], true, serial);
        if (node)
            take_text(node, value, length, length > TEXT_MAX);
    }
}

static void XMLCALL on_start(void *context, const char *name, const char **attributes)
{
    struct reading *reading = context;
    if (reading->depth >= OUTLINE_DEPTH) {
        refuse(reading, ODS_REJECT, "it is nested more than 64 levels deep");
        return;
    }
    if (!reading->counts) {
        reading->depth++;
        check_element(reading, name, attributes);
        return;
    }
    struct outline_node *parent = reading->frames[reading->depth].node;
    uint64_t parent_now = reading->serials[reading->depth];
    struct outline_node *node = count_child(reading, parent, name, false, parent_now);
    if (!node)
        return;
    reading->frames[reading->depth].children = true;
    uint64_t serial = ++reading->serial;
    reading->serials[++reading->depth] = serial;
    reading->frames[reading->depth] = (struct frame){.node = node};
    take_attributes(reading, &reading->frames[reading->depth], attributes, serial);
}

/* What an element held. Blanks between elements are layout; where they are all there is, or where
 * elements stand among words, it is of no kind but text. */
static void take_element(struct frame *frame)
{
    size_t length = frame->length;
    while (length && is_blank(frame->text[length - 1]))
        length--;
    bool only_blank = frame->blank && !frame->words && !frame->children;
    if (frame->children && !frame->words)
        return;
    take_text(frame->node, frame->text, frame->words ? length : 0, frame->more || only_blank);
    if (frame->words && frame->children)
        frame->node->kinds = 0;
}

static void XMLCALL on_end(void *context, const char *name)
{
    struct reading *reading = context;
    if (reading->counts) {
        struct frame *frame = &reading->frames[reading->depth];
        take_element(frame);
        frame->node->empty |= frame->nil;
    }
    reading->depth--;
}

static void XMLCALL on_text(void *context, const char *text, int length)
{
    struct reading *reading = context;
    struct frame *frame = &reading->frames[reading->depth];
    if (!reading->counts)
        return;
    for (int i = 0; i < length; i++) {
        bool blank = is_blank(text[i]);
        frame->blank |= blank;
        if (blank && !frame->words)
            continue; /* before the first word */
        frame->words |= !blank;
        if (frame->length < TEXT_MAX)
            frame->text[frame->length++] = text[i];
        else
            frame->more |= !blank;
    }
}

/* --- documents ------------------------------------------------------------------------------- */

static void XMLCALL on_entity(void *context, const char *name, int parameter, const char *value,
                              int length, const char *base, const char *system, const char *public,
                              const char *notation)
{
    refuse(context, ODS_REJECT, "it declares entities, which are not looked at");
}

static unsigned long long current_line(XML_Parser parser)
{
#if XML_MAJOR_VERSION > 2 || XML_MINOR_VERSION >= 9 /* which calls the other one deprecated */
    return XML_GetCurrentLineNumber64(parser);
#else
    return XML_GetCurrentLineNumber(parser);
#endif
}

static void parse(struct reading *reading, const char *bytes, size_t length)
{
    reading->parser = XML_ParserCreateNS(reading->text ? "UTF-8" : NULL, SEPARATOR);
    if (!reading->parser) {
        reading->status = error_set(reading->error, ODS_FATAL, "out of memory");
        return;
    }
    XML_SetUserData(reading->parser, reading);
    XML_SetElementHandler(reading->parser, on_start, on_end);
    XML_SetCharacterDataHandler(reading->parser, on_text);
    XML_SetStartNamespaceDeclHandler(reading->parser, on_namespace);
    XML_SetEntityDeclHandler(reading->parser, on_entity);
    if (XML_Parse(reading->parser, bytes, (int) length, 1) != XML_STATUS_OK &&
        reading->status == ODS_OK) {
        enum XML_Error code = XML_GetErrorCode(reading->parser);
        reading->status =
            code == XML_ERROR_NO_MEMORY
                ? error_set(reading->error, ODS_FATAL, "out of memory")
                : error_set(reading->error, ODS_REJECT, "it is not well-formed: line %llu: %s",
                            current_line(reading->parser), XML_ErrorString(code));
    }
    XML_ParserFree(reading->parser);
}

enum ods_status outline_read(struct outline *outline, const char *bytes, size_t length, bool text,
                             struct error *error)
{
    if (length > OUTLINE_BYTES)
        return error_set(error, ODS_REJECT, "it has more than %d MiB", OUTLINE_BYTES >> 20);
    struct reading *reading = calloc(1, sizeof *reading);
    if (!reading)
        return error_set(error, ODS_FATAL, "out of memory");
    *reading = (struct reading){.outline = outline, .text = text, .error = error};
    parse(reading, bytes, length);
    if (reading->status == ODS_OK) {
        reading->counts = true;
        reading->depth = 0;
        reading->frames[0].node = &outline->root;
        reading->serial = outline->root.seen;
        reading->serials[0] = ++reading->serial;
        parse(reading, bytes, length);
        outline->root.seen = reading->serial;
    }
    outline->documents += reading->status == ODS_OK;
    enum ods_status status = reading->status;
    free(reading);
    return status;
}
