/* Checks rules against the tables of a pipeline's target, which is of type postgres; in a lake, row
 * counts and checksums. It only reads; what the last runs found comes from the store, and who
 * listens keeps the results there.
 *
 *   run.c         goes through tables and rules
 *   tables.c      which tables of the target are the pipeline's
 *   statement.c   what is asked of the target about rows
 *   measure.c     what is measured of a table: its columns, its age, its rows of an hour
 *   against.c     the source and Kafka: row counts, checksums, lag
 *   lake.c        tables of a lake: counts and checksums
 *   store.c       results in the target, and whose turn it is
 *   flow.c        rules about records on their way; judge.c: about one value
 *
 * One thread, except what `stops` and `cutoff` are asked by.
 */
#ifndef QUALITY_RUN_H
#define QUALITY_RUN_H

#include <ods/status.h>

#include "config/settings.h"
#include "quality/result.h"
#include "quality/store.h"

struct cutoff; /* verify/cutoff.h */

struct quality_options {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    const char *const *tables; /* only these, by the source's or the target's name; none: all */
    size_t table_count;
    const char *rule; /* only rules of this name; NULL: all */
    struct quality_store *store;
    bool (*stops)(void *context); /* asked between steps, by any thread; true: end now */
    void *context;
    struct cutoff *cutoff; /* by which sessions are ended that are waited for; NULL: none */
};

struct quality_listener {
    void (*begins)(void *context, const struct quality_result *result); /* may be NULL */
    /* Unless ODS_OK the run ends with it. */
    enum ods_status (*ends)(void *context, const struct quality_result *result,
                            struct error *error);
    void *context;
};

/* ODS_OK: all rules were asked, or it was stopped; *matched: how many there were. Any other: the
 * target failed as such. What fails of one rule is its result. */
enum ods_status quality_run(const struct quality_options *options,
                            const struct quality_listener *listener, size_t *matched,
                            struct error *error);

/* The same of a pipeline whose target is a lake (verify_is_lake()): its tables are those that
 * verify finds, and nothing is kept. */
enum ods_status quality_run_lake(const struct quality_options *options,
                                 const struct quality_listener *listener, size_t *matched,
                                 struct error *error);

#endif
