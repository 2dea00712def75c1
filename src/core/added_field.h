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
    struct slice name; /* after the colon: the field's new name; empty without one */
};

/* Reads the entry at the start of *list and moves *list past it. False: there is no entry; *problem
 * says what is wrong (static text), or is NULL at the end of the list. */
bool added_field_next(const char **list, struct added_field *entry, const char **problem);

/* Writes the field's name in the record, without its prefix, to `name`, which has room for
 * ADDED_FIELDS_MAX bytes. Returns the name's length. */
size_t added_field_name(const struct added_field *entry, char *name);

/* NULL: the list is valid; else what is wrong with it (static text). */
const char *added_fields_problem(const char *list);

#endif
