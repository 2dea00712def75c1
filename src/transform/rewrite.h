/* Transforms of columns: what one does to the rows of a shape is planned once, when the shape is
 * first seen, and then done to each image: after, before and what tombstones have of the key.
 *
 * A key column whose values change is refused unless the transform may (`rekey`). Then an update
 * under whose change the key differs is made a delete and a create.
 */
#ifndef REWRITE_H
#define REWRITE_H

#include <ods/buffer.h>
#include <ods/pipeline.h>
#include <ods/transform.h>

/* Items by the number of a shape. Zeroed is empty. */
struct by_shape {
    void **items;
    uint32_t count;
};

/* The place of the shape's item; NULL: out of memory. */
void **by_shape_at(struct by_shape *table, const struct shape *shape);
void by_shape_done(struct by_shape *table, void (*free_item)(void *item));

#define NO_SOURCE UINT32_MAX

/* The shape as it is being changed, and from where the values come. */
struct draft {
    const struct shape *from;
    struct shape to; /* its columns and key are those below */
    struct column *columns;
    uint32_t *source; /* by column: its index in `from`, or NO_SOURCE */
    uint32_t *work; /* by column: what is done, 1 and up as the transform counts; 0: it is copied */
    uint32_t *key;
    uint32_t room;        /* columns that there may be */
    bool changed, rekeys; /* rekeys: values in the key change */
    struct arena *arena;
    char refusal[512]; /* why changes of this shape are dead letters; "": they are not */
    bool spares;       /* tombstones, which have the key alone, are none all the same */
};

int draft_column(const struct draft *draft, const char *name);
/* Is the column in the key, by the shape or by tables.yaml? */
bool draft_in_key(const struct draft *draft, const struct pipeline_settings *pipeline,
                  uint32_t column);
void draft_drop(struct draft *draft, uint32_t column);
/* Sets the column of that name, or adds it. Returns its index. */
uint32_t draft_set(struct draft *draft, const struct column *column, uint32_t work);

struct rewriter;

struct rewriter_ops {
    uint32_t more; /* columns that `plan` may add; 0: rewriter.more says */
    /* Changes the draft. False: out of memory. */
    bool (*plan)(struct rewriter *rewriter, struct draft *draft);
    /* The value of a column with work. `image` is of change->shape; `at` the column's index there,
     * or NO_SOURCE. */
    enum ods_status (*value)(struct rewriter *rewriter, uint32_t work, const struct change *change,
                             const struct value *image, uint32_t at, struct batch *batch,
                             struct value *value, struct error *error);
};

/* First member of a transform's own struct. */
struct rewriter {
    struct transform transform;
    const struct rewriter_ops *ops;
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    bool rekey;
    bool from_row; /* the new key may depend on columns that are not in the old one */
    uint32_t more;
    struct by_shape plans;
    struct buffer text;
};

void rewriter_init(struct rewriter *rewriter, const struct transform_ops *transform,
                   const struct rewriter_ops *ops, const struct transform_config *config);
void rewriter_done(struct rewriter *rewriter);
/* A transform_ops.apply(). */
enum ods_status rewriter_apply(struct transform *transform, struct batch *batch, uint32_t first,
                               struct error *error);

/* Makes of an update whose key has changed a delete and a create. ODS_REJECT: the old or the new
 * key is not known, or a column of the new row. */
enum ods_status rewrite_split(struct batch *batch, uint32_t change, bool from_row,
                              struct error *error);

#endif
