/* expect: a guard. A record that is not of the shape that is told here is a dead letter, and the
 * changes of all others pass as they are.
 *
 * Rows as they are now are looked at: what a create, a read or an update leaves. A delete only
 * takes away, so of it, and of a truncate, the table alone is looked at.
 */
#include <stdlib.h>
#include <string.h>

#include <ods/pipeline.h>
#include <ods/transform.h>

#include "transform/condition.h"
#include "transform/words.h"

struct expect_settings {
    struct strings table;
    struct properties columns; /* type by column */
    struct terms where;
    bool others;
};

struct expect {
    struct transform transform;
    const struct expect_settings *settings;
    struct column *columns;   /* by the settings' order; its name is the column's */
    struct condition **where; /* one of each term, so that an error can name its column */
    struct buffer text;
};

extern const struct transform_ops expect_transform;

#define AT(member) offsetof(struct expect_settings, member)

static const struct setting rows[] = {
    {"table", SETTING_STRINGS, AT(table), .max = 2000, .inherits = "any",
     .doc = "The tables that a record may be of, as the source calls them: `table: [orders]`."},
    {"columns", SETTING_VALUES, AT(columns), .max = 2000,
     .doc = "Columns that each row has, and the type by which its value can be read, as `{ id: "
            "integer, amount: decimal(12,2) }`, with the types of `cast`. NULL is of every type; "
            "`text` has to be text, so neither a number nor an object."},
    {"where", SETTING_TERMS, AT(where), .max = 500, .choices = condition_words,
     .doc = "What holds of each row, in the words of `filter`, as `{ customer: { null: false }, "
            "status: [new, paid] }`."},
    {"others", SETTING_BOOL, AT(others), "true",
     .doc = "Whether a row may have columns that are named neither in `columns` nor in `where`."},
};

static const struct setting_group settings = {
    .title = "transforms of type `expect`",
    .intro = "A guard: `expect: { table: [orders], columns: { id: integer, customer: text } }`. A "
             "record of another shape is a dead letter that says what is not as it should be; all "
             "others pass as they are. Of deletes and truncates only the table is looked at.",
    .size = sizeof(struct expect_settings),
    SETTING_ROWS(rows),
};

static const char *form_of(const struct value *value)
{
    return value->kind == VALUE_JSON   ? "an object or array"
           : value->kind == VALUE_TEXT ? "text"
           : value->kind == VALUE_BOOL ? "a boolean"
                                       : "a number";
}

/* The value itself is not shown: the column may be one whose values are not to be seen. */
static enum ods_status look_at_value(struct expect *expect, const struct shape *shape,
                                     const struct column *wanted, const char *type,
                                     const struct value *image, struct arena *arena,
                                     struct error *error)
{
    const char *text;
    size_t length;
    struct value read;
    int at = shape_column(shape, wanted->name, wanted->name_length);
    if (at < 0)
        return error_set(error, ODS_REJECT, "the row has no column %s, which is expected",
                         wanted->name);
    const struct value *value = &image[at];
    if (value->kind == VALUE_ABSENT || value->kind == VALUE_NULL)
        return ODS_OK;
    if (wanted->type == SEM_JSON && shape->literal)
        return ODS_OK; /* it stood in the record's own JSON, where a text is a JSON string */
    if (wanted->type == SEM_STRING && value->kind != VALUE_TEXT)
        return error_set(error, ODS_REJECT, "column %s is %s, and %s is expected", wanted->name,
                         form_of(value), type);
    struct arena_mark mark = arena_mark(arena); /* what is read is not kept */
    enum ods_status status =
        words_of(&expect->text, &shape->columns[at], value, &text, &length, error);
    if (status == ODS_OK && wanted->type != SEM_STRING)
        status = words_read(arena, wanted, text, length, &read, error);
    arena_release(arena, mark);
    if (status != ODS_REJECT)
        return status;
    return error_set(error, ODS_REJECT, "column %s is %s that is no %s, which is expected",
                     wanted->name, form_of(value), type);
}

static enum ods_status look_at_condition(struct expect *expect, size_t number,
                                         const struct shape *shape, const struct value *image,
                                         struct error *error)
{
    enum verdict verdict = VERDICT_YES;
    enum ods_status status =
        condition_judge(expect->where[number], shape, image, &verdict, error);
    if (status != ODS_OK || verdict != VERDICT_NO)
        return status;
    return error_set(error, ODS_REJECT, "column %s is not what 'where' expects",
                     expect->settings->where.items[number].column);
}

