/* What operators do through the daemon: hold a table and let it go on, apply dead letters once
 * more, compare with the source now. Each is begun by a request (http_actions.c) and done in a
 * thread and a session of its own, so that no lane and no scrape waits for it. A row of the
 * target's audit says that it is about to be done, before it is, and then what came of it: what
 * can't be audited is not done. */
#ifndef ACTIONS_H
#define ACTIONS_H

#include <jansson.h>
#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct actions;
struct lane;
struct verifier;

enum action { ACTION_PAUSE, ACTION_RESUME, ACTION_REPLAY, ACTION_VERIFY, ACTION_KINDS };
const char *action_name(enum action action); /* "pause", "resume", "replay", "verify" */

enum action_result {
    ACTION_DONE,
    ACTION_REFUSED, /* not as things are */
    ACTION_FAILED,  /* the target or the source is away */
    ACTION_DENIED,  /* not asked by an operator */
    ACTION_WRONG,   /* it can't be told what is meant */
    ACTION_UNKNOWN, /* there is no such pipeline, table or topic */
    ACTION_RESULTS
};

struct action_request {
    enum action action;
    json_t *body; /* an object: pipeline, table or topic, whole_topic, reason, dry_run; borrowed */
    const char *who, *origin; /* the operator's name, and where the request came from */
    /* The answer, once done() is called, from another thread. */
    enum action_result result;
    struct buffer answer; /* JSON */
    void (*done)(void *context);
    void *context;
};

/* Settings, lanes and verifiers outlive it. *actions NULL: there are no operators. */
enum ods_status actions_open(struct actions **actions, const struct settings *settings,
                             struct lane *const *lanes, size_t lane_count,
                             struct verifier *const *verifiers, size_t verifier_count,
                             struct error *error);
/* Any thread. Begin; the request is the caller's again when its done() is called. False: as many as
 * may be are at it, or the daemon ends; then it is not called. */
bool actions_begin(struct actions *actions, struct action_request *request);
/* Any thread: somebody tried who is no operator, or a request was none. */
void actions_count(struct actions *actions, enum action action, enum action_result result);
/* All that run end, answered; none begins any more. All of these accept NULL. */
void actions_stop(struct actions *actions);
void actions_close(struct actions *actions);
/* Any thread. */
void actions_metrics(struct actions *actions, struct buffer *out);

#endif
