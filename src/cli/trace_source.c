/* The row as the source database has it, read as verify reads it: in a read-only session, and as
 * the connector would have sent it. See trace.h.
 */
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include <ods/transform.h>

#include "cli/json.h"
#include "cli/redact.h"
#include "cli/trace.h"
#include "core/text.h"
#include "verify/database.h"

struct sourcing {
    struct trace *trace;
    struct database *database;
    struct source_table table;
    struct buffer sql, text;
    struct arena arena;
};

/* The source's own names for the table: a record's, else what the configuration calls it. */
static const char *name_of(const struct trace *trace, const char *member, const char *otherwise)
{
    for (size_t i = trace->entries.count; i-- > 0;) {
        const json_t *change = trace->entries.items[i].change;
        const char *name = change ? json_string_value(json_object_get(change, member)) : NULL;
        if (name && *name)
            return name;
    }
    return otherwise;
}

/* The transforms, and what they mask, are those of the source's own table. */
static bool is_masked(const struct sourcing *sourcing, const char *column)
{
    const struct source_table *table = &sourcing->table;
    return transform_masks(sourcing->trace->choice.pipeline,
                           *table->schema ? table->schema : table->database, table->name, column);
}

static bool is_number(const char *text)
{
    const char *digits = text + (*text == '-');
    size_t whole = strspn(digits, "0123456789");
    const char *rest = digits + whole;
    return whole &&
           (!*rest || (*rest == '.' && rest[1] && !rest[1 + strspn(rest + 1, "0123456789")]));
}

/* The query for the row. False: its key can't be asked for, trace->source_why says why. */
static bool put_query(struct sourcing *sourcing)
{
    struct trace *trace = sourcing->trace;
    const struct source_table *table = &sourcing->table;
    struct buffer *sql = &sourcing->sql;
    size_t found = 0;
    for (uint32_t i = 0; i < table->column_count; i++)
        buffer_printf(sql, "%s%s", i ? ", " : "select ", table->quoted_columns[i]);
    buffer_printf(sql, " from %s", table->quoted);
    for (uint32_t i = 0; i < table->column_count; i++) {
        const char *value =
            keyed_row_value(trace->row, trace->choice.table, table->columns[i].name);
        bool asked = value && (trace->key.count > 1 || trace->key.items[0].name ||
                               (table->key_count == 1 && table->key[0] == i));
        if (!asked)
            continue;
        if (is_masked(sourcing, table->columns[i].name)) {
            trace->source_why = "the pipeline masks the key, so which row it is can't be told";
            return false;
        }
        if (table->forms[i].is_number && !is_number(value)) {
            trace->source_why = "the key is not a number, as its column at the source is";
            return false;
        }
        buffer_printf(sql, "%s%s = ", found++ ? " and " : " where ", table->quoted_columns[i]);
        sourcing->database->ops->literal(sourcing->database, sql, &table->forms[i], value,
                                         strlen(value));
    }
    if (found == trace->key.count)
        return true;
    trace->source_why = "the key's columns are not those of the table at the source";
    return false;
}

static json_t *cell_json(struct sourcing *sourcing, uint32_t column, const struct field *cell)
{
    const struct column *what = &sourcing->table.columns[column];
    const struct form_column *form = &sourcing->table.forms[column];
    struct value value;
    struct error ignored;
    if (!cell->bytes)
        return json_null();
    if (is_redacted(sourcing->trace->choice.table, what->name) || is_masked(sourcing, what->name))
        return json_string(REDACTED);
    error_init(&ignored);
    buffer_reset(&sourcing->text);
    if (form->form == FORM_NONE ||
        form_value(form, cell, &sourcing->arena, &value, &ignored) != ODS_OK)
        return json_string("(can't be shown)");
    if (value.kind == VALUE_NULL)
        return json_null();
    if (text_value(&sourcing->text, what, &value, &ignored) != ODS_OK)
        return json_string("(can't be shown)");
    return cli_json(buffer_text(&sourcing->text));
}

static enum ods_status read_row(struct sourcing *sourcing, struct error *error)
{
    struct trace *trace = sourcing->trace;
    struct database *database = sourcing->database;
    const struct field *cells = NULL;
    enum ods_status status = database->ops->query(database, buffer_text(&sourcing->sql), error);
    for (bool first = true; status == ODS_OK; first = false) {
        status = database->ops->next(database, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        json_t *row = first ? json_object() : NULL;
        for (uint32_t i = 0; row && i < sourcing->table.column_count; i++)
            json_object_set_new(row, sourcing->table.columns[i].name,
                                cell_json(sourcing, i, &cells[i]));
        if (row)
            trace->source = row;
    }
    if (status == ODS_OK && !trace->source)
        trace->source = json_null();
    return status;
}

int trace_read_source(struct trace *trace, struct error *error)
{
    const char *name = trace->choice.pipeline->database;
    const struct database_settings *settings =
        *name ? settings_database(trace->settings, name) : NULL;
    struct sourcing sourcing = {.trace = trace};
    bool found = false;
    if (!settings) {
        trace->source_why = "no source database is configured";
        return CLI_OK;
    }
    sourcing.database = database_new(settings);
    arena_init(&sourcing.arena);
    enum ods_status status =
        sourcing.database ? sourcing.database->ops->open(sourcing.database, error)
                          : error_out_of_memory(error);
    if (status == ODS_OK)
        status = sourcing.database->ops->describe(
            sourcing.database, name_of(trace, "schema", trace->choice.qualifier),
            name_of(trace, "table", trace->choice.source), &sourcing.table, &found, error);
    if (status == ODS_OK && !found)
        trace->source_why =
            *name_of(trace, "schema", trace->choice.qualifier)
                ? "the source database has no such table, or it may not be read"
                : "no record of the row says in which database or schema its table is: name the "
                  "table with it, as in shop.orders";
    else if (status == ODS_OK && put_query(&sourcing))
        status = read_row(&sourcing, error);
    source_table_done(&sourcing.table);
    database_free(sourcing.database);
    buffer_done(&sourcing.sql);
    buffer_done(&sourcing.text);
    arena_done(&sourcing.arena);
    if (status == ODS_OK)
        return CLI_OK;
    error_prefix(error, "the row at the source can't be read: ");
    return CLI_SOURCE;
}
