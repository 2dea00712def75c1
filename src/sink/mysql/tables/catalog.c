/* Tables as information_schema describes them. See catalog.h. */
#include "sink/mysql/tables/catalog.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink/mysql/tables/types.h"
#include "sink/mysql/wire/conn.h"
#include "sql/mysql/columns.h"
#include "sql/mysql/json_checks.h"
#include "sql/mysql/keys.h"
#include "sql/mysql/table.h"

#define LABELS_MAX 65535

static void free_column(struct mysql_column *column)
{
    for (uint32_t i = 0; i < column->label_count; i++)
        free(column->labels[i]);
    free(column->labels);
    free(column->name);
    free(column->quoted);
    free(column->column_type);
    free(column->charset);
    free(column->collation);
    free(column->default_text);
    free(column->comment);
}

static void free_table(struct mysql_table *table)
{
    if (!table)
        return;
    for (uint32_t i = 0; i < table->column_count; i++)
        free_column(&table->columns[i]);
    for (uint32_t i = 0; i < table->unique_count; i++) {
        free(table->uniques[i].name);
        free(table->uniques[i].columns);
    }
    free(table->uniques);
    free(table->columns);
    free(table->key);
    free(table->schema);
    free(table->name);
    free(table->quoted);
    free(table->engine);
    free(table->comment);
    free(table->replacing.definition);
    free(table);
}

void mysql_catalog_clear(struct mysql_catalog *catalog)
{
    while (catalog->tables) {
        struct mysql_table *table = catalog->tables;
        catalog->tables = table->next;
        free_table(table);
    }
}

void mysql_catalog_forget(struct mysql_catalog *catalog, struct mysql_table *table)
{
    for (struct mysql_table **link = &catalog->tables; *link; link = &(*link)->next)
        if (*link == table) {
            *link = table->next;
            free_table(table);
            return;
        }
}

/* --- columns -------------------------------------------------------------------------------- */

/* Reads a label from its quote on: quotes are doubled, and some characters escaped. Where the next
 * one's comma is, NULL for a text that is none. */
static const char *read_label(const char *at, char **label)
{
    static const char escaped[] = "0nrt\\", plain[] = "\0\n\r\t\\";
    struct buffer text;
    buffer_init(&text);
    *label = NULL;
    if (*at++ != '\'')
        return NULL;
    for (; *at && (*at != '\'' || at[1] == '\''); at++) {
        const char *escape = *at == '\\' && at[1] ? strchr(escaped, at[1]) : NULL;
        if (*at == '\'' || *at == '\\')
            at++;
        buffer_add(&text, escape ? &plain[escape - escaped] : at, 1);
    }
    bool good = *at == '\'' && !text.failed;
    *label = good ? strdup(buffer_text(&text)) : NULL;
    buffer_done(&text);
    return *label ? at + 1 : NULL;
}

static bool read_labels(struct mysql_column *column)
{
    const char *at = strchr(column->column_type, '(');
    while (at && (*at == '(' || *at == ',') && column->label_count < LABELS_MAX) {
        char **labels = realloc(column->labels, (column->label_count + 1) * sizeof *labels);
        if (!labels)
            return false;
        column->labels = labels;
        at = read_label(at + 1, &labels[column->label_count]);
        column->label_count += at != NULL;
    }
    return at && *at == ')';
}

static uint64_t number(const char *text)
{
    return text ? strtoull(text, NULL, 10) : 0;
}

/* A float that was declared with digits, float(7,2), is rounded to them. */
static void read_digits(struct mysql_column *column, const MYSQL_ROW row)
{
    bool real = column->type == MYSQL_IS_FLOAT || column->type == MYSQL_IS_DOUBLE;
    bool time = column->type >= MYSQL_IS_DATE && column->type <= MYSQL_IS_TIMESTAMP;
    if (column->type == MYSQL_IS_BIT) {
        column->length = number(row[10]);
    } else if (time) {
        column->precision = (uint32_t) number(row[12]);
    } else if (column->type == MYSQL_IS_DECIMAL || (real && strchr(column->column_type, ','))) {
        column->precision = (uint32_t) number(row[10]);
        column->scale = (uint32_t) number(row[11]);
    }
}

