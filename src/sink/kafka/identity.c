/* A transactional id: <prefix>.<number>, the first number that no other writer on the host has. It
 * is held by a Unix socket in the abstract namespace, which the kernel takes back when the process
 * ends, however it does: so a writer that starts again gets the number of the one that was killed,
 * and ends its transaction at once. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/hash.h"
#include "sink/kafka/kafka_sink.h"

#define NUMBERS_MAX 10000

/* Below 0, with errno: it is not to be had. */
static int hold(const char *id)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(id);
    int name =
        snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "ods-sink/kafka/%016llx%016llx",
                 (unsigned long long) hash_bytes(id, length, 1),
                 (unsigned long long) hash_bytes(id, length, 2));
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    socklen_t size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + (size_t) name);
    if (bind(fd, (struct sockaddr *) &address, size) == 0)
        return fd;
    int reason = errno;
    close(fd);
    errno = reason;
    return -1;
}

static enum ods_status take(const struct kafka_sink *kafka, struct kafka_identity *identity,
                            struct error *error)
{
    const char *told = kafka->settings->transactional_id;
    char host[HOST_NAME_MAX + 1] = "host";
    gethostname(host, sizeof host - 1);
    for (int number = 0; number < NUMBERS_MAX; number++) {
        snprintf(identity->id, sizeof identity->id, "ods-sink.%s.%s.%d", kafka->config.group,
                 *told ? told : host, number);
        identity->held = hold(identity->id);
        if (identity->held >= 0)
            return ODS_OK;
        if (errno != EADDRINUSE)
            break;
    }
    return error_set(error, ODS_RETRY, "target %s: no transactional id can be held: %s",
                     kafka->config.name, strerror(errno));
}

enum ods_status identity_take(struct kafka_sink *kafka, struct error *error)
{
    enum ods_status status = ODS_OK;
    for (size_t i = 0; i < kafka->writer_count && status == ODS_OK; i++)
        if (kafka->identities[i].held < 0)
            status = take(kafka, &kafka->identities[i], error);
    return status;
}

void identity_give_back(struct kafka_sink *kafka)
{
    for (size_t i = 0; i < KAFKA_WRITERS; i++) {
        if (kafka->identities[i].held >= 0)
            close(kafka->identities[i].held);
        kafka->identities[i].held = -1;
    }
}
