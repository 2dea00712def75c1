/* ods-sink quality: checks the rules of tables.yaml, lists them, and shows what was found. */
#include "cli/quality.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/columns.h"
#include "cli/json.h"
#include "core/log.h"
#include "core/time.h"
#include "quality/run.h"

/* --- run -------------------------------------------------------------------------------------- */

struct running_rules {
    const struct quality_arguments *arguments;
    struct quality_store *store;
    struct quality_run_id id;
    char worker[128];
    struct progress progress;
    json_t *results;
    size_t counts[3]; /* of a quality_state */
};

static bool interrupted(void *context)
{
    return interrupt_came();
}

static void begins(void *context, const struct quality_result *result)
{
    struct running_rules *running = context;
    progress_show(&running->progress, "%s of %s", result->rule->name, result->source);
}

static json_t *list_keys(const struct quality_result *result)
{
    json_t *list = json_array();
    const char *at = result->keys.bytes, *end = at ? at + result->keys.length : at;
    while (at < end) {
        const char *line = memchr(at, '\n', (size_t) (end - at));
        size_t length = (size_t) ((line ? line : end) - at);
        char *key = strndup(at, length);
        json_array_append_new(list, cli_json(key ? key : ""));
        free(key);
        at += length + 1;
    }
    return list;
}

static json_t *json_of_number(bool there, double number)
{
    if (!there)
        return json_null();
    bool whole = number == (double) (json_int_t) number;
    return whole ? json_integer((json_int_t) number) : json_real(number);
}

static enum ods_status ends(void *context, const struct quality_result *result,
                            struct error *error)
{
    struct running_rules *running = context;
    running->counts[result->state]++;
    json_array_append_new(
        running->results,
        json_pack("{s:s, s:o, s:o, s:s, s:s, s:b, s:s, s:o, s:o, s:o, s:f, s:o, s:o}", "pipeline",
                  result->pipeline, "table", cli_json(result->source), "target",
                  cli_json(result->target), "rule", result->rule->name, "check",
                  quality_checks[result->rule->check], "in_flight", 0, "state",
                  quality_state_name(result->state), "measured",
                  json_of_number(result->has_measured, result->measured), "rows",
                  result->looked_at >= 0 ? json_integer(result->looked_at) : json_null(),
                  "expected", cli_json(result->expected), "seconds", result->seconds, "why",
                  *result->why ? cli_json(result->why) : json_null(), "keys", list_keys(result)));
    return running->arguments->unkept || !running->store
               ? ODS_OK
               : quality_store_put(running->store, &running->id, result, error);
}

static int run_pipeline(const struct settings *settings, const struct pipeline_settings *pipeline,
                        struct running_rules *running, size_t *matched, struct error *error)
{
    size_t count = 0;
    bool lake = quality_is_of_lake(settings, pipeline);
    enum ods_status status =
        lake ? ODS_OK : quality_store_open(&running->store, settings, pipeline, error);
    const struct quality_options options = {.settings = settings,
                                            .pipeline = pipeline,
                                            .tables = running->arguments->tables.items,
                                            .table_count = running->arguments->tables.count,
                                            .rule = running->arguments->rule,
                                            .store = running->store,
                                            .stops = interrupted};
    const struct quality_listener listener = {begins, ends, running};
    if (status == ODS_OK)
        status = (lake ? quality_run_lake : quality_run)(&options, &listener, &count, error);
    if (status == ODS_OK && count && running->store && !running->arguments->unkept)
        status = quality_store_prune(running->store, error);
    quality_store_close(running->store);
    running->store = NULL;
    *matched += count;
    return status == ODS_OK ? CLI_OK : CLI_TARGET;
}

static void paint_state(struct columns *table, const char *state)
{
    columns_add(table, state);
    columns_paint(table, strcmp(state, "pass") == 0   ? PAINT_GOOD
                         : strcmp(state, "fail") == 0 ? PAINT_BAD
                                                      : PAINT_WARN);
}

static void put_keys(struct buffer *why, const json_t *row)
{
    size_t i;
    const json_t *keys = json_object_get(row, "keys"), *key;
    buffer_puts(why, text_in(row, "why"));
    json_array_foreach(keys, i, key)
        buffer_printf(why, "%s%s", i ? "; " : ": ", json_string_value(key));
}