static bool ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* Which characters the column has, and which keys of different bytes its collation takes for
 * equal. */
static void read_collation(struct mysql_column *column)
{
    const char *collation = column->collation, *charset = column->charset;
    if (strcmp(charset, "ascii") == 0)
        column->highest = 0x7f;
    else if (strcmp(charset, "utf8mb3") == 0 || strcmp(charset, "utf8") == 0 ||
             strcmp(charset, "ucs2") == 0)
        column->highest = 0xef; /* of three bytes at most */
    bool bin = ends_in(collation, "_bin"), pads = !strstr(collation, "nopad") &&
                                                  !strstr(collation, "_0900_");
    column->collated = (*collation && strcmp(collation, "binary") != 0 && !bin) ||
                       column->type == MYSQL_IS_UUID || column->type == MYSQL_IS_INET;
    column->padded = bin && pads && column->type != MYSQL_IS_CHAR;
}

static bool read_column(struct mysql_column *column, const MYSQL_ROW row, bool mariadb)
{
    struct buffer quoted;
    buffer_init(&quoted);
    mysql_put_name(&quoted, row[0]);
    const char *given = row[5] && !(mariadb && strcmp(row[5], "NULL") == 0) ? row[5] : NULL;
    *column = (struct mysql_column){.name = strdup(row[0]),
                                    .quoted = strdup(buffer_text(&quoted)),
                                    .type = mysql_type_named(row[1], strlen(row[1])),
                                    .column_type = strdup(row[2]),
                                    .nullable = strcmp(row[3], "YES") == 0,
                                    .is_unsigned = strstr(row[2], " unsigned") != NULL,
                                    .generated = *row[6] != '\0',
                                    .auto_increment = strstr(row[4], "auto_increment") != NULL,
                                    .default_text = given ? strdup(given) : NULL,
                                    .charset = strdup(row[7]),
                                    .collation = strdup(row[8]),
                                    .length = number(row[9]),
                                    .comment = strdup(row[13] ? row[13] : "")};
    bool failed = quoted.failed;
    buffer_done(&quoted);
    if (failed || !column->name || !column->quoted || !column->column_type || !column->charset ||
        !column->collation || !column->comment || (given && !column->default_text))
        return false;
    column->default_expression = strstr(row[4], "DEFAULT_GENERATED") != NULL;
    column->has_default = given || column->auto_increment || column->default_expression;
    read_digits(column, row);
    read_collation(column);
    if (column->type != MYSQL_IS_ENUM && column->type != MYSQL_IS_SET)
        return true;
    column->is_unsigned = false; /* a label may say so */
    return read_labels(column);
}

/* --- a table -------------------------------------------------------------------------------- */

void mysql_put_statement(struct buffer *out, const char *sql, const char *const *texts)
{
    for (const char *place; (place = strstr(sql, "{}")) != NULL; sql = place + 2) {
        buffer_add(out, sql, (size_t) (place - sql));
        mysql_put_text(out, *texts, strlen(*texts));
        texts++;
    }
    buffer_puts(out, sql);
}

static enum ods_status ask(struct mysql_conn *conn, const char *sql,
                           const struct mysql_table *table, MYSQL_RES **rows, struct error *error)
{
    struct buffer text;
    const char *texts[] = {table->schema, table->name};
    buffer_init(&text);
    mysql_put_statement(&text, sql, texts);
    enum ods_status status =
        text.failed ? error_out_of_memory(error)
                    : mysql_conn_query(conn, text.bytes, text.length, rows, error);
    buffer_done(&text);
    return status;
}

static enum ods_status read_columns(struct mysql_table *table, struct mysql_conn *conn,
                                    struct error *error)
{
    MYSQL_RES *rows;
    enum ods_status status = ask(conn, sql_mysql_columns, table, &rows, error);
    if (status != ODS_OK)
        return status;
    table->columns = calloc(mysql_num_rows(rows) + 1, sizeof *table->columns);
    if (!table->columns)
        status = error_out_of_memory(error);
    for (MYSQL_ROW row; status == ODS_OK && (row = mysql_fetch_row(rows));)
        if (!read_column(&table->columns[table->column_count++], row, conn->mariadb))
            status = error_out_of_memory(error);
    mysql_free_result(rows);
    return status;
}

