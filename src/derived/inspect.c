/* See inspect.h. In any snapshot a table and its query differ only in keys that visible marks or
 * parts that wait lead to, since a mark is visible exactly when its change is. */
#include "derived/inspect.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derived/compile.h"
#include "derived/explain.h"
#include "derived/form.h"
#include "derived/pass.h"
#include "sink/postgres/wire/own_schema.h"

#define PART_KEYS 5000

struct inspector {
    struct conn conn;
    const struct derived_settings *derived;
    size_t count;
};

enum ods_status inspector_open(struct inspector **out, const char *target,
                               const struct session_settings *session,
                               const struct derived_settings *derived, size_t count,
                               struct error *error)
{
    struct inspector *inspector = calloc(1, sizeof *inspector);
    *out = NULL;
    if (!inspector || !conn_init(&inspector->conn, target, session)) {
        free(inspector);
        return error_set(error, ODS_FATAL, "out of memory or file descriptors");
    }
    inspector->derived = derived;
    inspector->count = count;
    *out = inspector;
    return ODS_OK;
}

void inspector_close(struct inspector *inspector)
{
    if (!inspector)
        return;
    conn_done(&inspector->conn);
    free(inspector);
}

static enum ods_status look(struct inspector *inspector, struct kept *kept,
                            const struct derived_settings *derived, struct error *error)
{
    struct conn *conn = &inspector->conn;
    enum ods_status status = kept_init(kept, derived, inspector->derived, inspector->count,
                                       conn->settings->schema, error);
    if (status == ODS_OK)
        status = conn_open(conn, error);
    if (status == ODS_OK)
        status = conn_script(conn, "set enable_hashjoin = on; set enable_mergejoin = on; set jit = "
                                   "off", error);
    return status;
}

enum ods_status inspect_plans(struct inspector *inspector, const struct derived_settings *derived,
                              void (*report)(void *context, const char *line), void *context,
                              bool *early, struct error *error)
{
    struct kept kept;
    struct buffer line;
    buffer_init(&line);
    *early = false;
    enum ods_status status = look(inspector, &kept, derived, error);
    if (status == ODS_OK)
        status = form_look(&kept, &inspector->conn, error);
    *early = status == ODS_FATAL && kept.awaits;
    if (status == ODS_OK) {
        buffer_printf(&line, "derived table %s:", kept.name);
        for (size_t i = 0; i < kept.column_count; i++)
            buffer_printf(&line, "%s %s %s", i ? "," : "", kept.columns[i].name,
                          kept.columns[i].type);
        report(context, buffer_text(&line));
        status = explain_plans(&kept, &inspector->conn, report, context, error);
    }
    buffer_done(&line);
    kept_done(&kept);
    return status;
}

/* --- rows ------------------------------------------------------------------------------------- */

static void put_anchor(struct buffer *sql, const struct kept *kept)
{
    for (size_t i = 0; i < kept->settings->anchor.count; i++)
        buffer_printf(sql, "%sa%zu", i ? ", " : "", i);
}

/* waiting: keys that need not be right. */
static void put_waiting(struct buffer *sql, const struct kept *kept)
{
    const struct strings *anchor = &kept->settings->anchor;
    buffer_printf(sql, "with %s, waiting as (select ", kept->look);
    put_anchor(sql, kept);
    buffer_printf(sql, " from found union select k.* from %s.derived_todo t, unnest(", kept->own);
    for (size_t i = 0; i < anchor->count; i++)
        buffer_printf(sql, "%st.keys[%zu]::%s[]", i ? ", " : "", i + 1,
                      compile_anchor_type(kept, i));
    buffer_puts(sql, ") as k (");
    put_anchor(sql, kept);
    buffer_puts(sql, ") where t.derived = ");
    compile_literal(sql, kept->name);
    buffer_puts(sql, " union select ");
    for (size_t i = 0; i < anchor->count; i++) {
        buffer_puts(sql, i ? ", (e.key->>" : "(e.key->>");
        compile_literal(sql, anchor->items[i]);
        buffer_printf(sql, ")::%s", compile_anchor_type(kept, i));
    }
    buffer_printf(sql, " from %s.derived_errors e where e.derived = ", kept->own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, ")");
}

static enum ods_status count_waiting(struct kept *kept, struct conn *conn,
                                     struct inspection *inspection, struct error *error)
{
    struct buffer sql;
    PGresult *rows = NULL;
    buffer_init(&sql);
    put_waiting(&sql, kept);
    buffer_puts(&sql, " select count(*) from waiting");
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : conn_query(conn, buffer_text(&sql), 0, NULL, &rows,
                                                     error);
    if (status == ODS_OK)
        inspection->waiting = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    buffer_done(&sql);
    return status;
}

