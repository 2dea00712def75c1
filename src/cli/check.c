/* ods-sink check: validate both files and print the settings; with --connect ask Kafka and the
 * targets too; with --sample decode and transform records. Changes nothing anywhere. */
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include <ods/format.h>
#include <ods/sink.h>

#include "cli/cli.h"
#include "cli/json.h"
#include "cli/preview.h"
#include "cli/settings_json.h"
#include "derived/inspect.h"
#include "pipeline/recording.h"
#include "pipeline/worker.h"
#include "sink/postgres/tables/settings.h"
#include "source/kafka/kafka.h"

#define MIB INT64_C(1048576)

/* Whose lines are being reported, and where they go as JSON. */
struct speaker {
    const char *pipeline;
    const char *what; /* the source's type or the target's name */
    json_t *lines;    /* NULL: they are printed */
};

struct check_options {
    const char *config, *sample;
    bool connect, json;
};

struct check {
    const struct check_options *options;
    const struct settings *settings;
    json_t *answers; /* of sources and targets; NULL: they are printed */
    json_t *problems; /* of transforms, likewise */
};

static void report(void *context, const char *line)
{
    const struct speaker *speaker = context;
    if (speaker->lines)
        json_array_append_new(speaker->lines, cli_json(line));
    else
        terminal_line(stdout, "%s: %s: %s", speaker->pipeline, speaker->what, line);
}

/* Reports how the questions to a source or target ended. True: all is well. */
static bool say_status(const struct check *check, struct speaker *speaker, enum ods_status status,
                       const struct error *error)
{
    const char *text = *error->text ? error->text : ods_status_name(status);
    bool good = status == ODS_OK;
    if (!check->answers) {
        report(speaker, good ? "good" : text);
        return good;
    }
    json_array_append_new(check->answers,
                          json_pack("{s:o, s:o, s:b, s:o, s:o}", "pipeline",
                                    cli_json(speaker->pipeline), "of", cli_json(speaker->what),
                                    "good", good, "lines", speaker->lines, "error",
                                    good ? json_null() : cli_json(text)));
    return good;
}

static int check_source(const struct check *check, const struct pipeline_settings *pipeline)
{
    struct source_config config = {0};
    const struct source_ops *ops = worker_source(check->settings, pipeline, &config);
    struct speaker speaker = {pipeline->name, ops->type, check->answers ? json_array() : NULL};
    struct error error;
    error_init(&error);
    enum ods_status status =
        ops->check ? ops->check(&config, report, &speaker, &error) : ODS_OK;
    return say_status(check, &speaker, status, &error) ? CLI_OK : CLI_SOURCE;
}

static int check_target(const struct check *check, const struct pipeline_settings *pipeline)
{
    struct sink_config config;
    const struct sink_ops *ops = worker_target(check->settings, pipeline, &config);
    struct speaker speaker = {pipeline->name, config.name, check->answers ? json_array() : NULL};
    struct sink *sink = NULL;
    struct error error;
    error_init(&error);
    int code = CLI_CONFIG;
    enum ods_status status = ops->open(&sink, &config, &error);
    if (status == ODS_OK && ops->check) {
        code = CLI_TARGET;
        status = ops->check(sink, report, &speaker, &error);
    }
    if (say_status(check, &speaker, status, &error))
        code = CLI_OK;
    ops->close(sink);
    return code;
}

/* The schema registry of a format that needs one. */
static int check_schemas(const struct check *check, const struct pipeline_settings *pipeline)
{
    const struct format_ops *format = format_find(pipeline->format);
    if (!format->helper || !format->helper->check)
        return CLI_OK;
    struct speaker speaker = {pipeline->name, "registry", check->answers ? json_array() : NULL};
    struct error error;
    error_init(&error);
    enum ods_status status = format->helper->check(pipeline, report, &speaker, &error);
    return say_status(check, &speaker, status, &error) ? CLI_OK : CLI_SOURCE;
}

/* A derived table's query, columns and plans. */
static int check_derived(const struct check *check, const struct derived_settings *derived)
{
    const struct target_settings *target = settings_target(check->settings, derived->target);
    const struct postgres_settings *own = target->own;
    struct speaker speaker = {target->name, derived->name, check->answers ? json_array() : NULL};
    struct inspector *inspector = NULL;
    struct error error;
    bool early = false;
    error_init(&error);
    enum ods_status status =
        inspector_open(&inspector, target->name, &own->session, check->settings->derived,
                       check->settings->derived_count, &error);
    if (status == ODS_OK)
        status = inspect_plans(inspector, derived, report, &speaker, &early, &error);
    if (early) {
        report(&speaker, error.text);
        report(&speaker, "it will be made when the tables that it depends on are there");
        status = ODS_OK;
    }
    inspector_close(inspector);
    return say_status(check, &speaker, status, &error) ? CLI_OK : CLI_TARGET;
}

