/* The run over pipelines and their tables, and what comes of each. See verify.h. */
#include "verify/verify.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <ods/transform.h>

#include "core/time.h"
#include "sink/postgres/tables/settings.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/offsets_read.h"
#include "verify/candidates.h"
#include "verify/cutoff.h"
#include "verify/inspection.h"
#include "verify/lake.h"

const char *verify_kind_name(enum verify_kind kind)
{
    static const char *const names[] = {"missing", "extra", "changed"};
    return names[kind];
}

const char *verify_verdict_name(enum verify_verdict verdict)
{
    static const char *const names[] = {"equal", "differs", "can't tell", "not compared"};
    return names[verdict];
}

static void notice(const struct run *run, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void notice(const struct run *run, const char *format, ...)
{
    char text[700];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    run->listener->notice(run->listener->context, text);
}

/* --- one table ------------------------------------------------------------------------------ */

static void decide(struct inspection *inspection)
{
    struct verify_table *result = &inspection->result;
    int64_t found = result->missing + result->extra + result->changed;
    if (found > result->repaired + result->deleted)
        result->verdict = VERIFY_DIFFERS;
    else if (result->unsettled || inspection_stops(inspection))
        result->verdict = VERIFY_UNSETTLED;
    else
        result->verdict = VERIFY_EQUAL;
    if (inspection_stops(inspection) && !*result->why)
        snprintf(result->why, sizeof result->why, "interrupted");
}

/* Counts the source's rows as missing, as the target has no table for them. */
static enum ods_status all_missing(struct run *run, struct inspection *inspection,
                                   struct error *error)
{
    struct verify_table *result = &inspection->result;
    struct source_place place;
    struct buffer sql;
    bool passed = false;
    buffer_init(&sql);
    buffer_printf(&sql, "select count(*) from %s", inspection->source_table.quoted);
    result->method = "counts";
    enum ods_status status =
        database_number(run->database, buffer_text(&sql), &result->source_rows, error);
    if (status == ODS_OK && result->source_rows)
        status = run->database->ops->place(run->database, &place, error);
    if (status == ODS_OK && result->source_rows)
        status = arrival_wait(&run->arrival, run->database, &inspection->source_table, &place,
                              run->options->wait_ms, &passed, error);
    buffer_done(&sql);
    if (status != ODS_OK)
        return status;
    *(passed ? &result->missing : &result->unsettled) = result->source_rows;
    snprintf(result->notes, sizeof result->notes, "the target has no such table");
    if (!passed)
        snprintf(result->why, sizeof result->why, "%s", run->arrival.why);
    return ODS_OK;
}

static enum ods_status scan(struct inspection *inspection, struct error *error)
{
    const struct verify_options *options = inspection->options;
    const struct source_table *source = &inspection->source_table;
    if (options->mode == VERIFY_COUNTS &&
        transform_chooses(inspection->pipeline,
                          *source->schema ? source->schema : source->database, source->name))
        return error_set(error, ODS_REJECT,
                         "a transform chooses which of its rows the target has, which --counts "
                         "can't tell: leave --counts out");
    if (options->mode == VERIFY_COUNTS)
        return scan_counts(inspection, error);
    if (!inspection->comparison.keys)
        return options->since_us == INT64_MIN
                   ? scan_keyless(inspection, error)
                   : error_set(error, ODS_REJECT, "--since needs a key");
    if (inspection->comparison.ranges && options->mode == VERIFY_FULL &&
        options->since_us == INT64_MIN)
        return scan_ranges(inspection, error);
    return scan_keys(inspection, error);
}

/* Can the table's rows be asked for again? This is found out before they are compared. */
static enum ods_status open_channel(struct run *run, struct inspection *inspection,
                                    struct error *error)
{
    const struct verify_channel *channel = run->options->channel;
    const struct source_table *source = &inspection->source_table;
    if (!channel)
        return ODS_OK;
    if (!source->key_count) {
        snprintf(inspection->result.notes, sizeof inspection->result.notes,
                 "rows of a table without a key can't be asked for one by one: ods-sink resync "
                 "makes it anew");
        return ODS_OK;
    }
    run->channel_code = channel->open(channel->context, run->pipeline,
                                      *source->schema ? source->schema : source->database,
                                      source->name, error);
    inspection->channel = channel;
    return run->channel_code == CLI_OK ? ODS_OK : ODS_FATAL;
}

static enum ods_status compare(struct run *run, struct inspection *inspection, bool shared,
                               struct error *error)
{
    struct verify_table *result = &inspection->result;
    struct comparison *comparison = &inspection->comparison;
    if (shared && comparison->extras) {
        comparison->extras = false;
        snprintf(result->notes, sizeof result->notes,
                 "rows that only the target has are not looked for: several tables share it");
    } else if (!comparison->extras) {
        snprintf(result->notes, sizeof result->notes,
                 "rows that only the target has are not looked for: deletes are not applied");
    }
    if (*comparison->notes)
        snprintf(result->notes, sizeof result->notes, "%s", comparison->notes);
    enum ods_status status = source_rows_open(&inspection->rows, comparison, run->database,
                                              &run->target.conn, true, error);
    if (status == ODS_OK)
        status = open_channel(run, inspection, error);
    if (status == ODS_OK)
        status = scan(inspection, error);
    return status == ODS_OK ? repair(inspection, error) : status;
}

/* Finds a topic of the table, for names that contain ${topic}. */
static enum ods_status find_topic(struct run *run, const struct source_table *table, char *topic,
                                  size_t size, struct error *error)
{
    const char *group[] = {run->pipeline->group_id};
    PGresult *rows = NULL;
    char end[600];
    bool present;
    *topic = '\0';
    snprintf(end, sizeof end, ".%.250s.%.250s", *table->schema ? table->schema : table->database,
             table->name);
    enum ods_status status = own_schema_is_there(&run->target.conn, &present, error);
    if (status == ODS_OK && present)
        status = own_query(&run->target.conn, sql_offsets_read, 1, group, &rows, error);
    for (int i = 0; status == ODS_OK && rows && i < PQntuples(rows); i++) {
        const char *name = PQgetvalue(rows, i, 0);
        size_t length = strlen(name), tail = strlen(end);
        if (length > tail && strcmp(name + length - tail, end) == 0)
            snprintf(topic, size, "%s", name);
    }
    PQclear(rows);
    return status;
}

static enum ods_status inspect(struct run *run, struct inspection *inspection, bool shared,
                               const char *routed, struct error *error)
{
    struct verify_table *result = &inspection->result;
    char topic[256], target[300] = "";
    enum ods_status status =
        find_topic(run, &inspection->source_table, topic, sizeof topic, error);
    writers_init(&inspection->writers, topic);
    if (status == ODS_OK)
        status = held_read(&run->arrival.held, &run->target.conn, run->pipeline->group_id, error);
    if (status == ODS_OK)
        status = comparison_open(&inspection->comparison, run->pipeline, run->database,
                                 &inspection->source_table, topic, routed, &run->plans, error);
    bool absent = status == ODS_REJECT && strstr(error->text, "the target has no table");
    if (status == ODS_OK)
        snprintf(target, sizeof target, "%.140s.%.140s", inspection->comparison.plan->schema,
                 inspection->comparison.plan->name);
    result->target = target;
    inspection->began_us = time_monotonic_us();
    pace_begin(&run->pace);
    run->listener->begins(run->listener->context, result);
    if (held_table(&run->arrival.held, inspection->source_table.database,
                   inspection->source_table.schema, inspection->source_table.name, result->why,
                   sizeof result->why)) {
        status = error_set(error, ODS_REJECT, "%s", result->why);
    } else if (absent) {
        error_init(error);
        status = all_missing(run, inspection, error);
    } else if (status == ODS_OK) {
        status = compare(run, inspection, shared, error);
    }
    result->seconds += (double) (time_monotonic_us() - inspection->began_us) / 1e6;
    if (status == ODS_REJECT) { /* this table can't be compared, others can */
        result->verdict = VERIFY_SKIPPED;
        snprintf(result->why, sizeof result->why, "%.500s", error->text);
        error_init(error);
        status = ODS_OK;
    } else if (status == ODS_OK ||
               (inspection_stops(inspection) && run->channel_code == CLI_OK)) {
        decide(inspection);
        status = ODS_OK;
        error_init(error);
    }
    if (status == ODS_OK && !inspection_stops(inspection))
        status = state_finish(&run->state, result, error);
    if (status == ODS_OK) {
        run->verdicts[result->verdict]++;
        run->listener->ends(run->listener->context, result);
    }
    result->target = "";
    return status;
}

static void inspection_done(struct inspection *inspection)
{
    source_rows_close(&inspection->rows);
    writers_done(&inspection->writers);
    comparison_close(&inspection->comparison);
    source_table_done(&inspection->source_table);
    for (size_t i = 0; i < inspection->suspect_count; i++)
        free(inspection->suspects[i].key);
    free(inspection->suspects);
    repair_forget(inspection);
    free(inspection->mends);
}

static struct inspection begin_inspection(struct run *run, const char *name)
{
    return (struct inspection){.options = run->options,
                               .listener = run->listener,
                               .pipeline = run->pipeline,
                               .database_settings = run->database_settings,
                               .target_settings = run->target_settings,
                               .database = run->database,
                               .target = &run->target,
                               .arrival = &run->arrival,
                               .pace = &run->pace,
                               .state = &run->state,
                               .channel_code = &run->channel_code,
                               .result = {.pipeline = run->pipeline->name,
                                          .source = name,
                                          .target = "",
                                          .method = ""}};
}

/* Tells the result of an earlier run, if that one has finished the table. */
static bool is_done(struct run *run, struct inspection *inspection)
{
    struct verify_table *result = &inspection->result;
    if (!state_done(&run->state, run->pipeline->name, result->source, result))
        return false;
    run->verdicts[result->verdict]++;
    result->method = "an earlier run";
    run->listener->ends(run->listener->context, result);
    return true;
}

/* The name by which transforms send rows of one table to another. */
static void name_route(const struct candidate *from, const struct candidate *to, char name[600])
{
    bool same = strcmp(from->schema, to->schema) == 0;
    snprintf(name, 600, "%.290s%s%.290s", same ? "" : to->schema, same ? "" : ".", to->name);
}

/* Compares the rows of the one table that transforms send to the other. */
static enum ods_status one_route(struct run *run, const struct candidate *from,
                                 const struct candidate *to, bool shared, struct error *error)
{
    char name[1300], routed[600];
    bool found = false;
    name_route(from, to, routed);
    snprintf(name, sizeof name, "%.290s.%.290s to %s", from->schema, from->name, routed);
    struct inspection inspection = begin_inspection(run, name);
    if (is_done(run, &inspection))
        return ODS_OK;
    enum ods_status status = run->database->ops->describe(
        run->database, from->schema, from->name, &inspection.source_table, &found, error);
    if (status == ODS_OK && found)
        status = inspect(run, &inspection, shared, routed, error);
    inspection_done(&inspection);
    return status;
}

/* Do transforms send rows of the one to the other? */
static enum ods_status look_whether_it_leads(struct run *run, const struct candidate *from,
                             const struct candidate *to, bool *leads, struct error *error)
{
    struct source_table table = {0};
    char routed[600];
    bool found = false;
    *leads = false;
    name_route(from, to, routed);
    enum ods_status status = run->database->ops->describe(run->database, from->schema, from->name,
                                                          &table, &found, error);
    if (status == ODS_OK && found)
        status = comparison_leads(run->pipeline, run->database, &table, "", routed, leads, error);
    source_table_done(&table);
    return status;
}

/* The source has no such table: rows of others may be sent to it. */
static enum ods_status routes_to(struct run *run, const struct candidate *to, size_t *count,
                                 struct error *error)
{
    struct candidates sources = {0};
    bool *lead = NULL;
    enum ods_status status = candidates_list_sources(run, &sources, error);
    *count = 0;
    if (status == ODS_OK && !(lead = calloc(sources.count + 1, sizeof *lead)))
        status = error_out_of_memory(error);
    for (size_t i = 0; status == ODS_OK && i < sources.count; i++) {
        status = look_whether_it_leads(run, &sources.items[i], to, &lead[i], error);
        *count += lead[i];
    }
    for (size_t i = 0; status == ODS_OK && i < sources.count; i++)
        if (lead[i])
            status = one_route(run, &sources.items[i], to, *count > 1, error);
    free(lead);
    candidates_done(&sources);
    return status;
}

static void pass_over(struct run *run, struct inspection *inspection, const char *maker)
{
    struct verify_table *result = &inspection->result;
    result->verdict = VERIFY_SKIPPED;
    if (maker)
        snprintf(result->why, sizeof result->why,
                 "database %s has no such table: its rows are made of other tables' by the "
                 "transform `%s`, which verify does not follow",
                 run->database_settings->name, maker);
    else
        snprintf(result->why, sizeof result->why,
                 "database %s has no such table, or its user may not read it",
                 run->database_settings->name);
    run->verdicts[VERIFY_SKIPPED]++;
    run->listener->ends(run->listener->context, result);
}

static enum ods_status one_table(struct run *run, const struct candidate *candidate,
                                 struct error *error)
{
    char name[600];
    bool found;
    size_t routes = 0;
    snprintf(name, sizeof name, "%.290s.%.290s", candidate->schema, candidate->name);
    struct inspection inspection = begin_inspection(run, name);
    if (is_done(run, &inspection))
        return ODS_OK;
    enum ods_status status =
        run->database->ops->describe(run->database, candidate->schema, candidate->name,
                                     &inspection.source_table, &found, error);
    if (status == ODS_OK && found) {
        status = inspect(run, &inspection, candidate->shared, NULL, error);
        inspection_done(&inspection);
        return status;
    }
    inspection_done(&inspection);
    if (status == ODS_OK && candidate->known)
        status = routes_to(run, candidate, &routes, error);
    const char *maker = transform_makes(run->pipeline, candidate->name);
    bool made = maker && strcmp(maker, "explode") == 0;
    if (status == ODS_OK && !routes &&
        (made || candidate->asked || run->options->settings->pipeline_count == 1))
        pass_over(run, &inspection, maker);
    return status;
}

/* --- one pipeline --------------------------------------------------------------------------- */

static enum ods_status open_sides(struct run *run, struct error *error)
{
    const struct postgres_settings *settings = run->target_settings->own;
    enum ods_status status =
        target_open(&run->target, run->target_settings->name, &settings->session, error);
    run->target.conn.hides = run->pipeline;
    run->sink_config = (struct sink_config){.name = run->target_settings->name,
                                            .settings = settings,
                                            .pipeline = run->pipeline,
                                            .group = run->pipeline->group_id};
    plans_init(&run->plans, &run->sink_config, &settings->making, &run->catalog, &run->target.conn);
    arrival_init(&run->arrival, run->options, run->pipeline, &run->target);
    pace_init(&run->pace, run->database_settings);
    run->tickets[0] = run->tickets[1] = -1;
    if (status == ODS_OK)
        run->tickets[0] = cutoff_add(run->options->cutoff, PQsocket(run->target.conn.pg));
    if (status != ODS_OK || !run->database_settings)
        return status;
    run->database = database_new(run->database_settings);
    status = run->database ? run->database->ops->open(run->database, error)
                           : error_out_of_memory(error);
    if (status == ODS_OK)
        run->tickets[1] =
            cutoff_add(run->options->cutoff, run->database->ops->socket(run->database));
    return status;
}

static void close_sides(struct run *run)
{
    cutoff_drop(run->options->cutoff, run->tickets[0]);
    cutoff_drop(run->options->cutoff, run->tickets[1]);
    plans_clear(&run->plans);
    catalog_done(&run->catalog);
    run->catalog = (struct catalog){0};
    arrival_done(&run->arrival);
    target_close(&run->target);
    database_free(run->database);
    run->database = NULL;
    candidates_done(&run->candidates);
}

static enum ods_status without_source(struct run *run, struct error *error)
{
    char name[300];
    snprintf(name, sizeof name, "(%.200s)", run->pipeline->name);
    struct inspection inspection = {.options = run->options,
                                    .listener = run->listener,
                                    .pipeline = run->pipeline,
                                    .target_settings = run->target_settings,
                                    .target = &run->target,
                                    .arrival = &run->arrival,
                                    .state = &run->state,
                                    .result = {.pipeline = run->pipeline->name,
                                               .source = name,
                                               .target = "",
                                               .method = "the target alone"}};
    enum ods_status status = verify_alone(&inspection, error);
    for (size_t i = 0; i < run->options->table_count; i++)
        run->named[i] = true; /* whether the source has such a table can't be told */
    if (status == ODS_OK) {
        run->verdicts[inspection.result.verdict]++;
        run->listener->ends(run->listener->context, &inspection.result);
    }
    return status;
}

static enum ods_status one_pipeline(struct run *run, struct error *error)
{
    const struct settings *settings = run->options->settings;
    run->target_settings = settings_target(settings, run->pipeline->target);
    run->database_settings = settings_database(settings, run->pipeline->database);
    if (verify_is_lake(run->target_settings->type) && run->database_settings)
        return verify_lake(run, error);
    if (strcmp(run->target_settings->type, "postgres") != 0) {
        notice(run, "pipeline %s: a target of type %s can't be compared", run->pipeline->name,
               run->target_settings->type);
        run->verdicts[VERIFY_SKIPPED]++;
        return ODS_OK;
    }
    enum ods_status status = open_sides(run, error);
    if (status == ODS_OK && !run->database_settings) {
        status = without_source(run, error);
    } else {
        if (status == ODS_OK)
            status = candidates_list_known(run, error);
        if (status == ODS_OK)
            status = candidates_list_named(run, error);
        if (status == ODS_OK && !run->candidates.count)
            notice(run, "pipeline %s: the target has no table of it yet", run->pipeline->name);
        const struct candidates *all = &run->candidates;
        for (size_t i = 0; status == ODS_OK && i < all->count && !verify_stops(run->options); i++)
            status = one_table(run, &all->items[i], error);
    }
    close_sides(run);
    return status;
}

/* The exit code, by the system that the error names. */
static enum cli_exit exit_of(const struct error *error, enum ods_status status)
{
    if (strncmp(error->text, "target ", 7) == 0)
        return CLI_TARGET;
    if (strncmp(error->text, "database ", 9) == 0 || strncmp(error->text, "Kafka ", 6) == 0)
        return CLI_SOURCE;
    return status == ODS_REJECT ? CLI_CANT_TELL : CLI_INTERNAL;
}

static enum cli_exit all_pipelines(struct run *run, struct error *error)
{
    const struct verify_options *options = run->options;
    size_t compared = 0;
    for (size_t i = 0; i < options->settings->pipeline_count; i++) {
        run->pipeline = &options->settings->pipelines[i];
        if ((options->database && strcmp(options->database, run->pipeline->database) != 0) ||
            (options->pipeline && strcmp(options->pipeline, run->pipeline->name) != 0))
            continue;
        compared++;
        enum ods_status status = one_pipeline(run, error);
        if (run->channel_code != CLI_OK)
            return run->channel_code;
        if (status != ODS_OK)
            return exit_of(error, status);
    }
    if (!compared) {
        error_set(error, ODS_FATAL, "no pipeline %s%s",
                  options->pipeline ? "is named " : "has the database ",
                  options->pipeline ? options->pipeline : options->database);
        return CLI_USAGE;
    }
    for (size_t i = 0; i < options->table_count; i++)
        if (!run->named[i] && !strchr(options->tables[i], '.')) {
            error_set(error, ODS_FATAL, "no pipeline has a table %s", options->tables[i]);
            return CLI_USAGE;
        }
    if (run->verdicts[VERIFY_DIFFERS])
        return CLI_NEGATIVE;
    return run->verdicts[VERIFY_UNSETTLED] || run->verdicts[VERIFY_SKIPPED] ||
                   verify_stops(options)
               ? CLI_CANT_TELL
               : CLI_OK;
}

enum cli_exit verify_run(const struct verify_options *options,
                         const struct verify_listener *listener, struct error *error)
{
    struct run run = {.options = options, .listener = listener};
    run.named = calloc(options->table_count + 1, sizeof *run.named);
    enum ods_status status = run.named ? state_open(&run.state, options, error)
                                       : error_out_of_memory(error);
    enum cli_exit code =
        status == ODS_OK ? all_pipelines(&run, error)
        : status == ODS_FATAL ? CLI_USAGE : CLI_INTERNAL;
    bool done = code == CLI_OK || code == CLI_NEGATIVE ||
                (code == CLI_CANT_TELL && !verify_stops(options));
    state_close(&run.state, done);
    free(run.named);
    return code;
}
