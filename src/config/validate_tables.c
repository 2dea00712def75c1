/* Checks of what a pipeline says of its tables. */
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "config/table_pattern.h"
#include "config/validate_room.h"

/* Does the entry itself have one of these settings? Then a contradiction is its own, and not of the
 * defaults. */
static bool sets(const struct node *group, const char *one, const char *other)
{
    return node_find(group, one) || node_find(group, other);
}

/* Refuses renames that give two columns the same name in the target. */
static void check_renames(struct load *load, const struct node *group,
                          const struct table_settings *table)
{
    const struct node *node = validate_place(group, "columns.rename");
    bool own = node_find(group, "columns.rename") != NULL;
    for (size_t i = 0; i < table->renames.count; i++) {
        const struct property *rename = &table->renames.items[i];
        const char *taken = strcmp(rename->value, table->cdc_operation) == 0   ? "cdc_operation"
                            : strcmp(rename->value, table->cdc_timestamp) == 0 ? "cdc_timestamp"
                                                                               : NULL;
        if (taken)
            REFUSE(load, node, "column '%s' is renamed to '%s', which is the %s column",
                   rename->name, rename->value, taken);
        for (size_t j = 0; own && j < i; j++) {
            if (strcmp(table->renames.items[j].value, rename->value) == 0)
                REFUSE(load, node, "columns '%s' and '%s' are both renamed to '%s'",
                       table->renames.items[j].name, rename->name, rename->value);
        }
        if (strings_contain(&table->exclude, rename->name))
            REFUSE(load, node, "column '%s' is renamed and excluded", rename->name);
    }
}

static void check_columns(struct load *load, const struct node *group,
                          const struct table_settings *table)
{
    for (size_t i = 0; i < table->key.count; i++) {
        const char *name = table->key.items[i];
        struct strings before = {table->key.items, i};
        if (strings_contain(&before, name))
            REFUSE(load, validate_place(group, "key"), "column '%s' stands twice in the key", name);
        if (strings_contain(&table->exclude, name))
            REFUSE(load, validate_place(group, "key"), "key column '%s' is excluded", name);
        if (table->include.count && !strings_contain(&table->include, name))
            REFUSE(load, validate_place(group, "key"),
                   "key column '%s' is not among columns.include", name);
    }
    bool own = sets(group, "columns.exclude", "columns.include");
    for (size_t i = 0; own && i < table->exclude.count; i++) {
        if (strings_contain(&table->include, table->exclude.items[i]))
            REFUSE(load, validate_place(group, "columns.exclude"),
                   "column '%s' is both included and excluded", table->exclude.items[i]);
    }
    check_renames(load, group, table);
}

/* "90 days": a number and a unit of PostgreSQL's intervals, no shorter than a day. */
static bool is_retention(const char *text)
{
    static const char *const units[] = {"day", "week", "month", "year", NULL};
    char unit[16], end;
    unsigned number;
    int found = sscanf(text, "%6u %15[a-z]%c", &number, unit, &end);
    size_t length = found >= 2 ? strlen(unit) : 0;
    if (found != 2 || !number || *text < '1' || *text > '9')
        return false;
    if (length > 1 && unit[length - 1] == 's')
        unit[length - 1] = '\0';
    for (size_t i = 0; units[i]; i++)
        if (strcmp(units[i], unit) == 0)
            return true;
    return false;
}

static void check_history(struct load *load, const struct node *group,
                          const struct table_settings *table)
{
    const struct history_settings *history = &table->history;
    const struct node *at = validate_place(group, "history");
    const char *dot = strchr(history->name, '.');
    if (!sets(group, "history", "mode"))
        return;
    if (dot && (dot == history->name || !dot[1] || strchr(dot + 1, '.')))
        REFUSE(load, at, "'history.name' expects \"table\" or \"schema.table\", found '%s'",
               history->name);
    if (*history->retain && !is_retention(history->retain))
        REFUSE(load, at,
               "'history.retain' expects a number and days, weeks, months or years, as 90 days, "
               "found '%s'",
               history->retain);
    if (*history->retain && history->partition == PARTITION_NONE)
        REFUSE(load, at,
               "'history.retain' drops whole partitions, and there are none: set partition_by to "
               "day or month");
}

