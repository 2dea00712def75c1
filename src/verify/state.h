/* How far verify has come, in a file, so that it can go on there: which tables are done and with
 * which outcome, and of the present one the key up to which all is settled. */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>

#include "verify/rows.h"
#include "verify/verify.h"

struct verify_state {
    const char *path; /* NULL: it is not kept */
    char *identity;   /* of what is compared and how: another run's state is not taken up */
    void *root;       /* json_t, the file's content */
    int64_t saved_us;
};

/* Reads the file with options->resume. ODS_FATAL: it is there and does not fit. */
enum ods_status state_open(struct verify_state *state, const struct verify_options *options,
                           struct error *error);
void state_close(struct verify_state *state, bool done); /* done: the file goes */

/* Is the table done? Then its outcome is put into *result. */
bool state_done(const struct verify_state *state, const char *pipeline, const char *table,
                struct verify_table *result);
/* Where the table's present phase goes on: *phase, and the texts of a key (count 0: its
   beginning). */
bool state_place(const struct verify_state *state, const char *pipeline, const char *table,
                 int64_t *phase, struct key_texts *texts, struct verify_table *result);

/* Keep it. Written at most once a second unless `now`. */
enum ods_status state_keep(struct verify_state *state, const struct verify_table *table,
                           int64_t phase, const struct key_texts *texts, bool now,
                           struct error *error);
enum ods_status state_finish(struct verify_state *state, const struct verify_table *table,
                             struct error *error);

#endif
