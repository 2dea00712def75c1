/* ods-sink plan: what would change in the targets' tables if this configuration, or this schema of
 * the source, came into force. The newest records of the topics, a file of records or a schema go
 * through the pipeline's decoder and transforms to the target's own planner, which tries what it
 * decides on empty copies. Nothing is changed, no offset moves, and no member joins the group. */
#include "cli/plan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "cli/json.h"
#include "core/log.h"
#include "pipeline/recording.h"
#include "source/kafka/kafka.h"
#include "source/kafka/kafka_tool.h"

#define NOTES_MAX 20 /* of one pipeline */

struct plan_run {
    const struct call *call;
    const struct plan_options *options;
    struct config *loaded;
    const struct settings *settings;
    struct outlook *outlooks;
    size_t count;
    struct progress progress;
};

/* --- what is heard ---------------------------------------------------------------------------- */

void outlook_note(struct outlook *outlook, const char *format, ...)
{
    char text[ERROR_TEXT_BYTES];
    va_list arguments;
    if (json_array_size(outlook->notes) >= NOTES_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_t *note = cli_json(text), *other;
    size_t i;
    json_array_foreach(outlook->notes, i, other)
    {
        if (json_equal(other, note)) { /* said of an earlier record */
            json_decref(note);
            return;
        }
    }
    json_array_append_new(outlook->notes, note);
}

static json_t *text_or_null(const char *text)
{
    return text && *text ? cli_json(text) : json_null();
}

static json_t *list_of(const char *text)
{
    json_t *list = json_loads(text, 0, NULL);
    return list ? list : json_array();
}

static json_t *cause_of(const struct record *cause)
{
    return cause->offset < 0
               ? json_null()
               : json_pack("{s:o, s:i, s:I}", "topic", cli_json(cause->topic), "partition",
                           (int) cause->partition, "offset", (json_int_t) cause->offset);
}

static void take_statement(void *context, const struct rehearsed *statement)
{
    struct outlook *outlook = context;
    char name[300];
    snprintf(name, sizeof name, "%s.%s", statement->schema, statement->table);
    json_t *object =
        json_pack("{s:I, s:o, s:o, s:b, s:o, s:o, s:b, s:o}", "transaction",
                  (json_int_t) statement->transaction, "table", cli_json(name), "sql",
                  cli_json(statement->sql), "new", statement->is_new, "lock",
                  text_or_null(statement->lock), "also_locks", list_of(statement->also), "rewrites",
                  statement->rewrites, "builds_indexes", list_of(statement->indexes));
    json_object_set_new(object, "bytes",
                        statement->is_new ? json_null() : json_integer(statement->bytes));
    json_object_set_new(object, "rows",
                        statement->is_new || statement->rows < 0 ? json_null()
                                                                 : json_integer(statement->rows));
    json_object_set_new(object, "cause", cause_of(statement->cause));
    json_array_append_new(outlook->statements, object);
}

static json_t *name_of(const struct shape *shape)
{
    char name[600];
    const char *qualifier = *shape->schema ? shape->schema : shape->database;
    snprintf(name, sizeof name, "%s%s%s", qualifier, *qualifier ? "." : "", shape->table);
    return cli_json(name);
}

static void take_refused(void *context, const struct shape *shape, const char *column, bool stops,
                         const char *why)
{
    struct outlook *outlook = context;
    json_array_append_new(outlook->refused,
                          json_pack("{s:o, s:o, s:b, s:o}", "source_table", name_of(shape),
                                    "column", text_or_null(column), "stops", stops, "reason",
                                    cli_json(why)));
}

static void take_notice(void *context, const char *text)
{
    outlook_note(context, "%s", text);
}

static void take_table(void *context, const struct shape *shape, const char *schema,
                       const char *name)
{
    struct outlook *outlook = context;
    char target[300];
    snprintf(target, sizeof target, "%s.%s", schema ? schema : "", name ? name : "");
    json_t *object = json_pack("{s:o, s:o}", "source_table", name_of(shape), "table",
                               name ? cli_json(target) : json_null());
    const json_t *one;
    size_t i;
    json_array_foreach(outlook->tables, i, one)
    {
        if (json_equal(one, object)) {
            json_decref(object);
            return;
        }
    }
    json_array_append_new(outlook->tables, object);
}

static bool hides_any(const struct pipeline_settings *pipeline)
{
    bool any = pipeline->defaults.redact.count;
    for (size_t i = 0; i < pipeline->table_count; i++)
        any |= pipeline->tables[i].redact.count > 0;
    return any;
}

/* A record that can't be read does not say which columns it has, so the reason may quote any
 * value. */
static void note_unreadable(struct outlook *outlook, const struct record *record, const char *why)
{
    if (record->offset < 0)
        outlook_note(outlook, "topic %s: a record of this schema can't be read: %s", record->topic,
                     why);
    else if (hides_any(outlook->pipeline))
        outlook_note(outlook, "topic %s partition %d offset %" PRId64 " can't be read",
                     record->topic, (int) record->partition, record->offset);
    else
        outlook_note(outlook, "topic %s partition %d offset %" PRId64 " can't be read: %s",
                     record->topic, (int) record->partition, record->offset, why);
}

enum ods_status outlook_take(struct outlook *outlook, struct batch *batch, struct error *error)
{
    const struct record *record = &batch->records[0];
    struct error why;
    error_init(&why);
    batch->change_count = 0;
    outlook->records++;
    enum ods_status status = worker_decode(&outlook->worker, batch, 0, &why);
    if (status != ODS_OK) {
        outlook->unreadable++;
        note_unreadable(outlook, record, why.text);
        return ODS_OK;
    }
    outlook->changes += batch->change_count;
    return forecast_batch(outlook->forecast, batch, error);
}

/* --- opening ---------------------------------------------------------------------------------- */

static void alive(void *context)
{
    struct outlook *outlook = context;
    if (interrupt_came() && outlook->forecast)
        forecast_interrupt(outlook->forecast);
}

/* Types come from the schema alone, whatever the pipeline's own records carry. Where these name a
 * registry's it is read as Connect's schema, of which the same columns come. */
static void alter_for_schema(struct outlook *outlook)
{
    const char *format = outlook->pipeline->format;
    outlook->altered = *outlook->pipeline;
    outlook->plain = strcmp(format, "avro") == 0 || strcmp(format, "protobuf") == 0;
    if (outlook->plain || strncmp(format, "debezium-", 9) == 0 || strcmp(format, "auto") == 0)
        outlook->altered.format = "debezium";
    outlook->altered.source.shape = SHAPE_AUTO;
    if (!*outlook->altered.source.schema_topic)
        outlook->altered.source.schema_topic = "the schema change";
    outlook->pipeline = &outlook->altered;
}

static int open_worker(struct outlook *outlook, bool schema, struct error *error)
{
    outlook->origin =
        (struct worker_origin){.settings = outlook->settings, .pipeline = outlook->pipeline};
    if (!schema && worker_open_helper(&outlook->helper, &outlook->origin, error) != ODS_OK)
        return CLI_CONFIG;
    const struct worker_options options = {.pipeline = outlook->pipeline,
                                           .helper = outlook->helper};
    if (worker_open(&outlook->worker, &options, error) != ODS_OK)
        return CLI_CONFIG;
    if (outlook->helper && outlook->helper->ops->read(outlook->helper, error) != ODS_OK)
        return CLI_SOURCE;
    return CLI_OK;
}

static void note_own_schema(struct outlook *outlook)
{
    if (forecast_makes_own_schema(outlook->forecast))
        json_array_append_new(
            outlook->statements,
            json_pack("{s:i, s:s, s:s, s:b, s:n, s:[], s:b, s:[], s:n, s:n, s:n}", "transaction", 0,
                      "table", "the sink's own", "sql",
                      "sql/ods_sink.sql: the sink's own schema, or what this version adds to it",
                      "new", 1, "lock", "also_locks", "rewrites", 0, "builds_indexes", "bytes",
                      "rows", "cause"));
}

static int open_outlook(struct outlook *outlook, bool schema, struct error *error)
{
    struct sink_config config;
    const struct forecast_listener listener = {.statement = take_statement,
                                               .refused = take_refused,
                                               .notice = take_notice,
                                               .table = take_table,
                                               .context = outlook};
    outlook->statements = json_array();
    outlook->refused = json_array();
    outlook->tables = json_array();
    outlook->notes = json_array();
    const struct sink_ops *ops = worker_target(outlook->settings, outlook->pipeline, &config);
    if (strcmp(ops->type, "postgres") != 0) {
        outlook_note(outlook, "target %s has no tables that ods-sink makes or changes",
                     config.name);
        return CLI_OK;
    }
    if (schema)
        alter_for_schema(outlook);
    config.pipeline = outlook->pipeline;
    config.alive = alive;
    config.alive_context = outlook;
    int code = open_worker(outlook, schema, error);
    if (code == CLI_OK && forecast_open(&outlook->forecast, &config, &listener, error) != ODS_OK)
        code = CLI_TARGET;
    if (code == CLI_OK)
        note_own_schema(outlook);
    return code;
}

static int open_all(struct plan_run *plan, struct error *error)
{
    int code = CLI_OK;
    plan->outlooks = calloc(plan->settings->pipeline_count + 1, sizeof *plan->outlooks);
    if (!plan->outlooks) {
        error_out_of_memory(error);
        return CLI_INTERNAL;
    }
    for (size_t i = 0; code == CLI_OK && i < plan->settings->pipeline_count; i++) {
        const struct pipeline_settings *pipeline = &plan->settings->pipelines[i];
        if (plan->options->pipeline && strcmp(plan->options->pipeline, pipeline->name) != 0)
            continue;
        struct outlook *outlook = &plan->outlooks[plan->count++];
        outlook->settings = plan->settings;
        outlook->pipeline = pipeline;
        code = open_outlook(outlook, plan->options->schemas.count, error);
        if (code != CLI_OK)
            error_prefix(error, "pipeline %s: ", pipeline->name);
    }
    if (code == CLI_OK && !plan->count) {
        error_set(error, ODS_FATAL, "there is no pipeline \"%s\"",
                  plan->options->pipeline ? plan->options->pipeline : "");
        return CLI_USAGE;
    }
    return code;
}

static void close_all(struct plan_run *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        struct outlook *outlook = &plan->outlooks[i];
        forecast_close(outlook->forecast);
        worker_close(&outlook->worker);
        worker_close_helper(outlook->helper);
        json_decref(outlook->statements);
        json_decref(outlook->refused);
        json_decref(outlook->tables);
        json_decref(outlook->notes);
    }
    free(plan->outlooks);
}

