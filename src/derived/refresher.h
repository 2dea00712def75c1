/* Keeps the derived tables of one target equal to their queries. Each table has one process that
 * does it, elected by a lock of its session; the others try for the lock once a second.
 *
 * Entered by one thread, but for refresher_interrupt() and refresher_status().
 */
#ifndef REFRESHER_H
#define REFRESHER_H

#include <ods/pipeline.h>
#include <ods/status.h>
#include "sink/postgres/wire/session.h"

struct refresher;

struct refresher_listener {
    /* Something happened to a table, or ("" in its place) to all of them. */
    void (*say)(void *context, bool warning, const char *table, const char *text);
    void *context;
};

enum refresher_state {
    REFRESHER_ELSEWHERE, /* another process has the lock */
    REFRESHER_AWAY,      /* the target can't be asked */
    REFRESHER_STOPPED,   /* it can't be computed: see problem */
    REFRESHER_FILLING,   /* more waits than fits into a pass */
    REFRESHER_KEEPS,
};

struct refresher_status {
    const char *name; /* schema.table */
    enum refresher_state state;
    char problem[1024]; /* "": none */
    int64_t fresh_us;   /* wall clock of the last pass behind which nothing waited, 0: none yet */
    int64_t passes, keys, made, changed, removed, failed; /* since the start */
    int64_t pass_us;                                      /* that they took */
    int64_t todo, errors;
};

/* Settings outlive it. Only tables whose target is `target` are kept. `hides`: see struct conn. */
enum ods_status refresher_open(struct refresher **refresher, const char *target,
                               const struct session_settings *session,
                               const struct pipeline_settings *hides,
                               const struct derived_settings *derived, size_t count,
                               const struct refresher_listener *listener, struct error *error);
void refresher_close(struct refresher *refresher);

/* Does what is to be done now. In how many milliseconds to call again. */
int64_t refresher_turn(struct refresher *refresher);

void refresher_interrupt(struct refresher *refresher);
size_t refresher_count(const struct refresher *refresher);
void refresher_status(struct refresher *refresher, size_t index, struct refresher_status *status);
const char *refresher_state_name(enum refresher_state state);

#endif
