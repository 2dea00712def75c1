/* One table that is being compared: both sides, the results so far, and the listener. Used by the
 * thread that runs verify; scan.c lets two more threads use parts of it. */
#ifndef INSPECTION_H
#define INSPECTION_H

#include "verify/arrival.h"
#include "verify/chunk.h"
#include "verify/state.h"
#include "verify/verify.h"

#define LOOKUP_KEYS   500  /* how many keys are looked up at once */
#define SUSPECTS_MAX  5000 /* so many rows are collected before they are looked at again */

/* A row that was different when it was read. */
struct suspect {
    struct digest digest; /* of its key */
    char *key;            /* elements */
    size_t length;
};

struct inspection {
    const struct verify_options *options;
    const struct verify_listener *listener;
    const struct pipeline_settings *pipeline;
    const struct database_settings *database_settings;
    const struct target_settings *target_settings;
    struct source_table source_table;
    struct comparison comparison;
    struct database *database; /* for look-ups; scan.c has its own beside it */
    struct target *target;
    struct source_rows rows;   /* for look-ups too */
    struct arrival *arrival;
    struct verify_state *state;
    struct suspect *suspects;
    size_t suspect_count, suspect_capacity;
    struct verify_table result;
    int64_t told; /* how many differences were reported */
    int64_t began_us, lag_looked_us;
};

static inline bool inspection_stops(const struct inspection *inspection)
{
    return verify_stops(inspection->options);
}

/* Notes a row that is to be looked at again. False: memory is out. */
bool inspection_suspect(struct inspection *inspection, const struct digest *digest,
                        const char *key, size_t length);

/* Appends the condition for the source's rows with these keys, whose texts the target gave. */
void inspection_put_keys(struct inspection *inspection, const PGresult *texts, int from, int count,
                         struct buffer *sql);

/* Reads the source's rows with these keys. */
enum ods_status inspection_lookup_source(struct inspection *inspection, const struct keys *keys,
                                         row_take *take, void *context, struct error *error);

/* Reports a difference and counts it. */
void inspection_tell(struct inspection *inspection, const struct verify_difference *difference);

/* Looks at all noted rows again. Rows that stay different are reported; rows about which nothing is
 * certain are counted. */
enum ods_status settle(struct inspection *inspection, struct error *error);

/* The ways to compare a table. */
enum ods_status scan_ranges(struct inspection *inspection, struct error *error);
enum ods_status scan_keys(struct inspection *inspection, struct error *error);
enum ods_status scan_keyless(struct inspection *inspection, struct error *error);
enum ods_status scan_counts(struct inspection *inspection, struct error *error);

/* Waits while the pipeline is further behind than the database's max_lag. */
enum ods_status inspection_yield(struct inspection *inspection, struct error *error);

/* Inspects the tables of a pipeline without a source database. */
enum ods_status verify_alone(struct inspection *inspection, struct error *error);

#endif
