/* What the guard of sources shows. See source_guard.h. */
#include "pipeline/json_text.h"
#include "pipeline/metrics.h"
#include "pipeline/source_guard.h"
#include "pipeline/source_room.h"

const char *guarded_state(const struct guarded_log *log)
{
    return log->log.lost     ? "lost"
           : !log->log.known ? "unknown"
           : log->inactive_us ? "inactive"
                              : "ok";
}

/* --- metrics --------------------------------------------------------------------------------- */

enum gauge { RETAINED, UNREAD, SAFE, LEFT, WRITTEN, ACTIVE, INACTIVE, LOST, GAUGES };

static const struct {
    const char *name, *help;
} gauges[GAUGES] = {
    [RETAINED] = {"source_log_retained_bytes",
                  "What the source's log keeps from the connector's place on"},
    [UNREAD] = {"source_log_unread_bytes", "What of it the connector has yet to send"},
    [SAFE] = {"source_log_safe_bytes",
              "How much more the source may write before the slot's place is lost"},
    [LEFT] = {"source_log_left_seconds",
              "Until the source's log has lost the connector's place, at the present rate"},
    [WRITTEN] = {"source_log_written_bytes_per_second", "How fast the source's log grows"},
    [ACTIVE] = {"source_slot_active", "Whether the connector reads its slot"},
    [INACTIVE] = {"source_slot_inactive_seconds", "How long nobody has read the slot"},
    [LOST] = {"source_log_lost", "Whether the source's log has lost the connector's place"},
};

/* False: it is not known. */
static bool gauge_of(const struct guarded_log *guarded, bool slots, enum gauge gauge,
                     double *value)
{
    const struct source_log *log = &guarded->log;
    switch (gauge) {
    case RETAINED:
        *value = (double) log->retained;
        break;
    case UNREAD:
        *value = (double) log->unread;
        break;
    case SAFE:
        *value = (double) log->safe;
        return log->safe >= 0;
    case LEFT:
        *value = (double) guarded->left_ms / 1000;
        return guarded->left_ms >= 0;
    case WRITTEN:
        *value = guarded->written_rate;
        break;
    case ACTIVE:
        *value = log->active;
        return slots;
    case INACTIVE:
        *value = guarded->inactive_us
                     ? (double) (log->clock_us - guarded->inactive_us) / 1e6
                     : 0;
        return slots;
    case LOST:
        *value = log->lost;
        return log->lost || log->known;
    case GAUGES:
        return false;
    }
    return *value >= 0;
}

static void put_source(struct buffer *out, const struct guarded_source *source, enum gauge gauge)
{
    bool slots = strcmp(source->database->type, "postgres") == 0;
    for (size_t i = 0; i < source->log_count; i++) {
        const struct guarded_log *log = &source->logs[i];
        const char *labels[] = {"pipeline", source->pipeline->name, "database",
                                source->database->name, "slot", log->log.slot, NULL};
        double value = 0;
        if (gauge_of(log, slots, gauge, &value))
            metrics_put(out, gauges[gauge].name, labels, value);
    }
}

void source_guard_metrics(struct source_guard *guard, struct buffer *out)
{
    if (!guard)
        return;
    pthread_mutex_lock(&guard->mutex);
    metrics_head(out, "source_reachable", "gauge",
                 "Whether the last look at the source's log was answered");
    for (size_t i = 0; i < guard->count; i++) {
        const struct guarded_source *source = &guard->sources[i];
        const char *labels[] = {"pipeline", source->pipeline->name, "database",
                                source->database->name, NULL};
        if (source->looked_us)
            metrics_put(out, "source_reachable", labels, source->reached);
    }
    for (enum gauge gauge = 0; gauge < GAUGES; gauge++) {
        metrics_head(out, gauges[gauge].name, "gauge", gauges[gauge].help);
        for (size_t i = 0; i < guard->count; i++)
            put_source(out, &guard->sources[i], gauge);
    }
    pthread_mutex_unlock(&guard->mutex);
    connector_watch_metrics(guard->connectors, out);
}

/* --- /status --------------------------------------------------------------------------------- */

static json_t *bytes(int64_t value)
{
    return value < 0 ? json_null() : json_integer(value);
}

static json_t *name_or_null(const char *text)
{
    return *text ? text_of(text) : json_null();
}

static json_t *describe_place(const struct source_place *place)
{
    return place->known ? json_pack("{s:o, s:I}", "file", text_of(place->file), "position",
                                    (json_int_t) place->position)
                        : json_null();
}

static json_t *describe_log(const struct guarded_source *source, const struct guarded_log *guarded)
{
    const struct source_log *log = &guarded->log;
    bool slots = strcmp(source->database->type, "postgres") == 0;
    json_t *object = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "state", guarded_state(guarded), "why",
        name_or_null(log->why), "retained_bytes", bytes(log->retained), "unread_bytes",
        bytes(log->unread), "safe_bytes", bytes(log->safe), "left_seconds",
        guarded->left_ms < 0 ? json_null() : json_integer(guarded->left_ms / 1000),
        "written_bytes_per_second",
        guarded->written_rate < 0 ? json_null() : json_real(guarded->written_rate));
    json_t *own = slots ? json_pack("{s:o, s:b, s:o, s:o}", "slot", name_or_null(log->slot),
                                    "active", log->active, "wal_status", name_or_null(log->state),
                                    "inactive_since",
                                    guarded->inactive_us
                                        ? json_real((double) guarded->inactive_us / 1e6)
                                        : json_null())
                        : json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "oldest",
                                    name_or_null(log->oldest), "newest", name_or_null(log->newest),
                                    "connector", describe_place(&log->place), "connector_from",
                                    name_or_null(source->place_from), "kept_bytes",
                                    bytes(log->kept), "expires_seconds",
                                    log->expires_ms > 0 ? json_integer(log->expires_ms / 1000)
                                                        : json_null());
    json_object_update(object, own);
    json_decref(own);
    return object;
}

json_t *source_guard_describe(struct source_guard *guard)
{
    json_t *list = json_array();
    if (!guard)
        return list;
    pthread_mutex_lock(&guard->mutex);
    for (size_t i = 0; i < guard->count; i++) {
        const struct guarded_source *source = &guard->sources[i];
        json_t *logs = json_array();
        for (size_t k = 0; k < source->log_count; k++)
            json_array_append_new(logs, describe_log(source, &source->logs[k]));
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:s, s:b, s:o, s:o, s:o}", "pipeline",
                            text_of(source->pipeline->name), "database",
                            text_of(source->database->name), "type", source->database->type,
                            "reachable", source->reached, "failure", name_or_null(source->failure),
                            "looked_at",
                            source->looked_us ? json_real((double) source->looked_us / 1e6)
                                              : json_null(),
                            "logs", logs));
    }
    pthread_mutex_unlock(&guard->mutex);
    return list;
}

json_t *source_guard_connectors(struct source_guard *guard)
{
    return connector_watch_describe(guard ? guard->connectors : NULL);
}
