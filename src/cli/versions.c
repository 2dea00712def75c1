/* ods-sink versions: the versions of a table of a lake. */
#include <string.h>

#include "cli/columns.h"
#include "cli/json.h"
#include "cli/lake_place.h"

struct versions_options {
    struct lake_range range;
    int64_t limit;
    bool json;
};

static void add_figure(struct columns *table, const json_t *object, const char *name)
{
    const json_t *figure = json_object_get(object, name);
    if (json_is_integer(figure))
        columns_number(table, json_integer_value(figure));
    else
        columns_add(table, "?");
}

/* Each as a line; its time is as people read it, too. */
static void print_lines(const json_t *versions)
{
    char moment[64];
    size_t i;
    json_t *version;
    json_array_foreach((json_t *) (uintptr_t) versions, i, version) {
        int64_t ms = json_integer_value(json_object_get(version, "time_ms"));
        json_object_set_new(version, "time", json_string(lake_moment(ms, moment, sizeof moment)));
        cli_print_json_line(json_incref(version));
    }
}

/* +2 −1 */
static void add_both(struct columns *table, const json_t *version, const char *added,
                     const char *removed, bool bytes)
{
    char text[80] = "", plus[32], minus[32];
    int64_t more = json_integer_value(json_object_get(version, added));
    int64_t less = json_integer_value(json_object_get(version, removed));
    if (bytes && (more || less))
        snprintf(text, sizeof text, "+%s −%s", terminal_bytes(more, plus, sizeof plus),
                 terminal_bytes(less, minus, sizeof minus));
    else if (more || less)
        snprintf(text, sizeof text, "+%lld −%lld", (long long) more, (long long) less);
    columns_add(table, text);
}

static bool print_table(const struct call *call, const json_t *versions)
{
    static const char *const all[] = {"version",  "snapshot", "time",  "operation", "inserted",
                                      "updated",  "deleted",  "files", "size",      "offsets"};
    const char *names[sizeof all / sizeof *all];
    bool snapshots = json_object_get(json_array_get(versions, 0), "snapshot");
    size_t count = 0;
    struct columns table;
    struct buffer text;
    char moment[64];
    size_t i;
    const json_t *version;
    buffer_init(&text);
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        if (k != 1 || snapshots)
            names[count++] = all[k];
    columns_init(&table, call->terminal, names, count);
    json_array_foreach((json_t *) (uintptr_t) versions, i, version) {
        const json_t *rows = json_object_get(version, "rows");
        const char *operation = json_string_value(json_object_get(version, "operation"));
        add_figure(&table, version, "version");
        if (snapshots)
            add_figure(&table, version, "snapshot");
        columns_add(&table, lake_moment(json_integer_value(json_object_get(version, "time_ms")),
                                        moment, sizeof moment));
        columns_add(&table, operation ? operation : "?");
        add_figure(&table, rows, "inserted");
        add_figure(&table, rows, "updated");
        add_figure(&table, rows, "deleted");
        add_both(&table, version, "files_added", "files_removed", false);
        add_both(&table, version, "bytes_added", "bytes_removed", true);
        columns_add(&table, lake_offsets(json_object_get(version, "offsets"), &text));
    }
    bool good = columns_print(&table) && !text.failed;
    columns_done(&table);
    buffer_done(&text);
    return good;
}

static int run(const struct call *call, void *given)
{
    const struct versions_options *options = given;
    struct lake_place place = {0};
    json_t *versions = NULL;
    struct error error;
    error_init(&error);
    int code = lake_place_open(&place, call, &options->range);
    if (code == CLI_OK) {
        json_t *which = lake_range_json(&options->range);
        if (options->limit || !lake_range_begins(&options->range))
            json_object_set_new(which, "limit", json_integer(options->limit ? options->limit : 50));
        if (lake_reader_versions(place.reader, which, &versions, &error) != ODS_OK)
            code = lake_place_failed(call, &error);
        json_decref(which);
    }
    if (code == CLI_OK && options->json)
        print_lines(versions);
    else if (code == CLI_OK && !print_table(call, versions))
        code = CLI_INTERNAL;
    json_decref(versions);
    lake_place_close(&place);
    return cli_finish(code);
}

static const struct versions_options defaults = {.range = {LAKE_RANGE_DEFAULTS}};

static const struct parameter options[] = {
    LAKE_CONFIG(struct versions_options),
    OPTION(struct versions_options, range.from, "from-version", &argument_number,
           "from this version on", .either = 1),
    LAKE_FROM_SNAPSHOT(struct versions_options, "from this snapshot on"),
    OPTION(struct versions_options, range.since_us, "since", &argument_moment,
           "those committed since then: 2026-01-31T12:00:00Z, or 90s, 15m, 2h, 3d ago",
           .either = 1),
    OPTION(struct versions_options, range.upto, "to-version", &argument_number,
           "up to this one (default: the newest)", .either = 2),
    LAKE_TO_SNAPSHOT(struct versions_options),
    OPTION(struct versions_options, limit, "limit", &argument_number,
           "the newest so many of them (default: 50, or all that the other options name)",
           .min = 1, .max = 1000000),
    OPTION_JSON(struct versions_options),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct versions_options, range.place, "TABLE", &argument_text, LAKE_PLACE_DOC,
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    EXIT_IS_CONFIG, {CLI_TARGET, "The table can't be read."}, {0}};

static const struct example examples[] = {
    {"ods-sink versions delta:///var/lib/lake/shop/orders", "The newest 50."},
    {"ods-sink versions iceberg:///var/lib/ice/shop/orders --limit 5", "The newest 5 snapshots."},
    {"ods-sink versions -c ods-sink.conf delta://s3://lake/shop/orders --since 2h --json",
     "Those of the last two hours, each as a line of JSON."},
    {0}};

const struct command cli_versions = {
    .name = "versions",
    .summary = "list the versions of a table of Delta Lake or Iceberg",
    .description =
        "Each version that can still be read, the oldest first: when it was committed and by which "
        "operation, rows inserted, updated and deleted, files and bytes that came and went, and "
        "the Kafka offsets that were stored with it (`topic:partition`, the next one to be "
        "read).\n\n"
        "Of Iceberg each snapshot that led to the newest one: its version is its sequence number, "
        "beside its id.\n\n"
        "Only the table's log is read; of commits that do not say how many rows they changed, "
        "their change data too. The storage is that of the configuration's target, or, without "
        "one, the environment's: `AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID` and so on.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct versions_options),
    .defaults = &defaults,
    .run = run,
};
