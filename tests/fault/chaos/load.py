"""Sends the load to Kafka while faults happen, and knows how much of it Kafka has acknowledged."""

import queue
import threading
import time
from contextlib import contextmanager

from confluent_kafka import Producer

from lib.kafka import as_bytes


class Load(threading.Thread):
    """Steps of the workload, in gusts: many records at once, then a moment of nothing.

    The producer is idempotent and waits for Kafka as long as it takes, so that a topic holds each
    record once and in order whatever happens to the broker.
    """

    GUST_S = 0.05

    def __init__(self, workload, bootstrap, rate):
        super().__init__(name="load", daemon=True)
        self.workload, self.rate = workload, rate
        self.sent = 0
        self.acknowledged = 0
        self._ends = {}
        self.failures = []
        self._wanted = queue.SimpleQueue()
        self._burst = threading.Event()
        self._ending = threading.Event()
        self._hold, self._holding = threading.Event(), threading.Event()
        self._producer = Producer({
            "bootstrap.servers": bootstrap, "enable.idempotence": True, "linger.ms": 5,
            "message.timeout.ms": 0, "reconnect.backoff.max.ms": 500, "compression.type": "lz4",
            "queue.buffering.max.messages": 1_000_000, "queue.buffering.max.kbytes": 1_000_000})

    def _delivered(self, error, message):
        if error:
            self.failures.append(error)
        else:
            self.acknowledged += 1
            self._ends[message.topic(), message.partition()] = message.offset() + 1

    def reached(self):
        """How far each partition goes that Kafka has acknowledged something of."""
        return dict(self._ends)

    def run(self):
        try:
            began, steps = time.monotonic(), 0
            while not self._ending.is_set():
                if self._hold.is_set():
                    self._stand_still()
                due = int((time.monotonic() - began) * self.rate)
                # Behind by more than a second, it does not catch up: the machine is busy.
                steps = max(steps, due - self.rate)
                self._steps(due - steps)
                steps = due
                if self._burst.is_set():
                    self._burst.clear()
                    began -= 1  # what would be sent in a second is due now
                while not self._wanted.empty():
                    self._send([self.workload.bad_record(server=True)], self._wanted.get())
                self._producer.poll(0)
                self._ending.wait(self.GUST_S)
        except Exception as error:  # noqa: BLE001: told by finish()
            self.failures.append(error)

    def _steps(self, count):
        for number in range(count):
            self._send(self.workload.step())
            if number % 50 == 0:
                self._producer.poll(0)

    def _stand_still(self):
        self._producer.flush()
        self._holding.set()
        while self._hold.is_set() and not self._ending.is_set():
            time.sleep(0.01)
        self._holding.clear()

    @contextmanager
    def held(self):
        """Nothing is sent meanwhile, and Kafka has all that was."""
        self._hold.set()
        try:
            while not self._holding.wait(0.1):
                assert self.is_alive(), self.failures[:3]
            yield
        finally:
            self._hold.clear()

    def burst(self):
        """A second's worth at once, so that a fault strikes while there is work."""
        self._burst.set()

    def send_bad_record(self):
        """One that PostgreSQL refuses, among the others. Answers where Kafka has it."""
        told = queue.SimpleQueue()
        self._wanted.put(lambda message: told.put(
            (message.topic(), message.partition(), message.offset())))
        return told.get(timeout=60)

    def send(self, records):
        """Others, while it is held: Kafka has them afterwards."""
        assert self._holding.is_set()
        self._send(records)
        self._producer.flush()

    def _send(self, records, tell=None):
        def delivered(error, message):
            self._delivered(error, message)
            if tell and not error:
                tell(message)

        for record in records:
            headers = record["headers"]
            self._producer.produce(
                record["topic"], partition=record["partition"], key=as_bytes(record["key"]),
                value=as_bytes(record["payload"]),
                on_delivery=delivered if tell else self._delivered,
                headers=list(zip(headers[::2], headers[1::2])))
            self.sent += 1

    def give_up(self):
        self._ending.set()

    def finish(self):
        """No more; everything sent is in Kafka."""
        self._ending.set()
        if self.ident:
            self.join()
        left = self._producer.flush(120)
        assert not left and not self.failures, f"{left} records not sent; {self.failures[:3]}"
        assert self.acknowledged == self.sent
