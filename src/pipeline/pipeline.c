/* Read this first.
 *
 * A pipeline is a set of topics, a format and a target. It runs in `lanes` lanes; each is a member
 * of the pipeline's consumer group and has one connection to the target. Kafka's own assignment
 * spreads the partitions over the lanes of this process and of all others of the same group, so
 * there is nothing here that schedules, routes or balances.
 *
 *   main thread (run command)      signals, watchdog, reload
 *     └ pipelines                  this file: starts lanes, ends them in order
 *         ├ lane                   lane.c; per lane two threads:
 *         │   ├ consumer thread    consumer.c: Kafka → decode → batch
 *         │   │                    rebalance.c: partitions come and go, where each starts
 *         │   └ writer thread      writer.c: batch → target, outages, dead letters
 *         ├ helper thread          of a format that needs one, such as for its schema topic
 *         ├ watch thread           watch.c: orders about single tables, which lanes obey (obey.c)
 *         ├ guard thread           guard.c: does Kafka's retention take what waits?
 *         ├ source guard thread    source_guard.c: does the source's log keep what is not read?
 *         ├ verifier threads       verifier.c: is the target as its source? One a pipeline
 *         ├ letter counter thread  letter_counter.c: how many dead letters wait in their table
 *         ├ inspector threads      inspector.c: do the rules about the data hold? One a pipeline
 *         ├ tracer thread          tracer.c: spans to an OpenTelemetry collector
 *         ├ trends thread          trends.c: what the pipelines did in the last hour
 *         ├ keeper threads         keeper.c: derived tables of a target
 *         ├ http thread            http.c, metrics.c: what the lanes show; page/: the page at /
 *         └ action threads         actions.c: what operators ask for by HTTP, one an action
 *
 * A lane that fails takes the daemon down, in order: a process that does half of its work and seems
 * well is worse than one that its supervisor restarts.
 */
#include "pipeline/pipeline.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/exit.h"
#include "core/log.h"
#include "pipeline/actions.h"
#include "pipeline/guard.h"
#include "pipeline/http.h"
#include "pipeline/inspector.h"
#include "pipeline/keeper.h"
#include "pipeline/lane.h"
#include "pipeline/letter_counter.h"
#include "pipeline/source_guard.h"
#include "pipeline/tracer.h"
#include "pipeline/trends.h"
#include "pipeline/verifier.h"
#include "pipeline/watch.h"
#include "pipeline/worker.h"

/* A pipeline's part in them. */
struct running {
    struct worker_origin origin;
    struct lane_shared shared;
    struct lane **lanes; /* those that its format's helper wakes */
    size_t lane_count;
};

struct pipelines {
    struct lane_limits limits;
    struct running *running; /* one a pipeline */
    size_t running_count;
    struct lane **lanes;
    size_t count, capacity;
    struct http *http;
    struct actions *actions; /* NULL: there are no operators */
    struct guard *guard;
    struct source_guard *sources;
    struct letter_counter *letters; /* NULL: there is nothing to count */
    struct trends *trends;
    struct tracer *tracer;
    struct verifier **verifiers;
    size_t verifier_count;
    struct inspector **inspectors;
    size_t inspector_count;
    struct keeper **keepers; /* one a target that has derived tables */
    size_t keeper_count;
    int finished_fd;
};

static size_t count_lanes(const struct settings *settings)
{
    size_t count = 0;
    for (size_t i = 0; i < settings->pipeline_count; i++)
        count += (size_t) settings->pipelines[i].lanes;
    return count;
}

static void wake_lanes(void *context)
{
    struct running *running = context;
    atomic_fetch_add(&running->shared.helped, 1);
    for (size_t i = 0; i < running->lane_count; i++)
        lane_look_again(running->lanes[i]);
}

static void say(void *context, bool warning, const char *text)
{
    const struct running *running = context;
    const char *const fields[] = {"pipeline", running->origin.pipeline->name, NULL};
    log_event(warning ? LOG_WARN : LOG_INFO, fields, "%s", text);
}

