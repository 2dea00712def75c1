/* See explain.h. Plans are made for any keys, without sequential scans, hash and merge joins: what
 * still reads a table whole has no index that it could use. */
#include "derived/explain.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "derived/compile.h"
#include "sink/postgres/wire/quote.h"

struct finder {
    const char *what; /* which statement it is */
    const struct kept *kept;
    void (*report)(void *context, const char *line);
    void *context;
};

static const char *member(const json_t *node, const char *name)
{
    const char *text = json_string_value(json_object_get(node, name));
    return text ? text : "";
}

static size_t name_length(const char *at)
{
    size_t length = 0;
    if (*at == '"')
        return strcspn(at + 1, "\"") + 2;
    while (isalnum((unsigned char) at[length]) || at[length] == '_' || at[length] == '$')
        length++;
    return length;
}

/* The column of the node's table in a condition: behind its alias. */
static bool find_column(const char *condition, const char *alias, char *column, size_t size)
{
    char prefix[140];
    snprintf(prefix, sizeof prefix, "%.120s.", alias);
    const char *at = strstr(condition, prefix);
    if (!at)
        return false;
    at += strlen(prefix);
    size_t length = name_length(at);
    if (!length || length >= size)
        return false;
    memcpy(column, at, length);
    column[length] = '\0';
    return true;
}

/* Conditions of the nodes above name the columns by which this one should be found. */
struct above {
    const json_t *node;
    const struct above *next;
};

static bool find_index(const json_t *node, const struct above *above, char *column, size_t size)
{
    static const char *const names[] = {"Join Filter", "Hash Cond", "Merge Cond", "Filter"};
    const char *alias = member(node, "Alias");
    if (find_column(member(node, "Filter"), alias, column, size))
        return true;
    for (; above; above = above->next)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            if (find_column(member(above->node, names[i]), alias, column, size))
                return true;
    return false;
}

static void tell(const struct finder *finder, const json_t *node, const struct above *above)
{
    char column[130], line[900];
    const char *schema = member(node, "Schema"), *table = member(node, "Relation Name");
    char *quoted_schema = quote_name(schema), *quoted = quote_name(table);
    if (find_index(node, above, column, sizeof column))
        snprintf(line, sizeof line,
                 "warning: derived table %s: %s reads all of %s.%s; if it is large: create index "
                 "concurrently on %s.%s (%s)",
                 finder->kept->name, finder->what, schema, table,
                 quoted_schema ? quoted_schema : "", quoted ? quoted : "", column);
    else
        snprintf(line, sizeof line, "warning: derived table %s: %s reads all of %s.%s",
                 finder->kept->name, finder->what, schema, table);
    free(quoted_schema);
    free(quoted);
    finder->report(finder->context, line);
}

static bool reads_all(const json_t *node)
{
    const char *type = member(node, "Node Type");
    bool index = strcmp(type, "Index Scan") == 0 || strcmp(type, "Index Only Scan") == 0;
    return strcmp(type, "Seq Scan") == 0 || (index && !*member(node, "Index Cond"));
}

static void walk(const struct finder *finder, const json_t *node, const struct above *above)
{
    const struct above here = {node, above};
    size_t index;
    json_t *child;
    if (reads_all(node))
        tell(finder, node, above);
    json_array_foreach(json_object_get(node, "Plans"), index, child)
        walk(finder, child, &here);
}

static enum ods_status explain(const struct finder *finder, struct conn *conn, const char *sql,
                               size_t parameters, struct error *error)
{
    struct buffer text;
    PGresult *rows = NULL;
    buffer_init(&text);
    buffer_printf(&text, "prepare ods_plan as %s", sql);
    enum ods_status status = text.failed ? error_out_of_memory(error)
                                         : conn_script(conn, buffer_text(&text), error);
    buffer_reset(&text);
    buffer_puts(&text, "explain (format json, verbose) execute ods_plan (");
    for (size_t i = 0; i < parameters; i++)
        buffer_puts(&text, i ? ", null" : "null");
    buffer_puts(&text, ")");
    if (status == ODS_OK)
        status = conn_query(conn, buffer_text(&text), 0, NULL, &rows, error);
    json_t *plans = status == ODS_OK ? json_loads(PQgetvalue(rows, 0, 0), 0, NULL) : NULL;
    if (plans)
        walk(finder, json_object_get(json_array_get(plans, 0), "Plan"), NULL);
    json_decref(plans);
    PQclear(rows);
    buffer_done(&text);
    if (conn->pg)
        conn_script(conn, "deallocate all", NULL);
    return status;
}

/* From marks of one table to keys. */
static enum ods_status explain_source(const struct kept *kept, struct conn *conn,
                                      const struct kept_source *source, struct finder *finder,
                                      struct error *error)
{
    const struct strings *by = &source->settings->by;
    struct buffer sql;
    char what[200];
    if (!*source->settings->keys)
        return ODS_OK;
    snprintf(what, sizeof what, "`keys` of %.120s", source->settings->name);
    finder->what = what;
    buffer_init(&sql);
    buffer_puts(&sql, "with changed as materialized (select * from unnest(");
    for (size_t i = 0; i < by->count; i++)
        buffer_printf(&sql, "%s$%zu::%s[]", i ? ", " : "", i + 1, source->types[i]);
    buffer_puts(&sql, ") as u (");
    for (size_t i = 0; i < by->count; i++) {
        char *quoted = quote_name(by->items[i]);
        buffer_printf(&sql, "%s%s", i ? ", " : "", quoted ? quoted : "");
        free(quoted);
    }
    buffer_printf(&sql, ")) select * from (%s\n) k", source->settings->keys);
    enum ods_status status = sql.failed
                                 ? error_out_of_memory(error)
                                 : explain(finder, conn, buffer_text(&sql), by->count, error);
    finder->what = ""; /* the text ends here */
    if (status != ODS_OK && status != ODS_RETRY)
        error_prefix(error, "`keys`: ");
    buffer_done(&sql);
    return status;
}

static enum ods_status explain_query(const struct kept *kept, struct conn *conn,
                                     struct finder *finder, struct error *error)
{
    const struct strings *anchor = &kept->settings->anchor;
    struct buffer sql;
    finder->what = "its query for some keys";
    buffer_init(&sql);
    buffer_printf(&sql, "select * from (%s\n) q where ", kept->query);
    for (size_t i = 0; i < anchor->count; i++)
        buffer_printf(&sql, "%sq.%s = any ($%zu::%s[])", i ? " and " : "",
                      kept->columns[kept_column(kept, anchor->items[i])].quoted, i + 1,
                      compile_anchor_type(kept, i));
    enum ods_status status = sql.failed
                                 ? error_out_of_memory(error)
                                 : explain(finder, conn, buffer_text(&sql), anchor->count, error);
    buffer_done(&sql);
    return status;
}

enum ods_status explain_plans(struct kept *kept, struct conn *conn,
                              void (*report)(void *context, const char *line), void *context,
                              struct error *error)
{
    struct finder finder = {.kept = kept, .report = report, .context = context};
    enum ods_status status =
        conn_script(conn,
                    "set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = "
                    "off; set plan_cache_mode = force_generic_plan",
                    error);
    if (status == ODS_OK)
        status = explain_query(kept, conn, &finder, error);
    for (size_t i = 0; status == ODS_OK && i < kept->settings->source_count; i++)
        status = explain_source(kept, conn, &kept->sources[i], &finder, error);
    return status;
}
