/* Keys that differ between source and target. See rekey.h. */
#include "sink/postgres/tables/rekey.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/tables/names.h"
#include "sink/postgres/tables/rehearsal.h"
#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/table_had_key.h"

/* --- the two keys ---------------------------------------------------------------------------- */

static uint32_t key_count(const struct plan *plan)
{
    const struct strings *configured = &plan->settings->key;
    return configured->count ? (uint32_t) configured->count : plan->shape->key_count;
}

/* The name in the target of a column of the records' key; NULL: it has none. */
static const char *key_name(const struct plan *plan, uint32_t place)
{
    const struct strings *configured = &plan->settings->key;
    const struct shape *shape = plan->shape;
    if (!configured->count)
        return plan->names[shape->key[place]];
    for (uint32_t i = 0; i < shape->column_count; i++)
        if (strcmp(shape->columns[i].name, configured->items[place]) == 0)
            return plan->names[i];
    return NULL;
}

static void put_quoted(struct buffer *out, const char *name)
{
    char *quoted = name ? quote_name(name) : NULL;
    buffer_puts(out, quoted ? quoted : "?");
    free(quoted);
}

static void put_source_key(struct buffer *out, const struct plan *plan, bool quoted)
{
    for (uint32_t k = 0; k < key_count(plan); k++) {
        const char *name = key_name(plan, k);
        buffer_puts(out, k ? ", " : "");
        if (quoted)
            put_quoted(out, name);
        else
            buffer_puts(out, name ? name : "?");
    }
}

/* Writes the target's key in the source's names, for the setting `key:`. False: the records don't
 * carry all of its columns. */
static bool put_target_key(struct buffer *out, const struct plan *plan, bool of_source)
{
    const struct pg_unique *key = catalog_key(plan->table);
    bool carried = key != NULL;
    for (uint16_t k = 0; key && k < key->count; k++) {
        int32_t source = plan->source_of[key->columns[k]];
        carried &= source >= 0;
        buffer_puts(out, k ? ", " : "");
        buffer_puts(out, of_source && source >= 0 ? plan->shape->columns[source].name
                                                  : plan->table->columns[key->columns[k]].name);
    }
    return carried;
}

/* --- what to do about it --------------------------------------------------------------------- */

void rekey_put(struct buffer *sql, const struct plan *plan)
{
    const struct pg_unique *key = catalog_key(plan->table);
    if (key && key->constraint)
        buffer_printf(sql, "drop constraint %s%s", key->constraint, key_count(plan) ? ", " : "");
    if (key_count(plan)) {
        buffer_puts(sql, "add primary key (");
        put_source_key(sql, plan, true);
        buffer_puts(sql, ")");
    }
}

static void put_statements(struct buffer *text, const struct plan *plan)
{
    const struct pg_unique *key = catalog_key(plan->table);
    for (uint32_t k = 0; k < key_count(plan); k++) {
        const char *name = key_name(plan, k);
        if (name && catalog_column(plan->table, name) < 0) {
            buffer_printf(text, "alter table %s add column ", plan->table->quoted);
            put_quoted(text, name);
            buffer_puts(text, " …, and fill it; ");
        }
    }
    if (key && !key->constraint)
        buffer_printf(text, "drop index %s; ", key->index);
    if ((key && key->constraint) || key_count(plan)) {
        buffer_printf(text, "alter table %s ", plan->table->quoted);
        rekey_put(text, plan);
    }
}

enum ods_status rekey_refuse(const struct plan *plan, const char *why, struct error *error)
{
    struct buffer text;
    buffer_init(&text);
    buffer_printf(&text, "table %s: its key at the source is ", plan->shape->table);
    if (key_count(plan)) {
        buffer_puts(&text, "(");
        put_source_key(&text, plan, false);
        buffer_puts(&text, ")");
    } else {
        buffer_puts(&text, "none");
    }
    buffer_printf(&text, ", that of %s.%s in the target ", plan->schema, plan->name);
    if (catalog_key(plan->table)) {
        buffer_puts(&text, "(");
        put_target_key(&text, plan, false);
        buffer_puts(&text, ")");
    } else {
        buffer_puts(&text, "none (no primary key or unique index)");
    }
    buffer_puts(&text, ": its records are set aside until the two are one. To follow the source, "
                       "run in the target: ");
    put_statements(&text, plan);
    if (why)
        buffer_printf(&text, " (evolve: full could not: %s)", why);
    struct buffer names;
    buffer_init(&names);
    if (put_target_key(&names, plan, true))
        buffer_printf(&text, ". To keep the target's key: key: [%s] for this table in tables.yaml",
                      buffer_text(&names));
    buffer_puts(&text, ". Then: ods-sink dlq replay");
    bool failed = text.failed || names.failed;
    enum ods_status status = failed ? error_out_of_memory(error)
                                    : error_set(error, ODS_REJECT, "%s", buffer_text(&text));
    buffer_done(&names);
    buffer_done(&text);
    return status;
}

