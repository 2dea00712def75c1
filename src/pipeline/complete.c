/* See complete.h. */
#include "pipeline/complete.h"

#include "core/time.h"

/* A look takes some 10 us of PostgreSQL for each topic. */
#define KEEP_US INT64_C(3000000) /* between two looks, as between two at what is idle, */
#define EACH_US INT64_C(1000)    /* and for each topic */

void complete_init(struct complete *complete)
{
    *complete = (struct complete){0};
    pthread_mutex_init(&complete->mutex, NULL);
}

void complete_done(struct complete *complete)
{
    topics_complete_done(&complete->topics);
    pthread_mutex_destroy(&complete->mutex);
}

enum ods_status complete_keep(struct complete *complete, struct sink *sink,
                              const struct settings *settings, struct error *error)
{
    const struct control_ops *control = sink->ops->control;
    struct topics_complete topics = {0}, was;
    int64_t now_us = time_monotonic_us();
    if (!control->complete || !*settings->http.listen || now_us < complete->due_us)
        return ODS_OK;
    enum ods_status status = control->complete(sink, &topics, error);
    complete->due_us = now_us + KEEP_US + (int64_t) topics.count * EACH_US;
    if (status != ODS_OK)
        return status; /* what was known is true still: a table does not become less complete */
    pthread_mutex_lock(&complete->mutex);
    was = complete->topics;
    complete->topics = topics;
    pthread_mutex_unlock(&complete->mutex);
    topics_complete_done(&was);
    return ODS_OK;
}

int64_t complete_of(struct complete *complete, const char *topic)
{
    pthread_mutex_lock(&complete->mutex);
    int64_t complete_us = topics_complete_us(&complete->topics, topic);
    pthread_mutex_unlock(&complete->mutex);
    return complete_us;
}
