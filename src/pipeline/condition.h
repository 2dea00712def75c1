/* What a lane and a pipeline are at, in the words of who is on call. `/status`, the page and
 * `ods-sink status` all say what stands here, so nothing is judged a second time elsewhere. */
#ifndef CONDITION_H
#define CONDITION_H

#include <jansson.h>
#include <stdint.h>

#include "pipeline/lane.h"

struct trends;

enum condition_level {
    CONDITION_GOOD, /* nobody has to do anything */
    CONDITION_WARN, /* it may become better by itself, or somebody holds it */
    CONDITION_BAD,  /* nothing is applied */
};

const char *condition_level_name(enum condition_level level);
/* 40 s, 12 min, 3.5 h, 4 d; in the text, which it answers. */
const char *condition_span(double seconds, char *text, size_t size);

struct condition {
    const char *state; /* one of few words; docs/page.md lists them */
    enum condition_level level;
    int64_t since_us;                  /* wall clock; 0: not known, or of no interest */
    int64_t lag;                       /* records that wait; -1: not known */
    double seconds_left;               /* until nothing waits; -1: not known */
    char says[ERROR_TEXT_BYTES + 400]; /* the state with for what, since when, how long yet */
};

void condition_of_lane(struct condition *condition, struct lane *lane);
/* Its lanes stand next to each other. `trends` may be NULL. */
void condition_of_pipeline(struct condition *condition, struct lane *const *lanes, size_t count,
                           struct trends *trends);

/* "state", "level", "says", "since" and "seconds_left" of an object for `/status`. */
void condition_describe(const struct condition *condition, json_t *object);
/* A list of all pipelines. */
json_t *conditions_describe(struct lane *const *lanes, size_t count, struct trends *trends);

#endif