static bool names(const struct expect_settings *told, const struct column *column)
{
    for (size_t i = 0; i < told->columns.count; i++)
        if (strcmp(told->columns.items[i].name, column->name) == 0)
            return true;
    for (size_t i = 0; i < told->where.count; i++)
        if (strcmp(told->where.items[i].column, column->name) == 0)
            return true;
    return false;
}

static enum ods_status look_at_row(struct expect *expect, const struct shape *shape,
                                   const struct value *image, struct arena *arena,
                                   struct error *error)
{
    const struct expect_settings *told = expect->settings;
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < told->columns.count; i++)
        status = look_at_value(expect, shape, &expect->columns[i], told->columns.items[i].value,
                               image, arena, error);
    for (size_t i = 0; status == ODS_OK && i < told->where.count; i++)
        status = look_at_condition(expect, i, shape, image, error);
    for (uint32_t i = 0; status == ODS_OK && !told->others && i < shape->column_count; i++)
        if (!names(told, &shape->columns[i]))
            status = error_set(error, ODS_REJECT, "column %s is not expected",
                               shape->columns[i].name);
    return status;
}

static enum ods_status expect_apply(struct transform *transform, struct batch *batch,
                                    uint32_t first, struct error *error)
{
    struct expect *expect = (struct expect *) transform;
    const struct strings *tables = &expect->settings->table;
    enum ods_status status = ODS_OK;
    if (batch->probes)
        return ODS_OK;
    for (uint32_t i = first; status == ODS_OK && i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        bool row = change->op != OP_DELETE && change->op != OP_TRUNCATE && change->after;
        if (tables->count && !strings_contain(tables, change->shape->table))
            status = error_set(error, ODS_REJECT, "a record of table %s is not expected",
                               change->shape->table);
        else if (row)
            status = look_at_row(expect, change->shape, change->after, &batch->arena, error);
    }
    return status;
}

static void expect_close(struct transform *transform)
{
    struct expect *expect = (struct expect *) transform;
    if (!expect)
        return;
    for (size_t i = 0; expect->where && i < expect->settings->where.count; i++)
        condition_close(expect->where[i]);
    buffer_done(&expect->text);
    free(expect->where);
    free(expect->columns);
    free(expect);
}

static enum ods_status open_columns(struct expect *expect, struct error *error)
{
    const struct properties *told = &expect->settings->columns;
    for (size_t i = 0; i < told->count; i++) {
        const struct property *column = &told->items[i];
        if (!words_type(column->value, &expect->columns[i]))
            return error_set(error, ODS_FATAL,
                             "column %s: there is no type '%s' to expect (text, integer, bigint, "
                             "decimal(12,2), double, boolean, date, time, timestamp, timestamptz, "
                             "json, uuid, bytes)",
                             column->name, column->value);
        expect->columns[i].name = column->name;
        expect->columns[i].name_length = (uint32_t) strlen(column->name);
    }
    return ODS_OK;
}

static enum ods_status open_conditions(struct expect *expect, struct error *error)
{
    const struct terms *told = &expect->settings->where;
    enum ods_status status = ODS_OK;
    for (size_t i = 0; status == ODS_OK && i < told->count; i++) {
        struct terms one = {.items = &told->items[i], .count = 1};
        status = condition_open(&expect->where[i], &one, error);
    }
    return status;
}

static enum ods_status expect_open(struct transform **transform,
                                   const struct transform_config *config, struct error *error)
{
    const struct expect_settings *told = config->settings;
    struct expect *expect = calloc(1, sizeof *expect);
    *transform = NULL;
    if (!expect)
        return error_out_of_memory(error);
    expect->transform.ops = &expect_transform;
    expect->settings = told;
    buffer_init(&expect->text);
    expect->columns = calloc(told->columns.count + 1, sizeof *expect->columns);
    expect->where = calloc(told->where.count + 1, sizeof(struct condition *));
    enum ods_status status = expect->columns && expect->where ? open_columns(expect, error)
                                                              : error_out_of_memory(error);
    if (status == ODS_OK)
        status = open_conditions(expect, error);
    if (status == ODS_OK && !told->table.count && !told->columns.count && !told->where.count)
        status = error_set(error, ODS_FATAL, "'columns' is missing here, or 'table', or 'where'");
    if (status == ODS_OK)
        *transform = &expect->transform;
    else
        expect_close(&expect->transform);
    return status;
}

const struct transform_ops expect_transform = {
    .type = "expect",
    .summary = "sets records of another shape aside",
    .settings = &settings,
    .open = expect_open,
    .apply = expect_apply,
    .close = expect_close,
};
