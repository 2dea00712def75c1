/* What row.c, row_expect.c and row_look.c share. */
#ifndef ROW_ROOM_H
#define ROW_ROOM_H

#include <ods/buffer.h>
#include "sink/postgres/read/reader_room.h"
#include "sink/postgres/read/row.h"

struct key_value {
    char *name;    /* as it was given; NULL: the only one */
    char *text;    /* as PostgreSQL writes it, else as it was given */
    int target;    /* column of the table, -1: not known */
    char *encoded; /* with its length in front, as a key's element; NULL: not known */
    size_t encoded_bytes;
};

struct known_shape {
    enum { SHAPE_NEW, SHAPE_OURS, SHAPE_OTHER } whose;
    const struct plan *plan; /* NULL: not asked for yet */
    bool keyed;              /* the plan has a key by which its rows are told in the table */
};

struct keyed_row {
    struct reader *reader;
    char *schema, *name;
    struct pg_table *table; /* NULL: not there */
    struct key_value *values;
    size_t count;
    struct buffer key, wanted, reduced, scratch;
    struct known_shape *known; /* by shape */
    size_t shapes;
};

/* The plan of a shape that is this row's table's, and so has been asked about. */
enum ods_status row_plan(struct keyed_row *row, const struct shape *shape,
                         const struct plan **plan, struct error *error);

/* PostgreSQL reads the texts of the batch that no parser of ours takes. */
enum ods_status row_ask(struct keyed_row *row, const struct batch *batch, struct error *error);

/* " where key = $first and …"; the parameters are texts. */
void row_put_where(struct buffer *sql, const struct keyed_row *row, int first);

#endif
