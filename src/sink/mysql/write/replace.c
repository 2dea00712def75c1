/* May upserts go by LOAD DATA … REPLACE? See replace.h.
 *
 * REPLACE is a delete and an insert, or an update in place by which no trigger is called. So it
 * does what an upsert does only where the row's key is the one key that it can meet, where each
 * column gets its value from the row, where nobody watches the table, and where the table refers
 * to no other. Others may refer to it: the load runs with foreign_key_checks off, so that nothing
 * cascades, and since the row keeps its key those who refer to it find it as before. A reference to
 * other columns than the key needs an index of theirs. Where there is one, the server says by what
 * it did whether the table is referred to: it updates in place only if it is not.
 *
 * What was found out holds as long as the table's definition is the same; that, and that there is
 * no trigger, is looked at behind the load, when the transaction holds the table as it is.
 */
#include "sink/mysql/write/replace.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "sink/mysql/write/statement.h"
#include "sql/mysql/no_triggers.h"
#include "sql/mysql/replaceable.h"
#include "sql/mysql/sees_triggers.h"

#define ASK_AGAIN_US INT64_C(10000000) /* rights may have been given, or taken away */

/* Would REPLACE write a key anew whose bytes an upsert leaves as they are? */
static bool has_loose_key(const struct mysql_plan *plan)
{
    for (uint32_t k = 0; k < plan->key_count; k++) {
        const struct mysql_column *column = &plan->table->columns[plan->key_target[k]];
        if ((column->padded && !plan->spelt) || column->type == MYSQL_IS_FLOAT ||
            column->type == MYSQL_IS_DOUBLE)
            return true;
    }
    return false;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* What the server refuses to tell is no error: rows go by statements then. */
static enum ods_status passed_over(const struct mysql_attempt *attempt, enum ods_status status)
{
    if (status == ODS_OK || status == ODS_RETRY || !attempt->sink->conn.mysql)
        return status;
    error_init(attempt->error);
    return ODS_OK;
}

/* *rows: NULL where the server does not tell. Frees the statement, which is not in sink->sql: a
 * load's may be there. */
static enum ods_status query(struct mysql_attempt *attempt, struct buffer *sql, MYSQL_RES **rows)
{
    *rows = NULL;
    enum ods_status status =
        sql->failed ? error_out_of_memory(attempt->error)
                    : passed_over(attempt, mysql_conn_query(&attempt->sink->conn, sql->bytes,
                                                            sql->length, rows, attempt->error));
    buffer_done(sql);
    return status;
}

/* *text: a column of the first row, on the heap; NULL: there is no row. */
static enum ods_status read_text(struct mysql_attempt *attempt, struct buffer *sql, unsigned column,
                                 char **text)
{
    MYSQL_RES *rows;
    *text = NULL;
    enum ods_status status = query(attempt, sql, &rows);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    if (row && column < mysql_num_fields(rows) && row[column]) {
        *text = strdup(row[column]);
        status = *text ? ODS_OK : error_out_of_memory(attempt->error);
    }
    mysql_free_result(rows);
    return status;
}

/* Which columns of the first row are 1; none where the server does not tell. */
static enum ods_status read_flags(struct mysql_attempt *attempt, const char *template,
                                  const char *const *texts, bool *flags, unsigned count)
{
    struct buffer sql;
    MYSQL_RES *rows;
    buffer_init(&sql);
    mysql_put_statement(&sql, template, texts);
    enum ods_status status = query(attempt, &sql, &rows);
    MYSQL_ROW row = rows ? mysql_fetch_row(rows) : NULL;
    for (unsigned i = 0; i < count; i++)
        flags[i] = row && i < mysql_num_fields(rows) && row[i] && strcmp(row[i], "1") == 0;
    mysql_free_result(rows);
    return status;
}

/* SHOW CREATE TABLE without the auto_increment value, which rows change. */
static enum ods_status read_definition(struct mysql_attempt *attempt,
                                       const struct mysql_table *table, char **definition)
{
    static const char engine[] = "\n) ENGINE=InnoDB", counter[] = " AUTO_INCREMENT=";
    struct buffer sql;
    buffer_init(&sql);
    buffer_printf(&sql, "show create table %s", table->quoted);
    enum ods_status status = read_text(attempt, &sql, 1, definition);
    char *at = *definition ? strstr(*definition, engine) : NULL;
    if (at && strncmp(at += strlen(engine), counter, strlen(counter)) == 0) {
        char *end = at + strlen(counter);
        while (isdigit((unsigned char) *end))
            end++;
        memmove(at, end, strlen(end) + 1);
    }
    return status;
}

static enum ods_status has_no_trigger(struct mysql_attempt *attempt,
                                      const struct mysql_table *table, bool *has_none)
{
    const char *texts[] = {table->schema, table->name};
    return read_flags(attempt, sql_mysql_no_triggers, texts, has_none, 1);
}

static enum ods_status ask(struct mysql_attempt *attempt, struct mysql_table *table)
{
    struct mysql_replacing *replacing = &table->replacing;
    const char *texts[] = {table->schema, table->name, table->schema,
                           table->name,   table->schema, table->name};
    const char *rights[] = {table->schema, table->schema, table->schema, table->name};
    bool changed = true, seen = false, unwatched = false;
    bool is[2] = {false, false}; /* an ordinary table; one whose only index is its key's */
    free(replacing->definition);
    *replacing = (struct mysql_replacing){.asked_us = time_monotonic_us()};
    enum ods_status status = read_definition(attempt, table, &replacing->definition);
    if (status == ODS_OK && replacing->definition)
        status = passed_over(attempt, mysql_catalog_changed(&attempt->sink->conn, table, &changed,
                                                            attempt->error));
    if (status == ODS_OK && !changed)
        status = read_flags(attempt, sql_mysql_replaceable, texts, is, 2);
    if (status == ODS_OK && is[0])
        status = read_flags(attempt, sql_mysql_sees_triggers, rights, &seen, 1);
    if (status == ODS_OK && seen)
        status = has_no_trigger(attempt, table, &unwatched);
    replacing->indexed = !is[1];
    replacing->may = unwatched;
    return status;
}

enum ods_status mysql_replace_ask(struct mysql_attempt *attempt, const struct mysql_group *group,
                                  bool *may)
{
    struct mysql_table *table = group->plan->table;
    const struct mysql_replacing *replacing = &table->replacing;
    enum ods_status status = ODS_OK;
    *may = false;
    if (!table->key_count || !mysql_statement_is_complete(group) ||
        mysql_statement_is_guarded(group->plan) || has_loose_key(group->plan))
        return ODS_OK;
    if (!replacing->asked_us || time_monotonic_us() - replacing->asked_us > ASK_AGAIN_US)
        status = ask(attempt, table);
    *may = status == ODS_OK && replacing->may;
    return status;
}

/* *group: those of its rows that say they are new stand in it as well, behind the others. */
static bool join(struct mysql_attempt *attempt, struct mysql_group *group,
                 struct mysql_group *fresh)
{
    uint32_t count = group->count + fresh->count;
    struct mysql_row **rows = arena_alloc(&attempt->sink->scratch, count * sizeof *rows);
    if (!rows)
        return false;
    memcpy(rows, group->rows, group->count * sizeof *rows);
    memcpy(rows + group->count, fresh->rows, fresh->count * sizeof *rows);
    group->rows = rows;
    group->count = group->capacity = count;
    fresh->count = 0;
    return true;
}

enum ods_status mysql_replace_join(struct mysql_attempt *attempt, struct mysql_group *groups)
{
    enum ods_status status = ODS_OK;
    for (struct mysql_group *group = groups; status == ODS_OK && group; group = group->next) {
        size_t bytes = mysql_fold_words(group->plan->table) * sizeof *group->columns;
        struct mysql_group *fresh = group->fresh ? NULL : group->next;
        bool may = false;
        while (fresh && !(fresh->fresh && memcmp(fresh->columns, group->columns, bytes) == 0))
            fresh = fresh->next;
        if (fresh && mysql_load_may_replace(attempt, group->count + fresh->count))
            status = mysql_replace_ask(attempt, group, &may);
        if (may && !join(attempt, group, fresh))
            status = error_out_of_memory(attempt->error);
    }
    return status;
}

/* --- a load ---------------------------------------------------------------------------------- */

void mysql_replace_refused(struct mysql_table *table)
{
    table->replacing.may = false;
    table->replacing.asked_us = time_monotonic_us();
}

/* How many rows the session has deleted. A row that REPLACE updates in place is none of them. */
static enum ods_status count_deletes(struct mysql_attempt *attempt, uint64_t *deletes)
{
    struct buffer sql;
    char *text;
    buffer_init(&sql);
    buffer_puts(&sql, "show session status like 'Handler_delete'");
    enum ods_status status = read_text(attempt, &sql, 1, &text);
    *deletes = text ? strtoull(text, NULL, 10) : UINT64_MAX;
    free(text);
    return status;
}

/* Might somebody refer to what a row of the group changes? */
static bool may_be_referred_to(const struct mysql_group *group)
{
    return group->plan->table->replacing.indexed || group->plan->spelt;
}

enum ods_status mysql_replace_begin(struct mysql_attempt *attempt, const struct mysql_group *group,
                                    uint64_t *deletes)
{
    *deletes = 0;
    return may_be_referred_to(group) ? count_deletes(attempt, deletes) : ODS_OK;
}

/* Now that the transaction has written to the table nobody alters it. */
static enum ods_status is_still_so(struct mysql_attempt *attempt, struct mysql_table *table,
                                   bool *so)
{
    struct mysql_replacing *replacing = &table->replacing;
    char *definition;
    *so = replacing->transaction == attempt->sink->transaction;
    if (*so)
        return ODS_OK;
    enum ods_status status = read_definition(attempt, table, &definition);
    bool same = definition && strcmp(definition, replacing->definition) == 0;
    free(definition);
    if (status == ODS_OK && same)
        status = has_no_trigger(attempt, table, so);
    if (status == ODS_OK && *so)
        replacing->transaction = attempt->sink->transaction;
    return status;
}

enum ods_status mysql_replace_confirm(struct mysql_attempt *attempt,
                                      const struct mysql_group *group, uint64_t replaced,
                                      uint64_t deletes, bool *right)
{
    struct mysql_table *table = group->plan->table;
    uint64_t now = deletes;
    enum ods_status status = is_still_so(attempt, table, right);
    if (status == ODS_OK && *right && replaced && may_be_referred_to(group)) {
        status = count_deletes(attempt, &now);
        *right = now == deletes && now != UINT64_MAX;
    }
    if (!*right)
        mysql_replace_refused(table);
    return status;
}
