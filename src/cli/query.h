/* What the files of `ods-sink query` share. */
#ifndef QUERY_H
#define QUERY_H

#include "cli/cli.h"
#include "cli/row_key.h"
#include "cli/table_choice.h"
#include "sink/postgres/read/history.h"

enum query_format { FORMAT_TABLE, FORMAT_CSV, FORMAT_JSON, FORMAT_VERTICAL };

struct query {
    /* options */
    const char *config, *text, *pipeline, *where, *format_name;
    struct strings given_key;
    int64_t since_us; /* INT64_MIN: from any time */
    int64_t as_of_us; /* INT64_MIN: now */
    int64_t limit;    /* 0: none */
    int64_t timeout_ms;
    bool deleted, recent, lag, count, json, changes;

    const struct terminal *terminal;
    enum query_format format;
    struct config *loaded;
    const struct settings *settings;
    struct table_choice choice;
    struct reader *reader;
    const struct read_table *table;
    struct row_key key;
    struct read_history history;
};

/* The statement that the options come to, and its parameters, texts that it points to. */
#define QUERY_PARAMS 34
struct query_statement {
    struct buffer sql;
    const char *values[QUERY_PARAMS];
    int count;
    char since[40];
};
/* A cli_exit: an option may need what the table does not have. */
int query_put(const struct query *query, struct query_statement *statement, struct error *error);

/* Rows as they come, in the format that was asked for. A cli_exit. */
int query_print(const struct query *query, const struct query_statement *statement,
                struct error *error);

/* For --as-of and --history: the table is then the source's columns of its history. A
 * cli_exit. */
int query_open_history(struct query *query, struct error *error);
/* For --as-of, once the key is read: the table is then that of the moment. A cli_exit. */
int query_go_back(struct query *query, struct error *error);
/* The statement for --history. */
int query_put_history(struct query *query, struct query_statement *statement,
                      struct error *error);

int query_lag(const struct query *query, struct error *error);

/* The column of the table that marks deleted rows, or has the time; NULL: there is none. */
const struct read_column *query_operation(const struct query *query);
const struct read_column *query_timestamp(const struct query *query);

/* Microseconds since 1970 as PostgreSQL reads them. */
void query_moment(char text[40], int64_t us);

#endif
