/* From the neutral tree to typed structs, by the table of settings; both files come through. */
#include "config/parse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/secret.h"
#include "config/settings.h"
#include "config/substitute.h"
#include "core/source_type.h"

#define NAMES_MAX 64

static void *field(void *object, size_t offset)
{
    return (char *) object + offset;
}

/* A YAML null leaves a list, map or group empty. */
static bool is_kind(const struct node *node, enum node_kind kind)
{
    return node->kind == kind || (kind != NODE_SCALAR && node_is_null(node));
}

static void refuse(struct load *load, const struct setting *row, const struct node *node,
                   const char *hint)
{
    char expected[256], found[64];
    findings_error(load->findings, node->source, node->line, "'%s' expects %s, found %s%s",
                   row->name, setting_expects(row, false, expected, sizeof(expected)),
                   row->flags & SETTING_SECRET && node->kind == NODE_SCALAR
                       ? "something else"
                       : node_describe(node, found, sizeof(found)),
                   hint);
}

/* Text where text is expected: words that mean something else in YAML are put in quotes. */
static const char *as_text(const struct node *node)
{
    bool word = node->kind == NODE_SCALAR && node->style == STYLE_PLAIN &&
                (node_is_null(node) || strcasecmp(node->text, "true") == 0 ||
                 strcasecmp(node->text, "false") == 0);
    if (node->kind != NODE_SCALAR || word || node->style == STYLE_NUMBER ||
        node->style == STYLE_BOOL)
        return NULL;
    return node->text;
}

static const char *keep_text(struct load *load, const char *text)
{
    char *copy = pool_strdup(load->keep, text);
    return copy ? copy : "";
}

/* Lists that are compared entry by entry have a ceiling. */
static bool fits(struct load *load, const struct setting *row, const struct node *node)
{
    if (!row->max || node->count <= (size_t) row->max)
        return true;
    findings_error(load->findings, node->source, node->line,
                   "'%s' has %zu entries; more than %" PRId64 " are refused", row->name,
                   node->count, row->max);
    return false;
}

static void parse_string(struct load *load, const struct setting *row, const struct node *node,
                         const char **value)
{
    const char *text = as_text(node);
    if (!text)
        refuse(load, row, node, node->kind == NODE_SCALAR ? "; put text in quotes" : "");
    else if ((int64_t) strlen(text) < row->min)
        refuse(load, row, node, "");
    else if ((int64_t) strlen(text) > row->max)
        findings_error(load->findings, node->source, node->line,
                       "'%s' is longer than %" PRId64 " bytes", row->name, row->max);
    else
        *value = keep_text(load, text);
}

/* Index into the choices, or -1 with a finding that names the nearest. */
static int parse_choice(struct load *load, const struct setting *row, const struct node *node)
{
    size_t count = 0;
    const char *near = NULL;
    bool scalar = node->kind == NODE_SCALAR;
    for (; row->choices[count]; count++) {
        if (scalar && node->style != STYLE_NUMBER && strcmp(row->choices[count], node->text) == 0)
            return (int) count;
    }
    if (scalar && node->style != STYLE_SUBSTITUTED)
        near = name_nearest(node->text, row->choices, count);
    char hint[64] = "";
    if (near)
        snprintf(hint, sizeof(hint), "; did you mean '%s'?", near);
    refuse(load, row, node, hint);
    return -1;
}

static void parse_bool(struct load *load, const struct setting *row, const struct node *node,
                       bool *value)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    bool can = node->kind == NODE_SCALAR &&
               (node->style == STYLE_BOOL || node->style == STYLE_PLAIN ||
                node->style == STYLE_SUBSTITUTED);
    for (size_t i = 0; can && i < sizeof(words) / sizeof(*words); i++) {
        if (strcasecmp(node->text, words[i]) == 0) {
            *value = i % 2;
            return;
        }
    }
    refuse(load, row, node, "");
}

