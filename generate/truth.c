#include "truth.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "document.h"

void alerts_take(struct alerts *alerts, const struct style *style, const struct event *event)
{
    if (event->table->number != ORDERS || event->op == 'd' ||
        order_amount(style, &event->after) < ALERT_AMOUNT)
        return;
    if (alerts->count == alerts->room) {
        alerts->room = alerts->room ? alerts->room * 2 : 256;
        alerts->items = realloc(alerts->items, alerts->room * sizeof *alerts->items);
        if (!alerts->items)
            die("out of memory for %zu alerts", alerts->room);
    }
    alerts->items[alerts->count++] =
        (struct alert){event->after.slot, event->op, event_scn(event)};
}

/* ---- files ------------------------------------------------------------------------------------
 */

struct truth {
    const char *folder;
    const struct history *history;
    const struct style *style;
    struct text sql, base, derived;
};

static void save(const struct truth *truth, const char *name, const struct text *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", truth->folder, name);
    FILE *file = fopen(path, "w");
    if (!file || fwrite(text->length ? text->data : "", 1, text->length, file) != text->length ||
        fclose(file) != 0)
        die("cannot write %s: %s", path, strerror(errno));
}

static void put_lower(struct text *out, const char *name)
{
    for (; *name; name++)
        text_bytes(out, (char[]){(char) tolower((unsigned char) *name)}, 1);
}

/* A table of the schema truth, with its rows, and how it is compared. */
static void put_table(struct truth *truth, struct text *compare, const char *name,
                      const char *columns, const char *names, const struct text *rows)
{
    char file[64];
    snprintf(file, sizeof file, "%s.copy", name);
    save(truth, file, rows);
    text_format(&truth->sql, "create table truth.%s (", name);
    text_string(&truth->sql, columns);
    text_format(&truth->sql, ");\n\\copy truth.%s from '%s'\n", name, file);
    text_format(compare, "select '%s' as what, (select count(*) from truth.%s) as rows,\n", name,
                name);
    text_format(compare, "  (select count(*) from (select ");
    text_string(compare, names);
    text_format(compare, " from truth.%s except all select ", name);
    text_string(compare, names);
    text_format(compare, " from %s) x) as missing,\n  (select count(*) from (select ", name);
    text_string(compare, names);
    text_format(compare, " from %s except all select ", name);
    text_string(compare, names);
    text_format(compare, " from truth.%s) x) as wrong;\n", name);
}

/* ---- the source's tables ----------------------------------------------------------------------
 */

/* The column as it was when the row was written; NULL: it was not there. */
static const struct column *column_then(const struct table *table, const struct column *column,
                                        const struct row *row)
{
    if (row->step >= column->since)
        return column;
    for (size_t i = 0; i < table->count && !column->anew; i++)
        if (strcmp(table->columns[i].name, column->name) == 0 &&
            column_there(&table->columns[i], row->step))
            return &table->columns[i];
    return NULL;
}

static void put_cell(struct truth *truth, struct text *out, const struct table *table,
                     const struct column *column, const struct row *row)
{
    const struct column *then = column_then(table, column, row);
    if (then)
        cell_copy(out, truth->style, table, then, row);
    else
        text_string(out, "\\N");
}

/* Names, with types or as they are compared; the key's first. */
static void put_columns(struct text *out, const struct table *table, int step, bool types)
{
    bool next = false;
    for (size_t i = 0; i < table->count; i++) {
        const struct column *column = &table->columns[i];
        if (!column_there(column, step))
            continue;
        if (next)
            text_string(out, ", ");
        next = true;
        put_lower(out, column->name);
        if (types) {
            text_format(out, " %s", cell_type(column));
            if (i < (size_t) table->keys)
                text_string(out, " not null");
        } else if (column->kind == KIND_XML) {
            text_string(out, "::text"); /* xml has no equality */
        } else if (column->kind == KIND_NUMBER || column->kind == KIND_DECIMAL) {
            text_string(out, "::numeric");
        }
    }
}

static void put_source_table(struct truth *truth, const struct table *table)
{
    const struct rows *rows = &truth->history->tables[table->number];
    struct text columns = {0}, names = {0}, lines = {0}, name = {0};
    put_lower(&name, table->name);
    put_columns(&columns, table, truth->history->step, true);
    put_columns(&names, table, truth->history->step, false);
    for (uint32_t slot = 1; slot <= rows->count; slot++) {
        if (!rows->rows[slot].alive)
            continue;
        bool next = false;
        for (size_t i = 0; i < table->count; i++) {
            if (!column_there(&table->columns[i], truth->history->step))
                continue;
            if (next)
                text_bytes(&lines, "\t", 1);
            next = true;
            put_cell(truth, &lines, table, &table->columns[i], &rows->rows[slot]);
        }
        text_bytes(&lines, "\n", 1);
    }
    put_table(truth, &truth->base, name.data, columns.data, names.data, &lines);
    text_free(&columns);
    text_free(&names);
    text_free(&lines);
    text_free(&name);
}

