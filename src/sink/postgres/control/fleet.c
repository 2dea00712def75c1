/* See fleet.h. */
#include "sink/postgres/control/fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "sink/postgres/wire/own_schema.h"
#include "sql/postgres/fleet_beat.h"
#include "sql/postgres/fleet_part.h"
#include "sql/postgres/fleet_read.h"

static enum ods_status tell(struct conn *conn, const char *group, const struct fleet_member *self,
                            struct error *error)
{
    char process[24], lanes[16], partitions[16], lag[24], rate[40], started[40];
    const char *values[] = {group,        self->name,     self->pipeline,
                            self->host,   process,        self->version,
                            self->address, lanes,         self->state,
                            self->level,  self->says,     partitions,
                            self->assigned, self->lag < 0 ? NULL : lag, rate,
                            started};
    PGresult *rows = NULL;
    snprintf(process, sizeof process, "%lld", (long long) self->process);
    snprintf(lanes, sizeof lanes, "%d", (int) self->lanes);
    snprintf(partitions, sizeof partitions, "%d", (int) self->partitions);
    snprintf(lag, sizeof lag, "%lld", (long long) self->lag);
    snprintf(rate, sizeof rate, "%.3f", self->rate);
    snprintf(started, sizeof started, "%.6f", (double) self->started_us / 1e6);
    enum ods_status status = own_query(conn, sql_fleet_beat, 16, values, &rows, error);
    PQclear(rows);
    return status;
}

static void take(const PGresult *rows, int row, struct fleet_member *member)
{
    const struct {
        int column;
        char *text;
        size_t size;
    } texts[] = {
        {0, member->name, sizeof member->name},
        {1, member->pipeline, sizeof member->pipeline},
        {2, member->host, sizeof member->host},
        {4, member->version, sizeof member->version},
        {5, member->address, sizeof member->address},
        {7, member->state, sizeof member->state},
        {8, member->level, sizeof member->level},
        {9, member->says, sizeof member->says},
        {11, member->assigned, sizeof member->assigned}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        snprintf(texts[i].text, texts[i].size, "%s", PQgetvalue(rows, row, texts[i].column));
    member->process = strtoll(PQgetvalue(rows, row, 3), NULL, 10);
    member->lanes = (int32_t) strtol(PQgetvalue(rows, row, 6), NULL, 10);
    member->partitions = (int32_t) strtol(PQgetvalue(rows, row, 10), NULL, 10);
    member->lag = strtoll(PQgetvalue(rows, row, 12), NULL, 10);
    member->rate = strtod(PQgetvalue(rows, row, 13), NULL);
    member->started_us = strtoll(PQgetvalue(rows, row, 14), NULL, 10);
    member->beat_us = strtoll(PQgetvalue(rows, row, 15), NULL, 10);
    member->silent_s = strtod(PQgetvalue(rows, row, 16), NULL);
}

static enum ods_status read_all(struct conn *conn, const char *group, struct fleet_members *all,
                                struct error *error)
{
    const char *values[] = {group};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_fleet_read, 1, values, &rows, error);
    size_t count = status == ODS_OK ? (size_t) PQntuples(rows) : 0;
    if (status == ODS_OK && !(all->items = calloc(count + 1, sizeof *all->items)))
        status = error_out_of_memory(error);
    for (; status == ODS_OK && all->count < count; all->count++)
        take(rows, (int) all->count, &all->items[all->count]);
    PQclear(rows);
    return status;
}

enum ods_status fleet_beat(struct watching *watching, struct conn *conn, const char *group,
                           const struct fleet_member *self, struct fleet_members *all,
                           struct error *error)
{
    enum ods_status status = ODS_OK;
    *all = (struct fleet_members){0};
    if (!watching->fleet)
        status = own_schema_prepare_table(conn, "members", error);
    if (status == ODS_OK) {
        watching->fleet = true;
        status = tell(conn, group, self, error);
    }
    return status == ODS_OK ? read_all(conn, group, all, error) : status;
}

enum ods_status fleet_part(struct conn *conn, const char *group, const char *name,
                           struct error *error)
{
    const char *values[] = {group, name};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_fleet_part, 2, values, &rows, error);
    PQclear(rows);
    return status;
}
