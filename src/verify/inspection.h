/* One table that is being compared: both sides, the results so far, and the listener. Used by the
 * thread that runs verify; scan.c lets two more threads use parts of it. */
#ifndef INSPECTION_H
#define INSPECTION_H

#include "verify/arrival.h"
#include "verify/chunk.h"
#include "verify/pace.h"
#include "verify/state.h"
#include "verify/verify.h"
#include "verify/writers.h"

#define LOOKUP_KEYS   500  /* how many keys are looked up at once */
#define SUSPECTS_MAX  5000 /* how many rows are collected before they are looked at again */
#define REPAIR_MAX    20000 /* how many differences are collected before they are repaired */

/* A row that was different when it was read. */
struct suspect {
    struct digest digest; /* of its key */
    char *key;            /* elements */
    size_t length;
};

/* A difference that is to be repaired. */
struct mend {
    struct suspect row;
    enum verify_kind kind;
    int64_t number;   /* of the difference, as it was reported */
    char *version;    /* of the target's row when it was read; NULL or "": none */
    char *why;        /* why it can't be asked for, or NULL */
    bool deleted;     /* from the target, by repair() */
    bool left, open;  /* it still differs; nothing is certain about it */
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
    struct pace *pace;
    struct writers writers;
    struct verify_state *state;
    struct suspect *suspects;
    size_t suspect_count, suspect_capacity;
    struct mend *mends;        /* only where differences are to be repaired */
    size_t mend_count, mend_capacity;
    bool repairing;            /* the suspects are the rows of `mends`, in their order */
    struct verify_table result;
    int64_t told; /* how many differences were found, also beyond the limit */
    const struct verify_channel *channel; /* by which its rows can be asked for, or NULL */
    enum cli_exit *channel_code; /* gets the channel's answer if that is other than CLI_OK */
    int64_t began_us, lag_looked_us;
};

static inline bool inspection_stops(const struct inspection *inspection)
{
    return verify_stops(inspection->options);
}

/* Notes a row that is to be looked at again. False: out of memory. */
bool inspection_suspect(struct inspection *inspection, const struct digest *digest,
                        const char *key, size_t length);

/* Appends the condition for the source's rows with these keys, whose texts the target gave.
 * `portable`: for a session of which nothing is known. */
void inspection_put_keys(struct inspection *inspection, const PGresult *texts, int from, int count,
                         bool portable, struct buffer *sql);

/* Appends " where " and the condition for the source's rows after a key, in the order of its index:
 * a > x or (a = x and b > y), in which each part is a range of the index. The texts are the
 * source's; without any nothing is appended. */
void inspection_put_behind(const struct comparison *comparison, struct database *database,
                           const struct key_texts *texts, struct buffer *sql);

/* Reads the source's rows with these keys. */
enum ods_status inspection_lookup_source(struct inspection *inspection, const struct keys *keys,
                                         row_take *take, void *context, struct error *error);

/* Reports a difference and counts it. */
void inspection_tell(struct inspection *inspection, const struct verify_difference *difference);

/* Is everything settled that was read? Then a later run may go on from here. */
static inline bool inspection_is_settled(const struct inspection *inspection)
{
    return !inspection->suspect_count && !inspection->result.unsettled && !inspection->mend_count;
}

/* Looks at all noted rows again. Rows that stay different are reported; rows about which nothing is
 * certain are counted. */
enum ods_status settle(struct inspection *inspection, struct error *error);

/* Counts the noted rows that differ in a single look. They stay noted. */
enum ods_status settle_glance(struct inspection *inspection, size_t *different,
                              struct error *error);

/* Notes the difference that was just reported for repair(), if the options want such differences
 * repaired. `version` of the target's row; `why` it can't be asked for, or NULL. False: out of
 * memory. */
bool repair_note(struct inspection *inspection, const struct suspect *row, enum verify_kind kind,
                 const char *version, const char *why);
/* Repairs the noted differences, as far as can be. On an exit code other than CLI_OK, *code has
 * it. */
enum ods_status repair(struct inspection *inspection, struct error *error);
void repair_forget(struct inspection *inspection);

/* The ways to compare a table. */
enum ods_status scan_ranges(struct inspection *inspection, struct error *error);
enum ods_status scan_keys(struct inspection *inspection, struct error *error);
enum ods_status scan_keyless(struct inspection *inspection, struct error *error);
enum ods_status scan_counts(struct inspection *inspection, struct error *error);

/* Looks whether changes stream, and waits while the pipeline is further behind than the database's
 * max_lag. */
enum ods_status inspection_yield(struct inspection *inspection, struct error *error);

/* Inspects the tables of a pipeline without a source database. */
enum ods_status verify_alone(struct inspection *inspection, struct error *error);

#endif
