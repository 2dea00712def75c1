/* What is done where a connector lost a snapshot that it was asked for. See signals.h.
 *
 * A signal by Kafka arrives in a thread of its own, which reads the first rows of the snapshot on
 * the very connection by which the streaming thread reads the next ones at the next change or
 * heartbeat. Where both come together (Debezium 3.3: about one signal of 16 beside heartbeats each
 * 20 ms) a query fails and the table is skipped (SQL_EXCEPTION), or the task fails. Nothing is
 * wrong with the rows then: they are asked for once more. A signal by table has no such thread.
 */
#include <string.h>

#include "cli/connector.h"
#include "cli/connector_cause.h"
#include "cli/signals.h"
#include "core/time.h"

#define ASK_AGAIN 5 /* a query that the source refuses fails as fast each time */
#define LOOK_US   INT64_C(2000000)
#define RESTART_S 60

/* `why`: what became of the last signal. */
static int ask_again(struct signals *signals, const char *why, struct error *error)
{
    const char *name = signals->connector.name;
    char text[400];
    if (signals->again >= ASK_AGAIN) {
        error_set(error, ODS_FATAL,
                  "connector %s could not send the rows of %s, asked %u times: %s; its log says "
                  "why",
                  name, signals->connector.collection, signals->again + 1, why);
        return CLI_SOURCE;
    }
    signals->again++;
    if (signals->shows) {
        snprintf(text, sizeof text, "connector %.60s lost the snapshot (%.250s), asked once more",
                 name, why);
        signals->shows(signals->context, text);
    }
    return signals_send(signals, error);
}

int signals_lost(struct signals *signals, const char *status, struct error *error)
{
    if (strcmp(status, "SQL_EXCEPTION") == 0)
        return ask_again(signals, status, error);
    error_set(error, ODS_FATAL, "connector %s could not send the rows of %s: %s; its log says why",
              signals->connector.name, signals->connector.collection, status);
    return CLI_SOURCE;
}

/* The trace of the first task that failed; NULL: none has. */
static const char *failed_trace(const json_t *status)
{
    size_t i;
    json_t *task;
    json_array_foreach(json_object_get(status, "tasks"), i, task)
        if (strcmp(json_text(task, "state"), "FAILED") == 0)
            return json_text(task, "trace");
    return NULL;
}

static int restart(struct signals *signals, const char *cause, struct error *error)
{
    const char *name = signals->connector.name;
    enum connector_state state = CONNECTOR_FAILED;
    json_t *seen = NULL;
    enum ods_status status = connector_tell(
        signals->connect, "POST", name, "/restart?includeTasks=true&onlyFailed=true", error);
    if (status == ODS_OK)
        status = connector_await(signals->connect, name, CONNECTOR_RUNNING, RESTART_S, &seen,
                                 &state, error);
    json_decref(seen);
    if (status != ODS_OK)
        return CLI_SOURCE;
    if (state == CONNECTOR_RUNNING)
        return ask_again(signals, cause, error);
    error_set(error, ODS_FATAL,
              "connector %s failed while it sent the rows of %s (%s), and was restarted, which did "
              "not help: ods-sink connectors status %s says why",
              name, signals->connector.collection, cause, name);
    return CLI_SOURCE;
}

/* Only a task that fell over the snapshot is restarted: another failure its owner should know. */
static int revive(struct signals *signals, const char *trace, struct error *error)
{
    const char *name = signals->connector.name;
    struct buffer cause;
    buffer_init(&cause);
    connector_cause(trace, &cause);
    int code;
    if (strstr(trace, "incremental snapshot")) {
        code = restart(signals, buffer_text(&cause), error);
    } else {
        error_set(error, ODS_FATAL,
                  "connector %s failed while it sent the rows of %s: %s; ods-sink connectors "
                  "restart %s tries again",
                  name, signals->connector.collection, buffer_text(&cause), name);
        code = CLI_SOURCE;
    }
    buffer_done(&cause);
    return code;
}

int signals_look(struct signals *signals, bool *news, struct error *error)
{
    json_t *status = NULL;
    int64_t now = time_monotonic_us();
    if (now - signals->looked_us < LOOK_US)
        return CLI_OK;
    signals->looked_us = now;
    /* Connect that does not answer now says nothing of the connector. */
    if (connector_status(signals->connect, signals->connector.name, &status, error) != ODS_OK) {
        error_init(error);
        return CLI_OK;
    }
    const char *trace = failed_trace(status);
    int code = trace ? revive(signals, trace, error) : CLI_OK;
    *news |= trace != NULL;
    json_decref(status);
    return code;
}
