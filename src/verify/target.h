/* The target's rows, read-only, and what it stores about the pipeline. One connection, used by one
 * thread. */
#ifndef TARGET_H
#define TARGET_H

#include "config/settings.h"
#include "verify/rows.h"

struct target {
    struct conn conn;
    struct target_row row;
    char *copied;
    struct buffer texts;
};

/* Keys as elements, one after the other. */
struct keys {
    struct buffer elements;
    size_t count;
};
void keys_init(struct keys *keys);
void keys_done(struct keys *keys);
void keys_reset(struct keys *keys);
void keys_add(struct keys *keys, const char *key, size_t length);

/* `settings`: those of a target of type postgres; they must outlive it. */
enum ods_status target_open(struct target *target, const char *name,
                            const struct session_settings *settings, struct error *error);
void target_close(struct target *target); /* also for a zeroed one */

/* Connects, also again after an outage, and makes the session read-only. */
enum ods_status target_ready(struct target *target, struct error *error);

/* Reads all rows of a query `from … where …`; its columns are the comparison's target_list. */
enum ods_status target_read(struct target *target, const struct comparison *comparison,
                            const char *where, bool want_texts, uint64_t *count, row_take *take,
                            void *context, struct error *error);

/* Appends the keys of a query `from … where … order by … limit …`. */
enum ods_status target_keys(struct target *target, const struct comparison *comparison,
                            const char *where, struct keys *keys, struct error *error);
/* Appends " and (key) > (texts)", with texts as from target_key_texts(). */
enum ods_status target_put_behind(struct target *target, const struct comparison *comparison,
                                  const struct key_texts *texts, struct buffer *sql,
                                  struct error *error);

/* Reads the rows of these keys with texts for the user: the compared columns, then operation,
 * timestamp, topic, partition and offset, each "" where there is none, and the row's version, which
 * differs after each change of the row ("" for a view's, which have none). */
enum ods_status target_lookup(struct target *target, const struct comparison *comparison,
                              const struct keys *keys, row_take *take, void *context,
                              struct error *error);

/* Deletes the rows with these keys that still have these versions, or marks them as deleted where
 * the table keeps deleted rows; for each key, *deleted says whether it was done. The transaction is
 * the function's own. */
enum ods_status target_delete(struct target *target, const struct comparison *comparison,
                              const struct keys *keys, const char *const *versions, bool *deleted,
                              struct error *error);

/* Reads the keys as texts, in the given order: one row for each key, with one column for each of
 * its columns. The caller frees the result with PQclear(). */
enum ods_status target_key_texts(struct target *target, const struct comparison *comparison,
                                 const struct keys *keys, PGresult **texts, struct error *error);

/* Appends " where " and the condition of a range: after key `from` (NULL: from the beginning), up
 * to and including key `upto` (NULL: to the end). Keys are elements. */
enum ods_status target_put_range(struct target *target, const struct comparison *comparison,
                                 const struct buffer *from, const struct buffer *upto,
                                 struct buffer *sql, struct error *error);

enum ods_status target_number(struct target *target, const char *sql, int64_t *number,
                              struct error *error);

#endif
