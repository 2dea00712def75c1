/* Which columns are the key of a Maxwell record's row. Maxwell names them in the record's key, in
 * one of two forms (kafka_key_format):
 *
 *   {"database":"shop","table":"items","pk.id":1}     hash, the default
 *   ["shop","items",[{"id":1}]]                       array
 *
 * For a table without a key both have a _uuid instead, the second as if it were a column. Format:
 * Maxwell's documentation, "Kafka".
 */
#include "format/maxwell/maxwell.h"

#include <string.h>

static bool add_name(struct maxwell_reading *reading, struct json_scan *scan,
                     struct maxwell_key *key, struct slice name)
{
    if (key->count == key->capacity) {
        uint32_t larger = key->capacity ? key->capacity * 2 : 8;
        struct slice *names = arena_alloc(reading->reader.arena, larger * sizeof *names);
        if (!names)
            return json_no_memory(scan);
        if (key->count)
            memcpy(names, key->names, key->count * sizeof *names);
        key->names = names;
        key->capacity = larger;
    }
    key->names[key->count++] = name;
    return true;
}

/* Members of the object at the cursor: those that begin with `prefix` are key columns. */
static bool read_object(struct maxwell_reading *reading, struct json_scan *scan, const char *prefix,
                        struct maxwell_key *key)
{
    size_t skip = strlen(prefix);
    bool first = true;
    scan->at++;
    while (json_next_member(scan, &first)) {
        struct slice name;
        if (!json_name(scan, reading->reader.arena, &name.bytes, &name.length) || !json_skip(scan))
            return false;
        if (name.length < skip || memcmp(name.bytes, prefix, skip) != 0)
            continue;
        name.bytes += skip;
        name.length -= skip;
        if (!add_name(reading, scan, key, name))
            return false;
    }
    return !scan->problem;
}

/* Step to the next element of an array; as json_next_member(). */
static bool next_element(struct json_scan *scan, bool *first)
{
    if (json_take(scan, ']'))
        return false;
    if (!*first && !json_take(scan, ','))
        return json_fail(scan, "expected , or ] in an array");
    *first = false;
    json_space(scan);
    return true;
}

/* [{"id":1},{"part":2}] */
static bool read_columns(struct maxwell_reading *reading, struct json_scan *scan,
                         struct maxwell_key *key)
{
    bool first = true;
    scan->at++;
    while (next_element(scan, &first))
        if (json_peek(scan) == '{' ? !read_object(reading, scan, "", key) : !json_skip(scan))
            return false;
    return !scan->problem;
}

/* ["shop","items",[…]] */
static bool read_array(struct maxwell_reading *reading, struct json_scan *scan,
                       struct maxwell_key *key)
{
    bool first = true;
    scan->at++;
    for (unsigned place = 0; next_element(scan, &first); place++)
        if (place == 2 && json_peek(scan) == '[' ? !read_columns(reading, scan, key)
                                                 : !json_skip(scan))
            return false;
    return !scan->problem;
}

/* ["id","part"] */
static bool read_names(struct maxwell_reading *reading, struct json_scan *scan,
                       struct maxwell_key *key)
{
    bool first = true;
    scan->at++;
    while (next_element(scan, &first)) {
        struct slice name;
        if (json_peek(scan) != '"')
            return json_fail(scan, "expected a column's name in primary_key_columns");
        if (!json_string(scan, reading->reader.arena, &name.bytes, &name.length) ||
            !add_name(reading, scan, key, name))
            return false;
    }
    return !scan->problem;
}

static enum ods_status answer(struct maxwell_reading *reading, const struct json_scan *scan,
                              const char *part)
{
    if (scan->out_of_memory)
        return maxwell_no_memory(reading);
    return error_set(reading->error, ODS_REJECT, "the record's %s is not as Maxwell writes it: %s",
                     part, scan->problem);
}

enum ods_status maxwell_key_read(struct maxwell_reading *reading, struct slice columns,
                                 struct maxwell_key *key)
{
    const struct record *record = reading->record;
    struct json_scan scan;
    *key = (struct maxwell_key){0};
    if (!record->key || !record->key_length) {
        if (!columns.bytes)
            return ODS_OK;
        json_scan_init(&scan, columns.bytes, columns.length);
        bool good = json_peek(&scan) == '[' ? read_names(reading, &scan, key) : json_skip(&scan);
        return good ? ODS_OK : answer(reading, &scan, "primary_key_columns");
    }
    json_scan_init(&scan, record->key, record->key_length);
    json_space(&scan);
    bool good;
    switch (json_peek(&scan)) {
    case '{':
        good = read_object(reading, &scan, "pk.", key);
        break;
    case '[':
        good = read_array(reading, &scan, key);
        break;
    default:
        good = json_fail(&scan, "it is neither {\"database\":…,\"table\":…,\"pk.id\":…} nor "
                                "[\"database\",\"table\",[{\"id\":…}]] (kafka_key_format)");
    }
    return good && json_end(&scan) ? ODS_OK : answer(reading, &scan, "key");
}
