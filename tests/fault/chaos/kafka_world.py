"""The load for a topic at the source's own cluster: what who reads committed records sees of it."""

import json

from lib.committed import read_committed

from .file_world import plain
from .sent_world import Received, SentWorld

PLACE = "place"  # headers that the configuration adds


class KafkaWorld(SentWorld):
    exact = True

    def prepare(self):
        super().prepare()
        self.topic = self.kafka.create(f"{self.prefix}-out", 4)

    def target(self, number):
        return {"type": "kafka", "topic": self.topic, "format": "plain", "schemas": False,
                "transactional_id": f"member-{number}", "transaction_timeout_ms": 12_000,
                "headers": {PLACE: "{{topic}} {{partition}} {{offset}}", "op": "{{op}}",
                            "table": "{{table}}"}}

    def read(self):
        """Each record and its row."""
        for record in read_committed(self.kafka.bootstrap, self.topic):
            yield record, record.json() if record.value else None

    def received(self):
        for record, row in self.read():
            topic, partition, offset = record.headers[PLACE].split()
            image = row and plain(row)
            told = record.headers["op"], record.headers["table"], image
            yield Received((topic, int(partition)), int(offset), told, record.key,
                           record.headers[PLACE], (record.key, record.value))
