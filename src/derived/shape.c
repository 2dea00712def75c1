/* See shape.h. */
#include "derived/shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derived/compile.h"
#include "sink/postgres/wire/quote.h"

#define COMMENT "ods-sink: derived table, kept equal to its query"

static enum ods_status run(struct conn *conn, struct buffer *sql, struct error *error)
{
    enum ods_status status = sql->failed ? error_out_of_memory(error)
                                         : conn_script(conn, buffer_text(sql), error);
    buffer_reset(sql);
    return status;
}

static void put_key(struct buffer *sql, const struct kept *kept)
{
    for (size_t i = 0; i < kept->settings->key.count; i++)
        buffer_printf(sql, "%s%s", i ? ", " : "",
                      kept->columns[kept_column(kept, kept->settings->key.items[i])].quoted);
}

/* Rows are changed again and again: room for that in their pages. */
static enum ods_status create(struct kept *kept, struct conn *conn, struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "create table %s (", kept->quoted);
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(&sql, "%s%s %s", i ? ", " : "", kept->columns[i].quoted,
                      kept->columns[i].type);
    buffer_puts(&sql, ", primary key (");
    put_key(&sql, kept);
    buffer_printf(&sql, ")) with (fillfactor = 70); comment on table %s is '" COMMENT "'",
                  kept->quoted);
    enum ods_status status = run(conn, &sql, error);
    buffer_done(&sql);
    return status;
}

static enum ods_status read_table(struct kept *kept, struct conn *conn, PGresult **rows,
                                  struct error *error)
{
    const char *values[] = {kept->quoted};
    return conn_query(
        conn,
        "select a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), "
        "coalesce(array_position(i.indkey::int[], a.attnum::int), -1), "
        "coalesce(obj_description(a.attrelid, 'pg_class') like 'ods-sink: derived%', false) "
        "from pg_catalog.pg_attribute a left join pg_catalog.pg_index i on i.indrelid = a.attrelid "
        "and i.indisprimary where a.attrelid = to_regclass($1::text) and a.attnum > 0 and not "
        "a.attisdropped order by a.attnum",
        1, values, rows, error);
}

/* Has the table the key of the configuration? */
static bool has_key(const struct kept *kept, const PGresult *rows)
{
    size_t found = 0, keys = 0;
    for (int i = 0; i < PQntuples(rows); i++) {
        long place = strtol(PQgetvalue(rows, i, 2), NULL, 10);
        if (place < 0)
            continue;
        keys++;
        found += (size_t) place < kept->settings->key.count &&
                 strcmp(kept->settings->key.items[place], PQgetvalue(rows, i, 0)) == 0;
    }
    return keys == kept->settings->key.count && found == keys;
}

static int find_row(const PGresult *rows, const char *name)
{
    for (int i = 0; i < PQntuples(rows); i++)
        if (strcmp(PQgetvalue(rows, i, 0), name) == 0)
            return i;
    return -1;
}

/* Where the old values do not become new ones they are left to the pass that follows. */
static enum ods_status retype(struct kept *kept, struct conn *conn,
                              const struct kept_column *column, struct error *error)
{
    struct buffer sql;
    struct error ignored;
    error_init(&ignored);
    buffer_init(&sql);
    buffer_printf(&sql, "savepoint ods_type; alter table %s alter column %s type %s using %s::%s; "
                        "release ods_type",
                  kept->quoted, column->quoted, column->type, column->quoted, column->type);
    enum ods_status status = run(conn, &sql, &ignored);
    bool key = strings_contain(&kept->settings->key, column->name);
    if (status == ODS_REJECT || (status == ODS_FATAL && conn->pg)) {
        if (key)
            buffer_printf(&sql, "rollback to ods_type; truncate %s; alter table %s alter column %s "
                                "type %s using null",
                          kept->quoted, kept->quoted, column->quoted, column->type);
        else
            buffer_printf(&sql, "rollback to ods_type; alter table %s drop column %s, add column "
                                "%s %s",
                          kept->quoted, column->quoted, column->quoted, column->type);
        status = run(conn, &sql, error);
    } else if (status != ODS_OK) {
        *error = ignored;
    }
    buffer_done(&sql);
    return status;
}

