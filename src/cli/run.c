/* ods-sink run: the daemon. The main thread starts everything and then only watches: signals, lanes
 * that end, systemd's watchdog.
 *
 * First SIGTERM or SIGINT: what is in flight is finished, within shutdown_timeout_ms. What is not
 * by three quarters of that time is given up, which is safe: it is read again. A second one ends
 * the process at once, which is as safe.
 *
 * Passwords and certificates that are replaced in their files: the lanes end in the same way, and
 * others start with what the files have now. The process stays.
 */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/settings_json.h"
#include "core/log.h"
#include "core/time.h"
#include "pipeline/notify.h"
#include "pipeline/pipeline.h"
#include "pipeline/signals.h"
#include "source/kafka/kafka.h"

#define FILES_LOOK_US  5000000
#define LAST_MOMENT_US INT64_C(1000000)
#define TRIM_US        INT64_C(10000000)
#define TRIM_CALM_US   INT64_C(2000000)
#define TRIM_BYTES     ((size_t) 4 << 20)
#define TRIM_REST      1000 /* times as long as it took */

struct run_options {
    const char *config;
    const char *level; /* kept across reloads; NULL: as configured */
};

struct daemon {
    const char *path;
    const char *level;     /* of the options */
    struct config *config; /* the one that the lanes run by */
    struct log_settings log;
    struct pipelines *pipelines;
    int signal_fd;
    int64_t shutdown_timeout_ms;
    int64_t stopping_us; /* when it began, 0: running */
    struct config *renewed; /* what the lanes run by when these have ended; NULL: they run on */
    int64_t renewing_us;
    /* The stamps of the files that the configuration names: as they were when it was read, or last
     * looked at in vain; and at the last look. */
    uint64_t files, files_seen;
    int64_t next_look_us, next_trim_us;
    int64_t trimmed_us, trimmed_cpu_us; /* when memory was given back, and what was used then */
    bool abandoned;
    unsigned signals;                 /* SIGTERM and SIGINT so far */
    size_t shown_joined, shown_ready; /* last told to systemd */
};

static bool parse_level(const char *name, enum log_level *level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0) {
            *level = (enum log_level) i;
            return true;
        }
    return false;
}

static void configure_log(struct daemon *daemon, const struct settings *settings)
{
    daemon->log = settings->log;
    if (daemon->level)
        parse_level(daemon->level, &daemon->log.level);
    log_configure(&daemon->log);
}

static void log_findings(const struct config *config)
{
    size_t count;
    const struct finding *findings = config_findings(config, &count);
    for (size_t i = 0; i < count; i++)
        log_event(findings[i].warning ? LOG_WARN : LOG_ERROR, NULL, "%s", findings[i].text);
}

/* Each line that config_compare() writes becomes one of the log. */
static void log_restart_needed(const struct config *old, const struct config *new)
{
    char *text = NULL, *rest, *line;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (!out)
        return;
    size_t count = config_compare(old, new, out);
    fclose(out);
    if (count)
        log_warn("%zu changed setting%s count%s only after a restart:", count,
                 count == 1 ? "" : "s", count == 1 ? "s" : "");
    for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        log_warn("%s", line);
    free(text);
}

/* The lanes end, and start anew by this configuration, which is the daemon's from here on. */
static void renew(struct daemon *daemon, struct config *config)
{
    log_info("passwords or certificates in files have changed: starting all pipelines anew with "
             "them");
    config_free(daemon->renewed);
    daemon->renewed = config;
    daemon->files = config_files_loaded(config);
    daemon->renewing_us = time_monotonic_us();
    pipelines_stop(daemon->pipelines);
}

/* What the daemon runs by, for /configuration: its text is made here, since the settings of a
 * reload (NULL: there was none) are gone when it is done. */
static void show_configuration(struct daemon *daemon, const struct config *reloaded)
{
    if (!*config_settings(daemon->config)->http.listen)
        return; /* nobody can ask for it */
    json_t *settings = settings_json(daemon->config, reloaded);
    if (settings && daemon->level)
        json_object_set_new(settings, "log.level", cli_json(daemon->level));
    json_t *root = json_pack("{s:o}", "settings", settings);
    pipelines_show_configuration(daemon->pipelines, root ? json_dumps(root, JSON_INDENT(2)) : NULL);
    json_decref(root);
}

