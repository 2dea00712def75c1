/* What a rule found of a table. */
#ifndef QUALITY_RESULT_H
#define QUALITY_RESULT_H

#include <ods/buffer.h>
#include <ods/quality.h>

enum quality_state { QUALITY_PASSES, QUALITY_FAILS, QUALITY_UNKNOWN };
const char *quality_state_name(enum quality_state state); /* pass, fail, unknown */

struct quality_result {
    const struct quality_rule *rule;
    const char *pipeline;
    char *source; /* "schema.table" or "table" */
    char *target; /* "schema.table"; "": the target has no such table */
    enum quality_state state;
    bool counts;        /* `measured` is a number of rows that break the rule */
    bool has_measured;
    double measured;
    int64_t looked_at; /* rows; below 0: none were read */
    double seconds;
    char expected[256];
    char why[1024];      /* "" */
    struct buffer keys;  /* of rows that break it, one a line, for whoever asked; not kept */
    struct buffer facts; /* for the next run; empty: none */
    char hour[40];       /* of a volume; "" */
};

void quality_result_init(struct quality_result *result);
void quality_result_done(struct quality_result *result);

#endif
