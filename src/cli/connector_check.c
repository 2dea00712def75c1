/* The traps in a connector's configuration, as rules. Properties and defaults are those of
 * Debezium 3.3 and Kafka 3.9. */
#include "cli/connector_check.h"

#include <stdio.h>
#include <string.h>

#include "cli/signals.h"
#include "config/secret.h"

enum { MYSQL = 1, POSTGRES = 2, DEBEZIUM = 4 };

struct rule {
    unsigned of;
    const char *property;
    const char *fallback; /* what holds when it is not set */
    const char *is;       /* the values that make trouble, separated by |; NULL: being unset */
    enum weight weight;
    const char *what, *advice;
};

static const struct rule rules[] = {
    {DEBEZIUM, "decimal.handling.mode", "precise", "double", WEIGHT_WRONG,
     "decimals become floating point numbers: digits are lost on the way", "set it to precise"},
    {MYSQL, "bigint.unsigned.handling.mode", "long", "long", WEIGHT_WRONG,
     "a bigint unsigned above 9223372036854775807 becomes a negative number", "set it to precise"},
    {DEBEZIUM, "time.precision.mode", "", "connect", WEIGHT_WRONG, "times are cut to milliseconds",
     "leave it out (MySQL: adaptive_time_microseconds, PostgreSQL: adaptive)"},
    {DEBEZIUM, "errors.tolerance", "none", "all", WEIGHT_WRONG,
     "records that can't be converted are passed over in silence", "set it to none"},
    {DEBEZIUM, "event.processing.failure.handling.mode", "fail", "warn|skip|ignore", WEIGHT_WRONG,
     "changes that the connector can't read are passed over", "set it to fail"},
    {DEBEZIUM, "inconsistent.schema.handling.mode", "fail", "warn|skip", WEIGHT_WRONG,
     "changes of tables whose columns the connector does not know are passed over",
     "set it to fail"},
    {POSTGRES, "slot.drop.on.stop", "false", "true", WEIGHT_WRONG,
     "the slot goes whenever the connector stops: what is written meanwhile is lost",
     "set it to false"},
    {DEBEZIUM, "snapshot.mode", "initial", "never|no_data|schema_only", WEIGHT_RISK,
     "rows from before the connector's first start are never sent: the target has what "
     "changed since",
     "set it to initial, unless the target was filled otherwise"},
    {DEBEZIUM, "snapshot.mode", "initial", "initial_only", WEIGHT_RISK,
     "the connector ends with its snapshot: no change is sent", "set it to initial"},
    {DEBEZIUM, "snapshot.mode", "initial", "always", WEIGHT_RISK,
     "every start sends all rows again", "set it to initial"},
    {DEBEZIUM, "snapshot.mode", "initial", "recovery|schema_only_recovery", WEIGHT_RISK,
     "it is meant for one start: a table that was altered while the connector was down is misread",
     "set it back to initial"},
    {DEBEZIUM, "snapshot.mode", "initial", "when_needed", WEIGHT_NOTE,
     "when the source's log has gone past the connector a new snapshot begins by itself; rows "
     "deleted meanwhile stay in the target",
     "compare with ods-sink verify after such a snapshot"},
    {DEBEZIUM, "snapshot.locking.mode", "minimal", "none", WEIGHT_RISK,
     "a table that is altered during the snapshot is misread",
     "leave it out where the user may lock"},
    {MYSQL, "schema.history.internal.skip.unparseable.ddl", "false", "true", WEIGHT_RISK,
     "a DDL statement that is not understood is passed over: rows are misread from then on",
     "set it to false"},
    {MYSQL, "schema.history.internal.store.only.captured.tables.ddl", "false", "true", WEIGHT_NOTE,
     "a table that is added to the list later has no history, and the connector then fails",
     "set it to false"},
    {MYSQL, "database.server.id", "", NULL, WEIGHT_NOTE,
     "it is drawn from 5400 to 6400: two connectors that draw the same end each other's session",
     "give each connector a number of its own"},
    {POSTGRES, "plugin.name", "decoderbufs", "decoderbufs", WEIGHT_NOTE,
     "decoderbufs has to be installed in the source's server", "set it to pgoutput"},
    {POSTGRES, "slot.name", "debezium", NULL, WEIGHT_NOTE,
     "two connectors without one want the same slot", "give each connector a slot.name of its own"},
    {POSTGRES, "publication.autocreate.mode", "all_tables", "all_tables", WEIGHT_NOTE,
     "the publication is of all tables, for which the user must be a superuser",
     "set it to filtered, or to disabled and create the publication"},
    {POSTGRES, "flush.lsn.source", "true", "false", WEIGHT_RISK,
     "the slot never moves, unless something else moves it: WAL fills the source's disk",
     "leave it out"},
    {POSTGRES, "heartbeat.interval.ms", "0", "0", WEIGHT_RISK,
     "while the captured tables are quiet and others are busy the slot stands still: WAL fills the "
     "source's disk",
     "set it to 10000, and heartbeat.action.query where another database is busy"},
    {MYSQL, "heartbeat.interval.ms", "0", "0", WEIGHT_NOTE,
     "while the captured tables are quiet the stored position stands still, and its binlog "
     "may be purged",
     "set it to 10000"},
    {MYSQL, "read.only", "false", "true", WEIGHT_NOTE,
     "a snapshot of single tables ends with the source's next transaction: it stands still while "
     "the source is quiet",
     "name a table in signal.data.collection instead"},
    {DEBEZIUM, "tombstones.on.delete", "true", "false", WEIGHT_NOTE,
     "on a compacted topic the rows of deleted keys stay for ever; ods-sink itself needs "
     "no tombstones",
     "set it to true where topics are compacted"},
};

