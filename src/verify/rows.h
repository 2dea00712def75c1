/* Rows of either side in one form: the canonical elements of the compared columns. Two rows are
 * equal when their elements are the same bytes.
 */
#ifndef ROWS_H
#define ROWS_H

#include "sink/postgres/values/ask.h"
#include "sink/postgres/values/encode.h"
#include "verify/comparison.h"
#include "verify/digest.h"

#define SHOWN_BYTES 200 /* how much of a value is shown to the user */

/* One row. Valid until the function that takes it returns. */
struct row {
    const char *elements; /* of all columns; the first `prefix` bytes are those of the key */
    size_t length, prefix;
    const char *key; /* the key's elements in the form that is sent to the target */
    size_t key_length;
    const char *texts;   /* all columns for the user, each terminated; NULL: not wanted */
    const char *refusal; /* why the sink would not write it; NULL: it would */
};

typedef enum ods_status row_take(void *context, const struct row *row, struct error *error);

/* The source's rows, as the sink would have written them. Used by one thread. */
struct source_rows {
    const struct comparison *comparison;
    struct database *database;
    struct conn *reader; /* a connection to the target, for texts that only it can read */
    bool want_texts;

    struct passage passage;
    struct encoder encoder;
    struct readings readings;
    struct arena arena;
    struct source_column *sources; /* as the source declares them, by column of the shape */
    struct value *values;          /* by column of the source */
    struct buffer elements, keys, texts, refusals; /* of the waiting rows, one after the other */
    struct waiting_row {
        size_t elements, prefix, key, texts, refusal; /* where each ends; refusal 0: none */
    } *waiting;
    size_t count, capacity;
    struct buffer *answers;        /* by column: the target's answers for the waiting rows */
    struct buffer finished;        /* a row with the answers in it */
};

enum ods_status source_rows_open(struct source_rows *rows, const struct comparison *comparison,
                                 struct database *database, struct conn *reader, bool want_texts,
                                 struct error *error);
void source_rows_close(struct source_rows *rows); /* also for a zeroed one */

/* The texts of a key's columns, as the source writes them, in the comparison's `order`. */
struct key_texts {
    uint32_t count;
    struct buffer texts[PLAN_MAX_KEY];
};
void key_texts_init(struct key_texts *texts);
void key_texts_done(struct key_texts *texts);

/* Reads all rows of a query whose columns are the comparison's source_list. If `last` is not NULL,
 * it gets copies of the texts of the last row's key. */
enum ods_status source_rows_read(struct source_rows *rows, const char *sql, uint64_t *count,
                                 struct key_texts *last, row_take *take, void *context,
                                 struct error *error);

/* Turns a key's texts, which the source gave, into the target's elements. */
enum ods_status source_rows_key(struct source_rows *rows, const struct key_texts *texts,
                                struct buffer *key, struct error *error);

/* A row of the target, put together from its elements; columns as in target_list. */
struct target_row {
    struct buffer elements, key;
};
void target_row_init(struct target_row *row);
void target_row_done(struct target_row *row);
void target_row_begin(struct target_row *row);
/* length -1: NULL. False: out of memory. */
bool target_row_add(const struct comparison *comparison, struct target_row *row, uint32_t column,
                    const char *bytes, int32_t length, size_t *prefix);

#endif
