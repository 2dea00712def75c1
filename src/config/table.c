/* The rows of the daemon's own settings. */
#include "config/table.h"

#include <ods/sink.h>
#include <ods/source.h>
#include <ods/transform.h>
#include "config/settings.h"

#define AT(type, member) offsetof(struct type, member)
#define KIB              INT64_C(1024)
#define DAY_MS           INT64_C(86400000)

_Static_assert(sizeof(enum log_level) == sizeof(int) && sizeof(enum on_delete) == sizeof(int),
               "enum settings are written as int");
_Static_assert(AT(target_settings, name) == 0 && AT(pipeline_settings, name) == 0 &&
                   AT(database_settings, name) == 0 && AT(connect_settings, name) == 0 &&
                   AT(table_settings, name) == 0 && AT(broker_settings, name) == 0,
               "objects begin with their name");

/* In the order of their enums in settings.h. */
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const on_deletes[] = {"soft", "hard", "ignore", NULL};
static const char *const evolves[] = {"none", "add", "widen", "full", NULL};
static const char *const folds[] = {"keep", "lower", NULL};
static const char *const nuls[] = {"reject", "strip", NULL};
static const char *const zero_dateses[] = {"null", "reject", NULL};
static const char *const inexacts[] = {"reject", "nanoseconds", "round", NULL};
static const char *const on_truncates[] = {"ignore", "apply", NULL};
static const char *const on_tombstones[] = {"apply", "ignore", NULL};
static const char *const source_shapes[] = {"auto", "envelope", "flattened", NULL};
static const char *const keylesses[] = {"match_before", "append", "reject", NULL};
static const char *const on_trigger_errors[] = {"dead_letter", "stop", NULL};
static const char *const skip_unchangeds[] = {"auto", "always", "never", NULL};
static const char *const on_errors[] = {"dead_letter", "stop", NULL};
static const char *const verify_modes[] = {"full", "sample", "counts", NULL};
static const char *const time_units[] = {"auto", "days", "ms", "us", "ns", NULL};
static const char *const decimal_modes[] = {"auto", "precise", "string", "double", NULL};

static const char *const modes[] = {"auto", "upsert", "history", "both", NULL};
static const char *const imageses[] = {"after", "both", NULL};
static const char *const partitions[] = {"none", "day", "month", NULL};

static const char *const resets[] = {"earliest", "latest", "error", NULL};
static const char *const gone_policies[] = {"stop", "earliest", "latest", NULL};
static const char *const recreated_policies[] = {"stop", "earliest", "ignore", NULL};
static const char *const connectors[] = {"",           "mysql",     "mariadb", "vitess",
                                         "postgresql", "sqlserver", "oracle",  "db2",
                                         "informix",   NULL};

static const struct setting history_rows[] = {
    {"enabled", SETTING_BOOL, AT(history_settings, on), "false",
     .inherits = "`true` where the group is written",
     .doc = "`history: true` and `history: false` are short for this one."},
    {"name", SETTING_STRING, AT(history_settings, name), "",
     .inherits = "the table's name in the target and `_cdc`", .max = 400, .flags = SETTING_PLACES,
     .doc = "The history's table, `table` or `schema.table`, with the `${…}` of `target`. In "
            "`defaults` only with `${table}` or `${topic}` in it."},
    {"prefix", SETTING_STRING, AT(history_settings, prefix), "", .max = 20,
     .doc = "Put before the names of the columns that ods-sink adds (`op`, `topic`, `partition` "
            "and so on, but not `cdc_timestamp`), where the source has columns of these names."},
    {"images", SETTING_ENUM, AT(history_settings, images), "after", .choices = imageses,
     .doc = "`after`: the row after the change (of a delete the row before it, as far as it was "
            "sent). `both`: the row before an update too, as JSON in the column `before`."},
    {"partition_by", SETTING_ENUM, AT(history_settings, partition), "none", .choices = partitions,
     .doc = "`day`, `month`: the table is partitioned by `cdc_timestamp`, in UTC. It is decided "
            "when the table is made."},
    {"ahead", SETTING_INT, AT(history_settings, ahead), "3", .min = 1, .max = 366,
     .doc = "How many partitions are made before they are needed."},
    {"retain", SETTING_STRING, AT(history_settings, retain), "", .inherits = "for ever", .max = 40,
     .doc = "A partition whose newest possible row is older than that is dropped: `90 days`, `6 "
            "months`, `2 years`. Only with `partition_by`."},
    {"view", SETTING_BOOL, AT(history_settings, view), "false",
     .doc = "Make a view, named like the table and `_asof`, of the rows as they were at the time "
            "in the session's setting `ods_sink.as_of`; without it as they are now."},
    {"key_index", SETTING_BOOL, AT(history_settings, key_index), "false",
     .doc = "Make an index on the source's key with the table, by which the changes of one row are "
            "found at once: for `query --history`, and `--as-of` with a key. PostgreSQL takes a "
            "third longer for each row then."},
};

