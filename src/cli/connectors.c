/* ods-sink connectors: Kafka Connect's connectors by its REST, with the truth of their tasks, what
 * their failures mean and which of their settings make trouble. connectors_show.c prints. */
#include "cli/connectors.h"

#include <stdlib.h>
#include <string.h>

#include "cli/confirm.h"
#include "cli/json.h"
#include "core/log.h"

/* What a connector's state is in words that follow its name. */
static void say_state(const char *name, enum connector_state state, const json_t *status)
{
    size_t tasks = json_array_size(json_object_get(status, "tasks"));
    if (state == CONNECTOR_RUNNING)
        printf("%s: running, with %zu task%s\n", name, tasks, tasks == 1 ? "" : "s");
    else
        printf("%s: %s\n", name,
               state == CONNECTOR_STARTING && !tasks ? "it has no task yet"
                                                     : connector_state_name(state));
}

/* After a change: wait, and say what came of it. `changes` go into the JSON; NULL: there
 * are none. */
static int await(const struct connectors *connectors, const char *name,
                 enum connector_state wanted, json_t *changes, struct error *error)
{
    json_t *status = NULL;
    enum connector_state state;
    int64_t wait_s = connectors->options->wait_ms / 1000;
    if (connector_await(connectors->connect, name, wanted, wait_s, &status, &state, error) !=
        ODS_OK) {
        json_decref(status);
        return CLI_SOURCE;
    }
    if (connectors->options->quiet && state != wanted) {
        connectors_cause(name, state, status, error);
    } else if (connectors->options->quiet) {
        error_init(error);
    } else if (connectors->options->json) {
        connectors_print_json(status, changes);
    } else {
        say_state(name, state, status);
        connectors_print_failures(status);
        if (state != wanted && state != CONNECTOR_FAILED)
            printf("%s: not %s within %lld s\n", name, connector_state_name(wanted),
                   (long long) wait_s);
    }
    json_decref(status);
    return state == wanted ? CLI_OK : CLI_NEGATIVE;
}

/* --- pause, resume, restart, delete --------------------------------------------------------- */

static int failed(enum ods_status status, const struct error *error)
{
    return status == ODS_REJECT && connect_is_missing(error) ? CLI_NEGATIVE : CLI_SOURCE;
}

static int pause_connector(const struct connectors *connectors, const char *name,
                           struct error *error)
{
    enum ods_status status = connector_tell(connectors->connect, "PUT", name, "/pause", error);
    return status == ODS_OK ? await(connectors, name, CONNECTOR_PAUSED, NULL, error)
                            : failed(status, error);
}

static int resume_connector(const struct connectors *connectors, const char *name,
                            struct error *error)
{
    enum ods_status status = connector_tell(connectors->connect, "PUT", name, "/resume", error);
    return status == ODS_OK ? await(connectors, name, CONNECTOR_RUNNING, NULL, error)
                            : failed(status, error);
}

/* Connect's own restart leaves failed tasks as they are. Where something failed only that is
 * started again; else all of it. */
static int restart(const struct connectors *connectors, const char *name, struct error *error)
{
    json_t *seen = NULL;
    enum ods_status status = connector_status(connectors->connect, name, &seen, error);
    enum connector_state before = status == ODS_OK ? connector_state(seen) : CONNECTOR_STARTING;
    const char *own = json_text(json_object_get(seen, "connector"), "state");
    bool held = strcmp(own, "PAUSED") == 0 || strcmp(own, "STOPPED") == 0;
    json_decref(seen);
    if (status != ODS_OK)
        return failed(status, error);
    if (held) {
        error_set(error, ODS_REJECT,
                  "%s is paused or stopped: ods-sink connectors resume %s starts it", name, name);
        return CLI_NEGATIVE;
    }
    bool only_failed = before == CONNECTOR_FAILED;
    status = connector_restart(connectors->connect, name, only_failed, error);
    if (status != ODS_OK)
        return failed(status, error);
    int code = await(connectors, name, CONNECTOR_RUNNING, NULL, error);
    if (!connectors->options->json && only_failed && code != CLI_SOURCE)
        printf("%s: the restart %s\n", name, code == CLI_OK ? "helped" : "did not help");
    return code;
}

