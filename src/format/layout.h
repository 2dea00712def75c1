/* The members of a row's JSON object in the order in which they are expected, so that a row is read
 * without look-ups: the first bytes of each member are known in advance. Members in another order
 * are looked up by name; a row with other members does not have this layout.
 */
#ifndef LAYOUT_H
#define LAYOUT_H

#include <ods/status.h>
#include <ods/value.h>

#include "core/json_scan.h"
#include "format/connect_schema.h"
#include "format/metadata.h"
#include "format/unavailable.h"

struct layout_slot {
    const char *token; /* "name": with quotes and colon */
    uint32_t token_length;
    const char *name;
    uint32_t name_length;
    uint32_t column; /* index into values; unused for meta fields */
    uint8_t meta;    /* enum meta */
    uint8_t wire;    /* enum wire */
};

struct layout {
    struct layout_slot *slots;
    uint32_t slot_count, slot_capacity;
    /* By the hash of a name: the slot's number plus one, 0 for an empty place. It is not a
     * hash_index because of its memory: for a table of 8 columns it takes 64 bytes of about 1,100,
     * a hash_index 1,024. And it lies in the layout's blocks, so that the ceiling of all layouts
     * counts it. Its speed does not matter: rows whose members come in order need no look-up. */
    uint32_t *index;
    uint32_t index_mask;
    struct column *columns;
    uint32_t column_count;
    bool typed; /* a schema said what the columns are */
};

/* What layout_read() works with. */
struct layout_reader {
    struct arena *arena;
    const struct unavailable *unavailable;
    struct error *error;
};

enum layout_answer {
    LAYOUT_OK,
    LAYOUT_OTHER, /* well-formed so far, but not these members (untyped layouts only) */
    LAYOUT_BAD,   /* not JSON (scan->problem) or not what the schema says (error) */
};

/* The layout of a schema's columns; `metadata` says which fields are metadata, NULL if there are
 * none. False when memory is out. */
bool layout_of_schema(struct layout *layout, struct blocks *blocks,
                      const struct connect_schema *schema, const struct metadata *metadata);

/* The layout of the members of the object at the cursor, which moves past it. False: scan->problem
 * says why. */
bool layout_of_object(struct layout *layout, struct blocks *blocks, struct json_scan *scan,
                      struct arena *arena, const struct metadata *metadata);

/* Index of the column with this one's name, -1: there is none. */
int layout_column(const struct layout *layout, const struct column *wanted);

/* Whether both have the same members in the same order. */
bool layout_same(const struct layout *a, const struct layout *b);

/* Read the object at the cursor into values[column_count]; meta[META_COUNT] may be NULL where none
 * is expected, and is to be zeroed. */
enum layout_answer layout_read(const struct layout *layout, struct json_scan *scan,
                               const struct layout_reader *reader, struct value *values,
                               struct value *meta);

/* Read an object that has some of the layout's columns, and overwrite their values. LAYOUT_OTHER:
 * it has a member that the layout lacks, *unknown. Only for untyped layouts. */
enum layout_answer layout_read_over(const struct layout *layout, struct json_scan *scan,
                                    const struct layout_reader *reader, struct value *values,
                                    struct slice *unknown);

#endif
