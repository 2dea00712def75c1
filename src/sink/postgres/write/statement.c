/* The SQL of statements over arrays. See statement.h. */
#include "sink/postgres/write/statement.h"

#define OID_BPCHAR 1042

bool statement_has_key(const struct statement *statement, uint32_t column)
{
    for (uint32_t k = 0; k < statement->key_count; k++)
        if (statement->key[k] == column)
            return true;
    return false;
}

/* Does a statement that finds a row by its key write this column? */
static bool is_written(const struct statement *statement, uint32_t column)
{
    const struct pg_column *target = &statement->table->columns[column];
    return !target->identity_always &&
           (!statement_has_key(statement, column) || catalog_respells(target));
}

/* Writes u.c3, or u.c3::type where the column's own input function reads the text. */
static void put_value(struct buffer *sql, const struct statement *statement, uint32_t column)
{
    const struct pg_column *target = &statement->table->columns[column];
    buffer_printf(sql, "u.c%u", column);
    if (target->encoding == ENCODE_CAST)
        buffer_printf(sql, "::%s", target->cast);
}

/* Set-returning functions in a select list go forward together, without storing their rows;
 * unnest($1, $2, …) in "from" would first store each array. */
static void put_unnest(struct buffer *sql, const struct statement *statement)
{
    buffer_puts(sql, "(select ");
    for (int i = 0; i < statement->parameter_count; i++)
        buffer_printf(sql, "%sunnest($%d) as c%u", i ? ", " : "", i + 1, statement->parameters[i]);
    buffer_puts(sql, ") as u");
}

/* Writes where the rows of a statement come from: its parameters, or the "u" that a guarded
 * statement has made of them. */
static void put_source(struct buffer *sql, const struct statement *statement)
{
    if (statement->guard)
        buffer_puts(sql, "u");
    else
        put_unnest(sql, statement);
}

static void put_columns(struct buffer *sql, const struct statement *statement)
{
    for (int i = 0; i < statement->parameter_count; i++)
        buffer_printf(sql, "%s%s", i ? ", " : "",
                      statement->table->columns[statement->parameters[i]].quoted);
}

static void put_values(struct buffer *sql, const struct statement *statement)
{
    for (int i = 0; i < statement->parameter_count; i++) {
        buffer_puts(sql, i ? ", " : "");
        put_value(sql, statement, statement->parameters[i]);
    }
}

/* Writes t.key = u.key and … ; a char(n) key is compared as char(n), which ignores blanks at the
 * end. */
static void put_key_match(struct buffer *sql, const struct statement *statement, const char *left)
{
    for (uint32_t k = 0; k < statement->key_count; k++) {
        const struct pg_column *column = &statement->table->columns[statement->key[k]];
        buffer_printf(sql, "%s%s.%s = ", k ? " and " : "", left, column->quoted);
        put_value(sql, statement, statement->key[k]);
        if (column->encoding == ENCODE_TEXT && column->type == OID_BPCHAR)
            buffer_puts(sql, "::pg_catalog.bpchar");
    }
}

/* Writes the condition that row t is older than its change. Of two with the same time nobody knows
 * which is older, so it is false. */
static void put_guard(struct buffer *sql, const struct statement *statement)
{
    const char *time = statement->table->columns[statement->timestamp_column].quoted;
    buffer_printf(sql, "(t.%s is null or t.%s < ", time, time);
    if (statement->kind == GROUP_UPSERT && statement->guard == GUARD_OLDER)
        buffer_printf(sql, "excluded.%s", time);
    else
        put_value(sql, statement, (uint32_t) statement->timestamp_column);
    buffer_puts(sql, ")");
}

static void put_returning(struct buffer *sql, const struct statement *statement)
{
    buffer_puts(sql, " returning ");
    for (uint32_t k = 0; k < statement->key_count; k++)
        buffer_printf(sql, "%st.%s", k ? ", " : "",
                      statement->table->columns[statement->key[k]].quoted);
}

