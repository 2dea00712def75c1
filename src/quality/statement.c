/* Rules about rows, asked of the target's table. See room.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quality/room.h"

#define SHOWN_MAX 5     /* keys of rows that break a rule */
#define AGAIN_MAX 10000 /* rows that are looked at again */

static void put_literal(struct checking *checking, struct buffer *sql, const char *text)
{
    char *literal = PQescapeLiteral(checking->conn.pg, text, strlen(text));
    buffer_puts(sql, literal ? literal : "null");
    sql->failed |= !literal;
    PQfreemem(literal);
}

/* The column as its values are compared: texts by their bytes. */
static void put_operand(struct buffer *sql, const struct pg_column *column)
{
    if (column->encoding == ENCODE_TEXT)
        buffer_printf(sql, "t.%s::pg_catalog.text collate \"C\"", column->quoted);
    else
        buffer_printf(sql, "t.%s", column->quoted);
}

static void put_value(struct checking *checking, struct buffer *sql,
                      const struct pg_column *column, const char *value)
{
    put_literal(checking, sql, value);
    if (column->encoding != ENCODE_TEXT)
        buffer_printf(sql, "::%s", column->cast);
}

static void put_bound(struct checking *checking, struct buffer *sql,
                      const struct pg_column *column, const char *sign, const char *bound)
{
    if (!*bound)
        return;
    buffer_puts(sql, " or ");
    put_operand(sql, column);
    buffer_printf(sql, " %s ", sign);
    put_value(checking, sql, column, bound);
}

static void put_set(struct checking *checking, struct buffer *sql, const struct pg_column *column,
                    const struct strings *values)
{
    buffer_puts(sql, " or ");
    put_operand(sql, column);
    buffer_puts(sql, " not in (");
    for (size_t i = 0; i < values->count; i++) {
        buffer_puts(sql, i ? ", " : "");
        put_value(checking, sql, column, values->items[i]);
    }
    buffer_puts(sql, ")");
}

/* What is true of a row that breaks a rule about single values; NULL where nothing is known. */
static enum ods_status put_broken(struct checking *checking, const struct quality_table *table,
                                  const struct quality_rule *rule, struct buffer *sql,
                                  struct error *error)
{
    buffer_puts(sql, "(false");
    for (size_t i = 0; i < rule->columns.count; i++) {
        const struct pg_column *column;
        enum ods_status status = quality_column(table, rule->columns.items[i], &column, error);
        if (status != ODS_OK)
            return status;
        if (rule->check == QUALITY_NOT_NULL)
            buffer_printf(sql, " or t.%s is null", column->quoted);
        if (rule->check == QUALITY_RANGE) {
            put_bound(checking, sql, column, "<", rule->min);
            put_bound(checking, sql, column, ">", rule->max);
        }
        if (rule->check == QUALITY_SET)
            put_set(checking, sql, column, &rule->values);
        if (rule->check == QUALITY_PATTERN) {
            buffer_printf(sql, " or t.%s::pg_catalog.text !~ ('(?e)' || ", column->quoted);
            put_literal(checking, sql, rule->pattern);
            buffer_puts(sql, ")");
        }
    }
    buffer_puts(sql, ")");
    return ODS_OK;
}

/* What names a row to a person: its primary key, or its place. */
static void put_key(const struct quality_table *table, const char *alias, struct buffer *sql)
{
    const struct pg_unique *key = NULL;
    for (size_t i = 0; i < table->found->unique_count; i++)
        if (table->found->uniques[i].primary)
            key = &table->found->uniques[i];
    if (!key) {
        buffer_printf(sql, "%s.ctid::pg_catalog.text", alias);
        return;
    }
    buffer_puts(sql, "pg_catalog.concat_ws(', '");
    for (uint16_t i = 0; i < key->count; i++)
        buffer_printf(sql, ", %s.%s", alias, table->found->columns[key->columns[i]].quoted);
    buffer_puts(sql, ")");
}

