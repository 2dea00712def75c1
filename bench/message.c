#include "message_avro.h"

#include <stdio.h>
#include <string.h>

#define UUID "dadf3bd1-e54d-11f1-a584-02fc00000001"

/* What every connector says of where a change comes from. */
#define SOURCE_HEAD \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"version\"}," \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"connector\"}," \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"name\"}," \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"}," \
    "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1," \
    "\"parameters\":{\"allowed\":\"true,first,first_in_data_collection,last_in_data_collection," \
    "last,false,incremental\"},\"default\":\"false\",\"field\":\"snapshot\"}," \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"db\"}," \
    "{\"type\":\"string\",\"optional\":true,\"field\":\"sequence\"}," \
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"}," \
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"},"

static const char mysql_source[] =
    "{\"type\":\"struct\",\"fields\":["
    SOURCE_HEAD
    "{\"type\":\"string\",\"optional\":true,\"field\":\"table\"},"
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"server_id\"},"
    "{\"type\":\"string\",\"optional\":true,\"field\":\"gtid\"},"
    "{\"type\":\"string\",\"optional\":false,\"field\":\"file\"},"
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"pos\"},"
    "{\"type\":\"int32\",\"optional\":false,\"field\":\"row\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"thread\"},"
    "{\"type\":\"string\",\"optional\":true,\"field\":\"query\"}],\"optional\":false,"
    "\"name\":\"io.debezium.connector.mysql.Source\",\"version\":1,\"field\":\"source\"}";

static const char postgresql_source[] =
    "{\"type\":\"struct\",\"fields\":["
    SOURCE_HEAD
    "{\"type\":\"string\",\"optional\":false,\"field\":\"schema\"},"
    "{\"type\":\"string\",\"optional\":false,\"field\":\"table\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"txId\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"lsn\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"xmin\"}],\"optional\":false,"
    "\"name\":\"io.debezium.connector.postgresql.Source\",\"version\":1,\"field\":\"source\"}";

static const char envelope_rest[] =
    "{\"type\":\"struct\",\"fields\":["
    "{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"total_order\"},"
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"data_collection_order\"}],"
    "\"optional\":true,\"name\":\"event.block\",\"version\":1,\"field\":\"transaction\"},"
    "{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"}]";

static const char flat_rest[] =
    ",{\"type\":\"string\",\"optional\":true,\"field\":\"__deleted\"}"
    ",{\"type\":\"string\",\"optional\":true,\"field\":\"__op\"}"
    ",{\"type\":\"int64\",\"optional\":true,\"field\":\"__source_ts_ms\"}"
    ",{\"type\":\"string\",\"optional\":true,\"field\":\"__source_table\"}";

/* ---- schemas -----------------------------------------------------------------------------------
 */

static void field(struct text *out, const struct column *column)
{
    const char *type = "string", *semantics = "", *fallback = "";
    switch (column->kind) {
    case KIND_KEY:
    case KIND_INT32:
        type = "int32";
        break;
    case KIND_INT64:
        type = "int64";
        break;
    case KIND_BOOLEAN:
        type = "int16";
        break;
    case KIND_DATE:
        type = "int32";
        semantics = ",\"name\":\"io.debezium.time.Date\",\"version\":1";
        break;
    case KIND_DECIMAL:
        type = "bytes";
        semantics = ",\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,"
                    "\"parameters\":{\"scale\":\"2\",\"connect.decimal.precision\":\"15\"}";
        break;
    case KIND_DATETIME:
        type = "int64";
        semantics = ",\"name\":\"io.debezium.time.Timestamp\",\"version\":1";
        break;
    case KIND_ZONED:
        semantics = ",\"name\":\"io.debezium.time.ZonedTimestamp\",\"version\":1";
        break;
    case KIND_DOCUMENT:
        semantics = ",\"name\":\"io.debezium.data.Json\",\"version\":1";
        break;
    default:
        break;
    }
    if (strcmp(column->name, "created_at") == 0)
        fallback = ",\"default\":0";
    text_format(out, "{\"type\":\"%s\",\"optional\":%s%s%s,\"field\":\"%s\"}", type,
                column->optional ? "true" : "false", semantics, fallback, column->name);
}

static void fields(struct text *out, const struct maker *maker)
{
    for (size_t i = 0; i < maker->table->count; i++) {
        if (i)
            text_bytes(out, ",", 1);
        field(out, &maker->table->columns[i]);
    }
}

