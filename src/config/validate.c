/* Checks across settings. Each runs beside the nodes, which know file and line. */
#include "config/validate_room.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/format.h>
#include <ods/sink.h>
#include <ods/source.h>
#include <ods/transform.h>

#include "config/settings_registry.h"
#include "config/table_pattern.h"
#include "core/added_field.h"
#include "core/jwe.h"
#include "core/pattern.h"

#define TOPIC_MAX_BYTES 249

const struct node *validate_place(const struct node *group, const char *name)
{
    const struct entry *entry = node_find(group, name);
    return entry ? entry->node : group;
}

static bool topic_name_is_good(const char *name)
{
    size_t length = strlen(name);
    size_t good = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return length && length <= TOPIC_MAX_BYTES && good == length && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

void validate_topic(struct load *load, const struct node *node, const char *topic,
                    const char *dead_letter)
{
    regex_t regex;
    char why[256];
    bool loops = *dead_letter && strcmp(topic, dead_letter) == 0;
    if (*topic == '^') {
        const char *stray = pattern_stray(topic);
        if (stray) {
            REFUSE(load, node, "pattern '%.200s' %s", topic, stray);
            return;
        }
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
            load, validate_place(node, "format"),
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

void validate_transforms(struct load *load, const struct node *node,
                         const struct transform_settings *transforms, size_t count)
{
    const struct entry *list = node_find(node, "transforms");
    for (size_t i = 0; list && list->node->kind == NODE_LIST && i < count; i++)
        if (*transforms[i].type)
            check_transform(load, validate_place(list->node->entries[i].node, "type"),
                            transforms[i].type);
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

static void check_suits(struct load *load, const struct node *node,
                        const struct settings *settings, const struct pipeline_settings *pipeline,
                        const struct target_settings *target)
{
    const struct sink_ops *sink = sink_find(target->type);
    const struct sink_config config = {.name = target->name,
                                       .settings = target->own,
                                       .pipeline = pipeline,
                                       .daemon = settings};
    struct error error;
    error_init(&error);
    if (sink && sink->suits && config.settings && sink->suits(&config, &error) != ODS_OK)
        REFUSE(load, validate_place(node, "target"), "%s", error.text);
}

/* What tables ask of the target that not every type of target has. */
static void check_abilities(struct load *load, const struct node *node,
                            const struct pipeline_settings *pipeline,
                            const struct target_settings *target)
{
    const struct sink_ops *sink = sink_find(target->type);
    bool outbox = pipeline->defaults.outbox, history = table_keeps_history(&pipeline->defaults);
    for (size_t i = 0; i < pipeline->table_count; i++) {
        outbox |= pipeline->tables[i].outbox;
        history |= table_keeps_history(&pipeline->tables[i]);
    }
    if (outbox && strcmp(target->type, "postgres") != 0)
        REFUSE(load, validate_place(node, "target"),
               "'outbox: true' of a table needs a target of type postgres; '%s' is of type %s",
               target->name, target->type);
    if (history && sink && !sink->keeps_history)
        REFUSE(load, validate_place(node, "target"),
               "target '%s' is of type %s, which keeps no history: leave history and mode out",
               target->name, target->type);
}

static void check_target(struct load *load, const struct node *node,
                         const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const char *known[KNOWN_MAX];
    size_t count = 0;
    if (!*pipeline->target && !node_find(node, "target")) {
        REFUSE(load, node, "'target' is missing here: there are several targets to choose from");
        return;
    }
    for (size_t i = 0; i < settings->target_count; i++) {
        if (strcmp(settings->targets[i].name, pipeline->target) == 0) {
            check_suits(load, node, settings, pipeline, &settings->targets[i]);
            check_abilities(load, node, pipeline, &settings->targets[i]);
            return;
        }
        if (count < KNOWN_MAX)
            known[count++] = settings->targets[i].name;
    }
    refuse_name(load, validate_place(node, "target"), "target", pipeline->target, known, count);
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
        refuse_name(load, validate_place(node, "connect"), "connect", pipeline->connect, known,
                    count);
    else
        REFUSE(load, validate_place(node, "connect"),
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
        refuse_name(load, validate_place(node, "database"), "database", pipeline->database, known,
                    count);
    else
        REFUSE(load, validate_place(node, "database"),
               "'database' names '%s', and ods-sink.conf has no 'databases'", pipeline->database);
}

static void check_verify(struct load *load, const struct node *node,
                         const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    if (pipeline->verify.every_ms && target && strcmp(target->type, "postgres") != 0)
        REFUSE(load, validate_place(node, "verify.every"),
               "'verify.every' needs a target of type postgres; '%s' is of type %s",
               pipeline->target, target->type);
    if (pipeline->verify.every_ms && strcmp(pipeline->input.type, "kafka") != 0)
        REFUSE(load, validate_place(node, "verify.every"),
               "'verify.every' needs a pipeline that reads Kafka: how far it has come can't be "
               "told of '%s'",
               pipeline->input.type);
}

static void check_added(struct load *load, const struct node *node, const char *name,
                        const char *list)
{
    const char *problem = added_fields_problem(list);
    if (problem)
        REFUSE(load, validate_place(node, name), "'%s': %s; found '%.100s'", name, problem, list);
}

static void check_metadata(struct load *load, const struct node *node,
                           const struct metadata_settings *metadata)
{
    check_added(load, node, "source.metadata.add_fields", metadata->add_fields);
    check_added(load, node, "source.metadata.add_headers", metadata->add_headers);
    if (!*metadata->add_fields_prefix && !*metadata->add_fields && !*metadata->add_headers)
        REFUSE(load, validate_place(node, "source.metadata.add_fields_prefix"),
               "without a prefix metadata can't be told from columns: name its fields in "
               "'source.metadata.add_fields'");
}

/* A registry that a pipeline names itself, or the one that all share. */
static void check_registry(struct load *load, const struct node *node,
                           const struct registry_settings *registry)
{
    const char *setting, *fault = settings_registry_fault(registry, true, &setting);
    if (fault)
        REFUSE(load, validate_place(node, setting), "%s", fault);
}

static void check_source(struct load *load, const struct node *node,
                         const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const struct source_ops *source = source_find(pipeline->input.type);
    const struct source_config config = {
        .settings = pipeline->input.own, .daemon = settings, .pipeline = pipeline};
    struct error error;
    error_init(&error);
    if (source && source->suits && config.settings && source->suits(&config, &error) != ODS_OK)
        REFUSE(load, validate_place(node, "input"), "%s", error.text);
    else if (source && source->doubts && config.settings && source->doubts(&config, &error))
        findings_warn(load->findings, validate_place(node, "input")->source,
                      validate_place(node, "input")->line, "%s", error.text);
}

static void check_pipeline(struct load *load, const struct node *node, struct settings *settings,
                           size_t index)
{
    struct pipeline_settings *pipeline = &settings->pipelines[index];
    const struct entry *topics = node_find(node, "topics");
    if (topics && topics->node->kind == NODE_LIST && topics->node->count == 0)
        REFUSE(load, topics->node, "'topics' is empty: expected at least one topic");
    for (size_t i = 0; topics && topics->node->kind == NODE_LIST && i < topics->node->count; i++) {
        const struct node *item = topics->node->entries[i].node;
        if (item->kind == NODE_SCALAR && *item->text && !item->broken)
            validate_topic(load, item, item->text, settings->dead_letter.topic);
    }
    check_input(load, validate_place(node, "input"), pipeline->input.type);
    check_source(load, node, settings, pipeline);
    check_format(load, validate_place(node, "format"), pipeline->format);
    validate_transforms(load, node, pipeline->transforms, pipeline->transform_count);
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
            REFUSE(load, validate_place(node, "name"),
                   "two pipelines are named '%s', the first in line %d", pipeline->name,
                   other->line);
        else if (strcmp(other->group_id, pipeline->group_id) == 0)
            REFUSE(load, validate_place(node, "group_id"),
                   "pipelines '%s' and '%s' share the consumer group '%s': each would get only a "
                   "part of the records",
                   other->name, pipeline->name, pipeline->group_id);
    }
    validate_tables(load, node, pipeline, settings->dead_letter.topic);
    validate_quality(load, node, settings, pipeline);
}

bool validate_port(const char *port)
{
    char *end;
    long number = strtol(port, &end, 10);
    return *port >= '0' && *port <= '9' && !*end && number >= 0 && number <= 65535;
}

static void check_databases(struct load *load, const struct node *node,
                            const struct settings *settings)
{
    const struct entry *databases = node_find(node, "databases");
    for (size_t i = 0; i < settings->database_count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(settings->databases[i].name, settings->databases[j].name) == 0)
                REFUSE(load, validate_place(databases->node->entries[i].node, "name"),
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
    if (!settings_urls_are(connect->url, false))
        REFUSE(load, validate_place(node, url),
               "'%s' expects http://host:port or https://host:port, or several separated by "
               "commas; user and password stand in %suser and %spassword",
               url, prefix, prefix);
    if (*connect->key && !*connect->certificate)
        REFUSE(load, validate_place(node, key),
               "'%s' is the key to %scertificate, which is not set", key, prefix);
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
                REFUSE(load, validate_place(one, "name"),
                       "two clusters are named '%s', the first in line %d",
                       settings->connect_clusters[i].name, clusters->node->entries[j].line);
    }
}

static bool table_name_is_good(const char *table)
{
    const char *dot = strchr(table, '.');
    size_t first = dot ? (size_t) (dot - table) : strlen(table);
    size_t second = dot ? strlen(dot + 1) : 1;
    return first && first <= 63 && second && second <= 63 && !(dot && strchr(dot + 1, '.'));
}

static void check_letters(struct load *load, const struct node *node,
                          const struct settings *settings)
{
    const struct dead_letter_settings *letters = &settings->dead_letter;
    if (!!*letters->address + !!*letters->topic + !!*letters->table > 1)
        REFUSE(load, validate_place(node, *letters->table ? "dead_letter.table"
                                                          : "dead_letter.address"),
               "dead letters go to dead_letter.topic, dead_letter.address or dead_letter.table: "
               "set one of them");
    if (*letters->table && !table_name_is_good(letters->table))
        REFUSE(load, validate_place(node, "dead_letter.table"),
               "'dead_letter.table' expects \"table\" or \"schema.table\", each of 63 bytes at "
               "most, found '%s'",
               letters->table);
    if (*letters->table && !settings_postgres(settings, letters->target))
        REFUSE(load, validate_place(node, "dead_letter.table"),
               *letters->target ? "dead_letter.target names no target of type postgres"
                                : "'dead_letter.table' needs a target of type postgres, or "
                                  "'dead_letter.target', which names one of several");
    if (*letters->address && !settings_broker(settings, letters->broker))
        REFUSE(load, validate_place(node, "dead_letter.address"),
               *letters->broker ? "dead_letter.broker names none of the list 'amqp'"
                                : "'dead_letter.address' needs its broker in the list 'amqp', or "
                                  "'dead_letter.broker', which names one of several");
}

static void check_tracing(struct load *load, const struct node *node,
                          const struct tracing_settings *tracing)
{
    if (*tracing->endpoint &&
        (!settings_urls_are(tracing->endpoint, false) || strpbrk(tracing->endpoint, ",?#")))
        REFUSE(load, validate_place(node, "tracing.endpoint"),
               "'tracing.endpoint' expects http://host:port or https://host:port, and perhaps a "
               "path; what signs in stands in tracing.token");
    if (!*tracing->certificate != !*tracing->key)
        REFUSE(load, validate_place(node, *tracing->key ? "tracing.key" : "tracing.certificate"),
               "'tracing.certificate' and 'tracing.key' go together: set both, or neither");
}

static void check_daemon(struct load *load, const struct node *node,
                         const struct settings *settings)
{
    const struct entry *targets = node_find(node, "targets");
    validate_http(load, node, &settings->http);
    check_tracing(load, node, &settings->tracing);
    check_connect(load, node, "connect.", &settings->connect);
    check_registry(load, node, &settings->registry);
    if (settings->retry.initial_ms > settings->retry.max_ms)
        REFUSE(load, validate_place(node, "retry"), "retry.initial_ms is larger than retry.max_ms");
    if (*settings->dead_letter.topic && !topic_name_is_good(settings->dead_letter.topic))
        REFUSE(load, validate_place(node, "dead_letter.topic"),
               "'dead_letter.topic' expects a topic name (letters, digits, '.', '_', '-'), found "
               "\"%s\"",
               settings->dead_letter.topic);
    if (targets && targets->node->kind == NODE_LIST && targets->node->count == 0)
        REFUSE(load, targets->node, "'targets' is empty: expected at least one target");
    for (size_t i = 0; targets && i < settings->target_count; i++) {
        const struct node *target = targets->node->entries[i].node;
        const char *name = settings->targets[i].name;
        if (*settings->targets[i].type)
            check_type(load, validate_place(target, "type"), settings->targets[i].type);
        for (size_t j = 0; j < i; j++) {
            if (*name && strcmp(settings->targets[j].name, name) == 0)
                REFUSE(load, validate_place(target, "name"),
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
        validate_brokers(load, daemon, settings);
        check_letters(load, daemon, settings);
    }
    if (pipelines && pipelines->node->count == 0 &&
        (pipelines->node->kind == NODE_LIST || node_is_null(pipelines->node)))
        REFUSE(load, pipelines->node, "'pipelines' is empty: expected at least one pipeline");
    for (size_t i = 0; pipelines && i < settings->pipeline_count; i++) {
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
    validate_derived(load, moves, settings);
}

static bool redacts(const struct pipeline_settings *pipeline)
{
    bool any = pipeline->defaults.redact.count > 0;
    for (size_t i = 0; !any && i < pipeline->table_count; i++)
        any = pipeline->tables[i].redact.count > 0;
    return any;
}

void validate_letters(struct load *load, const struct node *daemon, const struct settings *settings)
{
    const struct dead_letter_settings *letters = &settings->dead_letter;
    struct jwe_key *key = NULL;
    struct error error;
    if (*letters->public_key) {
        error_init(&error);
        if (jwe_key_read_public(&key, letters->public_key, &error) != ODS_OK)
            REFUSE(load, validate_place(daemon, "dead_letter.encrypt.public_key"),
                   "dead_letter.encrypt.public_key: %s", error.text);
        jwe_key_free(key);
        return;
    }
    for (size_t i = 0; *letters->topic && i < settings->pipeline_count; i++)
        if (redacts(&settings->pipelines[i])) {
            findings_warn(load->findings, validate_place(daemon, "dead_letter.topic")->source,
                          validate_place(daemon, "dead_letter.topic")->line,
                          "pipeline '%s' has redacted columns, and its dead letters hold the "
                          "records as they are: dead_letter.encrypt.public_key encrypts them",
                          settings->pipelines[i].name);
            return;
        }
}
