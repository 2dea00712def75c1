/* What of a table is compared: which columns, how the target's rows are asked for, how a row is
 * told from another. Made once for a table, then read by all threads. */
#ifndef COMPARISON_H
#define COMPARISON_H

#include "sink/postgres/tables/plan.h"
#include "verify/canon.h"
#include "verify/database.h"
#include "verify/passage.h"

/* One column that both sides have. */
struct compared {
    const char *name; /* in the source */
    uint32_t source;  /* of the shape that the plan is of */
    uint32_t target;
    enum canon canon;
    bool asked;    /* its text is read by the target's input function */
    bool redacted; /* its values are shown to nobody */
};

/* Columns by which the target says which record wrote a row; -1: it has none. */
struct provenance {
    int topic, partition, offset;
};

struct comparison {
    const struct pipeline_settings *pipeline;
    const struct source_table *source;
    const struct plan *plan;
    const struct table_settings *settings;
    struct compared *columns; /* those of the key come first */
    uint32_t count, keys;
    uint32_t order[PLAN_MAX_KEY]; /* places of the key's columns above, in the order of its index */
    bool asks;                    /* there are columns that only the target reads */
    bool whole;                   /* rows go through transforms, so all columns are read */
    bool ranges;                  /* both sides order the key in the same way */
    bool extras;                  /* a row that only the target has is a difference */
    struct provenance provenance;
    char *source_list; /* the source's columns in SQL: by column, or by `whole` all that are read */
    char *target_list; /* the target's, by column */
    char *target_where; /* " and …", its rows that are marked deleted left out; or "" */
    char *notes;        /* what is not compared, for people; or "" */
    struct passage passage;
};

/* The target's plan is made here, by `plans`, which outlives it. ODS_REJECT: the table can't be
 * compared, error says why. */
enum ods_status comparison_open(struct comparison *comparison,
                                const struct pipeline_settings *pipeline,
                                const struct database *database, const struct source_table *source,
                                const char *topic, struct plans *plans, struct error *error);
void comparison_close(struct comparison *comparison); /* zeroed is fine */

static inline const struct pg_column *compared_target(const struct comparison *comparison,
                                                      uint32_t column)
{
    return &comparison->plan->table->columns[comparison->columns[column].target];
}

/* How the source reads a column of the key. */
static inline const struct form_column *compared_form(const struct comparison *comparison,
                                                      uint32_t column)
{
    return &comparison->source->forms[comparison->columns[column].source];
}

#endif
