"""Kafka: a topic of the source's own cluster, seen as by who reads committed records."""

import json
import os
import signal
import time
from collections import Counter

from lib.committed import read_committed
from lib.sink import free_port
from lib.waiting import wait_for

from .target import FATAL, OUTAGE, ROW, SHOWN, UNAVAILABLE, Change, Fault, Target

TOO_LARGE = {"name": "x" * 300_000}


class Kafka(Target):
    name = "kafka"
    stores = False
    rights = "the brokers, the topic, the transactional id"
    repeats = "the same place in a header"

    def __init__(self, request):
        super().__init__(request)
        self.kafka = request.getfixturevalue("kafka")
        self.topic = self.kafka.create(f"{self.prefix}-out", 2)
        self._conf = None

    def settings(self):
        return {"type": "kafka", "brokers": self.kafka.bootstrap, "topic": self.topic,
                "schemas": False, "deletes": "row", "transaction_timeout_ms": 2000,
                "max_record_bytes": 250_000,
                "headers": {"place": "{{topic}}|{{partition}}|{{offset}}"}}

    def changes(self):
        return [self.change(record) for record in read_committed(self.kafka.bootstrap, self.topic)]

    @staticmethod
    def change(record):
        value = json.loads(record.value)
        after, row = value["after"], value["after"] or value["before"]
        topic, partition, offset = record.headers["place"].split("|")
        shown = None if after is None else {name: after[name] for name in (*SHOWN, "n")
                                            if after.get(name, UNAVAILABLE) != UNAVAILABLE}
        return Change((topic, int(partition), int(offset)), value["op"], row.get("id"), shown,
                      record.headers["place"])

    def count(self):
        return len(read_committed(self.kafka.bootstrap, self.topic))

    def marks(self):
        """Partitions grow on their own: each record by itself, and how often it is there."""
        return set(Counter(map(str, self.changes())).items())

    def refused(self):
        return TOO_LARGE, "MSG_SIZE_TOO_LARGE"

    def cut(self):
        """The topic has too few replicas for what is to be kept."""
        self.kafka.alter(self.topic, min_insync_replicas=2)

    def heal(self):
        self.kafka.alter(self.topic, min_insync_replicas=1)

    def faults(self):
        return [Fault("MSG_SIZE_TOO_LARGE", ROW, "MSG_SIZE_TOO_LARGE",
                      row={"id": 5, "amount": 5, **TOO_LARGE}),
                Fault("NOT_ENOUGH_REPLICAS", OUTAGE, self.topic, self.cut, self.heal),
                Fault("INVALID_REPLICATION_FACTOR", FATAL, "eplication factor", self.ask_for_replicas,
                      self.ask_for_none)]

    def ask_for_replicas(self):
        self._conf = self.sink.conf.read_text()
        other = f'"{self.topic}-more"; create_topics = true; replicas = 3;'
        self.sink.conf.write_text(self._conf.replace(f'"{self.topic}";', other))

    def ask_for_none(self):
        self.sink.conf.write_text(self._conf)

    def second_writer(self, load):
        """A process is stopped until its group has given its partitions to another one, and goes on."""
        load.configure(http={"listen": ""})
        first, second = self.daemon(), self.daemon()
        for stopped in (first, second):
            load.more(40)
            wait_for(load.complete, 60, stopped.tail)
            load.more(100)
            time.sleep(0.05)
            os.kill(stopped.pid, signal.SIGSTOP)
            load.more(100)
            wait_for(load.complete, 60, stopped.tail)
            os.kill(stopped.pid, signal.SIGCONT)
        load.more(40)
        wait_for(load.complete, 60, first.tail)
        for daemon in (first, second):
            daemon.stop()
        assert load.nothing_is_wrong() == "exact"
        return "who is of an older generation of the group commits nothing"

    def without_rights(self):
        """Brokers that are not there; a topic that is not there is said, and no error."""
        text = self.sink.conf.read_text()
        self.sink.conf.write_text(text.replace(f'topic = "{self.topic}"', f'topic = "{self.topic}-no"'))
        assert f"{self.topic}-no is not there" in self.sink.check("--connect").stdout
        nobody = f"127.0.0.1:{free_port()}"
        self.sink.conf.write_text(text.replace(f'brokers = "{self.kafka.bootstrap}"',
                                               f'brokers = "{nobody}"'))
        return [nobody]
