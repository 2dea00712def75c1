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
                   AT(table_settings, name) == 0,
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
static const char *const time_units[] = {"auto", "days", "ms", "us", "ns", NULL};
static const char *const decimal_modes[] = {"auto", "precise", "string", "double", NULL};

static const char *const resets[] = {"earliest", "latest", "error", NULL};
static const char *const gone_policies[] = {"stop", "earliest", "latest", NULL};
static const char *const recreated_policies[] = {"stop", "earliest", "ignore", NULL};
static const char *const connectors[] = {"",           "mysql",     "mariadb", "vitess",
                                         "postgresql", "sqlserver", "oracle",  "db2",
                                         "informix",   NULL};

static const struct setting table_rows[] = {
    {"schema", SETTING_STRING, AT(table_settings, schema), "public", .min = 1,
     .max = 200, .flags = SETTING_PLACES,
     .doc = "Schema in the target, unless `target` names one. `${topic}`, `${db}`, `${schema}` and "
            "`${table}` stand for the record's own: its topic, and the database, schema and table "
            "of the source (`${db}` and `${schema}` for each other where the source has but "
            "one)."},
    {"target", SETTING_STRING, AT(table_settings, target), "",
     .inherits = "the source's name", .max = 400, .flags = SETTING_PLACES,
     .doc = "Table in the target, `table` or `schema.table`, with the same `${…}` as `schema`. In "
            "`defaults` only with `${table}` or `${topic}` in it. Without these two it says that "
            "several source tables may share the table, which are refused else; see "
            "[types.md](types.md#keys)."},
    {"fold", SETTING_ENUM, AT(table_settings, fold), "keep", .choices = folds,
     .doc = "Names that come from the source, of schemas, tables and columns: `keep` their case, "
            "or `lower` it (A to Z). Names that this file gives stay as they are. A name beyond "
            "PostgreSQL's 63 bytes is cut and ends in `_` and eight digits that only depend on the "
            "whole name; two columns or tables that would meet in one name are refused."},
    {"key", SETTING_STRINGS, AT(table_settings, key), .max = 32,
     .inherits = "the record's own key",
     .doc = "Source columns that identify a row. A record's key that is one value (`42`, `a1`) is "
            "the column's where one is named. Where these hold columns that the record's key does "
            "not, an update that changes them removes the old row, for which it needs its before "
            "image; one without (flattened, or no `REPLICA IDENTITY FULL`) is a dead letter. (Of a "
            "source without any key it is applied, and told once.) The connector's "
            "`message.key.columns` makes such columns part of the records' key, and has to where a "
            "topic has several partitions: records are in order by their own key, and the records "
            "of one row by this key must not stand in several."},
    {"topics", SETTING_STRINGS, AT(table_settings, topics), .max = 1000,
     .doc = "Only in an entry of `tables`: the topics that carry this table and no other, by name "
            "or by pattern (`^…`). It tells the table of records that don't: of a tombstone (a "
            "record without a value), and of a flattened row without `__table`. A record of such a "
            "topic that names another table is a dead letter. A name goes before a pattern."},
    {"skip", SETTING_BOOL, AT(table_settings, skip), "false",
     .doc = "Pass over this table's records."},
    {"create_tables", SETTING_BOOL, AT(table_settings, create_tables), "true",
     .doc = "Create the table when it is missing, from the record's schema."},
    {"evolve", SETTING_ENUM, AT(table_settings, evolve), "add", .choices = evolves,
     .doc = "What follows the source in a table that ods-sink made; a table or a column's type "
            "that somebody else made or changed is left alone. `none`: nothing. `add`: a column "
            "that appears later is added. `widen`: and a column takes a type that holds more, when "
            "the source's does (int to bigint to numeric, numeric, varchar, real to double, most "
            "to text), and NULL, when the source sends it or stops sending the column. `full`: and "
            "a change that no wider type holds keeps the old column as `<name>__v1` beside a new "
            "one; below `full` a row with such a value is a dead letter; and the table gets the "
            "source's new primary key, where no rows share one. Nothing but a key is ever dropped. "
            "Each change is logged and listed in `ods_sink.schema_history`."},
    {"on_delete", SETTING_ENUM, AT(table_settings, on_delete), "soft",
     .choices = on_deletes,
     .doc = "`soft`: the row stays, marked `d` in `cdc_operation`. `hard`: it goes. `ignore`: it "
            "stays as it was."},
    {"on_truncate", SETTING_ENUM, AT(table_settings, on_truncate), "ignore",
     .choices = on_truncates, .doc = "`apply`: a truncate of the source empties the table too (with `on_delete: soft` "
            "its rows are marked). Only of a topic with one partition: among several it is not "
            "ordered against the rows of the others, so it goes to the dead letters instead. Not "
            "for a table that several sources share."},
    {"on_tombstone", SETTING_ENUM, AT(table_settings, on_tombstone), "apply",
     .choices = on_tombstones,
     .doc = "A record without a value. `apply`: it deletes the row of its key, unless the delete "
            "stands shortly before it in its partition. Its table is that of `topics`, or what its "
            "key's schema or its topic is named after (`prefix.schema.table`); where that can't be "
            "told, or the key can't be read, it is a dead letter. `ignore`: it is passed over, and "
            "counted in `records_passed_total`. In `defaults` it also holds for tombstones whose "
            "table can't be told."},
    {"keyless", SETTING_ENUM, AT(table_settings, keyless), "match_before",
     .choices = keylesses,
     .doc = "A table without a key. `match_before`: inserts are inserts, and an update or delete "
            "finds its row by the before image, in whichever partition it is; of equal rows one. "
            "`append`: every change becomes a row. `reject`: its records are dead letters."},
    {"on_trigger_error", SETTING_ENUM, AT(table_settings, on_trigger_error),
     "dead_letter", .choices = on_trigger_errors,
     .doc = "A row for which a trigger, a rule, or another function of the target's own (of a "
            "check, a default, a domain, a policy) raises an error, whatever its SQLSTATE. "
            "`dead_letter`: its record is one, and the rows beside it are applied. `stop`: the "
            "process ends, with the record's place and the function's words. See "
            "[reliability.md](reliability.md#what-postgresql-may-answer)."},
    {"skip_unchanged", SETTING_ENUM, AT(table_settings, skip_unchanged), "auto",
     .choices = skip_unchangeds,
     .doc = "An update of a row with large text, JSON or bytes that the row has already: the target "
            "compares, and what is equal stays where it lies, neither compressed nor stored again. "
            "What is not equal, or not there, is written, so the outcome is the same. `auto`: where "
            "the record's before image has a value of 2,000 bytes or more unchanged. `always`: in each "
            "update, for sources that send whole rows without the row before. `never`: each value "
            "is written."},
    {"nul", SETTING_ENUM, AT(table_settings, nul), "reject", .choices = nuls,
     .doc = "A text that holds the character U+0000, which PostgreSQL's text types don't have. "
            "`reject`: its record is a dead letter. `strip`: the character is left out, and the "
            "metric `nul_stripped_total` counts the value."},
    {"zero_dates", SETTING_ENUM, AT(table_settings, zero_dates), "null",
     .choices = zero_dateses,
     .doc = "A date of MySQL with a zero month or day, as 0000-00-00, that came as text and has no "
            "place in a date or timestamp column. `null`: it becomes NULL, and the metric "
            "`zero_dates_total` counts it. `reject`: its record is a dead letter, as it always is "
            "in a key."},
    {"inexact", SETTING_ENUM, AT(table_settings, inexact), "nanoseconds",
     .choices = inexacts,
     .doc = "A number or time with more digits than the target's column has, as 1.005 for "
            "numeric(5,2) or nanoseconds for timestamp. `reject`: its record is a dead letter. "
            "`nanoseconds`: but a time finer than a microsecond, which none of PostgreSQL's types "
            "holds, is rounded half up. `round`: whatever it is, PostgreSQL rounds it. The metric "
            "`values_rounded_total` counts such values. Key columns always reject."},
    {"source_types", SETTING_TYPES, AT(table_settings, source_types), .max = 2000,
     .doc = "The source's type of a column where the connector lost it, as `{ total: bigint "
            "unsigned, price: \"decimal(10,2)\", seen: timestamp us, photo: bytes hex }`. Its "
            "values are read so, and a column made for them has a type to match. See "
            "[types.md](types.md#source_types)."},
    {"cdc_operation", SETTING_COLUMN, AT(table_settings, cdc_operation),
     "cdc_operation", .max = 200,
     .doc = "Column that gets the operation: c, u, d, or r for a snapshot. `off`: none."},
    {"cdc_timestamp", SETTING_COLUMN, AT(table_settings, cdc_timestamp),
     "cdc_timestamp", .max = 200,
     .doc = "Column that gets the time of the change at the source. `off`: none."},
    {"columns.rename", SETTING_RENAMES, AT(table_settings, renames), .max = 2000,
     .doc = "Source column to target column, as `{ brand: make }`."},
    {"columns.exclude", SETTING_STRINGS, AT(table_settings, exclude), .max = 2000,
     .doc = "Source columns that are not written."},
    {"columns.include", SETTING_STRINGS, AT(table_settings, include), .max = 2000,
     .inherits = "all", .doc = "If given, only these source columns are written."},
};

