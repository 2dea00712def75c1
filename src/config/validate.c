/* Checks across settings. Each runs beside the nodes, which know file and line. */
#include "config/validate.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/format.h>
#include <ods/sink.h>
#include <ods/source.h>
#include <ods/transform.h>

#include "config/table_pattern.h"
#include "core/added_field.h"
#include "core/jwe.h"

#define TOPIC_MAX_BYTES 249

/* The node that a finding points at: the entry's value if there is one, else the group around it.
 */
static const struct node *place(const struct node *group, const char *name)
{
    const struct entry *entry = node_find(group, name);
    return entry ? entry->node : group;
}

#define REFUSE(load, node, ...) \
    findings_error((load)->findings, (node)->source, (node)->line, __VA_ARGS__)

static bool topic_name_is_good(const char *name)
{
    size_t length = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return length && length <= TOPIC_MAX_BYTES && good == length && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* Checks topic names and patterns; patterns are compiled as librdkafka compiles them. */
static void check_topic(struct load *load, const struct node *node, const char *topic,
                        const char *dead_letter)
{
    regex_t regex;
    char why[256];
    bool loops = *dead_letter && strcmp(topic, dead_letter) == 0;
    if (*topic == '^') {
        const char *excess = pattern_excess(topic);
        int code = excess ? 0 : regcomp(&regex, topic, REG_EXTENDED | REG_NOSUB);
        if (excess || code) {
            if (code)
                regerror(code, &regex, why, sizeof(why));
            REFUSE(load, node,
                   "pattern '%.200s' does not compile: %s; expected a POSIX extended regular "
                   "expression",
                   topic, excess ? excess : why);
            return;
        }
        loops = *dead_letter && regexec(&regex, dead_letter, 0, NULL, 0) == 0;
        regfree(&regex);
    } else if (!topic_name_is_good(topic)) {
        REFUSE(load, node,
               "'%.200s' is not a topic name (letters, digits, '.', '_', '-'); a pattern begins "
               "with ^",
               topic);
    }
    if (loops)
        REFUSE(load, node,
               "'%s' also reads the dead-letter topic '%s': rejected records would come round "
               "again",
               topic, dead_letter);
}

static void refuse_name(struct load *load, const struct node *node, const char *what,
                        const char *name, const char *const *known, size_t count)
{
    char list[512] = "";
    const char *near = name_nearest(name, known, count);
    for (size_t i = 0, length = 0; i < count && length < sizeof(list); i++)
        length += (size_t) snprintf(list + length, sizeof(list) - length, "%s%s", i ? ", " : "",
                                    known[i]);
    REFUSE(load, node, "unknown %s '%s'%s%s%s; known: %s", what, name,
           near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "", list);
}

#define KNOWN_MAX 64

static void check_format(struct load *load, const struct node *node, const char *format)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    for (const struct format_ops *const *ops = format_list(); *ops && count < KNOWN_MAX; ops++) {
        if (strcmp((*ops)->name, format) == 0)
            return;
        known[count++] = (*ops)->name;
    }
    refuse_name(load, node, "format", format, known, count);
}

/* Records that name their schemas need somebody who has them. */
static void check_schemas(struct load *load, const struct node *node,
                          const struct pipeline_settings *pipeline)
{
    const struct format_ops *format = format_find(pipeline->format);
    if (format && format->helper && format->helper->registry && !*pipeline->registry.url)
        REFUSE(
            load, place(node, "format"),
            "the format '%s' needs a schema registry: set registry: { url: \"http://…\" } in the "
            "pipeline, or registry = { url = \"http://…\"; }; in ods-sink.conf",
            pipeline->format);
}

static void check_type(struct load *load, const struct node *node, const char *type)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    for (const struct sink_ops *const *ops = sink_list(); *ops && count < KNOWN_MAX; ops++) {
        if (strcmp((*ops)->type, type) == 0)
            return;
        known[count++] = (*ops)->type;
    }
    refuse_name(load, node, "target type", type, known, count);
}

static void check_transform(struct load *load, const struct node *node, const char *type)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    if (transform_find(type))
        return;
    for (const struct transform_ops *const *ops = transform_list(); *ops && count < KNOWN_MAX;
         ops++)
        known[count++] = (*ops)->type;
    refuse_name(load, node, "transform", type, known, count);
}

