/* The lists `add.fields` and `add.headers` of Debezium's ExtractNewRecordState, as a connector's
 * configuration has them: "op,table,source.ts_ms:at".
 */
#ifndef ADDED_FIELD_H
#define ADDED_FIELD_H

#include "core/json_scan.h"

/* Longest list that is understood, in bytes. */
#define ADDED_FIELDS_MAX 2048

/* One entry. Slices of the list. */
struct added_field {
    struct slice parent; /* "source" in source.ts_ms; empty without one */
    struct slice field;
    struct slice name; /* behind the colon: what it is called instead; empty without one */
};

/* The entry at *list, which is moved behind it. False: there is none, *problem says what is wrong
 * (static text), or is NULL at the end of the list. */
bool added_field_next(const char **list, struct added_field *entry, const char **problem);

/* The name in the record without its prefix, written to `name`, which has room for
 * ADDED_FIELDS_MAX; its length. */
size_t added_field_name(const struct added_field *entry, char *name);

/* NULL: a list that can be used; else what is wrong with it, static. */
const char *added_fields_problem(const char *list);

#endif
