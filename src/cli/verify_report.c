/* Reports of verify. See verify_report.h. */
#include "cli/verify_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/html.h"
#include "cli/json.h"
#include "cli/terminal.h"

/* Texts of rows may be no UTF-8. */
static json_t *text(const char *bytes)
{
    json_t *string = json_string(bytes);
    if (string)
        return string;
    char *visible = terminal_visible(bytes, strlen(bytes));
    string = json_string(visible ? visible : "");
    free(visible);
    return string;
}

static json_t *text_or_null(const char *bytes)
{
    return bytes && *bytes ? text(bytes) : json_null();
}

bool verify_report_init(struct verify_report *report)
{
    *report = (struct verify_report){.root = json_object(),
                                     .tables = json_array(),
                                     .notices = json_array(),
                                     .differences = json_array()};
    return report->root && report->tables && report->notices && report->differences;
}

void verify_report_done(struct verify_report *report)
{
    json_decref(report->root);
    json_decref(report->tables);
    json_decref(report->notices);
    json_decref(report->differences);
    *report = (struct verify_report){0};
}

static json_t *pack_values(const struct verify_value *values, size_t count)
{
    json_t *object = json_object();
    for (size_t i = 0; i < count; i++)
        json_object_set_new(object, values[i].column,
                            values[i].source ? text(values[i].source) : json_string("[redacted]"));
    return object;
}

static json_t *pack_columns(const struct verify_value *values, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        bool redacted = !values[i].source;
        json_array_append_new(
            list, json_pack("{s:o, s:o, s:o}", "column", text(values[i].column), "source",
                            redacted ? json_string("[redacted]") : text(values[i].source), "target",
                            redacted ? json_string("[redacted]") : text(values[i].target)));
    }
    return list;
}

void verify_report_difference(struct verify_report *report,
                              const struct verify_difference *difference)
{
    json_t *object = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "kind", verify_kind_name(difference->kind),
        "key", pack_values(difference->key, difference->key_count), "columns",
        pack_columns(difference->columns, difference->column_count), "operation",
        text_or_null(difference->operation), "timestamp", text_or_null(difference->timestamp),
        "topic", text_or_null(difference->topic), "partition", text_or_null(difference->partition),
        "offset", text_or_null(difference->offset));
    if (difference->refusal)
        json_object_set_new(object, "refused", text(difference->refusal));
    if (difference->source_copies || difference->target_copies) {
        json_object_set_new(object, "source_copies", json_integer(difference->source_copies));
        json_object_set_new(object, "target_copies", json_integer(difference->target_copies));
    }
    json_array_append_new(report->differences, object);
}

const json_t *verify_report_mended(struct verify_report *report, int64_t number,
                                   enum verify_outcome outcome, const char *why)
{
    json_t *object = json_array_get(report->differences, (size_t) number);
    json_object_set_new(object, "outcome", json_string(verify_outcome_name(outcome)));
    if (*why)
        json_object_set_new(object, "left_because", text(why));
    return object;
}

void verify_report_table(struct verify_report *report, const struct verify_table *table)
{
    json_t *object = json_pack(
        "{s:o, s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:o, "
        "s:O}",
        "pipeline", text(table->pipeline), "table", text(table->source), "target",
        text(table->target), "method", table->method, "verdict",
        verify_verdict_name(table->verdict), "source_rows", (json_int_t) table->source_rows,
        "target_rows", (json_int_t) table->target_rows, "missing", (json_int_t) table->missing,
        "extra", (json_int_t) table->extra, "changed", (json_int_t) table->changed, "looked_again",
        (json_int_t) table->looked_again, "unsettled", (json_int_t) table->unsettled, "repaired",
        (json_int_t) table->repaired, "deleted", (json_int_t) table->deleted, "seconds",
        table->seconds, "why", text_or_null(table->why), "notes", text_or_null(table->notes),
        "differences", report->differences);
    json_array_append_new(report->tables, object);
    json_decref(report->differences);
    report->differences = json_array();
}

void verify_report_notice(struct verify_report *report, const char *notice)
{
    json_array_append_new(report->notices, text(notice));
}

void verify_report_end(struct verify_report *report, enum cli_exit code, const char *error)
{
    const char *verdict = code == CLI_OK         ? "equal"
                          : code == CLI_NEGATIVE ? "differs"
                          : code == CLI_CANT_TELL ? "can't tell"
                                                  : "failed";
    json_object_set_new(report->root, "verdict", json_string(verdict));
    json_object_set_new(report->root, "error", error && *error ? text(error) : json_null());
    json_object_set(report->root, "notices", report->notices);
    json_object_set(report->root, "tables", report->tables);
}

/* --- the page ------------------------------------------------------------------------------- */

