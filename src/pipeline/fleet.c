/* See fleet.h. */
#include "pipeline/fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "core/utf8.h"
#include "pipeline/condition.h"
#include "pipeline/json_text.h"
#include "pipeline/watch.h"

#define BEAT_US   INT64_C(5000000)
#define REFUSE_US INT64_C(60000000) /* between two tries without the rights */
#define SILENT_S  20                /* without a beat, and a process counts as silent */

void fleet_init(struct fleet *fleet)
{
    *fleet = (struct fleet){.changes = -1};
    pthread_mutex_init(&fleet->mutex, NULL);
}

void fleet_done(struct fleet *fleet)
{
    free(fleet->all.items);
    pthread_mutex_destroy(&fleet->mutex);
}

/* --- how this process is ---------------------------------------------------------------------- */

/* "topic 0-3, 5; other 0"; what does not fit is counted. */
struct list {
    char *text;
    size_t size, length, left_out;
    const char *topic;
    int32_t first, last;
};

static void put_range(struct list *list, bool new_topic)
{
    char text[400];
    size_t room = list->size - list->length - sizeof "; and 1000000 more";
    int wrote = 0;
    if (!list->topic)
        return;
    if (new_topic)
        wrote = snprintf(text, sizeof text, "%s%.249s ", list->length ? "; " : "", list->topic);
    else
        wrote = snprintf(text, sizeof text, ", ");
    wrote += snprintf(text + wrote, sizeof text - (size_t) wrote,
                      list->first == list->last ? "%d" : "%d-%d", (int) list->first,
                      (int) list->last);
    if (list->left_out || (size_t) wrote >= room) {
        list->left_out += (size_t) (list->last - list->first) + 1;
        return;
    }
    memcpy(list->text + list->length, text, (size_t) wrote + 1);
    list->length += (size_t) wrote;
}

static int by_place(const void *a, const void *b)
{
    const struct lane_partition *one = a, *other = b;
    int order = strcmp(one->topic, other->topic);
    return order ? order : (one->number > other->number) - (one->number < other->number);
}

static void put_places(struct fleet_member *self, const struct lane_partition *places,
                       size_t count)
{
    struct list list = {.text = self->assigned, .size = sizeof self->assigned};
    bool new_topic = true;
    self->assigned[0] = '\0';
    for (size_t i = 0; i <= count; i++) {
        const struct lane_partition *place = i < count ? &places[i] : NULL;
        bool same = place && list.topic && strcmp(place->topic, list.topic) == 0;
        if (same && place->number == list.last + 1) {
            list.last++;
            continue;
        }
        put_range(&list, new_topic);
        new_topic = !same;
        if (place) {
            list.topic = place->topic;
            list.first = list.last = place->number;
        }
    }
    if (list.left_out)
        snprintf(list.text + list.length, list.size - list.length, "; and %zu more",
                 list.left_out);
}

/* Topics' names are interned for as long as their lane lasts. */
static bool collect(struct fleet_member *self, struct lane *const *lanes, size_t count)
{
    struct lane_partition *places = NULL;
    size_t total = 0;
    bool good = true;
    for (size_t i = 0; good && i < count; i++) {
        size_t more;
        const struct lane_partition *from = lane_lock_partitions(lanes[i], &more);
        struct lane_partition *larger =
            more ? realloc(places, (total + more) * sizeof *larger) : places;
        good = larger || !more;
        if (good && more) {
            memcpy(larger + total, from, more * sizeof *larger);
            places = larger;
            total += more;
        }
        lane_unlock_partitions(lanes[i]);
    }
    if (good) {
        if (total)
            qsort(places, total, sizeof *places, by_place);
        self->partitions = (int32_t) total;
        put_places(self, places, total);
    }
    free(places);
    return good;
}

/* Where its page is; one that listens everywhere is reached by its host's name. */
static void put_address(struct fleet_member *self, const struct http_settings *http)
{
    const char *listen = http->listen, *colon = strrchr(listen, ':');
    size_t length = colon ? (size_t) (colon - listen) : 0;
    bool everywhere = !length || strncmp(listen, "0.0.0.0:", 8) == 0 ||
                      strncmp(listen, "[::]:", 5) == 0;
    if (colon)
        snprintf(self->address, sizeof self->address, "http%s://%.*s%.16s/",
                 *http->certificate ? "s" : "",
                 everywhere ? (int) strlen(self->host) : (int) (length < 250 ? length : 250),
                 everywhere ? self->host : listen, colon);
}

