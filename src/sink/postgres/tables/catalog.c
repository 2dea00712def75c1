/* The target's tables. See catalog.h. */
#include "sink/postgres/tables/catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/hash.h"
#include "sink/postgres/tables/rehearsal.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/column_versions.h"
#include "sql/postgres/columns.h"
#include "sql/postgres/extras.h"
#include "sql/postgres/uniques.h"

static const struct {
    Oid type;
    enum encoding encoding;
} encodings[] = {
    {16, ENCODE_BOOL},      {17, ENCODE_BYTEA},       {20, ENCODE_INT8},
    {21, ENCODE_INT2},      {23, ENCODE_INT4},        {25, ENCODE_TEXT},
    {114, ENCODE_JSON},     {700, ENCODE_FLOAT4},     {701, ENCODE_FLOAT8},
    {1042, ENCODE_TEXT},    {1043, ENCODE_TEXT},      {1082, ENCODE_DATE},
    {1083, ENCODE_TIME},    {1114, ENCODE_TIMESTAMP}, {1184, ENCODE_TIMESTAMPTZ},
    {1700, ENCODE_NUMERIC}, {2950, ENCODE_UUID},      {3802, ENCODE_JSONB},
};

static void table_free(struct pg_table *table)
{
    if (!table)
        return;
    statements_free(&table->statements);
    for (uint32_t i = 0; i < table->column_count; i++) {
        free(table->columns[i].name);
        free(table->columns[i].quoted);
        free(table->columns[i].cast);
        free(table->columns[i].declared);
        free(table->columns[i].default_text);
        free(table->columns[i].collation);
        if (table->columns[i].item)
            free(table->columns[i].item->cast);
        free(table->columns[i].item);
    }
    free(table->columns);
    for (size_t i = 0; i < table->unique_count; i++) {
        free(table->uniques[i].constraint);
        free(table->uniques[i].index);
    }
    free(table->uniques);
    free(table->schema);
    free(table->name);
    free(table->quoted);
    free(table->comment);
    free(table);
}

void catalog_clear(struct catalog *catalog)
{
    while (catalog->tables) {
        struct pg_table *table = catalog->tables;
        catalog->tables = table->next;
        table_free(table);
    }
    catalog->extras_known = false;
}

void catalog_done(struct catalog *catalog)
{
    if (catalog)
        catalog_clear(catalog);
}

static bool is_true(const PGresult *rows, int row, int column)
{
    return PQgetvalue(rows, row, column)[0] == 't';
}

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* The column's comment says whether the sink made the column and gave it its type. */
static void fill_owner(struct pg_column *column, const char *comment)
{
    size_t length = strlen(comment), type = strlen(column->declared);
    size_t mark = strlen(COMMENT_TYPE);
    column->ours = begins(comment, COMMENT_COLUMN);
    column->type_ours = column->ours && length > type + mark &&
                        strcmp(comment + length - type, column->declared) == 0 &&
                        begins(comment + length - type - mark, COMMENT_TYPE);
}

static enum encoding encoding_of(Oid type)
{
    for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++)
        if (encodings[i].type == type)
            return encodings[i].encoding;
    return ENCODE_CAST;
}

/* A text has one spelling, unless its collation calls different texts equal (`folds`). A label of
 * an enum (kind 'e') has one spelling too. */
static enum spelling spelling_of(const struct pg_column *column, bool folds, char kind)
{
    switch (column->encoding) {
    case ENCODE_NUMERIC:
        return SPELLING_ZEROS;
    case ENCODE_FLOAT4:
    case ENCODE_FLOAT8:
        return SPELLING_SIGN;
    case ENCODE_TEXT:
        return folds ? SPELLING_ASK : column->type == OID_BPCHAR ? SPELLING_BLANKS : SPELLING_ONE;
    case ENCODE_CAST:
        return kind == 'e' ? SPELLING_ONE : SPELLING_ASK;
    case ENCODE_JSONB:
        return SPELLING_ASK;
    default:
        return SPELLING_ONE;
    }
}

bool catalog_respells(const struct pg_column *column)
{
    return column->spelling == SPELLING_ASK || column->spelling == SPELLING_SIGN ||
           (column->spelling == SPELLING_ZEROS && column->modifier < 0);
}

/* A cast to "bit" without a length means bit(1) and would cut the value without an error. */
static bool widen_cast(struct pg_column *column, Oid bits, const char *cast)
{
    if (bits != OID_BIT)
        return true;
    free(column->cast);
    column->cast = strdup(cast);
    return column->cast != NULL;
}

/* Fills column->item: each element of an array is checked against the element's type and the
 * array's modifier. */
