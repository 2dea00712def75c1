/* See pass.h. The order decides whether it is right (docs/derived.md):
 *
 *   lock                  held by the session, so no older snapshot overwrites what this one writes
 *   begin; lock tables    a lock takes no snapshot; an ALTER that rewrites a table would show it
 *                         empty to a snapshot from before
 *   take marks            takes the snapshot: it shows every change whose mark it takes
 *   expand, compute       in that snapshot
 *   commit
 *
 * Keys whose query fails are found by halves, each try behind a savepoint.
 */
#include "derived/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derived/compile.h"
#include "derived/form.h"

enum ods_status pass_begin(const struct kept *kept, struct conn *conn, bool reads,
                           struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "begin isolation level repeatable read%s; lock table ",
                  reads ? " read only" : "");
    for (size_t i = 0; i < kept->settings->source_count; i++)
        buffer_printf(&sql, "%s%s", i ? ", " : "", kept->sources[i].quoted);
    buffer_printf(&sql, ", %s in access share mode", kept->quoted);
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : conn_script(conn, buffer_text(&sql), error);
    buffer_done(&sql);
    return status;
}

/* --- keys that fail --------------------------------------------------------------------------- */

/* Is a key to blame, and not the table or the server? What PostgreSQL itself says of a statement's
 * syntax, names and types holds for all keys. */
static bool is_of_key(const struct conn *conn, const struct error *why)
{
    bool of_statement = strncmp(why->code, "42", 2) == 0 || strncmp(why->code, "0A", 2) == 0;
    if (!conn->pg || !*why->code || (of_statement && why->origin == ORIGIN_SERVER))
        return false;
    bool timeout = conn->settings->statement_timeout_ms && strcmp(why->code, "57014") == 0;
    return timeout || sqlstate_for_rows(why, false) == ODS_REJECT;
}

/* PostgreSQL's words alone: those before them are about this connection. */
static const char *words(const struct conn *conn, const struct error *why)
{
    char before[200];
    snprintf(before, sizeof before, "target %s: ", conn->name);
    size_t length = strlen(before);
    return strncmp(why->text, before, length) == 0 ? why->text + length : why->text;
}

static enum ods_status set_aside(struct kept *kept, struct conn *conn, const char *keys,
                                 const struct error *why, struct error *error)
{
    const struct strings *anchor = &kept->settings->anchor;
    const char *values[] = {keys, why->code, words(conn, why)};
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, "with k as (select jsonb_build_object(");
    for (size_t i = 0; i < anchor->count; i++) {
        buffer_puts(&sql, i ? ", " : "");
        compile_literal(&sql, anchor->items[i]);
        buffer_puts(&sql, ", (");
        compile_keys(&sql, kept, i);
        buffer_puts(&sql, ")[1]");
    }
    buffer_printf(&sql, ") as key), e as (insert into %s.derived_errors as o (derived, key, code, "
                        "message) select ",
                  kept->own);
    compile_literal(&sql, kept->name);
    buffer_puts(&sql, ", k.key, $2, $3 from k on conflict (derived, key) do update set code = "
                      "excluded.code, message = excluded.message, tried_at = clock_timestamp()) ");
    if (kept->settings->outbox) {
        buffer_printf(&sql, "insert into %s.outbox (name, op, key, error) select ", kept->own);
        compile_literal(&sql, kept->settings->name);
        buffer_puts(&sql, ", 'e', k.key, json_build_object('code', $2::text, 'message', $3::text) "
                          "from k");
    } else {
        buffer_puts(&sql, "select from k");
    }
    enum ods_status status =
        sql.failed ? error_out_of_memory(error)
                   : conn_query(conn, buffer_text(&sql), 3, values, NULL, error);
    buffer_done(&sql);
    return status;
}

/* --- computing -------------------------------------------------------------------------------- */

struct part { /* keys that are yet to be computed */
    char *keys;
    int64_t count;
    struct part *next;
};

static bool push(struct part **parts, const char *keys, int64_t count)
{
    struct part *part = calloc(1, sizeof *part);
    char *copy = strdup(keys);
    if (!part || !copy) {
        free(part);
        free(copy);
        return false;
    }
    *part = (struct part){.keys = copy, .count = count, .next = *parts};
    *parts = part;
    return true;
}

static void drop(struct part *part)
{
    free(part->keys);
    free(part);
}

static int64_t number(const PGresult *rows, int column)
{
    return strtoll(PQgetvalue(rows, 0, column), NULL, 10);
}

static enum ods_status compute(struct kept *kept, struct conn *conn, const char *keys,
                               struct pass_result *result, struct error *error)
{
    const char *values[] = {keys};
    PGresult *rows = NULL;
    enum ods_status status = conn_query(conn, kept->compute, 1, values, &rows, error);
    if (status == ODS_OK) {
        result->made += number(rows, 0);
        result->changed += number(rows, 1);
        result->removed += number(rows, 2);
    }
    PQclear(rows);
    if (status == ODS_OK && result->errors)
        status = conn_query(conn, kept->heal, 1, values, NULL, error);
    return status;
}