/* A member as a cell: a text, or a number. */
static void put_cell(FILE *page, const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    fprintf(page, json_is_number(value) ? "<td class=n>" : "<td>");
    if (json_is_string(value))
        html_put(page, json_string_value(value));
    else if (json_is_integer(value))
        fprintf(page, "%lld", (long long) json_integer_value(value));
    else if (json_is_real(value))
        fprintf(page, "%.1f", json_real_value(value));
    fputs("</td>", page);
}

static void put_key(FILE *page, const json_t *key)
{
    const char *name;
    json_t *value;
    fputs("<td>", page);
    json_object_foreach((json_t *) (uintptr_t) key, name, value)
    {
        html_put(page, name);
        fputs("=", page);
        html_put(page, json_string_value(value));
        fputs("<br>", page);
    }
    fputs("</td>", page);
}

static void put_columns(FILE *page, const json_t *difference)
{
    size_t i;
    json_t *column;
    fputs("<td>", page);
    json_array_foreach(json_object_get(difference, "columns"), i, column)
    {
        fputs("<b>", page);
        html_put(page, json_string_value(json_object_get(column, "column")));
        fputs("</b>: source <q>", page);
        html_put(page, json_string_value(json_object_get(column, "source")));
        fputs("</q>, target <q>", page);
        html_put(page, json_string_value(json_object_get(column, "target")));
        fputs("</q><br>", page);
    }
    const char *refused = json_string_value(json_object_get(difference, "refused"));
    if (refused) {
        fputs("the sink would not write it: ", page);
        html_put(page, refused);
    }
    fputs("</td>", page);
}

static void put_differences(FILE *page, const json_t *table)
{
    static const char *const traces[] = {"operation", "timestamp", "topic",
                                         "partition", "offset",    "outcome"};
    size_t i;
    json_t *difference;
    const json_t *list = json_object_get(table, "differences");
    if (!json_array_size(list))
        return;
    fputs("<h2>", page);
    html_put(page, json_string_value(json_object_get(table, "table")));
    fputs("</h2>\n<table><tr><th>difference<th>key<th>columns<th>operation<th>written<th>topic"
          "<th>partition<th>offset<th>outcome</tr>\n",
          page);
    json_array_foreach(list, i, difference)
    {
        fputs("<tr>", page);
        put_cell(page, difference, "kind");
        put_key(page, json_object_get(difference, "key"));
        put_columns(page, difference);
        for (size_t k = 0; k < sizeof traces / sizeof *traces; k++)
            put_cell(page, difference, traces[k]);
        fputs("</tr>\n", page);
    }
    fputs("</table>\n", page);
}

static void put_tables(FILE *page, const struct verify_report *report)
{
    static const char *const names[] = {"table",   "target",  "method", "source_rows",
                                        "target_rows", "missing", "extra",  "changed",
                                        "unsettled",   "repaired", "deleted", "seconds",
                                        "verdict",     "why",     "notes"};
    size_t i;
    json_t *table;
    fputs("<table><tr>", page);
    for (size_t k = 0; k < sizeof names / sizeof *names; k++)
        fprintf(page, "<th>%s", names[k]);
    fputs("</tr>\n", page);
    json_array_foreach(report->tables, i, table)
    {
        fputs("<tr>", page);
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            put_cell(page, table, names[k]);
        fputs("</tr>\n", page);
    }
    fputs("</table>\n", page);
    json_array_foreach(report->tables, i, table)
        put_differences(page, table);
}

bool verify_report_html(const struct verify_report *report, const char *path)
{
    char now[64] = "";
    time_t clock = time(NULL);
    struct tm utc;
    size_t i;
    json_t *notice;
    FILE *page = fopen(path, "we");
    if (!page)
        return false;
    strftime(now, sizeof now, "%Y-%m-%d %H:%M:%S UTC", gmtime_r(&clock, &utc));
    fprintf(page,
            "<!doctype html><meta charset=utf-8><title>ods-sink verify</title>\n<style>"
            "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse}"
            "td,th{border:1px solid #bbb;padding:.3em .6em;text-align:left;vertical-align:top}"
            "td.n{text-align:right}</style>\n<h1>ods-sink verify: ");
    html_put(page, json_string_value(json_object_get(report->root, "verdict")));
    fprintf(page, "</h1>\n<p>%s</p>\n", now);
    const char *error = json_string_value(json_object_get(report->root, "error"));
    if (error) {
        fputs("<p>", page);
        html_put(page, error);
        fputs("</p>\n", page);
    }
    json_array_foreach(report->notices, i, notice)
    {
        fputs("<p>", page);
        html_put(page, json_string_value(notice));
        fputs("</p>\n", page);
    }
    put_tables(page, report);
    bool good = !ferror(page);
    return fclose(page) == 0 && good;
}
