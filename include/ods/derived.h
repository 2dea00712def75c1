/* Tables that a target keeps by itself: joins, aggregates and extractions of tables that it has
 * (`derived` in tables.yaml; docs/derived.md).
 *
 * Whoever writes a row of a table that one depends on leaves a mark in the same transaction: the
 * values of the columns `by`, old and new. The daemon's refresher turns marks into keys of the
 * derived table and computes those keys anew.
 */
#ifndef ODS_DERIVED_H
#define ODS_DERIVED_H

#include <ods/setting.h>

#ifdef __cplusplus
extern "C" {
#endif

struct derived_source { /* a table, or another derived table, that a derived table depends on */
    const char *name;
    struct strings by;   /* its columns whose values are marked */
    const char *keys;    /* from "changed", which has the columns `by`, to the columns of the
                            anchor; "": they are those */
    bool triggers;       /* a trigger of the table marks, whoever writes it */
    const char *schema, *table; /* resolved */
    bool derived;               /* resolved: it is a derived table */
};

struct derived_settings {
    const char *name;   /* "table" or "schema.table" */
    const char *target; /* resolved: a target's name */
    const char *query;
    struct strings key, anchor; /* resolved: the anchor is the key unless it says otherwise */
    struct derived_source *sources;
    size_t source_count;
    int64_t max_keys; /* of one pass */
    bool outbox;
    const char *schema, *table; /* resolved */
    int depth;                  /* resolved: those that it depends on have lower ones */
};

#ifdef __cplusplus
}
#endif

#endif
