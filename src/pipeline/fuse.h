/* The fuse of a pipeline's dead letters: a mistake in the configuration or in the target must not
 * empty a topic into them. All lanes share it: one lane's partitions go to the others when it
 * stops, and what it refused would be put aside there. Any thread. */
#ifndef FUSE_H
#define FUSE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse {
    pthread_mutex_t mutex;
    double letters; /* taken and not yet faded: `most` of them fade in a minute */
    int64_t at_us;  /* when they were counted, monotonic */
    bool blown;     /* for good: a new start has a new fuse */
};

void fuse_init(struct fuse *fuse);
void fuse_done(struct fuse *fuse);

/* Take room for this many letters, of `most` a minute; 0: no limit. False: the fuse has blown, now
 * or before, and no letter may be sent. */
bool fuse_take(struct fuse *fuse, int64_t most, uint32_t letters, int64_t now_us);
/* Give room back: this many of those taken were not sent. */
void fuse_give_back(struct fuse *fuse, uint32_t letters);

#endif