const struct setting_group settings_of_history = {
    .title = "history",
    .intro = "A table's `history: true`, or `history: { partition_by: month, retain: 6 months }"
             "`: every change becomes a row of an append-only table, in the transaction of the "
             "row itself. See [history.md](history.md).",
    .size = sizeof(struct history_settings),
    SETTING_ROWS(history_rows),
};
/* The rows of a registry, in tables.yaml and in ods-sink.conf. */
#define REGISTRY_ROWS(type)                                                                        \
    {"registry.url", SETTING_STRING, AT(type, registry.url), "", REGISTRY_INHERITS,                \
     .max = 4096,                                                                                  \
     .doc = "The schema registry of the Avro formats: its Confluent API, as "                      \
            "`http://host:8081`, or of Apicurio `http://host:8080/apis/ccompat/v7`. Several "      \
            "are separated by commas: the first that answers is asked. `file:///path` names a "    \
            "JSON file in its place: `{\"<id>\": {\"schema\": \"…\"}, …}`."},               \
    {"registry.user", SETTING_STRING, AT(type, registry.user), "", .max = 1000,                    \
     .doc = "User for basic authentication. Empty: none."},                                        \
    {"registry.password", SETTING_STRING, AT(type, registry.password), "", .max = 10000,           \
     .doc = "Its password, best as `${NAME}` or `${file:/path}`. Never printed."},                 \
    {"registry.token", SETTING_STRING, AT(type, registry.token), "", .max = 100000,                \
     .doc = "Token for bearer authentication, in place of user and password; likewise."},          \
    {"registry.ca", SETTING_STRING, AT(type, registry.ca), "",                                     \
     .inherits = "the system's authorities", .max = 4096,                                          \
     .doc = "File of the certificates (PEM) by which an `https://` registry is known. Its host "   \
            "name is checked too."},                                                               \
    {"registry.client_cert", SETTING_STRING, AT(type, registry.client_cert), "", .max = 4096,      \
     .doc = "File of our own certificate (PEM), for a registry that asks for one."},               \
    {"registry.client_key", SETTING_STRING, AT(type, registry.client_key), "", .max = 4096,        \
     .doc = "File of the key to `registry.client_cert` (PEM); empty: it is in the same file."},    \
    {"registry.timeout_ms", SETTING_MS, AT(type, registry.timeout_ms), "10000", .min = 100,        \
     .max = 600000,                                                                                \
     .doc = "How long one answer may take. A registry that does not answer is an outage: the "     \
            "partitions whose next record needs a schema that is not known yet wait."},            \
    {"registry.cache", SETTING_INT, AT(type, registry.cache), "1000", .min = 1, .max = 10000,      \
     .doc = "How many schemas the pipeline keeps, at most 64 MiB of them; the ones not used for "  \
            "longest are forgotten first, and asked for again when a record needs them."},         \
    {"registry.unknown_ms", SETTING_MS, AT(type, registry.unknown_ms), "3000", .min = 0,           \
     .max = 3600000,                                                                               \
     .doc = "How long an id is asked for again that the registry says it does not know, before "   \
            "its records become dead letters: a replica of the registry may be behind. A "         \
            "registry without any schema is given a minute, since it may be about to be "          \
            "restored. What is not known then is asked for again after half a minute, if a "       \
            "record still needs it."}