static void put_insert(struct buffer *sql, const struct statement *statement)
{
    bool overriding = false;
    for (int i = 0; i < statement->parameter_count; i++)
        overriding |= statement->table->columns[statement->parameters[i]].identity_always;
    buffer_printf(sql, "insert into %s as t (", statement->table->quoted);
    put_columns(sql, statement);
    buffer_printf(sql, ")%s select ", overriding ? " overriding system value" : "");
    put_values(sql, statement);
}

/* Is the new value compared with the present one? It is for types whose values PostgreSQL may store
 * outside of the row. They are compared byte by byte: by the "C" collation, or as an image.
 * varchar(n) is left out in updates: its assignment would fetch the stored value, which is what
 * this avoids. */
static bool is_compared(const struct statement *statement, const struct pg_column *column)
{
    if (!statement->compares || !column->readable)
        return false;
    switch (column->encoding) {
    case ENCODE_TEXT:
        return column->type != OID_BPCHAR &&
               (column->modifier < 0 || statement->kind == GROUP_UPSERT);
    case ENCODE_BYTEA:
    case ENCODE_JSON:
    case ENCODE_JSONB:
        return true;
    default:
        return false;
    }
}

static void put_source_value(struct buffer *sql, const struct statement *statement,
                             uint32_t column, bool excluded)
{
    if (excluded)
        buffer_printf(sql, "excluded.%s", statement->table->columns[column].quoted);
    else
        put_value(sql, statement, column);
}

/* Writes ", column = value". Where the value is the present one, the column is assigned to itself:
 * then PostgreSQL neither compresses nor stores it again. */
static void put_assignment(struct buffer *sql, const struct statement *statement, uint32_t column,
                           bool excluded)
{
    const struct pg_column *target = &statement->table->columns[column];
    buffer_printf(sql, "%s = ", target->quoted);
    if (!is_compared(statement, target)) {
        put_source_value(sql, statement, column, excluded);
        return;
    }
    static const struct {
        const char *before, *between, *after;
    } forms[] = {
        [ENCODE_TEXT] = {"", "::pg_catalog.text collate \"C\" operator(pg_catalog.=) ",
                         "::pg_catalog.text"},
        [ENCODE_BYTEA] = {"", "::pg_catalog.bytea operator(pg_catalog.=) ", "::pg_catalog.bytea"},
        [ENCODE_JSON] =
            {"row(", "::pg_catalog.json)::pg_catalog.record operator(pg_catalog.*=) row(",
             "::pg_catalog.json)::pg_catalog.record"},
        [ENCODE_JSONB] =
            {"row(", "::pg_catalog.jsonb)::pg_catalog.record operator(pg_catalog.*=) row(",
             "::pg_catalog.jsonb)::pg_catalog.record"},
    };
    buffer_printf(sql, "case when %st.%s%s", forms[target->encoding].before, target->quoted,
                  forms[target->encoding].between);
    put_source_value(sql, statement, column, excluded);
    buffer_printf(sql, "%s then t.%s else ", forms[target->encoding].after, target->quoted);
    put_source_value(sql, statement, column, excluded);
    buffer_puts(sql, " end");
}

/* A row of a history that is there stays as it is. Where it is the row of another record, as of a
 * topic that was made anew, the division fails (HISTORY_TAKEN). */
static void put_kept(struct buffer *sql, const struct statement *statement)
{
    const struct pg_column *columns = statement->table->columns;
    const char *operation = columns[statement->kept_operation].quoted;
    const char *time = columns[statement->kept_time].quoted;
    buffer_printf(sql,
                  ") do update set %s = (1 / (length(t.%s) - length(t.%s)))::text"
                  " where (t.%s, t.%s) is distinct from (excluded.%s, excluded.%s)",
                  operation, operation, operation, operation, time, operation, time);
}

static void put_upsert(struct buffer *sql, const struct statement *statement)
{
    put_insert(sql, statement);
    buffer_puts(sql, " from ");
    put_source(sql, statement);
    if (statement->kind == GROUP_INSERT || statement->guess == GUESS_NEW)
        return;
    buffer_puts(sql, " on conflict (");
    for (uint32_t k = 0; k < statement->key_count; k++)
        buffer_printf(sql, "%s%s", k ? ", " : "",
                      statement->table->columns[statement->key[k]].quoted);
    if (statement->keeps) {
        put_kept(sql, statement);
        return;
    }
    bool any = false;
    for (int i = 0; i < statement->parameter_count; i++) {
        if (!is_written(statement, statement->parameters[i]))
            continue;
        buffer_puts(sql, any ? ", " : ") do update set ");
        put_assignment(sql, statement, statement->parameters[i], true);
        any = true;
    }
    if (!any)
        buffer_puts(sql, ") do nothing");
}