static void write_target(struct truth *truth)
{
    struct text out = {0};
    for (int i = 0; i < TABLES; i++) {
        const struct table *table = &tables[i];
        if (table->since)
            continue;
        text_string(&out, "create table ");
        put_lower(&out, table->name);
        text_string(&out, " (");
        put_columns(&out, table, 0, true);
        text_string(&out, ", cdc_operation text, cdc_timestamp timestamptz, primary key (");
        for (int key = 0; key < table->keys; key++) {
            if (key)
                text_string(&out, ", ");
            put_lower(&out, table->columns[key].name);
        }
        text_string(&out, "));\n");
    }
    save(truth, "target.sql", &out);
    text_free(&out);
}

/* ---- the join ---------------------------------------------------------------------------------
 */

static const struct row *row_at(const struct truth *truth, enum table_number table, uint32_t slot)
{
    const struct rows *rows = &truth->history->tables[table];
    return slot && slot <= rows->count && rows->rows[slot].alive ? &rows->rows[slot] : NULL;
}

static void put_named(struct truth *truth, struct text *out, enum table_number number,
                      const char *name, const struct row *row)
{
    const struct table *table = &tables[number];
    text_bytes(out, "\t", 1);
    for (size_t i = 0; row && i < table->count; i++)
        if (strcmp(table->columns[i].name, name) == 0 &&
            column_there(&table->columns[i], truth->history->step)) {
            put_cell(truth, out, table, &table->columns[i], row);
            return;
        }
    text_string(out, "\\N");
}

/* orders join customers using (customer_id) left join products using (sku) */
static void put_join(struct truth *truth)
{
    static const char names[] = "order_id, customer_id, name, email, sku, price, amount, status";
    const struct rows *orders = &truth->history->tables[ORDERS];
    struct text lines = {0};
    for (uint32_t slot = 1; slot <= orders->count; slot++) {
        const struct row *order = row_at(truth, ORDERS, slot);
        const struct row *customer = order ? row_at(truth, CUSTOMERS, order->customer) : NULL;
        if (!customer)
            continue;
        text_format(&lines, "%u\t%u", order->slot, order->customer);
        put_named(truth, &lines, CUSTOMERS, "NAME", customer);
        put_named(truth, &lines, CUSTOMERS, "EMAIL", customer);
        put_named(truth, &lines, ORDERS, "SKU", order);
        put_named(truth, &lines, PRODUCTS, "PRICE", row_at(truth, PRODUCTS, order->product));
        put_named(truth, &lines, ORDERS, "AMOUNT", order);
        put_named(truth, &lines, ORDERS, "STATUS", order);
        text_bytes(&lines, "\n", 1);
    }
    put_table(truth, &truth->derived, "order_view",
              "order_id bigint, customer_id bigint, name text, email text, sku text, "
              "price numeric, amount numeric, status text",
              names, &lines);
    text_free(&lines);
}

/* ---- tables out of XML ------------------------------------------------------------------------
 */

static void put_xml_table(struct truth *truth, const struct xml_table *xml)
{
    const struct table *table = &tables[xml->table];
    const struct column *column = document_column(table);
    const struct rows *rows = &truth->history->tables[xml->table];
    struct text lines = {0};
    for (uint32_t slot = 1; slot <= rows->count; slot++)
        if (rows->rows[slot].alive)
            xml->rows(&lines, truth->style, &rows->rows[slot],
                      cell_hash(truth->style, table, column, &rows->rows[slot]));
    put_table(truth, &truth->derived, xml->name, xml->columns, xml->names, &lines);
    text_free(&lines);
}

static void put_alerts(struct truth *truth, const struct alerts *alerts)
{
    struct text lines = {0};
    for (size_t i = 0; i < alerts->count; i++)
        text_format(&lines, "%u\t%c\t%lld\n", alerts->items[i].order, alerts->items[i].op,
                    (long long) alerts->items[i].scn);
    save(truth, "alerts.copy", &lines);
    text_string(&truth->sql, "create table truth.alerts (order_id bigint, op text, scn bigint);\n"
                             "\\copy truth.alerts from 'alerts.copy'\n");
    text_free(&lines);
}

void truth_write(const char *folder, const struct history *history, const struct style *style,
                 const struct alerts *alerts)
{
    struct truth truth = {.folder = folder, .history = history, .style = style};
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        die("cannot create %s: %s", folder, strerror(errno));
    text_string(&truth.sql, "\\set ON_ERROR_STOP 1\nset client_encoding = 'UTF8';\n"
                            "drop schema if exists truth cascade;\ncreate schema truth;\n");
    for (int i = 0; i < TABLES; i++)
        if (history->step >= tables[i].since)
            put_source_table(&truth, &tables[i]);
    put_join(&truth);
    for (int i = 0; i < XML_TABLES; i++)
        put_xml_table(&truth, &xml_tables[i]);
    put_alerts(&truth, alerts);
    write_target(&truth);
    save(&truth, "truth.sql", &truth.sql);
    save(&truth, "compare.sql", &truth.base);
    save(&truth, "compare_derived.sql", &truth.derived);
    text_free(&truth.sql);
    text_free(&truth.base);
    text_free(&truth.derived);
}
