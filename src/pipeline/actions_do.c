/* What each action is. See actions.h.
 *
 * A pause is an order that the target keeps, as `ods-sink pause` gives it: every process of the
 * group obeys it, this one too, by the watch (watch.c, obey.c). Letters are replayed by `ods-sink
 * dlq replay` in a process of its own. A comparison is the verifier's next one, begun now.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/exit.h"
#include "core/time.h"
#include "pipeline/actions_room.h"
#include "pipeline/lane.h"
#include "pipeline/verifier.h"
#include "pipeline/watch.h"

#define OBEY_US  INT64_C(10000000) /* how long the answer waits for the group's processes */
#define ASK_MS   100
#define NAMED    5   /* tables that are named, of a topic that carries more */
#define WAIT     "--wait=10" /* seconds that a replay waits for a target that is away */

/* --- which topics ---------------------------------------------------------------------------- */

static enum ods_status add_topic(struct job *job, const char *topic, struct error *error)
{
    if (strings_contain(&job->topics, topic))
        return ODS_OK;
    const char **items =
        realloc(job->topics.items, (job->topics.count + 1) * sizeof *job->topics.items);
    if (!items)
        return error_out_of_memory(error);
    items[job->topics.count++] = topic;
    job->topics.items = items;
    return ODS_OK;
}

static bool same_target(const struct topic_table *a, const struct topic_table *b)
{
    return strcmp(a->target_schema, b->target_schema) == 0 &&
           strcmp(a->target_table, b->target_table) == 0;
}

/* Is it the first row of these topics that goes to its table? */
static bool is_first(const struct job *job, size_t at)
{
    const struct topic_table *row = &job->known.items[at];
    if (!strings_contain(&job->topics, row->topic))
        return false;
    for (size_t i = 0; i < at; i++)
        if (strings_contain(&job->topics, job->known.items[i].topic) &&
            same_target(&job->known.items[i], row))
            return false;
    return true;
}

/* "public.orders, public.lines": the tables of the topics, each once. */
static size_t name_tables(struct job *job)
{
    size_t count = 0;
    for (size_t i = 0; i < job->known.count; i++) {
        const struct topic_table *row = &job->known.items[i];
        if (!is_first(job, i))
            continue;
        if (count++ < NAMED)
            buffer_printf(&job->tables, "%s%s.%s", count > 1 ? ", " : "", row->target_schema,
                          row->target_table);
    }
    if (count > NAMED)
        buffer_printf(&job->tables, " and %zu more", count - NAMED);
    return count;
}

static bool carries_others(const struct job *job, const char *table)
{
    for (size_t i = 0; i < job->known.count; i++)
        if (is_first(job, i) && !topic_table_is(&job->known.items[i], table))
            return true;
    return false;
}

/* By the table's name: the topics that have brought rows of it. */
static enum action_result find_table(struct job *job, const char *table, struct error *error)
{
    for (size_t i = 0; i < job->known.count; i++)
        if (topic_table_is(&job->known.items[i], table) &&
            add_topic(job, job->known.items[i].topic, error) != ODS_OK)
            return ACTION_FAILED;
    if (!job->topics.count) {
        error_set(error, ODS_REJECT,
                  "pipeline %s has brought no row of a table %.200s yet: a topic's name can be "
                  "given as \"topic\"",
                  job->pipeline->name, table);
        return ACTION_UNKNOWN;
    }
    name_tables(job);
    if (!carries_others(job, table) || job_flag(job, "whole_topic"))
        return ACTION_DONE;
    error_set(error, ODS_REJECT,
              "topic %s carries several tables (%s), which stand or go on together: \"topic\", or "
              "\"whole_topic\": true, says that all of them are meant",
              job->topics.items[0], buffer_text(&job->tables));
    return ACTION_REFUSED;
}

