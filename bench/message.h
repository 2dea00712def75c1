/* Records as Debezium 3.3.1 writes them with Kafka Connect's JsonConverter.
 *
 * The bytes follow captured records: the order of fields, the source block of MySQL and of
 * PostgreSQL, the schema that stands before every payload, the headers.
 */
#ifndef BENCH_MESSAGE_H
#define BENCH_MESSAGE_H

#include "rows.h"

enum wire {
    WIRE_ENVELOPE, /* with schema */
    WIRE_LEAN,     /* the envelope alone, schemas.enable=false, decimals as text */
    WIRE_FLAT,     /* ExtractNewRecordState, with schema */
    WIRE_AVRO,     /* the envelope by Confluent's serializer, schemas by id */
};

struct maker {
    const struct table *table;
    enum wire wire;
    char prefix[64]; /* topic.prefix */
    char topic[160];
    struct style style;
    struct text key_head, value_head; /* what is the same in every record */
    int64_t ts_ms;                    /* of the first event; each later one is 0.1 ms on */
    int32_t key_schema, value_schema; /* of Avro: their ids */
};

struct event {
    char op;                  /* c u d r */
    struct row before, after; /* of c and r only `after`, of d only `before` */
    int64_t number;           /* within the load: becomes position and time */
};

struct header {
    const char *name, *value;
};

enum { MESSAGE_HEADERS = 3 };

/* `number` is the table's in the load, by which its schemas have their ids. */
void maker_init(struct maker *maker, const struct table *table, enum wire wire, const char *prefix,
                uint64_t seed, int32_t number);
void maker_done(struct maker *maker);

void maker_key(struct text *out, const struct maker *maker, int32_t key);
void maker_value(struct text *out, const struct maker *maker, const struct event *event);
/* Of Avro: the schemas as members of a registry's file, {"<id>": {"schema": "…"}, …}. */
void maker_schemas(struct text *out, const struct maker *maker);
void maker_headers(const struct maker *maker, struct header headers[MESSAGE_HEADERS]);

/* WIRE_… by name; false: no such wire. */
bool wire_parse(enum wire *wire, const char *name);

#endif
