/* A transform alters the changes that a decoder made of a record, before they are passed on to the
 * target. One instance a lane, entered by its consumer thread only; it does no I/O and never waits.
 *
 * Adding one: "A new transform" in ARCHITECTURE.md has the steps.
 */
#ifndef ODS_TRANSFORM_H
#define ODS_TRANSFORM_H

#include <ods/batch.h>
#include <ods/setting.h>
#include <ods/shape.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings; /* ods/pipeline.h */

/* Embedded as the first member of each transform's own struct. */
struct transform {
    const struct transform_ops *ops;
    bool wants_before; /* the before image is decoded for it; `open` sets it where its settings tell
                        */
};

/* What the transforms of a lane share: the state of their Lua expressions. */
struct transform_shared;

struct transform_config {
    const void *settings;                     /* the struct of transform_ops.settings */
    const struct pipeline_settings *pipeline; /* Both outlive the transform */
    const struct transform_settings *told;    /* what all types have; outlives it too */
    struct shape_table *shapes;               /* where the shapes that it makes are interned */
    struct transform_shared *shared;
    bool chosen; /* it stands at a table, or names its tables: each of its changes is meant */
};

/* All members must be there; tests/unit/test_plugins.c looks. */
struct transform_ops {
    const char *type; /* as in tables.yaml: transforms: [{ type: <type> }] */
    const char *summary;
    const struct setting_group *settings; /* beside `type`; without rows if it has none */
    bool wants_before; /* the before image is decoded for it */
    /* Sets transform->ops; after a failure *transform is NULL. */
    enum ods_status (*open)(struct transform **transform, const struct transform_config *config,
                            struct error *error);
    /* The changes from `first` to batch->change_count are those of one record, and each has the
     * record's number. They may be altered, dropped (transform_drop(); whoever calls counts the
     * record as filtered when none is left) and added to (batch_add_change(), with the record's
     * number). To alter values, copy the array and their bytes into batch->arena and let the change
     * point to the copy: images are const, since two changes may share one. A column that is in the
     * key has to be altered in `before` too, else the row is not found: set wants_before. What a
     * change does not carry is VALUE_ABSENT or a NULL image; a new column needs a new shape.
     * ODS_REJECT: the whole record becomes a dead letter, error says why. ODS_RETRY: memory is out;
     * the record comes again, so nothing is remembered of it. Called for records with at least one
     * change. */
    enum ods_status (*apply)(struct transform *transform, struct batch *batch, uint32_t first,
                             struct error *error);
    void (*close)(struct transform *transform); /* NULL is fine */
};

/* Take a change out of the batch; those behind it move up. */
void transform_drop(struct batch *batch, uint32_t change);

/* The transforms of a pipeline and of its tables, opened together and applied in their order. One a
 * lane. */
struct transform_chain;

/* *chain NULL: there is no transform. *wants_before: the decoder has to bring before images. */
enum ods_status transform_chain_open(struct transform_chain **chain,
                                     const struct pipeline_settings *pipeline,
                                     struct shape_table *shapes, bool *wants_before,
                                     struct error *error);
/* As transform_ops.apply(); unless ODS_OK the changes from `first` on are gone. A reject names the
 * transform, its place in the file and the change. */
enum ods_status transform_chain_apply(struct transform_chain *chain, struct batch *batch,
                                      uint32_t first, struct error *error);
void transform_chain_close(struct transform_chain *chain); /* NULL is fine */

/* Does a transform of the pipeline or the table hide this column of the source, by `mask`? Then its
 * value is shown nowhere: not in dead letters, logs or commands' output. `schema` is the source's
 * schema, or its database where it has none. Without a table (NULL): any of the pipeline's; without
 * a column: any column. What Lua does to a column is not known. */
bool transform_masks(const struct pipeline_settings *pipeline, const char *schema,
                     const char *table, const char *column);

/* The type of the pipeline's transform that makes rows of this table out of other tables' rows, as
 * far as names tell: "explode", or "script", which may. NULL: none does. Rows that are sent to
 * another table whole (`route`) are not made. */
const char *transform_makes(const struct pipeline_settings *pipeline, const char *table);

/* Does a transform choose which rows of the source's table go to which table, or to any? */
bool transform_chooses(const struct pipeline_settings *pipeline, const char *schema,
                       const char *table);

const struct transform_ops *transform_find(const char *type); /* NULL: no such type */
const struct transform_ops *const *transform_list(void);      /* NULL-terminated */
setting_plugins transform_groups;                             /* of every type, in that order */

#ifdef __cplusplus
}
#endif

#endif
