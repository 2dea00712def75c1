/* The value of one setting that holds no others. See parse_leaf.h. */
#include "config/parse_leaf.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "config/parse_terms.h"
#include "config/secret.h"
#include "core/source_type.h"

/* A YAML null leaves a list, map or group empty. */
bool parse_is_kind(const struct node *node, enum node_kind kind)
{
    return node->kind == kind || (kind != NODE_SCALAR && node_is_null(node));
}

void parse_refuse(struct load *load, const struct setting *row, const struct node *node,
                  const char *hint)
{
    char expected[256], found[64];
    findings_error(load->findings, node->source, node->line, "'%s' expects %s, found %s%s",
                   row->name, setting_expects(row, false, expected, sizeof(expected)),
                   (row->flags & (SETTING_SECRET | SETTING_HIDDEN) || secret_name(row->name)) &&
                           node->kind == NODE_SCALAR
                       ? "another value"
                       : node_describe(node, found, sizeof(found)),
                   hint);
}

/* The text of a node, NULL if it is none: words with another meaning in YAML (true, null) need
 * quotes. */
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

const char *parse_keep_text(struct load *load, const char *text)
{
    char *copy = pool_strdup(load->keep, text);
    return copy ? copy : "";
}

/* Lists whose entries are compared with each other have a maximum length. */
bool parse_fits(struct load *load, const struct setting *row, const struct node *node)
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
        parse_refuse(load, row, node, node->kind == NODE_SCALAR ? "; put text in quotes" : "");
    else if ((int64_t) strlen(text) < row->min)
        parse_refuse(load, row, node, "");
    else if ((int64_t) strlen(text) > row->max)
        findings_error(load->findings, node->source, node->line,
                       "'%s' is longer than %" PRId64 " bytes", row->name, row->max);
    else
        *value = parse_keep_text(load, text);
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
    parse_refuse(load, row, node, hint);
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
    parse_refuse(load, row, node, "");
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

/* "90s", "1h"; 0 needs no unit. */
static void parse_duration(struct load *load, const struct setting *row, const struct node *node,
                           int64_t *value)
{
    int64_t found = node->kind == NODE_SCALAR ? setting_duration(node->text) : -1;
    if (found == 0 || (found >= row->min && found <= row->max))
        *value = found;
    else
        parse_refuse(load, row, node, "");
}

static void parse_number(struct load *load, const struct setting *row, const struct node *node,
                         int64_t *value)
{
    int64_t found;
    if (number(row, node, &found) && found >= row->min && found <= row->max)
        *value = found;
    else
        parse_refuse(load, row, node, "");
}

static void parse_column(struct load *load, const struct setting *row, const struct node *node,
                         const char **value)
{
    static const char *const off[] = {"off", "false", "no"};
    bool scalar = node->kind == NODE_SCALAR;
    bool is_off = scalar && (node_is_null(node) || !*node->text);
    /* Quoted or not, "off" means no column, never a column of that name. */
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
    if (!parse_is_kind(node, NODE_LIST)) {
        parse_refuse(load, row, node, ", as in [one, two]");
        return;
    }
    if (!parse_fits(load, row, node))
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
            list.items[list.count++] = parse_keep_text(load, text);
        } else if (!item->broken) {
            findings_error(load->findings, item->source, item->line,
                           "'%s' expects a list of strings, found %s in it%s", row->name,
                           node_describe(item, found, sizeof(found)),
                           item->kind == NODE_SCALAR ? "; put text in quotes" : "");
        }
    }
    *value = list;
}

/* librdkafka checks the names; here only those that the daemon sets itself are refused. */
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
    if (!parse_is_kind(node, NODE_MAP)) {
        parse_refuse(load, row, node, "");
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
        list.items[list.count++] = (struct property){parse_keep_text(load, entry->key),
                                                     parse_keep_text(load, entry->node->text)};
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
                            struct properties *value, const char *example,
                            bool (*accepts)(struct load *, const struct setting *,
                                            const struct entry *, const char *))
{
    struct properties list = {0};
    if (!parse_is_kind(node, NODE_MAP)) {
        parse_refuse(load, row, node, example);
        return;
    }
    if (!parse_fits(load, row, node))
        return;
    list.items = pool_alloc(load->keep, node->count + 1, sizeof(*list.items));
    for (size_t i = 0; list.items && i < node->count; i++) {
        const struct entry *entry = &node->entries[i];
        const char *text = as_text(entry->node);
        if (accepts(load, row, entry, text))
            list.items[list.count++] =
                (struct property){parse_keep_text(load, entry->key),
                                  parse_keep_text(load, text ? text : entry->node->text)};
    }
    *value = list;
}

static void parse_secret_warning(struct load *load, const struct setting *row,
                                 const struct node *node)
{
    bool literal = false;
    if (node->kind != NODE_SCALAR || !node->source->readable_by_others)
        return;
    if ((row->flags & SETTING_SECRET) && (row->flags & SETTING_HIDDEN))
        return; /* an address, which may have what is not shown, and need not */
    if (row->flags & SETTING_SECRET)
        secret_redact_dsn(&load->scratch, node->raw, &literal);
    else
        literal = *node->raw && !strstr(node->raw, "${");
    if (literal)
        findings_warn(load->findings, node->source, node->line,
                      "'%s' holds a password and others may read this file: chmod 600, or use "
                      "${NAME} or ${file:/path}",
                      row->name);
}

void parse_leaf(struct load *load, const struct setting *row, const struct node *node, void *value)
{
    int choice;
    switch (row->type) {
    case SETTING_STRING:
        parse_string(load, row, node, value);
        if (row->flags & (SETTING_SECRET | SETTING_HIDDEN) || secret_name(row->name))
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
    case SETTING_DURATION:
        parse_duration(load, row, node, value);
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
        parse_by_column(load, row, node, value, ", as in { brand: make }", is_name);
        break;
    case SETTING_TYPES:
        parse_by_column(load, row, node, value, ", as in { total: bigint unsigned }", is_type);
        break;
    case SETTING_VALUES:
        parse_by_column(load, row, node, value, ", as in { region: eu }", is_value);
        break;
    case SETTING_TERMS:
        parse_terms(load, row, node, value);
        break;
    case SETTING_OBJECT:
    case SETTING_OBJECTS:
    case SETTING_NAMED:
    case SETTING_PLUGIN:
        break; /* they hold other settings, see parse.c */
    }
}
