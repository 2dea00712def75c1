"""The load: random row changes as Debezium writes them, and what the target must show for them.

The reference is kept in Python, one change at a time, and knows neither Kafka nor the sink. The same
seed makes the same changes; only the moments at which they are sent differ.
"""

import itertools
import json
import random
import zlib
from collections import Counter

from lib.kafka import as_bytes
from lib.records import BIGINT, INT, TEXT, Table

from . import bad

UNAVAILABLE = "__debezium_unavailable_value"
DELETED = "deleted"  # in place of a row that is gone

# `writes` counts what each row was written, so that a change that is applied twice shows.
TABLES = """
create table items (id int primary key, name text, amount int, cdc_operation text,
                    cdc_timestamp timestamptz, writes int);
create table orders (region text, number int, note varchar(40), amount int, writes int,
                     primary key (region, number));
create table documents (id int primary key, title text check (title <> 'forbidden'), body text,
                        version int, writes int);
create table events (n bigint, text text not null, seq bigserial);
create function count_writes() returns trigger language plpgsql as $body$
    begin
        new.writes := case tg_op when 'INSERT' then 1 else coalesce(old.writes, 0) + 1 end;
        return new;
    end $body$;
create trigger count_writes before insert or update on items
    for each row execute function count_writes();
create trigger count_writes before insert or update on orders
    for each row execute function count_writes();
create trigger count_writes before insert or update on documents
    for each row execute function count_writes();
""" + bad.TABLES


class PostgresTable(Table):
    """As PostgreSQL's connector tells of a table with the default replica identity: no old row."""

    def _source(self, ts_ms):
        return {**super()._source(ts_ms), "connector": "postgresql"}

    def update(self, before, after, **place):
        return super().update(None, after, **place)

    def delete(self, row, **place):
        return super().delete({name: row[name] for name in self.key}, **place)


