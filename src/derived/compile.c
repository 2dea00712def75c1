/* See compile.h. */
#include "derived/compile.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/quote.h"

void compile_literal(struct buffer *sql, const char *text)
{
    buffer_puts(sql, strchr(text, '\\') ? " E'" : "'");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            buffer_add(sql, text, 1);
        buffer_add(sql, text, 1);
    }
    buffer_puts(sql, "'");
}

static void put_name(struct buffer *sql, const char *name)
{
    char *quoted = quote_name(name);
    buffer_puts(sql, quoted ? quoted : "");
    sql->failed |= !quoted;
    free(quoted);
}

static void put_names(struct buffer *sql, const struct strings *names)
{
    for (size_t i = 0; i < names->count; i++) {
        buffer_puts(sql, i ? ", " : "");
        put_name(sql, names->items[i]);
    }
}

/* a0, a1 and so on: the columns of the anchor. */
static void put_anchor(struct buffer *sql, const struct kept *kept)
{
    for (size_t i = 0; i < kept->settings->anchor.count; i++)
        buffer_printf(sql, "%sa%zu", i ? ", " : "", i);
}

const char *compile_anchor_type(const struct kept *kept, size_t index)
{
    return kept->columns[kept_column(kept, kept->settings->anchor.items[index])].bare;
}

void compile_keys(struct buffer *sql, const struct kept *kept, size_t index)
{
    buffer_printf(sql, "($1::text[])[%zu]::%s[]", index + 1, compile_anchor_type(kept, index));
}

/* --- marks to keys ---------------------------------------------------------------------------- */

/* From "changed" to the anchor. A query that begins with "with" stands in a select of its own. */
static void put_expansion(struct buffer *sql, const struct kept *kept,
                          const struct kept_source *source)
{
    if (*source->settings->keys)
        buffer_printf(sql, "select * from (%s\n) k", source->settings->keys);
    else
        buffer_puts(sql, "select * from changed");
    (void) kept;
}

/* e: the keys that the marks of one table lead to. */
static void put_marked(struct buffer *sql, const struct kept *kept,
                       const struct kept_source *source)
{
    const struct strings *by = &source->settings->by;
    buffer_puts(sql, "select * from (with changed as materialized (select distinct u.* from taken "
                     "m, unnest(");
    for (size_t i = 0; i < by->count; i++)
        buffer_printf(sql, "%sm.keys[%zu]::%s[]", i ? ", " : "", i + 1, source->types[i]);
    buffer_puts(sql, ") as u (");
    put_names(sql, by);
    buffer_puts(sql, ") where m.source = ");
    compile_literal(sql, source->settings->name);
    buffer_puts(sql, ") ");
    put_expansion(sql, kept, source);
    buffer_puts(sql, ") as e (");
    put_anchor(sql, kept);
    buffer_puts(sql, ")");
}

void compile_every(struct buffer *sql, const struct kept *kept)
{
    buffer_puts(sql, "select ");
    put_names(sql, &kept->settings->anchor);
    buffer_printf(sql, " from %s", kept->quoted);
    for (size_t i = 0; i < kept->settings->source_count; i++) {
        const struct kept_source *source = &kept->sources[i];
        buffer_puts(sql, " union all select * from (with changed as (select distinct ");
        put_names(sql, &source->settings->by);
        buffer_printf(sql, " from %s) ", source->quoted);
        put_expansion(sql, kept, source);
        buffer_puts(sql, ") as e");
    }
}

