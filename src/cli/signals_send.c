/* Sending signals, and hearing what becomes of them. See signals.h.
 *
 * A connector works one incremental snapshot after the other, and reports them in its topic of
 * notifications, if it has one: of each that it began, and COMPLETED when none is left. Their
 * order is that of their times, as they are in several partitions.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/signals.h"
#include "core/time.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_producer.h"
#include "source/kafka/kafka_tool.h"

#define KAFKA_ROOM  32768 /* the connector keeps it with its offsets while the snapshot lasts */
#define TABLE_ROOM  1500  /* the column is varchar(2048) in Debezium's documentation */
#define SEND_US     INT64_C(30000000)
#define PAUSE_US    200000

size_t signals_room(const struct signals *signals)
{
    return signals->connector.way == SIGNAL_KAFKA ? KAFKA_ROOM : TABLE_ROOM;
}

/* --- sending -------------------------------------------------------------------------------- */

static void take_answer(void *context, void *what, struct kafka_answer answer)
{
    (void) context;
    *(struct kafka_answer *) what = answer;
}

static int send_by_kafka(struct signals *signals, const char *text, struct error *error)
{
    const struct signalled *connector = &signals->connector;
    const struct kafka_producer_config config = {.settings = signals->settings,
                                                 .client_id = "ods-sink-signals",
                                                 .answered = take_answer};
    const struct record record = {.key = connector->prefix,
                                  .key_length = strlen(connector->prefix),
                                  .value = text,
                                  .value_length = strlen(text)};
    if (!signals->producer &&
        kafka_producer_open(&signals->producer, &config, error) != ODS_OK)
        return CLI_CONFIG;
    int64_t until = time_monotonic_us() + SEND_US;
    struct kafka_header_list *headers = kafka_header_list_new();
    struct kafka_answer answer = {.fault = KAFKA_FAILED, .text = "no answer came"}, sent;
    sent = kafka_producer_send(signals->producer, connector->topic, &record, headers, &answer);
    if (sent.fault != KAFKA_WRITTEN) {
        kafka_header_list_free(headers);
        answer = sent;
    }
    while (sent.fault == KAFKA_WRITTEN && kafka_producer_pending(signals->producer) &&
           time_monotonic_us() < until)
        kafka_producer_wait(signals->producer, 100);
    bool pending = kafka_producer_pending(signals->producer) > 0;
    if (pending || answer.fault != KAFKA_WRITTEN) { /* an answer may not come to what is gone */
        error_set(error, ODS_RETRY, "Kafka topic %s: the signal can't be written: %s",
                  connector->topic, answer.text ? answer.text : "");
        kafka_producer_close(signals->producer);
        signals->producer = NULL;
        return CLI_SOURCE;
    }
    return CLI_OK;
}

static int send_by_table(struct signals *signals, const json_t *signal, struct error *error)
{
    const struct signalled *connector = &signals->connector;
    char *data = json_dumps(json_object_get(signal, "data"), JSON_COMPACT);
    const char *const values[] = {signals->id, json_text(signal, "type"), data ? data : ""};
    enum ods_status status = data ? signals->database->ops->signal(
                                        signals->database, connector->table, values, error)
                                  : error_out_of_memory(error);
    free(data);
    if (status == ODS_OK)
        return CLI_OK;
    error_prefix(error, "connector %s is asked by its table %s, in which the user of database %s "
                        "must be allowed to insert, unless signal.enabled.channels has kafka: ",
                 connector->name, connector->table, signals->database_settings->name);
    return CLI_SOURCE;
}

static json_t *compose(const struct signals *signals, const char *condition)
{
    const char *collection = signals->connector.collection;
    json_t *data = json_pack("{s:[s], s:s}", "data-collections", collection, "type",
                             "INCREMENTAL");
    if (condition && data)
        json_object_set_new(data, "additional-conditions",
                            json_pack("[{s:s, s:s}]", "data-collection", collection, "filter",
                                      condition));
    return json_pack("{s:s, s:s, s:o}", "id", signals->id, "type", "execute-snapshot", "data",
                     data);
}

