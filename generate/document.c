#include "document.h"

enum { REPEATS = 10000, LEVELS = 1000 };

static void put_escaped(struct text *out, const char *string, size_t length)
{
    for (size_t i = 0; i < length; i++)
        switch (string[i]) {
        case '&':
            text_string(out, "&amp;");
            break;
        case '<':
            text_string(out, "&lt;");
            break;
        case '>':
            text_string(out, "&gt;");
            break;
        case '"':
            text_string(out, "&quot;");
            break;
        default:
            text_bytes(out, &string[i], 1);
        }
}

static void xml_words(struct text *out, uint64_t hash, unsigned count)
{
    struct text room = {0};
    put_words(&room, hash, count);
    put_escaped(out, room.data, room.length);
    text_free(&room);
}

static void copy_words(struct text *out, uint64_t hash, unsigned count)
{
    struct text room = {0};
    put_words(&room, hash, count);
    text_copy(out, room.data, room.length);
    text_free(&room);
}

static void tab(struct text *out)
{
    text_bytes(out, "\t", 1);
}

static void end(struct text *out)
{
    text_bytes(out, "\n", 1);
}

/* ---- orders: X1, X2, X3 -----------------------------------------------------------------------
 */

static const char *const currencies[] = {"EUR", "USD", "CHF"};
static const char *const channels[] = {"web", "shop", "phone"};

static unsigned line_count(uint64_t hash)
{
    return (unsigned) (hash >> 8 & 3) + (hash >> 12 & 7 ? 1 : 0);
}

static unsigned discount_count(uint64_t line)
{
    return (unsigned) (line >> 16 & 3) % 3;
}

static void put_line(struct text *out, uint64_t line)
{
    text_format(out, "<line sku=\"SKU-%06u\" qty=\"%u\"><price>", (unsigned) (line % 5000),
                (unsigned) (line >> 24) % 90 + 1);
    put_decimal(out, (int64_t) (line >> 32) % 100000, 2);
    text_string(out, "</price>");
    for (unsigned i = 0; i < discount_count(line); i++)
        text_format(out, "<discount code=\"%c%u\">%u.5</discount>", 'A' + i,
                    (unsigned) (line >> 20) % 7, (unsigned) (line >> 40) % 30 + i);
    text_string(out, "</line>");
}

static void put_order(struct text *out, uint64_t hash)
{
    text_format(out, "<order currency=\"%s\" channel=\"%s\"><buyer>", currencies[hash % 3],
                channels[hash / 3 % 3]);
    xml_words(out, hash, 2);
    text_string(out, "</buyer><total>");
    put_decimal(out, (int64_t) (hash >> 20) % 10000000, 2);
    text_string(out, "</total><lines>");
    for (unsigned i = 0; i < line_count(hash); i++)
        put_line(out, mix64(hash, i));
    text_string(out, "</lines></order>");
}

static void order_heads(struct text *out, const struct style *style, const struct row *row,
                        uint64_t hash)
{
    text_format(out, "%u\t%s\t%s\t", row->slot, currencies[hash % 3], channels[hash / 3 % 3]);
    copy_words(out, hash, 2);
    tab(out);
    put_decimal(out, (int64_t) (hash >> 20) % 10000000, 2);
    end(out);
}

static void order_lines(struct text *out, const struct style *style, const struct row *row,
                        uint64_t hash)
{
    for (unsigned i = 0; i < line_count(hash); i++) {
        uint64_t line = mix64(hash, i);
        text_format(out, "%u\t%u\tSKU-%06u\t%u\t", row->slot, i + 1, (unsigned) (line % 5000),
                    (unsigned) (line >> 24) % 90 + 1);
        put_decimal(out, (int64_t) (line >> 32) % 100000, 2);
        end(out);
    }
}

static void order_discounts(struct text *out, const struct style *style, const struct row *row,
                            uint64_t hash)
{
    for (unsigned i = 0; i < line_count(hash); i++) {
        uint64_t line = mix64(hash, i);
        for (unsigned j = 0; j < discount_count(line); j++)
            text_format(out, "%u\t%u\t%u\t%c%u\t%u.5\n", row->slot, i + 1, j + 1, 'A' + j,
                        (unsigned) (line >> 20) % 7, (unsigned) (line >> 40) % 30 + j);
    }
}

/* ---- customers: X4 ----------------------------------------------------------------------------
 */

static const char *const tiers[] = {"gold", "silver", "bronze"};

static void put_profile(struct text *out, uint64_t hash)
{
    text_format(out,
                "<profile xmlns=\"urn:crm:profile\" xmlns:e=\"urn:crm:ext\"><tier>%s</tier>"
                "<e:segment e:score=\"%u\">",
                tiers[hash % 3], (unsigned) (hash >> 8) % 100);
    xml_words(out, hash, 1);
    text_string(out, "</e:segment></profile>");
}

