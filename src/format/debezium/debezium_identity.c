/* Which table a record belongs to, if it does not say so itself. */
#include "format/debezium/debezium.h"

#include <string.h>

static struct slice text_slice(const char *text)
{
    return (struct slice){text, strlen(text)};
}

/* Cut the part after the last dot off `name`; an empty part is none. */
static struct slice cut_last(struct slice *name)
{
    size_t at = name->length;
    while (at && name->bytes[at - 1] != '.')
        at--;
    struct slice part = {.bytes = name->bytes + at, .length = name->length - at};
    name->length = at ? at - 1 : 0;
    return part;
}

static size_t count_parts(struct slice name)
{
    size_t count = name.length > 0;
    for (size_t i = 0; i < name.length; i++)
        count += name.bytes[i] == '.';
    return count;
}

void identity_of_name(struct identity *identity, struct slice name, struct slice connector)
{
    size_t parts = count_parts(name);
    memset(identity, 0, sizeof *identity);
    identity->connector = connector;
    identity->table = cut_last(&name);
    if (parts < 3)
        return;
    struct slice middle = cut_last(&name);
    if (SLICE_IS(connector, "sqlserver")) {
        identity->schema = middle;
        if (parts > 3)
            identity->database = cut_last(&name);
    } else if (SLICE_IS(connector, "postgresql") || SLICE_IS(connector, "oracle") ||
               SLICE_IS(connector, "db2")) {
        identity->schema = middle;
    } else {
        identity->database = middle;
    }
}

/* Schema names of values end in ".Value" or ".Envelope". */
static bool cut_suffix(struct slice *name, const char *suffix)
{
    size_t length = strlen(suffix);
    if (name->length <= length || memcmp(name->bytes + name->length - length, suffix, length) != 0)
        return false;
    name->length -= length;
    return true;
}

/* Which part stands before the table's name, which depends on the connector. */
static void set_qualifier(struct identity *identity, struct slice qualifier)
{
    bool has_schemas = SLICE_IS(identity->connector, "postgresql") ||
                       SLICE_IS(identity->connector, "sqlserver") ||
                       SLICE_IS(identity->connector, "oracle") ||
                       SLICE_IS(identity->connector, "db2");
    identity->database = has_schemas ? (struct slice){0} : qualifier;
    identity->schema = has_schemas ? qualifier : (struct slice){0};
}

/* --- what tables.yaml says --- */

/* An entry's name: "table" or "schema.table". */
static void split_entry(const struct table_settings *entry, struct slice *qualifier,
                        struct slice *table)
{
    const char *dot = strchr(entry->name, '.');
    *qualifier = (struct slice){entry->name, dot ? (size_t) (dot - entry->name) : 0};
    *table = text_slice(dot ? dot + 1 : entry->name);
}

static bool same(struct slice a, struct slice b)
{
    return a.length == b.length && (!a.length || memcmp(a.bytes, b.bytes, a.length) == 0);
}

/* A topic that matches the patterns of two entries belongs to neither. */
static bool refuse_rivals(const struct reading *reading)
{
    const struct topic *topic = reading->topic;
    if (!topic->rival)
        return false;
    error_set(reading->error, ODS_REJECT,
              "the patterns of tables '%.63s' and '%.63s' in tables.yaml both match the topic "
              "%.100s; name it in the entry that it belongs to (topics: [%.100s])",
              topic->entry->name, topic->rival->name, topic->name, topic->name);
    return true;
}

/* Names in the record go before those of tables.yaml, and must be the same. False: they differ. */
static bool complete_by_entry(const struct reading *reading, struct identity *identity)
{
    const struct topic *topic = reading->topic;
    struct slice qualifier, table;
    struct slice said = identity->schema.length ? identity->schema : identity->database;
    if (refuse_rivals(reading))
        return false;
    split_entry(topic->entry, &qualifier, &table);
    if (!identity->connector.length)
        identity->connector = text_slice(reading->self->connector);
    if ((!identity->table.length || same(identity->table, table)) &&
        (!qualifier.length || !said.length || same(said, qualifier))) {
        identity->table = table;
        if (!said.length && qualifier.length)
            set_qualifier(identity, qualifier);
        return true;
    }
    const struct slice named = identity->table.length ? identity->table : table;
    error_set(reading->error, ODS_REJECT,
              "the record is of table %.*s%s%.*s, but tables.yaml says that the topic %.100s "
              "carries only %.63s (topics)",
              (int) (said.length < 63 ? said.length : 63), said.length ? said.bytes : "",
              said.length ? "." : "", (int) (named.length < 63 ? named.length : 63), named.bytes,
              topic->name, topic->entry->name);
    return false;
}