static bool print_rows(const struct terminal *terminal, const json_t *rows)
{
    static const char *const names[] = {"TABLE",    "RULE",     "RESULT", "MEASURED",
                                        "EXPECTED", "COST", "WHY"};
    struct columns table;
    size_t i;
    json_t *row;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(rows, i, row)
    {
        char text[64];
        struct buffer why;
        buffer_init(&why);
        put_keys(&why, row);
        columns_add(&table, text_in(row, "table"));
        if (json_is_true(json_object_get(row, "in_flight"))) {
            snprintf(text, sizeof text, "%.40s (in flight)", text_in(row, "rule"));
            columns_add(&table, text);
        } else {
            columns_add(&table, text_in(row, "rule"));
        }
        paint_state(&table, text_in(row, "state"));
        columns_add(&table, quality_measured(row, text, sizeof text));
        columns_add(&table, text_in(row, "expected"));
        columns_add(&table, quality_cost(row, text, sizeof text));
        columns_add(&table, buffer_text(&why));
        buffer_done(&why);
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static const char *verdict_of(const size_t *counts)
{
    return counts[QUALITY_FAILS] ? "fail" : counts[QUALITY_UNKNOWN] ? "unknown" : "pass";
}

static int print_run(const struct call *call, const struct running_rules *running)
{
    const size_t *counts = running->counts;
    if (running->arguments->json) {
        cli_print_json(json_pack(
            "{s:s, s:{s:I, s:I, s:I}, s:O}", "verdict", verdict_of(counts), "counts", "pass",
            (json_int_t) counts[QUALITY_PASSES], "fail", (json_int_t) counts[QUALITY_FAILS],
            "unknown", (json_int_t) counts[QUALITY_UNKNOWN], "rules", running->results));
    } else {
        if (!print_rows(call->terminal, running->results))
            return CLI_INTERNAL;
        printf("%zu pass, %zu fail, of %zu it can't be told\n", counts[QUALITY_PASSES],
               counts[QUALITY_FAILS], counts[QUALITY_UNKNOWN]);
    }
    return counts[QUALITY_FAILS]     ? CLI_NEGATIVE
           : counts[QUALITY_UNKNOWN] ? CLI_CANT_TELL
                                     : CLI_OK;
}

static int write_page(const struct settings *settings, const struct quality_arguments *arguments,
                      const char *command, struct error *error)
{
    json_t *report = NULL;
    int code = quality_report(settings, arguments, &report, error);
    if (code == CLI_OK && !quality_page(report, arguments->html)) {
        error_set(error, ODS_FATAL, "%s can't be written: %s", arguments->html, strerror(errno));
        code = CLI_INTERNAL;
    }
    json_decref(report);
    (void) command;
    return code;
}

static int nothing_matches(const struct settings *settings,
                           const struct quality_arguments *arguments, struct error *error)
{
    bool any = false;
    for (size_t i = 0; i < settings->pipeline_count; i++)
        any |= quality_any(&settings->pipelines[i], false);
    error_set(error, ODS_FATAL, "%s",
              !any ? "tables.yaml has no rules: `quality` of a pipeline or a table (see "
                     "docs/quality.md)"
              : arguments->tables.count || arguments->rule || arguments->pipeline
                  ? "no rule of tables.yaml is for these tables, or has this name: `ods-sink "
                    "quality list` shows them"
                  : "no table that has rules is in a target of type postgres, delta or iceberg "
                    "yet");
    return CLI_USAGE;
}

static int run_rules(const struct call *call, struct running_rules *running,
                     const struct settings *settings, struct error *error)
{
    const struct quality_arguments *arguments = running->arguments;
    size_t matched = 0;
    int code = CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        bool has = quality_is_kept(settings, pipeline) || quality_is_of_lake(settings, pipeline);
        if (has && !interrupt_came() &&
            (!arguments->pipeline || strcmp(arguments->pipeline, pipeline->name) == 0))
            code = run_pipeline(settings, pipeline, running, &matched, error);
    }
    progress_done(&running->progress);
    if (interrupt_came())
        return interrupt_code();
    if (code == CLI_OK && !matched)
        code = nothing_matches(settings, arguments, error);
    if (code == CLI_OK && arguments->html)
        code = write_page(settings, arguments, call->name, error);
    return code == CLI_OK ? print_run(call, running) : code;
}

static int with_settings(const struct call *call, const struct quality_arguments *arguments,
                         int (*work)(const struct call *call,
                                     const struct quality_arguments *arguments,
                                     const struct settings *settings, struct error *error))
{
    struct config *config = NULL;
    struct error error;
    error_init(&error);
    int code = cli_load(&config, arguments->config);
    if (code == CLI_OK) {
        log_configure(&config_settings(config)->log);
        interrupt_catch();
        code = work(call, arguments, config_settings(config), &error);
    }
    if (code != CLI_OK && *error.text)
        terminal_line(stderr, "ods-sink %s: %s", call->name, error.text);
    config_free(config);
    return cli_finish(code);
}

static int work_run(const struct call *call, const struct quality_arguments *arguments,
                    const struct settings *settings, struct error *error)
{
    struct running_rules running = {.arguments = arguments, .results = json_array()};
    char self[100];
    cli_operator(self, sizeof self);
    snprintf(running.worker, sizeof running.worker, "%s, process %ld", self, (long) getpid());
    running.id = (struct quality_run_id){.began_us = time_wall_us(), .worker = running.worker};
    progress_init(&running.progress, call->terminal);
    int code = run_rules(call, &running, settings, error);
    json_decref(running.results);
    return code;
}

static int run_run(const struct call *call, void *options)
{
    return with_settings(call, options, work_run);
}

/* --- list ------------------------------------------------------------------------------------- */

static json_t *names_of(const struct strings *names)
{
    json_t *list = json_array();
    for (size_t i = 0; i < names->count; i++)
        json_array_append_new(list, cli_json(names->items[i]));
    return list;
}

/* The last results of the rule, over all its tables: the worst, and what they cost together. */
static void add_last(json_t *rule, const json_t *report, const char *pipeline,
                     const struct quality_rule *told, const char *table)
{
    const char *worst = NULL;
    double seconds = 0;
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(report, "rules"), i, row)
    {
        const char *of = text_in(row, "table"), *dot = strrchr(of, '.');
        bool same = strcmp(text_in(row, "pipeline"), pipeline) == 0 &&
                    strcmp(text_in(row, "rule"), told->name) == 0 &&
                    !json_is_true(json_object_get(row, "in_flight")) &&
                    (!table || *table == '^' || strcmp(of, table) == 0 ||
                     (dot && strcmp(dot + 1, table) == 0));
        if (!same)
            continue;
        const char *state = text_in(row, "state");
        if (!worst || strcmp(state, "fail") == 0 || strcmp(worst, "pass") == 0)
            worst = state;
        seconds += json_number_value(json_object_get(row, "seconds"));
    }
    json_object_set_new(rule, "state", worst ? json_string(worst) : json_null());
    json_object_set_new(rule, "seconds", worst ? json_real(seconds) : json_null());
}

