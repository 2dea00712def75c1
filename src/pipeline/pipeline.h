/* The running daemon: every pipeline's lanes and the HTTP server. Main thread only. */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stdbool.h>
#include <stddef.h>

#include <ods/status.h>
#include "config/settings.h"

struct pipelines;

/* What a look at all lanes tells. */
struct pipelines_state {
    size_t lanes, joined, ready, ended;
    bool stuck;
    bool looking; /* at sources: threads that end when they are told to, unless a server hangs */
    int failed; /* the exit code of the first lane that failed, 0: none */
};

/* Start every lane of every pipeline, and the HTTP server. Waits for nothing: a Kafka or a target
 * that is away is waited for by the lanes. The settings must outlive it. *exit_code says what kind
 * of failure it was. */
enum ods_status pipelines_start(struct pipelines **pipelines, const struct settings *settings,
                                int *exit_code, struct error *error);
int pipelines_fd(const struct pipelines *pipelines); /* readable when a lane has ended */
void pipelines_look(struct pipelines *pipelines, struct pipelines_state *state);
/* Take over what can change while running: batch ceilings and retry. */
void pipelines_reload(struct pipelines *pipelines, const struct settings *settings);
/* What /configuration answers from now on: JSON, which is taken; NULL: it is not known. */
void pipelines_show_configuration(struct pipelines *pipelines, char *json);
void pipelines_stop(struct pipelines *pipelines);    /* finish what is in flight */
void pipelines_abandon(struct pipelines *pipelines); /* end at once */
/* Wait for all and free. The exit code of the first lane that failed, 0 without one. */
int pipelines_join(struct pipelines *pipelines); /* NULL is fine */

#endif
