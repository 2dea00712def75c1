/* A source database, read-only: its tables, their rows as texts, and the end of its log.
 *
 * One connection, used by one thread. Rows come one by one and are not stored. The caller writes
 * the SQL, from quoted names and literals.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include <ods/buffer.h>
#include <ods/change.h>
#include "config/settings.h"
#include "verify/forms.h"

/* A table as the database describes it and as its connector would. All of it is on the heap. */
struct source_table {
    char *database, *schema, *name; /* as in a record: schema is "" if the source has none */
    char *quoted;                   /* for SQL */
    uint32_t column_count;
    struct column *columns;    /* with heap names */
    char **quoted_columns;     /* for SQL */
    struct form_column *forms; /* how each is read */
    uint32_t key_count;        /* its primary key, 0: it has none */
    uint32_t *key;
};

void source_table_done(struct source_table *table);

/* The end of a source's log, at a time of its own clock. */
struct source_place {
    int64_t clock_us;
    bool known;     /* file and position are set; if not, `why` says what they need */
    char file[256]; /* of MySQL's binary log; "" for PostgreSQL */
    uint64_t position; /* in the file; or the LSN */
    char why[256];
};

/* Returns -1, 0 or 1: compares the files, whose numbers may get more digits, then the positions. */
int source_place_compare(const struct source_place *one, const struct source_place *other);

/* Was a table changed between two places? */
enum touched { TOUCHED_NO, TOUCHED_YES, TOUCHED_UNKNOWN };

struct database {
    const struct database_ops *ops;
    const struct database_settings *settings;
};

struct database_ops {
    const char *type;
    const char *connector; /* the name that it has in records */
    /* Connects, or connects again. */
    enum ods_status (*open)(struct database *database, struct error *error);
    /* *found false: there is no such table, or the user may not read it. */
    enum ods_status (*describe)(struct database *database, const char *schema, const char *name,
                                struct source_table *table, bool *found, struct error *error);
    /* Begins a query, and reads its rows one by one; *cells is NULL after the last. A row is valid
     * until the next call. */
    enum ods_status (*query)(struct database *database, const char *sql, struct error *error);
    enum ods_status (*next)(struct database *database, const struct field **cells,
                            struct error *error);
    void (*literal)(struct database *database, struct buffer *sql, const struct form_column *column,
                    const char *text, size_t length);
    /* The same for any session of the server, whatever its modes and its time zone are. Numbers and
     * bytes go through `literal`. */
    void (*portable)(struct database *database, struct buffer *sql,
                     const struct form_column *column, const char *text, size_t length);
    /* Adds a row of three texts to a table, whose name is as Debezium writes it. */
    enum ods_status (*signal)(struct database *database, const char *table,
                              const char *const values[3], struct error *error);
    const char *random; /* SQL: a random number from 0 to 1, another one for each row */
    enum ods_status (*place)(struct database *database, struct source_place *place,
                             struct error *error);
    /* Does the database itself know that the connector has sent everything before `to`? If not,
     * `why` gets a note for the user. */
    enum ods_status (*confirmed)(struct database *database, const struct source_place *to,
                                 bool *confirmed, char *why, size_t size, struct error *error);
    /* Was the table changed after `from` and before `to`? */
    enum ods_status (*touched)(struct database *database, const struct source_table *table,
                               const struct source_place *from, const struct source_place *to,
                               enum touched *touched, char *why, size_t size, struct error *error);
    int (*socket)(const struct database *database); /* of the session; -1: there is none */
    void (*close)(struct database *database); /* accepts NULL */
};

extern const struct database_ops mysql_database, postgres_database;

/* Not yet connected. NULL: out of memory. */
struct database *mysql_database_new(const struct database_settings *settings);
struct database *postgres_database_new(const struct database_settings *settings);

struct database *database_new(const struct database_settings *settings);
void database_free(struct database *database); /* accepts NULL */

/* Runs a query and reads the first cell of its first row as an integer. */
enum ods_status database_number(struct database *database, const char *sql, int64_t *number,
                                struct error *error);

#endif
