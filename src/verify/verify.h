/* Compares what a pipeline's target has with what its source has. Equal means: what the sink would
 * have written. Reads, and changes nothing anywhere.
 *
 *   verify.c      which tables; what becomes of each
 *   comparison.c  what of a table is compared
 *   scan.c        ranges of both sides beside each other; finds keys that may differ
 *   sample.c      keys of either side looked up in the other: samples, since, keys without an order
 *   settle.c      looks at those again until they are equal or have stayed different
 *   keyless.c     tables without a key
 *   alone.c       what the target tells without its source
 *   arrival.c     whether what the source had has reached the target
 *
 * For commands, and whoever else runs it: one thread enters, the rest is within.
 */
#ifndef VERIFY_H
#define VERIFY_H

#include <ods/buffer.h>
#include <ods/status.h>
#include "config/settings.h"
#include "core/exit.h"

enum verify_mode { VERIFY_FULL, VERIFY_SAMPLE, VERIFY_COUNTS };

struct verify_options {
    const struct settings *settings;
    const char *database; /* only pipelines of this one; NULL: all */
    const char *pipeline; /* only this one; NULL: all */
    const char *const *tables; /* only these, by the source's name or the target's; none: all */
    size_t table_count;
    enum verify_mode mode;
    int64_t sample;   /* rows of each table */
    int64_t since_us; /* only rows that the target got from then on; INT64_MIN: all */
    int64_t wait_ms;  /* for a pipeline that is behind, at each look */
    int64_t settle_ms; /* what differs for so long counts, though nobody can tell whether the
                          connector is up to date; 0: it does not */
    int64_t limit;    /* differences that are told of each table; the others are counted */
    const char *state; /* file in which it is kept how far it has come; NULL: nowhere */
    bool resume;       /* go on from there */
    bool (*stops)(void); /* asked between two steps: come to an end */
};

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
    const struct verify_value *columns; /* that differ */
    size_t column_count;
    const char *refusal; /* why the sink would not write the source's row; NULL: it would */
    int64_t source_copies, target_copies; /* of a table without key; else 0 */
    const char *operation, *timestamp;    /* of the last write, by the target's columns; or "" */
    const char *topic, *partition, *offset; /* likewise: "" is unknown */
};

enum verify_verdict { VERIFY_EQUAL, VERIFY_DIFFERS, VERIFY_UNSETTLED, VERIFY_SKIPPED };
const char *verify_verdict_name(enum verify_verdict verdict);

struct verify_table {
    const char *pipeline;
    const char *source; /* "db.table" */
    const char *target; /* "schema.table"; "" */
    const char *method; /* how it was compared, static */
    enum verify_verdict verdict;
    int64_t source_rows, target_rows; /* that were read, or counted */
    int64_t missing, extra, changed;
    int64_t looked_again; /* rows that were different at first */
    int64_t unsettled;    /* and of which it can't be told yet */
    double seconds;
    char why[512];  /* it can't be told, or the table was passed over */
    char notes[512]; /* what is not compared; or "" */
};

struct verify_listener {
    void (*begins)(void *context, const struct verify_table *table);
    void (*differs)(void *context, const struct verify_table *table,
                    const struct verify_difference *difference);
    void (*goes_on)(void *context, const struct verify_table *table);
    void (*ends)(void *context, const struct verify_table *table);
    void (*notice)(void *context, const char *text);
    void *context;
};

/* CLI_OK: all are equal; CLI_NEGATIVE: something differs; CLI_CANT_TELL: there is no difference
 * that is sure, and something could not be told; any other: error says what went wrong. */
enum cli_exit verify_run(const struct verify_options *options,
                         const struct verify_listener *listener, struct error *error);

#endif