/* --- hearing -------------------------------------------------------------------------------- */

/* Where the topic of notifications ends, so that what comes later is what is heard. */
static int note_ends(struct signals *signals, struct error *error)
{
    const char *topic = signals->connector.notifications;
    int32_t count = 0;
    if (!topic || signals->heard)
        return CLI_OK;
    if (kafka_tool_partitions(signals->tool, topic, &count, error) != ODS_OK)
        return CLI_SOURCE;
    signals->heard = calloc((size_t) count + 1, sizeof *signals->heard);
    if (!signals->heard) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (int32_t i = 0; i < count; i++) {
        int64_t low;
        if (kafka_tool_ends(signals->tool, topic, i, &low, &signals->heard[i], error) != ODS_OK)
            return CLI_SOURCE;
    }
    signals->heard_count = count;
    return CLI_OK;
}

struct hearing {
    struct signals *signals;
    bool news;
    char trouble[200];
};

/* A snapshot whose condition the source refuses, or whose query failed, has sent nothing. */
static void note_status(struct hearing *hearing, const json_t *told)
{
    const json_t *more = json_object_get(told, "additional_data");
    const char *status = json_text(more, "status"), *rows = json_text(more, "total_rows_scanned");
    struct signals *signals = hearing->signals;
    char text[200];
    if (*status && strcmp(status, "SUCCEEDED") != 0 && strcmp(status, "EMPTY") != 0)
        snprintf(hearing->trouble, sizeof hearing->trouble, "%.190s", status);
    if (signals->shows && *rows) {
        snprintf(text, sizeof text, "connector %.60s has sent %.20s rows", signals->connector.name,
                 rows);
        signals->shows(signals->context, text);
    }
}

static bool take_notification(void *context, const struct record *record)
{
    struct hearing *hearing = context;
    struct signals *signals = hearing->signals;
    json_t *root = record->value ? json_loadb(record->value, record->value_length, 0, NULL) : NULL;
    const json_t *payload = json_object_get(root, "payload");
    const json_t *told = json_is_object(payload) ? payload : root;
    int64_t time_ms = json_integer_value(json_object_get(told, "timestamp"));
    if (record->partition < signals->heard_count)
        signals->heard[record->partition] = record->offset + 1;
    if (strcmp(json_text(told, "aggregate_type"), "Incremental Snapshot") == 0 &&
        strcmp(json_text(json_object_get(told, "additional_data"), "connector_name"),
               signals->connector.prefix) == 0) {
        hearing->news = true;
        bool ours = strcmp(json_text(told, "id"), signals->id) == 0;
        if (ours && (!signals->begun_ms || time_ms < signals->begun_ms))
            signals->begun_ms = time_ms;
        if (strcmp(json_text(told, "type"), "COMPLETED") == 0)
            signals->over_ms = ours ? INT64_MAX : time_ms > signals->over_ms ? time_ms
                                                                             : signals->over_ms;
        /* A snapshot has the id of the signal that came last, which may be another process's. */
        if (strncmp(json_text(told, "id"), "ods-sink-", 9) == 0)
            note_status(hearing, told);
    }
    json_decref(root);
    kafka_release(record->owner);
    return true;
}

static int grow_heard(struct signals *signals, struct error *error)
{
    int32_t count;
    if (kafka_tool_partitions(signals->tool, signals->connector.notifications, &count, error) !=
        ODS_OK)
        return CLI_SOURCE;
    if (count <= signals->heard_count)
        return CLI_OK;
    int64_t *heard = realloc(signals->heard, ((size_t) count + 1) * sizeof *heard);
    if (!heard) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (int32_t i = signals->heard_count; i < count; i++)
        heard[i] = 0;
    signals->heard = heard;
    signals->heard_count = count;
    return CLI_OK;
}

