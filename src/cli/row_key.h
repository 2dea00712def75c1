/* A row's key as somebody gives it: --key 42, --key id=42,region=eu, or --key once a column. */
#ifndef ROW_KEY_H
#define ROW_KEY_H

#include <ods/setting.h>
#include "cli/table_choice.h"
#include "sink/postgres/read/row.h"

struct row_key {
    struct key_text *items;
    size_t count;
    char *texts; /* that they point to */
};

/* A text that begins with the name of a column (the target's, or the source's for it) and "=" is
 * that column's value up to a comma after which the next one begins so; any other is the only key
 * column's, whole. `table`: NULL where the target has none, so that any name will do. A
 * cli_exit. */
int row_key_parse(struct row_key *key, const struct strings *given,
                  const struct table_choice *choice, const struct read_table *table,
                  struct error *error);
void row_key_done(struct row_key *key);

/* The key for people: id=42, region=eu. Values of redacted columns are not in it. Heap; NULL:
 * out of memory. */
char *row_key_text(const struct row_key *key, const struct table_choice *choice);

#endif
