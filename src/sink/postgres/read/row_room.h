/* What row.c and row_expect.c share. */
#ifndef ROW_ROOM_H
#define ROW_ROOM_H

#include <ods/buffer.h>
#include "sink/postgres/read/reader_room.h"
#include "sink/postgres/read/row.h"

struct key_value {
    char *name;    /* as it was given; NULL: the only column of the key */
    char *text;    /* as PostgreSQL writes it, else as it was given */
    int target;    /* column of the table, -1: not known */
    char *encoded; /* an element of a key, which begins with its length; NULL: not known */
    size_t encoded_bytes;
};

struct known_shape {
    enum { SHAPE_NEW, SHAPE_OURS, SHAPE_OTHER } whose;
    const struct plan *plan; /* NULL: not asked for yet */
    bool keyed;              /* the plan has a key that identifies its rows in the table */
};

struct keyed_row {
    struct reader *reader; /* NULL: its table is not of PostgreSQL, and its key is texts */
    const struct pipeline_settings *pipeline;
    row_namer *names;
    char *schema, *name;
    struct pg_table *table; /* NULL: it does not exist */
    struct key_value *values;
    size_t count;
    struct buffer key, wanted, reduced, scratch;
    struct known_shape *known; /* by shape */
    size_t shapes;
};

/* The plan of a shape whose rows go into this row's table, as keyed_row_match() has found out. */
enum ods_status row_plan(struct keyed_row *row, const struct shape *shape,
                         const struct plan **plan, struct error *error);

/* Lets PostgreSQL read the texts of the batch that no parser of ours can read. */
enum ods_status row_ask(struct keyed_row *row, const struct batch *batch, struct error *error);

/* Appends " where key = $first and …"; the parameters are texts. */
void row_put_where(struct buffer *sql, const struct keyed_row *row, int first);

#endif
