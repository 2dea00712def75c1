/* What ExtractNewRecordState adds to a flattened row: its operation, table, time and the like, as
 * fields beside the columns (`add.fields`) or as headers of the record (`add.headers`).
 *
 * Source: Debezium's documentation of "new record state extraction". Filled when a decoder opens,
 * then only read.
 */
#ifndef METADATA_H
#define METADATA_H

#include <ods/batch.h>

#include "config/settings.h"
#include "core/blocks.h"

enum meta {
    META_NONE = 0, /* a column */
    META_OP,
    META_DELETED,
    META_CONNECTOR,
    META_DATABASE,
    META_SCHEMA,
    META_TABLE,
    META_SOURCE_TS_MS,
    META_SOURCE_TS_US,
    META_SOURCE_TS_NS,
    META_TS_MS,
    META_TS_US,
    META_TS_NS,
    META_LSN,
    META_FILE,
    META_POS,
    META_ROW,
    META_GTID,
    META_TX,       /* the database's own name of the transaction */
    META_TX_ID,    /* Debezium's */
    META_TX_ORDER,
    META_OTHER, /* known, but not used */
    META_COUNT
};

struct metadata_name {
    const char *name;
    size_t length;
    enum meta meta;
};

struct metadata {
    bool configured;    /* the lists name all fields; else the fields have their usual names */
    const char *prefix; /* of the usual names */
    size_t prefix_length;
    struct metadata_name *fields, *headers;
    size_t field_count, header_count;
    struct blocks blocks;
};

/* `settings` may be zeroed, and outlive the metadata. False: memory is out. */
bool metadata_init(struct metadata *metadata, const struct metadata_settings *settings);
void metadata_done(struct metadata *metadata); /* zeroed ones are fine */

/* What this field of a flattened row means. */
enum meta metadata_find(const struct metadata *metadata, const char *name, size_t length);

/* Is an object with this member a flattened row? */
static inline bool metadata_tells_row(const struct metadata *metadata, const char *name,
                                      size_t length)
{
    enum meta meta = metadata_find(metadata, name, length);
    return meta == META_OP || meta == META_DELETED;
}

/* Where the operation is expected, for a message: "__op", "header __op". */
const char *metadata_op_place(const struct metadata *metadata, char *buffer, size_t size);

/* Fill those of values[META_COUNT] that are not set yet from the record's headers. */
enum ods_status metadata_read_headers(const struct metadata *metadata, struct batch *batch,
                                      const struct record *record, struct value *values,
                                      struct error *error);

#endif
