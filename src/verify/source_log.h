/* What a source database's log keeps for its connector: a slot of PostgreSQL and the WAL behind it,
 * or MySQL's binary log from the connector's place on. Only reads. */
#ifndef SOURCE_LOG_H
#define SOURCE_LOG_H

#include "verify/database.h"

/* A count of bytes is -1 where it is not known. */
struct source_log {
    char slot[64];   /* PostgreSQL's; "": a binary log, or there is no slot */
    bool known;      /* how far the connector has read is known; if not, see `why` */
    bool lost;       /* the log no longer has that place; see `why` */
    bool absent;     /* there is no slot: lost, unless the connector has not begun */
    bool active;     /* somebody reads the slot; true for a binary log, which can't tell */
    char state[32];  /* wal_status; "" */
    int64_t clock_us; /* the source's clock when the log was read */
    int64_t inactive_since_us; /* by the server (17 and later), 0: it is active, or not known */
    int64_t end;      /* bytes: PostgreSQL's that were ever written, MySQL's that are there */
    int64_t retained; /* from the connector's place to the end: what the server keeps for it */
    int64_t unread;   /* from what the connector has confirmed to the end */
    int64_t safe;     /* how much more may be written before the place is lost; PostgreSQL */
    int64_t kept;     /* from the oldest byte to the connector's place; MySQL */
    int64_t expires_ms; /* until a file of the binary log is purged, 0: never, -1: not known */
    char oldest[256], newest[256]; /* files of the binary log; "" */
    int64_t oldest_bytes;
    struct source_place place;     /* the connector's, of a binary log */
    char why[400];
};

struct source_logs {
    struct source_log *items;
    size_t count;
};

/* `place`: the latest that a record of the connector names, for a binary log. PostgreSQL has one of
 * each logical slot of the database, or of the one that is configured. */
enum ods_status source_logs_read(struct source_logs *logs, struct database *database,
                                 const struct source_place *place, struct error *error);
void source_logs_done(struct source_logs *logs); /* also for a zeroed one; leaves it zeroed */

#endif