static bool hides_key(const struct quality_table *table)
{
    return table->settings->redact.count > 0;
}

/* Rows as "select <key> as key …" that break a rule about several rows. */
static enum ods_status put_unique(const struct quality_table *table,
                                  const struct quality_rule *rule, struct buffer *sql,
                                  struct error *error)
{
    struct buffer names, there;
    enum ods_status status = ODS_OK;
    buffer_init(&names);
    buffer_init(&there);
    for (size_t i = 0; status == ODS_OK && i < rule->columns.count; i++) {
        const struct pg_column *column;
        status = quality_column(table, rule->columns.items[i], &column, error);
        if (status != ODS_OK)
            break;
        buffer_printf(&names, "%st.%s", i ? ", " : "", column->quoted);
        buffer_printf(&there, " and t.%s is not null", column->quoted);
    }
    if (status == ODS_OK) {
        buffer_puts(sql, "select n.key from (select ");
        put_key(table, "t", sql);
        buffer_printf(sql,
                      " as key, pg_catalog.row_number() over (partition by %s order by ",
                      buffer_text(&names));
        put_key(table, "t", sql);
        buffer_printf(sql, " desc) as place from %s as t where ", table->found->quoted);
        quality_put_live(table, "t", sql);
        buffer_printf(sql, "%s) as n where n.place > 1", buffer_text(&there));
        sql->failed |= names.failed || there.failed;
    }
    buffer_done(&names);
    buffer_done(&there);
    return status;
}

/* "customers(id, region)": the table it names, as far as the pipeline has it. */
static enum ods_status referred(struct checking *checking, const struct quality_rule *rule,
                                const struct quality_table **table, struct error *error)
{
    char *name = strndup(rule->references, strcspn(rule->references, " ("));
    if (!name)
        return error_out_of_memory(error);
    *table = quality_tables_named(&checking->tables, name);
    enum ods_status status =
        *table ? ODS_OK
               : error_set(error, ODS_REJECT,
                           "the pipeline has no table %s in the target, which 'references' names",
                           name);
    free(name);
    return status;
}

static enum ods_status put_reference(struct checking *checking, const struct quality_table *table,
                                     const struct quality_rule *rule, struct buffer *sql,
                                     struct error *error)
{
    const struct quality_table *to = NULL;
    const char *at = strchr(rule->references, '(') + 1;
    struct buffer equal;
    enum ods_status status = referred(checking, rule, &to, error);
    buffer_init(&equal);
    if (status == ODS_OK) {
        buffer_puts(sql, "select ");
        put_key(table, "t", sql);
        buffer_printf(sql, " as key from %s as t where ", table->found->quoted);
        quality_put_live(table, "t", sql);
    }
    for (size_t i = 0; status == ODS_OK && i < rule->columns.count; i++) {
        const struct pg_column *from, *other;
        at += strspn(at, " ");
        size_t length = strcspn(at, " ,)");
        char *name = strndup(at, length);
        at += length + strcspn(at + length, ",)") + 1;
        status = name ? quality_column(table, rule->columns.items[i], &from, error)
                      : error_out_of_memory(error);
        if (status == ODS_OK)
            status = quality_column(to, name, &other, error);
        free(name);
        if (status != ODS_OK)
            break;
        buffer_printf(sql, " and t.%s is not null", from->quoted);
        buffer_printf(&equal, " and r.%s = t.%s", other->quoted, from->quoted);
    }
    if (status == ODS_OK) {
        buffer_printf(sql, " and not exists (select from %s as r where ", to->found->quoted);
        quality_put_live(to, "r", sql);
        buffer_printf(sql, "%s)", buffer_text(&equal));
        sql->failed |= equal.failed;
    }
    buffer_done(&equal);
    return status;
}

