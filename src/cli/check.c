/* ods-sink check: validate both files and print what came out; with --connect ask Kafka and the
 * targets too. Changes nothing anywhere. */
#include <inttypes.h>
#include <string.h>

#include <ods/sink.h>

#include "cli/cli.h"
#include "pipeline/worker.h"
#include "source/kafka/kafka.h"

#define MIB INT64_C(1048576)

/* Whose lines are being reported. */
struct speaker {
    const char *pipeline;
    const char *what; /* the source's type or the target's name */
};

static void report(void *context, const char *line)
{
    const struct speaker *speaker = context;
    printf("%s: %s: %s\n", speaker->pipeline, speaker->what, line);
}

static bool say_status(struct speaker *speaker, enum ods_status status, const struct error *error)
{
    if (status == ODS_OK) {
        report(speaker, "good");
        return true;
    }
    report(speaker, *error->text ? error->text : ods_status_name(status));
    return false;
}

/* What each pipeline's records may count on. */
static void print_guarantees(const struct settings *settings)
{
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        const struct target_settings *target = settings_target(settings, pipeline->target);
        const struct source_ops *source = source_find(pipeline->input.type);
        printf("# %s to %s: %s%s%s\n", pipeline->name, target->name,
               guarantee_text(sink_find(target->type)->guarantee),
               source->provided ? "; provided that " : "",
               source->provided ? source->provided : "");
    }
}

static int check_source(const struct settings *settings, const struct pipeline_settings *pipeline)
{
    struct source_config config = {0};
    const struct source_ops *ops = worker_source(settings, pipeline, &config);
    struct speaker speaker = {pipeline->name, ops->type};
    struct error error;
    error_init(&error);
    enum ods_status status = ops->check(&config, report, &speaker, &error);
    return say_status(&speaker, status, &error) ? CLI_OK : CLI_SOURCE;
}

static int check_target(const struct settings *settings, const struct pipeline_settings *pipeline)
{
    const struct target_settings *target = settings_target(settings, pipeline->target);
    struct sink_config config = {.name = target->name,
                                 .settings = target->own,
                                 .pipeline = pipeline,
                                 .group = pipeline->group_id};
    struct speaker speaker = {pipeline->name, target->name};
    const struct sink_ops *ops = sink_find(target->type);
    struct sink *sink = NULL;
    struct error error;
    error_init(&error);
    int code = CLI_CONFIG;
    enum ods_status status = ops->open(&sink, &config, &error);
    if (status == ODS_OK) {
        code = CLI_TARGET;
        status = ops->check(sink, report, &speaker, &error);
    }
    if (say_status(&speaker, status, &error))
        code = CLI_OK;
    ops->close(sink);
    return code;
}

/* Ask everything even after a failure; the first failure decides the exit code. */
static int check_connections(const struct settings *settings)
{
    int code = CLI_OK;
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        int source = check_source(settings, pipeline);
        int target = check_target(settings, pipeline);
        if (code == CLI_OK)
            code = source != CLI_OK ? source : target;
    }
    return code;
}

/* What the ceilings add up to. A record that is larger than any of them comes on top, a few times:
 * in librdkafka, in its batch, in libpq. */
static void print_memory(const struct settings *settings)
{
    int64_t lanes = 0, queue_bytes = kafka_queue_bytes(&settings->kafka);
    int64_t batch_bytes = settings->batch.per_lane * settings->batch.max_bytes;
    for (size_t i = 0; i < settings->pipeline_count; i++)
        lanes += settings->pipelines[i].lanes;
    /* Twice: what is on its way to PostgreSQL is written out once more. */
    printf("# %" PRId64 " lane%s take at most %" PRId64 " MiB: for each, %" PRId64
           " batches of %" PRId64 " KiB, twice, and %" PRId64
           " KiB of records that wait in librdkafka; and what a larger record takes\n",
           lanes, lanes == 1 ? "" : "s",
           (lanes * (2 * batch_bytes + queue_bytes) + MIB - 1) / MIB, settings->batch.per_lane,
           settings->batch.max_bytes / 1024, queue_bytes / 1024);
}

struct check_options {
    const char *config;
    bool connect;
};

static int run(const struct call *call, void *given)
{
    const struct check_options *options = given;
    struct config *config = NULL;
    int code = cli_load(&config, options->config);
    if (code == CLI_OK) {
        const struct settings *settings = config_settings(config);
        config_print(config, stdout);
        print_memory(settings);
        print_guarantees(settings);
        if (options->connect)
            code = check_connections(settings);
    }
    config_free(config);
    return cli_finish(code);
}

static const struct parameter options[] = {
    OPTION_CONFIG(struct check_options),
    SWITCH(struct check_options, connect, "connect",
           "also ask Kafka and the targets whether broker, topics, tables and rights are there; "
           "changes nothing"),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_OK, "All is well; warnings may have been printed."},
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
