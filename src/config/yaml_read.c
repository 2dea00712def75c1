/* tables.yaml: from libyaml's events to the neutral tree.
 *
 * Refused with their line: a second document, duplicate keys, keys that are not scalars, tags but
 * !!str, nesting beyond NODE_DEPTH_MAX, and aliases that unfold to more than NODE_WEIGHT_MAX nodes.
 */
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "config/node.h"

struct anchor {
    struct anchor *next;
    const char *name;
    struct node *node;
};

struct reader {
    struct load *load;
    const struct config_source *source;
    yaml_parser_t parser;
    struct anchor *anchors;
};

static struct node *refuse(struct reader *reader, yaml_mark_t mark, const char *what)
{
    findings_error(reader->load->findings, reader->source, (int) mark.line + 1, "%s", what);
    return NULL;
}

static bool next_event(struct reader *reader, yaml_event_t *event)
{
    yaml_parser_t *parser = &reader->parser;
    if (yaml_parser_parse(parser, event))
        return true;
    if (parser->error == YAML_MEMORY_ERROR) {
        reader->load->scratch.failed = true;
        return false;
    }
    size_t line = parser->problem_mark.line;
    findings_error(reader->load->findings, reader->source, (int) line + 1, "not YAML: %s%s%s",
                   parser->problem ? parser->problem : "it cannot be read",
                   parser->context ? " " : "", parser->context ? parser->context : "");
    return false;
}

static bool remember(struct reader *reader, const char *name, struct node *node)
{
    struct anchor *anchor = pool_alloc(&reader->load->scratch, 1, sizeof(*anchor));
    if (!anchor)
        return false;
    *anchor = (struct anchor){reader->anchors, name, node};
    reader->anchors = anchor;
    return true;
}

/* The last anchor of that name counts, as YAML defines. */
static struct node *recall(struct reader *reader, const yaml_event_t *event)
{
    const char *name = (const char *) event->data.alias.anchor;
    for (const struct anchor *anchor = reader->anchors; anchor; anchor = anchor->next) {
        if (strcmp(anchor->name, name) == 0)
            return anchor->node;
    }
    return refuse(reader, event->start_mark, "this alias has no anchor before it");
}

static struct node *read_scalar(struct reader *reader, const yaml_event_t *event)
{
    const char *tag = (const char *) event->data.scalar.tag;
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE || tag;
    if (tag && strcmp(tag, YAML_STR_TAG) != 0 && strcmp(tag, "!") != 0)
        return refuse(reader, event->start_mark, "tags other than !!str are not known here");
    if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
        return refuse(reader, event->start_mark, "a zero byte in a value");
    return node_scalar(reader->load, quoted ? STYLE_STRING : STYLE_PLAIN, reader->source,
                       (int) event->start_mark.line + 1, (const char *) event->data.scalar.value,
                       event->data.scalar.length);
}

static struct node *read_node(struct reader *reader, yaml_event_t *event, unsigned depth);

/* Reads the key in `event` into entry; false with a finding. */
static bool read_key(struct reader *reader, const yaml_event_t *event, struct entry *entry)
{
    entry->line = (int) event->start_mark.line + 1;
    if (event->type != YAML_SCALAR_EVENT ||
        memchr(event->data.scalar.value, 0, event->data.scalar.length)) {
        refuse(reader, event->start_mark, "a name is expected here, not a list or a map");
        return false;
    }
    entry->key = pool_strndup(&reader->load->scratch, (const char *) event->data.scalar.value,
                              event->data.scalar.length);
    return entry->key != NULL;
}

static int by_key(const void *one, const void *other)
{
    const struct entry *a = *(const struct entry *const *) one;
    const struct entry *b = *(const struct entry *const *) other;
    int order = strcmp(a->key, b->key);
    return order ? order : (a > b) - (a < b);
}

/* Finds duplicates by sorting, so that a file with many tables is still read quickly. */
static bool check_duplicates(struct reader *reader, const struct node *map)
{
    const struct entry **sorted =
        pool_alloc(&reader->load->scratch, map->count + 1, sizeof(*sorted));
    if (!sorted)
        return false;
    for (size_t i = 0; i < map->count; i++)
        sorted[i] = &map->entries[i];
    qsort(sorted, map->count, sizeof(*sorted), by_key);
    for (size_t i = 1; i < map->count; i++) {
        if (strcmp(sorted[i - 1]->key, sorted[i]->key) == 0)
            findings_error(reader->load->findings, reader->source, sorted[i]->line,
                           "'%s' stands twice here, first in line %d", sorted[i]->key,
                           sorted[i - 1]->line);
    }
    return true;
}