static const struct setting table_rows[] = {
    {"schema", SETTING_STRING, AT(table_settings, schema), "public", .min = 1, .max = 200,
     .flags = SETTING_PLACES,
     .doc =
         "Schema in the target, unless `target` names one; of MySQL the database, where `public` "
         "stands for that of the `dsn`. `${topic}`, `${db}`, `${schema}` and "
         "`${table}` stand for what each record says: its topic, and the database, schema and "
         "table of the source (where the source has only a database or only a schema, `${db}` "
         "and `${schema}` are the same)."},
    {"target", SETTING_STRING, AT(table_settings, target), "", .inherits = "the source's name",
     .max = 400, .flags = SETTING_PLACES,
     .doc = "Table in the target, `table` or `schema.table`, with the same `${…}` as `schema`. In "
            "`defaults` only with `${table}` or `${topic}` in it. A target without these two also "
            "allows several source tables to share it, which is refused otherwise; see "
            "[types.md](types.md#keys)."},
    {"fold", SETTING_ENUM, AT(table_settings, fold), "keep", .choices = folds,
     .doc = "Names of schemas, tables and columns that come from the source: `keep` their case, or "
            "`lower` it (A to Z). Names in this file are not changed. A name longer than "
            "PostgreSQL's 63 bytes is cut, and ends in `_` and eight digits that depend only on "
            "the whole name; two columns or tables that would get the same name are refused."},
    {"key", SETTING_STRINGS, AT(table_settings, key), .max = 32, .inherits = "the record's own key",
     .doc = "Source columns that identify a row. If the record's key is a single value (`42`, "
            "`a1`), it is the value of the one column that is named here. If this key has columns "
            "that the record's own key lacks, an update that changes one of them removes the old "
            "row. It needs its before image for this: without one (flattened rows, no `REPLICA "
            "IDENTITY FULL`) the update is a dead letter. (If the source has no key at all, the "
            "update is applied, and a notice is logged once.) The connector's "
            "`message.key.columns` makes such columns part of the records' key. This is required "
            "if a topic has several partitions: records are only in order within a partition, so "
            "all records of a row must be in the same one."},
    {"topics", SETTING_STRINGS, AT(table_settings, topics), .max = 1000,
     .doc = "Only in an entry of `tables`: the topics that carry this table and no other, by name "
            "or by pattern (`^…`). They give the table of records that do not name one: tombstones "
            "(records without a value) and flattened rows without `__table`. A record of such a "
            "topic that names another table is a dead letter. A name goes before a pattern."},
    {"skip", SETTING_BOOL, AT(table_settings, skip), "false", .doc = "Skip this table's records."},
    {"mode", SETTING_ENUM, AT(table_settings, mode), "auto", .choices = modes,
     .doc = "`upsert`: the target's table has the rows as they are now. `history`: every change is "
            "a row of the append-only table `<table>_cdc`, and nothing else is written. `both`: "
            "one transaction writes both. `auto`: `both` where `history` is on, else `upsert`."},
    {"history", SETTING_OBJECT, AT(table_settings, history), .of = &settings_of_history,
     .flags = SETTING_SWITCH, .inherits = "`false`",
     .doc = "Keep every change in an append-only table: `true`, `false`, or a group, see "
            "[history](#history)."},
    {"create_tables", SETTING_BOOL, AT(table_settings, create_tables), "true",
     .doc = "Create the table when it is missing, from the record's schema."},
    {"evolve", SETTING_ENUM, AT(table_settings, evolve), "add", .choices = evolves,
     .doc = "How a table that ods-sink made follows changes of its source; a table or a column's "
            "type that somebody else made or changed is not touched. `none`: not at all. `add`: a "
            "column that appears later is added. `widen`: as `add`, and a column gets a type that "
            "holds more when the source's does (int to bigint to numeric, numeric, varchar, real "
            "to double, most to text), and allows NULL when the source sends it or stops sending "
            "the column. `full`: as `widen`, and for a change that no wider type holds the old "
            "column is kept as `<name>__v1` beside a new one (below `full` a row with such a value "
            "is a dead letter); and the table gets the source's new primary key, if no two rows "
            "have the same. Nothing but a key is ever dropped. Each change is logged and listed in "
            "`ods_sink.schema_history`."},
    {"on_delete", SETTING_ENUM, AT(table_settings, on_delete), "soft", .choices = on_deletes,
     .doc = "`soft`: the row stays, marked `d` in `cdc_operation`. `hard`: the row is deleted. "
            "`ignore`: the row stays as it was."},
    {"on_truncate", SETTING_ENUM, AT(table_settings, on_truncate), "ignore",
     .choices = on_truncates,
     .doc = "`apply`: a truncate of the source empties the table too "
            "(with `on_delete: soft` its rows are marked). Only for a topic with one partition: "
            "with several, its order among the rows of the other partitions is not known, so it "
            "goes to the dead letters. Not for a table that several sources share."},
    {"on_tombstone", SETTING_ENUM, AT(table_settings, on_tombstone), "apply",
     .choices = on_tombstones,
     .doc = "A record without a value. `apply`: it deletes the row of its key, unless the delete "
            "is shortly before it in its partition. Its table comes from `topics`, or from the "
            "name of its key's schema or of its topic (`prefix.schema.table`); if the table can't "
            "be told, or the key can't be read, it is a dead letter. `ignore`: it is skipped, and "
            "counted in `records_passed_total`. In `defaults` this also holds for tombstones whose "
            "table can't be told."},
    {"keyless", SETTING_ENUM, AT(table_settings, keyless), "match_before", .choices = keylesses,
     .doc = "What to do with a table without a key. `match_before`: inserts are inserted, and an "
            "update or delete finds its row by the before image, in any partition of the table; if "
            "several rows are equal, it changes one of them. `append`: every change becomes a row. "
            "`reject`: its records are dead letters."},
    {"on_trigger_error", SETTING_ENUM, AT(table_settings, on_trigger_error), "dead_letter",
     .choices = on_trigger_errors,
     .doc = "What to do with a row for which a trigger, a rule, or another function in the target "
            "(of a check, a default, a domain, a policy) raises an error, whatever its SQLSTATE. "
            "`dead_letter`: its record is a dead letter, and the other rows are applied. `stop`: "
            "the process ends; its log names the record's place and the function's message. See "
            "[reliability.md](reliability.md#what-postgresql-may-answer)."},
    {"skip_unchanged", SETTING_ENUM, AT(table_settings, skip_unchanged), "auto",
     .choices = skip_unchangeds,
     .doc = "For updates that carry large text, JSON or bytes which have not changed: the target "
            "compares them with what the row has, and equal values are neither compressed nor "
            "stored again. Other values are written, so the result is the same. `auto`: if a value "
            "of 2,000 bytes or more is the same in the record's before image. `always`: in each "
            "update, for sources that send whole rows without a before image. `never`: each value "
            "is written."},
    {"nul", SETTING_ENUM, AT(table_settings, nul), "reject", .choices = nuls,
     .doc = "What to do with a text that holds the character U+0000, which PostgreSQL's text types "
            "can't hold. `reject`: its record is a dead letter. `strip`: the character is left "
            "out, and the metric `nul_stripped_total` counts the value."},
    {"zero_dates", SETTING_ENUM, AT(table_settings, zero_dates), "null", .choices = zero_dateses,
     .doc = "What to do with a date of MySQL that has a zero month or day, as 0000-00-00, and came "
            "as text: no date or timestamp column can hold it. `null`: it becomes NULL, and the "
            "metric `zero_dates_total` counts it. `reject`: its record is a dead letter; in a key "
            "it always is."},
    {"inexact", SETTING_ENUM, AT(table_settings, inexact), "nanoseconds", .choices = inexacts,
     .doc = "What to do with a number or time that has more digits than the target's column, as "
            "1.005 for numeric(5,2) or nanoseconds for timestamp. `reject`: its record is a dead "
            "letter. `nanoseconds`: the same, except that times finer than a microsecond, which no "
            "type of PostgreSQL holds, are rounded half up. `round`: PostgreSQL rounds every such "
            "value. The metric `values_rounded_total` counts rounded values. Key columns always "
            "reject."},
    {"source_types", SETTING_TYPES, AT(table_settings, source_types), .max = 2000,
     .doc = "The types of source columns, where the connector lost them, as `{ total: bigint "
            "unsigned, price: \"decimal(10,2)\", seen: timestamp us, photo: bytes hex }`. The "
            "values are read as such, and a column that ods-sink makes for them gets a matching "
            "type. See [types.md](types.md#source_types)."},
    {"cdc_operation", SETTING_COLUMN, AT(table_settings, cdc_operation), "cdc_operation",
     .max = 200,
     .doc = "Target column for the operation: c, u, d, or r for a snapshot. `off`: none."},
    {"cdc_timestamp", SETTING_COLUMN, AT(table_settings, cdc_timestamp), "cdc_timestamp",
     .max = 200, .doc = "Target column for the time of the change at the source. `off`: none."},
    {"columns.rename", SETTING_RENAMES, AT(table_settings, renames), .max = 2000,
     .doc = "Source column to target column, as `{ brand: make }`."},
    {"columns.exclude", SETTING_STRINGS, AT(table_settings, exclude), .max = 2000,
     .doc = "Source columns that are not written."},
    {"columns.include", SETTING_STRINGS, AT(table_settings, include), .max = 2000,
     .inherits = "all", .doc = "If given, only these source columns are written."},
    {"redact", SETTING_STRINGS, AT(table_settings, redact), .max = 2000,
     .doc = "Source columns whose values are shown nowhere but in the target's own table: `verify` "
            "says that they differ, and not what they are."},
    {"transforms", SETTING_OBJECTS, AT(table_settings, transforms), .max = 100,
     .count_offset = AT(table_settings, transform_count), .of = &settings_of_transform,
     .doc = "Transforms of this table's changes, behind those of the pipeline, in this order. The "
            "list of an entry takes the place of that of the defaults."},
};

const struct setting_group settings_of_table = {
    .title = "defaults, and tables: one entry",
    .intro = "`defaults` holds for every table of the pipeline. The name of an entry of `tables` "
                     "is the source's `table`, or `schema.table` (`database.table` where the "
                     "source has no schemas), which goes before `table`. Settings that an entry "
                     "does not have are as in `defaults`; a list or map in an entry replaces the "
                     "one in `defaults`.",
    .size = sizeof(struct table_settings),
    SETTING_ROWS(table_rows),
};

