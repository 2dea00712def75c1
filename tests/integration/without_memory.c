/* Each allocation fails once, one after the other: what then comes out must be an error that can be
 * tried again, and in the end the same as if none had failed.
 *
 *   without_memory config FILE           loads a configuration
 *   without_memory decode RECORDS STRIDE FORMAT
 *                                        reads, decodes and prints records
 *   without_memory apply CONF RECORDS SETUP STRIDE BATCH
 *                                        applies them to the first target, BATCH records at once;
 *                                        its schemas public and ods_sink are made anew each time,
 * by the SQL in SETUP
 *
 * STRIDE: only every so manieth allocation.
 * Prints how many allocations failed; exits 1 at the first that did harm. Built with the address
 * sanitizer it also sees what is lost or touched after it was freed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libpq-fe.h>

#include <ods/format.h>
#include <ods/sink.h>
#include "sink/postgres/tables/settings.h"

#include "config/config.h"
#include "core/text.h"
#include "failing_memory.h"
#include "pipeline/intake.h"
#include "pipeline/recording.h"

#define BATCHES_MAX   16
#define ATTEMPTS      5

/* What a run has come to; equal to that of a run with enough memory. */
struct outcome {
    uint64_t digest;
    uint32_t records, changes, rejects;
    bool cut_short; /* the reader of a file can't try a line again */
};

static unsigned long current;            /* the allocation that fails in this run */
static const struct format_ops *format; /* of the records that are decoded alone */

static void fail(const char *what, const struct error *error)
{
    fprintf(stderr, "allocation %lu: %s%s%s\n", current, what, error ? ": " : "",
            error ? error->text : "");
    exit(1);
}

/* Only what failed for want of memory may fail, and it has to say so. */
static void expect_memory(enum ods_status status, const struct error *error)
{
    if (!memory_has_failed())
        fail("fails though nothing has", error);
    if (status == ODS_REJECT || status == ODS_FENCED)
        fail("is taken for the record's fault", error);
    if (!error->text[0])
        fail("fails without a word", NULL);
}

static uint64_t add(uint64_t digest, const void *bytes, size_t length)
{
    const unsigned char *at = bytes;
    for (size_t i = 0; i < length; i++)
        digest = (digest ^ at[i]) * UINT64_C(1099511628211);
    return digest;
}

/* --- configuration --- */

static bool load(const char *path, struct outcome *outcome)
{
    struct config *config = NULL;
    enum ods_status status = config_load(&config, path);
    size_t count = 0;
    config_findings(config, &count);
    if (status == ODS_OK)
        outcome->changes = (uint32_t) config_settings(config)->pipeline_count + 1;
    else if (!memory_has_failed())
        fail("the configuration does not load", NULL);
    else if (!count && config)
        fail("the configuration fails without a finding", NULL);
    config_free(config);
    return status == ODS_OK;
}

/* --- decoding --- */

static void digest_values(struct outcome *outcome, const struct shape *shape,
                          const struct value *values)
{
    struct buffer text;
    buffer_init(&text);
    for (uint32_t i = 0; values && i < shape->column_count; i++) {
        const struct value *value = &values[i];
        struct error error;
        enum ods_status status = ODS_OK;
        outcome->digest = add(outcome->digest, &value->kind, sizeof value->kind);
        for (int attempt = 0; value->kind > VALUE_NULL && attempt < 2; attempt++) {
            error_init(&error);
            buffer_reset(&text);
            status = text_value(&text, &shape->columns[i], value, &error);
            if (!text.failed && (status == ODS_OK || status == ODS_REJECT))
                break;
            if (!text.failed)
                expect_memory(status, &error);
        }
        outcome->digest = add(outcome->digest, &status, sizeof status);
        if (status == ODS_OK)
            outcome->digest = add(outcome->digest, text.bytes, text.length);
    }
    buffer_done(&text);
}

static void digest_batch(struct outcome *outcome, const struct batch *batch)
{
    for (uint32_t i = 0; i < batch->change_count; i++) {
        const struct change *change = &batch->changes[i];
        outcome->digest = add(outcome->digest, change->shape->table, strlen(change->shape->table));
        outcome->digest = add(outcome->digest, &change->op, sizeof change->op);
        digest_values(outcome, change->shape, change->before);
        digest_values(outcome, change->shape, change->after);
    }
    outcome->changes += batch->change_count;
    outcome->rejects += batch->reject_count;
    outcome->records += batch->record_count;
}

