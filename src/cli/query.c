/* ods-sink query: rows of a table as the target has them. */
#include "cli/query.h"

#include <stdio.h>
#include <string.h>

#include "cli/interrupt.h"
#include "core/log.h"

static int no_such_table(const struct query *query, struct error *error)
{
    const struct table_choice *choice = &query->choice;
    error_set(error, ODS_FATAL,
              "target \"%s\" has no table %s.%s, where pipeline \"%s\" puts \"%s\"%s",
              choice->target->name, choice->schema, choice->name, choice->pipeline->name,
              query->text,
              choice->table->skip ? ": tables.yaml leaves it out (skip)"
              : !table_keeps_rows(choice->table)
                  ? ": only its history is kept (mode: history), which --as-of and --history show"
                  : ": no record of it has been applied, or its name is another (`ods-sink "
                    "topics` lists the tables)");
    return CLI_USAGE;
}

static int run_query(struct query *query, struct error *error)
{
    struct query_statement statement = {0};
    int code = table_choose(&query->choice, query->settings, query->text, query->pipeline,
                            !query->lag, error);
    if (code == CLI_OK)
        code = table_reader_open(&query->reader, &query->choice, query->timeout_ms, error);
    if (code == CLI_OK && reader_table(query->reader, query->choice.schema, query->choice.name,
                                       &query->table, error) != ODS_OK)
        code = CLI_TARGET;
    if (code == CLI_OK && query->lag)
        return query_lag(query, error);
    if (code == CLI_OK && (query->changes || query->as_of_us != INT64_MIN))
        code = query_open_history(query, error);
    if (code == CLI_OK && !query->table)
        code = no_such_table(query, error);
    if (code == CLI_OK)
        code = row_key_parse(&query->key, &query->given_key, &query->choice, query->table, error);
    buffer_init(&statement.sql);
    if (code == CLI_OK && query->as_of_us != INT64_MIN)
        code = query_go_back(query, error);
    if (code == CLI_OK)
        code = query->changes ? query_put_history(query, &statement, error)
                              : query_put(query, &statement, error);
    if (code == CLI_OK)
        code = query_print(query, &statement, error);
    buffer_done(&statement.sql);
    return code;
}

static enum query_format format_of(const struct query *query)
{
    if (query->json || strcmp(query->format_name, "json") == 0)
        return FORMAT_JSON;
    return strcmp(query->format_name, "csv") == 0        ? FORMAT_CSV
           : strcmp(query->format_name, "vertical") == 0 ? FORMAT_VERTICAL
                                                         : FORMAT_TABLE;
}

