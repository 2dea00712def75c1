/* Checks of `quality`: each rule has what its check needs and nothing else, and a name of its own.
 */
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include <ods/quality.h>

#include "config/validate_room.h"
#include "core/pattern.h"

#define BIT(check) (1u << (check))
#define OF_COLUMNS                                                                                 \
    (BIT(QUALITY_NOT_NULL) | BIT(QUALITY_RANGE) | BIT(QUALITY_SET) | BIT(QUALITY_PATTERN) |        \
     BIT(QUALITY_UNIQUE) | BIT(QUALITY_REFERENCE))

/* Which settings a check takes, and which it has to have. */
static const struct {
    const char *name;
    unsigned takes, needs; /* bits of checks */
} uses[] = {
    {"columns", OF_COLUMNS, OF_COLUMNS},
    {"min", BIT(QUALITY_RANGE) | BIT(QUALITY_ROW_COUNT), 0},
    {"max", BIT(QUALITY_RANGE) | BIT(QUALITY_ROW_COUNT) | BIT(QUALITY_LAG), BIT(QUALITY_LAG)},
    {"values", BIT(QUALITY_SET), BIT(QUALITY_SET)},
    {"pattern", BIT(QUALITY_PATTERN), BIT(QUALITY_PATTERN)},
    {"references", BIT(QUALITY_REFERENCE), BIT(QUALITY_REFERENCE)},
    {"types", BIT(QUALITY_SCHEMA), 0},
    {"key", BIT(QUALITY_SCHEMA), 0},
    {"others", BIT(QUALITY_SCHEMA), 0},
    {"drift", BIT(QUALITY_SCHEMA), 0},
    {"within", BIT(QUALITY_FRESHNESS), BIT(QUALITY_FRESHNESS)},
    {"allow", OF_COLUMNS | BIT(QUALITY_CHECKSUM), 0},
    {"weeks", BIT(QUALITY_VOLUME), 0},
    {"tolerance", BIT(QUALITY_VOLUME), 0},
};

static bool is_number(const char *text)
{
    char *end;
    strtod(text, &end);
    return *text && !*end;
}

static void check_uses(struct load *load, const struct node *node, const struct quality_rule *rule)
{
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        const struct entry *entry = node_find(node, uses[i].name);
        if (entry && !(uses[i].takes & BIT(rule->check)))
            REFUSE(load, entry->node, "'%s' is not for the check '%s'", uses[i].name,
                   quality_checks[rule->check]);
        if (!entry && (uses[i].needs & BIT(rule->check)))
            REFUSE(load, node, "'%s' is missing here: the check '%s' needs it", uses[i].name,
                   quality_checks[rule->check]);
    }
    bool counts = rule->check == QUALITY_ROW_COUNT || rule->check == QUALITY_LAG;
    if (rule->check == QUALITY_RANGE && !*rule->min && !*rule->max)
        REFUSE(load, node, "the check 'range' needs 'min' or 'max', or both");
    if (counts && *rule->min && !is_number(rule->min))
        REFUSE(load, validate_place(node, "min"), "'min' expects a number here");
    if (counts && *rule->max && !is_number(rule->max))
        REFUSE(load, validate_place(node, "max"), "'max' expects a number here");
}

/* "customers(id, region)": as many columns as the rule has. */
static bool reference_is_good(const struct quality_rule *rule)
{
    const char *open = strchr(rule->references, '(');
    const char *end = rule->references + strlen(rule->references);
    size_t columns = 1;
    if (!open || open == rule->references || end[-1] != ')' || end - open < 3)
        return false;
    for (const char *at = open; *at; at++)
        columns += *at == ',';
    return columns == rule->columns.count;
}

