/* A row for each property that the two JDBC sinks and Kafka Connect know, in their versions up to
 * Debezium 3.3, Confluent 10.8 and Kafka 3.9. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/format.h>
#include "cli/import.h"
#include "config/secret.h"

#define D JDBC_DEBEZIUM
#define C JDBC_CONFLUENT

struct rule {
    unsigned of;          /* D, C or both */
    const char *property; /* one that ends in "." stands for all that begin so */
    enum verdict verdict;
    const char *note;
    /* In place of the note: understand the value, NULL where it is not set; NULL: nothing to do. */
    void (*take)(struct import *import, const char *property, const char *value);
};

static bool is_true(const char *value)
{
    return value && strcasecmp(value, "true") == 0;
}

/* --- how rows are written -------------------------------------------------------------------- */

static void take_insert_mode(struct import *import, const char *property, const char *value)
{
    const char *mode = value ? value : "insert";
    if (strcasecmp(mode, "upsert") == 0)
        import_say(import, property, SAME,
                   "a row that is there is changed, one that is not is made");
    else if (strcasecmp(mode, "insert") == 0)
        import_say(import, property, DIFFERS,
                   "a row that is there already is changed; the connector fails at it");
    else
        import_say(import, property, DIFFERS,
                   "a row that is not there is made; the connector passes over it");
}

static void take_key_fields(struct import *import, const char *property)
{
    const char *fields = import_value(import, property);
    if (!fields || !*fields)
        return;
    import->failed |= !names_split(&import->key, fields);
    import_say(import, property, CARRIED, "key in tables.yaml");
}

static void take_key_mode(struct import *import, const char *property, const char *value)
{
    const char *fields = import->kind == D ? "primary.key.fields" : "pk.fields";
    const char *mode = value ? value : "none";
    if (strcasecmp(mode, "record_key") == 0) {
        import_say(import, property, SAME, "the record's key is the row's");
        take_key_fields(import, fields);
        return;
    }
    if (strcasecmp(mode, "record_value") == 0) {
        take_key_fields(import, fields);
        if (import->key.count)
            import_say(import, property, CARRIED,
                       "key in tables.yaml; the records of one row must not stand in "
                       "several partitions");
        else
            import_say(import, property, DIFFERS,
                       "rows are told by the record's key, not by all of its fields");
        return;
    }
    if (strcasecmp(mode, "none") == 0) {
        import->keyless = "append";
        import_say(import, property, DIFFERS,
                   "a record that has a key changes the row of that key, and does not become one "
                   "more row; one without becomes a row (keyless: append)");
    } else if (strcasecmp(mode, "kafka") == 0) {
        import_say(import, property, DIFFERS,
                   "rows are told by the record's key, not by topic, partition and offset, for "
                   "which there are no columns");
    } else {
        import_say(import, property, LEFT,
                   "rows are told by the record's key, not by its headers; see key in tables.yaml");
    }
    if (import_value(import, fields))
        import_say(import, fields, LEFT, "with %s", property);
}

static void take_delete_enabled(struct import *import, const char *property, const char *value)
{
    import->on_delete = is_true(value) ? "hard" : "ignore";
    import->on_tombstone = is_true(value) ? NULL : "ignore";
    if (is_true(value))
        import_say(import, property, CARRIED, "on_delete: hard");
    else
        import_say(import, property, CARRIED, "on_delete: ignore, on_tombstone: ignore");
}

static void take_truncate_enabled(struct import *import, const char *property, const char *value)
{
    if (!is_true(value)) {
        if (value)
            import_say(import, property, SAME, "a truncate is passed over");
        return;
    }
    import->on_truncate = "apply";
    import_say(import, property, DIFFERS,
               "on_truncate: apply, of topics with one partition; of others a truncate is a "
               "dead letter");
}

