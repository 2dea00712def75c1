/* The statements by which a derived table is computed, for its query's columns. See kept.h. */
#ifndef COMPILE_H
#define COMPILE_H

#include "derived/kept.h"

/* Sets kept->take and so on; the columns and types are known. ODS_RETRY: memory is out.
 *
 *   take     takes all marks, and answers the keys of one pass: a text[] with an array for each
 *            column of the anchor, and how many there are; the others go to derived_todo. Without a
 *            row there are none.
 *   compute  $1 keys: computes them anew; how many rows were made, changed and deleted
 *   halve    $1 keys, $2 how many the first half has: both halves
 *   heal     $1 keys: what was wrong with them is so no more
 *   finish   $1 whether something has changed: notes the pass, and whether the table is exact
 *   look     the keys that wait, as `take` would find them, but nothing is taken: see inspect.c
 */
enum ods_status compile(struct kept *kept, struct error *error);

/* Text between single quotes. */
void compile_literal(struct buffer *sql, const char *text);
/* The keys of all rows that there may be: of the table itself, and by each table it depends on. */
void compile_every(struct buffer *sql, const struct kept *kept);
/* The type of a column of the anchor, bare. */
const char *compile_anchor_type(const struct kept *kept, size_t index);
/* ($1::text[])[i]::type[]: an array of the keys that a statement is called with. */
void compile_keys(struct buffer *sql, const struct kept *kept, size_t index);
/* Two common table expressions: q, the query's rows for the keys in $1, and d, the table's. Their
 * columns are c0, c1 and so on; q.n tells how many rows have the key. */
void compile_sides(struct buffer *sql, const struct kept *kept);
/* "from q full join d on …": pairs of both sides that differ. */
void compile_differences(struct buffer *sql, const struct kept *kept);

#endif