static enum ods_status start_pipeline(struct pipelines *pipelines, const struct settings *settings,
                                      const struct pipeline_settings *pipeline,
                                      struct running *running, int *exit_code,
                                      struct error *error)
{
    struct lane_shared *shared = &running->shared;
    running->origin = (struct worker_origin){.settings = settings,
                                             .pipeline = pipeline,
                                             .wake = wake_lanes,
                                             .say = say,
                                             .context = running};
    running->lanes = &pipelines->lanes[pipelines->count];
    pipelines->running_count++;
    fuse_init(&shared->fuse);
    moves_init(&shared->moves);
    table_counts_init(&shared->tables, pipeline->name, (size_t) pipeline->lanes);
    quality_counts_init(&shared->quality);
    enum ods_status status = worker_open_helper(&shared->helper, &running->origin, error);
    if (status == ODS_OK)
        status = watch_open(&shared->watch, &running->origin, error);
    shared->limits = &pipelines->limits;
    shared->finished_fd = pipelines->finished_fd;
    shared->tracer = pipelines->tracer;
    for (size_t i = 0; status == ODS_OK && i < (size_t) pipeline->lanes; i++) {
        struct lane *lane;
        status = lane_start(&lane, settings, pipeline, shared, i, exit_code, error);
        if (status != ODS_OK)
            return status;
        pipelines->lanes[pipelines->count++] = lane;
        running->lane_count++;
    }
    /* Behind the lanes, which it wakes. */
    if (status == ODS_OK && shared->helper)
        status = shared->helper->ops->start(shared->helper, error);
    if (status == ODS_OK && shared->watch)
        status = watch_start(shared->watch, running->lanes, running->lane_count, error);
    if (status != ODS_OK)
        return status;
    log_info("pipeline %s: %lld lane%s, group %s, target %s", pipeline->name,
             (long long) pipeline->lanes, pipeline->lanes == 1 ? "" : "s", pipeline->group_id,
             pipeline->target);
    return ODS_OK;
}

static enum ods_status start_verifiers(struct pipelines *pipelines,
                                       const struct settings *settings, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; i < settings->pipeline_count && status == ODS_OK; i++) {
        struct verifier **next = &pipelines->verifiers[pipelines->verifier_count];
        status = verifier_start(next, settings, &settings->pipelines[i],
                                pipelines->running[i].lanes, pipelines->running[i].lane_count,
                                error);
        pipelines->verifier_count += *next != NULL;
    }
    return status;
}

static enum ods_status start_inspectors(struct pipelines *pipelines,
                                        const struct settings *settings, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; i < settings->pipeline_count && status == ODS_OK; i++) {
        struct inspector **next = &pipelines->inspectors[pipelines->inspector_count];
        status = inspector_start(next, settings, &settings->pipelines[i],
                                 &pipelines->running[i].shared.quality, error);
        pipelines->inspector_count += *next != NULL;
    }
    return status;
}

static enum ods_status start_keepers(struct pipelines *pipelines, const struct settings *settings,
                                     struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; i < settings->target_count && status == ODS_OK; i++) {
        struct keeper **next = &pipelines->keepers[pipelines->keeper_count];
        status = keeper_start(next, settings, &settings->targets[i], error);
        pipelines->keeper_count += *next != NULL;
    }
    return status;
}

