/* extract: parts of a json column become columns, each by its path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transform/json_path.h"
#include "transform/rewrite.h"
#include "transform/words.h"

struct extract_settings {
    const char *from;
    struct terms columns;
    bool drop;
};

struct part {
    struct column column;
    struct json_path *path;
};

struct extract {
    struct rewriter rewriter;
    const struct extract_settings *settings;
    struct part *parts;
    uint32_t count;
};

#define AT(member) offsetof(struct extract_settings, member)

extern const struct transform_ops extract_transform;

static const char *const words[] = {"", "path", "type", NULL};

static const struct setting rows[] = {
    {"from", SETTING_STRING, AT(from), .min = 1, .max = 200, .flags = SETTING_REQUIRED,
     .doc = "The column whose JSON is read: json, text or a struct."},
    {"columns", SETTING_TERMS, AT(columns), .max = 500, .choices = words,
     .flags = SETTING_REQUIRED,
     .doc = "By column its path, as `{ city: address.city, first: 'items[0].name' }`, or `{ path: "
            "address.zip, type: integer }` with a type as in `cast`. What is not there is NULL."},
    {"drop", SETTING_BOOL, AT(drop), "false", .doc = "The column itself is left out."},
};

static const struct setting_group settings = {
    .title = "transforms of type `extract`",
    .intro = "Takes parts of a json column into columns: `extract: { from: doc, columns: { city: "
             "address.city } }`. Without a type the target's column decides. Tables without the "
             "column stay as they are.",
    .size = sizeof(struct extract_settings),
    SETTING_ROWS(rows),
};

static bool extract_plan(struct rewriter *rewriter, struct draft *draft)
{
    const struct extract *extract = (const struct extract *) rewriter;
    int from = draft_column(draft, extract->settings->from);
    if (from < 0)
        return true;
    for (uint32_t i = 0; i < extract->count; i++)
        draft_set(draft, &extract->parts[i].column, i + 1);
    from = draft_column(draft, extract->settings->from);
    if (extract->settings->drop && !draft->work[from]) {
        if (draft_in_key(draft, rewriter->pipeline, (uint32_t) from))
            snprintf(draft->refusal, sizeof draft->refusal,
                     "column %.100s is in the key of table %.100s and can't be dropped",
                     extract->settings->from, draft->from->table);
        draft_drop(draft, (uint32_t) from);
    }
    return true;
}

static enum ods_status extract_value(struct rewriter *rewriter, uint32_t work,
                                     const struct change *change, const struct value *image,
                                     uint32_t at, struct batch *batch, struct value *value,
                                     struct error *error)
{
    const struct extract *extract = (const struct extract *) rewriter;
    const struct part *part = &extract->parts[work - 1];
    const char *name = extract->settings->from;
    int from = shape_column(change->shape, name, strlen(name));
    yyjson_doc *document;
    if (image[from].kind == VALUE_ABSENT) {
        *value = (struct value){.kind = VALUE_ABSENT};
        return ODS_OK;
    }
    enum ods_status status =
        json_document(&change->shape->columns[from], &image[from], &document, error);
    if (status == ODS_OK)
        status = json_to_value(
            document ? json_path_find(part->path, yyjson_doc_get_root(document)) : NULL,
            &part->column, &batch->arena, value, error);
    yyjson_doc_free(document);
    return status;
}

static const struct rewriter_ops extract_rewriter = {.plan = extract_plan, .value = extract_value};

static void extract_close(struct transform *transform)
{
    struct extract *extract = (struct extract *) transform;
    if (!extract)
        return;
    rewriter_done(&extract->rewriter);
    for (uint32_t i = 0; i < extract->count; i++)
        json_path_free(extract->parts[i].path);
    free(extract->parts);
    free(extract);
}

static enum ods_status read_term(struct part *part, const struct term *term, struct error *error)
{
    const char *value = term->values.count == 1 ? term->values.items[0] : "";
    const char *name = part->column.name;
    if (strcmp(term->word, "type") == 0) {
        bool good = words_type(value, &part->column);
        part->column.name = name;
        part->column.name_length = (uint32_t) strlen(name);
        return good ? ODS_OK
                    : error_set(error, ODS_FATAL, "column %s: there is no type '%s'", name, value);
    }
    json_path_free(part->path);
    part->path = *value ? json_path_new(value) : NULL;
    return part->path
               ? ODS_OK
               : error_set(error, ODS_FATAL,
                           "column %s: '%.200s' is not a path, as address.city or items[0].name",
                           name, value);
}

static enum ods_status read_columns(struct extract *extract, struct error *error)
{
    const struct terms *told = &extract->settings->columns;
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < told->count; i++) {
        const struct term *term = &told->items[i];
        if (!i || term->column != told->items[i - 1].column)
            extract->parts[extract->count++].column = words_column(term->column, SEM_UNKNOWN);
        status = read_term(&extract->parts[extract->count - 1], term, error);
    }
    for (uint32_t i = 0; status == ODS_OK && i < extract->count; i++)
        if (!extract->parts[i].path)
            status = error_set(error, ODS_FATAL, "column %s has no path",
                               extract->parts[i].column.name);
    return status;
}

static enum ods_status extract_open(struct transform **transform,
                                    const struct transform_config *config, struct error *error)
{
    const struct extract_settings *told = config->settings;
    struct extract *extract = calloc(1, sizeof *extract);
    *transform = NULL;
    if (extract)
        extract->parts = calloc(told->columns.count + 1, sizeof *extract->parts);
    if (!extract || !extract->parts) {
        free(extract);
        return error_out_of_memory(error);
    }
    rewriter_init(&extract->rewriter, &extract_transform, &extract_rewriter, config);
    extract->settings = told;
    enum ods_status status = read_columns(extract, error);
    extract->rewriter.more = extract->count;
    if (status == ODS_OK)
        *transform = &extract->rewriter.transform;
    else
        extract_close(&extract->rewriter.transform);
    return status;
}

const struct transform_ops extract_transform = {
    .type = "extract",
    .summary = "takes parts of a json column into columns",
    .settings = &settings,
    .open = extract_open,
    .apply = rewriter_apply,
    .close = extract_close,
};
