/* The row's path for people. See trace.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/columns.h"
#include "cli/redact.h"
#include "cli/trace.h"

/* A line, in which what would move the cursor is made visible. */
static void print_visible(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void print_visible(const char *format, ...)
{
    char *text = NULL;
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(&text, format, arguments) < 0)
        text = NULL;
    va_end(arguments);
    size_t length = text ? strlen(text) : 0;
    length -= length && text[length - 1] == '\n'; /* puts() ends the line */
    char *visible = text ? terminal_visible(text, length) : NULL;
    puts(visible ? visible : "?");
    free(visible);
    free(text);
}

/* --- where it was looked for ------------------------------------------------------------------ */

static void print_place(const struct trace *trace, const struct trace_place *place)
{
    printf("  %s partition %d: ", place->topic, (int) place->partition);
    if (place->start >= place->high)
        printf("nothing to read (it ends at %" PRId64 ")", place->high);
    else
        printf("offsets %" PRId64 " to %" PRId64, place->start, place->high - 1);
    if (place->low)
        printf(", those below %" PRId64 " are gone", place->low);
    if (place->stored == OFFSET_NONE)
        printf(", no offset stored");
    else
        printf(", stored offset %" PRId64, place->stored);
    print_visible("%s%s\n", place->paused ? ", " : "", place->paused ? place->paused : "");
}

static void print_head(const struct trace *trace)
{
    const struct table_choice *choice = &trace->choice;
    size_t wanted = 0;
    print_visible("%s%s%s -> %s.%s of target \"%s\", pipeline \"%s\", key %s\n",
                  choice->qualifier, *choice->qualifier ? "." : "", choice->source,
                  choice->schema, choice->name, choice->target->name, choice->pipeline->name,
                  trace->key_text);
    for (size_t i = 0; i < trace->place_count; i++)
        wanted += trace->places[i].wanted;
    printf("%" PRIu64 " record%s read of %zu of %zu partition%s%s%s\n", trace->scanned,
           trace->scanned == 1 ? "" : "s", wanted, trace->place_count,
           trace->place_count == 1 ? "" : "s", trace->told ? ", which the key tells" : "",
           trace->topics.all ? "; no topic is named like the table, so all were read" : "");
    for (size_t i = 0; i < trace->place_count; i++)
        if (trace->places[i].wanted)
            print_place(trace, &trace->places[i]);
}

/* --- records ---------------------------------------------------------------------------------- */

static void put_value(struct buffer *out, const json_t *value)
{
    if (json_is_string(value))
        buffer_puts(out, json_string_value(value));
    else
        buffer_puts(out, "NULL");
}

static const json_t *previous_image(const struct trace *trace, size_t index)
{
    const struct trace_entry *entry = &trace->entries.items[index];
    const json_t *before = json_object_get(entry->change, "before");
    for (size_t i = index; !json_is_object(before) && i-- > 0;)
        if (trace->entries.items[i].place == entry->place && trace->entries.items[i].change)
            before = json_object_get(trace->entries.items[i].change, "after");
    return before;
}

/* An update: what is other than before; else the whole row. */
static void put_image(const struct trace *trace, size_t index, struct buffer *out)
{
    const struct trace_entry *entry = &trace->entries.items[index];
    json_t *after = json_object_get(entry->change, "after"), *value;
    const json_t *before = entry->op == OP_UPDATE ? previous_image(trace, index) : NULL;
    const char *name;
    size_t count = 0;
    json_object_foreach(after, name, value)
    {
        const json_t *old = json_is_object(before) ? json_object_get(before, name) : NULL;
        if (old && json_equal(old, value))
            continue;
        buffer_printf(out, "%s%s: ", count++ ? ", " : "", name);
        if (old) {
            put_value(out, old);
            buffer_puts(out, " -> ");
        }
        put_value(out, value);
    }
    if (json_is_object(after) && !count)
        buffer_puts(out, "nothing changes");
}

static const char *what(const struct trace_entry *entry)
{
    if (entry->unreadable)
        return entry->maybe ? "unreadable, maybe the row's" : "unreadable";
    switch (entry->op) {
    case OP_CREATE:
        return "create";
    case OP_READ:
        return "snapshot";
    case OP_UPDATE:
        return "update";
    case OP_DELETE:
        return "delete";
    case OP_TRUNCATE:
        return "truncate";
    default:
        return "no change";
    }
}