static void take_evolution(struct import *import, const char *property, const char *value)
{
    import->create_tables = value && strcasecmp(value, "basic") == 0;
    import->evolve = import->create_tables ? "add" : "none";
    import_say(import, property, CARRIED, "create_tables: %s, evolve: %s",
               import->create_tables ? "true" : "false", import->evolve);
}

static void take_auto_create(struct import *import, const char *property, const char *value)
{
    import->create_tables = is_true(value);
    import_say(import, property, CARRIED, "create_tables: %s",
               import->create_tables ? "true" : "false");
}

static void take_auto_evolve(struct import *import, const char *property, const char *value)
{
    import->evolve = is_true(value) ? "add" : "none";
    if (is_true(value))
        import_say(import, property, DIFFERS,
                   "evolve: add, which follows in tables that ods-sink makes; the connector "
                   "alters any");
    else
        import_say(import, property, CARRIED, "evolve: none");
}

static void take_quoting(struct import *import, const char *property, const char *value)
{
    import->lower = import->kind == D ? !is_true(value) : value && strcasecmp(value, "never") == 0;
    import_say(import, property, CARRIED,
               import->lower ? "fold: lower, as PostgreSQL does without quotes"
                             : "names keep their case");
}

static void take_time_zone(struct import *import, const char *property, const char *value)
{
    if (!value)
        return;
    if (strcasecmp(value, "UTC") == 0 || strcasecmp(value, "Etc/UTC") == 0)
        import_say(import, property, SAME, "times without a zone are as the source's");
    else
        import_say(import, property, DIFFERS,
                   "times without a zone are written as the source has them (UTC), not in "
                   "this zone");
}

/* --- names and columns ----------------------------------------------------------------------- */

static void take_format(struct import *import, const char *property, const char *value)
{
    if (!value)
        return;
    free(import->name_format);
    import->name_format = strdup(value); /* import_names() reports it */
    import->failed |= !import->name_format;
}

static void take_strategy(struct import *import, const char *property, const char *value)
{
    if (!value)
        return;
    if (strstr(value, ".Default") || strstr(value, ".DefaultTable")) {
        import_say(import, property, SAME, "it is the default");
        return;
    }
    import->named_by_class |= strncmp(property, "column", 6) != 0;
    import_say(import, property, LEFT,
               "names are as the source has them; see target and columns.rename in tables.yaml");
}

/* Expressions over <topic>:<field>; here columns are named, for all tables. */
static void take_fields(struct import *import, const char *property, const char *value)
{
    struct names list = {0};
    bool include = strstr(property, "include") || strstr(property, "whitelist");
    bool plain = value != NULL;
    if (!value || !*value)
        return;
    import->failed |= !names_split(&list, value);
    for (size_t i = 0; i < list.count; i++) {
        char *field = strrchr(list.items[i], ':');
        bool of_all = !field || strncmp(list.items[i], ".*:", 3) == 0;
        field = field ? field + 1 : list.items[i];
        plain &= of_all && !strpbrk(field, "*+?[](){}|\\^$.");
    }
    for (size_t i = 0; plain && i < list.count; i++) {
        const char *field = strrchr(list.items[i], ':');
        field = field ? field + 1 : list.items[i];
        import->failed |=
            !names_add(include ? &import->include : &import->exclude, field, strlen(field));
    }
    if (plain)
        import_say(import, property, CARRIED, include ? "columns.include" : "columns.exclude");
    else
        import_say(import, property, LEFT,
                   "it has expressions, or topics; name the columns in columns.%s of their tables",
                   include ? "include" : "exclude");
    names_done(&list);
}

/* --- Connect --------------------------------------------------------------------------------- */

static void take_name(struct import *import, const char *property, const char *value)
{
    if (asprintf(&import->group, "connect-%s", import->name) < 0)
        import->failed = true;
    import_say(import, property, CARRIED,
               "name of the pipeline; group_id: connect-%s, so that it goes on where the connector "
               "stands: stop that one first",
               import->name);
}

