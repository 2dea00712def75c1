/* See run_report.h. */
#include "pipeline/run_report.h"

#include <string.h>

#include "pipeline/json_text.h"

void run_report_init(struct run_report *report)
{
    *report = (struct run_report){
        .tables = json_array(), .notices = json_array(), .differences = json_array()};
}

void run_report_done(struct run_report *report)
{
    json_decref(report->tables);
    json_decref(report->notices);
    json_decref(report->differences);
}

void run_report_differs(struct run_report *report, const struct verify_difference *difference)
{
    json_t *key = json_object(), *columns = json_array();
    if (report->told++ >= REPORT_ALL) {
        json_decref(key);
        json_decref(columns);
        return;
    }
    for (size_t i = 0; i < difference->key_count; i++) {
        const char *value = difference->key[i].source;
        json_object_set_new_nocheck(key, difference->key[i].column,
                                    value ? text_of(value) : json_null());
    }
    for (size_t i = 0; i < difference->column_count; i++)
        json_array_append_new(columns, text_of(difference->columns[i].column));
    json_array_append_new(
        report->differences,
        json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "kind", verify_kind_name(difference->kind),
                  "key", key, "columns", columns, "topic", text_of(difference->topic), "partition",
                  text_of(difference->partition), "offset", text_of(difference->offset)));
}

void run_report_table(struct run_report *report, const struct verify_table *table)
{
    report->counts[table->verdict]++;
    report->source_rows += table->source_rows;
    report->target_rows += table->target_rows;
    report->missing += table->missing;
    report->extra += table->extra;
    report->changed += table->changed;
    json_array_append_new(
        report->tables,
        json_pack("{s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o, s:o}", "table",
                  text_of(table->source), "target", text_of(table->target), "method",
                  table->method, "result", verify_verdict_name(table->verdict), "source_rows",
                  (json_int_t) table->source_rows, "target_rows", (json_int_t) table->target_rows,
                  "missing", (json_int_t) table->missing, "extra", (json_int_t) table->extra,
                  "changed", (json_int_t) table->changed, "unsettled",
                  (json_int_t) table->unsettled, "seconds", table->seconds, "why",
                  text_of(table->why), "notes", text_of(table->notes), "differences",
                  report->differences));
    report->differences = json_array();
}

void run_report_notice(struct run_report *report, const char *text)
{
    json_array_append_new(report->notices, text_of(text));
}

char *run_report_text(const struct run_report *report, const struct run_report_head *head)
{
    const char *result = head->code == CLI_OK         ? "equal"
                         : head->code == CLI_NEGATIVE ? "differs"
                                                      : "can't tell";
    json_t *root = json_pack(
        "{s:o, s:s, s:o, s:f, s:f, s:s, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I}, s:O, s:O}",
        "pipeline", text_of(head->pipeline), "mode", head->mode, "worker", text_of(head->worker),
        "began_at", (double) head->began_us / 1e6, "ended_at", (double) head->ended_us / 1e6,
        "result", result, "source_rows", (json_int_t) report->source_rows, "target_rows",
        (json_int_t) report->target_rows, "missing", (json_int_t) report->missing, "extra",
        (json_int_t) report->extra, "changed", (json_int_t) report->changed, "results",
        verify_verdict_name(VERIFY_EQUAL), (json_int_t) report->counts[VERIFY_EQUAL],
        verify_verdict_name(VERIFY_DIFFERS), (json_int_t) report->counts[VERIFY_DIFFERS],
        verify_verdict_name(VERIFY_UNSETTLED), (json_int_t) report->counts[VERIFY_UNSETTLED],
        verify_verdict_name(VERIFY_SKIPPED), (json_int_t) report->counts[VERIFY_SKIPPED], "tables",
        report->tables, "notices", report->notices);
    /* The target's encoding may be another than UTF-8. */
    char *text = root ? json_dumps(root, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
    json_decref(root);
    return text;
}
