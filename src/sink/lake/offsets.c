/* How far a table's rows are those of a pipeline's partitions: numbers in its commits, by ids.
 *
 *   ods:<group>:<topic>:<partition>             the next offset
 *   ods:<group>:<topic>:<partition>@us          when that was stored
 *   ods:<group>:<topic>:<partition>@again@us    since when the partition is read again
 *   ods:<group>:<topic>:<partition>@until@us    when the offset before that had been stored, in the
 *                                               pipeline's own table: for tables without @us, as
 *                                               versions before this one have written them
 *   ods:<group>@maintenance:<schema>.<name>@us  until when one process maintains the table, in the
 *                                               pipeline's own
 *
 * A partition is read again where its offset is set back: by `reset`, or because its topic was made
 * anew. One commit of the pipeline's own table does that. What a table of rows has stored before
 * does not tell what it has of the records that come again, so it does not count, and they are
 * written over what is there. A table that is appended to keeps what it has: a record is passed
 * over whose place in it is taken, unless the record is newer than what could have taken it.
 */
#include <stdio.h>
#include <string.h>

#include "sink/lake/store.h"

#define ID_BYTES      1024
#define CLOCK_SKEW_US INT64_C(60000000) /* between producers and who stores offsets */
#define AGAIN         "@again@us"
#define UNTIL         "@until@us"

static void name_partition(const struct lake_table *table, char id[ID_BYTES], const char *topic,
                           int32_t partition, const char *what)
{
    snprintf(id, ID_BYTES, "ods:%s:%s:%d%s", table->store->group, topic, (int) partition, what);
}

static int64_t number_of(const struct lake_table *table, const char *topic, int32_t partition,
                         const char *what, int64_t otherwise)
{
    char id[ID_BYTES];
    name_partition(table, id, topic, partition, what);
    const json_t *number = json_object_get(table->offsets, id);
    return json_is_integer(number) ? json_integer_value(number) : otherwise;
}

int64_t lake_table_offset(const struct lake_table *table, const char *topic, int32_t partition)
{
    return number_of(table, topic, partition, "", OFFSET_NONE);
}

int64_t lake_table_stored_us(const struct lake_table *table, const char *topic, int32_t partition)
{
    return number_of(table, topic, partition, "@us", 0);
}

static int64_t read_again_since(const struct lake_table *table, const char *topic,
                                int32_t partition)
{
    return number_of(table, topic, partition, AGAIN, 0);
}

enum lake_has lake_table_has(const struct lake_table *table, const struct record *record,
                             int64_t stored)
{
    const struct lake_table *control = table->store->control;
    if (stored == OFFSET_NONE || record->offset >= stored)
        return LAKE_HAS_NOT;
    if (read_again_since(control, record->topic, record->partition) ==
        read_again_since(table, record->topic, record->partition))
        return LAKE_HAS;
    if (!table->appends)
        return LAKE_HAS_NOT;
    int64_t until = lake_table_stored_us(table, record->topic, record->partition);
    if (!until)
        until = number_of(control, record->topic, record->partition, UNTIL, 0);
    return until && record->timestamp_ms > (until + CLOCK_SKEW_US) / 1000 ? LAKE_HAS_ANOTHER
                                                                           : LAKE_HAS;
}

/* --- what a commit stores --------------------------------------------------------------------- */

static bool put(json_t *next, const char *id, int64_t number)
{
    return json_object_set_new(next, id, json_integer(number)) == 0;
}

static bool expect_stored(const struct lake_table *table, json_t *expect, const char *id)
{
    json_t *stored = json_object_get(table->offsets, id);
    return json_object_set_new(expect, id, stored ? json_incref(stored) : json_null()) == 0;
}

bool lake_table_move(const struct lake_table *table, json_t *expect, json_t *next,
                     const char *topic, int32_t partition, int64_t upto)
{
    char id[ID_BYTES];
    int64_t again = read_again_since(table->store->control, topic, partition);
    name_partition(table, id, topic, partition, "");
    bool good = expect_stored(table, expect, id) && put(next, id, upto);
    if (again == read_again_since(table, topic, partition))
        return good;
    name_partition(table, id, topic, partition, AGAIN);
    return good && put(next, id, again);
}

