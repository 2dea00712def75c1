/* Rules that ask the source or Kafka too. See room.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quality/room.h"
#include "sink/postgres/wire/own_schema.h"
#include "source/kafka/kafka_tool.h"
#include "sql/postgres/quality_offset.h"
#include "sql/postgres/quality_topics.h"
#include "verify/verify.h"

#define WAIT_MS 60000 /* for a pipeline that is behind, at each look at a difference */

/* --- the source ------------------------------------------------------------------------------- */

struct compared_table {
    struct checking *checking;
    bool ended;
    enum verify_verdict verdict;
    int64_t source_rows, target_rows, missing, extra, changed;
    char why[512];
};

static bool stops(void *context)
{
    return quality_stops(((struct compared_table *) context)->checking);
}

static void passes_by(void *context, const struct verify_table *table)
{
}

static void differs(void *context, const struct verify_table *table,
                    const struct verify_difference *difference)
{
}

static void ends(void *context, const struct verify_table *table)
{
    struct compared_table *compared = context;
    compared->ended = true;
    compared->verdict = table->verdict;
    compared->source_rows = table->source_rows;
    compared->target_rows = table->target_rows;
    compared->missing = table->missing;
    compared->extra = table->extra;
    compared->changed = table->changed;
    snprintf(compared->why, sizeof compared->why, "%s", table->why);
}

static void notice(void *context, const char *text)
{
}

static enum ods_status keep(void *context, const char *state, struct error *error)
{
    return ODS_OK; /* a rule is asked as a whole */
}

static void judge(struct quality_result *result, const struct compared_table *compared,
                  bool by_counts)
{
    int64_t off = compared->missing + compared->extra + compared->changed;
    if (by_counts && !off)
        off = llabs(compared->source_rows - compared->target_rows);
    bool known = compared->verdict == VERIFY_EQUAL || compared->verdict == VERIFY_DIFFERS;
    result->looked_at = compared->source_rows;
    result->has_measured = known;
    result->counts = true;
    result->measured = compared->verdict == VERIFY_DIFFERS ? (double) off : 0;
    result->state = !known                                            ? QUALITY_UNKNOWN
                    : result->measured > (double) result->rule->allow ? QUALITY_FAILS
                                                                      : QUALITY_PASSES;
    snprintf(result->expected, sizeof result->expected, by_counts ? "as many rows as the source"
                                                                  : "the source's rows");
    if (!known)
        snprintf(result->why, sizeof result->why, "%s", compared->why);
    else if (compared->verdict == VERIFY_DIFFERS && by_counts)
        snprintf(result->why, sizeof result->why, "the source has %lld rows, the target %lld",
                 (long long) compared->source_rows, (long long) compared->target_rows);
    else if (compared->verdict == VERIFY_DIFFERS)
        snprintf(result->why, sizeof result->why,
                 "%lld rows are missing, %lld extra, %lld changed; ods-sink verify shows them",
                 (long long) compared->missing, (long long) compared->extra,
                 (long long) compared->changed);
}

enum ods_status quality_ask_verify(struct checking *checking, const struct quality_table *table,
                                   struct quality_result *result, struct error *error)
{
    bool by_counts = result->rule->check == QUALITY_ROW_COUNT;
    struct compared_table compared = {.checking = checking};
    bool lake = verify_is_lake(
        settings_target(checking->options->settings, checking->options->pipeline->target)->type);
    const char *tables[] = {lake ? result->source : result->target};
    const struct verify_keeper keeper = {NULL, keep, NULL};
    const struct verify_options options = {.settings = checking->options->settings,
                                           .pipeline = checking->options->pipeline->name,
                                           .tables = tables,
                                           .table_count = 1,
                                           .mode = by_counts ? VERIFY_COUNTS : VERIFY_FULL,
                                           .since_us = INT64_MIN,
                                           .wait_ms = WAIT_MS,
                                           .limit = 1,
                                           .keeper = &keeper,
                                           .stops = stops,
                                           .stops_context = &compared,
                                           .cutoff = checking->options->cutoff};
    const struct verify_listener listener = {.begins = passes_by,
                                             .differs = differs,
                                             .goes_on = passes_by,
                                             .ends = ends,
                                             .notice = notice,
                                             .context = &compared};
    struct error failure;
    error_init(&failure);
    enum cli_exit code = verify_run(&options, &listener, &failure);
    (void) table;
    if (!compared.ended || (code != CLI_OK && code != CLI_NEGATIVE && code != CLI_CANT_TELL))
        return error_set(error, ODS_REJECT, "%.900s",
                         *failure.text ? failure.text
                                       : "the table was not compared with its source");
    judge(result, &compared, by_counts);
    return ODS_OK;
}

/* --- Kafka ------------------------------------------------------------------------------------ */

static enum ods_status lag_of(struct checking *checking, struct kafka_tool *tool,
                              const char *topic, int32_t partition, double *lag,
                              struct error *error)
{
    char number[16];
    const char *values[] = {checking->options->pipeline->group_id, topic, number};
    PGresult *rows = NULL;
    int64_t low = 0, high = 0, from = 0;
    snprintf(number, sizeof number, "%d", (int) partition);
    enum ods_status status =
        own_query(&checking->conn, sql_quality_offset, 3, values, &rows, error);
    if (status == ODS_OK && PQntuples(rows))
        from = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    if (status != ODS_OK)
        return status;
    if (kafka_tool_ends(tool, topic, partition, &low, &high, error) != ODS_OK)
        return ODS_REJECT;
    from = from > low ? from : low;
    *lag += high > from ? (double) (high - from) : 0;
    return ODS_OK;
}

static enum ods_status sum_lag(struct checking *checking, struct kafka_tool *tool,
                               const PGresult *topics, double *lag, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (int i = 0; status == ODS_OK && i < PQntuples(topics); i++) {
        const char *topic = PQgetvalue(topics, i, 0);
        int32_t count = 0;
        if (kafka_tool_partitions(tool, topic, &count, error) != ODS_OK)
            return ODS_REJECT;
        for (int32_t k = 0; status == ODS_OK && k < count; k++)
            status = lag_of(checking, tool, topic, k, lag, error);
    }
    return status;
}

enum ods_status quality_ask_lag(struct checking *checking, const struct quality_table *table,
                                struct quality_result *result, struct error *error)
{
    const struct pipeline_settings *pipeline = checking->options->pipeline;
    const char *values[] = {pipeline->group_id, table->target_schema, table->target_name};
    struct kafka_tool *tool = NULL;
    PGresult *topics = NULL;
    double most = strtod(result->rule->max, NULL);
    if (strcmp(pipeline->input.type, "kafka") != 0)
        return error_set(error, ODS_REJECT, "the pipeline does not read Kafka: what waits can't "
                         "be told");
    enum ods_status status = own_query(&checking->conn, sql_quality_topics, 3, values, &topics,
                                       error);
    if (status == ODS_OK && kafka_tool_open_quick(&tool, checking->options->settings,
                                                  pipeline->group_id, error) != ODS_OK)
        status = ODS_REJECT;
    if (status == ODS_OK)
        status = sum_lag(checking, tool, topics, &result->measured, error);
    if (status == ODS_OK) {
        result->has_measured = true;
        result->state = result->measured > most ? QUALITY_FAILS : QUALITY_PASSES;
        snprintf(result->expected, sizeof result->expected, "at most %.0f records", most);
        if (result->state == QUALITY_FAILS)
            snprintf(result->why, sizeof result->why, "%.0f records wait in Kafka",
                     result->measured);
    }
    kafka_tool_close(tool);
    PQclear(topics);
    return status;
}
