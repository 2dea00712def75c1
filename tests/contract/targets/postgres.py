"""PostgreSQL: a database of its own, reached through a proxy that can be cut."""

import re

from lib.postgres import administer

from .target import FATAL, OUTAGE, ROW, Fault, Target

TABLE = """create table items (id int primary key, name text check (name <> 'refused'), amount smallint,
                               price numeric(10, 2));
           create table events (n int)"""


class Blocker:
    """Another session that holds a table against writers."""

    def __init__(self, database):
        self.database, self.connection = database, None

    def lock(self):
        self.connection = self.database.connect()
        self.connection.autocommit = False
        self.connection.cursor().execute("lock table items in exclusive mode")

    def close(self):
        self.connection.close()


class Postgres(Target):
    name = "postgres"
    tables = True
    rights = "on tables"

    def __init__(self, request):
        super().__init__(request)
        self.database = request.getfixturevalue("database")
        self.database.execute(TABLE)
        host, port = self.proxied(f"127.0.0.1:{self.stack['POSTGRES_PORT']}").split(":")
        self.dsn = re.sub(r"port=\d+", f"port={port}", self.database.dsn)

    def settings(self):
        return {"type": "postgres", "dsn": self.dsn, "lock_timeout_ms": 300}

    def rows(self):
        return {number: {"id": number, "name": name, "amount": amount} for number, name, amount
                in self.database.execute("select id, name, amount from items")}

    def events(self):
        return [number for number, in self.database.execute("select n from events")]

    def twice(self):
        events = self.events()
        return len(events) - len(set(events))

    def marks(self):
        return {(table, *row) for table, rows in self.database.state().items() for row in rows}

    def kept(self, marks):
        return {mark for mark in marks if mark[0].startswith("public.")} <= self.marks()

    def count(self):
        return self.database.count("events")

    def refused(self):
        return {"name": "refused"}, "23514"

    def faults(self):
        blocker = Blocker(self.database)
        return [
            Fault("23514", ROW, "23514", row={"id": 5, "name": "refused", "amount": 5}),
            Fault("22003", ROW, "22003", row={"id": 5, "name": "n5", "amount": 2**20}),
            Fault("55P03", OUTAGE, "lock timeout",
                  blocker.lock, blocker.close),
            Fault("25006", OUTAGE, "read-only transaction", *self.altered("default_transaction_read_only = on",
                                                        "default_transaction_read_only = off")),
            Fault("42501", FATAL, "permission denied for table items", lambda: self.revoke("insert"),
                  lambda: self.database.execute("grant insert on items to ods"))]

    def altered(self, begin, end):
        """Of new sessions: the old ones are ended."""
        def alter(text):
            administer(self.stack, f"alter database {self.database.name} set {text}")
            administer(self.stack, "select pg_terminate_backend(pid) from pg_stat_activity where "
                       f"datname = '{self.database.name}'")
            self.database.close()
        return [lambda text=text: alter(text) for text in (begin, end)]

    def revoke(self, rights):
        self.database.execute(f"revoke {rights} on items from ods")

    def without_rights(self):
        self.revoke("insert, delete")
        return ["insert, delete", "public.items"]
