/* Traces of Kafka Connect's tasks: Java's, innermost cause last. */
#include "cli/connector_cause.h"

#include <string.h>
#include <strings.h>

#define LINE_BYTES 1000

/* The innermost cause's text; its end goes to *end. */
static const char *innermost(const char *trace, const char **end)
{
    static const char mark[] = "\nCaused by: ";
    const char *found = trace;
    for (const char *at = trace; (at = strstr(at, mark)); at += sizeof mark - 1)
        found = at + sizeof mark - 1;
    const char *frames = strstr(found, "\n\tat "), *more = strstr(found, "\n\t... ");
    *end = frames ? frames : more ? more : found + strlen(found);
    return found;
}

/* java.net.ConnectException: is ConnectException: the packages say nothing to who reads it. */
static const char *without_package(const char *text, const char *end)
{
    const char *short_name = text;
    for (const char *at = text; at < end && *at != ':' && *at != ' ' && *at != '\n'; at++)
        if (*at == '.' || *at == '$')
            short_name = at + 1;
    return short_name;
}

static size_t secret_length(const char *value, const char *end)
{
    size_t length = 0;
    while (value + length < end && !strchr(" &;,'\")\n\t", value[length]))
        length++;
    return length;
}

/* What follows password= and its like, up to the next space or separator, is not shown. */
static const char *put_secret(struct buffer *line, const char *at, const char *end)
{
    static const char *const words[] = {"password=", "passwd=", "pwd=", "secret=", "token="};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t length = strlen(words[i]);
        if ((size_t) (end - at) < length || strncasecmp(at, words[i], length) != 0)
            continue;
        buffer_add(line, at, length);
        buffer_puts(line, "***");
        return at + length + secret_length(at + length, end);
    }
    return NULL;
}

void connector_cause(const char *trace, struct buffer *line)
{
    const char *end, *at = innermost(trace, &end);
    at = without_package(at, end);
    while (at < end && line->length < LINE_BYTES) {
        const char *behind = put_secret(line, at, end);
        if (behind) {
            at = behind;
            continue;
        }
        bool blank = (unsigned char) *at <= ' ';
        if (!blank || (line->length && line->bytes[line->length - 1] != ' '))
            buffer_add(line, blank ? " " : at, 1);
        at++;
    }
    while (line->length && line->bytes[line->length - 1] == ' ')
        line->length--;
}

/* The first whose text stands in the trace counts: the more particular ones come first. The words
 * are those of MySQL's and PostgreSQL's servers and drivers, Debezium 2 and 3, Kafka 2 to 4. */