static void reload(struct daemon *daemon)
{
    struct config *new = NULL;
    notify_send("RELOADING=1\nMONOTONIC_USEC=%lld", (long long) time_monotonic_us());
    if (config_load(&new, daemon->path) != ODS_OK) {
        log_findings(new);
        log_error("%s is not valid: going on with the settings as they were", daemon->path);
    } else {
        const struct settings *settings = config_settings(new);
        log_findings(new);
        configure_log(daemon, settings);
        pipelines_reload(daemon->pipelines, settings);
        daemon->shutdown_timeout_ms = settings->shutdown_timeout_ms;
        log_info("reloaded %s", daemon->path);
        if (config_files_loaded(new) != daemon->files && !daemon->stopping_us) {
            renew(daemon, new);
            new = NULL;
        } else {
            show_configuration(daemon, new);
            log_restart_needed(daemon->config, new);
        }
    }
    config_free(new);
    notify_send("READY=1");
}

/* Once what was replaced has been the same for two looks, since a key follows its certificate. */
static void look_at_files(struct daemon *daemon, int64_t now_us)
{
    if (daemon->stopping_us || daemon->renewed || now_us < daemon->next_look_us)
        return;
    daemon->next_look_us = now_us + FILES_LOOK_US;
    uint64_t seen = config_files_now(daemon->config), before = daemon->files_seen;
    daemon->files_seen = seen;
    if (!seen || seen == daemon->files || seen != before)
        return;
    struct config *new = NULL;
    daemon->files = seen;
    if (config_load(&new, daemon->path) == ODS_OK) {
        renew(daemon, new);
        return;
    }
    log_findings(new);
    log_error("passwords or certificates in files have changed, but %s is not valid: going on as "
              "before",
              daemon->path);
    config_free(new);
}

/* What a backlog took is free when it is worked off, but in pages between others. Whoever allocates
 * meanwhile waits, so a heap in which it takes long is looked through the less often. What it
 * allocates next may stand anywhere between them: while little is done, pages are given back before
 * many are in use again; while much is, at half a processor or more, they are wanted again at
 * once. */
static void give_memory_back(struct daemon *daemon, int64_t now_us)
{
    if (now_us < daemon->next_trim_us)
        return;
    daemon->next_trim_us = now_us + TRIM_CALM_US;
    int64_t used_us = time_cpu_us(), passed_us = now_us - daemon->trimmed_us;
    bool calm = 2 * (used_us - daemon->trimmed_cpu_us) < passed_us;
    if (!calm && passed_us < TRIM_US)
        return;
    int64_t began_us = time_monotonic_us();
    if (mallinfo2().fordblks > TRIM_BYTES)
        malloc_trim(0);
    daemon->trimmed_us = now_us;
    daemon->trimmed_cpu_us = used_us;
    daemon->next_trim_us += TRIM_REST * (time_monotonic_us() - began_us);
}

static void begin_stop(struct daemon *daemon, const char *why)
{
    if (daemon->stopping_us)
        return;
    daemon->stopping_us = time_monotonic_us();
    log_info("stopping: %s", why);
    notify_send("STOPPING=1\nSTATUS=stopping: %s", why);
    pipelines_stop(daemon->pipelines);
}

static void take_signals(struct daemon *daemon)
{
    int number;
    while ((number = signals_take(daemon->signal_fd))) {
        if (number == SIGHUP) {
            reload(daemon);
            continue;
        }
        if (daemon->signals++) {
            log_warn("%s again: ending at once", strsignal(number));
            _exit(128 + number);
        }
        begin_stop(daemon, strsignal(number));
    }
}

static void tell_systemd(struct daemon *daemon, const struct pipelines_state *state)
{
    if (daemon->stopping_us ||
        (state->joined == daemon->shown_joined && state->ready == daemon->shown_ready))
        return;
    daemon->shown_joined = state->joined;
    daemon->shown_ready = state->ready;
    notify_send("STATUS=%zu lanes: %zu in their group, %zu ready", state->lanes, state->joined,
                state->ready);
}

/* True while there is something to wait for. */
static bool keep_deadlines(struct daemon *daemon)
{
    int64_t began_us = daemon->stopping_us ? daemon->stopping_us : daemon->renewing_us;
    if (!began_us)
        return true;
    int64_t elapsed_ms = (time_monotonic_us() - began_us) / 1000;
    if (!daemon->abandoned && elapsed_ms >= daemon->shutdown_timeout_ms * 3 / 4) {
        daemon->abandoned = true;
        log_warn("not done after %lld ms: giving up what is in flight; it will be read again",
                 (long long) elapsed_ms);
        pipelines_abandon(daemon->pipelines);
    }
    return elapsed_ms < daemon->shutdown_timeout_ms;
}

