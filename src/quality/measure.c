/* What is measured of a table as such: its columns, its age, its changes of an hour. See room.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quality/room.h"

#define LEAST_ROWS 10 /* a volume that is off by fewer is none */

/* --- schema ----------------------------------------------------------------------------------- */

static void put_facts(const struct quality_table *table, struct buffer *facts)
{
    for (uint32_t i = 0; i < table->found->column_count; i++)
        buffer_printf(facts, "%s %s\n", table->found->columns[i].name,
                      table->found->columns[i].declared);
    for (size_t i = 0; i < table->found->unique_count; i++) {
        const struct pg_unique *unique = &table->found->uniques[i];
        if (!unique->primary)
            continue;
        buffer_puts(facts, "primary key (");
        for (uint16_t k = 0; k < unique->count; k++)
            buffer_printf(facts, "%s%s", k ? ", " : "",
                          table->found->columns[unique->columns[k]].name);
        buffer_puts(facts, ")\n");
    }
}

static bool has_line(const char *text, const char *line, size_t length)
{
    for (const char *at = text; *at;) {
        size_t here = strcspn(at, "\n");
        if (here == length && memcmp(at, line, length) == 0)
            return true;
        at += here + (at[here] == '\n');
    }
    return false;
}

/* Lines of one text that the other does not have. */
static void put_lines(struct buffer *why, const char *sign, const char *text, const char *other)
{
    for (const char *at = text; *at;) {
        size_t length = strcspn(at, "\n");
        if (length && !has_line(other, at, length))
            buffer_printf(why, "%s%s%.*s", why->length ? "; " : "", sign, (int) length, at);
        at += length + (at[length] == '\n');
    }
}

/* Is the type the one that is expected, in whatever of its names? */
static enum ods_status same_type(struct checking *checking, const struct pg_column *column,
                                 const char *wanted, bool *same, struct error *error)
{
    const char *mine = strchr(column->declared, '('), *theirs = strchr(wanted, '(');
    const char *values[] = {wanted};
    PGresult *rows = NULL;
    *same = strcmp(wanted, "any") == 0 || strcmp(wanted, column->declared) == 0;
    if (*same || (theirs && (!mine || strcmp(mine, theirs) != 0)))
        return ODS_OK;
    enum ods_status status = conn_query(
        &checking->conn, "select pg_catalog.format_type(pg_catalog.to_regtype($1), null)", 1,
        values, &rows, error);
    if (status == ODS_OK)
        *same = strcmp(PQgetvalue(rows, 0, 0), column->cast) == 0;
    PQclear(rows);
    return status;
}

static enum ods_status look_at_types(struct checking *checking, const struct quality_table *table,
                                     const struct quality_rule *rule, struct buffer *why,
                                     struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < rule->types.count; i++) {
        const struct property *wanted = &rule->types.items[i];
        const struct pg_column *column;
        struct error missing;
        bool same = true;
        error_init(&missing);
        if (quality_column(table, wanted->name, &column, &missing) == ODS_OK)
            status = same_type(checking, column, wanted->value, &same, error);
        else
            buffer_printf(why, "%scolumn %s is missing", why->length ? "; " : "", wanted->name);
        if (!same)
            buffer_printf(why, "%scolumn %s is %s and not %s", why->length ? "; " : "",
                          wanted->name, column->declared, wanted->value);
    }
    return status;
}

/* Columns that neither the rule nor the sink itself names. */
static void look_at_others(struct checking *checking, const struct quality_table *table,
                           const struct quality_rule *rule, struct buffer *why)
{
    for (uint32_t i = 0; !rule->others && i < table->found->column_count; i++) {
        const struct pg_column *column = &table->found->columns[i];
        bool named = strcmp(column->name, table->settings->cdc_operation) == 0 ||
                     strcmp(column->name, table->settings->cdc_timestamp) == 0 ||
                     strcmp(column->name, checking->options->pipeline->quality.mark) == 0;
        for (size_t k = 0; !named && k < rule->types.count; k++) {
            const struct pg_column *known;
            struct error ignored;
            error_init(&ignored);
            named = quality_column(table, rule->types.items[k].name, &known, &ignored) == ODS_OK &&
                    known == column;
        }
        if (!named)
            buffer_printf(why, "%scolumn %s is not expected", why->length ? "; " : "",
                          column->name);
    }
}

static void look_at_key(const struct quality_table *table, const struct quality_rule *rule,
                        const char *facts, struct buffer *why)
{
    struct buffer line;
    buffer_init(&line);
    buffer_puts(&line, "primary key (");
    for (size_t i = 0; i < rule->key.count; i++) {
        const struct pg_column *column = NULL;
        struct error ignored;
        error_init(&ignored);
        quality_column(table, rule->key.items[i], &column, &ignored);
        buffer_printf(&line, "%s%s", i ? ", " : "", column ? column->name : rule->key.items[i]);
    }
    buffer_puts(&line, ")");
    if (rule->key.count && !has_line(facts, buffer_text(&line), line.length))
        buffer_printf(why, "%sthe table has no %s", why->length ? "; " : "", buffer_text(&line));
    buffer_done(&line);
}

