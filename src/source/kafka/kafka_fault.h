/* What an error of librdkafka's means to who writes: the one table of it. */
#ifndef KAFKA_FAULT_H
#define KAFKA_FAULT_H

#include <librdkafka/rdkafka.h>

#include <ods/status.h>

struct kafka_fault {
    /* ODS_REJECT: the record; ODS_FENCED: another writer or member has taken over; ODS_FATAL: a
     * right or setting; else ODS_RETRY. */
    enum ods_status status;
    enum fault fault;
    const char *advice; /* what to do next, with what comes before it; "" */
};

struct kafka_fault kafka_fault(rd_kafka_resp_err_t code);

/* Fills status, fault, code and text: "<what>: <reason><advice>". */
enum ods_status kafka_fault_set(struct error *error, rd_kafka_resp_err_t code, const char *what,
                                const char *reason);

#endif
