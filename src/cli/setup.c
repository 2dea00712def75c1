/* ods-sink setup: a whole pipeline from its files. What is there already stays, what is missing is
 * made, and each step is waited for until it is true: topics of our own, connectors (whose
 * configuration Connect checks against the source), the target's schema, the source's topics, their
 * first records, and, where a daemon runs, that they are applied. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/columns.h"
#include "cli/confirm.h"
#include "cli/interrupt.h"
#include "cli/setup_room.h"
#include "cli/signals.h"
#include "core/log.h"

void setup_say(struct setup *setup, const char *what, enum step_state state, const char *format,
               ...)
{
    static const char *const names[] = {"done", "to do", "note", "failed"};
    static const enum paint paints[] = {PAINT_GOOD, PAINT_WARN, PAINT_DIM, PAINT_BAD};
    char text[1200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    setup->to_do += state == STEP_TO_DO;
    setup->told |= state == STEP_FAILED;
    json_array_append_new(setup->steps, json_pack("{s:s,s:s,s:s}", "step", what, "state",
                                                  names[state], "text", text));
    if (setup->options->json)
        return;
    const struct terminal *terminal = setup->call->terminal;
    printf("%s%-7s%s", terminal_paint(terminal, paints[state]), names[state],
           terminal_plain(terminal, paints[state]));
    terminal_line(stdout, "%-11s%s", what, text);
    fflush(stdout);
}

/* --- doing ------------------------------------------------------------------------------------ */

static int make_topic(struct setup *setup, const char *topic, const char *const *settings,
                      struct error *error)
{
    if (!*topic || json_object_get(setup->topics, topic))
        return CLI_OK;
    if (kafka_admin_create(setup->admin, topic, 1, -1, settings, error) != ODS_OK) {
        setup_say(setup, "topic", STEP_FAILED, "%s", error->text);
        return CLI_SOURCE;
    }
    json_object_set_new(setup->topics, topic, json_integer(1));
    setup_say(setup, "topic", STEP_DONE, "%s is made", topic);
    return CLI_OK;
}

static int make(struct setup *setup, struct error *error)
{
    int code = make_topic(setup, setup->settings->dead_letter.topic, setup_letter_settings, error);
    for (size_t i = 0; code == CLI_OK && i < setup->file_count; i++) {
        struct connector_file *file = &setup->files[i];
        char room[300];
        code = make_topic(setup, signals_topic(file->config, room, sizeof room),
                          setup_signal_settings, error);
        if (code == CLI_OK && interrupt_came())
            code = interrupt_code();
        if (code != CLI_OK)
            break;
        code = setup_turn_to(setup, i, error)
                   ? connectors_make_so(&setup->connectors, file, setup->changes[i], error)
                   : CLI_SOURCE;
        if (code == CLI_OK)
            setup_say(setup, "connector", STEP_DONE, "%s runs, and its tasks do", file->name);
        else
            setup_say(setup, "connector", STEP_FAILED, "%s", error->text);
    }
    if (code == CLI_OK && interrupt_came())
        code = interrupt_code();
    return code == CLI_OK ? setup_reach_targets(setup, true, error) : code;
}

/* --- the command ------------------------------------------------------------------------------ */

static int read_files(struct setup *setup, struct error *error)
{
    size_t count = setup->options->connectors.count;
    setup->files = calloc(count + 1, sizeof *setup->files);
    setup->changes = calloc(count + 1, sizeof *setup->changes);
    setup->clusters = calloc(count + 1, sizeof *setup->clusters);
    if (!setup->files || !setup->changes || !setup->clusters) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; i < count; i++) {
        setup->changes[i] = json_array();
        if (connector_file_read(&setup->files[i], setup->options->connectors.items[i], error) !=
            ODS_OK)
            return CLI_CONFIG;
        setup->file_count++;
        if (!connectors_set(&setup->files[i], &setup->options->sets, error))
            return CLI_USAGE;
    }
    int code = setup->options->cluster
                   ? connectors_clusters(&setup->connectors, setup->options->cluster, error)
                   : CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < count; i++) {
        setup->clusters[i] = setup_cluster_of(setup, &setup->files[i], error);
        if (!setup->clusters[i])
            code = CLI_USAGE;
        else if (!setup_turn_to(setup, i, error))
            code = CLI_CONFIG;
    }
    return code;
}

