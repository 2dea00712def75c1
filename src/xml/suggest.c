/* See suggest.h. */
#include "xml/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xml/names.h"

/* A column that comes out of the document. */
struct picked {
    const char *name; /* a name set's */
    const struct outline_node *node;
};

/* A table while it is put together: rows are elements, each in one of the level above. */
struct draft {
    const struct outline *outline;
    const struct suggest_base *base;
    const struct outline_node *rows[SUGGEST_LEVELS]; /* the root alone: one row a document */
    const char *ordinals[SUGGEST_LEVELS];            /* of the rows that repeat */
    size_t levels;
    const char *inner; /* the column that has a row's document, for the level below */
    bool repeats;
    struct name_set names;
    struct picked columns[SUGGEST_COLUMNS];
    size_t count;
};

/* --- columns --------------------------------------------------------------------------------- */

static const char *type_of(const struct outline_node *node)
{
    static const char *const types[] = {"boolean", "bigint", "numeric", "date", "timestamp",
                                        "timestamptz"};
    for (size_t i = 0; node->text && i < sizeof types / sizeof *types; i++)
        if (node->kinds & 1u << i)
            return types[i];
    return "text";
}

static bool is_typed(const struct outline_node *node)
{
    return strcmp(type_of(node), "text") != 0;
}

static bool has_value(const struct outline_node *node)
{
    return node->attribute || node->text || !node->child;
}

static bool repeats(const struct outline_node *node)
{
    return !node->attribute && node->most > 1;
}

static bool pick(struct draft *draft, const struct outline_node *node, struct suggested *suggested)
{
    bool own = node == draft->rows[draft->levels - 1];
    if (draft->count == SUGGEST_COLUMNS) {
        suggested->left_out++;
        return true;
    }
    const char *name = name_set_add(&draft->names, node->parent->name, own ? "value" : node->name);
    if (name)
        draft->columns[draft->count++] = (struct picked){name, node};
    return name != NULL;
}

/* All that a row has once, in the order of the document. The tree is as deep as its documents were
 * at most, OUTLINE_DEPTH. */
static bool pick_all(struct draft *draft, const struct outline_node *node,
                     struct suggested *suggested)
{
    bool fine = true;
    if (!repeats(node) || node == draft->rows[draft->levels - 1])
        fine = !has_value(node) || pick(draft, node, suggested);
    for (const struct outline_node *child = node->child; fine && child; child = child->next)
        if (!repeats(child))
            fine = pick_all(draft, child, suggested);
    return fine;
}

/* --- paths ----------------------------------------------------------------------------------- */

static void put_step(struct buffer *out, const struct outline *outline,
                     const struct outline_node *node)
{
    const char *prefix = outline_prefix(outline, node->uri);
    buffer_printf(out, "%s%s%s%s", node->attribute ? "@" : "", prefix, *prefix ? ":" : "",
                  node->name);
}

/* From `from`, which is not part of it, down to the node. */
static void put_path(struct buffer *out, const struct outline *outline,
                     const struct outline_node *from, const struct outline_node *node)
{
    const struct outline_node *steps[OUTLINE_DEPTH + 2];
    size_t count = 0;
    for (; node != from && count < OUTLINE_DEPTH + 2; node = node->parent)
        steps[count++] = node;
    if (!count)
        buffer_puts(out, ".");
    while (count--) {
        put_step(out, outline, steps[count]);
        if (count)
            buffer_puts(out, "/");
    }
}

static bool is_in(const struct outline_node *node, const struct outline_node *from, const char *uri)
{
    for (; node && node != from; node = node->parent)
        if (strcmp(node->uri, uri) == 0)
            return true;
    return false;
}

/* Is the namespace in a path of the level? */
static bool is_used(const struct draft *draft, size_t level, const char *uri)
{
    const struct outline_node *row = draft->rows[level];
    const struct outline_node *above = level ? draft->rows[level - 1]->parent : NULL;
    bool used = is_in(row, above, uri);
    for (size_t i = 0; level + 1 == draft->levels && !used && i < draft->count; i++)
        used = is_in(draft->columns[i].node, row, uri);
    return used;
}

static void put_namespaces(struct buffer *out, const struct draft *draft, size_t level)
{
    const char *before = "xmlnamespaces(";
    for (size_t i = 0; i < draft->outline->namespace_count; i++) {
        const struct outline_namespace *one = &draft->outline->namespaces[i];
        if (!is_used(draft, level, one->uri))
            continue;
        buffer_printf(out, "%s'", before);
        for (const char *at = one->uri; *at; at++)
            buffer_printf(out, *at == '\'' ? "''" : "%c", *at);
        buffer_puts(out, "' as ");
        suggest_put_name(out, one->prefix);
        before = ", ";
    }
    if (*before == ',')
        buffer_puts(out, "), ");
}

