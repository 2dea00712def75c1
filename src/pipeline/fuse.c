/* How many dead letters a minute. */
#include "pipeline/fuse.h"

void fuse_init(struct fuse *fuse)
{
    *fuse = (struct fuse){.letters = 0};
    pthread_mutex_init(&fuse->mutex, NULL);
}

void fuse_done(struct fuse *fuse)
{
    pthread_mutex_destroy(&fuse->mutex);
}

bool fuse_take(struct fuse *fuse, int64_t most, uint32_t letters, int64_t now_us)
{
    if (!most)
        return true;
    pthread_mutex_lock(&fuse->mutex);
    fuse->letters -= (double) most * (double) (now_us - fuse->at_us) / 60e6;
    if (fuse->letters < 0)
        fuse->letters = 0;
    fuse->at_us = now_us;
    fuse->blown |= fuse->letters + letters > (double) most;
    if (!fuse->blown)
        fuse->letters += letters;
    bool taken = !fuse->blown;
    pthread_mutex_unlock(&fuse->mutex);
    return taken;
}

void fuse_give_back(struct fuse *fuse, uint32_t letters)
{
    pthread_mutex_lock(&fuse->mutex);
    fuse->letters -= letters;
    if (fuse->letters < 0)
        fuse->letters = 0;
    pthread_mutex_unlock(&fuse->mutex);
}
