/* MySQL's tables, as Debezium's connector declares them. See mysql.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "verify/mysql.h"

static char *quote(const char *name)
{
    struct buffer out;
    buffer_init(&out);
    buffer_puts(&out, "`");
    for (; *name; name++)
        buffer_add(&out, *name == '`' ? "``" : name, *name == '`' ? 2 : 1);
    buffer_puts(&out, "`");
    char *quoted = strdup(buffer_text(&out));
    buffer_done(&out);
    return quoted;
}

/* How Debezium's connector declares a type, in its default modes, and how it is read. */
struct kind {
    const char *type;
    enum semantic semantic, of_unsigned;
    enum form form;
};

static const struct kind kinds[] = {
    {"tinyint", SEM_INT16, SEM_INT16, FORM_INT},
    {"smallint", SEM_INT16, SEM_INT32, FORM_INT},
    {"mediumint", SEM_INT32, SEM_INT32, FORM_INT},
    {"int", SEM_INT32, SEM_INT64, FORM_INT},
    {"bigint", SEM_INT64, SEM_DECIMAL, FORM_INT},
    {"decimal", SEM_DECIMAL, SEM_DECIMAL, FORM_NUMBER},
    {"float", SEM_FLOAT32, SEM_FLOAT32, FORM_NUMBER},
    {"double", SEM_FLOAT64, SEM_FLOAT64, FORM_NUMBER},
    {"bit", SEM_BITS, SEM_BITS, FORM_BITS},
    {"date", SEM_DATE, SEM_DATE, FORM_DATE},
    {"time", SEM_TIME_US, SEM_TIME_US, FORM_TIME},
    {"datetime", SEM_TIMESTAMP_MS, SEM_TIMESTAMP_MS, FORM_TIMESTAMP_MS},
    {"timestamp", SEM_ZONED_TIMESTAMP, SEM_ZONED_TIMESTAMP, FORM_MOMENT},
    {"year", SEM_YEAR, SEM_YEAR, FORM_INT},
    {"char", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"varchar", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"tinytext", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"text", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"mediumtext", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"longtext", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"uuid", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"inet4", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"inet6", SEM_STRING, SEM_STRING, FORM_TEXT},
    {"binary", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"varbinary", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"tinyblob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"blob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"mediumblob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"longblob", SEM_BYTES, SEM_BYTES, FORM_BYTES},
    {"enum", SEM_ENUM, SEM_ENUM, FORM_TEXT},
    {"set", SEM_ENUM_SET, SEM_ENUM_SET, FORM_TEXT},
    {"json", SEM_JSON, SEM_JSON, FORM_TEXT},
    {"geometry", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"linestring", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"polygon", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"multipoint", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"multilinestring", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"multipolygon", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"geomcollection", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"geometrycollection", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
    {"point", SEM_GEOMETRY, SEM_GEOMETRY, FORM_GEOMETRY},
};

static int32_t number(const struct field *cell, int32_t none)
{
    char text[24] = "";
    if (!cell->bytes || cell->length >= sizeof text)
        return none;
    memcpy(text, cell->bytes, cell->length);
    return (int32_t) strtol(text, NULL, 10);
}

enum place_of_column { NAME, TYPE, WHOLE_TYPE, NULLABLE, LENGTH, PRECISION, SCALE, FRACTION };

static void declare(struct column *column, struct form_column *form, const struct field *cells)
{
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (mysql_is(&cells[TYPE], kinds[i].type))
            kind = &kinds[i];
    bool is_unsigned = cells[WHOLE_TYPE].bytes &&
                       memmem(cells[WHOLE_TYPE].bytes, cells[WHOLE_TYPE].length, "unsigned", 8);
    int32_t precision = number(&cells[PRECISION], -1), fraction = number(&cells[FRACTION], 0);
    column->length = -1;
    column->scale = INT32_MIN;
    column->optional = mysql_is(&cells[NULLABLE], "YES");
    form->not_null = !column->optional;
    if (!kind)
        return;
    column->type = is_unsigned ? kind->of_unsigned : kind->semantic;
    form->form = kind->form;
    if (column->type == SEM_DECIMAL) {
        form->form = FORM_NUMBER;
        column->scale = number(&cells[SCALE], 0);
        column->length = precision;
    }
    if (kind->form == FORM_BITS && precision == 1) {
        column->type = SEM_BOOLEAN;
        form->form = FORM_BIT;
    } else if (kind->form == FORM_BITS) {
        column->length = precision;
    }
    if (kind->semantic == SEM_TIMESTAMP_MS && fraction > 3) {
        column->type = SEM_TIMESTAMP_US;
        form->form = FORM_TIMESTAMP_US;
    }
    if (kind->semantic == SEM_STRING)
        column->length = number(&cells[LENGTH], -1);
    form->is_number = form->form == FORM_INT || form->form == FORM_NUMBER;
    form->is_bytes = form->form == FORM_BYTES;
    form->is_float = column->type == SEM_FLOAT32;
}

static bool add_column(struct source_table *table, const struct field *cells)
{
    uint32_t count = table->column_count + 1;
    struct column *columns = realloc(table->columns, count * sizeof *columns);
    if (columns)
        table->columns = columns;
    char **quoted = realloc(table->quoted_columns, count * sizeof *quoted);
    if (quoted)
        table->quoted_columns = quoted;
    struct form_column *forms = realloc(table->forms, count * sizeof *forms);
    if (forms)
        table->forms = forms;
    char *name = strndup(cells[NAME].bytes, cells[NAME].length);
    if (!columns || !quoted || !forms || !name) {
        free(name);
        return false;
    }
    struct column *column = &columns[table->column_count];
    *column = (struct column){.name = name, .name_length = (uint32_t) cells[NAME].length};
    forms[table->column_count] = (struct form_column){0};
    declare(column, &forms[table->column_count], cells);
    quoted[table->column_count++] = quote(name);
    return quoted[count - 1] != NULL;
}

static void put_where(struct mysql_database *mysql, struct buffer *sql, const char *schema,
                      const char *name)
{
    buffer_puts(sql, " where table_schema = ");
    mysql_put_quoted(mysql, sql, schema, strlen(schema));
    buffer_puts(sql, " and table_name = ");
    mysql_put_quoted(mysql, sql, name, strlen(name));
}

static enum ods_status read_columns(struct mysql_database *mysql, const char *schema,
                                    const char *name, struct source_table *table,
                                    struct error *error)
{
    struct buffer sql;
    const struct field *cells;
    buffer_init(&sql);
    buffer_puts(&sql, "select column_name, data_type, column_type, is_nullable, "
                      "character_maximum_length, numeric_precision, numeric_scale, "
                      "datetime_precision from information_schema.columns");
    put_where(mysql, &sql, schema, name);
    buffer_puts(&sql, " order by ordinal_position");
    enum ods_status status = mysql_run(&mysql->base, buffer_text(&sql), error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        if (!add_column(table, cells))
            status = error_out_of_memory(error);
    }
    buffer_done(&sql);
    return status;
}

static enum ods_status read_key(struct mysql_database *mysql, const char *schema, const char *name,
                                struct source_table *table, struct error *error)
{
    struct buffer sql;
    const struct field *cells;
    buffer_init(&sql);
    buffer_puts(&sql, "select column_name from information_schema.statistics");
    put_where(mysql, &sql, schema, name);
    buffer_puts(&sql, " and index_name = 'PRIMARY' order by seq_in_index");
    table->key = calloc(table->column_count + 1u, sizeof *table->key);
    enum ods_status status = table->key ? mysql_run(&mysql->base, buffer_text(&sql), error)
                                        : error_out_of_memory(error);
    while (status == ODS_OK) {
        status = mysql_next(&mysql->base, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        for (uint32_t i = 0; i < table->column_count; i++)
            if (mysql_is(&cells[0], table->columns[i].name) &&
                table->key_count < table->column_count)
                table->key[table->key_count++] = i;
    }
    buffer_done(&sql);
    return status;
}

enum ods_status mysql_describe(struct database *database, const char *schema,
                                      const char *name, struct source_table *table, bool *found,
                                      struct error *error)
{
    struct mysql_database *mysql = mysql_of(database);
    *table = (struct source_table){0};
    char *quoted_schema = quote(schema), *quoted_name = quote(name);
    table->database = strdup(schema);
    table->schema = strdup("");
    table->name = strdup(name);
    if (!quoted_schema || !quoted_name ||
        asprintf(&table->quoted, "%s.%s", quoted_schema, quoted_name) < 0)
        table->quoted = NULL;
    free(quoted_schema);
    free(quoted_name);
    enum ods_status status = table->database && table->schema && table->name && table->quoted
                                 ? read_columns(mysql, schema, name, table, error)
                                 : error_out_of_memory(error);
    if (status == ODS_OK)
        status = read_key(mysql, schema, name, table, error);
    *found = status == ODS_OK && table->column_count;
    return status;
}