/* Ask everything even after a failure; the first failure decides the exit code. */
static int check_connections(const struct check *check)
{
    int code = CLI_OK;
    for (size_t i = 0; i < check->settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &check->settings->pipelines[i];
        int source = check_source(check, pipeline);
        int schemas = check_schemas(check, pipeline);
        int target = check_target(check, pipeline);
        if (code == CLI_OK)
            code = source != CLI_OK ? source : schemas != CLI_OK ? schemas : target;
    }
    for (size_t i = 0; i < check->settings->derived_count; i++) {
        int derived = check_derived(check, &check->settings->derived[i]);
        code = code == CLI_OK ? derived : code;
    }
    return code;
}

/* --- what the settings come to -------------------------------------------------------------- */

struct memory {
    int64_t lanes;
    int64_t batch, ahead, held; /* of a lane, the largest */
};

/* What the ceilings add up to. A record that is larger than any of them comes on top, a few times:
 * in its source's client, in its batch, in libpq. */
static int64_t most_bytes(const struct settings *settings, struct memory *most)
{
    int64_t bytes = 0;
    *most = (struct memory){0};
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        struct source_config config = {0};
        const struct source_ops *source = worker_source(settings, pipeline, &config);
        int64_t waiting = source->ahead_bytes ? source->ahead_bytes(&config)
                                              : kafka_queue_bytes(&settings->kafka);
        int64_t batch = worker_batch_bytes(settings, pipeline, settings->batch.max_bytes);
        struct sink_config told;
        const struct sink_ops *sink = worker_target(settings, pipeline, &told);
        int64_t held = sink->held_bytes ? sink->held_bytes(&told) : 0;
        /* Twice: what is on its way to PostgreSQL is written out once more. */
        bytes += pipeline->lanes * (2 * settings->batch.per_lane * batch + waiting + held);
        most->lanes += pipeline->lanes;
        most->batch = batch > most->batch ? batch : most->batch;
        most->ahead = waiting > most->ahead ? waiting : most->ahead;
        most->held = held > most->held ? held : most->held;
    }
    return bytes;
}

static void print_memory(const struct settings *settings)
{
    struct memory most;
    int64_t bytes = most_bytes(settings, &most);
    char held[120] = "";
    if (most.held)
        snprintf(held, sizeof held, ", %" PRId64 " KiB that the target takes to write them",
                 most.held / 1024);
    printf("# %" PRId64 " lane%s at most %" PRId64 " MiB: for each, %" PRId64
           " batches of %" PRId64 " KiB, twice, and %" PRId64
           " KiB of records that wait for one%s; and what a larger record takes\n",
           most.lanes, most.lanes == 1 ? " takes" : "s take", (bytes + MIB - 1) / MIB,
           settings->batch.per_lane, most.batch / 1024, most.ahead / 1024, held);
}

struct promise {
    const char *guarantee;
    char provided[512]; /* "": nothing has to be */
    struct error lacks; /* without a text: nothing is missing on this machine */
};

static struct promise promise_of(const struct settings *settings,
                                 const struct pipeline_settings *pipeline)
{
    const struct source_ops *source = source_find(pipeline->input.type);
    struct sink_config config;
    const struct sink_ops *sink = worker_target(settings, pipeline, &config);
    bool deliveries = source->kind == SOURCE_DELIVERIES;
    const char *first = source->provided, *second = deliveries ? sink->identities : NULL;
    struct promise promise = {
        .guarantee = guarantee_text(sink, sink_guarantee(sink, &config), deliveries)};
    error_init(&promise.lacks);
    if (sink->lacks)
        sink->lacks(&config, &promise.lacks);
    snprintf(promise.provided, sizeof promise.provided, "%s%s%s", first ? first : "",
             first && second ? ", and that " : "", second ? second : "");
    return promise;
}

/* What each pipeline's records may count on. */
static void print_guarantees(const struct settings *settings)
{
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        const struct target_settings *target = settings_target(settings, pipeline->target);
        const struct promise promise = promise_of(settings, pipeline);
        printf("# %s to %s: %s%s%s\n", pipeline->name, target->name, promise.guarantee,
               *promise.provided ? "; provided that " : "", promise.provided);
        if (*promise.lacks.text)
            terminal_line(stderr, "warning: %s to %s: %s", pipeline->name, target->name,
                          promise.lacks.text);
    }
}