/* --- queries --------------------------------------------------------------------------------- */

void suggest_put_name(struct buffer *out, const char *name)
{
    size_t plain = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (*name && !name[plain] && !(*name >= '0' && *name <= '9') && !name_is_reserved(name)) {
        buffer_puts(out, name);
        return;
    }
    buffer_puts(out, "\"");
    for (; *name; name++)
        buffer_add(out, *name == '"' ? "\"\"" : name, *name == '"' ? 2 : 1);
    buffer_puts(out, "\"");
}

static void put_member(struct buffer *out, const char *of, unsigned number, const char *name)
{
    if (number)
        buffer_printf(out, "%s%u.", of, number);
    else
        buffer_printf(out, "%s.", of);
    suggest_put_name(out, name);
}

static void put_select(struct buffer *out, const struct draft *draft)
{
    buffer_puts(out, "select ");
    for (size_t i = 0; i < draft->base->key_count; i++) {
        buffer_puts(out, i ? ", " : "");
        put_member(out, "t", 0, draft->base->key[i]);
    }
    for (size_t i = 0; draft->repeats && i < draft->levels; i++) {
        buffer_puts(out, ", ");
        put_member(out, "x", (unsigned) i + 1, draft->ordinals[i]);
    }
    for (size_t i = 0; i < draft->count; i++) {
        const struct picked *column = &draft->columns[i];
        bool cast = is_typed(column->node) && column->node->empty;
        buffer_puts(out, (draft->base->key_count + i) % 6 == 5 ? ",\n       " : ", ");
        buffer_puts(out, cast ? "nullif(" : "");
        put_member(out, "x", (unsigned) draft->levels, column->name);
        if (cast) {
            buffer_printf(out, ", '')::%s as ", type_of(column->node));
            suggest_put_name(out, column->name);
        }
    }
}

/* An element that can be empty comes as text, of which '' is no number. */
static void put_columns(struct buffer *out, const struct draft *draft)
{
    for (size_t i = 0; i < draft->count; i++) {
        const struct picked *column = &draft->columns[i];
        buffer_puts(out, i || draft->repeats ? ",\n       " : "\n       ");
        suggest_put_name(out, column->name);
        buffer_printf(out, " %s path '",
                      column->node->empty ? "text" : type_of(column->node));
        put_path(out, draft->outline, draft->rows[draft->levels - 1], column->node);
        buffer_puts(out, "'");
    }
}

static void put_level(struct buffer *out, const struct draft *draft, size_t level)
{
    const struct outline_node *row = draft->rows[level];
    bool last = level + 1 == draft->levels;
    buffer_puts(out, ",\n     xmltable(");
    put_namespaces(out, draft, level);
    buffer_puts(out, "'/");
    put_path(out, draft->outline,
             level ? draft->rows[level - 1]->parent : &draft->outline->root, row);
    buffer_puts(out, level ? "' passing " : "' passing (");
    if (level)
        put_member(out, "x", (unsigned) level, draft->inner);
    else
        put_member(out, "t", 0, draft->base->column);
    buffer_puts(out, level ? " columns" : "::xml) columns");
    if (draft->repeats) {
        buffer_puts(out, "\n       ");
        suggest_put_name(out, draft->ordinals[level]);
        buffer_puts(out, " for ordinality");
    }
    if (last) {
        put_columns(out, draft);
    } else {
        buffer_puts(out, ", ");
        suggest_put_name(out, draft->inner);
        buffer_puts(out, " xml path '.'");
    }
    buffer_printf(out, ") x%u", (unsigned) level + 1);
}

static char *put_query(const struct draft *draft)
{
    struct buffer out;
    buffer_init(&out);
    put_select(&out, draft);
    buffer_puts(&out, "\nfrom ");
    if (*draft->base->schema && strcmp(draft->base->schema, "public") != 0) {
        suggest_put_name(&out, draft->base->schema);
        buffer_puts(&out, ".");
    }
    suggest_put_name(&out, draft->base->table);
    buffer_puts(&out, " t");
    for (size_t level = 0; level < draft->levels; level++)
        put_level(&out, draft, level);
    char *query = out.failed ? NULL : strdup(buffer_text(&out));
    buffer_done(&out);
    return query;
}

