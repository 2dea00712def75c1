/* See actions.h. */
#include "pipeline/actions.h"

#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/time.h"
#include "core/wait.h"
#include "pipeline/actions_room.h"
#include "pipeline/json_text.h"
#include "pipeline/metrics.h"
#include "pipeline/worker.h"

#define PATIENCE_S 2 /* in which what runs may end in order */

const char *action_name(enum action action)
{
    static const char *const names[ACTION_KINDS] = {"pause", "resume", "replay", "verify"};
    return names[action];
}

/* --- what a job is asked --------------------------------------------------------------------- */

const char *job_text(const struct job *job, const char *member)
{
    const char *text = json_string_value(json_object_get(job->request->body, member));
    return text ? text : "";
}

bool job_flag(const struct job *job, const char *member)
{
    return json_is_true(json_object_get(job->request->body, member));
}

bool job_waits(struct job *job, int64_t ms)
{
    struct actions *actions = job->actions;
    struct timespec until = time_deadline(ms);
    pthread_mutex_lock(&actions->mutex);
    while (!actions->stopped)
        if (pthread_cond_timedwait(&actions->stops, &actions->mutex, &until))
            break;
    bool goes_on = !actions->stopped;
    pthread_mutex_unlock(&actions->mutex);
    return goes_on;
}

/* --- its session in the target --------------------------------------------------------------- */

static enum action_result open_sink(struct job *job, struct error *error)
{
    struct actions *actions = job->actions;
    struct sink_config config;
    struct sink *sink = NULL;
    const struct sink_ops *ops = worker_target(actions->settings, job->pipeline, &config);
    if (!ops || !ops->control || !ops->control->audit_begin) {
        error_set(error, ODS_REJECT,
                  "pipeline %s: its target, of type %s, keeps no audit, so nothing is done from "
                  "here; the commands of ods-sink do what can be done there",
                  job->pipeline->name, ops ? ops->type : "none");
        return ACTION_REFUSED;
    }
    if (ops->open(&sink, &config, error) != ODS_OK)
        return ACTION_FAILED;
    pthread_mutex_lock(&actions->mutex);
    job->sink = sink;
    if (actions->stopped)
        ops->interrupt(sink);
    pthread_mutex_unlock(&actions->mutex);
    enum ods_status status = ops->connect(sink, error);
    if (status == ODS_OK)
        status = ops->control->tables(sink, &job->known, error);
    return status == ODS_OK ? ACTION_DONE : ACTION_FAILED;
}

static void close_sink(struct job *job)
{
    struct sink *sink = job->sink;
    pthread_mutex_lock(&job->actions->mutex);
    job->sink = NULL;
    pthread_mutex_unlock(&job->actions->mutex);
    if (sink)
        sink->ops->close(sink);
}

/* --- the audit ------------------------------------------------------------------------------- */

static enum ods_status begin_audit(struct job *job, int64_t *id, struct error *error)
{
    const struct audit audit = {.who = job->request->who,
                                .origin = job->request->origin,
                                .action = action_name(job->request->action),
                                .pipeline = job->pipeline->name,
                                .table = job->called,
                                .topics = &job->topics,
                                .reason = job_text(job, "reason")};
    enum ods_status status = job->sink->ops->control->audit_begin(job->sink, &audit, id, error);
    if (status != ODS_OK)
        error_prefix(error, "nothing was done, since it can't be audited: ");
    return status;
}

static void end_audit(struct job *job, int64_t id, enum action_result result,
                      const struct error *why)
{
    const char *const fields[] = {"pipeline", job->pipeline->name, NULL};
    struct buffer answer;
    struct error error;
    error_init(&error);
    buffer_init(&answer);
    if (result == ACTION_DONE)
        buffer_puts(&answer, buffer_text(&job->says));
    else
        buffer_printf(&answer, "%s: %s", result == ACTION_REFUSED ? "refused" : "failed",
                      why->text);
    log_event(LOG_INFO, fields, "%s by operator %s from %s: %.900s",
              action_name(job->request->action), job->request->who, job->request->origin,
              buffer_text(&answer));
    if (job->sink->ops->clear_interrupt)
        job->sink->ops->clear_interrupt(job->sink); /* it was for what is over now */
    if (job->sink->ops->control->audit_end(job->sink, id, buffer_text(&answer), &error) != ODS_OK)
        log_event(LOG_WARN, fields, "the audit has no answer in its row %lld: %.900s",
                  (long long) id, error.text);
    buffer_done(&answer);
}

