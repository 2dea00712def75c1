#include "message_avro.h"

#include <stdio.h>
#include <string.h>

#define OPTIONAL(type) "[\"null\"," type "]"
#define FIELD(name, type) "{\"name\":\"" name "\",\"type\":" type "}"

#define SOURCE_HEAD \
    FIELD("version", "\"string\"") "," \
    FIELD("connector", "\"string\"") "," \
    FIELD("name", "\"string\"") "," \
    FIELD("ts_ms", "\"long\"") "," \
    FIELD("snapshot", "[{\"type\":\"string\",\"connect.version\":1,\"connect.name\":" \
                      "\"io.debezium.data.Enum\",\"connect.default\":\"false\"},\"null\"]") "," \
    FIELD("db", "\"string\"") "," \
    FIELD("sequence", OPTIONAL("\"string\"")) "," \
    FIELD("ts_us", OPTIONAL("\"long\"")) "," \
    FIELD("ts_ns", OPTIONAL("\"long\"")) ","

static const char mysql_source[] =
    "{\"type\":\"record\",\"name\":\"Source\",\"namespace\":\"io.debezium.connector.mysql\","
    "\"fields\":["
    SOURCE_HEAD
    FIELD("table", OPTIONAL("\"string\"")) ","
    FIELD("server_id", "\"long\"") ","
    FIELD("gtid", OPTIONAL("\"string\"")) ","
    FIELD("file", "\"string\"") ","
    FIELD("pos", "\"long\"") ","
    FIELD("row", "\"int\"") ","
    FIELD("thread", OPTIONAL("\"long\"")) ","
    FIELD("query", OPTIONAL("\"string\""))
    "],\"connect.name\":\"io.debezium.connector.mysql.Source\"}";

static const char postgresql_source[] =
    "{\"type\":\"record\",\"name\":\"Source\","
    "\"namespace\":\"io.debezium.connector.postgresql\",\"fields\":["
    SOURCE_HEAD
    FIELD("schema", "\"string\"") ","
    FIELD("table", "\"string\"") ","
    FIELD("txId", OPTIONAL("\"long\"")) ","
    FIELD("lsn", OPTIONAL("\"long\"")) ","
    FIELD("xmin", OPTIONAL("\"long\""))
    "],\"connect.name\":\"io.debezium.connector.postgresql.Source\"}";

static const char envelope_rest[] =
    FIELD("transaction",
          OPTIONAL("{\"type\":\"record\",\"name\":\"block\",\"namespace\":\"event\",\"fields\":["
                   FIELD("id", "\"string\"") ","
                   FIELD("total_order", "\"long\"") ","
                   FIELD("data_collection_order", "\"long\"")
                   "],\"connect.version\":1,\"connect.name\":\"event.block\"}")) ","
    FIELD("op", "\"string\"") ","
    FIELD("ts_ms", OPTIONAL("\"long\"")) ","
    FIELD("ts_us", OPTIONAL("\"long\"")) ","
    FIELD("ts_ns", OPTIONAL("\"long\""));

/* ---- schemas -----------------------------------------------------------------------------------
 */

static const char *type_of(enum kind kind)
{
    switch (kind) {
    case KIND_KEY:
    case KIND_INT32:
        return "\"int\"";
    case KIND_INT64:
        return "\"long\"";
    case KIND_BOOLEAN:
        return "{\"type\":\"int\",\"connect.type\":\"int16\"}";
    case KIND_DATE:
        return "{\"type\":\"int\",\"connect.version\":1,"
               "\"connect.name\":\"io.debezium.time.Date\"}";
    case KIND_DECIMAL:
        return "{\"type\":\"bytes\",\"scale\":2,\"precision\":15,\"connect.version\":1,"
               "\"connect.parameters\":{\"scale\":\"2\",\"connect.decimal.precision\":\"15\"},"
               "\"connect.name\":\"org.apache.kafka.connect.data.Decimal\","
               "\"logicalType\":\"decimal\"}";
    case KIND_DATETIME:
        return "{\"type\":\"long\",\"connect.version\":1,"
               "\"connect.name\":\"io.debezium.time.Timestamp\"}";
    case KIND_ZONED:
        return "{\"type\":\"string\",\"connect.version\":1,"
               "\"connect.name\":\"io.debezium.time.ZonedTimestamp\"}";
    case KIND_DOCUMENT:
        return "{\"type\":\"string\",\"connect.version\":1,"
               "\"connect.name\":\"io.debezium.data.Json\"}";
    default:
        return "\"string\"";
    }
}

/* Opens a record and lists the table's first `count` columns in it. */
static void open_record(struct text *out, const struct maker *maker, const char *name, size_t count)
{
    text_format(out, "{\"type\":\"record\",\"name\":\"%s\",\"namespace\":\"%s\",\"fields\":[",
                name, maker->topic);
    for (size_t i = 0; i < count; i++) {
        const struct column *column = &maker->table->columns[i];
        text_format(out, "%s{\"name\":\"%s\",\"type\":", i ? "," : "", column->name);
        text_string(out, column->optional ? "[\"null\"," : "");
        text_string(out, type_of(column->kind));
        text_string(out, column->optional ? "],\"default\":null}" : "}");
    }
}

static void close_record(struct text *out, const struct maker *maker, const char *name)
{
    text_format(out, "],\"connect.name\":\"%s.%s\"}", maker->topic, name);
}

