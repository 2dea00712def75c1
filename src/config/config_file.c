/* Reading configuration files. Pipes and devices are refused: they could block, or never end. */
#include "config/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *read_all(struct config_file *file, int fd, size_t max_bytes)
{
    struct stat status;
    if (fstat(fd, &status) < 0)
        return strerror(errno);
    if (!S_ISREG(status.st_mode))
        return "it is not a regular file";
    if (status.st_size > (off_t) max_bytes)
        return "it is too large";
    file->readable_by_others = (status.st_mode & (S_IRGRP | S_IROTH)) != 0;
    file->bytes = malloc((size_t) status.st_size + 1);
    if (!file->bytes)
        return "memory is out";
    while (file->length < (size_t) status.st_size) {
        ssize_t got =
            read(fd, file->bytes + file->length, (size_t) status.st_size - file->length);
        if (got < 0 && errno != EINTR)
            return strerror(errno);
        if (got == 0)
            break;
        if (got > 0)
            file->length += (size_t) got;
    }
    file->bytes[file->length] = 0;
    return NULL;
}

const char *config_file_read(struct config_file *file, const char *path, size_t max_bytes)
{
    *file = (struct config_file){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return strerror(errno);
    const char *why = read_all(file, fd, max_bytes);
    close(fd);
    if (why)
        config_file_done(file);
    return why;
}

void config_file_done(struct config_file *file)
{
    if (file->bytes)
        explicit_bzero(file->bytes, file->length);
    free(file->bytes);
    *file = (struct config_file){0};
}

const char *config_file_resolve(struct pool *pool, const char *folder, const char *path)
{
    if (*path == '/' || strcmp(folder, ".") == 0)
        return pool_strdup(pool, path);
    return pool_printf(pool, "%s/%s", strcmp(folder, "/") == 0 ? "" : folder, path);
}

const char *config_file_folder(struct pool *pool, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return pool_strdup(pool, ".");
    return pool_strndup(pool, path, slash == path ? 1 : (size_t) (slash - path));
}
