/* The settings of a target of type "kafka" in ods-sink.conf. */
#ifndef KAFKA_SINK_SETTINGS_H
#define KAFKA_SINK_SETTINGS_H

#include <ods/pipeline.h>
#include <ods/setting.h>

enum kafka_form { KAFKA_ENVELOPE, KAFKA_FLATTENED, KAFKA_PLAIN };
enum kafka_encoding { KAFKA_JSON, KAFKA_AVRO };
/* auto: columns in Avro, else record. */
enum kafka_key { KAFKA_KEY_AUTO, KAFKA_KEY_RECORD, KAFKA_KEY_COLUMNS };
/* What a schema is registered under. */
enum kafka_subject { KAFKA_SUBJECT_TOPIC, KAFKA_SUBJECT_RECORD, KAFKA_SUBJECT_TOPIC_RECORD };
/* What a delete becomes; auto: both as an envelope, else a tombstone. */
enum kafka_deletes {
    KAFKA_DELETES_AUTO,
    KAFKA_DELETES_TOMBSTONE,
    KAFKA_DELETES_ROW,
    KAFKA_DELETES_BOTH
};

#define KAFKA_BY_KEY  (-1) /* as a partition */
#define KAFKA_AS_READ (-2)

struct kafka_target_settings {
    const char *brokers; /* "": those of the daemon */
    struct properties properties;
    const char *topic; /* a template */
    enum kafka_form form;
    enum kafka_encoding encoding;
    struct registry_settings registry; /* of Avro; no url: that of the daemon */
    bool register_schemas;
    enum kafka_subject subject;
    bool schemas;
    enum kafka_key key;
    const char *partition; /* murmur2, consistent, same, or a number */
    enum kafka_deletes deletes;
    const char *op_field; /* of plain rows; "": none */
    bool keep_headers;
    struct properties headers; /* values: templates */
    bool create_topics;
    int64_t partitions, replicas; /* 0: as many as the record's topic; -1: the brokers' default */
    struct properties topic_settings;
    const char *transactional_id; /* "": the host's name */
    int64_t transaction_ms, commit_ms;
    int64_t record_bytes_max;
};

extern const struct setting_group kafka_target_settings_group;

/* What the rows can't say. */
enum ods_status kafka_target_settings_check(const void *own, struct error *error);

/* Is the key the record's own, as it came? */
bool kafka_keeps_key(const struct kafka_target_settings *settings);
bool kafka_writes_rows(const struct kafka_target_settings *settings); /* for deletes */
bool kafka_writes_tombstones(const struct kafka_target_settings *settings);
/* librdkafka's name of the partitioner, and the partition that goes before it: a number,
 * KAFKA_BY_KEY, KAFKA_AS_READ. NULL: `partition` is none of what it may be. */
const char *kafka_partitioner(const struct kafka_target_settings *settings, int32_t *partition);

#endif
