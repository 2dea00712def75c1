#include "cell.h"

#include <stdio.h>
#include <string.h>

#include "document.h"

#define UNAVAILABLE "__debezium_unavailable_value"

#define MONTH_US INT64_C(2629800000000) /* 365.25 / 12 days, as Debezium counts */

uint64_t mix64(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9E3779B97F4A7C15) + b + UINT64_C(0xD1B54A32D192ED03);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

uint64_t cell_hash(const struct style *style, const struct table *table,
                   const struct column *column, const struct row *row)
{
    uint32_t version = column_large(column) ? row->body : row->version;
    uint64_t place = (uint64_t) table->number << 8 | (uint64_t) (column - table->columns);
    return mix64(mix64(style->seed ^ place, row->slot), version);
}

int64_t order_amount(const struct style *style, const struct row *row)
{
    const struct table *table = &tables[ORDERS];
    for (size_t i = 0; i < table->count; i++)
        if (table->columns[i].kind == KIND_DECIMAL)
            return (int64_t) (cell_hash(style, table, &table->columns[i], row) % 1000000);
    return 0;
}

static bool is_null(const struct column *column, uint64_t hash)
{
    return column->optional && (hash >> 40 & 7) == 0;
}

/* ---- words ------------------------------------------------------------------------------------
 */

static const char *const words[] = {
    "amber", "b\u00f6rse", "crate", "dock", "\u00e9toile", "freight", "gr\u00fcn", "harbour",
    "ink", "jute", "k\u00e4se", "\"lot\"", "mast", "north & south", "o'clock", "<pallet>",
    "quay", "rope", "\u7bb1", "tarp", "unit", "valve", "wharf", "\U0001F4E6",
};

void put_words(struct text *out, uint64_t hash, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t word = mix64(hash, i) % (sizeof words / sizeof *words);
        if (i)
            text_bytes(out, " ", 1);
        text_string(out, words[word]);
    }
}

static void put_word(struct text *out, const struct table *table, const struct row *row,
                     uint64_t hash)
{
    static const char *const states[] = {"new", "paid", "packed", "shipped", "done"};
    static const char *const carriers[] = {"ACME", "Hermes", "Post", "Rail", "Sea"};
    if (table->number == ORDERS)
        text_string(out, states[row->version < 5 ? row->version - 1 : 4]);
    else
        text_string(out, carriers[hash % 5]);
}

void put_number(struct text *out, int64_t number, unsigned width)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%0*lld", (int) width, (long long) number);
    text_bytes(out, digits, (size_t) length);
}

/* Text, also that of XML: what is the same in JSON and in COPY, before it is quoted. */
static void put_text(struct text *out, const struct style *style, const struct table *table,
                     const struct column *column, const struct row *row, uint64_t hash)
{
    switch (column->kind) {
    case KIND_SKU:
    case KIND_PRODUCT:
        text_string(out, "SKU-");
        put_number(out, column->kind == KIND_SKU ? row->slot : row->product, 6);
        break;
    case KIND_WORD:
        put_word(out, table, row, hash);
        break;
    case KIND_CLOB:
        put_words(out, hash, 20 + hash % 60);
        break;
    case KIND_XML:
    case KIND_XML_CLOB:
        document_put(out, style, table, row, hash);
        break;
    default:
        put_words(out, hash, 1 + hash % 4);
    }
}

/* ---- numbers and moments ----------------------------------------------------------------------
 */

static int64_t whole(const struct column *column, const struct row *row, uint64_t hash)
{
    static const int64_t most[] = {1, 2, 100, 1000, 10000};
    switch (column->kind) {
    case KIND_SLOT:
        return row->slot;
    case KIND_PARCEL:
        return row->slot; /* of shipments: unique beside the order, too */
    case KIND_CUSTOMER:
        return row->customer;
    case KIND_ORDER:
        return row->order;
    default:
        return column->precision < 5 ? (int64_t) (hash % (uint64_t) most[column->precision])
                                     : (int64_t) (hash % UINT64_C(100000000000000));
    }
}

/* Below 0: the number ends in zeros, as Oracle may have it. */
static int variable_scale(uint64_t hash)
{
    return (int) ((hash >> 32) % 7) - 2;
}

static int64_t unscaled(const struct column *column, uint64_t hash)
{
    int64_t number = (int64_t) (hash % 1000000);
    return column->kind == KIND_NUMBER && hash >> 50 & 1 ? -number : number;
}

static int scale_of(const struct column *column, uint64_t hash)
{
    return column->kind == KIND_NUMBER ? variable_scale(hash) : 2;
}

void put_decimal(struct text *out, int64_t number, int scale)
{
    uint64_t size = number < 0 ? (uint64_t) -number : (uint64_t) number, unit = 1;
    for (int i = 0; i < scale; i++)
        unit *= 10;
    for (int i = scale; i < 0; i++)
        size *= 10;
    if (number < 0)
        text_bytes(out, "-", 1);
    text_integer(out, (int64_t) (size / unit));
    if (scale <= 0)
        return;
    text_bytes(out, ".", 1);
    put_number(out, (int64_t) (size % unit), (unsigned) scale);
}

