/* Defaults that a record's schema names, for the columns that the sink makes. They serve other
 * programs that write to the target, and rows that exist when a column is added: the source gave
 * its rows the default too. The sink itself writes every column that a record has, so that NULL
 * stays NULL.
 *
 * Only constants are taken. Debezium writes the epoch where the source has current_timestamp, now()
 * or a zero date, so a moment that is the epoch is not taken as a default. Nor is a text that
 * PostgreSQL can't read as the column's type: the column is then made without a default. */
#include "sink/postgres/tables/ddl_default.h"

#include <stdlib.h>
#include <string.h>

#include "core/text_nested.h"

static bool is_moment(enum semantic type)
{
    return type == SEM_DATE || type == SEM_ISO_DATE || type == SEM_ISO_TIMESTAMP ||
           (type >= SEM_TIMESTAMP_MS && type <= SEM_ZONED_TIMESTAMP) ||
           (type >= SEM_STRUCTURED_DATE && type <= SEM_STRUCTURED_ZONED_TIMESTAMP);
}

/* Copies the text of the array's only element, without the quotes that the array gives it. */
static enum ods_status take(void *context, struct buffer *out, const struct column *column,
                            const struct value *value, struct error *error)
{
    (void) out;
    return text_value(context, column, value, error);
}

/* A schema's default is written as a row's value is, so it is read as one. It is put into an array,
 * since an array's element is read from JSON. */
static enum ods_status read_default(struct buffer *text, const struct column *column,
                                    struct error *error)
{
    struct buffer json, ignored;
    struct column array = {.name = column->name, .type = SEM_ARRAY, .element = column};
    bool itself = column->type == SEM_ARRAY;
    buffer_init(&json);
    buffer_init(&ignored);
    buffer_puts(&json, itself ? "" : "[");
    buffer_puts(&json, column->default_json);
    buffer_puts(&json, itself ? "" : "]");
    const struct value value = {
        .kind = VALUE_JSON, .length = (uint32_t) json.length, .bytes = buffer_text(&json)};
    enum ods_status status = itself ? text_value(text, column, &value, error)
                                    : text_array(&ignored, &array, &value, take, text, error);
    if (json.failed || ignored.failed || text->failed)
        status = error_out_of_memory(error);
    buffer_done(&ignored);
    buffer_done(&json);
    return status;
}

/* Asks PostgreSQL whether it reads the literal as that type. The transaction goes on either way. */
static enum ods_status try_it(struct ddl *ddl, const char *type, const char *literal, bool *good,
                              struct error *error)
{
    struct buffer sql;
    struct error refusal = {0};
    buffer_init(&sql);
    buffer_printf(&sql, "savepoint ods_default; select %s::%s; release savepoint ods_default",
                  literal, type);
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : conn_script(ddl->conn, buffer_text(&sql), &refusal);
    *good = status == ODS_OK;
    if (!sql.failed && (status == ODS_REJECT || status == ODS_FATAL)) /* not readable as the type */
        status = conn_script(ddl->conn, "rollback to savepoint ods_default", error);
    else if (!sql.failed && status != ODS_OK)
        *error = refusal;
    buffer_done(&sql);
    return status;
}

/* A corrected column is not what the schema says, so the schema's default does not fit it; except
 * for an unsigned number, whose default is the same. */
static bool is_plain(const struct source_column *source)
{
    return source->coding == CODING_NONE ||
           (source->coding == CODING_UNSIGNED && source->column.default_json[0] != '-');
}

enum ods_status ddl_default(struct ddl *ddl, const struct ddl_column *column, char **text,
                            struct error *error)
{
    const struct source_column *source = column->source;
    if (!source || column->key || column->unfilled || !source->column.default_json ||
        !is_plain(source))
        return ODS_OK;
    struct buffer value;
    char room[DDL_TYPE_BYTES], *literal = NULL;
    bool good = false;
    buffer_init(&value);
    enum ods_status status = read_default(&value, &source->column, error);
    const char *bytes = buffer_text(&value);
    if (status == ODS_REJECT || (status == ODS_OK && memchr(bytes, '\0', value.length)) ||
        (is_moment(source->column.type) && strncmp(bytes, "1970-01-01", 10) == 0)) {
        status = ODS_OK;
        goto out;
    }
    if (status == ODS_OK && !(literal = PQescapeLiteral(ddl->conn->pg, bytes, value.length)))
        status = error_out_of_memory(error);
    if (status == ODS_OK)
        status =
            try_it(ddl, ddl_type(ddl->table, column, room, sizeof room), literal, &good, error);
    if (status == ODS_OK && good && !(*text = strdup(literal)))
        status = error_out_of_memory(error);
out:
    PQfreemem(literal);
    buffer_done(&value);
    return status;
}
