/* Look-ups in settings. A library of its own, since the decoders use it, and the rest of this room
 * uses the decoders' registry. */
#include "config/settings.h"
#include "config/settings_registry.h"

#include <regex.h>
#include <stdio.h>
#include <string.h>

bool table_name_is_qualified(const char *name, const char *schema, const char *table)
{
    size_t length = strlen(schema);
    return length && strncmp(name, schema, length) == 0 && name[length] == '.' &&
           strcmp(name + length + 1, table) == 0;
}

/* The first pattern, in the file's order, that matches "table" or "schema.table". */
static const struct table_settings *find_pattern(const struct pipeline_settings *pipeline,
                                                 const char *schema, const char *table)
{
    char qualified[1024];
    snprintf(qualified, sizeof qualified, "%s.%s", schema, table);
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const regex_t *pattern = pipeline->tables[i].pattern;
        if (pattern && (regexec(pattern, table, 0, NULL, 0) == 0 ||
                        (*schema && regexec(pattern, qualified, 0, NULL, 0) == 0)))
            return &pipeline->tables[i];
    }
    return NULL;
}

const struct table_settings *pipeline_table(const struct pipeline_settings *pipeline,
                                            const char *schema, const char *table)
{
    const struct table_settings *found = NULL;
    bool patterns = false;
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const char *name = pipeline->tables[i].name;
        patterns |= pipeline->tables[i].pattern != NULL;
        if (table_name_is_qualified(name, schema, table))
            return &pipeline->tables[i];
        if (strcmp(name, table) == 0)
            found = &pipeline->tables[i];
    }
    if (!found && patterns)
        found = find_pattern(pipeline, schema, table);
    return found ? found : &pipeline->defaults;
}

static bool matches(const char *pattern, const char *topic)
{
    regex_t regex;
    if (regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB))
        return false; /* the configuration refuses such a pattern */
    bool found = regexec(&regex, topic, 0, NULL, 0) == 0;
    regfree(&regex);
    return found;
}

bool pipeline_reads(const struct pipeline_settings *pipeline, const char *topic)
{
    for (size_t i = 0; i < pipeline->topics.count; i++) {
        const char *name = pipeline->topics.items[i];
        if (*name == '^' ? matches(name, topic) : strcmp(name, topic) == 0)
            return true;
    }
    return false;
}

const struct table_settings *pipeline_table_of_topic(const struct pipeline_settings *pipeline,
                                                     const char *topic,
                                                     const struct table_settings **other)
{
    const struct table_settings *found = NULL;
    *other = NULL;
    for (size_t i = 0; i < pipeline->table_count; i++) {
        const struct table_settings *table = &pipeline->tables[i];
        for (size_t k = 0; k < table->topics.count; k++)
            if (strcmp(table->topics.items[k], topic) == 0) {
                *other = NULL;
                return table;
            }
        for (size_t k = 0; k < table->topics.count && found != table; k++) {
            if (table->topics.items[k][0] != '^' || !matches(table->topics.items[k], topic))
                continue;
            if (found)
                *other = table;
            found = found ? found : table;
            break;
        }
    }
    return found;
}

bool strings_contain(const struct strings *strings, const char *text)
{
    for (size_t i = 0; i < strings->count; i++)
        if (strcmp(strings->items[i], text) == 0)
            return true;
    return false;
}

const char *properties_find(const struct properties *properties, const char *name)
{
    const char *value = NULL;
    for (size_t i = 0; i < properties->count; i++)
        if (strcmp(properties->items[i].name, name) == 0)
            value = properties->items[i].value;
    return value;
}

const struct connect_settings *settings_connect(const struct settings *settings, const char *name)
{
    if (!*name)
        return &settings->connect;
    for (size_t i = 0; i < settings->connect_cluster_count; i++)
        if (strcmp(settings->connect_clusters[i].name, name) == 0)
            return &settings->connect_clusters[i];
    return NULL;
}

const struct broker_settings *settings_broker(const struct settings *settings, const char *name)
{
    if (!*name && settings->broker_count == 1)
        return settings->brokers;
    for (size_t i = 0; i < settings->broker_count; i++)
        if (strcmp(settings->brokers[i].name, name) == 0)
            return &settings->brokers[i];
    return NULL;
}

const struct database_settings *settings_database(const struct settings *settings,
                                                  const char *name)
{
    for (size_t i = 0; i < settings->database_count; i++)
        if (strcmp(settings->databases[i].name, name) == 0)
            return &settings->databases[i];
    return NULL;
}

