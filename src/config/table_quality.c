/* The rows of tables.yaml about the quality of data. */
#include "config/table_room.h"

static const struct setting rule_rows[] = {
    {"name", SETTING_STRING, AT(quality_rule, name), "", .max = 100,
     .inherits = "the check and its columns, as `range_total`",
     .doc = "The rule's name in results, metrics and marks; no two rules of a table have the same "
            "one."},
    {"check", SETTING_ENUM, AT(quality_rule, check), .choices = quality_checks,
     .flags = SETTING_REQUIRED,
     .doc = "What is checked. Of single rows, on their way too: `not_null`, `range`, `set`, "
            "`pattern`, `schema`. Of the target's table: `unique`, `reference`, `row_count`, "
            "`checksum`, `lag`, `freshness`, `volume`. See [quality.md](quality.md#checks)."},
    {"tables", SETTING_STRINGS, AT(quality_rule, tables), .max = 2000, .inherits = "all",
     .doc = "Of a pipeline's rule: only these tables, as `table` or `schema.table` "
            "(`database.table` where the source has no schemas)."},
    {"columns", SETTING_STRINGS, AT(quality_rule, columns), .max = 32,
     .doc = "The columns that are looked at, by the names that they have behind the transforms."},
    {"min", SETTING_STRING, AT(quality_rule, min), "", .inherits = "no bound", .max = 1000,
     .doc = "Of `range`: the least value that is right; of `row_count`: the least number of "
            "rows."},
    {"max", SETTING_STRING, AT(quality_rule, max), "", .inherits = "no bound", .max = 1000,
     .doc = "The same for the greatest value; of `lag`: how many records may wait."},
    {"values", SETTING_STRINGS, AT(quality_rule, values), .max = 2000,
     .doc = "Of `set`: the values that are right."},
    {"pattern", SETTING_STRING, AT(quality_rule, pattern), "", .max = 2000,
     .doc = "Of `pattern`: a POSIX extended regular expression that the text matches, anywhere "
            "unless it begins with `^` and ends in `$`."},
    {"references", SETTING_STRING, AT(quality_rule, references), "", .max = 500,
     .doc = "Of `reference`: the table and columns in which the values of `columns` are, as "
            "`customers(id)`, by the source's names of a table of this pipeline."},
    {"types", SETTING_VALUES, AT(quality_rule, types), .max = 2000,
     .doc = "Of `schema`: columns that there are, and the type of each as the target shows it, "
            "`{ id: bigint, note: text }`; `any` is any type."},
    {"key", SETTING_STRINGS, AT(quality_rule, key), .max = 32,
     .doc = "Of `schema`: the columns of the target's primary key, in their order."},
    {"others", SETTING_BOOL, AT(quality_rule, others), "true",
     .doc = "Of `schema`: whether there may be columns that `types` does not name."},
    {"drift", SETTING_BOOL, AT(quality_rule, drift), "true",
     .doc = "Of `schema`: whether columns, types or a key that are others than at the last run "
            "break the rule."},
    {"within", SETTING_DURATION, AT(quality_rule, within_ms), .min = 1000, .max = 365 * DAY_MS,
     .doc = "Of `freshness`: how old the newest change of the table may be."},
    {"allow", SETTING_INT, AT(quality_rule, allow), "0", .max = INT64_C(1000000000000),
     .doc = "How many rows of a table may break the rule, where rows are counted."},
    {"weeks", SETTING_INT, AT(quality_rule, weeks), "4", .min = 2, .max = 52,
     .doc = "Of `volume`: with how many weeks before an hour is compared."},
    {"tolerance", SETTING_INT, AT(quality_rule, tolerance), "50", .min = 1, .max = 10000,
     .doc = "Of `volume`: by how many percent of the median the hour may be off."},
    {"on_fail", SETTING_ENUM, AT(quality_rule, on_fail), "none", .choices = quality_on_fails,
     .doc = "What becomes of a record that breaks the rule, on its way to any target. `none`: it "
            "is not looked at there. `pass`: it is counted. `mark`: and the names of the rules "
            "that its row breaks stand in the column `quality.mark`, which is NULL in other rows. "
            "`letter`: it is a dead letter."},
    {"scheduled", SETTING_BOOL, AT(quality_rule, scheduled), "true",
     .doc = "Whether the target's table is checked too, by the daemon and `ods-sink quality run`."},
};

const struct setting_group settings_of_quality_rule = {
    .title = "quality: one rule",
    .intro = "What has to hold of a table or of its rows, as `quality: [{ check: not_null, "
             "columns: [customer] }]` at a table, or in `quality.rules` of a pipeline. See "
             "[quality.md](quality.md).",
    .size = sizeof(struct quality_rule),
    SETTING_ROWS(rule_rows),
};

static const struct setting quality_rows[] = {
    {"every", SETTING_DURATION, AT(quality_settings, every_ms), .inherits = "never", .min = 1000,
     .max = 365 * DAY_MS,
     .doc = "The daemon checks all rules so long after it began to the last time; `0`: never. One "
            "process of the group does it at a time. Needs a target of type `postgres`."},
    {"keep", SETTING_DURATION, AT(quality_settings, keep_ms), "90d", .min = 60000,
     .max = 3650 * DAY_MS,
     .doc = "How long results stay in `ods_sink.quality`. `volume` needs as many weeks as it "
            "looks back."},
    {"settle", SETTING_DURATION, AT(quality_settings, settle_ms), "5s", .max = 3600000,
     .doc = "Rows that break `unique` or `reference` are looked at again after so long, and only "
            "those that still do count: a change and its partner may come in two transactions."},
    {"timeout", SETTING_DURATION, AT(quality_settings, timeout_ms), "10m", .min = 1000,
     .max = DAY_MS, .doc = "How long one statement of a check may take in the target."},
    {"mark", SETTING_STRING, AT(quality_settings, mark), "quality", .min = 1, .max = 63,
     .doc = "The column, of type text, for `on_fail: mark`."},
    {"rules", SETTING_OBJECTS, AT(quality_settings, rules), .max = 1000,
     .count_offset = AT(quality_settings, rule_count), .of = &settings_of_quality_rule,
     .doc = "Rules for the pipeline's tables; those of single tables stand at these."},
};

const struct setting_group settings_of_quality = {
    .title = "quality",
    .intro = "What has to hold of a pipeline's data, and how often that is checked. See "
             "[quality.md](quality.md).",
    .size = sizeof(struct quality_settings),
    SETTING_ROWS(quality_rows),
};
