/* What rules found, as the target keeps it (ods_sink.quality), and whose turn it is to check: one
 * process of a group at a time, by a lock that lasts as long as its session. Used by one thread,
 * except quality_store_interrupt(). */
#ifndef QUALITY_STORE_H
#define QUALITY_STORE_H

#include <jansson.h>

#include <ods/status.h>

#include "config/settings.h"
#include "quality/result.h"

struct quality_store;

/* The pipeline's target is of type postgres; settings outlive the store. Does not connect. */
enum ods_status quality_store_open(struct quality_store **store, const struct settings *settings,
                                   const struct pipeline_settings *pipeline, struct error *error);
void quality_store_close(struct quality_store *store); /* accepts NULL */
void quality_store_interrupt(struct quality_store *store);

/* All of these connect if need be; the table is made with the first that writes. */

/* By the target's clock, in microseconds; 0: never. */
struct quality_moments {
    int64_t began_us;  /* the daemons' last run */
    int64_t newest_us; /* whatever was kept last */
    int64_t now_us;
    int64_t newest_rows; /* of the newest moment */
};
enum ods_status quality_store_moments(struct quality_store *store, struct quality_moments *moments,
                                      struct error *error);
enum ods_status quality_store_take(struct quality_store *store, bool *taken, struct error *error);
void quality_store_leave(struct quality_store *store);

/* Of which run a result is. */
struct quality_run_id {
    int64_t began_us;
    bool by_daemon, in_flight;
    const char *worker;
};

enum ods_status quality_store_put(struct quality_store *store, const struct quality_run_id *id,
                                  const struct quality_result *result, struct error *error);
enum ods_status quality_store_prune(struct quality_store *store, struct error *error);

/* *facts: malloc'd, NULL: there are none. */
enum ods_status quality_store_facts(struct quality_store *store, const char *rule,
                                    const char *target, char **facts, struct error *error);
enum ods_status quality_store_hours(struct quality_store *store, const struct quality_rule *rule,
                                    const char *target, const char *hour, double *median,
                                    int64_t *weeks, struct error *error);
/* The last results, a list of objects: those of each rule and table together, the newest first. A
 * target that has none gives an empty one. */
enum ods_status quality_store_read(struct quality_store *store, int64_t each, json_t **list,
                                   struct error *error);

#endif
