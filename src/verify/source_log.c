/* See source_log.h. */
#include "verify/source_log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void source_logs_done(struct source_logs *logs)
{
    free(logs->items);
    *logs = (struct source_logs){0};
}

static struct source_log *add(struct source_logs *logs)
{
    struct source_log *larger = realloc(logs->items, (logs->count + 1) * sizeof *larger);
    if (!larger)
        return NULL;
    logs->items = larger;
    larger[logs->count] = (struct source_log){.active = true,
                                              .end = -1,
                                              .retained = -1,
                                              .unread = -1,
                                              .safe = -1,
                                              .kept = -1,
                                              .expires_ms = -1};
    return &larger[logs->count++];
}

static void copy(char *to, size_t size, const struct field *cell)
{
    snprintf(to, size, "%.*s", cell->bytes ? (int) cell->length : 0,
             cell->bytes ? cell->bytes : "");
}

static int64_t number(const struct field *cell, int64_t none)
{
    char text[32];
    copy(text, sizeof text, cell);
    return *text ? strtoll(text, NULL, 10) : none;
}

/* --- PostgreSQL ------------------------------------------------------------------------------ */

/* Columns that a version lacks are null. */
static const char slots[] =
    "select s.slot_name, s.active, s.row->>'wal_status', (p.lsn - s.restart_lsn)::bigint, "
    "(p.lsn - s.confirmed_flush_lsn)::bigint, s.row->>'safe_wal_size', "
    "(extract(epoch from (s.row->>'inactive_since')::timestamptz) * 1000000)::bigint, "
    "s.row->>'invalidation_reason' "
    "from (select *, to_jsonb(r) as row from pg_catalog.pg_replication_slots r) s, "
    "(select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() "
    "end) p (lsn) where s.slot_type = 'logical' and s.database = current_database()";

enum slot_column { NAME, ACTIVE, STATE, RETAINED, UNREAD, SAFE, INACTIVE_SINCE, INVALIDATION };

static void take_slot(struct source_log *log, const struct field *cells)
{
    char reason[100];
    copy(log->slot, sizeof log->slot, &cells[NAME]);
    copy(log->state, sizeof log->state, &cells[STATE]);
    copy(reason, sizeof reason, &cells[INVALIDATION]);
    log->active = cells[ACTIVE].length && cells[ACTIVE].bytes[0] == 't';
    log->retained = number(&cells[RETAINED], -1);
    log->unread = number(&cells[UNREAD], -1);
    log->safe = number(&cells[SAFE], -1);
    log->inactive_since_us = log->active ? 0 : number(&cells[INACTIVE_SINCE], 0);
    log->lost = strcmp(log->state, "lost") == 0 || *reason;
    log->known = !log->lost && log->retained >= 0;
    if (log->lost)
        snprintf(log->why, sizeof log->why,
                 "slot %s is lost%s%s: its WAL is gone, and the connector can't go on from it",
                 log->slot, *reason ? ": " : "", reason);
}

