/* The table of a history: its name and columns, its key, indexes and partitions, and what the sink
 * knows of it (ods_sink.history_tables). Its rows come as those of any table (pipeline/history.c).
 */
#ifndef TABLES_HISTORY_H
#define TABLES_HISTORY_H

#include <ods/history.h>

#include "sink/postgres/tables/ddl.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/plan.h"

struct history_type {
    const char *name, *type; /* type as "create table" takes it */
};
extern const struct history_type history_columns[HISTORY_COLUMN_COUNT];

/* The names of the added columns in the target. */
struct history_names {
    char room[HISTORY_COLUMN_COUNT][NAME_MAX_BYTES + 1];
    const char *names[HISTORY_COLUMN_COUNT];
};
void history_names_fill(struct history_names *names, const struct table_settings *settings);

/* A table's settings as they hold for its history; the caller frees them. NULL: out of memory. */
struct table_settings *history_settings_of(const struct table_settings *settings);

/* Schema and name, as name_table(), from the history's own settings. */
enum ods_status history_name_table(const struct table_settings *settings,
                                   const struct shape *shape, char **schema, char **table,
                                   struct error *error);
/* The same from the table's settings. */
enum ods_status history_table_of(const struct table_settings *settings, const struct shape *shape,
                                 char **schema, char **table, struct error *error);
/* The name of an added column. */
enum ods_status history_name(const struct table_settings *settings, const char *column,
                             char **name, struct error *error);

/* The record's place, and where the table is partitioned the time too, which PostgreSQL wants in
 * each key. */
enum ods_status history_map_key(struct plan *plan, struct error *error);

/* The SQLSTATE by which a statement says that the history has another record at this place. */
#define HISTORY_TAKEN "22012"
void history_explain(const struct plan *plan, struct error *why);

/* ", primary key (…)" of a history that is made. */
void history_put_key(struct buffer *sql, const struct ddl_table *table);
/* Indexes and the partition for all that has none, after "create table". */
void history_put_rest(struct ddl *ddl, const struct plan *plan);

/* The view of a history that changes goes first; history_note() makes it again. */
void history_put_drop_view(struct ddl *ddl);

/* Enters or updates what the sink knows of the history. */
enum ods_status history_note(const struct plan *plan, struct conn *conn, struct error *error);

/* Makes and drops the partitions that are due, each by itself and with lock_timeout; what can't be
 * done now is done at a later call. *failed: something could not be, and the error says why. */
enum ods_status history_keep_up(struct conn *conn, bool *failed, struct error *error);

#endif
