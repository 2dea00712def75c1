/* What `ods-sink plan` prints for people, out of its report. */
#include "cli/plan.h"

#include <stdlib.h>

#include "cli/json.h"

static void list(const char *head, const json_t *names)
{
    const json_t *name;
    size_t i;
    json_array_foreach(names, i, name)
    {
        fprintf(stdout, "%s", i ? ", " : head);
        char *visible = terminal_visible(json_string_value(name), json_string_length(name));
        fputs(visible ? visible : "?", stdout);
        free(visible);
    }
}

static void print_effect(const struct terminal *terminal, const json_t *statement)
{
    char text[64];
    json_int_t bytes = json_integer_value(json_object_get(statement, "bytes"));
    bool rewrites = json_is_true(json_object_get(statement, "rewrites"));
    if (json_is_true(json_object_get(statement, "new"))) {
        puts("     it is new: nobody waits");
        return;
    }
    printf("     %s on it until the transaction ends", text_in(statement, "lock"));
    list(", and locks on ", json_object_get(statement, "also_locks"));
    printf("; %s%s%s", terminal_paint(terminal, rewrites ? PAINT_BAD : PAINT_GOOD),
           rewrites ? "the table is rewritten" : "the table is not rewritten",
           terminal_plain(terminal, rewrites ? PAINT_BAD : PAINT_GOOD));
    if (rewrites)
        printf(" with its indexes (%s)", terminal_bytes(bytes, text, sizeof text));
    list("; rebuilt: ", json_object_get(statement, "builds_indexes"));
    putchar('\n');
}

static void print_table(const json_t *statement)
{
    char text[64];
    json_int_t rows = json_integer_value(json_object_get(statement, "rows"));
    terminal_line(stdout, "%" JSON_INTEGER_FORMAT ". %s",
                  json_integer_value(json_object_get(statement, "transaction")),
                  text_in(statement, "table"));
    if (json_is_true(json_object_get(statement, "new")))
        return;
    printf("     %s now", terminal_bytes(json_integer_value(json_object_get(statement, "bytes")),
                                         text, sizeof text));
    if (json_is_integer(json_object_get(statement, "rows")))
        printf(", about %" JSON_INTEGER_FORMAT " rows", rows);
    putchar('\n');
}

static void print_statements(const struct terminal *terminal, const json_t *statements)
{
    const json_t *statement;
    json_int_t transaction = -1;
    size_t i;
    json_array_foreach(statements, i, statement)
    {
        const json_t *cause = json_object_get(statement, "cause");
        json_int_t number = json_integer_value(json_object_get(statement, "transaction"));
        if (number != transaction)
            print_table(statement);
        transaction = number;
        fputs(terminal_paint(terminal, PAINT_HEAD), stdout);
        terminal_line(stdout, "   %s;", text_in(statement, "sql"));
        fputs(terminal_plain(terminal, PAINT_HEAD), stdout);
        print_effect(terminal, statement);
        if (json_is_object(cause))
            terminal_line(
                stdout,
                "     for topic %s partition %" JSON_INTEGER_FORMAT " offset %" JSON_INTEGER_FORMAT,
                text_in(cause, "topic"), json_integer_value(json_object_get(cause, "partition")),
                json_integer_value(json_object_get(cause, "offset")));
    }
}

static void print_pipeline(const struct terminal *terminal, const json_t *pipeline)
{
    const json_t *one, *statements = json_object_get(pipeline, "statements");
    const json_t *refused = json_object_get(pipeline, "refused");
    size_t i;
    json_int_t records = json_integer_value(json_object_get(pipeline, "records"));
    size_t tables = json_array_size(json_object_get(pipeline, "tables"));
    terminal_line(stdout,
                  "pipeline %s, target %s: %" JSON_INTEGER_FORMAT " record%s of %zu table%s",
                  text_in(pipeline, "pipeline"), text_in(pipeline, "target"), records,
                  records == 1 ? "" : "s", tables, tables == 1 ? "" : "s");
    print_statements(terminal, statements);
    json_array_foreach(refused, i, one)
    {
        const char *column = text_in(one, "column");
        bool stops = json_is_true(json_object_get(one, "stops"));
        printf("%s%s%s ", terminal_paint(terminal, PAINT_BAD),
               stops ? "the pipeline would stop:" : "would be refused:",
               terminal_plain(terminal, PAINT_BAD));
        terminal_line(stdout, "%s%s%s: %s", text_in(one, "source_table"), *column ? "." : "",
                      column, text_in(one, "reason"));
    }
    json_array_foreach(json_object_get(pipeline, "notes"), i, one)
        terminal_line(stdout, "note: %s", json_string_value(one));
    if (!json_array_size(statements) && !json_array_size(refused) &&
        json_integer_value(json_object_get(pipeline, "changes")))
        printf("%snothing to do%s\n", terminal_paint(terminal, PAINT_GOOD),
               terminal_plain(terminal, PAINT_GOOD));
}

void plan_print(const struct terminal *terminal, const json_t *report)
{
    const json_t *pipeline;
    size_t i;
    json_array_foreach(json_object_get(report, "pipelines"), i, pipeline)
        print_pipeline(terminal, pipeline);
}
