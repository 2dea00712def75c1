/* The row under the key that a record has changed: whose values may its create take? */
#ifndef ROWS_OLD_ROW_H
#define ROWS_OLD_ROW_H

#include <ods/batch.h>

/* As the target has it. */
struct old_row {
    bool there;
    bool timed;   /* it says when it was changed last */
    bool deleted; /* it is marked as deleted */
    int64_t time_us;
};

/* From the texts of its time, microseconds since 1970 UTC, and of its operation; NULL for NULL. */
struct old_row old_row_read(const char *time, const char *operation);

/* Is it the row that the key change has moved, and not one that took its key since? `ended`: the
 * delete that belongs to the key change is in the batch. */
bool old_row_moved(const struct old_row *row, const struct change *create, bool ended);

/* May changes of the row still be to come? Then the create waits for them (batch_await()), unless
 * ODS_OK. `marks`: the table keeps deleted rows, marked. Where it does not nobody can tell: the row
 * that is there is taken, and one that is not there is gone. */
enum ods_status old_row_await(const struct old_row *row, bool marks, struct batch *batch,
                              const struct change *create, struct error *error);

#endif
