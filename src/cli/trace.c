/* ods-sink trace: one row's whole path, from its topic to the target.
 *
 * The topics are read once, while the target goes on. Then, inside of one transaction of the target
 * that sees one moment, what has come since is read too: so the stored offsets, what the applied
 * records should have made of the row, and the row itself are of that moment, and a stream that
 * flows gives no false alarm.
 */
#include <jansson.h>

#include "cli/trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "core/log.h"
#include "quality/flow.h"
#include "source/kafka/kafka.h"

/* --- opening ---------------------------------------------------------------------------------- */

static enum ods_status open_key(struct trace *trace, struct error *error)
{
    const struct table_choice *choice = &trace->choice;
    return trace->reader
               ? keyed_row_open(&trace->row, trace->reader, choice->schema, choice->name,
                                trace->key.items, trace->key.count, error)
               : keyed_row_open_texts(&trace->row, choice->pipeline,
                                      sink_find(choice->target->type)->name_table, choice->schema,
                                      choice->name, trace->key.items, trace->key.count, error);
}

static int open_row(struct trace *trace, struct error *error)
{
    const struct table_choice *choice = &trace->choice;
    if (trace->reader && reader_table(trace->reader, choice->schema, choice->name, &trace->table,
                                      error) != ODS_OK)
        return CLI_TARGET;
    int code = row_key_parse(&trace->key, &trace->given_key, choice, trace->table, error);
    if (code != CLI_OK)
        return code;
    trace->key_text = row_key_text(&trace->key, choice);
    if (!trace->key_text) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    enum ods_status status = open_key(trace, error);
    return status == ODS_OK ? CLI_OK : status == ODS_REJECT ? CLI_USAGE : CLI_TARGET;
}

static int open_worker(struct trace *trace, struct error *error)
{
    trace->origin = (struct worker_origin){.settings = trace->settings,
                                           .pipeline = trace->choice.pipeline};
    if (worker_open_helper(&trace->helper, &trace->origin, error) != ODS_OK)
        return CLI_CONFIG;
    const struct worker_options options = {.pipeline = trace->choice.pipeline,
                                           .helper = trace->helper,
                                           .want_before = true};
    if (worker_open(&trace->worker, &options, error) != ODS_OK)
        return CLI_CONFIG;
    quality_flow_be_lenient(trace->worker.quality);
    trace->batch = batch_new();
    trace->key_batch = batch_new();
    if (!trace->batch || !trace->key_batch) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    if (trace->helper && trace->helper->ops->read(trace->helper, error) != ODS_OK)
        return CLI_SOURCE;
    return CLI_OK;
}

/* --- partitions ------------------------------------------------------------------------------ */

static int list_places(struct trace *trace, struct error *error)
{
    for (size_t i = 0; i < trace->topics.count; i++)
        trace->place_count += (size_t) trace->topics.items[i].partitions;
    trace->places = calloc(trace->place_count + 1, sizeof *trace->places);
    if (!trace->places) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    size_t at = 0;
    for (size_t i = 0; i < trace->topics.count; i++)
        for (int32_t k = 0; k < trace->topics.items[i].partitions; k++)
            trace->places[at++] = (struct trace_place){.topic = trace->topics.items[i].name,
                                                       .topic_number = i,
                                                       .partition = k,
                                                       .stored = OFFSET_NONE};
    return CLI_OK;
}

int trace_ask_ends(struct trace *trace, struct error *error)
{
    for (size_t i = 0; i < trace->place_count; i++) {
        struct trace_place *place = &trace->places[i];
        if (kafka_tool_ends(trace->tool, place->topic, place->partition, &place->low,
                            &place->high, error) != ODS_OK)
            return CLI_SOURCE;
    }
    return CLI_OK;
}

static int set_start(struct trace *trace, struct trace_place *place, struct error *error)
{
    place->start = place->low;
    int64_t from = trace->from_offset;
    if (trace->from_us != INT64_MIN &&
        kafka_tool_offset_at(trace->tool, place->topic, place->partition, trace->from_us / 1000,
                             &from, error) != ODS_OK)
        return CLI_SOURCE;
    if (trace->from_us != INT64_MIN && from < 0)
        from = place->high; /* nothing is as new as that */
    if (from > place->start)
        place->start = from;
    place->upto = place->start;
    return CLI_OK;
}

