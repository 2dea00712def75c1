/* ods-sink changes: what changed in a table of a lake between two of its versions. */
#include "cli/changes.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/interrupt.h"

struct reading {
    const struct call *call;
    const struct changes_options *options;
    struct lake_place place;
    struct changes_printer printer;
    json_t *types; /* NULL: all */
    enum changes_form form;
    bool started; /* the stream of Arrow has begun */
    bool away;    /* an outage was told */
    bool printed; /* something of the versions that are being read */
};

/* --- what is asked for ------------------------------------------------------------------------ */

static bool is_kind(const char *kind)
{
    static const char *const kinds[] = {"insert", "update_preimage", "update_postimage", "delete"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

/* "insert,delete" */
static int read_types(struct reading *reading)
{
    const char *at = reading->options->types;
    if (!at)
        return CLI_OK;
    reading->types = json_array();
    for (size_t length; *at; at += length + (at[length] == ',')) {
        char kind[32];
        length = strcspn(at, ",");
        snprintf(kind, sizeof kind, "%.*s", (int) (length < 31 ? length : 31), at);
        if (!is_kind(kind))
            return cli_usage(reading->call->name,
                             "--types has insert, update_preimage, update_postimage and delete, "
                             "with commas between them, and not \"%s\"", kind);
        json_array_append_new(reading->types, json_string(kind));
    }
    return CLI_OK;
}

static int check(const struct call *call, const struct changes_options *options)
{
    bool ends = options->range.upto >= 0 || options->range.upto_snapshot >= 0;
    if (!lake_range_begins(&options->range) && !options->follow)
        return cli_usage(call->name, "from where? --from-version, --from-snapshot, --since, or "
                                     "--follow for what comes from now on");
    if (options->follow && (options->summary || ends))
        return cli_usage(call->name, "--follow has no end: it takes no --summary, --to-version or "
                                     "--to-snapshot");
    if (options->summary && options->types)
        return cli_usage(call->name, "--summary counts all types of changes");
    if (strcmp(options->format, "arrow") == 0 && (options->summary || options->json))
        return cli_usage(call->name, "--format arrow is of changes themselves: it takes no "
                                     "--summary or --json");
    return CLI_OK;
}

static enum changes_form form_of(const struct changes_options *options)
{
    if (strcmp(options->format, "arrow") == 0)
        return CHANGES_ARROW;
    return options->json || strcmp(options->format, "json") == 0 ? CHANGES_JSON : CHANGES_TABLE;
}

/* What is no text does not go to a terminal. */
static int check_output(const struct reading *reading)
{
    if (reading->form != CHANGES_ARROW || !isatty(STDOUT_FILENO))
        return CLI_OK;
    return cli_usage(reading->call->name, "--format arrow is binary and not for a terminal: write "
                                          "it to a file (… > changes.arrows) or pipe it into a "
                                          "program that reads an Arrow IPC stream");
}

/* --- changes ---------------------------------------------------------------------------------- */

static int print_changes(struct reading *reading, struct error *error)
{
    const char *lines = NULL;
    enum ods_status status;
    while ((status = lake_reader_next(reading->place.reader, &lines, error)) == ODS_OK && lines &&
           !interrupt_came()) {
        reading->printed = true;
        if (reading->form == CHANGES_JSON)
            fputs(lines, stdout);
        else
            changes_print(&reading->printer, lines);
        if (ferror(stdout))
            return CLI_INTERNAL;
    }
    if (reading->form == CHANGES_TABLE && !changes_print_rest(&reading->printer))
        return CLI_INTERNAL;
    fflush(stdout);
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

static int print_arrow(struct reading *reading, struct error *error)
{
    int code = changes_arrow(reading->place.reader, &reading->printed, error);
    reading->started |= reading->printed;
    return code;
}

/* Reads the versions once; the range then begins behind what was read. */
static int read_once(struct reading *reading, struct lake_range *range, struct error *error)
{
    bool arrow = reading->form == CHANGES_ARROW;
    struct lake_reader *reader = reading->place.reader;
    int64_t from, upto;
    json_t *which = lake_range_json(range);
    if (reading->types)
        json_object_set(which, "types", reading->types);
    enum ods_status status = arrow ? lake_reader_arrow(reader, which, &from, &upto, error)
                                   : lake_reader_changes(reader, which, &from, &upto, error);
    json_decref(which);
    if (status != ODS_OK)
        return CLI_TARGET;
    reading->printed = false;
    int code = arrow          ? print_arrow(reading, error)
               : from <= upto ? print_changes(reading, error)
                              : CLI_OK;
    range->from = code != CLI_OK ? from : upto + 1 > from ? upto + 1 : from;
    range->since_us = INT64_MIN;
    range->from_snapshot = -1;
    return code;
}

static void pause_for(int64_t ms)
{
    struct timespec wait = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    nanosleep(&wait, NULL); /* ^C ends it */
}

/* What the storage does not say now it says later. Nothing is printed twice: an outage in the midst
 * of changes ends the command. */
static int follow(struct reading *reading, struct lake_range *range, struct error *error)
{
    int code = CLI_OK;
    while (!interrupt_came() &&
           (code == CLI_OK || (error->fault == FAULT_OUTAGE && !reading->printed))) {
        if (code != CLI_OK && !reading->away)
            fprintf(stderr, "ods-sink changes: %s; it is tried again\n", error->text);
        reading->away = code != CLI_OK;
        pause_for(reading->options->every_ms);
        reading->printed = false;
        code = interrupt_came() ? CLI_OK : read_once(reading, range, error);
    }
    return code;
}

static int summarize(struct reading *reading, struct error *error)
{
    json_t *versions = NULL, *which = lake_range_json(&reading->options->range);
    json_object_set_new(which, "all", json_true());
    enum ods_status status =
        lake_reader_versions(reading->place.reader, which, &versions, error);
    json_decref(which);
    if (status != ODS_OK)
        return CLI_TARGET;
    bool good =
        changes_summary(reading->call, reading->place.path, versions,
                        reading->form == CHANGES_JSON);
    json_decref(versions);
    return good ? CLI_OK : CLI_INTERNAL;
}

static int run(const struct call *call, void *given)
{
    const struct changes_options *options = given;
    struct lake_range range = options->range;
    struct error error;
    struct reading reading = {
        .call = call,
        .options = options,
        .printer = {.terminal = call->terminal, .version = -1, .last = -1},
        .form = form_of(options)};
    error_init(&error);
    int code = check(call, options);
    if (code == CLI_OK)
        code = check_output(&reading);
    if (code == CLI_OK)
        code = read_types(&reading);
    if (code == CLI_OK)
        code = lake_place_open(&reading.place, call, &range);
    if (code == CLI_OK) {
        interrupt_catch();
        code = options->summary ? summarize(&reading, &error) : read_once(&reading, &range, &error);
        if (code == CLI_OK && options->follow)
            code = follow(&reading, &range, &error);
        if (code == CLI_TARGET)
            lake_place_failed(call, &error);
        if (reading.started && (code == CLI_OK || interrupt_came()))
            changes_arrow_end();
    }
    if (interrupt_came())
        code = interrupt_code();
    json_decref(reading.types);
    lake_place_close(&reading.place);
    return cli_finish(code);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct changes_options defaults = {
    .range = {LAKE_RANGE_DEFAULTS}, .format = "table", .every_ms = 300};

static const struct parameter options[] = {
    LAKE_CONFIG(struct changes_options),
    OPTION(struct changes_options, range.from, "from-version", &argument_number,
           "the changes of this version and of those after it", .either = 1),
    LAKE_FROM_SNAPSHOT(struct changes_options,
                       "the changes of this snapshot and of those after it"),
    OPTION(struct changes_options, range.since_us, "since", &argument_moment,
           "of the versions committed since then: 2026-01-31T12:00:00Z, or 90s, 15m, 2h, 3d ago",
           .either = 1),
    OPTION(struct changes_options, range.upto, "to-version", &argument_number,
           "up to this version (default: the newest)", .either = 2),
    LAKE_TO_SNAPSHOT(struct changes_options),
    SWITCH(struct changes_options, follow, "follow",
           "go on with each version that is committed; without a beginning, from now on",
           .letter = 'f'),
    OPTION(struct changes_options, types, "types", &argument_text,
           "only these: insert, update_preimage, update_postimage, delete", .value = "TYPE,…"),
    SWITCH(struct changes_options, summary, "summary",
           "what the changes come to, in place of them: commits, rows, files, offsets"),
    OPTION(struct changes_options, format, "format", &argument_choice,
           "how changes are printed (default: table)", .choices = "table|json|arrow"),
    SWITCH(struct changes_options, json, "json", "for programs: as `--format json`"),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct changes_options, range.place, "TABLE", &argument_text, LAKE_PLACE_DOC,
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    EXIT_IS_CONFIG,
    {CLI_TARGET, "The table can't be read, or a version has expired."},
    {CLI_INTERRUPTED, "^C ended it."},
    {0}};

static const struct example examples[] = {
    {"ods-sink changes delta:///var/lib/lake/shop/orders --from-version 12",
     "What changed in version 12 and since."},
    {"ods-sink changes -c ods-sink.conf delta://s3://lake/shop/orders --follow --format json",
     "Each change from now on, as a line of JSON."},
    {"ods-sink changes delta:///var/lib/lake/shop/orders --since 1d --types insert,delete",
     "Rows that came and went in the last day."},
    {"ods-sink changes delta:///var/lib/lake/shop/orders --since 1d --summary",
     "How much it was."},
    {"ods-sink changes iceberg:///var/lib/ice/shop/orders --from-version 1 --format arrow "
     "> changes.arrows",
     "All changes of a table of Iceberg, for programs that read Arrow."},
    {0}};

static const struct section sections[] = {
    {"JSON",
     "A change is a line: the table's columns, `_change_type` (insert, update_preimage, "
     "update_postimage, delete), `_commit_version`, `_commit_timestamp` and `_commit_offsets` "
     "(`topic:partition`, the next offset after those that the commit has). Decimals are texts "
     "with all their digits, binary values base64, times ISO 8601, with Z where they have a zone. "
     "Within a version rows as they were come first: applied in order the lines lead from one "
     "version to the next. To resume, go on with the version after the last one. Of a table of "
     "Iceberg `_commit_snapshot` is the snapshot's id."},
    {"Arrow",
     "`--format arrow` writes one stream of Arrow's IPC format: the table's columns with its "
     "types, and those of above, `_commit_offsets` as a map. pyarrow reads it by "
     "`pyarrow.ipc.open_stream`. Where columns are added while it follows, the stream ends with "
     "an error that names the version to begin the next one with."},
    {0}};

const struct command cli_changes = {
    .name = "changes",
    .summary = "show what changed in a table of Delta Lake or Iceberg between two versions",
    .description =
        "Reads the table's change data feed, or, where it has none, finds the changes from the "
        "files that each version adds and takes out. Compaction changes nothing and is passed "
        "over. Any table of Delta Lake will do, whoever wrote it.\n\n"
        "Of a table of Iceberg versions are the sequence numbers of its snapshots. What a snapshot "
        "changed is found from the files that came and went with it: rows of one key that went and "
        "came are an update (the key is the one that ods-sink stores with the snapshot, else the "
        "table's identifier fields; without one there are deletes and inserts). Equality deletes "
        "of other writers are refused.\n\n"
        "Only the log and the files of the versions asked for are read. A version whose log has "
        "expired is an error, and never left out. `--follow` looks a few times a second; while "
        "the storage is away it waits.\n\n"
        "The storage is that of the configuration's target, or, without one, the environment's: "
        "`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and so on.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .sections = sections,
    .options_size = sizeof(struct changes_options),
    .defaults = &defaults,
    .run = run,
};