struct check {
    const json_t *config;
    unsigned of;
    void (*tell)(void *context, const struct trouble *trouble);
    void *context;
};

const char *weight_name(enum weight weight)
{
    static const char *const names[] = {"wrong", "risk", "note"};
    return names[weight];
}

/* Connect takes true as well as "true". NULL: not set. */
static const char *property(const json_t *config, const char *name)
{
    const json_t *value = json_object_get(config, name);
    return json_is_true(value)    ? "true"
           : json_is_false(value) ? "false"
                                  : json_string_value(value);
}

/* Is the word one of a|b|c? */
static bool is_one_of(const char *word, const char *list)
{
    size_t length = strlen(word);
    for (; *list; list += strcspn(list, "|"), list += *list == '|')
        if (strcspn(list, "|,") == length && strncasecmp(list, word, length) == 0)
            return true;
    return false;
}

static void tell(const struct check *check, enum weight weight, const char *name,
                 const char *fallback, const char *what, const char *advice)
{
    const char *value = property(check->config, name);
    const struct trouble trouble = {.weight = weight,
                                    .property = name,
                                    .value = value ? value : fallback,
                                    .is_default = !value,
                                    .what = what,
                                    .advice = advice};
    check->tell(check->context, &trouble);
}

static void check_rules(const struct check *check)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        const char *value = property(check->config, rule->property);
        bool applies = rule->is ? is_one_of(value ? value : rule->fallback, rule->is) : !value;
        if (rule->of & check->of && applies)
            tell(check, rule->weight, rule->property, rule->fallback, rule->what, rule->advice);
    }
}

/* A list such as "c, u": does it have the letter? */
static bool lists(const char *list, char letter)
{
    for (; *list; list++)
        if (*list == letter)
            return true;
    return false;
}

static void check_operations(const struct check *check)
{
    const char *skipped = property(check->config, "skipped.operations");
    const char *held = skipped ? skipped : "t";
    if (strcasecmp(held, "none") == 0)
        return;
    if (lists(held, 'c') || lists(held, 'u') || lists(held, 'd'))
        tell(check, WEIGHT_WRONG, "skipped.operations", "t",
             "inserts (c), updates (u) or deletes (d) are not sent: the target can't become equal",
             "set it to none");
    else if (lists(held, 't'))
        tell(check, WEIGHT_NOTE, "skipped.operations", "t",
             "a TRUNCATE is not sent: its rows stay in the target",
             "set it to none, and on_truncate: apply in tables.yaml");
}

static void check_signals(const struct check *check)
{
    struct buffer lacks;
    buffer_init(&lacks);
    buffer_puts(&lacks, "rows can't be asked for again while it runs (verify --repair, resync "
                        "--snapshot): ");
    size_t before = lacks.length;
    signals_lacks(check->config, &lacks);
    if (lacks.length > before)
        tell(check, WEIGHT_NOTE, "signal.enabled.channels", "source", buffer_text(&lacks),
             "see \"What a repair needs\" in docs/cli/verify.md");
    buffer_done(&lacks);
}

