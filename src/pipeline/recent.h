/* The last things that went wrong in a lane: outages and records that were set aside, for `/status`
 * and the page. A fixed number of them; the log has all. In the caller's lock. */
#ifndef RECENT_H
#define RECENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#define RECENT_NOTES      12
#define RECENT_TEXT_BYTES 400

struct recent_note {
    int64_t first_us, last_us; /* wall clock; 0: there is no note here */
    uint64_t times;            /* how often it came in a row */
    bool letter;               /* records were set aside; else an error */
    char text[RECENT_TEXT_BYTES];
};

struct recent {
    struct recent_note notes[RECENT_NOTES];
    size_t newest;
};

void recent_note(struct recent *recent, bool letter, const char *text);
json_t *recent_describe(const struct recent *recent); /* a list, newest first */

#endif
