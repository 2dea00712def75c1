/* A format's decoder turns records into changes. One instance a lane, entered by its consumer thread
 * only.
 *
 * Adding a format: a folder in src/format/ whose file ends in its constant format_ops, and a line in
 * src/format/registry.c.
 */
#ifndef ODS_FORMAT_H
#define ODS_FORMAT_H

#include <ods/batch.h>
#include <ods/shape.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings; /* ods/pipeline.h */
struct source_schema;     /* src/core/source_schema.h */

/* Embedded as the first member of each decoder's own struct. */
struct decoder {
    const struct format_ops *ops;
};

struct decoder_config {
    const struct pipeline_settings *pipeline; /* outlives the decoder */
    struct shape_table *shapes;               /* where shapes are interned; outlives the decoder */
    struct source_schema *schema; /* the followed schema topic, outlives the decoder; NULL: where
                                     the settings name a topic, what passes of it is learned */
    bool want_before;             /* decode the before image also where no sink needs it */
    /* Something that somebody should know once: a sentence. NULL: nobody asks. */
    void (*notice)(void *context, const char *text);
    void *context;
};

struct format_ops {
    const char *name; /* as in tables.yaml: format: <name> */
    const char *summary;
    enum ods_status (*open)(struct decoder **decoder, const struct decoder_config *config,
                            struct error *error);
    /* Append what batch->records[record] says to batch->changes (none, one or several), or count it
     * in batch->passed. ODS_REJECT: nothing was appended, error says why. ODS_RETRY: something it
     * needs (a schema registry, memory) is away: the record is put off, what was appended for it is
     * taken back, and it is decoded again later. Never waits and does no I/O. Memory comes from
     * batch->arena. */
    enum ods_status (*decode)(struct decoder *decoder, struct batch *batch, uint32_t record,
                              struct error *error);
    /* What a record means may depend on so many offsets below it in its partition, and on nothing
     * else that came before. Who starts a partition in its middle hands the records that are there
     * to observe(), in order: they make no changes. 0 and NULL: records stand by themselves. */
    uint32_t look_back;
    void (*observe)(struct decoder *decoder, const struct record *record);
    void (*close)(struct decoder *decoder); /* NULL is fine */
};

const struct format_ops *format_find(const char *name); /* NULL: no such format */
const struct format_ops *const *format_list(void);      /* NULL-terminated */

#ifdef __cplusplus
}
#endif

#endif