static enum action_result find_topics(struct job *job, struct error *error)
{
    const char *topic = job_text(job, "topic"), *table = job_text(job, "table");
    if (!*topic == !*table) {
        error_set(error, ODS_REJECT, "say which \"table\" is meant, or which \"topic\"");
        return ACTION_WRONG;
    }
    if (strcmp(job->pipeline->input.type, "kafka") != 0) {
        error_set(error, ODS_REJECT, "pipeline %s does not read Kafka: its tables can't be held",
                  job->pipeline->name);
        return ACTION_REFUSED;
    }
    job->called = *table ? table : topic;
    if (*table)
        return find_table(job, table, error);
    if (!pipeline_reads(job->pipeline, topic)) {
        error_set(error, ODS_REJECT, "pipeline %s does not read topic %.200s", job->pipeline->name,
                  topic);
        return ACTION_UNKNOWN;
    }
    if (add_topic(job, topic, error) != ODS_OK)
        return ACTION_FAILED;
    if (name_tables(job) == 1)
        job->called = buffer_text(&job->tables);
    return ACTION_DONE;
}

/* "public.orders (topic shop.orders)", "topics a, b". */
static void put_place(struct job *job)
{
    bool known = job->tables.length > 0;
    if (known)
        buffer_printf(&job->says, "%s (", buffer_text(&job->tables));
    buffer_puts(&job->says, job->topics.count > 1 ? "topics " : "topic ");
    for (size_t i = 0; i < job->topics.count && i < NAMED; i++)
        buffer_printf(&job->says, "%s%s", i ? ", " : "", job->topics.items[i]);
    buffer_puts(&job->says, job->topics.count > NAMED ? " …" : "");
    buffer_puts(&job->says, known ? ")" : "");
}

/* --- orders ---------------------------------------------------------------------------------- */

static struct watch *watch_of(const struct job *job)
{
    for (size_t i = 0; i < job->actions->lane_count; i++) {
        struct lane_status status;
        lane_status(job->actions->lanes[i], &status);
        if (strcmp(status.pipeline, job->pipeline->name) == 0)
            return lane_watch(job->actions->lanes[i]);
    }
    return NULL;
}

/* Records that wait in the topics, as far as is known; -1: it is not. */
static int64_t backlog(const struct job *job)
{
    struct watch *watch = watch_of(job);
    int64_t sum = -1;
    size_t count;
    if (!watch)
        return -1;
    const struct watch_held *held = watch_lock(watch, &count);
    for (; count; count--, held++)
        if (held->backlog >= 0 && strings_contain(&job->topics, held->order->topic))
            sum = (sum < 0 ? 0 : sum) + held->backlog;
    watch_unlock(watch);
    return sum;
}

static enum action_result find_pause(struct job *job, struct error *error)
{
    enum action_result result = find_topics(job, error);
    if (result == ACTION_DONE && !*job_text(job, "reason") && !job_flag(job, "dry_run")) {
        error_set(error, ODS_REJECT, "a \"reason\" is needed, for whoever finds it paused");
        return ACTION_WRONG;
    }
    if (result != ACTION_DONE)
        return result;
    put_place(job);
    buffer_printf(&job->says,
                  " will be held in every process of pipeline %s: what is on its way is applied, "
                  "then no row is written until somebody resumes it. Other tables go on. Its "
                  "records wait in Kafka, whose retention goes on too.",
                  job->pipeline->name);
    return ACTION_DONE;
}

static enum action_result find_resume(struct job *job, struct error *error)
{
    enum action_result result = find_topics(job, error);
    if (result != ACTION_DONE)
        return result;
    int64_t waiting = backlog(job);
    put_place(job);
    buffer_printf(&job->says,
                  " will go on in every process of pipeline %s, from where the target stands",
                  job->pipeline->name);
    if (waiting >= 0)
        buffer_printf(&job->says, "; %lld record%s", (long long) waiting,
                      waiting == 1 ? " waits" : "s wait");
    buffer_puts(&job->says, ".");
    return ACTION_DONE;
}

/* Has every process confirmed it? *late names one that has not. */
static enum ods_status obeyed(struct job *job, int64_t number, size_t *members, char *late,
                              size_t size, struct error *error)
{
    int64_t until_us = time_monotonic_us() + OBEY_US;
    const struct control_ops *control = job->sink->ops->control;
    for (;;) {
        struct control_members all = {0};
        enum ods_status status = control->members(job->sink, &all, error);
        const struct control_member *one = control_members_late(&all, number);
        snprintf(late, size, "%s", one ? one->name : "");
        *members = all.count;
        free(all.items);
        if (status != ODS_OK)
            return status;
        if (!*late)
            return control->settle(job->sink, &job->topics, error);
        if (time_monotonic_us() >= until_us || !job_waits(job, ASK_MS))
            return ODS_OK;
    }
}