static enum ods_status open_cursor(struct kept *kept, struct conn *conn, struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "declare ods_keys no scroll cursor for ");
    put_waiting(&sql, kept);
    buffer_puts(&sql, ", numbered as (select ");
    put_anchor(&sql, kept);
    buffer_puts(&sql, ", (row_number() over (order by ");
    put_anchor(&sql, kept);
    buffer_printf(&sql, ") - 1) / %d as part from (select ", PART_KEYS);
    for (size_t i = 0; i < kept->settings->anchor.count; i++)
        buffer_printf(&sql, "%se.a%zu::%s", i ? ", " : "", i, compile_anchor_type(kept, i));
    buffer_puts(&sql, " from (");
    compile_every(&sql, kept);
    buffer_puts(&sql, ") e (");
    put_anchor(&sql, kept);
    buffer_puts(&sql, ") where ");
    for (size_t i = 0; i < kept->settings->anchor.count; i++)
        buffer_printf(&sql, "%se.a%zu is not null", i ? " and " : "", i);
    buffer_puts(&sql, " except select * from waiting) x (");
    put_anchor(&sql, kept);
    buffer_puts(&sql, ")) select array[");
    for (size_t i = 0; i < kept->settings->anchor.count; i++)
        buffer_printf(&sql, "%sarray_agg(a%zu order by part, a0)::text", i ? ", " : "", i);
    buffer_puts(&sql, "], count(*) from numbered group by part");
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : conn_script(conn, buffer_text(&sql), error);
    buffer_done(&sql);
    return status;
}

static char *comparison(struct kept *kept, int64_t limit)
{
    const struct strings *key = &kept->settings->key;
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "with ");
    compile_sides(&sql, kept);
    buffer_puts(&sql, ", x as (select case when d.here is null then 'missing' when q.here is null "
                      "then 'extra' else 'changed' end as kind, jsonb_build_object(");
    for (size_t i = 0; i < key->count; i++) {
        int column = kept_column(kept, key->items[i]);
        buffer_puts(&sql, i ? ", " : "");
        compile_literal(&sql, key->items[i]);
        buffer_printf(&sql, ", coalesce(q.c%d, d.c%d)", column, column);
    }
    buffer_puts(&sql, ")::text as key ");
    compile_differences(&sql, kept);
    buffer_printf(&sql, ") select kind, key, count(*) over (partition by kind) from x order by key "
                        "limit %lld", (long long) (limit > 3 ? limit : 3));
    char *text = sql.failed ? NULL : strdup(buffer_text(&sql));
    buffer_done(&sql);
    return text;
}

static int64_t *counter(struct inspection *inspection, const char *kind)
{
    return *kind == 'm'   ? &inspection->missing
           : *kind == 'e' ? &inspection->extra
                          : &inspection->changed;
}

static int64_t differences(const struct inspection *inspection)
{
    return inspection->missing + inspection->extra + inspection->changed;
}

static void take_differences(const PGresult *rows, const struct inspect_listener *listener,
                             int64_t limit, struct inspection *inspection)
{
    bool counted[3] = {false};
    int64_t shown = differences(inspection);
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *kind = PQgetvalue(rows, i, 0);
        int place = *kind == 'm' ? 0 : *kind == 'e' ? 1 : 2;
        if (!counted[place])
            *counter(inspection, kind) += strtoll(PQgetvalue(rows, i, 2), NULL, 10);
        counted[place] = true;
        if (shown++ < limit)
            listener->differs(listener->context, kind, PQgetvalue(rows, i, 1));
    }
}

static enum ods_status compare(struct kept *kept, struct conn *conn,
                               const struct inspect_listener *listener, int64_t limit,
                               struct inspection *inspection, struct error *error)
{
    char *sql = comparison(kept, limit);
    PGresult *keys = NULL, *rows = NULL;
    enum ods_status status = sql ? ODS_OK : error_out_of_memory(error);
    while (status == ODS_OK && !listener->stops(listener->context)) {
        status = conn_query(conn, "fetch 1 from ods_keys", 0, NULL, &keys, error);
        if (status != ODS_OK || !PQntuples(keys))
            break;
        const char *values[] = {PQgetvalue(keys, 0, 0)};
        status = conn_query(conn, sql, 1, values, &rows, error);
        if (status == ODS_OK)
            take_differences(rows, listener, limit, inspection);
        if (status == ODS_OK)
            inspection->compared += strtoll(PQgetvalue(keys, 0, 1), NULL, 10);
        PQclear(rows);
        PQclear(keys);
        rows = keys = NULL;
    }
    PQclear(keys);
    free(sql);
    return status;
}

enum ods_status inspect_rows(struct inspector *inspector, const struct derived_settings *derived,
                             const struct inspect_listener *listener, int64_t limit,
                             struct inspection *inspection, struct error *error)
{
    struct conn *conn = &inspector->conn;
    struct kept kept;
    bool there = false;
    *inspection = (struct inspection){0};
    enum ods_status status = look(inspector, &kept, derived, error);
    if (status == ODS_OK)
        status = own_table_is_there(conn, "derived_marks", &there, error);
    if (status == ODS_OK && !there)
        status = error_set(error, ODS_FATAL, "derived table %s was never computed: the target has "
                                             "no marks yet", kept.name);
    if (status == ODS_OK)
        status = form_look(&kept, conn, error);
    if (status == ODS_OK)
        status = pass_begin(&kept, conn, true, error);
    if (status == ODS_OK)
        status = count_waiting(&kept, conn, inspection, error);
    if (status == ODS_OK)
        status = open_cursor(&kept, conn, error);
    if (status == ODS_OK)
        status = compare(&kept, conn, listener, limit, inspection, error);
    if (conn->pg)
        conn_script(conn, "rollback", NULL);
    kept_done(&kept);
    return status;
}
