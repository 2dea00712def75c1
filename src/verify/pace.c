/* How fast rows are read for a comparison. See pace.h. */
#include "verify/pace.h"

#include <stdlib.h>

#include "core/time.h"
#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/offsets_sum.h"

#define LOOK_US      INT64_C(1000000)
#define BUSY_RECORDS 20  /* a second: fewer are no stream */
#define BUSY_ROWS    100 /* read at once while changes stream: a millisecond or two of work */
#define THROTTLED    20  /* so often a second rows are read where their number is bounded */

void pace_init(struct pace *pace, const struct database_settings *settings)
{
    *pace = (struct pace){.settings = settings, .busy = true};
}

void pace_begin(struct pace *pace)
{
    pace->began_us = time_monotonic_us();
}

enum ods_status pace_look(struct pace *pace, struct conn *conn, struct error *error)
{
    int64_t now = time_monotonic_us();
    if (pace->settings->busy_share == 100 || (pace->looked_us && now < pace->looked_us + LOOK_US))
        return ODS_OK;
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_offsets_sum, 0, NULL, &rows, error);
    if (status == ODS_OK) {
        int64_t offsets = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
        int64_t moved = llabs(offsets - pace->offsets);
        pace->known = pace->looked_us != 0;
        if (pace->known)
            pace->busy = moved >= BUSY_RECORDS * (now - pace->looked_us) / 1000000;
        pace->offsets = offsets;
        pace->looked_us = now;
    }
    PQclear(rows);
    return status;
}

bool pace_rests(const struct pace *pace)
{
    return pace->known && pace->busy && pace->settings->busy_share < 100;
}

int64_t pace_rows(const struct pace *pace)
{
    int64_t rate = pace->settings->throttle, most = PACE_ROWS;
    if (pace->busy && pace->settings->busy_share < 100)
        most = BUSY_ROWS;
    if (rate && rate / THROTTLED < most)
        most = rate / THROTTLED ? rate / THROTTLED : 1;
    return most;
}

int64_t pace_due(const struct pace *pace, int64_t read_us, int64_t total)
{
    int64_t now = time_monotonic_us(), rate = pace->settings->throttle;
    int64_t share = pace->settings->busy_share;
    int64_t due = rate ? pace->began_us + total * 1000000 / rate : now;
    int64_t rested = pace->busy ? now + (now - read_us) * (100 - share) / share : now;
    return rested > due ? rested : due;
}
