/* Tables and columns that the sink makes. See ddl.h. */
#include "sink/postgres/tables/ddl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/ddl_compression.h"
#include "sink/postgres/tables/ddl_default.h"
#include "sink/postgres/tables/history.h"
#include "sink/postgres/tables/rehearsal.h"
#include "sink/postgres/tables/widen.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/ddl_lock.h"
#include "sql/postgres/schema_is_there.h"

/* --- pieces of SQL -------------------------------------------------------------------------- */

static void put_literal(struct buffer *sql, PGconn *pg, const char *text)
{
    char *literal = PQescapeLiteral(pg, text, strlen(text));
    if (literal)
        buffer_puts(sql, literal);
    else
        sql->failed = true;
    PQfreemem(literal);
}

void ddl_put_name(struct buffer *sql, const char *name)
{
    char *quoted = quote_name(name);
    if (quoted)
        buffer_puts(sql, quoted);
    else
        sql->failed = true;
    free(quoted);
}

void ddl_put_table(struct buffer *sql, const struct ddl_table *table)
{
    ddl_put_name(sql, table->schema);
    buffer_puts(sql, ".");
    ddl_put_name(sql, table->name);
}

static enum ods_status put_column(struct buffer *sql, struct ddl *ddl,
                                  const struct ddl_column *column, bool created,
                                  struct error *error)
{
    char room[DDL_TYPE_BYTES], *text = NULL;
    enum ods_status status = ddl_default(ddl, column, &text, error);
    if (status != ODS_OK)
        return status;
    ddl_put_name(sql, column->name);
    const char *type = ddl_type(ddl->table, column, room, sizeof room);
    bool large = column->source && !column->key && ddl_compression_serves(type);
    buffer_printf(sql, " %s%s", type, large && ddl->lz4 ? " compression lz4" : "");
    if (text)
        buffer_printf(sql, " default %s", text);
    /* A column of a record without schema says nothing about NULL. */
    bool required = !ddl->table->shared && column->source && !ddl->table->shape->history_of &&
                    column->source->column.type != SEM_UNKNOWN && !column->source->column.optional;
    required &= created || text; /* rows that exist already get the default */
    if (required || (column->key && created))
        buffer_puts(sql, " not null");
    free(text);
    return ODS_OK;
}

/* Writes the column's comment: its source and the type that it was given. The sink recognizes the
 * column by both. */
static void put_origin(struct buffer *text, const struct ddl_column *column, const char *type,
                       bool history)
{
    const struct column *source = column->source ? &column->source->column : NULL;
    if (!source && history)
        buffer_puts(text, COMMENT_TABLE "of the change, see docs/history.md");
    else if (!source)
        buffer_puts(text, COMMENT_TABLE "of the last change applied to this row");
    else if (source->type == SEM_UNKNOWN)
        buffer_printf(text,
                      COMMENT_COLUMN "%s, told by its first value: the records carry no "
                                     "schema" COMMENT_TYPE "%s",
                      source->name, type);
    else
        buffer_printf(text, COMMENT_COLUMN "%s, %s%s%s" COMMENT_TYPE "%s", source->name,
                      semantic_name(source->type), source->source_type ? ", " : "",
                      source->source_type ? source->source_type : "", type);
}

static void put_comment(struct ddl *ddl, const char *column, struct buffer *text)
{
    buffer_puts(&ddl->script, "comment on column ");
    ddl_put_table(&ddl->script, ddl->table);
    buffer_puts(&ddl->script, ".");
    ddl_put_name(&ddl->script, column);
    buffer_puts(&ddl->script, " is ");
    put_literal(&ddl->script, ddl->conn->pg, buffer_text(text));
    buffer_puts(&ddl->script, "; ");
}

static void put_origin_comment(struct ddl *ddl, const struct ddl_column *column, const char *type)
{
    char room[DDL_TYPE_BYTES];
    struct buffer text;
    buffer_init(&text);
    put_origin(&text, column, type ? type : ddl_type(ddl->table, column, room, sizeof room),
               ddl->table->shape->history_of != NULL);
    put_comment(ddl, column->name, &text);
    buffer_done(&text);
}

/* Adds a statement: it is run, stored in the history, and kept for the log. */
void ddl_put_statement(struct ddl *ddl, struct buffer *statement)
{
    const struct record *cause = ddl->cause;
    struct buffer *script = &ddl->script;
    const char *text = buffer_text(statement);
    buffer_add(&ddl->statements, text, strlen(text) + 1);
    script->failed |= statement->failed;
    if (ddl->conn->rehearsal) /* it runs each of them, and keeps no history */
        return;
    buffer_puts(script, text);
    buffer_puts(script, "; insert into ");
    ddl_put_name(script, ddl->conn->settings->schema);
    buffer_puts(script,
                ".schema_history "
                "(table_schema, table_name, sql, topic, partition, record_offset) values (");
    const char *words[] = {ddl->table->schema, ddl->table->name, text, cause->topic};
    for (size_t i = 0; i < 4; i++) {
        put_literal(script, ddl->conn->pg, words[i]);
        buffer_puts(script, ", ");
    }
    buffer_printf(script, "%d, %lld); ", (int) cause->partition, (long long) cause->offset);
}