static void check_table(struct load *load, const struct node *group,
                        const struct table_settings *table)
{
    const struct node *target = validate_place(group, "target");
    const char *dot = strchr(table->target, '.');
    validate_transforms(load, group, table->transforms, table->transform_count);
    if (table->skip)
        return;
    if (dot && (dot == table->target || !dot[1] || strchr(dot + 1, '.')))
        REFUSE(load, target, "'target' expects \"table\" or \"schema.table\", found '%s'",
               table->target);
    check_history(load, group, table);
    if (table->on_delete == ON_DELETE_SOFT && !*table->cdc_operation &&
        sets(group, "on_delete", "cdc_operation"))
        REFUSE(load, validate_place(group, "cdc_operation"),
               "on_delete: soft marks deleted rows in the cdc_operation column, which is off; name "
               "the column, or set on_delete to hard or ignore");
    if (*table->cdc_operation && strcmp(table->cdc_operation, table->cdc_timestamp) == 0 &&
        sets(group, "cdc_operation", "cdc_timestamp"))
        REFUSE(load, validate_place(group, "cdc_timestamp"),
               "cdc_operation and cdc_timestamp are the same column '%s'", table->cdc_timestamp);
    if (sets(group, "columns", "key") || sets(group, "cdc_operation", "cdc_timestamp"))
        check_columns(load, group, table);
}

/* Checks an entry's `topics`: each must be a topic of the pipeline and not be in another entry. */
static void check_claims(struct load *load, const struct node *group,
                         const struct pipeline_settings *pipeline, size_t index,
                         const char *dead_letter)
{
    const struct table_settings *table = &pipeline->tables[index];
    const struct entry *topics = node_find(group, "topics");
    if (!topics || topics->node->kind != NODE_LIST)
        return;
    if (*table->name == '^')
        REFUSE(load, topics->node,
               "'topics' needs an entry that is named by its table: '%s' stands for several",
               table->name);
    for (size_t i = 0; i < topics->node->count; i++) {
        const struct node *item = topics->node->entries[i].node;
        if (item->kind == NODE_SCALAR && *item->text && !item->broken)
            validate_topic(load, item, item->text, dead_letter);
        for (size_t k = 0; item->kind == NODE_SCALAR && k < index; k++)
            if (strings_contain(&pipeline->tables[k].topics, item->text))
                REFUSE(load, item, "tables '%s' and '%s' both claim the topic '%s'",
                       pipeline->tables[k].name, table->name, item->text);
    }
}

/* Compiles an entry's name that is a pattern; config_free() frees it. */
static void check_table_pattern(struct load *load, const struct entry *entry,
                                struct table_settings *table)
{
    char room[256];
    regex_t *regex = pool_alloc(load->keep, 1, sizeof *regex);
    if (!regex)
        return; /* memory is out: the load fails */
    const char *why = table_pattern_compile(regex, entry->key, room, sizeof room);
    if (why)
        findings_error(load->findings, entry->node->source, entry->line,
                       "pattern '%.200s' does not compile: %s; expected a POSIX extended regular "
                       "expression over table or schema.table",
                       entry->key, why);
    else
        table->pattern = regex;
}

void validate_tables(struct load *load, const struct node *node, struct pipeline_settings *pipeline,
                     const char *dead_letter)
{
    const struct entry *defaults = node_find(node, "defaults");
    const struct entry *tables = node_find(node, "tables");
    if (defaults && defaults->node->kind == NODE_MAP) {
        if (*pipeline->defaults.target && !strstr(pipeline->defaults.target, "${table}") &&
            !strstr(pipeline->defaults.target, "${topic}"))
            REFUSE(load, validate_place(defaults->node, "target"),
                   "'target' in defaults would put every table into one; name it per table, or put "
                   "${table} or ${topic} into it");
        if (*pipeline->defaults.history.name &&
            !strstr(pipeline->defaults.history.name, "${table}") &&
            !strstr(pipeline->defaults.history.name, "${topic}"))
            REFUSE(load, validate_place(defaults->node, "history"),
                   "'history.name' in defaults would put every history into one table; put "
                   "${table} or ${topic} into it");
        if (node_find(defaults->node, "topics"))
            REFUSE(load, validate_place(defaults->node, "topics"),
                   "'topics' names the topics of one table, so it stands in an entry of 'tables'");
        check_table(load, defaults->node, &pipeline->defaults);
    }
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct entry *entry = &tables->node->entries[i];
        const char *dot = strchr(entry->key, '.');
        if (*entry->key == '^')
            check_table_pattern(load, entry, &pipeline->tables[i]);
        else if (!*entry->key || (dot && (dot == entry->key || !dot[1])))
            findings_error(load->findings, entry->node->source, entry->line,
                           "'%s' names no table: expected table or schema.table", entry->key);
        if (entry->node->kind == NODE_MAP)
            check_table(load, entry->node, &pipeline->tables[i]);
        if (entry->node->kind == NODE_MAP)
            check_claims(load, entry->node, pipeline, i, dead_letter);
    }
}
