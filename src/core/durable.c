/* Files that outlive a crash. See ods/durable.h. */
#include <ods/durable.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_at(int fd, const char *bytes, size_t length, int64_t at)
{
    while (length) {
        ssize_t sent = pwrite(fd, bytes, length, (off_t) at);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return sent ? errno : ENOSPC;
        bytes += sent;
        length -= (size_t) sent;
        at += (int64_t) sent;
    }
    return 0;
}

int durable_append(int folder, const char *name, const char *bytes, size_t length, int64_t at)
{
    struct stat there;
    int fd = openat(folder, name, O_WRONLY | O_CLOEXEC | (at ? 0 : O_CREAT), 0644), why;
    if (fd < 0)
        return at && errno == ENOENT ? ENODATA : errno;
    if (fstat(fd, &there))
        why = errno;
    else if (there.st_size < at)
        why = ENODATA;
    else if (ftruncate(fd, (off_t) at))
        why = errno;
    else
        why = write_at(fd, bytes, length, at);
    if (!why && fsync(fd))
        why = errno;
    close(fd);
    return why;
}

int durable_replace(int folder, const char *name, const char *bytes, size_t length)
{
    char other[256];
    snprintf(other, sizeof other, "%s.new", name);
    int why = durable_append(folder, other, bytes, length, 0);
    if (!why && (renameat(folder, other, folder, name) || fsync(folder)))
        why = errno;
    return why;
}