/* What a deleted connector leaves at the source and in Kafka, for a person to remove. */
static void say_leftovers(const json_t *config)
{
    const char *prefix = json_text(config, "topic.prefix");
    const char *history = json_text(config, "schema.history.internal.kafka.topic");
    const char *slot = json_text(config, "slot.name");
    if (*prefix)
        printf("  its topics, %s and %s.*, are still there\n", prefix, prefix);
    if (*history)
        printf("  so is its schema history, topic %s\n", history);
    if (strstr(json_text(config, "connector.class"), "Postgres"))
        printf("  so is its replication slot \"%s\", which keeps WAL at the source until it is "
               "dropped: select pg_drop_replication_slot('%s')\n",
               *slot ? slot : "debezium", *slot ? slot : "debezium");
}

static int delete_connector(const struct connectors *connectors, const char *name,
                            struct error *error)
{
    const struct connectors_options *options = connectors->options;
    char question[512];
    json_t *config = NULL;
    enum ods_status status = connector_config(connectors->connect, name, &config, error);
    if (status != ODS_OK)
        return failed(status, error);
    snprintf(question, sizeof question, "Delete connector %.200s%s?", name,
             options->offsets ? " and what it knows of how far it has read" : "");
    int code = confirm(connectors->call->name, question, NULL, options->yes);
    if (code == CLI_OK && options->offsets)
        status = connector_forget(connectors->connect, name, options->wait_ms / 1000, error);
    if (code == CLI_OK && status == ODS_OK)
        status = connector_tell(connectors->connect, "DELETE", name, "", error);
    if (code == CLI_OK && status != ODS_OK)
        code = CLI_SOURCE;
    if (code == CLI_OK && options->json) {
        json_t *gone = json_pack("{s:s,s:b,s:b}", "name", name, "deleted", 1, "offsets_too",
                                 options->offsets);
        cli_print_json_line(gone);
    } else if (code == CLI_OK) {
        printf("%s: deleted%s\n", name,
               options->offsets ? ", and its offsets"
                                : "; a connector of this name goes on where it stood");
        say_leftovers(config);
    }
    json_decref(config);
    return code;
}

/* --- apply ---------------------------------------------------------------------------------- */

static void say_change(void *context, const char *property, const char *was, const char *is)
{
    if (!was)
        terminal_line(stdout, "  + %s = %s", property, is ? is : "");
    else if (!is)
        terminal_line(stdout, "  - %s = %s", property, was);
    else
        terminal_line(stdout, "  ~ %s = %s, was %s", property, is, was);
}

static void say_complaint(void *context, const char *property, const char *complaint)
{
    terminal_line(stderr, "%s: %s", property, complaint);
}

/* NULL to a text is JSON's null. */
static void add_change(void *context, const char *property, const char *was, const char *is)
{
    json_array_append_new(context, json_pack("{s:s,s:s?,s:s?}", "property", property, "was", was,
                                             "is", is));
}

/* What differs from the connector that is there. */
static int compare(const struct connectors *connectors, const struct connector_file *file,
                   json_t *changes, struct error *error)
{
    json_t *running = NULL;
    enum ods_status status = connector_config(connectors->connect, file->name, &running, error);
    if (status != ODS_OK && !(status == ODS_REJECT && connect_is_missing(error)))
        return CLI_SOURCE;
    error_init(error);
    size_t count = connector_changes(running, file->config, add_change, changes);
    if (!connectors->options->json && !connectors->options->quiet) {
        printf("%s: %s\n", file->name,
               !running ? "is new"
               : count  ? "changes"
                        : "is there with these settings");
        connector_changes(running, file->config, say_change, NULL);
        connectors_print_troubles(file->name, file->config);
    }
    json_decref(running);
    return CLI_OK;
}

