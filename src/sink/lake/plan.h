/* How the rows of a shape go into a table: its name, columns and key. One plan a shape and lane. */
#ifndef LAKE_PLAN_H
#define LAKE_PLAN_H

#include "sink/lake/store.h"
#include "sink/source_column.h"

struct lake_plan {
    const struct shape *shape;
    const struct table_settings *settings;
    bool skip;
    bool appends;          /* each change is a row of its own */
    bool matches;          /* a table without a key whose updates and deletes nothing finds */
    bool incomplete;       /* a column without a type waits for its first value */
    struct error *refusal; /* why every change of the shape is a letter; NULL: it is none */
    int64_t look_again_us;
    char *schema, *name;
    char **names;                       /* by source column; NULL: it is left out */
    struct source_column *sources;      /* by source column */
    struct lake_table *table;           /* NULL: there is none */
    const struct lake_columns *columns; /* the table's, when the plan was made */
    int32_t *source_of;                 /* by the table's column; -1: the shape has none for it */
    uint32_t key_count, *key;           /* source columns */
    bool *in_key;                       /* by the table's column */
    int operation, timestamp, ingested; /* the table's columns of the sink's own; -1: none */
    bool stale;                         /* another one has taken its place */
    struct lake_plan *next;             /* of those */
};

struct lake_plans {
    const struct sink_config *config;
    struct lake_store *store;
    struct lake_plan **items; /* by the shape's id */
    size_t count;
    struct lake_plan
        *stale; /* a batch's changes may point to them: kept until lake_plans_sweep() */
};

void lake_plans_init(struct lake_plans *plans, const struct sink_config *config);
void lake_plans_clear(struct lake_plans *plans);
void lake_plans_sweep(struct lake_plans *plans);

/* The plan of the change's shape; tables and columns are made where the settings say so, and told
 * by the hooks' notice. The store's mutex is held. */
enum ods_status lake_plan_find(struct lake_plans *plans, const struct change *change,
                               const struct apply_hooks *hooks, struct apply_result *result,
                               const struct lake_plan **plan, struct error *error);

/* Names, columns and key of a shape's rows alone, of no table; for lake_plan_free(). ODS_REJECT: no
 * row of the shape can be written. */
enum ods_status lake_plan_names(const struct sink_config *config, const struct shape *shape,
                                struct lake_plan **plan, struct error *error);
void lake_plan_free(struct lake_plan *plan); /* NULL is fine */

enum ods_status lake_name_table(const struct table_settings *settings, const struct shape *shape,
                                char **schema, char **table, struct error *error);
enum ods_status lake_name_history(const struct table_settings *settings, const struct shape *shape,
                                  char **schema, char **table, struct error *error);
enum ods_status lake_name_column(const struct table_settings *settings, const char *column,
                                 char **name, struct error *error);

#endif