static enum ods_status read_slots(struct source_logs *logs, struct database *database,
                                  struct error *error)
{
    const char *slot = database->settings->slot;
    const struct field *cells;
    struct source_place end = {0};
    struct buffer sql;
    buffer_init(&sql);
    buffer_puts(&sql, slots);
    if (*slot) {
        buffer_puts(&sql, " and s.slot_name = ");
        database->ops->literal(database, &sql, NULL, slot, strlen(slot));
    }
    enum ods_status status = database->ops->place(database, &end, error);
    if (status == ODS_OK)
        status = sql.failed ? error_out_of_memory(error)
                            : database->ops->query(database, buffer_text(&sql), error);
    buffer_done(&sql);
    while (status == ODS_OK) {
        status = database->ops->next(database, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        struct source_log *log = add(logs);
        if (!log)
            return error_out_of_memory(error);
        take_slot(log, cells);
    }
    if (status == ODS_OK && !logs->count) {
        struct source_log *log = add(logs);
        if (!log)
            return error_out_of_memory(error);
        log->lost = log->absent = true;
        log->active = false;
        snprintf(log->slot, sizeof log->slot, "%s", slot);
        snprintf(log->why, sizeof log->why,
                 "it has no %s%s: the connector has not begun, or its slot was dropped, and what "
                 "changed since is lost to it",
                 *slot ? "logical replication slot " : "logical replication slot", slot);
    }
    for (size_t i = 0; i < logs->count; i++) {
        logs->items[i].clock_us = end.clock_us;
        logs->items[i].end = (int64_t) end.position;
    }
    return status;
}

/* --- MySQL ----------------------------------------------------------------------------------- */

/* Each row of a query. */
static enum ods_status each(struct database *database, const char *sql,
                            void (*take)(struct source_log *log, const struct field *cells),
                            struct source_log *log, struct error *error)
{
    const struct field *cells;
    enum ods_status status = database->ops->query(database, sql, error);
    while (status == ODS_OK) {
        status = database->ops->next(database, &cells, error);
        if (status != ODS_OK || !cells)
            break;
        take(log, cells);
    }
    return status;
}

/* expire_logs_days counts where the other one is 0 or not there. */
static void take_expiry(struct source_log *log, const struct field *cells)
{
    char name[64];
    copy(name, sizeof name, &cells[0]);
    int64_t value = number(&cells[1], 0);
    bool days = strcmp(name, "expire_logs_days") == 0;
    if (log->expires_ms < 0)
        log->expires_ms = 0;
    if (value > 0 && (!days || !log->expires_ms))
        log->expires_ms = value * (days ? 86400000 : 1000);
}

/* Files come from the oldest to the newest. */
static void take_file(struct source_log *log, const struct field *cells)
{
    struct source_place file = {0}, place = log->place;
    int64_t bytes = number(&cells[1], 0);
    copy(file.file, sizeof file.file, &cells[0]);
    if (!*log->oldest) {
        snprintf(log->oldest, sizeof log->oldest, "%s", file.file);
        log->oldest_bytes = bytes;
        log->end = log->kept = log->retained = 0;
    }
    snprintf(log->newest, sizeof log->newest, "%s", file.file);
    log->end += bytes;
    place.position = 0;
    int order = source_place_compare(&file, &place);
    int64_t before = order < 0 ? bytes : order > 0 ? 0 : (int64_t) log->place.position;
    if (before > bytes)
        before = bytes;
    log->kept += before;
    log->retained += bytes - before;
    log->known |= order == 0;
}

static void judge(struct source_log *log)
{
    struct source_place oldest = {0};
    snprintf(oldest.file, sizeof oldest.file, "%s", log->oldest);
    if (!*log->oldest) {
        snprintf(log->why, sizeof log->why, "it has no binary log");
    } else if (!log->place.known) {
        snprintf(log->why, sizeof log->why,
                 "no record names a place in the binary log (flattened records do so with "
                 "add.fields=…,source.file,source.pos)");
    } else if (!log->known && source_place_compare(&log->place, &oldest) < 0) {
        log->lost = true;
        snprintf(log->why, sizeof log->why,
                 "the connector has come to %.100s:%llu, as far as is known, and the binary log "
                 "begins with %.100s: one that stands there can't go on",
                 log->place.file, (unsigned long long) log->place.position, log->oldest);
    } else if (!log->known) {
        snprintf(log->why, sizeof log->why,
                 "the connector has come to %.100s:%llu, which this server's binary log, %.60s to "
                 "%.60s, has not: is it another server?",
                 log->place.file, (unsigned long long) log->place.position, log->oldest,
                 log->newest);
    }
    log->unread = log->retained;
    if (!log->known)
        log->retained = log->unread = log->kept = -1;
}

static enum ods_status read_files(struct source_logs *logs, struct database *database,
                                  const struct source_place *place, struct error *error)
{
    struct source_log *log = add(logs);
    struct source_place end = {0};
    if (!log)
        return error_out_of_memory(error);
    log->place = *place;
    enum ods_status status = database->ops->place(database, &end, error);
    log->clock_us = end.clock_us;
    if (status == ODS_OK)
        status = each(database,
                      "show global variables where variable_name in "
                      "('binlog_expire_logs_seconds', 'expire_logs_days')",
                      take_expiry, log, error);
    if (status == ODS_OK)
        status = each(database, "show binary logs", take_file, log, error);
    if (status == ODS_OK)
        judge(log);
    else if (status != ODS_RETRY)
        error_prefix(error, "its binary log can't be read (grant replication client): ");
    return status;
}

enum ods_status source_logs_read(struct source_logs *logs, struct database *database,
                                 const struct source_place *place, struct error *error)
{
    source_logs_done(logs);
    return strcmp(database->ops->type, "mysql") == 0 ? read_files(logs, database, place, error)
                                                     : read_slots(logs, database, error);
}
