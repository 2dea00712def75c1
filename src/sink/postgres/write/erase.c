/* See erase.h. The function in sql/ods_sink.sql does the work, in one transaction. */
#include "sink/postgres/write/erase.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/erase.h"

static const char *whole(struct buffer *array)
{
    quote_array_end(array);
    return buffer_text(array);
}

enum { COLUMNS, VALUES, TOPICS, PARTITIONS, OFFSETS, ARRAYS };

static void put_arrays(struct buffer arrays[ARRAYS], const struct erasing *erasing)
{
    char digits[24];
    for (size_t i = 0; i < erasing->key_count; i++) {
        quote_array_put(&arrays[COLUMNS], erasing->columns[i]);
        quote_array_put(&arrays[VALUES], erasing->values[i]);
    }
    for (size_t i = 0; i < erasing->reached_count; i++) {
        const struct position *position = &erasing->reached[i];
        quote_array_put(&arrays[TOPICS], position->topic);
        snprintf(digits, sizeof digits, "%d", (int) position->partition);
        quote_array_put(&arrays[PARTITIONS], digits);
        snprintf(digits, sizeof digits, "%" PRId64, position->offset);
        quote_array_put(&arrays[OFFSETS], digits);
    }
}

static int64_t number(const PGresult *rows, int column)
{
    return PQgetisnull(rows, 0, column) ? -1 : strtoll(PQgetvalue(rows, 0, column), NULL, 10);
}

static enum ods_status ask(struct postgres *postgres, struct erasing *erasing, bool look,
                           struct error *error)
{
    struct buffer arrays[ARRAYS];
    char letters[24];
    PGresult *rows = NULL;
    bool failed = false;
    for (size_t i = 0; i < ARRAYS; i++)
        buffer_init(&arrays[i]);
    put_arrays(arrays, erasing);
    snprintf(letters, sizeof letters, "%" PRId64, erasing->letters);
    const char *values[] = {postgres->config.group,
                            erasing->schema,
                            erasing->table,
                            erasing->history_schema,
                            erasing->history_table,
                            whole(&arrays[COLUMNS]),
                            whole(&arrays[VALUES]),
                            whole(&arrays[TOPICS]),
                            whole(&arrays[PARTITIONS]),
                            whole(&arrays[OFFSETS]),
                            letters,
                            erasing->by,
                            look ? "true" : "false"};
    for (size_t i = 0; i < ARRAYS; i++)
        failed |= arrays[i].failed;
    enum ods_status status =
        failed ? error_out_of_memory(error)
               : own_query(&postgres->conn, sql_erase, sizeof values / sizeof *values, values,
                           &rows, error);
    if (status == ODS_OK) {
        erasing->behind = number(rows, 0);
        erasing->rows = number(rows, 1);
        erasing->history_rows = number(rows, 2);
        erasing->shadow_rows = number(rows, 3);
    }
    PQclear(rows);
    for (size_t i = 0; i < ARRAYS; i++)
        buffer_done(&arrays[i]);
    return status;
}

enum ods_status erase_row(struct postgres *postgres, struct erasing *erasing, bool look,
                          struct error *error)
{
    enum ods_status status = conn_open(&postgres->conn, error);
    if (status == ODS_OK)
        status = own_schema_prepare(&postgres->conn, error);
    if (status == ODS_OK) /* a schema of an older version lacks it */
        status = own_schema_prepare_table(&postgres->conn, "erasures", error);
    return status == ODS_OK ? ask(postgres, erasing, look, error) : status;
}