/* --- records ---------------------------------------------------------------------------------- */

static int code_of(enum ods_status status)
{
    return status == ODS_OK ? CLI_OK : interrupt_came() ? interrupt_code() : CLI_TARGET;
}

static bool wants(const struct outlook *outlook, const char *topic)
{
    assert(outlook->pipeline); /* as of each that open_all() counts */
    const char *schema_topic = outlook->pipeline->source.schema_topic;
    return outlook->forecast && (pipeline_reads(outlook->pipeline, topic) ||
                                 (!outlook->helper && strcmp(schema_topic, topic) == 0));
}

static int read_recording(struct plan_run *plan, struct error *error)
{
    struct recording *recording = NULL;
    struct batch *batch = batch_new();
    enum ods_status status =
        batch ? recording_open(&recording, plan->options->records, error) : ODS_FATAL;
    int code = status == ODS_OK ? CLI_OK : CLI_SOURCE;
    bool end = false;
    if (recording)
        recording_stop_when(recording, interrupt_came);
    while (code == CLI_OK && !end && !interrupt_came()) {
        batch_reset(batch);
        status = recording_read(recording, batch, &end, error);
        if (status == ODS_REJECT) {
            error_prefix(error, "line %" PRIu64 ": ", recording_line(recording));
            code = CLI_NEGATIVE;
        } else if (status != ODS_OK) {
            code = CLI_SOURCE;
        }
        for (size_t i = 0; code == CLI_OK && !end && i < plan->count; i++)
            if (wants(&plan->outlooks[i], batch->records[0].topic))
                code = code_of(outlook_take(&plan->outlooks[i], batch, error));
    }
    batch_free(batch);
    recording_close(recording);
    return code;
}

