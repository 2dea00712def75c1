/* Up to when the topics of a pipeline's group are complete, as the target keeps it, for `/status`.
 * The thread that watches for orders reads it in its session: no lane waits for it. */
#ifndef COMPLETE_H
#define COMPLETE_H

#include <pthread.h>

#include <ods/control.h>
#include <ods/sink.h>

#include "pipeline/worker.h"

struct complete {
    int64_t due_us; /* the watching thread's; monotonic */

    pthread_mutex_t mutex; /* guards what follows */
    struct topics_complete topics; /* as read last */
};

void complete_init(struct complete *complete);
void complete_done(struct complete *complete);
/* Reads it when it is time. ODS_OK also where nobody could ask, or the target keeps none. */
enum ods_status complete_keep(struct complete *complete, struct sink *sink,
                              const struct settings *settings, struct error *error);
/* Any thread. The source's time; INT64_MIN: not known. */
int64_t complete_of(struct complete *complete, const char *topic);

#endif
