/* Orders about single tables, kept in the sink's own schema. See ods/control.h. */
#ifndef POSTGRES_CONTROL_H
#define POSTGRES_CONTROL_H

#include <ods/batch.h>
#include <ods/buffer.h>
#include <ods/control.h>

#include "sink/postgres/wire/conn.h"

/* What the target knows, through this session, about the process that watches for orders. */
struct watching {
    unsigned generation; /* of the connection in which the process is registered, 0: none */
    int64_t confirmed;
    bool fleet; /* the table is there in which it tells how it is */
};

enum ods_status control_watch(struct watching *watching, struct conn *conn, const char *group,
                              const struct control_member *self, struct orders *orders,
                              struct error *error);
enum ods_status control_order(struct conn *conn, const char *group,
                              const struct control_request *request, int64_t *number,
                              struct error *error);
enum ods_status control_read(struct conn *conn, const char *group, struct orders *orders,
                             struct error *error);
enum ods_status control_members(struct conn *conn, const char *group,
                                struct control_members *members, struct error *error);
enum ods_status control_settle(struct conn *conn, const char *group, const struct strings *topics,
                               struct error *error);
enum ods_status control_tables(struct conn *conn, const char *group, struct topic_tables *tables,
                               struct error *error);
/* *held: an order holds a topic of the batch. */
enum ods_status control_holds(struct conn *conn, const char *group, const struct batch *batch,
                              bool *held, struct error *error);

#endif