static void customer_profiles(struct text *out, const struct style *style, const struct row *row,
                              uint64_t hash)
{
    text_format(out, "%u\t%s\t", row->slot, tiers[hash % 3]);
    copy_words(out, hash, 1);
    text_format(out, "\t%u\n", (unsigned) (hash >> 8) % 100);
}

/* ---- products: X5 -----------------------------------------------------------------------------
 */

static void put_spec(struct text *out, uint64_t hash)
{
    static const char *const declarations[] = {
        "", "<?xml version=\"1.0\"?>\n", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<?xml version='1.0' encoding='ISO-8859-1'?>\n"};
    text_string(out, declarations[hash & 3]);
    text_string(out, "<?render mode=\"fast\"?><!-- for <all> & sundry -->");
    text_string(out, "<spec><heading><![CDATA[");
    put_words(out, hash, 3);
    text_string(out, "]]></heading><?page break?><remark>");
    xml_words(out, mix64(hash, 1), 2);
    text_string(out, " &#233; &#x1F4E6; &apos;</remark></spec>");
}

static void product_specs(struct text *out, const struct style *style, const struct row *row,
                          uint64_t hash)
{
    text_format(out, "SKU-%06u\t", row->slot);
    copy_words(out, hash, 3);
    tab(out);
    copy_words(out, mix64(hash, 1), 2);
    text_string(out, " \u00e9 \U0001F4E6 '\n");
}

/* ---- shipments: X6 ----------------------------------------------------------------------------
 */

enum presence { PRESENT, MISSING, EMPTY, NIL };

static unsigned item_count(uint64_t hash)
{
    return (unsigned) (hash >> 8) % 3 + 1;
}

static void put_manifest(struct text *out, uint64_t hash)
{
    text_string(out, "<manifest xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">");
    for (unsigned i = 0; i < item_count(hash); i++) {
        uint64_t item = mix64(hash, i);
        static const char *const notes[] = {"<note>fragile</note>", "", "<note/>",
                                            "<note xsi:nil=\"true\"></note>"};
        text_string(out, "<item>");
        switch ((enum presence) (item & 3)) {
        case PRESENT:
            text_format(out, "<weight>%u.25</weight>", (unsigned) (item >> 8) % 50);
            break;
        case MISSING:
            break;
        case EMPTY:
            text_string(out, "<weight></weight>");
            break;
        case NIL:
            text_string(out, "<weight xsi:nil=\"true\"/>");
        }
        text_string(out, notes[item >> 2 & 3]);
        text_string(out, "</item>");
    }
    text_string(out, "</manifest>");
}

/* An element that is nil or empty is an empty text, and no number. */
static void shipment_items(struct text *out, const struct style *style, const struct row *row,
                           uint64_t hash)
{
    for (unsigned i = 0; i < item_count(hash); i++) {
        uint64_t item = mix64(hash, i);
        static const char *const notes[] = {"fragile", "\\N", "", ""};
        text_format(out, "%u\t%u\t%u\t", row->order, row->slot, i + 1);
        if ((item & 3) == PRESENT)
            text_format(out, "%u.25", (unsigned) (item >> 8) % 50);
        else
            text_string(out, "\\N");
        text_format(out, "\t%s\n", notes[item >> 2 & 3]);
    }
}

/* ---- payments: X7, X8 -------------------------------------------------------------------------
 */

/* Some are when they are made, and mended with the first change: a target that keeps what it had of
 * a document has nothing to keep. */
static bool malformed(const struct row *row, uint64_t hash)
{
    return !row->hostile && row->body == 1 && (hash >> 16 & 7) == 0;
}

static unsigned advice_count(const struct row *row, uint64_t hash)
{
    return row->hostile == HOSTILE_LARGE ? REPEATS : (unsigned) (hash >> 8) % 3;
}

static void put_advice(struct text *out, const struct style *style, const struct row *row,
                       uint64_t hash)
{
    unsigned filler = row->hostile == HOSTILE_LARGE ? style->large_bytes / REPEATS : 0;
    text_format(out, "<advice><ref>PAY-%u</ref>", row->slot);
    for (unsigned i = 0; i < advice_count(row, hash); i++) {
        size_t began = out->length;
        text_format(out, "<line amount=\"%u.%02u\">", (unsigned) (mix64(hash, i) % 1000), i % 100);
        while (filler > 7 && out->length - began < filler - 7)
            text_string(out, out->length - began + 16 < filler ? "lorem ipsum and " : "x");
        text_string(out, "</line>");
    }
    text_string(out, "</advice>");
}

static void put_malformed(struct text *out, uint64_t hash)
{
    static const char *const texts[] = {
        "<advice><ref>PAY-1</ref>",
        "<advice><ref>salt & pepper</ref></advice>",
        "<advice><ref>PAY-1</advice></ref>",
        "paid in cash",
        "<advice><line amount=1.00/></advice>",
        "<advice/><advice/>",
        "<advice><ref>&nosuch;</ref></advice>",
        "<x:advice><ref>PAY-1</ref></x:advice",
    };
    text_string(out, texts[hash & 7]);
}

static void put_deep(struct text *out)
{
    text_string(out, "<advice>");
    for (int i = 0; i < LEVELS; i++)
        text_string(out, "<a>");
    for (int i = 0; i < LEVELS; i++)
        text_string(out, "</a>");
    text_string(out, "</advice>");
}

static void put_bomb(struct text *out)
{
    text_string(out, "<!DOCTYPE advice [<!ENTITY a0 \"ha\">");
    for (int i = 1; i < 30; i++) {
        text_format(out, "<!ENTITY a%d \"", i);
        for (int j = 0; j < 10; j++)
            text_format(out, "&a%d;", i - 1);
        text_string(out, "\">");
    }
    text_string(out, "]><advice><ref>&a29;</ref></advice>");
}

static void put_payment(struct text *out, const struct style *style, const struct row *row,
                        uint64_t hash)
{
    if (malformed(row, hash))
        put_malformed(out, hash);
    else if (row->hostile == HOSTILE_DEEP)
        put_deep(out);
    else if (row->hostile == HOSTILE_BOMB)
        put_bomb(out);
    else if (row->hostile == HOSTILE_EXTERNAL)
        text_string(out, "<!DOCTYPE advice [<!ENTITY file SYSTEM \"file:///etc/hostname\">]>"
                         "<advice><ref>a&file;b</ref></advice>");
    else
        put_advice(out, style, row, hash);
}

/* What can't be read has no rows; of an external entity nothing is read. */
static bool readable(const struct row *row, uint64_t hash)
{
    return !malformed(row, hash) && row->hostile != HOSTILE_DEEP && row->hostile != HOSTILE_BOMB;
}

static void advice_heads(struct text *out, const struct style *style, const struct row *row,
                         uint64_t hash)
{
    if (!readable(row, hash))
        return;
    if (row->hostile == HOSTILE_EXTERNAL)
        text_format(out, "%u\tab\n", row->slot);
    else
        text_format(out, "%u\tPAY-%u\n", row->slot, row->slot);
}

static void advice_lines(struct text *out, const struct style *style, const struct row *row,
                         uint64_t hash)
{
    if (!readable(row, hash) || row->hostile == HOSTILE_EXTERNAL)
        return;
    for (unsigned i = 0; i < advice_count(row, hash); i++)
        text_format(out, "%u\t%u\t%u.%02u\n", row->slot, i + 1,
                    (unsigned) (mix64(hash, i) % 1000), i % 100);
}

/* ---- all of them ------------------------------------------------------------------------------
 */

void document_put(struct text *out, const struct style *style, const struct table *table,
                  const struct row *row, uint64_t hash)
{
    switch (table->number) {
    case ORDERS:
        put_order(out, hash);
        break;
    case CUSTOMERS:
        put_profile(out, hash);
        break;
    case PRODUCTS:
        put_spec(out, hash);
        break;
    case SHIPMENTS:
        put_manifest(out, hash);
        break;
    default:
        put_payment(out, style, row, hash);
    }
}

const struct xml_table xml_tables[XML_TABLES] = {
    {"order_heads", "order_id bigint, currency text, channel text, buyer text, total numeric",
     "order_id, currency, channel, buyer, total", ORDERS, order_heads},
    {"order_lines", "order_id bigint, line bigint, sku text, qty bigint, price numeric",
     "order_id, line, sku, qty, price", ORDERS, order_lines},
    {"order_discounts", "order_id bigint, line bigint, discount bigint, code text, percent numeric",
     "order_id, line, discount, code, percent", ORDERS, order_discounts},
    {"customer_profiles", "customer_id bigint, tier text, segment text, score bigint",
     "customer_id, tier, segment, score", CUSTOMERS, customer_profiles},
    {"product_specs", "sku text, heading text, remark text", "sku, heading, remark", PRODUCTS,
     product_specs},
    {"shipment_items", "order_id bigint, parcel bigint, item bigint, weight numeric, note text",
     "order_id, parcel, item, weight, note", SHIPMENTS, shipment_items},
    {"advice_heads", "payment_id bigint, ref text", "payment_id, ref", PAYMENTS, advice_heads},
    {"advice_lines", "payment_id bigint, line bigint, amount numeric", "payment_id, line, amount",
     PAYMENTS, advice_lines},
};

const struct column *document_column(const struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->columns[i].kind == KIND_XML || table->columns[i].kind == KIND_XML_CLOB)
            return &table->columns[i];
    return NULL;
}
