/* The transforms of a lane in their order. A table's own come after those of the pipeline, and
 * are chosen by what table the record is of before any transform. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include <ods/transform.h>

#include "transform/columns.h"
#include "transform/rewrite.h"
#include "transform/script.h"
#include "transform/words.h"

struct link {
    struct transform *transform;
    const struct transform_settings *told;
};

struct links {
    struct link *items;
    size_t count;
    const struct table_settings *table; /* whose they are; NULL: the pipeline's */
};

struct transform_chain {
    const struct pipeline_settings *pipeline;
    struct shape_table *shapes;
    struct transform_shared *shared;
    struct links own;
    struct links *tables; /* of entries that have transforms; the last one: of the defaults */
    size_t table_count;
    struct by_shape of_table; /* struct links *, by the record's shape */
    struct links none;
    struct buffer text;
};

static enum ods_status open_links(struct transform_chain *chain, struct links *links,
                                  const struct transform_settings *told, size_t count,
                                  bool *wants_before, struct error *error)
{
    enum ods_status status = ODS_OK;
    links->items = calloc(count + 1, sizeof *links->items);
    if (!links->items)
        return error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i < count; i++) {
        struct link *link = &links->items[i];
        const struct transform_ops *ops = transform_find(told[i].type);
        const struct transform_config config = {.settings = told[i].own,
                                                .pipeline = chain->pipeline,
                                                .told = &told[i],
                                                .shapes = chain->shapes,
                                                .shared = chain->shared,
                                                .chosen = links->table || told[i].tables.count};
        link->told = &told[i];
        if (!ops)
            return error_set(error, ODS_FATAL, "there is no transform \"%s\"", told[i].type);
        status = ops->open(&link->transform, &config, error);
        if (status == ODS_OK) {
            links->count++;
            *wants_before |= ops->wants_before || link->transform->wants_before;
        } else {
            error_prefix(error,
                         "%s:%d: transform %s: ", told[i].file ? told[i].file : "tables.yaml",
                         told[i].line, told[i].type);
        }
    }
    return status;
}

static void close_links(struct links *links)
{
    for (size_t i = 0; i < links->count; i++)
        links->items[i].transform->ops->close(links->items[i].transform);
    free(links->items);
}

static bool has_transforms(const struct pipeline_settings *pipeline)
{
    bool any = pipeline->transform_count || pipeline->defaults.transform_count;
    for (size_t i = 0; !any && i < pipeline->table_count; i++)
        any = pipeline->tables[i].transform_count;
    return any;
}

enum ods_status transform_chain_open(struct transform_chain **chain,
                                     const struct pipeline_settings *pipeline,
                                     struct shape_table *shapes, bool *wants_before,
                                     struct error *error)
{
    *chain = NULL;
    if (!has_transforms(pipeline))
        return ODS_OK;
    struct transform_chain *made = calloc(1, sizeof *made);
    if (!made)
        return error_out_of_memory(error);
    made->pipeline = pipeline;
    made->shapes = shapes;
    made->shared = script_shared_new();
    made->tables = calloc(pipeline->table_count + 1, sizeof *made->tables);
    buffer_init(&made->text);
    enum ods_status status =
        made->shared && made->tables
            ? open_links(made, &made->own, pipeline->transforms, pipeline->transform_count,
                         wants_before, error)
            : error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i <= pipeline->table_count; i++) {
        const struct table_settings *table =
            i < pipeline->table_count ? &pipeline->tables[i] : &pipeline->defaults;
        made->table_count++;
        made->tables[i].table = i < pipeline->table_count ? table : NULL;
        status = open_links(made, &made->tables[i], table->transforms, table->transform_count,
                            wants_before, error);
        made->tables[i].table = table;
    }
    if (status == ODS_OK)
        *chain = made;
    else
        transform_chain_close(made);
    return status;
}

static void keep_item(void *item)
{
}

void transform_chain_close(struct transform_chain *chain)
{
    if (!chain)
        return;
    close_links(&chain->own);
    for (size_t i = 0; i < chain->table_count; i++)
        close_links(&chain->tables[i]);
    free(chain->tables);
    by_shape_done(&chain->of_table, keep_item);
    script_shared_free(chain->shared);
    buffer_done(&chain->text);
    free(chain);
}

/* --- applying ------------------------------------------------------------------------------- */

static const char *source_schema(const struct shape *shape)
{
    return *shape->schema ? shape->schema : shape->database;
}

