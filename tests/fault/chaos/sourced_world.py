"""A world whose load has a source: a database of PostgreSQL with the rows that the records tell of, so
that the daemon compares its target with them by itself (`verify.every`).

A row stands in the source before its record is sent, and the record tells of a moment before that: so one
that is newer than a look at the source says that all that was seen there has been sent, as it does where a
connector writes.
"""

import json
import time

import psycopg2
from psycopg2.extras import execute_values

from lib.postgres import create_database

from .bad import TAKEN_EVENT
from .load import Load
from .workload import Workload
from .world import World

TABLES = """
create schema shop;
create table shop.items (id int primary key, name text, amount int);
create table shop.orders (region text, number int, note text, amount int, primary key (region, number));
create table shop.documents (id int primary key, title text, body text, version int);
create table shop.events (n bigint, text text);
"""
COLUMNS = {"items": ("id", "name", "amount"), "orders": ("region", "number", "note", "amount"),
           "documents": ("id", "title", "body", "version")}
KEYS = {"items": ("id",), "orders": ("region", "number"), "documents": ("id",)}


class NotedWorkload(Workload):
    """Notes what its steps change, and when by the clock."""

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.changed, self.come = {("orders", ("poison", 0)): None}, [TAKEN_EVENT]

    def begin(self):
        """The moment of the steps that follow."""
        now_ms = int(time.time() * 1000)
        for table in (self.items, self.orders, self.documents, self.events, self.accounts, self.small):
            table.stand_at(now_ms)

    def append(self, number):
        records = super().append(number)
        self.come.append((number, self.appended[number][0]))
        return records

    def _keep(self, table, key, record):
        self.changed[table, key] = None
        return super()._keep(table, key, record)

    def row(self, table, key):
        """As it is now; None: it is gone."""
        found = self.rows[table].get(key)
        if table == "items" and found:
            found = None if found[1] == "d" else found[0]
        return found


class Source:
    """Takes each gust's changes in one transaction, again where its server went away meanwhile."""

    def __init__(self, database):
        self.database = database
        self.connection = None

    def put(self, workload):
        while workload.changed or workload.come:
            try:
                if self.connection is None:
                    self.connection = self.database.connect()
                    with self.connection.cursor() as cursor:  # what befalls the target is not for it
                        cursor.execute("set default_transaction_read_only = off; set lock_timeout = 0")
                    self.connection.autocommit = False
                with self.connection, self.connection.cursor() as cursor:
                    self._write(cursor, workload)
                workload.changed, workload.come = {}, []
            except (psycopg2.OperationalError, psycopg2.InterfaceError):
                self.close()
                time.sleep(0.2)

    @staticmethod
    def _write(cursor, workload):
        for table, key in KEYS.items():
            rows = {place: workload.row(name, place) for name, place in workload.changed if name == table}
            names = COLUMNS[table]
            gone = [place if isinstance(place, tuple) else (place,) for place, row in rows.items() if row is None]
            kept = [tuple(row[name] for name in names) for row in rows.values() if row is not None]
            if gone:
                execute_values(cursor, f"delete from shop.{table} where ({', '.join(key)}) in (%s)", gone)
            if kept:
                sets = ", ".join(f"{name} = excluded.{name}" for name in names if name not in key)
                execute_values(cursor, f"insert into shop.{table} ({', '.join(names)}) values %s "
                                       f"on conflict ({', '.join(key)}) do update set {sets}", kept)
        # Numbers ascend, so what a lost answer left there is not written twice.
        if workload.come:
            cursor.execute("select coalesce(max(n), -1) from shop.events")
            (last,) = cursor.fetchone()
            new = [row for row in workload.come if row[0] > last]
            if new:
                execute_values(cursor, "insert into shop.events values %s", new)

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class SourcedLoad(Load):
    source = None

    def _steps(self, count):
        if not count:
            return
        self.workload.begin()
        records = [self.workload.step() for _ in range(count)]
        self.source.put(self.workload)
        for sent in records:
            self._send(sent)
        self._producer.flush()  # none is behind a newer one in another partition


class SourcedWorld(World):
    workload_class, load_class = NotedWorkload, SourcedLoad

    def __init__(self, stack, *arguments, every="10s", **settings):
        super().__init__(stack, *arguments, **settings)
        self.every = every
        self.source = create_database(stack, f"{self.database.name}_source")
        self.load.source = Source(self.source)

    def prepare(self):
        super().prepare()
        self.source.execute(TABLES)
        self.source.execute("create index on shop.events (n)")
        self.load.source.put(self.workload)

    def pipeline(self):
        return {**super().pipeline(), "database": "shop", "verify": {"every": self.every}}

    def settings(self):
        return {"databases": [{"name": "shop", "type": "postgres", "dsn": self.source.dsn}]}

    def reports(self, number=0):
        """The daemon's own comparison as /status has it; {}: it does not answer."""
        code, text = self.member(number).daemon.get("/status")
        return json.loads(text)["verify"][0] if code == 200 else {}

    def close(self):
        super().close()
        self.load.join(30)
        self.load.source.close()
        self.source.close()