static int work(struct setup *setup, struct error *error)
{
    int code = read_files(setup, error);
    if (code == CLI_OK && kafka_admin_open(&setup->admin, setup->settings,
                                           setup->settings->kafka.group_id, error) != ODS_OK)
        code = CLI_CONFIG;
    if (code == CLI_OK)
        code = setup_plan(setup, error);
    if (code != CLI_OK || setup->options->dry_run)
        return code;
    if (setup->to_do)
        code = confirm(setup->call->name, "Do what is to do?", NULL, setup->options->yes);
    if (code != CLI_OK)
        return code;
    interrupt_catch();
    error_init(error);
    code = make(setup, error);
    return code == CLI_OK ? setup_await(setup, error) : code;
}

static void setup_done(struct setup *setup)
{
    for (size_t i = 0; i < setup->options->connectors.count && setup->files; i++) {
        connector_file_done(&setup->files[i]);
        json_decref(setup->changes[i]);
    }
    free(setup->files);
    free(setup->changes);
    free(setup->clusters);
    free(setup->connectors.clusters);
    connect_close(setup->connectors.connect);
    kafka_admin_close(setup->admin);
    json_decref(setup->topics);
    json_decref(setup->steps);
}

static int run(const struct call *call, void *given)
{
    const struct setup_options *options = given;
    struct setup setup = {.call = call,
                          .options = options,
                          .connector_options = {.wait_ms = options->wait_ms, .quiet = true},
                          .topics = json_object(),
                          .steps = json_array()};
    struct config *loaded = NULL;
    struct error error;
    error_init(&error);
    setup.connectors = (struct connectors){.call = call, .options = &setup.connector_options};
    int code = cli_load(&loaded, options->config);
    if (code == CLI_OK) {
        setup.settings = setup.connectors.settings = config_settings(loaded);
        log_configure(&setup.settings->log);
        code = work(&setup, &error);
    }
    if (code != CLI_OK && *error.text && (!setup.told || options->json))
        terminal_line(stderr, "ods-sink %s: %s", call->name, error.text);
    if (options->json && setup.settings) {
        json_dumpf(setup.steps, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (code == CLI_OK && options->dry_run) {
        puts("nothing was changed");
    }
    setup_done(&setup);
    config_free(loaded);
    return cli_finish(code);
}

static const struct setup_options defaults = {.wait_ms = 90000};

static const struct parameter options[] = {
    OPTION_CONFIG(struct setup_options),
    OPTION(struct setup_options, connectors, "connector", &argument_file,
           "a source connector to register or change, as for `connectors apply`",
           .flags = PARAMETER_MANY),
    OPTION(struct setup_options, sets, "set", &argument_text,
           "another value than the files' of a connector's property, or of `name`",
           .value = "PROPERTY=VALUE", .flags = PARAMETER_MANY),
    OPTION(struct setup_options, cluster, "cluster", &argument_text,
           "the cluster of `connect_clusters` that gets them (default: that of the pipeline which "
           "reads a connector's topics)",
           .value = "NAME"),
    OPTION(struct setup_options, wait_ms, "wait", &argument_seconds,
           "how long to wait for each step to be true (default: 90)", .max = 86400),
    SWITCH(struct setup_options, dry_run, "dry-run", "only say what is to do"),
    SWITCH(struct setup_options, yes, "yes", "do not ask"),
    OPTION_JSON(struct setup_options),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "A step did not become true in time."},
    {CLI_CONFIG, "The configuration is wrong, a connector's file is, or Connect refuses it."},
    {CLI_SOURCE, "Kafka or Kafka Connect failed."},
    EXIT_IS_TARGET,
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct example examples[] = {
    {"ods-sink setup -c ods-sink.conf --connector shop.json --dry-run", "See what is missing."},
    {"ods-sink setup -c ods-sink.conf --connector shop.json", "Have it made."},
    {0}};

const struct command cli_setup = {
    .name = "setup",
    .summary = "set a whole pipeline up from its files",
    .description =
        "Shows what is there and what is missing, asks, does it, and waits until each step is "
        "done:\n\n"
        "topic\n  The dead letters' topic, kept for ever, and a connector's topic for signals.\n\n"
        "source\n  Connect checks a connector's configuration, for which it asks the source "
        "database: can it be reached, and do the user's rights and the log's settings suffice?\n\n"
        "connector\n  The connector is registered or changed, and it and its tasks run.\n\n"
        "signals\n  Can the connector be asked for rows again (`verify --repair`, `resync "
        "--snapshot`), and by what?\n\n"
        "target\n  The target answers, its user has the rights, and what ods-sink owns there is "
        "made.\n\n"
        "records\n  The pipeline's topics are there, with their first records.\n\n"
        "rows\n  Where a daemon runs: the first of them are applied.\n\n"
        "What is there already stays, so the command may be run any number of times. The daemon "
        "makes each table when its first record comes.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct setup_options),
    .defaults = &defaults,
    .run = run,
};
