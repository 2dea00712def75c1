/* See cutoff.h. */
#include "verify/cutoff.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

void cutoff_init(struct cutoff *cutoff)
{
    *cutoff = (struct cutoff){0};
    pthread_mutex_init(&cutoff->lock, NULL);
}

void cutoff_done(struct cutoff *cutoff)
{
    pthread_mutex_destroy(&cutoff->lock);
}

void cutoff_cut(struct cutoff *cutoff)
{
    pthread_mutex_lock(&cutoff->lock);
    cutoff->cut = true;
    for (size_t i = 0; i < cutoff->count; i++)
        shutdown(cutoff->sockets[i], SHUT_RDWR);
    pthread_mutex_unlock(&cutoff->lock);
}

int cutoff_add(struct cutoff *cutoff, int socket)
{
    int ticket = cutoff && socket >= 0 ? fcntl(socket, F_DUPFD_CLOEXEC, 0) : -1;
    if (ticket < 0)
        return -1;
    pthread_mutex_lock(&cutoff->lock);
    bool fits = cutoff->count < CUTOFF_MAX;
    if (fits)
        cutoff->sockets[cutoff->count++] = ticket;
    if (cutoff->cut)
        shutdown(ticket, SHUT_RDWR);
    pthread_mutex_unlock(&cutoff->lock);
    if (!fits)
        close(ticket);
    return fits ? ticket : -1;
}

void cutoff_drop(struct cutoff *cutoff, int ticket)
{
    if (!cutoff || ticket < 0)
        return;
    pthread_mutex_lock(&cutoff->lock);
    for (size_t i = 0; i < cutoff->count; i++)
        if (cutoff->sockets[i] == ticket) {
            cutoff->sockets[i] = cutoff->sockets[--cutoff->count];
            break;
        }
    pthread_mutex_unlock(&cutoff->lock);
    close(ticket);
}