static void list_rules(json_t *list, const json_t *report, const char *pipeline,
                       const struct quality_rule *rules, size_t count, const char *table)
{
    for (size_t i = 0; i < count; i++) {
        const struct quality_rule *rule = &rules[i];
        json_t *object = json_pack(
            "{s:s, s:o, s:s, s:s, s:o, s:s, s:b, s:o, s:i}", "pipeline", pipeline, "tables",
            table                ? json_pack("[o]", cli_json(table))
            : rule->tables.count ? names_of(&rule->tables)
                                 : json_null(),
            "rule", rule->name, "check", quality_checks[rule->check], "columns",
            names_of(&rule->columns), "on_fail", quality_on_fails[rule->on_fail], "scheduled",
            (int) rule->scheduled, "file", rule->file ? json_string(rule->file) : json_null(),
            "line", rule->line);
        add_last(object, report, pipeline, rule, table);
        json_array_append_new(list, object);
    }
}

static void put_names(struct columns *table, const json_t *names)
{
    struct buffer text;
    size_t i;
    json_t *name;
    buffer_init(&text);
    json_array_foreach(names, i, name)
        buffer_printf(&text, "%s%s", i ? ", " : "", json_string_value(name));
    columns_add(table, json_is_null(names) ? "all" : buffer_text(&text));
    buffer_done(&text);
}