static enum ods_status alter(struct kept *kept, struct conn *conn, const PGresult *rows,
                             struct form_change *change, struct error *error)
{
    struct buffer sql;
    enum ods_status status = ODS_OK;
    buffer_init(&sql);
    for (size_t i = 0; i < kept->column_count && status == ODS_OK; i++) {
        const struct kept_column *column = &kept->columns[i];
        int at = find_row(rows, column->name);
        if (at >= 0 && strcmp(PQgetvalue(rows, at, 1), column->type) == 0)
            continue;
        change->altered = true;
        if (at >= 0) {
            status = retype(kept, conn, column, error);
            continue;
        }
        buffer_printf(&sql, "alter table %s add column %s %s", kept->quoted, column->quoted,
                      column->type);
        status = run(conn, &sql, error);
    }
    for (int i = 0; i < PQntuples(rows) && status == ODS_OK; i++) {
        if (kept_column(kept, PQgetvalue(rows, i, 0)) >= 0)
            continue;
        char *quoted = quote_name(PQgetvalue(rows, i, 0));
        change->altered = true;
        buffer_printf(&sql, "alter table %s drop column %s", kept->quoted, quoted ? quoted : "");
        sql.failed |= !quoted;
        free(quoted);
        status = run(conn, &sql, error);
    }
    buffer_done(&sql);
    return status;
}

static enum ods_status make_anew(struct kept *kept, struct conn *conn, struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "drop table %s", kept->quoted);
    enum ods_status status = run(conn, &sql, error);
    buffer_done(&sql);
    return status == ODS_OK ? create(kept, conn, error) : status;
}

enum ods_status shape_table(struct kept *kept, struct conn *conn, struct form_change *change,
                            struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = read_table(kept, conn, &rows, error);
    if (status != ODS_OK)
        return status;
    if (!PQntuples(rows)) {
        change->made = true;
        status = create(kept, conn, error);
    } else if (PQgetvalue(rows, 0, 3)[0] != 't') {
        status = error_set(error, ODS_FATAL,
                           "derived table %s: there is a table of that name, which ods-sink has "
                           "not made as a derived one: drop it, or give one of them another name",
                           kept->name);
    } else if (!has_key(kept, rows)) {
        change->made = true;
        status = make_anew(kept, conn, error);
    } else {
        status = alter(kept, conn, rows, change, error);
    }
    PQclear(rows);
    return status;
}

/* --- triggers --------------------------------------------------------------------------------- */

static const struct {
    const char *suffix, *event, *tables;
} events[] = {
    {"i", "insert", " referencing new table as new_rows"},
    {"u", "update", " referencing old table as old_rows new table as new_rows"},
    {"d", "delete", " referencing old table as old_rows"},
    {"t", "truncate", ""},
};

static unsigned trigger_number(const struct kept *kept, const char *source)
{
    uint32_t hash = 2166136261u;
    for (const char *at = kept->name; *at; at++)
        hash = (hash ^ (unsigned char) *at) * 16777619u;
    for (const char *at = source; *at; at++)
        hash = (hash ^ (unsigned char) *at) * 16777619u;
    return hash;
}

static void put_trigger(struct buffer *sql, const struct kept *kept,
                        const struct kept_source *source, size_t event)
{
    const unsigned number = trigger_number(kept, source->settings->name);
    buffer_printf(sql, "create trigger ods_derived_%08x_%s after %s on %s%s for each statement "
                       "execute function %s.derived_mark(",
                  number, events[event].suffix, events[event].event, source->quoted,
                  events[event].tables, kept->own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, ", ");
    compile_literal(sql, source->settings->name);
    for (size_t i = 0; i < source->settings->by.count; i++) {
        buffer_puts(sql, ", ");
        compile_literal(sql, source->settings->by.items[i]);
    }
    buffer_puts(sql, ");");
}

/* Which triggers of this derived table are there? Dropping takes a lock, so only those are. */
static enum ods_status put_drops(struct buffer *sql, struct kept *kept,
                                 const struct kept_source *source, struct conn *conn,
                                 struct error *error)
{
    char pattern[40];
    const char *values[] = {source->quoted, pattern};
    PGresult *rows = NULL;
    snprintf(pattern, sizeof pattern, "ods\\_derived\\_%08x\\__",
             trigger_number(kept, source->settings->name));
    enum ods_status status =
        conn_query(conn,
                   "select quote_ident(tgname) from pg_catalog.pg_trigger where tgrelid = "
                   "to_regclass($1::text) and tgname like $2",
                   2, values, &rows, error);
    for (int i = 0; status == ODS_OK && i < PQntuples(rows); i++)
        buffer_printf(sql, "drop trigger %s on %s;", PQgetvalue(rows, i, 0), source->quoted);
    PQclear(rows);
    return status;
}

enum ods_status shape_triggers(struct kept *kept, struct conn *conn, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < kept->settings->source_count; i++) {
        const struct kept_source *source = &kept->sources[i];
        struct buffer sql;
        buffer_init(&sql);
        status = put_drops(&sql, kept, source, conn, error);
        for (size_t k = 0; source->settings->triggers && k < sizeof events / sizeof *events; k++)
            put_trigger(&sql, kept, source, k);
        if (status == ODS_OK && sql.length)
            status = run(conn, &sql, error);
        buffer_done(&sql);
    }
    return status;
}
