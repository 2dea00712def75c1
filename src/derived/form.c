/* See form.h. */
#include "derived/form.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derived/compile.h"
#include "derived/shape.h"
#include "sink/postgres/wire/quote.h"

/* --- what the query gives --------------------------------------------------------------------- */

static enum ods_status wrong(struct error *error, const struct kept *kept, const char *said)
{
    return error_set(error, ODS_FATAL, "derived table %s: %s", kept->name, said);
}

static void put_array(struct buffer *array, const char *text)
{
    buffer_puts(array, array->length ? ",\"" : "{\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buffer_add(array, "\\", 1);
        buffer_add(array, text, 1);
    }
    buffer_puts(array, "\"");
}

static enum ods_status take_types(struct kept *kept, struct conn *conn, const PGresult *columns,
                                  struct error *error)
{
    struct buffer types, modifiers;
    PGresult *rows = NULL;
    char digits[24];
    buffer_init(&types);
    buffer_init(&modifiers);
    for (int i = 0; i < PQnfields(columns); i++) {
        snprintf(digits, sizeof digits, "%u", PQftype(columns, i));
        put_array(&types, digits);
        snprintf(digits, sizeof digits, "%d", PQfmod(columns, i));
        put_array(&modifiers, digits);
    }
    buffer_puts(&types, "}");
    buffer_puts(&modifiers, "}");
    const char *values[] = {buffer_text(&types), buffer_text(&modifiers)};
    enum ods_status status = conn_query(
        conn,
        "select pg_catalog.format_type(t, m), pg_catalog.format_type(t, -1) "
        "from unnest($1::oid[], $2::int[]) with ordinality as u (t, m, n) order by n",
        2, values, &rows, error);
    for (size_t i = 0; status == ODS_OK && i < kept->column_count; i++) {
        kept->columns[i].type = strdup(PQgetvalue(rows, (int) i, 0));
        kept->columns[i].bare = strdup(PQgetvalue(rows, (int) i, 1));
        if (!kept->columns[i].type || !kept->columns[i].bare)
            status = error_out_of_memory(error);
    }
    PQclear(rows);
    buffer_done(&types);
    buffer_done(&modifiers);
    return status;
}

static enum ods_status take_columns(struct kept *kept, struct conn *conn, const PGresult *rows,
                                    struct error *error)
{
    char said[400];
    size_t count = (size_t) PQnfields(rows);
    kept->columns = calloc(count + 1, sizeof *kept->columns);
    if (!kept->columns)
        return error_out_of_memory(error);
    for (size_t i = 0; i < count; i++) {
        struct kept_column *column = &kept->columns[i];
        const char *name = PQfname(rows, (int) i);
        if (kept_column(kept, name) >= 0) {
            snprintf(said, sizeof said, "its query has two columns '%.120s': name them apart",
                     name);
            return wrong(error, kept, said);
        }
        column->name = strdup(name);
        column->quoted = quote_name(name);
        if (!column->name || !column->quoted)
            return error_out_of_memory(error);
        kept->column_count = i + 1;
    }
    for (size_t i = 0; i < kept->settings->key.count; i++)
        if (kept_column(kept, kept->settings->key.items[i]) < 0) {
            snprintf(said, sizeof said, "its query has no column '%.120s', which is in its key",
                     kept->settings->key.items[i]);
            return wrong(error, kept, said);
        }
    return take_types(kept, conn, rows, error);
}

static enum ods_status describe(struct kept *kept, struct conn *conn, struct error *error)
{
    struct buffer sql;
    PGresult *rows = NULL;
    buffer_init(&sql);
    buffer_printf(&sql, "select * from (%s\n) q limit 0", kept->query);
    enum ods_status status =
        sql.failed ? error_out_of_memory(error)
                   : conn_query(conn, buffer_text(&sql), 0, NULL, &rows, error);
    buffer_done(&sql);
    if (status == ODS_OK)
        status = take_columns(kept, conn, rows, error);
    else if (status != ODS_RETRY)
        error_prefix(error, "its query: ");
    PQclear(rows);
    return status;
}

/* --- what it depends on ----------------------------------------------------------------------- */