static bool print_list(const struct terminal *terminal, const json_t *list)
{
    static const char *const names[] = {"PIPELINE", "TABLES",    "RULE",   "CHECK", "COLUMNS",
                                        "ON FAIL",  "SCHEDULED", "RESULT", "COST"};
    struct columns table;
    size_t i;
    json_t *row;
    columns_init(&table, terminal, names, sizeof names / sizeof *names);
    json_array_foreach(list, i, row)
    {
        char cost[64];
        bool known = json_is_string(json_object_get(row, "state"));
        columns_add(&table, text_in(row, "pipeline"));
        put_names(&table, json_object_get(row, "tables"));
        columns_add(&table, text_in(row, "rule"));
        columns_add(&table, text_in(row, "check"));
        put_names(&table, json_object_get(row, "columns"));
        columns_add(&table, text_in(row, "on_fail"));
        columns_add(&table, json_is_true(json_object_get(row, "scheduled")) ? "yes" : "no");
        if (known)
            paint_state(&table, text_in(row, "state"));
        else
            columns_add(&table, "never");
        columns_add(&table, known ? quality_cost(row, cost, sizeof cost) : "");
    }
    bool good = columns_print(&table);
    columns_done(&table);
    return good;
}

static int work_list(const struct call *call, const struct quality_arguments *arguments,
                     const struct settings *settings, struct error *error)
{
    json_t *list = json_array(), *report = NULL;
    int code = CLI_OK;
    struct error away;
    error_init(&away);
    if (quality_report(settings, arguments, &report, &away) != CLI_OK) /* the rules are there */
        terminal_line(stderr, "ods-sink %s: last results are not known: %s", call->name,
                      away.text);
    for (size_t i = 0; i < settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &settings->pipelines[i];
        if (arguments->pipeline && strcmp(arguments->pipeline, pipeline->name) != 0)
            continue;
        list_rules(list, report, pipeline->name, pipeline->quality.rules,
                   pipeline->quality.rule_count, NULL);
        for (size_t k = 0; k < pipeline->table_count; k++)
            list_rules(list, report, pipeline->name, pipeline->tables[k].quality,
                       pipeline->tables[k].quality_count, pipeline->tables[k].name);
        list_rules(list, report, pipeline->name, pipeline->defaults.quality,
                   pipeline->defaults.quality_count, NULL);
    }
    if (arguments->json)
        cli_print_json(json_pack("{s:O}", "rules", list));
    else if (!json_array_size(list))
        printf("tables.yaml has no rules: see docs/quality.md\n");
    else if (!print_list(call->terminal, list))
        code = CLI_INTERNAL;
    (void) error;
    json_decref(list);
    json_decref(report);
    return code;
}

static int run_list(const struct call *call, void *options)
{
    return with_settings(call, options, work_list);
}

/* --- report ----------------------------------------------------------------------------------- */

static int work_report(const struct call *call, const struct quality_arguments *arguments,
                       const struct settings *settings, struct error *error)
{
    json_t *report = NULL;
    int code = quality_report(settings, arguments, &report, error);
    if (code != CLI_OK)
        return code;
    const json_t *rules = json_object_get(report, "rules");
    char verdict[16];
    snprintf(verdict, sizeof verdict, "%s", text_in(report, "verdict"));
    if (arguments->html && !quality_page(report, arguments->html)) {
        error_set(error, ODS_FATAL, "%s can't be written: %s", arguments->html, strerror(errno));
        code = CLI_INTERNAL;
    } else if (arguments->json) {
        cli_print_json(json_incref(report));
    } else if (!json_array_size(rules)) {
        printf("no rule was checked yet: ods-sink quality run, or quality.every in tables.yaml\n");
    } else if (!print_rows(call->terminal, rules)) {
        code = CLI_INTERNAL;
    }
    json_decref(report);
    return code != CLI_OK                         ? code
           : strcmp(verdict, "fail") == 0    ? CLI_NEGATIVE
           : strcmp(verdict, "unknown") == 0 ? CLI_CANT_TELL
                                             : CLI_OK;
}