static const struct links *links_of(struct transform_chain *chain, const struct shape *shape)
{
    void **at = by_shape_at(&chain->of_table, shape);
    if (!at)
        return NULL;
    if (*at)
        return *at;
    const struct table_settings *table =
        pipeline_table(chain->pipeline, source_schema(shape), shape->table);
    *at = &chain->none;
    for (size_t i = 0; i < chain->table_count; i++)
        if (chain->tables[i].table == table)
            *at = &chain->tables[i];
    return *at;
}

static bool concerns(const struct transform_settings *told, const struct shape *shape)
{
    for (size_t i = 0; i < told->tables.count; i++)
        if (strcmp(told->tables.items[i], shape->table) == 0 ||
            table_name_is_qualified(told->tables.items[i], source_schema(shape), shape->table))
            return true;
    return !told->tables.count;
}

static void put_value(struct transform_chain *chain, struct buffer *out,
                      const struct shape *shape, uint32_t column, const struct value *value)
{
    const struct table_settings *table =
        pipeline_table(chain->pipeline, source_schema(shape), shape->table);
    const char *name = shape->columns[column].name, *text;
    size_t length;
    struct error ignored;
    bool hidden = strings_contain(&table->redact, name) ||
                  transform_masks(chain->pipeline, source_schema(shape), shape->table, name);
    error_init(&ignored);
    if (value->kind == VALUE_ABSENT || value->kind == VALUE_NULL || hidden)
        buffer_puts(out, hidden ? "***" : "null");
    else if (words_of(&chain->text, &shape->columns[column], value, &text, &length, &ignored) ==
             ODS_OK)
        buffer_printf(out, "%.*s", (int) (length > 60 ? 60 : length), text);
}

/* "u of shop.items, id = 7": what the transform could not do, by operation, table and key. */
static void name_change(struct transform_chain *chain, const struct transform_settings *told,
                        const struct change *change, struct error *error)
{
    const struct shape *shape = change->shape;
    const struct value *image = change->after ? change->after : change->before;
    const char *schema = source_schema(shape), *file = told->file ? told->file : "tables.yaml";
    struct buffer key;
    buffer_init(&key);
    for (uint32_t i = 0; image && i < shape->key_count; i++) {
        buffer_printf(&key, ", %s = ", shape->columns[shape->key[i]].name);
        put_value(chain, &key, shape, shape->key[i], &image[shape->key[i]]);
    }
    const char *slash = strrchr(file, '/');
    error_prefix(error, "transform %s (%s:%d), %c of %s%s%s%s: ", told->type,
                 slash ? slash + 1 : file, told->line, (char) change->op, schema,
                 *schema ? "." : "", shape->table, buffer_text(&key));
    buffer_done(&key);
}

/* Applies one transform to the changes from `first` on. */
static enum ods_status apply_all(struct transform_chain *chain, const struct link *link,
                                 struct batch *batch, uint32_t first, struct error *error)
{
    struct change seen = batch->changes[first];
    enum ods_status status = link->transform->ops->apply(link->transform, batch, first, error);
    if (status == ODS_REJECT)
        name_change(chain, link->told, &seen, error);
    return status;
}

/* Gives the transform only the changes of the tables that it concerns; the order stays. */
static enum ods_status apply_chosen(struct transform_chain *chain, const struct link *link,
                                    struct batch *batch, uint32_t first, struct error *error)
{
    uint32_t count = batch->change_count - first, concerned = 0;
    for (uint32_t i = first; i < batch->change_count; i++)
        concerned += concerns(link->told, batch->changes[i].shape);
    if (!concerned)
        return ODS_OK;
    if (concerned == count)
        return apply_all(chain, link, batch, first, error);
    struct change *all = arena_alloc(&batch->arena, count * sizeof *all);
    enum ods_status status = all ? ODS_OK : error_out_of_memory(error);
    if (all)
        memcpy(all, &batch->changes[first], count * sizeof *all);
    batch->change_count = first;
    for (uint32_t i = 0; status == ODS_OK && i < count; i++) {
        uint32_t at = batch->change_count;
        struct change *change = batch_add_change(batch);
        if (!change)
            return error_out_of_memory(error);
        *change = all[i];
        if (concerns(link->told, change->shape))
            status = apply_all(chain, link, batch, at, error);
    }
    return status;
}

static enum ods_status apply_links(struct transform_chain *chain, const struct links *links,
                                   struct batch *batch, uint32_t first, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < links->count && batch->change_count > first; i++) {
        const struct link *link = &links->items[i];
        status = link->told->tables.count ? apply_chosen(chain, link, batch, first, error)
                                          : apply_all(chain, link, batch, first, error);
    }
    return status;
}