static void begin(struct fleet_member *self, const struct worker_origin *origin, const char *name,
                  size_t lanes)
{
    snprintf(self->name, sizeof self->name, "%s", name);
    snprintf(self->pipeline, sizeof self->pipeline, "%s", origin->pipeline->name);
    snprintf(self->version, sizeof self->version, "%s", ODS_VERSION);
    gethostname(self->host, sizeof self->host - 1);
    self->process = getpid();
    self->lanes = (int32_t) lanes;
    self->started_us = time_wall_us();
    put_address(self, &origin->settings->http);
}

/* Changes a second since the beat before. */
static void put_rate(struct fleet *fleet, struct lane *const *lanes, size_t count)
{
    int64_t changes = 0, now_us = time_monotonic_us();
    for (size_t i = 0; i < count; i++)
        changes += (int64_t) atomic_load(&lane_metrics(lanes[i])->changes);
    double seconds = (double) (now_us - fleet->changes_us) / 1e6;
    fleet->self.rate = fleet->changes >= 0 && seconds > 0 && changes > fleet->changes
                           ? (double) (changes - fleet->changes) / seconds
                           : 0;
    fleet->changes = changes;
    fleet->changes_us = now_us;
}

static bool look(struct fleet *fleet, const struct condition *condition,
                 struct lane *const *lanes, size_t count)
{
    struct fleet_member *self = &fleet->self;
    snprintf(self->state, sizeof self->state, "%s", condition->state);
    snprintf(self->level, sizeof self->level, "%s", condition_level_name(condition->level));
    utf8_copy(self->says, sizeof self->says, condition->says, strlen(condition->says));
    self->lag = condition->lag;
    put_rate(fleet, lanes, count);
    return collect(self, lanes, count);
}

/* --- the watching thread ---------------------------------------------------------------------- */

void fleet_away(struct fleet *fleet, const struct error *error)
{
    pthread_mutex_lock(&fleet->mutex);
    snprintf(fleet->problem, sizeof fleet->problem, "%s", error->text);
    pthread_mutex_unlock(&fleet->mutex);
}

static void take(struct fleet *fleet, const struct fleet_members *all)
{
    pthread_mutex_lock(&fleet->mutex);
    free(fleet->all.items);
    fleet->all = *all;
    fleet->read_us = time_wall_us();
    fleet->problem[0] = '\0';
    pthread_mutex_unlock(&fleet->mutex);
}

enum ods_status fleet_keep(struct fleet *fleet, struct sink *sink,
                           const struct worker_origin *origin, const char *name,
                           struct lane *const *lanes, size_t count, struct error *error)
{
    const struct control_ops *control = sink->ops->control;
    struct fleet_members all = {0};
    struct condition condition;
    int64_t now_us = time_monotonic_us();
    if (!control->beat || !count || (fleet->refused && now_us < fleet->due_us))
        return ODS_OK;
    condition_of_pipeline(&condition, lanes, count, NULL);
    if (now_us < fleet->due_us && strcmp(condition.state, fleet->self.state) == 0)
        return ODS_OK;
    fleet->due_us = now_us + BEAT_US;
    if (!*fleet->self.name)
        begin(&fleet->self, origin, name, count);
    if (!look(fleet, &condition, lanes, count))
        return error_out_of_memory(error);
    enum ods_status status = control->beat(sink, &fleet->self, &all, error);
    if (status == ODS_OK) {
        fleet->refused = false;
        fleet->kept = true;
        take(fleet, &all);
        return ODS_OK;
    }
    free(all.items);
    fleet_away(fleet, error);
    if (status == ODS_RETRY)
        return status;
    bool known = fleet->refused;
    fleet->refused = true;
    fleet->due_us = now_us + REFUSE_US;
    return known ? ODS_OK : status;
}

