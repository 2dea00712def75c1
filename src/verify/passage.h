/* A source's row on the way that its records take: through the pipeline's transforms. One thread.
 */
#ifndef PASSAGE_H
#define PASSAGE_H

#include <ods/transform.h>
#include "config/settings.h"

struct passage {
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    const struct shape *shape; /* of the rows that go in */
    struct transform **transforms;
    size_t count;
    struct batch *batch;
    struct record record; /* what the row is said to come from */
    enum change_op op;
};

/* What lies in `shape` is copied. */
enum ods_status passage_open(struct passage *passage, const struct pipeline_settings *pipeline,
                             const struct shape *shape, struct error *error);
void passage_close(struct passage *passage); /* zeroed is fine */

/* What becomes of a row; *change NULL: it is left out. It lives until the next row. */
enum ods_status passage_row(struct passage *passage, const struct value *values,
                            const struct change **change, struct error *error);

#endif