static bool add_unique(struct mysql_table *table, const char *name, int column)
{
    struct mysql_unique *unique =
        table->unique_count ? &table->uniques[table->unique_count - 1] : NULL;
    if (!unique || strcmp(unique->name, name) != 0) {
        unique = realloc(table->uniques, (table->unique_count + 1) * sizeof *unique);
        if (!unique)
            return false;
        table->uniques = unique;
        unique += table->unique_count++;
        *unique = (struct mysql_unique){.name = strdup(name)};
    }
    uint32_t *columns = realloc(unique->columns, (unique->column_count + 1) * sizeof *columns);
    if (!unique->name || !columns)
        return false;
    unique->columns = columns;
    if (column >= 0)
        columns[unique->column_count++] = (uint32_t) column;
    return true;
}

static bool add_key(struct mysql_table *table, int column)
{
    uint32_t *key = realloc(table->key, (table->key_count + 1) * sizeof *key);
    if (!key)
        return false;
    table->key = key;
    key[table->key_count++] = (uint32_t) column;
    table->columns[column].key_position = (int) table->key_count;
    return true;
}

static enum ods_status read_keys(struct mysql_table *table, struct mysql_conn *conn,
                                 struct error *error)
{
    MYSQL_RES *rows;
    enum ods_status status = ask(conn, sql_mysql_keys, table, &rows, error);
    if (status != ODS_OK)
        return status;
    for (MYSQL_ROW row; status == ODS_OK && (row = mysql_fetch_row(rows));) {
        int column = row[1] ? mysql_table_column(table, row[1]) : -1;
        bool good = strcmp(row[0], "PRIMARY") == 0 && column >= 0
                        ? add_key(table, column)
                        : add_unique(table, row[0], column);
        if (!good)
            status = error_out_of_memory(error);
    }
    mysql_free_result(rows);
    return status;
}

/* MariaDB's json is a longtext whose check has the column's name. */
static enum ods_status read_json(struct mysql_table *table, struct mysql_conn *conn,
                                 struct error *error)
{
    MYSQL_RES *rows;
    enum ods_status status = ask(conn, sql_mysql_json_checks, table, &rows, error);
    if (status != ODS_OK)
        return status;
    for (MYSQL_ROW row; (row = mysql_fetch_row(rows));) {
        int column = mysql_table_column(table, row[0]);
        if (column >= 0 && table->columns[column].type == MYSQL_IS_TEXT)
            table->columns[column].type = MYSQL_IS_JSON;
    }
    mysql_free_result(rows);
    return ODS_OK;
}

/* A column's comment ends in the type that it was made with. */
static void read_comments(struct mysql_table *table)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        struct mysql_column *column = &table->columns[i];
        struct mysql_typed made, is;
        const char *type = NULL;
        for (const char *at = column->comment; (at = strstr(at, MYSQL_COMMENT_TYPE)) != NULL;)
            type = at += strlen(MYSQL_COMMENT_TYPE);
        column->ours = table->ours && type &&
                       strncmp(column->comment, MYSQL_COMMENT_COLUMN,
                               strlen(MYSQL_COMMENT_COLUMN)) == 0;
        mysql_typed_column(&is, column);
        column->type_ours =
            column->ours && mysql_typed_read(&made, type) && mysql_typed_same(&made, &is);
    }
}

/* *there: the server has the table. */
static enum ods_status read_table(struct mysql_table *table, struct mysql_conn *conn, bool *there,
                                  struct error *error)
{
    MYSQL_RES *rows;
    *there = false;
    enum ods_status status = ask(conn, sql_mysql_table, table, &rows, error);
    if (status != ODS_OK)
        return status;
    MYSQL_ROW row = mysql_fetch_row(rows);
    *there = row != NULL;
    if (row) {
        table->engine = strdup(row[0]);
        table->comment = strdup(row[2] ? row[2] : "");
        table->transactional = row[1] && strcmp(row[1], "YES") == 0;
        if (!table->engine || !table->comment)
            status = error_out_of_memory(error);
        table->ours = table->comment && strncmp(table->comment, MYSQL_COMMENT_TABLE,
                                                strlen(MYSQL_COMMENT_TABLE)) == 0;
    }
    mysql_free_result(rows);
    if (status == ODS_OK && row)
        status = read_columns(table, conn, error);
    if (status == ODS_OK && row)
        status = read_keys(table, conn, error);
    if (status == ODS_OK && row && conn->mariadb)
        status = read_json(table, conn, error);
    if (status == ODS_OK)
        read_comments(table);
    return status;
}