/* Has the sink ever given the table a key by a statement that contains this text? */
static enum ods_status had_key(const struct plan *plan, struct conn *conn, const char *text,
                               bool *had, struct error *error)
{
    const char *values[] = {plan->schema, plan->name, text};
    const struct rehearsal *rehearsal = conn->rehearsal;
    PGresult *rows = NULL;
    *had = rehearsal && *text && rehearsal_said(rehearsal, plan->schema, plan->name, text);
    if (*had || (rehearsal && !rehearsal_has_own_schema(rehearsal)))
        return ODS_OK;
    enum ods_status status = own_query(conn, sql_table_had_key, 3, values, &rows, error);
    *had = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    return status;
}

/* A key that somebody else gave the table is allowed, also in a table that the sink made. */
enum ods_status rekey_look(const struct plan *plan, struct conn *conn, struct error *error)
{
    const struct pg_unique *key = catalog_key(plan->table);
    struct buffer names;
    bool had = false;
    if (plan->key_count || !plan->shape->column_count || !plan->table->made_by_us || !key ||
        !key->primary)
        return ODS_OK;
    buffer_init(&names);
    bool carried = put_target_key(&names, plan, true);
    buffer_done(&names);
    enum ods_status status = carried ? had_key(plan, conn, "", &had, error) : ODS_OK;
    return status == ODS_OK && had ? rekey_refuse(plan, NULL, error) : status;
}

/* --- doing it -------------------------------------------------------------------------------- */

static bool has_key(const struct plan *plan)
{
    uint32_t columns[PLAN_MAX_KEY];
    for (uint32_t k = 0; k < key_count(plan); k++) {
        int column = catalog_column(plan->table, key_name(plan, k));
        if (column < 0)
            return false;
        columns[k] = (uint32_t) column;
    }
    return catalog_is_unique(plan->table, columns, key_count(plan));
}

enum ods_status rekey_is_due(const struct plan *plan, struct conn *conn, bool *due,
                             struct error *error)
{
    const struct pg_unique *key = plan->table ? catalog_key(plan->table) : NULL;
    struct buffer names;
    bool had = false;
    *due = false;
    if (!plan->table || !plan->table->made_by_us || plan->settings->evolve != EVOLVE_FULL ||
        !key_count(plan) || key_count(plan) > PLAN_MAX_KEY || (key && !key->primary))
        return ODS_OK;
    for (uint32_t k = 0; k < key_count(plan); k++)
        if (!key_name(plan, k))
            return ODS_OK;
    if (has_key(plan))
        return ODS_OK;
    buffer_init(&names);
    put_source_key(&names, plan, true);
    buffer_puts(&names, ")");
    enum ods_status status = names.failed
                                 ? error_out_of_memory(error)
                                 : had_key(plan, conn, buffer_text(&names), &had, error);
    buffer_done(&names);
    *due = status == ODS_OK && !had;
    return status;
}

/* Is the column of the key one whose values are shown nowhere? */
static bool is_redacted(const struct plan *plan, uint32_t place)
{
    const struct strings *configured = &plan->settings->key;
    const char *source = configured->count
                             ? configured->items[place]
                             : plan->shape->columns[plan->shape->key[place]].name;
    return strings_contain(&plan->settings->redact, source);
}

char *rekey_why_not(const struct plan *plan, struct conn *conn, const struct error *refused)
{
    struct buffer sql, text;
    PGresult *rows = NULL;
    buffer_init(&sql);
    buffer_init(&text);
    buffer_puts(&text, refused->text);
    buffer_puts(&sql, "select string_agg(format('(%s) %s times', k, n), ', ') from (select "
                      "concat_ws(', '");
    for (uint32_t k = 0; k < key_count(plan); k++) {
        buffer_puts(&sql, ", ");
        if (is_redacted(plan, k))
            buffer_puts(&sql, "'[redacted]'");
        else
            put_quoted(&sql, key_name(plan, k));
    }
    buffer_printf(&sql, ") as k, count(*) as n from %s group by ", plan->table->quoted);
    put_source_key(&sql, plan, true);
    buffer_puts(&sql, " having count(*) > 1 order by n desc, k limit 5) as c");
    if (strcmp(refused->code, "23505") == 0 &&
        conn_query(conn, buffer_text(&sql), 0, NULL, &rows, NULL) == ODS_OK &&
        PQntuples(rows) == 1 && !PQgetisnull(rows, 0, 0))
        buffer_printf(&text, "; rows that would share a key: %s", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    buffer_done(&sql);
    char *why = text.failed ? NULL : strdup(buffer_text(&text));
    buffer_done(&text);
    return why;
}