/* The offsets that the target stores now, into `stored`. */
static int read_stored(struct trace *trace, int64_t *stored, struct error *error)
{
    struct position *positions = calloc(trace->place_count + 1, sizeof *positions);
    if (!positions) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < trace->place_count; i++)
        positions[i] = (struct position){.topic = trace->places[i].topic,
                                         .partition = trace->places[i].partition};
    enum ods_status status =
        reader_positions(trace->reader, trace->choice.pipeline->group_id, positions,
                         trace->place_count, error);
    for (size_t i = 0; i < trace->place_count; i++)
        stored[i] = positions[i].offset;
    free(positions);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

static int prepare_places(struct trace *trace, int64_t *stored, struct error *error)
{
    int code = trace_ask_ends(trace, error);
    for (size_t i = 0; code == CLI_OK && i < trace->place_count; i++)
        code = set_start(trace, &trace->places[i], error);
    if (code == CLI_OK)
        code = read_stored(trace, stored, error);
    for (size_t i = 0; code == CLI_OK && i < trace->place_count; i++)
        trace->places[i].stored = stored[i];
    return code == CLI_OK ? trace_choose_partitions(trace, error) : code;
}

/* --- reading --------------------------------------------------------------------------------- */

/* Nothing is in the partitions that the key tells: it may lie elsewhere, from a time when the topic
 * had fewer of them, or when keys were written otherwise. */
static int read_others(struct trace *trace, struct error *error)
{
    if (!trace->told || trace->entries.count)
        return CLI_OK;
    trace->told = false;
    for (size_t i = 0; i < trace->place_count; i++)
        trace->places[i].wanted = true;
    return trace_read_topics(trace, error);
}

/* Records that were ahead and are not any more are looked at again. */
static void go_back(struct trace *trace, size_t number, int64_t stored)
{
    struct trace_place *place = &trace->places[number];
    int64_t then = place->stored;
    place->stored = stored;
    if (!place->wanted || stored <= then)
        return;
    int64_t from = then > place->start ? then : place->start;
    if (from >= place->upto)
        return;
    place->upto = from;
    for (size_t i = trace->entries.count; i-- > 0;)
        if (trace->entries.items[i].place == number && trace->entries.items[i].offset >= from)
            trace_drop(&trace->entries, i);
}

/* Of the partition whose change of the row is the newest of those applied. */
static const struct expected_row *expected_now(const struct trace *trace)
{
    const struct trace_entry *newest = NULL;
    for (size_t i = 0; i < trace->entries.count; i++) {
        const struct trace_entry *entry = &trace->entries.items[i];
        if (entry->offset < trace->places[entry->place].stored && !entry->passed &&
            !entry->unreadable && !trace_skip_of(trace, entry->place, entry->offset) &&
            (!newest || entry->time_ms >= newest->time_ms))
            newest = entry;
    }
    return newest ? &trace->places[newest->place].expected : NULL;
}

static int look_at_one_moment(struct trace *trace, int64_t *stored, struct error *error)
{
    int code = read_stored(trace, stored, error);
    if (code == CLI_OK)
        code = trace_ask_ends(trace, error);
    for (size_t i = 0; code == CLI_OK && i < trace->place_count; i++)
        go_back(trace, i, stored[i]);
    if (code == CLI_OK)
        code = trace_read_orders(trace, error);
    if (code == CLI_OK)
        code = trace_read_letters(trace, error);
    if (code == CLI_OK)
        code = trace_read_marks(trace, error);
    if (code == CLI_OK)
        code = trace_read_topics(trace, error);
    if (code == CLI_OK && keyed_row_look(trace->row, trace->choice.table, expected_now(trace),
                                         &trace->look, error) != ODS_OK)
        code = CLI_TARGET;
    return code;
}

