/* See freshness.h. */
#include "sink/postgres/control/freshness.h"

#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/freshen.h"
#include "sql/postgres/freshness_read.h"

void beats_done(struct beats *beats)
{
    buffer_done(&beats->connectors);
    buffer_done(&beats->times);
}

/* They count from the next call on: what is at its end then was read behind them. */
static void take_beats(struct beats *beats, const PGresult *rows)
{
    buffer_reset(&beats->connectors);
    buffer_reset(&beats->times);
    for (int row = 0; row < PQntuples(rows); row++) {
        quote_array_put(&beats->connectors, PQgetvalue(rows, row, 0));
        quote_array_put(&beats->times, PQgetvalue(rows, row, 1));
    }
}

static void put_places(struct buffer lists[3], const struct position *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        quote_array_put(&lists[0], places[i].topic);
        buffer_printf(&lists[1], "%s%d", i ? "," : "{", (int) places[i].partition);
        buffer_printf(&lists[2], "%s%lld", i ? "," : "{", (long long) places[i].offset);
    }
    for (size_t i = 0; i < 3; i++)
        quote_array_end(&lists[i]);
}

enum ods_status freshness_keep(struct beats *beats, struct conn *conn, const char *group,
                               const struct position *places, size_t count, struct error *error)
{
    struct buffer lists[3] = {0};
    PGresult *rows = NULL;
    put_places(lists, places, count);
    quote_array_end(&beats->connectors);
    quote_array_end(&beats->times);
    const char *values[] = {group,
                            buffer_text(&lists[0]),
                            buffer_text(&lists[1]),
                            buffer_text(&lists[2]),
                            buffer_text(&beats->connectors),
                            buffer_text(&beats->times)};
    bool failed = beats->connectors.failed || beats->times.failed;
    for (size_t i = 0; i < 3; i++)
        failed |= lists[i].failed;
    enum ods_status status = failed ? error_out_of_memory(error)
                                    : own_query(conn, sql_freshen, 6, values, &rows, error);
    if (status == ODS_OK) {
        take_beats(beats, rows);
    } else {
        buffer_reset(&beats->connectors);
        buffer_reset(&beats->times);
    }
    PQclear(rows);
    for (size_t i = 0; i < 3; i++)
        buffer_done(&lists[i]);
    return status;
}

enum ods_status freshness_read(struct conn *conn, const char *group,
                               struct topics_complete *topics, struct error *error)
{
    const char *values[] = {group};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_freshness_read, 1, values, &rows, error);
    size_t count = status == ODS_OK ? (size_t) PQntuples(rows) : 0;
    *topics = (struct topics_complete){.items = calloc(count + 1, sizeof *topics->items)};
    bool good = topics->items != NULL;
    for (int row = 0; good && row < (int) count; row++) {
        struct topic_complete *one = &topics->items[topics->count++];
        one->topic = strdup(PQgetvalue(rows, row, 0));
        one->complete_us = PQgetisnull(rows, row, 1) ? INT64_MIN
                                                     : strtoll(PQgetvalue(rows, row, 1), NULL, 10);
        good = one->topic != NULL;
    }
    PQclear(rows);
    if (good && status == ODS_OK)
        return ODS_OK;
    topics_complete_done(topics);
    return status == ODS_OK ? error_out_of_memory(error) : status;
}