static void check_transforms(struct load *load, const struct node *node,
                             const struct transform_settings *transforms, size_t count)
{
    const struct entry *list = node_find(node, "transforms");
    for (size_t i = 0; list && list->node->kind == NODE_LIST && i < count; i++)
        if (*transforms[i].type)
            check_transform(load, place(list->node->entries[i].node, "type"), transforms[i].type);
}

static void check_input(struct load *load, const struct node *node, const char *type)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    if (source_find(type))
        return;
    for (const struct source_ops *const *ops = source_list(); *ops && count < KNOWN_MAX; ops++)
        known[count++] = (*ops)->type;
    refuse_name(load, node, "source", type, known, count);
}

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
    const struct node *node = place(group, "columns.rename");
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
            REFUSE(load, place(group, "key"), "column '%s' stands twice in the key", name);
        if (strings_contain(&table->exclude, name))
            REFUSE(load, place(group, "key"), "key column '%s' is excluded", name);
        if (table->include.count && !strings_contain(&table->include, name))
            REFUSE(load, place(group, "key"), "key column '%s' is not among columns.include",
                   name);
    }
    bool own = sets(group, "columns.exclude", "columns.include");
    for (size_t i = 0; own && i < table->exclude.count; i++) {
        if (strings_contain(&table->include, table->exclude.items[i]))
            REFUSE(load, place(group, "columns.exclude"),
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
    const struct node *at = place(group, "history");
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
    const struct node *target = place(group, "target");
    const char *dot = strchr(table->target, '.');
    check_transforms(load, group, table->transforms, table->transform_count);
    if (table->skip)
        return;
    if (dot && (dot == table->target || !dot[1] || strchr(dot + 1, '.')))
        REFUSE(load, target, "'target' expects \"table\" or \"schema.table\", found '%s'",
               table->target);
    check_history(load, group, table);
    if (table->on_delete == ON_DELETE_SOFT && !*table->cdc_operation &&
        sets(group, "on_delete", "cdc_operation"))
        REFUSE(load, place(group, "cdc_operation"),
               "on_delete: soft marks deleted rows in the cdc_operation column, which is off; name "
               "the column, or set on_delete to hard or ignore");
    if (*table->cdc_operation && strcmp(table->cdc_operation, table->cdc_timestamp) == 0 &&
        sets(group, "cdc_operation", "cdc_timestamp"))
        REFUSE(load, place(group, "cdc_timestamp"),
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
            check_topic(load, item, item->text, dead_letter);
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

static void check_tables(struct load *load, const struct node *node,
                         struct pipeline_settings *pipeline, const char *dead_letter)
{
    const struct entry *defaults = node_find(node, "defaults");
    const struct entry *tables = node_find(node, "tables");
    if (defaults && defaults->node->kind == NODE_MAP) {
        if (*pipeline->defaults.target && !strstr(pipeline->defaults.target, "${table}") &&
            !strstr(pipeline->defaults.target, "${topic}"))
            REFUSE(load, place(defaults->node, "target"),
                   "'target' in defaults would put every table into one; name it per table, or put "
                   "${table} or ${topic} into it");
        if (*pipeline->defaults.history.name &&
            !strstr(pipeline->defaults.history.name, "${table}") &&
            !strstr(pipeline->defaults.history.name, "${topic}"))
            REFUSE(load, place(defaults->node, "history"),
                   "'history.name' in defaults would put every history into one table; put "
                   "${table} or ${topic} into it");
        if (node_find(defaults->node, "topics"))
            REFUSE(load, place(defaults->node, "topics"),
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

static void resolve(struct load *load, const struct node *node, const struct settings *settings,
                    struct pipeline_settings *pipeline)
{
    pipeline->file = pool_strdup(load->keep, node->source->name);
    pipeline->line = node->line;
    if (!pipeline->lanes)
        pipeline->lanes = settings->lanes;
    if (!*pipeline->group_id)
        pipeline->group_id =
            pool_printf(load->keep, "%s.%s", settings->kafka.group_id, pipeline->name);
    if (!*pipeline->registry.url)
        pipeline->registry = settings->registry;
    if (!*pipeline->target && settings->target_count == 1)
        pipeline->target = settings->targets[0].name;
    if (!*pipeline->connect && !*settings->connect.url && settings->connect_cluster_count == 1)
        pipeline->connect = settings->connect_clusters[0].name;
    if (!*pipeline->database && settings->database_count == 1)
        pipeline->database = settings->databases[0].name;
}

static void check_target(struct load *load, const struct node *node,
                         const struct settings *settings,
                         const struct pipeline_settings *pipeline)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    if (!*pipeline->target && !node_find(node, "target")) {
        REFUSE(load, node, "'target' is missing here: there are several targets to choose from");
        return;
    }
    for (size_t i = 0; i < settings->target_count; i++) {
        if (strcmp(settings->targets[i].name, pipeline->target) == 0)
            return;
        if (count < KNOWN_MAX)
            known[count++] = settings->targets[i].name;
    }
    refuse_name(load, place(node, "target"), "target", pipeline->target, known, count);
}

static void check_cluster(struct load *load, const struct node *node,
                          const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    if (settings_connect(settings, pipeline->connect))
        return;
    for (size_t i = 0; i < settings->connect_cluster_count && count < KNOWN_MAX; i++)
        known[count++] = settings->connect_clusters[i].name;
    if (count)
        refuse_name(load, place(node, "connect"), "connect", pipeline->connect, known, count);
    else
        REFUSE(load, place(node, "connect"),
               "'connect' names '%s', and ods-sink.conf has no 'connect_clusters'",
               pipeline->connect);
}

static void check_database(struct load *load, const struct node *node,
                           const struct settings *settings,
                           const struct pipeline_settings *pipeline)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    if (!*pipeline->database || settings_database(settings, pipeline->database))
        return;
    for (size_t i = 0; i < settings->database_count && count < KNOWN_MAX; i++)
        known[count++] = settings->databases[i].name;
    if (count)
        refuse_name(load, place(node, "database"), "database", pipeline->database, known, count);
    else
        REFUSE(load, place(node, "database"),
               "'database' names '%s', and ods-sink.conf has no 'databases'", pipeline->database);
}

static void check_verify(struct load *load, const struct node *node,
                         const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    if (pipeline->verify.every_ms && target && strcmp(target->type, "postgres") != 0)
        REFUSE(load, place(node, "verify.every"),
               "'verify.every' needs a target of type postgres; '%s' is of type %s",
               pipeline->target, target->type);
    if (pipeline->verify.every_ms && strcmp(pipeline->input.type, "kafka") != 0)
        REFUSE(load, place(node, "verify.every"),
               "'verify.every' needs a pipeline that reads Kafka: how far it has come can't be "
               "told of '%s'",
               pipeline->input.type);
}

static void check_added(struct load *load, const struct node *node, const char *name,
                        const char *list)
{
    const char *problem = added_fields_problem(list);
    if (problem)
        REFUSE(load, place(node, name), "'%s': %s; found '%.100s'", name, problem, list);
}

static void check_metadata(struct load *load, const struct node *node,
                           const struct metadata_settings *metadata)
{
    check_added(load, node, "source.metadata.add_fields", metadata->add_fields);
    check_added(load, node, "source.metadata.add_headers", metadata->add_headers);
    if (!*metadata->add_fields_prefix && !*metadata->add_fields && !*metadata->add_headers)
        REFUSE(load, place(node, "source.metadata.add_fields_prefix"),
               "without a prefix metadata can't be told from columns: name its fields in "
               "'source.metadata.add_fields'");
}

/* Each of the list is http://… or https://…, without a user, which has settings of its own; or,
 * where it may be, a file. */
static bool urls_are(const char *urls, bool files)
{
    while (*urls) {
        size_t length = strcspn(urls, ",");
        const char *host = strncmp(urls, "http://", 7) == 0    ? urls + 7
                           : strncmp(urls, "https://", 8) == 0 ? urls + 8
                                                               : NULL;
        bool file = files && strncmp(urls, "file:///", 8) == 0;
        if (!file && (!host || host >= urls + length || *host == '/' ||
                      memchr(urls, '@', length) || memchr(urls, ' ', length)))
            return false;
        urls += length + (urls[length] == ',');
    }
    return true;
}

/* A registry that a pipeline names itself, or the one that all share. */
static void check_registry(struct load *load, const struct node *node,
                           const struct registry_settings *registry)
{
    if (!urls_are(registry->url, true))
        REFUSE(
            load, place(node, "registry.url"),
            "'registry.url' expects http://host:port/path, https://… or file:///path, or several "
            "separated by commas; user and password stand in registry.user and "
            "registry.password");
    if (*registry->client_key && !*registry->client_cert)
        REFUSE(load, place(node, "registry.client_key"),
               "'registry.client_key' is the key to registry.client_cert, which is not set");
    if (*registry->user && *registry->token)
        REFUSE(load, place(node, "registry.token"),
               "registry.user and registry.token are two ways to sign in: set one of them");
}

static void check_pipeline(struct load *load, const struct node *node,
                           struct settings *settings, size_t index)
{
    struct pipeline_settings *pipeline = &settings->pipelines[index];
    const struct entry *topics = node_find(node, "topics");
    if (topics && topics->node->kind == NODE_LIST && topics->node->count == 0)
        REFUSE(load, topics->node, "'topics' is empty: expected at least one topic");
    for (size_t i = 0; topics && topics->node->kind == NODE_LIST && i < topics->node->count; i++) {
        const struct node *item = topics->node->entries[i].node;
        if (item->kind == NODE_SCALAR && *item->text && !item->broken)
            check_topic(load, item, item->text, settings->dead_letter.topic);
    }
    check_input(load, place(node, "input"), pipeline->input.type);
    check_format(load, place(node, "format"), pipeline->format);
    check_transforms(load, node, pipeline->transforms, pipeline->transform_count);
    check_metadata(load, node, &pipeline->source.metadata);
    check_schemas(load, node, pipeline);
    if (node_find(node, "registry"))
        check_registry(load, node, &pipeline->registry);
    if (settings->target_count)
        check_target(load, node, settings, pipeline);
    check_database(load, node, settings, pipeline);
    check_cluster(load, node, settings, pipeline);
    check_verify(load, node, settings, pipeline);
    for (size_t i = 0; i < index; i++) {
        const struct pipeline_settings *other = &settings->pipelines[i];
        if (*pipeline->name && strcmp(other->name, pipeline->name) == 0)
            REFUSE(load, place(node, "name"), "two pipelines are named '%s', the first in line %d",
                   pipeline->name, other->line);
        else if (strcmp(other->group_id, pipeline->group_id) == 0)
            REFUSE(load, place(node, "group_id"),
                   "pipelines '%s' and '%s' share the consumer group '%s': each would get only a "
                   "part of the records",
                   other->name, pipeline->name, pipeline->group_id);
    }
    check_tables(load, node, pipeline, settings->dead_letter.topic);
}

static bool port_is_good(const char *port)
{
    char *end;
    long number = strtol(port, &end, 10);
    return *port >= '0' && *port <= '9' && !*end && number >= 0 && number <= 65535;
}

static bool listen_is_good(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    if (!colon || colon == listen || !port_is_good(colon + 1))
        return false;
    if (*listen == '[')
        return colon[-1] == ']' && colon > listen + 2;
    return memchr(listen, ':', (size_t) (colon - listen)) == NULL;
}

static void check_databases(struct load *load, const struct node *node,
                            const struct settings *settings)
{
    const struct entry *databases = node_find(node, "databases");
    for (size_t i = 0; i < settings->database_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(settings->databases[i].name, settings->databases[j].name) == 0)
                REFUSE(load, place(databases->node->entries[i].node, "name"),
                       "two databases are named '%s', the first in line %d",
                       settings->databases[i].name, databases->node->entries[j].line);
}

/* `prefix`: "connect." where the settings stand in that group. */
static void check_connect(struct load *load, const struct node *node, const char *prefix,
                          const struct connect_settings *connect)
{
    char url[32], key[32];
    snprintf(url, sizeof url, "%surl", prefix);
    snprintf(key, sizeof key, "%skey", prefix);
    if (!urls_are(connect->url, false))
        REFUSE(load, place(node, url),
               "'%s' expects http://host:port or https://host:port, or several separated by "
               "commas; user and password stand in %suser and %spassword",
               url, prefix, prefix);
    if (*connect->key && !*connect->certificate)
        REFUSE(load, place(node, key), "'%s' is the key to %scertificate, which is not set", key,
               prefix);
}

static void check_clusters(struct load *load, const struct node *node,
                           const struct settings *settings)
{
    const struct entry *clusters = node_find(node, "connect_clusters");
    for (size_t i = 0; i < settings->connect_cluster_count; i++) {
        const struct node *one = clusters->node->entries[i].node;
        check_connect(load, one, "", &settings->connect_clusters[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(settings->connect_clusters[i].name, settings->connect_clusters[j].name) == 0)
                REFUSE(load, place(one, "name"),
                       "two clusters are named '%s', the first in line %d",
                       settings->connect_clusters[i].name, clusters->node->entries[j].line);
    }
}

static void check_daemon(struct load *load, const struct node *node,
                         const struct settings *settings)
{
    const struct entry *targets = node_find(node, "targets");
    if (*settings->http.listen && !listen_is_good(settings->http.listen))
        REFUSE(load, place(node, "http.listen"),
               "'http.listen' expects host:port, [address]:port or nothing, found \"%s\"",
               settings->http.listen);
    check_connect(load, node, "connect.", &settings->connect);
    check_registry(load, node, &settings->registry);
    if (settings->retry.initial_ms > settings->retry.max_ms)
        REFUSE(load, place(node, "retry"), "retry.initial_ms is larger than retry.max_ms");
    if (*settings->dead_letter.topic && !topic_name_is_good(settings->dead_letter.topic))
        REFUSE(load, place(node, "dead_letter.topic"),
               "'dead_letter.topic' expects a topic name (letters, digits, '.', '_', '-'), found "
               "\"%s\"",
               settings->dead_letter.topic);
    if (targets && targets->node->kind == NODE_LIST && targets->node->count == 0)
        REFUSE(load, targets->node, "'targets' is empty: expected at least one target");
    for (size_t i = 0; i < settings->target_count; i++) {
        const struct node *target = targets->node->entries[i].node;
        const char *name = settings->targets[i].name;
        if (*settings->targets[i].type)
            check_type(load, place(target, "type"), settings->targets[i].type);
        for (size_t j = 0; j < i; j++) {
            if (*name && strcmp(settings->targets[j].name, name) == 0)
                REFUSE(load, place(target, "name"),
                       "two targets are named '%s', the first in line %d", name,
                       targets->node->entries[j].line);
        }
    }
}

void validate_settings(struct load *load, const struct node *daemon, const struct node *moves,
                       struct settings *settings)
{
    const struct entry *pipelines = node_find(moves, "pipelines");
    if (daemon)
        check_daemon(load, daemon, settings);
    if (daemon) {
        check_databases(load, daemon, settings);
        check_clusters(load, daemon, settings);
    }
    if (pipelines && pipelines->node->count == 0 &&
        (pipelines->node->kind == NODE_LIST || node_is_null(pipelines->node)))
        REFUSE(load, pipelines->node, "'pipelines' is empty: expected at least one pipeline");
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        struct pipeline_settings *pipeline = &settings->pipelines[i];
        resolve(load, pipelines->node->entries[i].node, settings, pipeline);
        if (!pipeline->file || !pipeline->group_id) {
            table_patterns_free(settings);
            settings->pipeline_count = 0;
            return; /* memory is out: the load fails */
        }
        if (pipelines->node->entries[i].node->kind == NODE_MAP)
            check_pipeline(load, pipelines->node->entries[i].node, settings, i);
    }
}

static bool redacts(const struct pipeline_settings *pipeline)
{
    bool any = pipeline->defaults.redact.count > 0;
    for (size_t i = 0; !any && i < pipeline->table_count; i++)
        any = pipeline->tables[i].redact.count > 0;
    return any;
}

void validate_letters(struct load *load, const struct node *daemon,
                      const struct settings *settings)
{
    const struct dead_letter_settings *letters = &settings->dead_letter;
    struct jwe_key *key = NULL;
    struct error error;
    if (*letters->public_key) {
        error_init(&error);
        if (jwe_key_read_public(&key, letters->public_key, &error) != ODS_OK)
            REFUSE(load, place(daemon, "dead_letter.encrypt.public_key"),
                   "dead_letter.encrypt.public_key: %s", error.text);
        jwe_key_free(key);
        return;
    }
    for (size_t i = 0; *letters->topic && i < settings->pipeline_count; i++)
        if (redacts(&settings->pipelines[i])) {
            findings_warn(load->findings, place(daemon, "dead_letter.topic")->source,
                             place(daemon, "dead_letter.topic")->line,
                             "pipeline '%s' has redacted columns, and its dead letters hold the "
                             "records as they are: dead_letter.encrypt.public_key encrypts them",
                             settings->pipelines[i].name);
            return;
        }
}
