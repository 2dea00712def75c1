/* The history of a table, for commands. */
#ifndef READ_HISTORY_H
#define READ_HISTORY_H

#include "sink/postgres/read/reader.h"

struct read_history {
    struct read_table table; /* the source's columns as they are in the history, and their key */
    struct read_column *columns;
    char *schema, *name; /* of the history */
    char *from;          /* what table.quoted is when it shows the rows of a moment */
};

/* *found false: the target keeps no history of the table, whose name in the target or whose
 * history's name this is. */
enum ods_status reader_history(struct reader *reader, const char *schema, const char *name,
                               struct read_history *history, bool *found, struct error *error);
/* Makes history->table a query for the rows as they were at the moment, a text that PostgreSQL
 * reads. */
enum ods_status reader_as_of(struct reader *reader, struct read_history *history,
                             const char *moment, struct error *error);
void read_history_done(struct read_history *history); /* also for a zeroed one */

#endif
