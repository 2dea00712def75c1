/* The statements behind struct control_ops. See control.h and sql/ods_sink.sql. */
#include "sink/postgres/control/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/postgres/wire/own_schema.h"
#include "sink/postgres/wire/quote.h"
#include "sql/postgres/control_any.h"
#include "sql/postgres/control_confirm.h"
#include "sql/postgres/control_enter.h"
#include "sql/postgres/control_members.h"
#include "sql/postgres/control_order.h"
#include "sql/postgres/control_read.h"
#include "sql/postgres/control_settle.h"
#include "sql/postgres/control_tables.h"

static enum ods_status run(struct conn *conn, const char *sql, int count,
                           const char *const *values, struct error *error)
{
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql, count, values, &rows, error);
    PQclear(rows);
    return status;
}

/* --- reading orders -------------------------------------------------------------------------- */

static enum order_state state_named(const char *name)
{
    enum order_state state = ORDER_PAUSED; /* also for a state that only a later version knows */
    for (enum order_state at = ORDER_RUNNING; at < ORDER_STATES; at++)
        if (strcmp(name, order_state_name(at)) == 0)
            state = at;
    return state;
}

static bool take_orders(const PGresult *rows, struct orders *orders)
{
    bool good = true;
    for (int row = 0; good && row < PQntuples(rows); row++) {
        const struct order order = {.topic = PQgetvalue(rows, row, 1),
                                    .state = state_named(PQgetvalue(rows, row, 2)),
                                    .table = PQgetvalue(rows, row, 3),
                                    .reason = PQgetvalue(rows, row, 4),
                                    .by = PQgetvalue(rows, row, 5),
                                    .at_us = strtoll(PQgetvalue(rows, row, 6), NULL, 10)};
        if (!PQgetisnull(rows, row, 1))
            good = orders_add(orders, &order);
    }
    return good;
}

/* Replaces the known orders only when newer ones were read completely. */
static enum ods_status read_newer(struct conn *conn, const char *group, struct orders *orders,
                                  int64_t known, struct error *error)
{
    char number[24];
    const char *values[] = {group, number};
    PGresult *rows = NULL;
    snprintf(number, sizeof number, "%lld", (long long) known);
    enum ods_status status = own_query(conn, sql_control_read, 2, values, &rows, error);
    int64_t last = status == ODS_OK ? strtoll(PQgetvalue(rows, 0, 0), NULL, 10) : known;
    if (status == ODS_OK && last != known) {
        struct orders newer = {.number = last};
        if (take_orders(rows, &newer)) {
            orders_done(orders);
            *orders = newer;
        } else {
            orders_done(&newer);
            status = error_out_of_memory(error);
        }
    }
    PQclear(rows);
    return status;
}

enum ods_status control_read(struct conn *conn, const char *group, struct orders *orders,
                             struct error *error)
{
    return read_newer(conn, group, orders, -1, error);
}

/* --- a process ------------------------------------------------------------------------------- */

static enum ods_status enter(struct watching *watching, struct conn *conn, const char *group,
                             const struct control_member *self, struct error *error)
{
    char lanes[24];
    const char *values[] = {group, self->name, lanes};
    if (watching->generation == conn->generation)
        return ODS_OK;
    snprintf(lanes, sizeof lanes, "%d", (int) self->lanes);
    enum ods_status status = run(conn, sql_control_enter, 3, values, error);
    if (status == ODS_OK)
        *watching = (struct watching){.generation = conn->generation, .confirmed = -1};
    return status;
}

static enum ods_status confirm(struct watching *watching, struct conn *conn, const char *group,
                               const struct control_member *self, struct error *error)
{
    char number[24];
    const char *values[] = {group, self->name, number};
    if (watching->confirmed == self->confirmed)
        return ODS_OK;
    snprintf(number, sizeof number, "%lld", (long long) self->confirmed);
    enum ods_status status = run(conn, sql_control_confirm, 3, values, error);
    if (status == ODS_OK)
        watching->confirmed = self->confirmed;
    return status;
}

enum ods_status control_watch(struct watching *watching, struct conn *conn, const char *group,
                              const struct control_member *self, struct orders *orders,
                              struct error *error)
{
    enum ods_status status = enter(watching, conn, group, self, error);
    if (status == ODS_OK)
        status = confirm(watching, conn, group, self, error);
    return status == ODS_OK ? read_newer(conn, group, orders, orders->number, error) : status;
}

static enum ods_status any_held(struct conn *conn, const char *group, const char *topics,
                                bool *held, struct error *error)
{
    const char *values[] = {group, topics};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_control_any, 2, values, &rows, error);
    *held = status == ODS_OK && PQgetvalue(rows, 0, 0)[0] == 't';
    PQclear(rows);
    return status;
}

