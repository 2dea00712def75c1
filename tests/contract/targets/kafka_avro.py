"""Kafka in Avro: the same topic, and its schemas in a registry, which may be away by itself. Rows are read as a
foreign reader has them."""

import json

from lib.avro import Schemas
from lib.avro_reader import Reader
from lib.committed import read_committed
from lib.records import INT, TEXT
from lib.registry import Registry, basic
from lib.sink import Exit

from .kafka import Kafka
from .target import OUTAGE, ROW, UNAVAILABLE, Fault


class Avro(Kafka):
    name = "kafka-avro"
    absent = "a placeholder"
    rights = "the topic, the registry, and the rights that brokers tell of"
    lacks = Exit.TARGET

    def __init__(self, request):
        super().__init__(request)
        self.registry = Registry(Schemas())
        self.registry.refuses = refuses
        self.reader = Reader(lambda number: self.registry.schemas.by_id[number]["schema"])
        self.known = {}  # bytes: what they say

    def settings(self):
        told = super().settings()
        del told["schemas"]
        return {**told, "encoding": "avro", "subject": "topic_record",
                "registry": {"url": self.registry.url, "timeout_ms": 1000}}

    def read(self):
        return read_committed(self.kafka.bootstrap, self.out, raw=True)

    def decoded(self, message):
        if message not in self.known:
            self.known[message] = self.reader.read(message)
        return self.known[message]

    def key_of(self, record):
        return self.decoded(record.key)

    def row_of(self, record):
        return {name: value for name, value in self.decoded(record.value).items() if value != UNAVAILABLE}

    def cut(self):
        """The registry is away, and what comes next has a schema that it was not asked for: what is known
        needs none."""
        self.registry.stop()
        self.widen()

    def widen(self):
        items = self.load.items
        items.columns = {**items.columns, f"more{len(items.columns)}": INT}

    def heal(self):
        super().heal()
        self.registry.start()

    def faults(self):
        def answers(status):
            def begin():
                self.registry.status = status
                self.widen()
            return begin

        def healthy():
            self.registry.status, self.registry.authorization = 0, None
            self.registry.refusals.clear()

        def unauthorized():
            self.registry.authorization = basic("u", "p")
            self.widen()

        def read_only():
            self.registry.refusals[f"{self.out}-items.shop.items.Value"] = 422, 42205
            self.widen()

        return [Fault("the registry is away", OUTAGE, "registry http://", self.cut, self.heal),
                Fault("503", OUTAGE, "HTTP 503", answers(503), healthy),
                Fault("429", OUTAGE, "HTTP 429", answers(429), healthy),
                Fault("401", OUTAGE, "HTTP 401", unauthorized, healthy),
                Fault("a subject that may only be read (42205)", OUTAGE, "HTTP 422", read_only, healthy),
                *super().faults(),
                Fault("a number beyond its type", ROW, "larger than its type",
                      row={"id": 6, "name": "n6", "amount": 2**40}),
                Fault("409", ROW, "HTTP 409", row={"id": 7, "name": "n7", "amount": "seven"},
                      columns={"amount": TEXT})]

    def without_rights(self):
        self.registry.authorization = basic("u", "p")
        return ["HTTP 401", "registry.user"]

    def close(self):
        super().close()
        self.registry.stop()
        self.reader.close()


def refuses(_subject, schema):
    """A column that was a number is none that a text can follow."""
    types = {field["name"]: field["type"] for field in json.loads(schema)["fields"]}
    return (409, 409) if "string" in types.get("amount", ()) else None
