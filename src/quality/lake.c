/* Rules about tables of a lake: row counts and checksums, as verify compares them with their
 * source. See run.h. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "core/time.h"
#include "quality/room.h"
#include "verify/verify.h"

/* Tables of the pipeline, each with its rows. */
struct counted {
    struct counted_table {
        char *source, *target;
        int64_t rows;
        bool there;
    } *items;
    size_t count;
    bool failed;
    const struct quality_options *options;
};

static bool stops(void *context)
{
    const struct quality_options *options = ((struct counted *) context)->options;
    return options->stops && options->stops(options->context);
}

static void passes_by(void *context, const struct verify_table *table)
{
}

static void differs(void *context, const struct verify_table *table,
                    const struct verify_difference *difference)
{
}

static void notice(void *context, const char *text)
{
}

static void ends(void *context, const struct verify_table *table)
{
    struct counted *counted = context;
    struct counted_table *larger =
        realloc(counted->items, (counted->count + 1) * sizeof *larger);
    if (!larger) {
        counted->failed = true;
        return;
    }
    counted->items = larger;
    larger[counted->count] = (struct counted_table){.source = strdup(table->source),
                                                    .target = strdup(table->target),
                                                    .rows = table->target_rows,
                                                    .there = table->verdict != VERIFY_SKIPPED};
    counted->failed |= !larger[counted->count].source || !larger[counted->count].target;
    counted->count++;
}

static void counted_done(struct counted *counted)
{
    for (size_t i = 0; i < counted->count; i++) {
        free(counted->items[i].source);
        free(counted->items[i].target);
    }
    free(counted->items);
}

static enum ods_status count(struct counted *counted, struct error *error)
{
    const struct quality_options *options = counted->options;
    const struct verify_options how = {.settings = options->settings,
                                       .pipeline = options->pipeline->name,
                                       .tables = options->tables,
                                       .table_count = options->table_count,
                                       .mode = VERIFY_COUNTS,
                                       .since_us = INT64_MIN,
                                       .stops = stops,
                                       .stops_context = counted,
                                       .cutoff = options->cutoff};
    const struct verify_listener listener = {.begins = passes_by,
                                             .differs = differs,
                                             .goes_on = passes_by,
                                             .ends = ends,
                                             .notice = notice,
                                             .context = counted};
    enum cli_exit code = verify_run(&how, &listener, error);
    if (counted->failed)
        return error_out_of_memory(error);
    return code == CLI_OK || code == CLI_NEGATIVE || code == CLI_CANT_TELL ? ODS_OK : ODS_RETRY;
}

static void judge_rows(const struct counted_table *table, struct quality_result *result)
{
    const struct quality_rule *rule = result->rule;
    bool few = *rule->min && table->rows < strtoll(rule->min, NULL, 10);
    bool many = *rule->max && table->rows > strtoll(rule->max, NULL, 10);
    result->has_measured = true;
    result->measured = (double) table->rows;
    result->looked_at = table->rows;
    result->state = few || many ? QUALITY_FAILS : QUALITY_PASSES;
    snprintf(result->expected, sizeof result->expected, "%s%.40s%s%s%.40s",
             *rule->min ? "at least " : "", rule->min, *rule->min && *rule->max ? ", " : "",
             *rule->max ? "at most " : "", rule->max);
    if (few || many)
        snprintf(result->why, sizeof result->why, "the table has %lld rows",
                 (long long) table->rows);
}

static enum ods_status ask(struct checking *checking, const struct counted_table *table,
                           struct quality_result *result, struct error *error)
{
    const struct quality_rule *rule = result->rule;
    bool against = rule->check == QUALITY_CHECKSUM ||
                   (rule->check == QUALITY_ROW_COUNT && !*rule->min && !*rule->max);
    if (against)
        return quality_ask_verify(checking, NULL, result, error);
    if (rule->check != QUALITY_ROW_COUNT)
        return error_set(error, ODS_REJECT,
                         "in a lake row_count and checksum are checked; other rules are on the "
                         "way (on_fail), or in a target of type postgres");
    if (!table->there)
        return error_set(error, ODS_REJECT, "the table could not be counted");
    judge_rows(table, result);
    return ODS_OK;
}

static enum ods_status check_rule(struct checking *checking, const struct counted_table *table,
                                  const struct quality_rule *rule,
                                  const struct quality_listener *listener, struct error *error)
{
    struct quality_result result;
    struct error why;
    int64_t began_us = time_monotonic_us();
    quality_result_init(&result);
    error_init(&why);
    result.rule = rule;
    result.pipeline = checking->options->pipeline->name;
    result.source = strdup(table->source);
    result.target = strdup(table->target);
    enum ods_status status =
        result.source && result.target ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK && listener->begins)
        listener->begins(listener->context, &result);
    if (status == ODS_OK && ask(checking, table, &result, &why) != ODS_OK) {
        result.state = QUALITY_UNKNOWN;
        snprintf(result.why, sizeof result.why, "%.900s", why.text);
    }
    result.seconds = (double) (time_monotonic_us() - began_us) / 1e6;
    if (status == ODS_OK && !quality_stops(checking))
        status = listener->ends(listener->context, &result, error);
    quality_result_done(&result);
    return status;
}

static enum ods_status check_table(struct checking *checking, const struct counted_table *table,
                                   const struct quality_listener *listener, size_t *matched,
                                   struct error *error)
{
    const struct quality_options *options = checking->options;
    const struct pipeline_settings *pipeline = options->pipeline;
    const struct quality_rule *rule;
    const char *dot = strrchr(table->source, '.'), *name = dot ? dot + 1 : table->source;
    char schema[300];
    enum ods_status status = ODS_OK;
    size_t at = 0;
    snprintf(schema, sizeof schema, "%.*s", dot ? (int) (dot - table->source) : 0, table->source);
    const struct table_settings *entry = pipeline_table(pipeline, schema, name);
    while (status == ODS_OK && !quality_stops(checking) &&
           (rule = quality_rule_next(pipeline, schema, name, entry, &at))) {
        bool flies = rule->on_fail != ON_FAIL_NONE && rule->check != QUALITY_ROW_COUNT;
        if (!rule->scheduled || flies || (options->rule && strcmp(options->rule, rule->name) != 0))
            continue;
        ++*matched;
        status = check_rule(checking, table, rule, listener, error);
    }
    return status;
}

enum ods_status quality_run_lake(const struct quality_options *options,
                                 const struct quality_listener *listener, size_t *matched,
                                 struct error *error)
{
    struct checking checking = {.options = options};
    struct counted counted = {.options = options};
    *matched = 0;
    if (!*options->pipeline->database)
        return error_set(error, ODS_FATAL,
                         "pipeline %s: rules about tables of a lake are checked against their "
                         "source: name it with `database`",
                         options->pipeline->name);
    enum ods_status status = count(&counted, error);
    for (size_t i = 0; status == ODS_OK && i < counted.count; i++)
        status = check_table(&checking, &counted.items[i], listener, matched, error);
    counted_done(&counted);
    return status;
}
