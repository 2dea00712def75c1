/* From the neutral tree to typed structs, by the rows of settings, for both files. */
#include "config/parse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/parse_leaf.h"
#include "config/settings.h"
#include "config/shorthand.h"
#include "config/substitute.h"

#define NAMES_MAX 64

static void *field(void *object, size_t offset)
{
    return (char *) object + offset;
}

static void parse_map(struct load *load, const struct setting_group *group, const struct node *node,
                      void *object);

static void default_object(struct load *load, const struct setting_group *group, void *object);

/* Where a transform or a rule stands, for its messages. */
static void parse_place(const struct setting_group *group, const struct node *node, void *item)
{
    struct transform_settings *transform = item;
    struct quality_rule *rule = item;
    if (group == &settings_of_transform) {
        transform->file = node->source->name;
        transform->line = node->line;
    } else if (group == &settings_of_quality_rule) {
        rule->file = node->source->name;
        rule->line = node->line;
    }
}

static void parse_objects(struct load *load, const struct setting_group *group,
                          const struct setting *row, const struct node *node, void *object)
{
    bool named = row->type == SETTING_NAMED;
    size_t size = row->of->size;
    const void *template = setting_template(group, row, object);
    if (!parse_is_kind(node, named ? NODE_MAP : NODE_LIST)) {
        parse_refuse(load, row, node, "");
        return;
    }
    if (!parse_fits(load, row, node))
        return;
    char *objects = pool_alloc(load->keep, node->count + 1, size);
    for (size_t i = 0; objects && i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        void *item = objects + i * size;
        if (template)
            memcpy(item, template, size);
        else
            default_object(load, row->of, item);
        if (named)
            *(const char **) item = parse_keep_text(load, entry->key);
        if (parse_is_kind(entry->node, NODE_MAP)) {
            parse_map(load, row->of, shorthand_expand(load, row->of, entry->node), item);
            parse_place(row->of, entry->node, item);
            continue;
        }
        char found[64];
        findings_error(load->findings, entry->node->source, entry->line,
                       "'%s' expects a group of settings in each entry, found %s", row->name,
                       node_describe(entry->node, found, sizeof(found)));
    }
    *(void **) field(object, row->offset) = objects;
    *(size_t *) field(object, row->count_offset) = objects ? node->count : 0;
}

/* ${table}, ${topic} and the like stand for what a record says, but only in some settings. True:
 * they are refused here. */
static bool refuse_places(struct load *load, const struct setting *row, const struct node *node)
{
    const char *found = node->kind == NODE_SCALAR && !(row->flags & SETTING_PLACES)
                            ? substitute_place(node->raw)
                            : NULL;
    bool inner = row->type != SETTING_OBJECT && row->type != SETTING_OBJECTS &&
                 row->type != SETTING_NAMED;
    bool refused = false;
    if (found) {
        findings_error(load->findings, node->source, node->line,
                       "${%s} stands for what each record says and is understood in 'schema' and "
                       "'target' only; '%s' is no such setting",
                       found, row->name);
        return true;
    }
    for (size_t i = 0; inner && i < node->count; i++)
        refused |= refuse_places(load, row, node->entries[i].node);
    return refused;
}

static void parse_value(struct load *load, const struct setting_group *group,
                        const struct setting *row, const struct node *node, void *object)
{
    void *value = field(object, row->offset);
    if (node->broken || refuse_places(load, row, node))
        return;
    switch (row->type) {
    case SETTING_OBJECT:
        if (row->flags & SETTING_SWITCH && node->kind == NODE_SCALAR && !node_is_null(node)) {
            parse_leaf(load, &(struct setting){.name = row->name, .type = SETTING_BOOL}, node,
                       value);
        } else if (parse_is_kind(node, NODE_MAP)) {
            if (row->flags & SETTING_SWITCH)
                *(bool *) value = true;
            parse_map(load, row->of, node, value);
        } else {
            parse_refuse(load, row, node, "");
        }
        break;
    case SETTING_OBJECTS:
    case SETTING_NAMED:
        parse_objects(load, group, row, node, object);
        break;
    case SETTING_PLUGIN:
        break; /* the plug-in's settings are parsed by parse_map() */
    default:
        parse_leaf(load, row, node, value);
    }
}

