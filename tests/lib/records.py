"""Records as Debezium's MySQL connector and Connect's JSON converter write them.

The shape is that of the captured records in tests/golden/debezium-mysql; here a test says what
happened to which row, and gets the Kafka records that would tell of it.
"""

import json

INT = {"type": "int32"}
BIGINT = {"type": "int64"}
TEXT = {"type": "string"}
DOUBLE = {"type": "double"}
DATE = {"type": "int32", "name": "io.debezium.time.Date", "version": 1}
DATETIME = {"type": "int64", "name": "io.debezium.time.Timestamp", "version": 1}


def row(number, amount=0):
    """A row of the columns that a Table has unless it is told others."""
    return {"id": number, "name": f"n{number}", "amount": amount}


# The wire shapes in which Debezium's JSON comes: (flattened, with schemas).
SHAPES = {"envelope": (False, True), "envelope-plain": (False, False),
          "flat": (True, True), "flat-plain": (True, False)}


class Table:
    """A source table: columns {name: schema}, key columns, and its topic. Its records come in one
    of the wire SHAPES; flattened ones as ExtractNewRecordState writes them with
    delete.tombstone.handling.mode=rewrite and add.fields=op,table,source.ts_ms."""

    def __init__(self, name="items", columns=None, key=("id",), database="shop", prefix="src",
                 schemas=True, shape=None, null_keys=False):
        self.name, self.database, self.prefix = name, database, prefix
        self.columns = columns or {"id": INT, "name": TEXT, "amount": INT}
        self.key, self.null_keys = key, null_keys  # columns of the key may be NULL, as of a unique index
        self.flattened, self.schemas = SHAPES[shape] if shape else (False, schemas)
        self.topic = f"{prefix}.{database}.{name}"
        self._offsets = {}
        self._clock_ms, self._tick_ms = 1_760_000_000_000, 1000
        self._schema_text = None

    def move_to(self, prefix):
        """Its records are in another topic from now on, as another connector writes them."""
        self.prefix, self.topic = prefix, f"{prefix}.{self.database}.{self.name}"
        self._offsets, self._schema_text = {}, None

    def stand_at(self, now_ms):
        """What comes is of this moment; untold, each change is a second later than the one before."""
        self._clock_ms, self._tick_ms = now_ms, 0

    # What happens to rows.

    def create(self, row, **place):
        return self.change("c", None, row, **place)

    def read(self, row, **place):
        return self.change("r", None, row, **place)

    def update(self, before, after, **place):
        return self.change("u", before, after, **place)

    def delete(self, row, **place):
        return self.change("d", row, None, **place)

    def tombstone(self, row, partition=0):
        return self.record(self._key_of(row), None, partition)

    def change(self, operation, before, after, partition=0, ts_ms=None):
        self._clock_ms += self._tick_ms
        if self.flattened:
            return self._flat(operation, after or before, partition, ts_ms or self._clock_ms)
        payload = {
            "before": self._image(before), "after": self._image(after),
            "source": self._source(ts_ms or self._clock_ms), "transaction": None,
            "op": operation, "ts_ms": (ts_ms or self._clock_ms) + 5,
        }
        value = json.dumps(payload, ensure_ascii=False)
        if self.schemas:
            # The same text for every record until the table gets other columns.
            if self._schema_text is None or self._schema_text[0] is not self.columns:
                self._schema_text = self.columns, json.dumps(self._schema(), ensure_ascii=False)
            value = f'{{"schema": {self._schema_text[1]}, "payload": {value}}}'
        return self.record(self._key_of(after or before), value, partition)

    def _flat(self, operation, row, partition, ts_ms):
        payload = {**self._image(row), "__deleted": "true" if operation == "d" else "false",
                   "__op": operation, "__table": self.name, "__source_ts_ms": ts_ms}
        value = json.dumps(payload, ensure_ascii=False)
        if self.schemas:
            fields = self._fields() + [
                {"type": "string", "optional": True, "field": name}
                for name in ("__deleted", "__op", "__table")]
            fields.append({"type": "int64", "optional": True, "field": "__source_ts_ms"})
            schema = {"type": "struct", "fields": fields, "optional": False,
                      "name": f"{self.topic}.Value"}
            value = f'{{"schema": {json.dumps(schema, ensure_ascii=False)}, "payload": {value}}}'
        return self.record(self._key_of(row), value, partition)

    def truncate(self, partition=0):
        payload = {"before": None, "after": None, "source": self._source(self._clock_ms),
                   "transaction": None, "op": "t", "ts_ms": self._clock_ms}
        return self.record(None, json.dumps({"schema": self._schema(), "payload": payload}),
                           partition)

    def record(self, key, payload, partition=0, headers=None):
        offset = self._offsets.get(partition, 0)
        self._offsets[partition] = offset + 1
        return {"topic": self.topic, "partition": partition, "offset": offset, "tstype": "create",
                "ts": self._clock_ms + 10, "broker": 1, "headers": headers or [], "key": key,
                "payload": payload}

    # Their parts.

    def _image(self, row):
        return None if row is None else {name: row.get(name) for name in self.columns}

    def _source(self, ts_ms):
        return {"version": "3.3.1.Final", "connector": "mysql", "name": self.prefix,
                "ts_ms": ts_ms, "snapshot": "false", "db": self.database, "table": self.name,
                "server_id": 1, "file": "mysql-bin.000001", "pos": 4, "row": 0}

    def _fields(self):
        return [{**schema, "optional": self.null_keys or name not in self.key, "field": name}
                for name, schema in self.columns.items()]

    def _key_of(self, row):
        if not self.key:
            return None
        payload = {name: row[name] for name in self.key}
        fields = [{**self.columns[name], "optional": self.null_keys, "field": name} for name in self.key]
        if not self.schemas:
            return json.dumps(payload)
        schema = {"type": "struct", "fields": fields, "optional": False,
                  "name": f"{self.topic}.Key"}
        return json.dumps({"schema": schema, "payload": payload})

    def _schema(self):
        def image(side):
            return {"type": "struct", "fields": self._fields(), "optional": True,
                    "name": f"{self.topic}.Value", "field": side}

        source = {"type": "struct", "optional": False, "field": "source",
                  "name": "io.debezium.connector.mysql.Source", "version": 1, "fields": [
                      {"type": "string", "optional": False, "field": "version"},
                      {"type": "string", "optional": False, "field": "connector"},
                      {"type": "string", "optional": False, "field": "name"},
                      {"type": "int64", "optional": False, "field": "ts_ms"},
                      {"type": "string", "optional": True, "field": "snapshot"},
                      {"type": "string", "optional": False, "field": "db"},
                      {"type": "string", "optional": True, "field": "table"},
                      {"type": "int64", "optional": False, "field": "server_id"},
                      {"type": "string", "optional": False, "field": "file"},
                      {"type": "int64", "optional": False, "field": "pos"},
                      {"type": "int32", "optional": False, "field": "row"}]}
        return {"type": "struct", "optional": False, "name": f"{self.topic}.Envelope",
                "version": 2, "fields": [
                    image("before"), image("after"), source,
                    {"type": "struct", "fields": [
                        {"type": "string", "optional": False, "field": "id"},
                        {"type": "int64", "optional": False, "field": "total_order"},
                        {"type": "int64", "optional": False, "field": "data_collection_order"}],
                     "optional": True, "name": "event.block", "version": 1,
                     "field": "transaction"},
                    {"type": "string", "optional": False, "field": "op"},
                    {"type": "int64", "optional": True, "field": "ts_ms"}]}


def pipeline(table_or_topic, name="items", **settings):
    """A pipeline of tables.yaml that reads one topic."""
    topic = table_or_topic.topic if isinstance(table_or_topic, Table) else table_or_topic
    return {"name": name, "topics": [topic], "format": "debezium", "target": "ods", **settings}
