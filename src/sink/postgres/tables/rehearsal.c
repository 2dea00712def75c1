/* See rehearsal.h. */
#include "sink/postgres/tables/rehearsal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/rehearsal_look.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/rehearsal_copy.h"
#include "sql/postgres/rehearsal_state.h"
#include "sql/postgres/rehearsal_table.h"

enum { CLAIM_VALUES = 8 };

struct claim_made {
    char *values[CLAIM_VALUES];
};

struct rehearsal {
    void (*narrow)(void *context, const char *text); /* NULL: it is not reported */
    void (*take)(void *context, const struct rehearsed *statement);
    void *context;
    bool own_schema;
    bool failed;     /* a stand-in could not be made */
    char *temporary; /* the session's temporary schema; NULL: it has none yet */
    unsigned transactions;
    struct stand_in *stand_ins;
    struct claim_made *claims;
    size_t claim_count;
    struct buffer schemas; /* that statements have made, each terminated */
};

struct rehearsal *rehearsal_new(void (*take)(void *context, const struct rehearsed *statement),
                                void *context)
{
    struct rehearsal *rehearsal = calloc(1, sizeof *rehearsal);
    if (!rehearsal)
        return NULL;
    rehearsal->take = take;
    rehearsal->context = context;
    buffer_init(&rehearsal->schemas);
    return rehearsal;
}

static void stand_in_free(struct stand_in *stand_in)
{
    free(stand_in->schema);
    free(stand_in->table);
    free(stand_in->quoted);
    free(stand_in->name);
    free(stand_in->copy);
    buffer_done(&stand_in->said);
    free(stand_in);
}

void rehearsal_free(struct rehearsal *rehearsal)
{
    if (!rehearsal)
        return;
    while (rehearsal->stand_ins) {
        struct stand_in *stand_in = rehearsal->stand_ins;
        rehearsal->stand_ins = stand_in->next;
        stand_in_free(stand_in);
    }
    for (size_t i = 0; i < rehearsal->claim_count; i++)
        for (size_t k = 0; k < CLAIM_VALUES; k++)
            free(rehearsal->claims[i].values[k]);
    free(rehearsal->claims);
    buffer_done(&rehearsal->schemas);
    free(rehearsal->temporary);
    free(rehearsal);
}

enum ods_status rehearsal_begin(struct rehearsal *rehearsal, struct conn *conn, struct error *error)
{
    return own_schema_is_there(conn, &rehearsal->own_schema, error);
}

bool rehearsal_failed(const struct rehearsal *rehearsal)
{
    return rehearsal->failed;
}

bool rehearsal_has_own_schema(const struct rehearsal *rehearsal)
{
    return rehearsal->own_schema;
}

/* --- what has been rehearsed ------------------------------------------------------------------ */

static struct stand_in *find(const struct rehearsal *rehearsal, const char *schema,
                             const char *table)
{
    struct stand_in *stand_in = rehearsal->stand_ins;
    while (stand_in &&
           (strcmp(stand_in->table, table) != 0 || strcmp(stand_in->schema, schema) != 0))
        stand_in = stand_in->next;
    return stand_in;
}

void rehearsal_names(const struct rehearsal *rehearsal, const char *names[2])
{
    const struct stand_in *stand_in = find(rehearsal, names[0], names[1]);
    if (!stand_in || !rehearsal->temporary || !stand_in->owner)
        return;
    names[0] = rehearsal->temporary;
    names[1] = stand_in->name;
}

bool rehearsal_made_schema(const struct rehearsal *rehearsal, const char *schema)
{
    const char *at = rehearsal->schemas.bytes, *end = at + rehearsal->schemas.length;
    for (; at < end; at += strlen(at) + 1)
        if (strcmp(at, schema) == 0)
            return true;
    return false;
}

bool rehearsal_said(const struct rehearsal *rehearsal, const char *schema, const char *table,
                    const char *text)
{
    const struct stand_in *stand_in = find(rehearsal, schema, table);
    const char *at = stand_in ? stand_in->said.bytes : NULL;
    const char *end = at ? at + stand_in->said.length : NULL;
    for (; at < end; at += strlen(at) + 1)
        if (strstr(at, text))
            return true;
    return false;
}

bool rehearsal_made_table(const struct rehearsal *rehearsal, const char *schema, const char *table)
{
    const struct stand_in *stand_in = find(rehearsal, schema, table);
    return stand_in && stand_in->is_new;
}