int signals_hear(struct signals *signals, bool *over, bool *news, struct error *error)
{
    struct hearing hearing = {.signals = signals};
    *over = *news = false;
    int code = grow_heard(signals, error);
    if (code != CLI_OK || !signals->heard_count)
        return code;
    if (kafka_tool_read(signals->tool, signals->connector.notifications, signals->heard,
                        take_notification, &hearing, error) != ODS_OK)
        return CLI_SOURCE;
    *news = hearing.news;
    if (*hearing.trouble)
        return signals_lost(signals, hearing.trouble, error);
    *over = signals->begun_ms && signals->over_ms > signals->begun_ms;
    if (!*over)
        return signals_look(signals, news, error);
    signals_settle(signals);
    return CLI_OK;
}

/* --- both ----------------------------------------------------------------------------------- */

static bool keep(struct signals *signals, const char *condition)
{
    size_t count = signals->condition_count;
    char *kept = condition ? strdup(condition) : NULL;
    char **larger = realloc(signals->conditions, (count + 1) * sizeof *larger);
    if (larger)
        signals->conditions = larger;
    if (!larger || (condition && !kept)) {
        free(kept);
        return false;
    }
    larger[count] = kept;
    signals->condition_count++;
    return true;
}

void signals_settle(struct signals *signals)
{
    for (size_t i = 0; i < signals->condition_count; i++)
        free(signals->conditions[i]);
    signals->condition_count = 0;
    signals->again = 0;
}

int signals_ask(struct signals *signals, const char *condition, struct error *error)
{
    int code = note_ends(signals, error);
    signals->looked_us = time_monotonic_us();
    if (code == CLI_OK && !keep(signals, condition)) {
        error_out_of_memory(error);
        code = CLI_INTERNAL;
    }
    return code == CLI_OK ? signals_send(signals, condition, error) : code;
}

int signals_send(struct signals *signals, const char *condition, struct error *error)
{
    int code = CLI_OK;
    snprintf(signals->id, sizeof signals->id, "ods-sink-%" PRId64 "-%d-%u", time_wall_us(),
             (int) getpid(), signals->asked++);
    signals->begun_ms = signals->over_ms = 0;
    json_t *signal = compose(signals, condition);
    char *text = signal ? json_dumps(signal, JSON_COMPACT) : NULL;
    if (!text) {
        error_set(error, ODS_FATAL, "a signal can't be written: a key of %s is not UTF-8",
                  signals->connector.collection);
        code = CLI_INTERNAL;
    } else if (signals->connector.way == SIGNAL_KAFKA) {
        code = send_by_kafka(signals, text, error);
    } else {
        code = send_by_table(signals, signal, error);
    }
    free(text);
    json_decref(signal);
    return code;
}

int signals_await(struct signals *signals, bool *sent, struct error *error)
{
    int64_t heard_us = time_monotonic_us();
    bool any = false, news;
    int code = CLI_OK;
    *sent = false;
    if (!signals->connector.notifications) {
        signals_settle(signals);
        return CLI_OK;
    }
    while (code == CLI_OK && !*sent && !signals->stops()) {
        code = signals_hear(signals, sent, &news, error);
        any |= news;
        if (news)
            heard_us = time_monotonic_us();
        if (!*sent && time_monotonic_us() - heard_us > signals->wait_ms * 1000)
            break;
        if (!*sent)
            usleep(PAUSE_US);
    }
    if (*sent)
        usleep(PAUSE_US); /* what was sent before may reach its partition a moment later */
    else if (code == CLI_OK && !signals->stops())
        error_set(error, ODS_RETRY,
                  any ? "connector %s has begun to send the rows of %s, and has said nothing for "
                        "%lld s: a snapshot of a connector with read.only=true ends with the next "
                        "transaction of the source; of another one its user must be allowed to "
                        "insert into signal.data.collection"
                      : "connector %s has not begun to send the rows of %s within %lld s: its log "
                        "says why",
                  signals->connector.name, signals->connector.collection,
                  (long long) signals->wait_ms / 1000);
    return code;
}
