/* Where records go: an AMQP 1.0 broker, Kafka, a file. One thread. What fails for good ends the
 * program; an outage is waited for. */
#ifndef GENERATE_OUTPUT_H
#define GENERATE_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outgoing {
    const char *topic, *id; /* id: the same whenever the generator is run again */
    const char *key, *value; /* value NULL: a tombstone */
    size_t key_length, value_length;
    const char *header, *header_value; /* one of Debezium's; NULL: none */
    size_t header_length;
    int64_t ms;                        /* of the change */
};

struct output;

struct output_ops {
    void (*send)(struct output *output, const struct outgoing *record);
    /* What was sent is on its way; `wait`: it has arrived. */
    void (*flush)(struct output *output, bool wait);
    void (*close)(struct output *output); /* waits as well */
};

struct output {
    const struct output_ops *ops;
};

struct output_options {
    const char *to;             /* amqp[s]://HOST[:PORT], kafka://HOST:PORT, file:PATH, - */
    const char *address;        /* of AMQP, with ${topic} in it */
    const char *user, *password, *ca;
    const char *const *properties; /* of librdkafka, NAME=VALUE */
    size_t property_count;
};

struct output *output_open(const struct output_options *options);
struct output *output_amqp_open(const struct output_options *options);
struct output *output_kafka_open(const struct output_options *options);
struct output *output_file_open(const struct output_options *options);

int64_t now_us(void);
/* Ask once in a while: ^C came. */
extern volatile int interrupted;

#endif
