#include "output.h"

#include <string.h>
#include <time.h>

#include "text.h"

volatile int interrupted;

int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t) now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct output *output_open(const struct output_options *options)
{
    const char *to = options->to;
    if (strncmp(to, "amqp://", 7) == 0 || strncmp(to, "amqps://", 8) == 0)
        return output_amqp_open(options);
    if (strncmp(to, "kafka://", 8) == 0)
        return output_kafka_open(options);
    if (strncmp(to, "file:", 5) == 0 || strcmp(to, "-") == 0)
        return output_file_open(options);
    die("--to %s: it is amqp://HOST, amqps://HOST, kafka://HOST:PORT, file:PATH or -", to);
}
