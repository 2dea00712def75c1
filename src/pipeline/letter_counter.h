/* Counts the dead letters that wait: a thread with a session of its own looks at their table now
 * and then, so that no lane and no order waits for it. There is none where letters go elsewhere: a
 * topic is read by commands alone, from its beginning. Of pipelines into another target than the
 * table's nothing is counted: what became of their letters is kept there. Each process of a group
 * counts the letters of all. */
#ifndef LETTER_COUNTER_H
#define LETTER_COUNTER_H

#include <jansson.h>
#include <stdbool.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct letter_counter;

/* *counter is NULL where there is nothing to count, or nobody whom HTTP could tell. Settings
 * outlive it. */
enum ods_status letter_counter_start(struct letter_counter **counter,
                                     const struct settings *settings, struct error *error);
/* Ends what is being asked; returns at once. All of these accept NULL. */
void letter_counter_stop(struct letter_counter *counter);
bool letter_counter_ended(const struct letter_counter *counter);
void letter_counter_join(struct letter_counter *counter); /* and frees it */

/* Any thread. */
void letter_counter_metrics(struct letter_counter *counter, struct buffer *out);
json_t *letter_counter_describe(struct letter_counter *counter); /* a list */

#endif
