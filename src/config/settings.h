/* Typed settings: ods-sink.conf (how this daemon runs) and tables.yaml (what it moves).
 *
 * Filled by config_load() from the tables of settings in this room; everything else
 * reads these structs and knows neither libconfig nor libyaml. Strings are owned by the config,
 * terminated, already substituted, never NULL unless said. Immutable after loading; a reload makes
 * a new one.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/pipeline.h>
#include <ods/setting.h>
#include "core/log.h"

struct kafka_settings {
    const char *bootstrap_servers;
    const char
        *group_id; /* a pipeline's group is "<group_id>.<pipeline>" unless it names its own */
    const char *auto_offset_reset; /* earliest latest error */
    const char *on_offset_gone;     /* stop earliest latest */
    const char *on_topic_recreated; /* stop earliest ignore */
    int64_t retention_check_ms;     /* 0: never */
    struct properties properties;
};


struct target_settings {
    const char *name;
    const char *type;
    const void *own; /* the type's own settings, as its sink_ops says */
};

/* A database whose rows the pipelines move, for what looks at it: verify, the guard of its log. */
struct database_settings {
    const char *name;
    const char *type; /* mysql postgres */
    const char *dsn;  /* holds secrets */
    int64_t throttle;    /* rows a second that are read of it, 0: any number */
    int64_t busy_share;  /* percent of the time that it is read while changes stream */
    int64_t max_lag;     /* records; a pipeline that is further behind has reading wait. 0: none */
    int64_t check_every_ms; /* between two looks of the daemon at its log, 0: it does not look */
    const char *slot;    /* of the connector, "": the only logical one. postgres */
};

/* How a client of an AMQP broker says who it is. */
enum broker_sasl {
    BROKER_SASL_AUTO, /* the best that the broker offers and the settings allow */
    BROKER_SASL_ANONYMOUS,
    BROKER_SASL_PLAIN,
    BROKER_SASL_EXTERNAL, /* by the certificate */
    BROKER_SASL_SCRAM_256,
    BROKER_SASL_SCRAM_512,
};

struct broker_settings { /* of AMQP 1.0 */
    const char *name;
    struct strings urls; /* amqp://host:port or amqps://…, tried in turn */
    const char *user, *password;
    enum broker_sasl sasl;
    const char *ca, *certificate, *key; /* files; "": none */
    const char *virtual_host;           /* "": the host of the url */
    const char *container;              /* "": made from the pipeline's group */
    int64_t idle_timeout_ms, connect_timeout_ms;
};

struct batch_settings {
    int64_t max_events;
    int64_t max_bytes;
    int64_t max_wait_ms;
    int64_t per_lane; /* batches a lane owns */
};

struct dead_letter_settings {
    const char *topic;      /* "": none; without an address a bad record then stops its lane */
    const char *address;    /* of a broker, in place of the topic; "": none */
    const char *broker;     /* "": the only one there is */
    const char *table;      /* of a PostgreSQL target, in place of both; "": none */
    const char *target;     /* "": the only one of type postgres */
    int64_t max_per_minute; /* of a pipeline in this process, 0: any number */
    const char *public_key; /* file; "": letters are not encrypted */
};

struct retry_settings {
    int64_t initial_ms, max_ms;
    int64_t max_elapsed_ms; /* 0: for ever */
    int64_t constraint_attempts; /* of a batch with rows that a key of the target refuses */
};

struct operator_settings { /* who may act, and not only look */
    const char *name, *token;
};

struct http_settings {
    const char *listen;            /* "127.0.0.1:8090"; "": off */
    const char *certificate, *key; /* files; "": no TLS */
    const char *client_ca; /* file: who has a certificate of these needs no token; "": none */
    const char *token;             /* for all but health; "": nobody is asked */
    const char *health_listen;     /* health alone, without TLS; "": there is none */
    struct operator_settings *operators;
    size_t operator_count; /* 0: nobody may act */
};

struct tracing_settings { /* spans to an OpenTelemetry collector */
    const char *endpoint; /* "": there are none */
    const char *token, *ca, *certificate, *key, *service_name;
    int64_t queue, timeout_ms;
};

struct connect_settings { /* Kafka Connect's REST */
    const char *name;       /* of one of several clusters; NULL: it is the group `connect` */
    const char *url;        /* "": commands about connectors have nobody to ask */
    const char *user, *password;
    const char *ca, *certificate, *key; /* files; "": none */
    int64_t timeout_ms;
    int64_t check_every_ms; /* between two questions of the daemon, 0: it does not ask */
};

struct settings {
    const char *file; /* ods-sink.conf, as it was named; NULL: read from memory */
    struct kafka_settings kafka;
    struct target_settings *targets;
    size_t target_count;
    struct database_settings *databases;
    size_t database_count;
    struct broker_settings *brokers;
    size_t broker_count;
    int64_t lanes;
    struct batch_settings batch;
    struct dead_letter_settings dead_letter;
    struct retry_settings retry;
    struct log_settings log;
    struct http_settings http;
    struct tracing_settings tracing;
    struct connect_settings connect;
    struct connect_settings *connect_clusters; /* beside it */
    size_t connect_cluster_count;
    struct registry_settings registry; /* of pipelines that name none */
    int64_t shutdown_timeout_ms;
    const char *tables; /* path of tables.yaml, resolved against ods-sink.conf's folder */
    struct pipeline_settings *pipelines;
    size_t pipeline_count;
    struct derived_settings *derived;
    size_t derived_count;
};

const struct target_settings *settings_target(const struct settings *settings, const char *name);
const struct pipeline_settings *settings_pipeline(const struct settings *settings,
                                                  const char *name);
const struct database_settings *settings_database(const struct settings *settings,
                                                  const char *name);
/* "": the only one there is. NULL: there is none of that name. */
const struct broker_settings *settings_broker(const struct settings *settings, const char *name);
/* "": the only target of type postgres. NULL: there is none, or several to choose from. */
const struct target_settings *settings_postgres(const struct settings *settings, const char *name);
/* "": the group `connect`, whose url may be empty. NULL: there is no cluster of that name. */
const struct connect_settings *settings_connect(const struct settings *settings, const char *name);

#endif