static bool print_entries(const struct trace *trace)
{
    static const char *const names[] = {"TIME", "RECORD", "WHAT", "STATE", "CHANGES", "NOTE"};
    struct columns table;
    struct buffer changes;
    char time[40], place[320];
    if (trace->entries.dropped)
        printf("\n%" PRIu64 " older records of the row are not shown\n", trace->entries.dropped);
    if (!trace->entries.count)
        return true;
    buffer_init(&changes);
    putchar('\n');
    columns_init(&table, trace->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < trace->entries.count; i++) {
        const struct trace_entry *entry = &trace->entries.items[i];
        const struct trace_place *where = &trace->places[entry->place];
        buffer_reset(&changes);
        put_image(trace, i, &changes);
        trace_time(time, entry->time_ms);
        snprintf(place, sizeof place, "%s:%d:%" PRId64, where->topic, (int) where->partition,
                 entry->offset);
        columns_add(&table, time);
        columns_add(&table, place);
        columns_add(&table, what(entry));
        columns_add(&table, trace_state_name(entry->state));
        columns_add(&table, buffer_text(&changes));
        columns_add(&table, entry->note ? entry->note : "");
    }
    bool good = columns_print(&table) && !changes.failed;
    columns_done(&table);
    buffer_done(&changes);
    return good;
}

/* --- rows ------------------------------------------------------------------------------------- */

static const char *shown(const struct trace *trace, const struct row_cell *cell, const char *text)
{
    return !text                                                  ? "NULL"
           : is_redacted_target(trace->choice.table, cell->column) ? REDACTED
                                                                   : text;
}

static bool print_row(const struct trace *trace)
{
    static const char *const names[] = {"COLUMN", "TARGET", "LAST APPLIED CHANGE"};
    const struct row_look *look = &trace->look;
    struct columns table;
    if (!look->rows) {
        printf("\ntarget: %s\n", trace->table ? "no row of this key" : "there is no such table");
        return true;
    }
    printf("\ntarget: the row is there%s%s\n", look->soft_deleted ? ", marked as deleted" : "",
           look->rows > 1 ? ", more than once: the table has no unique key" : "");
    columns_init(&table, trace->terminal, names, sizeof names / sizeof *names);
    for (size_t i = 0; i < look->count; i++) {
        const struct row_cell *cell = &look->cells[i];
        columns_add(&table, cell->column);
        columns_add(&table, shown(trace, cell, cell->value));
        columns_add(&table, !cell->known  ? ""
                            : !cell->same ? shown(trace, cell, cell->expected)
                                          : "the same");
        if (!cell->same)
            columns_paint(&table, PAINT_BAD);
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static void print_source(const struct trace *trace)
{
    const char *name;
    json_t *value;
    if (!trace->source) {
        printf("\nsource: %s\n", trace->source_why ? trace->source_why : "not asked");
        return;
    }
    if (!json_is_object(trace->source)) {
        printf("\nsource: no row of this key\n");
        return;
    }
    printf("\nsource: the row is there\n");
    json_object_foreach(trace->source, name, value)
    {
        const char *text = json_is_string(value) ? json_string_value(value) : "NULL";
        print_visible("  %s = %s\n", name, text);
    }
}

int trace_print(struct trace *trace, struct error *error)
{
    print_head(trace);
    bool good = print_entries(trace);
    if (trace->unreadable)
        printf("\n%" PRIu64 " other record%s there can't be read (see ods-sink dlq list)\n",
               trace->unreadable, trace->unreadable == 1 ? "" : "s");
    good &= print_row(trace);
    print_source(trace);
    const char *sentence = buffer_text(&trace->sentence);
    char *visible = terminal_visible(sentence, strlen(sentence));
    printf("\n%s%s%s\n", terminal_paint(trace->terminal, trace->good ? PAINT_GOOD : PAINT_WARN),
           visible ? visible : "", terminal_plain(trace->terminal, PAINT_GOOD));
    good &= visible != NULL;
    free(visible);
    if (good)
        return CLI_OK;
    error_out_of_memory(error);
    return CLI_INTERNAL;
}