/* --- the answer ------------------------------------------------------------------------------ */

static json_t *topics_of(const struct job *job)
{
    json_t *list = json_array();
    for (size_t i = 0; i < job->topics.count; i++)
        json_array_append_new(list, text_of(job->topics.items[i]));
    return list;
}

static void answer(struct job *job, enum action_result result, bool done, int64_t id,
                   const struct error *why)
{
    struct action_request *request = job->request;
    json_t *root = json_pack("{s:s, s:b}", "action", action_name(request->action), "done", done);
    if (job->pipeline)
        json_object_set_new(root, "pipeline", text_of(job->pipeline->name));
    if (job->topics.count) {
        json_object_set_new(root, "table", text_of(job->called));
        json_object_set_new(root, "topics", topics_of(job));
    }
    if (result == ACTION_DONE)
        json_object_set_new(root, "says", text_of(buffer_text(&job->says)));
    else
        json_object_set_new(root, "error", text_of(why->text));
    if (id)
        json_object_set_new(root, "audit", json_integer(id));
    if (job->details)
        json_object_set(root, "details", job->details);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    buffer_puts(&request->answer, text ? text : "{}");
    buffer_puts(&request->answer, "\n");
    free(text);
    request->result = result;
}

/* --- a job ----------------------------------------------------------------------------------- */

static enum action_result find_pipeline(struct job *job, struct error *error)
{
    const struct settings *settings = job->actions->settings;
    const char *name = job_text(job, "pipeline");
    if (!*name && settings->pipeline_count == 1)
        job->pipeline = &settings->pipelines[0];
    else if (*name)
        job->pipeline = settings_pipeline(settings, name);
    if (job->pipeline)
        return ACTION_DONE;
    error_set(error, ODS_REJECT, *name ? "there is no pipeline %.200s"
                                       : "say which \"pipeline\" is meant: there are several",
              name);
    return *name ? ACTION_UNKNOWN : ACTION_WRONG;
}

static void act(struct job *job)
{
    struct error error;
    int64_t id = 0;
    bool wanted = !job_flag(job, "dry_run"), done = false;
    error_init(&error);
    enum action_result result = find_pipeline(job, &error);
    if (result == ACTION_DONE)
        result = open_sink(job, &error);
    if (result == ACTION_DONE)
        result = job_find(job, &error);
    if (result == ACTION_DONE && wanted && begin_audit(job, &id, &error) != ODS_OK)
        result = ACTION_FAILED;
    if (result == ACTION_DONE && wanted) {
        buffer_reset(&job->says);
        result = job_do(job, &error);
        done = result == ACTION_DONE;
    }
    if (id)
        end_audit(job, id, result, &error);
    answer(job, result, done, id, &error);
    if (wanted || result != ACTION_DONE)
        actions_count(job->actions, job->request->action, result);
}

static void *job_main(void *context)
{
    struct job *job = context;
    struct action_request *request = job->request;
    act(job);
    close_sink(job);
    topic_tables_done(&job->known);
    free(job->topics.items);
    buffer_done(&job->tables);
    buffer_done(&job->says);
    json_decref(job->details);
    request->done(request->context);
    pthread_mutex_lock(&job->actions->mutex);
    job->state = JOB_ENDED;
    pthread_mutex_unlock(&job->actions->mutex);
    return NULL;
}

/* --- all of them ----------------------------------------------------------------------------- */