static void put_update(struct buffer *sql, const struct statement *statement)
{
    bool any = false;
    buffer_printf(sql, "update %s as t set ", statement->table->quoted);
    for (int i = 0; i < statement->parameter_count; i++) {
        uint32_t column = statement->parameters[i];
        if (!is_written(statement, column))
            continue;
        buffer_puts(sql, any ? ", " : "");
        put_assignment(sql, statement, column, false);
        any = true;
    }
    if (!any) { /* only the key: it is assigned, so that the row counts as found */
        buffer_printf(sql, "%s = ", statement->table->columns[statement->key[0]].quoted);
        put_value(sql, statement, statement->key[0]);
    }
    buffer_puts(sql, " from ");
    if (statement->guess == GUESS_THERE)
        put_unnest(sql, statement);
    else
        buffer_puts(sql, "u"); /* made by the statement around this one */
    buffer_puts(sql, " where ");
    put_key_match(sql, statement, "t");
}

/* An existing row keeps the values that the change does not carry. Only rows that do not exist are
 * inserted. "on conflict" can't be used: PostgreSQL would refuse a missing NOT NULL value before it
 * sees the conflict. */
static void put_partial(struct buffer *sql, const struct statement *statement)
{
    buffer_puts(sql, "with u as materialized (select * from ");
    put_unnest(sql, statement);
    buffer_puts(sql, "), changed as (");
    put_update(sql, statement);
    put_returning(sql, statement);
    buffer_puts(sql, ") ");
    put_insert(sql, statement);
    buffer_puts(sql, " from u where not exists (select from changed where ");
    put_key_match(sql, statement, "changed");
    buffer_puts(sql, ")");
}

static void put_delete(struct buffer *sql, const struct statement *statement)
{
    buffer_printf(sql, "delete from %s as t using ", statement->table->quoted);
    put_source(sql, statement);
    buffer_puts(sql, " where ");
    put_key_match(sql, statement, "t");
}

static void put_soft_delete(struct buffer *sql, const struct statement *statement)
{
    const struct pg_column *columns = statement->table->columns;
    const char *operation = columns[statement->operation_column].quoted;
    buffer_printf(sql, "update %s as t set %s = 'd'", statement->table->quoted, operation);
    if (statement->timestamp_column >= 0) {
        buffer_printf(sql, ", %s = ", columns[statement->timestamp_column].quoted);
        put_value(sql, statement, (uint32_t) statement->timestamp_column);
    }
    for (uint32_t k = 0; k < statement->key_count; k++)
        if (is_written(statement, statement->key[k])) {
            buffer_printf(sql, ", %s = ", columns[statement->key[k]].quoted);
            put_value(sql, statement, statement->key[k]);
        }
    buffer_puts(sql, " from ");
    put_source(sql, statement);
    buffer_puts(sql, " where ");
    put_key_match(sql, statement, "t");
    buffer_printf(sql, " and t.%s is distinct from 'd'", operation);
}

static void put_not_in(struct buffer *sql, const struct statement *statement, const char *rows)
{
    buffer_printf(sql, "not exists (select from %s where ", rows);
    put_key_match(sql, statement, rows);
    buffer_puts(sql, ")");
}

static void put_guarded_body(struct buffer *sql, const struct statement *statement)
{
    if (statement->kind == GROUP_UPSERT && statement->guard == GUARD_OLDER) {
        put_upsert(sql, statement);
        buffer_puts(sql, " where ");
    } else {
        if (statement->kind == GROUP_DELETE)
            put_delete(sql, statement);
        else if (statement->kind == GROUP_SOFT_DELETE)
            put_soft_delete(sql, statement);
        else
            put_update(sql, statement);
        buffer_puts(sql, " and ");
    }
    put_guard(sql, statement);
    put_returning(sql, statement);
}

