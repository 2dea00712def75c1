"""Derived tables: a daemon that reads changes from a file, tables that others write, comparisons."""

import json

import yaml

from lib.records import pipeline
from lib.waiting import wait_for

LIVE = "cdc_operation <> 'd'"


class Kept:
    """A daemon with `derived:`; its records stand in a file, so no broker is needed."""

    def __init__(self, sink, database, folder, tables=(), derived=(), **settings):
        self.sink, self.database, self.path = sink, database, folder / "records.jsonl"
        self.tables, self.derived = list(tables), list(derived)
        self.settings = settings
        self.path.touch()
        self.write()

    def write(self):
        topics = [table.topic for table in self.tables] or ["none"]
        self.sink.write({**pipeline(topics[0]), "topics": topics,
                         "input": {"type": "file", "path": str(self.path)},
                         **self.settings.get("pipeline", {})},
                        database=self.database, http={"listen": self.settings.get("listen", "")})
        self.add_derived(self.derived)
        return self

    def add_derived(self, derived):
        add_derived(self.sink, derived)

    def append(self, *records):
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("".join(json.dumps(record) + "\n" for record in records))

    def start(self):
        return self.sink.daemon()


def add_derived(sink, derived):
    """Adds `derived:` to the tables.yaml that sink.write() has written."""
    path = sink.folder / "tables.yaml"
    document = yaml.safe_load(path.read_text())
    document["derived"] = list(derived)
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))


def quiet(database, name, schema="ods_sink"):
    """Nothing of the table waits."""
    if not database.exists(f"{schema}.derived_marks") or not database.exists(name):
        return False
    full = name if "." in name else f"public.{name}"
    return database.value(
        f"select not exists (select from {schema}.derived_marks where derived = %s) and not exists "
        f"(select from {schema}.derived_todo where derived = %s) and exists (select from "
        f"{schema}.derived where name = %s and fresh_at is not null)", full, full, full)


def differences(database, name, query):
    """Rows that the table and its query do not both have, in one snapshot."""
    return database.execute(
        f"with q as ({query}), d as (select * from {name}) (select 'missing' as side, x::text from "
        f"(select * from q except all select * from d) x union all select 'extra', x::text from "
        f"(select * from d except all select * from q) x) limit 20")


def await_equal(daemon, database, name, query, timeout_s=60):
    """The table is what its query gives, and nothing waits."""
    def equal():
        return quiet(database, name) and not differences(database, name, query) and \
            quiet(database, name)

    wait = daemon.await_that if daemon else lambda condition, timeout, what: wait_for(
        condition, timeout, what)
    wait(equal, timeout_s, lambda: f"{name} equal: {state(database, name, query)}")


def state(database, name, query):
    if not database.exists(name):
        return "no such table"
    return (differences(database, name, query),
            database.execute("select * from ods_sink.derived"),
            database.execute("select derived, source, left(keys::text, 60) from "
                             "ods_sink.derived_marks limit 5"),
            database.execute("select derived, count from ods_sink.derived_todo limit 5"),
            database.execute("select * from ods_sink.derived_errors limit 5"))