const struct pipeline_settings *settings_pipeline(const struct settings *settings,
                                                  const char *name)
{
    for (size_t i = 0; i < settings->pipeline_count; i++)
        if (strcmp(settings->pipelines[i].name, name) == 0)
            return &settings->pipelines[i];
    return NULL;
}

const struct target_settings *settings_target(const struct settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->target_count; i++) {
        if (strcmp(settings->targets[i].name, name) == 0)
            return &settings->targets[i];
    }
    return NULL;
}

const struct target_settings *settings_postgres(const struct settings *settings, const char *name)
{
    const struct target_settings *found = NULL;
    size_t count = 0;
    for (size_t i = 0; i < settings->target_count; i++) {
        const struct target_settings *target = &settings->targets[i];
        if (strcmp(target->type, "postgres") == 0 && target->own &&
            (!*name || strcmp(target->name, name) == 0)) {
            found = target;
            count++;
        }
    }
    return count == 1 ? found : NULL;
}

/* --- quality --------------------------------------------------------------------------------- */

const char *const quality_on_fails[] = {"none", "pass", "mark", "letter", NULL};
const char *const quality_checks[] = {"not_null",  "range",     "set",       "pattern",
                                      "schema",    "unique",    "reference", "row_count",
                                      "checksum",  "lag",       "freshness", "volume",
                                      NULL};
_Static_assert(sizeof quality_checks / sizeof *quality_checks - 1 == QUALITY_CHECKS,
               "a name for each check");

static bool concerns(const struct quality_rule *rule, const char *schema, const char *table)
{
    for (size_t i = 0; i < rule->tables.count; i++)
        if (strcmp(rule->tables.items[i], table) == 0 ||
            table_name_is_qualified(rule->tables.items[i], schema, table))
            return true;
    return !rule->tables.count;
}

const struct quality_rule *quality_rule_next(const struct pipeline_settings *pipeline,
                                             const char *schema, const char *table,
                                             const struct table_settings *entry, size_t *at)
{
    size_t shared = pipeline->quality.rule_count;
    while (*at < shared) {
        const struct quality_rule *rule = &pipeline->quality.rules[(*at)++];
        if (concerns(rule, schema, table))
            return rule;
    }
    return *at < shared + entry->quality_count ? &entry->quality[(*at)++ - shared] : NULL;
}

static bool any_rule(const struct quality_rule *rules, size_t count, bool in_flight)
{
    for (size_t i = 0; i < count; i++)
        if (!in_flight || rules[i].on_fail != ON_FAIL_NONE)
            return true;
    return false;
}

bool quality_any(const struct pipeline_settings *pipeline, bool in_flight)
{
    bool any = any_rule(pipeline->quality.rules, pipeline->quality.rule_count, in_flight) ||
               any_rule(pipeline->defaults.quality, pipeline->defaults.quality_count, in_flight);
    for (size_t i = 0; !any && i < pipeline->table_count; i++)
        any = any_rule(pipeline->tables[i].quality, pipeline->tables[i].quality_count, in_flight);
    return any;
}

bool settings_urls_are(const char *urls, bool files)
{
    while (*urls) {
        size_t length = strcspn(urls, ",");
        const char *host = strncmp(urls, "http://", 7) == 0    ? urls + 7
                           : strncmp(urls, "https://", 8) == 0 ? urls + 8
                                                               : NULL;
        bool file = files && strncmp(urls, "file:///", 8) == 0;
        if (!file && (!host || host >= urls + length || *host == '/' || memchr(urls, '@', length) ||
                      memchr(urls, ' ', length)))
            return false;
        urls += length + (urls[length] == ',');
    }
    return true;
}

const char *settings_registry_fault(const struct registry_settings *registry, bool files,
                                    const char **setting)
{
    *setting = "registry.url";
    if (!settings_urls_are(registry->url, files))
        return files ? "'registry.url' expects http://host:port/path, https://… or file:///path, "
                       "or several separated by commas; user and password stand in registry.user "
                       "and registry.password"
                     : "'registry.url' expects http://host:port/path or https://…, or several "
                       "separated by commas; user and password stand in registry.user and "
                       "registry.password";
    *setting = "registry.client_key";
    if (*registry->client_key && !*registry->client_cert)
        return "'registry.client_key' is the key to registry.client_cert, which is not set";
    *setting = "registry.token";
    if (*registry->user && *registry->token)
        return "registry.user and registry.token are two ways to sign in: set one of them";
    return NULL;
}