/* found: the distinct keys that "taken" leads to. */
static void put_found(struct buffer *sql, const struct kept *kept)
{
    const struct derived_settings *settings = kept->settings;
    buffer_puts(sql, "found as (select distinct ");
    for (size_t i = 0; i < settings->anchor.count; i++)
        buffer_printf(sql, "%sz.a%zu::%s as a%zu", i ? ", " : "", i, compile_anchor_type(kept, i),
                      i);
    buffer_puts(sql, " from (");
    for (size_t i = 0; i < settings->source_count; i++) {
        buffer_puts(sql, i ? " union all " : "");
        put_marked(sql, kept, &kept->sources[i]);
    }
    buffer_puts(sql, " union all select * from (");
    compile_every(sql, kept);
    buffer_puts(sql, ") as e where (select coalesce(bool_or(t.keys is null), false) from taken t)) "
                     "as z (");
    put_anchor(sql, kept);
    buffer_puts(sql, ") where ");
    for (size_t i = 0; i < settings->anchor.count; i++)
        buffer_printf(sql, "%sz.a%zu is not null", i ? " and " : "", i);
    buffer_puts(sql, ")");
}

static void put_take(struct buffer *sql, const struct kept *kept)
{
    const size_t count = kept->settings->anchor.count;
    buffer_printf(sql, "with taken as materialized (delete from %s.derived_marks where derived = ",
                  kept->own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, " returning source, keys), ");
    put_found(sql, kept);
    buffer_puts(sql, ", numbered as (select ");
    put_anchor(sql, kept);
    buffer_puts(sql, ", (row_number() over (order by ");
    put_anchor(sql, kept);
    buffer_printf(sql, ") - 1) / %lld as part from found), parts as materialized (select part, "
                       "array[",
                  (long long) kept->settings->max_keys);
    for (size_t i = 0; i < count; i++) {
        buffer_printf(sql, "%sarray_agg(a%zu order by ", i ? ", " : "", i);
        put_anchor(sql, kept);
        buffer_puts(sql, ")::text");
    }
    buffer_printf(sql, "] as keys, count(*) as count from numbered group by part), put as (insert "
                       "into %s.derived_todo (derived, keys, count) select ",
                  kept->own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, ", keys, count from parts where part > 0 order by part) "
                     "select keys, count from parts where part = 0");
}

static void put_look(struct buffer *sql, const struct kept *kept)
{
    buffer_printf(sql, "taken as materialized (select source, keys from %s.derived_marks where "
                       "derived = ",
                  kept->own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, "), ");
    put_found(sql, kept);
}

/* --- computing -------------------------------------------------------------------------------- */

/* "… = any ($1) and …": the rows of the keys, by the anchor's columns behind `prefix`. */
static void put_restriction(struct buffer *sql, const struct kept *kept, const char *prefix)
{
    const struct strings *anchor = &kept->settings->anchor;
    for (size_t i = 0; i < anchor->count; i++) {
        buffer_printf(sql, "%s%s.", i ? " and " : "", prefix);
        put_name(sql, anchor->items[i]);
        buffer_puts(sql, " = any (");
        compile_keys(sql, kept, i);
        buffer_puts(sql, ")");
    }
    if (anchor->count < 2)
        return;
    buffer_puts(sql, " and (");
    for (size_t i = 0; i < anchor->count; i++) {
        buffer_printf(sql, "%s%s.", i ? ", " : "", prefix);
        put_name(sql, anchor->items[i]);
    }
    buffer_puts(sql, ") in (select * from unnest(");
    for (size_t i = 0; i < anchor->count; i++) {
        buffer_puts(sql, i ? ", " : "");
        compile_keys(sql, kept, i);
    }
    buffer_puts(sql, "))");
}

/* The whole row as one value: bytes are compared, whatever equality its types have. */
static void put_record(struct buffer *sql, const struct kept *kept, char side)
{
    buffer_puts(sql, ", row(");
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(sql, "%s%c.%s", i ? ", " : "", side, kept->columns[i].quoted);
    buffer_puts(sql, ") as r");
}

