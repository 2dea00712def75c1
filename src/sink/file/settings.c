/* The settings of a target of type "file". */
#include "sink/file/settings.h"

#include <string.h>

#include <ods/status.h>

#define MIB INT64_C(1048576)

#define AT(member) offsetof(struct file_settings, member)

static const char *const formats[] = {"jsonl", "csv", NULL};
static const char *const compressions[] = {"none", "gzip", "zstd", NULL};

static const struct setting rows[] = {
    {"directory", SETTING_STRING, AT(directory), .min = 1, .max = 3000, .flags = SETTING_REQUIRED,
     .doc = "An existing folder. Each pipeline's group has its own in it: "
            "`changes-000000000001.jsonl` and so on, a JSON object a change, and `state.json`. A "
            "reader takes the files whose numbers are below the `file` of `state.json` whole, and "
            "of that one the first `length` bytes: what lies after them is not committed. "
            "`dlq replay --force` writes letters apart, into a folder named `<group>.dlq`."},
    {"file_name", SETTING_STRING, AT(file_name), "changes", .min = 1, .max = 200,
     .doc = "How the files' names begin; number and ending follow. With `{{database}}`, "
            "`{{schema}}`, `{{table}}`, `{{pipeline}}` in it, tables have files of their own, and "
            "`state.json` has `file` and `length` of each name in `files`."},
    {"format", SETTING_ENUM, AT(format), "jsonl", .choices = formats,
     .doc = "A JSON object a change, or CSV: a line with the names of the columns at the top of "
            "each file, then a line a change with its `op`, `source_us`, `topic`, `partition`, "
            "`offset`, the names of columns that the record does not carry in `absent`, and the "
            "row (of a delete the one that was there). NULL is nothing, an empty text is `\"\"`. "
            "A table whose columns change gets a new file. Needs `{{table}}` in `file_name`."},
    {"compression", SETTING_ENUM, AT(compression), "none", .choices = compressions,
     .doc = "Each write is a gzip member or a zstd frame of its own, so the valid bytes are whole "
            "ones. Larger `flush_bytes` and `flush_ms` compress better."},
    {"max_bytes", SETTING_BYTES, AT(max_bytes), "134217728", .min = 1024, .max = MIB * MIB,
     .doc = "The size of a file at which the next one begins."},
    {"max_age_ms", SETTING_MS, AT(max_age_ms), "0", .min = 0, .max = INT64_C(31536000000),
     .doc = "Or the age of its first changes: the next ones begin a new file. 0: any age."},
    {"flush_bytes", SETTING_BYTES, AT(flush_bytes), "1048576", .min = 0, .max = 1024 * MIB,
     .doc = "Changes are written when their records have this many bytes together."},
    {"flush_ms", SETTING_MS, AT(flush_ms), "1000", .min = 0, .max = 600000,
     .doc = "Or when the oldest has waited this long. Each write costs two fsyncs."},
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

static enum ods_status check_name(const char *name, struct error *error)
{
    static const char *const places[] = {"{{database}}", "{{schema}}", "{{table}}", "{{pipeline}}"};
    if (strchr(name, '/') || *name == '.')
        return error_set(error, ODS_FATAL, "file_name: no / in it, and no . at its beginning");
    for (const char *at = name; (at = strstr(at, "{{"));) {
        size_t i = 0, count = sizeof places / sizeof *places;
        while (i < count && strncmp(at, places[i], strlen(places[i])) != 0)
            i++;
        if (i == count)
            return error_set(error, ODS_FATAL,
                             "file_name: there are {{database}}, {{schema}}, {{table}} and "
                             "{{pipeline}}, and not %.40s",
                             at);
        at += strlen(places[i]);
    }
    return ODS_OK;
}

static enum ods_status check(const void *own, struct error *error)
{
    const struct file_settings *settings = own;
    if (settings->format == FILE_CSV && !strstr(settings->file_name, "{{table}}"))
        return error_set(error, ODS_FATAL,
                         "format csv: tables differ in their columns; "
                         "file_name = \"{{table}}\" gives each its own files");
    return check_name(settings->file_name, error);
}

const struct setting_group file_settings_group = {
    .title = "targets of type `file`",
    .intro = "Changes as lines of JSON or CSV: operation, table, key, before, after, the source's "
             "time and the record's place. Nothing is folded: each change is a line, exactly once, "
             "in the order of its partition. Of a table's settings `skip` and `columns.*` count. "
             "Where `state.json` or lines are not as they were left, the pipeline stops and "
             "touches nothing. A process that stands still while it writes holds the others up "
             "until it goes on or ends. Lines of a queue's records have its `identity`; their "
             "`offset` is of one delivery.",
    .size = sizeof(struct file_settings),
    SETTING_ROWS(rows),
    .check = check,
};