static int read_all(struct trace *trace, struct error *error)
{
    int64_t *stored = calloc(trace->place_count + 1, sizeof *stored);
    int code = stored ? CLI_OK : CLI_INTERNAL;
    if (code == CLI_OK)
        code = prepare_places(trace, stored, error);
    if (code == CLI_OK)
        code = trace_read_orders(trace, error);
    if (code == CLI_OK)
        code = trace_read_letters(trace, error);
    if (code == CLI_OK && trace_read_marks(trace, error) != CLI_OK)
        code = CLI_TARGET;
    if (code == CLI_OK)
        code = trace_read_topics(trace, error);
    if (code == CLI_OK)
        code = read_others(trace, error);
    if (code == CLI_OK && reader_begin(trace->reader, error) != ODS_OK)
        code = CLI_TARGET;
    if (code == CLI_OK) {
        code = look_at_one_moment(trace, stored, error);
        reader_end(trace->reader);
    }
    free(stored);
    return code;
}

static void count_members(struct trace *trace)
{
    char first[256];
    struct error ignored; /* it is one clause of a sentence */
    error_init(&ignored);
    trace->members = -1;
    if (kafka_tool_members(trace->tool, &trace->members, first, sizeof first, &ignored) != ODS_OK)
        trace->members = -1;
}

int trace_open(struct trace *trace, struct error *error)
{
    int code = letter_keys_read(&trace->keys, &trace->key_files, error);
    if (code == CLI_OK)
        code = trace->to_erase
                   ? table_choose_to_erase(&trace->choice, trace->settings, trace->text,
                                           trace->pipeline, error)
                   : table_choose(&trace->choice, trace->settings, trace->text, trace->pipeline,
                                  false, error);
    if (code == CLI_OK)
        code = choice_check_source(&trace->choice, error);
    if (code == CLI_OK && strcmp(trace->choice.target->type, "postgres") == 0)
        code = table_reader_open(&trace->reader, &trace->choice, trace->timeout_ms, error);
    if (code == CLI_OK)
        code = open_row(trace, error);
    if (code == CLI_OK && kafka_tool_open_quick(&trace->tool, trace->settings,
                                          trace->choice.pipeline->group_id, error) != ODS_OK)
        code = CLI_SOURCE;
    if (code == CLI_OK)
        code = open_worker(trace, error);
    if (code == CLI_OK)
        code = choice_topics_find(&trace->topics, &trace->choice, trace->reader, trace->tool,
                                 error);
    if (code == CLI_OK)
        code = trace_open_letters(trace, error);
    return code == CLI_OK ? list_places(trace, error) : code;
}

static int run_trace(struct trace *trace, struct error *error)
{
    int code = trace_open(trace, error);
    if (code == CLI_OK)
        code = read_all(trace, error);
    if (code == CLI_OK)
        code = trace_read_source(trace, error);
    if (code != CLI_OK)
        return code;
    count_members(trace);
    code = trace_judge(trace, error);
    if (code == CLI_OK)
        code = trace->json ? trace_print_json(trace, error) : trace_print(trace, error);
    return code != CLI_OK || trace->good ? code : CLI_NEGATIVE;
}

void trace_done(struct trace *trace)
{
    for (size_t i = 0; i < trace->place_count; i++) {
        expected_row_done(&trace->places[i].expected);
        free((char *) trace->places[i].paused);
    }
    free(trace->places);
    while (trace->entries.count)
        trace_drop(&trace->entries, trace->entries.count - 1);
    while (trace->letters.count)
        trace_drop(&trace->letters, trace->letters.count - 1);
    free(trace->entries.items);
    free(trace->letters.items);
    for (size_t i = 0; i < trace->skip_count; i++)
        free(trace->skips[i].text);
    free(trace->skips);
    free(trace->letters_upto);
    for (size_t i = 0; i < trace->raw_count; i++)
        free(trace->raw_keys[i]);
    letter_keys_done(&trace->keys);
    row_look_done(&trace->look);
    json_decref(trace->source);
    free(trace->columns_left_out);
    buffer_done(&trace->sentence);
    choice_topics_done(&trace->topics);
    batch_free(trace->batch);
    batch_free(trace->key_batch);
    worker_close(&trace->worker);
    worker_close_helper(trace->helper);
    if (!trace->store.tool)
        letter_store_close(&trace->store);
    kafka_tool_close(trace->tool);
    keyed_row_close(trace->row);
    free(trace->key_text);
    row_key_done(&trace->key);
    reader_close(trace->reader);
    table_choice_done(&trace->choice);
    config_free(trace->loaded);
}

