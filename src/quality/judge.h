/* A rule about one value of a row. */
#ifndef QUALITY_JUDGE_H
#define QUALITY_JUDGE_H

#include <regex.h>

#include <ods/buffer.h>
#include <ods/change.h>
#include <ods/quality.h>
#include <ods/status.h>

/* A rule as it is asked of values. One thread. */
struct judge {
    const struct quality_rule *rule;
    bool whole;            /* the bounds of a range are whole numbers */
    int64_t least, most;   /* then; INT64_MIN and INT64_MAX where there is no bound */
    regex_t regex;         /* of a pattern */
    bool compiled;
    struct buffer text;
};

enum ods_status judge_open(struct judge *judge, const struct quality_rule *rule,
                           struct error *error);
void judge_close(struct judge *judge); /* also a zeroed one */

/* *why: what is not right, NULL if nothing is. It does not show the value. A value that was not
 * sent is right, and so is NULL but for `not_null`. */
enum ods_status judge_value(struct judge *judge, const struct column *column,
                            const struct value *value, const char **why, struct error *error);

#endif