static void key_head(struct maker *maker)
{
    struct text *out = &maker->key_head;
    if (maker->wire == WIRE_AVRO)
        return;
    if (maker->wire != WIRE_LEAN) {
        text_string(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
        field(out, &maker->table->columns[0]);
        text_format(out, "],\"optional\":false,\"name\":\"%s.Key\"},\"payload\":", maker->topic);
    }
    text_format(out, "{\"%s\":", maker->table->columns[0].name);
}

static void image_schema(struct text *out, const struct maker *maker, const char *name)
{
    text_string(out, "{\"type\":\"struct\",\"fields\":[");
    fields(out, maker);
    text_format(out, "],\"optional\":true,\"name\":\"%s.Value\",\"field\":\"%s\"},", maker->topic,
                name);
}

static void value_head(struct maker *maker)
{
    struct text *out = &maker->value_head;
    if (maker->wire == WIRE_LEAN || maker->wire == WIRE_AVRO)
        return;
    text_string(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    if (maker->wire == WIRE_FLAT) {
        fields(out, maker);
        text_string(out, flat_rest);
        text_format(out, "],\"optional\":false,\"name\":\"%s.Value\"},\"payload\":", maker->topic);
        return;
    }
    image_schema(out, maker, "before");
    image_schema(out, maker, "after");
    text_string(out, maker->table->connector == CONNECTOR_MYSQL ? mysql_source : postgresql_source);
    text_bytes(out, ",", 1);
    text_string(out, envelope_rest);
    text_format(out, ",\"optional\":false,\"name\":\"%s.Envelope\",\"version\":2},\"payload\":",
                maker->topic);
}

void maker_init(struct maker *maker, const struct table *table, enum wire wire, const char *prefix,
                uint64_t seed, int32_t number)
{
    *maker = (struct maker){.table = table,
                            .wire = wire,
                            .style = {.seed = seed, .decimals_as_text = wire == WIRE_LEAN},
                            .ts_ms = INT64_C(1795226343722),
                            .key_schema = 2 * number + 1,
                            .value_schema = 2 * number + 2};
    snprintf(maker->prefix, sizeof(maker->prefix), "%s", prefix);
    snprintf(maker->topic, sizeof(maker->topic), "%s.%s.%s", maker->prefix,
             table->schema ? table->schema : table->database, table->name);
    key_head(maker);
    value_head(maker);
}

void maker_done(struct maker *maker)
{
    text_free(&maker->key_head);
    text_free(&maker->value_head);
}

/* ---- payloads ----------------------------------------------------------------------------------
 */

void maker_key(struct text *out, const struct maker *maker, int32_t key)
{
    if (maker->wire == WIRE_AVRO) {
        avro_key(out, maker, key);
        return;
    }
    text_bytes(out, maker->key_head.data, maker->key_head.length);
    text_integer(out, key);
    text_string(out, maker->wire == WIRE_LEAN ? "}" : "}}");
}

/* Only the key of a deleted row is known to a PostgreSQL table with the default replica identity.
 */
static void image(struct text *out, const struct maker *maker, const struct row *row, bool key_only)
{
    for (size_t i = 0; i < maker->table->count; i++) {
        const struct column *column = &maker->table->columns[i];
        text_bytes(out, i ? ",\"" : "{\"", 2);
        text_string(out, column->name);
        text_bytes(out, "\":", 2);
        if (key_only && i > 0)
            text_string(out, "null");
        else
            cell_json(out, &maker->style, column, row);
    }
}

static void mysql_block(struct text *out, const struct maker *maker, int64_t us, int64_t number,
                        bool snapshot)
{
    text_format(out,
                ",\"source\":{\"version\":\"3.3.1.Final\",\"connector\":\"mysql\",\"name\":\"%s\","
                "\"ts_ms\":%lld,\"snapshot\":\"%s\",\"db\":\"%s\",\"sequence\":null,",
                maker->prefix, (long long) us / 1000, snapshot ? "true" : "false",
                maker->table->database);
    text_format(out, "\"ts_us\":%lld,\"ts_ns\":%lld,\"table\":\"%s\",\"server_id\":184054,",
                (long long) us, (long long) us * 1000, maker->table->name);
    if (snapshot)
        text_string(out, "\"gtid\":null,");
    else
        text_format(out, "\"gtid\":\"" UUID ":%lld\",", 14 + (long long) number);
    text_format(out,
                "\"file\":\"mysql-bin.000001\",\"pos\":%lld,\"row\":0,\"thread\":%s,"
                "\"query\":null}",
                4786 + 412 * (long long) number, snapshot ? "null" : "26");
}

static void postgresql_block(struct text *out, const struct maker *maker, int64_t us,
                             int64_t number, bool snapshot)
{
    long long lsn = 1313510312 + 344 * (long long) number;
    text_format(out,
                ",\"source\":{\"version\":\"3.3.1.Final\",\"connector\":\"postgresql\","
                "\"name\":\"%s\",\"ts_ms\":%lld,\"snapshot\":\"%s\",\"db\":\"%s\",",
                maker->prefix, (long long) us / 1000, snapshot ? "true" : "false",
                maker->table->database);
    text_format(out,
                "\"sequence\":\"[\\\"%lld\\\",\\\"%lld\\\"]\",\"ts_us\":%lld,\"ts_ns\":%lld,"
                "\"schema\":\"%s\",\"table\":\"%s\",\"txId\":%lld,\"lsn\":%lld,\"xmin\":null}",
                lsn - 56, lsn, (long long) us, (long long) us * 1000, maker->table->schema,
                maker->table->name, 41582 + (long long) number, lsn);
}

static void envelope(struct text *out, const struct maker *maker, const struct event *event,
                     int64_t us)
{
    bool mysql = maker->table->connector == CONNECTOR_MYSQL;
    text_string(out, "{\"before\":");
    if (event->op == 'd' || (event->op == 'u' && mysql)) {
        image(out, maker, &event->before, !mysql);
        text_bytes(out, "}", 1);
    } else {
        text_string(out, "null");
    }
    text_string(out, ",\"after\":");
    if (event->op != 'd') {
        image(out, maker, &event->after, false);
        text_bytes(out, "}", 1);
    } else {
        text_string(out, "null");
    }
    (mysql ? mysql_block : postgresql_block)(out, maker, us, event->number, event->op == 'r');
    if (mysql && maker->wire == WIRE_LEAN && event->op != 'r')
        text_format(out,
                    ",\"transaction\":{\"id\":\"" UUID ":%lld\",\"total_order\":1,"
                    "\"data_collection_order\":1}",
                    14 + (long long) event->number);
    else
        text_string(out, ",\"transaction\":null");
    us += 16959;
    text_format(out, ",\"op\":\"%c\",\"ts_ms\":%lld,\"ts_us\":%lld,\"ts_ns\":%lld}", event->op,
                (long long) us / 1000, (long long) us, (long long) us * 1000 + 595);
}

void maker_value(struct text *out, const struct maker *maker, const struct event *event)
{
    int64_t us = maker->ts_ms * 1000 + event->number * 100 + 899;
    if (maker->wire == WIRE_AVRO) {
        avro_value(out, maker, event, us);
        return;
    }
    text_bytes(out, maker->value_head.data ? maker->value_head.data : "", maker->value_head.length);
    if (maker->wire == WIRE_FLAT) {
        bool deleted = event->op == 'd';
        image(out, maker, deleted ? &event->before : &event->after, false);
        text_format(out,
                    ",\"__deleted\":\"%s\",\"__op\":\"%c\",\"__source_ts_ms\":%lld,"
                    "\"__source_table\":\"%s\"}",
                    deleted ? "true" : "false", event->op, (long long) us / 1000,
                    maker->table->name);
    } else {
        envelope(out, maker, event, us);
    }
    if (maker->wire != WIRE_LEAN)
        text_bytes(out, "}", 1);
}

void maker_headers(const struct maker *maker, struct header headers[MESSAGE_HEADERS])
{
    headers[0] = (struct header){"__debezium.context.connectorLogicalName", maker->prefix};
    headers[1] = (struct header){"__debezium.context.taskId", "0"};
    headers[2] =
        (struct header){"__debezium.context.connectorName",
                        maker->table->connector == CONNECTOR_MYSQL ? "mysql" : "postgresql"};
}

bool wire_parse(enum wire *wire, const char *name)
{
    static const char *const names[] = {"envelope", "lean", "flat", "avro"};
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (strcmp(name, names[i]) == 0) {
            *wire = (enum wire) i;
            return true;
        }
    }
    return false;
}
