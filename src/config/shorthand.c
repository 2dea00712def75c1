/* See shorthand.h. A name that no plug-in has is taken for one, so that it is refused by that name.
 *
 * The value of the plug-in's name is its settings. A text or a list, and a map in which no name is
 * a setting of the plug-in, is the value of its first setting: `drop: [a, b]`, `rename: { a: b }`.
 */
#include "config/shorthand.h"

#include <string.h>

#include "config/setting.h"

static bool has_setting(const struct setting_group *group, const struct node *map)
{
    for (size_t i = 0; i < map->count; i++)
        if (setting_row(group, map->entries[i].key))
            return true;
    return !map->count;
}

static const struct entry *named(const struct setting_group *group, const struct setting *row,
                                 const struct node *node, const struct setting_group **own)
{
    for (size_t i = 0; i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        if (!setting_row(group, entry->key) && (*own = setting_plugin(row, entry->key)))
            return entry;
    }
    for (size_t i = 0; i < node->count; i++)
        if (!setting_row(group, node->entries[i].key))
            return &node->entries[i];
    return NULL;
}

const struct node *shorthand_expand(struct load *load, const struct setting_group *group,
                                    const struct node *node)
{
    const struct setting *plugin = NULL;
    const struct setting_group *own = NULL;
    SETTINGS_EACH (row, group)
        if (row->type == SETTING_PLUGIN)
            plugin = row;
    if (!plugin || node->kind != NODE_MAP || node_find(node, plugin->name))
        return node;
    const struct entry *entry = named(group, plugin, node, &own);
    if (!entry)
        return node;
    struct node *whole = node_new(load, NODE_MAP, node->source, node->line);
    struct node *type = node_new(load, NODE_SCALAR, node->source, entry->line);
    size_t room = 0;
    if (!whole || !type)
        return node;
    type->style = STYLE_PLAIN;
    type->text = type->raw = entry->key;
    node_add(load, whole, &room, (struct entry){plugin->name, entry->line, type});
    bool first = own && own->count &&
                 (entry->node->kind != NODE_MAP || !has_setting(own, entry->node)) &&
                 !node_is_null(entry->node);
    if (first)
        node_add(load, whole, &room, (struct entry){own->rows[0].name, entry->line, entry->node});
    for (size_t i = 0; !first && i < entry->node->count; i++)
        node_add(load, whole, &room, entry->node->entries[i]);
    for (size_t i = 0; i < node->count; i++)
        if (&node->entries[i] != entry)
            node_add(load, whole, &room, node->entries[i]);
    return whole;
}
