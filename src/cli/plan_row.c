/* Schemas in place of records. Each becomes a record with which it begins to hold, empty but for
 * what may not be NULL, so that the format and the planner read it as they would read the first
 * one. */
#include "cli/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"

/* The record goes to the pipeline; both texts are freed. */
static enum ods_status take_record(struct outlook *outlook, const char *topic, char *key,
                                   char *value, struct error *error)
{
    struct batch *batch = batch_new();
    struct record *record = batch && value ? batch_add_record(batch) : NULL;
    enum ods_status status = record ? ODS_OK : error_out_of_memory(error);
    if (record) {
        *record = (struct record){.topic = topic,
                                  .offset = -1,
                                  .timestamp_ms = -1,
                                  .key = key,
                                  .key_length = key ? strlen(key) : 0,
                                  .value = value,
                                  .value_length = strlen(value)};
        status = outlook_take(outlook, batch, error);
    }
    batch_free(batch);
    free(key);
    free(value);
    return status;
}

static char *dump(json_t *value) /* takes it over */
{
    char *text = json_dumps(value, JSON_COMPACT);
    json_decref(value);
    return text;
}

/* The least that a field may hold. */
static json_t *least(const json_t *field)
{
    const char *type = text_in(field, "type");
    if (json_is_true(json_object_get(field, "optional")))
        return json_null();
    if (strncmp(type, "int", 3) == 0)
        return json_integer(0);
    if (strcmp(type, "float") == 0 || strcmp(type, "double") == 0)
        return json_real(0);
    if (strcmp(type, "boolean") == 0)
        return json_false();
    if (strcmp(type, "bytes") == 0)
        return json_string("AA==");
    if (strcmp(type, "array") == 0)
        return json_array();
    return strcmp(type, "map") == 0 || strcmp(type, "struct") == 0 ? json_object()
                                                                   : json_string("");
}

/* Database or schema, and table, of the topic "prefix.shop.items". */
struct place_of {
    char middle[256], table[256];
    char connector[64];
    bool schemas; /* the source's tables stand in schemas */
};

static void set_connector(struct place_of *place, const char *connector)
{
    snprintf(place->connector, sizeof place->connector, "%s", connector);
    place->schemas = strcmp(connector, "postgresql") == 0 || strcmp(connector, "sqlserver") == 0 ||
                     strcmp(connector, "oracle") == 0 || strcmp(connector, "db2") == 0;
}

static void find_place(struct place_of *place, const struct outlook *outlook, const json_t *schema)
{
    const char *topic = text_in(schema, "topic"), *last = strrchr(topic, '.');
    const char *before = last;
    char connector[64] = "";
    *place = (struct place_of){0};
    while (before && before > topic && before[-1] != '.')
        before--;
    snprintf(place->table, sizeof place->table, "%s", last ? last + 1 : topic);
    if (last && before > topic)
        snprintf(place->middle, sizeof place->middle, "%.*s", (int) (last - before), before);
    sscanf(text_in(schema, "connector"), "io.debezium.connector.%60[a-z0-9].Source", connector);
    set_connector(place, *connector ? connector : outlook->pipeline->source.connector);
}

static json_t *source_schema_json(void)
{
    static const char *const names[] = {"connector", "name", "db", "schema", "table"};
    json_t *fields = json_array();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        json_array_append_new(fields, json_pack("{s:s, s:b, s:s}", "type", "string", "optional", 1,
                                                "field", names[i]));
    return json_pack("{s:s, s:b, s:s, s:o}", "type", "struct", "optional", 0, "field", "source",
                     "fields", fields);
}

static json_t *image_schema(const json_t *row, const char *field)
{
    json_t *image = json_copy((json_t *) row);
    json_object_set_new(image, "optional", json_true());
    json_object_set_new(image, "field", json_string(field));
    json_object_del(image, "default");
    return image;
}

/* What ExtractNewRecordState has added is not a column. */
static json_t *columns_of(const json_t *row)
{
    json_t *copy = json_copy((json_t *) row), *fields = json_array(), *field;
    size_t i;
    json_array_foreach(json_object_get(row, "fields"), i, field)
    {
        if (strncmp(text_in(field, "field"), "__", 2) != 0)
            json_array_append(fields, field);
    }
    json_object_set_new(copy, "fields", fields);
    return copy;
}

static char *envelope(const struct place_of *place, const json_t *row)
{
    json_t *after = json_object(), *field;
    size_t i;
    json_array_foreach(json_object_get(row, "fields"), i, field)
    {
        json_object_set_new(after, text_in(field, "field"), least(field));
    }
    json_t *schema = json_pack(
        "{s:s, s:b, s:s, s:[o, o, o, {s:s, s:b, s:s}]}", "type", "struct", "optional", 0, "name",
        "plan.Envelope", "fields", image_schema(row, "before"), image_schema(row, "after"),
        source_schema_json(), "type", "string", "optional", 0, "field", "op");
    json_t *source = json_pack("{s:s, s:s, s:s, s:s*, s:s}", "connector", place->connector, "name",
                               "plan", "db", place->schemas ? "" : place->middle, "schema",
                               place->schemas ? place->middle : NULL, "table", place->table);
    return dump(json_pack("{s:o, s:{s:n, s:o, s:o, s:s}}", "schema", schema, "payload", "before",
                          "after", after, "source", source, "op", "c"));
}