/* From 2015 on, about ten years. */
static int64_t moment_us(const struct column *column, uint64_t hash)
{
    int64_t us = INT64_C(1420070400000000) + (int64_t) (hash % UINT64_C(315360000000000));
    return column->kind == KIND_DATE ? us - us % 1000000 : us;
}

static void put_moment(struct text *out, int64_t us, char between, bool fraction)
{
    int64_t seconds = us / 1000000, day = seconds / 86400, of_day = seconds % 86400;
    /* Days to a date of the proleptic Gregorian calendar, from 1 March of year 0 on. */
    int64_t from_march = day + 719468, era = from_march / 146097;
    int64_t of_era = from_march % 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int64_t part = (5 * of_year + 2) / 153, month = part < 10 ? part + 3 : part - 9;
    char moment[40];
    snprintf(moment, sizeof moment, "%04d-%02d-%02d%c%02d:%02d:%02d",
             (int) (year + era * 400 + (month <= 2)), (int) month,
             (int) (of_year - (153 * part + 2) / 5 + 1), between, (int) (of_day / 3600),
             (int) (of_day / 60 % 60), (int) (of_day % 60));
    text_string(out, moment);
    if (fraction) {
        text_bytes(out, ".", 1);
        put_number(out, us % 1000000, 6);
    }
}

/* A moment with the zone that it is told in. */
static void put_zoned(struct text *out, const struct column *column, int64_t us, uint64_t hash)
{
    static const struct {
        const char *name;
        int minutes;
    } zones[] = {{"+01:00", 60}, {"-05:00", -300}, {"Z", 0}, {"+05:30", 330}};
    size_t zone = column->kind == KIND_LOCAL ? 2 : hash >> 20 & 3;
    put_moment(out, us + zones[zone].minutes * INT64_C(60000000), 'T', true);
    text_string(out, zones[zone].name);
}

static int64_t lapse_us(const struct column *column, uint64_t hash)
{
    if (column->kind == KIND_MONTHS)
        return (int64_t) (hash % 120) * MONTH_US;
    return (int64_t) (hash % UINT64_C(864000000000)) - INT64_C(86400000000);
}

/* As ISO 8601, in Debezium's way of writing it. */
static void put_lapse(struct text *out, const struct column *column, uint64_t hash)
{
    if (column->kind == KIND_MONTHS) {
        text_format(out, "P%dY%dM0DT0H0M0S", (int) (hash % 120 / 12), (int) (hash % 120 % 12));
        return;
    }
    int64_t us = lapse_us(column, hash), size = us < 0 ? -us : us;
    const char *sign = us < 0 ? "-" : "";
    text_format(out, "P0Y0M%s%dDT%s%dH%s%dM%s%d.%06dS", sign, (int) (size / 86400000000), sign,
                (int) (size / 3600000000 % 24), sign, (int) (size / 60000000 % 60), sign,
                (int) (size / 1000000 % 60), (int) (size % 1000000));
}

static void put_quarters(struct text *out, uint64_t hash)
{
    put_decimal(out, (int64_t) (hash % 4000) * 25, 2); /* exact in binary */
}

static size_t bytes_of(const struct column *column, uint64_t hash, unsigned char bytes[256])
{
    size_t length = column->kind == KIND_RAW ? (size_t) column->precision : 64 + hash % 192;
    for (size_t i = 0; i < length; i++)
        bytes[i] = (unsigned char) (mix64(hash, i / 8) >> (i % 8 * 8));
    return length;
}

/* ---- in a record ------------------------------------------------------------------------------
 */

static void number_json(struct text *out, const struct style *style, const struct column *column,
                        uint64_t hash)
{
    int64_t number = unscaled(column, hash);
    int scale = scale_of(column, hash);
    if (style->numbers == NUMBERS_STRING) {
        text_bytes(out, "\"", 1);
        put_decimal(out, number, scale);
        text_bytes(out, "\"", 1);
    } else if (style->numbers == NUMBERS_DOUBLE) {
        put_decimal(out, number, scale);
        if (scale <= 0)
            text_string(out, ".0");
    } else {
        if (column->kind == KIND_NUMBER) {
            text_string(out, "{\"scale\":");
            text_integer(out, scale);
            text_string(out, ",\"value\":");
        }
        text_bytes(out, "\"", 1);
        text_unscaled(out, number);
        text_string(out, column->kind == KIND_NUMBER ? "\"}" : "\"");
    }
}

static void moment_json(struct text *out, const struct column *column, uint64_t hash)
{
    int64_t us = moment_us(column, hash);
    if (column->kind == KIND_ZONED || column->kind == KIND_LOCAL) {
        text_bytes(out, "\"", 1);
        put_zoned(out, column, us, hash);
        text_bytes(out, "\"", 1);
    } else {
        text_integer(out, column->kind == KIND_DATE          ? us / 1000
                          : column->kind == KIND_TIMESTAMP_9 ? us * 1000
                                                             : us);
    }
}

