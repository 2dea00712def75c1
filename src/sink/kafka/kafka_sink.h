/* What the files of the Kafka target share. Nobody else includes it. */
#ifndef KAFKA_SINK_H
#define KAFKA_SINK_H

#include <stdatomic.h>

#include <ods/sink.h>

#include "config/settings.h"
#include "core/hash_index.h"
#include "format/schema_registry/registry_client.h"
#include "sink/kafka/form.h"
#include "sink/kafka/settings.h"
#include "sink/template.h"
#include "source/kafka/kafka_statistics.h"
#include "source/kafka/kafka_writer.h"

#define KAFKA_HEADERS_MAX 128
/* Of values that are pointed to until they are written; then it is waited for. */
#define UNDER_WAY_BYTES ((size_t) 16 * 1024 * 1024)

/* A record that is ready to be sent; its bytes stand in kafka_sink.bytes. */
struct kafka_piece {
    const struct kafka_topic *topic;
    int32_t partition;
    uint32_t change;
    bool has_key, has_value;
    bool own_key; /* it is the record's own */
    size_t key, key_length, value, value_length;
};

/* In transactions a lane's batches take turns among so many writers: brokers still end the last
 * transaction of one, which would make its next one wait, while another's begins. */
#define KAFKA_WRITERS 2

struct kafka_topic {
    char *name;
    struct kafka_writer_topic *topics[KAFKA_WRITERS];
};

/* Schemas and their ids, as the registry has them. */
struct subjects {
    struct registry_client *client; /* NULL: nothing is written in Avro */
    struct hash_index known;        /* by subject and schema */
    size_t bytes;
    struct buffer name;
};

struct kafka_sink {
    struct sink sink;
    struct sink_config config;
    const struct kafka_target_settings *settings;
    struct kafka_settings cluster; /* its properties are the sink's own */
    bool same_cluster;
    /* Where it is not, by its address: what the brokers have said of it, once they were asked. */
    enum { BROKERS_NOT_ASKED, BROKERS_OF_SOURCE, BROKERS_OTHERS } brokers;
    struct settings *daemon; /* a copy with that cluster, for questions about it; NULL: none yet */
    struct kafka_writer *writers[KAFKA_WRITERS];
    size_t writer_count, turn;
    struct form form;
    struct subjects subjects;
    struct template topic;
    struct template *headers;
    int32_t partition; /* as kafka_partitioner() says */
    atomic_bool interrupted;
    char client_id[256];
    struct kafka_identity {
        int held; /* a socket that holds the id; below 0: none does */
        char id[400];
    } identities[KAFKA_WRITERS];

    /* Topics by name, and the last one. */
    struct hash_index topics;
    struct kafka_topic *last_topic;

    /* The batch that is applied. */
    struct batch *batch;
    const struct apply_hooks *hooks;
    struct kafka_piece *pieces; /* of one record */
    size_t piece_count, piece_capacity;
    struct buffer bytes, name, scratch, added, membership;
    struct arena values;  /* of records that are under way */
    struct error trouble; /* memory was out while a record was set aside */
};

/* identity.c: takes transactional ids that no other writer on this host has. */
enum ods_status identity_take(struct kafka_sink *kafka, struct error *error);
void identity_give_back(struct kafka_sink *kafka);

static inline struct kafka_writer *kafka_writer_of(const struct kafka_sink *kafka)
{
    return kafka->writers[kafka->turn];
}

/* topics.c */
/* May this topic of the source's cluster be written to? */
enum ods_status topics_check_own(const struct sink_config *config, const char *name,
                                 struct error *error);
/* Where the change goes. ODS_REJECT: no topic can be called so. */
enum ods_status topics_find(struct kafka_sink *kafka, uint32_t change, struct kafka_topic **topic,
                            struct error *error);
void topics_forget(struct kafka_sink *kafka);
/* For `check --connect`. */
enum ods_status topics_check(struct kafka_sink *kafka,
                             void (*report)(void *context, const char *line), void *context,
                             struct error *error);

/* subjects.c */
/* The registry that keeps the target's schemas. */
const struct registry_settings *subjects_registry(const struct sink_config *config);
enum ods_status subjects_open(struct kafka_sink *kafka, struct error *error);
void subjects_done(struct subjects *subjects);
/* In Avro: the schemas of the batch's changes, as far as they are not known yet. ODS_RETRY: the
 * registry is away, or a schema is not there and may not be registered. */
enum ods_status subjects_prepare(struct kafka_sink *kafka, struct error *error);
/* In Avro: append to kafka->bytes what stands before a key or a value, the zero byte and the id of
 * its schema. ODS_REJECT: the registry refuses that. ODS_RETRY as above. */
enum ods_status subjects_put_id(struct kafka_sink *kafka, const struct form_plan *plan,
                                const struct kafka_topic *topic, bool key, struct error *error);
/* For `check --connect`. */
enum ods_status subjects_check(struct kafka_sink *kafka,
                               void (*report)(void *context, const char *line), void *context,
                               struct error *error);

/* pieces.c: the records that a record's changes become, into kafka->pieces. */
enum ods_status pieces_add(struct kafka_sink *kafka, uint32_t change, bool *skipped,
                           struct error *error);
enum ods_status pieces_send(struct kafka_sink *kafka, struct error *error);

/* apply.c */
enum ods_status kafka_apply(struct sink *sink, struct batch *batch, const struct apply_hooks *hooks,
                            struct apply_result *result, struct error *error);
void kafka_refused(void *context, uint32_t change, const struct error *why);

#endif
