/* Up to when idle partitions are complete: see ods_sink.freshen() in sql/ods_sink.sql; and what
 * tables come to by that. */
#ifndef FRESHNESS_H
#define FRESHNESS_H

#include <ods/control.h>
#include <ods/sink.h>
#include "sink/postgres/wire/conn.h"

/* The heartbeats of connectors as they were read last, as texts of arrays. Zeroed: none. */
struct beats {
    struct buffer connectors, times;
};

void beats_done(struct beats *beats);

enum ods_status freshness_keep(struct beats *beats, struct conn *conn, const char *group,
                               const struct position *places, size_t count, struct error *error);
/* As control_ops.complete. */
enum ods_status freshness_read(struct conn *conn, const char *group,
                               struct topics_complete *topics, struct error *error);

#endif
