/* Which connector has a table, and whether it can be asked for rows. See signals.h. Properties and
 * defaults are those of Debezium 3.3. */
#include "cli/signals.h"

#include <ods/pipeline.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/connector.h"
#include "source/kafka/kafka_producer.h"
#include "source/kafka/kafka_tool.h"

/* Connect takes true as well as "true". */
static const char *property(const json_t *config, const char *name, const char *fallback)
{
    const json_t *value = json_object_get(config, name);
    const char *text = json_is_true(value) ? "true" : json_string_value(value);
    return text ? text : fallback;
}

static bool lists(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (; *list; list += strcspn(list, ", "), list += strspn(list, ", "))
        if (strcspn(list, ", ") == length && strncasecmp(list, word, length) == 0)
            return true;
    return false;
}

static bool is_mysql(const char *class)
{
    return strstr(class, "MySql") || strstr(class, "MariaDb");
}

static bool is_postgres(const char *class)
{
    return strstr(class, "Postgres") != NULL;
}

/* --- what it lacks -------------------------------------------------------------------------- */

static const char *channels_of(const json_t *config)
{
    return property(config, "signal.enabled.channels", "source");
}

static bool takes_kafka(const json_t *config)
{
    return lists(channels_of(config), "kafka") &&
           *property(config, "signal.kafka.bootstrap.servers", "");
}

const char *signals_topic(const json_t *config, char *room, size_t size)
{
    const char *topic = property(config, "signal.kafka.topic", "");
    snprintf(room, size, "%s-signal", property(config, "topic.prefix", ""));
    return !takes_kafka(config) ? "" : *topic ? topic : room;
}

void signals_lacks(const json_t *config, struct buffer *lacks)
{
    bool table = *property(config, "signal.data.collection", "");
    bool reads_only = strcasecmp(property(config, "read.only", "false"), "true") == 0;
    if (lists(channels_of(config), "kafka") &&
        !*property(config, "signal.kafka.bootstrap.servers", ""))
        buffer_puts(lacks, "signal.enabled.channels has kafka, and signal.kafka.bootstrap.servers "
                           "is not set");
    else if (!lists(channels_of(config), "kafka") && !lists(channels_of(config), "source"))
        buffer_puts(lacks, "signal.enabled.channels has neither kafka nor source");
    else if (!lists(channels_of(config), "kafka") && !table)
        buffer_puts(lacks, "it has no way to take signals: signal.enabled.channels is without "
                           "kafka, and signal.data.collection is not set");
    if (!table && !reads_only)
        buffer_printf(lacks, "%sneither signal.data.collection is set, a table in which it marks "
                             "where a snapshot begins and ends, nor read.only=true, which needs "
                             "none",
                      lacks->length ? "; " : "");
}

static void advise(const json_t *config, const char *name, const char *prefix, struct buffer *out)
{
    bool mysql = is_mysql(json_text(config, "connector.class"));
    buffer_printf(out,
                  "; for example: ods-sink connectors apply FILE --set "
                  "signal.enabled.channels=source,kafka --set signal.kafka.topic=%s.signals --set "
                  "signal.kafka.bootstrap.servers=HOST:PORT --set %s, with FILE that of %s",
                  prefix,
                  mysql ? "signal.data.collection=DATABASE.debezium_signal (a table of that name "
                          "with id varchar(64), type varchar(32) and data text, in which the "
                          "connector's user may insert and delete)"
                        : "read.only=true",
                  name);
}

static int check_config(const json_t *config, const char *name, struct error *error)
{
    struct buffer lacks;
    buffer_init(&lacks);
    signals_lacks(config, &lacks);
    int code = CLI_OK;
    if (lacks.length) {
        advise(config, name, property(config, "topic.prefix", ""), &lacks);
        error_set(error, ODS_FATAL, "connector %s can't be asked for rows: %s", name,
                  buffer_text(&lacks));
        code = CLI_CONFIG;
    }
    buffer_done(&lacks);
    return code;
}

/* --- which one it is ------------------------------------------------------------------------ */

struct wanted_table {
    const struct pipeline_settings *pipeline;
    const char *schema, *name;
};

