/* Dead letters in a table of a PostgreSQL target. One thread; letters_interrupt() by any.
 *
 * What is put is in the table, on the server's disk, when the call returns ODS_OK.
 */
#ifndef LETTERS_H
#define LETTERS_H

#include <ods/status.h>
#include "config/settings.h"

struct letters;

struct letter_row {
    const char *pipeline, *topic, *stage, *code, *error;
    int32_t partition;
    int64_t record_offset;
    const char *letter; /* a line of JSON in UTF-8 */
};

/* `table`: "table", in the sink's own schema, or "schema.table". NULL: memory or file descriptors
 * are out. */
struct letters *letters_new(const struct target_settings *target, const char *table);
void letters_free(struct letters *letters); /* NULL is fine */
void letters_interrupt(struct letters *letters);
void letters_clear_interrupt(struct letters *letters);

/* letters_begin(), any number of letters_put(), letters_commit(). An error ends the transaction.
 * The table is made when it is missing. */
enum ods_status letters_begin(struct letters *letters, struct error *error);
enum ods_status letters_put(struct letters *letters, const struct letter_row *row,
                            struct error *error);
enum ods_status letters_commit(struct letters *letters, struct error *error);

/* Letters with an id above `after`, in order; none where there is no table. take() answers false to
 * end. */
enum ods_status letters_read(struct letters *letters, int64_t after,
                             bool (*take)(void *context, int64_t id, int64_t at_ms,
                                          const char *letter, size_t length),
                             void *context, struct error *error);

/* Those with these ids are gone, from the server's disk too, when the call returns ODS_OK. */
enum ods_status letters_erase(struct letters *letters, const int64_t *ids, size_t count,
                              struct error *error);

/* Behind a pipeline's group: the group under which its target keeps what became of its letters. */
#define LETTERS_REPLAYS ".dlq"

/* A pipeline whose target has the table, and how many of its letters were neither replayed nor
 * skipped. */
struct letters_waiting {
    const char *pipeline, *group;
    bool queue; /* its records are known by an identity */
    int64_t count, oldest_us; /* wall clock; 0: none waits */
};

/* Counts of each; none waits where there is no table. `place`: the table as it is configured, which
 * the marks of replays begin with. Reads the whole table. */
enum ods_status letters_waiting(struct letters *letters, const char *place,
                                struct letters_waiting *waiting, size_t count, struct error *error);

#endif