static bool ends_with(const char *text, const char *end)
{
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool is_false(const char *value)
{
    return value && strcasecmp(value, "false") == 0;
}

static bool is_true(const char *value)
{
    return value && strcasecmp(value, "true") == 0;
}

/* Kafka's converters write a column's default where the row has NULL, unless they are told
 * not to. */
static void check_converter(const struct check *check)
{
    const char *converter = property(check->config, "value.converter");
    if (!converter) {
        if (check->of & DEBEZIUM)
            tell(check, WEIGHT_NOTE, "value.converter", "",
                 "the worker's own converter is used, and whether it keeps NULL can't be told here",
                 "set value.converter and value.converter.replace.null.with.default=false");
        return;
    }
    if (ends_with(converter, ".JsonConverter") &&
        !is_false(property(check->config, "value.converter.replace.null.with.default")))
        tell(check, WEIGHT_WRONG, "value.converter.replace.null.with.default", "true",
             "where the row has NULL and the column a default the record has the default, and no "
             "sink can know",
             "set it to false");
    if (ends_with(converter, "io.confluent.connect.avro.AvroConverter") &&
        (property(check->config, "value.converter.ignore.default.for.nullables") == NULL ||
         is_false(property(check->config, "value.converter.ignore.default.for.nullables"))))
        tell(check, WEIGHT_WRONG, "value.converter.ignore.default.for.nullables", "false",
             "where the row has NULL and the column a default the record has the default, and no "
             "sink can know",
             "set it to true");
    if (ends_with(converter, "io.confluent.connect.protobuf.ProtobufConverter") &&
        !is_true(property(check->config, "value.converter.optional.for.nullables")) &&
        !is_true(property(check->config, "value.converter.wrapper.for.nullables")))
        tell(check, WEIGHT_WRONG, "value.converter.optional.for.nullables", "false",
             "where the row has NULL the record has 0, false or an empty text, and no sink can "
             "know",
             "set it to true");
}

/* "transforms.<name>.<rest>", of a name that is not terminated. */
static const char *transform_property(const struct check *check, const char *name, size_t length,
                                      const char *rest, char *full, size_t size)
{
    snprintf(full, size, "transforms.%.*s.%s", (int) length, name, rest);
    return property(check->config, full);
}

static void check_unwrap(const struct check *check, const char *name, size_t length)
{
    char full[512];
    const char *mode = transform_property(check, name, length, "delete.tombstone.handling.mode",
                                          full, sizeof full);
    if (mode && strcasecmp(mode, "drop") == 0)
        tell(check, WEIGHT_WRONG, full, "", "deletes are not sent: their rows stay in the target",
             "set it to rewrite");
    mode = transform_property(check, name, length, "delete.handling.mode", full, sizeof full);
    if (mode && strcasecmp(mode, "drop") == 0)
        tell(check, WEIGHT_WRONG, full, "",
             "deletes are not sent: their rows stay in the target, unless tombstones tell of them",
             "set delete.tombstone.handling.mode to rewrite");
    const char *fields = transform_property(check, name, length, "add.fields", full, sizeof full);
    if (!fields || !strstr(fields, "op"))
        tell(check, WEIGHT_NOTE, full, "",
             "flattened rows do not say what they are: inserts and updates can't be told apart",
             "set it to op,source.ts_ms,source.table, or source.shape: flattened in tables.yaml");
}

static void check_transform(const struct check *check, const char *name, size_t length)
{
    static const char *const replacing[] = {
        ".ExtractNewRecordState", ".Cast$Value",           ".ExtractField$Value",
        ".InsertField$Value",     ".MaskField$Value",      ".ReplaceField$Value",
        ".SetSchemaMetadata$Value", ".TimestampConverter$Value", NULL};
    char full[512];
    const char *type = transform_property(check, name, length, "type", full, sizeof full);
    bool replaces = false;
    for (size_t i = 0; type && replacing[i]; i++)
        replaces |= ends_with(type, replacing[i]);
    if (replaces && !is_false(transform_property(check, name, length, "replace.null.with.default",
                                                 full, sizeof full)))
        tell(check, WEIGHT_WRONG, full, "true",
             "where the row has NULL and the column a default the record has the default, and no "
             "sink can know",
             "set it to false");
    if (type && ends_with(type, ".ExtractNewRecordState"))
        check_unwrap(check, name, length);
}

static void check_transforms(const struct check *check)
{
    const char *at = property(check->config, "transforms");
    while (at && *at) {
        at += strspn(at, ", ");
        size_t length = strcspn(at, ", ");
        if (length)
            check_transform(check, at, length);
        at += length;
    }
}

/* Whoever reaches Connect's REST reads them. */
static void check_secrets(const struct check *check)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *) check->config, name, value)
    {
        const char *text = json_string_value(value);
        if (!text || !*text || !secret_name(name) || strncmp(text, "${", 2) == 0)
            continue;
        const struct trouble trouble = {
            .weight = WEIGHT_NOTE,
            .property = name,
            .value = SECRET_MASK,
            .what = "it stands there in clear text: whoever reaches Connect's REST or its topics "
                    "reads it",
            .advice = "use a config provider of the worker, as ${file:/path:name} or ${env:NAME}"};
        check->tell(check->context, &trouble);
    }
}

void connector_check(const json_t *config,
                     void (*tell_it)(void *context, const struct trouble *trouble), void *context)
{
    struct check check = {.config = config, .tell = tell_it, .context = context};
    const char *class = json_text(config, "connector.class");
    if (strstr(class, "MySql") || strstr(class, "MariaDb"))
        check.of = MYSQL | DEBEZIUM;
    else if (strstr(class, "Postgres"))
        check.of = POSTGRES | DEBEZIUM;
    else if (strncmp(class, "io.debezium.", 12) == 0 && !strstr(class, ".jdbc."))
        check.of = DEBEZIUM;
    if (check.of) {
        check_rules(&check);
        check_operations(&check);
        check_signals(&check);
    }
    check_converter(&check);
    check_transforms(&check);
    check_secrets(&check);
}
