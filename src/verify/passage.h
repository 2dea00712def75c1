/* Sends a source's row through the pipeline's transforms, as its records are sent. Used by one
 * thread. */
#ifndef PASSAGE_H
#define PASSAGE_H

#include <ods/transform.h>
#include "config/settings.h"

struct passage {
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    const struct shape *shape; /* of the rows that go in */
    struct transform_chain *transforms; /* NULL: there are none */
    struct batch *batch;
    struct record record; /* the record from which the row seems to come */
    const struct shape *wanted; /* changes of its table alone count; NULL: the first one does */
    enum change_op op;
};

/* The contents of `shape` are copied. */
enum ods_status passage_open(struct passage *passage, const struct pipeline_settings *pipeline,
                             const struct shape *shape, struct error *error);
void passage_close(struct passage *passage); /* also for a zeroed one */

/* The change that the transforms make of a row; it is valid until the next row. *change NULL: they
 * drop the row, or it goes to another table. */
enum ods_status passage_row(struct passage *passage, const struct value *values,
                            const struct change **change, struct error *error);

#endif