static void take_tasks(struct import *import, const char *property, const char *value)
{
    long tasks = value ? strtol(value, NULL, 10) : 1;
    import->lanes = tasks < 1 ? 1 : tasks > 64 ? 64 : tasks;
    if (value)
        import_say(import, property, CARRIED, "lanes = %lld", (long long) import->lanes);
}

static void take_tolerance(struct import *import, const char *property, const char *value)
{
    const char *topic = import_value(import, "errors.deadletterqueue.topic.name");
    bool all = value && strcasecmp(value, "all") == 0;
    import->stop_on_error = !all;
    if (topic && *topic)
        import->dead_letter = strdup(topic);
    else if (all && asprintf(&import->dead_letter, "%s.dead-letters", import->name) < 0)
        import->failed = true;
    if (all && topic && *topic)
        import_say(import, property, CARRIED, "on_error: dead_letter");
    else if (all)
        import_say(import, property, DIFFERS,
                   "a record that can't be applied goes to the topic %s, and is not passed over "
                   "in silence",
                   import->dead_letter);
    else
        import_say(import, property, CARRIED, "on_error: stop");
}

static void take_dead_letter(struct import *import, const char *property, const char *value)
{
    if (!value)
        return;
    if (*value)
        import_say(import, property, CARRIED,
                   "dead_letter.topic; what the connector wrote there is not a letter of "
                   "ods-sink's");
    else
        import_say(import, property, SAME, "there is none");
}

static void take_converter(struct import *import, const char *property, const char *value)
{
    if (!value)
        return;
    bool key = strncmp(property, "key.", 4) == 0;
    if (strstr(value, ".JsonConverter") || (key && strstr(value, "StringConverter"))) {
        import_say(import, property, SAME, "it is read with and without schema");
    } else if (strstr(value, "AvroConverter") && format_find("avro")) {
        free(import->format);
        import->format = strdup("avro");
        import_say(import, property, CARRIED, "format: avro; see its settings");
    } else if (strstr(value, "ProtobufConverter")) {
        free(import->format);
        import->format = strdup("protobuf");
        import_say(import, property, CARRIED, "format: protobuf; see its settings");
    } else {
        import_say(import, property, LEFT, "ods-sink does not read such records");
    }
}

/* --- the consumer's own settings -------------------------------------------------------------- */

/* Kafka's Java client and librdkafka call these alike. */
static const char *const shared[] = {
    "security.protocol",  "sasl.mechanism",      "sasl.kerberos.service.name",
    "client.rack",        "session.timeout.ms",  "heartbeat.interval.ms",
    "fetch.min.bytes",    "fetch.max.bytes",     "max.poll.interval.ms",
    "isolation.level",    "connections.max.idle.ms", "reconnect.backoff.ms",
    "reconnect.backoff.max.ms", "ssl.endpoint.identification.algorithm"};

static void add_property(struct import *import, const char *name, const char *value)
{
    buffer_printf(&import->properties, "    \"%s\" = \"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\')
            buffer_puts(&import->properties, "\\");
        buffer_add(&import->properties, value, 1);
        if (*value == '$')
            buffer_puts(&import->properties, "$");
    }
    buffer_puts(&import->properties, "\";\n");
}

/* …LoginModule required username="u" password="p"; */
static void take_jaas(struct import *import, const char *property, const char *value)
{
    char user[256] = "", password[256] = "";
    const char *at = strstr(value, "username=\""), *secret = strstr(value, "password=\"");
    if (at)
        sscanf(at, "username=\"%255[^\"]\"", user);
    if (secret)
        sscanf(secret, "password=\"%255[^\"]\"", password);
    if (!*user || !*password) {
        import_say(import, property, LEFT,
                   "set sasl.username and sasl.password in kafka.properties");
        return;
    }
    add_property(import, "sasl.username", user);
    if (import->can_write_secrets && !is_reference(password)) {
        import->kafka_secret = strdup(password);
        buffer_puts(&import->properties, "    \"sasl.password\" = \"${file:kafka-password}\";\n");
        import_say(import, property, CARRIED,
                   "sasl.username, and sasl.password in the file kafka-password");
    } else {
        buffer_puts(&import->properties, "    \"sasl.password\" = \"${KAFKA_PASSWORD:-}\";\n");
        import_say(import, property, CARRIED,
                   "sasl.username, and sasl.password in the environment variable KAFKA_PASSWORD");
    }
    explicit_bzero(password, sizeof password);
}