/* If the row's name begins with `prefix` ("batch." or ""), copies the next part of the name to
 * `piece`. Returns "group" or "setting", what that part names; NULL: the row is elsewhere. */
static const char *name_at(const struct setting *row, const char *prefix, char *piece, size_t size)
{
    size_t length = strlen(prefix);
    if (strncmp(row->name, prefix, length) != 0)
        return NULL;
    size_t piece_length = strcspn(row->name + length, ".");
    if (piece_length >= size)
        return NULL;
    memcpy(piece, row->name + length, piece_length);
    piece[piece_length] = 0;
    return row->name[length + piece_length] ? "group" : "setting";
}

/* The settings that may stand in a group: its own, and those of the plug-in that it chooses. */
struct known {
    const struct setting_group *groups[2];
    size_t count;
};

#define KNOWN_EACH(group, known)                                                                   \
    for (const struct setting_group *const *group = (known)->groups,                               \
                                    *const *group##_end = group + (known)->count;                  \
         group < group##_end; group++)

static void refuse_unknown(struct load *load, const struct known *known_groups, const char *prefix,
                           const struct entry *entry)
{
    char pieces[NAMES_MAX][64];
    const char *names[NAMES_MAX] = {NULL}, *near = NULL;
    size_t count = 0;
    KNOWN_EACH (group, known_groups) {
        SETTINGS_EACH (row, *group) {
            const char *leaf = strrchr(row->name, '.');
            if (strcmp(leaf ? leaf + 1 : row->name, entry->key) == 0)
                near = row->name; /* a setting of that name exists in another group */
            if (count < NAMES_MAX && name_at(row, prefix, pieces[count], sizeof(pieces[count])) &&
                (count == 0 || strcmp(pieces[count], pieces[count - 1]) != 0)) {
                names[count] = pieces[count];
                count++;
            }
        }
    }
    if (!near)
        near = name_nearest(entry->key, names, count);
    if (near) {
        findings_error(load->findings, entry->node->source, entry->line,
                       "unknown setting '%s%.60s'; did you mean '%s'?", prefix, entry->key, near);
        return;
    }
    char known[512] = "";
    for (size_t i = 0, length = 0; i < count && length < sizeof(known); i++)
        length += (size_t) snprintf(known + length, sizeof(known) - length, "%s%s",
                                    i ? ", " : "", names[i]);
    findings_error(load->findings, entry->node->source, entry->line,
                   "unknown setting '%s%.60s'; known here: %s", prefix, entry->key, known);
}

/* What the name is below the prefix: a "group" or a "setting"; NULL: there is none of that name. */
static const char *find_kind(const struct known *known, const char *prefix, const char *key)
{
    char piece[64];
    KNOWN_EACH (group, known) {
        SETTINGS_EACH (row, *group) {
            const char *kind = name_at(row, prefix, piece, sizeof(piece));
            if (kind && strcmp(piece, key) == 0)
                return kind;
        }
    }
    return NULL;
}

/* Refuses names that no row has, and values where a group is expected. */
static void check_names(struct load *load, const struct known *known, const char *prefix,
                        const struct node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        char piece[64], inner[80];
        const char *found = find_kind(known, prefix, entry->key);
        if (!found) {
            refuse_unknown(load, known, prefix, entry);
        } else if (*found == 'g' && parse_is_kind(entry->node, NODE_MAP)) {
            snprintf(inner, sizeof(inner), "%s%s.", prefix, entry->key);
            check_names(load, known, inner, entry->node);
        } else if (*found == 'g') {
            findings_error(load->findings, entry->node->source, entry->line,
                           "'%s%s' expects a group of settings, found %s", prefix, entry->key,
                           node_describe(entry->node, piece, sizeof(piece)));
        }
    }
}

