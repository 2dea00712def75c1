/* The row's path for programs. See trace.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/dlq.h"
#include "cli/json.h"
#include "cli/redact.h"
#include "cli/trace.h"

static json_t *table_json(const struct trace *trace)
{
    const struct table_choice *choice = &trace->choice;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "pipeline", choice->pipeline->name,
                     "target", choice->target->name, "schema", choice->schema, "name",
                     choice->name, "source_qualifier", choice->qualifier, "source",
                     choice->source, "skip", (int) choice->table->skip);
}

static json_t *places_json(const struct trace *trace)
{
    json_t *list = json_array();
    for (size_t i = 0; i < trace->place_count; i++) {
        const struct trace_place *place = &trace->places[i];
        json_array_append_new(
            list,
            json_pack("{s:s, s:i, s:b, s:I, s:I, s:I, s:I, s:o, s:o}", "topic", place->topic,
                      "partition", (int) place->partition, "read", (int) place->wanted, "first",
                      (json_int_t) place->low, "end", (json_int_t) place->high, "from",
                      (json_int_t) place->start, "upto", (json_int_t) place->upto, "stored",
                      place->stored == OFFSET_NONE ? json_null()
                                                   : json_integer((json_int_t) place->stored),
                      "paused", place->paused ? cli_json(place->paused) : json_null()));
    }
    return list;
}

static json_t *letter_json(const struct trace *trace, const struct trace_entry *entry)
{
    const struct trace_letter *letter = &entry->letter;
    if (!entry->has_letter)
        return json_null();
    return json_pack("{s:s, s:i, s:I, s:s, s:o, s:o, s:o}", trace->store.kind,
                     trace->store.name, "partition", (int) letter->partition,
                     "offset", (json_int_t) letter->offset, "state",
                     letter->mark == OFFSET_NONE    ? "waiting"
                     : letter->mark == MARK_SKIPPED ? "skipped"
                                                    : "replayed",
                     "stage", cli_json(letter->stage), "code", cli_json(letter->code), "error",
                     cli_json(letter->reason));
}

static json_t *entry_json(const struct trace *trace, const struct trace_entry *entry)
{
    const struct trace_place *place = &trace->places[entry->place];
    char time[40];
    trace_time(time, entry->time_ms);
    json_t *object = json_pack(
        "{s:s, s:i, s:I, s:s, s:s, s:b, s:o, s:o, s:o}", "topic", place->topic, "partition",
        (int) place->partition, "offset", (json_int_t) entry->offset, "time", time, "state",
        trace_state_name(entry->state), "maybe", (int) entry->maybe, "letter",
        letter_json(trace, entry), "why", entry->note ? cli_json(entry->note) : json_null(),
        "error", entry->problem ? cli_json(entry->problem) : json_null());
    if (object && entry->change)
        json_object_update(object, entry->change);
    return object;
}

static json_t *entries_json(const struct trace *trace)
{
    json_t *list = json_array();
    for (size_t i = 0; i < trace->entries.count; i++)
        json_array_append_new(list, entry_json(trace, &trace->entries.items[i]));
    return list;
}

static json_t *text_or_null(const struct trace *trace, const char *column, const char *text)
{
    if (!text)
        return json_null();
    return is_redacted_target(trace->choice.table, column) ? json_string(REDACTED)
                                                           : cli_json(text);
}

static json_t *row_json(const struct trace *trace)
{
    const struct row_look *look = &trace->look;
    json_t *row = json_object(), *differs = json_array();
    for (size_t i = 0; i < look->count; i++) {
        const struct row_cell *cell = &look->cells[i];
        json_object_set_new(row, cell->column, text_or_null(trace, cell->column, cell->value));
        if (!cell->same)
            json_array_append_new(
                differs, json_pack("{s:s, s:o, s:o}", "column", cell->column, "value",
                                   text_or_null(trace, cell->column, cell->value), "expected",
                                   text_or_null(trace, cell->column, cell->expected)));
    }
    const char *state = !trace->table        ? "no table"
                        : !look->rows        ? "absent"
                        : look->soft_deleted ? "soft-deleted"
                                             : "present";
    if (!look->rows) {
        json_decref(row);
        row = json_null();
    }
    return json_pack("{s:s, s:o, s:o}", "state", state, "row", row, "differs", differs);
}

int trace_print_json(struct trace *trace, struct error *error)
{
    json_t *source = trace->source ? json_incref(trace->source) : json_null();
    json_t *root =
        json_pack("{s:o, s:o, s:o, s:b, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:{s:s, s:b, s:o}}",
                  "table", table_json(trace), "key", cli_json(trace->key_text), "partitions",
                  places_json(trace), "partition_told_by_key", (int) trace->told, "records_read",
                  (json_int_t) trace->scanned, "older", (json_int_t) trace->entries.dropped,
                  "unreadable_others", (json_int_t) trace->unreadable, "records",
                  entries_json(trace), "target", row_json(trace), "source", source, "source_why",
                  trace->source_why ? cli_json(trace->source_why) : json_null(), "verdict", "code",
                  trace->verdict, "as_it_should_be", (int) trace->good, "text",
                  cli_json(buffer_text(&trace->sentence)));
    if (!root) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    cli_print_json(root);
    return CLI_OK;
}
