#include "record.h"

#include <stdio.h>
#include <stdlib.h>

enum { STEP_MS = 12, LAG_MS = 340 };

struct maker {
    struct wire wire;
    char topics[TABLES][128];
    struct text keys[TABLES], values[TABLES]; /* what stands before the payload */
    int steps[TABLES];                        /* which the schema is of; -1: none yet */
};

int64_t event_scn(const struct event *event)
{
    return 2122185 + (int64_t) event->number * 3;
}

int64_t event_ms(const struct wire *wire, const struct event *event)
{
    return wire->start_ms + (int64_t) event->number * STEP_MS;
}

struct maker *maker_new(const struct wire *wire)
{
    struct maker *maker = calloc(1, sizeof *maker);
    if (!maker)
        die("out of memory");
    maker->wire = *wire;
    for (int i = 0; i < TABLES; i++) {
        snprintf(maker->topics[i], sizeof maker->topics[i], "%s.SHOP.%s", wire->prefix,
                 tables[i].name);
        maker->steps[i] = -1;
    }
    return maker;
}

void maker_free(struct maker *maker)
{
    for (int i = 0; i < TABLES; i++) {
        text_free(&maker->keys[i]);
        text_free(&maker->values[i]);
    }
    free(maker);
}

const char *maker_topic(const struct maker *maker, const struct table *table)
{
    return maker->topics[table->number];
}

/* ---- schemas ----------------------------------------------------------------------------------
 */

static void put_fields(struct text *out, const struct maker *maker, const struct table *table,
                       int step, size_t count)
{
    bool next = false;
    text_string(out, "\"fields\":[");
    for (size_t i = 0; i < count; i++) {
        const struct column *column = &table->columns[i];
        if (!column_there(column, step))
            continue;
        if (next)
            text_bytes(out, ",", 1);
        next = true;
        cell_schema(out, &maker->wire.style, column, i < (size_t) table->keys);
    }
    text_string(out, "]");
}

static void put_key_schema(struct text *out, const struct maker *maker, const struct table *table,
                           int step)
{
    text_string(out, "{\"schema\":{\"type\":\"struct\",");
    put_fields(out, maker, table, step, (size_t) table->keys);
    text_format(out, ",\"optional\":false,\"name\":\"%s.Key\"},\"payload\":",
                maker_topic(maker, table));
}

static void put_image_schema(struct text *out, const struct maker *maker,
                             const struct table *table, int step, const char *field)
{
    text_string(out, "{\"type\":\"struct\",");
    put_fields(out, maker, table, step, table->count);
    text_format(out, ",\"optional\":true,\"name\":\"%s.Value\",\"field\":\"%s\"}",
                maker_topic(maker, table), field);
}

#define FIELD(type, optional, name)                                                              \
    "{\"type\":\"" type "\",\"optional\":" optional ",\"field\":\"" name "\"}"

static const char source_schema[] =
    "{\"type\":\"struct\",\"fields\":[" FIELD("string", "false", "version") "," FIELD(
        "string", "false", "connector") "," FIELD("string", "false", "name") "," FIELD(
        "int64", "false", "ts_ms") ",{\"type\":\"string\",\"optional\":true,\"name\":"
                                   "\"io.debezium.data.Enum\",\"version\":1,\"parameters\":"
                                   "{\"allowed\":\"true,first,first_in_data_collection,"
                                   "last_in_data_collection,last,false,incremental\"},"
                                   "\"default\":\"false\",\"field\":\"snapshot\"}," FIELD(
        "string", "false", "db") "," FIELD("string", "true", "sequence") "," FIELD(
        "int64", "true", "ts_us") "," FIELD("int64", "true", "ts_ns") "," FIELD(
        "string", "false", "schema") "," FIELD("string", "false", "table") "," FIELD(
        "string", "true", "txId") "," FIELD("string", "true", "scn") "," FIELD(
        "string", "true", "commit_scn") "," FIELD("string", "true", "lcr_position") "," FIELD(
        "string", "true", "rs_id") "," FIELD("int64", "true", "ssn") "," FIELD(
        "int32", "true", "redo_thread") "," FIELD("string", "true", "user_name") "," FIELD(
        "string", "true", "redo_sql") "," FIELD("string", "true", "row_id") "],\"optional\":false,"
    "\"name\":\"io.debezium.connector.oracle.Source\",\"version\":1,\"field\":\"source\"}";

static const char tail_schema[] =
    "{\"type\":\"struct\",\"fields\":[" FIELD("string", "false", "id") "," FIELD(
        "int64", "false", "total_order") "," FIELD("int64", "false", "data_collection_order")
    "],\"optional\":true,\"name\":\"event.block\",\"version\":1,\"field\":\"transaction\"}," FIELD(
        "string", "false", "op") "," FIELD("int64", "true", "ts_ms") "," FIELD(
        "int64", "true", "ts_us") "," FIELD("int64", "true", "ts_ns");