struct sampling {
    struct plan_run *plan;
    struct outlook *outlook;
    struct kafka_tool *tool;
    struct batch *batch;
    const char *topic;
    enum ods_status status;
    int code;
    struct error *error;
};

static bool take_sampled(void *context, const struct record *record)
{
    struct sampling *sampling = context;
    struct batch *batch = sampling->batch;
    progress_show(&sampling->plan->progress, "reading %s: %" PRIu64 " records", record->topic,
                  sampling->outlook->records);
    batch_reset(batch);
    batch->release = kafka_release;
    batch->headers = kafka_headers;
    struct record *slot = batch_add_record(batch);
    if (!slot) {
        kafka_release(record->owner);
        sampling->status = error_out_of_memory(sampling->error);
        return false;
    }
    *slot = *record;
    slot->topic = sampling->topic;
    sampling->status = outlook_take(sampling->outlook, batch, sampling->error);
    return sampling->status == ODS_OK;
}

/* The newest records of each partition: what came last is what will come next. */
static void sample_topic(void *context, const char *topic, int32_t partitions)
{
    struct sampling *sampling = context;
    int64_t most = sampling->plan->options->sample;
    struct kafka_span *spans = calloc((size_t) partitions + 1, sizeof *spans);
    size_t count = 0;
    if (sampling->code != CLI_OK || !spans) {
        free(spans);
        return;
    }
    sampling->topic = topic;
    for (int32_t i = 0; sampling->code == CLI_OK && i < partitions; i++) {
        int64_t low, high;
        if (kafka_tool_ends(sampling->tool, topic, i, &low, &high, sampling->error) != ODS_OK)
            sampling->code = CLI_SOURCE;
        else if (high > low)
            spans[count++] = (struct kafka_span){
                .partition = i, .from = high - low > most ? high - most : low, .upto = high};
    }
    if (sampling->code == CLI_OK && count &&
        kafka_tool_read_spans(sampling->tool, topic, spans, count, take_sampled, interrupt_came,
                              sampling, sampling->error) != ODS_OK)
        sampling->code = CLI_SOURCE;
    if (sampling->status != ODS_OK)
        sampling->code = code_of(sampling->status);
    batch_reset(sampling->batch); /* its topic's name is gone with this call */
    free(spans);
}