static int parse_from(struct trace *trace, const struct call *call)
{
    trace->from_us = INT64_MIN;
    trace->from_offset = -1;
    if (!trace->from || cli_parse_number(trace->from, INT64_MAX - 1, &trace->from_offset) ||
        cli_parse_moment(trace->from, &trace->from_us))
        return CLI_OK;
    return cli_usage(call->name,
                     "--from is an offset, a time such as 2026-01-31T12:00:00Z, or how long ago "
                     "such as 2h, not \"%s\"",
                     trace->from);
}

static int run(const struct call *call, void *options)
{
    struct trace *trace = options;
    struct error error;
    error_init(&error);
    trace->terminal = call->terminal;
    progress_init(&trace->progress, call->terminal);
    buffer_init(&trace->sentence);
    int code = parse_from(trace, call);
    if (code != CLI_OK)
        return code;
    interrupt_catch();
    code = cli_load(&trace->loaded, trace->config);
    if (code == CLI_OK) {
        trace->settings = config_settings(trace->loaded);
        log_configure(&trace->settings->log);
        code = run_trace(trace, &error);
    }
    progress_done(&trace->progress);
    if (interrupt_came())
        code = interrupt_code();
    else if (code != CLI_OK && *error.text)
        fprintf(stderr, "ods-sink trace: %s\n", error.text);
    trace_done(trace);
    return cli_finish(code);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct trace defaults = {.timeout_ms = 30000};

static const struct parameter options[] = {
    OPTION_CONFIG(struct trace),
    OPTION(struct trace, given_key, "key", &argument_text,
           "the row's key: `42`, or `id=42,region=eu`; may be given once for each column",
           .flags = PARAMETER_MANY | PARAMETER_REQUIRED, .value = "KEY"),
    OPTION(struct trace, from, "from", &argument_text,
           "read the topics from there on (default: their beginnings): an offset, "
           "2026-01-31T12:00:00Z, or 90s, 15m, 2h, 3d ago", .value = "PLACE"),
    OPTION(struct trace, pipeline, "pipeline", &argument_pipeline,
           "whose table, when several move one of that name"),
    OPTION(struct trace, key_files, "private-key", &argument_file,
           "a private key (PEM) that opens encrypted dead letters; may be given several times",
           .flags = PARAMETER_MANY),
    OPTION(struct trace, timeout_ms, "timeout", &argument_seconds,
           "how long the target may take over a statement (default: 30)", .min = 1, .max = 86400),
    OPTION_JSON(struct trace),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct trace, text, "TABLE", &argument_table,
            "the source's name for it, `db.table`, or the target's, `schema.table`; the last part "
            "is enough where it is clear",
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "The row is not as its records say, or they say that it is not settled yet."},
    EXIT_IS_CONFIG, EXIT_IS_SOURCE, EXIT_IS_TARGET, EXIT_IS_INTERRUPTED, {0}};

static const struct example examples[] = {
    {"ods-sink trace -c ods-sink.conf shop.orders --key 42", "Why is order 42 as it is?"},
    {"ods-sink trace -c ods-sink.conf shop.stock --key sku=A-1,region=eu --from 2h",
     "A key of two columns, and only what came in the last two hours."},
    {0}};

const struct command cli_trace = {
    .name = "trace",
    .summary = "follow one row from its topic to the target, and say why it is as it is",
    .description =
        "Each record of the row is found in the table's topics, decoded and transformed as the "
        "pipeline does it, and its state is shown: `applied`; `folded`, as a later one of the same "
        "partition is applied too; `waiting`, `replayed` or `skipped`, a dead letter; `passed "
        "over`, with the reason; or `ahead` of the stored offset. Then comes the row as the target "
        "has it, compared with what its last applied change says, by the same code that writes "
        "values. The last line is the verdict, in one sentence.\n\n"
        "Of a topic with several partitions only the one that the key's hash gives is read, if the "
        "records show that they are spread by it; otherwise all are read. Nothing is changed, and "
        "no daemon is disturbed.\n\n"
        "Works on targets of type `postgres`.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct trace),
    .defaults = &defaults,
    .run = run,
};
