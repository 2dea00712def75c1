/* How far a pipeline has come: has everything that its source had at a moment reached the target?
 *
 * The connector brings changes from the source to the topics. Kafka alone does not show how far it
 * is: while the connector is stopped, the pipeline reads the topics to their end all the same. So
 * one of these must show that the connector has come past the moment:
 *   - a record of a change that the source made after the moment, or of a later place in its log
 *     (the records of one connector are in the order of the log);
 *   - the connector's replication slot, which is at that place (PostgreSQL);
 *   - the source's own log, in which the table was not changed between the newest record's place
 *     and the moment's (MySQL).
 * After that the stored offsets must reach the ends that the topics have then.
 */
#ifndef ARRIVAL_H
#define ARRIVAL_H

#include "config/settings.h"
#include "source/kafka/kafka_tool.h"
#include "verify/database.h"
#include "verify/held.h"
#include "verify/target.h"
#include "verify/verify.h"

struct topic_tail {
    char *name;
    int32_t partitions;
    int64_t *seen;   /* by partition: records below this offset were read */
    int64_t *ends;   /* by partition: the latest known end */
    int64_t *stored; /* by partition: the target's offset, -1: none */
    bool held;       /* by an operator: nobody waits for it */
};

struct arrival {
    const struct pipeline_settings *pipeline;
    struct target *target;
    const struct verify_options *options;
    struct kafka_tool *tool;
    struct topic_tail *topics;
    size_t count;
    struct held held;          /* what operators hold; as of the last look at the offsets */
    int64_t listed_us;         /* when the topics were listed, monotonic */
    int64_t newest_us;         /* source time of the newest change that is not from a snapshot */
    struct source_place newest; /* the latest place in the source's log that a record names */
    char why[512];             /* what is waited for, or could not be found out */
};

void arrival_init(struct arrival *arrival, const struct verify_options *options,
                   const struct pipeline_settings *pipeline, struct target *target);
void arrival_done(struct arrival *arrival);

/* Waits until what the source had at `place` is in the target. *passed false: it did not arrive in
 * time, or that can't be found out; arrival->why says why. An error of Kafka is such a reason
 * too. */
enum ods_status arrival_wait(struct arrival *arrival, struct database *database,
                              const struct source_table *table, const struct source_place *place,
                              int64_t wait_ms, bool *passed, struct error *error);

/* How many records of the topics are not in the target yet. */
enum ods_status arrival_lag(struct arrival *arrival, int64_t *records, struct error *error);

/* Reads the topics, their ends and the target's offsets. */
enum ods_status arrival_look(struct arrival *arrival, struct error *error);

/* Reads the newest records, for `newest` and `newest_us`; closes its Kafka client again. */
enum ods_status arrival_newest(struct arrival *arrival, struct error *error);
/* Did the topics have any record when their ends were last read? */
bool arrival_any(const struct arrival *arrival);

#endif
