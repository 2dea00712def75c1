/* Schema-change records into versions of tables. See source_schema.h.
 *
 * Formats: Debezium's documentation of its MySQL connector, "schema change topic": tableChanges has
 * each table that a statement touched, whole, as it is afterwards. Topics of other connectors are
 * refused, since their type names have other meanings. And Maxwell's documentation, "DDL events":
 * def has the table, as it is afterwards.
 */
#include "core/source_schema.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <yyjson.h>

#include "core/blocks.h"
#include "core/hash.h"
#include "core/hash_index.h"
#include "core/mysql_type.h"

#define BYTES_MAX  ((size_t) 256 * 1024 * 1024)
#define TYPE_BYTES 64

struct known_column {
    const char *name;
    size_t name_length;
    struct source_column_fact fact;
};

struct source_version {
    int64_t from_us;
    size_t column_count;
    const struct known_column *columns;
    const struct source_version *older;
};

struct table {
    const char *database, *name;
    const struct source_version *latest;
};

struct source_schema {
    pthread_rwlock_t lock; /* guards tables and blocks */
    struct blocks blocks;
    struct hash_index tables; /* of struct table, by database and name */
    struct time_units units;
    atomic_int_fast64_t caught_up_us, wanted_us;
};

/* --- versions ------------------------------------------------------------------------------- */

/* "'a'", "'b'" to a,b; NULL when there are none. */
static const char *labels_of(struct blocks *blocks, yyjson_val *values)
{
    size_t index, max, size = 1;
    yyjson_val *value;
    if (!yyjson_is_arr(values) || !yyjson_arr_size(values))
        return NULL;
    yyjson_arr_foreach(values, index, max, value) size += yyjson_get_len(value) + 1;
    char *out = blocks_alloc(blocks, size), *at = out;
    if (!out)
        return NULL;
    yyjson_arr_foreach(values, index, max, value)
    {
        const char *text = yyjson_get_str(value);
        size_t length = yyjson_get_len(value);
        if (!text)
            continue;
        if (length >= 2 && text[0] == '\'' && text[length - 1] == '\'') {
            text++;
            length -= 2;
        }
        if (at > out)
            *at++ = ',';
        memcpy(at, text, length);
        at += length;
    }
    return out;
}

/* How a format writes a column's labels and type. */
struct column_format {
    const char *labels;
    bool (*type_of)(const struct time_units *units, yyjson_val *column, char *out, size_t size);
};

static const struct column_format debezium_columns = {"enumValues", mysql_type_debezium};
static const struct column_format maxwell_columns = {"enum-values", mysql_type_maxwell};

static bool read_column(struct source_schema *store, const struct column_format *format,
                        yyjson_val *from, struct known_column *column)
{
    char type[TYPE_BYTES];
    yyjson_val *name = yyjson_obj_get(from, "name");
    yyjson_val *optional = yyjson_obj_get(from, "optional");
    if (!yyjson_is_str(name))
        return false;
    column->name_length = yyjson_get_len(name);
    column->name = blocks_strndup(&store->blocks, yyjson_get_str(name), column->name_length);
    column->fact.optional = !yyjson_is_bool(optional) || yyjson_get_bool(optional);
    column->fact.allowed = labels_of(&store->blocks, yyjson_obj_get(from, format->labels));
    if (format->type_of(&store->units, from, type, sizeof type))
        column->fact.type = blocks_strndup(&store->blocks, type, strlen(type));
    return column->name;
}

static const struct known_column *find_column(const struct known_column *columns, size_t count,
                                              const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++)
        if (columns[i].name_length == length && memcmp(columns[i].name, name, length) == 0)
            return &columns[i];
    return NULL;
}

