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

/* The interned shape that equals `candidate` in all but its topic; a deep copy of it, if it is the
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