bool rehearsal_keep_claim(struct rehearsal *rehearsal, const char *const *values, size_t count)
{
    bool good = true;
    struct claim_made *larger =
        realloc(rehearsal->claims, (rehearsal->claim_count + 1) * sizeof *larger);
    if (!larger)
        return false;
    rehearsal->claims = larger;
    struct claim_made *claim = &larger[rehearsal->claim_count++];
    *claim = (struct claim_made){0};
    for (size_t i = 0; i < count && i < CLAIM_VALUES; i++)
        good &= (claim->values[i] = strdup(values[i])) != NULL;
    return good;
}

const char *const *rehearsal_claim(const struct rehearsal *rehearsal, size_t number)
{
    return number < rehearsal->claim_count ? (const char *const *) rehearsal->claims[number].values
                                           : NULL;
}

void rehearsal_hear_narrow(struct rehearsal *rehearsal,
                           void (*take)(void *context, const char *text))
{
    rehearsal->narrow = take;
}

void rehearsal_tell_narrow(const struct rehearsal *rehearsal, const char *schema, const char *table,
                           const struct pg_column *column, const char *wider)
{
    char text[ERROR_TEXT_BYTES];
    if (!rehearsal->narrow)
        return;
    snprintf(text, sizeof text,
             "table %s.%s: column %s stays %s, and values that need %s are refused, each with its "
             "record: evolve: widen changes it",
             schema, table, column->name, column->declared, wider);
    rehearsal->narrow(rehearsal->context, text);
}

/* --- stand-ins -------------------------------------------------------------------------------- */

/* The copy has the table's own name, so that PostgreSQL gives constraints and indexes their real
 * names; unless a table of that name in another schema came first. */
static bool name_copy(const struct rehearsal *rehearsal, struct stand_in *stand_in)
{
    unsigned same = 0;
    for (const struct stand_in *other = rehearsal->stand_ins; other; other = other->next)
        same += strcmp(other->table, stand_in->table) == 0;
    char *schema = quote_name(stand_in->schema), *table = quote_name(stand_in->table);
    if (same && asprintf(&stand_in->name, "%.50s_%u", stand_in->table, same + 1) < 0)
        stand_in->name = NULL;
    else if (!same)
        stand_in->name = strdup(stand_in->table);
    char *name = stand_in->name ? quote_name(stand_in->name) : NULL;
    if (schema && table && asprintf(&stand_in->quoted, "%s.%s", schema, table) < 0)
        stand_in->quoted = NULL;
    if (name && asprintf(&stand_in->copy, "pg_temp.%s", name) < 0)
        stand_in->copy = NULL;
    free(schema);
    free(table);
    free(name);
    return stand_in->quoted && stand_in->copy;
}

static struct stand_in *add(struct rehearsal *rehearsal, const struct ddl_table *table)
{
    struct stand_in *stand_in = calloc(1, sizeof *stand_in);
    if (!stand_in)
        return NULL;
    stand_in->schema = strdup(table->schema);
    stand_in->table = strdup(table->name);
    buffer_init(&stand_in->said);
    if (!stand_in->schema || !stand_in->table || !name_copy(rehearsal, stand_in)) {
        stand_in_free(stand_in);
        return NULL;
    }
    stand_in->next = rehearsal->stand_ins;
    return rehearsal->stand_ins = stand_in;
}

/* Copies the table as the catalog describes it; one statement a row. */
static enum ods_status copy_table(struct rehearsal *rehearsal, struct conn *conn,
                                  const struct stand_in *stand_in, struct error *error)
{
    const char *values[] = {stand_in->schema, stand_in->table, stand_in->name};
    struct buffer sql;
    PGresult *rows = NULL;
    buffer_init(&sql);
    buffer_printf(&sql, "create temporary table %s (like %s including all)", stand_in->copy,
                  stand_in->quoted);
    enum ods_status status = sql.failed ? error_out_of_memory(error)
                                        : conn_query(conn, buffer_text(&sql), 0, NULL, NULL, error);
    buffer_done(&sql);
    if (status == ODS_OK)
        status = conn_query(conn, sql_rehearsal_copy, 3, values, &rows, error);
    if (status == ODS_OK && !rehearsal->temporary &&
        !(rehearsal->temporary = strdup(PQgetvalue(rows, 0, 0))))
        status = error_out_of_memory(error);
    for (int i = 0; status == ODS_OK && i < PQntuples(rows); i++)
        if (!PQgetisnull(rows, i, 1))
            status = conn_query(conn, PQgetvalue(rows, i, 1), 0, NULL, NULL, error);
    PQclear(rows);
    rehearsal->failed |= status != ODS_OK;
    if (status != ODS_OK)
        error_prefix(error,
                     "the changes of table %s are tried on a temporary table, which the target's "
                     "user needs the right TEMPORARY on the database for: ",
                     stand_in->quoted);
    return status;
}

