/* Reading a PostgreSQL target, for commands: in transactions that can't write and statements with a
 * time limit, values as PostgreSQL writes them. Needs no right but to read, and changes nothing.
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

/* Connects. `config`: a target of type "postgres"; what it points to outlives the reader. Its
 * alive() is called while the server is waited for, and may interrupt. */
enum ods_status reader_open(struct reader **reader, const struct sink_config *config,
                            int64_t timeout_ms, struct error *error);
void reader_close(struct reader *reader); /* NULL is fine */
/* The present wait ends, and its call with ODS_RETRY. */
void reader_interrupt(struct reader *reader);

/* Where the settings put the rows of a source's table; the shape's names alone count. Heap. */
enum ods_status reader_names(const struct table_settings *settings, const struct shape *source,
                             char **schema, char **name, struct error *error);

/* What a statement says of a column. */
struct read_column {
    const char *name;
    const char *quoted;
    const char *type; /* as it is declared */
    const char *cast; /* without its modifier, so that a value that is too long is not cut */
    bool key;         /* of the primary key, else of a unique one */
};

struct read_table {
    const char *quoted; /* "schema"."name" */
    const struct read_column *columns;
    size_t column_count, key_count;
};

/* *table NULL: the target has none of that name. Lives as long as the reader. */
enum ods_status reader_table(struct reader *reader, const char *schema, const char *name,
                             const struct read_table **table, struct error *error);
/* NULL: it has none of that name. */
const struct read_column *read_column(const struct read_table *table, const char *name);

/* Values of a row, NULL for NULL; false ends the reading. */
typedef bool reader_take(void *context, const char *const *values);

/* One query with text parameters, in a transaction of its own, however many rows it has. */
enum ods_status reader_rows(struct reader *reader, const char *sql, int count,
                            const char *const *values, reader_take *take, void *context,
                            struct error *error);

/* A transaction in which all that follows is of one moment. */
enum ods_status reader_begin(struct reader *reader, struct error *error);
void reader_end(struct reader *reader);

/* The stored offsets of a consumer group; OFFSET_NONE where the target has none. */
enum ods_status reader_positions(struct reader *reader, const char *group,
                                 struct position *positions, size_t count, struct error *error);

/* The tables of sources whose rows went into a table so far: database, schema, table; "" where the
 * source has none. */
enum ods_status reader_sources(struct reader *reader, const char *schema, const char *name,
                               reader_take *take, void *context, struct error *error);

/* What operators have ordered about topics of a group; nothing where the target keeps no orders.
 * Orders that hold: topic, state, reason, who gave it, since when (UTC). */
enum ods_status reader_orders(struct reader *reader, const char *group, reader_take *take,
                              void *context, struct error *error);
/* Records that were passed over (skip-until): topic, partition, the first, the one behind the last,
 * reason, who ordered it, when (UTC). */
enum ods_status reader_skips(struct reader *reader, const char *group, reader_take *take,
                             void *context, struct error *error);

#endif
