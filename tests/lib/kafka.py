"""Topics, producing and consuming."""

import base64
import json
import subprocess
import tempfile
import uuid

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic

from lib.waiting import wait_for


def kafka_java(stack, heap, *options):
    """How one of Kafka's own programs is started; a class of it follows."""
    return ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
            f"-XX:SharedArchiveFile={stack['KAFKA_CLASSES']}", *options, "-cp", f"{stack['KAFKA_LIBS']}/*"]


class Kafka:
    def __init__(self, stack):
        self.bootstrap = stack["KAFKA_BOOTSTRAP"]
        self._libs = stack["KAFKA_LIBS"]
        self._admin = AdminClient({"bootstrap.servers": self.bootstrap})
        self._producer = self._make_producer()

    def _make_producer(self):
        """Idempotent: else a partition that is not made yet takes what is sent again after what came then."""
        return Producer({"bootstrap.servers": self.bootstrap, "linger.ms": 5, "enable.idempotence": True,
                         "message.max.bytes": 100_000_000, "partitioner": "murmur2_random"})

    def create(self, topic, partitions=4, **config):
        """Settings of the topic by name, `_` for `.`. And wait until who asks for topics is told of it,
        which is a moment after it is made."""
        config = {name.replace("_", "."): str(value) for name, value in config.items()}
        self._admin.create_topics([NewTopic(topic, partitions, 1, config=config)])[topic].result(30)
        wait_for(lambda: topic in self.topics(), what="the new topic")
        return topic

    def delete(self, topic):
        """And wait until it is gone, so that its name is free."""
        self._admin.delete_topics([topic])[topic].result(30)
        wait_for(lambda: topic not in self._admin.list_topics(timeout=20).topics, what="deletion")
        # The one that has seen it go refuses records of the topic that comes after it for a moment.
        self._producer = self._make_producer()

    def topics(self):
        return set(self._admin.list_topics(timeout=20).topics)

    def partition_count(self, topic):
        return len(self._admin.list_topics(topic, timeout=20).topics[topic].partitions)

    def add_partitions(self, topic, partitions):
        """Until there are so many; and wait until who asks is told of them."""
        self._admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)
        wait_for(lambda: self.partition_count(topic) == partitions, what="the new partitions")
        self._producer = self._make_producer()  # the one that is there knows of the old ones

    def alter(self, topic, **config):
        resource = ConfigResource("topic", topic, set_config={
            name.replace("_", "."): str(value) for name, value in config.items()})
        self._admin.alter_configs([resource])[resource].result(30)

    def delete_records(self, topic, partition, before):
        """What retention does: the partition begins at `before`."""
        order = {"partitions": [{"topic": topic, "partition": partition, "offset": before}],
                 "version": 1}
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(order, file)
            file.flush()
            subprocess.run(["java", "-XX:TieredStopAtLevel=1", "-cp", f"{self._libs}/*",
                            "org.apache.kafka.tools.DeleteRecordsCommand", "--bootstrap-server",
                            self.bootstrap, "--offset-json-file", file.name],
                           check=True, capture_output=True)

    def transactions(self, name):
        """A producer of transactions: begin_transaction(), produce(), and commit or abort."""
        producer = Producer({"bootstrap.servers": self.bootstrap, "transactional.id": name})
        producer.init_transactions(30)
        return producer

    def produce(self, records):
        """Records as kcat -J writes them; `partition` is kept, `offset` is given by the broker, and
        the time as well where the record has no `produced_ms`."""
        failures = []
        for record in records:
            self._send(self._producer, record, failures)
        left = self._producer.flush(60)
        assert not left and not failures, f"{left} records not sent, {failures[:3]}"

    def produce_soon(self, record):
        """Without waiting for the answer, nor looking at it."""
        self._send(self._producer, record, [])

    def produce_at_once(self, records):
        """The same in a transaction: whoever reads one finds all that follow it there already."""
        failures, producer = [], self.transactions(f"at-once-{uuid.uuid4()}")
        producer.begin_transaction()
        for record in records:
            self._send(producer, record, failures)
        producer.commit_transaction(60)
        assert not failures, failures[:3]

    @staticmethod
    def _send(producer, record, failures):
        def delivered(error, _message):
            if error:
                failures.append(error)

        headers = record.get("headers") or []
        time = {"timestamp": record["produced_ms"]} if "produced_ms" in record else {}
        while True:
            try:
                producer.produce(
                    record["topic"], partition=record["partition"],
                    key=bytes_of(record, "key", "key_b64"),
                    value=bytes_of(record, "payload", "value_b64"),
                    headers=list(zip(headers[::2], headers[1::2])), on_delivery=delivered,
                    **time)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)

    def read(self, topic):
        """All messages that a topic holds now."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "test-reader",
                             "enable.auto.commit": False, "auto.offset.reset": "earliest"})
        try:
            metadata = consumer.list_topics(topic, timeout=20).topics[topic]
            messages = []
            for partition in sorted(metadata.partitions):
                place = TopicPartition(topic, partition)
                low, high = consumer.get_watermark_offsets(place, timeout=20)
                consumer.assign([TopicPartition(topic, partition, low)])
                while low < high:
                    message = consumer.poll(20)
                    assert message is not None and not message.error(), f"reading {place}"
                    messages.append(message)
                    low = message.offset() + 1
            return messages
        finally:
            consumer.close()

    def count(self, topic):
        """Records in a topic, 0 while it is not there."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": "test-reader"})
        try:
            metadata = consumer.list_topics(topic, timeout=20).topics[topic]
            if metadata.error:
                return 0
            total = 0
            for partition in metadata.partitions:
                low, high = consumer.get_watermark_offsets(TopicPartition(topic, partition),
                                                           timeout=20)
                total += high - low
            return total
        finally:
            consumer.close()

    def commit(self, group, topic, offsets):
        """As another program's consumer of that group does, for partitions from 0 on."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        try:
            consumer.commit(offsets=[TopicPartition(topic, number, offset)
                                     for number, offset in enumerate(offsets)], asynchronous=False)
        finally:
            consumer.close()

    def committed(self, group, topic, partitions):
        """The group's offsets in Kafka, by partition; -1001 where it has none."""
        consumer = Consumer({"bootstrap.servers": self.bootstrap, "group.id": group})
        try:
            places = [TopicPartition(topic, number) for number in range(partitions)]
            return [place.offset for place in consumer.committed(places, timeout=20)]
        finally:
            consumer.close()


def bytes_of(record, name, base64_name):
    """A key or value, of which kcat's form has the text and ods-sink's, if need be, base64."""
    if record.get(base64_name) is not None:
        return base64.b64decode(record[base64_name])
    return as_bytes(record.get(name))


def as_bytes(value):
    if value is None or isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()
