/* How a shape's columns go into a target table: resolved once per shape, then a pointer. */
#ifndef PLAN_H
#define PLAN_H

#include <string.h>

#include <ods/change.h>
#include <ods/sink.h>
#include "sink/postgres/tables/catalog.h"
#include "sink/postgres/tables/making.h"
#include "sink/postgres/tables/source_column.h"

#define PLAN_MAX_KEY    32
#define PLAN_MAX_TOPICS 8 /* that bring rows of one shape; more are not noted */

struct plan {
    const struct shape *shape;
    const struct table_settings *settings;
    bool skip;                     /* the configuration leaves this table out */
    bool complete;                 /* resolved for rows, not just for deletes */
    bool tombstone;                /* resolved for a tombstone: its columns are its key's */
    struct error *refusal;         /* why the table can't be made to hold the rows; NULL: it can */
    int64_t ask_again_us;          /* when that may have changed */
    bool rigid;                    /* something holds the types of the table's columns */
    char *key_stays;               /* why evolve could not give the table its key; or NULL */
    char *schema, *name;           /* of the target table */
    const char *topics[PLAN_MAX_TOPICS]; /* noted for it, as in struct record; compared, not read */
    uint32_t topic_count;
    struct pg_table *table;        /* NULL: not there, and nothing so far needed it */
    unsigned epoch;                /* when that was looked up */
    uint32_t column_count;         /* of the shape, which may be gone when the plan is freed */
    struct source_column *sources; /* the shape's columns, corrected */
    char **names;                  /* of the shape's columns in the target; NULL: left out */
    char **refusals;               /* texts that sources point to */
    int32_t *target_of;            /* shape column -> table column, -1: left out */
    int32_t *source_of;            /* table column -> shape column, -1: not carried */
    uint32_t key_count;
    uint32_t key_source[PLAN_MAX_KEY];      /* shape columns */
    uint32_t key_target[PLAN_MAX_KEY];      /* table columns, in their order */
    bool spelt; /* equal keys may differ in their bytes; see spelling.h */
    bool asks;  /* and only the target knows */
    int operation_column, timestamp_column; /* table columns, -1: off */
    uint64_t *columns; /* bit set of the table's columns that a full image writes */
};

struct plans {
    struct plan **items; /* by shape->id */
    size_t count;
    unsigned epoch; /* grows with each batch: a table that was missing is looked for again */
    unsigned passes; /* through the changes of a batch */
    const struct sink_config *config;
    const struct making_settings *making;
    struct catalog *catalog;
    struct conn *conn;
};

/* Who wants to hear what happened on the way. */
struct plan_listener {
    void (*notice)(void *context, const char *text); /* may be NULL */
    void *context;
    const struct batch *batch; /* whose records make changes necessary */
    const struct plan *const *plans; /* of its changes before this one */
    uint32_t count;
    bool waits; /* out: the change is to wait until those are applied */
    bool later; /* out: ask again when their plans are valid again */
    struct apply_result *result;
};

/* Is one of the listener's earlier changes of this table? */
bool plan_comes_first(const struct plan_listener *listener, const struct pg_table *table);

void plans_init(struct plans *plans, const struct sink_config *config,
                const struct making_settings *making, struct catalog *catalog, struct conn *conn);
void plans_clear(struct plans *plans);

/* The plan for a change, making tables and columns where the configuration says so. *changed is set
 * when that replaced a plan or a table that earlier answers may point to: ask for all of them
 * again. */
enum ods_status plan_find(struct plans *plans, const struct change *change,
                          struct plan_listener *listener, struct plan **plan, bool *changed,
                          struct error *error);

/* The plan for rows of a shape with the target as it is: nothing is made, claimed or evolved, and a
 * key that is not the table's is no refusal. (*plan)->table is NULL: it is not there. */
enum ods_status plan_look(struct plans *plans, const struct shape *shape, struct plan **plan,
                          struct error *error);

/* Does this column of the shape belong to the key of its rows? */
bool plan_is_key(const struct plan *plan, uint32_t column);

/* Do both know a row by the same columns? */
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
