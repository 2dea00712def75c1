/* A topic that can't be asked where it ends, for one process and as long as the file in
 * ODS_DEAF_TOPIC is there, which holds its name. Preloaded. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

static int is_deaf(const char *topic)
{
    char name[256] = "";
    const char *path = getenv("ODS_DEAF_TOPIC");
    FILE *file = path ? fopen(path, "re") : NULL;
    if (!file)
        return 0;
    size_t length = fread(name, 1, sizeof name - 1, file);
    fclose(file);
    return length && strcmp(name, topic) == 0;
}

rd_kafka_resp_err_t rd_kafka_query_watermark_offsets(rd_kafka_t *rk, const char *topic,
                                                     int32_t partition, int64_t *low, int64_t *high,
                                                     int timeout_ms)
{
    rd_kafka_resp_err_t (*real)(rd_kafka_t *, const char *, int32_t, int64_t *, int64_t *, int);
    if (is_deaf(topic))
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    *(void **) &real = dlsym(RTLD_NEXT, "rd_kafka_query_watermark_offsets");
    return real(rk, topic, partition, low, high, timeout_ms);
}
