/* Orders about single tables, which operators give while a group's processes run: a table is held,
 * and goes on. The target keeps them, so that they hold on all machines and over restarts.
 *
 * What is held is a topic: offsets and order are those of its partitions. A target that keeps
 * orders has sink_ops.control; each call takes a sink that is entered by one thread, never a
 * lane's.
 */
#ifndef ODS_CONTROL_H
#define ODS_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ods/setting.h>
#include <ods/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sink;
struct position; /* ods/sink.h */

enum order_state {
    ORDER_RUNNING, /* as if there were no order */
    ORDER_PAUSED,
    ORDER_RESYNC, /* held for the moment in which a table is exchanged */
    ORDER_STATES
};
const char *order_state_name(enum order_state state); /* "running", "paused", "resync" */

/* The last order about a topic that is held. */
struct order {
    char *topic;
    enum order_state state;
    char *table; /* as the operator calls it */
    char *reason, *by;
    int64_t at_us; /* by the target's clock */
};

/* Those of a group. */
struct orders {
    int64_t number; /* of the last one, grows with each; 0: there never was one */
    struct order *items; /* sorted by topic */
    size_t count, capacity;
};

void orders_done(struct orders *orders); /* zeroed is fine, and is what is left */
/* Copies the texts; behind the others, in order. False: out of memory. */
bool orders_add(struct orders *orders, const struct order *order);
const struct order *orders_find(const struct orders *orders, const char *topic); /* NULL: runs */

/* A process of a group, as it tells others of itself. */
struct control_member {
    char name[128]; /* of its own: host, process */
    int32_t lanes;
    int64_t confirmed; /* number of the last order that all its lanes obey, -1: none */
};

struct control_members {
    struct control_member *items;
    size_t count;
};

/* One that has not confirmed the order yet; NULL: all have. */
const struct control_member *control_members_late(const struct control_members *members,
                                                  int64_t number);

/* A process of a group as its operators see it; texts that are longer are cut. */
struct fleet_member {
    char name[128]; /* as in struct control_member */
    char pipeline[128], host[64], version[32];
    char address[320]; /* of its page; "": it has none */
    char state[32], level[8], says[640];
    char assigned[2048]; /* "topic 0-3, 5; topic …" */
    int64_t process;
    int32_t lanes, partitions;
    int64_t lag; /* -1: not known */
    double rate; /* changes a second */
    int64_t started_us, beat_us;
    double silent_s; /* since its last beat, by the target's clock */
};

struct fleet_members {
    struct fleet_member *items;
    size_t count;
};

/* What is ordered. */
struct control_request {
    struct strings topics;
    bool allowed[ORDER_STATES]; /* the states that it is meant for */
    enum order_state state;
    const char *table;
    const char *action, *details; /* for the history: "skip-until", "partition 0 from 7 to 9" */
    const char *reason, *by;
};

/* What somebody is about to do, for the target's audit. */
struct audit {
    const char *who, *origin; /* the operator or user; the address, or "command" */
    const char *action, *pipeline;
    const char *table;             /* "": it is about the pipeline */
    const struct strings *topics;
    const char *reason;
};

/* Which table a topic carries, as far as the group has moved rows of it. */
struct topic_table {
    char *topic;
    char *database, *schema, *table; /* of the source; "" where it has none */
    char *target_schema, *target_table;
};

struct topic_tables {
    struct topic_table *items;
    size_t count;
};
void topic_tables_done(struct topic_tables *tables);
/* Is the row's table called so: "table", "schema.table", "database.table", "database.schema.table",
 * by the source's names or the target's? */
bool topic_table_is(const struct topic_table *table, const char *name);

/* Up to when what a topic carries is complete; sorted by topic, as strcmp() does. */
struct topic_complete {
    char *topic;
    int64_t complete_us; /* by the source's clock; INT64_MIN: not known */
};

struct topics_complete {
    struct topic_complete *items;
    size_t count;
};
void topics_complete_done(struct topics_complete *topics); /* zeroed is fine, and is what is left */
/* INT64_MIN: not known. */
int64_t topics_complete_us(const struct topics_complete *topics, const char *topic);

/* A table that is made anew beside the one that is read, which it takes the place of then. */
struct shadow {
    const char *schema, *table; /* the one that is read */
    char name[64];              /* its own, in the same schema; by shadow_make() */
    const char *group;          /* under which its offsets are stored, as of any group */
    bool in_place;              /* the other's rows are replaced, not the table itself */
};

