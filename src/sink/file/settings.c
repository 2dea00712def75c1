/* The settings of a target of type "file". */
#include "sink/file/settings.h"

#define MIB INT64_C(1048576)

#define AT(member) offsetof(struct file_settings, member)

static const struct setting rows[] = {
    {"directory", SETTING_STRING, AT(directory), .min = 1, .max = 3000, .flags = SETTING_REQUIRED,
     .doc = "A folder that is there. Each pipeline's group has its own in it: "
            "`changes-000000000001.jsonl` and so on, a JSON object a change, and `state.json`. A "
            "reader takes the files whose numbers are below the `file` of `state.json` whole, and "
            "of that one the first `length` bytes: what lies behind them is not committed. "
            "`dlq replay --force` writes letters apart, into a folder named `<group>.dlq`."},
    {"max_bytes", SETTING_BYTES, AT(max_bytes), "134217728", .min = 1024, .max = MIB * MIB,
     .doc = "A new file begins when this one has so many bytes."},
    {"max_age_ms", SETTING_MS, AT(max_age_ms), "0", .min = 0, .max = INT64_C(31536000000),
     .doc = "Or, with the next changes, when its first ones are so old. 0: never."},
    {"flush_bytes", SETTING_BYTES, AT(flush_bytes), "1048576", .min = 0, .max = 1024 * MIB,
     .doc = "Changes are written when their records have so many bytes together."},
    {"flush_ms", SETTING_MS, AT(flush_ms), "1000", .min = 0, .max = 600000,
     .doc = "Or when the oldest has waited so long. Each time costs two fsyncs."},
    {"delivered.keep_ms", SETTING_MS, AT(keep_ms), "86400000", .min = 1000,
     .max = INT64_C(10) * 365 * 86400 * 1000,
     .doc = "For pipelines whose source is a queue: how long a record that is in the files is "
            "known by its identity at least, so that it is dropped when it is delivered again. At "
            "most twice as long."},
    {"delivered.max_records", SETTING_INT, AT(most), "1000000", .min = 1000,
     .max = INT64_C(1) << 30,
     .doc = "How many such records a folder keeps at most, in `delivered-000000000001.keys` and so "
            "on; when more come within `delivered.keep_ms` the older half goes earlier. Each takes "
            "16 bytes of disk, and up to 64 of the lane's memory."},
};

const struct setting_group file_settings_group = {
    .title = "targets of type `file`",
    .intro = "Changes as JSON lines: operation, table, key, before, after, the source's time and "
             "the record's place. Nothing is folded: each change is a line, exactly once, in the "
             "order of its partition. Of a table's settings `skip` and `columns.*` count. Where "
             "`state.json` or lines are not as they were left, the pipeline stops and touches "
             "nothing. A process that stands still while it writes holds the others up until it "
             "goes on or ends. Lines of a queue's records have its `identity`; their `offset` is "
             "of one delivery.",
    .size = sizeof(struct file_settings),
    SETTING_ROWS(rows),
};
