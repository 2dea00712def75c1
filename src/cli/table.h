/* What the commands about one table share (pause, resume, skip-until, attach, resync): which topics
 * carry it, orders about them, and waiting until every process of the group obeys.
 */
#ifndef TABLE_H
#define TABLE_H

#include <jansson.h>

#include <ods/control.h>
#include <ods/sink.h>
#include "cli/cli.h"
#include "source/kafka/kafka_tool.h"

/* Embedded as the first member of each command's struct of options. */
struct table_options {
    const char *config, *pipeline, *name, *reason;
    bool whole_topic, json;
    int64_t wait_ms;
};

struct table_topic {
    char *name;
    int32_t partitions;
};

struct table {
    const struct call *call;
    const struct table_options *options;
    struct config *loaded;
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct kafka_tool *tool;
    struct sink *sink;
    struct topic_tables known; /* which topics of the group carry which tables */
    struct table_topic *topics; /* which carry this one */
    size_t topic_count;
    struct strings names;       /* theirs */
    char target[160];           /* "schema.table" in the target; "": not known */
    const struct topic_table *goes_to; /* a row of `known` that says so */
    char others[512];           /* tables that are in its topics as well, or "" */
    char by[200];               /* who gives orders */

    /* Of all their partitions, in order, by table_measure(). */
    struct position *positions;
    int64_t *lows, *highs;
    size_t count;

    struct control_members obeying; /* by table_await() */
};

/* Load the configuration, find the pipeline that reads the table, and connect. A cli_exit; the
 * error is filled unless CLI_OK or CLI_CONFIG. table_close() either way. */
int table_open(struct table *table, const struct call *call, const struct table_options *options,
               struct error *error);
void table_close(struct table *table);

/* What an order says besides its topics. */
struct table_order {
    bool from_running, from_paused, from_resync; /* the states that it is meant for */
    enum order_state state;
    const char *action, *details, *reason;
};

/* CLI_NEGATIVE: another order stands. */
int table_give(struct table *table, const struct table_order *order, int64_t *number,
               struct error *error);
/* Wait until all processes obey, and nothing moves the topics' offsets any more. CLI_NEGATIVE: not
 * in time, or interrupted; error says who does not. */
int table_await(struct table *table, int64_t number, struct error *error);
/* The order that stands about the table's topics, if any; copied. */
int table_look(struct table *table, struct orders *orders, struct error *error);

/* Reads where the target stands, and the ends in Kafka. */
int table_measure(struct table *table, struct error *error);
/* The records that wait, and where the target is in none of them. */
int64_t table_backlog(const struct table *table);
/* Move stored offsets, all at once, from where they were measured to news[]. CLI_NEGATIVE: a writer
 * has moved one meanwhile. */
int table_move(struct table *table, const int64_t *news, struct error *error);

/* The topics, each with its partitions and what waits. */
json_t *table_topics_json(const struct table *table);
json_t *table_obeying_json(const struct table *table);
void table_print_topics(const struct table *table);
void table_print_obeying(const struct table *table);
/* An error, on standard error; `code` comes back. */
int table_failed(const struct table *table, int code, const struct error *error);

#define TABLE_WAIT_MS INT64_C(30000)

/* Rows that all of them have; `type`'s first member is a struct table_options named `table`. */
#define OPTIONS_TABLE(type)                                                                        \
    OPTION(type, table.config, "config", &argument_file, "ods-sink.conf", .letter = 'c',           \
           .flags = PARAMETER_REQUIRED),                                                           \
        OPTION(type, table.pipeline, "pipeline", &argument_pipeline,                               \
               "which one, when several read the table"),                                          \
        SWITCH(type, table.whole_topic, "whole-topic",                                             \
               "the table shares its topic with others, and all of them are meant"),               \
        OPTION(type, table.wait_ms, "wait", &argument_seconds,                                     \
               "how long the processes have until they obey (default: 30)", .min = 1,              \
               .max = 86400),                                                                      \
        SWITCH(type, table.json, "json", "for programs")
#define OPERAND_TABLE(type)                                                                        \
    OPERAND(type, table.name, "TABLE", &argument_table,                                            \
            "as the source or the target calls it (`orders`, `shop.orders`), or its topic",        \
            .flags = PARAMETER_REQUIRED)

#endif
