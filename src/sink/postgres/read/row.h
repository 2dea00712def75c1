/* One row of a table of the target, found by its key: which changes concern it, what they should
 * have made of it, and what it is. The expected row comes from the sink's own plans and encoders,
 * so that "equal" means: what the sink would have written. The reader must outlive it.
 */
#ifndef KEYED_ROW_H
#define KEYED_ROW_H

#include <ods/batch.h>
#include "sink/postgres/read/reader.h"

struct keyed_row;

/* A key as text. A value without a name belongs to the only column of the key. */
struct key_text {
    const char *name; /* the target's or the source's name of the column; or NULL */
    const char *value;
};

/* ODS_REJECT: the table can't have such a key. A table that does not exist is no error. */
enum ods_status keyed_row_open(struct keyed_row **row, struct reader *reader, const char *schema,
                               const char *name, const struct key_text *key, size_t count,
                               struct error *error);
/* What a target calls a source's table. */
typedef enum ods_status row_namer(const struct table_settings *settings, const struct shape *source,
                                  char **schema, char **name, struct error *error);
/* A row of a table that is not of PostgreSQL: changes are matched by the texts of their keys, and
 * none of the functions for expecting and looking may be called. */
enum ods_status keyed_row_open_texts(struct keyed_row **row,
                                     const struct pipeline_settings *pipeline, row_namer *names,
                                     const char *schema, const char *name,
                                     const struct key_text *key, size_t count,
                                     struct error *error);
void keyed_row_close(struct keyed_row *row); /* NULL is fine */

/* The key's value for a column of the source, as PostgreSQL writes it if the table exists. NULL:
 * the column is not in the key. */
const char *keyed_row_value(const struct keyed_row *row, const struct table_settings *settings,
                            const char *column);

enum row_match {
    ROW_OTHER,
    ROW_THIS,
    ROW_ALL, /* a truncate of the table */
};

/* Does the change concern the row? The batch has only this change, or only the changes of its
 * record. */
enum ods_status keyed_row_match(struct keyed_row *row, const struct batch *batch, uint32_t change,
                                enum row_match *match, struct error *error);

/* Where a value of the change goes. */
enum value_place {
    VALUE_WRITTEN,
    VALUE_LEFT_OUT,  /* tables.yaml says so */
    VALUE_NO_COLUMN, /* the table has none for it, or PostgreSQL computes it */
};
enum ods_status keyed_row_place(struct keyed_row *row, const struct shape *shape, uint32_t column,
                                enum value_place *place, struct error *error);

/* What a sequence of changes should have made of the row. Zeroed: nothing is known. */
enum expected_state { EXPECTED_UNKNOWN, EXPECTED_PRESENT, EXPECTED_SOFT_DELETED, EXPECTED_ABSENT };
struct expected_cell;
struct expected_row {
    enum expected_state state;
    struct expected_cell *cells; /* by column of the table */
    size_t count;
};
enum ods_status keyed_row_expect(struct keyed_row *row, struct expected_row *expected,
                                 const struct batch *batch, uint32_t change, struct error *error);
void expected_row_done(struct expected_row *expected);

/* A column as it is and as it should be. */
struct row_cell {
    const char *column;
    const char *value; /* NULL: NULL */
    bool known;        /* `expected` is set */
    const char *expected;
    bool same;
};

struct row_look {
    size_t rows; /* how many rows have the key: 0 or 1, if the table's key is unique */
    bool soft_deleted;
    struct row_cell *cells;
    size_t count;
    char **texts; /* to which the cells point */
    size_t text_count;
};

/* Reads the row as it was at reader_begin(). `expected` may be NULL. */
enum ods_status keyed_row_look(struct keyed_row *row, const struct table_settings *settings,
                               const struct expected_row *expected, struct row_look *look,
                               struct error *error);
void row_look_done(struct row_look *look);

#endif