enum ods_status quality_ask_schema(struct checking *checking, const struct quality_table *table,
                                   struct quality_result *result, struct error *error)
{
    const struct quality_rule *rule = result->rule;
    struct buffer why;
    char *before = NULL;
    buffer_init(&why);
    put_facts(table, &result->facts);
    enum ods_status status = look_at_types(checking, table, rule, &why, error);
    look_at_others(checking, table, rule, &why);
    look_at_key(table, rule, buffer_text(&result->facts), &why);
    if (status == ODS_OK && rule->drift)
        status = quality_store_facts(checking->options->store, rule->name, result->target, &before,
                                     error);
    if (before && strcmp(before, buffer_text(&result->facts)) != 0) {
        put_lines(&why, "since the last run there is ", buffer_text(&result->facts), before);
        put_lines(&why, "since the last run there is no more ", before,
                  buffer_text(&result->facts));
        if (!why.length)
            buffer_puts(&why, "the order of columns is another one than at the last run");
    }
    result->state = why.length ? QUALITY_FAILS : QUALITY_PASSES;
    snprintf(result->expected, sizeof result->expected, "%zu columns%s", rule->types.count,
             rule->drift ? ", no drift" : "");
    snprintf(result->why, sizeof result->why, "%s", why.length ? buffer_text(&why) : "");
    free(before);
    buffer_done(&why);
    return status;
}

/* --- times ------------------------------------------------------------------------------------ */

static enum ods_status timestamp_of(const struct quality_table *table,
                                    const struct pg_column **column, struct error *error)
{
    for (uint32_t i = 0; i < table->found->column_count; i++)
        if (*table->settings->cdc_timestamp &&
            strcmp(table->found->columns[i].name, table->settings->cdc_timestamp) == 0) {
            *column = &table->found->columns[i];
            return ODS_OK;
        }
    return error_set(error, ODS_REJECT, "table %s.%s has no column for the time of a change "
                     "(cdc_timestamp)", table->target_schema, table->target_name);
}

enum ods_status quality_ask_freshness(struct checking *checking,
                                      const struct quality_table *table,
                                      struct quality_result *result, struct error *error)
{
    const struct quality_rule *rule = result->rule;
    const struct pg_column *column = NULL;
    PGresult *rows = NULL;
    struct buffer sql;
    enum ods_status status = timestamp_of(table, &column, error);
    if (status != ODS_OK)
        return status;
    buffer_init(&sql);
    buffer_printf(&sql,
                  "select extract(epoch from pg_catalog.clock_timestamp() - "
                  "pg_catalog.max(t.%s)::pg_catalog.timestamptz) from %s as t",
                  column->quoted, table->found->quoted);
    status = quality_query(checking, &sql, 0, NULL, &rows, error);
    buffer_done(&sql);
    if (status == ODS_OK && PQgetisnull(rows, 0, 0)) {
        status = error_set(error, ODS_REJECT, "no row of the table has a time");
    } else if (status == ODS_OK) {
        double most = (double) rule->within_ms / 1000;
        result->has_measured = true;
        result->measured = strtod(PQgetvalue(rows, 0, 0), NULL);
        result->state = result->measured > most ? QUALITY_FAILS : QUALITY_PASSES;
        snprintf(result->expected, sizeof result->expected, "at most %.0f s", most);
        if (result->state == QUALITY_FAILS)
            snprintf(result->why, sizeof result->why, "the newest change is %.0f s old",
                     result->measured);
    }
    PQclear(rows);
    return status;
}

static enum ods_status count_hour(struct checking *checking, const struct quality_table *table,
                                  struct quality_result *result, struct error *error)
{
    const struct pg_column *column = NULL;
    PGresult *rows = NULL;
    struct buffer sql;
    enum ods_status status = timestamp_of(table, &column, error);
    if (status != ODS_OK)
        return status;
    buffer_init(&sql);
    buffer_printf(&sql,
                  "select pg_catalog.count(t.%s), h.hour from (select pg_catalog.date_trunc("
                  "'hour', pg_catalog.now()) - interval '1 hour' as hour) as h left join %s as t "
                  "on t.%s >= h.hour::%s and t.%s < (h.hour + interval '1 hour')::%s "
                  "group by h.hour",
                  column->quoted, table->found->quoted, column->quoted, column->cast,
                  column->quoted, column->cast);
    status = quality_query(checking, &sql, 0, NULL, &rows, error);
    buffer_done(&sql);
    if (status == ODS_OK) {
        result->has_measured = true;
        result->measured = strtod(PQgetvalue(rows, 0, 0), NULL);
        snprintf(result->hour, sizeof result->hour, "%s", PQgetvalue(rows, 0, 1));
    }
    PQclear(rows);
    return status;
}

enum ods_status quality_ask_volume(struct checking *checking, const struct quality_table *table,
                                   struct quality_result *result, struct error *error)
{
    const struct quality_rule *rule = result->rule;
    double median = 0;
    int64_t weeks = 0;
    enum ods_status status = count_hour(checking, table, result, error);
    if (status == ODS_OK)
        status = quality_store_hours(checking->options->store, rule, result->target, result->hour,
                                     &median, &weeks, error);
    if (status != ODS_OK)
        return status;
    double room = median * (double) rule->tolerance / 100;
    room = room > LEAST_ROWS ? room : LEAST_ROWS;
    bool off = weeks >= 2 && fabs(result->measured - median) > room;
    result->state = off ? QUALITY_FAILS : QUALITY_PASSES;
    if (weeks < 2) {
        snprintf(result->expected, sizeof result->expected, "not known yet");
        snprintf(result->why, sizeof result->why,
                 "%lld of the weeks before have counted this hour, and 2 are needed",
                 (long long) weeks);
        return ODS_OK;
    }
    snprintf(result->expected, sizeof result->expected, "%.0f, give or take %.0f", median, room);
    if (off)
        snprintf(result->why, sizeof result->why,
                 "%.0f rows changed in the hour from %s; the median of %lld weeks is %.0f",
                 result->measured, result->hour, (long long) weeks, median);
    return ODS_OK;
}