static void take_renewed(struct daemon *daemon)
{
    const struct settings *settings = config_settings(daemon->renewed);
    configure_log(daemon, settings);
    daemon->shutdown_timeout_ms = settings->shutdown_timeout_ms;
    if (!kafka_left_running()) /* whose threads may read it */
        config_free(daemon->config);
    daemon->config = daemon->renewed;
    daemon->renewed = NULL;
}

/* There are no lanes: waits some seconds, then takes what the files have now. False: a signal says
 * that it is to end. */
static bool wait_for_files(struct daemon *daemon)
{
    struct pollfd fd = {.fd = daemon->signal_fd, .events = POLLIN};
    int number;
    notify_send("WATCHDOG=1");
    poll(&fd, 1, (int) (FILES_LOOK_US / 1000));
    while ((number = signals_take(daemon->signal_fd)))
        if (number != SIGHUP)
            return false;
    struct config *new = NULL;
    if (config_load(&new, daemon->path) == ODS_OK) {
        daemon->files = daemon->files_seen = config_files_loaded(new);
        daemon->renewed = new;
        take_renewed(daemon);
    } else {
        log_findings(new);
        config_free(new);
    }
    return true;
}

struct last_moment {
    struct timespec at;
    int code;
};

static void end_late(int code)
{
    log_warn("still not done: ending; nothing is lost");
    _exit(code);
}

static void *end_at_last_moment(void *context)
{
    const struct last_moment *moment = context;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &moment->at, NULL) == EINTR)
        continue;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    end_late(moment->code);
    return NULL;
}

/* The lanes have ended, and what they had goes. That may take for ever: librdkafka 2.0 waits,
 * where a client is destroyed after a cluster was made anew, for a thread of its own that does not
 * end. So it has what is left of shutdown_timeout_ms, a second at least; then the process ends with
 * late_code. Else the answer is pipelines_join()'s. */
