"""The log's events as records: one for each row, as Maxwell 1.44 writes them near its defaults
(producer_partition_by=primary_key, output_ddl=true)."""

import json
import uuid
from dataclasses import dataclass

from pymysqlreplication.event import GtidEvent, QueryEvent, XidEvent
from pymysqlreplication.row_event import (DeleteRowsEvent, TableMapEvent, UpdateRowsEvent,
                                          WriteRowsEvent)

from . import tables
from .java_text import json_string
from .values import read_row

EVENTS = [GtidEvent, QueryEvent, XidEvent, TableMapEvent, WriteRowsEvent, UpdateRowsEvent,
          DeleteRowsEvent]
KINDS = {WriteRowsEvent: "insert", UpdateRowsEvent: "update", DeleteRowsEvent: "delete"}


@dataclass
class Record:
    topic: str
    partition_by: str  # what is hashed
    key: str
    value: str


@dataclass
class Table:
    database: str
    name: str
    columns: list
    key: list  # names

    @classmethod
    def of(cls, event):
        """The log tells names and keys with binlog_row_metadata=FULL."""
        told = event.optional_metadata
        if not told.column_name_list:
            raise ValueError("the binary log does not tell columns' names: "
                             "set global binlog_row_metadata = FULL")
        places = told.simple_primary_key_list or list(told.primary_keys_with_prefix)
        return cls(event.schema, event.table, event.columns,
                   [event.columns[place].name for place in places])


@dataclass
class Row:
    table: Table
    kind: str
    seconds: int
    data: dict
    old: dict


def object_text(members):
    return "{" + ",".join(f"{json_string(name)}:{text}" for name, text in members.items()) + "}"


def compact(members):
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))


class Records:
    """Takes events, gives records. A transaction's rows wait for its end, which has its number."""

    def __init__(self, databases, topic, ddl_topic=None, catalog=None, zone=None,
                 commit_info=True):
        self.databases, self.topic, self.ddl_topic = set(databases), topic, ddl_topic
        self.catalog, self.zone, self.commit_info = catalog, zone, commit_info
        self.tables, self.rows, self.gtid = {}, [], None

    def of(self, event):
        if isinstance(event, TableMapEvent):
            if event.schema in self.databases:
                self.tables[event.table_id] = Table.of(event)
        elif isinstance(event, GtidEvent):
            self.gtid = event.gtid
        elif isinstance(event, QueryEvent):
            return self._statement(event)
        elif isinstance(event, XidEvent):
            return self._committed(event.xid)
        elif getattr(event, "schema", None) in self.databases:
            self.rows += self._rows_of(event)
        return []

    def _rows_of(self, event):
        table, kind = self.tables[event.table_id], KINDS[type(event)]
        data = event.packet.read(event.event_size - event.packet.read_bytes)
        names, at = [column.name for column in table.columns], 0
        while at < len(data):
            texts, raws, at = read_row(data, at, table.columns, self.zone)
            old = {}
            if kind == "update":
                before, raws_before = texts, raws
                texts, raws, at = read_row(data, at, table.columns, self.zone)
                old = {name: text for name, text, was, now in
                       zip(names, before, raws_before, raws) if was != now}
            yield Row(table, kind, event.timestamp, dict(zip(names, texts)), old)

    def _committed(self, xid):
        rows, self.rows = self.rows, []
        return [self.record_of(row, xid, place if row is not rows[-1] else None)
                for place, row in enumerate(rows)]

    def _statement(self, event):
        sql = event.query if isinstance(event.query, str) else event.query.decode("utf-8")
        if sql.strip().upper() == "BEGIN":
            self.rows = []
        elif sql.strip().upper() == "COMMIT":  # of tables without transactions
            return self._committed(None)
        elif self.catalog:
            self.catalog.done = self.gtid
            return [self._ddl_record(sql, event.timestamp, told) for database, _, told in
                    tables.statements_of(sql, event.schema.decode("utf-8"), self.catalog)
                    if database in self.databases and self.ddl_topic]
        return []

    def _ddl_record(self, sql, seconds, told):
        return Record(self.ddl_topic, told["database"], str(uuid.uuid4()),
                      compact({**told, "ts": seconds * 1000, "sql": sql}))

    def _topic_of(self, table):
        return self.topic.replace("%{database}", table.database).replace("%{table}", table.name)

    def record_of(self, row, xid=None, place=None):
        """place: in the transaction, of all rows but its last."""
        table, members = row.table, {"database": json_string(row.table.database),
                                     "table": json_string(row.table.name),
                                     "type": json_string(row.kind), "ts": str(row.seconds)}
        if xid is not None and self.commit_info:
            members["xid"] = str(xid)
            members.update({"commit": "true"} if place is None else {"xoffset": str(place)})
        members["data"] = object_text(row.data)
        if row.old:
            members["old"] = object_text(row.old)
        return Record(self._topic_of(table), self._partition_by(table, row.data),
                      self._key_of(table, row.data), object_text(members))

    @staticmethod
    def _key_of(table, data):
        key = {f"pk.{name.lower()}": data.get(name, "null") for name in table.key}
        return object_text({"database": json_string(table.database),
                            "table": json_string(table.name),
                            **(key or {"_uuid": json_string(str(uuid.uuid4()))})})

    @staticmethod
    def _partition_by(table, data):
        """The key's values behind each other; without a key, the table; without values, the database."""
        if not table.key:
            return table.database + table.name
        texts = [data[name] for name in table.key if data.get(name, "null") != "null"]
        return "".join(json.loads(text) if text.startswith('"') else text
                       for text in texts) or table.database