enum ods_status actions_open(struct actions **out, const struct settings *settings,
                             struct lane *const *lanes, size_t lane_count,
                             struct verifier *const *verifiers, size_t verifier_count,
                             struct error *error)
{
    *out = NULL;
    if (!settings->http.operator_count)
        return ODS_OK;
    struct actions *actions = calloc(1, sizeof *actions);
    if (!actions)
        return error_set(error, ODS_FATAL, "out of memory for actions");
    actions->settings = settings;
    actions->lanes = lanes;
    actions->lane_count = lane_count;
    actions->verifiers = verifiers;
    actions->verifier_count = verifier_count;
    pthread_mutex_init(&actions->mutex, NULL);
    wait_init(&actions->stops);
    *out = actions;
    return ODS_OK;
}

/* A place whose thread has ended, if any; with the mutex. */
static struct job *free_job(struct actions *actions)
{
    for (size_t i = 0; i < ACTIONS_AT_ONCE; i++) {
        struct job *job = &actions->jobs[i];
        if (job->state == JOB_ENDED) {
            pthread_join(job->thread, NULL); /* which has left the mutex behind it */
            child_done(&job->child);
            job->state = JOB_FREE;
        }
        if (job->state == JOB_FREE)
            return job;
    }
    return NULL;
}

bool actions_begin(struct actions *actions, struct action_request *request)
{
    pthread_mutex_lock(&actions->mutex);
    struct job *job = actions->stopped ? NULL : free_job(actions);
    if (job) {
        *job = (struct job){.actions = actions, .request = request, .called = ""};
        child_init(&job->child);
        job->state = JOB_RUNS;
        if (pthread_create(&job->thread, NULL, job_main, job)) {
            child_done(&job->child);
            job->state = JOB_FREE;
            job = NULL;
        }
    }
    pthread_mutex_unlock(&actions->mutex);
    return job != NULL;
}

void actions_count(struct actions *actions, enum action action, enum action_result result)
{
    if (actions)
        atomic_fetch_add(&actions->counts[action][result], 1);
}

static void interrupt(struct actions *actions, bool now)
{
    pthread_mutex_lock(&actions->mutex);
    actions->stopped = true;
    for (size_t i = 0; i < ACTIONS_AT_ONCE; i++) {
        struct job *job = &actions->jobs[i];
        if (job->state == JOB_RUNS && job->sink)
            job->sink->ops->interrupt(job->sink);
        if (job->state == JOB_RUNS)
            child_stop(&job->child, now);
    }
    pthread_cond_broadcast(&actions->stops);
    pthread_mutex_unlock(&actions->mutex);
}

/* A letter that is being applied, or an answer for the audit, has a moment. */
static void join(struct actions *actions, struct job *job)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    while (pthread_timedjoin_np(job->thread, NULL, &until)) {
        interrupt(actions, true);
        until.tv_sec++;
    }
    child_done(&job->child);
    job->state = JOB_FREE;
}

void actions_stop(struct actions *actions)
{
    if (!actions)
        return;
    interrupt(actions, false);
    for (size_t i = 0; i < ACTIONS_AT_ONCE; i++) {
        pthread_mutex_lock(&actions->mutex);
        bool free_ = actions->jobs[i].state == JOB_FREE;
        pthread_mutex_unlock(&actions->mutex);
        if (!free_)
            join(actions, &actions->jobs[i]);
    }
}

void actions_close(struct actions *actions)
{
    if (!actions)
        return;
    actions_stop(actions);
    pthread_cond_destroy(&actions->stops);
    pthread_mutex_destroy(&actions->mutex);
    free(actions);
}

void actions_metrics(struct actions *actions, struct buffer *out)
{
    static const char *const results[ACTION_RESULTS] = {"done",   "refused", "failed",
                                                        "denied", "wrong",   "unknown"};
    if (!actions)
        return;
    metrics_head(out, "actions_total", "counter",
                 "What operators asked for over HTTP, by what came of it");
    for (size_t action = 0; action < ACTION_KINDS; action++)
        for (size_t i = 0; i < ACTION_RESULTS; i++) {
            const char *labels[] = {"action", action_name((enum action) action), "result",
                                    results[i], NULL};
            metrics_put(out, "actions_total", labels,
                        (double) atomic_load(&actions->counts[action][i]));
        }
}