static const struct setting input_rows[] = {
    {"type", SETTING_STRING, AT(input_settings, type), "kafka", .min = 1, .max = 200,
     .doc = "The type of the source: `kafka`, whose settings are in `ods-sink.conf`, `lines` or "
            "`file`, whose settings are below."},
    {"type", SETTING_PLUGIN, AT(input_settings, own), .plugins = source_groups},
};

const struct setting_group settings_of_input = {
    .title = "input",
    .intro = "Where a pipeline's records come from, as `input: { type: lines, listen: "
             "/run/ods-sink/lines.sock }`; without it from Kafka.",
    .size = sizeof(struct input_settings),
    SETTING_ROWS(input_rows),
};

static const struct setting transform_rows[] = {
    {"type", SETTING_STRING, AT(transform_settings, type), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED,
     .doc = "The type of the transform; each type has settings of its own, below."},
    {"tables", SETTING_STRINGS, AT(transform_settings, tables), .max = 2000, .inherits = "all",
     .doc = "Only changes of these tables, as `table` or `schema.table` (`database.table` where "
            "the source has no schemas), by the names that they have at this place of the list."},
    {"rekey", SETTING_BOOL, AT(transform_settings, rekey), "false",
     .doc = "The transform may change what is in the columns of the key. Without it such a change "
            "is a dead letter; what it means is in [transforms.md](transforms.md#keys)."},
    {"type", SETTING_PLUGIN, AT(transform_settings, own), .plugins = transform_groups},
};

const struct setting_group settings_of_transform = {
    .title = "transforms: one entry",
    .intro = "What happens to changes between the record and the target, in the order of the list, "
             "as `transforms: [{ type: filter, op: [c, r, u] }]`, or shorter "
             "`transforms: [{ filter: { op: [c, r, u] } }]`. Dead letters keep the record as "
             "it came. [transforms.md](transforms.md) has examples.",
    .size = sizeof(struct transform_settings),
    SETTING_ROWS(transform_rows),
};

static const struct setting pipeline_rows[] = {
    {"name", SETTING_STRING, AT(pipeline_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "Its name in logs, in metrics and in the consumer group."},
    {"input", SETTING_OBJECT, AT(pipeline_settings, input), .of = &settings_of_input,
     .doc = "Where the records come from, see [input](#input)."},
    {"topics", SETTING_STRINGS, AT(pipeline_settings, topics), .max = 10000,
     .flags = SETTING_REQUIRED,
     .doc = "Topics by name, or by POSIX extended regular expressions that begin with `^`; topics "
            "that appear later and match are read too. An expression also matches longer names "
            "unless it ends in `$`."},
    {"format", SETTING_STRING, AT(pipeline_settings, format), "debezium", .min = 1,
     .max = 200,
     .doc = "The format of the records. `debezium`: Debezium's JSON, in any of its shapes. "
            "`debezium-avro`: the same as Avro, by the schemas of a `registry`. `avro`: plain rows "
            "as Avro, each of which is the newest state of its key; a record without value is a "
            "delete. `maxwell`: Maxwell's JSON. `json`: plain JSON rows. `auto`: each record tells "
            "which of these it is; see [formats.md](formats.md)."},
    {"target", SETTING_STRING, AT(pipeline_settings, target), "",
     .inherits = "the only target", .max = 200, .doc = "Name of a target in `ods-sink.conf`."},
    {"connect", SETTING_STRING, AT(pipeline_settings, connect), "",
     .inherits = "that of `connect.url`, else the only cluster that is configured", .max = 200,
     .doc = "Name of a cluster in `connect_clusters` of `ods-sink.conf`: the one whose connectors "
            "write this pipeline's topics. `setup` registers them there, and `reset --all` looks "
            "for them there."},
    {"database", SETTING_STRING, AT(pipeline_settings, database), "",
     .inherits = "the only database that is configured", .max = 200,
     .doc = "Name of a database in `ods-sink.conf`: the one whose rows this pipeline moves. "
            "`verify` compares the target with it."},
    {"group_id", SETTING_STRING, AT(pipeline_settings, group_id), "",
     .inherits = "`kafka.group_id`.`name`", .max = 400,
     .doc = "The consumer group. Two pipelines of a daemon can't have the same one."},
    {"lanes", SETTING_INT, AT(pipeline_settings, lanes),
     .inherits = "`lanes` of ods-sink.conf", .min = 1, .max = 64, .doc = "Lanes of this pipeline."},
    {"on_error", SETTING_ENUM, AT(pipeline_settings, on_error), "dead_letter",
     .choices = on_errors,
     .doc = "What to do with a record that can't be decoded or applied. `dead_letter`: it goes to "
            "`dead_letter.topic`, and the others are applied. `stop`: its lane stops, and so does "
            "the daemon; it can go on once the cause is removed."},
    {"verify.every", SETTING_DURATION, AT(pipeline_settings, verify.every_ms), .inherits = "never",
     .min = 1000, .max = 365 * DAY_MS,
     .doc = "The daemon compares the target with the source, as `ods-sink verify` does, so long "
            "after it began to the last time; `0`: never. One process of the group does it at a "
            "time, and another one goes on with what one has left undone. `throttle` and `max_lag` "
            "of the database bound it; the result is in `/status`, the metrics and `ods-sink "
            "status`. Needs a target of type `postgres`. See "
            "[verify](cli/verify.md#in-the-daemon)."},
    {"verify.mode", SETTING_ENUM, AT(pipeline_settings, verify.mode), "full",
     .choices = verify_modes,
     .doc = "`full`: every row. `sample`: about `verify.sample` rows of each side of each table, "
            "chosen at random. `counts`: only how many rows there are."},
    {"verify.sample", SETTING_INT, AT(pipeline_settings, verify.sample), "10000", .min = 1,
     .max = 1000000, .doc = "Rows of each table, with `mode: sample`."},
    {"source.connector", SETTING_CHOICE, AT(pipeline_settings, source.connector),
     "", .inherits = "as the record says", .choices = connectors,
     .doc = "The Debezium connector, for records that do not name it (flattened rows without "
            "schema). It determines the units of times."},
    {"source.shape", SETTING_ENUM, AT(pipeline_settings, source.shape), "auto",
     .choices = source_shapes,
     .doc = "What the value of a Debezium record is. `auto`: an envelope if its members have the "
            "names and types of an envelope's, a flattened row if it is marked as one (`__op`, "
            "`__deleted`, a schema named `….Value`), else a dead letter. `envelope`, `flattened`: "
            "always this; flattened rows then need no `__op`, and may have columns named op, "
            "before, after and source."},
    {"source.timestamp_unit", SETTING_ENUM,
     AT(pipeline_settings, source.timestamp_unit), "auto", .choices = time_units,
     .doc = "The unit of timestamps in records without schema, for all columns that `source_types` "
            "does not name. `auto`: Debezium's default for the connector and the column's "
            "precision; if more than one unit is possible, the record is a dead letter "
            "(docs/types.md)."},
    {"source.time_unit", SETTING_ENUM, AT(pipeline_settings, source.time_unit),
     "auto", .choices = time_units, .doc = "The same for times of day."},
    {"source.decimals", SETTING_ENUM, AT(pipeline_settings, source.decimals),
     "auto", .choices = decimal_modes,
     .doc = "The connector's `decimal.handling.mode`, for records without schema. `auto`: each "
            "value tells."},
    {"source.schema_topic", SETTING_STRING,
     AT(pipeline_settings, source.schema_topic), "", .max = 249,
     .doc = "The MySQL or MariaDB connector's schema-change topic, named like its `topic.prefix` "
            "(`include.schema.changes`), or the topic of Maxwell's DDL (`ddl_kafka_topic`). From "
            "it the columns of records without schema get their types, as they were at the "
            "record's time. A table's `source_types` go before."},
    {"source.op_field", SETTING_STRING, AT(pipeline_settings, source.op_field), "", .max = 200,
     .doc = "Of format `json`: the field of a row that says what happened to it, `create`, "
            "`update`, `upsert`, `delete`, `read` or their first letters. It is no column. Without "
            "it every row is an upsert."},
    {"source.unavailable_value", SETTING_STRING,
     AT(pipeline_settings, source.unavailable_value), "__debezium_unavailable_value", .max = 1000,
     .doc = "The connector's `unavailable.value.placeholder`: a column with this value was not "
            "sent, and keeps its value in the target."},
    {"source.metadata.add_fields", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_fields), "", .max = 2047,
     .inherits = "the usual names behind the prefix",
     .doc = "`add.fields` of ExtractNewRecordState as the connector's configuration has it, "
            "`op,source.ts_ms` or `op:kind,source.ts_ms:at`: the fields of flattened rows that are "
            "metadata and not columns. If this or `add_headers` is set, only these fields (and "
            "`__deleted`) are metadata; otherwise all that Debezium knows are, `__op`, `__table`, "
            "`__source_ts_ms` and so on. If a later transform renames a field, give its last name; "
            "for `__deleted` write `deleted:` and the name."},
    {"source.metadata.add_fields_prefix", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_fields_prefix), "__", .max = 200,
     .doc = "`add.fields.prefix` of ExtractNewRecordState. Renamed fields have it too (`op:kind` "
            "becomes `__kind`); `__deleted` does not change its name."},
    {"source.metadata.add_headers", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_headers), "", .inherits = "none are read",
     .max = 2047,
     .doc = "`add.headers` of ExtractNewRecordState: the headers of flattened rows and tombstones "
            "that hold metadata, written by Connect's SimpleHeaderConverter, StringConverter or "
            "JsonConverter. A field goes before a header."},
    {"source.metadata.add_headers_prefix", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_headers_prefix), "__", .max = 200,
     .doc = "`add.headers.prefix` of ExtractNewRecordState."},