static enum action_result give(struct job *job, enum order_state state, struct error *error)
{
    const bool pauses = state == ORDER_PAUSED;
    const struct control_request request = {
        .topics = job->topics,
        .allowed = {[ORDER_RUNNING] = pauses, [ORDER_PAUSED] = true, [ORDER_RESYNC] = !pauses},
        .state = state,
        .table = job->called,
        .action = action_name(job->request->action),
        .details = "",
        .reason = job_text(job, "reason"),
        .by = job->request->who};
    char late[128];
    int64_t number = 0;
    size_t members = 0;
    enum ods_status status =
        job->sink->ops->control->order(job->sink, &request, &number, error);
    if (status == ODS_REJECT)
        return ACTION_REFUSED;
    if (status != ODS_OK) { /* the target may have it all the same */
        error_prefix(error, "whether the order stands is not known, `paused` in /status tells: ");
        return ACTION_FAILED;
    }
    put_place(job);
    status = obeyed(job, number, &members, late, sizeof late, error);
    buffer_puts(&job->says, pauses ? " is paused" : " goes on");
    if (status != ODS_OK)
        buffer_printf(&job->says, "; whether every process obeys is not known: %s", error->text);
    else if (*late)
        buffer_printf(&job->says, "; %s has not confirmed yet that it obeys", late);
    else
        buffer_printf(&job->says, ": %s", members == 1 ? "the process of the group obeys"
                                                       : "all processes of the group obey");
    buffer_puts(&job->says, ".");
    return ACTION_DONE;
}

/* --- letters --------------------------------------------------------------------------------- */

/* The arguments of `ods-sink dlq` about this pipeline's letters. */
struct arguments {
    struct buffer pipeline, topic, config;
    const char *list[12];
};

static void arguments_init(struct arguments *arguments, struct job *job, const char *verb,
                           const char *wait)
{
    size_t count = 0;
    const char *topic = job_text(job, "topic");
    buffer_init(&arguments->pipeline);
    buffer_init(&arguments->topic);
    buffer_init(&arguments->config);
    buffer_printf(&arguments->pipeline, "--pipeline=%s", job->pipeline->name);
    buffer_printf(&arguments->topic, "--topic=%s", topic);
    buffer_printf(&arguments->config, "--config=%s", job->actions->settings->file);
    const char *words[] = {"dlq",
                           verb,
                           buffer_text(&arguments->config),
                           buffer_text(&arguments->pipeline),
                           "--json",
                           *topic ? buffer_text(&arguments->topic) : NULL,
                           wait};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (words[i])
            arguments->list[count++] = words[i];
    arguments->list[count] = NULL;
}

static void arguments_done(struct arguments *arguments)
{
    buffer_done(&arguments->pipeline);
    buffer_done(&arguments->topic);
    buffer_done(&arguments->config);
}

/* Of what it has written no more than CHILD_BYTES are kept: the list is cut, the numbers stand
 * before it. */
static void cut_list(struct buffer *out)
{
    const char *text = buffer_text(out), *at = NULL;
    if (out->length >= CHILD_BYTES && !(at = strstr(text, "\"refusals\"")))
        at = strstr(text, "\"kinds\"");
    if (!at)
        return;
    out->length = (size_t) (at - text);
    buffer_puts(out, "\"cut\": true}");
}

