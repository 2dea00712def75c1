/* What is done where a connector lost a snapshot that it was asked for. See signals.h.
 *
 * A signal by Kafka arrives in a thread of its own, which reads the first rows of the snapshot on
 * the very connection by which the streaming thread reads the next ones at the next change or
 * heartbeat. Where both come together (Debezium 3.3: about one signal of 16 beside heartbeats each
 * 20 ms) a query fails and the table is skipped (SQL_EXCEPTION), or the task fails. Nothing is
 * wrong with the rows then: they are asked for once more. Several signals may be one snapshot, and
 * the connector does not say which part of it is lost, so that all of them are sent again. A signal
 * by table has no such thread.
 */
#include <stdio.h>
#include <string.h>

#include "cli/connector.h"
#include "cli/connector_cause.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "core/time.h"

#define ASK_AGAIN  5 /* a query that the source refuses fails as fast each time */
#define LOOK_US    INT64_C(2000000)
#define RESTART_US INT64_C(60000000)
#define STEP_S     5 /* above CONNECTOR_STEADY_S */

/* Who owns the connector should know, also who looks at no progress. */
static void tell(const struct signals *signals, const char *what, const char *why)
{
    terminal_line(stderr, "connector %s lost the snapshot of %s (%s): %s", signals->connector.name,
                  signals->connector.collection, why, what);
}

/* `why`: what became of the last signals. */
static int ask_again(struct signals *signals, const char *why, struct error *error)
{
    int code = CLI_OK;
    if (signals->stops())
        return CLI_OK;
    if (signals->again >= ASK_AGAIN) {
        error_set(error, ODS_FATAL,
                  "connector %s could not send the rows of %s, asked %u times: %s; its log says "
                  "why",
                  signals->connector.name, signals->connector.collection, signals->again + 1, why);
        return CLI_SOURCE;
    }
    signals->again++;
    tell(signals, "it is asked once more", why);
    for (size_t i = 0; code == CLI_OK && i < signals->condition_count; i++)
        code = signals_send(signals, signals->conditions[i], error);
    return code;
}

int signals_lost(struct signals *signals, const char *status, struct error *error)
{
    if (strcmp(status, "SQL_EXCEPTION") == 0)
        return ask_again(signals, status, error);
    error_set(error, ODS_FATAL, "connector %s could not send the rows of %s: %s; its log says why",
              signals->connector.name, signals->connector.collection, status);
    return CLI_SOURCE;
}

/* Until it runs, or fails again; a user who ends the command waits no longer than one step. */
static enum ods_status await_running(struct signals *signals, enum connector_state *state,
                                     struct error *error)
{
    enum ods_status status = ODS_OK;
    int64_t until_us = time_monotonic_us() + RESTART_US;
    do {
        json_t *seen = NULL;
        status = connector_await(signals->connect, signals->connector.name, CONNECTOR_RUNNING,
                                 STEP_S, &seen, state, error);
        json_decref(seen);
    } while (status == ODS_OK && *state != CONNECTOR_RUNNING && *state != CONNECTOR_FAILED &&
             time_monotonic_us() < until_us && !signals->stops());
    return status;
}

static int restart(struct signals *signals, const char *cause, struct error *error)
{
    const char *name = signals->connector.name;
    enum connector_state state = CONNECTOR_FAILED;
    if (signals->stops())
        return CLI_OK;
    tell(signals, "its failed task is restarted", cause);
    enum ods_status status = connector_restart(signals->connect, name, true, error);
    if (status == ODS_OK)
        status = await_running(signals, &state, error);
    if (status != ODS_OK)
        return CLI_SOURCE;
    if (state == CONNECTOR_RUNNING || signals->stops())
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
    bool failed = connector_state(status) == CONNECTOR_FAILED;
    int code = failed ? revive(signals, connector_trace(status), error) : CLI_OK;
    *news |= failed;
    json_decref(status);
    return code;
}
