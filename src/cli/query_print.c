/* Rows on standard output: for people, for spreadsheets, for programs. See query.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/columns.h"
#include "cli/interrupt.h"
#include "cli/query.h"

/* Of a value that is shown in a block of its own; a table fits itself to the terminal. */
#define NARROWEST_VALUE 20
/* So many rows are as wide as their widest: more of them make another table. */
#define TABLE_ROWS 10000

struct printing {
    const struct query *query;
    struct columns columns;
    int64_t rows;
    bool more; /* than the limit */
    bool failed; /* memory ran out */
    size_t name_width;
};

/* Quoted where a reader would otherwise take it apart; NULL is nothing, an empty text is "". */
static void put_csv(const char *text)
{
    if (!text)
        return;
    if (*text && !strpbrk(text, ",\"\r\n") && *text != ' ' && text[strlen(text) - 1] != ' ') {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (; *text; text++) {
        if (*text == '"')
            putchar('"');
        putchar(*text);
    }
    putchar('"');
}

static void print_csv(const struct printing *printing, const char *const *values)
{
    for (size_t i = 0; i < printing->query->table->column_count; i++) {
        if (i)
            putchar(',');
        put_csv(values[i]);
    }
    fputs("\r\n", stdout);
}

static void print_vertical(const struct printing *printing, const char *const *values)
{
    const struct query *query = printing->query;
    size_t room = query->terminal->width;
    room = room > printing->name_width + 3 + NARROWEST_VALUE ? room - printing->name_width - 3
                                                             : NARROWEST_VALUE;
    printf("%s-[ row %" PRId64 " ]-\n", printing->rows > 1 ? "\n" : "", printing->rows);
    for (size_t i = 0; i < query->table->column_count; i++) {
        const char *name = query->table->columns[i].name;
        char *shown = values[i] ? terminal_visible(values[i], strlen(values[i])) : NULL;
        const char *text = shown ? shown : "∅";
        bool cut = query->terminal->width && terminal_columns(text) > room;
        size_t bytes = cut ? terminal_cut(text, room - 1) : strlen(text);
        printf("%s%*s | %.*s%s\n", name, (int) (printing->name_width - terminal_columns(name)), "",
               (int) bytes, text, cut ? "…" : "");
        free(shown);
    }
}

static bool begin_table(struct printing *printing)
{
    const struct read_table *table = printing->query->table;
    const char **names = calloc(table->column_count + 1, sizeof *names);
    for (size_t i = 0; names && i < table->column_count; i++)
        names[i] = table->columns[i].name;
    if (names)
        columns_init(&printing->columns, printing->query->terminal, names, table->column_count);
    if (names && printing->query->format == FORMAT_CSV)
        print_csv(printing, names);
    free(names);
    return names && !printing->columns.failed;
}

static bool print_table(struct printing *printing)
{
    bool good = columns_print(&printing->columns);
    columns_done(&printing->columns);
    return good;
}

static void add_to_table(struct printing *printing, const char *const *values)
{
    if (printing->rows > 1 && printing->rows % TABLE_ROWS == 1) {
        printing->failed |= !print_table(printing);
        putchar('\n');
        printing->failed |= !begin_table(printing);
    }
    for (size_t i = 0; i < printing->query->table->column_count; i++)
        columns_add(&printing->columns, values[i] ? values[i] : "∅");
}

static bool take_row(void *context, const char *const *values)
{
    struct printing *printing = context;
    const struct query *query = printing->query;
    if (query->limit && printing->rows == query->limit) {
        printing->more = true;
        return false;
    }
    printing->rows++;
    switch (query->format) {
    case FORMAT_CSV:
        print_csv(printing, values);
        break;
    case FORMAT_JSON:
        printf("%s%s", printing->rows > 1 ? ",\n " : "[", values[0]);
        break;
    case FORMAT_VERTICAL:
        print_vertical(printing, values);
        break;
    default:
        add_to_table(printing, values);
    }
    return !interrupt_came() && !ferror(stdout) && !printing->failed;
}

static bool take_count(void *context, const char *const *values)
{
    const struct query *query = context;
    printf(query->format == FORMAT_JSON ? "{\"count\": %s}\n" : "%s\n", values[0]);
    return true;
}

static bool begin(struct printing *printing)
{
    const struct read_table *table = printing->query->table;
    for (size_t i = 0; i < table->column_count; i++) {
        size_t width = terminal_columns(table->columns[i].name);
        printing->name_width = width > printing->name_width ? width : printing->name_width;
    }
    return begin_table(printing);
}

/* What standard error adds for people. */
static void tell(const struct printing *printing)
{
    const struct query *query = printing->query;
    if (printing->more)
        fprintf(stderr, "ods-sink query: there are more than %" PRId64 " rows: see --limit\n",
                query->limit);
    else if (query->format == FORMAT_TABLE || query->format == FORMAT_VERTICAL)
        fprintf(stderr, "%" PRId64 " row%s\n", printing->rows, printing->rows == 1 ? "" : "s");
}

int query_print(const struct query *query, const struct query_statement *statement,
                struct error *error)
{
    struct printing printing = {.query = query};
    const char *sql = buffer_text((struct buffer *) &statement->sql);
    bool good = query->count || begin(&printing);
    enum ods_status status =
        !good          ? error_out_of_memory(error)
        : query->count ? reader_rows(query->reader, sql, statement->count, statement->values,
                                     take_count, (void *) query, error)
                       : reader_rows(query->reader, sql, statement->count, statement->values,
                                     take_row, &printing, error);
    if (status == ODS_OK && !query->count) {
        if (query->format == FORMAT_JSON)
            fputs(printing.rows ? "]\n" : "[]\n", stdout);
        if (query->format == FORMAT_TABLE && printing.rows)
            good = print_table(&printing) && !printing.failed;
        fflush(stdout);
        tell(&printing);
    }
    if (!query->count)
        columns_done(&printing.columns);
    /* What PostgreSQL says of a value or of --where, unless it is away or took too long. */
    if (status != ODS_OK && status != ODS_RETRY && (query->where || query->key.count))
        return CLI_USAGE;
    return status != ODS_OK ? CLI_TARGET : good ? CLI_OK : CLI_INTERNAL;
}