static bool heavy(struct reader *reader, const struct node *node, yaml_mark_t mark)
{
    if (node->weight <= NODE_WEIGHT_MAX)
        return false;
    refuse(reader, mark, "the file is too large, or its aliases unfold to too much");
    return true;
}

static struct node *read_collection(struct reader *reader, const yaml_event_t *start,
                                    unsigned depth)
{
    bool map = start->type == YAML_MAPPING_START_EVENT;
    const char *tag = (const char *) (map ? start->data.mapping_start.tag
                                          : start->data.sequence_start.tag);
    size_t capacity = 0;
    if (tag)
        return refuse(reader, start->start_mark, "tags are not known here");
    if (depth > NODE_DEPTH_MAX)
        return refuse(reader, start->start_mark, "lists and maps are nested deeper than 64");
    struct node *node = node_new(reader->load, map ? NODE_MAP : NODE_LIST, reader->source,
                                 (int) start->start_mark.line + 1);
    while (node) {
        yaml_event_t event;
        struct entry entry = {.key = ""};
        if (!next_event(reader, &event))
            return NULL;
        yaml_mark_t mark = event.start_mark;
        bool end = event.type == YAML_MAPPING_END_EVENT || event.type == YAML_SEQUENCE_END_EVENT;
        bool good = !end;
        if (good && map) {
            good = read_key(reader, &event, &entry);
            yaml_event_delete(&event);
            if (!good || !next_event(reader, &event))
                return NULL;
        }
        if (good) {
            if (!map)
                entry.line = (int) mark.line + 1;
            entry.node = read_node(reader, &event, depth + 1);
            good = entry.node && node_add(reader->load, node, &capacity, entry) &&
                   !heavy(reader, node, mark);
        }
        yaml_event_delete(&event);
        if (end)
            return !map || check_duplicates(reader, node) ? node : NULL;
        if (!good)
            return NULL;
    }
    return NULL;
}

/* The node that begins with `event`, which the caller still owns. NULL: stop reading. */
static struct node *read_node(struct reader *reader, yaml_event_t *event, unsigned depth)
{
    struct node *node = NULL;
    const char *anchor = NULL, *name = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        return recall(reader, event);
    if (event->type == YAML_SCALAR_EVENT)
        anchor = (const char *) event->data.scalar.anchor;
    else if (event->type == YAML_MAPPING_START_EVENT)
        anchor = (const char *) event->data.mapping_start.anchor;
    else if (event->type == YAML_SEQUENCE_START_EVENT)
        anchor = (const char *) event->data.sequence_start.anchor;
    else
        return refuse(reader, event->start_mark, "a value is expected here");
    if (anchor && !(name = pool_strdup(&reader->load->scratch, anchor)))
        return NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        node = read_scalar(reader, event);
        explicit_bzero(event->data.scalar.value, event->data.scalar.length);
    } else {
        node = read_collection(reader, event, depth);
    }
    if (node && name && !remember(reader, name, node))
        return NULL;
    return node;
}

struct node *yaml_read(struct load *load, const struct config_source *source, const char *bytes,
                       size_t length)
{
    struct reader reader = {.load = load, .source = source};
    struct node *root = NULL;
    unsigned documents = 0;
    bool done = false;
    if (!yaml_parser_initialize(&reader.parser)) {
        load->scratch.failed = true;
        return NULL;
    }
    yaml_parser_set_input_string(&reader.parser, (const unsigned char *) bytes, length);
    while (!done) {
        yaml_event_t event;
        if (!next_event(&reader, &event)) {
            root = NULL;
            break;
        }
        if (event.type == YAML_DOCUMENT_START_EVENT) {
            if (documents++)
                root = refuse(&reader, event.start_mark, "a second document begins here");
            done = documents > 1;
        } else if (event.type == YAML_STREAM_END_EVENT) {
            if (!documents)
                root = node_new(load, NODE_MAP, source, 1);
            done = true;
        } else if (event.type != YAML_STREAM_START_EVENT &&
                   event.type != YAML_DOCUMENT_END_EVENT) {
            root = read_node(&reader, &event, 1);
            done = !root;
        }
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&reader.parser);
    return root;
}