#define REGISTRY_INHERITS .inherits = "`registry` of ods-sink.conf, all of it"
    REGISTRY_ROWS(pipeline_settings),
#undef REGISTRY_INHERITS
    {"transforms", SETTING_OBJECTS, AT(pipeline_settings, transforms), .max = 100,
     .count_offset = AT(pipeline_settings, transform_count), .of = &settings_of_transform,
     .doc = "The transforms that changes pass through, in this order."},
    {"defaults", SETTING_OBJECT, AT(pipeline_settings, defaults), .of = &settings_of_table,
     .doc = "Settings of all tables."},
    {"tables", SETTING_NAMED, AT(pipeline_settings, tables),
     .count_offset = AT(pipeline_settings, table_count), .of = &settings_of_table,
     .doc = "Settings of single tables, where they differ from the defaults, by source table: "
            "`table`, or `schema.table` (`database.table` where the source has no schemas), or a "
            "POSIX extended regular expression over either that begins with `^`, as "
            "`'^orders_\\d+$': { target: orders, key: [id] }`. `\\d`, `\\w`, `\\s` and `\\D`, "
            "`\\W`, `\\S` are understood; without `$` longer names match too. An entry "
            "`schema.table` goes before one `table`, and both go before expressions; the first "
            "expression that matches is used."},
};

const struct setting_group settings_of_pipeline = {
    .title = "pipelines: one entry",
    .intro = "A pipeline reads topics as a consumer group of its own and writes to one target. "
                        "Several pipelines may read the same topic.",
    .size = sizeof(struct pipeline_settings),
    SETTING_ROWS(pipeline_rows),
};

static const struct setting moves_rows[] = {
    {"pipelines", SETTING_OBJECTS, AT(settings, pipelines), .max = 1000,
     .flags = SETTING_REQUIRED, .count_offset = AT(settings, pipeline_count),
     .of = &settings_of_pipeline,
     .doc = "The pipelines: which topics go to which target."},
};

const struct setting_group settings_of_moves = {
    .title = "tables.yaml: what is moved",
    .intro = "YAML 1.1 as libyaml reads it. Anchors and aliases are understood; duplicate "
                     "keys, tags and merge keys (`<<`) are refused.",
    .size = sizeof(struct settings),
    SETTING_ROWS(moves_rows),
};

