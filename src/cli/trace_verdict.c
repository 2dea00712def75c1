/* Why the row is as it is: one sentence. See trace.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/trace.h"

/* --- the sentence ---------------------------------------------------------------------------- */

static void say(struct trace *trace, const char *verdict, bool good, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void say(struct trace *trace, const char *verdict, bool good, const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    trace->verdict = verdict;
    trace->good = good;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    buffer_reset(&trace->sentence);
    buffer_puts(&trace->sentence, text ? text : "");
    trace->sentence.failed |= !text;
    free(text);
}

struct summary {
    const struct trace_entry *in;      /* the last one applied */
    const struct trace_entry *waiting; /* the last of each since then */
    const struct trace_entry *skipped, *passed, *lost;
    const struct trace_entry *ahead; /* the first */
    size_t ahead_count;
};

/* What is set aside or passed over counts no more once a later change is in. Of another partition
 * it may be as new, for all that its time tells. */
static const struct trace_entry *if_newer(const struct trace_entry *entry,
                                          const struct trace_entry *in)
{
    return entry && entry->place != in->place && entry->time_ms >= in->time_ms ? entry : NULL;
}

static void forget_older(struct summary *summary, const struct trace_entry *in)
{
    summary->waiting = if_newer(summary->waiting, in);
    summary->skipped = if_newer(summary->skipped, in);
    summary->passed = if_newer(summary->passed, in);
    summary->lost = if_newer(summary->lost, in);
}

static struct summary summarize(const struct trace *trace)
{
    struct summary summary = {0};
    for (size_t i = 0; i < trace->entries.count; i++) {
        const struct trace_entry *entry = &trace->entries.items[i];
        if (trace_is_in(entry)) {
            forget_older(&summary, entry);
            summary.in = entry;
        } else if (entry->state == TRACE_WAITING) {
            summary.waiting = entry;
        } else if (entry->state == TRACE_SKIPPED) {
            summary.skipped = entry->maybe ? summary.skipped : entry;
        } else if (entry->state == TRACE_PASSED) {
            summary.passed = entry;
        } else if (entry->state == TRACE_LOST) {
            summary.lost = entry;
        } else if (entry->state == TRACE_AHEAD) {
            summary.ahead = summary.ahead ? summary.ahead : entry;
            summary.ahead_count++;
        }
    }
    return summary;
}

static const char *place_text(const struct trace *trace, const struct trace_entry *entry)
{
    static char texts[4][320];
    static unsigned next;
    const struct trace_place *place = &trace->places[entry->place];
    char *text = texts[next++ % 4];
    snprintf(text, sizeof *texts, "%s:%d:%" PRId64, place->topic, (int) place->partition,
             entry->offset);
    return text;
}

static const char *row_text(const struct trace *trace)
{
    return !trace->table              ? "its table is not there, if that is its name "
                                        "(`ods-sink topics` lists the tables)"
           : !trace->look.rows        ? "it is not in the target"
           : trace->look.soft_deleted ? "it stands there as deleted"
                                      : "it is in the target";
}

static const char *plural(size_t count)
{
    return count == 1 ? "" : "s";
}

static const char *cause_of_lag(const struct trace *trace)
{
    return trace->members ? ""
                          : ": no daemon of the pipeline runs (its consumer group has no members)";
}

/* What Kafka deleted before it was applied. */
static const struct trace_place *find_gap(const struct trace *trace)
{
    for (size_t i = 0; i < trace->place_count; i++) {
        const struct trace_place *place = &trace->places[i];
        if (place->wanted && place->stored != OFFSET_NONE && place->stored < place->low)
            return place;
    }
    return NULL;
}

static const struct trace_place *find_cut(const struct trace *trace, bool by_choice)
{
    for (size_t i = 0; i < trace->place_count; i++) {
        const struct trace_place *place = &trace->places[i];
        if (place->wanted && (by_choice ? place->start > place->low : place->low > 0))
            return place;
    }
    return NULL;
}

static void put_differences(const struct trace *trace, struct buffer *out)
{
    size_t count = 0;
    for (size_t i = 0; i < trace->look.count; i++) {
        const struct row_cell *cell = &trace->look.cells[i];
        if (!cell->same)
            buffer_printf(out, "%s%s", count++ ? ", " : "", cell->column);
    }
}

static const struct expected_row *expected_of(const struct trace *trace,
                                              const struct summary *summary)
{
    return summary->in ? &trace->places[summary->in->place].expected : NULL;
}

static void judge_nothing_found(struct trace *trace)
{
    const struct trace_place *cut = find_cut(trace, true), *old = find_cut(trace, false);
    bool there = trace->look.rows > 0;
    if (!trace->place_count)
        say(trace, "no-topic", false,
            "No topic of pipeline \"%s\" is there, so no record of the row can have come; %s.",
            trace->choice.pipeline->name, row_text(trace));
    else if (cut)
        say(trace, "nothing-since", there,
            "No record of the row came since --from (%s partition %d from offset %" PRId64
            " on); %s.",
            cut->topic, (int) cut->partition, cut->start, row_text(trace));
    else if (old)
        say(trace, there ? "older" : "lost", there,
            "No record of the row is in the topic, which no longer has what came below offset "
            "%" PRId64 " of %s partition %d: %s.",
            old->low, old->topic, (int) old->partition,
            there ? "the row was written by one of those, or by something else"
                  : "either its records were lost by retention, or the source never sent any");
    else
        say(trace, "never-sent", false,
            "The source never sent the row: all %" PRIu64 " record%s of its topic%s were read, "
                                                          "from "
            "the first one on, and none is of this key%s; %s.",
            trace->scanned, plural((size_t) trace->scanned), plural(trace->topics.count),
            trace->unreadable ? " (unless it is one of those that can't be read)" : "",
            there ? "what the target has was written by something else" : row_text(trace));
}

static void judge_match(struct trace *trace, const struct summary *summary,
                        const struct expected_row *expected)
{
    const struct trace_entry *in = summary->in;
    const char *left_out = trace->columns_left_out;
    if (expected->state == EXPECTED_SOFT_DELETED || expected->state == EXPECTED_ABSENT)
        say(trace, "deleted", true, "The row was deleted at the source, which %s says: %s.",
            place_text(trace, in),
            trace->look.rows ? "it stays in the target, marked as deleted" : row_text(trace));
    else if (left_out && *left_out)
        say(trace, "columns-left-out", true,
            "The row is as its last applied change, %s, says, without %s.", place_text(trace, in),
            left_out);
    else
        say(trace, "as-sent", true, "The row is as its last applied change, %s, says.",
            place_text(trace, in));
}

/* False: the row is as expected. */
static bool judge_difference(struct trace *trace, const struct summary *summary,
                             const struct expected_row *expected)
{
    struct buffer names;
    const struct row_look *look = &trace->look;
    const char *place = place_text(trace, summary->in);
    bool there = look->rows > 0;
    if (expected->state == EXPECTED_UNKNOWN)
        return false;
    if (!there && expected->state == EXPECTED_PRESENT) {
        say(trace, "removed-in-target", false,
            "The row is gone from the target though its last applied change, %s, says that it is "
            "there: something other than this pipeline has deleted it (`erase`, perhaps), or the "
            "stored offset was moved past it (reset, or auto_offset_reset: latest).",
            place);
        return true;
    }
    if (there && expected->state == EXPECTED_ABSENT) {
        say(trace, "written-in-target", false,
            "The row stands in the target though %s deleted it: something other than this "
            "pipeline has written it.",
            place);
        return true;
    }
    if (there && expected->state == EXPECTED_SOFT_DELETED && !look->soft_deleted) {
        say(trace, "written-in-target", false,
            "The row stands in the target as if it were there though %s deleted it: something "
            "other than this pipeline has changed it.",
            place);
        return true;
    }
    buffer_init(&names);
    put_differences(trace, &names);
    bool differs = names.length > 0 || (expected->state == EXPECTED_PRESENT && look->soft_deleted);
    if (differs)
        say(trace, "changed-in-target", false,
            "The row's %s%s differ%s from what its last applied change, %s, says: something other "
            "than this pipeline has changed the row in the target (by hand, a trigger, another "
            "writer).",
            names.length ? "" : "mark of deletion", buffer_text(&names),
            names.length && strchr(buffer_text(&names), ',') ? "" : "s", place);
    buffer_done(&names);
    return differs;
}

static void judge_ahead(struct trace *trace, const struct summary *summary)
{
    const struct trace_entry *ahead = summary->ahead;
    const struct trace_place *place = &trace->places[ahead->place];
    size_t count = summary->ahead_count;
    if (place->paused)
        say(trace, "paused", false,
            "The row waits: its table is paused (%s), and %zu record%s of it from %s on %s not "
            "applied yet; %s.",
            place->paused, count, plural(count), place_text(trace, ahead),
            count == 1 ? "is" : "are", row_text(trace));
    else if (ahead->unreadable)
        say(trace, "unreadable", false,
            "A record that is%s of the row, %s, can't be read (%s), and is not passed yet; %s.",
            ahead->maybe ? " perhaps" : "", place_text(trace, ahead), ahead->problem,
            row_text(trace));
    else
        say(trace, "behind", false,
            "The row is behind: %zu record%s of it, from %s on, %s above the stored offset and not "
            "applied yet%s; %s.",
            count, plural(count), place_text(trace, ahead), count == 1 ? "is" : "are",
            cause_of_lag(trace), row_text(trace));
}

static void judge_letter(struct trace *trace, const struct trace_entry *entry, bool waits)
{
    const struct trace_letter *letter = &entry->letter;
    const char *key = entry->maybe ? "A record whose key can't be read, and that is perhaps the "
                                     "row's, "
                                   : "The row's record ";
    if (waits)
        say(trace, entry->unreadable ? "unreadable-letter" : "letter", false,
            "%s%s was set aside as a dead letter (%s%s%s) and waits: %s; once its cause is gone, "
            "`ods-sink dlq replay --topic %s --partition %d --offset %" PRId64 "` applies it.",
            key, place_text(trace, entry), letter->reason, *letter->code ? ", " : "", letter->code,
            row_text(trace), trace->places[entry->place].topic,
            (int) trace->places[entry->place].partition, entry->offset);
    else
        say(trace, "letter-skipped", false,
            "%s%s was set aside as a dead letter (%s), and an operator has put it away (dlq skip) "
            "without applying it; %s.",
            key, place_text(trace, entry), letter->reason, row_text(trace));
}

static void judge_passed(struct trace *trace, const struct trace_entry *entry)
{
    if (entry->left_out)
        say(trace, "table-left-out", false,
            "The row is not moved: tables.yaml leaves its table out (skip), so its records, the "
            "last of them %s, are passed over; %s.",
            place_text(trace, entry), row_text(trace));
    else if (trace_skip_of(trace, entry->place, entry->offset))
        say(trace, "skipped-until", false,
            "The row's record %s was never applied: %s; %s.", place_text(trace, entry),
            entry->note ? entry->note : "", row_text(trace));
    else
        say(trace, entry->why_passed == PASS_FILTERED ? "filtered" : "passed-over", false,
            "The row's last record, %s, is passed over (%s); %s.", place_text(trace, entry),
            trace_pass_text(entry), row_text(trace));
}

static bool judge_gap(struct trace *trace, const struct summary *summary)
{
    const struct trace_place *gap = find_gap(trace);
    if (!gap)
        return false;
    say(trace, "lost", false,
        "Records %" PRId64 " to %" PRId64 " of %s partition %d were deleted by Kafka's retention "
        "before they were applied, and changes of the row may be among them%s; %s.",
        gap->stored, gap->low - 1, gap->topic, (int) gap->partition,
        summary->ahead ? " (later ones are not applied yet either)" : "", row_text(trace));
    return true;
}

static bool is_only_tombstone(const struct trace_entry *entry)
{
    return entry->passed && entry->why_passed == PASS_TOMBSTONE;
}

static void judge(struct trace *trace)
{
    const struct summary summary = summarize(trace);
    const struct expected_row *expected = expected_of(trace, &summary);
    if (trace->choice.table->skip && trace->entries.count)
        judge_passed(trace, &trace->entries.items[trace->entries.count - 1]);
    else if (judge_gap(trace, &summary))
        return;
    else if (summary.waiting)
        judge_letter(trace, summary.waiting, true);
    else if (summary.ahead)
        judge_ahead(trace, &summary);
    else if (summary.skipped)
        judge_letter(trace, summary.skipped, false);
    else if (summary.lost)
        say(trace, "unreadable", false,
            "The row's record %s can't be read (%s) and was not applied, and no dead letter tells "
            "of it any more; %s.",
            place_text(trace, summary.lost), summary.lost->problem, row_text(trace));
    else if (summary.passed && !is_only_tombstone(summary.passed))
        judge_passed(trace, summary.passed);
    else if (!summary.in && summary.passed)
        judge_passed(trace, summary.passed);
    else if (!summary.in)
        judge_nothing_found(trace);
    else if (!judge_difference(trace, &summary, expected))
        judge_match(trace, &summary, expected);
}

/* --- what the target does not take ------------------------------------------------------------ */

static void find_left_out(struct trace *trace)
{
    struct buffer text;
    buffer_init(&text);
    for (size_t i = trace->entries.count; i-- > 0;) {
        const struct trace_entry *entry = &trace->entries.items[i];
        const json_t *list = entry->change ? json_object_get(entry->change, "not_written") : NULL;
        json_t *item;
        size_t k;
        if (!trace_is_in(entry))
            continue;
        json_array_foreach(list, k, item)
            buffer_printf(&text, "%s%s (%s)", k ? ", " : "",
                          json_string_value(json_object_get(item, "column")),
                          json_string_value(json_object_get(item, "why")));
        break;
    }
    trace->columns_left_out = strdup(buffer_text(&text));
    buffer_done(&text);
}

int trace_judge(struct trace *trace, struct error *error)
{
    bool good = trace_set_states(trace);
    if (good) {
        find_left_out(trace);
        judge(trace);
    }
    if (good && !trace->sentence.failed && trace->columns_left_out)
        return CLI_OK;
    error_out_of_memory(error);
    return CLI_INTERNAL;
}