static int sample(struct plan_run *plan, struct outlook *outlook, struct error *error)
{
    struct sampling sampling = {
        .plan = plan, .outlook = outlook, .batch = batch_new(), .error = error};
    if (strcmp(outlook->pipeline->input.type, "kafka") != 0) {
        error_set(error, ODS_FATAL,
                  "pipeline \"%s\" has a source of type %s: give a sample of its records with "
                  "--records, or --pipeline for another one",
                  outlook->pipeline->name, outlook->pipeline->input.type);
        batch_free(sampling.batch);
        return CLI_USAGE;
    }
    if (!sampling.batch ||
        kafka_tool_open_quick(&sampling.tool, plan->settings, outlook->pipeline->group_id, error) !=
            ODS_OK ||
        kafka_tool_topics(sampling.tool, outlook->pipeline, sample_topic, &sampling, error) !=
            ODS_OK)
        sampling.code = CLI_SOURCE;
    progress_done(&plan->progress);
    batch_free(sampling.batch);
    kafka_tool_close(sampling.tool);
    return sampling.code;
}

static int sample_all(struct plan_run *plan, struct error *error)
{
    int code = CLI_OK;
    for (size_t i = 0; code == CLI_OK && i < plan->count && !interrupt_came(); i++)
        if (plan->outlooks[i].forecast)
            code = sample(plan, &plan->outlooks[i], error);
    return code;
}

static int take_schemas(struct plan_run *plan, struct error *error)
{
    struct schema_files files;
    bool any = false;
    int code = schema_files_read(&files, &plan->options->schemas, plan->options->topic, error);
    for (size_t i = 0; code == CLI_OK && i < plan->count; i++)
        if (plan->outlooks[i].forecast)
            code = code_of(
                schema_files_take(&files, &plan->outlooks[i], plan->options->topic, &any, error));
    if (code == CLI_OK && !any) {
        error_set(error, ODS_FATAL,
                  "no pipeline takes the topics of these schemas: say whose they are with --topic");
        code = CLI_USAGE;
    }
    schema_files_done(&files);
    return code;
}

/* --- the report ------------------------------------------------------------------------------- */

/* True: there is something to do, or something would be refused. */
static bool describe(const struct outlook *outlook, json_t *pipelines)
{
    assert(outlook->pipeline);
    size_t count = json_array_size(outlook->statements) + json_array_size(outlook->refused);
    json_array_append_new(
        pipelines,
        json_pack("{s:o, s:o, s:I, s:I, s:I, s:O, s:O, s:O, s:O}", "pipeline",
                  cli_json(outlook->pipeline->name), "target", cli_json(outlook->pipeline->target),
                  "records", (json_int_t) outlook->records, "changes",
                  (json_int_t) outlook->changes, "unreadable", (json_int_t) outlook->unreadable,
                  "tables", outlook->tables, "statements", outlook->statements, "refused",
                  outlook->refused, "notes", outlook->notes));
    return count > 0;
}

static int report(struct plan_run *plan)
{
    json_t *pipelines = json_array();
    bool any = false, seen = false;
    for (size_t i = 0; i < plan->count; i++) {
        struct outlook *outlook = &plan->outlooks[i];
        if (outlook->forecast && !outlook->changes)
            outlook_note(outlook, "no change of a row was seen, so nothing is known of its tables");
        seen |= outlook->changes > 0 || !outlook->forecast;
        any |= describe(outlook, pipelines);
    }
    json_t *root = json_pack("{s:b, s:o}", "something_to_do", any, "pipelines", pipelines);
    if (plan->options->json) {
        cli_print_json(root);
    } else {
        plan_print(plan->call->terminal, root);
        json_decref(root);
    }
    return any ? CLI_NEGATIVE : seen ? CLI_OK : CLI_CANT_TELL;
}

