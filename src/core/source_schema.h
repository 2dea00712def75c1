/* The history of a source's tables, as its schema-change topic tells it: which columns a table had
 * at which time. For records that carry no schema themselves.
 *
 * One writer (the thread that follows the topic), any number of readers. Versions are never changed
 * and live as long as the store, so a reader keeps its pointer.
 */
#ifndef SOURCE_SCHEMA_H
#define SOURCE_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/status.h>

struct source_schema;

/* A table's columns from one schema change to the next. */
struct source_version;

struct source_column_fact {
    const char *type;    /* as source_type_parse() reads it; NULL: the record's value tells */
    const char *allowed; /* labels of an enum or set, comma-separated, or NULL */
    bool optional;
};

/* The units of datetime and time columns if the settings name them ("ms"); NULL: the precision
 * decides. */
struct source_schema *source_schema_new(const char *datetime_unit, const char *time_unit);
void source_schema_free(struct source_schema *store); /* NULL is fine */

/* Learn from a record of the topic. ODS_REJECT: it can't be read, and nothing was learned.
 * ODS_RETRY: memory is out; try it again later. *tables: how many tables it describes (NULL is
 * fine). */
enum ods_status source_schema_learn(struct source_schema *store, const char *value, size_t length,
                                    unsigned *tables, struct error *error);

/* The table as it was at that time (INT64_MIN: as it is now). For a time before the oldest known
 * version, that one. NULL: the table is not known. */
const struct source_version *source_schema_at(struct source_schema *store, const char *database,
                                              size_t database_length, const char *table,
                                              size_t table_length, int64_t source_us);
/* NULL: the version has no such column. */
const struct source_column_fact *source_version_column(const struct source_version *version,
                                                       const char *name, size_t length);

/* --- following ------------------------------------------------------------------------------ */

/* The writer: everything that was in the topic at this time (monotonic) has been learned. */
void source_schema_caught_up(struct source_schema *store, int64_t at_us);
/* A reader: has the topic been read up to what it held at that time? If not, the writer is asked to
 * do so. since_us 0: has it been read at all? */
bool source_schema_is_read(struct source_schema *store, int64_t since_us);
/* The writer: up to which time a reader wants the topic to be read. */
int64_t source_schema_wanted_us(const struct source_schema *store);

#endif
