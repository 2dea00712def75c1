"""A reader of committed records: what an application sees of a topic that is written in transactions."""

import json

from confluent_kafka import Consumer, KafkaError, TopicPartition


class Record:
    """A record of a topic, its value as text, or with `raw` as bytes."""

    def __init__(self, message, raw=False):
        self.topic, self.partition, self.offset = (message.topic(), message.partition(),
                                                   message.offset())
        self.key = message.key() if raw else text_of(message.key())
        self.value = message.value() if raw else text_of(message.value())
        self.headers = {name: text_of(value) for name, value in message.headers() or []}

    def json(self):
        return json.loads(self.value)

    def payload(self):
        return self.json()["payload"]


def text_of(value):
    return None if value is None else value.decode()


def read_committed(bootstrap, topic, properties=None, isolation="read_committed",
                   raw=False):
    """All that a topic holds for such a reader now, in the order of each partition; none while it is
    not there."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "committed-reader",
                         "isolation.level": isolation, "enable.partition.eof": True,
                         "enable.auto.commit": False, **(properties or {})})
    records, ended = [], set()
    try:
        known = consumer.list_topics(timeout=20).topics.get(topic)
        if known is None:
            return []
        places = [TopicPartition(topic, number, 0) for number in known.partitions]
        consumer.assign(places)
        while len(ended) < len(places):
            message = consumer.poll(20)
            assert message is not None, f"{topic} does not end"
            if not message.error():
                records.append(Record(message, raw))
            elif message.error().code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition())
            else:
                raise AssertionError(message.error())
        return sorted(records, key=lambda record: (record.partition, record.offset))
    finally:
        consumer.close()