enum ods_status transform_chain_apply(struct transform_chain *chain, struct batch *batch,
                                      uint32_t first, struct error *error)
{
    if (batch->change_count == first)
        return ODS_OK;
    const struct links *table = links_of(chain, batch->changes[first].shape);
    enum ods_status status = table ? apply_links(chain, &chain->own, batch, first, error)
                                   : error_out_of_memory(error);
    if (status == ODS_OK)
        status = apply_links(chain, table, batch, first, error);
    if (status != ODS_OK)
        batch->change_count = first;
    else if (batch->change_count == first)
        batch->passed[PASS_FILTERED]++;
    return status;
}

/* --- what is masked ------------------------------------------------------------------------- */

static bool names_table(const struct transform_settings *told, const char *schema,
                        const char *table)
{
    bool named = !told->tables.count || !table;
    for (size_t i = 0; !named && i < told->tables.count; i++)
        named = strcmp(told->tables.items[i], table) == 0 ||
                table_name_is_qualified(told->tables.items[i], schema, table);
    return named;
}

/* Follows the column's name through the transforms, from one rename to the next. */
static bool masks(const struct transform_settings *told, size_t count, const char *schema,
                  const char *table, const char **column)
{
    for (size_t i = 0; i < count; i++) {
        bool concerned = !told[i].tables.count || !table;
        for (size_t j = 0; !concerned && j < told[i].tables.count; j++)
            concerned = strcmp(told[i].tables.items[j], table) == 0 ||
                         table_name_is_qualified(told[i].tables.items[j], schema, table);
        if (concerned && *column && told[i].own && strcmp(told[i].type, "rename") == 0) {
            const struct rename_settings *rename = told[i].own;
            const char *name = properties_find(&rename->columns, *column);
            *column = name ? name : *column;
        }
        if (!concerned || !told[i].own || strcmp(told[i].type, "mask") != 0)
            continue;
        const struct mask_settings *mask = told[i].own;
        for (size_t j = 0; j < mask->columns.count; j++)
            if (!*column || strcmp(mask->columns.items[j].column, *column) == 0)
                return true;
    }
    return false;
}

bool transform_masks(const struct pipeline_settings *pipeline, const char *schema,
                     const char *table, const char *column)
{
    if (masks(pipeline->transforms, pipeline->transform_count, schema, table, &column))
        return true;
    const struct table_settings *entry =
        table ? pipeline_table(pipeline, schema, table) : &pipeline->defaults;
    bool any = masks(entry->transforms, entry->transform_count, schema, table, &column);
    for (size_t i = 0; !table && !any && i < pipeline->table_count; i++) {
        const char *name = column;
        any = masks(pipeline->tables[i].transforms, pipeline->tables[i].transform_count, schema,
                    table, &name);
    }
    return any;
}

/* --- what is made --------------------------------------------------------------------------- */

static const char *makes(const struct transform_settings *told, size_t count, const char *table)
{
    const char *maker = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct explode_settings *explode = told[i].own;
        if (strcmp(told[i].type, "explode") == 0 && explode && strcmp(explode->table, table) == 0)
            return "explode";
        if (strcmp(told[i].type, "script") == 0)
            maker = "script";
    }
    return maker;
}

const char *transform_makes(const struct pipeline_settings *pipeline, const char *table)
{
    const char *maker = makes(pipeline->transforms, pipeline->transform_count, table);
    for (size_t i = 0; i < pipeline->table_count && (!maker || *maker != 'e'); i++) {
        const char *own =
            makes(pipeline->tables[i].transforms, pipeline->tables[i].transform_count, table);
        maker = own ? own : maker;
    }
    return maker;
}

static bool chooses(const struct transform_settings *told, size_t count, const char *schema,
                    const char *table)
{
    for (size_t i = 0; i < count; i++) {
        const struct filter_settings *filter = told[i].own;
        bool filters = strcmp(told[i].type, "filter") == 0 && filter &&
                       (filter->where.count || *filter->lua);
        if ((filters || strcmp(told[i].type, "route") == 0 ||
             strcmp(told[i].type, "script") == 0) &&
            names_table(&told[i], schema, table))
            return true;
    }
    return false;
}

bool transform_chooses(const struct pipeline_settings *pipeline, const char *schema,
                       const char *table)
{
    const struct table_settings *entry = pipeline_table(pipeline, schema, table);
    return chooses(pipeline->transforms, pipeline->transform_count, schema, table) ||
           chooses(entry->transforms, entry->transform_count, schema, table);
}