/* A column that was dropped stays known: older records with it may still come. */
static struct source_version *read_version(struct source_schema *store,
                                           const struct column_format *format, yyjson_val *list,
                                           const struct source_version *older, int64_t from_us)
{
    struct blocks *blocks = &store->blocks;
    size_t index, max, kept = older ? older->column_count : 0;
    yyjson_val *item;
    struct source_version *version = blocks_alloc(blocks, sizeof *version);
    struct known_column *columns =
        blocks_alloc(blocks, (yyjson_arr_size(list) + kept + 1) * sizeof *columns);
    if (!version || !columns)
        return NULL;
    *version = (struct source_version){.from_us = from_us, .columns = columns, .older = older};
    yyjson_arr_foreach(list, index, max, item)
    {
        if (!read_column(store, format, item, &columns[version->column_count++]))
            return NULL;
    }
    size_t now = version->column_count;
    for (size_t i = 0; i < kept; i++)
        if (!find_column(columns, now, older->columns[i].name, older->columns[i].name_length))
            columns[version->column_count++] = older->columns[i];
    return version;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_version(const struct source_version *a, const struct source_version *b)
{
    if (!a || a->column_count != b->column_count)
        return false;
    for (size_t i = 0; i < a->column_count; i++) {
        const struct known_column *one = &a->columns[i];
        const struct known_column *other =
            find_column(b->columns, b->column_count, one->name, one->name_length);
        if (!other || !same_text(one->fact.type, other->fact.type) ||
            !same_text(one->fact.allowed, other->fact.allowed) ||
            one->fact.optional != other->fact.optional)
            return false;
    }
    return true;
}

/* --- tables --------------------------------------------------------------------------------- */

static uint64_t hash_of(const char *database, size_t database_length, const char *name,
                        size_t name_length)
{
    return hash_bytes(name, name_length, hash_bytes(database, database_length, 0));
}

static bool text_is(const char *text, const char *bytes, size_t length)
{
    return strncmp(text, bytes ? bytes : "", length) == 0 && text[length] == '\0';
}

static struct table *find_table(struct source_schema *store, const char *database,
                                size_t database_length, const char *name, size_t name_length)
{
    uint64_t hash = hash_of(database, database_length, name, name_length);
    size_t at = hash_index_start(hash);
    struct table *table;
    while ((table = hash_index_next(&store->tables, hash, &at)))
        if (text_is(table->database, database, database_length) &&
            text_is(table->name, name, name_length))
            break;
    return table;
}

static struct table *add_table(struct source_schema *store, const char *database, const char *name)
{
    size_t database_length = strlen(database), name_length = strlen(name);
    struct table *table = blocks_alloc(&store->blocks, sizeof *table);
    if (!table)
        return NULL;
    *table = (struct table){.database = blocks_strndup(&store->blocks, database, database_length),
                            .name = blocks_strndup(&store->blocks, name, name_length)};
    if (!table->database || !table->name)
        return NULL;
    if (!hash_index_reserve(&store->tables)) {
        store->blocks.failed = true; /* as blocks_alloc() does when memory is out */
        return NULL;
    }
    hash_index_add(&store->tables, hash_of(database, database_length, name, name_length), table);
    return table;
}

/* --- records -------------------------------------------------------------------------------- */

/* The last two parts of "\"db\".\"table\"": database and table. */
static bool read_id(const char *id, char *database, char *name, size_t size)
{
    database[0] = name[0] = '\0';
    while (id && *id == '"') {
        size_t length = 0;
        memcpy(database, name, size);
        for (id++; *id && (*id != '"' || id[1] == '"'); id++) {
            id += *id == '"';
            if (length + 1 == size)
                return false;
            name[length++] = *id;
        }
        name[length] = '\0';
        if (*id++ != '"')
            return false;
        id += *id == '.';
    }
    return id && !*id && *name;
}

static bool take_version(struct source_schema *store, const struct column_format *format,
                         const char *database, const char *name, yyjson_val *columns,
                         int64_t from_us)
{
    struct table *table = find_table(store, database, strlen(database), name, strlen(name));
    if (!table)
        table = add_table(store, database, name);
    if (!table)
        return false;
    struct source_version *version = read_version(store, format, columns, table->latest, from_us);
    if (!version || store->blocks.failed)
        return false;
    /* A connector that restarts writes its tables again. */
    if (!same_version(table->latest, version))
        table->latest = version;
    return true;
}

static bool take_table(struct source_schema *store, yyjson_val *change, int64_t from_us)
{
    char database[512], name[512];
    yyjson_val *columns = yyjson_obj_get(yyjson_obj_get(change, "table"), "columns");
    if (!yyjson_is_arr(columns)) /* a table that was dropped: its records may still come */
        return true;
    return read_id(yyjson_get_str(yyjson_obj_get(change, "id")), database, name, sizeof name) &&
           take_version(store, &debezium_columns, database, name, columns, from_us);
}

/* *count: how many tables the record describes; none if it is a row or another statement. */
static bool take_maxwell(struct source_schema *store, yyjson_val *record, unsigned *count)
{
    yyjson_val *table = yyjson_obj_get(record, "def"), *ts = yyjson_obj_get(record, "ts");
    yyjson_val *columns = yyjson_obj_get(table, "columns");
    const char *database = yyjson_get_str(yyjson_obj_get(table, "database"));
    const char *name = yyjson_get_str(yyjson_obj_get(table, "table"));
    int64_t from_us = INT64_MIN;
    if (!yyjson_is_obj(table))
        return true;
    if (!yyjson_is_arr(columns) || !database || !name)
        return false;
    if (!yyjson_is_int(ts) || __builtin_mul_overflow(yyjson_get_sint(ts), INT64_C(1000), &from_us))
        from_us = INT64_MIN;
    ++*count;
    return take_version(store, &maxwell_columns, database, name, columns, from_us);
}

static int64_t time_of(yyjson_val *payload)
{
    yyjson_val *source = yyjson_obj_get(payload, "source");
    yyjson_val *us = yyjson_obj_get(source, "ts_us"), *ms = yyjson_obj_get(source, "ts_ms");
    if (!yyjson_is_int(ms))
        ms = yyjson_obj_get(payload, "ts_ms");
    return yyjson_is_int(us)   ? yyjson_get_sint(us)
           : yyjson_is_int(ms) ? yyjson_get_sint(ms) * 1000
                               : INT64_MIN;
}

static bool is_of_mysql(yyjson_val *payload)
{
    const char *connector =
        yyjson_get_str(yyjson_obj_get(yyjson_obj_get(payload, "source"), "connector"));
    return !connector || strcmp(connector, "mysql") == 0 || strcmp(connector, "mariadb") == 0;
}

/* Why a record could not be learned: it can't be read, or memory is out, and then it may be tried
 * again. */
static enum ods_status cant_learn(const struct source_schema *store, const char *part,
                                  struct error *error)
{
    if (store->blocks.failed)
        return error_set(error, ODS_RETRY, "out of memory for a schema change");
    return error_set(error, ODS_REJECT, "a schema change whose %s can't be read", part);
}

enum ods_status source_schema_learn(struct source_schema *store, const char *value, size_t length,
                                    unsigned *tables, struct error *error)
{
    yyjson_read_err problem = {0};
    yyjson_doc *document =
        value ? yyjson_read_opts((char *) (uintptr_t) value, length, 0, NULL, &problem) : NULL;
    yyjson_val *payload = yyjson_doc_get_root(document), *change;
    if (yyjson_obj_get(payload, "payload"))
        payload = yyjson_obj_get(payload, "payload");
    yyjson_val *changes = yyjson_obj_get(payload, "tableChanges");
    enum ods_status status = ODS_OK;
    unsigned count = 0;
    size_t index, max;
    if (problem.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
        status = error_set(error, ODS_RETRY, "out of memory for a schema change");
    else if (!document)
        status = error_set(error, ODS_REJECT, "a schema change that is not JSON");
    else if (!is_of_mysql(payload))
        status = error_set(error, ODS_REJECT,
                           "a schema change of a connector that is neither MySQL's nor MariaDB's: "
                           "source.schema_topic does not understand its types");
    if (status == ODS_OK) {
        pthread_rwlock_wrlock(&store->lock);
        store->blocks.failed = false;
        if (store->blocks.bytes > BYTES_MAX)
            status =
                error_set(error, ODS_REJECT, "the schema changes take more than the 256 MB that "
                                             "are allowed for them");
        yyjson_arr_foreach(changes, index, max, change)
        {
            if (status == ODS_OK && !take_table(store, change, time_of(payload)))
                status = cant_learn(store, "tableChanges", error);
            count += status == ODS_OK;
        }
        if (status == ODS_OK && !changes && !take_maxwell(store, payload, &count))
            status = cant_learn(store, "def", error);
        pthread_rwlock_unlock(&store->lock);
    }
    if (tables)
        *tables = count;
    yyjson_doc_free(document);
    return status;
}

/* --- readers -------------------------------------------------------------------------------- */

const struct source_version *source_schema_at(struct source_schema *store, const char *database,
                                              size_t database_length, const char *table,
                                              size_t table_length, int64_t source_us)
{
    pthread_rwlock_rdlock(&store->lock);
    const struct table *found = find_table(store, database, database_length, table, table_length);
    const struct source_version *version = found ? found->latest : NULL;
    while (version && version->older && source_us != INT64_MIN && version->from_us > source_us)
        version = version->older;
    pthread_rwlock_unlock(&store->lock);
    return version;
}

const struct source_column_fact *source_version_column(const struct source_version *version,
                                                       const char *name, size_t length)
{
    const struct known_column *column =
        version ? find_column(version->columns, version->column_count, name, length) : NULL;
    return column ? &column->fact : NULL;
}

void source_schema_caught_up(struct source_schema *store, int64_t at_us)
{
    atomic_store(&store->caught_up_us, at_us);
}

bool source_schema_is_read(struct source_schema *store, int64_t since_us)
{
    int64_t at_us = atomic_load(&store->caught_up_us);
    bool read = at_us && at_us >= since_us;
    if (!read && since_us)
        atomic_store(&store->wanted_us, since_us);
    return read;
}

int64_t source_schema_wanted_us(const struct source_schema *store)
{
    return atomic_load(&store->wanted_us);
}

/* --- beginning and end ---------------------------------------------------------------------- */

struct source_schema *source_schema_new(const char *datetime_unit, const char *time_unit)
{
    struct source_schema *store = calloc(1, sizeof *store);
    if (!store)
        return NULL;
    if (pthread_rwlock_init(&store->lock, NULL)) {
        free(store);
        return NULL;
    }
    store->units = (struct time_units){datetime_unit, time_unit};
    return store;
}

void source_schema_free(struct source_schema *store)
{
    if (!store)
        return;
    pthread_rwlock_destroy(&store->lock);
    hash_index_done(&store->tables);
    blocks_done(&store->blocks);
    free(store);
}
