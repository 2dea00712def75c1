"""Records as Maxwell's daemon writes them, near its defaults: a topic per table, and one for DDL.

The form is that of the captured records in tests/golden/maxwell.
"""

import json

from lib.records import pipeline as any_pipeline
from lib.sink import read_lines


class Raw(str):
    """JSON that stands in the record as it is."""


def object_of(members):
    def text(value):
        return value if isinstance(value, Raw) else json.dumps(value, ensure_ascii=False)

    return Raw("{" + ",".join(f"{text(name)}:{text(value)}"
                              for name, value in members.items()) + "}")


class Table:
    """A source table: its name, key columns and topic."""

    def __init__(self, name="items", key=("id",), database="shop", prefix="mx"):
        self.name, self.database, self.key = name, database, key
        self.topic, self.ddl_topic = f"{prefix}.{name}", f"{prefix}.ddl"
        self._offsets = {}
        self._clock_s = 1_760_000_000

    # What happens to rows.

    def insert(self, row):
        return self.change("insert", row)

    def bootstrap(self, row):
        return self.change("bootstrap-insert", row)

    def update(self, before, after):
        """`old` holds what is another value now."""
        old = {name: value for name, value in before.items() if after.get(name) != value}
        return self.change("update", after, **({"old": object_of(old)} if old else {}))

    def delete(self, row):
        return self.change("delete", row)

    def change(self, kind, row, **members):
        self._clock_s += 1
        value = {"database": self.database, "table": self.name, "type": kind,
                 "ts": self._clock_s, "xid": self._clock_s, "commit": True,
                 "data": object_of(row), **members}
        return self.record(self.topic, self._key_of(row), object_of(value))

    def ddl(self, kind, columns):
        """A statement that leaves the table with these columns, {name: type, or its members}."""
        self._clock_s += 1
        described = [{"name": name, **({"type": told} if isinstance(told, str) else told)}
                     for name, told in columns.items()]
        value = {"type": kind, "database": self.database, "table": self.name, "def": {
            "database": self.database, "charset": "utf8mb4", "table": self.name,
            "primary-key": list(self.key), "columns": described},
            "ts": self._clock_s * 1000, "sql": "…"}
        return self.record(self.ddl_topic, "0f0f", object_of(value))

    def record(self, topic, key, payload):
        offset = self._offsets[topic] = self._offsets.get(topic, -1) + 1
        return {"topic": topic, "partition": 0, "offset": offset, "ts": self._clock_s * 1000,
                "headers": [], "key": key, "payload": payload}

    def _key_of(self, row):
        """Maxwell writes the key columns' names in lower case."""
        if not self.key:
            return object_of({"database": self.database, "table": self.name, "_uuid": "9b1c"})
        return object_of({"database": self.database, "table": self.name,
                          **{f"pk.{name.lower()}": row[name] for name in self.key}})


def pipeline(topics="^mx\\..*", schema_topic=None, **settings):
    source = {"source": {"schema_topic": schema_topic}} if schema_topic else {}
    return any_pipeline(topics, format="maxwell", **source, **settings)


def letters_of(path):
    """Dead letters of a replay; the file is there when there are any."""
    return read_lines(path) if path.exists() else []
