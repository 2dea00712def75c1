/* Asking after connectors, and waiting for them. See connector.h. */
#include "cli/connector.h"

#include <string.h>
#include <unistd.h>

#include "core/time.h"

#define POLL_US    250000
#define STALE_US   INT64_C(3000000) /* a state from before the change is gone by then */

const char *connector_state_name(enum connector_state state)
{
    static const char *const names[] = {"running", "starting", "paused", "stopped", "failed"};
    return names[state];
}

enum connector_state connector_state(const json_t *status)
{
    const json_t *tasks = json_object_get(status, "tasks");
    const char *own = json_text(json_object_get(status, "connector"), "state");
    size_t i, running = 0, failed = strcmp(own, "FAILED") == 0;
    json_t *task;
    json_array_foreach(tasks, i, task)
    {
        failed += strcmp(json_text(task, "state"), "FAILED") == 0;
        running += strcmp(json_text(task, "state"), "RUNNING") == 0;
    }
    if (failed)
        return CONNECTOR_FAILED;
    if (strcmp(own, "PAUSED") == 0)
        return CONNECTOR_PAUSED;
    if (strcmp(own, "STOPPED") == 0)
        return CONNECTOR_STOPPED;
    bool all = running && running == json_array_size(tasks);
    return all && strcmp(own, "RUNNING") == 0 ? CONNECTOR_RUNNING : CONNECTOR_STARTING;
}

const char *connector_trace(const json_t *status)
{
    const char *trace = json_text(json_object_get(status, "connector"), "trace");
    size_t i;
    json_t *task;
    json_array_foreach(json_object_get(status, "tasks"), i, task)
    {
        if (!*trace)
            trace = json_text(task, "trace");
    }
    return trace;
}

static enum ods_status ask(struct connect *connect, const char *method, const char *name,
                           const char *rest, json_t **answer, struct error *error)
{
    struct buffer path;
    buffer_init(&path);
    connect_path(&path, name, rest);
    enum ods_status status = path.failed ? error_out_of_memory(error)
                                         : connect_ask(connect, method, buffer_text(&path), NULL,
                                                       answer, error);
    buffer_done(&path);
    if (status == ODS_REJECT && connect_is_missing(error) && strcmp(method, "GET") == 0) {
        error_set(error, ODS_REJECT, "there is no connector %s", name);
        strcpy(error->code, "404");
    }
    return status;
}

enum ods_status connector_status(struct connect *connect, const char *name, json_t **status,
                                 struct error *error)
{
    return ask(connect, "GET", name, "/status", status, error);
}

enum ods_status connector_config(struct connect *connect, const char *name, json_t **config,
                                 struct error *error)
{
    return ask(connect, "GET", name, "/config", config, error);
}

enum ods_status connector_tell(struct connect *connect, const char *method, const char *name,
                               const char *rest, struct error *error)
{
    return ask(connect, method, name, rest, NULL, error);
}

enum ods_status connector_restart(struct connect *connect, const char *name, bool only_failed,
                                  struct error *error)
{
    return connector_tell(connect, "POST", name,
                          only_failed ? "/restart?includeTasks=true&onlyFailed=true"
                                      : "/restart?includeTasks=true&onlyFailed=false",
                          error);
}

/* Is it over, seen `now`? *since: since when it runs, 0 while it does not. */
static bool is_settled(enum connector_state state, enum connector_state wanted, int64_t began,
                       int64_t now, int64_t *since)
{
    if (state == CONNECTOR_FAILED)
        return now - began > STALE_US;
    if (state != wanted) {
        *since = 0;
        return false;
    }
    if (wanted != CONNECTOR_RUNNING)
        return true;
    if (!*since)
        *since = now;
    return now - *since >= CONNECTOR_STEADY_S * INT64_C(1000000);
}

enum ods_status connector_await(struct connect *connect, const char *name,
                                enum connector_state wanted, int64_t wait_s, json_t **status,
                                enum connector_state *state, struct error *error)
{
    int64_t began = time_monotonic_us(), since = 0, now = began;
    *status = NULL;
    *state = CONNECTOR_STARTING;
    while (now - began < wait_s * 1000000) {
        json_t *seen = NULL;
        enum ods_status answer = connector_status(connect, name, &seen, error);
        now = time_monotonic_us();
        /* A connector that was made a moment ago is not known yet. */
        if (answer != ODS_OK && !(answer == ODS_REJECT && connect_is_missing(error)))
            return answer;
        if (seen) {
            json_decref(*status);
            *status = seen;
            *state = connector_state(seen);
            error_init(error);
            if (is_settled(*state, wanted, began, now, &since))
                return ODS_OK;
        }
        usleep(POLL_US);
    }
    return ODS_OK;
}

enum ods_status connector_forget(struct connect *connect, const char *name, int64_t wait_s,
                                 struct error *error)
{
    json_t *seen = NULL;
    enum connector_state state;
    enum ods_status status = connector_tell(connect, "PUT", name, "/stop", error);
    if (status == ODS_OK)
        status = connector_await(connect, name, CONNECTOR_STOPPED, wait_s, &seen, &state, error);
    json_decref(seen);
    if (status == ODS_OK && state != CONNECTOR_STOPPED)
        return error_set(error, ODS_RETRY, "connector %s has not stopped within %lld s: it is %s",
                         name, (long long) wait_s, connector_state_name(state));
    return status == ODS_OK ? connector_tell(connect, "DELETE", name, "/offsets", error) : status;
}
