/* How a shape's columns go into a table of the target. Made once for each shape. */
#ifndef MYSQL_PLAN_H
#define MYSQL_PLAN_H

#include <ods/change.h>
#include <ods/sink.h>

#include "sink/mysql/tables/catalog.h"
#include "sink/source_column.h"

#define MYSQL_MAX_KEY 16 /* columns of an InnoDB index */

struct mysql_plan {
    const struct shape *shape;
    const struct table_settings *settings;
    bool skip;             /* the configuration leaves this table out */
    bool complete;         /* resolved for rows, not for deletes alone */
    struct error *refusal; /* every change of the shape is a letter, and why; NULL: none is */
    char *schema, *name;   /* of the target's table */
    struct mysql_table *table; /* NULL: it is not there, and no row has needed it yet */
    struct source_column *sources; /* the shape's columns, as the settings correct them */
    char **names;          /* of the shape's columns in the target; NULL: left out */
    uint32_t column_count; /* of the shape, which may be gone when the plan is freed */
    int64_t look_again_us; /* when a refused or missing table is looked at again; 0: never */
    int32_t *target_of;    /* by the shape's column: the table's, -1: left out */
    int32_t *source_of;    /* by the table's column: the shape's, -1: not carried */
    uint32_t key_count;    /* 0: rows have no key */
    uint32_t key_source[MYSQL_MAX_KEY]; /* the shape's columns */
    uint32_t key_target[MYSQL_MAX_KEY]; /* the table's */
    bool spelt; /* equal keys may differ in their bytes: a column of the key is collated */
    int operation_column, timestamp_column; /* the table's cdc columns, -1: off */
};

struct mysql_plans {
    struct mysql_plan **items; /* by shape->id */
    size_t count;
    const struct sink_config *config;
    struct mysql_catalog *catalog;
    struct mysql_conn *conn; /* reads */
    struct mysql_conn *ddl;  /* makes and changes tables, outside of any transaction */
};

void mysql_plans_init(struct mysql_plans *plans, const struct sink_config *config,
                      struct mysql_catalog *catalog, struct mysql_conn *conn,
                      struct mysql_conn *ddl);
void mysql_plans_clear(struct mysql_plans *plans); /* before the catalog is cleared */

/* Who is told what happens meanwhile. */
struct mysql_plan_listener {
    void (*notice)(void *context, const char *text); /* may be NULL */
    void *context;
    struct apply_result *result; /* tables_created, columns_added, columns_changed */
};

/* The plan for a change, before the batch's transaction begins. For a change with a row tables and
 * columns are made where the configuration says so, by `ddl`. *stale: the catalog was changed, so
 * plans that were found before are freed and have to be asked for again. ODS_FATAL: configuration;
 * ODS_RETRY: an outage. What is the shape's own fault is plan->refusal, and no error. */
enum ods_status mysql_plan_find(struct mysql_plans *plans, const struct change *change,
                                const struct mysql_plan_listener *listener,
                                const struct mysql_plan **plan, bool *stale, struct error *error);

/* Schema and table in the target, on the heap; for sink_ops.name_table. */
enum ods_status mysql_name_table(const struct table_settings *settings, const struct shape *shape,
                                 char **schema, char **table, struct error *error);

/* --- for the files of this room ---------------------------------------------------------- */

/* Does this column of the shape belong to the key of its rows? */
bool mysql_plan_is_key(const struct mysql_plan *plan, uint32_t column);
/* Reads the table again, after it has changed or may have been. Other plans that point to it are
 * freed. */
enum ods_status mysql_plan_reload(struct mysql_plans *plans, struct mysql_plan *plan, bool *stale,
                                  struct error *error);
/* Makes the table, or changes it, where the configuration says so (evolve.c). `change` has a row.
 */
enum ods_status mysql_evolve(struct mysql_plans *plans, struct mysql_plan *plan,
                             const struct change *change,
                             const struct mysql_plan_listener *listener, bool *stale,
                             struct error *error);

#endif
