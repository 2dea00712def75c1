/* Looks at derived tables without changing anything: what `check --connect` and `verify --derived`
 * say. */
#ifndef INSPECT_H
#define INSPECT_H

#include <ods/derived.h>
#include <ods/status.h>
#include "sink/postgres/wire/session.h"

struct inspector;

enum ods_status inspector_open(struct inspector **inspector, const char *target,
                               const struct session_settings *session,
                               const struct derived_settings *derived, size_t count,
                               struct error *error);
void inspector_close(struct inspector *inspector);

/* Reports the columns of the table, and each look-up that would scan a table, with the index that
 * it lacks. ODS_FATAL: the query, or what the table depends on, is wrong. *early: a table that it
 * depends on is not there yet. */
enum ods_status inspect_plans(struct inspector *inspector, const struct derived_settings *derived,
                              void (*report)(void *context, const char *line), void *context,
                              bool *early, struct error *error);

/* What a comparison of a table with its query has found. */
struct inspection {
    int64_t compared; /* keys */
    int64_t waiting;  /* keys that marks and passes to come will compute, or that are set aside */
    int64_t missing, extra, changed; /* rows */
};

struct inspect_listener {
    void (*differs)(void *context, const char *kind, const char *key);
    bool (*stops)(void *context);
    void *context;
};

/* In one snapshot, while the table is written and computed: every key that differs and that nothing
 * is going to compute is a fault. */
enum ods_status inspect_rows(struct inspector *inspector, const struct derived_settings *derived,
                             const struct inspect_listener *listener, int64_t limit,
                             struct inspection *inspection, struct error *error);

#endif
