/* The images of a change where a transform decides by what is in the row. */
#ifndef ROWS_H
#define ROWS_H

#include <ods/batch.h>

/* The after image with what was not sent (an unchanged large value) from before. NULL: no memory.
 */
const struct value *rows_filled(const struct change *change, struct batch *batch);

/* The row as it was: the before image, where its key is; else the key of the after image and
 * nothing else. NULL: no memory. */
const struct value *rows_before(const struct change *change, struct batch *batch);

/* Makes a place for a change after this one, with a copy of it. NULL: no memory. */
struct change *rows_double(struct batch *batch, uint32_t change);

#endif
