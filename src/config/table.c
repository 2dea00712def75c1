/* The rows of tables.yaml: pipelines, their tables, and what stands in those. */
#include "config/table_room.h"

#include <ods/sink.h>
#include <ods/source.h>
#include <ods/transform.h>

_Static_assert(sizeof(enum log_level) == sizeof(int) && sizeof(enum on_delete) == sizeof(int),
               "enum settings are written as int");
_Static_assert(AT(target_settings, name) == 0 && AT(pipeline_settings, name) == 0 &&
                   AT(database_settings, name) == 0 && AT(connect_settings, name) == 0 &&
                   AT(table_settings, name) == 0 && AT(broker_settings, name) == 0,
               "objects begin with their name");

/* In the order of their enums in settings.h. */
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
    {"outbox", SETTING_BOOL, AT(table_settings, outbox), "false",
     .doc = "Each change of the target's table is appended to the outbox in its own transaction, "
            "whoever makes it, under the name `<schema>.<table>` of the target: a trigger does it, "
            "which is taken off again when this is no longer set. Other pipelines send it on, see "
            "[outbox.md](outbox.md). Needs a target of type `postgres`."},
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
    {"quality", SETTING_OBJECTS, AT(table_settings, quality), .max = 100,
     .count_offset = AT(table_settings, quality_count), .of = &settings_of_quality_rule,
     .doc = "Rules for this table's rows and for the table, beside those of the pipeline. The "
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
     .doc = "The type of the source: `kafka`, whose settings are in `ods-sink.conf`, or one of "
            "those whose settings are below."},
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
            "delete. `debezium-protobuf`, `protobuf`: both as Protobuf. "
            "`maxwell`: Maxwell's JSON. `json`: plain JSON rows. `auto`: each record tells "
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
     .doc = "What to do with a record that can't be decoded or applied. `dead_letter`: it goes "
            "where `dead_letter` says, and the others are applied. `stop`: its lane stops, and so "
            "does the daemon; it can go on once the cause is removed."},
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
    {"quality", SETTING_OBJECT, AT(pipeline_settings, quality), .of = &settings_of_quality,
     .doc = "What has to hold of the data, see [quality](#quality)."},
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
    {"derived", SETTING_OBJECTS, AT(settings, derived), .max = 200,
     .count_offset = AT(settings, derived_count), .of = &settings_of_derived,
     .doc = "Tables that the target keeps by itself from those that it has: joins, aggregates and "
            "extractions."},
};

const struct setting_group settings_of_moves = {
    .title = "tables.yaml: what is moved",
    .intro = "YAML 1.1 as libyaml reads it. Anchors and aliases are understood; duplicate "
                     "keys, tags and merge keys (`<<`) are refused.",
    .size = sizeof(struct settings),
    SETTING_ROWS(moves_rows),
};