enum ods_status control_holds(struct conn *conn, const char *group, const struct batch *batch,
                              bool *held, struct error *error)
{
    struct buffer topics;
    buffer_init(&topics);
    for (uint32_t i = 0; i < batch->claim_count; i++)
        quote_array_put(&topics, batch->claims[i].topic);
    quote_array_end(&topics);
    enum ods_status status = topics.failed
                                 ? error_out_of_memory(error)
                                 : any_held(conn, group, buffer_text(&topics), held, error);
    buffer_done(&topics);
    return status;
}

/* --- an operator ----------------------------------------------------------------------------- */

static void allowed_of(struct buffer *array, const struct control_request *request)
{
    buffer_init(array);
    for (enum order_state state = ORDER_RUNNING; state < ORDER_STATES; state++)
        if (request->allowed[state])
            quote_array_put(array, order_state_name(state));
    quote_array_end(array);
}

enum ods_status control_order(struct conn *conn, const char *group,
                              const struct control_request *request, int64_t *number,
                              struct error *error)
{
    struct buffer topics, allowed;
    PGresult *rows = NULL;
    quote_array(&topics, &request->topics);
    allowed_of(&allowed, request);
    const char *values[] = {group,           buffer_text(&topics), buffer_text(&allowed),
                            order_state_name(request->state),
                            request->table,  request->action,      request->details,
                            request->reason, request->by};
    enum ods_status status = topics.failed || allowed.failed
                                 ? error_out_of_memory(error)
                                 : own_query(conn, sql_control_order, 9, values, &rows, error);
    if (status == ODS_OK && !PQgetisnull(rows, 0, 1))
        status = error_set(error, ODS_REJECT, "%s", PQgetvalue(rows, 0, 1));
    else if (status == ODS_OK)
        *number = strtoll(PQgetvalue(rows, 0, 0), NULL, 10);
    PQclear(rows);
    buffer_done(&topics);
    buffer_done(&allowed);
    return status;
}

enum ods_status control_members(struct conn *conn, const char *group,
                                struct control_members *members, struct error *error)
{
    const char *values[] = {group};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_control_members, 1, values, &rows, error);
    size_t count = status == ODS_OK ? (size_t) PQntuples(rows) : 0;
    *members = (struct control_members){.items = calloc(count + 1, sizeof *members->items)};
    if (status == ODS_OK && !members->items)
        status = error_out_of_memory(error);
    for (int row = 0; status == ODS_OK && row < (int) count; row++) {
        struct control_member *member = &members->items[members->count++];
        snprintf(member->name, sizeof member->name, "%s", PQgetvalue(rows, row, 0));
        member->lanes = (int32_t) strtol(PQgetvalue(rows, row, 1), NULL, 10);
        member->confirmed = strtoll(PQgetvalue(rows, row, 2), NULL, 10);
    }
    PQclear(rows);
    return status;
}

enum ods_status control_settle(struct conn *conn, const char *group, const struct strings *topics,
                               struct error *error)
{
    struct buffer array;
    quote_array(&array, topics);
    const char *values[] = {group, buffer_text(&array)};
    enum ods_status status = array.failed ? error_out_of_memory(error)
                                          : run(conn, sql_control_settle, 2, values, error);
    buffer_done(&array);
    return status;
}

static bool take_table(const PGresult *rows, int row, struct topic_table *table)
{
    char **const texts[] = {&table->topic, &table->database,      &table->schema,
                            &table->table, &table->target_schema, &table->target_table};
    bool good = true;
    for (int i = 0; i < (int) (sizeof texts / sizeof *texts); i++)
        good &= (*texts[i] = strdup(PQgetvalue(rows, row, i))) != NULL;
    return good;
}

enum ods_status control_tables(struct conn *conn, const char *group, struct topic_tables *tables,
                               struct error *error)
{
    const char *values[] = {group};
    PGresult *rows = NULL;
    enum ods_status status = own_query(conn, sql_control_tables, 1, values, &rows, error);
    size_t count = status == ODS_OK ? (size_t) PQntuples(rows) : 0;
    *tables = (struct topic_tables){.items = calloc(count + 1, sizeof *tables->items)};
    bool good = tables->items != NULL;
    while (good && tables->count < count) {
        good = take_table(rows, (int) tables->count, &tables->items[tables->count]);
        tables->count++;
    }
    PQclear(rows);
    if (good && status == ODS_OK)
        return ODS_OK;
    topic_tables_done(tables);
    return status == ODS_OK ? error_out_of_memory(error) : status;
}