/* A row without an envelope: its table is told by its topic, or by the name of its schema. */
static char *plain(const json_t *row)
{
    json_t *schema = json_deep_copy(row), *payload = json_object(), *field;
    size_t i;
    json_array_foreach(json_object_get(row, "fields"), i, field)
    {
        json_object_set_new(payload, text_in(field, "field"), least(field));
    }
    json_object_set_new(payload, "__op", json_string("c"));
    json_array_append_new(json_object_get(schema, "fields"),
                          json_pack("{s:s, s:b, s:s}", "type", "string", "optional", 0, "field",
                                    "__op"));
    return dump(json_pack("{s:o, s:o}", "schema", schema, "payload", payload));
}

static char *key_of(json_t *fields) /* takes them over; NULL: there are none */
{
    json_t *payload = json_object(), *field;
    size_t i;
    json_array_foreach(fields, i, field)
    {
        json_object_set_new(payload, text_in(field, "field"), least(field));
    }
    if (!json_array_size(fields)) {
        json_decref(payload);
        json_decref(fields);
        return NULL;
    }
    return dump(json_pack("{s:{s:s, s:b, s:o}, s:o}", "schema", "type", "struct", "optional", 0,
                          "fields", fields, "payload", payload));
}

/* The fields of the key: as its own schema says, else those of the target's table. */
static enum ods_status key_fields(const struct schema_files *files, struct outlook *outlook,
                                  const char *topic, const struct place_of *place,
                                  const json_t *row, json_t **out, struct error *error)
{
    const json_t *list = json_object_get(row, "fields"), *one;
    size_t i, count = json_array_size(list);
    const struct shape names = {.topic = topic,
                                .database = place->schemas ? "" : place->middle,
                                .schema = place->schemas ? place->middle : "",
                                .table = place->table,
                                .connector = place->connector};
    *out = json_array();
    json_array_foreach(files->keys, i, one)
    {
        if (strcmp(text_in(one, "topic"), topic) != 0)
            continue;
        json_decref(*out);
        *out = json_deep_copy(json_object_get(json_object_get(one, "schema"), "fields"));
        return ODS_OK;
    }
    const char **columns = calloc(count + 1, sizeof *columns);
    bool *key = calloc(count + 1, sizeof *key), there = false;
    for (i = 0; columns && i < count; i++)
        columns[i] = text_in(json_array_get(list, i), "field");
    enum ods_status status =
        columns && key ? forecast_key(outlook->forecast, &names, columns, count, key, &there, error)
                       : error_out_of_memory(error);
    for (i = 0; status == ODS_OK && i < count; i++)
        if (key[i])
            json_array_append(*out, json_array_get(list, i));
    if (status == ODS_OK && !there)
        outlook_note(outlook,
                     "%s: without the schema of its key (a second --schema) the table that is made "
                     "here has no primary key",
                     topic);
    free(columns);
    free(key);
    return status;
}

static enum ods_status take_row(const struct schema_files *files, struct outlook *outlook,
                                const json_t *schema, struct error *error)
{
    const char *topic = text_in(schema, "topic");
    struct place_of place;
    json_t *fields = NULL, *row = columns_of(json_object_get(schema, "schema"));
    find_place(&place, outlook, schema);
    enum ods_status status = key_fields(files, outlook, topic, &place, row, &fields, error);
    if (status == ODS_OK)
        status = take_record(outlook, topic, key_of(json_incref(fields)),
                             outlook->plain ? plain(row) : envelope(&place, row), error);
    json_decref(fields);
    json_decref(row);
    return status;
}

/* --- schema changes --------------------------------------------------------------------------- */

/* The last two parts of "\"db\".\"schema\".\"table\"", without their quotes. */
static void split_id(const char *id, struct place_of *place)
{
    for (; *id; id += *id == '.') {
        char part[256];
        size_t length = 0;
        bool quoted = *id == '"';
        for (id += quoted; *id && (quoted ? *id != '"' || id[1] == '"' : *id != '.'); id++) {
            id += quoted && *id == '"';
            if (length + 1 < sizeof part)
                part[length++] = *id;
        }
        part[length] = '\0';
        id += *id == '"';
        memcpy(place->middle, place->table, sizeof place->middle);
        memcpy(place->table, part, length + 1);
    }
}

static json_t *empty_row(const json_t *columns, const json_t *keys, json_t **key)
{
    json_t *row = json_object(), *column, *name;
    size_t i;
    *key = json_object();
    json_array_foreach(columns, i, column)
    {
        json_object_set_new(row, text_in(column, "name"), json_null());
    }
    json_array_foreach(keys, i, name)
    {
        json_object_set_new(row, json_string_value(name), json_integer(0));
        json_object_set_new(*key, json_string_value(name), json_integer(0));
    }
    return row;
}

