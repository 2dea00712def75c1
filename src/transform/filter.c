/* filter: only changes with certain operations are passed on. Records whose changes are all dropped
 * are counted as passed over. */
#include <stdlib.h>
#include <string.h>

#include <ods/transform.h>

struct filter_settings {
    struct strings op;
};

struct filter {
    struct transform transform;
    bool kept[256]; /* by enum change_op */
};

extern const struct transform_ops filter_transform;

#define AT(member) offsetof(struct filter_settings, member)

static const char *const operations[] = {"c", "r", "u", "d", "t", NULL};

static const struct setting rows[] = {
    {"op", SETTING_STRINGS, AT(op), .max = 5, .flags = SETTING_REQUIRED, .choices = operations,
     .doc = "The operations that are passed on: `c` create, `r` read by a snapshot, `u` update, "
            "`d` delete, `t` truncate. All others are dropped, and counted in "
            "`records_passed_total`. Without `d`, rows that the source deletes stay in the "
            "target."},
};

static const struct setting_group settings = {
    .title = "transforms of type `filter`",
    .intro = "Passes on only changes with certain operations.",
    .size = sizeof(struct filter_settings),
    SETTING_ROWS(rows),
};

static enum ods_status filter_apply(struct transform *transform, struct batch *batch,
                                    uint32_t first, struct error *error)
{
    const struct filter *filter = (const struct filter *) transform;
    uint32_t before = batch->change_count;
    for (uint32_t i = batch->change_count; i-- > first;)
        if (!filter->kept[(unsigned char) batch->changes[i].op])
            transform_drop(batch, i);
    if (before > first && batch->change_count == first)
        batch->passed[PASS_FILTERED]++;
    return ODS_OK;
}

static void filter_close(struct transform *transform)
{
    free(transform);
}

static enum ods_status filter_open(struct transform **transform,
                                   const struct transform_config *config, struct error *error)
{
    const struct filter_settings *told = config->settings;
    struct filter *filter = calloc(1, sizeof *filter);
    *transform = NULL;
    if (!filter)
        return error_out_of_memory(error);
    filter->transform.ops = &filter_transform;
    for (size_t i = 0; i < told->op.count; i++)
        filter->kept[(unsigned char) *told->op.items[i]] = true;
    *transform = &filter->transform;
    return ODS_OK;
}

const struct transform_ops filter_transform = {
    .type = "filter",
    .summary = "passes on only changes with certain operations",
    .settings = &settings,
    .open = filter_open,
    .apply = filter_apply,
    .close = filter_close,
};