static void take_consumer(struct import *import, const char *property, const char *value)
{
    const char *name = property + strlen("consumer.override.");
    if (!value)
        return;
    if (strcmp(name, "bootstrap.servers") == 0) {
        import->bootstrap = strdup(value);
        import_say(import, property, CARRIED, "kafka.bootstrap_servers");
    } else if (strcmp(name, "group.id") == 0) {
        free(import->group);
        import->group = strdup(value);
        import_say(import, property, CARRIED, "group_id of the pipeline");
    } else if (strcmp(name, "auto.offset.reset") == 0) {
        import->auto_offset_reset = strdup(strcmp(value, "none") == 0 ? "error" : value);
        import_say(import, property, CARRIED, "kafka.auto_offset_reset");
    } else if (strcmp(name, "sasl.jaas.config") == 0) {
        take_jaas(import, property, value);
    } else if (strncmp(name, "max.poll.records", 16) == 0) {
        import_say(import, property, DIFFERS, "batches fill while the writer works; "
                                              "batch.max_events is their ceiling");
    } else if (strncmp(name, "ssl.", 4) == 0 &&
               strcmp(name, "ssl.endpoint.identification.algorithm") != 0) {
        import_say(import, property, LEFT,
                   "librdkafka wants PEM files: ssl.ca.location, ssl.certificate.location and "
                   "ssl.key.location in kafka.properties");
    } else {
        for (size_t i = 0; i < sizeof shared / sizeof *shared; i++)
            if (strcmp(shared[i], name) == 0) {
                add_property(import, name, value);
                import_say(import, property, CARRIED, "kafka.properties");
                return;
            }
        import_say(import, property, LEFT, "librdkafka may have it: see kafka.properties");
    }
}

/* --- the table ------------------------------------------------------------------------------- */

#define RETRIES                                                                                    \
    "a target that is away is waited for without an end (retry.max_elapsed_ms), and only a row "   \
    "that is at fault is set aside"

