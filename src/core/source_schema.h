/* What a source's tables were like from which moment on, as its schema-change topic tells: for
 * records that carry no schema themselves.
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

/* A table from one change of it to the next. */
struct source_version;

struct source_column_fact {
    const char *type;    /* as source_type_parse() reads it; NULL: the record's value tells */
    const char *allowed; /* labels of an enum or set, comma-separated, or NULL */
    bool optional;
};

/* Words behind datetime and time where the settings name the unit ("ms"), NULL: by precision. */
struct source_schema *source_schema_new(const char *datetime_unit, const char *time_unit);
void source_schema_free(struct source_schema *store); /* NULL is fine */

/* Take what a record of the topic says. ODS_REJECT: it can't be read, and nothing was taken.
 * ODS_RETRY: want of memory; it may be learned again.
 * *tables: how many tables it tells of (NULL is fine). */
enum ods_status source_schema_learn(struct source_schema *store, const char *value, size_t length,
                                    unsigned *tables, struct error *error);

/* The table as it was at that time (INT64_MIN: as it is now); before all that is known, the first
 * that is. NULL: nothing is known of it. */
const struct source_version *source_schema_at(struct source_schema *store, const char *database,
                                              size_t database_length, const char *table,
                                              size_t table_length, int64_t source_us);
/* NULL: the version has no such column. */
const struct source_column_fact *source_version_column(const struct source_version *version,
                                                       const char *name, size_t length);

/* --- following ------------------------------------------------------------------------------ */

/* The writer: everything that was in the topic at this time (monotonic) has been learned. */
void source_schema_caught_up(struct source_schema *store, int64_t at_us);
/* A reader: has it been since then, and at all? If not, the writer is asked to see to it. */
bool source_schema_is_read(struct source_schema *store, int64_t since_us);
/* The writer: up to which time a reader wants it. */
int64_t source_schema_wanted_us(const struct source_schema *store);

#endif
