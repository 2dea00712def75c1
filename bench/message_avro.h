/* The same records in Avro, as Debezium's envelope comes through Confluent's serializer: a zero, the
 * schema's id in four bytes, the record by its schema. */
#ifndef BENCH_MESSAGE_AVRO_H
#define BENCH_MESSAGE_AVRO_H

#include "message.h"

void avro_key(struct text *out, const struct maker *maker, int32_t key);
void avro_value(struct text *out, const struct maker *maker, const struct event *event, int64_t us);

#endif
