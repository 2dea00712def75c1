/* ods-sink quality: quality.c runs and lists rules, quality_report.c has what the last runs found,
 * quality_page.c makes a page of it. */
#ifndef CLI_QUALITY_H
#define CLI_QUALITY_H

#include <jansson.h>

#include "cli/cli.h"
#include "cli/interrupt.h"

struct quality_arguments {
    const char *config, *pipeline, *rule, *html;
    struct strings tables;
    int64_t runs;
    bool json, unkept;
};

/* What the last `runs` runs of each rule found, by the targets' ods_sink.quality:
 *   { generated_at, verdict, counts: { pass, fail, unknown },
 *     rules: [ { pipeline, table, target, rule, check, in_flight, state, measured, rows,
 *                expected, seconds, why, at, runs: [ { at, state, measured, rows, seconds } ]
 *   } ] }
 * The runs go from the oldest to the newest. Rules that tables.yaml no longer has are left out.
 * A cli_exit; *report is the caller's. */
int quality_report(const struct settings *settings, const struct quality_arguments *arguments,
                   json_t **report, struct error *error);
/* Writes it as a page of HTML that needs no other file. False: errno says why. */
bool quality_page(const json_t *report, const char *path);

/* Has the pipeline rules, and a target that keeps what they find? */
bool quality_is_kept(const struct settings *settings, const struct pipeline_settings *pipeline);
/* Has it rules, and a target that is a lake, where nothing is kept? */
bool quality_is_of_lake(const struct settings *settings, const struct pipeline_settings *pipeline);
/* Does some table of the pipeline have a rule of this name? NULL: none has. */
const struct quality_rule *quality_rule_named(const struct pipeline_settings *pipeline,
                                              const char *name);
/* "0.2 s", "12 ms"; of a rule on its way "0.4 µs an event". */
const char *quality_cost(const json_t *row, char *text, size_t size);
/* What was measured, for people: "3 rows", "12 s". */
const char *quality_measured(const json_t *row, char *text, size_t size);

#endif
