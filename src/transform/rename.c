/* rename: columns get other names. The key stays the key. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transform/columns.h"
#include "transform/rewrite.h"

struct rename {
    struct rewriter rewriter;
    const struct rename_settings *settings;
};

extern const struct transform_ops rename_transform;

static const struct setting rows[] = {
    {"columns", SETTING_RENAMES, offsetof(struct rename_settings, columns), .max = 2000,
     .flags = SETTING_REQUIRED,
     .doc = "The new name by column, as `{ nm: name }`. A name that the table has already makes "
            "its changes dead letters. Names may be exchanged in one transform."},
};

static const struct setting_group settings = {
    .title = "transforms of type `rename`",
    .intro =
        "Gives columns other names, before the target sees them: `rename: { nm: name }`. Unlike "
        "with a table's `rename`, transforms that follow know them by the new names.",
    .size = sizeof(struct rename_settings),
    SETTING_ROWS(rows),
};

static bool rename_plan(struct rewriter *rewriter, struct draft *draft)
{
    const struct properties *names = &((struct rename *) rewriter)->settings->columns;
    for (uint32_t i = 0; i < draft->to.column_count; i++) {
        const char *name = properties_find(names, draft->from->columns[i].name);
        if (!name)
            continue;
        draft->columns[i].name = name;
        draft->columns[i].name_length = (uint32_t) strlen(name);
        draft->changed = true;
    }
    for (uint32_t i = 0; i < draft->to.column_count; i++)
        if (draft_column(draft, draft->columns[i].name) != (int) i)
            snprintf(draft->refusal, sizeof draft->refusal,
                     "table %.100s would have two columns named %.100s", draft->from->table,
                     draft->columns[i].name);
    return true;
}

static const struct rewriter_ops rename_rewriter = {.plan = rename_plan};

static void rename_close(struct transform *transform)
{
    if (transform)
        rewriter_done((struct rewriter *) transform);
    free(transform);
}

static enum ods_status rename_open(struct transform **transform,
                                   const struct transform_config *config, struct error *error)
{
    struct rename *rename = calloc(1, sizeof *rename);
    *transform = (struct transform *) rename;
    if (!rename)
        return error_out_of_memory(error);
    rewriter_init(&rename->rewriter, &rename_transform, &rename_rewriter, config);
    rename->settings = config->settings;
    return ODS_OK;
}

const struct transform_ops rename_transform = {
    .type = "rename",
    .summary = "gives columns other names",
    .settings = &settings,
    .open = rename_open,
    .apply = rewriter_apply,
    .close = rename_close,
};
