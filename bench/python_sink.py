"""The peer: a small sink as teams write them when they need one this week.

One process, one connection, one statement a row, a commit of database and offsets every 100
records. It reads all three wire shapes. It is written to be correct and plain, with the faster of
the usual libraries (confluent_kafka, psycopg2), not to lose.

    python_sink.py --brokers LIST --dsn DSN --group NAME --topics REGEX
"""

from __future__ import annotations

import argparse
import base64
import datetime as dt
import json
import signal
from decimal import Decimal
from typing import Any, Callable

import psycopg2
from confluent_kafka import Consumer, KafkaError, KafkaException
from psycopg2 import extensions, sql

BATCH = 100
EPOCH = dt.datetime(1970, 1, 1)
UNAVAILABLE = "__debezium_unavailable_value"
Row = dict[str, Any]


def to_decimal(value: str | None, scale: int) -> Decimal | None:
    if value is None:
        return None
    unscaled = int.from_bytes(base64.b64decode(value), "big", signed=True)
    return Decimal(unscaled).scaleb(-scale)


CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "date": lambda days: None if days is None else EPOCH.date() + dt.timedelta(days=days),
    "timestamp without time zone":
        lambda ms: None if ms is None else EPOCH + dt.timedelta(milliseconds=ms),
}


class Table:
    """A target table: its key, its converters by column, its statements by set of columns."""

    def __init__(self, connection: extensions.connection, name: str) -> None:
        self.connection = connection
        self.name = name
        self.statements: dict[tuple[str, ...], str] = {}
        with connection.cursor() as cursor:
            cursor.execute(
                "select column_name, data_type from information_schema.columns"
                " where table_name = %s and table_schema = 'public'", (name,))
            types = dict(cursor.fetchall())
            cursor.execute(
                "select a.attname from pg_index i join pg_attribute a on a.attrelid = i.indrelid"
                " and a.attnum = any(i.indkey) where i.indrelid = %s::regclass and i.indisprimary",
                (name,))
            self.key = [row[0] for row in cursor.fetchall()]
        self.columns = set(types)
        self.converters = {c: CONVERTERS[t] for c, t in types.items() if t in CONVERTERS}

    def upsert(self, columns: tuple[str, ...]) -> str:
        if columns not in self.statements:
            names = [sql.Identifier(c) for c in columns]
            sets = [sql.SQL("{0} = excluded.{0}").format(n) for n in names]
            self.statements[columns] = sql.SQL(
                "insert into {} ({}) values ({}) on conflict ({}) do update set {}").format(
                    sql.Identifier(self.name), sql.SQL(", ").join(names),
                    sql.SQL(", ").join([sql.Placeholder()] * len(names)),
                    sql.SQL(", ").join(sql.Identifier(k) for k in self.key),
                    sql.SQL(", ").join(sets)).as_string(self.connection)
        return self.statements[columns]

    def delete(self) -> str:
        return sql.SQL("delete from {} where {}").format(
            sql.Identifier(self.name),
            sql.SQL(" and ").join(sql.SQL("{} = %s").format(sql.Identifier(k))
                                  for k in self.key)).as_string(self.connection)


class Sink:
    def __init__(self, dsn: str) -> None:
        self.connection = psycopg2.connect(dsn)
        self.cursor = self.connection.cursor()
        self.tables: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        if name not in self.tables:
            self.tables[name] = Table(self.connection, name)
        return self.tables[name]

    def apply(self, topic: str, value: bytes | None) -> None:
        if value is None:
            return
        record = json.loads(value)
        schema, payload = record.get("schema"), record.get("payload", record)
        table = self.table(topic.rsplit(".", 1)[1])
        if "op" in payload and "after" in payload:
            deleted, row = payload["op"] == "d", payload["after"] or payload["before"]
            fields = next((f["fields"] for f in schema["fields"] if f["field"] == "after"),
                          []) if schema else []
        else:
            deleted, row = payload["__deleted"] == "true", payload
            fields = schema["fields"] if schema else []
        if deleted:
            self.cursor.execute(table.delete(), [row[k] for k in table.key])
        else:
            self.upsert(table, row, fields)

    def upsert(self, table: Table, row: Row, fields: list[Row]) -> None:
        row = {c: v for c, v in row.items() if c in table.columns and v != UNAVAILABLE}
        for field in fields:
            if field.get("name") == "org.apache.kafka.connect.data.Decimal":
                scale = int(field["parameters"]["scale"])
                row[field["field"]] = to_decimal(row[field["field"]], scale)
        for column, convert in table.converters.items():
            if column in row:
                row[column] = convert(row[column])
        self.cursor.execute(table.upsert(tuple(row)), list(row.values()))


def main() -> None:
    parser = argparse.ArgumentParser()
    for option in ("--brokers", "--dsn", "--group", "--topics"):
        parser.add_argument(option, required=True)
    args = parser.parse_args()
    running = True

    def stop(_signal: int, _frame: object) -> None:
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    sink = Sink(args.dsn)
    consumer = Consumer({
        "bootstrap.servers": args.brokers, "group.id": args.group,
        "auto.offset.reset": "earliest", "enable.auto.commit": False,
        "topic.metadata.refresh.interval.ms": 1000,
    })
    consumer.subscribe([args.topics])
    while running:
        messages = consumer.consume(BATCH, timeout=0.1)
        for message in messages:
            error = message.error()
            if error is not None:
                if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                    continue
                raise KafkaException(error)
            sink.apply(message.topic(), message.value())
        if messages:
            sink.connection.commit()
            consumer.commit(asynchronous=False)
    consumer.close()


if __name__ == "__main__":
    main()