const struct setting_group settings_of_table = {
    .title = "defaults, and tables: one entry",
    .intro = "`defaults` holds for every table of the pipeline. An entry of `tables` is "
                     "named by the source's `table`, or `schema.table` (`database.table` where the "
                     "source has no schemas), which wins; what it leaves out is as in "
                     "`defaults`, and a list or map that it gives replaces the one there.",
    .size = sizeof(struct table_settings),
    SETTING_ROWS(table_rows),
};

static const struct setting input_rows[] = {
    {"type", SETTING_STRING, AT(input_settings, type), "kafka", .min = 1, .max = 200,
     .doc = "What kind of source it is: `kafka`, of which `ods-sink.conf` says where it is, or `lines`, "
            "whose settings are below."},
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
     .doc = "What kind of transform it is; each has settings of its own, below."},
    {"type", SETTING_PLUGIN, AT(transform_settings, own), .plugins = transform_groups},
};

const struct setting_group settings_of_transform = {
    .title = "transforms: one entry",
    .intro = "What happens to changes between the record and the target, in the order of the list, "
             "as `transforms: [{ type: filter, op: [c, r, u] }]`. Dead letters keep the record as it "
             "came.",
    .size = sizeof(struct transform_settings),
    SETTING_ROWS(transform_rows),
};

