/* Compares what a pipeline's target has with what its source has. Equal means: what the sink would
 * have written. Unless it is told to repair it only reads, and changes nothing on either side.
 *
 *   verify.c      goes through the pipelines and their tables, and has the result of each
 *   candidates.c  which tables of the source may be a pipeline's
 *   comparison.c  what is compared in a table
 *   scan.c        compares ranges of both sides, and finds keys that may differ
 *   keys.c        looks up keys of one side in the other: samples, since, keys sorted differently
 *   settle.c      looks at those rows again until they are equal or have stayed different
 *   repair.c      asks for rows that differ again, deletes those that only the target has, and
 *                 looks at all of them once more
 *   writers.c     finds the record that wrote a row last at its topic's end
 *   keyless.c     tables without a key
 *   lake.c        targets that are a lake
 *   alone.c       what can be found out without the source
 *   arrival.c     whether what the source had has reached the target
 *   held.c        which tables operators hold: those are not compared
 *   state.c       stores how far a run has come, so that a later one can go on there
 *   turn.c        which process of a group compares, when the daemon does so
 *   source_log.c  what the source's log keeps for its connector; not part of comparing
 *
 * Called by one thread; it starts and ends its other threads itself.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"
#include "core/exit.h"

/* Stores the state in place of a file. The state of another comparison is dropped. */
struct verify_keeper {
    const char *begun; /* as it was kept last; NULL: nothing was */
    enum ods_status (*keep)(void *context, const char *state, struct error *error);
    void *context;
};

struct cutoff; /* verify/cutoff.h */

/* The way by which a connector is asked to send rows of its source again. Each call answers CLI_OK,
 * or the exit code of verify, and the error then says what has failed. */
struct verify_channel {
    /* Before a table is compared: can its rows be asked for? If not, the error says what is lacking
     * and what helps. */
    enum cli_exit (*open)(void *context, const struct pipeline_settings *pipeline,
                          const char *schema, const char *table, struct error *error);
    size_t (*room)(void *context); /* how many bytes a condition may have */
    /* Asks for the rows of the table for which the condition, of the source's SQL, is true. */
    enum cli_exit (*ask)(void *context, const char *condition, struct error *error);
    /* Waits for what was asked for. *sent: the connector has said that it has sent it all. If not,
     * it does not say so, and the error may have words for the user. */
    enum cli_exit (*await)(void *context, bool *sent, struct error *error);
    void *context;
};

struct verify_options {
    const struct settings *settings;
    const char *database; /* only pipelines of this database; NULL: all */
    const char *pipeline; /* only this one; NULL: all */
    const char *const *tables; /* only these, by the source's or the target's name; none: all */
    size_t table_count;
    enum verify_mode mode;
    int64_t sample;   /* how many rows of each table */
    int64_t since_us; /* only rows that the target got from then on; INT64_MIN: all */
    int64_t wait_ms;  /* how long each look waits for a pipeline that is behind */
    int64_t settle_ms; /* a difference that lasts so long counts, also when nobody knows whether the
                          connector is up to date; 0: it never does */
    int64_t limit;    /* how many differences of a table are reported; all are counted */
    const char *state; /* the file that stores how far it has come; NULL: none */
    bool resume;       /* go on from that state */
    const struct verify_channel *channel; /* repair by it; NULL: rows are not asked for again */
    bool delete_extra;                    /* delete rows that only the target has */
    const struct verify_keeper *keeper; /* stores it in place of a file; NULL: nobody does */
    bool (*stops)(void *context); /* asked between steps, by any thread; true: end now */
    void *stops_context;
    struct cutoff *cutoff; /* by which sessions are ended that are waited for; NULL: none */
};

static inline bool verify_stops(const struct verify_options *options)
{
    return options->stops(options->stops_context);
}

enum verify_kind { VERIFY_MISSING, VERIFY_EXTRA, VERIFY_CHANGED };
const char *verify_kind_name(enum verify_kind kind);

struct verify_value {
    const char *column;        /* the source's name */
    const char *source, *target; /* NULL: redacted */
};

/* A row that is not in the target as it is in the source. */
struct verify_difference {
    enum verify_kind kind;
    const struct verify_value *key;
    size_t key_count;
    const struct verify_value *columns; /* the columns that differ */
    size_t column_count;
    const char *refusal; /* why the sink would not write the source's row; NULL: it would */
    int64_t source_copies, target_copies; /* of a table without key; else 0 */
    const char *operation, *timestamp;    /* of the last write, from the target's columns; or "" */
    const char *topic, *partition, *offset; /* of the record that wrote it; "": unknown */
};

/* What became of a difference that was to be repaired. */
enum verify_outcome { VERIFY_REPAIRED, VERIFY_DELETED, VERIFY_LEFT };
const char *verify_outcome_name(enum verify_outcome outcome);

enum verify_verdict { VERIFY_EQUAL, VERIFY_DIFFERS, VERIFY_UNSETTLED, VERIFY_SKIPPED };
const char *verify_verdict_name(enum verify_verdict verdict);

struct verify_table {
    const char *pipeline;
    const char *source; /* "db.table" */
    const char *target; /* "schema.table"; "" */
    const char *method; /* how it was compared, static */
    enum verify_verdict verdict;
    int64_t source_rows, target_rows; /* how many were read, or counted */
    int64_t missing, extra, changed;
    int64_t repaired, deleted; /* how many of those are equal by now */
    int64_t looked_again; /* rows that were different at first */
    int64_t unsettled;    /* rows about which nothing is certain yet */
    double seconds;
    char why[512];  /* why nothing is certain, or why the table was not compared */
    char notes[512]; /* what is not compared; or "" */
};

struct verify_listener {
    void (*begins)(void *context, const struct verify_table *table);
    void (*differs)(void *context, const struct verify_table *table,
                    const struct verify_difference *difference);
    /* The difference that differs() reported as this one of the table's (from 0); `why` is ""
     * unless it is left. Not called for those beyond the limit. */
    void (*mended)(void *context, const struct verify_table *table, int64_t number,
                   enum verify_outcome outcome, const char *why);
    void (*goes_on)(void *context, const struct verify_table *table);
    void (*ends)(void *context, const struct verify_table *table);
    void (*notice)(void *context, const char *text);
    void *context;
};

bool verify_is_lake(const char *type); /* of a target */

/* CLI_OK: everything is equal, or was repaired. CLI_NEGATIVE: something differs. CLI_CANT_TELL:
 * no difference is certain, but something could not be compared. Any other: the error says what has
 * failed. */
enum cli_exit verify_run(const struct verify_options *options,
                         const struct verify_listener *listener, struct error *error);

#endif