/* 16777216, and for bytes also "16 MiB". */
static bool number(const struct setting *row, const struct node *node, int64_t *value)
{
    static const struct {
        const char *name;
        int64_t bytes;
    } units[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    char *end;
    if (node->kind != NODE_SCALAR ||
        (node->style == STYLE_STRING && row->type != SETTING_BYTES))
        return false;
    if (!*node->text || !strchr("-0123456789", *node->text))
        return false;
    errno = 0;
    *value = strtoll(node->text, &end, 10);
    if (end == node->text || errno)
        return false;
    if (!*end)
        return node->style != STYLE_STRING;
    end += *end == ' ';
    for (size_t i = 0; row->type == SETTING_BYTES && i < sizeof(units) / sizeof(*units); i++) {
        if (strcmp(end, units[i].name) == 0)
            return !__builtin_mul_overflow(*value, units[i].bytes, value);
    }
    return false;
}

static void parse_number(struct load *load, const struct setting *row, const struct node *node,
                         int64_t *value)
{
    int64_t found;
    if (number(row, node, &found) && found >= row->min && found <= row->max)
        *value = found;
    else
        refuse(load, row, node, "");
}

static void parse_column(struct load *load, const struct setting *row, const struct node *node,
                         const char **value)
{
    static const char *const off[] = {"off", "false", "no"};
    bool scalar = node->kind == NODE_SCALAR;
    bool is_off = scalar && (node_is_null(node) || !*node->text);
    /* Quoted or not: whoever writes "off" wants none, not a column of that name. */
    for (size_t i = 0; scalar && i < sizeof(off) / sizeof(*off); i++)
        is_off |= strcasecmp(node->text, off[i]) == 0;
    if (is_off)
        *value = "";
    else
        parse_string(load, row, node, value);
}

static void parse_strings(struct load *load, const struct setting *row, const struct node *node,
                          struct strings *value)
{
    struct strings list = {0};
    if (!is_kind(node, NODE_LIST)) {
        refuse(load, row, node, ", as in [one, two]");
        return;
    }
    if (!fits(load, row, node))
        return;
    list.items = pool_alloc(load->keep, node->count + 1, sizeof(*list.items));
    for (size_t i = 0; list.items && i < node->count; i++) {
        const struct node *item = node->entries[i].node;
        const char *text = as_text(item);
        char found[64];
        if (text && *text && row->choices) {
            int choice = parse_choice(load, row, item);
            if (choice >= 0)
                list.items[list.count++] = row->choices[choice];
        } else if (text && *text) {
            list.items[list.count++] = keep_text(load, text);
        } else if (!item->broken) {
            findings_error(load->findings, item->source, item->line,
                           "'%s' expects a list of strings, found %s in it%s", row->name,
                           node_describe(item, found, sizeof(found)),
                           item->kind == NODE_SCALAR ? "; put text in quotes" : "");
        }
    }
    *value = list;
}

/* Librdkafka knows which properties there are; here it is only that none is the daemon's own. */
static void check_property(struct load *load, const struct entry *entry)
{
    static const struct {
        const char *name, *why;
    } owned[] = {
        {"bootstrap.servers", "set kafka.bootstrap_servers"},
        {"metadata.broker.list", "set kafka.bootstrap_servers"},
        {"group.id", "set kafka.group_id, or a pipeline's group_id"},
        {"auto.offset.reset", "set kafka.auto_offset_reset"},
        {"enable.auto.commit", "offsets are committed after the target's commit, by hand"},
        {"auto.commit.interval.ms", "offsets are committed after the target's commit, by hand"},
        {"enable.auto.offset.store", "offsets are stored after the target's commit, by hand"},
        {"enable.partition.eof", "the lanes rely on it"},
        {"partition.assignment.strategy", "the lanes rely on cooperative-sticky"},
    };
    for (size_t i = 0; i < sizeof(owned) / sizeof(*owned); i++) {
        if (strcmp(owned[i].name, entry->key) == 0)
            findings_error(load->findings, entry->node->source, entry->line,
                           "property \"%s\" belongs to the daemon: %s", entry->key, owned[i].why);
    }
    if (secret_name(entry->key) && *entry->node->raw && !strstr(entry->node->raw, "${") &&
        entry->node->source->readable_by_others)
        findings_warn(load->findings, entry->node->source, entry->line,
                      "property \"%s\" is a secret and others may read this file: chmod 600, or "
                      "use ${NAME} or ${file:/path}",
                      entry->key);
}

static void parse_properties(struct load *load, const struct setting *row,
                             const struct node *node, struct properties *value)
{
    struct properties list = {0};
    if (!is_kind(node, NODE_MAP)) {
        refuse(load, row, node, "");
        return;
    }
    list.items = pool_alloc(load->keep, node->count + 1, sizeof(*list.items));
    for (size_t i = 0; list.items && i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        if (entry->node->kind != NODE_SCALAR) {
            findings_error(load->findings, entry->node->source, entry->line,
                           "property \"%s\" expects a string, a number or a boolean", entry->key);
            continue;
        }
        check_property(load, entry);
        list.items[list.count++] = (struct property){keep_text(load, entry->key),
                                                     keep_text(load, entry->node->text)};
    }
    *value = list;
}

static bool is_name(struct load *load, const struct setting *row, const struct entry *entry,
                    const char *text)
{
    if (text && *text && *entry->key)
        return true;
    if (!entry->node->broken)
        findings_error(load->findings, entry->node->source, entry->line,
                       "'%s' expects a name for column '%s'; put text in quotes", row->name,
                       entry->key);
    return false;
}

static bool is_type(struct load *load, const struct setting *row, const struct entry *entry,
                    const char *text)
{
    char found[64];
    struct source_type type;
    const char *why = text ? source_type_parse(text, &type) : "expected the name of a type";
    if (why && !entry->node->broken)
        findings_error(load->findings, entry->node->source, entry->line,
                       "'%s' of column '%s': %s; found %s", row->name, entry->key, why,
                       node_describe(entry->node, found, sizeof(found)));
    return !why;
}

/* A value for a column: any scalar, or one of the choices. */
static bool is_value(struct load *load, const struct setting *row, const struct entry *entry,
                     const char *text)
{
    char found[64];
    if (row->choices)
        return parse_choice(load, row, entry->node) >= 0;
    if (entry->node->kind == NODE_SCALAR && *entry->key)
        return true;
    findings_error(load->findings, entry->node->source, entry->line,
                   "'%s' expects a text or a number for column '%s', found %s", row->name,
                   entry->key, node_describe(entry->node, found, sizeof(found)));
    return false;
}

/* A map from columns to what `accepts` says yes to. */
static void parse_by_column(struct load *load, const struct setting *row, const struct node *node,
                            void *object, const char *example,
                            bool (*accepts)(struct load *, const struct setting *,
                                            const struct entry *, const char *))
{
    struct properties list = {0};
    if (!is_kind(node, NODE_MAP)) {
        refuse(load, row, node, example);
        return;
    }
    if (!fits(load, row, node))
        return;
    list.items = pool_alloc(load->keep, node->count + 1, sizeof(*list.items));
    for (size_t i = 0; list.items && i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        const char *text = as_text(entry->node);
        if (accepts(load, row, entry, text))
            list.items[list.count++] =
                (struct property){keep_text(load, entry->key),
                                  keep_text(load, text ? text : entry->node->text)};
    }
    *(struct properties *) field(object, row->offset) = list;
}

static void parse_map(struct load *load, const struct setting_group *group, const struct node *node,
                      void *object);

static void default_object(struct load *load, const struct setting_group *group, void *object);

static void parse_objects(struct load *load, const struct setting_group *group,
                          const struct setting *row, const struct node *node, void *object)
{
    bool named = row->type == SETTING_NAMED;
    size_t size = row->of->size;
    const void *template = setting_template(group, row, object);
    if (!is_kind(node, named ? NODE_MAP : NODE_LIST)) {
        refuse(load, row, node, "");
        return;
    }
    if (!fits(load, row, node))
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
            *(const char **) item = keep_text(load, entry->key);
        if (is_kind(entry->node, NODE_MAP)) {
            parse_map(load, row->of, entry->node, item);
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

static void parse_secret_warning(struct load *load, const struct setting *row,
                                 const struct node *node)
{
    bool literal = false;
    if (node->kind != NODE_SCALAR || !node->source->readable_by_others)
        return;
    secret_redact_dsn(&load->scratch, node->raw, &literal);
    if (literal)
        findings_warn(load->findings, node->source, node->line,
                      "'%s' holds a password and others may read this file: chmod 600, or use "
                      "${NAME} or ${file:/path}",
                      row->name);
}

/* ${table} and its kin stand for what a record says, in some settings only. True: refused. */
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
    int choice;
    if (node->broken || refuse_places(load, row, node))
        return;
    switch (row->type) {
    case SETTING_STRING:
        parse_string(load, row, node, value);
        if (row->flags & SETTING_SECRET)
            parse_secret_warning(load, row, node);
        break;
    case SETTING_CHOICE:
        choice = parse_choice(load, row, node);
        if (choice >= 0)
            *(const char **) value = row->choices[choice];
        break;
    case SETTING_ENUM:
        choice = parse_choice(load, row, node);
        if (choice >= 0)
            memcpy(value, &choice, sizeof(choice));
        break;
    case SETTING_BOOL:
        parse_bool(load, row, node, value);
        break;
    case SETTING_INT:
    case SETTING_MS:
    case SETTING_BYTES:
        parse_number(load, row, node, value);
        break;
    case SETTING_COLUMN:
        parse_column(load, row, node, value);
        break;
    case SETTING_STRINGS:
        parse_strings(load, row, node, value);
        break;
    case SETTING_PROPERTIES:
        parse_properties(load, row, node, value);
        break;
    case SETTING_RENAMES:
        parse_by_column(load, row, node, object, ", as in { brand: make }", is_name);
        break;
    case SETTING_TYPES:
        parse_by_column(load, row, node, object, ", as in { total: bigint unsigned }", is_type);
        break;
    case SETTING_VALUES:
        parse_by_column(load, row, node, object, ", as in { region: eu }", is_value);
        break;
    case SETTING_OBJECT:
        if (is_kind(node, NODE_MAP))
            parse_map(load, row->of, node, value);
        else
            refuse(load, row, node, "");
        break;
    case SETTING_OBJECTS:
    case SETTING_NAMED:
        parse_objects(load, group, row, node, object);
        break;
    case SETTING_PLUGIN:
        break; /* its settings stand beside it */
    }
}

/* Does this row stand at `prefix` (a group, "batch." or "")? Then the next piece of its name. */
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
                near = row->name; /* it exists, elsewhere */
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

/* What that name is at the prefix: a "group" or a "setting"; NULL: nothing is called so. */
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

/* Names that are in the file and not in the table; and groups that are none. */
static void check_names(struct load *load, const struct known *known, const char *prefix,
                        const struct node *node)
{
    for (size_t i = 0; i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        char piece[64], inner[80];
        const char *found = find_kind(known, prefix, entry->key);
        if (!found) {
            refuse_unknown(load, known, prefix, entry);
        } else if (*found == 'g' && is_kind(entry->node, NODE_MAP)) {
            snprintf(inner, sizeof(inner), "%s%s.", prefix, entry->key);
            check_names(load, known, inner, entry->node);
        } else if (*found == 'g') {
            findings_error(load->findings, entry->node->source, entry->line,
                           "'%s%s' expects a group of settings, found %s", prefix, entry->key,
                           node_describe(entry->node, piece, sizeof(piece)));
        }
    }
}

/* What the node says of each setting of the group. */
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

static void parse_map(struct load *load, const struct setting_group *group, const struct node *node,
                      void *object)
{
    struct known known = {.groups = {group}, .count = 1};
    const struct setting *plugin = NULL;
    SETTINGS_EACH (row, group) {
        if (row->type == SETTING_PLUGIN)
            plugin = row;
    }
    const struct setting_group *chosen = plugin ? chosen_plugin(plugin, node) : NULL;
    if (chosen)
        known.groups[known.count++] = chosen;
    /* Of a plug-in that is not known nobody knows the settings either; its name is refused. */
    if (!plugin || chosen)
        check_names(load, &known, "", node);
    parse_rows(load, group, node, object);
    void *own = chosen ? pool_alloc(load->keep, 1, chosen->size ? chosen->size : 1) : NULL;
    if (own) {
        default_object(load, chosen, own);
        parse_rows(load, chosen, node, own);
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
    case SETTING_OBJECT:
        default_object(load, row->of, value);
        break;
    case SETTING_STRINGS:
    case SETTING_PROPERTIES:
    case SETTING_RENAMES:
    case SETTING_TYPES:
    case SETTING_VALUES:
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
    if (is_kind(node, NODE_MAP)) {
        parse_map(load, group, node, object);
        return;
    }
    findings_error(load->findings, node->source, node->line,
                   "the file expects settings at its top, as name: value");
}