static void check_rule(struct load *load, const struct node *node, struct quality_rule *rule)
{
    regex_t regex;
    check_uses(load, node, rule);
    if (rule->check == QUALITY_PATTERN && *rule->pattern) {
        const char *stray = pattern_stray(rule->pattern);
        if (stray)
            REFUSE(load, validate_place(node, "pattern"), "'%.200s' %s", rule->pattern, stray);
        else if (pattern_has_edge(rule->pattern))
            REFUSE(load, validate_place(node, "pattern"),
                   "'%.200s' has \\b or \\B, the edge of a word on a record's way and "
                   "something else to PostgreSQL: say what stands there, as (^|[^A-Za-z])",
                   rule->pattern);
        else if (regcomp(&regex, rule->pattern, REG_EXTENDED | REG_NOSUB))
            REFUSE(load, validate_place(node, "pattern"),
                   "'%.200s' is not a POSIX extended regular expression", rule->pattern);
        else
            regfree(&regex);
    }
    if (rule->check == QUALITY_REFERENCE && *rule->references && !reference_is_good(rule))
        REFUSE(load, validate_place(node, "references"),
               "'references' expects a table with as many columns as 'columns' has, as "
               "customers(id), found '%s'",
               rule->references);
    if (rule->on_fail != ON_FAIL_NONE && !quality_check_flies(rule->check))
        REFUSE(load, validate_place(node, "on_fail"),
               "the check '%s' looks at a whole table, so no record can break it on its way: "
               "leave on_fail out",
               quality_checks[rule->check]);
    if (rule->on_fail == ON_FAIL_NONE && !rule->scheduled)
        REFUSE(load, validate_place(node, "scheduled"),
               "this rule checks nothing: set on_fail, or leave scheduled out");
}

static void name_rule(struct load *load, struct quality_rule *rule)
{
    char *name = pool_strdup(load->keep, quality_checks[rule->check]);
    for (size_t i = 0; name && !*rule->name && i < rule->columns.count; i++)
        name = pool_printf(load->keep, "%s_%s", name, rule->columns.items[i]);
    if (!*rule->name && name)
        rule->name = name;
}

static const char *twice(const struct quality_rule *rule, const struct quality_rule *others,
                         size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(others[i].name, rule->name) == 0)
            return rule->name;
    return NULL;
}

static void check_rules(struct load *load, const struct node *list,
                        const struct quality_rule *shared, size_t shared_count,
                        struct quality_rule *rules, size_t count)
{
    for (size_t i = 0; list && list->kind == NODE_LIST && i < count && i < list->count; i++) {
        const struct node *node = list->entries[i].node;
        if (node->kind != NODE_MAP || !node_find(node, "check"))
            continue;
        check_rule(load, node, &rules[i]);
        name_rule(load, &rules[i]);
        if (twice(&rules[i], rules, i) || twice(&rules[i], shared, shared_count))
            REFUSE(load, node, "two rules of a table are named '%s': give one another 'name'",
                   rules[i].name);
    }
}

static const struct node *list_of(const struct entry *group, const char *name)
{
    const struct entry *list =
        group && group->node->kind == NODE_MAP ? node_find(group->node, name) : NULL;
    return list ? list->node : NULL;
}

void validate_quality(struct load *load, const struct node *node, const struct settings *settings,
                      struct pipeline_settings *pipeline)
{
    struct quality_settings *quality = &pipeline->quality;
    const struct entry *tables = node_find(node, "tables");
    const struct target_settings *target = settings_target(settings, pipeline->target);
    check_rules(load, list_of(node_find(node, "quality"), "rules"), NULL, 0, quality->rules,
                quality->rule_count);
    check_rules(load, list_of(node_find(node, "defaults"), "quality"), quality->rules,
                quality->rule_count, pipeline->defaults.quality, pipeline->defaults.quality_count);
    for (size_t i = 0; tables && tables->node->kind == NODE_MAP && i < pipeline->table_count; i++)
        check_rules(load, list_of(&tables->node->entries[i], "quality"), quality->rules,
                    quality->rule_count, pipeline->tables[i].quality,
                    pipeline->tables[i].quality_count);
    if (quality->every_ms && target && strcmp(target->type, "postgres") != 0)
        REFUSE(load, validate_place(node, "quality"),
               "'quality.every' needs a target of type postgres; '%s' is of type %s",
               pipeline->target, target->type);
    if (quality->every_ms && !quality_any(pipeline, false))
        REFUSE(load, validate_place(node, "quality"),
               "'quality.every' is set, and there is no rule to check");
}
