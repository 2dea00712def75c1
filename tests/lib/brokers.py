"""Kafka of a test's own, which may be broken: brokers that are controllers too, of one cluster."""

import base64
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from confluent_kafka.admin import AdminClient, NewTopic

from lib.kafka import Kafka, kafka_java
from lib.sink import free_port
from lib.waiting import wait_for

LOG = """log4j.rootLogger=WARN, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %c %m%n
"""


class Broker:
    """Its listeners: one for clients and the other brokers, one for controllers, and one that tells
    clients to come through a proxy, where that has an address."""

    def __init__(self, cluster, number):
        self.cluster, self.number, self.process = cluster, number, None
        self.folder = cluster.folder / f"broker-{number}"
        self.folder.mkdir()
        self.port, self.controller, self.proxied = free_port(), free_port(), free_port()
        self.proxy = None
        self.log = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        self.log = open(self.folder / "log", "ab")
        self.process = subprocess.Popen([*self.cluster.java, "kafka.Kafka",
                                         str(self.folder / "properties")],
                                        stdout=self.log, stderr=subprocess.STDOUT)

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def freeze(self):
        """It answers nobody, and its connections stay open: as with a disk that hangs."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def format(self, cluster_id):
        proxy = self.proxy or f"127.0.0.1:{self.proxied}"
        voters = ",".join(f"{broker.number}@127.0.0.1:{broker.controller}"
                          for broker in self.cluster.brokers)
        copies = min(3, len(self.cluster.brokers))
        (self.folder / "properties").write_text(f"""
process.roles=broker,controller
node.id={self.number}
controller.quorum.voters={voters}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{self.address},PROXIED://127.0.0.1:{self.proxied},\
CONTROLLER://127.0.0.1:{self.controller}
advertised.listeners=PLAINTEXT://{self.address},PROXIED://{proxy}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={self.folder}/data
auto.create.topics.enable=false
default.replication.factor={copies}
min.insync.replicas={max(1, copies - 1)}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={max(1, copies - 1)}
transaction.state.log.num.partitions=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
replica.lag.time.max.ms=3000
num.io.threads=2
num.network.threads=2
log.cleaner.dedupe.buffer.size=16777216
""")
        subprocess.run([*self.cluster.java, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c",
                        str(self.folder / "properties")], check=True, capture_output=True)


class Brokers:
    """A cluster. proxies: addresses, by broker from 1 on, of what stands between it and clients."""

    def __init__(self, stack, count=1, heap="256m"):
        self.folder = Path(tempfile.mkdtemp(prefix="ods-brokers-"))
        (self.folder / "log4j.properties").write_text(LOG)
        self.libs = stack["KAFKA_LIBS"]
        self.java = kafka_java(stack, heap, f"-Dlog4j.configuration=file:{self.folder}/log4j.properties")
        self.brokers = []
        self.brokers += [Broker(self, number + 1) for number in range(count)]

    def start(self):
        """A cluster anew, whatever there was before."""
        cluster_id = base64.urlsafe_b64encode(b"\1" + os.urandom(15)).decode().rstrip("=")
        for broker in self.brokers:
            shutil.rmtree(broker.folder / "data", ignore_errors=True)
            broker.format(cluster_id)
        try:
            for broker in self.brokers:
                broker.start()
            self.await_all()
        except BaseException:
            for broker in self.brokers:
                if broker.running():
                    broker.kill()
            raise
        return self

    @property
    def bootstrap(self):
        return ",".join(broker.address for broker in self.brokers)

    @property
    def proxied(self):
        return ",".join(broker.proxy or f"127.0.0.1:{broker.proxied}" for broker in self.brokers)

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})

    def await_all(self, timeout_s=90):
        def answer():
            for broker in self.brokers:
                assert broker.running(), (broker.folder / "log").read_text()[-3000:]
            try:
                return len(self.admin().list_topics(timeout=2).brokers) == len(self.brokers)
            except Exception:  # not yet
                return False

        wait_for(answer, timeout_s, "all brokers", interval_s=0.3)

    def tool(self, name, *arguments):
        """One of Kafka's own commands; what it said."""
        done = subprocess.run([*self.java, name, "--bootstrap-server", self.bootstrap, *arguments],
                              capture_output=True, text=True)
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        return done.stdout

    def partitions(self, topic):
        """Of each: its leader, its replicas, those in sync; broker numbers."""
        found = self.admin().list_topics(topic, timeout=20).topics[topic].partitions
        return {number: (one.leader, one.replicas, one.isrs) for number, one in found.items()}

    def client(self):
        return BrokersClient(self)

    def close(self):
        for broker in self.brokers:
            if broker.running():
                broker.kill()
            if broker.log:
                broker.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class BrokersClient(Kafka):
    """Topics are copied to as many brokers as there are, up to three."""

    def __init__(self, brokers):
        self.copies = min(3, len(brokers.brokers))
        super().__init__({"KAFKA_BOOTSTRAP": brokers.bootstrap, "KAFKA_LIBS": brokers.libs})

    def create(self, topic, partitions=4, **config):
        config = {name.replace("_", "."): str(value) for name, value in config.items()}
        made = NewTopic(topic, partitions, self.copies, config=config)
        self._admin.create_topics([made])[topic].result(30)
        wait_for(lambda: topic in self.topics(), what="the new topic")
        return topic
