/* What operators have ordered about the row's topics: what is held, what was passed over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/trace.h"

struct ordering {
    struct trace *trace;
    bool failed;
};

/* ", since 2026-01-31 12:00:00Z, by whom: why" */
static char *text_of(struct ordering *ordering, const char *at, const char *by, const char *reason)
{
    char *text = NULL;
    if (asprintf(&text, " since %sZ by %s%s%s", at, by, *reason ? ": " : "", reason) < 0)
        text = NULL;
    ordering->failed |= !text;
    return text;
}

static bool take_order(void *context, const char *const *values)
{
    struct ordering *ordering = context;
    struct trace *trace = ordering->trace;
    for (size_t i = 0; i < trace->place_count; i++) {
        if (strcmp(trace->places[i].topic, values[0]) != 0)
            continue;
        char *text = text_of(ordering, values[4], values[3], values[2]);
        free((char *) trace->places[i].paused);
        trace->places[i].paused = NULL;
        if (text && asprintf((char **) &trace->places[i].paused, "%s%s", values[1], text) < 0)
            trace->places[i].paused = NULL;
        free(text);
    }
    return !ordering->failed;
}

static bool take_skip(void *context, const char *const *values)
{
    struct ordering *ordering = context;
    struct trace *trace = ordering->trace;
    int64_t partition = strtoll(values[1], NULL, 10);
    for (size_t i = 0; i < trace->place_count; i++) {
        if (trace->places[i].partition != partition ||
            strcmp(trace->places[i].topic, values[0]) != 0)
            continue;
        struct trace_skip *larger =
            realloc(trace->skips, (trace->skip_count + 1) * sizeof *larger);
        ordering->failed |= !larger;
        if (!larger)
            return false;
        trace->skips = larger;
        trace->skips[trace->skip_count++] =
            (struct trace_skip){.place = i,
                                .from = strtoll(values[2], NULL, 10),
                                .upto = strtoll(values[3], NULL, 10),
                                .text = text_of(ordering, values[6], values[5], values[4])};
    }
    return !ordering->failed;
}

const struct trace_skip *trace_skip_of(const struct trace *trace, size_t place, int64_t offset)
{
    for (size_t i = trace->skip_count; i-- > 0;)
        if (trace->skips[i].place == place && offset >= trace->skips[i].from &&
            offset < trace->skips[i].upto)
            return &trace->skips[i];
    return NULL;
}

int trace_read_orders(struct trace *trace, struct error *error)
{
    struct ordering ordering = {.trace = trace};
    const char *group = trace->choice.pipeline->group_id;
    for (size_t i = 0; i < trace->skip_count; i++)
        free(trace->skips[i].text);
    trace->skip_count = 0;
    for (size_t i = 0; i < trace->place_count; i++) {
        free((char *) trace->places[i].paused);
        trace->places[i].paused = NULL;
    }
    enum ods_status status = reader_orders(trace->reader, group, take_order, &ordering, error);
    if (status == ODS_OK)
        status = reader_skips(trace->reader, group, take_skip, &ordering, error);
    if (status == ODS_OK && ordering.failed)
        status = error_out_of_memory(error);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}