/* Rows that break the rule, by their keys. */
static enum ods_status put_rows(struct checking *checking, const struct quality_table *table,
                                const struct quality_rule *rule, struct buffer *sql,
                                struct error *error)
{
    enum ods_status status = ODS_OK;
    if (rule->check == QUALITY_UNIQUE)
        return put_unique(table, rule, sql, error);
    if (rule->check == QUALITY_REFERENCE)
        return put_reference(checking, table, rule, sql, error);
    buffer_puts(sql, "select ");
    put_key(table, "t", sql);
    buffer_printf(sql, " as key from %s as t where ", table->found->quoted);
    quality_put_live(table, "t", sql);
    buffer_puts(sql, " and ");
    status = put_broken(checking, table, rule, sql, error);
    return status;
}

enum ods_status quality_query(struct checking *checking, struct buffer *sql, int count,
                              const char *const *values, PGresult **rows, struct error *error)
{
    if (sql->failed)
        return error_out_of_memory(error);
    return conn_query(&checking->conn, buffer_text(sql), count, values, rows, error);
}

static enum ods_status count_rows(struct checking *checking, const struct quality_table *table,
                                  struct quality_result *result, struct error *error)
{
    struct buffer sql;
    PGresult *rows = NULL;
    bool single = quality_check_flies(result->rule->check);
    buffer_init(&sql);
    buffer_puts(&sql, "select pg_catalog.count(*), pg_catalog.count(*) filter (where ");
    enum ods_status status = single ? put_broken(checking, table, result->rule, &sql, error)
                                    : (buffer_puts(&sql, "false"), ODS_OK);
    buffer_printf(&sql, ") from %s as t where ", table->found->quoted);
    quality_put_live(table, "t", &sql);
    if (status == ODS_OK)
        status = quality_query(checking, &sql, 0, NULL, &rows, error);
    if (status == ODS_OK) {
        result->looked_at = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
        result->measured = strtod(PQgetvalue(rows, 0, 1), NULL);
    }
    PQclear(rows);
    buffer_done(&sql);
    return status;
}

static void keep_keys(struct quality_result *result, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows) && i < SHOWN_MAX; i++)
        buffer_printf(&result->keys, "%s%s", i ? "\n" : "", PQgetvalue(rows, i, 0));
}

/* How many of these rows break the rule still. */
static enum ods_status look_again(struct checking *checking, struct buffer *from,
                                  const PGresult *keys, PGresult **rows, struct error *error)
{
    struct buffer list, sql;
    buffer_init(&list);
    buffer_init(&sql);
    buffer_puts(&list, "{");
    for (int i = 0; i < PQntuples(keys); i++) {
        buffer_puts(&list, i ? ",\"" : "\"");
        for (const char *at = PQgetvalue(keys, i, 0); *at; at++) {
            if (*at == '"' || *at == '\\')
                buffer_puts(&list, "\\");
            buffer_add(&list, at, 1);
        }
        buffer_puts(&list, "\"");
    }
    buffer_puts(&list, "}");
    buffer_printf(&sql,
                  "select w.key from (%s) as w where w.key = any ($1::pg_catalog.text[])",
                  buffer_text(from));
    const char *values[] = {buffer_text(&list)};
    sql.failed |= from->failed || list.failed;
    enum ods_status status = quality_query(checking, &sql, 1, values, rows, error);
    buffer_done(&list);
    buffer_done(&sql);
    return status;
}

