/* cast: columns get other types; a value that is not of the type makes a dead letter. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transform/rewrite.h"
#include "transform/words.h"

struct cast_settings {
    struct properties columns; /* type by column */
};

struct cast {
    struct rewriter rewriter;
    const struct cast_settings *settings;
    struct column *columns; /* by the settings' order; its name is the column's */
    struct buffer text;
};

extern const struct transform_ops cast_transform;

static const struct setting rows[] = {
    {"columns", SETTING_VALUES, offsetof(struct cast_settings, columns), .max = 2000,
     .flags = SETTING_REQUIRED,
     .doc = "The new type by column, as `{ total: decimal(12,2) }`: `text`, `smallint`, `integer`, "
            "`bigint`, `decimal`, `decimal(p,s)`, `real`, `double`, `boolean`, `date`, `time`, "
            "`timestamp`, `timestamptz`, `json`, `uuid`, `bytes`."},
};

static const struct setting_group settings = {
    .title = "transforms of type `cast`",
    .intro = "Gives columns other types: `cast: { total: decimal(12,2) }`. The text of the value, "
             "as `ods-sink decode` shows it, is read as one of the new type; NULL stays NULL. A "
             "value that is not of that type, or would lose digits, makes its record a dead "
             "letter.",
    .size = sizeof(struct cast_settings),
    SETTING_ROWS(rows),
};

static bool cast_plan(struct rewriter *rewriter, struct draft *draft)
{
    const struct cast *cast = (const struct cast *) rewriter;
    for (size_t i = 0; i < cast->settings->columns.count; i++) {
        int found = draft_column(draft, cast->columns[i].name);
        if (found < 0)
            continue;
        struct column column = cast->columns[i];
        column.optional = draft->columns[found].optional;
        draft_set(draft, &column, (uint32_t) i + 1);
    }
    return true;
}

static enum ods_status cast_value(struct rewriter *rewriter, uint32_t work,
                                  const struct change *change, const struct value *image,
                                  uint32_t at, struct batch *batch, struct value *value,
                                  struct error *error)
{
    struct cast *cast = (struct cast *) rewriter;
    const char *text;
    size_t length;
    if (image[at].kind == VALUE_ABSENT || image[at].kind == VALUE_NULL)
        return ODS_OK;
    enum ods_status status =
        words_of(&cast->text, &change->shape->columns[at], &image[at], &text, &length, error);
    if (status == ODS_OK)
        status =
            words_read(&batch->arena, &cast->columns[work - 1], text, length, value, error);
    return status;
}

static const struct rewriter_ops cast_rewriter = {.plan = cast_plan, .value = cast_value};

static void cast_close(struct transform *transform)
{
    struct cast *cast = (struct cast *) transform;
    if (!cast)
        return;
    rewriter_done(&cast->rewriter);
    buffer_done(&cast->text);
    free(cast->columns);
    free(cast);
}

static enum ods_status cast_open(struct transform **transform,
                                 const struct transform_config *config, struct error *error)
{
    const struct cast_settings *told = config->settings;
    struct cast *cast = calloc(1, sizeof *cast);
    *transform = NULL;
    if (cast)
        cast->columns = calloc(told->columns.count + 1, sizeof *cast->columns);
    if (!cast || !cast->columns) {
        free(cast);
        return error_out_of_memory(error);
    }
    rewriter_init(&cast->rewriter, &cast_transform, &cast_rewriter, config);
    cast->settings = told;
    buffer_init(&cast->text);
    for (size_t i = 0; i < told->columns.count; i++) {
        const struct property *column = &told->columns.items[i];
        if (!words_type(column->value, &cast->columns[i])) {
            cast_close(&cast->rewriter.transform);
            return error_set(error, ODS_FATAL,
                             "column %s: there is no type '%s' to cast to (text, integer, bigint, "
                             "decimal(12,2), double, boolean, date, time, timestamp, timestamptz, "
                             "json, uuid, bytes)",
                             column->name, column->value);
        }
        cast->columns[i].name = column->name;
        cast->columns[i].name_length = (uint32_t) strlen(column->name);
    }
    *transform = &cast->rewriter.transform;
    return ODS_OK;
}

const struct transform_ops cast_transform = {
    .type = "cast",
    .summary = "gives columns other types",
    .settings = &settings,
    .open = cast_open,
    .apply = rewriter_apply,
    .close = cast_close,
};
