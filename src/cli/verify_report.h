/* What verify has found, as JSON and as a page. */
#ifndef VERIFY_REPORT_H
#define VERIFY_REPORT_H

#include <jansson.h>

#include "verify/verify.h"

/* Of one run: {"verdict": …, "notices": […], "tables": [{…, "differences": […]}]}. */
struct verify_report {
    json_t *root;
    json_t *tables, *notices;
    json_t *differences; /* of the table that is being compared */
};

bool verify_report_init(struct verify_report *report);
void verify_report_done(struct verify_report *report);

void verify_report_difference(struct verify_report *report,
                              const struct verify_difference *difference);
/* What became of the current table's difference of this number, which is returned. */
const json_t *verify_report_mended(struct verify_report *report, int64_t number,
                                   enum verify_outcome outcome, const char *why);
void verify_report_table(struct verify_report *report, const struct verify_table *table);
void verify_report_notice(struct verify_report *report, const char *text);
/* The exit code and, if there is one, what went wrong. */
void verify_report_end(struct verify_report *report, enum cli_exit code, const char *error);

/* Write the page; false: errno says why not. */
bool verify_report_html(const struct verify_report *report, const char *path);

#endif
