/* A source database, read-only: what its tables are, their rows as texts, and where it stands.
 *
 * One connection, one thread. Rows come one by one and are never held. SQL is put together by the
 * caller from quoted names and literals.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include <ods/buffer.h>
#include <ods/change.h>
#include "config/settings.h"
#include "verify/forms.h"

/* A table as the database describes it and as its connector would. Heap. */
struct source_table {
    char *database, *schema, *name; /* as in a record: schema is "" where there is none */
    char *quoted;                   /* for SQL */
    uint32_t column_count;
    struct column *columns;    /* with heap names */
    char **quoted_columns;     /* for SQL */
    struct form_column *forms; /* how each is read */
    uint32_t key_count;        /* its primary key, 0: it has none */
    uint32_t *key;
};

void source_table_done(struct source_table *table);

/* Where a source stands, at a moment of its own clock. */
struct source_place {
    int64_t clock_us;
    bool known;     /* the rest: else `why` says what it takes */
    char file[256]; /* of MySQL's binary log; "" for PostgreSQL */
    uint64_t position; /* in the file; or the LSN */
    char why[256];
};

/* -1, 0, 1: by file, whose numbers may grow in length, then by position. */
int source_place_compare(const struct source_place *one, const struct source_place *other);

/* Whether a table was changed between two places. */
enum touched { TOUCHED_NO, TOUCHED_YES, TOUCHED_UNKNOWN };

struct database {
    const struct database_ops *ops;
    const struct database_settings *settings;
};

struct database_ops {
    const char *type;
    const char *connector; /* as records name it */
    /* Connects, or connects again. */
    enum ods_status (*open)(struct database *database, struct error *error);
    /* *found false: there is no such table, or it may not be read. */
    enum ods_status (*describe)(struct database *database, const char *schema, const char *name,
                                struct source_table *table, bool *found, struct error *error);
    /* Rows of a query: begin, then each; *cells NULL behind the last. They live until the next
     * call. */
    enum ods_status (*query)(struct database *database, const char *sql, struct error *error);
    enum ods_status (*next)(struct database *database, const struct field **cells,
                            struct error *error);
    void (*literal)(struct database *database, struct buffer *sql, const struct form_column *column,
                    const char *text, size_t length);
    const char *random; /* a number from 0 to 1, for each row */
    enum ods_status (*place)(struct database *database, struct source_place *place,
                             struct error *error);
    /* Does what the connector is known to have done include everything before `to`, as the database
     * itself tells it? A note for people goes to `why` where it does not. */
    enum ods_status (*confirmed)(struct database *database, const struct source_place *to,
                                 bool *confirmed, char *why, size_t size, struct error *error);
    /* Was the table changed behind `from` and before `to`? */
    enum ods_status (*touched)(struct database *database, const struct source_table *table,
                               const struct source_place *from, const struct source_place *to,
                               enum touched *touched, char *why, size_t size, struct error *error);
    void (*close)(struct database *database); /* NULL is fine */
};

extern const struct database_ops mysql_database, postgres_database;

/* Not yet connected. NULL: memory is out. */
struct database *mysql_database_new(const struct database_settings *settings);
struct database *postgres_database_new(const struct database_settings *settings);

struct database *database_new(const struct database_settings *settings);
void database_free(struct database *database); /* NULL is fine */

/* The first row's first cell as an integer. */
enum ods_status database_number(struct database *database, const char *sql, int64_t *number,
                                struct error *error);

#endif
