/* Connectors of Kafka Connect: how they are, and what is done to them. connector.c asks and waits,
 * connector_file.c reads a configuration and compares it with the one that runs. */
#ifndef CONNECTOR_H
#define CONNECTOR_H

#include "connect/connect.h"

/* What a connector is with its tasks: Connect calls a connector RUNNING whose tasks have failed. */
enum connector_state {
    CONNECTOR_RUNNING,  /* it, and its tasks, of which it has at least one */
    CONNECTOR_STARTING, /* not yet, or it has no task */
    CONNECTOR_PAUSED,
    CONNECTOR_STOPPED,
    CONNECTOR_FAILED, /* it, or one of its tasks */
};

const char *connector_state_name(enum connector_state state);
/* The state that the answer of /connectors/<name>/status gives. */
enum connector_state connector_state(const json_t *status);

/* *status is the caller's. ODS_REJECT: there is none of that name, or Connect refuses. */
enum ods_status connector_status(struct connect *connect, const char *name, json_t **status,
                                 struct error *error);

/* After a change of a connector: wait for `wanted`, wait_s at most. RUNNING has to last for
 * CONNECTOR_STEADY_S, since a task that can't do its work starts first; FAILED is believed only
 * after a moment, since Connect may still show the state before. *status (the caller's) and *state
 * are the last that were seen. */
#define CONNECTOR_STEADY_S 3
enum ods_status connector_await(struct connect *connect, const char *name,
                                enum connector_state wanted, int64_t wait_s, json_t **status,
                                enum connector_state *state, struct error *error);

/* Why it failed: its own trace, else that of the first task that has one; "": there is none. */
const char *connector_trace(const json_t *status);

/* Start it anew with its tasks, or what of them has failed. */
enum ods_status connector_restart(struct connect *connect, const char *name, bool only_failed,
                                  struct error *error);

/* PUT or POST to /connectors/<name><rest>. */
enum ods_status connector_tell(struct connect *connect, const char *method, const char *name,
                               const char *rest, struct error *error);

/* Stop it and make it forget how far it was: its next start takes a new snapshot. */
enum ods_status connector_forget(struct connect *connect, const char *name, int64_t wait_s,
                                 struct error *error);

/* Where it stands in the configuration that Connect has; ODS_REJECT as above. */
enum ods_status connector_config(struct connect *connect, const char *name, json_t **config,
                                 struct error *error);

/* --- connector_file.c --- */

struct connector_file {
    const char *path;
    char *name;
    json_t *config; /* texts by property, ${NAME} replaced */
};

/* {"name": …, "config": {…}}, or the properties alone with "name" among them. ${NAME} and
 * ${NAME:-default} stand for the environment's where NAME is of capital letters; all else in ${…}
 * is Connect's own. ODS_FATAL: says what is wrong, and in which line. */
enum ods_status connector_file_read(struct connector_file *file, const char *path,
                                    struct error *error);
void connector_file_done(struct connector_file *file); /* wipes */
/* Change one property, or the name. */
bool connector_file_set(struct connector_file *file, const char *property, const char *value);

/* Tell of each property that differs: was or is NULL where it is new or gone; secrets are hidden.
 * How many there are. `running` NULL: all are new. */
size_t connector_changes(const json_t *running, const json_t *wanted,
                         void (*tell)(void *context, const char *property, const char *was,
                                      const char *is),
                         void *context);

/* Let Connect check the configuration; for most sources it asks the database too. Tell of each
 * complaint; *complaints counts them. */
enum ods_status connector_validate(struct connect *connect, const json_t *config,
                                   void (*tell)(void *context, const char *property,
                                                const char *complaint),
                                   void *context, size_t *complaints, struct error *error);

/* Make the configuration that of the connector: created or changed. */
enum ods_status connector_put(struct connect *connect, const char *name, const json_t *config,
                              struct error *error);

#endif