static json_t *describe_pipelines(const struct settings *settings)
{
    json_t *list = json_array();
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        const struct target_settings *target = settings_target(settings, pipeline->target);
        const struct promise promise = promise_of(settings, pipeline);
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:I, s:s, s:o, s:o}", "name", cli_json(pipeline->name),
                            "target", cli_json(target->name), "lanes", (json_int_t) pipeline->lanes,
                            "guarantee", promise.guarantee, "provided",
                            *promise.provided ? json_string(promise.provided) : json_null(),
                            "lacks",
                            *promise.lacks.text ? cli_json(promise.lacks.text) : json_null()));
    }
    return list;
}

static json_t *describe_findings(const struct config *config)
{
    size_t count;
    const struct finding *findings = config_findings(config, &count);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, json_pack("{s:b, s:o}", "warning", findings[i].warning, "text",
                                              cli_json(findings[i].text)));
    return list;
}

/* --- transforms ----------------------------------------------------------------------------- */

/* Opens the decoder and the transforms of each pipeline: what is wrong with them is found here. */
static int open_previews(const struct check *check, struct preview *previews)
{
    int code = CLI_OK;
    for (size_t i = 0; i < check->settings->pipeline_count; i++) {
        struct error error;
        error_init(&error);
        if (preview_open(&previews[i], &check->settings->pipelines[i], &error) == ODS_OK)
            continue;
        if (check->problems)
            json_array_append_new(check->problems, cli_json(error.text));
        else
            terminal_line(stderr, "error: %s", error.text);
        code = CLI_CONFIG;
    }
    return code;
}

static enum ods_status try_record(struct preview *preview, const struct batch *from,
                                  struct preview_result *result, struct error *error)
{
    struct record *record = batch_add_record(preview->batch);
    if (!record)
        return error_out_of_memory(error);
    *record = from->records[0];
    record->owner = NULL;
    preview->batch->headers = from->headers;
    enum ods_status status = preview_record(preview, result, error);
    return status;
}

static void say_letter(const struct check *check, const struct record *record, const char *why)
{
    char place[400];
    snprintf(place, sizeof place, "%s partition %d offset %lld", record->topic,
             (int) record->partition, (long long) record->offset);
    if (check->problems)
        json_array_append_new(check->problems,
                              json_pack("{s:o, s:o}", "record", cli_json(place), "error",
                                        cli_json(why)));
    else
        terminal_line(stderr, "sample: %s: %s", place, why);
}

static int read_sample(const struct check *check, struct preview *previews,
                       struct recording *source, struct batch *line)
{
    struct buffer before = {0}, after = {0};
    struct error error;
    int code = CLI_OK;
    bool end = false;
    while (code == CLI_OK || code == CLI_NEGATIVE) {
        batch_reset(line);
        error_init(&error);
        enum ods_status status = recording_read(source, line, &end, &error);
        if (status == ODS_OK && end)
            break;
        if (status == ODS_REJECT)
            code = CLI_NEGATIVE;
        for (size_t i = 0; status == ODS_OK && i < check->settings->pipeline_count; i++) {
            struct preview_result result = {.before = &before, .after = &after};
            if (!pipeline_reads(previews[i].pipeline, line->records[0].topic))
                continue;
            status = try_record(&previews[i], line, &result, &error);
            batch_reset(previews[i].batch);
            if (status == ODS_OK && result.rejected) {
                say_letter(check, &line->records[0], result.error.text);
                code = CLI_NEGATIVE;
            }
        }
        if (status != ODS_OK) {
            terminal_line(stderr, "sample: %s", error.text);
            code = status == ODS_REJECT ? CLI_NEGATIVE : CLI_SOURCE;
        }
    }
    buffer_done(&before);
    buffer_done(&after);
    return code;
}

static int try_sample(const struct check *check, struct preview *previews)
{
    struct recording *source = NULL;
    struct batch *line = batch_new();
    struct error error;
    int code = CLI_SOURCE;
    error_init(&error);
    if (line && recording_open(&source, check->options->sample, &error) == ODS_OK)
        code = read_sample(check, previews, source, line);
    else
        terminal_line(stderr, "sample: %s", error.text);
    if (line)
        batch_free(line);
    recording_close(source);
    return code;
}

static void print_samples(const struct check *check, const struct preview *previews)
{
    for (size_t i = 0; i < check->settings->pipeline_count; i++)
        printf("# %s: of %llu records of the sample %llu changes, transformed %llu; dead letters "
               "%llu\n",
               previews[i].pipeline->name, (unsigned long long) previews[i].records,
               (unsigned long long) previews[i].decoded,
               (unsigned long long) previews[i].transformed,
               (unsigned long long) previews[i].rejected);
}

