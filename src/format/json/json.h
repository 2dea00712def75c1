/* Plain JSON rows: see json.c. */
#ifndef FORMAT_JSON_H
#define FORMAT_JSON_H

#include <ods/format.h>
#include <ods/pipeline.h>

#include "core/json_scan.h"

/* The members of an object, in their order. */
struct json_members {
    struct slice *names;
    struct value *values;
    uint32_t count, capacity;
};

/* Reads the object at the cursor. False: scan->problem says why. */
bool json_members_read(struct json_scan *scan, struct arena *arena, struct json_members *members);
int json_members_find(const struct json_members *members, const char *name, size_t length);
bool json_members_add(struct json_members *members, struct arena *arena, struct slice name,
                      struct value value);

/* A value of any kind; a text, array or object points into what is read. */
bool json_value_read(struct json_scan *scan, struct arena *arena, struct value *value);

#endif
