/* How far a pipeline is: has everything that its source had at a moment reached the target?
 *
 * From the source to the topics it is the connector's work, which Kafka alone does not tell: a
 * connector that stands still leaves topics that are read to their end. So one of these has to
 * show that it has come past the moment:
 *   - a record of a change that the source made after it (records of one connector are in the
 *     order of its log), or of a place in the log that is behind;
 *   - the connector's replication slot, which is at that place (PostgreSQL);
 *   - the source's own log, in which the table was not changed between the newest record's place
 *     and the moment's (MySQL).
 * From there on it is the stored offsets, which have to reach what the topics end at then.
 */
#ifndef ARRIVAL_H
#define ARRIVAL_H

#include "config/settings.h"
#include "source/kafka/kafka_tool.h"
#include "verify/database.h"
#include "verify/target.h"

struct topic_tail {
    char *name;
    int32_t partitions;
    int64_t *seen;   /* by partition: records below were looked at */
    int64_t *ends;   /* the latest that is known */
    int64_t *stored; /* by the target, -1: none */
};

struct arrival {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    struct target *target;
    bool (*stops)(void);
    struct kafka_tool *tool;
    struct topic_tail *topics;
    size_t count;
    int64_t listed_us;         /* when the topics were listed, monotonic */
    int64_t newest_us;         /* source time of the newest change that is no snapshot's */
    struct source_place newest; /* the furthest place in the source's log that a record names */
    char why[512];             /* what is being waited for, or could not be told */
};

void arrival_init(struct arrival *arrival, const struct settings *settings,
                   const struct pipeline_settings *pipeline, struct target *target,
                   bool (*stops)(void));
void arrival_done(struct arrival *arrival);

/* Wait until what the source had at `place` is in the target. *passed false: not within the time,
 * or it can't be told; arrival->why says why. An error of Kafka is such a reason too. */
enum ods_status arrival_wait(struct arrival *arrival, struct database *database,
                              const struct source_table *table, const struct source_place *place,
                              int64_t wait_ms, bool *passed, struct error *error);

/* Records that the topics have and the target does not. */
enum ods_status arrival_lag(struct arrival *arrival, int64_t *records, struct error *error);

/* The topics, their ends and what the target stores of each. */
enum ods_status arrival_look(struct arrival *arrival, struct error *error);

#endif
