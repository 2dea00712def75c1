/* What the decoder remembers of a table: the members that its rows have, and their shape. */
#include "format/maxwell/maxwell.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/hash.h"

#define BYTES_MAX ((size_t) 64 * 1024 * 1024)
#define ROWS_MAX  64 /* a table */

/* --- tables ---------------------------------------------------------------------------------- */

static bool is_of(const struct maxwell_table *table, struct slice database, struct slice name)
{
    return slice_is(name, table->name, table->name_length) &&
           slice_is(database, table->database, table->database_length);
}

static struct maxwell_table *new_table(struct slice database, struct slice name)
{
    struct maxwell_table *table = calloc(1, sizeof *table + database.length + name.length + 2);
    if (!table)
        return NULL;
    table->database = (char *) (table + 1);
    table->name = table->database + database.length + 1;
    memcpy(table->database, database.bytes, database.length);
    memcpy(table->name, name.bytes, name.length);
    table->database_length = database.length;
    table->name_length = name.length;
    return table;
}

struct maxwell_table *maxwell_table_find(struct maxwell *self, struct slice database,
                                         struct slice name)
{
    if (self->last && is_of(self->last, database, name))
        return self->last;
    uint64_t hash =
        hash_bytes(name.bytes, name.length, hash_bytes(database.bytes, database.length, 0));
    size_t at = hash_index_start(hash);
    struct maxwell_table *table;
    while ((table = hash_index_next(&self->tables, hash, &at)))
        if (is_of(table, database, name))
            return self->last = table;
    table = hash_index_reserve(&self->tables) ? new_table(database, name) : NULL;
    if (!table)
        return NULL;
    hash_index_add(&self->tables, hash, table);
    self->bytes += sizeof *table + database.length + name.length;
    return self->last = table;
}

static void rows_free(struct maxwell_rows *rows)
{
    if (!rows)
        return;
    blocks_done(&rows->blocks);
    free(rows->key_names);
    free(rows->identifying);
    free(rows);
}

void maxwell_tables_free(struct maxwell *self)
{
    for (size_t i = 0; i < self->tables.slot_count; i++) {
        struct maxwell_table *table = self->tables.slots[i].item;
        for (struct maxwell_rows *rows = table ? table->rows : NULL, *next; rows; rows = next) {
            next = rows->next;
            rows_free(rows);
        }
        free(table);
    }
    hash_index_done(&self->tables);
    self->last = NULL;
    self->bytes = 0;
}

void maxwell_trim(struct maxwell *self)
{
    if (self->bytes >= BYTES_MAX)
        maxwell_tables_free(self);
}

/* --- rows ------------------------------------------------------------------------------------ */

static size_t rows_size(const struct maxwell_rows *rows)
{
    return sizeof *rows + rows->blocks.bytes;
}

/* Move the rows at `link` to the front of the list. */
static struct maxwell_rows *to_front(struct maxwell_table *table, struct maxwell_rows **link)
{
    struct maxwell_rows *rows = *link;
    *link = rows->next;
    rows->next = table->rows;
    return table->rows = rows;
}

/* The least recently used ones make room. */
static void drop_last(struct maxwell *self, struct maxwell_table *table)
{
    struct maxwell_rows **link = &table->rows;
    assert(*link);
    while ((*link)->next)
        link = &(*link)->next;
    self->bytes -= rows_size(*link);
    rows_free(*link);
    *link = NULL;
    table->rows_count--;
}

struct maxwell_rows *maxwell_rows_find(struct maxwell_reading *reading, struct maxwell_table *table,
                                       struct json_scan *scan)
{
    struct json_scan object = *scan;
    struct maxwell_rows *rows = calloc(1, sizeof *rows);
    if (!rows) {
        json_no_memory(scan);
        return NULL;
    }
    if (!layout_of_object(&rows->layout, &rows->blocks, &object, reading->reader.arena, NULL)) {
        *scan = object;
        rows_free(rows);
        return NULL;
    }
    for (struct maxwell_rows **link = &table->rows; *link; link = &(*link)->next)
        if (layout_same(&(*link)->layout, &rows->layout)) {
            rows_free(rows);
            return to_front(table, link);
        }
    if (table->rows_count == ROWS_MAX)
        drop_last(reading->self, table);
    rows->next = table->rows;
    table->rows = rows;
    table->rows_count++;
    reading->self->bytes += rows_size(rows);
    return rows;
}

/* --- shapes ---------------------------------------------------------------------------------- */

static bool is_bound(const struct maxwell_rows *rows, const struct maxwell_key *key,
                     const struct source_version *version)
{
    const char *at = rows->key_names;
    if (!rows->shape || rows->version != version || rows->key_count != key->count)
        return false;
    for (uint32_t i = 0; i < key->count; i++) {
        size_t length = strlen(at);
        if (!slice_is(key->names[i], at, length))
            return false;
        at += length + 1;
    }
    return true;
}

/* A column by its name. Maxwell writes the names in a record's key in lower case. -1: there is
 * none. */