/* --- a table that is missing ---------------------------------------------------------------- */

/* Writes the key's columns in the order of the record's key. A key from tables.yaml is in the order
 * of the table's columns. */
static void put_key(struct buffer *sql, const struct ddl_table *table,
                    const struct ddl_change *changes, size_t count)
{
    const struct shape *shape = table->shape;
    bool any = false;
    for (uint32_t k = 0; k <= shape->key_count; k++)
        for (size_t i = 0; i < count; i++) {
            const struct ddl_column *column = &changes[i].column;
            uint32_t rank = 0;
            if (!column->source || !column->key)
                continue;
            while (rank < shape->key_count &&
                   strcmp(shape->columns[shape->key[rank]].name, column->source->column.name) != 0)
                rank++;
            if (rank != k)
                continue;
            buffer_puts(sql, any ? ", " : ", primary key (");
            ddl_put_name(sql, column->name);
            any = true;
        }
    if (any)
        buffer_puts(sql, ")");
}

/* Makes the schema only where it does not exist, as only then the right to make one is needed. */
static enum ods_status put_schema(struct ddl *ddl, struct error *error)
{
    const char *names[] = {ddl->table->schema};
    PGresult *rows = NULL;
    enum ods_status status = conn_query(ddl->conn, sql_schema_is_there, 1, names, &rows, error);
    bool there = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    if (ddl->conn->rehearsal)
        there |= rehearsal_made_schema(ddl->conn->rehearsal, ddl->table->schema);
    if (status != ODS_OK || there)
        return status;
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "create schema ");
    ddl_put_name(&sql, ddl->table->schema);
    ddl_put_statement(ddl, &sql);
    buffer_done(&sql);
    return ODS_OK;
}

enum ods_status ddl_create(struct ddl *ddl, const struct ddl_change *changes, size_t count,
                           struct error *error)
{
    const struct ddl_table *table = ddl->table;
    const struct shape *shape = table->shape;
    const char *database = shape->database[0] ? shape->database : shape->schema;
    struct buffer sql, from;
    enum ods_status status =
        ddl_compression_ask(ddl->conn, ddl->table->compression, &ddl->lz4, error);
    if (status == ODS_OK)
        status = put_schema(ddl, error);
    if (status != ODS_OK)
        return status;
    buffer_init(&sql);
    buffer_init(&from);
    buffer_puts(&sql, "create table ");
    ddl_put_table(&sql, table);
    buffer_puts(&sql, " (");
    for (size_t i = 0; status == ODS_OK && i < count; i++) {
        buffer_puts(&sql, i ? ", " : "");
        status = put_column(&sql, ddl, &changes[i].column, true, error);
    }
    if (shape->history_of)
        history_put_key(&sql, table);
    else
        put_key(&sql, table, changes, count);
    buffer_puts(&sql, ")");
    if (shape->history_of && table->parted)
        buffer_puts(&sql, " partition by range (cdc_timestamp)");
    ddl_put_statement(ddl, &sql);
    buffer_printf(&from, COMMENT_TABLE "%sfrom %s table %s%s%s, topic %s",
                  shape->history_of ? "every change " : "",
                  table->connector[0] ? table->connector : "source", database,
                  database[0] ? "." : "", shape->table, shape->topic);
    buffer_puts(&ddl->script, "comment on table ");
    ddl_put_table(&ddl->script, table);
    buffer_puts(&ddl->script, " is ");
    put_literal(&ddl->script, ddl->conn->pg, buffer_text(&from));
    buffer_puts(&ddl->script, "; ");
    for (size_t i = 0; i < count; i++)
        put_origin_comment(ddl, &changes[i].column, NULL);
    ddl->script.failed |= from.failed;
    buffer_done(&from);
    buffer_done(&sql);
    return status;
}

/* --- a table that exists -------------------------------------------------------------------- */

static void put_keep(struct ddl *ddl, const struct ddl_change *change)
{
    struct buffer sql, text;
    buffer_init(&sql);
    buffer_init(&text);
    buffer_puts(&sql, "alter table ");
    ddl_put_table(&sql, ddl->table);
    buffer_printf(&sql, " rename column %s to ", change->there->quoted);
    ddl_put_name(&sql, change->kept);
    ddl_put_statement(ddl, &sql);
    buffer_printf(&text, COMMENT_COLUMN "%s, until its type changed" COMMENT_TYPE "%s",
                  change->column.source->column.name, change->there->declared);
    put_comment(ddl, change->kept, &text);
    buffer_done(&text);
    buffer_done(&sql);
}

/* PostgreSQL keeps a column's default only where it can cast the default to the new type by
 * itself. */
