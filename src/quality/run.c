/* Goes through tables and rules. See run.h. */
#include "quality/run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "quality/room.h"
#include "sink/postgres/tables/settings.h"
#include "verify/cutoff.h"

#define NAP_MS 100

bool quality_pause(const struct checking *checking, int64_t ms)
{
    int64_t until_us = time_monotonic_us() + ms * 1000;
    while (!quality_stops(checking)) {
        int64_t left_us = until_us - time_monotonic_us();
        if (left_us <= 0)
            return true;
        int64_t nap_us = left_us < NAP_MS * 1000 ? left_us : NAP_MS * 1000;
        struct timespec nap = {0, nap_us * 1000};
        nanosleep(&nap, NULL);
    }
    return false;
}

enum ods_status checking_ready(struct checking *checking, struct error *error)
{
    struct buffer sql;
    if (checking->conn.pg && PQstatus(checking->conn.pg) == CONNECTION_OK)
        return ODS_OK;
    enum ods_status status = conn_open(&checking->conn, error);
    buffer_init(&sql);
    /* Whole tables are read here: the settings of a lane's session, which looks up single rows,
     * would do it by an index. */
    buffer_printf(&sql,
                  "set default_transaction_read_only = on; set enable_seqscan = on; "
                  "set enable_hashjoin = on; set enable_mergejoin = on; "
                  "set plan_cache_mode = auto; set statement_timeout = %lld",
                  (long long) checking->options->pipeline->quality.timeout_ms);
    if (status == ODS_OK)
        status = conn_script(&checking->conn, buffer_text(&sql), error);
    buffer_done(&sql);
    return status;
}

static enum ods_status ask(struct checking *checking, const struct quality_table *table,
                           struct quality_result *result, struct error *error)
{
    switch (result->rule->check) {
    case QUALITY_NOT_NULL:
    case QUALITY_RANGE:
    case QUALITY_SET:
    case QUALITY_PATTERN:
    case QUALITY_UNIQUE:
    case QUALITY_REFERENCE:
        return quality_ask_rows(checking, table, result, error);
    case QUALITY_SCHEMA:
        return quality_ask_schema(checking, table, result, error);
    case QUALITY_ROW_COUNT:
        return quality_ask_count(checking, table, result, error);
    case QUALITY_CHECKSUM:
        return quality_ask_verify(checking, table, result, error);
    case QUALITY_LAG:
        return quality_ask_lag(checking, table, result, error);
    case QUALITY_FRESHNESS:
        return quality_ask_freshness(checking, table, result, error);
    case QUALITY_VOLUME:
        return quality_ask_volume(checking, table, result, error);
    case QUALITY_CHECKS:
        break;
    }
    return error_set(error, ODS_REJECT, "there is no such check");
}

/* Is the target itself away? Then a rule has no result. */
static bool is_away(const struct checking *checking)
{
    return !checking->conn.pg || PQstatus(checking->conn.pg) != CONNECTION_OK;
}

static enum ods_status ask_one(struct checking *checking, const struct quality_table *table,
                               struct quality_result *result, struct error *error)
{
    struct error why;
    int64_t began_us = time_monotonic_us();
    error_init(&why);
    enum ods_status status = checking_ready(checking, error);
    if (status != ODS_OK)
        return status;
    int ticket = cutoff_add(checking->options->cutoff, PQsocket(checking->conn.pg));
    status = table->found ? ask(checking, table, result, &why)
                          : error_set(&why, ODS_REJECT,
                                      "the target has no such table: no record of it has been "
                                      "applied, or its name is another");
    cutoff_drop(checking->options->cutoff, ticket);
    result->seconds = (double) (time_monotonic_us() - began_us) / 1e6;
    if (status == ODS_OK)
        return ODS_OK;
    if (is_away(checking)) {
        *error = why;
        return ODS_RETRY;
    }
    result->state = QUALITY_UNKNOWN;
    result->has_measured = false;
    snprintf(result->why, sizeof result->why, "%.900s", why.text);
    return ODS_OK;
}

static char *qualified(const char *schema, const char *name)
{
    char *text = NULL;
    return asprintf(&text, "%s%s%s", schema, *schema ? "." : "", name) < 0 ? NULL : text;
}

static enum ods_status check_rule(struct checking *checking, const struct quality_table *table,
                                  const struct quality_rule *rule,
                                  const struct quality_listener *listener, struct error *error)
{
    struct quality_result result;
    quality_result_init(&result);
    result.rule = rule;
    result.pipeline = checking->options->pipeline->name;
    result.source = qualified(table->schema, table->name);
    result.target = qualified(table->target_schema, table->target_name);
    enum ods_status status = result.source && result.target ? ODS_OK : error_out_of_memory(error);
    if (status == ODS_OK && listener->begins)
        listener->begins(listener->context, &result);
    if (status == ODS_OK)
        status = ask_one(checking, table, &result, error);
    if (status == ODS_OK && !quality_stops(checking)) /* what was cut off is no result */
        status = listener->ends(listener->context, &result, error);
    quality_result_done(&result);
    return status;
}

static bool is_wanted(const struct quality_options *options, const struct quality_table *table)
{
    for (size_t i = 0; i < options->table_count; i++) {
        const char *name = options->tables[i];
        if (strcmp(name, table->name) == 0 || strcmp(name, table->target_name) == 0 ||
            table_name_is_qualified(name, table->schema, table->name) ||
            table_name_is_qualified(name, table->target_schema, table->target_name))
            return true;
    }
    return !options->table_count;
}

static enum ods_status check_table(struct checking *checking, const struct quality_table *table,
                                   const struct quality_listener *listener, size_t *matched,
                                   struct error *error)
{
    const struct quality_options *options = checking->options;
    const struct quality_rule *rule;
    enum ods_status status = ODS_OK;
    size_t at = 0;
    while (status == ODS_OK && !quality_stops(checking) &&
           (rule = quality_rule_next(options->pipeline, table->schema, table->name,
                                     table->settings, &at))) {
        if (!rule->scheduled || (options->rule && strcmp(options->rule, rule->name) != 0))
            continue;
        ++*matched;
        status = check_rule(checking, table, rule, listener, error);
    }
    return status;
}

enum ods_status quality_run(const struct quality_options *options,
                            const struct quality_listener *listener, size_t *matched,
                            struct error *error)
{
    const struct target_settings *target =
        settings_target(options->settings, options->pipeline->target);
    const struct postgres_settings *own = target->own;
    struct checking checking = {.options = options};
    *matched = 0;
    if (!conn_init(&checking.conn, target->name, &own->session))
        return error_set(error, ODS_RETRY, "out of memory or file descriptors for quality");
    checking.conn.hides = options->pipeline;
    enum ods_status status = checking_ready(&checking, error);
    int ticket = status == ODS_OK ? cutoff_add(options->cutoff, PQsocket(checking.conn.pg)) : -1;
    if (status == ODS_OK)
        status = quality_tables_find(&checking, error);
    cutoff_drop(options->cutoff, ticket);
    for (size_t i = 0; status == ODS_OK && i < checking.tables.count; i++)
        if (is_wanted(options, &checking.tables.items[i]))
            status = check_table(&checking, &checking.tables.items[i], listener, matched, error);
    quality_tables_done(&checking.tables);
    catalog_done(&checking.catalog);
    conn_done(&checking.conn);
    return status;
}