enum ods_status rehearsal_stand_in(struct rehearsal *rehearsal, struct conn *conn,
                                   const struct ddl_table *table, struct error *error)
{
    const char *values[] = {table->schema, table->name, "{}"};
    PGresult *rows = NULL;
    if (find(rehearsal, table->schema, table->name))
        return ODS_OK;
    enum ods_status status = conn_query(conn, sql_rehearsal_table, 3, values, &rows, error);
    struct stand_in *stand_in = NULL;
    if (status == ODS_OK && PQntuples(rows)) {
        stand_in = add(rehearsal, table);
        if (!stand_in)
            status = error_out_of_memory(error);
    }
    if (stand_in) {
        stand_in->owner = PQgetvalue(rows, 0, 0)[0] == 't';
        stand_in->bytes = strtoll(PQgetvalue(rows, 0, 1), NULL, 10);
        stand_in->rows = strtoll(PQgetvalue(rows, 0, 2), NULL, 10);
        if (stand_in->owner)
            status = copy_table(rehearsal, conn, stand_in, error);
    }
    PQclear(rows);
    return status;
}

/* --- running it ------------------------------------------------------------------------------- */

/* The text with the copy's name in place of the table's own. */
static bool put_for_copy(struct buffer *out, const struct stand_in *stand_in, const char *text)
{
    size_t length = strlen(stand_in->quoted);
    const char *found;
    for (; (found = strstr(text, stand_in->quoted)); text = found + length) {
        buffer_add(out, text, (size_t) (found - text));
        buffer_puts(out, stand_in->copy);
    }
    buffer_puts(out, text);
    return !out->failed;
}

/* The copy's state: how it is stored, the lock on it, its indexes. */
static enum ods_status read_state(struct conn *conn, const struct stand_in *stand_in,
                                  const char *indexes, PGresult **rows, struct error *error)
{
    const char *values[] = {stand_in->name, indexes};
    return conn_query(conn, sql_rehearsal_state, 2, values, rows, error);
}

static enum ods_status run_on_copy(struct conn *conn, const struct stand_in *stand_in,
                                   const char *text, struct error *error)
{
    struct buffer sql;
    buffer_init(&sql);
    enum ods_status status = put_for_copy(&sql, stand_in, text)
                                 ? conn_script(conn, buffer_text(&sql), error)
                                 : error_out_of_memory(error);
    buffer_done(&sql);
    return status;
}

/* What becomes known of a statement when it has run. */
struct outcome {
    PGresult *after;
    bool rewrites;
};

static enum ods_status run_statement(struct ddl *ddl, const struct stand_in *stand_in,
                                     const char *sql, struct outcome *outcome, struct error *error)
{
    PGresult *before = NULL;
    enum ods_status status = read_state(ddl->conn, stand_in, "{}", &before, error);
    bool there = status == ODS_OK && PQntuples(before);
    const char *indexes = there ? PQgetvalue(before, 0, 3) : "{}";
    if (status == ODS_OK)
        status = run_on_copy(ddl->conn, stand_in, sql, error);
    if (status == ODS_OK)
        status = read_state(ddl->conn, stand_in, indexes, &outcome->after, error);
    if (status == ODS_OK && there)
        outcome->rewrites = strcmp(PQgetvalue(before, 0, 0), PQgetvalue(outcome->after, 0, 0)) != 0;
    PQclear(before);
    return status;
}