static bool fill_item(struct pg_column *column, const PGresult *rows, int row)
{
    Oid type = (Oid) strtoul(PQgetvalue(rows, row, 14), NULL, 10);
    if (!type)
        return true;
    struct pg_column *item = column->item = calloc(1, sizeof *item);
    if (!item)
        return false;
    item->name = column->name;
    item->type = item->element_type = type;
    item->modifier = column->modifier;
    item->money_digits = column->money_digits;
    item->encoding = encoding_of(type);
    item->cast = strdup(PQgetvalue(rows, row, 15));
    return item->cast && widen_cast(column, type, "pg_catalog.varbit[]");
}

static bool fill_column(struct pg_column *column, const PGresult *rows, int row)
{
    column->name = strdup(PQgetvalue(rows, row, 0));
    column->quoted = column->name ? quote_name(column->name) : NULL;
    column->cast = strdup(PQgetvalue(rows, row, 8));
    column->declared = strdup(PQgetvalue(rows, row, 11));
    if (!column->name || !column->quoted || !column->cast || !column->declared)
        return false;
    if (!PQgetisnull(rows, row, 18) && !(column->default_text = strdup(PQgetvalue(rows, row, 18))))
        return false;
    fill_owner(column, PQgetvalue(rows, row, 12));
    column->type = (Oid) strtoul(PQgetvalue(rows, row, 1), NULL, 10);
    column->modifier = (int32_t) strtol(PQgetvalue(rows, row, 2), NULL, 10);
    column->not_null = is_true(rows, row, 3);
    column->has_default = is_true(rows, row, 4);
    column->identity_always = PQgetvalue(rows, row, 5)[0] == 'a';
    column->generated = PQgetvalue(rows, row, 6)[0] != '\0';
    column->readable = is_true(rows, row, 22);
    column->money_digits = (int32_t) strtol(PQgetvalue(rows, row, 17), NULL, 10);
    column->encoding = encoding_of(column->type);
    column->spelling =
        spelling_of(column, is_true(rows, row, 20), PQgetvalue(rows, row, 9)[0]);
    if (!PQgetisnull(rows, row, 19) && !(column->collation = strdup(PQgetvalue(rows, row, 19))))
        return false;
    if (column->encoding == ENCODE_CAST || column->encoding == ENCODE_TEXT) {
        column->element_type = OID_TEXT;
        column->array_type = OID_TEXT_ARRAY;
    } else {
        column->element_type = column->type;
        column->array_type = (Oid) strtoul(PQgetvalue(rows, row, 7), NULL, 10);
    }
    return widen_cast(column, column->type, "pg_catalog.varbit") && fill_item(column, rows, row);
}

static bool begin_unique(struct pg_unique *unique, const PGresult *rows, int row)
{
    unique->primary = is_true(rows, row, 2);
    if (!PQgetisnull(rows, row, 3) && !(unique->constraint = strdup(PQgetvalue(rows, row, 3))))
        return false;
    return (unique->index = strdup(PQgetvalue(rows, row, 4)));
}

static enum ods_status read_uniques(struct conn *conn, struct pg_table *table,
                                    const char *const *names, struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = conn_query(conn, sql_uniques, 2, names, &rows, error);
    if (status != ODS_OK)
        return status;
    int count = PQntuples(rows);
    table->uniques = calloc((size_t) count + 1, sizeof *table->uniques);
    if (!table->uniques) {
        PQclear(rows);
        return error_set(error, ODS_RETRY, "out of memory");
    }
    const char *index = "";
    for (int row = 0; row < count; row++) {
        bool next = strcmp(index, PQgetvalue(rows, row, 0)) != 0;
        if (next && !begin_unique(&table->uniques[table->unique_count++], rows, row)) {
            status = error_out_of_memory(error);
            break;
        }
        index = PQgetvalue(rows, row, 0);
        struct pg_unique *unique = &table->uniques[table->unique_count - 1];
        int column = catalog_column(table, PQgetvalue(rows, row, 1));
        if (column >= 0 && unique->count < 32)
            unique->columns[unique->count++] = (uint16_t) column;
    }
    PQclear(rows);
    return status;
}

/* `column` has what changes with each definition of the row's column. */
static uint64_t version_of(const PGresult *rows, int column)
{
    uint64_t version = 0;
    for (int row = 0; row < PQntuples(rows); row++)
        version = hash_bytes(PQgetvalue(rows, row, column), (size_t) PQgetlength(rows, row, column),
                             version);
    return version;
}

