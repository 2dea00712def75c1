/* What has become of each of the row's records. See trace.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/dlq.h"
#include "cli/trace.h"
#include "core/time.h"

static const char *const state_names[TRACE_STATES] = {
    [TRACE_APPLIED] = "applied",   [TRACE_FOLDED] = "folded",   [TRACE_WAITING] = "waiting",
    [TRACE_REPLAYED] = "replayed", [TRACE_SKIPPED] = "skipped", [TRACE_PASSED] = "passed over",
    [TRACE_LOST] = "not applied",  [TRACE_AHEAD] = "ahead",
};

const char *trace_state_name(enum trace_state state)
{
    return state_names[state];
}

void trace_time(char text[40], int64_t ms)
{
    struct buffer room;
    if (ms < 0) {
        snprintf(text, 40, "?");
        return;
    }
    buffer_init(&room);
    time_format_timestamp(&room, ms * 1000, false);
    snprintf(text, 40, "%sZ", buffer_text(&room));
    buffer_done(&room);
}

/* --- one list, oldest first ------------------------------------------------------------------- */

/* Letters of records that were read become theirs; the others stand for their records. */
static bool join_letters(struct trace *trace)
{
    bool good = true;
    for (size_t i = 0; i < trace->entries.count; i++) {
        struct trace_entry *entry = &trace->entries.items[i];
        struct trace_entry *letter = trace_letter_of(trace, entry->place, entry->offset);
        if (!letter)
            continue;
        entry->has_letter = true;
        entry->letter = letter->letter;
        letter->letter = (struct trace_letter){0};
        letter->has_letter = false;
        entry->maybe &= letter->maybe;
    }
    for (size_t i = 0; good && i < trace->letters.count; i++) {
        if (!trace->letters.items[i].has_letter)
            continue;
        trace->closed += trace->letters.items[i].closed;
        if (trace->letters.items[i].closed) /* perhaps another row's */
            continue;
        struct trace_entry taken = trace->letters.items[i];
        trace->letters.items[i] = (struct trace_entry){0};
        good = trace_keep(&trace->entries, &taken);
    }
    return good;
}

static int by_place(const void *left, const void *right)
{
    const struct trace_entry *a = left, *b = right;
    if (a->place != b->place)
        return a->place > b->place ? 1 : -1;
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* Within a partition by offset; the partitions' lists are merged by time. */
static bool order(struct trace_entries *entries, size_t places)
{
    struct trace_entry *sorted = calloc(entries->count + 1, sizeof *sorted);
    size_t *at = calloc(places + 1, sizeof *at), *end = calloc(places + 1, sizeof *end);
    bool good = sorted && at && end;
    if (good && entries->count)
        qsort(entries->items, entries->count, sizeof *entries->items, by_place);
    for (size_t i = entries->count; good && i-- > 0;) {
        at[entries->items[i].place] = i;
        if (!end[entries->items[i].place])
            end[entries->items[i].place] = i + 1;
    }
    for (size_t n = 0; good && n < entries->count; n++) {
        size_t oldest = SIZE_MAX;
        for (size_t place = 0; place < places; place++)
            if (at[place] < end[place] &&
                (oldest == SIZE_MAX ||
                 entries->items[at[place]].time_ms < entries->items[at[oldest]].time_ms))
                oldest = place;
        sorted[n] = entries->items[at[oldest]++];
    }
    if (good && entries->count)
        memcpy(entries->items, sorted, entries->count * sizeof *sorted);
    free(sorted);
    free(at);
    free(end);
    return good;
}

/* --- states ---------------------------------------------------------------------------------- */

static bool changes_row(const struct trace_entry *entry)
{
    return !entry->passed && !entry->unreadable && !entry->left_out;
}

static enum trace_state state_of(const struct trace *trace, const struct trace_entry *entry)
{
    const struct trace_place *place = &trace->places[entry->place];
    if (entry->has_letter)
        return entry->letter.mark == OFFSET_NONE    ? TRACE_WAITING
               : entry->letter.mark == MARK_SKIPPED ? TRACE_SKIPPED
                                                    : TRACE_REPLAYED;
    if (entry->offset >= place->stored)
        return TRACE_AHEAD;
    if (entry->passed || entry->left_out ||
        trace_skip_of(trace, entry->place, entry->offset))
        return TRACE_PASSED;
    return entry->unreadable ? TRACE_LOST : TRACE_APPLIED;
}

static void set_note(struct trace_entry *entry, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set_note(struct trace_entry *entry, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    free(entry->note);
    if (vasprintf(&entry->note, format, arguments) < 0)
        entry->note = NULL;
    va_end(arguments);
}

const char *trace_pass_text(const struct trace_entry *entry)
{
    switch (entry->why_passed) {
    case PASS_TOMBSTONE:
        return "a tombstone: after its delete, or on_tombstone: ignore";
    case PASS_FILTERED:
        return "a filter of tables.yaml drops it";
    case PASS_SKIPPED:
        return "tables.yaml leaves its table out";
    default:
        return pass_reason_name(entry->why_passed);
    }
}

static void note(const struct trace *trace, struct trace_entry *entry, int64_t later)
{
    const struct trace_place *place = &trace->places[entry->place];
    const struct trace_letter *letter = &entry->letter;
    const struct trace_skip *skip = trace_skip_of(trace, entry->place, entry->offset);
    if (entry->has_letter && letter->stage)
        set_note(entry, "dead letter %s:%d:%" PRId64 " (%s%s%s): %s%s",
                 trace->store.name, (int) letter->partition, letter->offset,
                 letter->stage, *letter->code ? " " : "", letter->code, letter->reason,
                 entry->from_letter ? "; its record is not in what was read of the topic" : "");
    else if (entry->state == TRACE_PASSED && skip)
        set_note(entry, "an operator had it passed over (skip-until%s)", skip->text);
    else if (entry->left_out)
        set_note(entry, "tables.yaml leaves its table out (skip)");
    else if (entry->passed)
        set_note(entry, "%s", trace_pass_text(entry));
    else if (entry->unreadable)
        set_note(entry, "can't be read: %s%s", entry->problem,
                 entry->state == TRACE_LOST ? "; no dead letter tells of it any more" : "");
    else if (entry->state == TRACE_FOLDED)
        set_note(entry, "offset %" PRId64 " came later", later);
    else if (entry->state == TRACE_AHEAD && place->stored == OFFSET_NONE)
        set_note(entry, "no offset of the partition is stored yet");
    else if (entry->state == TRACE_AHEAD)
        set_note(entry, "the stored offset is %" PRId64, place->stored);
}

bool trace_is_in(const struct trace_entry *entry)
{
    return (entry->state == TRACE_APPLIED || entry->state == TRACE_REPLAYED) && changes_row(entry);
}

static void set_states(struct trace *trace)
{
    struct trace_entries *entries = &trace->entries;
    for (size_t i = 0; i < entries->count; i++)
        entries->items[i].state = state_of(trace, &entries->items[i]);
    for (size_t i = 0; i < entries->count; i++) {
        struct trace_entry *entry = &entries->items[i];
        int64_t later = -1;
        for (size_t k = i + 1; entry->state == TRACE_APPLIED && k < entries->count; k++)
            if (entries->items[k].place == entry->place && trace_is_in(&entries->items[k]))
                later = entries->items[k].offset;
        if (later >= 0)
            entry->state = TRACE_FOLDED;
        note(trace, entry, later);
    }
}

bool trace_set_states(struct trace *trace)
{
    bool good = join_letters(trace) && order(&trace->entries, trace->place_count);
    if (good)
        set_states(trace);
    return good;
}
