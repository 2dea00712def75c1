/* ods-sink dlq: the command line. */
#include <stdlib.h>
#include <string.h>

#include "cli/dlq.h"
#include "cli/dlq_show.h"
#include "core/log.h"

/* "17" or "17-42". */
static bool parse_offsets(const char *text, struct offset_range *range)
{
    char first[24];
    const char *dash = strchr(text, '-');
    size_t length = dash ? (size_t) (dash - text) : strlen(text);
    if (length >= sizeof first)
        return false;
    memcpy(first, text, length);
    first[length] = '\0';
    return cli_parse_number(first, INT64_MAX - 1, &range->first) &&
           cli_parse_number(dash ? dash + 1 : first, INT64_MAX - 1, &range->last) &&
           range->first <= range->last;
}

static bool parse_range(const struct parameter *row, const char *text, void *member)
{
    return parse_offsets(text, member);
}

/* The letter that show is to show: its offset in the dead-letter topic, or topic:partition:offset
 * of the record. */
static bool parse_which(struct filter *filter, char *text)
{
    char *offset = strrchr(text, ':');
    if (!offset)
        return cli_parse_number(text, INT64_MAX - 1, &filter->letter_offset);
    *offset++ = '\0';
    char *partition = strrchr(text, ':');
    if (!partition)
        return false;
    *partition++ = '\0';
    filter->topic = text;
    return cli_parse_number(partition, INT32_MAX, &filter->partition) &&
           parse_offsets(offset, &filter->offsets);
}

static bool is_filtered(const struct filter *filter)
{
    return filter->pipeline || filter->topic || filter->stage || filter->code || filter->reason ||
           filter->partition >= 0 || filter->offsets.last >= 0 || filter->since_us != INT64_MIN;
}

static int work(const struct call *call, struct dlq *dlq,
                int (*what)(struct dlq *dlq, struct error *error))
{
    struct error error;
    error_init(&error);
    arena_init(&dlq->arena);
    dlq->terminal = call->terminal;
    int code = cli_load(&dlq->loaded, dlq->config);
    if (code != CLI_OK)
        goto out;
    dlq->settings = config_settings(dlq->loaded);
    log_configure(&dlq->settings->log);
    code = letter_keys_read(&dlq->keys, &dlq->key_files, &error);
    if (code == CLI_OK)
        code = dlq_load(dlq, &error);
    if (code == CLI_OK)
        code = what(dlq, &error);
    if (code != CLI_OK && *error.text && (code != CLI_NEGATIVE || what == dlq_show))
        terminal_line(stderr, "ods-sink dlq: %s", error.text);
out:
    dlq_done(dlq);
    config_free(dlq->loaded);
    return cli_finish(code);
}

static int run_list(const struct call *call, void *options)
{
    return work(call, options, dlq_list);
}

static int run_show(const struct call *call, void *options)
{
    struct dlq *dlq = options;
    char *which = strdup(dlq->which);
    if (!which)
        return CLI_INTERNAL;
    int code = parse_which(&dlq->filter, which)
                   ? work(call, dlq, dlq_show)
                   : cli_usage(call->name, "LETTER is an offset of the dead-letter topic, or "
                                           "topic:partition:offset of the record, not \"%s\"",
                               dlq->which);
    free(which);
    return code;
}

static int run_replay(const struct call *call, void *options)
{
    return work(call, options, dlq_replay);
}

