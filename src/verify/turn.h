/* Whose turn it is to compare: the target keeps when that was done last, how far an unfinished run
 * has come, and the last report. One process of a group has the turn at a time, by a lock that
 * lasts as long as its session. Used by one thread, except turn_interrupt(). */
#ifndef TURN_H
#define TURN_H

#include <stdbool.h>
#include <stdint.h>

#include <ods/status.h>
#include "config/settings.h"

struct turn;

/* What the target knows, times by its clock in microseconds; 0: never. Texts are the turn's until
 * the next call. */
struct turn_record {
    int64_t now_us;
    int64_t began_us;  /* of a run that has not ended */
    int64_t failed_us; /* when that one broke off last */
    int64_t last_began_us, last_ended_us;
    const char *worker, *failure; /* of that run; "" */
    const char *report; /* of the last run that ended; "": none has */
};

/* Settings, pipeline and worker (what this process is called) outlive it. The pipeline's target is
 * of type postgres. Does not connect. */
enum ods_status turn_open(struct turn **turn, const struct settings *settings,
                          const struct pipeline_settings *pipeline, const char *worker,
                          struct error *error);
void turn_close(struct turn *turn); /* accepts NULL */
void turn_interrupt(struct turn *turn); /* any thread: ends the current wait, or the next one */

/* Connects if need be. */
enum ods_status turn_look(struct turn *turn, struct turn_record *record, struct error *error);

/* *taken false: another process has it. Else it is this one's until turn_leave() or the loss of the
 * session. */
enum ods_status turn_take(struct turn *turn, bool *taken, struct error *error);
void turn_leave(struct turn *turn);
/* With the turn: begin a run, or go on with one that began at most longest_ms ago. *progress is
 * what turn_keep() kept last, NULL if nothing; the caller frees it. */
enum ods_status turn_begin(struct turn *turn, int64_t longest_ms, char **progress,
                           int64_t *began_us, struct error *error);
/* ODS_RETRY also when the session has been replaced, so that another process may have the turn. */
enum ods_status turn_keep(struct turn *turn, const char *progress, struct error *error);
enum ods_status turn_end(struct turn *turn, const char *report, struct error *error);
/* Connects again if need be. */
enum ods_status turn_fail(struct turn *turn, const char *why, struct error *error);

#endif