bool lake_table_stamp(const struct lake_table *table, json_t *next, const char *topic,
                      int32_t partition, int64_t now_us)
{
    char id[ID_BYTES];
    name_partition(table, id, topic, partition, "@us");
    return put(next, id, now_us);
}

bool lake_table_read_again(const struct lake_table *control, json_t *next, const char *topic,
                           int32_t partition, int64_t now_us)
{
    char id[ID_BYTES];
    name_partition(control, id, topic, partition, AGAIN);
    if (!put(next, id, now_us))
        return false;
    name_partition(control, id, topic, partition, UNTIL);
    return put(next, id, lake_table_stored_us(control, topic, partition));
}

/* --- the lease of maintenance ----------------------------------------------------------------- */

static void name_lease(const struct lake_table *table, char id[ID_BYTES])
{
    snprintf(id, ID_BYTES, "ods:%s@maintenance:%s.%s@us", table->store->group, table->schema,
             table->name);
}

int64_t lake_table_lease(const struct lake_table *table)
{
    char id[ID_BYTES];
    name_lease(table, id);
    return json_integer_value(json_object_get(table->store->control->offsets, id));
}

bool lake_table_lease_put(const struct lake_table *table, json_t *expect, json_t *next,
                          int64_t lease_us)
{
    char id[ID_BYTES];
    name_lease(table, id);
    return expect_stored(table->store->control, expect, id) && put(next, id, lease_us);
}

/* --- whole groups ----------------------------------------------------------------------------- */

/* Not of a moment, nor one that somebody else has made up. */
static bool is_offset(const char *id)
{
    size_t length = strlen(id);
    return strncmp(id, "ods:", 4) == 0 && (length < 7 || strcmp(id + length - 3, "@us") != 0);
}

/* The length of the group in "ods:<group>:<topic>:<partition>"; 0: it is no such id. */
static size_t group_of(const char *id)
{
    const char *group = id + 4;
    const char *partition = is_offset(id) ? strrchr(group, ':') : NULL;
    const char *topic = partition ? memrchr(group, ':', (size_t) (partition - group)) : NULL;
    return topic ? (size_t) (topic - group) : 0;
}

static bool is_own(const struct lake_table *table, const char *id)
{
    const char *group = table->store->group;
    size_t length = strlen(group);
    return group_of(id) == length && strncmp(id + 4, group, length) == 0;
}

int64_t lake_table_offsets_count(const struct lake_table *table)
{
    const char *id;
    json_t *number;
    int64_t count = 0;
    json_object_foreach(table->offsets, id, number)
        count += is_own(table, id) && json_integer_value(number) >= 0;
    return count;
}

bool lake_table_writers(const struct lake_table *table, char *others, size_t size)
{
    const char *id;
    json_t *number;
    bool any = false;
    *others = '\0';
    json_object_foreach(table->offsets, id, number)
    {
        size_t length = group_of(id), used = strlen(others);
        any |= length > 0;
        if (!length || json_integer_value(number) < 0 || is_own(table, id) ||
            memmem(others, used, id + 4, length))
            continue;
        snprintf(others + used, size - used, "%s%.*s", used ? ", " : "", (int) length, id + 4);
    }
    return any;
}

static bool put_at(json_t *next, const char *partition, const char *what, int64_t number)
{
    char id[ID_BYTES];
    snprintf(id, sizeof id, "%s%s", partition, what);
    return put(next, id, number);
}

bool lake_table_forget(const struct lake_table *table, json_t *expect, json_t *next,
                       int64_t again_us)
{
    const char *id;
    json_t *number;
    bool good = true;
    json_object_foreach(table->offsets, id, number)
    {
        if (!is_own(table, id))
            continue;
        good &= expect_stored(table, expect, id) && put(next, id, OFFSET_NONE);
        if (again_us)
            good &= put_at(next, id, AGAIN, again_us) && put_at(next, id, UNTIL, again_us);
    }
    return good;
}