/* Sets each setting of the group that the node has. */
static void parse_rows(struct load *load, const struct setting_group *group,
                       const struct node *node, void *object)
{
    SETTINGS_EACH (row, group) {
        const struct entry *entry =
            row->type == SETTING_PLUGIN ? NULL : node_find(node, row->name);
        if (entry)
            parse_value(load, group, row, entry->node, object);
        else if (row->flags & SETTING_REQUIRED)
            findings_error(load->findings, node->source, node->line, "'%s' is missing here",
                           row->name);
    }
}

/* The settings of the plug-in that the node names; NULL: it names none that is known. */
static const struct setting_group *chosen_plugin(const struct setting *row,
                                                 const struct node *node)
{
    const struct entry *entry = node_find(node, row->name);
    return entry && entry->node->kind == NODE_SCALAR ? setting_plugin(row, entry->node->text)
                                                     : NULL;
}

static void check_plugin(struct load *load, const struct setting_group *group,
                         const struct node *node, const void *own)
{
    struct error error;
    error_init(&error);
    if (group->check && group->check(own, &error) != ODS_OK)
        findings_error(load->findings, node->source, node->line, "%s", error.text);
}

static void parse_map(struct load *load, const struct setting_group *group, const struct node *node,
                      void *object)
{
    struct known known = {.groups = {group}, .count = 1};
    size_t errors = load->findings->errors;
    const struct setting *plugin = NULL;
    SETTINGS_EACH (row, group) {
        if (row->type == SETTING_PLUGIN)
            plugin = row;
    }
    const struct setting_group *chosen = plugin ? chosen_plugin(plugin, node) : NULL;
    if (chosen)
        known.groups[known.count++] = chosen;
    /* The settings of an unknown plug-in are not checked; only its name is refused. */
    if (!plugin || chosen)
        check_names(load, &known, "", node);
    parse_rows(load, group, node, object);
    void *own = chosen ? pool_alloc(load->keep, 1, chosen->size ? chosen->size : 1) : NULL;
    if (own) {
        default_object(load, chosen, own);
        parse_rows(load, chosen, node, own);
        if (load->findings->errors == errors)
            check_plugin(load, chosen, node, own);
        *(const void **) field(object, plugin->offset) = own;
    }
}

static void default_value(struct load *load, const struct setting *row, void *object)
{
    void *value = field(object, row->offset);
    const char *fallback = row->fallback ? row->fallback : "";
    switch (row->type) {
    case SETTING_STRING:
    case SETTING_CHOICE:
    case SETTING_COLUMN:
        *(const char **) value = fallback;
        break;
    case SETTING_ENUM:
        for (int i = 0; row->choices[i]; i++) {
            if (strcmp(row->choices[i], fallback) == 0)
                memcpy(value, &i, sizeof(i));
        }
        break;
    case SETTING_BOOL:
        *(bool *) value = strcmp(fallback, "true") == 0;
        break;
    case SETTING_INT:
    case SETTING_MS:
    case SETTING_BYTES:
        *(int64_t *) value = strtoll(fallback, NULL, 10);
        break;
    case SETTING_DURATION:
        *(int64_t *) value = *fallback ? setting_duration(fallback) : 0;
        break;
    case SETTING_OBJECT:
        default_object(load, row->of, value);
        break;
    case SETTING_STRINGS:
    case SETTING_PROPERTIES:
    case SETTING_RENAMES:
    case SETTING_TYPES:
    case SETTING_VALUES:
    case SETTING_TERMS:
    case SETTING_OBJECTS:
    case SETTING_NAMED:
    case SETTING_PLUGIN:
        break; /* zeroed memory is an empty list */
    }
}

static void default_object(struct load *load, const struct setting_group *group, void *object)
{
    SETTINGS_EACH (row, group)
        default_value(load, row, object);
    if (group == &settings_of_table)
        *(const char **) object = ""; /* the defaults have no name; entries get theirs */
}

void parse_object(struct load *load, const struct setting_group *group, const struct node *node,
                  void *object)
{
    default_object(load, group, object);
    if (!node)
        return;
    if (parse_is_kind(node, NODE_MAP)) {
        parse_map(load, group, node, object);
        return;
    }
    findings_error(load->findings, node->source, node->line,
                   "the file expects settings at its top, as name: value");
}