static char *maxwell_key(const struct place_of *place, const json_t *columns)
{
    json_t *key = json_pack("{s:s, s:s}", "database", place->middle, "table", place->table);
    const json_t *column;
    size_t i;
    json_array_foreach(columns, i, column)
    {
        char member[300];
        snprintf(member, sizeof member, "pk.%s", json_string_value(column));
        json_object_set_new(key, member, json_integer(0));
    }
    return dump(key);
}

static enum ods_status take_table(struct outlook *outlook, const char *topic,
                                  const struct place_of *place, const json_t *columns,
                                  const json_t *keys, struct error *error)
{
    json_t *key, *row = empty_row(columns, keys, &key);
    bool maxwell = strcmp(outlook->pipeline->format, "maxwell") == 0;
    if (maxwell) {
        json_decref(key);
        return take_record(
            outlook, topic, maxwell_key(place, keys),
            dump(json_pack("{s:s, s:s, s:s, s:i, s:o}", "database", place->middle, "table",
                           place->table, "type", "insert", "ts", 0, "data", row)),
            error);
    }
    json_t *source = json_pack("{s:s, s:s, s:s, s:s}", "connector",
                               *place->connector ? place->connector : "mysql", "name", "plan", "db",
                               place->middle, "table", place->table);
    char *value = dump(
        json_pack("{s:n, s:o, s:o, s:s}", "before", "after", row, "source", source, "op", "c"));
    if (json_object_size(key))
        return take_record(outlook, topic, dump(key), value, error);
    json_decref(key);
    return take_record(outlook, topic, NULL, value, error);
}

/* The topic of a table whose schema changed: "<the connector's prefix>.<database>.<table>". */
static bool find_topic(const struct outlook *outlook, const json_t *change,
                       const struct place_of *place, char *topic, size_t size)
{
    const char *prefix = text_in(json_object_get(change, "source"), "name");
    snprintf(topic, size, "%s%s%s%s%s", prefix, *prefix ? "." : "", place->middle,
             *place->middle ? "." : "", place->table);
    if (pipeline_reads(outlook->pipeline, topic))
        return true;
    /* Topics that are routed otherwise: one that the pipeline names, if it names but one. */
    const struct strings *topics = &outlook->pipeline->topics;
    if (*prefix || topics->count != 1 || *topics->items[0] == '^')
        return false;
    snprintf(topic, size, "%s", topics->items[0]);
    return true;
}

static enum ods_status take_change(const json_t *change, struct outlook *outlook, bool *any,
                                   const char *given, struct error *error)
{
    const json_t *tables = json_object_get(change, "tableChanges"), *one;
    const json_t *def = json_object_get(change, "def");
    struct place_of place = {0};
    char topic[600];
    size_t i;
    enum ods_status status = take_record(outlook, outlook->pipeline->source.schema_topic, NULL,
                                         json_dumps(change, JSON_COMPACT), error);
    set_connector(&place, text_in(json_object_get(change, "source"), "connector"));
    if (status == ODS_OK && json_is_object(def)) {
        json_t *columns = json_object_get(def, "columns");
        snprintf(place.middle, sizeof place.middle, "%s", text_in(def, "database"));
        snprintf(place.table, sizeof place.table, "%s", text_in(def, "table"));
        snprintf(topic, sizeof topic, "%s",
                 given                             ? given
                 : outlook->pipeline->topics.count ? outlook->pipeline->topics.items[0]
                                                   : "");
        *any = true;
        return take_table(outlook, topic, &place, columns, json_object_get(def, "primary-key"),
                          error);
    }
    json_array_foreach(tables, i, one)
    {
        const json_t *table = json_object_get(one, "table");
        if (status != ODS_OK || !json_is_object(table))
            continue;
        split_id(text_in(one, "id"), &place);
        if (given)
            snprintf(topic, sizeof topic, "%s", given);
        else if (!find_topic(outlook, change, &place, topic, sizeof topic))
            continue;
        *any = true;
        status = take_table(outlook, topic, &place, json_object_get(table, "columns"),
                            json_object_get(table, "primaryKeyColumnNames"), error);
    }
    return status;
}

enum ods_status schema_files_take(const struct schema_files *files, struct outlook *outlook,
                                  const char *topic, bool *any, struct error *error)
{
    const json_t *one;
    size_t i;
    enum ods_status status = ODS_OK;
    json_array_foreach(files->changes, i, one)
    {
        if (status == ODS_OK)
            status = take_change(one, outlook, any, topic, error);
    }
    json_array_foreach(files->rows, i, one)
    {
        if (status != ODS_OK || !pipeline_reads(outlook->pipeline, text_in(one, "topic")))
            continue;
        *any = true;
        if (strcmp(outlook->pipeline->format, "debezium") != 0) {
            error_set(error, ODS_REJECT,
                      "pipeline \"%s\" reads the format %s, whose records have no schema of "
                      "Connect's: give a sample of them with --records",
                      outlook->pipeline->name, outlook->pipeline->format);
            return ODS_FATAL;
        }
        status = take_row(files, outlook, one, error);
    }
    return status;
}