/* Runs it; its answer is in job->details. */
static enum action_result run_dlq(struct job *job, const char *verb, const char *wait,
                                  struct error *error)
{
    struct arguments arguments;
    struct buffer out, said;
    int code = CLI_INTERNAL;
    if (!job->actions->settings->file) {
        error_set(error, ODS_REJECT, "ods-sink dlq has no configuration file to read");
        return ACTION_REFUSED;
    }
    buffer_init(&out);
    buffer_init(&said);
    arguments_init(&arguments, job, verb, wait);
    enum ods_status status =
        child_run(&job->child, arguments.list, &code, &out, &said, error);
    cut_list(&out);
    json_decref(job->details);
    job->details = status == ODS_OK ? json_loadb(buffer_text(&out), out.length, 0, NULL) : NULL;
    bool whole = status == ODS_OK && (code == CLI_OK || code == CLI_NEGATIVE) && job->details;
    if (status == ODS_OK && !whole)
        error_set(error, ODS_RETRY, "ods-sink dlq %s ended with %d: %.800s", verb, code,
                  buffer_text(&said));
    arguments_done(&arguments);
    buffer_done(&out);
    buffer_done(&said);
    return whole ? ACTION_DONE : ACTION_FAILED;
}

static long long number_of(const struct job *job, const char *member)
{
    return (long long) json_integer_value(json_object_get(job->details, member));
}

static enum action_result find_replay(struct job *job, struct error *error)
{
    const struct dead_letter_settings *letters = &job->actions->settings->dead_letter;
    const char *topic = job_text(job, "topic");
    if (!*letters->topic && !*letters->table && !*letters->address) {
        error_set(error, ODS_REJECT, "there are no dead letters: nothing of dead_letter is set");
        return ACTION_REFUSED;
    }
    if (!job_flag(job, "dry_run"))
        return ACTION_DONE;
    enum action_result result = run_dlq(job, "list", NULL, error);
    if (result != ACTION_DONE)
        return result;
    long long count = number_of(job, "letters");
    json_decref(job->details);
    job->details = NULL;
    buffer_printf(&job->says,
                  "%lld dead letter%s of pipeline %s%s%s will be applied once more, each by itself "
                  "and only to a row that is not newer. What is refused again stays a letter.",
                  count, count == 1 ? "" : "s", job->pipeline->name, *topic ? ", topic " : "",
                  topic);
    return ACTION_DONE;
}

static enum action_result replay(struct job *job, struct error *error)
{
    enum action_result result = run_dlq(job, "replay", WAIT, error);
    if (result != ACTION_DONE)
        return result;
    long long refused = number_of(job, "refused");
    buffer_printf(&job->says, "%lld dead letter%s applied", number_of(job, "replayed"),
                  number_of(job, "replayed") == 1 ? " was" : "s were");
    if (refused)
        buffer_printf(&job->says, ", %lld %s refused again and %s", refused,
                      refused == 1 ? "was" : "were",
                      refused == 1 ? "stays a letter" : "stay letters");
    if (number_of(job, "handled_meanwhile"))
        buffer_printf(&job->says, ", %lld handled by somebody else meanwhile",
                      number_of(job, "handled_meanwhile"));
    buffer_puts(&job->says, ".");
    return ACTION_DONE;
}

/* --- comparing ------------------------------------------------------------------------------- */

static enum action_result hurry(struct job *job, bool look, struct error *error)
{
    enum ods_status status = verifiers_hurry(job->actions->verifiers, job->actions->verifier_count,
                                             job->pipeline->name, look, error);
    if (status != ODS_OK)
        return ACTION_REFUSED;
    if (look)
        buffer_printf(&job->says,
                      "What pipeline %s has written will be compared with its source %s now, by "
                      "reading both, at the pace that ods-sink.conf sets for it. Nothing is "
                      "changed.",
                      job->pipeline->name, job->pipeline->database);
    else
        buffer_printf(&job->says,
                      "The comparison of pipeline %s begins; its result will stand on the page and "
                      "in /status.",
                      job->pipeline->name);
    return ACTION_DONE;
}

enum action_result job_find(struct job *job, struct error *error)
{
    switch (job->request->action) {
    case ACTION_PAUSE:
        return find_pause(job, error);
    case ACTION_RESUME:
        return find_resume(job, error);
    case ACTION_REPLAY:
        return find_replay(job, error);
    default:
        return hurry(job, true, error);
    }
}

enum action_result job_do(struct job *job, struct error *error)
{
    switch (job->request->action) {
    case ACTION_PAUSE:
        return give(job, ORDER_PAUSED, error);
    case ACTION_RESUME:
        return give(job, ORDER_RUNNING, error);
    case ACTION_REPLAY:
        return replay(job, error);
    default:
        return hurry(job, false, error);
    }
}
