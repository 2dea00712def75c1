/* One attempt at a batch, and what it puts into the connection's pipeline.
 *
 * apply.c says in which order; attempt.c encodes, sends, and matches results with what was sent.
 */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#include "sink/postgres/apply.h"

/* One attempt at a batch. */
struct attempt {
    struct postgres *postgres;
    struct batch *batch;
    const struct apply_hooks *hooks;
    struct apply_result *result;
    struct fold fold;
    struct error *error;
    bool validate;    /* try to encode each change by itself while folding */
    bool careful;     /* savepoints and halving */
    bool refreshed;   /* the catalog was read again once */
    bool stale;       /* PostgreSQL says a table is not what we think */
    bool unencodable; /* a row can't be encoded */
    bool refold;      /* a row that stood for several changes was refused: fold without it */
    bool commit_sent;
    uint64_t kept; /* changes that the guard kept out since this was last set to 0 */
    struct sent *sent, **sent_tail;
};

/* A command in the pipeline, to be matched with its result. */
struct sent {
    struct sent *next;
    unsigned commands; /* 2: prepare and execute */
    struct statement *statement;
    enum group_kind kind;
    uint32_t rows;
    uint64_t stripped; /* values that lost a U+0000 */
    bool counts;       /* its row count goes into the result */
};

/* Sends rows [first, last) of a group. */
typedef enum ods_status row_sender(struct attempt *attempt, struct group *group, uint32_t first,
                                   uint32_t last);
typedef enum ods_status loose_sender(struct attempt *attempt, const struct loose *loose);

enum ods_status attempt_begin(struct attempt *attempt);
enum ods_status attempt_send(struct attempt *attempt, const char *sql);
enum ods_status attempt_offsets(struct attempt *attempt);
/* Encode and send. What can't be encoded answers ODS_REJECT and sets `unencodable`. */
enum ods_status attempt_rows(struct attempt *attempt, struct group *group, uint32_t first,
                             uint32_t last);
enum ods_status attempt_truncate(struct attempt *attempt, const struct table_work *work);
/* A change of a table without key that is no plain insert. */
enum ods_status attempt_loose(struct attempt *attempt, const struct loose *loose);
/* One table: deletes, whole rows, rows that lack values, then what has no key. */
enum ods_status attempt_work(struct attempt *attempt, const struct table_work *work,
                             row_sender *send, loose_sender *send_loose);
/* Close the pipeline and read it, whatever happened while filling it: `sending` is how that ended.
 */
enum ods_status attempt_end(struct attempt *attempt, enum ods_status sending);
void attempt_roll_back(struct attempt *attempt);

#endif