static void hand_out(struct rehearsal *rehearsal, const struct ddl *ddl, struct stand_in *stand_in,
                     const char *sql, const char *also, const struct outcome *outcome)
{
    bool ran = outcome->after != NULL, is_new = stand_in->is_new || !ran;
    struct rehearsed statement = {
        .schema = stand_in->schema,
        .table = stand_in->table,
        .sql = sql,
        .cause = ddl->cause,
        .transaction = rehearsal->transactions,
        .lock = is_new ? "" : PQgetvalue(outcome->after, 0, 1),
        .also = also,
        .indexes = is_new || outcome->rewrites ? "[]" : PQgetvalue(outcome->after, 0, 2),
        .rewrites = outcome->rewrites && !is_new,
        .is_new = is_new,
        .bytes = is_new ? 0 : stand_in->bytes,
        .rows = is_new ? 0 : stand_in->rows,
    };
    buffer_add(&stand_in->said, sql, strlen(sql) + 1);
    rehearsal->take(rehearsal->context, &statement);
}

/* A schema is not made: the copy lies in the session's own. */
static bool is_of_schema(const char *sql)
{
    return strncmp(sql, "create schema ", strlen("create schema ")) == 0;
}

static enum ods_status run_all(struct ddl *ddl, const struct stand_in *stand_in,
                               struct outcome *outcomes, struct error *error)
{
    const char *at = ddl->statements.bytes, *end = at + ddl->statements.length;
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && at < end; at += strlen(at) + 1, i++)
        if (!is_of_schema(at))
            status = run_statement(ddl, stand_in, at, &outcomes[i], error);
    if (status == ODS_OK)
        status = run_on_copy(ddl->conn, stand_in, buffer_text(&ddl->script), error);
    return status == ODS_OK ? conn_script(ddl->conn, "commit", error) : status;
}

static enum ods_status find_temporary(struct rehearsal *rehearsal, struct conn *conn,
                                      struct error *error)
{
    PGresult *rows = NULL;
    if (rehearsal->temporary)
        return ODS_OK;
    enum ods_status status = conn_query(
        conn, "select pg_catalog.pg_my_temp_schema()::regnamespace::text", 0, NULL, &rows, error);
    if (status == ODS_OK && !(rehearsal->temporary = strdup(PQgetvalue(rows, 0, 0))))
        status = error_out_of_memory(error);
    PQclear(rows);
    return status;
}

/* A table that is made by the change: its copy is made by the change's own statements. */
static struct stand_in *stand_in_of(struct rehearsal *rehearsal, const struct ddl *ddl)
{
    struct stand_in *stand_in = find(rehearsal, ddl->table->schema, ddl->table->name);
    if (stand_in)
        return stand_in;
    stand_in = add(rehearsal, ddl->table);
    if (stand_in)
        stand_in->is_new = stand_in->owner = true;
    return stand_in;
}

static void forget(struct rehearsal *rehearsal, struct stand_in *stand_in)
{
    struct stand_in **link = &rehearsal->stand_ins;
    while (*link != stand_in)
        link = &(*link)->next;
    *link = stand_in->next;
    stand_in_free(stand_in);
}

enum ods_status rehearsal_run(struct rehearsal *rehearsal, struct ddl *ddl, struct error *error)
{
    bool create = !find(rehearsal, ddl->table->schema, ddl->table->name), makes_schema = false;
    struct stand_in *stand_in = stand_in_of(rehearsal, ddl);
    size_t count = 0;
    char *also = NULL;
    for (size_t i = 0; i < ddl->statements.length; i++)
        count += ddl->statements.bytes[i] == '\0';
    struct outcome *outcomes = calloc(count + 1, sizeof *outcomes);
    enum ods_status status = stand_in && outcomes ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK && create)
        status = rehearsal_may_create(ddl, &makes_schema, error);
    else if (status == ODS_OK && !stand_in->is_new)
        status = rehearsal_look(ddl, stand_in, &also, error);
    if (status == ODS_OK)
        status = run_all(ddl, stand_in, outcomes, error);
    if (status == ODS_OK)
        status = find_temporary(rehearsal, ddl->conn, error);
    if (status == ODS_OK && makes_schema) {
        buffer_add(&rehearsal->schemas, ddl->table->schema, strlen(ddl->table->schema) + 1);
        status = rehearsal->schemas.failed ? error_out_of_memory(error) : ODS_OK;
    }
    if (status == ODS_OK) {
        rehearsal->transactions++;
        const char *at = ddl->statements.bytes;
        for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
            hand_out(rehearsal, ddl, stand_in, at, also ? also : "[]", &outcomes[i]);
    } else if (create && stand_in) {
        forget(rehearsal, stand_in);
    }
    for (size_t i = 0; outcomes && i < count; i++)
        PQclear(outcomes[i].after);
    free(outcomes);
    free(also);
    return status;
}