void compile_sides(struct buffer *sql, const struct kept *kept)
{
    const struct strings *key = &kept->settings->key;
    buffer_puts(sql, "q as materialized (select true as here, count(*) over (partition by ");
    for (size_t i = 0; i < key->count; i++)
        buffer_printf(sql, "%sq.%s", i ? ", " : "",
                      kept->columns[kept_column(kept, key->items[i])].quoted);
    buffer_puts(sql, ") as n");
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(sql, ", q.%s as c%zu", kept->columns[i].quoted, i);
    put_record(sql, kept, 'q');
    buffer_printf(sql, " from (%s\n) q where ", kept->query);
    put_restriction(sql, kept, "q");
    buffer_puts(sql, "), d as materialized (select true as here");
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(sql, ", d.%s as c%zu", kept->columns[i].quoted, i);
    put_record(sql, kept, 'd');
    buffer_printf(sql, " from %s d where ", kept->quoted);
    put_restriction(sql, kept, "d");
    buffer_puts(sql, ")");
}

static void put_list(struct buffer *sql, const struct kept *kept, const char *prefix)
{
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(sql, "%s%s%zu", i ? ", " : "", prefix, i);
}

void compile_differences(struct buffer *sql, const struct kept *kept)
{
    const struct strings *key = &kept->settings->key;
    buffer_puts(sql, "from q full join d on ");
    for (size_t i = 0; i < key->count; i++) {
        int column = kept_column(kept, key->items[i]);
        buffer_printf(sql, "%sq.c%d = d.c%d", i ? " and " : "", column, column);
    }
    buffer_puts(sql, " where q.here is null or d.here is null or q.n > 1 or q.r "
                     "operator(pg_catalog.*<>) d.r");
}

/* A row as JSON: x.q0 or x.d0 and so on, by the columns' names. */
static void put_json(struct buffer *sql, const struct kept *kept, char side)
{
    buffer_puts(sql, "(select to_json(r) from (select ");
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(sql, "%sx.%c%zu as %s", i ? ", " : "", side, i, kept->columns[i].quoted);
    buffer_puts(sql, ") r)");
}

static void put_outbox(struct buffer *sql, const struct kept *kept)
{
    const struct strings *key = &kept->settings->key;
    buffer_printf(sql, ", sent as (insert into %s.outbox (name, op, key, before, after) select ",
                  kept->own);
    compile_literal(sql, kept->settings->name);
    buffer_puts(sql, ", x.op, jsonb_build_object(");
    for (size_t i = 0; i < key->count; i++) {
        int column = kept_column(kept, key->items[i]);
        buffer_puts(sql, i ? ", " : "");
        compile_literal(sql, key->items[i]);
        buffer_printf(sql, ", coalesce(x.q%d, x.d%d)", column, column);
    }
    buffer_puts(sql, "), case when x.op <> 'c' then ");
    put_json(sql, kept, 'd');
    buffer_puts(sql, " end, case when x.op <> 'd' then ");
    put_json(sql, kept, 'q');
    buffer_puts(sql, " end from x order by ");
    for (size_t i = 0; i < key->count; i++) {
        int column = kept_column(kept, key->items[i]);
        buffer_printf(sql, "%scoalesce(x.q%d, x.d%d)", i ? ", " : "", column, column);
    }
    buffer_puts(sql, ")");
}

/* Marks for a derived table that depends on this one. */
static void put_passed_on(struct buffer *sql, const struct kept *kept,
                          const struct derived_settings *derived,
                          const struct derived_source *source, size_t number)
{
    buffer_printf(sql, ", marked%zu as (insert into %s.derived_marks (derived, source, keys) "
                       "select ",
                  number, kept->own);
    compile_literal(sql, derived->schema);
    buffer_puts(sql, "||'.'||");
    compile_literal(sql, derived->table);
    buffer_puts(sql, ", ");
    compile_literal(sql, source->name);
    buffer_puts(sql, ", array[");
    for (size_t i = 0; i < source->by.count; i++)
        buffer_printf(sql, "%sarray_agg(b%zu)::text", i ? ", " : "", i);
    buffer_puts(sql, "] from (");
    for (size_t side = 0; side < 2; side++) {
        buffer_puts(sql, side ? " union select " : "select ");
        for (size_t i = 0; i < source->by.count; i++)
            buffer_printf(sql, "%sx.%c%d as b%zu", i ? ", " : "", side ? 'q' : 'd',
                          kept_column(kept, source->by.items[i]), i);
        buffer_printf(sql, " from x where x.op <> '%c'", side ? 'd' : 'c');
    }
    buffer_puts(sql, ") r having count(*) > 0)");
}