class Workload:
    """`step()` is the next thing that happens at the source: its records, in order.

    soft: deleted rows of `items` stay, marked. poison: every so many-th step has also a record that
    cannot be applied, 0 for none, of these kinds. unavailable: values left in TOAST are not sent. rare: the
    share of appended rows with a column that the others don't have.
    """

    def __init__(self, prefix, seed, keys=3000, poison=300, soft=True, unavailable=True,
                 rare=0.02, kinds=None):
        self.random = random.Random(f"load {seed}")
        self.keys, self.poison, self.soft, self.unavailable = keys, poison, soft, unavailable
        self.items = Table("items", prefix=prefix)
        self.orders = Table("orders", prefix=prefix, key=("region", "number"), columns={
            "region": TEXT, "number": INT, "note": TEXT, "amount": INT})
        self.documents = PostgresTable("documents", prefix=prefix, columns={
            "id": INT, "title": TEXT, "body": TEXT, "version": INT})
        self.events = Table("events", prefix=prefix, key=(), columns={"n": BIGINT, "text": TEXT})
        # For bad records alone: the configuration names its key; a view that checks what is written.
        self.accounts = PostgresTable("accounts", prefix=prefix, columns={"id": INT, "code": TEXT})
        self.small = Table("small", prefix=prefix)
        self.partitions = {self.items.topic: 4, self.orders.topic: 3, self.documents.topic: 2,
                           self.events.topic: 3, self.accounts.topic: 1, self.small.topic: 1}
        self.rare = rare
        self.kinds = [bad.KINDS[name] for name in kinds] if kinds else bad.chosen()
        self.rows = {"items": {}, "orders": {("poison", 0): bad.TAKEN}, "documents": {}}
        # (table, key): how often it may have been written
        self.changes = Counter({("orders", ("poison", 0)): 1})
        self.appended = {bad.TAKEN_EVENT[0]: (bad.TAKEN_EVENT[1], -1)}  # n: (text, partition)
        self.letters = {}             # (topic, partition, offset): bad.Letter
        self.withheld = 0             # values that were not sent because they had not changed
        self.numbers = itertools.count(1)
        self.poisoned = itertools.count(10_000_000)

    @property
    def topics(self):
        return self.partitions

    def step(self):
        number = next(self.numbers)
        kind = self.random.random()
        if kind < 0.30:
            records = self.append(number)
        elif kind < 0.60:
            records = self.change_item(number)
        elif kind < 0.80:
            records = self.change_order(number)
        else:
            records = self.change_document(number)
        if self.poison and number % self.poison == 0:
            records.append(self.bad_record())
        return records

    # What happens to the tables.

    def append(self, number):
        partition = number % self.partitions[self.events.topic]
        text = f"event {number} äöü"
        self.appended[number] = (text, partition)
        if self.random.random() < self.rare:
            return [bad.good_rare(self, number, text)]
        return [self.events.create({"n": number, "text": text}, partition=partition)]

    def change_item(self, number):
        key = self.random.randrange(self.keys)
        rows = self.rows["items"]
        old = rows.get(key)
        if old is None or old[1] == "d":
            new = {"id": key, "name": f"item {number} 😀", "amount": number}
            rows[key] = (new, "c")
            return [self._keep("items", key, self.items.create(new, **self.place("items", key)))]
        old = old[0]
        if self.random.random() < 0.2:
            rows[key] = (old, "d") if self.soft else None
            if not self.soft:
                del rows[key]
            return [self._keep("items", key, self.items.delete(old, **self.place("items", key))),
                    self.items.tombstone(old, **self.place("items", key))]
        new = {**old, "amount": number, "name": self.random.choice([None, f"item {number}"])}
        rows[key] = (new, "u")
        return [self._keep("items", key, self.items.update(old, new, **self.place("items", key)))]

    def change_order(self, number):
        """Its key has two columns, and changes: a delete here, a create on another partition."""
        rows = self.rows["orders"]
        key = (self.random.choice(["north", "süd"]), self.random.randrange(self.keys // 4))
        old = rows.get(key)
        if old is None:
            return self._create_order(key, number)
        if self.random.random() < 0.1:
            return self._delete_order(key)
        if self.random.random() < 0.3:
            other = ("west", self.random.randrange(self.keys))
            if other in rows:
                return self._delete_order(other)
            headers = [["__debezium.newkey", json.dumps(as_key(other))],
                       ["__debezium.oldkey", json.dumps(as_key(key))]]
            gone, come = self._delete_order(key), self._create_order(other, number)
            return [{**record, "headers": headers[0]} for record in gone] + \
                   [{**record, "headers": headers[1]} for record in come]
        rows[key] = {**old, "amount": number}
        return [self._keep("orders", key, self.orders.update(
            old, rows[key], **self.place("orders", key)))]

    def _create_order(self, key, number):
        row = {**as_key(key), "note": f"order {number}", "amount": number}
        self.rows["orders"][key] = row
        return [self._keep("orders", key, self.orders.create(row, **self.place("orders", key)))]

    def _delete_order(self, key):
        row = self.rows["orders"].pop(key)
        place = self.place("orders", key)
        return [self._keep("orders", key, self.orders.delete(row, **place)),
                self.orders.tombstone(row, **place)]

    def change_document(self, number):
        """Most changes of a document leave its long text alone, and do not carry it."""
        rows = self.rows["documents"]
        key = self.random.randrange(self.keys // 4)
        place = self.place("documents", key)
        old = rows.get(key)
        if old is None:
            rows[key] = {"id": key, "title": f"title {number}", "version": number,
                         "body": f"body {number} " * self.random.randrange(1, 60)}
            return [self._keep("documents", key, self.documents.create(rows[key], **place))]
        if self.random.random() < 0.1:
            del rows[key]
            return [self._keep("documents", key, self.documents.delete(old, **place)),
                    self.documents.tombstone(old, **place)]
        new = {**old, "version": number}
        sent = new
        if self.random.random() < 0.2:
            sent = new = {**new, "body": f"new body {number} " * self.random.randrange(1, 60)}
        elif self.unavailable:
            self.withheld += 1
            sent = {**new, "body": UNAVAILABLE}
        rows[key] = new
        return [self._keep("documents", key, self.documents.update(old, sent, **place))]

    def bad_record(self, server=False):
        """One that can't be applied; server: one that PostgreSQL has to refuse."""
        kinds = [entry for entry in self.kinds if entry.server or not server] or self.kinds
        chosen, = self.random.choices(kinds, [entry.weight for entry in kinds])
        record = chosen.make(self, next(self.poisoned))
        self.letters[record["topic"], record["partition"], record["offset"]] = bad.Letter(
            chosen.name, chosen.stage, as_bytes(record["key"]), as_bytes(record["payload"]))
        return record

    def place(self, table, key):
        topic = getattr(self, table).topic
        return {"partition": zlib.crc32(repr(key).encode()) % self.partitions[topic]}

    def _keep(self, table, key, record):
        self.changes[table, key] += 1
        return record


def as_key(key):
    return {"region": key[0], "number": key[1]}
