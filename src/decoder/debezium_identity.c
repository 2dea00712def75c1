/* Which table a record is of, where it does not say so itself. */
#include "decoder/debezium.h"

#include <string.h>

/* Cut the part behind the last dot off `name`; "" parts are none. */
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

void identity_complete(const struct reading *reading, const struct plan *plan,
                       struct identity *identity)
{
    const char *setting = reading->self->connector, *schema = plan ? plan->schema.name : "";
    if (identity->table.length && (identity->database.length || identity->schema.length))
        return;
    struct slice connector = identity->connector, name = {schema, strlen(schema)};
    if (!connector.length)
        connector = (struct slice){setting, strlen(setting)};
    if (!cut_suffix(&name, ".Value") && !cut_suffix(&name, ".Envelope"))
        name = (struct slice){reading->topic->name, strlen(reading->topic->name)};
    struct identity guess;
    identity_of_name(&guess, name, connector);
    if (!identity->table.length)
        identity->table = guess.table;
    identity->connector = connector;
    identity->database = guess.database;
    identity->schema = guess.schema;
}

/* Schema names have other characters than letters, digits and "_" replaced by "_". */
static bool same_adjusted(const char *name, struct slice adjusted)
{
    if (strlen(name) != adjusted.length)
        return false;
    for (size_t i = 0; i < adjusted.length; i++) {
        char byte = name[i];
        bool kept = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                    (byte >= 'A' && byte <= 'Z') || byte == '_';
        if (byte != adjusted.bytes[i] && (kept || adjusted.bytes[i] != '_'))
            return false;
    }
    return true;
}

static void identity_of_shape(struct identity *identity, const struct shape *shape)
{
    identity->connector = (struct slice){shape->connector, strlen(shape->connector)};
    identity->database = (struct slice){shape->database, strlen(shape->database)};
    identity->schema = (struct slice){shape->schema, strlen(shape->schema)};
    identity->table = (struct slice){shape->table, strlen(shape->table)};
}

/* "prefix.database.table.Key" against the tables that the topic has carried. */
static bool match_key_name(const struct topic *topic, struct slice name, struct identity *identity)
{
    struct slice table = cut_last(&name), middle = cut_last(&name);
    for (uint32_t i = 0; i < topic->table_count; i++) {
        const struct shape *shape = topic->tables[i];
        if (!same_adjusted(shape->table, table))
            continue;
        if (middle.length && !same_adjusted(shape->schema, middle) &&
            !same_adjusted(shape->database, middle))
            continue;
        identity_of_shape(identity, shape);
        return true;
    }
    return false;
}

bool identity_of_tombstone(const struct reading *reading, struct identity *identity)
{
    const struct topic *topic = reading->topic;
    const char *setting = reading->self->connector;
    struct slice connector = {setting, strlen(setting)};
    struct slice key_name = {reading->key->schema.name, strlen(reading->key->schema.name)};
    if (cut_suffix(&key_name, ".Key")) {
        if (!match_key_name(topic, key_name, identity))
            identity_of_name(identity, key_name, connector);
    } else if (topic->table_count == 1 && !topic->more_tables) {
        identity_of_shape(identity, topic->tables[0]);
    } else if (topic->table_count) {
        return false;
    } else {
        identity_of_name(identity, (struct slice){topic->name, strlen(topic->name)}, connector);
    }
    return identity->table.length > 0;
}