static enum ods_status start_all(struct pipelines *pipelines, const struct settings *settings,
                                 int *exit_code, struct error *error)
{
    enum ods_status status = ODS_OK;
    *exit_code = CLI_CONFIG;
    if (*settings->http.listen || *settings->http.health_listen)
        status = http_open(&pipelines->http, &settings->http, error);
    if (status == ODS_OK)
        status = tracer_start(&pipelines->tracer, settings, error);
    for (size_t i = 0; i < settings->pipeline_count && status == ODS_OK; i++)
        status = start_pipeline(pipelines, settings, &settings->pipelines[i],
                                &pipelines->running[i], exit_code, error);
    if (status == ODS_OK)
        status =
            guard_start(&pipelines->guard, settings, pipelines->lanes, pipelines->count, error);
    if (status == ODS_OK)
        status = source_guard_start(&pipelines->sources, settings, error);
    if (status == ODS_OK)
        status = letter_counter_start(&pipelines->letters, settings, error);
    if (status == ODS_OK)
        status = start_verifiers(pipelines, settings, error);
    if (status == ODS_OK)
        status = start_inspectors(pipelines, settings, error);
    if (status == ODS_OK)
        status = start_keepers(pipelines, settings, error);
    if (status == ODS_OK && pipelines->http) {
        *exit_code = CLI_INTERNAL;
        http_show_guard(pipelines->http, pipelines->guard);
        http_show_sources(pipelines->http, pipelines->sources);
        http_show_letters(pipelines->http, pipelines->letters);
        status = trends_start(&pipelines->trends, pipelines->lanes, pipelines->count, error);
        http_show_trends(pipelines->http, pipelines->trends);
        http_show_file(pipelines->http, settings->file);
        http_show_tracer(pipelines->http, pipelines->tracer);
        http_show_verifiers(pipelines->http, pipelines->verifiers, pipelines->verifier_count);
        http_show_inspectors(pipelines->http, pipelines->inspectors, pipelines->inspector_count);
        http_show_keepers(pipelines->http, pipelines->keepers, pipelines->keeper_count);
        if (status == ODS_OK)
            status = actions_open(&pipelines->actions, settings, pipelines->lanes,
                                  pipelines->count, pipelines->verifiers,
                                  pipelines->verifier_count, error);
        http_allow_actions(pipelines->http, pipelines->actions);
    }
    if (status == ODS_OK && pipelines->http)
        status = http_start(pipelines->http, pipelines->lanes, pipelines->count, error);
    return status;
}

enum ods_status pipelines_start(struct pipelines **out, const struct settings *settings,
                                int *exit_code, struct error *error)
{
    struct pipelines *pipelines = calloc(1, sizeof *pipelines);
    *out = NULL;
    *exit_code = CLI_INTERNAL;
    if (!pipelines)
        return error_set(error, ODS_FATAL, "out of memory for the pipelines");
    lane_limits_set(&pipelines->limits, settings);
    pipelines->capacity = count_lanes(settings);
    pipelines->running = calloc(settings->pipeline_count + 1, sizeof(struct running));
    pipelines->lanes = calloc(pipelines->capacity + 1, sizeof(struct lane *));
    pipelines->verifiers = calloc(settings->pipeline_count + 1, sizeof(struct verifier *));
    pipelines->inspectors = calloc(settings->pipeline_count + 1, sizeof(struct inspector *));
    pipelines->keepers = calloc(settings->target_count + 1, sizeof(struct keeper *));
    pipelines->finished_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    enum ods_status status;
    if (!pipelines->running || !pipelines->lanes || !pipelines->verifiers ||
        !pipelines->inspectors || !pipelines->keepers || pipelines->finished_fd < 0)
        status = error_set(error, ODS_FATAL, "out of memory or file descriptors for the pipelines");
    else
        status = start_all(pipelines, settings, exit_code, error);
    if (status != ODS_OK) {
        pipelines_abandon(pipelines);
        pipelines_join(pipelines);
        return status;
    }
    *out = pipelines;
    return ODS_OK;
}

int pipelines_fd(const struct pipelines *pipelines)
{
    return pipelines->finished_fd;
}

void pipelines_look(struct pipelines *pipelines, struct pipelines_state *state)
{
    uint64_t ends;
    ssize_t got = read(pipelines->finished_fd, &ends, sizeof ends);
    (void) got;
    *state = (struct pipelines_state){.lanes = pipelines->count};
    for (size_t i = 0; i < pipelines->count; i++) {
        struct lane_status status;
        lane_status(pipelines->lanes[i], &status);
        state->joined += status.joined;
        state->ready += (status.joined || status.without_topics) && status.target_ready &&
                        status.letters_ready && !status.source_away;
        state->stuck |= status.stuck;
        if (!state->failed)
            state->failed = status.exit_code;
        state->ended += lane_ended(pipelines->lanes[i]);
    }
    state->looking = !source_guard_ended(pipelines->sources) ||
                     !letter_counter_ended(pipelines->letters);
    for (size_t i = 0; i < pipelines->verifier_count; i++)
        state->looking |= !verifier_ended(pipelines->verifiers[i]);
    for (size_t i = 0; i < pipelines->inspector_count; i++)
        state->looking |= !inspector_ended(pipelines->inspectors[i]);
    for (size_t i = 0; i < pipelines->keeper_count; i++)
        state->looking |= !keeper_ended(pipelines->keepers[i]);
}