static int run_skip(const struct call *call, void *options)
{
    const struct dlq *dlq = options;
    if (!is_filtered(&dlq->filter) && !dlq->all)
        return cli_usage(call->name, "a filter is needed, or --all for every letter");
    return work(call, options, dlq_skip);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct argument argument_offsets = {
    "A[-B]", "an offset, or the first and last of several such as 17-42", COMPLETE_NOTHING,
    parse_range};

static const struct dlq defaults = {
    .wait_ms = 30000,
    .filter = {.partition = -1, .offsets.last = -1, .letter_offset = -1, .since_us = INT64_MIN}};

static const struct parameter filters[] = {
    OPTION(struct dlq, filter.pipeline, "pipeline", &argument_pipeline,
           "the pipeline that refused the record"),
    OPTION(struct dlq, filter.topic, "topic", &argument_topic,
           "where the record came from, as `--partition` and `--offsets`"),
    OPTION(struct dlq, filter.partition, "partition", &argument_number,
           "its partition", .max = INT32_MAX),
    OPTION(struct dlq, filter.offsets, "offsets", &argument_offsets,
           "its offset, or the first and last of several", .also = "offset"),
    OPTION(struct dlq, filter.stage, "stage", &argument_choice,
           "where it was refused", .choices = "decode|apply|derived"),
    OPTION(struct dlq, filter.code, "code", &argument_text,
           "the code that the target gave, of PostgreSQL the SQLSTATE", .value = "CODE",
           .also = "sqlstate"),
    OPTION(struct dlq, filter.reason, "reason", &argument_text,
           "what stands somewhere in the error"),
    OPTION(struct dlq, filter.since_us, "since", &argument_moment,
           "letters from then on: 2026-01-31T12:00:00Z (without a zone: UTC), or 90s, 15m, 2h, "
           "3d ago"),
    {0}};

#define WHICH_LETTERS                                                                            \
    {                                                                                            \
        "Which letters, by what is known of their records:", "FILTER…", filters                  \
    }

#define OPTION_KEY                                                                                 \
    OPTION(struct dlq, key_files, "key", &argument_file,                                           \
           "a private key (PEM) that opens encrypted letters; may be given several times, as "     \
           "each letter names its own",                                                            \
           .flags = PARAMETER_MANY)

static const struct parameter list_options[] = {
    OPTION_CONFIG(struct dlq),
    SWITCH(struct dlq, all, "all", "also those that were replayed or skipped"),
    SWITCH(struct dlq, places, "places",
           "a line a letter instead, as psql's \\copy takes them: topic, partition and offset of "
           "its record, with a tab between; with --json `places`, a list"),
    OPTION_JSON(struct dlq),
    {0}};

static const struct parameter show_options[] = {OPTION_CONFIG(struct dlq), OPTION_KEY,
                                                OPTION_JSON(struct dlq), {0}};

static const struct parameter replay_options[] = {
    OPTION_CONFIG(struct dlq),
    SWITCH(struct dlq, again, "again", "also those that were replayed or skipped"),
    SWITCH(struct dlq, force, "force",
           "whatever the row's age; needed where `cdc_timestamp` is off"),
    OPTION(struct dlq, wait_ms, "wait", &argument_seconds,
           "how long to wait for a target that is away (default: 30)"),
    OPTION_KEY,
    OPTION_JSON(struct dlq),
    {0}};

static const struct parameter skip_options[] = {
    OPTION_CONFIG(struct dlq),
    SWITCH(struct dlq, all, "all", "every letter"),
    OPTION(struct dlq, wait_ms, "wait", &argument_seconds,
           "how long to wait for a target that is away (default: 30)"),
    OPTION_JSON(struct dlq),
    {0}};

static const struct parameter show_operands[] = {
    OPERAND(struct dlq, which, "LETTER", &argument_text,
            "an offset of the dead-letter topic, or `topic:partition:offset` of the record",
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning list_exits[] = {
    EXIT_IS_CONFIG, EXIT_IS_SOURCE, EXIT_IS_TARGET, {0}};

static const struct exit_meaning show_exits[] = {
    {CLI_NEGATIVE, "There is no such letter."}, EXIT_IS_CONFIG, EXIT_IS_SOURCE, EXIT_IS_TARGET,
    {0}};

static const struct exit_meaning replay_exits[] = {
    {CLI_NEGATIVE, "A letter was refused again, is gone, or its pipeline is not configured."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct exit_meaning skip_exits[] = {
    {CLI_NEGATIVE, "A letter is left: its pipeline is not configured."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "No such letter, or one that is refused again or can't be handled."},
    EXIT_IS_CONFIG,
    EXIT_IS_SOURCE,
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct command dlq_list_command = {
    .name = "list",
    .summary = "count the letters by pipeline, topic and reason",
    .description = "A record that was refused several times counts once, by its last letter. "
                   "Letters that were replayed or skipped are left out.",
    .options = {{.options = list_options}, WHICH_LETTERS},
    .exits = list_exits,
    .options_size = sizeof(struct dlq),
    .defaults = &defaults,
    .run = run_list,
};

static const struct command dlq_show_command = {
    .name = "show",
    .summary = "print one letter in full",
    .description =
        "Its headers, key and value, and the changes that the decoder finds in it "
        "now.\n\nValues of columns that the table's `redact` names are not shown, nor those "
        "that a transform masks. An encrypted letter (`dead_letter.encrypt`) is opened "
        "by `--key`, and then redacted columns are shown too.",
    .options = {{.options = show_options}},
    .operands = show_operands,
    .exits = show_exits,
    .options_size = sizeof(struct dlq),
    .defaults = &defaults,
    .run = run_show,
};

static const struct command dlq_replay_command = {
    .name = "replay",
    .summary = "apply letters to the targets of their pipelines",
    .description =
        "Each in a transaction of its own. A row is changed only when its `cdc_timestamp` is null "
        "or older than the record. What is refused is reported and stays a letter. This is also so "
        "where nothing can be compared: `cdc_timestamp` is off, the record is a truncate, or "
        "`on_delete` is hard and the row is not there. `--force` applies those too, and overwrites "
        "newer rows. Letters that were replayed or skipped are passed over. Encrypted ones need "
        "`--key`.",
    .options = {{.options = replay_options}, WHICH_LETTERS},
    .exits = replay_exits,
    .options_size = sizeof(struct dlq),
    .defaults = &defaults,
    .run = run_replay,
};

static const struct command dlq_skip_command = {
    .name = "skip",
    .summary = "mark letters as handled, so that list leaves them out",
    .description = "Needs a filter or `--all`. The mark is in the target's table of offsets, under "
                   "the pipeline's group with `.dlq` after it.",
    .options = {{.options = skip_options}, WHICH_LETTERS},
    .exits = skip_exits,
    .options_size = sizeof(struct dlq),
    .defaults = &defaults,
    .run = run_skip,
};

static const struct command *const commands[] = {&dlq_list_command, &dlq_show_command,
                                                 &dlq_replay_command, &dlq_skip_command, NULL};

static const struct example examples[] = {
    {"ods-sink dlq list -c ods-sink.conf", "What has been set aside, and why."},
    {"ods-sink dlq show -c ods-sink.conf shop.orders:0:1284", "One of them, whole."},
    {"ods-sink dlq replay -c ods-sink.conf --code 22001",
     "Once the column is wide enough: apply those that were too long."},
    {0}};

const struct command cli_dlq = {
    .name = "dlq",
    .summary = "look at dead letters, and apply them once their cause is gone",
    .description = "A dead letter is a record that could not be applied: it stands in the "
                   "dead-letter topic with its reason. The pipeline's offsets do not move.",
    .commands = commands,
    .exits = exits,
    .examples = examples,
};