enum ods_status catalog_is_current(struct conn *conn, const struct pg_table *table, bool *current,
                                   struct error *error)
{
    const char *names[] = {table->schema, table->name};
    PGresult *rows = NULL;
    enum ods_status status = conn_query(conn, sql_column_versions, 2, names, &rows, error);
    *current = status == ODS_OK && version_of(rows, 0) == table->version;
    PQclear(rows);
    return status;
}

static enum ods_status read_table(struct conn *conn, const char *schema, const char *name,
                                  struct pg_table **found, struct error *error)
{
    const char *names[] = {schema, name};
    PGresult *rows = NULL;
    struct pg_table *table = NULL;
    *found = NULL;
    if (conn->rehearsal)
        rehearsal_names(conn->rehearsal, names);
    enum ods_status status = conn_query(conn, sql_columns, 2, names, &rows, error);
    if (status != ODS_OK || PQntuples(rows) == 0)
        goto out;
    status = error_set(error, ODS_RETRY, "out of memory");
    table = calloc(1, sizeof *table);
    if (!table)
        goto out;
    table->schema = strdup(schema);
    table->name = strdup(name);
    table->comment = strdup(PQgetvalue(rows, 0, 10));
    table->columns = calloc((size_t) PQntuples(rows), sizeof *table->columns);
    char *quoted_schema = quote_name(schema), *quoted_name = quote_name(name);
    if (quoted_schema && quoted_name &&
        asprintf(&table->quoted, "%s.%s", quoted_schema, quoted_name) < 0)
        table->quoted = NULL;
    free(quoted_schema);
    free(quoted_name);
    if (!table->schema || !table->name || !table->columns || !table->quoted || !table->comment)
        goto out;
    for (int row = 0; row < PQntuples(rows); row++) {
        table->column_count++;
        if (!fill_column(&table->columns[row], rows, row))
            goto out;
    }
    table->version = version_of(rows, 23);
    table->copyable = is_true(rows, 0, 13);
    table->made_by_us = begins(table->comment, COMMENT_TABLE);
    table->is_view = PQgetvalue(rows, 0, 16)[0] == 'v';
    table->has_parts = is_true(rows, 0, 21);
    table->followed = is_true(rows, 0, 24);
    error_init(error);
    status = read_uniques(conn, table, names, error);
    if (status == ODS_OK) {
        *found = table;
        table = NULL;
    }
out:
    table_free(table);
    PQclear(rows);
    return status;
}

enum ods_status catalog_find(struct catalog *catalog, struct conn *conn, const char *schema,
                             const char *name, struct pg_table **table, struct error *error)
{
    for (*table = catalog->tables; *table; *table = (*table)->next)
        if (strcmp((*table)->name, name) == 0 && strcmp((*table)->schema, schema) == 0)
            return ODS_OK;
    return catalog_reload(catalog, conn, schema, name, table, error);
}

enum ods_status catalog_reload(struct catalog *catalog, struct conn *conn, const char *schema,
                               const char *name, struct pg_table **table, struct error *error)
{
    struct pg_table *fresh = NULL;
    *table = NULL;
    enum ods_status status = read_table(conn, schema, name, &fresh, error);
    if (status != ODS_OK)
        return status;
    struct pg_table **link = &catalog->tables;
    while (*link && (strcmp((*link)->name, name) != 0 || strcmp((*link)->schema, schema) != 0))
        link = &(*link)->next;
    if (*link) {
        struct pg_table *stale = *link;
        *link = stale->next;
        table_free(stale);
    }
    if (fresh) {
        fresh->next = catalog->tables;
        catalog->tables = fresh;
    }
    *table = fresh;
    return ODS_OK;
}

enum ods_status catalog_read_extras(struct catalog *catalog, struct conn *conn, struct error *error)
{
    PGresult *rows = NULL;
    if (catalog->extras_known)
        return ODS_OK;
    enum ods_status status = conn_query(conn, sql_extras, 0, NULL, &rows, error);
    for (int i = 0; status == ODS_OK && i < EXTRA_COUNT; i++)
        catalog->extras[i] = is_true(rows, 0, i);
    catalog->extras_known = status == ODS_OK;
    PQclear(rows);
    return status;
}

int catalog_column(const struct pg_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}

const struct pg_unique *catalog_key(const struct pg_table *table)
{
    return table->unique_count ? &table->uniques[0] : NULL;
}

bool catalog_is_unique(const struct pg_table *table, const uint32_t *columns, size_t count)
{
    for (size_t u = 0; u < table->unique_count; u++) {
        const struct pg_unique *unique = &table->uniques[u];
        size_t shared = 0;
        for (size_t i = 0; i < count; i++)
            for (uint16_t k = 0; k < unique->count; k++)
                shared += unique->columns[k] == columns[i];
        if (shared == count && unique->count == count)
            return true;
    }
    return false;
}