static void put_passed_on_all(struct buffer *sql, const struct kept *kept)
{
    const struct derived_settings *own = kept->settings;
    for (size_t i = 0, number = 0; i < kept->all_count; i++)
        for (size_t j = 0; j < kept->all[i].source_count; j++) {
            const struct derived_source *source = &kept->all[i].sources[j];
            bool here = source->derived && strcmp(kept->all[i].target, own->target) == 0 &&
                        strcmp(source->schema, own->schema) == 0 &&
                        strcmp(source->table, own->table) == 0;
            for (size_t k = 0; here && k < source->by.count; k++)
                here = kept_column(kept, source->by.items[k]) >= 0;
            if (here)
                put_passed_on(sql, kept, &kept->all[i], source, number++);
        }
}

static void put_write(struct buffer *sql, const struct kept *kept)
{
    const struct strings *key = &kept->settings->key;
    buffer_printf(sql, ", gone as (delete from %s t using x where x.op = 'd'", kept->quoted);
    for (size_t i = 0; i < key->count; i++) {
        int column = kept_column(kept, key->items[i]);
        buffer_printf(sql, " and t.%s = x.d%d", kept->columns[column].quoted, column);
    }
    buffer_printf(sql, "), put as (insert into %s (", kept->quoted);
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(sql, "%s%s", i ? ", " : "", kept->columns[i].quoted);
    buffer_puts(sql, ") select ");
    put_list(sql, kept, "x.q");
    buffer_puts(sql, " from x where x.op <> 'd' on conflict (");
    put_names(sql, key);
    buffer_puts(sql, ") do update set ");
    bool any = false;
    for (size_t i = 0; i < kept->column_count; i++) {
        buffer_printf(sql, "%s%s = excluded.%s", any ? ", " : "", kept->columns[i].quoted,
                      kept->columns[i].quoted);
        any = true;
    }
    buffer_puts(sql, ")");
}

static void put_compute(struct buffer *sql, const struct kept *kept)
{
    buffer_puts(sql, "with ");
    compile_sides(sql, kept);
    buffer_puts(sql, ", x as materialized (select case when d.here is null then 'c' when q.here is "
                     "null then 'd' else 'u' end as op");
    for (size_t i = 0; i < kept->column_count; i++)
        buffer_printf(sql, ", q.c%zu as q%zu, d.c%zu as d%zu", i, i, i, i);
    buffer_puts(sql, " ");
    compile_differences(sql, kept);
    buffer_puts(sql, ")");
    put_write(sql, kept);
    if (kept->settings->outbox)
        put_outbox(sql, kept);
    put_passed_on_all(sql, kept);
    buffer_puts(sql, " select count(*) filter (where op = 'c'), count(*) filter (where op = 'u'), "
                     "count(*) filter (where op = 'd') from x");
}

static void put_halve(struct buffer *sql, const struct kept *kept)
{
    for (int half = 0; half < 2; half++) {
        buffer_puts(sql, half ? ", array[" : "select array[");
        for (size_t i = 0; i < kept->settings->anchor.count; i++) {
            buffer_puts(sql, i ? ", ((" : "((");
            compile_keys(sql, kept, i);
            buffer_puts(sql, half ? ")[$2::int + 1:])::text" : ")[1:$2::int])::text");
        }
        buffer_puts(sql, "]");
    }
}

