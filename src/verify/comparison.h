/* What is compared in a table: its columns, the queries for both sides, and the key that tells rows
 * apart. Made once for a table, and then read by all threads. */
#ifndef COMPARISON_H
#define COMPARISON_H

#include "sink/postgres/tables/plan.h"
#include "verify/canon.h"
#include "verify/database.h"
#include "verify/passage.h"

/* One column that both sides have. */
struct compared {
    const char *name; /* in the source */
    uint32_t source;  /* the column in the plan's shape */
    uint32_t target;
    enum canon canon;
    bool asked;    /* the target's input function reads its text */
    bool redacted; /* its values are never shown */
};

/* The target's columns that say which record wrote a row; -1: it has none. */
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
    uint32_t order[PLAN_MAX_KEY]; /* of the key: indexes into `columns`, as its index sorts */
    bool asks;                    /* some columns have texts that only the target can read */
    bool whole;                   /* rows go through transforms, so all columns are read */
    bool ranges;                  /* both sides sort the key in the same order */
    bool extras;                  /* a row that only the target has is a difference */
    struct provenance provenance;
    char *source_list; /* SQL: the source's columns that are compared; with `whole`, all columns */
    char *target_list; /* SQL: the target's columns that are compared */
    char *target_where; /* " and …" to leave out rows that are marked deleted; or "" */
    char *notes;        /* tells the user what is not compared; or "" */
    struct passage passage;
};

/* Makes the target's plan by `plans`, which must outlive it. `routed`: the rows that a transform
 * sends to this table are compared with it ("table" or "schema.table"), others are passed over;
 * NULL: those that stay in the table of their own name. ODS_REJECT: the table can't be compared,
 * and the error says why. */
enum ods_status comparison_open(struct comparison *comparison,
                                const struct pipeline_settings *pipeline,
                                const struct database *database, const struct source_table *source,
                                const char *topic, const char *routed, struct plans *plans,
                                struct error *error);
/* Do transforms send rows of the source's table to the table `routed`? */
enum ods_status comparison_leads(const struct pipeline_settings *pipeline,
                                 const struct database *database,
                                 const struct source_table *source, const char *topic,
                                 const char *routed, bool *leads, struct error *error);
void comparison_close(struct comparison *comparison); /* also for a zeroed one */

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
