/* The neutral tree's nodes. */
#include "config/node.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/substitute.h"

struct node *node_new(struct load *load, enum node_kind kind, const struct config_source *source,
                      int line)
{
    struct node *node = pool_alloc(&load->scratch, 1, sizeof(*node));
    if (!node)
        return NULL;
    node->kind = kind;
    node->source = source;
    node->line = line;
    node->weight = 1;
    return node;
}

struct node *node_scalar(struct load *load, enum node_style style,
                         const struct config_source *source, int line, const char *text,
                         size_t length)
{
    struct node *node = node_new(load, NODE_SCALAR, source, line);
    if (!node)
        return NULL;
    node->style = style;
    node->raw = node->text = pool_strndup(&load->scratch, text, length);
    if (!node->raw)
        return NULL;
    if (style == STYLE_STRING || style == STYLE_PLAIN) {
        bool replaced = false;
        size_t errors = load->findings->errors;
        node->text = substitute_text(load, source, line, node->raw, &replaced);
        node->broken = load->findings->errors > errors;
        if (replaced)
            node->style = STYLE_SUBSTITUTED;
    }
    return node->text ? node : NULL;
}

bool node_add(struct load *load, struct node *node, size_t *capacity, struct entry entry)
{
    if (node->count == *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 8;
        struct entry *entries = pool_alloc(&load->scratch, wanted, sizeof(*entries));
        if (!entries)
            return false;
        if (node->count)
            memcpy(entries, node->entries, node->count * sizeof(*entries));
        node->entries = entries;
        *capacity = wanted;
    }
    node->entries[node->count++] = entry;
    node->weight += entry.node->weight;
    return true;
}

const struct entry *node_find(const struct node *node, const char *path)
{
    size_t length = strcspn(path, ".");
    if (!node || node->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        if (strncmp(entry->key, path, length) == 0 && !entry->key[length])
            return path[length] ? node_find(entry->node, path + length + 1) : entry;
    }
    return NULL;
}

bool node_is_null(const struct node *node)
{
    return node->kind == NODE_SCALAR && node->style == STYLE_PLAIN &&
           (!*node->text || strcmp(node->text, "~") == 0 || strcasecmp(node->text, "null") == 0);
}

const char *node_describe(const struct node *node, char *buffer, size_t size)
{
    if (node->kind == NODE_LIST)
        return "a list";
    if (node->kind == NODE_MAP)
        return "a group of settings";
    if (node->style == STYLE_SUBSTITUTED)
        return "a substituted value that does not fit";
    if (node_is_null(node))
        return "nothing";
    const char *quote = node->style == STYLE_STRING ? "\"" : "";
    snprintf(buffer, size, "%s%.40s%s%s", quote, node->text, strlen(node->text) > 40 ? "..." : "",
             quote);
    for (char *at = buffer; *at; at++) {
        if ((unsigned char) *at < ' ' || *at == 127)
            *at = '?';
    }
    return buffer;
}