void fleet_leave(struct fleet *fleet, struct sink *sink)
{
    struct error error;
    error_init(&error);
    if (fleet->kept && sink->ops->control->part)
        sink->ops->control->part(sink, fleet->self.name, &error); /* else it falls silent */
}

/* --- what it shows ---------------------------------------------------------------------------- */

static bool is_silent(const struct fleet_member *member)
{
    return member->silent_s >= SILENT_S;
}

static json_t *describe(const struct fleet_member *member, const char *self)
{
    char silent[200];
    bool is = is_silent(member);
    snprintf(silent, sizeof silent,
             "silent for %.0f s: it ended without leaving, or does not reach the target; its "
             "source gives its partitions to the others",
             member->silent_s);
    return json_pack("{s:o, s:b, s:o, s:I, s:o, s:o, s:i, s:o, s:o, s:o, s:i, s:o, s:o, s:f, s:f, "
                     "s:f}",
                     "member", text_of(member->name), "self", strcmp(member->name, self) == 0,
                     "host", text_of(member->host), "process", (json_int_t) member->process,
                     "version", text_of(member->version), "address",
                     *member->address ? text_of(member->address) : json_null(), "lanes",
                     (int) member->lanes, "state", text_of(is ? "silent" : member->state),
                     "level", text_of(is ? "warn" : member->level), "says",
                     text_of(is ? silent : member->says), "partitions", (int) member->partitions,
                     "assigned", text_of(member->assigned), "lag",
                     member->lag < 0 ? json_null() : json_integer(member->lag),
                     "changes_per_second", is ? 0 : member->rate, "started_at",
                     (double) member->started_us / 1e6, "beat_at", (double) member->beat_us / 1e6);
}

static json_t *describe_fleet(struct fleet *fleet, const struct lane_status *status)
{
    json_t *members = json_array();
    pthread_mutex_lock(&fleet->mutex);
    for (size_t i = 0; i < fleet->all.count; i++)
        json_array_append_new(members, describe(&fleet->all.items[i], fleet->self.name));
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:o, s:o}", "pipeline", text_of(status->pipeline), "group",
        text_of(status->group), "problem",
        *fleet->problem ? text_of(fleet->problem) : json_null(), "read_at",
        fleet->read_us ? json_real((double) fleet->read_us / 1e6) : json_null(), "members",
        members);
    pthread_mutex_unlock(&fleet->mutex);
    return object;
}

/* NULL: the lane is not its pipeline's first, or its target keeps nothing of it. */
static struct fleet *fleet_of(struct lane *lane, struct lane_status *status)
{
    lane_status(lane, status);
    struct watch *watch = lane_watch(lane);
    return watch && !status->index ? watch_fleet(watch) : NULL;
}

json_t *fleets_describe(struct lane *const *lanes, size_t count)
{
    struct lane_status status;
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        struct fleet *fleet = fleet_of(lanes[i], &status);
        if (fleet)
            json_array_append_new(list, describe_fleet(fleet, &status));
    }
    return list;
}

static void put_counts(struct fleet *fleet, const struct lane_status *status, struct buffer *out)
{
    size_t silent = 0;
    pthread_mutex_lock(&fleet->mutex);
    size_t count = fleet->all.count;
    for (size_t i = 0; i < count; i++)
        silent += is_silent(&fleet->all.items[i]);
    pthread_mutex_unlock(&fleet->mutex);
    const char *there[] = {"pipeline", status->pipeline, "state", "there", NULL};
    const char *gone[] = {"pipeline", status->pipeline, "state", "silent", NULL};
    metrics_put(out, "group_members", there, (double) (count - silent));
    metrics_put(out, "group_members", gone, (double) silent);
}

void fleets_metrics(struct lane *const *lanes, size_t count, struct buffer *out)
{
    struct lane_status status;
    bool any = false;
    for (size_t i = 0; i < count; i++) {
        struct fleet *fleet = fleet_of(lanes[i], &status);
        if (fleet && !any)
            metrics_head(out, "group_members", "gauge",
                         "Processes of the pipeline's group, by whether they told the target "
                         "lately that they are there");
        any |= fleet != NULL;
        if (fleet)
            put_counts(fleet, &status, out);
    }
}
