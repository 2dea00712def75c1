#include "rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Values are drawn from a stream that starts at (seed, key, version, column). */
struct draw {
    uint64_t state;
};

uint64_t mix64(uint64_t a, uint64_t b)
{
    uint64_t x = a + 0x9E3779B97F4A7C15u * (b + 1);
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static uint64_t draw(struct draw *stream, uint64_t below)
{
    stream->state = mix64(stream->state, 1);
    return (stream->state >> 11) % below;
}

static const char *const first_names[] = {"Budi", "Siti", "Agus", "Dewi",  "Rina",
                                          "Joko", "Ayu",  "Änne", "Hadi",  "Nur \xF0\x9F\x98\x80",
                                          "Tono", "Wati", "Eko",  "Maria", "O'Brien"};
static const char *const last_names[] = {"Santoso", "Wijaya",  "Pratama",       "Nugroho",
                                         "Lestari", "Saputra", "Utami",         "Gunawan",
                                         "Hidayat", "Kusuma",  "\\ \"q\"\tx\ny"};
static const char *const words[] = {"ledger",  "payment", "branch", "vehicle", "contract",
                                    "harbour", "season",  "copper", "marble",  "signal",
                                    "orchard", "quarter", "timber", "velvet",  "window"};

#define PICK(stream, list) ((list)[draw((stream), sizeof(list) / sizeof((list)[0]))])

/* ---- tables ------------------------------------------------------------------------------------
 */

static void add(struct table *table, const char *name, enum kind kind, bool optional)
{
    struct column *column = &table->columns[table->count++];
    snprintf(column->name, sizeof(column->name), "%s", name);
    column->kind = kind;
    column->optional = optional;
}

static void customers(struct table *table)
{
    add(table, "customer_id", KIND_KEY, false);
    add(table, "full_name", KIND_NAME, false);
    add(table, "email", KIND_EMAIL, true);
    add(table, "phone", KIND_PHONE, true);
    add(table, "date_of_birth", KIND_DATE, true);
    add(table, "monthly_income", KIND_DECIMAL, true);
    add(table, "created_at", KIND_DATETIME, true);
    add(table, "updated_at", KIND_ZONED, true);
}

static void wide(struct table *table)
{
    static const enum kind kinds[] = {KIND_INT32,   KIND_TEXT,     KIND_DECIMAL, KIND_DATE,
                                      KIND_BOOLEAN, KIND_DATETIME, KIND_INT64,   KIND_PHONE};
    add(table, "id", KIND_KEY, false);
    while (table->count < COLUMNS_MAX) {
        char name[24];
        snprintf(name, sizeof(name), "column_%03zu", table->count);
        add(table, name, kinds[table->count % (sizeof(kinds) / sizeof(*kinds))], true);
    }
}

static void documents(struct table *table)
{
    table->connector = CONNECTOR_POSTGRESQL;
    table->database = "source";
    table->schema = "public";
    add(table, "id", KIND_KEY, false);
    add(table, "title", KIND_TEXT, true);
    add(table, "body", KIND_BODY, true);
    add(table, "document", KIND_DOCUMENT, true);
    add(table, "pages", KIND_INT32, true);
    add(table, "changed_at", KIND_ZONED, true);
}

bool table_init(struct table *table, const char *name)
{
    *table = (struct table){.connector = CONNECTOR_MYSQL, .database = "mks_finance_dw"};
    snprintf(table->name, sizeof(table->name), "%s", name);
    if (strcmp(name, "customers") == 0)
        customers(table);
    else if (strcmp(name, "wide") == 0)
        wide(table);
    else if (strcmp(name, "documents") == 0)
        documents(table);
    return table->count > 0;
}

const char *kind_target_type(enum kind kind)
{
    switch (kind) {
    case KIND_KEY:
    case KIND_INT32:
        return "integer";
    case KIND_INT64:
        return "bigint";
    case KIND_BOOLEAN:
        return "smallint";
    case KIND_DATE:
        return "date";
    case KIND_DECIMAL:
        return "numeric(15,2)";
    case KIND_DATETIME:
        return "timestamp(0) without time zone"; /* its precision tells the unit in schemaless
                                                    records */
    case KIND_ZONED:
        return "timestamp(3) with time zone";
    case KIND_DOCUMENT:
        return "jsonb";
    case KIND_TEXT:
    case KIND_NAME:
    case KIND_EMAIL:
    case KIND_PHONE:
    case KIND_BODY:
        break;
    }
    return "text";
}

bool kind_large(enum kind kind)
{
    return kind == KIND_BODY || kind == KIND_DOCUMENT;
}

/* ---- values ------------------------------------------------------------------------------------
 */

enum { CELL_ROOM = 4096 };

struct cell {
    bool null;
    int64_t number;
    char string[CELL_ROOM]; /* of the kinds that are text */
    size_t length;
};

static void append(struct cell *cell, const char *string)
{
    size_t length = strlen(string);
    if (length >= CELL_ROOM - cell->length)
        die("a value of more than %d bytes", CELL_ROOM);
    memcpy(cell->string + cell->length, string, length + 1);
    cell->length += length;
}

static void some_words(struct cell *cell, struct draw *stream, size_t length)
{
    do {
        append(cell, PICK(stream, words));
        append(cell, " ");
    } while (cell->length < length);
    cell->string[--cell->length] = '\0';
}

/* 32 random hexadecimal digits a piece: PostgreSQL's compression finds little in it, so the value
 * stays above the TOAST threshold. */
static void random_digits(struct cell *cell, struct draw *stream, size_t pieces)
{
    for (size_t i = 0; i < pieces; i++) {
        char piece[40];
        snprintf(piece, sizeof(piece), "%016" PRIx64 "%016" PRIx64, mix64(stream->state, i),
                 mix64(stream->state, ~i));
        append(cell, piece);
    }
}

static void zoned(struct cell *cell, int64_t ms)
{
    char stamp[40], whole[48];
    time_t seconds = (time_t) (ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(whole, sizeof(whole), "%s.%03dZ", stamp, (int) (ms % 1000));
    append(cell, whole);
}

static void fill_text(struct cell *cell, enum kind kind, struct draw *stream)
{
    char number[32];
    switch (kind) {
    case KIND_NAME:
        append(cell, PICK(stream, first_names));
        append(cell, " ");
        append(cell, PICK(stream, last_names));
        break;
    case KIND_EMAIL:
        append(cell, PICK(stream, words));
        snprintf(number, sizeof(number), ".%d@example.com", (int) draw(stream, 1000000));
        append(cell, number);
        break;
    case KIND_PHONE:
        snprintf(number, sizeof(number), "08%010" PRIu64, draw(stream, 10000000000u));
        append(cell, number);
        break;
    case KIND_BODY:
        random_digits(cell, stream, 80);
        break;
    case KIND_DOCUMENT:
        append(cell, "{\"kind\": \"contract\", \"digest\": \"");
        random_digits(cell, stream, 80);
        append(cell, "\"}");
        break;
    case KIND_ZONED:
        zoned(cell, INT64_C(1766000000000) + (int64_t) draw(stream, 31536000000u));
        break;
    default:
        some_words(cell, stream, 12);
    }
}

static void cell_fill(struct cell *cell, const struct style *style, const struct column *column,
                      const struct row *row)
{
    int32_t version = kind_large(column->kind) ? row->body : row->version;
    uint64_t of_row = mix64(mix64(style->seed, (uint32_t) row->key), (uint32_t) version);
    uint64_t of_column = (uint64_t) column->kind;
    for (const char *letter = column->name; *letter; letter++)
        of_column = of_column * 31 + (unsigned char) *letter;
    struct draw stream = {mix64(of_row, of_column)};
    cell->length = 0;
    cell->number = 0;
    cell->null = column->optional && !kind_large(column->kind) && draw(&stream, 8) == 0;
    if (cell->null)
        return;
    switch (column->kind) {
    case KIND_KEY:
        cell->number = row->key;
        break;
    case KIND_INT32:
        cell->number = (int64_t) draw(&stream, 2000000) - 1000000;
        break;
    case KIND_INT64:
        cell->number = (int64_t) draw(&stream, UINT64_C(1) << 50) - (INT64_C(1) << 49);
        break;
    case KIND_BOOLEAN:
        cell->number = (int64_t) draw(&stream, 2);
        break;
    case KIND_DATE:
        cell->number = (int64_t) draw(&stream, 25000) - 9000;
        break;
    case KIND_DECIMAL:
        cell->number = (int64_t) draw(&stream, 10000000000u) - 5000000;
        break;
    case KIND_DATETIME:
        cell->number = (INT64_C(1700000000) + (int64_t) draw(&stream, 90000000)) * 1000;
        break;
    default:
        fill_text(cell, column->kind, &stream);
    }
}

static void decimal(struct text *out, int64_t unscaled)
{
    uint64_t size = unscaled < 0 ? -(uint64_t) unscaled : (uint64_t) unscaled;
    text_format(out, "%s%" PRIu64 ".%02u", unscaled < 0 ? "-" : "", size / 100,
                (unsigned) (size % 100));
}

static bool is_text(enum kind kind)
{
    switch (kind) {
    case KIND_TEXT:
    case KIND_NAME:
    case KIND_EMAIL:
    case KIND_PHONE:
    case KIND_ZONED:
    case KIND_BODY:
    case KIND_DOCUMENT:
        return true;
    default:
        return false;
    }
}

void cell_json(struct text *out, const struct style *style, const struct column *column,
               const struct row *row)
{
    if (row->unavailable && kind_large(column->kind)) {
        text_string(out, "\"__debezium_unavailable_value\"");
        return;
    }
    struct cell cell;
    cell_fill(&cell, style, column, row);
    if (cell.null) {
        text_string(out, "null");
    } else if (is_text(column->kind)) {
        text_json(out, cell.string, cell.length);
    } else if (column->kind == KIND_DECIMAL) {
        text_bytes(out, "\"", 1);
        if (style->decimals_as_text)
            decimal(out, cell.number);
        else
            text_unscaled(out, cell.number);
        text_bytes(out, "\"", 1);
    } else {
        text_integer(out, cell.number);
    }
}

void cell_avro(struct text *out, const struct style *style, const struct column *column,
               const struct row *row)
{
    struct cell cell;
    cell_fill(&cell, style, column, row);
    if (column->optional)
        text_avro_long(out, !cell.null);
    if (cell.null)
        return;
    if (row->unavailable && kind_large(column->kind))
        text_avro_string(out, "__debezium_unavailable_value");
    else if (is_text(column->kind))
        text_avro_bytes(out, cell.string, cell.length);
    else if (column->kind == KIND_DECIMAL)
        text_avro_unscaled(out, cell.number);
    else
        text_avro_long(out, cell.number);
}

void cell_copy(struct text *out, const struct style *style, const struct column *column,
               const struct row *row)
{
    struct cell cell;
    cell_fill(&cell, style, column, row);
    if (cell.null) {
        text_string(out, "\\N");
    } else if (is_text(column->kind)) {
        text_copy(out, cell.string, cell.length);
    } else if (column->kind == KIND_DECIMAL) {
        decimal(out, cell.number);
    } else if (column->kind == KIND_DATE || column->kind == KIND_DATETIME) {
        bool day = column->kind == KIND_DATE;
        time_t seconds = (time_t) (day ? cell.number * 86400 : cell.number / 1000);
        struct tm parts;
        char stamp[40];
        gmtime_r(&seconds, &parts);
        strftime(stamp, sizeof(stamp), day ? "%Y-%m-%d" : "%Y-%m-%d %H:%M:%S", &parts);
        text_string(out, stamp);
    } else {
        text_integer(out, cell.number);
    }
}

void row_copy(struct text *out, const struct style *style, const struct table *table,
              const struct row *row)
{
    for (size_t i = 0; i < table->count; i++) {
        if (i)
            text_bytes(out, "\t", 1);
        cell_copy(out, style, &table->columns[i], row);
    }
}
