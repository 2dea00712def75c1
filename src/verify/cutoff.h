/* Lets another thread end a wait for a server: it shuts down the sockets that are entered here, so
 * that whoever reads them gets an error at once. Any thread may make any of the calls. */
#ifndef CUTOFF_H
#define CUTOFF_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#define CUTOFF_MAX 16

struct cutoff {
    pthread_mutex_t lock;
    bool cut;
    int sockets[CUTOFF_MAX]; /* duplicates, so that no number here is reused for another file */
    size_t count;
};

void cutoff_init(struct cutoff *cutoff);
void cutoff_done(struct cutoff *cutoff);
void cutoff_cut(struct cutoff *cutoff); /* what is entered, and what is entered from now on */

/* The ticket for cutoff_drop(), -1: none. A NULL cutoff is fine for both. */
int cutoff_add(struct cutoff *cutoff, int socket);
void cutoff_drop(struct cutoff *cutoff, int ticket);

#endif
