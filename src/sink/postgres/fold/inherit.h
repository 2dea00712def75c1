/* Key changes of rows with values that the source did not send.
 *
 * A changed key arrives as a delete of the old key and a create of the new one. Where the row has a
 * value that PostgreSQL left in TOAST, the create carries the placeholder for it, and nothing else
 * in the record says what it is: the row under the old key has it.
 */
#ifndef INHERIT_H
#define INHERIT_H

#include "sink/postgres/fold/fold.h"

/* What the batch's creates inherit: by change, NULL for none. */
struct inheritance {
    struct inherited **of;
    uint64_t lost; /* values that no old row had: they become NULL */
};

/* Look the values up in the batch and in the target. Memory comes from `arena`. */
enum ods_status inherit_values(struct inheritance *inheritance, struct arena *arena,
                               struct batch *batch, const struct plan *const *plans,
                               struct conn *conn, struct encoder *encoder, struct error *error);

#endif