/* Rules about several rows: what breaks them may do so only until another change has come. */
static enum ods_status ask_twice(struct checking *checking, const struct quality_table *table,
                                 struct quality_result *result, struct error *error)
{
    const struct quality_settings *told = &checking->options->pipeline->quality;
    struct buffer from, sql;
    PGresult *rows = NULL, *again = NULL;
    buffer_init(&from);
    buffer_init(&sql);
    enum ods_status status = put_rows(checking, table, result->rule, &from, error);
    buffer_printf(&sql, "select w.key from (%s) as w limit %d", buffer_text(&from),
                  AGAIN_MAX + 1);
    sql.failed |= from.failed;
    if (status == ODS_OK)
        status = quality_query(checking, &sql, 0, NULL, &rows, error);
    int found = status == ODS_OK ? PQntuples(rows) : 0;
    if (found > 0 && found <= AGAIN_MAX && quality_pause(checking, told->settle_ms)) {
        status = look_again(checking, &from, rows, &again, error);
        found = status == ODS_OK ? PQntuples(again) : 0;
    }
    if (status == ODS_OK && found > AGAIN_MAX) {
        buffer_reset(&sql);
        buffer_printf(&sql, "select pg_catalog.count(*) from (%s) as w", buffer_text(&from));
        status = quality_query(checking, &sql, 0, NULL, &again, error);
        result->measured = status == ODS_OK ? strtod(PQgetvalue(again, 0, 0), NULL) : 0;
    } else {
        result->measured = found;
    }
    if (status == ODS_OK && found && !hides_key(table))
        keep_keys(result, again && found <= AGAIN_MAX ? again : rows);
    PQclear(rows);
    PQclear(again);
    buffer_done(&from);
    buffer_done(&sql);
    return status;
}

static enum ods_status find_keys(struct checking *checking, const struct quality_table *table,
                                 struct quality_result *result, struct error *error)
{
    struct buffer sql;
    PGresult *rows = NULL;
    buffer_init(&sql);
    enum ods_status status = put_rows(checking, table, result->rule, &sql, error);
    buffer_printf(&sql, " limit %d", SHOWN_MAX);
    if (status == ODS_OK)
        status = quality_query(checking, &sql, 0, NULL, &rows, error);
    if (status == ODS_OK)
        keep_keys(result, rows);
    PQclear(rows);
    buffer_done(&sql);
    return status;
}

enum ods_status quality_ask_rows(struct checking *checking, const struct quality_table *table,
                                 struct quality_result *result, struct error *error)
{
    const struct quality_rule *rule = result->rule;
    bool single = quality_check_flies(rule->check);
    result->counts = true;
    enum ods_status status = count_rows(checking, table, result, error);
    if (status == ODS_OK && !single)
        status = ask_twice(checking, table, result, error);
    if (status != ODS_OK)
        return status;
    result->has_measured = true;
    result->state = result->measured > (double) rule->allow ? QUALITY_FAILS : QUALITY_PASSES;
    snprintf(result->expected, sizeof result->expected, "at most %lld row%s",
             (long long) rule->allow, rule->allow == 1 ? "" : "s");
    if (result->measured > 0)
        snprintf(result->why, sizeof result->why, "%.0f of %lld row%s", result->measured,
                 (long long) result->looked_at, result->looked_at == 1 ? "" : "s");
    if (single && result->measured > 0 && !hides_key(table))
        status = find_keys(checking, table, result, error);
    return status;
}

enum ods_status quality_ask_count(struct checking *checking, const struct quality_table *table,
                                  struct quality_result *result, struct error *error)
{
    const struct quality_rule *rule = result->rule;
    if (!*rule->min && !*rule->max)
        return quality_ask_verify(checking, table, result, error);
    enum ods_status status = count_rows(checking, table, result, error);
    if (status != ODS_OK)
        return status;
    result->has_measured = true;
    result->measured = (double) result->looked_at;
    bool good = (!*rule->min || result->measured >= strtod(rule->min, NULL)) &&
                (!*rule->max || result->measured <= strtod(rule->max, NULL));
    result->state = good ? QUALITY_PASSES : QUALITY_FAILS;
    snprintf(result->expected, sizeof result->expected, "%s%.100s%s%.100s rows",
             *rule->min ? "from " : "", rule->min, *rule->max ? " to " : "", rule->max);
    if (!good)
        snprintf(result->why, sizeof result->why, "the table has %.0f rows", result->measured);
    return ODS_OK;
}