static const struct setting pipeline_rows[] = {
    {"name", SETTING_STRING, AT(pipeline_settings, name), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "Stands in logs, metrics and the consumer group."},
    {"input", SETTING_OBJECT, AT(pipeline_settings, input), .of = &settings_of_input,
     .doc = "Where the records come from, see [input](#input)."},
    {"topics", SETTING_STRINGS, AT(pipeline_settings, topics), .max = 10000,
     .flags = SETTING_REQUIRED,
     .doc = "Topics by name, or by POSIX extended regular expressions that begin with `^`; topics "
            "that appear later and match are read too. An expression also matches longer names "
            "unless it ends in `$`."},
    {"format", SETTING_STRING, AT(pipeline_settings, format), "debezium", .min = 1,
     .max = 200,
     .doc = "How the records are written. `debezium`: JSON of Debezium, in each of its shapes. "
            "`maxwell`: JSON of Maxwell."},
    {"target", SETTING_STRING, AT(pipeline_settings, target), "",
     .inherits = "the only target", .max = 200, .doc = "Name of a target in `ods-sink.conf`."},
    {"group_id", SETTING_STRING, AT(pipeline_settings, group_id), "",
     .inherits = "`kafka.group_id`.`name`", .max = 400,
     .doc = "The consumer group. No two pipelines of a daemon share one."},
    {"lanes", SETTING_INT, AT(pipeline_settings, lanes),
     .inherits = "`lanes` of ods-sink.conf", .min = 1, .max = 64, .doc = "Lanes of this pipeline."},
    {"on_error", SETTING_ENUM, AT(pipeline_settings, on_error), "dead_letter",
     .choices = on_errors,
     .doc = "A record that can't be decoded or applied. `dead_letter`: it goes to "
            "`dead_letter.topic`, the others go on. `stop`: its lane stops, and with it the "
            "daemon, until the cause is gone."},
    {"source.connector", SETTING_CHOICE, AT(pipeline_settings, source.connector),
     "", .inherits = "as the record says", .choices = connectors,
     .doc = "The Debezium connector, where records do not name it (flattened without schema): it "
            "decides the units of times."},
    {"source.shape", SETTING_ENUM, AT(pipeline_settings, source.shape), "auto",
     .choices = source_shapes,
     .doc = "What a Debezium record's value is. `auto`: an envelope if its members are an "
            "envelope's in name and type, a flattened row if it says so (`__op`, `__deleted`, a "
            "schema named `….Value`), else a dead letter. `envelope`, `flattened`: always that; "
            "then flattened rows need no `__op`, and may have columns called op, before, after and "
            "source."},
    {"source.timestamp_unit", SETTING_ENUM,
     AT(pipeline_settings, source.timestamp_unit), "auto", .choices = time_units,
     .doc = "Unit of timestamps in records without schema, of all columns that `source_types` does "
            "not name. `auto`: Debezium's default for the connector and the column's precision; "
            "where that leaves more than one, the record is a dead letter (docs/types.md)."},
    {"source.time_unit", SETTING_ENUM, AT(pipeline_settings, source.time_unit),
     "auto", .choices = time_units, .doc = "The same for times of day."},
    {"source.decimals", SETTING_ENUM, AT(pipeline_settings, source.decimals),
     "auto", .choices = decimal_modes,
     .doc = "The connector's `decimal.handling.mode`, for records without schema. `auto`: told "
            "by the value."},
    {"source.schema_topic", SETTING_STRING,
     AT(pipeline_settings, source.schema_topic), "", .max = 249,
     .doc = "The MySQL or MariaDB connector's schema-change topic, named like its `topic.prefix` "
            "(`include.schema.changes`), or the topic of Maxwell's DDL (`ddl_kafka_topic`). It gives "
            "the columns of records without schema their types, each record those of its time; "
            "`source_types` of a table goes before."},
    {"source.unavailable_value", SETTING_STRING,
     AT(pipeline_settings, source.unavailable_value), "__debezium_unavailable_value", .max = 1000,
     .doc = "The connector's `unavailable.value.placeholder`: a column with this value was not "
            "carried and is left as it is."},
    {"source.metadata.add_fields", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_fields), "", .max = 2047,
     .inherits = "the usual names behind the prefix",
     .doc = "`add.fields` of ExtractNewRecordState as the connector's configuration has it, "
            "`op,source.ts_ms` or `op:kind,source.ts_ms:at`: the fields of flattened rows that are "
            "no columns. With it, or with `add_headers`, these fields (and `__deleted`) are the "
            "only ones; else they are all that Debezium has, `__op`, `__table`, `__source_ts_ms` "
            "and so on. A field that a later transform renamed stands here under its last name; "
            "for `__deleted` write `deleted:` and the name."},
    {"source.metadata.add_fields_prefix", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_fields_prefix), "__", .max = 200,
     .doc = "`add.fields.prefix` of ExtractNewRecordState. It stands before renamed fields too "
            "(`op:kind` is `__kind`), and not before `__deleted`, which keeps its name."},
    {"source.metadata.add_headers", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_headers), "", .inherits = "none are read",
     .max = 2047,
     .doc = "`add.headers` of ExtractNewRecordState: the headers of flattened rows and tombstones "
            "that say what else a field would, written by Connect's SimpleHeaderConverter, "
            "StringConverter or JsonConverter. What a field says goes before."},
    {"source.metadata.add_headers_prefix", SETTING_STRING,
     AT(pipeline_settings, source.metadata.add_headers_prefix), "__", .max = 200,
     .doc = "`add.headers.prefix` of ExtractNewRecordState."},
    {"transforms", SETTING_OBJECTS, AT(pipeline_settings, transforms), .max = 100,
     .count_offset = AT(pipeline_settings, transform_count), .of = &settings_of_transform,
     .doc = "What happens to changes on their way, in this order."},
    {"defaults", SETTING_OBJECT, AT(pipeline_settings, defaults), .of = &settings_of_table,
     .doc = "What holds for every table."},
    {"tables", SETTING_NAMED, AT(pipeline_settings, tables),
     .count_offset = AT(pipeline_settings, table_count), .of = &settings_of_table,
     .doc = "Only what differs from the defaults, by source table: `table`, or `schema.table` "
            "(`database.table` where the source has no schemas), or a POSIX extended regular "
            "expression over either that begins with `^`, as `'^orders_\\d+$': { target: orders, "
            "key: [id] }`. `\\d`, `\\w`, `\\s` and `\\D`, `\\W`, `\\S` are understood; "
            "without `$` longer names match too. `schema.table` goes before `table`, and that "
            "before expressions, of which the first that matches counts."},
};

