/* The statements that write rows: one for each table, kind and set of columns. It is prepared once,
 * gets one array for each column, and PostgreSQL unnests them. Values are always parameters.
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

struct statement; /* belongs to a table and is freed with it (struct prepared) */

/* Columns of parameters, reused from group to group. */
struct arrays {
    struct buffer *columns;
    size_t capacity;
    const char **values;
    int *lengths;
    size_t *starts; /* where the elements of the present row begin */
    uint32_t rows;
    size_t bytes; /* of all arrays */
};

void arrays_done(struct arrays *arrays);

/* The statement for a group, compiled at its first use. Without a guess it writes rows whether the
 * target has them or not. With a guard it changes only rows that are older than their change, by
 * the plan's timestamp column, which must exist; its row count is then the number of changes that
 * it kept out. Rows of GROUP_INSERT have no key and need no guard. */
enum ods_status upsert_statement(struct statements *statements, const struct group *group,
                                 bool guarded, struct statement **statement, struct error *error);

/* Empties the arrays for the rows of a statement. */
enum ods_status upsert_begin(struct arrays *arrays, const struct statement *statement,
                             struct error *error);

/* Adds rows [*first, last) that are not set aside, up to about max_bytes; *first is then the row
 * where it stopped. ODS_REJECT: row *first can't be encoded; the rows before it are added. */
/* Asks the processor for what the rows after row `at` will be encoded from: another thread has
 * written it, so it is in no near cache, and lies all over the batch. */
void upsert_look_ahead(const struct group *group, uint32_t at, uint32_t last);
enum ods_status upsert_encode(const struct group *group, const struct statement *statement,
                              struct encoder *encoder, struct arrays *arrays, uint32_t *first,
                              uint32_t last, size_t max_bytes, struct error *error);

/* Appends a row's value for one of the statement's columns: its length and its binary form. */
enum ods_status upsert_value(const struct statement *statement, const struct row *row,
                             uint32_t column, struct encoder *encoder, struct buffer *out,
                             struct error *error);

/* Sends the encoded rows. Prepares the statement when it is not prepared yet and there is room for
 * it. *commands grows by the number of commands that were put into the pipeline. */
enum ods_status upsert_send(struct statement *statement, struct conn *conn, struct arrays *arrays,
                            unsigned *commands, struct error *error);

/* Called when the pipeline in which the statement was prepared has failed: the server may not have
 * it. */
void upsert_unprepare(struct statement *statement);

#endif