static int run_report(const struct call *call, void *options)
{
    return with_settings(call, options, work_report);
}

/* --- the table -------------------------------------------------------------------------------- */

#define TYPE struct quality_arguments

static const struct quality_arguments defaults = {.runs = 30};

static const struct parameter tables[] = {
    OPERAND(TYPE, tables, "TABLE", &argument_table,
            "only these tables, by the source's name or the target's, with or without what stands "
            "before the dot",
            .flags = PARAMETER_MANY),
    {0}};

#define ONLY                                                                                       \
    OPTION(TYPE, pipeline, "pipeline", &argument_pipeline, "only this pipeline"),                  \
        OPTION(TYPE, rule, "rule", &argument_text, "only rules of this name", .value = "NAME")

#define PAGE                                                                                       \
    OPTION(TYPE, html, "html", &argument_file,                                                     \
           "also write a page of HTML with plots of the last runs", .value = "FILE.html"),         \
        OPTION(TYPE, runs, "runs", &argument_number,                                               \
               "how many runs of each rule are shown (default: 30)", .min = 1, .max = 1000)

static const struct parameter run_options[] = {
    OPTION_CONFIG(TYPE), ONLY, PAGE,
    SWITCH(TYPE, unkept, "no-keep", "do not keep the results in the target"),
    OPTION_JSON(TYPE), {0}};
static const struct parameter list_options[] = {
    OPTION_CONFIG(TYPE), OPTION(TYPE, pipeline, "pipeline", &argument_pipeline,
                                "only this pipeline"),
    OPTION_JSON(TYPE), {0}};
static const struct parameter report_options[] = {
    OPTION_CONFIG(TYPE), ONLY, PAGE, OPTION_JSON(TYPE), {0}};

static const struct exit_meaning exits[] = {
    {CLI_OK, "All rules hold."},
    {CLI_NEGATIVE, "A rule is broken."},
    EXIT_IS_CONFIG,
    EXIT_IS_TARGET,
    {CLI_CANT_TELL, "No rule is known to be broken, and of some it can't be told."},
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct exit_meaning list_exits[] = {EXIT_IS_CONFIG, {0}};

static const struct command run_command = {
    .name = "run",
    .summary = "check rules now",
    .description = "Checks the rules of `quality` in tables.yaml against the target's tables, "
                   "shows what each found and cost, and keeps it in `ods_sink.quality`. Of rows "
                   "that break a rule up to five keys are shown, and none is kept. The pipeline "
                   "goes on meanwhile; nothing of the data is changed.",
    .options = {{.options = run_options}},
    .operands = tables,
    .exits = exits,
    .options_size = sizeof(TYPE),
    .defaults = &defaults,
    .run = run_run,
};

static const struct command list_command = {
    .name = "list",
    .summary = "list the rules, their last results and costs",
    .options = {{.options = list_options}},
    .exits = list_exits,
    .options_size = sizeof(TYPE),
    .defaults = &defaults,
    .run = run_list,
};

static const struct command report_command = {
    .name = "report",
    .summary = "show what the last runs found",
    .description = "Of each rule and table the last result, of the daemon's runs and of `quality "
                   "run`; `--html` writes a page with plots, `--json` has all the runs.",
    .options = {{.options = report_options}},
    .operands = tables,
    .exits = exits,
    .options_size = sizeof(TYPE),
    .defaults = &defaults,
    .run = run_report,
};

static const struct command *const commands[] = {&run_command, &list_command, &report_command,
                                                 NULL};

static const struct example examples[] = {
    {"ods-sink quality run -c ods-sink.conf orders", "Check one table, as a step of CI."},
    {"ods-sink quality report -c ods-sink.conf --html quality.html", "A page with plots."},
    {0}};

const struct command cli_quality = {
    .name = "quality",
    .summary = "check rules about the data, and show what they found",
    .description = "Rules stand in tables.yaml, as `quality` of a pipeline or a table; "
                   "docs/quality.md has all of them. The daemon checks them by itself where "
                   "`quality.every` says so.",
    .commands = commands,
    .examples = examples,
};
