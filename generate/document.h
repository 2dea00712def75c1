/* The XML documents in the source's columns, in eight shapes, and the rows that are in them.
 *
 *   X1 elements to columns, X3 attributes       ORDERS.DOC       order_heads
 *   X2 repeated and nested elements             ORDERS.DOC       order_lines, order_discounts
 *   X4 namespaces, default and prefixed         CUSTOMERS.PROFILE  customer_profiles
 *   X5 CDATA, entities, encodings, instructions PRODUCTS.SPEC    product_specs
 *   X6 missing, empty, nil                      SHIPMENTS.MANIFEST shipment_items
 *   X7 not well-formed, X8 large and hostile    PAYMENTS.ADVICE  advice_heads, advice_lines
 */
#ifndef GENERATE_DOCUMENT_H
#define GENERATE_DOCUMENT_H

#include "cell.h"

/* `hash` is the cell's. */
void document_put(struct text *out, const struct style *style, const struct table *table,
                  const struct row *row, uint64_t hash);

struct xml_table {
    const char *name;
    const char *columns; /* with types, as in create table */
    const char *names;   /* without */
    enum table_number table;
    /* Append the rows of a row's document, as text COPY. */
    void (*rows)(struct text *out, const struct style *style, const struct row *row, uint64_t hash);
};

enum { XML_TABLES = 8 };
extern const struct xml_table xml_tables[XML_TABLES];

/* The table's column that has the documents. */
const struct column *document_column(const struct table *table);

#endif
