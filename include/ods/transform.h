/* A transform alters the changes that a decoder made of a record, before they are passed on to the
 * target. One instance a lane, entered by its consumer thread only; it does no I/O and never waits.
 *
 * Adding one: a file in src/transform/ that ends in its constant transform_ops, a line in
 * src/transform/registry.c, one in CMakeLists.txt.
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
};

struct transform_config {
    const void *settings;                     /* the struct of transform_ops.settings */
    const struct pipeline_settings *pipeline; /* NULL: none. Both outlive the transform */
    struct shape_table *shapes;               /* where the shapes that it makes are interned */
};

struct transform_ops {
    const char *type; /* as in tables.yaml: transforms: [{ type: <type> }] */
    const char *summary;
    const struct setting_group *settings;
    bool wants_before; /* the before image is decoded for it */
    enum ods_status (*open)(struct transform **transform, const struct transform_config *config,
                            struct error *error);
    /* The changes from `first` on are those of one record, and each has the record's number. They
     * may be altered (in place, or with values from batch->arena), dropped (transform_drop()) and
     * added to. ODS_REJECT: the whole record becomes a dead letter, error says why. Called for
     * records with at least one change. */
    enum ods_status (*apply)(struct transform *transform, struct batch *batch, uint32_t first,
                             struct error *error);
    void (*close)(struct transform *transform); /* NULL is fine */
};

/* Take a change out of the batch; those behind it move up. */
void transform_drop(struct batch *batch, uint32_t change);

const struct transform_ops *transform_find(const char *type); /* NULL: no such type */
const struct transform_ops *const *transform_list(void);      /* NULL-terminated */
setting_plugins transform_groups;                             /* of every type, in that order */

#ifdef __cplusplus
}
#endif

#endif