static void value_schema(struct text *out, const struct maker *maker)
{
    open_record(out, maker, "Envelope", 0);
    text_string(out, "{\"name\":\"before\",\"type\":[\"null\",");
    open_record(out, maker, "Value", maker->table->count);
    close_record(out, maker, "Value");
    text_string(out, "],\"default\":null}," FIELD("after", OPTIONAL("\"Value\"")) ","
                     "{\"name\":\"source\",\"type\":");
    text_string(out, maker->table->connector == CONNECTOR_MYSQL ? mysql_source : postgresql_source);
    text_string(out, "},");
    text_string(out, envelope_rest);
    close_record(out, maker, "Envelope");
}

static void put_schema(struct text *out, int32_t id, struct text *schema)
{
    text_format(out, "\"%d\": {\"schema\": ", (int) id);
    text_json(out, schema->data, schema->length);
    text_string(out, "}");
    schema->length = 0;
}

void maker_schemas(struct text *out, const struct maker *maker)
{
    struct text schema = {0};
    open_record(&schema, maker, "Key", 1);
    close_record(&schema, maker, "Key");
    put_schema(out, maker->key_schema, &schema);
    text_string(out, ",\n");
    value_schema(&schema, maker);
    put_schema(out, maker->value_schema, &schema);
    text_free(&schema);
}

/* ---- records -----------------------------------------------------------------------------------
 */

static void put_id(struct text *out, int32_t id)
{
    text_bytes(out, (char[]){0, (char) (id >> 24), (char) (id >> 16), (char) (id >> 8), (char) id},
               5);
}

void avro_key(struct text *out, const struct maker *maker, int32_t key)
{
    put_id(out, maker->key_schema);
    text_avro_long(out, key);
}

/* Only the key of a deleted row is known to a PostgreSQL table with the default replica identity.
 */
static void image(struct text *out, const struct maker *maker, const struct row *row, bool key_only)
{
    text_avro_long(out, row != NULL);
    for (size_t i = 0; row && i < maker->table->count; i++) {
        if (key_only && i > 0)
            text_avro_long(out, 0);
        else
            cell_avro(out, &maker->style, &maker->table->columns[i], row);
    }
}

static void put_present(struct text *out, int64_t number)
{
    text_avro_long(out, 1);
    text_avro_long(out, number);
}

static void source_head(struct text *out, const struct maker *maker, int64_t us, bool snapshot)
{
    text_avro_string(out, "3.3.1.Final");
    text_avro_string(out, maker->table->connector == CONNECTOR_MYSQL ? "mysql" : "postgresql");
    text_avro_string(out, maker->prefix);
    text_avro_long(out, us / 1000);
    text_avro_long(out, 0);
    text_avro_string(out, snapshot ? "true" : "false");
    text_avro_string(out, maker->table->database);
}

static void mysql_block(struct text *out, const struct maker *maker, int64_t us, int64_t number,
                        bool snapshot)
{
    char gtid[80];
    snprintf(gtid, sizeof(gtid), "dadf3bd1-e54d-11f1-a584-02fc00000001:%lld",
             14 + (long long) number);
    source_head(out, maker, us, snapshot);
    text_avro_long(out, 0);
    put_present(out, us);
    put_present(out, us * 1000);
    text_avro_long(out, 1);
    text_avro_string(out, maker->table->name);
    text_avro_long(out, 184054);
    text_avro_long(out, !snapshot);
    if (!snapshot)
        text_avro_string(out, gtid);
    text_avro_string(out, "mysql-bin.000001");
    text_avro_long(out, 4786 + 412 * number);
    text_avro_long(out, 0);
    text_avro_long(out, !snapshot);
    if (!snapshot)
        text_avro_long(out, 26);
    text_avro_long(out, 0);
    text_avro_long(out, !snapshot);
    if (snapshot)
        return;
    text_avro_string(out, gtid);
    text_avro_long(out, 1);
    text_avro_long(out, 1);
}

static void postgresql_block(struct text *out, const struct maker *maker, int64_t us,
                             int64_t number, bool snapshot)
{
    int64_t lsn = 1313510312 + 344 * number;
    char sequence[64];
    snprintf(sequence, sizeof(sequence), "[\"%lld\",\"%lld\"]", (long long) lsn - 56,
             (long long) lsn);
    source_head(out, maker, us, snapshot);
    text_avro_long(out, 1);
    text_avro_string(out, sequence);
    put_present(out, us);
    put_present(out, us * 1000);
    text_avro_string(out, maker->table->schema);
    text_avro_string(out, maker->table->name);
    put_present(out, 41582 + number);
    put_present(out, lsn);
    text_avro_long(out, 0);
    text_avro_long(out, 0);
}

void avro_value(struct text *out, const struct maker *maker, const struct event *event, int64_t us)
{
    bool mysql = maker->table->connector == CONNECTOR_MYSQL;
    bool before = event->op == 'd' || (event->op == 'u' && mysql);
    put_id(out, maker->value_schema);
    image(out, maker, before ? &event->before : NULL, !mysql);
    image(out, maker, event->op != 'd' ? &event->after : NULL, false);
    (mysql ? mysql_block : postgresql_block)(out, maker, us, event->number, event->op == 'r');
    us += 16959;
    text_avro_bytes(out, &event->op, 1);
    put_present(out, us / 1000);
    put_present(out, us);
    put_present(out, us * 1000 + 595);
}
