/* A statement that changes a table, as a rehearsal (rehearsal.h) has found it to go. */
#ifndef REHEARSED_H
#define REHEARSED_H

#include <ods/batch.h>

struct rehearsed {
    const char *schema, *table, *sql;
    const struct record *cause;
    unsigned transaction; /* statements with the same number are in one */
    const char *lock;     /* on the table, until the transaction ends; "": the table is new */
    const char *also;     /* other tables that are locked, each with its foreign key: JSON */
    const char *indexes;  /* that are rebuilt, of a table that is not rewritten: JSON */
    bool rewrites;
    bool is_new;   /* the table is not there yet */
    int64_t bytes; /* of the table as it is, with its indexes */
    int64_t rows;  /* by the server's statistics, -1: not known */
};

#endif
