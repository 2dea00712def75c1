/* Interned shapes: equal tables share one pointer. Whoever makes changes makes their shapes here:
 * decoders and transforms. A lane has one table, entered by its consumer thread only; the shapes
 * live as long as the lane and never change, so other threads may read them. */
#ifndef ODS_SHAPE_H
#define ODS_SHAPE_H

#include <ods/change.h>

#ifdef __cplusplus
extern "C" {
#endif

struct shape_table;

struct shape_table *shape_table_new(void);
void shape_table_free(struct shape_table *table);

/* Made from a candidate on the stack: set topic, table, columns and, where there is one, key; what
 * the source does not have (database, schema, connector) is "", never NULL. Of columns set name,
 * name_length, type, length -1 and scale INT32_MIN where they are not known, optional. With
 * SEM_UNKNOWN the target's column decides what a text or number means, and a target that makes
 * tables makes what the first values suggest. id is the table's to set. The key is the record's
 * own: a `key` in tables.yaml is applied by the target, by name; a format whose records have no key
 * takes that one. Interning costs a hash over all columns: keep the pointer with what it was made
 * from.
 *
 * The interned shape that equals `candidate` in all but its topic; a deep copy of it, if it is the
 * first of its kind. NULL when memory is out, or when the table is full (100,000 shapes, or 64 MB:
 * only reached by records without schemas whose sets of columns keep changing). */
const struct shape *shape_intern(struct shape_table *table, const struct shape *candidate);
bool shape_table_full(const struct shape_table *table);
size_t shape_table_count(const struct shape_table *table);

/* Index of a column by name, or -1. */
int shape_column(const struct shape *shape, const char *name, size_t length);

#ifdef __cplusplus
}
#endif

#endif