const struct table_settings *identity_settings(const struct reading *reading,
                                               const struct identity *identity)
{
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    struct slice qualifier = identity->schema.length ? identity->schema : identity->database;
    if (!pipeline)
        return NULL;
    const char *schema =
        qualifier.length ? arena_strndup(reading->reader.arena, qualifier.bytes, qualifier.length)
                         : "";
    const char *table =
        identity->table.length
            ? arena_strndup(reading->reader.arena, identity->table.bytes, identity->table.length)
            : "";
    return schema && table ? pipeline_table(pipeline, schema, table) : NULL;
}

/* --- what names say --- */

bool identity_complete(const struct reading *reading, const struct plan *plan,
                       struct identity *identity)
{
    const char *setting = reading->self->connector, *schema = plan ? plan->schema.name : "";
    if (reading->topic->entry && !complete_by_entry(reading, identity))
        return false;
    if (identity->table.length && (identity->database.length || identity->schema.length))
        return true;
    struct slice connector = identity->connector, name = text_slice(schema);
    if (!connector.length)
        connector = text_slice(setting);
    if (!cut_suffix(&name, ".Value") && !cut_suffix(&name, ".Envelope"))
        name = text_slice(reading->topic->name);
    struct identity guess;
    identity_of_name(&guess, name, connector);
    if (!identity->table.length)
        identity->table = guess.table;
    identity->connector = connector;
    identity->database = guess.database;
    identity->schema = guess.schema;
    return true;
}

/* Schema names have each character but letters, digits and "_" replaced by "_". */
static bool same_adjusted(struct slice name, struct slice adjusted)
{
    size_t at = 0;
    for (size_t i = 0; i < name.length; i++) {
        unsigned char byte = (unsigned char) name.bytes[i];
        bool kept = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                    (byte >= 'A' && byte <= 'Z') || byte == '_';
        if (byte >= 0x80 && byte < 0xc0)
            continue; /* a further byte of the same character */
        if (at == adjusted.length)
            return false;
        if (adjusted.bytes[at] != name.bytes[i] && (kept || adjusted.bytes[at] != '_'))
            return false;
        at++;
    }
    return at == adjusted.length;
}

/* A table's name from a schema's, spelled as in the topic if that matches, else as in tables.yaml.
 * False: tables.yaml has several names that Debezium would adjust to this one. */
static bool restore_name(const struct reading *reading, struct identity *identity)
{
    const struct pipeline_settings *pipeline = reading->self->pipeline;
    struct slice topic = text_slice(reading->topic->name), adjusted = identity->table;
    struct slice last = cut_last(&topic), middle = cut_last(&topic);
    struct slice *own = identity->schema.length ? &identity->schema : &identity->database;
    struct slice said = *own;
    uint32_t count = 0;
    if (same_adjusted(last, adjusted) && same_adjusted(middle, *own))
        *own = middle;
    if (same_adjusted(last, adjusted) && !same(last, adjusted)) {
        identity->table = last;
        return true;
    }
    for (size_t i = 0; pipeline && i < pipeline->table_count; i++) {
        struct slice qualifier, table;
        split_entry(&pipeline->tables[i], &qualifier, &table);
        if (!same_adjusted(table, adjusted) ||
            (qualifier.length && !same_adjusted(qualifier, said)))
            continue;
        count += !count || !same(table, identity->table);
        identity->table = table;
        if (qualifier.length)
            *own = qualifier;
    }
    return count < 2;
}

#define NAME_PARTS 3 /* prefix.schema.table: names with fewer parts may be of any kind */

static enum ods_status refuse_tombstone(const struct reading *reading)
{
    const char *topic = reading->topic->name;
    return error_set(reading->error, ODS_REJECT,
                     "a tombstone of topic %.200s: the table of this delete can't be told; name "
                     "the topic in the table's entry of tables.yaml (topics: [%.200s]), or skip "
                     "tombstones (on_tombstone: ignore)",
                     topic, topic);
}

bool identity_of_tombstone(const struct reading *reading, struct identity *identity, bool *derived)
{
    const struct topic *topic = reading->topic;
    struct slice connector = text_slice(reading->self->connector), name = text_slice(topic->name);
    struct slice key_name = text_slice(reading->key ? reading->key->schema.name : "");
    *identity = (struct identity){.connector = connector};
    *derived = false;
    if (topic->entry)
        return identity_complete(reading, NULL, identity);
    *derived = true;
    if (reading->self->plain) /* as its rows */
        return identity_complete(reading, NULL, identity);
    if (cut_suffix(&key_name, ".Key") && count_parts(key_name) >= NAME_PARTS) {
        identity_of_name(identity, key_name, connector);
        if (restore_name(reading, identity) && identity->table.length)
            return true;
    } else if (count_parts(name) >= NAME_PARTS) {
        identity_of_name(identity, name, connector);
        if (identity->table.length)
            return true;
    }
    refuse_tombstone(reading);
    return false;
}
