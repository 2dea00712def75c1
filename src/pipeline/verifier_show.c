/* What verifiers show. See verifier.h. */
#include "pipeline/json_text.h"
#include "pipeline/metrics.h"
#include "pipeline/verifier.h"
#include "pipeline/verifier_room.h"

const char *verifier_mode(const struct verifier *verifier)
{
    static const char *const modes[] = {"full", "sample", "counts"};
    return modes[verifier->pipeline->verify.mode];
}

static json_t *seconds(int64_t us)
{
    return us ? json_real((double) us / 1e6) : json_null();
}

static json_t *describe(struct verifier *verifier)
{
    pthread_mutex_lock(&verifier->mutex);
    json_t *object = json_pack(
        "{s:o, s:f, s:s, s:b, s:o, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "pipeline",
        text_of(verifier->pipeline->name), "every_seconds",
        (double) verifier->pipeline->verify.every_ms / 1000, "mode",
        verifier_mode(verifier), "running", verifier->runs, "worker",
        verifier->worker && *verifier->worker ? text_of(verifier->worker) : json_null(),
        "began_at", seconds(verifier->began_us), "table",
        *verifier->table ? text_of(verifier->table) : json_null(), "source_rows",
        (json_int_t) verifier->source_rows, "target_rows", (json_int_t) verifier->target_rows,
        "failure", verifier->failure && *verifier->failure ? text_of(verifier->failure)
                                                           : json_null(),
        "failed_at", seconds(verifier->failed_us), "next_at", seconds(verifier->next_us), "last",
        verifier->last ? json_deep_copy(verifier->last) : json_null());
    pthread_mutex_unlock(&verifier->mutex);
    return object;
}

json_t *verifiers_describe(struct verifier *const *verifiers, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, describe(verifiers[i]));
    return list;
}

/* A number of the last report: a member, or one of "results". */
struct shown {
    const char *metric, *help, *label, *value;
    const char *member;
    bool in_results;
};

static const struct shown shown[] = {
    {"verify_differences", "Rows that differ from the source's, as of the last comparison", "kind",
     "missing", "missing", false},
    {"verify_differences", NULL, "kind", "extra", "extra", false},
    {"verify_differences", NULL, "kind", "changed", "changed", false},
    {"verify_tables", "Tables of the last comparison, by its result", "result", "equal", "equal",
     true},
    {"verify_tables", NULL, "result", "differs", "differs", true},
    {"verify_tables", NULL, "result", "unsettled", "can't tell", true},
    {"verify_tables", NULL, "result", "skipped", "not compared", true},
    {"verify_rows", "Rows of the last comparison", "side", "source", "source_rows", false},
    {"verify_rows", NULL, "side", "target", "target_rows", false},
};

static void put_report(struct verifier *const *verifiers, size_t count, struct buffer *out)
{
    for (size_t k = 0; k < sizeof shown / sizeof *shown; k++) {
        const struct shown *one = &shown[k];
        if (one->help)
            metrics_head(out, one->metric, "gauge", one->help);
        for (size_t i = 0; i < count; i++) {
            struct verifier *verifier = verifiers[i];
            pthread_mutex_lock(&verifier->mutex);
            const json_t *from =
                one->in_results ? json_object_get(verifier->last, "results") : verifier->last;
            const char *labels[] = {"pipeline", verifier->pipeline->name, one->label, one->value,
                                    NULL};
            if (from)
                metrics_put(out, one->metric, labels,
                            json_number_value(json_object_get(from, one->member)));
            pthread_mutex_unlock(&verifier->mutex);
        }
    }
}

enum moment { RUNNING, FAILED, LAST_END, LAST_SECONDS };

static bool moment_of(const struct verifier *verifier, enum moment moment, double *value)
{
    double began = json_number_value(json_object_get(verifier->last, "began_at"));
    double ended = json_number_value(json_object_get(verifier->last, "ended_at"));
    switch (moment) {
    case RUNNING:
        *value = verifier->runs;
        return true;
    case FAILED:
        *value = verifier->failed_us != 0;
        return true;
    case LAST_END:
        *value = ended;
        return verifier->last != NULL;
    case LAST_SECONDS:
        *value = ended - began;
        return verifier->last != NULL;
    }
    return false;
}

void verifiers_metrics(struct verifier *const *verifiers, size_t count, struct buffer *out)
{
    static const struct {
        const char *name, *help;
    } moments[] = {
        {"verify_running", "Whether this process compares the target with the source now"},
        {"verify_failed", "Whether the current comparison was broken off; it is tried again"},
        {"verify_last_end_timestamp_seconds", "When the last comparison ended"},
        {"verify_last_duration_seconds", "How long it took, pauses included"}};
    if (!count)
        return;
    for (size_t k = 0; k < sizeof moments / sizeof *moments; k++) {
        metrics_head(out, moments[k].name, "gauge", moments[k].help);
        for (size_t i = 0; i < count; i++) {
            const char *labels[] = {"pipeline", verifiers[i]->pipeline->name, NULL};
            double value = 0;
            pthread_mutex_lock(&verifiers[i]->mutex);
            bool there = moment_of(verifiers[i], (enum moment) k, &value);
            pthread_mutex_unlock(&verifiers[i]->mutex);
            if (there)
                metrics_put(out, moments[k].name, labels, value);
        }
    }
    put_report(verifiers, count, out);
}
