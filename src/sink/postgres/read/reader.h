/* Reads a PostgreSQL target, for commands. Transactions are read-only, statements have a time
 * limit, and values come as PostgreSQL writes them. It only needs the right to read, and changes
 * nothing.
 *
 * One thread.
 */
#ifndef READER_H
#define READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/sink.h>

struct reader;
struct table_settings; /* ods/pipeline.h */
struct shape;

/* Connects. `config`: a target of type "postgres"; what it points to must outlive the reader. Its
 * alive() is called while the reader waits for the server, and may interrupt the wait. */
enum ods_status reader_open(struct reader **reader, const struct sink_config *config,
                            int64_t timeout_ms, struct error *error);
void reader_close(struct reader *reader); /* NULL is fine */
/* Ends the present wait: its call returns ODS_RETRY. */
void reader_interrupt(struct reader *reader);

/* The sink's own schema, quoted. */
const char *reader_own_schema(struct reader *reader);

/* The schema and table into which the settings put the rows of a source's table; only the names of
 * the shape are used. Heap. */
enum ods_status reader_names(const struct table_settings *settings, const struct shape *source,
                             char **schema, char **name, struct error *error);

/* A column as a statement needs it. */
struct read_column {
    const char *name;
    const char *quoted;
    const char *type; /* as it is declared */
    const char *cast; /* without the modifier, so that a value that is too long is not cut */
    bool key;         /* part of the primary key, else of a unique one */
};

struct read_table {
    const char *quoted; /* "schema"."name" */
    const struct read_column *columns;
    size_t column_count, key_count;
};

/* *table NULL: the target has no table of that name. It lives as long as the reader. */
enum ods_status reader_table(struct reader *reader, const char *schema, const char *name,
                             const struct read_table **table, struct error *error);
/* NULL: the table has no column of that name. */
const struct read_column *read_column(const struct read_table *table, const char *name);

/* Gets the values of a row, a null pointer for NULL. Returns false to get no more rows. */
typedef bool reader_take(void *context, const char *const *values);

/* Runs a query with text parameters in a transaction of its own. It may have any number of rows. */
enum ods_status reader_rows(struct reader *reader, const char *sql, int count,
                            const char *const *values, reader_take *take, void *context,
                            struct error *error);

/* Begins a transaction in which all further queries see the same moment. */
enum ods_status reader_begin(struct reader *reader, struct error *error);
void reader_end(struct reader *reader);

/* The stored offsets of a consumer group; OFFSET_NONE where the target has none. */
enum ods_status reader_positions(struct reader *reader, const char *group,
                                 struct position *positions, size_t count, struct error *error);

/* The sources' tables whose rows have gone into a table: database, schema, table; "" where the
 * source has no such name. */
enum ods_status reader_sources(struct reader *reader, const char *schema, const char *name,
                               reader_take *take, void *context, struct error *error);

/* The orders of operators about topics of a group that are in force: topic, state, reason, who gave
 * it, since when (UTC). None where the target stores no orders. */
enum ods_status reader_orders(struct reader *reader, const char *group, reader_take *take,
                              void *context, struct error *error);
/* Records that were skipped by order (skip-until): topic, partition, the first offset, the offset
 * after the last, reason, who ordered it, when (UTC). */
enum ods_status reader_skips(struct reader *reader, const char *group, reader_take *take,
                             void *context, struct error *error);

#endif
