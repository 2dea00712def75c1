/* The transforms there are. A new one is a file, and its name in both lists below. */
#include <string.h>

#include <ods/transform.h>

extern const struct transform_ops filter_transform, set_transform, rename_transform, drop_transform,
    cast_transform, mask_transform, route_transform, extract_transform, flatten_transform,
    explode_transform, dedupe_transform, expect_transform, script_transform;

static const struct transform_ops *const transforms[] = {
    &filter_transform,
    &set_transform,
    &rename_transform,
    &drop_transform,
    &cast_transform,
    &mask_transform,
    &route_transform,
    &extract_transform,
    &flatten_transform,
    &explode_transform,
    &dedupe_transform,
    &expect_transform,
    &script_transform,
    NULL,
};

const struct transform_ops *transform_find(const char *type)
{
    for (size_t i = 0; transforms[i]; i++)
        if (strcmp(transforms[i]->type, type) == 0)
            return transforms[i];
    return NULL;
}

const struct transform_ops *const *transform_list(void)
{
    return transforms;
}

const struct setting_group *transform_groups(size_t number, const char **name)
{
    if (number >= sizeof transforms / sizeof *transforms - 1)
        return NULL;
    *name = transforms[number]->type;
    return transforms[number]->settings;
}

void transform_drop(struct batch *batch, uint32_t change)
{
    batch->change_count--;
    memmove(&batch->changes[change], &batch->changes[change + 1],
            (batch->change_count - change) * sizeof *batch->changes);
}
