/* A statement over arrays, and its SQL: what upsert.c compiles, feeds and sends. */
#ifndef STATEMENT_H
#define STATEMENT_H

#include "sink/postgres/write/upsert.h"

/* Replayed changes may be older than the row in the target. Where deletes remove rows, a missing
 * row may have been deleted since, so only existing rows are changed (GUARD_OLDER_PRESENT). */
enum guard { GUARD_NONE, GUARD_OLDER, GUARD_OLDER_PRESENT };

/* A statement's parameter is one column of the table, or of the key. */
struct statement {
    struct prepared prepared; /* its place among the session's statements */
    enum group_kind kind;
    enum guess guess;
    enum guard guard;
    bool compares;
    uint32_t key_count;
    uint32_t key[PLAN_MAX_KEY];
    uint64_t *columns;
    int operation_column, timestamp_column;
    bool keeps; /* a history: rows that are there are not written again */
    int kept_operation, kept_time;
    struct pg_table *table; /* the table whose list has it */
    uint32_t *parameters; /* table columns, in order of the parameters */
    Oid *types;
    int parameter_count;
    char *sql; /* NULL: not needed at the moment */
};

/* The table for rows that GROUP_PARK takes out of theirs. It has the same columns. */
#define PARKED_NAME "ods_parked"
#define PARKED      "pg_temp." PARKED_NAME

/* The columns that can be written, separated by commas. */
void statement_put_written(struct buffer *sql, const struct pg_table *table, const char *prefix);

/* Append the SQL of a statement whose other fields are set. */
void statement_put(struct buffer *sql, const struct statement *statement);

bool statement_has_key(const struct statement *statement, uint32_t column);

static inline bool statement_in_set(const uint64_t *columns, uint32_t column)
{
    return columns[column / 64] >> (column % 64) & 1;
}

#endif
