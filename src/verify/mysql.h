/* What the files for MySQL share; see mysql.c. */
#ifndef MYSQL_H
#define MYSQL_H

#include <string.h>

#include <mariadb/mysql.h>

#include "verify/database.h"

#define CELLS_MAX 4096

struct mysql_database {
    struct database base;
    MYSQL *connection;
    MYSQL_RES *result;
    struct field cells[CELLS_MAX];
};

static inline struct mysql_database *mysql_of(struct database *database)
{
    return (struct mysql_database *) database;
}

/* Functions of database_ops. */
enum ods_status mysql_run(struct database *database, const char *sql, struct error *error);
enum ods_status mysql_next(struct database *database, const struct field **cells,
                           struct error *error);
enum ods_status mysql_describe(struct database *database, const char *schema, const char *name,
                               struct source_table *table, bool *found, struct error *error);
enum ods_status mysql_place(struct database *database, struct source_place *place,
                            struct error *error);
enum ods_status mysql_touched(struct database *database, const struct source_table *table,
                              const struct source_place *from, const struct source_place *to,
                              enum touched *touched, char *why, size_t size, struct error *error);

/* Appends a text as a literal. */
void mysql_put_quoted(struct mysql_database *mysql, struct buffer *sql, const char *text,
                      size_t length);

static inline bool mysql_is(const struct field *cell, const char *text)
{
    size_t length = strlen(text);
    return cell->bytes && cell->length == length && memcmp(cell->bytes, text, length) == 0;
}

#endif
