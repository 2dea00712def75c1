#include "table.h"

#define KEY(name, kind, precision) {name, kind, precision, false, 0, FOREVER, false, NULL}
#define COLUMN(name, kind, precision) {name, kind, precision, false, 0, FOREVER, false, NULL}
#define NULLABLE(name, kind, precision) {name, kind, precision, true, 0, FOREVER, false, NULL}

const struct table tables[TABLES] = {
    {"CUSTOMERS", CUSTOMERS, 0, 1,
     {KEY("CUSTOMER_ID", KIND_SLOT, 10),
      COLUMN("NAME", KIND_TEXT, 100),
      {"EMAIL", KIND_TEXT, 200, true, 0, 6, false, NULL},
      {"EMAIL", KIND_TEXT, 200, false, 6, FOREVER, false, NULL}, /* S6: NULL forbidden */
      NULLABLE("CREDIT_LIMIT", KIND_NUMBER, 0),
      COLUMN("SINCE", KIND_DATE, 0),
      {"FAX", KIND_TEXT, 30, true, 0, 2, false, NULL}, /* S2 */
      NULLABLE("PHOTO", KIND_BLOB, 0),
      COLUMN("PROFILE", KIND_XML, 0)},
     9},
    {"PRODUCTS", PRODUCTS, 0, 1,
     {KEY("SKU", KIND_SKU, 20),
      {"LABEL", KIND_TEXT, 60, true, 0, 3, false, NULL}, /* S3: becomes TITLE */
      {"TITLE", KIND_TEXT, 60, true, 3, FOREVER, true, NULL},
      COLUMN("PRICE", KIND_DECIMAL, 12),
      NULLABLE("WEIGHT", KIND_DOUBLE, 0),
      COLUMN("ACTIVE", KIND_INTEGER, 1),
      NULLABLE("CODE", KIND_RAW, 8),
      COLUMN("SPEC", KIND_XML_CLOB, 0)},
     8},
    {"ORDERS", ORDERS, 0, 1,
     {KEY("ORDER_ID", KIND_SLOT, 10),
      COLUMN("CUSTOMER_ID", KIND_CUSTOMER, 10),
      COLUMN("SKU", KIND_PRODUCT, 20),
      {"QTY", KIND_INTEGER, 4, false, 0, 6, false, NULL},
      {"QTY", KIND_INTEGER, 4, true, 6, FOREVER, false, NULL}, /* S6: NULL allowed */
      COLUMN("AMOUNT", KIND_DECIMAL, 12),
      {"STATUS", KIND_WORD, 10, true, 0, 6, false, NULL},
      {"STATUS", KIND_WORD, 10, true, 6, FOREVER, false, "new"}, /* S6: a default */
      COLUMN("ORDERED_AT", KIND_TIMESTAMP, 6),
      NULLABLE("DUE", KIND_ZONED, 6),
      NULLABLE("LEAD_TIME", KIND_DAYS, 0),
      {"PRIORITY", KIND_INTEGER, 3, true, 1, FOREVER, true, NULL}, /* S1 */
      NULLABLE("NOTE", KIND_CLOB, 0),
      COLUMN("DOC", KIND_XML, 0)},
     14},
    {"PAYMENTS", PAYMENTS, 0, 1,
     {KEY("PAYMENT_ID", KIND_SLOT, 10),
      COLUMN("ORDER_ID", KIND_ORDER, 10),
      COLUMN("AMOUNT", KIND_NUMBER, 0),
      NULLABLE("PAID_ON", KIND_DATE, 0),
      {"INSTALLMENTS", KIND_INTEGER, 4, true, 0, 4, false, NULL},
      {"INSTALLMENTS", KIND_INTEGER, 15, true, 4, FOREVER, false, NULL}, /* S4 */
      COLUMN("BOOKED", KIND_TIMESTAMP_9, 9),
      NULLABLE("SIGNATURE", KIND_RAW, 16),
      NULLABLE("TERM", KIND_MONTHS, 0),
      NULLABLE("RATE", KIND_FLOAT, 0),
      COLUMN("ADVICE", KIND_XML_CLOB, 0)},
     11},
    {"SHIPMENTS", SHIPMENTS, 0, 2,
     {KEY("ORDER_ID", KIND_ORDER, 10),
      KEY("PARCEL", KIND_PARCEL, 6),
      COLUMN("CARRIER", KIND_WORD, 20),
      NULLABLE("SHIPPED_AT", KIND_LOCAL, 6),
      {"CHECKED", KIND_INTEGER, 4, true, 0, 5, false, NULL},
      {"CHECKED", KIND_DATE, 0, true, 5, FOREVER, true, NULL}, /* S5 */
      COLUMN("MANIFEST", KIND_XML, 0)},
     7},
    {"RETURNS", RETURNS, 6, 1, /* S6: a new table */
     {KEY("RETURN_ID", KIND_SLOT, 10),
      COLUMN("ORDER_ID", KIND_ORDER, 10),
      {"REASON", KIND_TEXT, 40, true, 0, FOREVER, false, "other"},
      COLUMN("NOTED", KIND_DATE, 0)},
     4},
};

bool column_there(const struct column *column, int step)
{
    return column->since <= step && step < column->until;
}

bool column_large(const struct column *column)
{
    return column->kind == KIND_CLOB || column->kind == KIND_BLOB || column->kind == KIND_XML ||
           column->kind == KIND_XML_CLOB;
}