static void put_retype(struct buffer *sql, const struct ddl *ddl, const struct ddl_change *change)
{
    const char *quoted = change->there->quoted, *expression = change->there->default_text;
    const char *way = widen_by_way_of(change->there->declared, change->type);
    if (expression)
        buffer_printf(sql, "alter column %s drop default, ", quoted);
    buffer_printf(sql, "alter column %s type %s using %s%s%s::%s", quoted, change->type, quoted,
                  way ? "::" : "", way ? way : "", change->type);
    if (expression)
        buffer_printf(sql, ", alter column %s set default (%s)%s%s::%s", quoted, expression,
                      way ? "::" : "", way ? way : "", change->type);
    if (ddl->lz4 && !change->column.key && ddl_compression_serves(change->type))
        buffer_printf(sql, ", alter column %s set compression lz4", quoted);
}

static enum ods_status put_change(struct buffer *sql, struct ddl *ddl,
                                  const struct ddl_change *change, struct error *error)
{
    switch (change->kind) {
    case DDL_ADD:
        buffer_puts(sql, "add column ");
        return put_column(sql, ddl, &change->column, false, error);
    case DDL_RETYPE:
        put_retype(sql, ddl, change);
        break;
    case DDL_REKEY:
        buffer_puts(sql, change->text);
        break;
    case DDL_RELAX:
        buffer_printf(sql, "alter column %s drop not null", change->there->quoted);
        break;
    case DDL_KEEP:
        buffer_puts(sql, "alter column ");
        ddl_put_name(sql, change->kept);
        buffer_puts(sql, " drop not null, alter column ");
        ddl_put_name(sql, change->kept);
        buffer_puts(sql, " drop default");
        break;
    }
    return ODS_OK;
}

enum ods_status ddl_alter(struct ddl *ddl, const struct ddl_change *changes, size_t count,
                          struct error *error)
{
    struct buffer sql;
    bool any = false;
    ddl->changes = changes;
    ddl->count = count;
    enum ods_status status =
        ddl_compression_ask(ddl->conn, ddl->table->compression, &ddl->lz4, error);
    if (status != ODS_OK)
        return status;
    buffer_init(&sql);
    for (size_t i = 0; i < count; i++)
        if (changes[i].kind == DDL_KEEP)
            put_keep(ddl, &changes[i]);
    buffer_puts(&sql, "alter table ");
    ddl_put_table(&sql, ddl->table);
    for (size_t i = 0; status == ODS_OK && i < count; i++) {
        const struct pg_column *there = changes[i].there;
        if (changes[i].kind == DDL_KEEP && !there->not_null && !there->has_default)
            continue;
        buffer_puts(&sql, any ? ", " : " ");
        status = put_change(&sql, ddl, &changes[i], error);
        any = true;
    }
    if (any)
        ddl_put_statement(ddl, &sql);
    for (size_t i = 0; i < count; i++) {
        if (changes[i].kind == DDL_ADD)
            put_origin_comment(ddl, &changes[i].column, NULL);
        if (changes[i].kind == DDL_RETYPE)
            put_origin_comment(ddl, &changes[i].column, changes[i].type);
    }
    buffer_done(&sql);
    return status;
}

/* --- the transaction ------------------------------------------------------------------------ */

enum ods_status ddl_begin(struct ddl *ddl, struct conn *conn, const struct ddl_table *table,
                          const struct record *cause, struct error *error)
{
    *ddl = (struct ddl){.conn = conn, .table = table, .cause = cause};
    if (conn->rehearsal) {
        enum ods_status made = rehearsal_stand_in(conn->rehearsal, conn, table, error);
        return made == ODS_OK ? conn_script(conn, "begin", error) : made;
    }
    /* No time limit: the rewrite of a large table would be cut off, and begin again and again. */
    enum ods_status status =
        conn_script(conn, "begin; set local statement_timeout = 0", error);
    return status == ODS_OK ? conn_query(conn, sql_ddl_lock, 0, NULL, NULL, error) : status;
}

void ddl_abort(struct ddl *ddl)
{
    if (ddl->conn->pg)
        conn_script(ddl->conn, "rollback", NULL);
}

enum ods_status ddl_commit(struct ddl *ddl, struct error *error)
{
    if (!ddl->conn->rehearsal)
        buffer_puts(&ddl->script, "commit");
    enum ods_status status;
    if (ddl->script.failed || ddl->statements.failed)
        status = error_set(error, ODS_RETRY, "out of memory");
    else if (ddl->conn->rehearsal)
        status = rehearsal_run(ddl->conn->rehearsal, ddl, error);
    else
        status = conn_script(ddl->conn, buffer_text(&ddl->script), error);
    if (status == ODS_OK)
        return status;
    ddl_abort(ddl);
    error_prefix(error, "table %s.%s can't be made or changed: ", ddl->table->schema,
                 ddl->table->name);
    /* A refusal by an event trigger counts like one by PostgreSQL itself. */
    bool routine = error->origin == ORIGIN_ROUTINE || error->origin == ORIGIN_RAISED;
    if (sqlstate_is_of_table(error->code) || (routine && status != ODS_RETRY))
        return ODS_REJECT;
    return status == ODS_REJECT ? ODS_FATAL : status;
}

void ddl_done(struct ddl *ddl)
{
    buffer_done(&ddl->script);
    buffer_done(&ddl->statements);
}