/* Does it write the table's topic, and does the pipeline read that? */
static bool writes(const struct signals *signals, const json_t *config,
                   const struct wanted_table *table)
{
    char topic[600];
    const char *class = json_text(config, "connector.class");
    const char *prefix = json_text(config, "topic.prefix");
    if (!*prefix || (!is_mysql(class) && !is_postgres(class)) ||
        (signals->database_settings &&
         is_postgres(class) != (strcmp(signals->database_settings->type, "postgres") == 0)))
        return false;
    snprintf(topic, sizeof topic, "%s.%s.%s", prefix, table->schema, table->name);
    return pipeline_reads(table->pipeline, topic);
}

static const json_t *config_of(const json_t *one)
{
    return json_object_get(json_object_get(one, "info"), "config");
}

static int find(const struct signals *signals, const json_t *all, const struct wanted_table *table,
                const char **found, struct error *error)
{
    const char *name;
    json_t *one;
    *found = NULL;
    json_object_foreach((json_t *) (uintptr_t) all, name, one)
    {
        bool is_it = signals->wanted ? strcmp(signals->wanted, name) == 0
                                     : writes(signals, config_of(one), table);
        if (is_it && *found) {
            error_set(error, ODS_FATAL,
                      "connectors %s and %s both may write the topic of %s.%s: say which with "
                      "--connector",
                      *found, name, table->schema, table->name);
            return CLI_USAGE;
        }
        if (is_it)
            *found = name;
    }
    if (*found)
        return CLI_OK;
    if (signals->wanted)
        error_set(error, ODS_FATAL, "Kafka Connect has no connector %s", signals->wanted);
    else
        error_set(error, ODS_FATAL,
                  "no connector of Kafka Connect at %s has a topic.prefix by which it writes a "
                  "topic of %s.%s that pipeline %s reads; --connector says which one it is",
                  signals->settings->connect.url, table->schema, table->name,
                  table->pipeline->name);
    return signals->wanted ? CLI_USAGE : CLI_CONFIG;
}

static int check_state(const json_t *one, const char *name, struct error *error)
{
    enum connector_state state = connector_state(json_object_get(one, "status"));
    if (state == CONNECTOR_RUNNING)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "connector %s is %s, and sends nothing: ods-sink connectors status %s says why", name,
              connector_state_name(state), name);
    return CLI_SOURCE;
}

/* --- keeping it ----------------------------------------------------------------------------- */

static void forget(struct signals *signals)
{
    struct signalled *connector = &signals->connector;
    free(connector->name);
    free(connector->prefix);
    free(connector->topic);
    free(connector->table);
    free(connector->notifications);
    free(connector->collection);
    *connector = (struct signalled){0};
    signals_settle(signals);
    free(signals->heard);
    signals->heard = NULL;
    signals->heard_count = 0;
}

static char *copy_or_null(const char *text)
{
    return *text ? strdup(text) : NULL;
}

static int keep(struct signals *signals, const char *name, const json_t *config,
                const struct wanted_table *table, struct error *error)
{
    struct signalled *connector = &signals->connector;
    const char *prefix = property(config, "topic.prefix", "");
    char usual[300];
    forget(signals);
    connector->name = strdup(name);
    connector->prefix = strdup(prefix);
    connector->way = takes_kafka(config) ? SIGNAL_KAFKA : SIGNAL_TABLE;
    connector->topic = strdup(signals_topic(config, usual, sizeof usual));
    connector->table = copy_or_null(property(config, "signal.data.collection", ""));
    connector->takes_rows = connector->table && lists(channels_of(config), "source");
    if (lists(property(config, "notification.enabled.channels", ""), "sink"))
        connector->notifications =
            copy_or_null(property(config, "notification.sink.topic.name", ""));
    if (connector->name && connector->prefix && connector->topic &&
        asprintf(&connector->collection, "%s.%s", table->schema, table->name) >= 0)
        return CLI_OK;
    connector->collection = NULL;
    error_out_of_memory(error);
    return CLI_INTERNAL;
}