static struct mysql_table *new_table(const char *schema, const char *name)
{
    struct mysql_table *table = calloc(1, sizeof *table);
    struct buffer quoted;
    if (!table)
        return NULL;
    buffer_init(&quoted);
    mysql_put_name(&quoted, schema);
    buffer_puts(&quoted, ".");
    mysql_put_name(&quoted, name);
    table->schema = strdup(schema);
    table->name = strdup(name);
    table->quoted = quoted.failed ? NULL : strdup(buffer_text(&quoted));
    buffer_done(&quoted);
    if (table->schema && table->name && table->quoted)
        return table;
    free_table(table);
    return NULL;
}

enum ods_status mysql_catalog_find(struct mysql_catalog *catalog, struct mysql_conn *conn,
                                   const char *schema, const char *name,
                                   struct mysql_table **found, struct error *error)
{
    bool there = false;
    *found = NULL;
    for (struct mysql_table *at = catalog->tables; at; at = at->next)
        if (strcmp(at->schema, schema) == 0 && strcmp(at->name, name) == 0) {
            *found = at;
            return ODS_OK;
        }
    struct mysql_table *table = new_table(schema, name);
    if (!table)
        return error_out_of_memory(error);
    enum ods_status status = read_table(table, conn, &there, error);
    if (status == ODS_OK && there) {
        table->next = catalog->tables;
        catalog->tables = *found = table;
        return ODS_OK;
    }
    free_table(table);
    return status;
}

static bool same_column(const struct mysql_column *a, const struct mysql_column *b)
{
    return strcmp(a->name, b->name) == 0 && strcmp(a->column_type, b->column_type) == 0 &&
           a->type == b->type && a->nullable == b->nullable && a->generated == b->generated &&
           a->has_default == b->has_default && a->key_position == b->key_position &&
           strcmp(a->collation, b->collation) == 0 && strcmp(a->comment, b->comment) == 0;
}

static bool same_table(const struct mysql_table *a, const struct mysql_table *b)
{
    if (a->column_count != b->column_count || a->unique_count != b->unique_count)
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!same_column(&a->columns[i], &b->columns[i]))
            return false;
    return strcmp(a->comment, b->comment) == 0;
}

enum ods_status mysql_catalog_changed(struct mysql_conn *conn, const struct mysql_table *table,
                                      bool *changed, struct error *error)
{
    bool there = false;
    struct mysql_table *now = new_table(table->schema, table->name);
    if (!now)
        return error_out_of_memory(error);
    enum ods_status status = read_table(now, conn, &there, error);
    *changed = !there || (status == ODS_OK && !same_table(table, now));
    free_table(now);
    return status;
}

/* --- what a table has ----------------------------------------------------------------------- */

int mysql_table_column(const struct mysql_table *table, const char *name)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        if (strcasecmp(table->columns[i].name, name) == 0)
            return (int) i;
    return -1;
}

static bool same_columns(const uint32_t *some, size_t some_count, const uint32_t *others,
                         size_t other_count)
{
    size_t met = 0;
    for (size_t i = 0; i < some_count; i++)
        for (size_t j = 0; j < other_count; j++)
            met += some[i] == others[j];
    return some_count == other_count && met == some_count;
}

bool mysql_table_unique(const struct mysql_table *table, const uint32_t *columns, size_t count)
{
    if (same_columns(table->key, table->key_count, columns, count))
        return count > 0;
    for (uint32_t i = 0; i < table->unique_count; i++)
        if (same_columns(table->uniques[i].columns, table->uniques[i].column_count, columns, count))
            return true;
    return false;
}
