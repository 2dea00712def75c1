/* What is counted of an apply. See ods/sink.h. */
#include <ods/sink.h>

#define ROW(member, name, of, metric, labels, help)                                                \
    {name, metric, labels, help, offsetof(struct apply_result, member), APPLY_OF_##of},

const struct apply_count apply_counts[APPLY_COUNT_KINDS] = {APPLY_COUNTS(ROW)};

void apply_result_add(struct apply_result *result, const struct apply_result *more)
{
    struct apply_result by = *more;
    for (size_t i = 0; i < APPLY_COUNT_KINDS; i++)
        *apply_count(result, i) += *apply_count(&by, i);
}
