"""The join of examples/queue computed from the beginnings of its streams alone: what a derived table must
have been at a moment of which is known how many records of each stream it had the effect of."""

import base64
import itertools
import json
import re

JOINED = ("ora.SHOP.ORDERS", "ora.SHOP.CUSTOMERS", "ora.SHOP.PRODUCTS")
# The table's rows as Joined.rows() has them.
ROWS = ("select order_id, customer_id, name, email, sku, (price * 100)::bigint, (amount * 100)::bigint, "
        "status from order_view")
# At each moment that is published as fresh: how much of each queue the rows are of. A queue has no
# offsets; what it counts stands in the same snapshot.
POINTS = """
create table points (fresh_at timestamptz, counts jsonb);
create function note_point() returns trigger language plpgsql as $body$ begin
    insert into points select new.fresh_at, (select jsonb_object_agg(source, kept) from
        ods_sink.delivered_sources); return null; end $body$;
create trigger note_point after update on ods_sink.derived for each row
    when (new.fresh_at is distinct from old.fresh_at) execute function note_point()"""


NUMBERS = (0, 1, 5, 6)  # of its columns
ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}


def copied_rows(copied):
    """What `copy (ROWS) to stdout` gave, as the rows of a query: so whoever looks while all is busy leaves
    the reading for later."""
    for line in copied.decode().split("\n")[:-1]:
        fields = [None if field == "\\N" else re.sub(r"\\(.)", lambda at: ESCAPES.get(at[1], at[1]), field)
                  for field in line.split("\t")]
        yield tuple(int(field) if at in NUMBERS and field is not None else field
                    for at, field in enumerate(fields))


def records_of(lines):
    """{topic: [payload, …]} of the tables that are joined, from what ods-generate writes into a file."""
    found = {topic: [] for topic in JOINED}
    for line in lines:
        topic = line.split('"', 4)[3]  # it stands first
        if topic in found:
            found[topic].append(json.loads(line)["payload"])
    return found


def hundredths(text):
    return None if text is None else int.from_bytes(base64.b64decode(text), "big", signed=True)


class Joined:
    """Goes on from one moment to a later one. Values are those of --no-schemas, or with a schema."""

    def __init__(self, records):
        self.records = records
        self.at = dict.fromkeys(records, 0)
        self.tables = {topic: {} for topic in records}
        self.keys = dict(zip(JOINED, ("ORDER_ID", "CUSTOMER_ID", "SKU")))

    def rows(self, counts):
        """counts: {topic: how many records}."""
        for topic, count in counts.items():
            if topic in self.records:
                self._advance(topic, count)
        orders, customers, products = (self.tables[topic] for topic in JOINED)
        joined = []
        for number, order in orders.items():
            customer, product = customers.get(order["CUSTOMER_ID"]), products.get(order["SKU"])
            if customer:
                joined.append((number, order["CUSTOMER_ID"], customer["NAME"], customer["EMAIL"],
                               order["SKU"], hundredths(product["PRICE"]) if product else None,
                               hundredths(order["AMOUNT"]), order["STATUS"]))
        return joined

    def _advance(self, topic, count):
        assert self.at[topic] <= count <= len(self.records[topic]), (topic, self.at[topic], count)
        rows, key = self.tables[topic], self.keys[topic]
        for text in itertools.islice(self.records[topic], self.at[topic], count):
            change = json.loads(text)
            change = change.get("payload", change)
            if change["op"] == "d":
                rows.pop(change["before"][key], None)
            else:
                rows[change["after"][key]] = change["after"]
        self.at[topic] = count


def check_points(records, points):
    """points: (counts, rows) in the order of time. Answers how many rows were compared."""
    joined, compared = Joined(records), 0
    for counts, rows in points:
        wanted, found = set(joined.rows(counts)), set(rows)
        assert len(found) == len(rows)
        assert wanted == found, (counts, sorted(wanted - found)[:3], sorted(found - wanted)[:3])
        compared += len(found)
    return compared
