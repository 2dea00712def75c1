/* Lanes and their partitions as `/status` and `/metrics` show them. Partitions may be thousands, so
 * they are copied first, in the lane's lock for no longer than that takes, and written without a
 * tree of JSON. */
#ifndef LANES_SHOW_H
#define LANES_SHOW_H

#include <stdbool.h>
#include <stddef.h>

struct buffer;
struct lane;
struct lane_partition;

struct lane_places {
    struct lane_partition *items; /* whose topics are in `names` */
    size_t count;
    char *names;
};

struct lanes_shown {
    struct lane *const *lanes;
    size_t count;
    struct lane_places *places; /* of each lane */
};

/* False: memory is out. Done either way. */
bool lanes_look(struct lanes_shown *shown, struct lane *const *lanes, size_t count);
void lanes_shown_done(struct lanes_shown *shown);
/* A list, a partition a line. False: memory is out. */
bool lanes_write(const struct lanes_shown *shown, struct buffer *out);

#endif