static int validate(const struct connectors *connectors, const struct connector_file *file,
                    struct error *error)
{
    size_t complaints;
    json_t *whole = json_deep_copy(file->config);
    if (!whole || json_object_set_new(whole, "name", json_string(file->name))) {
        json_decref(whole);
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    enum ods_status status = connector_validate(connectors->connect, whole, say_complaint, NULL,
                                                &complaints, error);
    json_decref(whole);
    if (status == ODS_REJECT && !connect_is_missing(error))
        return CLI_CONFIG;
    if (status != ODS_OK)
        return CLI_SOURCE;
    if (!complaints)
        return CLI_OK;
    error_set(error, ODS_REJECT, "%s: Connect refuses %zu of its settings; nothing was changed",
              file->path, complaints);
    return CLI_CONFIG;
}

static int print_dry_run(const struct connectors *connectors, const char *name, json_t *changes)
{
    if (!connectors->options->json) {
        puts("nothing was changed");
        return CLI_OK;
    }
    json_t *one = json_pack("{s:s,s:O,s:b}", "name", name, "changes", changes, "dry_run", 1);
    cli_print_json_line(one);
    return CLI_OK;
}

int connectors_plan(const struct connectors *connectors, const struct connector_file *file,
                    json_t *changes, struct error *error)
{
    int code = compare(connectors, file, changes, error);
    return code == CLI_OK && json_array_size(changes) ? validate(connectors, file, error) : code;
}

int connectors_make_so(const struct connectors *connectors, const struct connector_file *file,
                       json_t *changes, struct error *error)
{
    if (json_array_size(changes) &&
        connector_put(connectors->connect, file->name, file->config, error) != ODS_OK)
        return CLI_SOURCE;
    return await(connectors, file->name, CONNECTOR_RUNNING, changes, error);
}

static int apply_file(const struct connectors *connectors, const struct connector_file *file,
                      struct error *error)
{
    json_t *changes = json_array();
    int code = connectors_plan(connectors, file, changes, error);
    if (code == CLI_OK)
        code = connectors->options->dry_run
                   ? print_dry_run(connectors, file->name, changes)
                   : connectors_make_so(connectors, file, changes, error);
    json_decref(changes);
    return code;
}

bool connectors_set(struct connector_file *file, const struct strings *sets, struct error *error)
{
    for (size_t i = 0; i < sets->count; i++) {
        const char *equals = strchr(sets->items[i], '=');
        char *name = equals ? strndup(sets->items[i], (size_t) (equals - sets->items[i])) : NULL;
        bool good = name && *name && connector_file_set(file, name, equals + 1);
        free(name);
        if (!good) {
            error_set(error, ODS_FATAL, "--set expects PROPERTY=VALUE, not \"%s\"",
                      sets->items[i]);
            return false;
        }
    }
    return true;
}

static int connectors_apply(struct connectors *connectors, const char *path, struct error *error)
{
    struct connector_file file;
    if (connector_file_read(&file, path, error) != ODS_OK)
        return CLI_CONFIG;
    int code = connectors_set(&file, &connectors->options->sets, error)
                   ? connectors_reach(connectors, file.name, error)
                   : CLI_USAGE;
    if (code == CLI_OK)
        code = apply_file(connectors, &file, error);
    connector_file_done(&file);
    return code;
}

/* --- the command ---------------------------------------------------------------------------- */

typedef int action(const struct connectors *connectors, const char *name, struct error *error);

static int act_on(struct connectors *connectors, action *act, const char *name,
                  struct error *error)
{
    if (!act)
        return connectors_apply(connectors, name, error);
    int code = connectors_reach(connectors, name, error);
    return code == CLI_OK ? act(connectors, name, error) : code;
}

/* NULL: the names are those of files, which are applied. */
static int each(struct connectors *connectors, action *act)
{
    const struct strings *names = &connectors->options->names;
    struct error error;
    int worst = CLI_OK;
    for (size_t i = 0; i < names->count; i++) {
        error_init(&error);
        int code = act_on(connectors, act, names->items[i], &error);
        if (*error.text && code != CLI_OK)
            terminal_line(stderr, "ods-sink %s: %s", connectors->call->name, error.text);
        if (worst == CLI_OK)
            worst = code;
        if (code == CLI_SOURCE)
            break;
    }
    return worst;
}

typedef int task(struct connectors *connectors, action *act);

static int show(struct connectors *connectors, action *act)
{
    return connectors_show(connectors);
}

/* Open what the options name, and do the work. */
static int run(const struct call *call, const struct connectors_options *options, task *perform,
               action *act)
{
    struct connectors connectors = {.options = options, .call = call};
    struct connect_settings single = {.url = "", .user = "", .password = "", .ca = "",
                                      .certificate = "", .key = "", .timeout_ms = 60000};
    struct config *loaded = NULL;
    struct error error;
    error_init(&error);
    int code = options->config ? cli_load(&loaded, options->config) : CLI_OK;
    if (code == CLI_OK && options->config) {
        connectors.settings = config_settings(loaded);
        log_configure(&connectors.settings->log);
    }
    if (code == CLI_OK && (code = connectors_find_clusters(&connectors, &single, &error)) != CLI_OK)
        terminal_line(stderr, "ods-sink %s: %s", call->name, error.text);
    if (code == CLI_OK)
        code = perform(&connectors, act);
    connect_close(connectors.connect);
    free(connectors.clusters);
    config_free(loaded);
    return cli_finish(code);
}

static int run_list(const struct call *call, void *options)
{
    return run(call, options, show, NULL);
}

static int run_status(const struct call *call, void *options)
{
    ((struct connectors_options *) options)->detailed = true;
    return run(call, options, show, NULL);
}

static int run_apply(const struct call *call, void *options)
{
    return run(call, options, each, NULL);
}

static int run_restart(const struct call *call, void *options)
{
    return run(call, options, each, restart);
}

static int run_pause(const struct call *call, void *options)
{
    return run(call, options, each, pause_connector);
}

static int run_resume(const struct call *call, void *options)
{
    return run(call, options, each, resume_connector);
}

static int run_delete(const struct call *call, void *options)
{
    return run(call, options, each, delete_connector);
}

/* --- their rows ----------------------------------------------------------------------------- */

#define TYPE struct connectors_options

static const struct connectors_options defaults = {.wait_ms = 90000};

#define WHOM_TO_ASK                                                                              \
    OPTION(TYPE, config, "config", &argument_file, "ods-sink.conf, whose `connect` says where "  \
           "Kafka Connect is", .letter = 'c'),                                                   \
    OPTION(TYPE, url, "url", &argument_text, "where Kafka Connect is, whatever `connect.url` "   \
           "says", .value = "URL"),                                                              \
    OPTION(TYPE, cluster, "cluster", &argument_text, "only this cluster of `connect_clusters`; " \
           "`connect` is that of `connect.url` (default: the one that has the connector)",       \
           .value = "NAME"),                                                                     \
    OPTION_JSON(TYPE)
#define HOW_LONG                                                                                 \
    OPTION(TYPE, wait_ms, "wait", &argument_seconds,                                             \
           "how long to wait for the outcome (default: 90)", .max = 86400)

static const struct parameter show_options[] = {WHOM_TO_ASK, {0}};
static const struct parameter change_options[] = {WHOM_TO_ASK, HOW_LONG, {0}};
static const struct parameter apply_options[] = {
    WHOM_TO_ASK, HOW_LONG,
    OPTION(TYPE, sets, "set", &argument_text,
           "another value than the file's of this property, or of `name`",
           .value = "PROPERTY=VALUE", .flags = PARAMETER_MANY),
    SWITCH(TYPE, dry_run, "dry-run", "only say what would change"),
    {0}};
static const struct parameter delete_options[] = {
    WHOM_TO_ASK, HOW_LONG,
    SWITCH(TYPE, offsets, "offsets",
           "forget too how far it has read, so that the next of this name takes a new snapshot "
           "(Kafka Connect 3.6 and later)"),
    SWITCH(TYPE, yes, "yes", "do not ask"),
    {0}};

static const struct parameter any_names[] = {
    OPERAND(TYPE, names, "NAME", &argument_text, "only these connectors", .flags = PARAMETER_MANY),
    {0}};
static const struct parameter names[] = {
    OPERAND(TYPE, names, "NAME", &argument_text, "the connectors",
            .flags = PARAMETER_MANY | PARAMETER_REQUIRED),
    {0}};
static const struct parameter files[] = {
    OPERAND(TYPE, names, "FILE", &argument_file,
            "a connector: `{\"name\": …, \"config\": {…}}`, or the properties alone with their "
            "name",
            .flags = PARAMETER_MANY | PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_NEGATIVE, "A connector does not run, or is not there."},
    {CLI_CONFIG, "The configuration is wrong, a connector's file is, or Connect refuses it."},
    {CLI_SOURCE, "Kafka Connect does not answer, or refuses."},
    {0}};

#define CHANGES(words, operand_rows, option_rows)                                                \
    .options = {{.options = option_rows}}, .operands = operand_rows, .exits = exits,             \
    .options_size = sizeof(TYPE), .defaults = &defaults, .run = words

static const struct command list_command = {
    .name = "list",
    .summary = "list the connectors and the states of their tasks",
    .description = "A connector of which a task has failed is failed, whatever Connect calls it.",
    CHANGES(run_list, any_names, show_options),
};

static const struct command status_command = {
    .name = "status",
    .summary = "say how the connectors are, and why a task failed",
    .description =
        "Of each failed task the innermost cause in its trace, and, where it is a known one, what "
        "it means and what helps. Then what in a connector's configuration makes trouble: `wrong` "
        "loses values or rows before any sink sees them, `risk` works until something happens, "
        "`note` is worth knowing. With `-c` the topic of a connector's schema history is looked at "
        "too: it has to keep its records for ever.",
    CHANGES(run_status, any_names, show_options),
};

static const struct command apply_command = {
    .name = "apply",
    .summary = "create connectors from files, or change them to be so",
    .description =
        "Says what differs from the connector that is there (values of secrets are hidden), lets "
        "Connect check the configuration, which for most sources asks the database too, changes "
        "it, and waits until the connector and its tasks have been running for three seconds. A "
        "connector that is so already is left alone, so the same file may be applied any number of "
        "times.\n\n"
        "`${NAME}` and `${NAME:-default}` in a value, with NAME in capital letters, stand for the "
        "environment's variable; other `${…}` are Connect's own and stay as they are.",
    CHANGES(run_apply, files, apply_options),
};

static const struct command restart_command = {
    .name = "restart",
    .summary = "restart connectors with their failed tasks, and say whether it helped",
    .description =
        "Where something has failed only that is started again, else the connector and all its "
        "tasks. It has helped when all have been running for three seconds.",
    CHANGES(run_restart, names, change_options),
};

static const struct command pause_command = {
    .name = "pause",
    .summary = "pause connectors",
    .description = "Waits until they are. The source keeps what they have not read: see its disk.",
    CHANGES(run_pause, names, change_options),
};

static const struct command resume_command = {
    .name = "resume",
    .summary = "let paused or stopped connectors go on",
    .description = "Waits until they and their tasks have been running for three seconds.",
    CHANGES(run_resume, names, change_options),
};

static const struct command delete_command = {
    .name = "delete",
    .summary = "delete connectors",
    .description =
        "Asks first. Topics, schema history and replication slots stay, and are named. Connect "
        "keeps how far a connector has read, and one of the same name goes on there, unless "
        "`--offsets` is given.",
    CHANGES(run_delete, names, delete_options),
};

static const struct command *const commands[] = {
    &list_command,   &status_command, &apply_command,  &restart_command,
    &pause_command,  &resume_command, &delete_command, NULL};

static const struct example examples[] = {
    {"ods-sink connectors status -c ods-sink.conf", "What fails, why, and what helps."},
    {"ods-sink connectors apply -c ods-sink.conf shop.json --dry-run",
     "What a file would change."},
    {"ods-sink connectors restart -c ods-sink.conf shop", "Try again."},
    {0}};

const struct command cli_connectors = {
    .name = "connectors",
    .summary = "look at Kafka Connect's connectors, and change them",
    .description =
        "Speaks to Kafka Connect's REST, with TLS and a password where the settings `connect` of "
        "ods-sink.conf say so. Several connectors may be named; each is dealt with by itself. "
        "Where the configuration names several clusters, all are listed, and a connector is looked "
        "for in each of them.",
    .commands = commands,
    .exits = exits,
    .examples = examples,
};