static int run(const struct call *call, void *options)
{
    struct query *query = options;
    struct error error;
    error_init(&error);
    query->terminal = call->terminal;
    query->format = format_of(query);
    if (query->lag && (query->count || query->recent || query->where || query->given_key.count ||
                       query->since_us != INT64_MIN))
        return cli_usage(call->name, "--lag is of the whole table: it takes no --key, --where, "
                                     "--since, --recent or --count");
    bool moment = query->as_of_us != INT64_MIN;
    if ((moment || query->changes) && (query->deleted || query->lag || (moment && query->changes) ||
                                       query->since_us != INT64_MIN || (moment && query->recent)))
        return cli_usage(call->name,
                         "--as-of and --history are each by themselves, and take no --lag, "
                         "--deleted or --since; --as-of takes no --recent either");
    if (query->changes && (!query->given_key.count || query->count || query->where))
        return cli_usage(call->name, "--history is that of one row: give its --key, and no --where "
                                     "or --count");
    interrupt_catch();
    int code = cli_load(&query->loaded, query->config);
    if (code == CLI_OK) {
        query->settings = config_settings(query->loaded);
        log_configure(&query->settings->log);
        code = run_query(query, &error);
    }
    if (interrupt_came())
        code = interrupt_code();
    else if (code != CLI_OK && *error.text)
        fprintf(stderr, "ods-sink query: %s\n", error.text);
    row_key_done(&query->key);
    read_history_done(&query->history);
    reader_close(query->reader);
    table_choice_done(&query->choice);
    config_free(query->loaded);
    return cli_finish(code);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct query defaults = {
    .format_name = "table", .since_us = INT64_MIN, .as_of_us = INT64_MIN, .limit = 100,
    .timeout_ms = 30000};

static const struct parameter options[] = {
    OPTION_CONFIG(struct query),
    OPTION(struct query, given_key, "key", &argument_text,
           "the row of this key: `42`, or `id=42,region=eu`; may be given once for each column",
           .flags = PARAMETER_MANY, .value = "KEY"),
    OPTION(struct query, where, "where", &argument_text,
           "rows for which this is true: your own SQL, run as it is, but read-only",
           .value = "SQL"),
    OPTION(struct query, since_us, "since", &argument_moment,
           "rows that changed at the source since then: 2026-01-31T12:00:00Z (without a zone: "
           "UTC), or 90s, 15m, 2h, 3d ago"),
    OPTION(struct query, as_of_us, "as-of", &argument_moment,
           "the rows as they were then, of a table that keeps its history"),
    SWITCH(struct query, changes, "history",
           "what happened to the row of `--key`: each change, from what to what, and in which "
           "transaction of the source"),
    SWITCH(struct query, recent, "recent", "the latest changes first, in place of the key's order"),
    SWITCH(struct query, deleted, "deleted", "also rows that were deleted at the source and stay "
                                             "here (`on_delete: soft`)"),
    OPTION(struct query, limit, "limit", &argument_number,
           "at most this many rows (default: 100); 0 is all of them",
           .max = INT64_C(1000000000000)),
    SWITCH(struct query, count, "count", "how many rows, in place of the rows"),
    SWITCH(struct query, lag, "lag", "how far the table is behind, in place of rows: stored "
                                     "offsets, the topics' ends, the age of the newest change"),
    OPTION(struct query, format_name, "format", &argument_choice,
           "how rows are printed (default: table)", .choices = "table|csv|json|vertical"),
    OPTION(struct query, pipeline, "pipeline", &argument_pipeline,
           "whose table, when several move one of that name"),
    OPTION(struct query, timeout_ms, "timeout", &argument_seconds,
           "how long the target may take over a statement (default: 30)", .min = 1, .max = 86400),
    SWITCH(struct query, json, "json", "for programs: as `--format json`"),
    {0}};

static const struct parameter operands[] = {
    OPERAND(struct query, text, "TABLE", &argument_table,
            "the source's name for it, `db.table`, or the target's, `schema.table`; the last part "
            "is enough where it is clear",
            .flags = PARAMETER_REQUIRED),
    {0}};

static const struct exit_meaning exits[] = {
    EXIT_IS_CONFIG, EXIT_IS_SOURCE, EXIT_IS_TARGET, EXIT_IS_INTERRUPTED, {0}};

static const struct example examples[] = {
    {"ods-sink query -c ods-sink.conf shop.orders --key 42", "One row."},
    {"ods-sink query -c ods-sink.conf orders --since 15m --recent --format vertical",
     "What changed in the last quarter of an hour, the latest first."},
    {"ods-sink query -c ods-sink.conf orders --where \"amount > 1000\" --limit 0 --format csv",
     "All large orders, for a spreadsheet."},
    {"ods-sink query -c ods-sink.conf orders --as-of 2026-01-31T12:00:00Z --key 42",
     "The row as it was at noon."},
    {"ods-sink query -c ods-sink.conf orders --history --key 42", "What happened to it."},
    {"ods-sink query -c ods-sink.conf orders --lag", "How far behind the table is."},
    {0}};

const struct command cli_query = {
    .name = "query",
    .summary = "show rows of a table as the target has them",
    .description =
        "The table is found by the configuration: under the source's name or the target's. Rows "
        "come in the order of their key. Those that were deleted at the source and are only marked "
        "so in the target are left out.\n\n"
        "Everything runs in a read-only transaction with a time limit. A key is bound as a value "
        "of its column's type. `--where` is your own SQL, with the rights of the target's user. "
        "Where PostgreSQL refuses one of them the exit code is 2.\n\n"
        "Works on targets of type `postgres`. Values are as PostgreSQL writes them, NULL is ∅ in "
        "tables and nothing in CSV. Long ones are cut on a terminal alone.",
    .options = {{.options = options}},
    .operands = operands,
    .exits = exits,
    .examples = examples,
    .options_size = sizeof(struct query),
    .defaults = &defaults,
    .run = run,
};
