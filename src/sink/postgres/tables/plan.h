/* How a shape's columns go into a table of the target. A plan is made once for each shape, and then
 * found by the shape's number. */
#ifndef PLAN_H
#define PLAN_H

#include <string.h>

#include <ods/change.h>
#include <ods/sink.h>
#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/tables/making.h"
#include "sink/source_column.h"

#define PLAN_MAX_KEY    32
#define PLAN_MAX_TOPICS 8 /* topics with rows of one shape that are noted; more are not */

struct plan {
    const struct shape *shape;
    const struct table_settings *settings;
    const struct table_settings *configured; /* the same, or for a history those of its table */
    struct table_settings *own_settings; /* of a history; NULL: those of the configuration do */
    bool skip;                     /* the configuration leaves this table out */
    bool complete;                 /* resolved for rows, not just for deletes */
    bool tombstone;                /* resolved for a tombstone: its columns are its key's */
    struct error *refusal;         /* why the table can't take the rows; NULL: it can */
    int64_t ask_again_us;          /* when a refused table is looked at again */
    bool rigid;                    /* types can't be changed, e.g. because a view depends on them */
    char *key_stays;               /* why evolve could not give the table its key; or NULL */
    char *schema, *name;           /* of the target table */
    const char *topics[PLAN_MAX_TOPICS]; /* noted topics: struct record's pointers, only compared */
    uint32_t topic_count;
    struct pg_table *table;        /* NULL: it does not exist, and no change has needed it yet */
    unsigned epoch;                /* the epoch in which the table was looked for */
    uint32_t column_count;         /* of the shape, which may be gone when the plan is freed */
    struct source_column *sources; /* the shape's columns, corrected */
    char **names;                  /* of the shape's columns in the target; NULL: left out */
    char **refusals;               /* texts to which `sources` points */
    struct error **meets; /* by column of the shape, why a row with a value in it is refused: the
                             name that a record has brought is another's; NULL: there is none */
    int32_t *target_of;            /* shape column -> table column, -1: left out */
    int32_t *source_of;            /* table column -> shape column, -1: not carried */
    uint32_t key_count;
    uint32_t key_source[PLAN_MAX_KEY];      /* shape columns */
    uint32_t key_target[PLAN_MAX_KEY];      /* table columns, in their order */
    bool spelt; /* equal keys may differ in their bytes; see spelling.h */
    bool asks;  /* only the target knows which keys are equal */
    int operation_column, timestamp_column; /* table columns, -1: off */
    int kept_operation, kept_time;          /* of a history: those of its own */
    uint64_t *columns; /* bit set of the table's columns that a full image writes */
};

struct plans {
    struct plan **items; /* by shape->id */
    size_t count;
    unsigned epoch; /* grows with each batch: a table that was missing is looked for again */
    unsigned passes; /* how often planning_find() has gone through a batch's changes */
    const struct sink_config *config;
    const struct making_settings *making;
    struct catalog *catalog;
    struct conn *conn;
};

/* What plan_find() is told about the batch, and where it puts what happens meanwhile. */
struct plan_listener {
    void (*notice)(void *context, const char *text); /* may be NULL */
    void *context;
    const struct batch *batch; /* its records make changes of tables necessary */
    const struct plan *const *plans; /* plans of its earlier changes, */
    uint32_t count;                  /* and how many those are */
    bool waits; /* out: the change is to wait until the earlier ones are applied */
    bool later; /* out: call again once the plans of the earlier ones are valid again */
    struct apply_result *result;
};

/* Is one of the listener's earlier changes for this table? */
bool plan_comes_first(const struct plan_listener *listener, const struct pg_table *table);

void plans_init(struct plans *plans, const struct sink_config *config,
                const struct making_settings *making, struct catalog *catalog, struct conn *conn);
void plans_clear(struct plans *plans);

/* Finds the plan for a change, and makes tables and columns where the configuration says so.
 * *changed is set when that frees a plan or a table to which earlier answers may point: the caller
 * then asks for all of them again. */
enum ods_status plan_find(struct plans *plans, const struct change *change,
                          struct plan_listener *listener, struct plan **plan, bool *changed,
                          struct error *error);

/* The plan for rows of a shape with the target as it is: nothing is made, claimed or changed, and a
 * key that is not the table's is no refusal. (*plan)->table is NULL: the table does not exist. */
enum ods_status plan_look(struct plans *plans, const struct shape *shape, struct plan **plan,
                          struct error *error);

/* Does this column of the shape belong to the key of its rows? */
bool plan_is_key(const struct plan *plan, uint32_t column);

/* Adds a column to the key, which is kept in the table's order. */
void plan_add_key(struct plan *plan, uint32_t source, uint32_t target);

/* Is it one of the columns that a history has beside its source's? */
static inline bool plan_is_added(const struct plan *plan, uint32_t column)
{
    return plan->shape->history_of && column >= plan->shape->history_of->column_count;
}

/* Do both plans identify a row by the same columns? */
static inline bool plan_same_key(const struct plan *one, const struct plan *other)
{
    return one == other || (one->key_count == other->key_count &&
                            memcmp(one->key_target, other->key_target,
                                   one->key_count * sizeof *one->key_target) == 0);
}

static inline size_t plan_words(const struct pg_table *table)
{
    return (table->column_count + 63) / 64;
}

#endif
