/* The statements that rows go through: one per table, kind and set of columns, prepared once, fed
 * with one array a column and unnested by PostgreSQL. Values are parameters, always.
 *
 * Measured on 2 cores (10,000 rows a batch, 10 columns, PostgreSQL 15, one connection): binary
 * arrays 105,000-112,000 rows a second, binary COPY into a temporary table and a merge
 * 108,000-119,000; at 100 rows a batch 64,000-88,000 against 41,000-57,000. Arrays also go through
 * a pipeline in one round trip, need no temporary table and leave the catalog alone. Rows that are
 * new need no merge: see copy.c.
 */
#ifndef UPSERT_H
#define UPSERT_H

#include "sink/postgres/fold/fold.h"

struct statement; /* one of a table's; freed with it (struct prepared) */

/* Columns of parameters, reused from group to group. */
struct arrays {
    struct buffer *columns;
    size_t capacity;
    const char **values;
    int *lengths;
    size_t *starts; /* of the row that is being encoded */
    uint32_t rows;
    size_t bytes; /* of all of them */
};

void arrays_done(struct arrays *arrays);

/* The statement for a group; compiled at first use. Without a guess it writes rows whether the
 * target has them or not. `guarded`: it changes only rows that are older
 * than their change, by the plan's timestamp column, which must be there; its row count is then
 * that of the changes it has kept out. Rows of GROUP_INSERT have no key and need no guard. */
enum ods_status upsert_statement(struct statements *statements, const struct group *group,
                                 bool guarded, struct statement **statement, struct error *error);

/* Empty the arrays for a statement's rows. */
enum ods_status upsert_begin(struct arrays *arrays, const struct statement *statement,
                             struct error *error);

/* Add rows [*first, last) that are not set aside, up to about max_bytes; *first is where it
 * stopped. A row that can't be encoded: ODS_REJECT, *first names it, and those before it are in. */
enum ods_status upsert_encode(const struct group *group, const struct statement *statement,
                              struct encoder *encoder, struct arrays *arrays, uint32_t *first,
                              uint32_t last, size_t max_bytes, struct error *error);

/* Append a row's value for one of the statement's columns: its length and its binary form. */
enum ods_status upsert_value(const struct statement *statement, const struct row *row,
                             uint32_t column, struct encoder *encoder, struct buffer *out,
                             struct error *error);

/* Send the encoded rows, preparing the statement when this connection does not know it yet and has
 * room for it.
 * *commands grows by what was put into the pipeline. */
enum ods_status upsert_send(struct statement *statement, struct conn *conn, struct arrays *arrays,
                            unsigned *commands, struct error *error);

/* The pipeline in which a statement was prepared has failed: it may not be there. */
void upsert_unprepare(struct statement *statement);

#endif
