"""The load for a topic in Avro, at the source's own cluster: its schemas are in a registry, and who reads has
them from there."""

from lib.avro import Schemas
from lib.avro_reader import Reader
from lib.committed import read_committed
from lib.registry import Registry

from .kafka_world import KafkaWorld

TIMEOUT_MS = 1000  # after which a question to the registry is asked again


class KafkaAvroWorld(KafkaWorld):
    def prepare(self):
        super().prepare()
        self.registry = Registry(Schemas())
        self.hangover.append(self.registry.stop)

    def target(self, number):
        told = super().target(number)
        del told["schemas"]
        return {**told, "encoding": "avro", "subject": "topic_record",
                "registry": {"url": self.registry.url, "timeout_ms": TIMEOUT_MS}}

    def read(self):
        reader = Reader(lambda number: self.registry.schemas.by_id[number]["schema"])
        try:
            for record in read_committed(self.kafka.bootstrap, self.topic, raw=True):
                yield record, reader.read(record.value)
        finally:
            reader.close()
