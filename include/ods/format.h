/* A format's decoder turns records into changes. One instance a lane, entered by its consumer
 * thread only.
 *
 * Adding a format: "A new format" in ARCHITECTURE.md has the steps.
 */
#ifndef ODS_FORMAT_H
#define ODS_FORMAT_H

#include <ods/batch.h>
#include <ods/shape.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pipeline_settings; /* ods/pipeline.h */
struct registry_settings;
struct topic_reader;      /* ods/source.h */

/* Embedded as the first member of each decoder's own struct. */
struct decoder {
    const struct format_ops *ops;
};

/* What the decoders of a pipeline's lanes share where they need something that takes I/O: a helper
 * has a thread of its own that fetches it, and a decoder answers ODS_RETRY until it is there.
 * Embedded as the first member of the helper's own struct. */
struct format_helper {
    const struct format_helper_ops *ops;
};

struct helper_config {
    const struct pipeline_settings *pipeline; /* outlives the helper */
    /* A reader of the pipeline's source; the helper closes it. */
    enum ods_status (*open_reader)(void *context, struct topic_reader **reader,
                                   struct error *error);
    void *reader_context;
    /* Called in the helper's thread: the lanes decode again what was put off. NULL: there are no
     * lanes. */
    void (*wake)(void *context);
    /* Called with a message for the operator; NULL: nobody reads it. */
    void (*say)(void *context, bool warning, const char *text);
    void *context;
};

struct format_helper_ops {
    /* *helper NULL: the pipeline's settings ask for none. */
    enum ods_status (*open)(struct format_helper **helper, const struct helper_config *config,
                            struct error *error);
    /* Reads all that is there now, in the caller's thread; used instead of start(). */
    enum ods_status (*read)(struct format_helper *helper, struct error *error);
    /* Start the thread, which goes on for as long as the helper; waits for nothing. */
    enum ods_status (*start)(struct format_helper *helper, struct error *error);
    void (*stop)(struct format_helper *helper);  /* ends the thread; what it has learned stays
                                                    readable */
    void (*close)(struct format_helper *helper); /* NULL is fine; the decoders are gone */
    /* Asks what the helper would ask, once: a line for what answers, an error for what does not.
     * NULL: there is nothing to ask. */
    enum ods_status (*check)(const struct pipeline_settings *pipeline,
                             void (*report)(void *context, const char *line), void *context,
                             struct error *error);
    bool registry; /* the format's records name schemas of a registry: the pipeline must have one */
};

struct decoder_config {
    /* Outlives the decoder. NULL in `ods-sink decode`: what the records say must do, and where it
     * does not, decode() answers ODS_REJECT. */
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;               /* where shapes are interned; outlives the decoder */
    struct format_helper *helper; /* of this format, outlives the decoder; NULL: there is none,
                                     and only the records themselves inform the decoder */
    const struct registry_settings *registry; /* without a pipeline: where schemas are; NULL: none
                                                 are needed. Outlives the decoder */
    bool any_language;            /* schemas may be in any language that is read */
    bool want_before;             /* decode the before image even if no sink needs it; else a
                                     change of a table with a key may leave it NULL */
    bool want_position;           /* set change->position where the record tells it */
    /* Called with a sentence that the operator should read once. NULL: nobody reads it. */
    void (*notice)(void *context, const char *text);
    void *context;
};

/* A format has no settings of its own: it reads the pipeline's `source` and its tables' entries.
 * What is not said to be NULL at times must be there; tests/unit/test_plugins.c looks. */
struct format_ops {
    const char *name; /* as in tables.yaml: format: <name> */
    const char *summary;
    /* Sets decoder->ops; after a failure *decoder is NULL. */
    enum ods_status (*open)(struct decoder **decoder, const struct decoder_config *config,
                            struct error *error);
    /* Append what batch->records[record] says to batch->changes (none, one or several), or count it
     * in batch->passed. The new change is zeroed: set op, record, shape, source_us (INT64_MIN where
     * it is not known) and the images that the op has. A record without value is a tombstone: the
     * delete of its key, or nothing, as on_tombstone says (PASS_TOMBSTONE). `skip` and the choice
     * of columns are the sink's. ODS_REJECT: error says why, without the record's place; what was
     * appended is removed, the reject is the caller's to add. ODS_RETRY: something that it needs
     * (knowledge of the helper, memory) is missing: the record is put off, everything appended for
     * it is removed, and it is decoded again when the helper wakes the lane, or a second later.
     * Never waits and does no I/O. Memory comes from batch->arena. */
    enum ods_status (*decode)(struct decoder *decoder, struct batch *batch, uint32_t record,
                              struct error *error);
    /* The meaning of a record may depend on this many offsets before it in its partition, and on
     * nothing earlier. Whoever starts a partition in its middle passes the records at those offsets
     * to observe(), in order; they make no changes. 0 and NULL: each record has its meaning by
     * itself. ODS_RETRY: what the record says can't be told yet, as in decode(); it and those
     * before it come again. Any other record is ODS_OK: what is wrong with it was said when it was
     * decoded. */
    uint32_t look_back;
    enum ods_status (*observe)(struct decoder *decoder, const struct record *record,
                               struct error *error);
    void (*close)(struct decoder *decoder); /* NULL is fine */
    const struct format_helper_ops *helper; /* NULL: it needs none */
};

const struct format_ops *format_find(const char *name); /* NULL: no such format */
const struct format_ops *const *format_list(void);      /* NULL-terminated */

#ifdef __cplusplus
}
#endif

#endif