static const struct rule rules[] = {
    {D | C, "name", CARRIED, NULL, take_name},
    {D | C, "connector.class", CARRIED, "a target of type postgres", NULL},
    {D | C, "tasks.max", CARRIED, NULL, take_tasks},
    {D | C, "insert.mode", SAME, NULL, take_insert_mode},
    {D, "primary.key.mode", SAME, NULL, take_key_mode},
    {C, "pk.mode", SAME, NULL, take_key_mode},
    {D | C, "delete.enabled", CARRIED, NULL, take_delete_enabled},
    {D, "truncate.enabled", CARRIED, NULL, take_truncate_enabled},
    {D, "schema.evolution", CARRIED, NULL, take_evolution},
    {C, "auto.create", CARRIED, NULL, take_auto_create},
    {C, "auto.evolve", CARRIED, NULL, take_auto_evolve},
    {D, "quote.identifiers", CARRIED, NULL, take_quoting},
    {C, "quote.sql.identifiers", CARRIED, NULL, take_quoting},
    {D, "use.time.zone", SAME, NULL, take_time_zone},
    {D, "database.time_zone", SAME, NULL, take_time_zone},
    {C, "db.timezone", SAME, NULL, take_time_zone},
    {D | C, "table.name.format", CARRIED, NULL, take_format},
    {D, "collection.name.format", CARRIED, NULL, take_format},
    {D, "collection.table.format", CARRIED, NULL, take_format},
    {D, "collection.naming.strategy", LEFT, NULL, take_strategy},
    {D, "table.naming.strategy", LEFT, NULL, take_strategy},
    {D, "column.naming.strategy", LEFT, NULL, take_strategy},
    {D, "collection.naming.", LEFT, "see target in tables.yaml", NULL},
    {D, "column.naming.", LEFT, "see columns.rename in tables.yaml", NULL},
    {D, "field.include.list", CARRIED, NULL, take_fields},
    {D, "field.exclude.list", CARRIED, NULL, take_fields},
    {C, "fields.whitelist", CARRIED, NULL, take_fields},
    {D | C, "batch.size", DIFFERS,
     "batches fill while the writer works; batch.max_events is their ceiling", NULL},
    {D, "use.reduction.buffer", SAME, "a batch is always reduced to the last state of each row",
     NULL},
    {D, "connection.pool.", DIFFERS, "each lane has one connection", NULL},
    {D, "connection.provider", SAME, "each lane has one connection", NULL},
    {D, "connection.restart.on.errors", SAME,
     "a lost connection is made again, and what was not "
     "committed is written again",
     NULL},
    {D, "flush.max.retries", DIFFERS, RETRIES, NULL},
    {D, "flush.retry.delay.ms", DIFFERS, "pauses grow from retry.initial_ms to retry.max_ms", NULL},
    {D, "dialect.postgres.postgis.schema", LEFT, "geometry goes into a column of the type it has",
     NULL},
    {D, "dialect.postgres.unnest.insert.enabled", SAME, "one statement takes a whole batch anyway",
     NULL},
    {D, "dialect.sqlserver.identity.insert", SAME, "it is SQL Server's", NULL},
    {D, "cloud.events.schema.name.pattern", SAME, "CloudEvents are known by their members", NULL},
    {D, "hibernate.", LEFT, "there is no Hibernate", NULL},
    {C, "connection.attempts", DIFFERS, RETRIES, NULL},
    {C, "connection.backoff.ms", DIFFERS, "pauses grow from retry.initial_ms to retry.max_ms",
     NULL},
    {C, "max.retries", DIFFERS, RETRIES, NULL},
    {C, "retry.backoff.ms", DIFFERS, "pauses grow from retry.initial_ms to retry.max_ms", NULL},
    {C, "dialect.name", SAME, "the target's type says it", NULL},
    {C, "jdbc.credentials.provider.", LEFT, "give user and password by ${NAME} or ${file:/path}",
     NULL},
    {C, "table.types", SAME,
     "tables, partitioned ones and views that can be written are all written to", NULL},
    {C, "date.timezone", DIFFERS, "a date is the source's, whatever the zone", NULL},
    {C, "db.timezone.date", DIFFERS, "a date is the source's, whatever the zone", NULL},
    {C, "date.calendar.system", DIFFERS, "dates are proleptic Gregorian, as Debezium sends them",
     NULL},
    {C, "timestamp.precision.mode", SAME, "a column gets as many digits as it has; see inexact",
     NULL},
    {C, "timestamp.fields.list", LEFT, "a number becomes a time by source_types in tables.yaml",
     NULL},
    {C, "replace.null.with.default", SAME, "NULL stays NULL, as far as the record still has it",
     NULL},
    {C, "mssql.use.merge.holdlock", SAME, "it is SQL Server's", NULL},
    {C, "trim.sensitive.log", SAME, "values of rows are not logged", NULL},
    {C, "connection.", LEFT, "a property of the driver: libpq has dsn", NULL},
    {D | C, "errors.tolerance", CARRIED, NULL, take_tolerance},
    {D | C, "errors.deadletterqueue.topic.name", CARRIED, NULL, take_dead_letter},
    {D | C, "errors.deadletterqueue.topic.replication.factor", LEFT,
     "ods-sink setup makes the topic with as many replicas as the brokers have by default", NULL},
    {D | C, "errors.deadletterqueue.context.headers.enable", SAME,
     "letters always have their reason", NULL},
    {D | C, "errors.retry.timeout", DIFFERS, RETRIES, NULL},
    {D | C, "errors.retry.delay.max.ms", DIFFERS, "pauses grow to retry.max_ms", NULL},
    {D | C, "errors.log.enable", SAME, "what is set aside is logged", NULL},
    {D | C, "errors.log.include.messages", DIFFERS,
     "records are not logged; ods-sink dlq show has them", NULL},
    {D | C, "key.converter", SAME, NULL, take_converter},
    {D | C, "value.converter", SAME, NULL, take_converter},
    {D | C, "key.converter.schemas.enable", SAME, "it is read with and without schema", NULL},
    {D | C, "value.converter.schemas.enable", SAME, "it is read with and without schema", NULL},
    {D | C, "key.converter.replace.null.with.default", SAME,
     "NULL stays NULL, as far as the record still has it", NULL},
    {D | C, "value.converter.replace.null.with.default", SAME,
     "NULL stays NULL, as far as the record still has it", NULL},
    {D | C, "key.converter.", LEFT, "see the settings of the format", NULL},
    {D | C, "value.converter.", LEFT, "see the settings of the format", NULL},
    {D | C, "header.converter", SAME, "headers are read as they are", NULL},
    {D | C, "header.converter.", SAME, "headers are read as they are", NULL},
    {D | C, "config.action.reload", DIFFERS, "SIGHUP reads the configuration again", NULL},
    {D | C, "predicates", LEFT, "see the transform that has one", NULL},
    {D | C, "predicates.", LEFT, "see the transform that has one", NULL},
    {D | C, "tasks.max.enforce", SAME, "there are as many lanes as are asked for", NULL},
    {D | C, "consumer.override.", CARRIED, NULL, take_consumer},
    {D | C, "producer.override.", SAME, "a sink produces nothing but dead letters", NULL},
    {D | C, "admin.override.", SAME, "topics are not made by the daemon", NULL},
};