void pipelines_reload(struct pipelines *pipelines, const struct settings *settings)
{
    lane_limits_set(&pipelines->limits, settings);
}

void pipelines_show_configuration(struct pipelines *pipelines, char *json)
{
    if (pipelines->http)
        http_show_configuration(pipelines->http, json);
    else
        free(json);
}

/* Those that ask servers which may not answer. */
static void stop_lookers(struct pipelines *pipelines)
{
    source_guard_stop(pipelines->sources);
    letter_counter_stop(pipelines->letters);
    for (size_t i = 0; i < pipelines->verifier_count; i++)
        verifier_stop(pipelines->verifiers[i]);
    for (size_t i = 0; i < pipelines->inspector_count; i++)
        inspector_stop(pipelines->inspectors[i]);
    for (size_t i = 0; i < pipelines->keeper_count; i++)
        keeper_stop(pipelines->keepers[i]);
}

void pipelines_stop(struct pipelines *pipelines)
{
    stop_lookers(pipelines);
    for (size_t i = 0; i < pipelines->count; i++)
        lane_stop(pipelines->lanes[i]);
}

void pipelines_abandon(struct pipelines *pipelines)
{
    for (size_t i = 0; i < pipelines->count; i++)
        lane_abandon(pipelines->lanes[i]);
}

int pipelines_join(struct pipelines *pipelines)
{
    int exit_code = 0;
    if (!pipelines)
        return 0;
    /* The server and the guard read the lanes: they go first. */
    actions_stop(pipelines->actions);
    http_stop(pipelines->http);
    actions_close(pipelines->actions);
    trends_stop(pipelines->trends);
    guard_stop(pipelines->guard);
    stop_lookers(pipelines);
    source_guard_join(pipelines->sources);
    letter_counter_join(pipelines->letters);
    for (size_t i = 0; i < pipelines->verifier_count; i++)
        verifier_join(pipelines->verifiers[i]);
    for (size_t i = 0; i < pipelines->inspector_count; i++)
        inspector_join(pipelines->inspectors[i]);
    for (size_t i = 0; i < pipelines->keeper_count; i++)
        keeper_join(pipelines->keepers[i]);
    for (size_t i = 0; i < pipelines->running_count; i++)
        if (pipelines->running[i].shared.helper)
            pipelines->running[i].shared.helper->ops->stop(pipelines->running[i].shared.helper);
    for (size_t i = 0; i < pipelines->running_count; i++)
        watch_leave(pipelines->running[i].shared.watch);
    for (size_t i = 0; i < pipelines->running_count; i++)
        watch_stop(pipelines->running[i].shared.watch);
    for (size_t i = 0; i < pipelines->count; i++) {
        int code = lane_join(pipelines->lanes[i]);
        if (!exit_code)
            exit_code = code;
    }
    tracer_stop(pipelines->tracer); /* behind the lanes, whose last spans it sends */
    /* The lanes' decoders read what these know. */
    for (size_t i = 0; i < pipelines->running_count; i++) {
        worker_close_helper(pipelines->running[i].shared.helper);
        watch_close(pipelines->running[i].shared.watch);
        fuse_done(&pipelines->running[i].shared.fuse);
        moves_done(&pipelines->running[i].shared.moves);
        table_counts_done(&pipelines->running[i].shared.tables);
        quality_counts_done(&pipelines->running[i].shared.quality);
    }
    if (pipelines->finished_fd >= 0)
        close(pipelines->finished_fd);
    free(pipelines->lanes);
    free(pipelines->verifiers);
    free(pipelines->inspectors);
    free(pipelines->keepers);
    free(pipelines->running);
    free(pipelines);
    return exit_code;
}