static int run(const struct call *call, void *given)
{
    struct plan_run plan = {.call = call, .options = given};
    struct error error;
    error_init(&error);
    int code = cli_load(&plan.loaded, plan.options->config);
    if (code == CLI_OK) {
        plan.settings = config_settings(plan.loaded);
        log_configure(&plan.settings->log);
        progress_init(&plan.progress, call->terminal);
        interrupt_catch();
        code = open_all(&plan, &error);
        if (code == CLI_OK)
            code = plan.options->records         ? read_recording(&plan, &error)
                   : plan.options->schemas.count ? take_schemas(&plan, &error)
                                                 : sample_all(&plan, &error);
        if (code == CLI_OK && interrupt_came())
            code = interrupt_code();
        if (code == CLI_OK)
            code = report(&plan);
        else
            terminal_line(stderr, "ods-sink plan: %s",
                          interrupt_came() ? "interrupted: nothing was changed" : error.text);
    }
    close_all(&plan);
    config_free(plan.loaded);
    return cli_finish(code);
}

static const struct plan_options defaults = {.sample = 100};

static const struct parameter options[] = {
    OPTION_CONFIG(struct plan_options),
    OPTION(struct plan_options, pipeline, "pipeline", &argument_pipeline,
           "only this pipeline (default: all)"),
    OPTION(struct plan_options, sample, "sample", &argument_number,
           "this many of the newest records of each partition (default: 100)", .min = 1,
           .max = 100000, .either = 1),
    OPTION(struct plan_options, records, "records", &argument_file,
           "a sample of records instead, one a line, as `kcat -C -J` writes them; `-` is standard "
           "input",
           .either = 1),
    OPTION(
        struct plan_options, schemas, "schema", &argument_file,
        "a new schema of the source instead: a schema-change record of Debezium or Maxwell, an "
        "Avro schema or a registry's answer with one, a schema of Kafka Connect; a second one may "
        "be that of the key",
        .flags = PARAMETER_MANY, .either = 1),
    OPTION(struct plan_options, topic, "topic", &argument_topic,
           "whose schema it is (default: as its name or subject tells)"),
    OPTION_JSON(struct plan_options),
    {0}};

static const struct exit_meaning exits[] = {
    {CLI_OK, "There is nothing to do: the tables are as the records need them."},
    {CLI_NEGATIVE,
     "There is something to do, or rows would be refused; or a line of `--records` is "
     "no record."},
    EXIT_IS_CONFIG,
    {CLI_SOURCE, "Kafka failed, or a file can't be read."},
    EXIT_IS_TARGET,
    {CLI_CANT_TELL, "No change of a row was seen, so there is no telling."},
    EXIT_IS_INTERRUPTED,
    {0}};

static const struct example examples[] = {
    {"ods-sink plan -c new/ods-sink.conf", "Before a new configuration comes into force."},
    {"ods-sink plan -c ods-sink.conf --schema change.json",
     "What a schema-change record would do to the tables."},
    {"curl -s http://registry:8081/subjects/shop.shop.items-value/versions/latest | ods-sink plan "
     "-c "
     "ods-sink.conf --schema -",
     "The same of a registry's schema."},
    {0}};

const struct command cli_plan = {
    .name = "plan",
    .summary = "say what would change in the target's tables, and how",
    .description =
        "Sends records through a pipeline up to the target's planner, which decides as it does in "
        "`run` about tables, columns, types and keys, and prints its statements in their order: "
        "the "
        "lock that each holds on its table, whether PostgreSQL rewrites the table and how large "
        "that is, which indexes it builds, and what causes it. Also printed is what would be "
        "refused, with the reason, and what would stop the pipeline.\n\n"
        "Nothing is changed. The statements run on empty copies, temporary tables of the session "
        "that have the same columns, constraints and indexes, so that PostgreSQL itself tells its "
        "locks and rewrites; the target's user needs the right TEMPORARY on the database. Views, "
        "foreign keys, rights and, for a new key, the rows are looked up in the real tables. Event "
        "triggers of the target are not asked. The configuration need not be the one in force: "
        "name the new file with `-c`.\n\n"
        "Without `--records` or `--schema` the newest records of the topics are read, without "
        "joining a consumer group. A schema-change record is read as the setting "
        "`source.schema_topic` reads it, so it is one of MySQL or MariaDB.",
    .options = {{.options = options}},
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct plan_options),
    .defaults = &defaults,
    .run = run,
};
