/* Records as Debezium's Oracle connector writes them with Kafka Connect's JsonConverter
 * (https://debezium.io/documentation/reference/3.3/connectors/oracle.html#oracle-events).
 */
#ifndef GENERATE_RECORD_H
#define GENERATE_RECORD_H

#include "cell.h"

struct wire {
    struct style style;
    const char *prefix; /* topic.prefix */
    bool schemas;
    int64_t start_ms;   /* of the first change */
};

/* What happened to a row of a table. */
struct event {
    const struct table *table;
    char op;              /* c u d r */
    int step;             /* the table as it was then */
    struct row before, after;
    uint64_t number;      /* of the change: becomes scn and time */
    /* Of a delete or create that is half of a changed key: the other half's row. */
    const struct row *moved;
};

struct maker; /* keeps the schemas, which are the same record after record */

struct maker *maker_new(const struct wire *wire);
void maker_free(struct maker *maker);

const char *maker_topic(const struct maker *maker, const struct table *table);
void maker_key(struct maker *maker, struct text *out, const struct event *event);
void maker_value(struct maker *maker, struct text *out, const struct event *event);
/* The change's number as the database counts. */
int64_t event_scn(const struct event *event);
int64_t event_ms(const struct wire *wire, const struct event *event);

#endif
