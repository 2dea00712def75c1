/* What the files that check tables share. */
#ifndef QUALITY_ROOM_H
#define QUALITY_ROOM_H

#include "quality/run.h"
#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/wire/conn.h"

struct quality_table {
    char *schema, *name; /* of the source: its schema or database, "" where it is not known */
    char *target_schema, *target_name; /* "": the target has none */
    const struct table_settings *settings;
    struct pg_table *found; /* NULL: it is not there */
};

struct quality_tables {
    struct quality_table *items;
    size_t count;
};

struct checking {
    const struct quality_options *options;
    struct conn conn; /* reads alone */
    struct catalog catalog;
    struct quality_tables tables;
};

/* Connects, unless it is connected. */
enum ods_status checking_ready(struct checking *checking, struct error *error);

/* tables.c. The pipeline's tables: those that the target has rows of, and those that the
 * configuration has rules for and the target knows nothing of. */
enum ods_status quality_tables_find(struct checking *checking, struct error *error);
void quality_tables_done(struct quality_tables *tables);
/* The table that a rule means by the name of a source's table. NULL: there is none. */
const struct quality_table *quality_tables_named(const struct quality_tables *tables,
                                                 const char *name);
/* The target's column for one of the source's. ODS_REJECT: it has none. */
enum ods_status quality_column(const struct quality_table *table, const char *name,
                               const struct pg_column **column, struct error *error);
/* Appends the condition that leaves out rows that are marked as deleted, of the table `alias`. */
void quality_put_live(const struct quality_table *table, const char *alias, struct buffer *sql);

/* statement.c. Asks the target; the buffer may have failed. */
enum ods_status quality_query(struct checking *checking, struct buffer *sql, int count,
                              const char *const *values, PGresult **rows, struct error *error);

/* Each of these fills state, measured, rows and words of the result. ODS_REJECT: the rule can't be
 * asked of this table, the error says why; others are failures of the target. */
enum ods_status quality_ask_rows(struct checking *checking, const struct quality_table *table,
                                 struct quality_result *result, struct error *error);
enum ods_status quality_ask_count(struct checking *checking, const struct quality_table *table,
                                  struct quality_result *result, struct error *error);
enum ods_status quality_ask_schema(struct checking *checking, const struct quality_table *table,
                                   struct quality_result *result, struct error *error);
enum ods_status quality_ask_freshness(struct checking *checking,
                                      const struct quality_table *table,
                                      struct quality_result *result, struct error *error);
enum ods_status quality_ask_volume(struct checking *checking, const struct quality_table *table,
                                   struct quality_result *result, struct error *error);
enum ods_status quality_ask_verify(struct checking *checking, const struct quality_table *table,
                                   struct quality_result *result, struct error *error);
enum ods_status quality_ask_lag(struct checking *checking, const struct quality_table *table,
                                struct quality_result *result, struct error *error);

static inline bool quality_stops(const struct checking *checking)
{
    return checking->options->stops && checking->options->stops(checking->options->context);
}

/* Pauses; false: it was stopped. */
bool quality_pause(const struct checking *checking, int64_t ms);

#endif