/* Into the batch, tried again as often as memory is out. */
static void take(struct batch *batch, struct worker *worker, const struct record *record)
{
    struct error error;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        error_init(&error);
        enum ods_status status = intake_add(batch, worker, record, OFFSET_NONE, &error);
        if (status == ODS_OK)
            return;
        expect_memory(status, &error);
        if (status != ODS_RETRY)
            fail("stops the lane for want of memory", &error);
    }
    fail("decoding does not recover", &error);
}

static bool decode(const char *path, struct outcome *outcome)
{
    const struct worker_options options = {.format = format->name, .want_before = true};
    struct worker worker = {0};
    struct recording *source = NULL;
    struct batch *line = batch_new(), *batch = batch_new();
    struct error error;
    bool end = false;
    error_init(&error);
    enum ods_status status = line && batch ? ODS_OK : error_out_of_memory(&error);
    if (status == ODS_OK)
        status = recording_open(&source, path, &error);
    if (status == ODS_OK)
        status = worker_open(&worker, &options, &error);
    while (status == ODS_OK && !end) {
        status = recording_read(source, line, &end, &error);
        if (status == ODS_REJECT) { /* a line that is no record, as often as with memory */
            outcome->rejects++;
            batch_reset(line);
            status = ODS_OK;
            continue;
        }
        if (status != ODS_OK || end)
            break;
        take(batch, &worker, &line->records[0]);
        digest_batch(outcome, batch);
        batch_reset(batch);
        batch_reset(line);
    }
    if (status != ODS_OK) {
        expect_memory(status, &error);
        outcome->cut_short = true;
    }
    worker_close(&worker);
    batch_free(batch);
    batch_free(line);
    recording_close(source);
    return true;
}

/* --- applying --- */

struct work {
    const struct settings *settings;
    const struct pipeline_settings *pipeline;
    const struct target_settings *target;
    PGconn *pg; /* looks at the target, and makes it anew */
    char setup[16384];
    const char *records;
    uint32_t batch_records;
};

static void query(PGconn *pg, const char *sql, char *answer, size_t room)
{
    PGresult *result = PQexec(pg, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
        fprintf(stderr, "%s: %s", sql, PQerrorMessage(pg));
        exit(2);
    }
    if (answer)
        snprintf(answer, room, "%s", PQgetvalue(result, 0, 0));
    PQclear(result);
}

static enum ods_status before_commit(void *context, struct batch *batch, struct error *error)
{
    for (uint32_t i = 0; i < batch->reject_count; i++)
        batch->rejects[i].delivered = true;
    return ODS_OK;
}

static enum ods_status open_sink(const struct work *work, struct sink **sink, struct error *error)
{
    const struct sink_config config = {.name = work->target->name,
                                       .settings = work->target->own,
                                       .pipeline = work->pipeline,
                                       .group = work->pipeline->group_id};
    const struct sink_ops *ops = sink_find(work->target->type);
    enum ods_status status = *sink ? ODS_OK : ops->open(sink, &config, error);
    return status == ODS_OK ? (*sink)->ops->connect(*sink, error) : status;
}

/* One batch, as a lane does it: again after want of memory; what stops a lane is started anew. */
static void apply(const struct work *work, struct sink **sink, struct batch *batch)
{
    const struct apply_hooks hooks = {.before_commit = before_commit};
    struct apply_result result;
    struct error error;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        result = (struct apply_result){0};
        error_init(&error);
        enum ods_status status = open_sink(work, sink, &error);
        if (status == ODS_OK)
            status = (*sink)->ops->apply(*sink, batch, &hooks, &result, &error);
        if (status == ODS_OK)
            return;
        expect_memory(status, &error);
        if (status == ODS_FATAL && *sink) {
            (*sink)->ops->close(*sink);
            *sink = NULL;
        }
    }
    fail("applying does not recover", &error);
}

static size_t fill(const struct work *work, struct worker *worker, struct recording *source,
                   struct batch *lines, struct batch **batches)
{
    struct error error;
    bool end = false;
    size_t count = 0;
    while (!end && count < BATCHES_MAX) {
        struct batch *batch = batches[count++] = batch_new();
        while (batch->record_count < work->batch_records) {
            uint32_t at = lines->record_count;
            if (recording_read(source, lines, &end, &error) != ODS_OK)
                fail("a line is no record", &error);
            if (end)
                break;
            const struct record *record = &lines->records[at];
            enum ods_status status = intake_add(batch, worker, record,
                                                record->offset ? record->offset : OFFSET_NONE,
                                                &error);
            if (status != ODS_OK)
                fail("a record can't be taken", &error);
        }
    }
    return count;
}

