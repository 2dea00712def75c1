/* The target's rows, read-only, and what it stores of the pipeline. One connection, one thread. */
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

/* Keys as elements, one behind the other. */
struct keys {
    struct buffer elements;
    size_t count;
};
void keys_init(struct keys *keys);
void keys_done(struct keys *keys);
void keys_reset(struct keys *keys);
void keys_add(struct keys *keys, const char *key, size_t length);

/* `settings` of a target of type postgres; outlive it. */
enum ods_status target_open(struct target *target, const char *name,
                            const struct session_settings *settings, struct error *error);
void target_close(struct target *target); /* zeroed is fine */

/* Connected again after an outage, and read-only. */
enum ods_status target_ready(struct target *target, struct error *error);

/* All rows `from … where …`, whose columns are the comparison's target_list. */
enum ods_status target_read(struct target *target, const struct comparison *comparison,
                            const char *where, bool want_texts, uint64_t *count, row_take *take,
                            void *context, struct error *error);

/* Append the keys of rows `from … where … order by … limit …`. */
enum ods_status target_keys(struct target *target, const struct comparison *comparison,
                            const char *where, struct keys *keys, struct error *error);
/* Append " and (key) > (texts)", texts as target_key_texts() has them. */
enum ods_status target_put_behind(struct target *target, const struct comparison *comparison,
                                  const struct key_texts *texts, struct buffer *sql,
                                  struct error *error);

/* The rows of these keys, with texts for people: of the compared columns, and then operation,
 * timestamp, topic, partition and offset, each "" where there is none. */
enum ods_status target_lookup(struct target *target, const struct comparison *comparison,
                              const struct keys *keys, row_take *take, void *context,
                              struct error *error);

/* The keys as texts, in the order in which they are given; a row each, a column each. PQclear(). */
enum ods_status target_key_texts(struct target *target, const struct comparison *comparison,
                                 const struct keys *keys, PGresult **texts, struct error *error);

/* Append " where " and the range: behind `from` (NULL: the beginning) up to and with `upto` (NULL:
 * the end), keys as elements. */
enum ods_status target_put_range(struct target *target, const struct comparison *comparison,
                                 const struct buffer *from, const struct buffer *upto,
                                 struct buffer *sql, struct error *error);

enum ods_status target_number(struct target *target, const char *sql, int64_t *number,
                              struct error *error);

#endif
