/* The processes of a pipeline's group, which find each other through the target: each tells it
 * every few seconds how it is, and reads how the others are. The thread that watches for orders
 * does it in its session: no lane waits for it, and it costs no connection. */
#ifndef FLEET_H
#define FLEET_H

#include <jansson.h>
#include <pthread.h>
#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/control.h>
#include <ods/sink.h>

#include "pipeline/lane.h"
#include "pipeline/worker.h"

struct fleet {
    /* The watching thread's. */
    struct fleet_member self;
    int64_t due_us, changes, changes_us; /* monotonic; what its lanes had applied, and when */
    bool kept;                           /* the target has a row of this process */
    bool refused;                        /* by rights, which is told once */

    pthread_mutex_t mutex; /* guards what follows */
    struct fleet_members all; /* as read last */
    int64_t read_us;          /* wall clock; 0: never */
    char problem[ERROR_TEXT_BYTES]; /* why they are not known now; "": they are */
};

void fleet_init(struct fleet *fleet);
void fleet_done(struct fleet *fleet);
/* Tells and reads when it is time. ODS_OK also where that failed before for the same reason: the
 * error is one to be logged. */
enum ods_status fleet_keep(struct fleet *fleet, struct sink *sink,
                           const struct worker_origin *origin, const char *name,
                           struct lane *const *lanes, size_t count, struct error *error);
/* The target does not answer: what was read is old. */
void fleet_away(struct fleet *fleet, const struct error *error);
/* The process ends. */
void fleet_leave(struct fleet *fleet, struct sink *sink);

/* Any thread. Of all pipelines of these lanes whose target keeps something of it. */
json_t *fleets_describe(struct lane *const *lanes, size_t count);
void fleets_metrics(struct lane *const *lanes, size_t count, struct buffer *out);

#endif
