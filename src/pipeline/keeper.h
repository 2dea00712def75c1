/* Keeps derived tables (derived/refresher.h): a thread for each target that has some, with a
 * session of its own. */
#ifndef KEEPER_H
#define KEEPER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"

struct keeper;

/* *keeper is NULL where the target has no derived tables. Settings and target outlive it. */
enum ods_status keeper_start(struct keeper **keeper, const struct settings *settings,
                             const struct target_settings *target, struct error *error);
/* Ends what is being computed; returns at once. All of these accept NULL. */
void keeper_stop(struct keeper *keeper);
bool keeper_ended(const struct keeper *keeper);
void keeper_join(struct keeper *keeper); /* and frees it */

/* Any thread. */
void keepers_metrics(struct keeper *const *keepers, size_t count, struct buffer *out);
json_t *keepers_describe(struct keeper *const *keepers, size_t count); /* a list */

#endif
