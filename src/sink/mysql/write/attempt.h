/* One attempt to write a batch in one transaction. See apply.c. */
#ifndef MYSQL_ATTEMPT_H
#define MYSQL_ATTEMPT_H

#include "sink/mysql/fold/fold.h"
#include "sink/mysql/wire/session.h"
#include "sink/mysql/write/own.h"

struct mysql_settings {
    struct mysql_session_settings session;
    const char *schema; /* of the table with the offsets; "": the dsn's database */
    bool load_data;
};

/* Loads that the server did not take as they were, in a row, and how many groups go by statements
 * until it is tried again. */
struct mysql_patience {
    unsigned failures, waits;
};

/* The sink of one lane; entered by its writer thread. */
struct mysql_sink {
    struct sink sink;
    struct sink_config config;
    const struct mysql_settings *settings;
    struct mysql_conn conn; /* the rows' transaction */
    struct mysql_conn ddl;  /* tables are made and changed here, since that commits */
    struct mysql_own own;
    struct mysql_catalog catalog;
    struct mysql_plans plans;
    unsigned generation;  /* of the session through which the catalog was read */
    int64_t read_us;      /* when it was begun to be read */
    struct arena scratch; /* memory of one attempt */
    struct buffer sql, tail, data;
    struct mysql_patience new_loads, replacing_loads;
    unsigned transaction; /* grows with each; 0: there was none */
    const struct mysql_plan **change_plans; /* by change */
    size_t change_plan_capacity;
};

/* What follows an attempt that did not commit. */
enum mysql_next {
    MYSQL_NEXT_ANSWER, /* the caller gets the status */
    MYSQL_NEXT_FOLD,   /* changes were set aside: without them */
    MYSQL_NEXT_HOLD,   /* rows wait for rows of other transactions: with those before them */
    MYSQL_NEXT_REREAD, /* a table is not as the catalog has it */
};

/* A row or a change that a unique or foreign key refuses, and that may be right. */
struct mysql_pending {
    struct mysql_group *group; /* NULL: a truncate, or a change of a table without a key */
    uint32_t index;            /* of its rows */
    uint32_t change; /* the source's order */
    bool again;      /* it may go in later in the batch; else what came after it is in its way */
    bool written;
    struct error why;
};

struct mysql_attempt {
    struct mysql_sink *sink;
    struct batch *batch;
    const struct apply_hooks *hooks;
    struct apply_result *result;
    struct mysql_fold fold;
    struct mysql_encoding encoding;
    struct mysql_pending *pending;
    uint32_t pending_count, pending_capacity;
    enum mysql_next next;
    bool reread;      /* the catalog was read again because of this batch */
    bool commit_sent;
    struct error why; /* of the first row that waits */
    struct error *error;
};

/* Writes the rows of a group, in statements of many; those that the server refuses are set aside or
 * become pending, and the others are written. ODS_REJECT: attempt->next says what follows. */
enum ods_status mysql_rows_write(struct mysql_attempt *attempt, struct mysql_group *group,
                                 uint32_t first, uint32_t last);
/* One row, which is not made pending again. ODS_REJECT: *attempt->error says why. */
enum ods_status mysql_rows_try(struct mysql_attempt *attempt, struct mysql_group *group,
                               uint32_t index);
/* Sets a row's change aside. */
enum ods_status mysql_rows_refuse(struct mysql_attempt *attempt, struct mysql_row *row,
                                  const struct error *why);
/* The same of a change that stands for no row. */
enum ods_status mysql_change_refuse(struct mysql_attempt *attempt, uint32_t change,
                                    const struct error *why);

/* Rows of a group by LOAD DATA, as many as may go so and the server takes as they are: *first is
 * behind them, and those from there on are not written. */
enum ods_status mysql_load_group(struct mysql_attempt *attempt, struct mysql_group *group,
                                 uint32_t *first);

/* Are so many upserts worth a load that replaces, and does the server take loads? */
bool mysql_load_may_replace(const struct mysql_attempt *attempt, uint32_t rows);

/* The changes of a table without a key. */
enum ods_status mysql_loose_write(struct mysql_attempt *attempt, struct mysql_work *work);

/* A row, or what has no group, waits. */
enum ods_status mysql_blocked_add(struct mysql_attempt *attempt, struct mysql_group *group,
                                  uint32_t index, uint32_t change, const struct error *why);
/* May the row be written behind what follows it in the batch? */
bool mysql_blocked_can_wait(enum mysql_group_kind kind, const struct mysql_row *row);
/* Tries what is pending again, sorts out rows that hold each other's values, and holds or sets
 * aside what is left. */
enum ods_status mysql_blocked_settle(struct mysql_attempt *attempt);

#endif