static const struct setting target_rows[] = {
    {"name", SETTING_STRING, AT(target_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "The name by which pipelines refer to it."},
    {"type", SETTING_STRING, AT(target_settings, type), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "The type of the target; each type has settings of its own, "
                                       "below."},
    {"type", SETTING_PLUGIN, AT(target_settings, own), .plugins = sink_groups},
};

const struct setting_group settings_of_target = {
    .title = "targets: one entry",
    .intro = "What each entry of the list `targets` may have, beside the settings of its type.",
    .size = sizeof(struct target_settings),
    SETTING_ROWS(target_rows),
};

static const char *const database_types[] = {"mysql", "postgres", NULL};

static const struct setting database_rows[] = {
    {"name", SETTING_STRING, AT(database_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "What pipelines call it (`database`)."},
    {"type", SETTING_CHOICE, AT(database_settings, type), .choices = database_types,
     .flags = SETTING_REQUIRED, .doc = "`mysql` is MariaDB too."},
    {"dsn", SETTING_STRING, AT(database_settings, dsn), .min = 1, .max = 65536,
     .flags = SETTING_REQUIRED | SETTING_SECRET,
     .doc = "A connection string as of a target, keywords (`host=… port=… dbname=… user=… "
            "password=…`) or URI (`mysql://user@host/name`); of MySQL also `sslmode`, "
            "`sslrootcert`, `sslcert`, `sslkey`, and a `host` that begins with `/` is its socket. "
            "Put the password into `${NAME}` or `${file:/path}`."},
    {"throttle", SETTING_INT, AT(database_settings, throttle), "0", .min = 0,
     .max = INT64_C(1000000000),
     .doc = "Rows that `verify` reads of it in a second, at most. 0: any number."},
    {"max_lag", SETTING_INT, AT(database_settings, max_lag), "100000", .min = 0,
     .max = INT64_C(1000000000000),
     .doc = "`verify` pauses while its pipeline is more records behind. 0: it does not look."},
    {"slot", SETTING_STRING, AT(database_settings, slot), "", .max = 63,
     .inherits = "the only logical slot of the database",
     .doc = "The connector's replication slot, of type `postgres`: how far the connector is."},
    {"check_every", SETTING_DURATION, AT(database_settings, check_every_ms), "1m", .min = 100,
     .max = DAY_MS,
     .doc = "How often the daemon looks at its log: how much of it the connector has yet to read, "
            "and how long the log keeps the connector's place. In `/status` under `sources`, in "
            "the metrics `source_…` and in the log. `0`: never. See "
            "[source-guard.md](source-guard.md)."},
};

const struct setting_group settings_of_database = {
    .title = "databases: one entry",
    .intro = "What each group in the list `databases` may hold: a source database that `verify` "
             "reads, and at whose log the daemon looks, in read-only sessions.",
    .size = sizeof(struct database_settings),
    SETTING_ROWS(database_rows),
};

static const struct setting connect_rows[] = {
    {"name", SETTING_STRING, AT(connect_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED,
     .doc = "What pipelines (`connect`) and commands (`--cluster`) call it."},
    {"url", SETTING_STRING, AT(connect_settings, url), .min = 1, .max = 2048,
     .flags = SETTING_REQUIRED, .doc = "As `connect.url`; so are the others."},
    {"user", SETTING_STRING, AT(connect_settings, user), "", .max = 1000,
     .doc = "User for basic authentication. Empty: none."},
    {"password", SETTING_STRING, AT(connect_settings, password), "", .max = 10000,
     .doc = "Its password, best as `${NAME}` or `${file:/path}`. Never printed."},
    {"ca", SETTING_STRING, AT(connect_settings, ca), "", .inherits = "the system's authorities",
     .max = 4096, .doc = "File of the certificates (PEM) by which an `https://` server is known."},
    {"certificate", SETTING_STRING, AT(connect_settings, certificate), "", .max = 4096,
     .doc = "File of our own certificate (PEM), for a server that asks for one."},
    {"key", SETTING_STRING, AT(connect_settings, key), "", .max = 4096,
     .doc = "File of the key to `certificate` (PEM)."},
    {"timeout_ms", SETTING_MS, AT(connect_settings, timeout_ms), "60000", .min = 100,
     .max = 3600000, .doc = "How long one answer may take."},
};

const struct setting_group settings_of_connect = {
    .title = "connect_clusters: one entry",
    .intro = "What each group in the list `connect_clusters` may hold: a cluster of Kafka Connect "
             "beside that of the group `connect`.",
    .size = sizeof(struct connect_settings),
    SETTING_ROWS(connect_rows),
};

/* In the order of enum broker_sasl. */
static const char *const sasls[] = {"auto",     "anonymous",     "plain",
                                    "external", "scram-sha-256", "scram-sha-512", NULL};

static const struct setting broker_rows[] = {
    {"name", SETTING_STRING, AT(broker_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "What pipelines call it (`input.broker`)."},
    {"urls", SETTING_STRINGS, AT(broker_settings, urls), .max = 100, .flags = SETTING_REQUIRED,
     .doc =
         "Its servers, `amqp://host:port` or, with TLS, `amqps://host:port` (5672 and 5671 where "
         "no port is named). They are tried in turn, so a server that takes over from another "
         "one stands behind it. User and password have settings of their own."},
    {"user", SETTING_STRING, AT(broker_settings, user), "", .max = 1000,
     .doc = "Who signs in. Empty: nobody, or the owner of `certificate`."},
    {"password", SETTING_STRING, AT(broker_settings, password), "", .max = 10000,
     .doc = "The user's password, best as `${NAME}` or `${file:/path}`. Never printed."},
    {"sasl", SETTING_ENUM, AT(broker_settings, sasl), "auto", .choices = sasls,
     .doc =
         "How to sign in. `auto`: with a user by `scram-sha-512`, `scram-sha-256` or `plain`, the "
         "first of them that the broker offers; with a certificate alone by `external`; else "
         "`anonymous`. `plain` sends the password, so use it with `amqps://`."},
    {"ca", SETTING_STRING, AT(broker_settings, ca), "", .inherits = "the system's authorities",
     .max = 4096,
     .doc =
         "File of the certificates (PEM) by which an `amqps://` server is known. Its certificate "
         "must bear the host's name."},
    {"certificate", SETTING_STRING, AT(broker_settings, certificate), "", .max = 4096,
     .doc = "File of our own certificate (PEM), for a server that asks for one."},
    {"key", SETTING_STRING, AT(broker_settings, key), "", .max = 4096,
     .doc = "File of the key to `certificate` (PEM)."},
    {"virtual_host", SETTING_STRING, AT(broker_settings, virtual_host), "",
     .inherits = "the host of the url", .max = 255,
     .doc = "The host that the connection is opened for, where a broker has several: "
            "`vhost:NAME` for RabbitMQ."},
    {"container", SETTING_STRING, AT(broker_settings, container), "",
     .inherits = "the pipeline's `group_id`", .max = 255,
     .doc = "The container-id, by which the broker knows us; together with `input.subscription` it "
            "names a subscription that outlives the connection. A lane behind the first one adds "
            "its number."},
    {"idle_timeout_ms", SETTING_MS, AT(broker_settings, idle_timeout_ms), "30000", .min = 500,
     .max = 3600000,
     .doc =
         "A server of which nothing has been heard for so long is taken for dead: it is asked to "
         "send a heartbeat twice as often. Its own wish for heartbeats is always met."},
    {"connect_timeout_ms", SETTING_MS, AT(broker_settings, connect_timeout_ms), "10000", .min = 100,
     .max = 600000,
     .doc = "How long a server may take until it has accepted the connection, before the next one "
            "is tried."},
};

const struct setting_group settings_of_broker = {
    .title = "amqp: one entry",
    .intro = "What each group in the list `amqp` may hold: a broker that speaks AMQP 1.0. See "
             "[amqp.md](amqp.md).",
    .size = sizeof(struct broker_settings),
    SETTING_ROWS(broker_rows),
};

static const struct setting daemon_rows[] = {
    {"kafka.bootstrap_servers", SETTING_STRING, AT(settings, kafka.bootstrap_servers),
     "localhost:9092", .min = 1, .max = 65536,
     .doc = "The brokers to connect to first, `host:port`, separated by commas."},
    {"kafka.group_id", SETTING_STRING, AT(settings, kafka.group_id), "ods-sink",
     .min = 1, .max = 200,
     .doc = "Prefix of the pipelines' consumer groups. The target stores offsets by group, so with "
            "another name everything is read again."},
    {"kafka.auto_offset_reset", SETTING_CHOICE, AT(settings, kafka.auto_offset_reset),
     "earliest", .choices = resets,
     .doc = "Where a partition starts if neither the target nor the group has an offset for it."},
    {"kafka.on_offset_gone", SETTING_CHOICE, AT(settings, kafka.on_offset_gone),
     "stop", .choices = gone_policies,
     .doc = "What to do if Kafka has no record at the next offset: retention has deleted records "
            "that were not applied yet, or the topic was recreated and is shorter. `stop`: the "
            "daemon ends with an error that says how to go on (`ods-sink reset`). `earliest`: it "
            "continues at the oldest record; `latest`: after the newest. Both are logged as errors "
            "and counted in `offset_gaps_total`."},
    {"kafka.on_topic_recreated", SETTING_CHOICE,
     AT(settings, kafka.on_topic_recreated), "stop", .choices = recreated_policies,
     .doc = "What to do if a record below the stored offset is more than a minute younger than the "
            "time at which that offset was stored: the topic has been deleted and recreated since, "
            "so the offset does not belong to its records. `stop`, `earliest`: as in "
            "`on_offset_gone`. `ignore`: this is not checked (if the producers' clocks are "
            "wrong)."},
    {"kafka.retention_check_ms", SETTING_MS, AT(settings, kafka.retention_check_ms), "60000",
     .min = 0, .max = 3600000,
     .doc = "How often the daemon looks, while records wait, whether Kafka's retention is about to "
            "take them before they are applied: in `/status` under `retention`, in the metrics "
            "`partition_retention_left_seconds` and `partition_records_lost`, and, when less than "
            "a tenth of the retention is left, in the log. 0: never."},
    {"kafka.properties", SETTING_PROPERTIES, AT(settings, kafka.properties),
     .doc = "Any librdkafka property, as `\"security.protocol\" = \"SASL_SSL\"`. Those that the "
            "daemon sets itself are refused: bootstrap.servers, group.id, auto.offset.reset, "
            "enable.auto.commit, enable.auto.offset.store, enable.partition.eof, "
            "partition.assignment.strategy. A `group.instance.id` (static membership: a restart "
            "within session.timeout.ms moves no partition) must differ from process to process; "
            "each lane adds pipeline and number to it."},
    {"targets", SETTING_OBJECTS, AT(settings, targets), .max = 1000,
     .flags = SETTING_REQUIRED, .count_offset = AT(settings, target_count),
     .of = &settings_of_target,
     .doc = "The databases that pipelines write to."},
    {"databases", SETTING_OBJECTS, AT(settings, databases), .max = 1000,
     .count_offset = AT(settings, database_count), .of = &settings_of_database,
     .doc = "The source databases, for `verify` and for a look at their logs."},
    {"amqp", SETTING_OBJECTS, AT(settings, brokers), .max = 1000,
     .count_offset = AT(settings, broker_count), .of = &settings_of_broker,
     .doc = "The AMQP 1.0 brokers whose queues pipelines read."},
    {"lanes", SETTING_INT, AT(settings, lanes), "2", .min = 1, .max = 64,
     .doc = "The number of lanes of each pipeline. A lane is a member of the consumer group and "
            "has one connection to the target. Lanes beyond the number of partitions are idle."},
    {"batch.max_events", SETTING_INT, AT(settings, batch.max_events), "10000",
     .min = 1, .max = 1000000, .flags = SETTING_RELOAD,
     .doc = "A batch is handed to the writer when it has this many records."},
    {"batch.max_bytes", SETTING_BYTES, AT(settings, batch.max_bytes), "8388608",
     .min = 64 * KIB, .max = KIB * KIB * KIB, .flags = SETTING_RELOAD,
     .doc = "A batch is handed to the writer when its records and rows take this much memory."},
    {"batch.max_wait_ms", SETTING_MS, AT(settings, batch.max_wait_ms), "100",
     .min = 0, .max = 60000, .flags = SETTING_RELOAD,
     .doc = "The longest time that a record waits for others. An idle writer gets a batch at "
            "once."},
    {"batch.per_lane", SETTING_INT, AT(settings, batch.per_lane), "2", .min = 2,
     .max = 16, .doc = "The number of batches that a lane owns: one is filled while another is "
                       "written."},
    {"dead_letter.topic", SETTING_STRING, AT(settings, dead_letter.topic), "",
     .max = 249,
     .doc = "The topic for records that can't be decoded or applied. Empty, and without "
            "`dead_letter.address`: such a record stops its lane."},
    {"dead_letter.address", SETTING_STRING, AT(settings, dead_letter.address), "", .max = 2048,
     .doc = "In place of the topic, an address of an AMQP broker: each letter is a durable message "
            "with the record's value as its body, its headers and what else is said of it as "
            "application properties, and its key as the property `ods.key`. `ods-sink dlq` reads "
            "topics only."},
    {"dead_letter.broker", SETTING_STRING, AT(settings, dead_letter.broker), "",
     .inherits = "the only broker that is configured", .max = 200,
     .doc = "Name of a broker in the list `amqp`: the one of `dead_letter.address`."},
    {"dead_letter.max_per_minute", SETTING_INT,
     AT(settings, dead_letter.max_per_minute), "0", .min = 0, .max = 1000000000,
     .doc = "A limit for safety: a pipeline that would write more dead letters than this within a "
            "minute stops instead, and so does the daemon, so that a mistake in the configuration "
            "or the target does not turn a whole topic into dead letters. 0: no limit."},
    {"dead_letter.encrypt.public_key", SETTING_STRING, AT(settings, dead_letter.public_key), "",
     .max = 4096,
     .doc = "A file with the public key, X25519 or RSA, for which each dead letter's record is "
            "encrypted: `ods-sink dlq show --key PRIVATE.pem` opens it. See docs/privacy.md. "
            "Empty: the letter has key and value of the record as they are."},
    {"retry.initial_ms", SETTING_MS, AT(settings, retry.initial_ms), "100", .min = 1,
     .max = 60000, .flags = SETTING_RELOAD,
     .doc = "The first pause when Kafka or a target is not available; each further pause is twice "
            "as long."},
    {"retry.max_ms", SETTING_MS, AT(settings, retry.max_ms), "5000", .min = 1,
     .max = 3600000, .flags = SETTING_RELOAD, .doc = "The longest pause between two tries."},
    {"retry.max_elapsed_ms", SETTING_MS, AT(settings, retry.max_elapsed_ms), "0",
     .min = 0, .max = 365 * DAY_MS, .flags = SETTING_RELOAD,
     .doc = "Exit after an outage of this length. 0: wait for ever."},
    {"retry.constraint_attempts", SETTING_INT,
     AT(settings, retry.constraint_attempts), "5", .min = 0, .max = 1000, .flags = SETTING_RELOAD,
     .doc = "How often, with these pauses, a row is tried again that a unique or foreign key of "
            "the target refuses, before it becomes a dead letter: another lane may be about to "
            "write the row that it needs. The number is for the whole batch, not for each row. If "
            "waiting did not help, the next batch waits half as often; if it helped, the full "
            "number applies again. 0: never."},
    {"http.listen", SETTING_STRING, AT(settings, http.listen), "127.0.0.1:8090",
     .max = 255,
     .doc = "Address of `/metrics`, `/healthz`, `/readyz` and `/status`, `host:port` or "
            "`[address]:port`. Empty: off."},
    {"connect.url", SETTING_STRING, AT(settings, connect.url), "", .max = 2048,
     .doc = "Kafka Connect's REST, `http://host:port` or `https://…`, for the commands "
            "`connectors`, `setup` and `reset --all`; the daemon asks it where MySQL's connectors "
            "stand ([source-guard.md](source-guard.md)). Several workers of one cluster are "
            "separated by commas: the first that answers is asked."},
    {"connect.user", SETTING_STRING, AT(settings, connect.user), "", .max = 1000,
     .doc = "User for basic authentication. Empty: none."},
    {"connect.password", SETTING_STRING, AT(settings, connect.password), "", .max = 10000,
     .doc = "Its password, best as `${NAME}` or `${file:/path}`. Never printed."},
    {"connect.ca", SETTING_STRING, AT(settings, connect.ca), "",
     .inherits = "the system's authorities", .max = 4096,
     .doc = "File of the certificates (PEM) by which an `https://` server is known. Its host name "
            "is checked too."},
    {"connect.certificate", SETTING_STRING, AT(settings, connect.certificate), "", .max = 4096,
     .doc = "File of our own certificate (PEM), for a server that asks for one."},
    {"connect.key", SETTING_STRING, AT(settings, connect.key), "", .max = 4096,
     .doc = "File of the key to `connect.certificate` (PEM)."},
    {"connect.timeout_ms", SETTING_MS, AT(settings, connect.timeout_ms), "60000", .min = 100,
     .max = 3600000,
     .doc = "How long one answer may take. To check a configuration Connect asks the source "
            "database, which may take long."},
    {"connect_clusters", SETTING_OBJECTS, AT(settings, connect_clusters), .max = 1000,
     .count_offset = AT(settings, connect_cluster_count), .of = &settings_of_connect,
     .doc = "More clusters of Kafka Connect, for the same commands."},
#define REGISTRY_INHERITS .inherits = NULL
    REGISTRY_ROWS(settings),
#undef REGISTRY_INHERITS
    {"log.level", SETTING_ENUM, AT(settings, log.level), "info",
     .choices = log_levels, .flags = SETTING_RELOAD, .doc = "The lowest level that is logged."},
    {"log.format", SETTING_ENUM, AT(settings, log.format), "text",
     .choices = log_formats, .flags = SETTING_RELOAD,
     .doc = "Each event is one line on standard error: `text` for people, or a JSON object."},
    {"shutdown_timeout_ms", SETTING_MS, AT(settings, shutdown_timeout_ms), "10000",
     .min = 0, .max = 3600000, .flags = SETTING_RELOAD,
     .doc = "How long the daemon waits for batches in progress when it stops. What is not finished "
            "by then is rolled back, and read again at the next start."},
    {"tables", SETTING_STRING, AT(settings, tables), "tables.yaml", .min = 1,
     .max = 4096, .doc = "The path of tables.yaml; a relative path starts at this file's folder."},
};

const struct setting_group settings_of_daemon = {
    .title = "ods-sink.conf: how the daemon runs",
    .intro = "Written as [libconfig](https://hyperrealm.github.io/libconfig/) is, with "
                      "two additions: a name may stand in quotes, as librdkafka's dotted names "
                      "must, and `@include \"file\"` is relative to the including file.",
    .size = sizeof(struct settings),
    SETTING_ROWS(daemon_rows),
};