const struct setting_group settings_of_pipeline = {
    .title = "pipelines: one entry",
    .intro = "A pipeline reads topics as a consumer group of its own and writes them to "
                        "one target. Topics may be read by several pipelines.",
    .size = sizeof(struct pipeline_settings),
    SETTING_ROWS(pipeline_rows),
};

static const struct setting moves_rows[] = {
    {"pipelines", SETTING_OBJECTS, AT(settings, pipelines), .max = 1000,
     .flags = SETTING_REQUIRED, .count_offset = AT(settings, pipeline_count), .of = &settings_of_pipeline,
     .doc = "What is moved."},
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
     .flags = SETTING_REQUIRED, .doc = "What pipelines call it."},
    {"type", SETTING_STRING, AT(target_settings, type), .min = 1, .max = 200,
     .flags = SETTING_REQUIRED, .doc = "What kind of target it is; each has settings of its own, below."},
    {"type", SETTING_PLUGIN, AT(target_settings, own), .plugins = sink_groups},
};

const struct setting_group settings_of_target = {
    .title = "targets: one entry",
    .intro = "What each group in the list `targets` may hold, beside the settings of its type.",
    .size = sizeof(struct target_settings),
    SETTING_ROWS(target_rows),
};

static const struct setting daemon_rows[] = {
    {"kafka.bootstrap_servers", SETTING_STRING, AT(settings, kafka.bootstrap_servers),
     "localhost:9092", .min = 1, .max = 65536,
     .doc = "Brokers to begin with, `host:port`, separated by commas."},
    {"kafka.group_id", SETTING_STRING, AT(settings, kafka.group_id), "ods-sink",
     .min = 1, .max = 200,
     .doc = "Prefix of the pipelines' consumer groups. Offsets in the target are stored under the "
            "group: another name starts anew."},
    {"kafka.auto_offset_reset", SETTING_CHOICE, AT(settings, kafka.auto_offset_reset),
     "earliest", .choices = resets,
     .doc = "Where a partition starts for which neither target nor group has an offset."},
    {"kafka.on_offset_gone", SETTING_CHOICE, AT(settings, kafka.on_offset_gone),
     "stop", .choices = gone_policies,
     .doc = "Kafka has no record at the offset that is next: retention took records away that were "
            "not applied yet, or the topic was made anew and is shorter. `stop`: the daemon ends "
            "with an error that says how to go on (`ods-sink reset`). `earliest`: it goes on at "
            "the oldest record there is, `latest`: behind the newest; either is logged as an error "
            "and counted in `offset_gaps_total`."},
    {"kafka.on_topic_recreated", SETTING_CHOICE,
     AT(settings, kafka.on_topic_recreated), "stop", .choices = recreated_policies,
     .doc = "A record below the stored offset is more than a minute younger than the moment at "
            "which that offset was stored: the topic was deleted and made anew since, and the "
            "offset says nothing of its records. `stop`, `earliest`: as with `on_offset_gone`. "
            "`ignore`: this is not looked for (where producers' clocks are wrong)."},
    {"kafka.properties", SETTING_PROPERTIES, AT(settings, kafka.properties),
     .doc = "Any librdkafka property, as `\"security.protocol\" = \"SASL_SSL\"`. Those that the "
            "daemon owns are refused: bootstrap.servers, group.id, auto.offset.reset, "
            "enable.auto.commit, enable.auto.offset.store, enable.partition.eof, "
            "partition.assignment.strategy. A `group.instance.id` (static membership: a restart "
            "within session.timeout.ms moves no partition) must differ from process to process; "
            "each lane adds pipeline and number to it."},
    {"targets", SETTING_OBJECTS, AT(settings, targets), .max = 1000,
     .flags = SETTING_REQUIRED, .count_offset = AT(settings, target_count), .of = &settings_of_target,
     .doc = "The databases that pipelines write to."},
    {"lanes", SETTING_INT, AT(settings, lanes), "2", .min = 1, .max = 64,
     .doc = "Lanes of each pipeline: each is a member of the consumer group and one connection to "
            "the target. More lanes than partitions stay idle."},
    {"batch.max_events", SETTING_INT, AT(settings, batch.max_events), "10000",
     .min = 1, .max = 1000000, .flags = SETTING_RELOAD,
     .doc = "A batch is handed over when it has so many records."},
    {"batch.max_bytes", SETTING_BYTES, AT(settings, batch.max_bytes), "8388608",
     .min = 64 * KIB, .max = KIB * KIB * KIB, .flags = SETTING_RELOAD,
     .doc = "A batch is handed over when its records and rows take so much memory."},
    {"batch.max_wait_ms", SETTING_MS, AT(settings, batch.max_wait_ms), "100",
     .min = 0, .max = 60000, .flags = SETTING_RELOAD,
     .doc = "A record waits no longer for others. A ceiling: an idle writer gets a batch at "
            "once."},
    {"batch.per_lane", SETTING_INT, AT(settings, batch.per_lane), "2", .min = 2,
     .max = 16, .doc = "Batches that a lane owns: one is filled while another is written."},
    {"dead_letter.topic", SETTING_STRING, AT(settings, dead_letter.topic), "",
     .max = 249,
     .doc = "Where records go that can't be decoded or applied. Empty: such a record stops its "
            "lane."},
    {"dead_letter.max_per_minute", SETTING_INT,
     AT(settings, dead_letter.max_per_minute), "0", .min = 0, .max = 1000000000,
     .doc = "A fuse: a pipeline that would put more records aside within a minute stops instead, "
            "and with it the daemon, so that a mistake in the configuration or the target does "
            "not empty a topic into the dead letters. 0: none."},
    {"retry.initial_ms", SETTING_MS, AT(settings, retry.initial_ms), "100", .min = 1,
     .max = 60000, .flags = SETTING_RELOAD,
     .doc = "First pause when Kafka or a target is away; it doubles."},
    {"retry.max_ms", SETTING_MS, AT(settings, retry.max_ms), "5000", .min = 1,
     .max = 3600000, .flags = SETTING_RELOAD, .doc = "Longest pause between two tries."},
    {"retry.max_elapsed_ms", SETTING_MS, AT(settings, retry.max_elapsed_ms), "0",
     .min = 0, .max = 365 * DAY_MS, .flags = SETTING_RELOAD,
     .doc = "Give up, and exit, after an outage of this length. 0: wait for ever."},
    {"retry.constraint_attempts", SETTING_INT,
     AT(settings, retry.constraint_attempts), "5", .min = 0, .max = 1000, .flags = SETTING_RELOAD,
     .doc = "How often a row is tried again, with these pauses, that a unique or foreign key of the "
            "target refuses, before it goes to the dead letters: another lane may be about to bring "
            "the row that it needs. Counted for a batch, not for each of its rows; a wait in vain "
            "halves the next one's number, one that helped restores it. 0: not at all."},
    {"http.listen", SETTING_STRING, AT(settings, http.listen), "127.0.0.1:8090",
     .max = 255,
     .doc = "Address of `/metrics`, `/healthz`, `/readyz` and `/status`, `host:port` or "
            "`[address]:port`. Empty: off."},
    {"log.level", SETTING_ENUM, AT(settings, log.level), "info",
     .choices = log_levels, .flags = SETTING_RELOAD, .doc = "What is logged, and all above it."},
    {"log.format", SETTING_ENUM, AT(settings, log.format), "text",
     .choices = log_formats, .flags = SETTING_RELOAD,
     .doc = "One line an event on standard error, for people or as one JSON object."},
    {"shutdown_timeout_ms", SETTING_MS, AT(settings, shutdown_timeout_ms), "10000",
     .min = 0, .max = 3600000, .flags = SETTING_RELOAD,
     .doc = "How long a stop waits for batches in flight; what is not done by then is rolled "
            "back and comes again."},
    {"tables", SETTING_STRING, AT(settings, tables), "tables.yaml", .min = 1,
     .max = 4096, .doc = "The other file; a relative path starts at this file's folder."},
};

const struct setting_group settings_of_daemon = {
    .title = "ods-sink.conf: how the daemon runs",
    .intro = "Written as [libconfig](https://hyperrealm.github.io/libconfig/) is, with "
                      "two additions: a name may stand in quotes, as librdkafka's dotted names "
                      "must, and `@include \"file\"` is relative to the including file.",
    .size = sizeof(struct settings),
    SETTING_ROWS(daemon_rows),
};