static bool apply_all(struct work *work, struct outcome *outcome)
{
    struct batch *batches[BATCHES_MAX], *lines;
    const struct worker_options options = {.pipeline = work->pipeline};
    struct worker worker;
    struct recording *source = NULL;
    struct sink *sink = NULL;
    struct error error;
    char state[64];
    unsigned long n = current;
    memory_fail_at(0);
    lines = batch_new();
    query(work->pg, work->setup, NULL, 0);
    if (recording_open(&source, work->records, &error) != ODS_OK ||
        worker_open(&worker, &options, &error) != ODS_OK)
        fail("no records", &error);
    size_t count = fill(work, &worker, source, lines, batches);
    memory_fail_at(n);
    for (size_t i = 0; i < count; i++) {
        apply(work, &sink, batches[i]);
        outcome->rejects += batches[i]->reject_count;
        outcome->records += batches[i]->record_count;
        batch_free(batches[i]);
    }
    sink->ops->close(sink);
    worker_close(&worker);
    batch_free(lines);
    recording_close(source);
    query(work->pg,
          "select md5(string_agg(table_name || query_to_xml(format('select * from %I t order by "
          "t::text', table_name), true, false, '')::text, '' order by table_name) || (select "
          "string_agg(sql, ';' order by id) from ods_sink.schema_history) || (select "
          "string_agg(topic || next_offset, ';' order by topic) from ods_sink.offsets)) "
          "from information_schema.tables where table_schema = 'public'",
          state, sizeof state);
    outcome->digest = add(outcome->digest, state, strlen(state));
    return true;
}

static bool apply_step(const char *context, struct outcome *outcome)
{
    return apply_all((struct work *) (uintptr_t) context, outcome);
}

static void prepare(struct work *work, const struct config *config, const char *records,
                    const char *setup)
{
    struct buffer sql;
    FILE *file = fopen(setup, "re");
    buffer_init(&sql);
    buffer_puts(&sql, "set client_min_messages = warning; drop schema if exists public cascade; "
                      "create schema public; drop schema if exists ods_sink cascade;");
    char *to = buffer_take(&sql, sizeof work->setup / 2);
    size_t length = file ? fread(to, 1, sizeof work->setup / 2 - 1, file) : 0;
    if (!length) {
        fprintf(stderr, "%s: can't be read\n", setup);
        exit(2);
    }
    fclose(file);
    memset(to + length, 0, sizeof work->setup / 2 - length);
    snprintf(work->setup, sizeof work->setup, "%s", sql.bytes);
    buffer_done(&sql);
    work->settings = config_settings(config);
    work->pipeline = &work->settings->pipelines[0];
    work->target = settings_target(work->settings, work->pipeline->target);
    work->records = records;
    work->pg = PQconnectdb(((const struct postgres_settings *) work->target->own)->session.dsn);
    if (PQstatus(work->pg) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(work->pg));
        exit(2);
    }
}

/* --- all --- */

static int run(bool (*step)(const char *context, struct outcome *outcome), const char *context,
               unsigned long stride)
{
    struct outcome expected = {0};
    unsigned long count = 0;
    current = 0;
    memory_fail_at(0);
    step(context, &expected);
    for (current = 1;; current += stride) {
        struct outcome outcome = {0};
        memory_fail_at(current);
        bool whole = step(context, &outcome) && !outcome.cut_short;
        if (!memory_has_failed())
            break;
        count++;
        if (whole && (outcome.digest != expected.digest || outcome.changes != expected.changes ||
                      outcome.rejects != expected.rejects || outcome.records != expected.records))
            fail("the outcome is another one", NULL);
    }
    printf("%lu allocations failed, %" PRIu32 " records, %" PRIu32 " changes, %" PRIu32
           " rejects\n",
           count, expected.records, expected.changes, expected.rejects);
    return count ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "config") == 0)
        return run(load, argv[2], 1);
    if (argc == 5 && strcmp(argv[1], "decode") == 0 && (format = format_find(argv[4])))
        return run(decode, argv[2], strtoul(argv[3], NULL, 10));
    if (argc != 7 || strcmp(argv[1], "apply") != 0) {
        fprintf(stderr, "usage: without_memory config FILE | decode RECORDS STRIDE FORMAT | "
                        "apply CONF RECORDS SETUP STRIDE BATCH\n");
        return 2;
    }
    struct config *config = NULL;
    struct work work;
    if (config_load(&config, argv[2]) != ODS_OK) {
        fprintf(stderr, "%s does not load\n", argv[2]);
        return 2;
    }
    prepare(&work, config, argv[3], argv[4]);
    work.batch_records = (uint32_t) strtoul(argv[6], NULL, 10);
    int code = run(apply_step, (const char *) &work, strtoul(argv[5], NULL, 10));
    PQfinish(work.pg);
    config_free(config);
    return code;
}