static void put_value_schema(struct text *out, const struct maker *maker,
                             const struct table *table, int step)
{
    text_string(out, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    put_image_schema(out, maker, table, step, "before");
    text_bytes(out, ",", 1);
    put_image_schema(out, maker, table, step, "after");
    text_bytes(out, ",", 1);
    text_string(out, source_schema);
    text_bytes(out, ",", 1);
    text_string(out, tail_schema);
    text_format(out, "],\"optional\":false,\"name\":\"%s.Envelope\",\"version\":2},\"payload\":",
                maker_topic(maker, table));
}

static void make_schemas(struct maker *maker, const struct event *event)
{
    int number = event->table->number;
    if (!maker->wire.schemas || maker->steps[number] == event->step)
        return;
    maker->keys[number].length = maker->values[number].length = 0;
    put_key_schema(&maker->keys[number], maker, event->table, event->step);
    put_value_schema(&maker->values[number], maker, event->table, event->step);
    maker->steps[number] = event->step;
}

/* ---- payloads ---------------------------------------------------------------------------------
 */

/* What a column holds is not in the record of an update that does not change it, and large columns
 * of rows as they were before are in none. */
static bool is_carried(const struct event *event, const struct column *column, bool before)
{
    return !column_large(column) ||
           (!before && !(event->op == 'u' && event->after.body == event->before.body));
}

/* The column was not there when the row was written. */
static bool is_empty(const struct column *column, const struct row *row)
{
    return column->anew && row->step < column->since;
}

static void put_image(struct text *out, const struct maker *maker, const struct event *event,
                      const struct row *row, size_t count, bool before)
{
    bool next = false;
    text_bytes(out, "{", 1);
    for (size_t i = 0; i < count; i++) {
        const struct column *column = &event->table->columns[i];
        if (!column_there(column, event->step))
            continue;
        if (next)
            text_bytes(out, ",", 1);
        next = true;
        text_bytes(out, "\"", 1);
        text_string(out, column->name);
        text_bytes(out, "\":", 2);
        if (!is_carried(event, column, before))
            cell_unavailable(out, column);
        else if (is_empty(column, row))
            text_string(out, "null");
        else
            cell_json(out, &maker->wire.style, event->table, column, row);
    }
    text_bytes(out, "}", 1);
}

void maker_key(struct maker *maker, struct text *out, const struct event *event)
{
    make_schemas(maker, event);
    if (maker->wire.schemas)
        text_bytes(out, maker->keys[event->table->number].data,
                   maker->keys[event->table->number].length);
    put_image(out, maker, event, event->op == 'd' ? &event->before : &event->after,
              (size_t) event->table->keys, false);
    if (maker->wire.schemas)
        text_bytes(out, "}", 1);
}

/* ts_ms, ts_us and ts_ns are one time. */
static void put_times(struct text *out, int64_t ms)
{
    text_string(out, "\"ts_us\":");
    text_integer(out, ms * 1000);
    text_string(out, ",\"ts_ns\":");
    text_integer(out, ms * 1000000);
}

static void put_source(struct text *out, const struct maker *maker, const struct event *event)
{
    int64_t ms = event_ms(&maker->wire, event), scn = event_scn(event);
    text_string(out, "\"source\":{\"version\":\"3.3.1.Final\",\"connector\":\"oracle\","
                     "\"name\":\"");
    text_string(out, maker->wire.prefix);
    text_string(out, "\",\"ts_ms\":");
    text_integer(out, ms);
    text_string(out, event->op == 'r' ? ",\"snapshot\":\"true\"" : ",\"snapshot\":\"false\"");
    text_string(out, ",\"db\":\"ORCLPDB1\",\"sequence\":null,");
    put_times(out, ms);
    text_string(out, ",\"schema\":\"SHOP\",\"table\":\"");
    text_string(out, event->table->name);
    text_string(out, "\",\"txId\":\"0500");
    put_number(out, (int64_t) (event->number % 100000000), 8);
    text_string(out, "\",\"scn\":\"");
    text_integer(out, scn);
    text_string(out, "\",\"commit_scn\":\"");
    text_integer(out, scn + 1);
    text_string(out, "\",\"lcr_position\":null,\"rs_id\":\"0x00002a.");
    put_number(out, (int64_t) (event->number % 100000000), 8);
    text_string(out, ".0010\",\"ssn\":0,\"redo_thread\":1,\"user_name\":\"SHOP\",\"redo_sql\":null,"
                     "\"row_id\":\"AAASgjAAMAAA");
    put_number(out, (int64_t) (event->number % 1000000), 6);
    text_string(out, "\"}");
}

void maker_value(struct maker *maker, struct text *out, const struct event *event)
{
    make_schemas(maker, event);
    if (maker->wire.schemas)
        text_bytes(out, maker->values[event->table->number].data,
                   maker->values[event->table->number].length);
    text_string(out, "{\"before\":");
    if (event->op == 'u' || event->op == 'd')
        put_image(out, maker, event, &event->before, event->table->count, true);
    else
        text_string(out, "null");
    text_string(out, ",\"after\":");
    if (event->op != 'd')
        put_image(out, maker, event, &event->after, event->table->count, false);
    else
        text_string(out, "null");
    text_bytes(out, ",", 1);
    put_source(out, maker, event);
    text_string(out, ",\"transaction\":null,\"op\":\"");
    text_bytes(out, &event->op, 1);
    text_string(out, "\",\"ts_ms\":");
    int64_t ms = event_ms(&maker->wire, event) + LAG_MS;
    text_integer(out, ms);
    text_bytes(out, ",", 1);
    put_times(out, ms);
    text_string(out, maker->wire.schemas ? "}}" : "}");
}
