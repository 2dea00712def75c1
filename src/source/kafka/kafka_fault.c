/* See kafka_fault.h. What is not listed is an outage: the brokers or the way to them. */
#include "source/kafka/kafka_fault.h"

#include <stdio.h>

#define CODE(name) RD_KAFKA_RESP_ERR_##name

static const struct {
    rd_kafka_resp_err_t code;
    struct kafka_fault fault;
} faults[] = {
    {CODE(MSG_SIZE_TOO_LARGE), {ODS_REJECT, FAULT_ROW, ""}},
    {CODE(RECORD_LIST_TOO_LARGE), {ODS_REJECT, FAULT_ROW, ""}},
    {CODE(INVALID_RECORD), {ODS_REJECT, FAULT_ROW, ""}},
    {CODE(INVALID_TIMESTAMP), {ODS_REJECT, FAULT_ROW, ""}},
    {CODE(INVALID_MSG), {ODS_REJECT, FAULT_ROW, ""}},

    {CODE(_FENCED), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(PRODUCER_FENCED), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(INVALID_PRODUCER_EPOCH), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(INVALID_PRODUCER_ID_MAPPING), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(INVALID_TXN_STATE), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(UNKNOWN_PRODUCER_ID), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(OUT_OF_ORDER_SEQUENCE_NUMBER), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(ILLEGAL_GENERATION), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(UNKNOWN_MEMBER_ID), {ODS_FENCED, FAULT_NONE, ""}},
    {CODE(FENCED_INSTANCE_ID), {ODS_FENCED, FAULT_NONE, ""}},

    {CODE(TOPIC_AUTHORIZATION_FAILED),
     {ODS_FATAL, FAULT_CONFIGURATION, ": grant Write and Describe on the topic"}},
    {CODE(GROUP_AUTHORIZATION_FAILED),
     {ODS_FATAL, FAULT_CONFIGURATION, ": grant Read on the consumer group"}},
    {CODE(TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
     {ODS_FATAL, FAULT_CONFIGURATION,
      ": grant Write and Describe on transactional ids with this prefix"}},
    {CODE(CLUSTER_AUTHORIZATION_FAILED),
     {ODS_FATAL, FAULT_CONFIGURATION,
      ": grant IdempotentWrite on the cluster, or Create where topics are to be made"}},
    {CODE(INVALID_TRANSACTION_TIMEOUT),
     {ODS_FATAL, FAULT_CONFIGURATION,
      ": transaction_timeout_ms is more than the brokers' transaction.max.timeout.ms"}},
    {CODE(TOPIC_EXCEPTION), {ODS_FATAL, FAULT_CONFIGURATION, ": the topic has no valid name"}},
    {CODE(POLICY_VIOLATION), {ODS_FATAL, FAULT_CONFIGURATION, ""}},
    {CODE(INVALID_REPLICATION_FACTOR), {ODS_FATAL, FAULT_CONFIGURATION, ""}},
    {CODE(INVALID_PARTITIONS), {ODS_FATAL, FAULT_CONFIGURATION, ""}},
    {CODE(INVALID_CONFIG), {ODS_FATAL, FAULT_CONFIGURATION, ""}},
    {CODE(UNSUPPORTED_VERSION), {ODS_FATAL, FAULT_CONFIGURATION, ""}},
    {CODE(_UNSUPPORTED_FEATURE), {ODS_FATAL, FAULT_CONFIGURATION, ""}},
    {CODE(UNSUPPORTED_FOR_MESSAGE_FORMAT), {ODS_FATAL, FAULT_CONFIGURATION, ""}},

    {CODE(UNKNOWN_TOPIC_OR_PART),
     {ODS_RETRY, FAULT_OUTAGE, ": create the topic, or set create_topics"}},
    {CODE(_UNKNOWN_TOPIC), {ODS_RETRY, FAULT_OUTAGE, ": create the topic, or set create_topics"}},
    {CODE(_UNKNOWN_PARTITION),
     {ODS_RETRY, FAULT_OUTAGE, ": the topic has fewer partitions than \"partition\" asks for"}},
};

struct kafka_fault kafka_fault(rd_kafka_resp_err_t code)
{
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        if (faults[i].code == code)
            return faults[i].fault;
    return (struct kafka_fault){ODS_RETRY, FAULT_OUTAGE, ""};
}

enum ods_status kafka_fault_set(struct error *error, rd_kafka_resp_err_t code, const char *what,
                                const char *reason)
{
    const struct kafka_fault fault = kafka_fault(code);
    error_set(error, fault.status, "%s: %s%s", what, reason ? reason : rd_kafka_err2str(code),
              fault.advice);
    error->fault = fault.fault;
    snprintf(error->code, sizeof error->code, "%s", rd_kafka_err2name(code));
    return fault.status;
}