static enum ods_status halve(struct kept *kept, struct conn *conn, const struct part *part,
                             struct part **parts, struct error *error)
{
    char half[24];
    const char *values[] = {part->keys, half};
    PGresult *rows = NULL;
    int64_t first = part->count / 2;
    snprintf(half, sizeof half, "%lld", (long long) first);
    enum ods_status status = conn_query(conn, kept->halve, 2, values, &rows, error);
    if (status == ODS_OK && (!push(parts, PQgetvalue(rows, 0, 1), part->count - first) ||
                             !push(parts, PQgetvalue(rows, 0, 0), first)))
        status = error_out_of_memory(error);
    PQclear(rows);
    return status;
}

/* Computes a part. Where a key of it fails, halves of it are pushed, or the key is set aside. */
static enum ods_status compute_part(struct kept *kept, struct conn *conn, const struct part *part,
                                    struct part **parts, struct pass_result *result,
                                    struct error *error)
{
    struct error why;
    error_init(&why);
    struct pass_result before = *result;
    enum ods_status status = conn_script(conn, "savepoint ods_part", error);
    if (status != ODS_OK)
        return status;
    status = compute(kept, conn, part->keys, result, &why);
    if (status == ODS_OK)
        return conn_script(conn, "release ods_part", error);
    *result = before;
    if (!is_of_key(conn, &why)) {
        *error = why;
        return status == ODS_REJECT ? ODS_FATAL : status;
    }
    status = conn_script(conn, "rollback to ods_part; release ods_part", error);
    if (status != ODS_OK)
        return status;
    if (part->count > 1)
        return halve(kept, conn, part, parts, error);
    if (!result->failed++)
        result->first = why;
    return set_aside(kept, conn, part->keys, &why, error);
}

static enum ods_status compute_all(struct kept *kept, struct conn *conn, const char *keys,
                                   int64_t count, struct pass_result *result, struct error *error)
{
    struct part *parts = NULL, *part;
    enum ods_status status = push(&parts, keys, count) ? ODS_OK : error_out_of_memory(error);
    result->keys += count;
    while ((part = parts)) {
        parts = part->next;
        if (status == ODS_OK)
            status = compute_part(kept, conn, part, &parts, result, error);
        drop(part);
    }
    return status;
}

/* --- the pass --------------------------------------------------------------------------------- */

static enum ods_status compute_rows(struct kept *kept, struct conn *conn, const PGresult *rows,
                                    struct pass_result *result, struct error *error)
{
    return PQntuples(rows) ? compute_all(kept, conn, PQgetvalue(rows, 0, 0), number(rows, 1),
                                         result, error)
                           : ODS_OK;
}

/* One of the parts that did not fit into earlier passes. */
static enum ods_status take_todo(struct kept *kept, struct conn *conn, PGresult **rows,
                                 struct error *error)
{
    const char *values[] = {kept->name};
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "delete from %s.derived_todo where id = (select min(id) from "
                        "%s.derived_todo where derived = $1) returning keys, count",
                  kept->own, kept->own);
    enum ods_status status = conn_query(conn, buffer_text(&sql), 1, values, rows, error);
    buffer_done(&sql);
    return status;
}

static enum ods_status take_marks(struct kept *kept, struct conn *conn, PGresult **rows,
                                  struct error *error)
{
    enum ods_status status = conn_query(conn, kept->take, 0, NULL, rows, error);
    if (status != ODS_OK && status != ODS_RETRY)
        error_prefix(error, "what marks lead to: ");
    bool of_value = strncmp(error->code, "22", 2) == 0;
    return status == ODS_REJECT && !of_value ? ODS_FATAL : status;
}

static enum ods_status work(struct kept *kept, struct conn *conn, struct pass_result *result,
                            struct error *error)
{
    PGresult *marked = NULL, *waiting = NULL;
    struct form_state state = {0};
    enum ods_status status = form_state(kept, conn, &state, error);
    if (status != ODS_OK || !state.same) {
        result->reshaped = status == ODS_OK;
        return status;
    }
    result->errors = state.errors;
    result->todo = state.todo;
    status = take_marks(kept, conn, &marked, error);
    if (status == ODS_OK && state.todo)
        status = take_todo(kept, conn, &waiting, error);
    bool any = status == ODS_OK && (PQntuples(marked) || waiting);
    if (any && kept->settings->outbox)
        status = conn_script(conn, "select pg_catalog.pg_advisory_xact_lock("
                                   "pg_catalog.hashtext('ods_sink.outbox'))", error);
    if (status == ODS_OK)
        status = compute_rows(kept, conn, marked, result, error);
    if (status == ODS_OK && waiting)
        status = compute_rows(kept, conn, waiting, result, error);
    PQclear(marked);
    PQclear(waiting);
    const char *values[] = {result->made + result->changed + result->removed ? "1" : "0"};
    return status == ODS_OK ? conn_query(conn, kept->finish, 1, values, NULL, error) : status;
}

enum ods_status pass(struct kept *kept, struct conn *conn, struct pass_result *result,
                     struct error *error)
{
    *result = (struct pass_result){0};
    error_init(&result->first);
    enum ods_status status = pass_begin(kept, conn, false, error);
    if (status == ODS_OK)
        status = work(kept, conn, result, error);
    if (status == ODS_OK && !result->reshaped)
        status = conn_script(conn, "commit", error);
    else if (conn->pg)
        conn_script(conn, "rollback", NULL);
    return status;
}