static int check_topic(struct signals *signals, struct error *error)
{
    const struct signalled *connector = &signals->connector;
    int32_t partitions = 0;
    if (!signals->tool && kafka_tool_open_quick(&signals->tool, signals->settings,
                                                signals->settings->kafka.group_id, error) != ODS_OK)
        return CLI_CONFIG;
    if (connector->way != SIGNAL_KAFKA)
        return CLI_OK;
    if (kafka_tool_partitions(signals->tool, connector->topic, &partitions, error) != ODS_OK)
        return CLI_SOURCE;
    if (partitions == 1)
        return CLI_OK;
    if (!partitions && connector->takes_rows && signals->database_settings) {
        signals->connector.way = SIGNAL_TABLE;
        return CLI_OK;
    }
    error_set(error, ODS_FATAL,
              partitions ? "connector %s can't be asked for rows: its topic for signals, %s, must "
                           "have one partition"
                         : "connector %s can't be asked for rows: its topic for signals, %s, is "
                           "not there: ods-sink setup makes it, of one partition, after which the "
                           "connector has to be restarted (ods-sink connectors restart)",
              connector->name, connector->topic);
    return CLI_CONFIG;
}

/* A table for signals that is named and not there leaves the connector with a snapshot that it can
 * neither begin nor end. */
static int check_table(struct signals *signals, struct error *error)
{
    const struct signalled *connector = &signals->connector;
    const char *dot = connector->table ? strrchr(connector->table, '.') : NULL;
    struct source_table table = {0};
    char schema[300];
    bool found = false;
    if (!signals->database_settings || !dot) {
        if (connector->way == SIGNAL_KAFKA)
            return CLI_OK;
        error_set(error, ODS_FATAL,
                  "connector %s takes signals by its table %s alone, and the source database is "
                  "not known: name it in `databases` of ods-sink.conf and in `database` of the "
                  "pipeline, or add kafka to signal.enabled.channels",
                  connector->name, connector->table ? connector->table : "");
        return CLI_CONFIG;
    }
    snprintf(schema, sizeof schema, "%.*s", (int) (dot - connector->table), connector->table);
    if (!signals->database)
        signals->database = database_new(signals->database_settings);
    if (!signals->database) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    enum ods_status status = signals->database->ops->open(signals->database, error);
    if (status == ODS_OK)
        status = signals->database->ops->describe(signals->database, schema, dot + 1, &table,
                                                  &found, error);
    source_table_done(&table);
    if (status != ODS_OK)
        return CLI_SOURCE;
    if (found)
        return CLI_OK;
    error_set(error, ODS_FATAL,
              "connector %s can't be asked for rows: its table for signals, %s "
              "(signal.data.collection), is not there, or the user of database %s may not read it. "
              "It takes three columns, id varchar(64), type varchar(32), data text, and the "
              "connector's user must be allowed to insert and delete",
              connector->name, connector->table, signals->database_settings->name);
    return CLI_CONFIG;
}

int signals_choose(struct signals *signals, const struct pipeline_settings *pipeline,
                   const char *schema, const char *table, struct error *error)
{
    const struct wanted_table wanted = {pipeline, schema, table};
    const char *name = NULL;
    json_t *all = NULL;
    signals->database_settings = settings_database(signals->settings, pipeline->database);
    if (!*signals->settings->connect.url) {
        error_set(error, ODS_FATAL,
                  "the address of Kafka Connect, by which the connector is looked up, is not "
                  "known: set connect = { url = \"http://host:8083\"; }; in ods-sink.conf");
        return CLI_CONFIG;
    }
    if (!signals->connect &&
        connect_open(&signals->connect, &signals->settings->connect, NULL, error) != ODS_OK)
        return CLI_CONFIG;
    if (connect_ask(signals->connect, "GET", "/connectors?expand=info&expand=status", NULL, &all,
                    error) != ODS_OK)
        return CLI_SOURCE;
    int code = find(signals, all, &wanted, &name, error);
    const json_t *one = code == CLI_OK ? json_object_get(all, name) : NULL;
    if (code == CLI_OK)
        code = check_config(config_of(one), name, error);
    if (code == CLI_OK)
        code = check_state(one, name, error);
    if (code == CLI_OK)
        code = keep(signals, name, config_of(one), &wanted, error);
    json_decref(all);
    if (code == CLI_OK)
        code = check_topic(signals, error);
    return code == CLI_OK ? check_table(signals, error) : code;
}

void signals_close(struct signals *signals)
{
    forget(signals);
    free(signals->conditions);
    signals->conditions = NULL;
    connect_close(signals->connect);
    kafka_tool_close(signals->tool);
    kafka_producer_close(signals->producer);
    database_free(signals->database);
    signals->connect = NULL;
    signals->tool = NULL;
    signals->producer = NULL;
    signals->database = NULL;
}