static int find_column(const struct layout *layout, const char *name, size_t length)
{
    const struct column wanted = {.name = name, .name_length = (uint32_t) length};
    int found = layout_column(layout, &wanted);
    for (uint32_t i = 0; found < 0 && i < layout->column_count; i++)
        if (layout->columns[i].name_length == length &&
            strncasecmp(layout->columns[i].name, name, length) == 0)
            found = (int) i;
    return found;
}

static enum ods_status lacks_key(struct maxwell_reading *reading, const struct maxwell_table *table,
                                 const char *name, size_t length)
{
    return error_set(reading->error, ODS_REJECT,
                     "table %.100s: the row lacks the key's column %.*s, or the key has it twice "
                     "(Maxwell needs MySQL's binlog_row_image=full)",
                     table->name, (int) (length < 63 ? length : 63), name);
}

/* Store the names of the key, and which columns identify a row. */
static enum ods_status keep_key(struct maxwell_reading *reading, const struct maxwell_table *table,
                                struct maxwell_rows *rows, const struct maxwell_key *key,
                                const uint32_t *columns)
{
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    static const struct strings none;
    const struct strings *configured =
        pipeline ? &pipeline_table(pipeline, table->database, table->name)->key : &none;
    size_t count = configured->count ? configured->count : key->count, bytes = 1;
    for (uint32_t i = 0; i < key->count; i++)
        bytes += key->names[i].length + 1;
    free(rows->key_names);
    free(rows->identifying);
    rows->key_names = malloc(bytes);
    rows->identifying = malloc((count + 1) * sizeof *rows->identifying);
    if (!rows->key_names || !rows->identifying)
        return maxwell_no_memory(reading);
    char *at = rows->key_names;
    for (uint32_t i = 0; i < key->count; i++) {
        memcpy(at, key->names[i].bytes, key->names[i].length);
        at += key->names[i].length;
        *at++ = '\0';
    }
    rows->key_count = key->count;
    rows->identifying_count = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = configured->count ? configured->items[i] : NULL;
        int column = name ? find_column(&rows->layout, name, strlen(name)) : (int) columns[i];
        if (column >= 0) /* the sink reports a configured key with columns that do not exist */
            rows->identifying[rows->identifying_count++] = (uint32_t) column;
    }
    return ODS_OK;
}

static enum ods_status intern(struct maxwell_reading *reading, const struct maxwell_table *table,
                              struct maxwell_rows *rows, struct shape *candidate)
{
    struct shape_table *shapes = reading->self->shapes;
    rows->shape = shape_intern(shapes, candidate);
    if (rows->shape)
        return ODS_OK;
    if (!shape_table_full(shapes))
        return maxwell_no_memory(reading);
    return error_set(reading->error, ODS_REJECT,
                     "table %.100s: records have come with too many different sets of columns (the "
                     "decoder keeps %zu): restart",
                     table->name, shape_table_count(shapes));
}

enum ods_status maxwell_bind(struct maxwell_reading *reading, const struct maxwell_table *table,
                             struct maxwell_rows *rows, const struct maxwell_key *key,
                             int64_t source_us)
{
    struct maxwell *self = reading->self;
    struct arena *arena = reading->reader.arena;
    const struct source_version *version =
        self->schema.schema
            ? source_schema_at(self->schema.schema, table->database, table->database_length,
                               table->name, table->name_length, source_us)
            : NULL;
    const struct maxwell_key none = {0};
    if (key->count == 1 && SLICE_IS(key->names[0], "_uuid") &&
        find_column(&rows->layout, "_uuid", 5) < 0)
        key = &none; /* Maxwell's _uuid, for a table without a key */
    if (is_bound(rows, key, version))
        return ODS_OK;
    rows->shape = NULL;
    uint32_t count = rows->layout.column_count;
    struct column *columns = arena_alloc(arena, count * sizeof *columns);
    uint32_t *indexes = arena_alloc(arena, key->count * sizeof *indexes);
    enum ods_status status = ODS_OK;
    if (!columns || !indexes)
        return maxwell_no_memory(reading);
    if (count)
        memcpy(columns, rows->layout.columns, count * sizeof *columns);
    for (uint32_t i = 0; status == ODS_OK && i < key->count; i++) {
        int found = find_column(&rows->layout, key->names[i].bytes, key->names[i].length);
        indexes[i] = (uint32_t) found;
        for (uint32_t k = 0; found >= 0 && k < i; k++)
            if (indexes[k] == indexes[i])
                found = -1;
        if (found < 0)
            status = lacks_key(reading, table, key->names[i].bytes, key->names[i].length);
    }
    if (status == ODS_OK)
        status = keep_key(reading, table, rows, key, indexes);
    if (status == ODS_OK && self->schema.schema)
        status = schema_topic_types(&self->schema, version, columns, count, reading->record,
                                    reading->error);
    struct shape candidate = {.topic = reading->record->topic,
                              .database = table->database,
                              .schema = "",
                              .table = table->name,
                              .connector = "mysql",
                              .literal = true,
                              .scattered = true,
                              .column_count = count,
                              .columns = columns,
                              .key_count = key->count,
                              .key = indexes};
    rows->version = version;
    return status == ODS_OK ? intern(reading, table, rows, &candidate) : status;
}