static void put_heal(struct buffer *sql, const struct kept *kept)
{
    const struct strings *anchor = &kept->settings->anchor;
    buffer_printf(sql, "delete from %s.derived_errors where derived = ", kept->own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, " and key in (select jsonb_build_object(");
    for (size_t i = 0; i < anchor->count; i++) {
        buffer_puts(sql, i ? ", " : "");
        compile_literal(sql, anchor->items[i]);
        buffer_printf(sql, ", k.a%zu", i);
    }
    buffer_puts(sql, ") from unnest(");
    for (size_t i = 0; i < anchor->count; i++) {
        buffer_puts(sql, i ? ", " : "");
        compile_keys(sql, kept, i);
    }
    buffer_puts(sql, ") as k (");
    put_anchor(sql, kept);
    buffer_puts(sql, "))");
}

/* Nothing of any derived table below waits; circles are refused, so this ends. */
static void put_below(struct buffer *sql, const struct kept *kept,
                      const struct derived_settings *derived)
{
    for (size_t i = 0; i < derived->source_count; i++) {
        const struct derived_source *source = &derived->sources[i];
        if (!source->derived)
            continue;
        for (int todo = 0; todo < 2; todo++) {
            buffer_printf(sql, " and not exists (select from %s.derived_%s t where t.derived = ",
                          kept->own, todo ? "todo" : "marks");
            compile_literal(sql, source->schema);
            buffer_puts(sql, "||'.'||");
            compile_literal(sql, source->table);
            buffer_puts(sql, ")");
        }
        for (size_t k = 0; k < kept->all_count; k++)
            if (strcmp(kept->all[k].target, derived->target) == 0 &&
                strcmp(kept->all[k].schema, source->schema) == 0 &&
                strcmp(kept->all[k].table, source->table) == 0)
                put_below(sql, kept, &kept->all[k]);
    }
}

/* The table is exact in this snapshot when nothing of it waits, nor of a derived table below it. */
static void put_finish(struct buffer *sql, const struct kept *kept)
{
    const char *own = kept->own;
    buffer_printf(
        sql,
        "update %s.derived d set passes = d.passes + $1::int, problem = null, fresh_at = case when "
        "x.exact then transaction_timestamp() else d.fresh_at end, offsets = case when x.exact "
        "then o.offsets else d.offsets end from (select not exists (select from %s.derived_todo t "
        "where t.derived = d2.name)",
        own, own);
    put_below(sql, kept, kept->settings);
    buffer_printf(
        sql,
        " as exact, d2.name from %s.derived d2) x, (select jsonb_object_agg(g, topics) as offsets "
        "from (select g, jsonb_object_agg(topic, partitions) as topics from (select consumer_group "
        "as g, topic, jsonb_object_agg(partition, next_offset) as partitions from %s.offsets group "
        "by 1, 2) a group by 1) b) o where d.name = ",
        own, own);
    compile_literal(sql, kept->name);
    buffer_puts(sql, " and x.name = d.name and ($1::int > 0 or d.problem is not null or (x.exact "
                     "and (d.offsets is distinct from o.offsets or d.fresh_at is null or "
                     "d.fresh_at < now() - interval '10 s')))");
}

static char *made(struct buffer *sql, bool *failed)
{
    char *text = sql->failed ? NULL : strdup(buffer_text(sql));
    *failed |= !text;
    buffer_reset(sql);
    return text;
}

enum ods_status compile(struct kept *kept, struct error *error)
{
    static const struct {
        void (*put)(struct buffer *sql, const struct kept *kept);
        size_t offset;
    } statements[] = {
        {put_take, offsetof(struct kept, take)},   {put_compute, offsetof(struct kept, compute)},
        {put_halve, offsetof(struct kept, halve)}, {put_heal, offsetof(struct kept, heal)},
        {put_look, offsetof(struct kept, look)},   {put_finish, offsetof(struct kept, finish)},
    };
    struct buffer sql;
    bool failed = false;
    buffer_init(&sql);
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++) {
        char **text = (char **) ((char *) kept + statements[i].offset);
        statements[i].put(&sql, kept);
        free(*text);
        *text = made(&sql, &failed);
    }
    buffer_done(&sql);
    return failed ? error_out_of_memory(error) : ODS_OK;
}
