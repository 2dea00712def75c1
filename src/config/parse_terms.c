/* See parse_terms.h. */
#include "config/parse_terms.h"

#include <stdio.h>
#include <string.h>

#include "config/parse_leaf.h"

static void refuse(struct load *load, const struct setting *row, const struct entry *entry,
                   const char *column)
{
    char found[64], words[256] = "";
    const char *near = NULL;
    size_t count = 0, length = 0;
    for (; row->choices && row->choices[count]; count++)
        if (*row->choices[count] && length < sizeof words)
            length += (size_t) snprintf(words + length, sizeof words - length, "%s%s",
                                        length ? ", " : "", row->choices[count]);
    near = row->choices ? name_nearest(entry->key, row->choices, count) : NULL;
    if (near)
        findings_error(load->findings, entry->node->source, entry->line,
                       "'%s' of column '%s' does not know '%.60s'; did you mean '%s'?", row->name,
                       column, entry->key, near);
    else
        findings_error(load->findings, entry->node->source, entry->line,
                       "'%s' expects for column '%s' %s%s%s, found %s", row->name, column,
                       row->choices ? "one of " : "a value",
                       words, row->choices && !*row->choices[0] ? ", or a value" : "",
                       *entry->key ? entry->key
                                   : node_describe(entry->node, found, sizeof found));
}

static bool is_word(const struct setting *row, const char *word)
{
    for (size_t i = 0; row->choices && row->choices[i]; i++)
        if (strcmp(row->choices[i], word) == 0)
            return true;
    return !row->choices && !*word;
}

/* A scalar, a null or a list of scalars. */
static bool take_values(struct load *load, const struct node *node, struct term *term)
{
    size_t count = node->kind == NODE_LIST ? node->count : 1;
    term->list = node->kind == NODE_LIST;
    term->values.items = pool_alloc(load->keep, count + 1, sizeof *term->values.items);
    if (!term->values.items || node->broken)
        return term->values.items != NULL;
    if (!term->list && node_is_null(node))
        return true;
    for (size_t i = 0; i < count; i++) {
        const struct node *item = term->list ? node->entries[i].node : node;
        if (item->kind != NODE_SCALAR)
            return false;
        term->values.items[term->values.count++] = parse_keep_text(load, item->text);
    }
    return true;
}

static void add(struct load *load, const struct setting *row, struct terms *terms,
                const char *column, const char *word, const struct entry *entry)
{
    struct term *term = &terms->items[terms->count];
    *term = (struct term){.column = column,
                          .word = parse_keep_text(load, word),
                          .file = entry->node->source->name,
                          .line = entry->line};
    if (is_word(row, word) && take_values(load, entry->node, term))
        terms->count++;
    else if (!entry->node->broken)
        refuse(load, row, entry, column);
}

void parse_terms(struct load *load, const struct setting *row, const struct node *node,
                 struct terms *value)
{
    struct terms terms = {0};
    size_t room = 0;
    if (!parse_is_kind(node, NODE_MAP)) {
        parse_refuse(load, row, node, ", as in { region: eu }");
        return;
    }
    for (size_t i = 0; i < node->count; i++)
        room += node->entries[i].node->kind == NODE_MAP ? node->entries[i].node->count : 1;
    if (row->max && room > (size_t) row->max) {
        findings_error(load->findings, node->source, node->line,
                       "'%s' has %zu entries; more than %d are refused", row->name, room,
                       (int) row->max);
        return;
    }
    terms.items = pool_alloc(load->keep, room + 1, sizeof *terms.items);
    for (size_t i = 0; terms.items && i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        const char *column = parse_keep_text(load, entry->key);
        struct entry bare = *entry;
        bare.key = "";
        if (!*column)
            parse_refuse(load, row, entry->node, "; the name of its column is empty");
        else if (entry->node->kind != NODE_MAP)
            add(load, row, &terms, column, "", &bare);
        for (size_t j = 0; entry->node->kind == NODE_MAP && j < entry->node->count; j++)
            add(load, row, &terms, column, entry->node->entries[j].key, &entry->node->entries[j]);
    }
    *value = terms;
}