static enum ods_status take_source(struct kept *kept, struct conn *conn,
                                   struct kept_source *source, struct error *error)
{
    const struct strings *by = &source->settings->by;
    struct buffer names;
    PGresult *rows = NULL;
    char said[400];
    buffer_init(&names);
    for (size_t i = 0; i < by->count; i++)
        put_array(&names, by->items[i]);
    buffer_puts(&names, "}");
    const char *values[] = {source->quoted, buffer_text(&names)};
    enum ods_status status = conn_query(
        conn,
        "select pg_catalog.format_type(a.atttypid, -1), to_regclass($1::text) is null "
        "from unnest($2::text[]) with ordinality as u (c, n) left join pg_catalog.pg_attribute a "
        "on a.attrelid = to_regclass($1::text) and a.attname = u.c and a.attnum > 0 and not "
        "a.attisdropped order by n",
        2, values, &rows, error);
    for (size_t i = 0; status == ODS_OK && i < by->count; i++) {
        if (PQgetvalue(rows, (int) i, 1)[0] == 't') {
            snprintf(said, sizeof said, "it depends on table %.200s, which is not there",
                     source->settings->name);
            kept->awaits = true;
            status = error_set(error, ODS_FATAL, "%s", said);
        } else if (PQgetisnull(rows, (int) i, 0)) {
            snprintf(said, sizeof said, "table %.120s has no column '%.120s', by which it depends "
                     "on it", source->settings->name, by->items[i]);
            status = wrong(error, kept, said);
        } else if (!(source->types[i] = strdup(PQgetvalue(rows, (int) i, 0)))) {
            status = error_out_of_memory(error);
        }
    }
    PQclear(rows);
    buffer_done(&names);
    return status;
}

/* --- state ------------------------------------------------------------------------------------ */

/* own: the sink's own tables are there, and are asked too. */
static void put_state(struct buffer *sql, const struct kept *kept, bool own)
{
    buffer_puts(sql, "with named as (select n, to_regclass(n)::oid as r, i from unnest(array[");
    for (size_t i = 0; i < kept->settings->source_count; i++) {
        buffer_puts(sql, i ? ", " : "");
        compile_literal(sql, kept->sources[i].quoted);
    }
    buffer_puts(sql, "]::text[]) with ordinality as u (n, i)) select coalesce((select "
                     "md5(string_agg(format('%s %s %s %s', a.attrelid, a.attname, a.atttypid, "
                     "a.atttypmod), ',' order by a.attrelid, a.attnum)) from "
                     "pg_catalog.pg_attribute a where (a.attrelid in (select r from named) or "
                     "a.attrelid = to_regclass(");
    compile_literal(sql, kept->quoted);
    buffer_puts(sql, ")) and a.attnum > 0 and not a.attisdropped), ''), (select "
                     "string_agg(coalesce(r::text, '-'), ' ' order by i) from named)");
    if (!own)
        return;
    buffer_printf(sql, ", (select count(*) from %s.derived_errors where derived = ", kept->own);
    compile_literal(sql, kept->name);
    buffer_printf(sql, "), (select count(*) from %s.derived_todo where derived = ", kept->own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, ")");
}

static enum ods_status ask_state(struct kept *kept, struct conn *conn, bool own, PGresult **rows,
                                 struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    put_state(&sql, kept, own);
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : conn_query(conn, buffer_text(&sql), 0, NULL, rows, error);
    buffer_done(&sql);
    return status;
}

enum ods_status form_state(struct kept *kept, struct conn *conn, struct form_state *state,
                           struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = ask_state(kept, conn, true, &rows, error);
    if (status == ODS_OK)
        *state = (struct form_state){
            .same = kept->version && strcmp(PQgetvalue(rows, 0, 0), kept->version) == 0 &&
                    strcmp(PQgetvalue(rows, 0, 1), kept->bases) == 0,
            .errors = strtoll(PQgetvalue(rows, 0, 2), NULL, 10),
            .todo = strtoll(PQgetvalue(rows, 0, 3), NULL, 10)};
    PQclear(rows);
    return status;
}

static enum ods_status keep_state(struct kept *kept, struct conn *conn, struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = ask_state(kept, conn, false, &rows, error);
    if (status == ODS_OK) {
        free(kept->version);
        free(kept->bases);
        kept->version = strdup(PQgetvalue(rows, 0, 0));
        kept->bases = strdup(PQgetvalue(rows, 0, 1));
        if (!kept->version || !kept->bases)
            status = error_out_of_memory(error);
    }
    PQclear(rows);
    return status;
}

