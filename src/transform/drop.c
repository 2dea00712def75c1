/* drop: columns that the target does not get. */
#include <stdio.h>
#include <stdlib.h>

#include "transform/rewrite.h"

struct drop_settings {
    struct strings columns;
};

struct drop {
    struct rewriter rewriter;
    const struct drop_settings *settings;
};

extern const struct transform_ops drop_transform;

static const struct setting rows[] = {
    {"columns", SETTING_STRINGS, offsetof(struct drop_settings, columns), .max = 2000,
     .flags = SETTING_REQUIRED, .doc = "The columns that are left out, as `[ssn, notes]`."},
};

static const struct setting_group settings = {
    .title = "transforms of type `drop`",
    .intro = "Leaves columns out: `drop: [ssn, notes]`. Transforms that follow do not see them.",
    .size = sizeof(struct drop_settings),
    SETTING_ROWS(rows),
};

static bool drop_plan(struct rewriter *rewriter, struct draft *draft)
{
    const struct strings *columns = &((struct drop *) rewriter)->settings->columns;
    for (size_t i = 0; i < columns->count; i++) {
        int found = draft_column(draft, columns->items[i]);
        if (found < 0)
            continue;
        bool key = draft_in_key(draft, rewriter->pipeline, (uint32_t) found);
        if (key && !rewriter->rekey && !*draft->refusal)
            snprintf(draft->refusal, sizeof draft->refusal,
                     "column %.100s is in the key of table %.100s and can't be dropped: leave the "
                     "table out (tables: [...]), or say rekey: true",
                     columns->items[i], draft->from->table);
        draft->rekeys |= key;
        draft_drop(draft, (uint32_t) found);
    }
    return true;
}

static const struct rewriter_ops drop_rewriter = {.plan = drop_plan};

static void drop_close(struct transform *transform)
{
    if (transform)
        rewriter_done((struct rewriter *) transform);
    free(transform);
}

static enum ods_status drop_open(struct transform **transform,
                                 const struct transform_config *config, struct error *error)
{
    struct drop *drop = calloc(1, sizeof *drop);
    *transform = (struct transform *) drop;
    if (!drop)
        return error_out_of_memory(error);
    rewriter_init(&drop->rewriter, &drop_transform, &drop_rewriter, config);
    drop->settings = config->settings;
    return ODS_OK;
}

const struct transform_ops drop_transform = {
    .type = "drop",
    .summary = "leaves columns out",
    .settings = &settings,
    .open = drop_open,
    .apply = rewriter_apply,
    .close = drop_close,
};
