/* Checks of `derived`: names that agree, targets that are there, and no circles. */
#include <string.h>

#include "config/validate_room.h"

/* Splits "schema.table"; without a schema it is public. False: it is neither. */
static bool split_name(struct load *load, const char *name, const char **schema,
                       const char **table)
{
    const char *dot = strchr(name, '.');
    *schema = dot ? pool_strndup(load->keep, name, (size_t) (dot - name)) : "public";
    *table = dot ? dot + 1 : name;
    return *schema && **schema && **table && !strchr(*table, '.');
}

static bool same_table(const struct derived_settings *derived, const char *target,
                       const char *schema, const char *table)
{
    return strcmp(derived->target, target) == 0 && strcmp(derived->schema, schema) == 0 &&
           strcmp(derived->table, table) == 0;
}

static void resolve_target(struct load *load, const struct node *node,
                           const struct settings *settings, struct derived_settings *derived)
{
    const struct target_settings *only = NULL;
    size_t count = 0;
    for (size_t i = 0; i < settings->target_count; i++)
        if (strcmp(settings->targets[i].type, "postgres") == 0) {
            only = &settings->targets[i];
            count++;
        }
    if (!*derived->target && count == 1)
        derived->target = only->name;
    const struct target_settings *target = settings_target(settings, derived->target);
    if (!*derived->target)
        REFUSE(load, node,
               count ? "'target' is missing here: there are several targets of type postgres"
                     : "'derived' needs a target of type postgres: none is configured");
    else if (!target)
        REFUSE(load, validate_place(node, "target"), "'target' names '%s', which is no target",
               derived->target);
    else if (strcmp(target->type, "postgres") != 0)
        REFUSE(load, validate_place(node, "target"),
               "'derived' needs a target of type postgres; '%s' is of type %s", derived->target,
               target->type);
}

static void check_twice(struct load *load, const struct node *node, const char *what,
                        const struct strings *names)
{
    for (size_t i = 0; i < names->count; i++) {
        struct strings before = {names->items, i};
        if (strings_contain(&before, names->items[i]))
            REFUSE(load, node, "column '%s' stands twice in '%s'", names->items[i], what);
    }
}

static void check_key(struct load *load, const struct node *node, struct derived_settings *derived)
{
    if (!derived->key.count && node_find(node, "key"))
        REFUSE(load, validate_place(node, "key"), "'key' needs at least one column");
    check_twice(load, validate_place(node, "key"), "key", &derived->key);
    if (!derived->anchor.count)
        derived->anchor = derived->key;
    check_twice(load, validate_place(node, "anchor"), "anchor", &derived->anchor);
    for (size_t i = 0; i < derived->anchor.count; i++)
        if (!strings_contain(&derived->key, derived->anchor.items[i]))
            REFUSE(load, validate_place(node, "anchor"),
                   "column '%s' of the anchor is not among those of 'key'",
                   derived->anchor.items[i]);
}

static void check_source(struct load *load, const struct node *node,
                         const struct derived_settings *derived, struct derived_source *source)
{
    const char *name = source->name;
    if (!split_name(load, name, &source->schema, &source->table))
        REFUSE(load, node, "'depends' expects \"table\" or \"schema.table\", found '%s'", name);
    if (node->kind != NODE_MAP)
        return;
    if (!source->by.count)
        REFUSE(load, validate_place(node, "by"),
               "'by' is missing for '%s': the columns whose values lead to rows of '%s'", name,
               derived->name);
    check_twice(load, validate_place(node, "by"), "by", &source->by);
    if (!*source->keys && source->by.count && source->by.count != derived->anchor.count)
        REFUSE(load, validate_place(node, "by"),
               "'by' of '%s' has %zu column%s and the anchor %zu: without 'keys' they are the "
               "anchor's values",
               name, source->by.count, source->by.count == 1 ? "" : "s", derived->anchor.count);
}

static void check_derived(struct load *load, const struct node *node,
                          const struct settings *settings, size_t index)
{
    struct derived_settings *derived = &settings->derived[index];
    const struct entry *depends = node_find(node, "depends");
    resolve_target(load, node, settings, derived);
    if (!split_name(load, derived->name, &derived->schema, &derived->table) && *derived->name)
        REFUSE(load, validate_place(node, "name"),
               "'name' expects \"table\" or \"schema.table\", found '%s'", derived->name);
    check_key(load, node, derived);
    if (depends && depends->node->kind == NODE_MAP && !derived->source_count)
        REFUSE(load, depends->node, "'depends' needs at least one table");
    for (size_t i = 0; depends && i < derived->source_count; i++)
        check_source(load, depends->node->entries[i].node, derived, &derived->sources[i]);
    for (size_t i = 0; i < index; i++)
        if (same_table(&settings->derived[i], derived->target, derived->schema, derived->table))
            REFUSE(load, validate_place(node, "name"), "two derived tables are named '%s'",
                   derived->name);
}

static struct derived_settings *find(const struct settings *settings,
                                     const struct derived_settings *of,
                                     const struct derived_source *source)
{
    for (size_t i = 0; i < settings->derived_count; i++)
        if (source->table && same_table(&settings->derived[i], of->target, source->schema,
                                        source->table))
            return &settings->derived[i];
    return NULL;
}

/* Gives each its depth. Without a circle none is deeper than there are derived tables. */
static void check_circles(struct load *load, const struct node *nodes,
                          const struct settings *settings)
{
    bool moved = true;
    for (size_t round = 0; moved && round <= settings->derived_count; round++) {
        moved = false;
        for (size_t i = 0; i < settings->derived_count; i++) {
            struct derived_settings *derived = &settings->derived[i];
            for (size_t j = 0; j < derived->source_count; j++) {
                const struct derived_settings *below =
                    find(settings, derived, &derived->sources[j]);
                derived->sources[j].derived = below != NULL;
                if (below && below->depth >= derived->depth) {
                    derived->depth = below->depth + 1;
                    moved = true;
                }
            }
        }
    }
    for (size_t i = 0; moved && i < settings->derived_count; i++)
        if (settings->derived[i].depth > (int) settings->derived_count) {
            REFUSE(load, validate_place(nodes->entries[i].node, "depends"),
                   "derived table '%s' depends on itself, through others or directly: a circle "
                   "can't be computed",
                   settings->derived[i].name);
            return;
        }
}

void validate_derived(struct load *load, const struct node *moves, struct settings *settings)
{
    const struct entry *derived = node_find(moves, "derived");
    if (!derived || !settings->derived_count)
        return;
    for (size_t i = 0; i < settings->derived_count; i++)
        check_derived(load, derived->node->entries[i].node, settings, i);
    if (load->keep->failed)
        return;
    check_circles(load, derived->node, settings);
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        settings->pipelines[i].derived = settings->derived;
        settings->pipelines[i].derived_count = settings->derived_count;
    }
}
