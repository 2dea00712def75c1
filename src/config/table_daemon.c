/* The rows of ods-sink.conf: the daemon, its targets, source databases, clusters and brokers. */
#include "config/table_room.h"

#include <ods/sink.h>

/* In the order of their enums in settings.h. */
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", "otel", NULL};
static const char *const resets[] = {"earliest", "latest", "error", NULL};
static const char *const gone_policies[] = {"stop", "earliest", "latest", NULL};
static const char *const recreated_policies[] = {"stop", "earliest", "ignore", NULL};

static const struct setting target_rows[] = {
    {"name", SETTING_STRING, AT(target_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "The name by which pipelines refer to it."},
    {"type", SETTING_STRING, AT(target_settings, type), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "The type of the target; each type has settings of its own, "
                                       "below."},
    {"type", SETTING_PLUGIN, AT(target_settings, own), .plugins = sink_groups},
};

const struct setting_group settings_of_target = {
    .title = "targets: one entry",
    .intro = "What each entry of the list `targets` may have, beside the settings of its type.",
    .size = sizeof(struct target_settings),
    SETTING_ROWS(target_rows),
};

static const char *const database_types[] = {"mysql", "postgres", NULL};

static const struct setting database_rows[] = {
    {"name", SETTING_STRING, AT(database_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "What pipelines call it (`database`)."},
    {"type", SETTING_CHOICE, AT(database_settings, type), .choices = database_types,
     .flags = SETTING_REQUIRED, .doc = "`mysql` is MariaDB too."},
    {"dsn", SETTING_STRING, AT(database_settings, dsn), .min = 1, .max = 65536,
     .flags = SETTING_REQUIRED | SETTING_SECRET,
     .doc = "A connection string as of a target, keywords (`host=… port=… dbname=… user=… "
            "password=…`) or URI (`mysql://user@host/name`); of MySQL also `sslmode`, "
            "`sslrootcert`, `sslcert`, `sslkey`, and a `host` that begins with `/` is its socket. "
            "Put the password into `${NAME}` or `${file:/path}`."},
    {"throttle", SETTING_INT, AT(database_settings, throttle), "0", .min = 0,
     .max = INT64_C(1000000000),
     .doc = "Rows that `verify` reads of it in a second, at most. 0: any number."},
    {"busy_share", SETTING_INT, AT(database_settings, busy_share), "5", .min = 1, .max = 100,
     .doc =
         "Percent of the time that `verify` reads of it while changes stream into the target "
         "(20 a second and more, of any pipeline), in small steps, so that they do not wait. 100: "
         "always at full speed."},
    {"max_lag", SETTING_INT, AT(database_settings, max_lag), "100000", .min = 0,
     .max = INT64_C(1000000000000),
     .doc = "`verify` pauses while its pipeline is more records behind. 0: it does not look."},
    {"slot", SETTING_STRING, AT(database_settings, slot), "", .max = 63,
     .inherits = "the only logical slot of the database",
     .doc = "The connector's replication slot, of type `postgres`: how far the connector is."},
    {"check_every", SETTING_DURATION, AT(database_settings, check_every_ms), "1m", .min = 100,
     .max = DAY_MS,
     .doc = "How often the daemon looks at its log: how much of it the connector has yet to read, "
            "and how long the log keeps the connector's place. In `/status` under `sources`, in "
            "the metrics `source_…` and in the log. `0`: never. See "
            "[source-guard.md](source-guard.md)."},
};

const struct setting_group settings_of_database = {
    .title = "databases: one entry",
    .intro = "What each group in the list `databases` may hold: a source database that `verify` "
             "reads, and at whose log the daemon looks, in read-only sessions.",
    .size = sizeof(struct database_settings),
    SETTING_ROWS(database_rows),
};

static const struct setting connect_rows[] = {
    {"name", SETTING_STRING, AT(connect_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED,
     .doc = "What pipelines (`connect`) and commands (`--cluster`) call it."},
    {"url", SETTING_STRING, AT(connect_settings, url), .min = 1, .max = 2048,
     .flags = SETTING_REQUIRED, .doc = "As `connect.url`; so are the others."},
    {"user", SETTING_STRING, AT(connect_settings, user), "", .max = 1000,
     .doc = "User for basic authentication. Empty: none."},
    {"password", SETTING_STRING, AT(connect_settings, password), "", .max = 10000,
     .doc = "Its password, best as `${NAME}` or `${file:/path}`. Never printed."},
    {"ca", SETTING_STRING, AT(connect_settings, ca), "", .inherits = "the system's authorities",
     .max = 4096, .doc = "File of the certificates (PEM) by which an `https://` server is known."},
    {"certificate", SETTING_STRING, AT(connect_settings, certificate), "", .max = 4096,
     .doc = "File of our own certificate (PEM), for a server that asks for one."},
    {"key", SETTING_STRING, AT(connect_settings, key), "", .max = 4096,
     .doc = "File of the key to `certificate` (PEM)."},
    {"timeout_ms", SETTING_MS, AT(connect_settings, timeout_ms), "60000", .min = 100,
     .max = 3600000, .doc = "How long one answer may take."},
    {"check_every", SETTING_DURATION, AT(connect_settings, check_every_ms), "1m", .min = 100,
     .max = DAY_MS, .doc = "As `connect.check_every`."},
};

const struct setting_group settings_of_connect = {
    .title = "connect_clusters: one entry",
    .intro = "What each group in the list `connect_clusters` may hold: a cluster of Kafka Connect "
             "beside that of the group `connect`.",
    .size = sizeof(struct connect_settings),
    SETTING_ROWS(connect_rows),
};

/* In the order of enum broker_sasl. */
static const char *const sasls[] = {"auto",     "anonymous",     "plain",
                                    "external", "scram-sha-256", "scram-sha-512", NULL};

static const struct setting broker_rows[] = {
    {"name", SETTING_STRING, AT(broker_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "What pipelines call it (`input.broker`)."},
    {"urls", SETTING_STRINGS, AT(broker_settings, urls), .max = 100, .flags = SETTING_REQUIRED,
     .doc =
         "Its servers, `amqp://host:port` or, with TLS, `amqps://host:port` (5672 and 5671 where "
         "no port is named). They are tried in turn, so a server that takes over from another "
         "one stands behind it. User and password have settings of their own."},
    {"user", SETTING_STRING, AT(broker_settings, user), "", .max = 1000,
     .doc = "Who signs in. Empty: nobody, or the owner of `certificate`."},
    {"password", SETTING_STRING, AT(broker_settings, password), "", .max = 10000,
     .doc = "The user's password, best as `${NAME}` or `${file:/path}`. Never printed."},
    {"sasl", SETTING_ENUM, AT(broker_settings, sasl), "auto", .choices = sasls,
     .doc =
         "How to sign in. `auto`: with a user by `scram-sha-512`, `scram-sha-256` or `plain`, the "
         "first of them that the broker offers; with a certificate alone by `external`; else "
         "`anonymous`. `plain` sends the password, so use it with `amqps://`."},
    {"ca", SETTING_STRING, AT(broker_settings, ca), "", .inherits = "the system's authorities",
     .max = 4096,
     .doc =
         "File of the certificates (PEM) by which an `amqps://` server is known. Its certificate "
         "must bear the host's name."},
    {"certificate", SETTING_STRING, AT(broker_settings, certificate), "", .max = 4096,
     .doc = "File of our own certificate (PEM), for a server that asks for one."},
    {"key", SETTING_STRING, AT(broker_settings, key), "", .max = 4096,
     .doc = "File of the key to `certificate` (PEM)."},
    {"virtual_host", SETTING_STRING, AT(broker_settings, virtual_host), "",
     .inherits = "the host of the url", .max = 255,
     .doc = "The host that the connection is opened for, where a broker has several: "
            "`vhost:NAME` for RabbitMQ."},
    {"container", SETTING_STRING, AT(broker_settings, container), "",
     .inherits = "the pipeline's `group_id`", .max = 255,
     .doc = "The container-id, by which the broker knows us; together with `input.subscription` it "
            "names a subscription that outlives the connection. A lane behind the first one adds "
            "its number."},
    {"idle_timeout_ms", SETTING_MS, AT(broker_settings, idle_timeout_ms), "30000", .min = 500,
     .max = 3600000,
     .doc =
         "A server of which nothing has been heard for so long is taken for dead: it is asked to "
         "send a heartbeat twice as often. Its own wish for heartbeats is always met."},
    {"connect_timeout_ms", SETTING_MS, AT(broker_settings, connect_timeout_ms), "10000", .min = 100,
     .max = 600000,
     .doc = "How long a server may take until it has accepted the connection, before the next one "
            "is tried."},
};

const struct setting_group settings_of_broker = {
    .title = "amqp: one entry",
    .intro = "What each group in the list `amqp` may hold: a broker that speaks AMQP 1.0. See "
             "[amqp.md](amqp.md).",
    .size = sizeof(struct broker_settings),
    SETTING_ROWS(broker_rows),
};

static const struct setting operator_rows[] = {
    {"name", SETTING_STRING, AT(operator_settings, name), .min = 1, .max = 100,
     .flags = SETTING_REQUIRED, .doc = "What the audit calls them (`ods_sink.audit`)."},
    {"token", SETTING_STRING, AT(operator_settings, token), .min = 16, .max = 1024,
     .flags = SETTING_REQUIRED,
     .doc = "What they bring, 16 characters at least: `Authorization: Bearer TOKEN`. Best as "
            "`${file:/path}`. Never printed."},
};

const struct setting_group settings_of_operator = {
    .title = "http.operators: one entry",
    .intro = "What each group in the list `http.operators` may hold: somebody who may pause and "
             "resume tables, replay letters and begin a comparison, from the [page](page.md) or by "
             "[HTTP](http.md#actions).",
    .size = sizeof(struct operator_settings),
    SETTING_ROWS(operator_rows),
};

static const struct setting daemon_rows[] = {
    {"kafka.bootstrap_servers", SETTING_STRING, AT(settings, kafka.bootstrap_servers),
     "localhost:9092", .min = 1, .max = 65536,
     .doc = "The brokers to connect to first, `host:port`, separated by commas."},
    {"kafka.group_id", SETTING_STRING, AT(settings, kafka.group_id), "ods-sink",
     .min = 1, .max = 200,
     .doc = "Prefix of the pipelines' consumer groups. The target stores offsets by group, so with "
            "another name everything is read again."},
    {"kafka.auto_offset_reset", SETTING_CHOICE, AT(settings, kafka.auto_offset_reset),
     "earliest", .choices = resets,
     .doc = "Where a partition starts if neither the target nor the group has an offset for it. If "
            "only the group has one, another program's is where it goes on, and one of ods-sink's "
            "own is not: the target has lost what it had, so it begins again where it first began "
            "(Kafka keeps that beside the offset)."},
    {"kafka.on_offset_gone", SETTING_CHOICE, AT(settings, kafka.on_offset_gone),
     "stop", .choices = gone_policies,
     .doc = "What to do if Kafka has no record at the next offset: retention has deleted records "
            "that were not applied yet, or the topic was recreated and is shorter. `stop`: the "
            "daemon ends with an error that says how to go on (`ods-sink reset`). `earliest`: it "
            "continues at the oldest record; `latest`: after the newest. Both are logged as errors "
            "and counted in `offset_gaps_total`."},
    {"kafka.on_topic_recreated", SETTING_CHOICE,
     AT(settings, kafka.on_topic_recreated), "stop", .choices = recreated_policies,
     .doc = "What to do if a record below the stored offset is more than a minute younger than the "
            "time at which that offset was stored: the topic has been deleted and recreated since, "
            "so the offset does not belong to its records. Or if the offset is another Kafka "
            "cluster's, by its id, where the target keeps that (PostgreSQL). `stop`, `earliest`: "
            "as in `on_offset_gone`. `ignore`: this is not checked (if the producers' clocks are "
            "wrong, or the cluster has the same offsets under another id)."},
    {"kafka.retention_check_ms", SETTING_MS, AT(settings, kafka.retention_check_ms), "60000",
     .min = 0, .max = 3600000,
     .doc = "How often the daemon looks, while records wait, whether Kafka's retention is about to "
            "take them before they are applied: in `/status` under `retention`, in the metrics "
            "`partition_retention_left_seconds` and `partition_records_lost`, and, when less than "
            "a tenth of the retention is left, in the log. 0: never."},
    {"kafka.properties", SETTING_PROPERTIES, AT(settings, kafka.properties),
     .doc = "Any librdkafka property, as `\"security.protocol\" = \"SASL_SSL\"`. Those that the "
            "daemon sets itself are refused: bootstrap.servers, group.id, auto.offset.reset, "
            "enable.auto.commit, enable.auto.offset.store, enable.partition.eof, "
            "partition.assignment.strategy. A `group.instance.id` (static membership: a restart "
            "within session.timeout.ms moves no partition) must differ from process to process; "
            "each lane adds pipeline and number to it."},
    {"targets", SETTING_OBJECTS, AT(settings, targets), .max = 1000,
     .flags = SETTING_REQUIRED, .count_offset = AT(settings, target_count),
     .of = &settings_of_target,
     .doc = "What pipelines write to: databases, lakes, topics, files, HTTP servers."},
    {"databases", SETTING_OBJECTS, AT(settings, databases), .max = 1000,
     .count_offset = AT(settings, database_count), .of = &settings_of_database,
     .doc = "The source databases, for `verify` and for a look at their logs."},
    {"amqp", SETTING_OBJECTS, AT(settings, brokers), .max = 1000,
     .count_offset = AT(settings, broker_count), .of = &settings_of_broker,
     .doc = "The AMQP 1.0 brokers whose queues pipelines read."},
    {"lanes", SETTING_INT, AT(settings, lanes), "2", .min = 1, .max = 64,
     .doc = "The number of lanes of each pipeline. A lane is a member of the consumer group and "
            "has one connection to the target. Lanes beyond the number of partitions are idle."},
    {"batch.max_events", SETTING_INT, AT(settings, batch.max_events), "10000",
     .min = 1, .max = 1000000, .flags = SETTING_RELOAD,
     .doc = "A batch is handed to the writer when it has this many records."},
    {"batch.max_bytes", SETTING_BYTES, AT(settings, batch.max_bytes), "8388608",
     .min = 64 * KIB, .max = KIB * KIB * KIB, .flags = SETTING_RELOAD,
     .doc = "A batch is handed to the writer when its records and rows take this much memory."},
    {"batch.max_wait_ms", SETTING_MS, AT(settings, batch.max_wait_ms), "100",
     .min = 0, .max = 60000, .flags = SETTING_RELOAD,
     .doc = "The longest time that a record waits for others. An idle writer gets a batch at "
            "once."},
    {"batch.per_lane", SETTING_INT, AT(settings, batch.per_lane), "2", .min = 2,
     .max = 16, .doc = "The number of batches that a lane owns: one is filled while another is "
                       "written."},
    {"dead_letter.topic", SETTING_STRING, AT(settings, dead_letter.topic), "",
     .max = 249,
     .doc = "The topic for records that can't be decoded or applied. Empty, and without "
            "`dead_letter.address` and `dead_letter.table`: such a record stops its lane."},
    {"dead_letter.address", SETTING_STRING, AT(settings, dead_letter.address), "", .max = 2048,
     .doc = "In place of the topic, an address of an AMQP broker: each letter is a durable message "
            "with the record's value as its body, its headers and what else is said of it as "
            "application properties, and its key as the property `ods.key`. `ods-sink dlq` reads "
            "topics and tables only."},
    {"dead_letter.broker", SETTING_STRING, AT(settings, dead_letter.broker), "",
     .inherits = "the only broker that is configured", .max = 200,
     .doc = "Name of a broker in the list `amqp`: the one of `dead_letter.address`."},
    {"dead_letter.table", SETTING_STRING, AT(settings, dead_letter.table), "", .max = 130,
     .doc = "In place of both, a table of a PostgreSQL target, `table` (in the target's own "
            "`schema`) or `schema.table`, which is made when it is missing: each letter is a "
            "row, committed to the server's disk before the record's offset moves or its message "
            "is settled. `ods-sink dlq` reads it. Rows are yours to delete. It is made by the "
            "target's role, which needs the right to create it."},
    {"dead_letter.target", SETTING_STRING, AT(settings, dead_letter.target), "",
     .inherits = "the only target of type postgres", .max = 200,
     .doc = "Name of a target of type `postgres`: the one of `dead_letter.table`."},
    {"dead_letter.max_per_minute", SETTING_INT,
     AT(settings, dead_letter.max_per_minute), "0", .min = 0, .max = 1000000000,
     .doc = "A limit for safety: a pipeline that would write more dead letters than this within a "
            "minute stops instead, and so does the daemon, so that a mistake in the configuration "
            "or the target does not turn a whole topic into dead letters. 0: no limit."},
    {"dead_letter.encrypt.public_key", SETTING_STRING, AT(settings, dead_letter.public_key), "",
     .max = 4096,
     .doc = "A file with the public key, X25519 or RSA, for which each dead letter's record is "
            "encrypted: `ods-sink dlq show --key PRIVATE.pem` opens it. See docs/privacy.md. "
            "Empty: the letter has key and value of the record as they are."},
    {"retry.initial_ms", SETTING_MS, AT(settings, retry.initial_ms), "100", .min = 1,
     .max = 60000, .flags = SETTING_RELOAD,
     .doc = "The first pause when Kafka or a target is not available; each further pause is twice "
            "as long."},
    {"retry.max_ms", SETTING_MS, AT(settings, retry.max_ms), "5000", .min = 1,
     .max = 3600000, .flags = SETTING_RELOAD, .doc = "The longest pause between two tries."},
    {"retry.max_elapsed_ms", SETTING_MS, AT(settings, retry.max_elapsed_ms), "0",
     .min = 0, .max = 365 * DAY_MS, .flags = SETTING_RELOAD,
     .doc = "Exit after an outage of this length. 0: wait for ever."},
    {"retry.constraint_attempts", SETTING_INT,
     AT(settings, retry.constraint_attempts), "5", .min = 0, .max = 1000, .flags = SETTING_RELOAD,
     .doc = "How often, with these pauses, a row is tried again that a unique or foreign key of "
            "the target refuses, before it becomes a dead letter: another lane may be about to "
            "write the row that it needs. The number is for the whole batch, not for each row. If "
            "waiting did not help, the next batch waits half as often; if it helped, the full "
            "number applies again. 0: never."},
    {"http.listen", SETTING_STRING, AT(settings, http.listen), "127.0.0.1:8090",
     .max = 255,
     .doc = "Address of the [page](page.md) `/`, and of `/metrics`, `/healthz`, `/readyz`, "
            "`/status`, `/trends` and `/configuration`, `host:port` or `[address]:port`. Empty: "
            "off."},
    {"http.certificate", SETTING_STRING, AT(settings, http.certificate), "", .max = 4096,
     .doc = "A file with the server's certificate and those between it and its authority (PEM): "
            "then there is TLS alone at `http.listen`. Empty: plain HTTP."},
    {"http.key", SETTING_STRING, AT(settings, http.key), "", .max = 4096,
     .doc = "The file of the key to `http.certificate` (PEM, not encrypted)."},
    {"http.client_ca", SETTING_STRING, AT(settings, http.client_ca), "", .max = 4096,
     .doc = "A file with the certificates (PEM) of authorities that vouch for clients: who asks "
            "for anything but `/healthz` and `/readyz` has to show a certificate of theirs, or to "
            "bring `http.token`, where that is set. Needs `http.certificate`. Empty: no "
            "certificate is asked for. See [http.md](http.md#certificates-of-clients)."},
    {"http.token", SETTING_STRING, AT(settings, http.token), "", .max = 1024,
     .doc = "Who asks for anything but `/healthz` and `/readyz` has to bring it: `Authorization: "
            "Bearer TOKEN`, or, as browsers do, as the password of any user. Best as `${NAME}` or "
            "`${file:/path}`. Never printed. Without it `/readyz` says which lane is not ready and "
            "why, but not in the target's or Kafka's own words. Empty: nobody is asked. See "
            "[http.md](http.md)."},
    {"http.health_listen", SETTING_STRING, AT(settings, http.health_listen), "", .max = 255,
     .doc = "One more address, plain HTTP, with `/healthz` and `/readyz` alone: for probes that "
            "know neither certificate nor token. Empty: none."},
    {"http.operators", SETTING_OBJECTS, AT(settings, http.operators), .max = 100,
     .count_offset = AT(settings, http.operator_count), .of = &settings_of_operator,
     .doc = "Who may do something from the page, or by `POST /actions/…`. None: the daemon only "
            "shows. See [http.md](http.md#actions)."},
    {"tracing.endpoint", SETTING_STRING, AT(settings, tracing.endpoint), "", .max = 2048,
     .doc = "An OpenTelemetry collector that takes OTLP over HTTP, `http://host:4318` or "
            "`https://…`; without a path its `/v1/traces`. It is sent the spans of records whose "
            "header `traceparent` says that they are sampled. Empty: no spans. See "
            "[tracing.md](tracing.md)."},
    {"tracing.token", SETTING_STRING, AT(settings, tracing.token), "", .max = 10000,
     .doc = "`Authorization: Bearer TOKEN` for it, best as `${NAME}` or `${file:/path}`. Never "
            "printed. Empty: none."},
    {"tracing.ca", SETTING_STRING, AT(settings, tracing.ca), "",
     .inherits = "the system's authorities", .max = 4096,
     .doc = "File of the certificates (PEM) by which an `https://` collector is known."},
    {"tracing.certificate", SETTING_STRING, AT(settings, tracing.certificate), "", .max = 4096,
     .doc = "File of our own certificate (PEM), for a collector that asks for one."},
    {"tracing.key", SETTING_STRING, AT(settings, tracing.key), "", .max = 4096,
     .doc = "File of the key to `tracing.certificate` (PEM)."},
    {"tracing.service_name", SETTING_STRING, AT(settings, tracing.service_name), "ods-sink",
     .min = 1, .max = 200, .doc = "The attribute `service.name` of the spans."},
    {"tracing.queue", SETTING_INT, AT(settings, tracing.queue), "2048", .min = 16, .max = 1000000,
     .doc = "How many records' spans wait for the collector at most, at about 450 bytes each, and "
            "how many of a batch have any. Those of others are dropped and counted; no lane "
            "waits."},
    {"tracing.timeout_ms", SETTING_MS, AT(settings, tracing.timeout_ms), "10000", .min = 100,
     .max = 600000, .doc = "How long one answer of the collector may take."},
    {"connect.url", SETTING_STRING, AT(settings, connect.url), "", .max = 2048,
     .doc = "Kafka Connect's REST, `http://host:port` or `https://…`, for the commands "
            "`connectors`, `setup` and `reset --all`; the daemon asks it where MySQL's connectors "
            "stand ([source-guard.md](source-guard.md)). Several workers of one cluster are "
            "separated by commas: the first that answers is asked."},
    {"connect.user", SETTING_STRING, AT(settings, connect.user), "", .max = 1000,
     .doc = "User for basic authentication. Empty: none."},
    {"connect.password", SETTING_STRING, AT(settings, connect.password), "", .max = 10000,
     .doc = "Its password, best as `${NAME}` or `${file:/path}`. Never printed."},
    {"connect.ca", SETTING_STRING, AT(settings, connect.ca), "",
     .inherits = "the system's authorities", .max = 4096,
     .doc = "File of the certificates (PEM) by which an `https://` server is known. Its host name "
            "is checked too."},
    {"connect.certificate", SETTING_STRING, AT(settings, connect.certificate), "", .max = 4096,
     .doc = "File of our own certificate (PEM), for a server that asks for one."},
    {"connect.key", SETTING_STRING, AT(settings, connect.key), "", .max = 4096,
     .doc = "File of the key to `connect.certificate` (PEM)."},
    {"connect.timeout_ms", SETTING_MS, AT(settings, connect.timeout_ms), "60000", .min = 100,
     .max = 3600000,
     .doc = "How long one answer may take. To check a configuration Connect asks the source "
            "database, which may take long."},
    {"connect.check_every", SETTING_DURATION, AT(settings, connect.check_every_ms), "1m",
     .min = 100, .max = DAY_MS,
     .doc = "How often the daemon asks how the connectors and their tasks are, for the page, "
            "`/status`, the metrics `connector_…` and the log. `0`: never."},
    {"connect_clusters", SETTING_OBJECTS, AT(settings, connect_clusters), .max = 1000,
     .count_offset = AT(settings, connect_cluster_count), .of = &settings_of_connect,
     .doc = "More clusters of Kafka Connect, for the same commands."},
#define REGISTRY_INHERITS .inherits = NULL
    REGISTRY_ROWS(settings),
#undef REGISTRY_INHERITS
    {"log.level", SETTING_ENUM, AT(settings, log.level), "info",
     .choices = log_levels, .flags = SETTING_RELOAD, .doc = "The lowest level that is logged."},
    {"log.format", SETTING_ENUM, AT(settings, log.format), "text",
     .choices = log_formats, .flags = SETTING_RELOAD,
     .doc = "Each event is one line on standard error: `text` for people, a JSON object, or one "
            "with the names of OpenTelemetry's data model. As `text` it goes to systemd's journal "
            "with its fields. See [logs.md](logs.md)."},
    {"shutdown_timeout_ms", SETTING_MS, AT(settings, shutdown_timeout_ms), "10000",
     .min = 0, .max = 3600000, .flags = SETTING_RELOAD,
     .doc = "How long the daemon waits for batches in progress when it stops. What is not finished "
            "by then is rolled back, and read again at the next start."},
    {"tables", SETTING_STRING, AT(settings, tables), "tables.yaml", .min = 1,
     .max = 4096, .doc = "The path of tables.yaml; a relative path starts at this file's folder."},
};

const struct setting_group settings_of_daemon = {
    .title = "ods-sink.conf: how the daemon runs",
    .intro = "Written as [libconfig](https://hyperrealm.github.io/libconfig/) is, with "
                      "two additions: a name may stand in quotes, as librdkafka's dotted names "
                      "must, and `@include \"file\"` is relative to the including file.",
    .size = sizeof(struct settings),
    SETTING_ROWS(daemon_rows),
};
