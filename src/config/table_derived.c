/* The rows of tables.yaml about tables that the target keeps by itself. */
#include "config/table_room.h"

static const struct setting source_rows[] = {
    {"by", SETTING_STRINGS, AT(derived_source, by), .max = 32, .flags = SETTING_REQUIRED,
     .doc = "Columns of this table. When a row of it changes, their values in the row before and "
            "after say which rows of the derived table are computed anew."},
    {"keys", SETTING_STRING, AT(derived_source, keys), "", .max = 100000,
     .inherits = "the values are the anchor's",
     .doc = "A query over `changed`, which has the columns `by`, that gives the columns of the "
            "anchor in their order, as `select o.order_id from changed join orders o using "
            "(customer_id)`."},
    {"triggers", SETTING_BOOL, AT(derived_source, triggers), "false",
     .doc = "Triggers of the table see to the marks, whoever writes it. Needed where others than "
            "ods-sink do; the user of the target must own the table."},
};

const struct setting_group settings_of_derived_source = {
    .title = "derived: what it depends on",
    .intro = "`depends` has an entry for each table that the query reads, `table` or "
             "`schema.table` (`public` unless it says so), derived tables among them.",
    .size = sizeof(struct derived_source),
    SETTING_ROWS(source_rows),
};

static const struct setting derived_rows[] = {
    {"name", SETTING_STRING, AT(derived_settings, name), .min = 1, .max = 127,
     .flags = SETTING_REQUIRED,
     .doc = "The table in the target, `table` or `schema.table` (`public` unless it says so). "
            "ods-sink makes it from the query's columns, and follows when the query changes."},
    {"target", SETTING_STRING, AT(derived_settings, target), "", .max = 200,
     .inherits = "the only target of type `postgres`",
     .doc = "The target, of type `postgres`, that has the tables."},
    {"key", SETTING_STRINGS, AT(derived_settings, key), .max = 32, .flags = SETTING_REQUIRED,
     .doc = "Columns of the query that tell its rows apart: the table's primary key."},
    {"anchor", SETTING_STRINGS, AT(derived_settings, anchor), .max = 32, .inherits = "`key`",
     .doc = "Columns of the key by which rows are computed, all rows of an anchor at a time. For "
            "queries that give several rows for one of a table, as `xmltable` does."},
    {"query", SETTING_STRING, AT(derived_settings, query), .min = 1, .max = 100000,
     .flags = SETTING_REQUIRED,
     .doc = "A `select`. It is restricted to some anchors at a time from outside, so what it "
            "groups by, and the partitions of its window functions, must have the anchor."},
    {"depends", SETTING_NAMED, AT(derived_settings, sources), .max = 100,
     .flags = SETTING_REQUIRED, .count_offset = AT(derived_settings, source_count),
     .of = &settings_of_derived_source,
     .doc = "Every table that the query reads, and how to tell from a row of it which rows of the "
            "derived table it takes part in."},
    {"max_keys_per_pass", SETTING_INT, AT(derived_settings, max_keys), "5000", .min = 1,
     .max = 1000000,
     .doc = "How many anchors one transaction computes at most. What is more waits for the next "
            "ones, so that a change that reaches many rows does not hold up the others."},
    {"outbox", SETTING_BOOL, AT(derived_settings, outbox), "false",
     .doc = "Each change of the derived table is also a row of `ods_sink.outbox`, in the same "
            "transaction, for pipelines that send it on."},
};

const struct setting_group settings_of_derived = {
    .title = "derived: one entry",
    .intro = "A table that the target keeps equal to a query over other tables of it. See "
             "[derived.md](derived.md).",
    .size = sizeof(struct derived_settings),
    SETTING_ROWS(derived_rows),
};
