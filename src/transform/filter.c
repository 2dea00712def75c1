/* filter: only some changes are passed on: by operation, by columns of the row, by an expression.
 *
 * Conditions on a row are about the row as the target is to have it, so an update that takes the
 * row out of them is a delete for the target, and one that brings it in is a create. Where the row
 * as it was is not known (its before image was not sent), it may be in the target, and is deleted
 * there by its key: a delete of a row that is not there does nothing. For the same reason a delete
 * is passed on unless its row is known to have been left out.
 */
#include <stdlib.h>
#include <string.h>

#include <ods/transform.h>

#include "transform/columns.h"
#include "transform/condition.h"
#include "transform/rows.h"
#include "transform/script.h"

struct filter {
    struct transform transform;
    bool kept[256]; /* by enum change_op */
    struct condition *where;
    struct transform_shared *shared;
    int lua; /* 0: none */
};

extern const struct transform_ops filter_transform;

#define AT(member) offsetof(struct filter_settings, member)

static const char *const operations[] = {"c", "r", "u", "d", "t", NULL};

static const struct setting rows[] = {
    {"op", SETTING_STRINGS, AT(op), .max = 5, .choices = operations, .inherits = "all",
     .doc = "The operations that are passed on: `c` create, `r` read by a snapshot, `u` update, "
            "`d` delete, `t` truncate. All others are dropped, and counted in "
            "`records_passed_total`. Without `d`, rows that the source deletes stay in the "
            "target."},
    {"where", SETTING_TERMS, AT(where), .max = 500, .choices = condition_words,
     .doc = "What must hold of the row, as `{ region: [eu, us], total: { gt: 100 }, note: { "
            "matches: '^a' } }`: a value, one of a list, `null`; `not` a value or one of a list; "
            "`matches` a POSIX extended regular expression; `null: true` or `false`; `gt`, `ge`, "
            "`lt`, `le` (numbers as numbers, else as text). Values are compared as text, as "
            "`ods-sink decode` shows it."},
    {"lua", SETTING_STRING, AT(lua), "", .max = 65536,
     .doc = "An expression that is true for rows that are passed on, as `after.total > 100`; see "
            "[transforms.md](transforms.md#lua)."},
};

static const struct setting_group settings = {
    .title = "transforms of type `filter`",
    .intro = "Passes on only changes with certain operations or of certain rows. An update that "
             "takes a row out of `where` or `lua` becomes a delete.",
    .size = sizeof(struct filter_settings),
    SETTING_ROWS(rows),
};

/* The image is judged as if the row were so after the change. */
static enum ods_status judge(struct filter *filter, const struct batch *batch,
                             const struct change *change, const struct value *image,
                             enum verdict *verdict, struct error *error)
{
    enum verdict where = VERDICT_YES, lua = VERDICT_YES;
    enum ods_status status = ODS_OK;
    if (batch->probes) {
        *verdict = VERDICT_YES;
        return ODS_OK;
    }
    if (filter->where)
        status = condition_judge(filter->where, change->shape, image, &where, error);
    if (status == ODS_OK && filter->lua && where != VERDICT_NO)
        status = script_judge(filter->shared, filter->lua, batch, change, image, &lua, error);
    *verdict = where == VERDICT_NO || lua == VERDICT_NO          ? VERDICT_NO
               : where == VERDICT_YES && lua == VERDICT_YES ? VERDICT_YES
                                                            : VERDICT_UNKNOWN;
    return status;
}

/* The row leaves what is passed on: *kept says whether a delete takes its place. */
static enum ods_status leave(struct filter *filter, struct batch *batch, struct change *change,
                             bool *kept, struct error *error)
{
    enum verdict was = VERDICT_UNKNOWN;
    const struct value *before = rows_before(change, batch);
    *kept = false;
    if (!before)
        return error_out_of_memory(error);
    enum ods_status status = judge(filter, batch, change, before, &was, error);
    if (status != ODS_OK || was == VERDICT_NO || !filter->kept[OP_DELETE])
        return status;
    change->op = OP_DELETE;
    change->before = before;
    change->after = NULL;
    change->repeats = false;
    *kept = true;
    return ODS_OK;
}

static enum ods_status look_at_update(struct filter *filter, struct batch *batch,
                                      struct change *change, bool *kept, struct error *error)
{
    enum verdict is = VERDICT_UNKNOWN, was = VERDICT_YES;
    const struct value *after = rows_filled(change, batch);
    if (!after)
        return error_out_of_memory(error);
    enum ods_status status = judge(filter, batch, change, after, &is, error);
    if (status != ODS_OK)
        return status;
    if (is == VERDICT_UNKNOWN)
        return error_set(error, ODS_REJECT,
                         "a column that decides was not sent, as it is large and has not changed "
                         "(PostgreSQL: alter table … replica identity full)");
    if (is == VERDICT_NO)
        return leave(filter, batch, change, kept, error);
    if (change->before)
        status = judge(filter, batch, change, change->before, &was, error);
    if (status == ODS_OK && was == VERDICT_NO) {
        change->op = OP_CREATE;
        change->after = after;
        change->before = NULL;
        change->repeats = false;
    }
    return status;
}

static enum ods_status look(struct filter *filter, struct batch *batch, struct change *change,
                            bool *kept, struct error *error)
{
    enum verdict verdict = VERDICT_YES;
    enum ods_status status = ODS_OK;
    *kept = filter->kept[(unsigned char) change->op];
    if (!*kept || (!filter->where && !filter->lua) || change->op == OP_TRUNCATE)
        return ODS_OK;
    if (change->op == OP_UPDATE && change->after)
        return look_at_update(filter, batch, change, kept, error);
    const struct value *image = change->op == OP_DELETE ? change->before : change->after;
    if (image && !change->tombstone)
        status = judge(filter, batch, change, image, &verdict, error);
    if (verdict == VERDICT_UNKNOWN && change->op != OP_DELETE)
        return error_set(error, ODS_REJECT, "a column that decides was not sent");
    *kept = verdict != VERDICT_NO;
    return status;
}

static enum ods_status filter_apply(struct transform *transform, struct batch *batch,
                                    uint32_t first, struct error *error)
{
    struct filter *filter = (struct filter *) transform;
    for (uint32_t i = batch->change_count; i-- > first;) {
        bool kept = true;
        enum ods_status status = look(filter, batch, &batch->changes[i], &kept, error);
        if (status != ODS_OK)
            return status;
        if (!kept)
            transform_drop(batch, i);
    }
    return ODS_OK;
}

static void filter_close(struct transform *transform)
{
    if (transform)
        condition_close(((struct filter *) transform)->where);
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
    filter->shared = config->shared;
    memset(filter->kept, !told->op.count, sizeof filter->kept);
    for (size_t i = 0; i < told->op.count; i++)
        filter->kept[(unsigned char) *told->op.items[i]] = true;
    filter->transform.wants_before = told->where.count || *told->lua;
    enum ods_status status = condition_open(&filter->where, &told->where, error);
    if (status == ODS_OK && *told->lua)
        status = script_compile(config, "lua", told->lua, &filter->lua, error);
    if (status == ODS_OK && !told->op.count && !told->where.count && !*told->lua)
        status = error_set(error, ODS_FATAL, "'op' is missing here, or 'where', or 'lua'");
    if (status == ODS_OK)
        *transform = &filter->transform;
    else
        filter_close(&filter->transform);
    return status;
}

const struct transform_ops filter_transform = {
    .type = "filter",
    .summary = "passes on only certain operations or rows",
    .settings = &settings,
    .open = filter_open,
    .apply = filter_apply,
    .close = filter_close,
};