/* What shadow_exchange() ends with. */
enum exchange {
    EXCHANGED,
    EXCHANGE_BEHIND, /* the shadow does not stand where the table does */
};

/* Each answers ODS_RETRY while the target is away. */
struct control_ops {
    /* For processes, behind watch(): what is to be done from time to time, whether changes come or
     * not. *failed: some of it could not be done and is tried again at the next call; the error
     * says what. NULL: there is nothing. */
    enum ods_status (*tend)(struct sink *sink, bool *failed, struct error *error);
    /* The same, every few seconds: partitions of the process that were seen at their ends since the
     * call before, each with that offset, and with OFFSET_NONE those that were not. NULL: the
     * target does not keep up to when tables are complete. */
    enum ods_status (*freshen)(struct sink *sink, const struct position *places, size_t count,
                               struct error *error);
    /* The same: up to when the topics of the whole group are complete. NULL as freshen(). */
    enum ods_status (*complete)(struct sink *sink, struct topics_complete *topics,
                                struct error *error);
    /* For processes, about once a second: connect if need be, tell what `self` has confirmed, and
     * read the orders into *orders if there are new ones. The process counts as one of the group's
     * for as long as the sink stays connected. */
    enum ods_status (*watch)(struct sink *sink, const struct control_member *self,
                             struct orders *orders, struct error *error);

    /* For processes, every few seconds, behind watch(): the target keeps how `self` is; *all are
     * the group's processes that told so within the last hour, self among them; free(all->items).
     * ODS_FATAL, ODS_REJECT: a right is missing. NULL: the target keeps nothing of it. */
    enum ods_status (*beat)(struct sink *sink, const struct fleet_member *self,
                            struct fleet_members *all, struct error *error);
    /* It ends; where the target is not connected nothing is done. NULL as beat(). */
    enum ods_status (*part)(struct sink *sink, const char *name, struct error *error);

    /* For operators, once connected. ODS_REJECT: a topic is in another state, error says in which.
     * *number is what each process is to confirm. */
    enum ods_status (*order)(struct sink *sink, const struct control_request *request,
                             int64_t *number, struct error *error);
    enum ods_status (*orders)(struct sink *sink, struct orders *orders, struct error *error);
    /* The processes that are there; free(members->items). */
    enum ods_status (*members)(struct sink *sink, struct control_members *members,
                               struct error *error);
    /* Wait for what still moves offsets of these topics, be it of processes that are gone. */
    enum ods_status (*settle)(struct sink *sink, const struct strings *topics,
                              struct error *error);
    enum ods_status (*tables)(struct sink *sink, struct topic_tables *tables,
                              struct error *error);

    /* Keep that something is about to be done: *id is the row's, for the answer that follows. */
    enum ods_status (*audit_begin)(struct sink *sink, const struct audit *audit, int64_t *id,
                                   struct error *error);
    enum ods_status (*audit_end)(struct sink *sink, int64_t id, const char *answer,
                                 struct error *error);

    /* Begin a shadow (*begun), or go on with one that is there. Rows get into it as into any table.
     * ODS_REJECT: it could not take the table's place, error says why. */
    enum ods_status (*shadow_make)(struct sink *sink, struct shadow *shadow, bool *begun,
                                   struct error *error);
    /* How many rows both have; and what a table needs to be read well is done. */
    enum ods_status (*shadow_count)(struct sink *sink, const struct shadow *shadow, int64_t *old,
                                    int64_t *new_, struct error *error);
    /* The shadow gets the table's rows that are marked deleted in this column, unless it has rows
     * of their keys. */
    enum ods_status (*shadow_keep)(struct sink *sink, const struct shadow *shadow,
                                   const char *operation, struct error *error);
    /* In one transaction: the exchange, and the order by which the topics, held by order `held`,
     * go on. ODS_REJECT: not as things are. */
    enum ods_status (*shadow_exchange)(struct sink *sink, const struct shadow *shadow,
                                       const struct control_request *request, int64_t held,
                                       enum exchange *exchange, int64_t *number,
                                       struct error *error);
    enum ods_status (*shadow_drop)(struct sink *sink, const struct shadow *shadow, bool *there,
                                   struct error *error);
};

#ifdef __cplusplus
}
#endif

#endif