/* --- tables ---------------------------------------------------------------------------------- */

static bool add_keys(struct suggested_table *table, const struct draft *draft)
{
    bool fine = true;
    for (size_t i = 0; i < draft->base->key_count; i++)
        fine = (table->keys[table->key_count++] = strdup(draft->base->key[i])) && fine;
    table->anchors = table->key_count;
    for (size_t i = 0; draft->repeats && i < draft->levels; i++)
        fine = (table->keys[table->key_count++] = strdup(draft->ordinals[i])) && fine;
    return fine;
}

/* Rows of the last of the levels. False: memory is out. */
static bool add_table(struct suggested *suggested, struct name_set *names, struct draft *draft)
{
    const struct suggest_base *base = draft->base;
    const struct outline_node *row = draft->rows[draft->levels - 1];
    bool fine = true;
    char name[1600];
    for (size_t i = 0; fine && i < base->key_count; i++)
        fine = name_set_put(&draft->names, base->key[i]);
    for (size_t i = 0; fine && draft->repeats && i < draft->levels; i++)
        fine = (draft->ordinals[i] = name_set_add(
                    &draft->names, draft->rows[i]->parent->name, draft->rows[i]->name)) != NULL;
    if (fine && draft->levels > 1)
        fine = (draft->inner = name_set_add(&draft->names, "", "inner_xml")) != NULL;
    fine = fine && pick_all(draft, row, suggested);
    if (!fine || !draft->count)
        return fine; /* there is nothing in it but what repeats */
    snprintf(name, sizeof name, "%.200s_%.200s%s%.600s", base->table, base->column,
             draft->repeats ? "_" : "", draft->repeats ? row->name : "");
    const char *unique = name_set_add(names, row->parent->name, name);
    struct suggested_table *table = &suggested->tables[suggested->count++];
    table->columns = draft->count;
    table->name = unique ? strdup(unique) : NULL;
    table->query = put_query(draft);
    return add_keys(table, draft) && table->name && table->query;
}

static bool each_table(struct suggested *suggested, struct name_set *names,
                       const struct draft *above, const struct outline_node *node);

/* The table of an element that repeats, and those below it. */
static bool add_repeated(struct suggested *suggested, struct name_set *names,
                         const struct draft *above, const struct outline_node *node)
{
    if (suggested->count == SUGGEST_TABLES || above->levels == SUGGEST_LEVELS ||
        above->base->key_count + above->levels >= SUGGEST_KEYS) {
        suggested->left_out++;
        return true;
    }
    struct draft *draft = calloc(1, sizeof *draft);
    if (!draft)
        return false;
    draft->outline = above->outline;
    draft->base = above->base;
    draft->repeats = true;
    if (above->repeats) {
        memcpy(draft->rows, above->rows, sizeof draft->rows);
        draft->levels = above->levels;
    }
    draft->rows[draft->levels++] = node;
    bool fine = add_table(suggested, names, draft) && each_table(suggested, names, draft, node);
    name_set_done(&draft->names);
    free(draft);
    return fine;
}

static bool each_table(struct suggested *suggested, struct name_set *names,
                       const struct draft *above, const struct outline_node *node)
{
    bool fine = true;
    for (const struct outline_node *child = node->child; fine && child; child = child->next)
        fine = repeats(child) ? add_repeated(suggested, names, above, child)
                              : each_table(suggested, names, above, child);
    return fine;
}

enum ods_status suggest(struct suggested *suggested, const struct outline *outline,
                        const struct outline_node *root, const struct suggest_base *base,
                        struct error *error)
{
    struct name_set names = {0};
    struct draft *draft = calloc(1, sizeof *draft);
    *suggested = (struct suggested){.left_out = outline->rest.seen ? 1 : 0};
    bool fine = draft != NULL;
    if (fine) {
        draft->outline = outline;
        draft->base = base;
        draft->rows[0] = root;
        draft->levels = 1;
        fine = add_table(suggested, &names, draft) && each_table(suggested, &names, draft, root);
        name_set_done(&draft->names);
    }
    free(draft);
    name_set_done(&names);
    return fine ? ODS_OK : error_set(error, ODS_FATAL, "out of memory");
}

void suggested_done(struct suggested *suggested)
{
    for (size_t i = 0; i < suggested->count; i++) {
        struct suggested_table *table = &suggested->tables[i];
        free(table->name);
        free(table->query);
        for (size_t key = 0; key < table->key_count; key++)
            free(table->keys[key]);
    }
    suggested->count = 0;
}