enum ods_status form_look(struct kept *kept, struct conn *conn, struct error *error)
{
    kept_forget(kept);
    kept->awaits = false;
    /* First, so that what is altered meanwhile shows as another state later. */
    enum ods_status status = keep_state(kept, conn, error);
    for (size_t i = 0; status == ODS_OK && i < kept->settings->source_count; i++)
        status = take_source(kept, conn, &kept->sources[i], error);
    if (status == ODS_OK)
        status = describe(kept, conn, error);
    return status == ODS_OK ? compile(kept, error) : status;
}

/* --- making it -------------------------------------------------------------------------------- */

/* What other processes wrote before this one marked their rows is committed, or rolled back, when
 * this returns: a lock that waits for writers is taken and given up, table by table. */
static enum ods_status await_writers(struct kept *kept, struct conn *conn, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < kept->settings->source_count; i++) {
        struct buffer sql;
        buffer_init(&sql);
        buffer_printf(&sql, "begin; lock table %s in share mode; commit", kept->sources[i].quoted);
        status = sql.failed ? error_out_of_memory(error)
                            : conn_script(conn, buffer_text(&sql), error);
        buffer_done(&sql);
        if (status != ODS_OK && conn->pg)
            conn_script(conn, "rollback", NULL);
    }
    return status;
}

/* Is what the target keeps of it what the configuration says? */
static enum ods_status is_known(struct kept *kept, struct conn *conn, bool *known,
                                struct error *error)
{
    struct buffer sql;
    PGresult *rows = NULL;
    const char *values[] = {kept->name, kept->definition, kept->bases};
    buffer_init(&sql);
    buffer_printf(&sql, "select exists (select from %s.derived where name = $1 and definition = $2 "
                        "and bases = $3)", kept->own);
    enum ods_status status = conn_query(conn, buffer_text(&sql), 3, values, &rows, error);
    *known = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    buffer_done(&sql);
    return status;
}

/* Notes the definition, and marks all rows. */
static enum ods_status mark_all(struct kept *kept, struct conn *conn, struct error *error)
{
    struct buffer sql, sources;
    buffer_init(&sql);
    buffer_init(&sources);
    for (size_t i = 0; i < kept->settings->source_count; i++) {
        const struct derived_source *source = &kept->settings->sources[i];
        buffer_printf(&sql, "%s.%s", source->schema, source->table);
        put_array(&sources, buffer_text(&sql));
        buffer_reset(&sql);
    }
    buffer_puts(&sources, "}");
    const char *values[] = {kept->name, kept->definition, kept->bases, buffer_text(&sources)};
    buffer_printf(&sql,
                  "with known as (insert into %s.derived (name, definition, bases, sources) values "
                  "($1, $2, $3, $4) on conflict (name) do update set definition = "
                  "excluded.definition, bases = excluded.bases, sources = excluded.sources), old "
                  "as (delete from %s.derived_todo where derived = $1) insert into "
                  "%s.derived_marks (derived, source) values ($1, '')",
                  kept->own, kept->own, kept->own);
    enum ods_status status = sql.failed || sources.failed
                                 ? error_out_of_memory(error)
                                 : conn_query(conn, buffer_text(&sql), 4, values, NULL, error);
    buffer_done(&sql);
    buffer_done(&sources);
    return status;
}

static enum ods_status make(struct kept *kept, struct conn *conn, bool known,
                            struct form_change *change, struct error *error)
{
    enum ods_status status = conn_script(conn, "begin", error);
    if (status == ODS_OK)
        status = shape_table(kept, conn, change, error);
    if (status == ODS_OK && !known)
        status = shape_triggers(kept, conn, error);
    if (status == ODS_OK && (!known || change->made || change->altered)) {
        change->marked = true;
        status = mark_all(kept, conn, error);
    }
    if (status == ODS_OK)
        status = conn_script(conn, "commit", error);
    if (status != ODS_OK && conn->pg)
        conn_script(conn, "rollback", NULL);
    return status;
}

enum ods_status form(struct kept *kept, struct conn *conn, struct form_change *change,
                     struct error *error)
{
    bool known = false;
    *change = (struct form_change){0};
    enum ods_status status = form_look(kept, conn, error);
    if (status == ODS_OK)
        status = is_known(kept, conn, &known, error);
    if (status == ODS_OK && !known)
        status = await_writers(kept, conn, error);
    if (status == ODS_OK)
        status = make(kept, conn, known, change, error);
    if (status == ODS_OK && (change->made || change->altered))
        status = form_look(kept, conn, error); /* its own columns are others by now */
    kept->formed = status == ODS_OK;
    return status;
}
