"""Kafka, the source's own cluster: a topic, read as whoever reads committed records."""

import json
import shutil
import signal

from lib.committed import read_committed
from lib.sink import Exit, Setup, free_port
from lib.toxiproxy import Toxiproxy
from lib.waiting import wait_for

from .target import FATAL, OUTAGE, ROW, SHOWN, Change, Fault, Target

PLACE = "place"  # a header that the configuration adds


class Kafka(Target):
    name = "kafka"
    stores = False
    rights = "the topic, and the rights that brokers tell of"
    lacks = 0  # these brokers make the topic

    def __init__(self, request):
        super().__init__(request)
        self.kafka = request.getfixturevalue("kafka")
        self.topic = self.out = self.kafka.create(f"{self.prefix}-out", 2)
        self.toxiproxy = Toxiproxy(self.stack)
        # The broker has two ways in, which announce themselves: by both it is two clusters for a client.
        self.brokers = self.bootstrap = self.stack["KAFKA_PROXY_BOOTSTRAP"]

    def settings(self):
        return {"type": "kafka", "topic": self.topic, "format": "plain", "schemas": False,
                "brokers": self.brokers, "transaction_timeout_ms": 2000,
                "headers": {PLACE: "{{topic}} {{partition}} {{offset}}", "op": "{{op}}"}}

    def changes(self):
        return [self.change_of(record) for record in self.read()]

    def read(self):
        return read_committed(self.kafka.bootstrap, self.out)

    def marks(self):
        return {(record.partition, record.offset, str(record.headers)) for record in self.read()}

    def key_of(self, record):
        return json.loads(record.key)["payload"]

    def row_of(self, record):
        return record.json()

    def change_of(self, record):
        topic, partition, offset = record.headers[PLACE].split()
        key = self.key_of(record)["id"] if record.key else None
        after = self.row_of(record) if record.value else None
        shown = after and {name: after[name] for name in (*SHOWN, "n") if name in after}
        return Change((topic, int(partition), int(offset)), record.headers["op"], key, shown,
                      record.headers[PLACE])

    def cut(self):
        """The source is away too."""
        self.cut_brokers()

    def cut_brokers(self):
        self.toxiproxy.enable("kafka", False)

    def heal(self):
        self.toxiproxy.enable("kafka")

    def is_waiting(self, lane, said):
        return not lane["kafka_reachable"] or super().is_waiting(lane, said)

    def apart(self):
        self.bootstrap = None

    def refused(self):
        self.kafka.alter(self.out, max_message_bytes=100_000)
        return {"name": "x" * 200_000}, "MSG_SIZE_TOO_LARGE"

    def faults(self):
        refused, says = self.refused()
        return [Fault("MSG_SIZE_TOO_LARGE", ROW, says, row={"id": 5, "amount": 5, **refused}),
                Fault("no broker answers", OUTAGE, "target ods", self.cut_brokers, self.heal),
                Fault("the topic is one that the pipeline reads", FATAL, "the pipeline reads topic",
                      lambda: self.writes_to(f"{self.prefix}.shop.items"),
                      lambda: self.writes_to(self.out))]

    def writes_to(self, topic):
        self.topic = topic
        self.load.configure()

    def replay_fails(self, records):
        """A replay has no source whose transactions it could take part in: a daemon."""
        self.load.more(len(records))
        daemon = self.daemon()
        wait_for(lambda: not daemon.running(), 60, daemon.tail)
        daemon.ended = True
        assert daemon.process.returncode in (Exit.TARGET, Exit.CONFIG), daemon.tail()
        return daemon.log()

    def close(self):
        self.heal()
        super().close()

    def without_rights(self):
        self.writes_to(f"{self.prefix}-nowhere")
        return [f"topic {self.topic} is not there", "auto.create.topics.enable"]

    def second_writer(self, load):
        """A process that stands still in a transaction loses its partitions to another one."""
        first = self.daemon().await_ready()
        load.more(40)
        load.await_all(first)
        load.more(200)
        load.await_some(first)
        first.signal(signal.SIGSTOP)
        try:
            second = self.beside().daemon()
            load.await_all(second)
        finally:
            first.signal(signal.SIGCONT)
        load.more(40)
        load.await_all(second)
        for daemon in (first, second):
            daemon.stop()
        load.nothing_is_wrong()
        return "fenced"

    def beside(self):
        """The same configuration for another process."""
        other = Setup(self.sink.folder / "beside", self.sink.binary, self.stack)
        other.folder.mkdir()
        other.http_port = free_port()
        shutil.copy(self.sink.folder / "tables.yaml", other.folder)
        other.conf.write_text(self.sink.conf.read_text().replace(
            f":{self.sink.http_port}", f":{other.http_port}"))
        self.others.append(other)
        return other


class Elsewhere(Kafka):
    """Another cluster than the source's."""

    name = "kafka-elsewhere"
    exact = False
    ends = False  # nothing of it is fatal without access control

    def __init__(self, request):
        super().__init__(request)
        self.apart()

    def faults(self):
        return [fault for fault in super().faults() if fault.kind != FATAL]

    is_waiting = Target.is_waiting
    second_writer = Target.second_writer