static int join_in_time(struct daemon *daemon, int late_code)
{
    int64_t began_us = daemon->stopping_us ? daemon->stopping_us : daemon->renewing_us;
    int64_t now_us = time_monotonic_us(), least_us = now_us + LAST_MOMENT_US;
    int64_t at_us = (began_us ? began_us : now_us) + daemon->shutdown_timeout_ms * 1000;
    if (at_us < least_us)
        at_us = least_us;
    const struct last_moment moment = {
        .at = {.tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000}, .code = late_code};
    pthread_t thread;
    bool watched = pthread_create(&thread, NULL, end_at_last_moment, (void *) &moment) == 0;
    int code = pipelines_join(daemon->pipelines);
    daemon->pipelines = NULL;
    if (watched) {
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
    return code;
}

/* The lanes have ended. A failure's exit code, else 0; *told: a signal came meanwhile. */
static int start_anew(struct daemon *daemon, bool *told)
{
    struct error error;
    int code = join_in_time(daemon, CLI_INTERNAL);
    if (code)
        return code;
    take_renewed(daemon);
    daemon->renewing_us = 0;
    daemon->abandoned = false;
    error_init(&error);
    while (pipelines_start(&daemon->pipelines, config_settings(daemon->config), &code, &error) !=
           ODS_OK) {
        daemon->pipelines = NULL;
        log_error("%s; it ran before passwords or certificates in files have changed: tried again "
                  "with what they have in %d s",
                  error.text, (int) (FILES_LOOK_US / 1000000));
        notify_send("STATUS=can't go on with the passwords and certificates in files: %s",
                    error.text);
        *told = !wait_for_files(daemon);
        if (*told)
            return CLI_OK;
        error_init(&error);
    }
    return CLI_OK;
}

static int watch(struct daemon *daemon)
{
    int64_t watchdog_us = notify_watchdog_us(), next_ping_us = 0;
    struct pollfd fds[] = {{.fd = daemon->signal_fd, .events = POLLIN},
                           {.fd = pipelines_fd(daemon->pipelines), .events = POLLIN}};
    struct pipelines_state state;
    int timeout_ms = 1000;
    if (watchdog_us && watchdog_us / 3000 < timeout_ms)
        timeout_ms = watchdog_us < 3000 ? 1 : (int) (watchdog_us / 3000);
    notify_send("READY=1");
    show_configuration(daemon, NULL);
    for (;;) {
        poll(fds, 2, daemon->stopping_us || daemon->renewed ? 50 : timeout_ms);
        take_signals(daemon);
        pipelines_look(daemon->pipelines, &state);
        if (state.ended == state.lanes && !state.looking) {
            if (!daemon->renewed || daemon->stopping_us)
                break;
            bool told = false;
            int code = start_anew(daemon, &told);
            if (code || told)
                return code;
            fds[1].fd = pipelines_fd(daemon->pipelines);
            show_configuration(daemon, NULL);
            continue;
        }
        if (state.failed || (state.ended && !daemon->renewed))
            begin_stop(daemon, "a lane has stopped");
        tell_systemd(daemon, &state);
        int64_t now_us = time_monotonic_us();
        look_at_files(daemon, now_us);
        give_memory_back(daemon, now_us);
        if (watchdog_us && !state.stuck && now_us >= next_ping_us) {
            notify_send("WATCHDOG=1");
            next_ping_us = now_us + watchdog_us / 3;
        }
        if (!keep_deadlines(daemon))
            end_late(state.failed ? state.failed : daemon->stopping_us ? CLI_OK : CLI_INTERNAL);
    }
    return join_in_time(daemon, state.failed);
}

static int run(const struct call *call, void *given)
{
    const struct run_options *options = given;
    struct daemon daemon = {.path = options->config, .level = options->level, .signal_fd = -1};
    struct error error;
    error_init(&error);
    int code = cli_load(&daemon.config, daemon.path);
    if (code != CLI_OK)
        goto out;
    const struct settings *settings = config_settings(daemon.config);
    configure_log(&daemon, settings);
    daemon.shutdown_timeout_ms = settings->shutdown_timeout_ms;
    daemon.files = daemon.files_seen = config_files_loaded(daemon.config);
    code = CLI_INTERNAL;
    /* Messages are freed by other threads than those that allocate them: with an arena a thread, as
     * by default, what is free in one is of no use to the others and memory doubles. */
    mallopt(M_ARENA_MAX, 2);
    /* What a fetch or a batch gives back is wanted again at once: given to the system, each of its
     * pages would cost a fault. 0.2 us less an event of 0.9 KB, 1 us less of 4.3 KB. */
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    mallopt(M_TRIM_THRESHOLD, 32 << 20);
    /* From that line on a signal ends the daemon in its own way. */
    enum ods_status status = signals_open(&daemon.signal_fd, &error);
    log_open_journal(LOG_JOURNAL);
    log_info("ods-sink %s starts with %s", ODS_VERSION, daemon.path);
    if (status == ODS_OK &&
        pipelines_start(&daemon.pipelines, settings, &code, &error) == ODS_OK) {
        code = watch(&daemon);
        log_info("stopped");
    } else {
        log_error("%s", error.text);
    }
out:
    if (daemon.signal_fd >= 0)
        close(daemon.signal_fd);
    config_free(daemon.config);
    config_free(daemon.renewed);
    if (kafka_left_running()) {
        fflush(NULL);
        _exit(code);
    }
    return code;
}

static const struct parameter options[] = {
    OPTION_CONFIG(struct run_options),
    OPTION(struct run_options, level, "log-level", &argument_choice,
           "whatever the configuration says", .value = "LEVEL", .choices = "error|warn|info|debug"),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_OK, "It was told to stop, and did."},
    {CLI_NEGATIVE, "A lane was told to stop at a bad record."},
    EXIT_IS_CONFIG,
    {CLI_SOURCE, "The source failed in a way that waiting does not mend."},
    {CLI_TARGET, "A target failed in a way that waiting does not mend."},
    {CLI_INTERRUPTED, "A second signal came: 128 and its number."},
    {0}};

static const struct example examples[] = {
    {"ods-sink run -c /etc/ods-sink/ods-sink.conf",
     "What the systemd unit starts. It stays in the foreground."},
    {0}};

static const struct section sections[] = {
    {"SIGNALS",
     "SIGTERM, SIGINT\n"
     "  Stop fetching, finish what is in flight, commit, leave the consumer group and exit 0. A "
     "second one exits at once; what was not committed comes again.\n\n"
     "SIGHUP\n"
     "  Read the configuration again, and take over logging, batch ceilings, retries and the "
     "shutdown timeout. The log names the settings that have changed and wait for a restart. Where "
     "a file was replaced that values come from (`${file:...}`) or that holds a certificate or "
     "key, all pipelines end and start anew by both files, in the same process. That also happens "
     "by itself, some seconds after the file was replaced."},
    {0}};

const struct command cli_run = {
    .name = "run",
    .chapter = "Moving",
    .summary = "move changes from Kafka to the targets until told to stop",
    .description =
        "Stays in the foreground and logs to standard error. Started by systemd it reports "
        "readiness and answers the watchdog. While Kafka or a target is away it waits and tries "
        "again.\n\n"
        "SIGTERM or SIGINT finishes what is in flight and leaves; a second one leaves at once. "
        "SIGHUP reads the configuration again.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .sections = sections,
    .options_size = sizeof(struct run_options),
    .run = run,
};