/* Writes a statement that changes only older rows, and returns one row for each change that it kept
 * out. */
static void put_guarded(struct buffer *sql, const struct statement *statement)
{
    bool inserts = statement->kind == GROUP_PARTIAL && statement->guard == GUARD_OLDER;
    const char *table = statement->table->quoted;
    buffer_puts(sql, "with u as materialized (select * from ");
    put_unnest(sql, statement);
    buffer_puts(sql, "), changed as (");
    put_guarded_body(sql, statement);
    if (inserts) {
        buffer_puts(sql, "), inserted as (");
        put_insert(sql, statement);
        buffer_puts(sql, " from u where ");
        put_not_in(sql, statement, "changed");
        buffer_printf(sql, " and not exists (select from %s as t where ", table);
        put_key_match(sql, statement, "t");
        buffer_puts(sql, ")");
        put_returning(sql, statement);
    }
    buffer_puts(sql, ") select from u where ");
    put_not_in(sql, statement, "changed");
    if (inserts) {
        buffer_puts(sql, " and ");
        put_not_in(sql, statement, "inserted");
    }
    if (statement->kind == GROUP_DELETE || statement->kind == GROUP_SOFT_DELETE) {
        buffer_printf(sql, " and exists (select from %s as t where ", table);
        put_key_match(sql, statement, "t");
        buffer_puts(sql, " and ");
        put_guard(sql, statement);
        buffer_puts(sql, " is not true)");
    }
}

/* For rows that have each other's unique values. Either their new versions are copied
 * (GROUP_STAGE), and one statement then replaces all old rows; or all are taken out of the table
 * (GROUP_PARK) and put back one by one (GROUP_RETURN). Values that their changes do not carry stay
 * as they are. */
static void put_park(struct buffer *sql, const struct statement *statement)
{
    buffer_puts(sql, "with gone as (");
    put_delete(sql, statement);
    buffer_puts(sql, " returning t.*) insert into " PARKED " select * from gone");
}

static void put_copy(struct buffer *sql, const struct statement *statement, const char *from,
                     const char *to)
{
    const struct pg_table *table = statement->table;
    const char *comma = "";
    buffer_printf(sql, "insert into %s (", to);
    statement_put_written(sql, table, "");
    buffer_puts(sql, ") overriding system value select ");
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct pg_column *column = &table->columns[i];
        if (column->generated)
            continue;
        buffer_puts(sql, comma);
        comma = ", ";
        if (statement_in_set(statement->columns, i) && !column->identity_always)
            put_value(sql, statement, i);
        else
            buffer_printf(sql, "p.%s", column->quoted);
    }
    buffer_puts(sql, " from ");
    put_source(sql, statement);
    buffer_printf(sql, " join %s as p on ", from);
    put_key_match(sql, statement, "p");
}

void statement_put_written(struct buffer *sql, const struct pg_table *table, const char *prefix)
{
    const char *comma = "";
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].generated)
            continue;
        buffer_printf(sql, "%s%s%s", comma, prefix, table->columns[i].quoted);
        comma = ", ";
    }
}

void statement_put(struct buffer *sql, const struct statement *statement)
{
    if (statement->guard) {
        put_guarded(sql, statement);
        return;
    }
    if (statement->guess == GUESS_THERE) {
        put_update(sql, statement);
        return;
    }
    switch (statement->kind) {
    case GROUP_DELETE:
        put_delete(sql, statement);
        break;
    case GROUP_SOFT_DELETE:
        put_soft_delete(sql, statement);
        break;
    case GROUP_PARTIAL:
        put_partial(sql, statement);
        break;
    case GROUP_UPSERT:
    case GROUP_INSERT:
        put_upsert(sql, statement);
        break;
    case GROUP_PARK:
        put_park(sql, statement);
        break;
    case GROUP_RETURN:
        put_copy(sql, statement, PARKED, statement->table->quoted);
        break;
    case GROUP_STAGE:
        put_copy(sql, statement, statement->table->quoted, PARKED);
        break;
    }
}