static json_t *describe_samples(const struct check *check, const struct preview *previews)
{
    json_t *list = json_array();
    for (size_t i = 0; i < check->settings->pipeline_count; i++)
        json_array_append_new(
            list, json_pack("{s:o, s:I, s:I, s:I, s:I}", "pipeline",
                            cli_json(previews[i].pipeline->name), "records",
                            (json_int_t) previews[i].records, "changes",
                            (json_int_t) previews[i].decoded, "transformed",
                            (json_int_t) previews[i].transformed, "dead_letters",
                            (json_int_t) previews[i].rejected));
    return list;
}

/* *samples (may be NULL): what came of the sample. */
static int check_transforms(const struct check *check, json_t **samples)
{
    size_t count = check->settings->pipeline_count;
    struct preview *previews = calloc(count + 1, sizeof *previews);
    int code = previews ? open_previews(check, previews) : CLI_INTERNAL;
    if (code == CLI_OK && check->options->sample) {
        code = try_sample(check, previews);
        if (samples)
            *samples = describe_samples(check, previews);
        else
            print_samples(check, previews);
    }
    for (size_t i = 0; previews && i < count; i++)
        preview_close(&previews[i]);
    free(previews);
    return code;
}

/* --- the command ---------------------------------------------------------------------------- */

static int check_as_json(struct check *check)
{
    struct config *config = NULL;
    bool valid = config_load(&config, check->options->config) == ODS_OK;
    int code = valid ? CLI_OK : CLI_CONFIG;
    struct memory most;
    json_t *root = json_pack("{s:b, s:o}", "valid", valid, "findings", describe_findings(config));
    if (valid) {
        check->settings = config_settings(config);
        json_object_set_new(root, "settings", settings_json(config, NULL));
        json_object_set_new(root, "pipelines", describe_pipelines(check->settings));
        json_object_set_new(root, "most_bytes",
                            json_integer(most_bytes(check->settings, &most)));
    }
    if (valid) {
        json_t *samples = NULL;
        check->problems = json_array();
        code = check_transforms(check, &samples);
        json_object_set_new(root, "problems", check->problems);
        if (samples)
            json_object_set_new(root, "samples", samples);
        if (code == CLI_CONFIG)
            json_object_set_new(root, "valid", json_false());
    }
    if (code == CLI_OK && check->options->connect) {
        check->answers = json_array();
        code = check_connections(check);
        json_object_set_new(root, "answers", check->answers);
    }
    cli_print_json(root);
    config_free(config);
    return cli_finish(code);
}

static int run(const struct call *call, void *given)
{
    struct check check = {.options = given};
    struct config *config = NULL;
    if (check.options->json)
        return check_as_json(&check);
    int code = cli_load(&config, check.options->config);
    if (code == CLI_OK) {
        check.settings = config_settings(config);
        config_print(config, stdout);
        print_memory(check.settings);
        print_guarantees(check.settings);
        code = check_transforms(&check, NULL);
        if (code == CLI_OK && check.options->connect)
            code = check_connections(&check);
    }
    config_free(config);
    return cli_finish(code);
}

static const struct parameter options[] = {
    OPTION_CONFIG(struct check_options),
    SWITCH(
        struct check_options, connect, "connect",
        "also ask Kafka, the schema registries and the targets whether broker, topics, tables and "
        "rights are there; "
        "changes nothing"),
    OPTION(struct check_options, sample, "sample", &argument_file,
           "decode and transform these records too (one a line, as `kcat -C -J` writes them), for "
           "each pipeline that reads their topic"),
    OPTION_JSON(struct check_options),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_OK, "All is well; warnings may have been printed."},
    {CLI_NEGATIVE, "With `--sample`: a record would be a dead letter."},
    EXIT_IS_CONFIG,
    {CLI_SOURCE, "With `--connect`: a source does not answer, or lacks something."},
    {CLI_TARGET, "With `--connect`: a target does not answer, or lacks something."},
    {0}};

static const struct example examples[] = {
    {"ods-sink check -c /etc/ods-sink/ods-sink.conf --connect",
     "Before the daemon is started or told to read its configuration again."},
    {0}};

const struct command cli_check = {
    .name = "check",
    .chapter = "Setting up",
    .summary = "validate the configuration and print what it comes to",
    .description =
        "Every finding is printed on standard error with file and line. If there is no error, all "
        "settings are printed as they came out, without passwords, then how much memory the lanes "
        "may take and what each pipeline's records may count on.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct check_options),
    .run = run,
};
