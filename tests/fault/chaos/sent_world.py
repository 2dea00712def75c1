"""The same load for targets that send changes on: each change that was received, against what was sent to
Kafka. What came again is counted, and must be what came before, under the same name."""

import time
from collections import defaultdict
from dataclasses import dataclass

from confluent_kafka import Consumer, KafkaException, TopicPartition

from .compare import Verdict, compare_letters
from .file_world import Journal
from .world import World


@dataclass(frozen=True)
class Received:
    """A change as the target had it: where it comes from, what it says, its key, its name, all bytes."""

    place: tuple  # topic, partition
    offset: int
    told: tuple
    key: str      # None: it has none
    identity: str
    body: bytes


class SentWorld(World):
    """exact: nothing may come again."""

    workload_class = Journal
    exact = False

    def prepare(self):
        for topic, partitions in self.workload.topics.items():
            self.kafka.create(topic, partitions)
        self.kafka.create(self.letter_topic, 1)
        self.places = [TopicPartition(topic, number)
                       for topic, count in self.workload.topics.items() for number in range(count)]
        self.consumer = Consumer({"bootstrap.servers": self.stack["KAFKA_BOOTSTRAP"],
                                  "group.id": self.group})
        self.hangover.append(self.consumer.close)
        self._asked, self._stood = 0, None

    def received(self):
        """All that is there, in its order."""
        raise NotImplementedError

    def stands(self):
        """What the group has acknowledged to Kafka: from there another process goes on. Not asked more
        often than ten times a second."""
        if time.monotonic() - self._asked > 0.1:
            try:
                self._stood = {(place.topic, place.partition): place.offset for place
                               in self.consumer.committed(self.places, timeout=5)
                               if place.offset >= 0}
            except KafkaException:
                self._stood = None
            self._asked = time.monotonic()
        return self._stood

    def compare(self, letters):
        verdict = Verdict()
        wanted = {(place, offset): told for place, lines in self.workload.lines.items()
                  for offset, told in lines}
        seen, last = {}, defaultdict(lambda: -1)
        for change in self.received():
            at = change.place, change.offset
            before = seen.setdefault(at, change)
            if before is not change:
                self.compare_repeat(verdict, before, change)
            elif at not in wanted:
                verdict.add("wrong", f"{at} is no change: {change.told}")
            elif change.told != wanted[at]:
                verdict.add("wrong", f"{at} is {change.told}, not {wanted[at]}")
            elif change.key is not None and last[change.place, change.key] > change.offset:
                verdict.add("wrong", f"{at} came after a later change of its key {change.key}")
            last[change.place, change.key] = max(last[change.place, change.key], change.offset)
        for at in wanted.keys() - seen.keys():
            verdict.add("lost", f"{at}")
        if len({change.identity for change in seen.values()}) != len(seen):
            verdict.add("wrong", "two changes have one name")
        verdict.rows = len(seen)
        compare_letters(verdict, self.workload, letters, told=True)
        return verdict

    def compare_repeat(self, verdict, before, change):
        if (before.identity, before.body) != (change.identity, change.body):
            verdict.add("wrong", f"{change.place} {change.offset} came again as something else")
        elif self.exact:
            verdict.add("twice", f"{change.place} {change.offset}")
        else:
            verdict.repeats += 1
