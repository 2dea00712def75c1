/* What one comparison of a pipeline's target with its source found, as JSON: what /status shows and
 * the target keeps. Differences are named by key and columns; values stay where they are. */
#ifndef RUN_REPORT_H
#define RUN_REPORT_H

#include <jansson.h>

#include "core/exit.h"
#include "verify/verify.h"

#define REPORT_DIFFERENCES 20   /* of a table, at most */
#define REPORT_ALL         1000 /* of a run */

struct run_report {
    json_t *tables, *notices;
    json_t *differences; /* of the current table */
    size_t told;
    int64_t counts[4];   /* of tables, by verdict */
    int64_t source_rows, target_rows, missing, extra, changed;
};

void run_report_init(struct run_report *report);
void run_report_done(struct run_report *report);
void run_report_differs(struct run_report *report, const struct verify_difference *difference);
void run_report_table(struct run_report *report, const struct verify_table *table);
void run_report_notice(struct run_report *report, const char *text);

/* Who did it, and when by the target's clock. */
struct run_report_head {
    const char *pipeline, *mode, *worker;
    int64_t began_us, ended_us;
    enum cli_exit code;
};
/* malloc'd; NULL: out of memory. */
char *run_report_text(const struct run_report *report, const struct run_report_head *head);

#endif