static void lapse_json(struct text *out, const struct style *style, const struct column *column,
                       uint64_t hash)
{
    if (!style->interval_text) {
        text_integer(out, lapse_us(column, hash));
        return;
    }
    text_bytes(out, "\"", 1);
    put_lapse(out, column, hash);
    text_bytes(out, "\"", 1);
}

static void bytes_json(struct text *out, const struct column *column, uint64_t hash)
{
    unsigned char bytes[256];
    size_t length = bytes_of(column, hash, bytes);
    text_bytes(out, "\"", 1);
    text_base64(out, bytes, length);
    text_bytes(out, "\"", 1);
}

static void string_json(struct text *out, const struct style *style, const struct table *table,
                        const struct column *column, const struct row *row, uint64_t hash)
{
    static _Thread_local struct text room; /* kept for the next one */
    room.length = 0;
    put_text(&room, style, table, column, row, hash);
    text_json(out, room.length ? room.data : "", room.length);
}

void cell_json(struct text *out, const struct style *style, const struct table *table,
               const struct column *column, const struct row *row)
{
    uint64_t hash = cell_hash(style, table, column, row);
    if (is_null(column, hash)) {
        text_string(out, "null");
        return;
    }
    switch (column->kind) {
    case KIND_NUMBER:
    case KIND_DECIMAL:
        number_json(out, style, column, hash);
        break;
    case KIND_INTEGER:
    case KIND_SLOT:
    case KIND_CUSTOMER:
    case KIND_ORDER:
    case KIND_PARCEL:
        text_integer(out, whole(column, row, hash));
        break;
    case KIND_DATE:
    case KIND_TIMESTAMP:
    case KIND_TIMESTAMP_9:
    case KIND_ZONED:
    case KIND_LOCAL:
        moment_json(out, column, hash);
        break;
    case KIND_DAYS:
    case KIND_MONTHS:
        lapse_json(out, style, column, hash);
        break;
    case KIND_FLOAT:
    case KIND_DOUBLE:
        put_quarters(out, hash);
        break;
    case KIND_BLOB:
    case KIND_RAW:
        bytes_json(out, column, hash);
        break;
    default:
        string_json(out, style, table, column, row, hash);
    }
}

void cell_unavailable(struct text *out, const struct column *column)
{
    text_bytes(out, "\"", 1);
    if (column->kind == KIND_BLOB)
        text_base64(out, UNAVAILABLE, strlen(UNAVAILABLE));
    else
        text_string(out, UNAVAILABLE);
    text_bytes(out, "\"", 1);
}

/* ---- in COPY ----------------------------------------------------------------------------------
 */

static void bytes_copy(struct text *out, const struct column *column, uint64_t hash)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char bytes[256];
    size_t length = bytes_of(column, hash, bytes);
    text_string(out, "\\\\x");
    for (size_t i = 0; i < length; i++)
        text_bytes(out, (char[]){hex[bytes[i] >> 4], hex[bytes[i] & 15]}, 2);
}

static void lapse_copy(struct text *out, const struct style *style, const struct column *column,
                       uint64_t hash)
{
    if (style->interval_text) {
        put_lapse(out, column, hash);
        return;
    }
    text_integer(out, lapse_us(column, hash));
    text_string(out, " microseconds");
}

static void string_copy(struct text *out, const struct style *style, const struct table *table,
                        const struct column *column, const struct row *row, uint64_t hash)
{
    struct text room = {0};
    put_text(&room, style, table, column, row, hash);
    text_copy(out, room.length ? room.data : "", room.length);
    text_free(&room);
}

void cell_copy(struct text *out, const struct style *style, const struct table *table,
               const struct column *column, const struct row *row)
{
    uint64_t hash = cell_hash(style, table, column, row);
    if (is_null(column, hash)) {
        text_string(out, "\\N");
        return;
    }
    switch (column->kind) {
    case KIND_NUMBER:
    case KIND_DECIMAL:
        put_decimal(out, unscaled(column, hash), scale_of(column, hash));
        break;
    case KIND_INTEGER:
    case KIND_SLOT:
    case KIND_CUSTOMER:
    case KIND_ORDER:
    case KIND_PARCEL:
        text_integer(out, whole(column, row, hash));
        break;
    case KIND_DATE:
    case KIND_TIMESTAMP:
    case KIND_TIMESTAMP_9:
        put_moment(out, moment_us(column, hash), ' ', true);
        break;
    case KIND_ZONED:
    case KIND_LOCAL:
        put_zoned(out, column, moment_us(column, hash), hash);
        break;
    case KIND_DAYS:
    case KIND_MONTHS:
        lapse_copy(out, style, column, hash);
        break;
    case KIND_FLOAT:
    case KIND_DOUBLE:
        put_quarters(out, hash);
        break;
    case KIND_BLOB:
    case KIND_RAW:
        bytes_copy(out, column, hash);
        break;
    default:
        string_copy(out, style, table, column, row, hash);
    }
}