/* Told of elsewhere, before or after the table. */
static bool is_told(const struct import *import, const char *property)
{
    static const char *const elsewhere[] = {"topics", "topics.regex", "transforms", NULL};
    for (size_t i = 0; elsewhere[i]; i++)
        if (strcmp(elsewhere[i], property) == 0)
            return true;
    for (size_t i = 0; i < import->line_count; i++)
        if (strcmp(import->lines[i].property, property) == 0)
            return true;
    return strncmp(property, "transforms.", 11) == 0;
}

static bool stands_for(const struct rule *rule, const char *property)
{
    size_t length = strlen(rule->property);
    return rule->property[length - 1] == '.' ? strncmp(rule->property, property, length) == 0
                                             : strcmp(rule->property, property) == 0;
}

static bool is_format(const char *property)
{
    return strcmp(property, "table.name.format") == 0 ||
           strcmp(property, "collection.name.format") == 0 ||
           strcmp(property, "collection.table.format") == 0;
}

/* What is set, and matches: by its whole name before by its beginning, as the rows stand. */
static void take_property(struct import *import, const char *property, const char *value)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        if (!(rules[i].of & import->kind) || !stands_for(&rules[i], property))
            continue;
        if (rules[i].take)
            rules[i].take(import, property, value);
        else
            import_say(import, property, rules[i].verdict, "%s", rules[i].note);
        return;
    }
    import_say(import, property, UNKNOWN, "no property of this connector that is known here");
}

/* Every rule in the table's order first, so that what one decides the next may use. */
void import_properties(struct import *import)
{
    const char *property;
    json_t *value;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        bool prefix = rule->property[strlen(rule->property) - 1] == '.';
        if (rule->of & import->kind && rule->take && !prefix && !is_told(import, rule->property))
            rule->take(import, rule->property, import_value(import, rule->property));
    }
    import_transforms(import);
    json_object_foreach(import->config, property, value)
    {
        if (!is_told(import, property) && !is_format(property))
            take_property(import, property, json_string_value(value));
    }
}
