/* A file that says how far verify has come, so that it can go on there: which tables are done with
 * which result, and for the current table the key up to which everything is settled. */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>

#include "verify/rows.h"
#include "verify/verify.h"

struct verify_state {
    const char *path; /* of the file; NULL: there is none */
    const struct verify_keeper *keeper; /* stores it instead; both NULL: nothing is stored */
    char *identity;   /* says what is compared and how: the state of another run is not used */
    void *root;       /* json_t, the file's content */
    int64_t saved_us;
};

static inline bool state_is_kept(const struct verify_state *state)
{
    return state->path || state->keeper;
}

/* Reads the file if options->resume is set. ODS_FATAL: the file is for another comparison. */
enum ods_status state_open(struct verify_state *state, const struct verify_options *options,
                           struct error *error);
void state_close(struct verify_state *state, bool done); /* done: removes the file */

/* Is the table done? Then *result gets its result. */
bool state_done(const struct verify_state *state, const char *pipeline, const char *table,
                struct verify_table *result);
/* Where the table goes on: the phase, and the texts of the key after which it goes on (count 0: at
 * the beginning of the phase). */
bool state_place(const struct verify_state *state, const char *pipeline, const char *table,
                 int64_t *phase, struct key_texts *texts, struct verify_table *result);

/* Stores the state. The file is written at most once a second, unless `now` is set. */
enum ods_status state_keep(struct verify_state *state, const struct verify_table *table,
                           int64_t phase, const struct key_texts *texts, bool now,
                           struct error *error);
enum ods_status state_finish(struct verify_state *state, const struct verify_table *table,
                             struct error *error);

#endif