static const struct {
    const char *words;
    struct known_cause cause;
} known[] = {
    {"Could not find first log file name in binary log index",
     {"The binlog file at which the connector stood is gone: MySQL has purged it.",
      "Changes were lost. Take a new snapshot (delete the connector with --offsets and apply it "
      "again), and keep binlogs longer: binlog_expire_logs_seconds."}},
    {"purged required binary logs",
     {"The transactions after the connector's position are gone: MySQL has purged their binlogs.",
      "Changes were lost. Take a new snapshot (delete the connector with --offsets and apply it "
      "again), and keep binlogs longer: binlog_expire_logs_seconds."}},
    {"no longer available on the server",
     {"The position at which the connector stood is no longer in the source's log.",
      "Changes were lost. Take a new snapshot: delete the connector with --offsets and apply it "
      "again."}},
    {"impossible position",
     {"The binlog is shorter than the connector's position: the server was restored, or "
      "replaced.",
      "Take a new snapshot: delete the connector with --offsets and apply it again."}},
    {"history topic or its content is fully or partially missing",
     {"The connector's schema history is not what its offsets need: the topic was deleted, or "
      "retention took its records.",
      "Apply it once with snapshot.mode=recovery if no table was altered since, else take a new "
      "snapshot; then set the topic's retention.ms and retention.bytes to -1."}},
    {"history topic is missing",
     {"The connector's schema history topic is gone.",
      "Apply it once with snapshot.mode=recovery if no table was altered since, else take a new "
      "snapshot."}},
    {"schema isn't known to this connector",
     {"A change came for a table whose columns the connector has never seen: it was added to the "
      "list of tables, or its history is incomplete.",
      "Apply it once with snapshot.mode=recovery, and send an incremental snapshot for the "
      "table."}},
    {"internal schema representation is probably out of sync",
     {"The connector believes the table to have other columns than it has: a DDL statement was not "
      "seen (sql_log_bin=0, a history that is incomplete).",
      "Apply it once with snapshot.mode=recovery, which reads the tables' columns anew."}},
    {"same server_uuid/server_id",
     {"Another client of MySQL's replication has this server id.",
      "Give each connector a database.server.id of its own."}},
    {"not configured to use a ROW binlog_format",
     {"MySQL's binlog does not hold rows.", "Set binlog_format=ROW at the source."}},
    {"binlog_row_image",
     {"MySQL's binlog does not hold whole rows.", "Set binlog_row_image=FULL at the source."}},
    {"Public Key Retrieval is not allowed",
     {"MySQL's default authentication wants TLS or the server's public key.",
      "Set database.ssl.mode=required, or driver.allowPublicKeyRetrieval=true."}},
    {"REPLICATION SLAVE",
     {"The connector's user may not read the binlog.",
      "grant select, reload, show databases, replication slave, replication client on *.* to the "
      "user."}},
    {"RELOAD",
     {"The connector's user may not take the lock of a snapshot.",
      "grant reload (or flush_tables, lock tables) on *.* to the user, or "
      "snapshot.locking.mode=none."}},
    {"Access denied for user",
     {"MySQL refuses the user: the password is wrong, or the user may not connect from this host "
      "or to this database.",
      "Try database.user and database.password from the worker's machine."}},
    {"password authentication failed",
     {"PostgreSQL refuses the user's password.", "Correct database.user and database.password."}},
    {"no pg_hba.conf entry",
     {"PostgreSQL does not let this user in from the worker's machine.",
      "Add a line for it to pg_hba.conf and reload the server."}},
    {"wal_level",
     {"PostgreSQL writes no logical WAL.", "Set wal_level=logical at the source and restart it."}},
    {"can no longer get changes from replication slot",
     {"The replication slot has lost WAL that it needs: it grew beyond max_slot_wal_keep_size.",
      "Changes were lost. Drop the slot and take a new snapshot (delete the connector with "
      "--offsets and apply it again)."}},
    {"has already been removed",
     {"WAL that the connector needs is gone.",
      "Changes were lost. Drop the slot and take a new snapshot (delete the connector with "
      "--offsets and apply it again)."}},
    {"all replication slots are in use",
     {"PostgreSQL has no free replication slot.",
      "Drop slots that nobody reads (pg_replication_slots), or raise max_replication_slots."}},
    {"is active for PID",
     {"Somebody else reads the replication slot: another connector with this slot.name, or an old "
      "session of this one.",
      "Give each connector a slot.name of its own; an old session ends after wal_sender_timeout."}},
    {"must be superuser or replication role",
     {"The connector's user may not replicate.", "alter role … replication."}},
    {"permission denied to start WAL sender",
     {"The connector's user may not replicate.", "alter role … replication."}},
    {"permission denied to create publication",
     {"The connector's user may not create its publication.",
      "Create the publication as the tables' owner, set publication.name and "
      "publication.autocreate.mode=disabled."}},
    {"permission denied for",
     {"The connector's user may not read what it captures.",
      "grant usage on the schema and select on the tables to the user."}},
    {"replication slot",
     {"PostgreSQL does not take the connector's replication slot.",
      "Look at pg_replication_slots at the source, and at slot.name and plugin.name."}},
    {"Publication autocreation is disabled",
     {"The publication that the connector is to read is not there, and it may not make one.",
      "Create it at the source for the tables that are captured (publication.name), or let "
      "publication.autocreate.mode be filtered; then restart."}},
    {"publication",
     {"The publication is not there, or not this user's.",
      "Create it at the source for the tables that are captured, or let "
      "publication.autocreate.mode be filtered."}},
    {"\"this.gtidSet\" is null",
     {"MySQL has not committed any transaction with a GTID yet, and the connector can't begin at "
      "an empty set.",
      "Commit something at the source, as create table; then delete the connector with --offsets "
      "and apply it again."}},
    {"schemas.enable",
     {"The records are not what the converter expects: JSON without schema, where it wants one.",
      "Make the converters those with which the topic was written."}},
    {"RecordTooLargeException",
     {"A record is larger than Kafka takes.",
      "Raise producer.override.max.request.size in the connector and max.message.bytes of the "
      "topic; the worker must allow overrides (connector.client.config.override.policy=All)."}},
    {"TopicAuthorizationException",
     {"Kafka does not let the worker's user to a topic.",
      "Grant it READ, WRITE, DESCRIBE and CREATE on the connector's topics."}},
    {"ClusterAuthorizationException",
     {"Kafka does not let the worker's user do that.",
      "Grant it CREATE and IDEMPOTENT_WRITE on the cluster, or make the topics beforehand."}},
    {"GroupAuthorizationException",
     {"Kafka does not let the worker's user into a consumer group.",
      "Grant it READ on the groups connect-* and <name>-schemahistory."}},
    {"UnknownTopicOrPartitionException",
     {"A topic is not there, and nobody may make it.",
      "Make the topic, or let the worker make it: topic.creation.default.partitions and "
      ".replication.factor."}},
    {"InvalidReplicationFactorException",
     {"A topic is to have more replicas than there are brokers.",
      "Lower topic.creation.default.replication.factor."}},
    {"Failed to update metadata",
     {"The worker does not reach Kafka as it is told to, often the schema history's brokers.",
      "Check schema.history.internal.kafka.bootstrap.servers and its security settings."}},
    {"Timeout expired while fetching topic metadata",
     {"The worker does not reach Kafka as it is told to, often the schema history's brokers.",
      "Check schema.history.internal.kafka.bootstrap.servers and its security settings."}},
    {"No resolvable bootstrap urls",
     {"The names of the brokers are not known on the worker's machine.",
      "Check schema.history.internal.kafka.bootstrap.servers."}},
    {"OutOfMemoryError",
     {"The worker's heap is full.",
      "Give it more (KAFKA_HEAP_OPTS), or less to keep: max.queue.size, max.queue.size.in.bytes, "
      "max.batch.size."}},
    {"PKIX path building failed",
     {"The server's certificate is of an authority that the worker does not know.",
      "Give it the authority: database.ssl.truststore, or sslrootcert."}},
    {"SSLHandshakeException",
     {"TLS is wanted by one side alone, or the certificates do not fit.",
      "Check database.ssl.mode (MySQL), database.sslmode (PostgreSQL) and the trust store."}},
    {"UnknownHostException",
     {"The host's name is not known on the worker's machine.", "Check database.hostname."}},
    {"ClassNotFoundException",
     {"A class is missing on the worker: a converter, a transform, a driver.",
      "Put its jar below plugin.path on every worker and restart them."}},
    {"Connection refused",
     {"Nobody listens there: the database is down, or host or port is wrong.",
      "Start it, or correct database.hostname and database.port; then restart the connector."}},
    {"Communications link failure",
     {"The database does not answer: it is down, behind a firewall, or wants TLS.",
      "Start it, or correct database.hostname and database.port; then restart the connector."}},
    {"The connection attempt failed",
     {"The database does not answer: it is down, or host or port is wrong.",
      "Start it, or correct database.hostname and database.port; then restart the connector."}},
    {"SocketTimeoutException",
     {"The database did not answer in time.", "Look at its load and the network; then restart."}},
    {"EOFException",
     {"The database closed the connection: it was restarted, or ended the session.",
      "Restart the connector; it goes on where it stood."}},
    {"This connection has been closed",
     {"The database closed the connection: it was restarted, or ended the session.",
      "Restart the connector; it goes on where it stood."}},
    {"executing incremental snapshot",
     {"A query of a snapshot that was asked for failed: where it was asked by Kafka, often since "
      "a change came at that moment, which Debezium reads on the same connection.",
      "Restart the connector and ask once more; ods-sink verify --repair and resync --snapshot do "
      "both by themselves."}},
    {"is missing and auto-creation is disabled",
     {"A JDBC sink's table is not there.", "Make it, or set auto.create=true."}},
};

const struct known_cause *connector_known_cause(const char *trace)
{
    const char *end, *cause = innermost(trace, &end);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (memmem(cause, (size_t) (end - cause), known[i].words, strlen(known[i].words)))
            return &known[i].cause;
    /* What the innermost does not say an outer one may. */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strstr(trace, known[i].words))
            return &known[i].cause;
    return NULL;
}
